//! `start`: a monitor in the background, reported as started when it answers; or in this terminal.

use std::ffi::{OsStr, OsString};

use anyhow::Context as _;
use client::{Detached, DetachedError, Owner, Probe, Running, Supervision, page, page_on, start_detached};
use host::{Serves, Settings, StartError};
use protocol::Runfile;
use serde::Serialize;
use serde_json::json;

use crate::args::{Listen, PortChoice, Reclaim, Role, Start};
use crate::context::Context;
use crate::launch::{self, Target, dashboard_port};
use crate::serve::{Place, serve};
use crate::status::Server;
use crate::trouble::Trouble;
use crate::{Exit, complain, supervisor, token, units};

pub(crate) fn run(start: &Start, context: &mut Context<'_, '_>) -> anyhow::Result<Exit> {
    if start.json {
        context.terminal.speak_json();
    }
    match start.role {
        Role::Caller => {
            let exit = attempt(start, context)?;
            Ok(if exit == Exit::PortTaken { Exit::Failed } else { exit })
        }
        Role::Supervisor => supervisor::run(start, context),
        Role::Server => match attempt(start, context) {
            // Its own port would have been said to be taken.
            Err(error) if matches!(error.downcast_ref(), Some(StartError::PortTaken { .. })) => {
                complain(&error, context);
                Ok(Exit::DashboardPortTaken)
            }
            done => done,
        },
    }
}

fn attempt(start: &Start, context: &mut Context<'_, '_>) -> anyhow::Result<Exit> {
    let mut target = Target::find(&start.listen, context)?;
    if start.role == Role::Caller {
        target = target.reclaimed(start.reclaim, context)?;
    }
    let Target { settings, found } = target;
    let port = settings.config.port;
    if !matches!(found, Probe::Free) {
        return already(found, port, start.reclaim, context);
    }
    let outcome = if start.role == Role::Server {
        supervised(start, settings, context)?
    } else {
        context.terminal.say("Starting Socket.IO monitoring server...\n");
        if start.foreground {
            in_foreground(start, settings, context)?
        } else {
            in_background(&start.listen, &settings, context)?
        }
    };
    match outcome {
        Outcome::Served(running) => {
            let dashboard = running.health.dashboard_port;
            report(&running.runfile, dashboard, Deed::Started, start.verbose, context);
            Ok(Exit::Done)
        }
        Outcome::Ended(exit) => Ok(exit),
        // Another program was quicker: the next free port, then.
        Outcome::Taken(_) if start.listen.port == Some(PortChoice::Auto) => attempt(start, context),
        Outcome::Taken(found) => already(found, port, start.reclaim, context),
    }
}

/// What became of a start.
pub(crate) enum Outcome {
    /// It answers, in the background.
    Served(Box<Running>),
    /// It served, or it failed and said why.
    Ended(Exit),
    /// Somebody else took the port after we had looked.
    Taken(Probe),
}

fn in_foreground(
    start: &Start,
    settings: Settings,
    context: &mut Context<'_, '_>,
) -> anyhow::Result<Outcome> {
    let dashboard = dashboard_port(&settings.config);
    let taken = serve(settings, start.listen.project.clone(), context, |place, context| match place {
        Place::First(runfile) => report(runfile, dashboard, Deed::Started, start.verbose, context),
        Place::Moved(runfile) => context.terminal.say(format_args!("Monitor moved to port {}", runfile.port)),
    })?;
    if taken.is_none() {
        context.terminal.say("Monitor stopped");
    }
    Ok(taken.map_or(Outcome::Ended(Exit::Done), Outcome::Taken))
}

/// Serves for a supervisor, who reads where on standard output.
fn supervised(
    start: &Start,
    mut settings: Settings,
    context: &mut Context<'_, '_>,
) -> anyhow::Result<Outcome> {
    settings.config.mode = "background".to_owned();
    let taken = serve(settings, start.listen.project.clone(), context, |place, context| {
        let (Place::First(runfile) | Place::Moved(runfile)) = place;
        let notice = serde_json::to_string(&Serves { serving: runfile.port });
        context.terminal.say(notice.expect("a number is JSON"));
    })?;
    Ok(taken.map_or(Outcome::Ended(Exit::Done), Outcome::Taken))
}

/// How a child ends when another monitor of this user, or anybody else, was quicker.
const CHILD_WAS_LATE: [Option<i32>; 2] = [Some(Exit::Done as i32), Some(Exit::PortTaken as i32)];

/// Starts a server in the background, on exactly the port of the settings.
pub(crate) fn in_background(
    listen: &Listen,
    settings: &Settings,
    context: &mut Context<'_, '_>,
) -> anyhow::Result<Outcome> {
    let port = settings.config.port;
    let exe = std::env::current_exe().context("could not find this executable")?;
    let mut args: Vec<OsString> = ["start", "--role=supervisor"].map(OsString::from).into();
    args.extend(listen.arguments(&settings.config.host, port));
    let args: Vec<&OsStr> = args.iter().map(OsString::as_os_str).collect();
    let home = context.home.clone();
    let detached = Detached { exe: &exe, args: &args, home: &home, port, limit: context.start_limit()? };
    match start_detached(&detached) {
        Ok(running) => Ok(Outcome::Served(running)),
        Err(DetachedError::Ended { status, .. }) if CHILD_WAS_LATE.contains(&status.code()) => {
            Ok(Outcome::Taken(client::probe(&home, port)))
        }
        Err(DetachedError::Ended { output, .. }) => {
            context.terminal.complain(output.trim_end());
            Ok(Outcome::Ended(Exit::Failed))
        }
        Err(error) => Err(error.into()),
    }
}

/// What a verb did so that a monitor runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Deed {
    /// It ran already.
    AlreadyRunning,
    Started,
    Restarted,
}

/// Tells of a server that has just been started.
pub(crate) fn report(
    runfile: &Runfile,
    dashboard_port: Option<u16>,
    deed: Deed,
    verbose: bool,
    context: &mut Context<'_, '_>,
) {
    if context.terminal.speaks_json() {
        return answer(runfile, deed, context);
    }
    let dashboard = dashboard_port.map(|port| page_on(runfile, port));
    let Runfile { pid, mode, .. } = runfile;
    let mut lines = vec![
        format!("  - Server URL: {}", page(runfile)),
        format!("  - Dashboard URL: {}", dashboard.as_deref().unwrap_or("switched off")),
        format!("  - Process ID: {pid}"),
        format!("  - Mode: {mode}"),
    ];
    if verbose {
        lines.extend(details(runfile, context));
    }
    let ready = match dashboard {
        Some(url) => format!("Open {url} in your browser to view the dashboard."),
        None => "Its dashboard is switched off by the configuration; --dashboard switches it on.".to_owned(),
    };
    context.terminal.say(format_args!(
        "✓ Server started successfully\n{}\n\nMonitoring server is ready for connections.\n{ready}",
        lines.join("\n")
    ));
    token::report(runfile, context);
}

/// The same for programs: the object that `status --json` has, and what was done.
fn answer(runfile: &Runfile, deed: Deed, context: &mut Context<'_, '_>) {
    let mut server = Server::ask(runfile.clone(), context).json();
    server["outcome"] = json!(deed);
    // Who can talk to it no more has no link; that it is gone is seen elsewhere.
    server["login_url"] = json!(token::login_url(&context.home, runfile).ok().flatten());
    context.terminal.answer(&server);
}

/// What `--verbose` adds.
fn details(runfile: &Runfile, context: &Context<'_, '_>) -> Vec<String> {
    let Runfile { host, port, version, project, process_started_at, .. } = runfile;
    let home = &context.home;
    let log = Supervision::read(home, *port).map(|supervision| supervision.log.display().to_string());
    let log = log.unwrap_or_else(|| "this terminal".to_owned());
    vec![
        format!("  - Version: {version}"),
        format!("  - Host: {host}"),
        format!("  - Project: {}", project.as_deref().unwrap_or("all")),
        format!("  - Started: {}", units::started(*process_started_at)),
        format!("  - Runfile: {}", home.runfile(*port).display()),
        format!("  - Log: {log}"),
    ]
}

/// Reports who has the port.
pub(crate) fn already(
    found: Probe,
    port: u16,
    reclaim: Reclaim,
    context: &mut Context<'_, '_>,
) -> anyhow::Result<Exit> {
    match found {
        Probe::Ours(running) => {
            let (url, Running { runfile, .. }) = (running.url(), *running);
            if context.terminal.speaks_json() {
                answer(&runfile, Deed::AlreadyRunning, context);
            }
            context.terminal.say(format_args!("Monitor already running at {url} (pid {})", runfile.pid));
            return Ok(Exit::Done);
        }
        Probe::Stray(stray) => {
            let Trouble { what, way_out } = Trouble::of_stray(&stray);
            context
                .terminal
                .error(format_args!("Port {port} is served by your monitor, but {what}"), Some(&way_out));
        }
        Probe::Legacy(legacy) => {
            let (text, way_out) = launch::legacy(port, &legacy);
            context.terminal.error(text, Some(&way_out));
        }
        Probe::Foreign { owner } => {
            let way_out = launch::hung(port, context);
            let way_out = way_out.unwrap_or_else(|| way_out_of_foreign(owner.as_ref(), reclaim));
            let holder = client::holder(owner.as_ref());
            context.terminal.error(format_args!("Port {port} is already in use by {holder}"), Some(&way_out));
        }
        Probe::Free => {
            let error = format!("who had port {port} ended while this monitor started");
            context.terminal.error(error, Some("try again"));
        }
    }
    Ok(Exit::PortTaken)
}

fn way_out_of_foreign(owner: Option<&Owner>, reclaim: Reclaim) -> String {
    let mut way_out = "use --port to choose another port".to_owned();
    if reclaim.no_reclaim && owner.is_some_and(Owner::is_debug_script) {
        way_out += ", or leave out --no-reclaim to stop this debug script";
    } else if reclaim.force {
        way_out += "; --force never applies to another program";
    }
    way_out
}
