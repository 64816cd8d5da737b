//! `stop`: ends one or all of this user's monitors, and nobody else's program.

use client::{Lock, Probe, StopError, Stopped, runfiles};

use crate::args::Stop;
use crate::context::Context;
use crate::{Exit, launch};

pub(crate) fn run(stop: &Stop, context: &mut Context<'_, '_>) -> anyhow::Result<Exit> {
    let ports = match stop.port {
        Some(port) => vec![port],
        None => running(context),
    };
    if ports.is_empty() {
        context.terminal.say("Monitor is not running");
        return Ok(Exit::Done);
    }
    let mut exit = Exit::Done;
    let many = ports.len() > 1;
    if stop.port.is_none_or(|port| Lock::is_held(&context.home, port)) {
        context.terminal.say("Stopping monitoring server...\n");
    }
    for port in ports {
        match client::stop(&context.home, port, stop.force) {
            Ok(stopped) => context.terminal.say(format_args!("{}\n", report(port, stopped))),
            // It ended by itself after we saw it.
            Err(StopError::NotRunning { .. }) if stop.port.is_none() => {}
            Err(StopError::NotRunning { .. }) => exit = not_running(port, stop.force, context),
            Err(error) => {
                context.terminal.error(error, None);
                exit = Exit::Failed;
            }
        }
    }
    if exit == Exit::Done {
        context.terminal.say(if many { "Monitoring servers stopped." } else { "Monitoring server stopped." });
    }
    Ok(exit)
}

/// The ports of this user's living monitors.
fn running(context: &Context<'_, '_>) -> Vec<u16> {
    let ports = runfiles::list(&context.home).into_iter().map(|runfile| runfile.port);
    ports.filter(|port| Lock::is_held(&context.home, *port)).collect()
}

fn report(port: u16, stopped: Stopped) -> String {
    let Stopped { clients, pid } = stopped;
    let clients = match clients {
        Some(1) => "  - Disconnected 1 client gracefully\n".to_owned(),
        Some(clients) => format!("  - Disconnected {clients} clients gracefully\n"),
        None => "  - It did not answer and was ended by a signal\n".to_owned(),
    };
    format!("✓ Server on port {port} stopped successfully\n{clients}  - Process {pid} terminated")
}

/// Says who has the port instead, if anybody.
fn not_running(port: u16, force: bool, context: &mut Context<'_, '_>) -> Exit {
    let (exit, way_out) = match client::probe(&context.home, port) {
        Probe::Legacy { pid, version } => {
            let (text, way_out) = launch::legacy(port, pid, version.as_deref());
            context.terminal.error(text, Some(&way_out));
            return Exit::Failed;
        }
        Probe::Foreign { owner } => {
            let holder = client::holder(owner.as_ref());
            let force = if force { "; --force never applies to another program" } else { "" };
            (Exit::NotRunning, format!("the port is in use by {holder}, which was left alone{force}"))
        }
        Probe::Free | Probe::Ours(_) => {
            (Exit::NotRunning, format!("use 'claude-mpm-monitor start --port {port}' to start the server"))
        }
    };
    context.terminal.error(format_args!("Server on port {port} is not running"), Some(&way_out));
    exit
}
