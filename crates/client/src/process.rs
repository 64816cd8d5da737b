//! Processes as the operating system shows them: who they are, whose they are, and the only gate to signalling
//! one. A pid alone proves nothing, because pids are used again.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use protocol::Timestamp;
use protocol::paths::Home;
use sysinfo::{Pid, ProcessRefreshKind, ProcessStatus, ProcessesToUpdate, Signal, System, UpdateKind};

/// How far two readings of one process's start time may lie apart: the system derives it from its boot time,
/// which moves when the clock is corrected.
const START_DRIFT_MS: i64 = 2000;

/// How many forks a program's process may be away from its start.
const FORKS_MAX: usize = 4;

/// How often a waiter looks again.
const POLL: Duration = Duration::from_millis(20);

/// A running process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Its pid.
    pub pid: u32,
    /// When it started, by the clock of now.
    pub started_at: Timestamp,
    /// Its command line, the program first; empty when the system does not show it.
    pub arguments: Vec<String>,
    /// Its working directory, when the system shows it.
    pub folder: Option<PathBuf>,
    /// Whether it belongs to the user who asks.
    pub is_mine: bool,
}

impl Process {
    /// The process with that pid; `None` when none runs.
    pub fn find(pid: u32) -> Option<Self> {
        let own = Pid::from_u32(std::process::id());
        let (system, pid) = look(pid, &[own])?;
        let process = system.process(pid)?;
        let user = process.user_id();
        Some(Self {
            pid: pid.as_u32(),
            started_at: start(process)?,
            arguments: process.cmd().iter().map(|argument| argument.to_string_lossy().into_owned()).collect(),
            folder: process.cwd().map(Path::to_owned),
            is_mine: user.is_some() && user == system.process(own).and_then(sysinfo::Process::user_id),
        })
    }

    /// The process that leads the session of this one; `None` when it is gone or outside of the container in which
    /// this one runs, and on systems without sessions.
    pub fn session_leader() -> Option<Self> {
        let (system, own) = look(std::process::id(), &[])?;
        // The system calls a leader that cannot be seen from here 0.
        let leader = system.process(own)?.session_id().filter(|leader| leader.as_u32() != 0)?;
        Self::find(leader.as_u32())
    }

    /// The name of the executable that it runs, also when that was replaced since; `None` when the system does not show
    /// it.
    pub(crate) fn program(&self) -> Option<String> {
        let (system, pid) = look(self.pid, &[])?;
        let file = system.process(pid)?.exe()?.file_stem()?.to_string_lossy().into_owned();
        // So Linux calls one that is gone.
        Some(file.strip_suffix(" (deleted)").map_or(file.clone(), str::to_owned))
    }

    /// The home that its environment names; `None` when the system does not show it.
    pub(crate) fn home(&self) -> Option<Home> {
        let (system, pid) = look(self.pid, &[])?;
        let variables = system.process(pid)?.environ();
        Home::from_env(|name| {
            let value = |variable: &OsString| {
                let (named, value) = variable.to_str()?.split_once('=')?;
                (named == name).then(|| value.into())
            };
            variables.iter().find_map(value)
        })
    }

    /// The process that started it, while that lives.
    pub(crate) fn parent(&self) -> Option<u32> {
        let (system, pid) = look(self.pid, &[])?;
        system.process(pid)?.parent().map(Pid::as_u32)
    }

    /// Whether it still runs.
    pub fn is_alive(&self) -> bool {
        is_running(self.identity())
    }

    /// What tells it from a later one of the same pid.
    pub(crate) fn identity(&self) -> Identity {
        Identity { pid: self.pid, started_at: self.started_at }
    }

    /// Waits until it has ended; false when it has not within `limit`.
    pub(crate) fn ended_within(&self, limit: Duration) -> bool {
        let started = Instant::now();
        while self.is_alive() {
            if started.elapsed() >= limit {
                return false;
            }
            thread::sleep(POLL);
        }
        true
    }
}

/// One process: a pid alone may have been given to another one since.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Identity {
    /// Its pid.
    pub(crate) pid: u32,
    /// When it started.
    pub(crate) started_at: Timestamp,
}

/// The names under which other machines may know this one.
pub fn machine_names() -> Vec<String> {
    let name = System::host_name().ok().filter(|name| !name.is_empty());
    name.map(|name| vec![format!("{name}.local"), name]).unwrap_or_default()
}

/// Whether the process still runs.
pub(crate) fn is_running(identity: Identity) -> bool {
    with_proven(identity, |_| ()).is_some()
}

/// Asks the process to end; false when it is gone, or its pid belongs to another now.
pub(crate) fn terminate(identity: Identity) -> bool {
    let term = |process: &sysinfo::Process| process.kill_with(Signal::Term);
    with_proven(identity, |process| term(process).unwrap_or_else(|| process.kill())).unwrap_or(false)
}

/// Ends the process; false when it is gone, or its pid belongs to another now.
pub(crate) fn kill(identity: Identity) -> bool {
    with_proven(identity, sysinfo::Process::kill).unwrap_or(false)
}

/// The one gate to a foreign pid: `act` sees the process only if it started when it should have.
fn with_proven<T>(identity: Identity, act: impl FnOnce(&sysinfo::Process) -> T) -> Option<T> {
    let (system, pid) = look(identity.pid, &[])?;
    let process = system.process(pid)?;
    is_same(start(process)?, identity.started_at).then(|| act(process))
}

/// When a process started; `None` when none runs under that pid.
pub fn started_at(pid: u32) -> Option<Timestamp> {
    let (system, pid) = look(pid, &[])?;
    start(system.process(pid)?)
}

/// The process as which a program was started that this process is part of, and its name: one that was forked, to
/// share the work or because it is about to become another program, still has its parent's command line. `None` when
/// it is gone.
pub(crate) fn program_of(pid: u32) -> Option<(u32, String)> {
    let (mut system, mut pid) = look(pid, &[])?;
    for _ in 0..FORKS_MAX {
        let parent = system.process(pid)?.parent().and_then(|parent| look(parent.as_u32(), &[pid]));
        let Some((both, parent)) = parent else { break };
        let command =
            |pid| both.process(pid).map(sysinfo::Process::cmd).filter(|command| !command.is_empty());
        if command(pid).is_none() || command(pid) != command(parent) {
            break;
        }
        (system, pid) = (both, parent);
    }
    let name = system.process(pid)?.name().to_string_lossy().into_owned();
    Some((pid.as_u32(), name))
}

pub(crate) fn is_same(one: Timestamp, other: Timestamp) -> bool {
    one.0.saturating_sub(other.0).saturating_abs() <= START_DRIFT_MS
}

fn start(process: &sysinfo::Process) -> Option<Timestamp> {
    Some(Timestamp(i64::try_from(process.start_time()).ok()?.saturating_mul(1000)))
}

/// What the system says of a process and some others; `None` when the first does not run.
fn look(pid: u32, others: &[Pid]) -> Option<(System, Pid)> {
    let pid = Pid::from_u32(pid);
    let mut system = System::new().ok()?;
    let pids: Vec<Pid> = others.iter().copied().filter(|other| *other != pid).chain([pid]).collect();
    let kind = ProcessRefreshKind::nothing()
        .with_cmd(UpdateKind::Always)
        .with_cwd(UpdateKind::Always)
        .with_environ(UpdateKind::Always)
        .with_exe(UpdateKind::Always)
        .with_user(UpdateKind::Always);
    system.refresh_processes_specifics(ProcessesToUpdate::Some(&pids), true, kind);
    // A process that has ended stays visible until its parent has asked for its exit code.
    let runs = system.process(pid).is_some_and(|process| process.status() != ProcessStatus::Zombie);
    runs.then_some((system, pid))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_seen_with_its_command_line_folder_and_user() {
        let process = Process::find(std::process::id()).expect("this one runs");
        let expected: Vec<_> = std::env::args().collect();
        assert_eq!(process.arguments, expected);
        assert_eq!(process.folder, std::env::current_dir().ok());
        assert!(process.is_mine);
    }
}
