//! `start`: a monitor in the background, reported as started when it answers; or in this terminal.

use std::ffi::{OsStr, OsString};

use anyhow::Context as _;
use client::{Detached, DetachedError, Probe, Running, page, page_on, start_detached};
use host::{Serves, Settings};
use protocol::Runfile;

use crate::Exit;
use crate::args::{PortChoice, Role, Start};
use crate::context::Context;
use crate::launch::{self, Target, dashboard_port};
use crate::serve::{Place, serve};
use crate::{supervisor, token};

pub(crate) fn run(start: &Start, context: &mut Context<'_, '_>) -> anyhow::Result<Exit> {
    match start.role {
        Role::Caller => {
            let exit = attempt(start, context)?;
            Ok(if exit == Exit::PortTaken { Exit::Failed } else { exit })
        }
        Role::Supervisor => supervisor::run(start, context),
        Role::Server => attempt(start, context),
    }
}

fn attempt(start: &Start, context: &mut Context<'_, '_>) -> anyhow::Result<Exit> {
    let Target { settings, found } = Target::find(&start.listen, context)?;
    let port = settings.config.port;
    if !matches!(found, Probe::Free) {
        return already(found, port, context);
    }
    let outcome = if start.role == Role::Server {
        supervised(start, settings, context)?
    } else {
        context.terminal.say("Starting Socket.IO monitoring server...\n");
        if start.foreground {
            in_foreground(start, settings, context)?
        } else {
            in_background(start, &settings, context)?
        }
    };
    match outcome {
        Outcome::Ended(exit) => Ok(exit),
        // Another program was quicker: the next free port, then.
        Outcome::Taken(_) if start.listen.port == Some(PortChoice::Auto) => attempt(start, context),
        Outcome::Taken(found) => already(found, port, context),
    }
}

/// What became of a start.
enum Outcome {
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
        Place::First(runfile) => report(runfile, dashboard, context),
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

fn in_background(
    start: &Start,
    settings: &Settings,
    context: &mut Context<'_, '_>,
) -> anyhow::Result<Outcome> {
    let port = settings.config.port;
    let exe = std::env::current_exe().context("could not find this executable")?;
    let mut args: Vec<OsString> = vec!["start".into(), "--role=supervisor".into()];
    args.extend(start.listen.arguments(&settings.config.host, port));
    let args: Vec<&OsStr> = args.iter().map(OsString::as_os_str).collect();
    let home = context.home.clone();
    let detached = Detached { exe: &exe, args: &args, home: &home, port, limit: context.start_limit()? };
    match start_detached(&detached) {
        Ok(running) => {
            report(&running.runfile, running.health.dashboard_port, context);
            Ok(Outcome::Ended(Exit::Done))
        }
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

/// Tells of a server that has just been started.
fn report(runfile: &Runfile, dashboard_port: Option<u16>, context: &mut Context<'_, '_>) {
    let dashboard = dashboard_port.map(|port| page_on(runfile, port));
    let Runfile { pid, mode, .. } = runfile;
    context.terminal.say(format_args!(
        "✓ Server started successfully\n  \
           - Server URL: {url}\n  \
           - Dashboard URL: {shown}\n  \
           - Process ID: {pid}\n  \
           - Mode: {mode}\n\n\
         Monitoring server is ready for connections.",
        url = page(runfile),
        shown = dashboard.as_deref().unwrap_or("switched off"),
    ));
    if let Some(dashboard) = dashboard {
        context.terminal.say(format_args!("Open {dashboard} in your browser to view the dashboard."));
    }
    token::report(runfile, context);
}

/// Reports who has the port.
fn already(found: Probe, port: u16, context: &mut Context<'_, '_>) -> anyhow::Result<Exit> {
    match found {
        Probe::Ours(running) => {
            let (url, Running { runfile, .. }) = (running.url(), *running);
            context.terminal.say(format_args!("Monitor already running at {url} (pid {})", runfile.pid));
            return Ok(Exit::Done);
        }
        Probe::Legacy { pid, version } => {
            let (text, way_out) = launch::legacy(port, pid, version.as_deref());
            context.terminal.error(text, Some(&way_out));
        }
        Probe::Foreign { owner } => {
            let holder = client::holder(owner.as_ref());
            let way_out = launch::hung(port, context);
            let way_out = way_out.as_deref().unwrap_or("use --port to choose another port");
            context.terminal.error(format_args!("Port {port} is already in use by {holder}"), Some(way_out));
        }
        Probe::Free => anyhow::bail!("who had port {port} ended while this monitor started; try again"),
    }
    Ok(Exit::PortTaken)
}
