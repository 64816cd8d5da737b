//! `completions`: what a shell needs to complete this command line.

use crate::Exit;
use crate::args::{Completions, command};
use crate::context::Context;

pub(crate) fn run(completions: &Completions, context: &mut Context<'_, '_>) -> Exit {
    let mut script = Vec::new();
    clap_complete::generate(completions.shell, &mut command(), "claude-mpm-monitor", &mut script);
    context.terminal.say(String::from_utf8_lossy(&script).trim_end());
    Exit::Done
}
