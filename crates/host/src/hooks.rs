//! What the dashboard can do with our hooks in Claude Code's settings: as the command line does it, for the user
//! whose server this is.

use std::path::Path;

use claude::{Change, Error, Registration, Setup};
use protocol::hooks::{Hooks, HooksAction, HooksOrder, PlannedChange};
use server::HooksError;

/// Looks at the hooks, and before that changes them when ordered. `folder` is where sessions would run.
pub(crate) fn answer(setup: &Setup, folder: &Path, order: Option<HooksOrder>) -> Result<Hooks, HooksError> {
    if let Some(HooksOrder { action, diff }) = order {
        change(setup, action, &diff)?;
    }
    Ok(Hooks {
        report: setup.look(folder, setup.version().ok()).report,
        install: planned(plan(setup, HooksAction::Install)),
        uninstall: planned(plan(setup, HooksAction::Uninstall)),
    })
}

/// Makes the change that the user was shown, or none.
fn change(setup: &Setup, action: HooksAction, shown: &str) -> Result<(), HooksError> {
    let failed = |error: Error| HooksError::Failed(told(&error));
    if diff(&plan(setup, action).map_err(failed)?) != shown {
        return Err(HooksError::Changed);
    }
    for Change { path, backup, .. } in carry_out(setup, action).map_err(failed)? {
        tracing::info!(?action, settings = %path.display(), ?backup, "changed Claude Code's settings");
    }
    Ok(())
}

/// What would be changed. Nothing is written.
fn plan(setup: &Setup, action: HooksAction) -> Result<Vec<Change>, Error> {
    match action {
        HooksAction::Install => {
            let settings = setup.settings(None);
            Ok(vec![setup.plan_install(&settings, &registrations(setup, &settings)?)?])
        }
        HooksAction::Uninstall => setup.plan_uninstall(None),
    }
}

fn carry_out(setup: &Setup, action: HooksAction) -> Result<Vec<Change>, Error> {
    match action {
        HooksAction::Install => {
            let settings = setup.settings(None);
            Ok(vec![setup.install(&settings, &registrations(setup, &settings)?)?])
        }
        HooksAction::Uninstall => setup.uninstall(None),
    }
}

/// What this Claude Code understands, without what costs something and was not chosen before.
fn registrations(setup: &Setup, settings: &Path) -> Result<Vec<Registration>, Error> {
    setup.registrations(setup.version()?, settings, &[])
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

fn told(error: &Error) -> String {
    match error.way_out() {
        Some(way_out) => format!("{error}; {way_out}"),
        None => error.to_string(),
    }
}
