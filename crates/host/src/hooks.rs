//! What the dashboard can do with our hooks in Claude Code's settings: as the command line does it, for the user
//! whose server this is.

use std::path::Path;

use claude::{Change, Error, Registration, Setup, registrations};
use protocol::hooks::{Hooks, HooksAction, HooksOrder, PlannedChange};
use server::HooksError;

/// Looks at the hooks, and before that changes them when ordered. `folder` is where sessions would run.
pub(crate) fn answer(setup: &Setup, folder: &Path, order: Option<HooksOrder>) -> Result<Hooks, HooksError> {
    if let Some(HooksOrder { action, diff }) = order {
        change(setup, action, &diff)?;
    }
    Ok(Hooks {
        report: setup.look(folder, setup.version().ok()).report,
        install: planned(plan_install(setup).map(|change| vec![change])),
        uninstall: planned(setup.plan_uninstall(None)),
    })
}

/// Makes the change that the user was shown, or none.
fn change(setup: &Setup, action: HooksAction, shown: &str) -> Result<(), HooksError> {
    let planned = match action {
        HooksAction::Install => plan_install(setup).map(|change| vec![change]),
        HooksAction::Uninstall => setup.plan_uninstall(None),
    };
    if diff(&planned.map_err(|error| failed(&error))?) != shown {
        return Err(HooksError::Changed);
    }
    let made = match action {
        HooksAction::Install => setup
            .install(&setup.settings(None), &defaults(setup).map_err(|error| failed(&error))?)
            .map(|change| vec![change]),
        HooksAction::Uninstall => setup.uninstall(None),
    };
    for Change { path, backup, .. } in made.map_err(|error| failed(&error))? {
        tracing::info!(?action, settings = %path.display(), ?backup, "changed Claude Code's settings");
    }
    Ok(())
}

fn plan_install(setup: &Setup) -> Result<Change, Error> {
    setup.plan_install(&setup.settings(None), &defaults(setup)?)
}

/// What this Claude Code understands, without what costs something.
fn defaults(setup: &Setup) -> Result<Vec<Registration>, Error> {
    registrations(setup.version()?, &[])
}

fn planned(plan: Result<Vec<Change>, Error>) -> PlannedChange {
    match plan {
        Ok(changes) => PlannedChange { diff: diff(&changes), problem: None },
        Err(error) => PlannedChange { diff: String::new(), problem: Some(told(&error)) },
    }
}

fn diff(changes: &[Change]) -> String {
    changes.iter().filter(|change| !change.is_nothing()).map(Change::diff).collect()
}

fn failed(error: &Error) -> HooksError {
    HooksError::Failed(told(error))
}

fn told(error: &Error) -> String {
    match error.way_out() {
        Some(way_out) => format!("{error}; {way_out}"),
        None => error.to_string(),
    }
}
