//! A monitor of this user that serves without its runfile, as when its home was removed under it. Nothing on disk tells
//! of it any more: its port and its process prove whose it is.

use std::path::PathBuf;

use protocol::paths::Home;
use protocol::{Health, names};
use serde_json::Value;

use crate::{Process, ports, runfiles};

/// What the arguments of a background server and of its supervisor have, each its own.
const ROLES: [&str; 2] = ["--role=server", "--role=supervisor"];

/// The desktop app's executable.
const DESKTOP: &str = "claude-mpm-monitor-desktop";

/// Proven: it listens on the port, it is this user's, its executable is ours, its environment names this home, and
/// `/health` there names our service.
#[derive(Clone, Debug, PartialEq)]
pub struct Stray {
    /// The port that it was started for.
    pub port: u16,
    /// The process.
    pub process: Process,
    /// Whose server it is, and so how it is ended.
    pub mode: Mode,
    /// What it says of itself; of one that asks for its token, which went with the home, very little.
    pub health: Health,
}

/// What a server without its runfile is part of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mode {
    /// A server in the background, with its supervisor while that lives.
    Background(Option<Process>),
    /// A server in a terminal.
    Foreground,
    /// The desktop app, which only its user ends.
    Desktop,
}

/// The programs that serve.
pub(crate) const PROGRAMS: [&str; 2] = [names::SERVICE, DESKTOP];

impl Stray {
    /// Recognises the one that answered `/health` on that port, when it is this user's and of this home.
    pub(crate) fn prove(home: &Home, port: u16, answer: &Value) -> Option<Self> {
        // claude-mpm's own monitor calls itself the same, but is no program of ours.
        if answer["service"].as_str() != Some(names::SERVICE) {
            return None;
        }
        let health: Health = serde_json::from_value(answer.clone()).ok()?;
        let said = |process: &Process| health.pid.is_none_or(|pid| pid == process.pid);
        let owners = ports::owners(port);
        let process = owners.iter().filter_map(|owner| ours(home, owner.pid)).find(said)?;
        // Another one may hold the other loopback address: then nobody knows who answered.
        if health.pid.is_none() && owners.len() > 1 {
            return None;
        }
        // A second port of one that is known, for its dashboard.
        if runfiles::living(home).unwrap_or_default().iter().any(|runfile| runfile.pid == process.pid) {
            return None;
        }
        let mode = if is_called(&process, DESKTOP) {
            Mode::Desktop
        } else if has_role(&process, ROLES[0]) {
            Mode::Background(supervisor(home, &process))
        } else {
            Mode::Foreground
        };
        // A server may have a second port, for its dashboard.
        let port = if health.port == 0 { port } else { health.port };
        Some(Self { port, process, mode, health })
    }
}

/// The process, if it is this user's, runs a program of ours, and works in this home.
fn ours(home: &Home, pid: u32) -> Option<Process> {
    let process = Process::find(pid).filter(|process| process.is_mine)?;
    let is_ours = PROGRAMS.iter().any(|name| is_called(&process, name));
    let theirs = process.home().filter(|_| is_ours)?;
    (place(&theirs, process.folder.clone()) == place(home, std::env::current_dir().ok())).then_some(process)
}

/// The process that started the server and looks after it.
fn supervisor(home: &Home, server: &Process) -> Option<Process> {
    let parent = server.parent().and_then(|parent| ours(home, parent))?;
    has_role(&parent, ROLES[1]).then_some(parent)
}

fn has_role(process: &Process, role: &str) -> bool {
    process.arguments.iter().any(|argument| argument == role)
}

fn is_called(process: &Process, name: &str) -> bool {
    process.program().is_some_and(|program| program == name)
}

/// Where a home is, or was; which of two links to it was named does not matter as long as it is there.
fn place(home: &Home, folder: Option<PathBuf>) -> PathBuf {
    let path = folder.unwrap_or_default().join(home.folder());
    path.canonicalize().unwrap_or(path)
}
