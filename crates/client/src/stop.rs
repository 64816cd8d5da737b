//! Stopping a monitor: asked first, signalled only if it is proven ours and does not listen.

use std::io;
use std::time::Duration;

use protocol::Runfile;
use protocol::paths::Home;

use crate::stray::Mode;
use crate::{Error, Lock, Monitor, Probe, Process, Stray, Supervision, author, probe, process, runfiles};

/// How long a monitor may take to say goodbye to its clients, and again to obey SIGTERM.
const GRACE: Duration = Duration::from_secs(10);

/// The same with `--force`.
const FORCED_GRACE: Duration = Duration::from_secs(1);

/// How long the answer to the order may take. A monitor that hangs is signalled after that.
const ORDER_LIMIT: Duration = Duration::from_secs(3);

/// How long a killed process may take to vanish.
const KILL_LIMIT: Duration = Duration::from_secs(5);

/// A monitor that was stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stopped {
    /// Viewers that were told and disconnected; `None` when it did not answer and had to be signalled.
    pub clients: Option<u64>,
    /// Its process, which has ended, unless it is the desktop app.
    pub pid: u32,
}

/// Why no monitor was stopped.
#[derive(Debug, thiserror::Error)]
pub enum StopError {
    /// None of this user's monitors serves the port.
    #[error("no monitor of yours runs on port {port}")]
    NotRunning {
        /// The port.
        port: u16,
    },
    /// It does not answer, and its process cannot be proven to be a monitor's.
    #[error(
        "the monitor on port {port} does not answer, and process {pid} is not proven to be it; it was left alone"
    )]
    Unproven {
        /// The port.
        port: u16,
        /// The pid in the runfile.
        pid: u32,
    },
    /// Nothing on disk tells of it, and it is part of the desktop app, which is not to be ended for it.
    #[error(
        "the monitor on port {port} serves without its runfile, and is part of the desktop app (pid {pid})"
    )]
    InApp {
        /// The port.
        port: u16,
        /// The app's process.
        pid: u32,
    },
    /// Even SIGKILL did not end it.
    #[error("process {pid} on port {port} did not end")]
    Stuck {
        /// The port.
        port: u16,
        /// The pid in the runfile.
        pid: u32,
    },
    /// The lock cannot be read.
    #[error("could not look at the lock of port {port}: {source}")]
    Lock {
        /// The port.
        port: u16,
        /// The operating system's reason.
        source: io::Error,
    },
}

/// Stops this user's monitor on a port so that another process can serve on `successor_port` in its place:
/// clients are told to come back there. Otherwise as [`stop`].
///
/// # Errors
/// As [`stop`].
pub fn replace(home: &Home, port: u16, successor_port: u16) -> Result<Stopped, StopError> {
    end(home, port, false, Some(successor_port))
}

/// Stops this user's monitor on a port and returns when it is gone. `force` shortens every grace, and never
/// reaches a process that is not proven to be the monitor. A runfile that a crash left is removed.
///
/// # Errors
/// [`StopError::NotRunning`] when there is none; the others when it could not be stopped.
pub fn stop(home: &Home, port: u16, force: bool) -> Result<Stopped, StopError> {
    end(home, port, force, None)
}

fn end(home: &Home, port: u16, force: bool, successor_port: Option<u16>) -> Result<Stopped, StopError> {
    let runfile = runfiles::read(home, port);
    let runfile = runfile.filter(|_| Lock::is_held(home, port));
    let supervision = Supervision::read(home, port);
    let Some(runfile) = runfile else {
        if let Probe::Stray(stray) = probe(home, port) {
            return end_stray(&stray, if force { FORCED_GRACE } else { GRACE });
        }
        gone_within(home, port, Duration::ZERO)?;
        return stop_between_two_servers(home, port, supervision);
    };
    let (grace, order_limit) = if force { (FORCED_GRACE, FORCED_GRACE) } else { (GRACE, ORDER_LIMIT) };
    // Looked at once: while it ends, nothing else can have its pid.
    let process = author::of_runfile(&runfile);
    let clients = order(home, &runfile, order_limit, successor_port).ok();
    if clients.is_none() || !gone_within(home, port, grace)? {
        signal(home, &runfile, process.as_ref(), supervision.as_ref(), grace)?;
    }
    // So that "terminated" is true; the desktop app lives on.
    if let Some(process) = process.filter(|_| !runfile.is_in_desktop_app()) {
        process.ended_within(KILL_LIMIT);
    }
    // It ends when it sees that its server has ended well.
    supervision.map(|supervision| supervision.wait_for_end(KILL_LIMIT));
    Ok(Stopped { clients, pid: runfile.pid })
}

/// Stops a server whose control token went with its runfile: by a signal, which it obeys as it would the order.
fn end_stray(stray: &Stray, grace: Duration) -> Result<Stopped, StopError> {
    let Stray { port, process: server, mode, health } = stray;
    let supervisor = match mode {
        Mode::Desktop => return Err(StopError::InApp { port: *port, pid: server.pid }),
        Mode::Foreground | Mode::Background(None) => None,
        Mode::Background(Some(supervisor)) => Some(supervisor),
    };
    process::terminate(supervisor.unwrap_or(server).identity());
    let mut clients = Some(health.clients_connected);
    if !server.ended_within(grace) {
        clients = None;
        process::kill(server.identity());
        if !server.ended_within(KILL_LIMIT) {
            return Err(StopError::Stuck { port: *port, pid: server.pid });
        }
    }
    // It ends when it sees that its server has ended.
    supervisor.map(|supervisor| supervisor.ended_within(KILL_LIMIT));
    Ok(Stopped { clients, pid: server.pid })
}

/// Stops the supervisor of a server that has just crashed, and forgets one that gave up.
fn stop_between_two_servers(
    home: &Home,
    port: u16,
    supervision: Option<Supervision>,
) -> Result<Stopped, StopError> {
    let Some(supervision) = supervision else { return Err(StopError::NotRunning { port }) };
    let dismissed = supervision.dismiss();
    supervision.wait_for_end(GRACE);
    Supervision::remove(home, port);
    if dismissed {
        Ok(Stopped { clients: Some(0), pid: supervision.pid })
    } else {
        Err(StopError::NotRunning { port })
    }
}

/// Tells a monitor to stop, after it has shown that it is the one of the runfile: nobody else gets the token.
fn order(home: &Home, runfile: &Runfile, limit: Duration, successor_port: Option<u16>) -> Result<u64, Error> {
    let monitor = Monitor::of_with_limit(home, runfile, limit);
    let health = monitor.health()?;
    if health.server_id != runfile.server_id {
        let reason = "another server_id than that of the runfile".to_owned();
        return Err(Error::Malformed { url: monitor.url().to_owned(), reason });
    }
    monitor.shutdown(&runfile.control_token, successor_port)
}

/// Ends the process: SIGTERM, and SIGKILL when the grace is over. A supervisor is told instead of its server,
/// and hands it on: it would take an end that it does not know of for a crash.
fn signal(
    home: &Home,
    runfile: &Runfile,
    process: Option<&Process>,
    supervision: Option<&Supervision>,
    grace: Duration,
) -> Result<(), StopError> {
    let (port, pid) = (runfile.port, runfile.pid);
    let process = process.map(Process::identity);
    let told = supervision.is_some_and(Supervision::dismiss) || process.is_some_and(process::terminate);
    if !told && !gone_within(home, port, Duration::ZERO)? {
        return Err(StopError::Unproven { port, pid });
    }
    if gone_within(home, port, grace)? {
        return Ok(());
    }
    if let Some(process) = process {
        process::kill(process);
    }
    if gone_within(home, port, KILL_LIMIT)? { Ok(()) } else { Err(StopError::Stuck { port, pid }) }
}

/// Whether the lock becomes free within `limit`; removes what the server may have left.
fn gone_within(home: &Home, port: u16, limit: Duration) -> Result<bool, StopError> {
    let lock = Lock::take_within(home, port, limit).map_err(|source| StopError::Lock { port, source })?;
    if lock.is_some() {
        runfiles::remove(home, port);
    }
    Ok(lock.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::Timestamp;

    #[test]
    fn a_runfile_whose_lock_nobody_holds_is_removed_and_its_pid_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path());
        let runfile = Runfile {
            pid: std::process::id(),
            process_started_at: crate::started_at(std::process::id()).unwrap_or(Timestamp(0)),
            process_start_ticks: None,
            version: "0.1.0".to_owned(),
            host: "localhost".to_owned(),
            port: 9000,
            addresses: Vec::new(),
            server_id: "monitor-1".to_owned(),
            control_token: "secret".to_owned(),
            project: None,
            mode: "background".to_owned(),
            access: Default::default(),
        };
        runfiles::write(&home, &runfile).unwrap();
        assert!(matches!(stop(&home, 9000, true), Err(StopError::NotRunning { port: 9000 })));
        assert_eq!(runfiles::read(&home, 9000), None, "a stale runfile is cleared away");
    }
}
