//! `restart`: the monitor anew, with what it was started with. A background server is replaced by a new process,
//! so that it takes new settings and a new version; one in a terminal or in the desktop app starts again inside
//! its process.

use std::iter;
use std::time::{Duration, Instant};

use client::stray::Mode;
use client::{Probe, Running, Stray, Supervision};
use host::Settings;
use protocol::Runfile;

use crate::args::{self, Listen, PortChoice, Reclaim, Restart, Start, Verb};
use crate::context::Context;
use crate::launch::{self, Target};
use crate::start::{self, Deed, Outcome};
use crate::trouble::Trouble;
use crate::{Exit, stop};

/// How often a waiter looks again.
const POLL: Duration = Duration::from_millis(30);

pub(crate) fn run(restart: &Restart, context: &mut Context<'_, '_>) -> anyhow::Result<Exit> {
    if restart.json {
        context.terminal.speak_json();
    }
    let running = context.living()?;
    let named = running.iter().find(|runfile| Some(runfile.port) == restart.port);
    // Without a port in mind, one that is known goes before one that has lost its home.
    let may_be_stray = named.is_none() && (restart.port.is_some() || running.is_empty());
    if may_be_stray && let Some(stray) = stray(restart, context) {
        return again(&stray, restart, context);
    }
    match (named, running.as_slice()) {
        (Some(runfile), _) | (None, [runfile]) => self::restart(runfile, restart, context),
        (None, []) => {
            let listen = Listen {
                port: restart.port.map(PortChoice::Exact),
                host: restart.host.clone(),
                dashboard_port: restart.dashboard_port,
                ..Listen::default()
            };
            start::run(&Start { listen, ..Start::default() }, context)
        }
        (None, several) => {
            let ports: Vec<_> = several.iter().map(|runfile| runfile.port.to_string()).collect();
            let way_out = format!("name one with --port: {}", ports.join(", "));
            context.terminal.error(format_args!("{} monitors run", several.len()), Some(&way_out));
            Ok(Exit::Usage)
        }
    }
}

/// The only monitor that serves without its runfile, on the named port if one is named.
fn stray(restart: &Restart, context: &Context<'_, '_>) -> Option<Stray> {
    let mut strays = client::strays(&context.home);
    strays.retain(|stray| restart.port.is_none_or(|port| port == stray.port));
    if strays.len() == 1 { strays.pop() } else { None }
}

/// Ends a monitor that serves without its runfile and starts it with the flags that it has.
fn again(stray: &Stray, restart: &Restart, context: &mut Context<'_, '_>) -> anyhow::Result<Exit> {
    if !matches!(stray.mode, Mode::Background(_)) {
        let Trouble { what, way_out } = Trouble::of_stray(stray);
        context.terminal.error(what, Some(&way_out));
        return Ok(Exit::Failed);
    }
    let flags = flags_of(stray.process.arguments.iter().skip(1).cloned());
    let listen = Listen {
        port: Some(PortChoice::Exact(stray.port)),
        host: restart.host.clone().or(flags.host),
        dashboard_port: restart.dashboard_port.or(flags.dashboard_port),
        ..flags
    };
    let settings = context.settings(&listen.flags(Some(stray.port)))?;
    context.terminal.say("Restarting monitoring server...\n");
    let stopped = client::stop(&context.home, stray.port, false)?;
    context.terminal.say(format_args!("{}\n", stop::report(stray.port, stopped)));
    replaced(&listen, &settings, context)
}

/// Restarts that monitor.
pub(crate) fn restart(
    runfile: &Runfile,
    restart: &Restart,
    context: &mut Context<'_, '_>,
) -> anyhow::Result<Exit> {
    let running = match client::probe(&context.home, runfile.port) {
        Probe::Ours(running) => Some(running),
        _ => None,
    };
    let listen = as_before(runfile, restart, context);
    let Target { settings, found } = match restart.port {
        // The port of its dashboard becomes free with it.
        Some(port) if port != runfile.port && listen.dashboard_port != Some(port) => {
            Target::find(&listen, context)?
        }
        port => {
            let flags = listen.flags(Some(port.unwrap_or(runfile.port)));
            Target { settings: context.settings(&flags)?, found: Probe::Free }
        }
    };
    let port = settings.config.port;
    if !matches!(found, Probe::Free) {
        let exit = start::already(found, port, Reclaim::default(), context)?;
        context.terminal.complain(format_args!("The monitor on port {} serves on.", runfile.port));
        return Ok(if exit == Exit::PortTaken { Exit::Failed } else { exit });
    }
    if runfile.mode != "background" {
        return inside(runfile, running.as_deref(), restart, port, context);
    }
    context.terminal.say("Restarting monitoring server...\n");
    let stopped = client::replace(&context.home, runfile.port, port)?;
    context.terminal.say(format_args!("{}\n", stop::report(runfile.port, stopped)));
    replaced(&listen, &settings, context)
}

/// Starts the next server in place of the one that was stopped.
fn replaced(listen: &Listen, settings: &Settings, context: &mut Context<'_, '_>) -> anyhow::Result<Exit> {
    match start::in_background(listen, settings, context)? {
        Outcome::Served(running) => {
            start::report(&running.runfile, running.health.dashboard_port, Deed::Restarted, false, context);
            Ok(Exit::Done)
        }
        Outcome::Ended(exit) => Ok(exit),
        Outcome::Taken(found) => start::already(found, settings.config.port, Reclaim::default(), context),
    }
}

/// The flags that make a new process serve as the old one did, but for what the user wants otherwise.
fn as_before(runfile: &Runfile, restart: &Restart, context: &Context<'_, '_>) -> Listen {
    let listen = first_flags(runfile, context);
    Listen {
        port: Some(PortChoice::Exact(restart.port.unwrap_or(runfile.port))),
        host: Some(restart.host.clone().unwrap_or_else(|| runfile.host.clone())),
        project: runfile.project.clone(),
        dashboard_port: restart.dashboard_port.or(listen.dashboard_port),
        ..listen
    }
}

/// The flags that the server's supervisor started it with.
fn first_flags(runfile: &Runfile, context: &Context<'_, '_>) -> Listen {
    let supervision = Supervision::read(&context.home, runfile.port);
    supervision.map_or_else(Listen::default, |supervision| flags_of(supervision.arguments))
}

/// The flags in the arguments of a server.
fn flags_of(arguments: impl IntoIterator<Item = String>) -> Listen {
    let line = iter::once(env!("CARGO_PKG_NAME").to_owned()).chain(arguments);
    match args::parse(line).map(|arguments| arguments.verb) {
        Ok(Some(Verb::Start(start))) => start.listen,
        // A record of another version, whose flags are not ours.
        _ => Listen::default(),
    }
}

/// Restarts a server inside its process, which belongs to a terminal or to the desktop app.
fn inside(
    runfile: &Runfile,
    running: Option<&Running>,
    restart: &Restart,
    port: u16,
    context: &mut Context<'_, '_>,
) -> anyhow::Result<Exit> {
    let Some(running) = running else {
        let way_out = launch::hung(runfile.port, context);
        context.terminal.error("it does not answer, so it cannot restart itself", way_out.as_deref());
        return Ok(Exit::Failed);
    };
    if restart.host.is_some() || restart.dashboard_port.is_some() {
        let Runfile { pid, mode, .. } = runfile;
        let way_out = "end it there and start it with these flags; or restart without them";
        let error = format!("a {mode} server (pid {pid}) can change its port only");
        context.terminal.error(error, Some(way_out));
        return Ok(Exit::Failed);
    }
    context.terminal.say("Restarting monitoring server...\n");
    running.monitor().restart(&runfile.control_token, port)?;
    let Some(running) = wait_for_next(runfile, port, context)? else {
        anyhow::bail!("the monitor did not come back on port {port}");
    };
    start::report(&running.runfile, running.health.dashboard_port, Deed::Restarted, false, context);
    Ok(Exit::Done)
}

/// Waits for another run of the server.
fn wait_for_next(
    old: &Runfile,
    port: u16,
    context: &Context<'_, '_>,
) -> anyhow::Result<Option<Box<Running>>> {
    let (started, limit) = (Instant::now(), context.start_limit()?);
    while started.elapsed() < limit {
        match client::probe(&context.home, port) {
            Probe::Ours(running) if running.runfile.server_id != old.server_id => return Ok(Some(running)),
            _ => std::thread::sleep(POLL),
        }
    }
    Ok(None)
}
