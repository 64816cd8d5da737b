//! `list`: the monitors that run, one a line.

use crate::Exit;
use crate::args::List;
use crate::context::Context;
use crate::status::{Found, Server, crashed_state};
use crate::units::duration;

/// The columns, with the width of each but the last.
const HEADING: [(&str, usize); 6] =
    [("PORT", 6), ("PID", 9), ("MODE", 11), ("UPTIME", 16), ("CLIENTS", 8), ("DASHBOARD", 0)];

pub(crate) fn run(list: &List, context: &mut Context<'_, '_>) -> anyhow::Result<Exit> {
    let found = Found::look(None, context)?;
    if list.json {
        context.terminal.answer(&found.json());
        return Ok(Exit::Done);
    }
    if found.is_nothing() && found.crashed.is_empty() {
        context.terminal.say("Monitor is not running");
        return Ok(Exit::Done);
    }
    context.terminal.say(row(&HEADING.map(|(name, _)| name.to_owned())));
    for server in &found.servers {
        context.terminal.say(row(&columns(server)));
    }
    for stray in &found.strays {
        let unknown = || "-".to_owned();
        let pid = stray.process.pid.to_string();
        let state = "without its home".to_owned();
        context.terminal.say(row(&[stray.port.to_string(), pid, unknown(), state, unknown(), unknown()]));
    }
    for (port, legacy) in &found.legacy {
        let pid = legacy.pid.map_or_else(|| "-".to_owned(), |pid| pid.to_string());
        let unknown = || "-".to_owned();
        let dashboard = client::url("localhost", *port);
        context.terminal.say(row(&[
            port.to_string(),
            pid,
            "claude-mpm".to_owned(),
            unknown(),
            unknown(),
            dashboard,
        ]));
    }
    for (port, record) in &found.crashed {
        let unknown = || "-".to_owned();
        let state = crashed_state(record).to_owned();
        let mode = "background".to_owned();
        context.terminal.say(row(&[port.to_string(), unknown(), mode, state, unknown(), unknown()]));
    }
    if let Some(troubles) = Some(found.troubles()).filter(|troubles| !troubles.is_empty()) {
        context.terminal.say(troubles.trim_end());
    }
    Ok(Exit::Done)
}

fn columns(server: &Server) -> [String; 6] {
    let health = server.health.as_ref();
    let told = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    [
        server.runfile.port.to_string(),
        server.runfile.pid.to_string(),
        server.runfile.mode.clone(),
        health.map_or_else(|| "not responding".to_owned(), |health| duration(health.uptime)),
        told(health.map(|health| health.clients_connected.to_string())),
        told(server.dashboard()),
    ]
}

fn row(columns: &[String; 6]) -> String {
    let cells = columns.iter().zip(HEADING).map(|(text, (_, width))| format!("{text:<width$}"));
    cells.collect::<String>().trim_end().to_owned()
}
