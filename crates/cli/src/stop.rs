//! `stop`: ends one or all of this user's monitors, one of claude-mpm's when its port is named, and nobody
//! else's program.

use client::{Legacy, Lock, Probe, StopError, Stopped, Supervision};
use serde_json::{Value, json};

use crate::args::Stop;
use crate::context::Context;
use crate::{Exit, launch};

pub(crate) fn run(stop: &Stop, context: &mut Context<'_, '_>) -> anyhow::Result<Exit> {
    if stop.json {
        context.terminal.speak_json();
    }
    let mut ended = Vec::new();
    let exit = end(stop, &mut ended, context)?;
    if stop.json {
        context.terminal.answer(&ended);
    }
    Ok(exit)
}

/// Ends what is to be ended, and notes for programs what became of each.
fn end(stop: &Stop, ended: &mut Vec<Value>, context: &mut Context<'_, '_>) -> anyhow::Result<Exit> {
    let ports = match stop.port {
        Some(port) => vec![port],
        None => all(context)?,
    };
    if ports.is_empty() {
        return nobody(context);
    }
    let mut exit = Exit::Done;
    let many = ports.len() > 1;
    if stop.port.is_none_or(|port| Lock::is_held(&context.home, port)) {
        context.terminal.say("Stopping monitoring server...\n");
    }
    for port in ports {
        match client::stop(&context.home, port, stop.force) {
            Ok(stopped) => {
                ended.push(gone(port, stopped));
                context.terminal.say(format_args!("{}\n", report(port, stopped)));
            }
            // It ended by itself after we saw it.
            Err(StopError::NotRunning { .. }) if stop.port.is_none() => {}
            Err(StopError::NotRunning { .. }) => {
                return Ok(not_ours(port, stop.force, ended, context));
            }
            Err(error) => {
                ended.push(json!({ "port": port, "stopped": false, "error": error.to_string() }));
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

/// The ports of this user's monitors, of those too that crashed and are about to be started again.
fn all(context: &mut Context<'_, '_>) -> anyhow::Result<Vec<u16>> {
    let living = context.living()?.into_iter().map(|runfile| runfile.port);
    let strays = client::strays(&context.home).into_iter().map(|stray| stray.port);
    let records = Supervision::list(&context.home).into_iter();
    let supervised = records.filter(|(_, record)| record.is_alive()).map(|(port, _)| port);
    let mut ports: Vec<u16> = living.chain(strays).chain(supervised).collect();
    ports.sort_unstable();
    ports.dedup();
    Ok(ports)
}

/// There is none of this user's monitors; one of claude-mpm's is only stopped by its port.
fn nobody(context: &mut Context<'_, '_>) -> anyhow::Result<Exit> {
    context.terminal.say("Monitor is not running");
    let port = context.port(None)?;
    if let Probe::Legacy(legacy) = client::probe(&context.home, port) {
        let (text, _) = launch::legacy(port, &legacy);
        context.terminal.say(format_args!("{text} 'claude-mpm-monitor stop --port {port}' stops it."));
    }
    Ok(Exit::Done)
}

/// What was stopped, and how.
pub(crate) fn report(port: u16, stopped: Stopped) -> String {
    let Stopped { clients, pid } = stopped;
    let clients = match clients {
        Some(1) => "  - Disconnected 1 client gracefully\n".to_owned(),
        Some(clients) => format!("  - Disconnected {clients} clients gracefully\n"),
        None => "  - It did not answer and was ended by a signal\n".to_owned(),
    };
    format!("✓ Server on port {port} stopped successfully\n{clients}  - Process {pid} terminated")
}

/// The same for programs.
fn gone(port: u16, stopped: Stopped) -> Value {
    json!({ "port": port, "stopped": true, "pid": stopped.pid, "clients": stopped.clients })
}

/// Stops one of claude-mpm's servers, or says who has the port instead, if anybody.
fn not_ours(port: u16, force: bool, ended: &mut Vec<Value>, context: &mut Context<'_, '_>) -> Exit {
    let way_out = match client::probe(&context.home, port) {
        Probe::Legacy(legacy) => return stop_legacy(port, &legacy, force, ended, context),
        Probe::Foreign { owner } => {
            let holder = client::holder(owner.as_ref());
            let force = if force { "; --force never applies to another program" } else { "" };
            format!("the port is in use by {holder}, which was left alone{force}")
        }
        Probe::Free | Probe::Ours(_) | Probe::Stray(_) => {
            format!("use 'claude-mpm-monitor start --port {port}' to start the server")
        }
    };
    context.terminal.error(format_args!("Server on port {port} is not running"), Some(&way_out));
    Exit::NotRunning
}

fn stop_legacy(
    port: u16,
    legacy: &Legacy,
    force: bool,
    ended: &mut Vec<Value>,
    context: &mut Context<'_, '_>,
) -> Exit {
    match launch::stop_legacy(port, legacy, force, context) {
        Some(stopped) => {
            ended.push(gone(port, stopped));
            context.terminal.say(format_args!(
                "\n✓ Server on port {port} stopped successfully\n  - Process {} terminated\n\n\
                 Monitoring server stopped.",
                stopped.pid
            ));
            Exit::Done
        }
        None => {
            let way_out = format!(
                "see 'claude-mpm-monitor diagnose --port {port}', or stop it where it was started: \
                 'claude-mpm monitor stop --port {port}' or 'claude-mpm-socketio stop'"
            );
            let error = format!("could not stop {}", legacy.name());
            ended.push(json!({ "port": port, "stopped": false, "error": error }));
            context.terminal.error(error, Some(&way_out));
            Exit::Failed
        }
    }
}
