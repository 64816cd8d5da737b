//! The command line: every verb and flag, with the help that the user reads.

use std::ffi::OsString;
use std::fmt::Display;
use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use claude::Extra;
use host::{Flags, LogFormat, LogLevel, Profile};
use protocol::EventId;

use crate::examples::{EXAMPLES, Examples};
use crate::service::args::Service;

/// Watch Claude Code sessions live.
///
/// Without a verb: serve on port 8765 (or the configured one) in this terminal and open the dashboard; with the desktop
/// app installed and a display, open the app instead. If the monitor already runs, open that one.
#[derive(Debug, Parser)]
#[command(name = "claude-mpm-monitor", version, args_conflicts_with_subcommands = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) verb: Option<Verb>,
    #[command(flatten)]
    pub(crate) bare: Bare,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Start the monitor in the background
    Start(Start),
    /// Stop the monitor
    Stop(Stop),
    /// Restart the monitor, on its port or on another one
    Restart(Restart),
    /// Show which monitors run
    Status(Status),
    /// Start or restart the monitor on a port
    Port(Port),
    /// Check that the monitors that run are well
    Health(Health),
    /// List the monitors that run, one a line
    List(List),
    /// Find out what is wrong: port, other monitors, leftover files, hooks
    Diagnose(Diagnose),
    /// Show what the monitor logs
    Logs(Logs),
    /// Show the settings that apply and who chose them
    Config(Config),
    /// Let the system run the monitor as a service
    Service(Service),
    /// Show what happens, live, one line an event
    #[command(visible_alias = "watch")]
    Tail(Tail),
    /// Write events to a file: JSONL, CSV or an HTML report
    Export(Export),
    /// Read events from a file, each once
    Import(Import),
    /// Open the dashboard in the browser
    Open(Open),
    /// Print what a shell needs to complete this command
    Completions(Completions),
    /// Replay a recorded session, to see the dashboard at work
    Demo(Demo),
    /// The token that a monitor asks for which other machines can reach
    Token {
        #[command(subcommand)]
        order: TokenOrder,
        /// Print JSON for programs
        #[arg(long, global = true)]
        json: bool,
    },
    /// Connect Claude Code to the monitor, or disconnect it
    #[command(subcommand)]
    Hooks(HooksVerb),
    /// What `/mpm-monitor` runs within Claude Code
    #[command(hide = true)]
    Slash {
        /// The command line after the program's name
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        words: Vec<String>,
    },
    /// Run Claude Code, or any program, and watch what it does
    Run(Run),
    /// The program of `run`, which leads the session of its terminal
    #[command(hide = true)]
    InTerminal {
        /// The executable, its name, its arguments
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        words: Vec<OsString>,
    },
    /// Print a port that is free, or say whether one is
    FindPort(FindPort),
    /// Print the version
    Version(Version),
}

/// Verbs by what they are for, in the order in which the help shows them. One that is not here stands at the end.
const GROUPS: &[(&str, &[&str])] = &[
    (
        "Run it",
        &[
            "start",
            "stop",
            "restart",
            "status",
            "port",
            "list",
            "health",
            "diagnose",
            "logs",
            "config",
            "service",
            "token",
            "find-port",
        ],
    ),
    ("Connect Claude Code", &["hooks", "run"]),
    ("See what happens", &["open", "tail", "demo"]),
    ("Take events along", &["export", "import"]),
];

/// The command line with its verbs in groups.
pub(crate) fn command() -> clap::Command {
    let command = Arguments::command();
    let groups = grouped(&command);
    let with_examples = |command: clap::Command, examples: &Examples| {
        command.mut_subcommand(examples.verb, |verb| verb.after_help(examples.text()))
    };
    EXAMPLES
        .iter()
        .fold(command, with_examples)
        .help_template("{about-with-newline}\n{usage-heading} {usage}{after-help}\n\nOptions:\n{options}")
        .after_help(groups)
}

/// Reads a command line.
pub(crate) fn parse<A: Into<OsString> + Clone>(
    args: impl IntoIterator<Item = A>,
) -> Result<Arguments, clap::Error> {
    Arguments::from_arg_matches(&command().try_get_matches_from(args)?)
}

fn grouped(command: &clap::Command) -> String {
    let verbs: Vec<_> = command.get_subcommands().filter(|verb| !verb.is_hide_set()).collect();
    let known = |name: &str| GROUPS.iter().any(|(_, names)| names.contains(&name));
    let mut text = String::new();
    let mut group = |title: &str, verbs: &[&clap::Command]| {
        text += &format!("\n{title}:\n");
        for verb in verbs {
            let about = verb.get_about().map(ToString::to_string).unwrap_or_default();
            text += &format!("  {:<12} {about}\n", verb.get_name());
        }
    };
    for (title, names) in GROUPS {
        let find = |name: &&str| verbs.iter().copied().find(|verb| verb.get_name() == *name);
        group(title, &names.iter().filter_map(find).collect::<Vec<_>>());
    }
    let others: Vec<_> = verbs.iter().copied().filter(|verb| !known(verb.get_name())).collect();
    group("More", &others);
    text + "\n'claude-mpm-monitor VERB --help' shows a verb's options and examples.\n\
        Exit codes: 0 done or already so, 1 failed, 2 wrong usage, 3 not running."
}

#[derive(Debug, Subcommand)]
pub(crate) enum TokenOrder {
    /// Print the token that programs on other machines send; it is made where there is none yet
    Show,
    /// Replace the token: who has the old one is disconnected and refused
    Rotate,
    /// Print a link that logs one browser in, once and within ten minutes, or the address where no login is needed
    Link {
        /// Port of the monitor [default: all of yours that ask for the token]
        #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
        port: Option<u16>,
    },
}

/// Where to listen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Args)]
pub(crate) struct Listen {
    /// Port to serve, or `auto` for the first free one of 8765-8785 [default: the configured port, else 8765]
    #[arg(long, value_name = "PORT|auto")]
    pub(crate) port: Option<PortChoice>,
    /// Address to listen on; others than localhost, such as 0.0.0.0, ask everybody for the token
    /// [default: localhost]
    #[arg(long)]
    pub(crate) host: Option<String>,
    /// Serve the dashboard; this is the default unless the configuration says otherwise
    #[arg(long)]
    pub(crate) dashboard: bool,
    /// Show the dashboard on this port as well [default: on the server's port only]
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) dashboard_port: Option<u16>,
    /// Defaults for where it runs: development, production or docker [default: found out]
    #[arg(long)]
    pub(crate) profile: Option<Profile>,
    /// Serve HTTPS, with a certificate that the monitor signs itself unless you name one
    #[arg(long)]
    pub(crate) tls: bool,
    /// Serve HTTPS with this certificate (PEM, with those that vouch for it)
    #[arg(long, value_name = "FILE", requires = "tls_key", value_parser = file)]
    pub(crate) tls_cert: Option<String>,
    /// The key of that certificate (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_cert", value_parser = file)]
    pub(crate) tls_key: Option<String>,
    /// How much to log: DEBUG, INFO, WARNING or ERROR [default: INFO in the background, WARNING in a terminal]
    #[arg(long, value_name = "LEVEL", value_parser = log_level)]
    pub(crate) log_level: Option<LogLevel>,
    /// How to log: text for people, json for programs [default: text]
    #[arg(long, value_name = "FORMAT", value_parser = log_format)]
    pub(crate) log_format: Option<LogFormat>,
    /// Be the server of the sessions in this folder and below only [default: of all sessions]
    #[arg(long, value_name = "DIR", value_parser = folder)]
    pub(crate) project: Option<String>,
}

impl Listen {
    /// What these flags say of the settings, on that port.
    pub(crate) fn flags(&self, port: Option<u16>) -> Flags {
        Flags {
            host: self.host.clone(),
            port,
            dashboard: self.dashboard,
            dashboard_port: self.dashboard_port,
            profile: self.profile,
            tls: self.tls,
            tls_cert: self.tls_cert.clone(),
            tls_key: self.tls_key.clone(),
            log_level: self.log_level,
            log_format: self.log_format,
        }
    }

    /// The same flags for another process of this program, which is to serve exactly there.
    pub(crate) fn arguments(&self, host: &str, port: u16) -> Vec<OsString> {
        let named = |name: &str, value: &dyn Display| OsString::from(format!("--{name}={value}"));
        let mut arguments = vec![named("port", &port), named("host", &host)];
        arguments.extend(self.dashboard.then(|| "--dashboard".into()));
        arguments.extend(self.dashboard_port.map(|port| named("dashboard-port", &port)));
        arguments.extend(self.tls.then(|| "--tls".into()));
        arguments.extend(self.tls_cert.as_ref().map(|file| named("tls-cert", file)));
        arguments.extend(self.tls_key.as_ref().map(|file| named("tls-key", file)));
        arguments.extend(self.profile.map(|profile| named("profile", &profile)));
        arguments.extend(self.log_level.map(|level| named("log-level", &level.name())));
        arguments.extend(self.log_format.map(|format| named("log-format", &format.name())));
        arguments.extend(self.project.as_ref().map(|project| named("project", project)));
        arguments
    }
}

/// What may be ended to get a port.
#[derive(Clone, Copy, Debug, Default, Args)]
pub(crate) struct Reclaim {
    /// Also stop a daemon of claude-mpm, or a monitor of yours that hangs, to get the port; never another program
    #[arg(long)]
    pub(crate) force: bool,
    /// Do not stop a debug script of claude-mpm that holds the port
    #[arg(long)]
    pub(crate) no_reclaim: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Bare {
    #[command(flatten)]
    pub(crate) listen: Listen,
    /// Do not open a browser
    #[arg(long)]
    pub(crate) no_browser: bool,
    /// Serve in the background and return when it answers
    #[arg(long)]
    pub(crate) background: bool,
}

impl Bare {
    /// Whether it names a port at most: whatever else is asked for, only a server in this terminal does.
    pub(crate) fn is_plain(&self) -> bool {
        let nothing_else = Listen { port: self.listen.port, ..Listen::default() };
        self.listen == nothing_else && !self.no_browser && !self.background
    }
}

#[derive(Debug, Default, Args)]
pub(crate) struct Start {
    #[command(flatten)]
    pub(crate) listen: Listen,
    #[command(flatten)]
    pub(crate) reclaim: Reclaim,
    /// Show in detail what was started
    #[arg(long, short)]
    pub(crate) verbose: bool,
    /// Serve in this terminal until Ctrl-C
    #[arg(long)]
    pub(crate) foreground: bool,
    /// Serve in the background; this is the default
    #[arg(long, conflicts_with = "foreground")]
    pub(crate) background: bool,
    /// Print a JSON object for programs: as in `status --json`, with `outcome` and `login_url`
    #[arg(long)]
    pub(crate) json: bool,
    /// Accepted, because scripts pass it: `start` never opens a browser
    #[arg(long, hide = true)]
    pub(crate) no_browser: bool,
    /// What this process is in a background start; said by this program to itself
    #[arg(long, hide = true, default_value = "caller")]
    pub(crate) role: Role,
}

/// The three processes of a background start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Role {
    #[default]
    /// The user's command, which ends when the server answers.
    Caller,
    /// Detached from the terminal; keeps the server alive.
    Supervisor,
    /// Serves.
    Server,
}

#[derive(Debug, Args)]
pub(crate) struct Stop {
    /// Port of the monitor to stop [default: all of yours]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) port: Option<u16>,
    /// Do not wait for clients to be disconnected gracefully; never reaches another program
    #[arg(long)]
    pub(crate) force: bool,
    /// Print a JSON array for programs: `port`, `stopped`, `pid`, `clients` or `error` of each
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Restart {
    /// Port to serve from now on [default: as before]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) port: Option<u16>,
    /// Address to listen on [default: as before]
    #[arg(long)]
    pub(crate) host: Option<String>,
    /// Serve the dashboard on this port as well [default: as before]
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) dashboard_port: Option<u16>,
    /// Print a JSON object for programs: as in `status --json`, with `outcome` and `login_url`
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Port {
    /// Port to serve
    #[arg(value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) port: u16,
    /// Address to listen on [default: as before, else localhost]
    #[arg(long)]
    pub(crate) host: Option<String>,
    #[command(flatten)]
    pub(crate) reclaim: Reclaim,
    /// Print a JSON object for programs: as in `status --json`, with `outcome` and `login_url`
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Health {
    /// Port of the monitor to check [default: all of yours]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) port: Option<u16>,
    /// Connect to the WebSocket API as well, and subscribe to it; a port here means the same as with --port
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) websocket: Option<Option<u16>>,
    /// Print a JSON array for programs
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct List {
    /// Print a JSON array for programs
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Diagnose {
    /// Port to look at [default: the configured port, else 8765]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) port: Option<u16>,
    /// Print a JSON object for programs
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Status {
    /// Port of the monitor to show [default: all of yours]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) port: Option<u16>,
    /// Show host, start, events and clients too
    #[arg(long, short)]
    pub(crate) verbose: bool,
    /// Show each port from 8765 to 8785 and who has it
    #[arg(long, conflicts_with = "port")]
    pub(crate) show_ports: bool,
    /// Print JSON for programs: an array of monitors, those that crashed too, or with --show-ports an object with `servers` and `ports`
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Logs {
    /// Port of the monitor whose log to show [default: the configured port, else 8765]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) port: Option<u16>,
    /// Go on with what is logged from now on, until Ctrl-C
    #[arg(long, short)]
    pub(crate) follow: bool,
    /// How many of the last lines to show
    #[arg(long, short = 'n', default_value = "50")]
    pub(crate) lines: usize,
}

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Config {
    #[command(subcommand)]
    pub(crate) verb: Option<ConfigVerb>,
    /// Print a JSON array for programs
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) listen: Listen,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigVerb {
    /// Write a configuration file in which every key is explained
    Init {
        /// Put it in place of the one that exists, which is kept beside it
        #[arg(long)]
        force: bool,
    },
    /// Print where the configuration file is
    Path,
}

/// Which monitor to talk to.
#[derive(Clone, Debug, Args)]
pub(crate) struct Which {
    /// Port of the monitor [default: the configured port, else the only monitor that runs]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) port: Option<u16>,
}

/// Which events.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Which events")]
pub(crate) struct Wanted {
    /// Of this session; the beginning of its id is enough
    #[arg(long, value_name = "ID")]
    pub(crate) session: Option<String>,
    /// Of this kind, in any spelling: `PreToolUse`, `pre_tool`. Several with commas, or again
    #[arg(long, value_name = "KIND", value_delimiter = ',')]
    pub(crate) kind: Vec<String>,
    /// Of this tool, such as `Bash`
    #[arg(long, value_name = "NAME")]
    pub(crate) tool: Option<String>,
    /// Of this subagent, by its id or type, such as `Explore`
    #[arg(long, value_name = "NAME")]
    pub(crate) agent: Option<String>,
    /// Of sessions in this folder and below
    #[arg(long, value_name = "DIR")]
    pub(crate) project: Option<String>,
    /// The one with this id, as the log of the server names it
    #[arg(long, value_name = "ID", value_parser = event_id)]
    pub(crate) id: Option<EventId>,
    /// Failures only
    #[arg(long)]
    pub(crate) errors: bool,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct Tail {
    #[command(flatten)]
    pub(crate) which: Which,
    /// All of your monitors, those too that start later; each line begins with the port
    #[arg(long, conflicts_with = "port")]
    pub(crate) all: bool,
    #[command(flatten)]
    pub(crate) wanted: Wanted,
    /// How many of the last events to begin with; with --all, of each monitor
    #[arg(short = 'n', long, value_name = "N", default_value = "10")]
    pub(crate) lines: usize,
    /// Show what is stored and end
    #[arg(long)]
    pub(crate) no_follow: bool,
    /// Print each event as a line of JSON
    #[arg(long)]
    pub(crate) json: bool,
    /// With the payload, as it was sent
    #[arg(long, requires = "json")]
    pub(crate) payload: bool,
    /// Do not mask secrets in payloads; lines never show any
    #[arg(long, requires = "payload")]
    pub(crate) raw: bool,
    /// Colours; `auto` is on a terminal, unless NO_COLOR is set
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    pub(crate) color: Colour,
}

#[derive(Debug, Args)]
pub(crate) struct Export {
    #[command(flatten)]
    pub(crate) which: Which,
    /// Where to write; `-` is standard output
    #[arg(short, long, value_name = "FILE", default_value = "-")]
    pub(crate) output: PathBuf,
    /// What to write [default: by the name of the file; jsonl on standard output]
    #[arg(long)]
    pub(crate) format: Option<Format>,
    /// Replace a file that exists
    #[arg(long)]
    pub(crate) force: bool,
    /// Do not mask secrets in payloads; lines never show any
    #[arg(long)]
    pub(crate) raw: bool,
    #[command(flatten)]
    pub(crate) wanted: Wanted,
    /// Happened then or later: `2026-11-21`, `\"2026-11-21 10:30\"`, `10:30`, or `2h` for two hours ago
    #[arg(long, value_name = "TIME", help_heading = "Which events")]
    pub(crate) from: Option<String>,
    /// Happened then or before; a date means the end of its day
    #[arg(long, value_name = "TIME", help_heading = "Which events")]
    pub(crate) to: Option<String>,
    /// With all these words
    #[arg(long, value_name = "WORDS", help_heading = "Which events")]
    pub(crate) query: Option<String>,
    /// The newest N of them [default: all; of a report, 10000]
    #[arg(long, value_name = "N", help_heading = "Which events")]
    pub(crate) limit: Option<usize>,
}

/// What an export looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Whole events, one JSON object a line
    Jsonl,
    /// A table without payloads
    Csv,
    /// A page that needs nothing but a browser
    Html,
}

#[derive(Debug, Args)]
pub(crate) struct Import {
    #[command(flatten)]
    pub(crate) which: Which,
    /// The file to read; `-` is standard input
    #[arg(value_name = "FILE")]
    pub(crate) input: PathBuf,
    /// Print a JSON object for programs: `stored`, `duplicates`, `refused`
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Open {
    #[command(flatten)]
    pub(crate) which: Which,
    /// Show this session only; the beginning of its id is enough
    #[arg(long, value_name = "ID")]
    pub(crate) session: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Completions {
    /// The shell
    #[arg(value_name = "SHELL")]
    pub(crate) shell: clap_complete::Shell,
}

/// When to use colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Colour {
    Auto,
    Always,
    Never,
}

#[derive(Debug, Args)]
pub(crate) struct Demo {
    #[command(flatten)]
    pub(crate) which: Which,
    /// How many times faster than it was recorded
    #[arg(long, default_value = "1", value_parser = speed)]
    pub(crate) speed: f64,
}

#[derive(Debug, Subcommand)]
pub(crate) enum HooksVerb {
    /// Register the hook in Claude Code's settings
    Install(HooksInstall),
    /// Take exactly what was installed out of the settings again
    Uninstall(HooksUninstall),
    /// Show what is registered, and what could keep events from coming
    Status(HooksStatus),
    /// Send an event as Claude Code would, and wait until the monitor has it
    Test(HooksTest),
}

#[derive(Debug, Args)]
pub(crate) struct HooksInstall {
    /// For the sessions in this folder only, in its .claude/settings.local.json [default: for all sessions]
    #[arg(long, value_name = "DIR", num_args = 0..=1, default_missing_value = ".", value_parser = folder_path)]
    pub(crate) project: Option<PathBuf>,
    /// Register a further event, which costs something: PostToolBatch, MessageDisplay (holds text back until the
    /// hook returns), Setup, FileChanged=NAME|NAME. Later installs keep it
    #[arg(long, value_name = "EVENT")]
    pub(crate) with: Vec<Extra>,
    /// The version of Claude Code, such as 2.1.240; needed where no `claude` is on the PATH [default: ask it]
    #[arg(long, value_name = "VERSION")]
    pub(crate) claude_version: Option<claude::Version>,
    /// Only print what would change
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Add the command /mpm-monitor to Claude Code too
    #[arg(long, conflicts_with = "dry_run")]
    pub(crate) slash_command: bool,
}

#[derive(Debug, Args)]
pub(crate) struct HooksUninstall {
    /// From this folder's .claude/settings.local.json only [default: from everywhere]
    #[arg(long, value_name = "DIR", num_args = 0..=1, default_missing_value = ".", value_parser = folder_path)]
    pub(crate) project: Option<PathBuf>,
    /// Only print what would change
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Args)]
pub(crate) struct HooksStatus {
    /// As sessions in this folder have it [default: the current one]
    #[arg(long, value_name = "DIR", value_parser = folder_path)]
    pub(crate) project: Option<PathBuf>,
    /// The version of Claude Code [default: ask it]
    #[arg(long, value_name = "VERSION")]
    pub(crate) claude_version: Option<claude::Version>,
    /// Print JSON for programs
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct HooksTest {
    /// As a session in this folder [default: the current one]
    #[arg(long, value_name = "DIR", value_parser = folder_path)]
    pub(crate) project: Option<PathBuf>,
    /// The version of Claude Code [default: ask it]
    #[arg(long, value_name = "VERSION")]
    pub(crate) claude_version: Option<claude::Version>,
}

#[derive(Debug, Args)]
pub(crate) struct Run {
    /// Port of the monitor to tell, or `auto` for a new one on a free port; started when it does not run
    /// [default: the configured port, else 8765]
    #[arg(long, value_name = "PORT|auto", alias = "websocket-port")]
    pub(crate) port: Option<PortChoice>,
    /// Stay and watch, or only announce the program and become it
    #[arg(long, value_name = "METHOD", default_value = "subprocess")]
    pub(crate) launch_method: LaunchMethod,
    /// Accepted, because scripts pass it: the WebSocket API is always there
    #[arg(long, hide = true)]
    pub(crate) websocket: bool,
    /// The program and its arguments [default: claude]
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "COMMAND")]
    pub(crate) command: Vec<OsString>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LaunchMethod {
    /// Become the program; its start is all that is told
    Exec,
    /// Run the program in a terminal of its own and tell what it shows
    Subprocess,
}

#[derive(Debug, Args)]
pub(crate) struct FindPort {
    /// The port that is to be free [default: the first free one from 8765 on]
    #[arg(value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) port: Option<u16>,
    /// Print a JSON object for programs
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Version {
    /// Print a JSON object for programs
    #[arg(long)]
    pub(crate) json: bool,
}

/// A port as the user names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PortChoice {
    /// The first free one of the range.
    Auto,
    /// Exactly this one.
    Exact(u16),
}

impl FromStr for PortChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "auto" {
            return Ok(Self::Auto);
        }
        match text.parse() {
            Ok(port) if port > 0 => Ok(Self::Exact(port)),
            _ => Err("expected a port from 1 to 65535, or auto".to_owned()),
        }
    }
}

/// The absolute path of a folder that exists, without links: as Claude Code names it.
fn folder(text: &str) -> Result<String, String> {
    let path = std::fs::canonicalize(text).map_err(|error| error.to_string())?;
    if !path.is_dir() {
        return Err("it is no folder".to_owned());
    }
    path.into_os_string().into_string().map_err(|_| "its path is no Unicode text".to_owned())
}

/// The absolute path of a file that exists.
fn file(text: &str) -> Result<String, String> {
    let path = std::path::absolute(text).map_err(|error| error.to_string())?;
    private::follow(&path).map_err(|error| error.to_string())?;
    path.into_os_string().into_string().map_err(|_| "its path is no Unicode text".to_owned())
}

fn folder_path(text: &str) -> Result<PathBuf, String> {
    folder(text).map(PathBuf::from)
}

fn event_id(text: &str) -> Result<EventId, String> {
    text.parse()
        .map(EventId)
        .map_err(|_| "expected a UUID, such as 0198f9a0-0000-7000-8000-000000000001".to_owned())
}

fn log_level(text: &str) -> Result<LogLevel, String> {
    LogLevel::named(text).ok_or_else(|| "expected DEBUG, INFO, WARNING or ERROR".to_owned())
}

fn log_format(text: &str) -> Result<LogFormat, String> {
    LogFormat::named(text).ok_or_else(|| "expected text or json".to_owned())
}

fn speed(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(speed) if (0.01..=100_000.0).contains(&speed) => Ok(speed),
        _ => Err("expected a number from 0.01 to 100000".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::examples::{PROGRAM, whole};

    #[test]
    fn the_command_line_is_consistent() {
        command().debug_assert();
    }

    #[test]
    fn the_help_shows_every_verb_once() {
        let help = grouped(&Arguments::command());
        for verb in command().get_subcommands() {
            let expected = usize::from(!verb.is_hide_set());
            let lines = help.lines().filter(|line| line.starts_with(&format!("  {} ", verb.get_name())));
            assert_eq!(lines.count(), expected, "{}: {help}", verb.get_name());
        }
    }

    #[test]
    fn the_help_of_every_verb_ends_with_examples_and_each_can_be_typed() {
        for verb in command().get_subcommands().filter(|verb| !verb.is_hide_set()) {
            let help = verb.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.starts_with("Examples:\n  "), "{}: {help}", verb.get_name());
        }
        for Examples { verb, commands, .. } in EXAMPLES {
            for (command, _) in *commands {
                let line = whole(command);
                let ours = line.rsplit('|').find(|part| part.contains(PROGRAM)).unwrap();
                let ours = &ours[ours.find(PROGRAM).unwrap()..];
                let ours = ours.split(" > ").next().unwrap().split(" >> ").next().unwrap();
                let words = ours.replace("'tax rounding'", "words");
                let parsed = parse(words.split_whitespace().map(OsString::from));
                assert!(parsed.is_ok(), "{line}: {parsed:?}");
                assert!(ours.starts_with(&format!("{PROGRAM} {verb}")), "{line} is an example of {verb}");
            }
        }
    }

    #[test]
    fn what_is_not_offered_is_refused() {
        let cases = [
            "--port 0",
            "--port 65536",
            "--port some",
            "--dashboard-port 0",
            "--profile staging",
            "--foreground",
            "--force",
            "start --foreground --background",
            "start --dashboard-port 0",
            "stop --port auto",
            "demo --speed 0",
            "demo --speed nan",
            "restart --port auto",
            "restart --force",
            "port",
            "port 0",
            "port 8765 --background",
            "status --show-ports --port 8765",
            "--tls-cert Cargo.toml",
            "--tls-key Cargo.toml",
            "--tls-cert /no/such/file --tls-key Cargo.toml",
            "token",
            "token show --port 1",
            "--project /no/such/folder",
            "start --project Cargo.toml",
            "--port 9000 start",
        ];
        for line in cases {
            let args = ["claude-mpm-monitor"].into_iter().chain(line.split(' '));
            assert!(Arguments::try_parse_from(args).is_err(), "{line:?} is refused");
        }
    }

    #[test]
    fn a_project_is_an_absolute_path() {
        let line = ["monitor", "start", "--project", "../cli/src"];
        let Some(Verb::Start(start)) = Arguments::try_parse_from(line).unwrap().verb else { panic!("start") };
        let src = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src").canonicalize().unwrap();
        assert_eq!(start.listen.project.as_deref(), src.to_str());
    }

    #[test]
    fn a_port_is_a_number_or_auto() {
        let parse = |line: &str| Arguments::try_parse_from(line.split(' ')).unwrap().bare.listen.port;
        assert_eq!(parse("monitor"), None);
        assert_eq!(parse("monitor --port 9000"), Some(PortChoice::Exact(9000)));
        assert_eq!(parse("monitor --port auto"), Some(PortChoice::Auto));
    }
}
