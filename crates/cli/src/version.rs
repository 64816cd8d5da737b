//! `version`: which program this is.

use protocol::names;
use serde_json::json;

use crate::Exit;
use crate::args::Version;
use crate::context::Context;

pub(crate) fn run(version: &Version, context: &mut Context<'_, '_>) -> Exit {
    let number = env!("CARGO_PKG_VERSION");
    if version.json {
        context.terminal.answer(&json!({ "name": names::SERVICE, "version": number }));
    } else {
        context.terminal.say(format_args!("{} {number}", names::SERVICE));
    }
    Exit::Done
}
