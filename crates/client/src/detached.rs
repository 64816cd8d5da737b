//! Starting a monitor that outlives this process: a child of the same executable, its output in a log file,
//! reported as started only when it answers.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use protocol::paths::Home;

use crate::{Probe, Running, probe, runfiles};

/// A log larger than this is emptied at the next start.
const LOG_BYTES_MAX: u64 = 1024 * 1024;

/// How many of the last lines of a failed start are told.
const REASON_LINES: usize = 10;

/// How often the parent looks whether the child answers.
const POLL: Duration = Duration::from_millis(30);

/// What to start. The child detaches itself from the terminal.
#[derive(Debug)]
pub struct Detached<'a> {
    /// The executable.
    pub exe: &'a Path,
    /// Its arguments; they must make it serve `port`.
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
    /// The log or the process could not be made.
    #[error("could not start {}: {source}", exe.display())]
    Spawn {
        /// The executable.
        exe: PathBuf,
        /// The operating system's reason.
        source: io::Error,
    },
    /// The child ended before it answered. With success, when another monitor was quicker.
    #[error("the monitor ended during its start ({status})")]
    Ended {
        /// How it ended.
        status: ExitStatus,
        /// The last lines that it wrote.
        output: String,
    },
    /// The child runs but does not answer.
    #[error("the monitor (pid {pid}) did not answer within {} s; its log is {}", limit.as_secs(), log.display())]
    Silent {
        /// The child.
        pid: u32,
        /// How long it was waited for.
        limit: Duration,
        /// Where it writes.
        log: PathBuf,
    },
}

/// Starts a monitor and waits until it answers.
///
/// # Errors
/// When it cannot be started, ends at once, or stays silent.
pub fn start_detached(detached: &Detached<'_>) -> Result<Box<Running>, DetachedError> {
    let path = detached.home.logs().join(format!("monitor-{}.log", detached.port));
    let spawn_error = |source| DetachedError::Spawn { exe: detached.exe.to_owned(), source };
    let log = open_log(detached.home, &path).map_err(spawn_error)?;
    let written = log.metadata().map_err(spawn_error)?.len();
    let mut child = Command::new(detached.exe)
        .args(detached.args)
        .env("CLAUDE_MPM_HOME", detached.home.folder())
        .stdin(Stdio::null())
        .stdout(log.try_clone().map_err(spawn_error)?)
        .stderr(log)
        .spawn()
        .map_err(spawn_error)?;
    let started = Instant::now();
    loop {
        if let Probe::Ours(running) = probe(detached.home, detached.port)
            && running.runfile.pid == child.id()
        {
            return Ok(running);
        }
        if let Some(status) = child.try_wait().map_err(spawn_error)? {
            return Err(DetachedError::Ended { status, output: last_lines(&path, written) });
        }
        if started.elapsed() >= detached.limit {
            return Err(DetachedError::Silent { pid: child.id(), limit: detached.limit, log: path });
        }
        std::thread::sleep(POLL);
    }
}

/// Opens the log for appending, for this user only; empties it when it has grown too large.
fn open_log(home: &Home, path: &Path) -> io::Result<File> {
    runfiles::make_folders(home)?;
    let mut options = OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    if fs::metadata(path).is_ok_and(|log| log.len() > LOG_BYTES_MAX) {
        fs::write(path, "")?;
    }
    options.open(path)
}

/// The last lines of a log after `offset`.
fn last_lines(path: &Path, offset: u64) -> String {
    let read = || -> io::Result<String> {
        let mut log = File::open(path)?;
        log.seek(SeekFrom::Start(offset))?;
        let mut bytes = Vec::new();
        log.take(LOG_BYTES_MAX).read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    let text = read().unwrap_or_default();
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(REASON_LINES)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn a_child_that_ends_at_once_is_reported_with_its_own_words_and_not_those_of_an_earlier_start() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path());
        fs::create_dir_all(home.logs()).unwrap();
        fs::write(home.logs().join("monitor-1.log"), "an old failure\n").unwrap();
        let args = ["-c", "echo the port is haunted >&2; exit 7"].map(OsStr::new);
        let limit = Duration::from_secs(20);
        let detached = Detached { exe: Path::new("/bin/sh"), args: &args, home: &home, port: 1, limit };
        let Err(DetachedError::Ended { status, output }) = start_detached(&detached) else {
            panic!("the child ends");
        };
        assert_eq!(status.code(), Some(7));
        assert_eq!(output, "the port is haunted");
    }
}
