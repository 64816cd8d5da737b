//! What the supervisor of a background server leaves on disk: who it is, and what became of its server.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use protocol::Timestamp;
use protocol::paths::Home;
use serde::{Deserialize, Serialize};

use crate::process::{self, Identity};
use crate::runfiles;

/// How often a waiter looks again.
const POLL: Duration = Duration::from_millis(20);

/// The record of a supervisor, `monitor/run/<port>.supervisor`. It lives as long as the supervisor, and longer
/// only after the supervisor gave its server up: then it says why no server runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Supervision {
    /// The supervising process.
    pub pid: u32,
    /// When that process started; a reused pid has another start time.
    pub process_started_at: Timestamp,
    /// What its server does.
    pub state: Supervised,
    /// How often it has started the server again.
    pub restarts: u32,
    /// How the server ended the last time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_crash: Option<Crash>,
    /// Where the server's log is.
    pub log: PathBuf,
    /// What the server was started with, so that a restart can do the same.
    #[serde(default)]
    pub arguments: Vec<String>,
}

/// What a supervised server does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Supervised {
    /// It serves.
    Serving,
    /// It crashed and is being started again.
    Restarting,
    /// It crashed, and somebody else has its port: it is started again when that is free.
    Waiting,
    /// It crashed too often in a row and is not started again.
    GaveUp,
}

/// An end that nobody ordered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Crash {
    /// When it was noticed.
    pub at: Timestamp,
    /// How the process ended, such as `signal: 9 (SIGKILL)`.
    pub reason: String,
    /// The last lines that it wrote.
    pub output: String,
}

impl Supervision {
    /// The record of a port: of a supervisor that lives, or of one that gave up. What a killed supervisor left
    /// is none.
    pub fn read(home: &Home, port: u16) -> Option<Self> {
        let record: Self = serde_json::from_slice(&private::read(&home.supervisor(port)).ok()?).ok()?;
        (record.state == Supervised::GaveUp || record.is_alive()).then_some(record)
    }

    /// Every record as [`Supervision::read`] sees it, with its port.
    pub fn list(home: &Home) -> Vec<(u16, Self)> {
        let Ok(entries) = fs::read_dir(home.run()) else { return Vec::new() };
        let names = entries.filter_map(Result::ok).map(|entry| entry.file_name());
        let ports = names.filter_map(|name| name.to_str()?.strip_suffix(".supervisor")?.parse().ok());
        let mut records: Vec<_> = ports.filter_map(|port| Some((port, Self::read(home, port)?))).collect();
        records.sort_by_key(|(port, _)| *port);
        records
    }

    /// Puts the record in place of any former one of its port, whole or not at all.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, home: &Home, port: u16) -> io::Result<()> {
        runfiles::make_folders(home)?;
        private::replace(&home.supervisor(port), &serde_json::to_vec_pretty(self)?)
    }

    /// Removes the record of a port; that there is none is fine.
    pub fn remove(home: &Home, port: u16) {
        // Whoever finds a leftover asks whether its process lives.
        let _ = fs::remove_file(home.supervisor(port));
    }

    /// Whether the supervisor still runs.
    pub fn is_alive(&self) -> bool {
        process::is_running(self.identity())
    }

    /// Asks the supervisor to end its server and itself; false when it is gone. From then on it starts nothing
    /// again, however its server ends.
    pub fn dismiss(&self) -> bool {
        process::terminate(self.identity())
    }

    /// Waits until the supervisor is gone; false when it lives for longer than `limit`.
    pub fn wait_for_end(&self, limit: Duration) -> bool {
        let started = Instant::now();
        while self.is_alive() {
            if started.elapsed() >= limit {
                return false;
            }
            std::thread::sleep(POLL);
        }
        true
    }

    fn identity(&self) -> Identity {
        Identity { pid: self.pid, started_at: self.process_started_at }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(pid: u32, started_at: Timestamp, state: Supervised) -> Supervision {
        let last_crash =
            Some(Crash { at: Timestamp(5), reason: "signal: 9".to_owned(), output: "why".to_owned() });
        let log = PathBuf::from("monitor.log");
        Supervision {
            pid,
            process_started_at: started_at,
            state,
            restarts: 2,
            last_crash,
            log,
            arguments: Vec::new(),
        }
    }

    #[test]
    fn a_record_counts_while_its_supervisor_lives_or_when_it_gave_up() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path());
        assert_eq!(Supervision::read(&home, 9000), None);
        let own = crate::started_at(std::process::id()).unwrap();
        let living = record(std::process::id(), own, Supervised::Restarting);
        living.write(&home, 9000).unwrap();
        assert_eq!(Supervision::read(&home, 9000).as_ref(), Some(&living));
        let reused = record(std::process::id(), Timestamp(own.0 - 60_000), Supervised::Serving);
        reused.write(&home, 9001).unwrap();
        assert_eq!(Supervision::read(&home, 9001), None, "its pid belongs to another process now");
        assert!(!reused.dismiss(), "and is left alone");
        let gave_up = Supervision { state: Supervised::GaveUp, ..reused };
        gave_up.write(&home, 9002).unwrap();
        assert_eq!(Supervision::list(&home), [(9000, living), (9002, gave_up)]);
        assert_eq!(runfiles::list(&home).unwrap(), [], "a record is no runfile");
        Supervision::remove(&home, 9000);
        assert_eq!(Supervision::read(&home, 9000), None);
    }
}
