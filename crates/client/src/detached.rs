//! Starting a monitor that outlives this process: the supervisor of a background server, a child of the same
//! executable, reported as started only when its server answers.

use std::ffi::OsStr;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use protocol::paths::Home;

use crate::process::{self, Identity};
use crate::{Probe, Running, Supervision, probe, started_at};

/// The most that is read of what a failed start says of itself.
const REASON_BYTES_MAX: u64 = 64 * 1024;

/// How often the parent looks whether the server answers.
const POLL: Duration = Duration::from_millis(20);

/// How long a supervisor may take to end a server that does not answer; it kills one that does not end at once.
const END_LIMIT: Duration = Duration::from_secs(15);

/// What to start. The child detaches itself from the terminal.
#[derive(Debug)]
pub struct Detached<'a> {
    /// The executable.
    pub exe: &'a Path,
    /// Its arguments; they must make it supervise a server on `port`, and give that up when its standard input is closed
    /// before the server serves.
    pub args: &'a [&'a OsStr],
    /// Whose home it serves, and where it leaves its runfile.
    pub home: &'a Home,
    /// The port that it will serve.
    pub port: u16,
    /// How long it may take until it answers.
    pub limit: Duration,
}

/// Why no monitor was started.
#[derive(Debug, thiserror::Error)]
pub enum DetachedError {
    /// The process could not be made.
    #[error("could not start {}: {source}", exe.display())]
    Spawn {
        /// The executable.
        exe: PathBuf,
        /// The operating system's reason.
        source: io::Error,
    },
    /// The child ended before its server answered. With success, when another monitor was quicker.
    #[error("the monitor ended during its start ({status})")]
    Ended {
        /// How it ended.
        status: ExitStatus,
        /// What it says of the reason.
        output: String,
    },
    /// The server did not answer; it was ended.
    #[error("the monitor did not answer within {} s and was ended; its log is {}", limit.as_secs(), log.display())]
    Silent {
        /// How long it was waited for.
        limit: Duration,
        /// Where it wrote.
        log: PathBuf,
    },
}

/// Starts a supervised monitor and waits until it answers.
///
/// # Errors
/// When it cannot be started, ends at once, or stays silent.
pub fn start_detached(detached: &Detached<'_>) -> Result<Box<Running>, DetachedError> {
    let spawn_error = |source| DetachedError::Spawn { exe: detached.exe.to_owned(), source };
    let mut child = Command::new(detached.exe)
        .args(detached.args)
        .env("CLAUDE_MPM_HOME", detached.home.folder())
        // Closed when this process ends, in whatever way: a supervisor whose server does not serve by then ends, too.
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        // It says there why it could not start; later it writes to its log only.
        .stderr(Stdio::piped())
        .spawn()
        .map_err(spawn_error)?;
    let started = Instant::now();
    loop {
        if let Some(running) = answering(detached, child.id()) {
            return Ok(running);
        }
        if let Some(status) = child.try_wait().map_err(spawn_error)? {
            return Err(DetachedError::Ended { status, output: reason(&mut child) });
        }
        if started.elapsed() >= detached.limit {
            end(&mut child);
            let log = detached.home.log(detached.port);
            return Err(DetachedError::Silent { limit: detached.limit, log });
        }
        std::thread::sleep(POLL);
    }
}

/// The server of that supervisor, once it answers: another one may have been quicker to take the port.
fn answering(detached: &Detached<'_>, supervisor: u32) -> Option<Box<Running>> {
    Supervision::read(detached.home, detached.port).filter(|record| record.pid == supervisor)?;
    match probe(detached.home, detached.port) {
        Probe::Ours(running) => Some(running),
        _ => None,
    }
}

/// What a child that has ended wrote to its standard error.
fn reason(child: &mut Child) -> String {
    let mut bytes = Vec::new();
    if let Some(pipe) = child.stderr.take() {
        // A pipe that breaks still gave what came before.
        let _ = pipe.take(REASON_BYTES_MAX).read_to_end(&mut bytes);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Ends a supervisor, which ends its server; kills one that does not end.
fn end(child: &mut Child) {
    drop(child.stdin.take());
    if let Some(started_at) = started_at(child.id()) {
        process::terminate(Identity { pid: child.id(), started_at });
    }
    let asked = Instant::now();
    while asked.elapsed() < END_LIMIT {
        if !matches!(child.try_wait(), Ok(None)) {
            return;
        }
        std::thread::sleep(POLL);
    }
    // Whatever it ends with, it has ended.
    let _ = child.kill().and_then(|()| child.wait());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn a_child_that_ends_at_once_is_reported_with_its_own_words() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path());
        let args = ["-c", "echo the port is haunted >&2; exit 7"].map(OsStr::new);
        let limit = Duration::from_secs(20);
        let detached = Detached { exe: Path::new("/bin/sh"), args: &args, home: &home, port: 1, limit };
        let Err(DetachedError::Ended { status, output }) = start_detached(&detached) else {
            panic!("the child ends");
        };
        assert_eq!(status.code(), Some(7));
        assert_eq!(output, "the port is haunted\n");
    }

    #[cfg(unix)]
    #[test]
    fn a_child_that_never_answers_is_ended() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path());
        let args = ["-c", "exec sleep 600"].map(OsStr::new);
        let limit = Duration::from_millis(50);
        let detached = Detached { exe: Path::new("/bin/sh"), args: &args, home: &home, port: 1, limit };
        let error = start_detached(&detached).unwrap_err();
        assert!(matches!(&error, DetachedError::Silent { log, .. } if *log == home.log(1)), "{error}");
    }
}
