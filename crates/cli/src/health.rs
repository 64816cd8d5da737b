//! `health`: whether the monitors that run are well, for people, scripts and containers; with `--websocket` also
//! whether the WebSocket API of each takes a client.

use client::{Error, Monitor, Stray, WebSocketCheck};
use protocol::Health;
use protocol::paths::Home;
use protocol::spool::SpoolHealth;
use serde_json::{Value, json};

use crate::Exit;
use crate::args;
use crate::context::Context;
use crate::status::{Found, Server};
use crate::trouble::{Trouble, has_store};
use crate::units::duration;

pub(crate) fn run(health: &args::Health, context: &mut Context<'_, '_>) -> anyhow::Result<Exit> {
    let port = match (health.port, health.websocket.flatten()) {
        (Some(port), Some(other)) if port != other => {
            let error = format!("--port {port} and --websocket {other} name two monitors");
            let way_out = format!("leave out one of them: --port {port} --websocket");
            context.terminal.error(error, Some(&way_out));
            return Ok(Exit::Usage);
        }
        (port, other) => port.or(other),
    };
    let Found { servers, strays, .. } = Found::look(port, context)?;
    let examined: Vec<Examined<'_>> = servers
        .iter()
        .map(|server| Examined::new(server, health.websocket.is_some(), &context.home))
        .collect();
    if health.json {
        let all: Vec<Value> =
            examined.iter().map(Examined::json).chain(strays.iter().map(stray_json)).collect();
        context.terminal.say(serde_json::to_string_pretty(&all)?);
    } else if examined.is_empty() && strays.is_empty() {
        not_running(port, context);
    } else {
        for one in &examined {
            context.terminal.say(one.line());
            for trouble in &one.server.troubles {
                context.terminal.say(trouble.lines(one.server.runfile.port).trim_end());
            }
        }
        for stray in &strays {
            context.terminal.say(Trouble::of_stray(stray).lines(stray.port).trim_end());
        }
    }
    Ok(match examined.as_slice() {
        [] if strays.is_empty() => Exit::NotRunning,
        all if strays.is_empty() && all.iter().all(|one| one.ill.is_none()) => Exit::Done,
        _ => Exit::Failed,
    })
}

fn not_running(port: Option<u16>, context: &mut Context<'_, '_>) {
    let Some(port) = port else {
        context.terminal.error("Monitor is not running", Some("use 'claude-mpm-monitor start' to start it"));
        return;
    };
    let way_out = format!("use 'claude-mpm-monitor start --port {port}' to start the server");
    context.terminal.error(format_args!("Server on port {port} is not running"), Some(&way_out));
}

/// One that serves without its runfile, as programs read it.
fn stray_json(stray: &Stray) -> Value {
    let trouble = Trouble::of_stray(stray);
    json!({
        "port": stray.port,
        "healthy": false,
        "reason": trouble.what,
        "troubles": [trouble],
        "health": stray.health,
    })
}

/// One server and what was found out.
struct Examined<'a> {
    server: &'a Server,
    /// What its WebSocket API answered, when that was asked for and it answers at all.
    websocket: Option<Result<WebSocketCheck, Error>>,
    /// What is wrong, if anything.
    ill: Option<String>,
}

impl<'a> Examined<'a> {
    fn new(server: &'a Server, with_websocket: bool, home: &Home) -> Self {
        let answers = server.health.is_some();
        let check = || Monitor::of(home, &server.runfile).check_websocket();
        let websocket = (with_websocket && answers).then(check);
        let ill = match (&server.health, &websocket) {
            (None, _) => Some("it does not answer".to_owned()),
            (Some(health), _) if !has_store(health) => Some(format!("its store is {}", health.store)),
            (Some(Health { spool: SpoolHealth { problem: Some(problem), .. }, .. }), _) => {
                Some(format!("hooks cannot keep events while it does not answer: {problem}"))
            }
            (Some(_), Some(Err(error))) => Some(format!("its WebSocket API fails: {error}")),
            (Some(_), _) => None,
        };
        Self { server, websocket, ill }
    }

    fn json(&self) -> Value {
        let mut value = json!({
            "port": self.server.runfile.port,
            "healthy": self.ill.is_none(),
            "reason": self.ill,
            "troubles": self.server.troubles,
            "health": self.server.health,
        });
        match &self.websocket {
            None => {}
            Some(Ok(check)) => {
                value["websocket"] = json!({
                    "url": check.url,
                    "milliseconds": check.took.as_secs_f64() * 1000.0,
                    "claude_status": check.claude_status,
                    "connected_clients": check.connected_clients,
                });
            }
            Some(Err(error)) => value["websocket"] = json!({ "error": error.to_string() }),
        }
        value
    }

    fn line(&self) -> String {
        let port = self.server.runfile.port;
        let (None, Some(health)) = (&self.ill, &self.server.health) else {
            let reason = self.ill.as_deref().unwrap_or_default();
            return format!("✗ Server on port {port} is not healthy: {reason}");
        };
        let mut line = format!(
            "✓ Server on port {port} is healthy (pid {}, version {}, up {}, {} clients)",
            self.server.runfile.pid,
            health.version,
            duration(health.uptime),
            health.clients_connected
        );
        if let Some(Ok(check)) = &self.websocket {
            let WebSocketCheck { url, took, claude_status, .. } = check;
            line += &format!(
                "\n✓ WebSocket API at {url} takes clients ({:.1} ms; Claude {claude_status})",
                took.as_secs_f64() * 1000.0
            );
        }
        line
    }
}
