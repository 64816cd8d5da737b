//! `find-port`: a port that a monitor could have, or whether a certain one is free; for scripts.

use client::{Lock, Probe};
use protocol::names;
use serde_json::json;

use crate::Exit;
use crate::args::FindPort;
use crate::context::Context;

/// How many ports are tried from the first one on.
const TRIED: u16 = 100;

pub(crate) fn run(find: &FindPort, context: &mut Context<'_, '_>) -> anyhow::Result<Exit> {
    if find.json {
        context.terminal.speak_json();
    }
    let is_free = |port: u16| {
        matches!(client::probe(&context.home, port), Probe::Free) && !Lock::is_held(&context.home, port)
    };
    if let Some(port) = find.port {
        let is_free = is_free(port);
        context.terminal.say(if is_free { "AVAILABLE" } else { "IN USE" });
        if find.json {
            context.terminal.answer(&json!({ "port": port, "available": is_free }));
        }
        return Ok(if is_free { Exit::Done } else { Exit::Failed });
    }
    let first = names::DEFAULT_PORT;
    let found = (first..first + TRIED).find(|port| is_free(*port));
    if find.json {
        context.terminal.answer(&json!({ "port": found, "available": found.is_some() }));
    }
    match found {
        Some(port) => context.terminal.say(port),
        None => {
            let text = format!("no port from {first} to {} is free", first + TRIED - 1);
            context.terminal.error(text, Some("ask for another one: find-port PORT"));
        }
    }
    Ok(if found.is_some() { Exit::Done } else { Exit::Failed })
}
