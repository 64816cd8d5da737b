//! `claude-mpm-monitor` as a library: arguments in, text and an exit code out. One file per verb.

mod args;
mod bare;
mod browser;
mod context;
mod demo;
mod launch;
mod serve;
mod start;
mod status;
mod stop;
mod terminal;

use std::ffi::OsString;

use clap::Parser;

use args::{Arguments, Verb};
use context::Context;
use protocol::paths::Home;
pub use terminal::Terminal;

/// What the caller's shell learns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done, or already so.
    Done = 0,
    /// Not done; the reason was printed.
    Failed = 1,
    /// The command line was not understood.
    Usage = 2,
    /// There is no monitor to ask or to stop.
    NotRunning = 3,
}

/// Runs one command line, the program's name included. `var` looks up environment variables.
pub fn run<A: Into<OsString> + Clone>(
    args: impl IntoIterator<Item = A>,
    var: &dyn Fn(&str) -> Option<OsString>,
    terminal: &mut Terminal<'_>,
) -> Exit {
    let arguments = match Arguments::try_parse_from(args) {
        Ok(arguments) => arguments,
        Err(error) if error.use_stderr() => {
            terminal.complain(error.render().to_string().trim_end());
            return Exit::Usage;
        }
        Err(help) => {
            terminal.say(help.render().to_string().trim_end());
            return Exit::Done;
        }
    };
    let Some(home) = Home::from_env(var) else {
        terminal.error("could not find your home folder", Some("set HOME or CLAUDE_MPM_HOME"));
        return Exit::Failed;
    };
    let mut context = Context { home, var, terminal };
    match dispatch(arguments, &mut context) {
        Ok(exit) => exit,
        Err(error) => {
            let suggestion = error.downcast_ref().and_then(launch::suggestion);
            context.terminal.error(format_args!("{error:#}"), suggestion);
            Exit::Failed
        }
    }
}

fn dispatch(arguments: Arguments, context: &mut Context<'_, '_>) -> anyhow::Result<Exit> {
    match arguments.verb {
        None => bare::run(&arguments.bare, context),
        Some(Verb::Start(start)) => start::run(&start, context),
        Some(Verb::Stop(stop)) => stop::run(&stop, context),
        Some(Verb::Status(status)) => status::run(&status, context),
        Some(Verb::Demo(demo)) => demo::run(&demo, context),
        Some(Verb::Version) => {
            context.terminal.say(concat!("claude-mpm-monitor ", env!("CARGO_PKG_VERSION")));
            Ok(Exit::Done)
        }
    }
}
