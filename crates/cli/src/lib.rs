//! `claude-mpm-monitor` as a library: arguments in, text and an exit code out. One file per verb.

mod args;
mod bare;
mod browser;
mod completions;
mod config;
mod context;
mod demo;
mod desktop;
mod diagnose;
mod examples;
mod export;
mod find_port;
mod health;
mod hooks;
mod import;
mod interrupt;
mod jsonl;
mod launch;
mod line;
mod list;
mod logs;
mod open;
mod port;
mod restart;
mod run;
mod serve;
mod service;
mod show_ports;
mod slash;
mod start;
mod status;
mod stop;
mod supervisor;
mod tail;
mod terminal;
mod token;
mod trouble;
mod units;
mod version;
mod when;
mod which;

use std::ffi::OsString;

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
    /// Somebody else has the port. Only said by the child of a background start to its parent, which makes
    /// it `Failed`, or tries the next port.
    PortTaken = 4,
    /// The same of the dashboard's own port. Only said by a server to its supervisor.
    DashboardPortTaken = 5,
}

/// Runs one command line, the program's name included. `var` looks up environment variables.
pub fn run<A: Into<OsString> + Clone>(
    args: impl IntoIterator<Item = A>,
    var: &dyn Fn(&str) -> Option<OsString>,
    terminal: &mut Terminal<'_>,
) -> Exit {
    let arguments = match args::parse(args) {
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
    let mut context = Context { home, var, terminal, has_warned: false };
    match dispatch(arguments, &mut context) {
        Ok(exit) => exit,
        Err(error) => {
            complain(&error, &mut context);
            Exit::Failed
        }
    }
}

/// Tells why a command failed, and the way out where one is known.
pub(crate) fn complain(error: &anyhow::Error, context: &mut Context<'_, '_>) {
    let suggestion = error
        .downcast_ref()
        .and_then(launch::suggestion)
        .or_else(|| error.downcast_ref().and_then(claude::Error::way_out));
    context.terminal.error(reasons(error), suggestion);
}

/// An error and what caused it; some name their cause themselves.
fn reasons(error: &anyhow::Error) -> String {
    let causes = error.chain().map(ToString::to_string);
    let joined =
        causes.reduce(|said, cause| if said.ends_with(&cause) { said } else { format!("{said}: {cause}") });
    joined.unwrap_or_default()
}

fn dispatch(arguments: Arguments, context: &mut Context<'_, '_>) -> anyhow::Result<Exit> {
    match arguments.verb {
        None => bare::run(&arguments.bare, context),
        Some(Verb::Start(start)) => start::run(&start, context),
        Some(Verb::Stop(stop)) => stop::run(&stop, context),
        Some(Verb::Restart(restart)) => restart::run(&restart, context),
        Some(Verb::Port(port)) => port::run(&port, context),
        Some(Verb::Health(health)) => health::run(&health, context),
        Some(Verb::List(list)) => list::run(&list, context),
        Some(Verb::Diagnose(diagnose)) => diagnose::run(&diagnose, context),
        Some(Verb::Status(status)) if status.show_ports => show_ports::run(&status, context),
        Some(Verb::Status(status)) => status::run(&status, context),
        Some(Verb::Logs(logs)) => logs::run(&logs, context),
        Some(Verb::Config(config)) => config::run(&config, context),
        Some(Verb::Service(service)) => service::run(&service.verb, context),
        Some(Verb::Tail(tail)) => tail::run(&tail, context),
        Some(Verb::Export(export)) => export::run(&export, context),
        Some(Verb::Import(import)) => import::run(&import, context),
        Some(Verb::Open(open)) => open::run(&open, context),
        Some(Verb::Completions(completions)) => Ok(completions::run(&completions, context)),
        Some(Verb::Demo(demo)) => demo::run(&demo, context),
        Some(Verb::Token { order, json }) => token::run(&order, json, context),
        Some(Verb::Hooks(verb)) => hooks::run(&verb, context),
        Some(Verb::Slash { words }) => Ok(slash::run(&words, context)),
        Some(Verb::Run(run)) => run::run(&run, context),
        Some(Verb::InTerminal { words }) => run::become_leader(&words),
        Some(Verb::FindPort(find)) => find_port::run(&find, context),
        Some(Verb::Version(version)) => Ok(version::run(&version, context)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ran(line: &str, variables: &[(&str, &str)]) -> (Exit, String, String) {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let var = |name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| OsString::from(value))
        };
        let exit = run(line.split(' '), &var, &mut Terminal::new(&mut out, &mut err));
        (exit, String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
    }

    #[test]
    fn a_command_runs_in_process_with_the_environment_that_it_is_given() {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().to_str().unwrap();
        let (exit, out, err) = ran("monitor status --json", &[("CLAUDE_MPM_HOME", home)]);
        assert_eq!((exit, out.as_str(), err.as_str()), (Exit::NotRunning, "[]\n", ""));
        let variables = [("CLAUDE_MPM_HOME", home), ("CLAUDE_MPM_MONITOR_PORT", "high")];
        let (exit, _, err) = ran("monitor start", &variables);
        assert_eq!(exit, Exit::Failed);
        let expected = "Error: environment variable CLAUDE_MPM_MONITOR_PORT: port must be a port from 1 to 65535, not \"high\"\n";
        assert_eq!(err, expected);
    }

    #[test]
    fn a_user_without_a_home_is_told_what_to_set() {
        let (exit, _, err) = ran("monitor status", &[]);
        assert_eq!(exit, Exit::Failed);
        assert!(err.contains("Suggestion: set HOME or CLAUDE_MPM_HOME"), "{err}");
    }

    #[test]
    fn the_usage_of_an_unknown_flag_goes_to_standard_error() {
        let (exit, out, err) = ran("monitor stop --all", &[]);
        assert_eq!((exit, out.as_str()), (Exit::Usage, ""));
        assert!(err.contains("--all"), "{err}");
    }
}
