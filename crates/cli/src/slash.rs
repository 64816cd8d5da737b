//! `slash`: the command line as `/mpm-monitor` within Claude Code runs it. Claude Code shows what is printed and
//! takes a failure for a defect of the command file, so everything is printed and nothing fails.

use crate::context::Context;
use crate::{Exit, Terminal};

/// What would not come back while the user waits.
const BLOCKING: [&str; 3] = ["run", "tail", "watch"];

pub(crate) fn run(words: &[String], context: &mut Context<'_, '_>) -> Exit {
    let has = |word: &str| words.iter().any(|one| one == word);
    if words.first().is_some_and(|verb| BLOCKING.contains(&verb.as_str()))
        || has("--foreground")
        || has("slash")
    {
        context.terminal.say(format_args!("Run this in a terminal: claude-mpm-monitor {}", words.join(" ")));
        return Exit::Done;
    }
    let verb = if words.is_empty() { vec!["status".to_owned()] } else { words.to_vec() };
    // A flag alone would be the command without a verb, which serves until Ctrl-C.
    if verb[0].starts_with('-') && !["--help", "-h", "--version", "-V"].contains(&verb[0].as_str()) {
        context.terminal.say(format_args!("Say what to do, such as: /mpm-monitor start {}", verb.join(" ")));
        return Exit::Done;
    }
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let line = std::iter::once("claude-mpm-monitor".to_owned()).chain(verb);
    crate::run(line, context.var, &mut Terminal::new(&mut out, &mut err));
    for text in [out, err] {
        let text = String::from_utf8_lossy(&text).trim_end().to_owned();
        if !text.is_empty() {
            context.terminal.say(text);
        }
    }
    Exit::Done
}
