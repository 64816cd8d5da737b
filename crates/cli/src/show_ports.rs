//! `status --show-ports`: each port of the range and who has it.

use client::{Lock, Probe};
use protocol::names;
use serde_json::{Value, json};

use crate::Exit;
use crate::args::Status;
use crate::context::Context;
use crate::status::{Found, heading};

const LEGEND: &str = "
Legend:
  ✓ RUNNING - Monitor server active
  • IN USE - Used by another process
  ○ AVAILABLE - Ready for use
";

pub(crate) fn run(status: &Status, context: &mut Context<'_, '_>) -> anyhow::Result<Exit> {
    let found = &Found::look(status.port, context)?;
    let ports: Vec<u16> = names::PORT_RANGE.collect();
    let ports: Vec<Port> = client::probe_all(&context.home, &ports)
        .into_iter()
        .map(|(port, probe)| Port::of(port, &probe, found, context))
        .collect();
    let available = ports.iter().filter(|port| matches!(port.state, State::Available)).count();
    if status.json {
        let ports: Vec<_> = ports.iter().map(Port::json).collect();
        let all = json!({ "servers": found.json(), "ports": ports, "available": available });
        context.terminal.answer(&all);
        return Ok(found.exit());
    }
    let mut page = heading(status.verbose);
    page += &format!("Active Servers: {}\nAvailable Ports: {available}\n", found.servers.len());
    if status.verbose {
        page += &found.details(true);
    }
    let (first, last) = (names::PORT_RANGE.start(), names::PORT_RANGE.end());
    page += &format!("\nPort Status ({first}-{last}):\n");
    page.extend(ports.iter().map(Port::line));
    context.terminal.say((page + LEGEND + &found.urls()).trim_end());
    Ok(found.exit())
}

/// A port and who has it.
struct Port {
    number: u16,
    state: State,
}

enum State {
    /// A monitor of this user; without a number of clients it does not answer.
    Running { pid: u32, clients: Option<u64> },
    /// The dashboard of a monitor of this user on another port.
    Dashboard { of: u16 },
    /// Somebody else, as far as the system tells.
    InUse { program: Option<String>, pid: Option<u32> },
    /// Nobody.
    Available,
}

impl Port {
    fn of(number: u16, probe: &Probe, found: &Found, context: &Context<'_, '_>) -> Self {
        let server = found.servers.iter().find(|server| server.runfile.port == number);
        let dashboard = found.servers.iter().find(|server| {
            server.health.as_ref().is_some_and(|health| health.dashboard_port == Some(number))
        });
        let state = match probe {
            _ if let Some(server) = server => State::Running {
                pid: server.runfile.pid,
                clients: server.health.as_ref().map(|health| health.clients_connected),
            },
            _ if let Some(server) = dashboard => State::Dashboard { of: server.runfile.port },
            Probe::Ours(running) => {
                State::Running { pid: running.runfile.pid, clients: Some(running.health.clients_connected) }
            }
            Probe::Stray(stray) => {
                State::Running { pid: stray.process.pid, clients: Some(stray.health.clients_connected) }
            }
            Probe::Legacy(legacy) => State::InUse { program: Some(legacy.name()), pid: legacy.pid },
            Probe::Foreign { owner } => State::InUse {
                program: owner.as_ref().map(|owner| owner.program.clone()),
                pid: owner.as_ref().map(|owner| owner.pid),
            },
            Probe::Free if Lock::is_held(&context.home, number) => {
                State::InUse { program: Some("a monitor of yours that is starting".to_owned()), pid: None }
            }
            Probe::Free => State::Available,
        };
        Self { number, state }
    }

    fn line(&self) -> String {
        let state = match &self.state {
            State::Running { pid, clients: Some(1) } => format!("✓ RUNNING (PID {pid}, 1 client)"),
            State::Running { pid, clients: Some(clients) } => {
                format!("✓ RUNNING (PID {pid}, {clients} clients)")
            }
            State::Running { pid, clients: None } => format!("✓ RUNNING (PID {pid}, not responding)"),
            State::Dashboard { of } => format!("• IN USE (Dashboard for {of})"),
            State::InUse { program: Some(program), pid: Some(pid) } => {
                format!("• IN USE ({program}, PID {pid})")
            }
            State::InUse { program: Some(program), pid: None } => format!("• IN USE ({program})"),
            State::InUse { .. } => "• IN USE (another program)".to_owned(),
            State::Available => "○ AVAILABLE".to_owned(),
        };
        format!("  {}: {state}\n", self.number)
    }

    fn json(&self) -> Value {
        let port = self.number;
        match &self.state {
            State::Running { pid, clients } => {
                json!({ "port": port, "state": "running", "pid": pid, "clients": clients })
            }
            State::Dashboard { of } => json!({ "port": port, "state": "in_use", "dashboard_of": of }),
            State::InUse { program, pid } => {
                json!({ "port": port, "state": "in_use", "program": program, "pid": pid })
            }
            State::Available => json!({ "port": port, "state": "available" }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_read_as_promised() {
        let named = |program: &str, pid| State::InUse { program: Some(program.to_owned()), pid };
        let cases = [
            (State::Running { pid: 12345, clients: Some(3) }, "✓ RUNNING (PID 12345, 3 clients)"),
            (State::Running { pid: 12345, clients: Some(1) }, "✓ RUNNING (PID 12345, 1 client)"),
            (State::Running { pid: 12345, clients: None }, "✓ RUNNING (PID 12345, not responding)"),
            (State::Dashboard { of: 8765 }, "• IN USE (Dashboard for 8765)"),
            (named("node", Some(7)), "• IN USE (node, PID 7)"),
            (named("claude-mpm's Python daemon", None), "• IN USE (claude-mpm's Python daemon)"),
            (State::InUse { program: None, pid: None }, "• IN USE (another program)"),
            (State::Available, "○ AVAILABLE"),
        ];
        for (state, expected) in cases {
            assert_eq!(Port { number: 8766, state }.line(), format!("  8766: {expected}\n"));
        }
    }
}
