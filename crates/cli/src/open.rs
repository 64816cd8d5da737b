//! `open`: the dashboard of a running monitor in the browser, all of it or one session.

use crate::args::Open;
use crate::context::Context;
use crate::{Exit, browser, which};

pub(crate) fn run(open: &Open, context: &mut Context<'_, '_>) -> anyhow::Result<Exit> {
    let running = match which::monitor(open.which.port, context)? {
        Ok(running) => running,
        Err(exit) => return Ok(exit),
    };
    let mut url = running.url();
    if let Some(session) = &open.session {
        url += &format!("/#/?session={}", encoded(&which::session_id(session, &running.monitor())?));
    }
    if browser::has_display(context) {
        context.terminal.say(format_args!("Opening browser to {url}"));
        if browser::open(&url, context) {
            return Ok(Exit::Done);
        }
    }
    context.terminal.say(format_args!("Open {url} in your browser to view the dashboard."));
    Ok(Exit::Done)
}

/// A text as a parameter of an address.
fn encoded(text: &str) -> String {
    let encode = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    text.bytes().map(encode).collect()
}
