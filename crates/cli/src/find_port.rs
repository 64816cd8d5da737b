//! `find-port`: a port that a monitor could have, or whether a certain one is free; for scripts.

use client::{Lock, Probe};
use protocol::names;

use crate::Exit;
use crate::args::FindPort;
use crate::context::Context;

/// How many ports are tried from the first one on.
const TRIED: u16 = 100;

pub(crate) fn run(find: &FindPort, context: &mut Context<'_, '_>) -> anyhow::Result<Exit> {
    let is_free = |port: u16| {
        matches!(client::probe(&context.home, port), Probe::Free) && !Lock::is_held(&context.home, port)
    };
    if let Some(port) = find.port {
        let (word, exit) = if is_free(port) { ("AVAILABLE", Exit::Done) } else { ("IN USE", Exit::Failed) };
        context.terminal.say(word);
        return Ok(exit);
    }
    let first = names::DEFAULT_PORT;
    let found = (first..first + TRIED).find(|port| is_free(*port));
    match found {
        Some(port) => context.terminal.say(port),
        None => {
            let text = format!("no port from {first} to {} is free", first + TRIED - 1);
            context.terminal.error(text, Some("ask for another one: find-port PORT"));
        }
    }
    Ok(if found.is_some() { Exit::Done } else { Exit::Failed })
}
