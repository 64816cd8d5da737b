//! The command line: every verb and flag, with the help that the user reads.

use std::ffi::OsString;
use std::fmt::Display;
use std::str::FromStr;

use clap::{Args, Parser, Subcommand, ValueEnum};
use host::{Flags, Profile};

/// Watch Claude Code sessions live.
///
/// Without a verb: serve on port 8765 (or the configured one) in this terminal and open the dashboard. If the
/// monitor already runs, open that one.
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
    /// Show which monitors run
    Status(Status),
    /// Replay a recorded session, to see the dashboard at work
    Demo(Demo),
    /// The token that a monitor asks for which other machines can reach
    Token {
        #[command(subcommand)]
        order: TokenOrder,
    },
    /// Print the version
    Version,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TokenOrder {
    /// Print the token, for programs on other machines
    Show,
    /// Replace the token: who has the old one is disconnected and refused
    Rotate,
    /// Print a link that logs one browser in, within ten minutes
    Link {
        /// Port of the monitor [default: all of yours that ask for the token]
        #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
        port: Option<u16>,
    },
}

/// Where to listen.
#[derive(Clone, Debug, Args)]
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
    #[arg(long, value_parser = profile)]
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
    /// Be the server of the sessions in this folder and below only [default: of all sessions]
    #[arg(long, value_name = "DIR", value_parser = folder)]
    pub(crate) project: Option<String>,
}

impl Listen {
    /// What these flags say of the settings, on that port.
    pub(crate) fn flags(&self, port: Option<u16>) -> Flags {
        let Self { host, dashboard, dashboard_port, profile, tls, tls_cert, tls_key, .. } = self.clone();
        Flags { host, port, dashboard, dashboard_port, profile, tls, tls_cert, tls_key }
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
        arguments.extend(self.project.as_ref().map(|project| named("project", project)));
        arguments
    }
}

#[derive(Debug, Args)]
pub(crate) struct Bare {
    #[command(flatten)]
    pub(crate) listen: Listen,
    /// Do not open a browser
    #[arg(long)]
    pub(crate) no_browser: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Start {
    #[command(flatten)]
    pub(crate) listen: Listen,
    /// Serve in this terminal until Ctrl-C
    #[arg(long)]
    pub(crate) foreground: bool,
    /// Serve in the background; this is the default
    #[arg(long, conflicts_with = "foreground")]
    pub(crate) background: bool,
    /// Accepted, because scripts pass it: `start` never opens a browser
    #[arg(long, hide = true)]
    pub(crate) no_browser: bool,
    /// What this process is in a background start; said by this program to itself
    #[arg(long, hide = true, default_value = "caller")]
    pub(crate) role: Role,
}

/// The three processes of a background start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Role {
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
}

#[derive(Debug, Args)]
pub(crate) struct Status {
    /// Port of the monitor to show [default: all of yours]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) port: Option<u16>,
    /// Show host, start, events and clients too
    #[arg(long)]
    pub(crate) verbose: bool,
    /// Print a JSON array for programs
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// Port of the monitor to replay to [default: the configured port, else 8765]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) port: Option<u16>,
    /// How many times faster than it was recorded
    #[arg(long, default_value = "1", value_parser = speed)]
    pub(crate) speed: f64,
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
    std::fs::File::open(&path).map_err(|error| error.to_string())?;
    path.into_os_string().into_string().map_err(|_| "its path is no Unicode text".to_owned())
}

fn profile(text: &str) -> Result<Profile, String> {
    Profile::named(text).ok_or_else(|| "expected development, production or docker".to_owned())
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
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn what_is_not_offered_is_refused() {
        let cases = [
            "--port 0",
            "--port 65536",
            "--port some",
            "--dashboard-port 0",
            "--profile staging",
            "--background",
            "start --foreground --background",
            "start --force",
            "stop --port auto",
            "demo --speed 0",
            "demo --speed nan",
            "restart",
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
