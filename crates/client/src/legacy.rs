//! claude-mpm's own servers, written in Python: recognised by `/health` or by their process, stopped by the pid
//! that they tell over HTTP or that lies in their PID file, once that process is what it claims to be.

use std::fmt;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use protocol::{names, paths::Home};
use serde_json::Value;

use crate::{Owner, Process, Role, Stopped, ports, process};

/// How long one may take to obey SIGTERM; the same as claude-mpm gives it.
const GRACE: Duration = Duration::from_secs(10);

/// The same with `--force`.
const FORCED_GRACE: Duration = Duration::from_secs(1);

/// How long a killed process may take to vanish.
const KILL_LIMIT: Duration = Duration::from_secs(5);

/// A PID file holds one number.
const PID_FILE_BYTES_MAX: u64 = 64;

/// One of claude-mpm's servers on a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Legacy {
    /// Its process, as it says itself; as the system says when it does not.
    pub pid: Option<u32>,
    /// Its version, as it says itself.
    pub version: Option<String>,
    /// How it is managed.
    pub style: Style,
}

/// How one of claude-mpm's servers is managed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// It tells its pid over HTTP.
    Http,
    /// Its pid lies in a PID file.
    Daemon,
}

impl fmt::Display for Style {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Http => "HTTP",
            Self::Daemon => "Daemon",
        })
    }
}

impl Legacy {
    /// Recognises an answer of `/health`.
    pub(crate) fn from_health(answer: &Value) -> Option<Self> {
        let text = |key: &str| answer[key].as_str().filter(|text| !text.is_empty());
        // The monitor never had a server_id and always told its uptime, which ours tells no stranger; its
        // predecessor had a server_id and named Python among its parts.
        let monitor = text("service") == Some(names::SERVICE)
            && text("server_id").is_none()
            && (answer["uptime"].is_number() || answer["pid"].is_number());
        let predecessor = answer["dependencies"]["python_version"].is_string();
        let daemon = text("service") == Some("claude-mpm-socketio")
            || text("server") == Some("claude-mpm-python-socketio");
        (monitor || predecessor || daemon).then(|| {
            let pid = answer["pid"].as_u64().and_then(|pid| u32::try_from(pid).ok());
            Self {
                pid,
                version: text("version").or_else(|| text("server_version")).map(str::to_owned),
                style: if pid.is_some() { Style::Http } else { Style::Daemon },
            }
        })
    }

    /// Recognises the process that holds a port and does not answer.
    pub(crate) fn silent(owner: &Owner) -> Option<Self> {
        let process = Process::find(owner.pid)?;
        let is_daemon = process.is_mine && Role::of(&process) == Role::Daemon;
        is_daemon.then_some(Self { pid: Some(owner.pid), version: None, style: Style::Daemon })
    }

    /// What it is called, for people.
    pub fn name(&self) -> String {
        let version = self.version.as_ref().map(|version| format!(" {version}")).unwrap_or_default();
        match self.style {
            Style::Http => format!("claude-mpm's Python monitor{version}"),
            Style::Daemon => format!("claude-mpm's Python daemon{version}"),
        }
    }
}

/// A PID file and the pid in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PidFile {
    /// The file.
    pub path: PathBuf,
    /// What it says.
    pub pid: u32,
}

impl PidFile {
    /// Whether the process that it names lives and is one of claude-mpm's servers.
    pub fn is_alive(&self) -> bool {
        Process::find(self.pid).is_some_and(|process| Role::of(&process) == Role::Daemon)
    }
}

/// Where claude-mpm's servers on a port leave their pids. The folder of the one that listens is among them,
/// because the newest ones put it into the project in which they were started.
pub fn pid_paths(home: &Home, port: u16) -> Vec<PathBuf> {
    let temporary = if cfg!(unix) { PathBuf::from("/tmp") } else { std::env::temp_dir() };
    let daemon = format!("monitor-daemon-{port}.pid");
    let mut paths = vec![
        home.folder().join("socketio-server.pid"),
        temporary.join(format!("claude_mpm_socketio_{port}.pid")),
        home.folder().join(&daemon),
    ];
    let owners = ports::owners(port).into_iter().filter_map(|owner| Process::find(owner.pid)?.folder);
    for folder in std::env::current_dir().into_iter().chain(owners) {
        let in_project = folder.ancestors().map(|folder| folder.join(".claude-mpm").join(&daemon));
        paths.extend(in_project.filter(|path| path.exists()));
    }
    let mut seen = Vec::new();
    paths.retain(|path| {
        !seen.contains(path) && {
            seen.push(path.clone());
            true
        }
    });
    paths
}

/// Those of [`pid_paths`] that name a pid.
pub fn pid_files(home: &Home, port: u16) -> Vec<PidFile> {
    let read = |path: PathBuf| {
        // Others can put anything there, a pipe too.
        let text = private::peek(&path).and_then(|file| private::text(file, PID_FILE_BYTES_MAX)).ok()?;
        Some(PidFile { pid: text.trim().parse().ok()?, path })
    };
    pid_paths(home, port).into_iter().filter_map(read).collect()
}

/// Why a process was left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unproven {
    /// No process has that pid.
    #[error("no process has this pid")]
    Gone,
    /// It runs under another user.
    #[error("it belongs to another user")]
    OtherUser,
    /// Its command line is not that of one of claude-mpm's servers.
    #[error("its command line is not that of a claude-mpm server")]
    OtherProgram,
    /// It is the server inside of a claude-mpm session.
    #[error("it is a claude-mpm session; end that session to stop the server in it")]
    Session,
    /// It does not listen on the port.
    #[error("it does not listen on the port")]
    OtherPort,
}

/// What [`stop`] does, as it goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// The server was asked over HTTP, and named this process or none.
    Http(Option<u32>),
    /// A PID file names this process.
    File(PidFile),
    /// None of these PID files exists.
    NoFile(Vec<PathBuf>),
    /// That process was left alone.
    LeftAlone(u32, Unproven),
    /// That process was asked to end.
    Asked(u32),
    /// That process did not obey and is ended.
    Killed(u32),
}

/// Stops one of claude-mpm's servers: the process that it names over HTTP, else the one in its PID file, each
/// only when it is a claude-mpm server of this user that listens on the port. Without `Some` nothing was
/// stopped, and the steps told why.
pub fn stop(
    home: &Home,
    port: u16,
    found: &Legacy,
    force: bool,
    tell: &mut dyn FnMut(&Step),
) -> Option<Stopped> {
    let told = found.pid.filter(|_| found.style == Style::Http);
    tell(&Step::Http(told));
    let files = pid_files(home, port);
    if let Some(pid) = told
        && let Some(stopped) = end(pid, port, force, tell)
    {
        clear(&files, pid);
        return Some(stopped);
    }
    if files.is_empty() {
        tell(&Step::NoFile(pid_paths(home, port)));
    }
    for file in &files {
        tell(&Step::File(file.clone()));
        if let Some(stopped) = end(file.pid, port, force, tell) {
            clear(&files, file.pid);
            return Some(stopped);
        }
    }
    None
}

/// Ends one process after it was proven.
fn end(pid: u32, port: u16, force: bool, tell: &mut dyn FnMut(&Step)) -> Option<Stopped> {
    let proven = match prove(pid, port) {
        Ok(proven) => proven,
        Err(reason) => {
            tell(&Step::LeftAlone(pid, reason));
            return None;
        }
    };
    tell(&Step::Asked(pid));
    process::terminate(proven.identity());
    if !proven.ended_within(if force { FORCED_GRACE } else { GRACE }) {
        tell(&Step::Killed(pid));
        process::kill(proven.identity());
        if !proven.ended_within(KILL_LIMIT) {
            return None;
        }
    }
    Some(Stopped { clients: None, pid })
}

/// The process, if it is one of claude-mpm's servers, this user's, and listens on the port.
fn prove(pid: u32, port: u16) -> Result<Process, Unproven> {
    let process = Process::find(pid).ok_or(Unproven::Gone)?;
    if !process.is_mine {
        return Err(Unproven::OtherUser);
    }
    match Role::of(&process) {
        Role::Daemon => {}
        Role::Session => return Err(Unproven::Session),
        Role::DebugScript | Role::Other => return Err(Unproven::OtherProgram),
    }
    let listens = ports::owners(port).iter().any(|owner| owner.pid == pid);
    if listens { Ok(process) } else { Err(Unproven::OtherPort) }
}

/// Removes the PID files of a process that has ended.
fn clear(files: &[PidFile], pid: u32) {
    for file in files.iter().filter(|file| file.pid == pid) {
        // Its own server may have removed it already.
        let _ = fs::remove_file(&file.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pid_file_is_read_where_claude_mpm_leaves_it() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path());
        assert_eq!(pid_files(&home, 1), []);
        fs::write(folder.path().join("socketio-server.pid"), "4242\n").unwrap();
        fs::write(folder.path().join("monitor-daemon-1.pid"), "not a pid").unwrap();
        let found = pid_files(&home, 1);
        assert_eq!(found, [PidFile { path: folder.path().join("socketio-server.pid"), pid: 4242 }]);
    }

    #[test]
    fn a_process_that_is_not_what_a_pid_file_claims_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path());
        let file = folder.path().join("socketio-server.pid");
        fs::write(&file, std::process::id().to_string()).unwrap();
        let found = Legacy { pid: None, version: None, style: Style::Daemon };
        let mut steps = Vec::new();
        let stopped = stop(&home, 1, &found, true, &mut |step| steps.push(step.clone()));
        assert_eq!(stopped, None);
        let named = PidFile { path: file, pid: std::process::id() };
        let left = Step::LeftAlone(std::process::id(), Unproven::OtherProgram);
        assert_eq!(steps, [Step::Http(None), Step::File(named.clone()), left]);
        assert!(!named.is_alive(), "it runs, but it is no server of claude-mpm");
    }
}
