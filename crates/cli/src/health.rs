//! `health`: whether the monitors that run are well, for people, scripts and containers.

use serde_json::json;

use crate::Exit;
use crate::args::Health;
use crate::context::Context;
use crate::status::{Found, Server, duration, is_well};

pub(crate) fn run(health: &Health, context: &mut Context<'_, '_>) -> anyhow::Result<Exit> {
    let Found { servers, .. } = Found::look(health.port, context)?;
    if health.json {
        let servers: Vec<_> = servers
            .iter()
            .map(|server| {
                let ill = ill(server);
                json!({
                    "port": server.runfile.port,
                    "healthy": ill.is_none(),
                    "reason": ill,
                    "health": server.health,
                })
            })
            .collect();
        context.terminal.say(serde_json::to_string_pretty(&servers)?);
    }
    if servers.is_empty() {
        if !health.json {
            not_running(health.port, context);
        }
        return Ok(Exit::NotRunning);
    }
    if !health.json {
        for server in &servers {
            context.terminal.say(line(server));
        }
    }
    Ok(if servers.iter().all(|server| ill(server).is_none()) { Exit::Done } else { Exit::Failed })
}

fn not_running(port: Option<u16>, context: &mut Context<'_, '_>) {
    let Some(port) = port else {
        context.terminal.error("Monitor is not running", Some("use 'claude-mpm-monitor start' to start it"));
        return;
    };
    let way_out = format!("use 'claude-mpm-monitor start --port {port}' to start the server");
    context.terminal.error(format_args!("Server on port {port} is not running"), Some(&way_out));
}

/// What is wrong with a server, if anything.
fn ill(server: &Server) -> Option<String> {
    match &server.health {
        None => Some("it does not answer".to_owned()),
        Some(health) if is_well(health) => None,
        Some(health) => Some(format!("its store is {}", health.store)),
    }
}

fn line(server: &Server) -> String {
    let port = server.runfile.port;
    match (ill(server), &server.health) {
        (None, Some(health)) => format!(
            "✓ Server on port {port} is healthy (pid {}, version {}, up {}, {} clients)",
            server.runfile.pid,
            health.version,
            duration(health.uptime),
            health.clients_connected
        ),
        (reason, _) => format!("✗ Server on port {port} is not healthy: {}", reason.unwrap_or_default()),
    }
}
