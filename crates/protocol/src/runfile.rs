//! The runfile: what a running server leaves on disk so that this user's other processes find it.

use serde::{Deserialize, Serialize};

use crate::{Address, Timestamp, address};

/// `monitor/run/<port>.json`, mode 0600. A hint, never a proof: who holds the lock beside it is alive, and
/// `/health` with the same `server_id` says that it serves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Runfile {
    /// The serving process.
    pub pid: u32,
    /// When that process started; a reused pid has another start time.
    pub process_started_at: Timestamp,
    /// The same as Linux counts it, in ticks since the machine started: unlike a time it is the same after the clock was
    /// changed. `None` where the system does not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process_start_ticks: Option<u64>,
    /// The server's version.
    pub version: String,
    /// The address it was asked to listen on.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Random identity, also in `/health`.
    pub server_id: String,
    /// A secret that only this user can read; it authorises `POST /api/shutdown`.
    pub control_token: String,
    /// The project it was started for; none takes every project.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// `foreground`, `background` or [`DESKTOP`].
    pub mode: String,
    /// What it asks of its callers.
    #[serde(default)]
    pub access: Access,
}

/// The mode of a server inside the desktop app.
pub const DESKTOP: &str = "desktop";

impl Runfile {
    /// Whether the server is part of the desktop app, which lives on without it.
    pub fn is_in_desktop_app(&self) -> bool {
        self.mode == DESKTOP
    }

    /// Where a program on this machine reaches the server.
    pub fn address(&self) -> Address {
        Address::at(&self.host, self.port)
    }

    /// Whether no other machine can reach it.
    pub fn is_for_this_machine(&self) -> bool {
        address::is_loopback(&self.host)
    }

    /// Whether an address that somebody named is the server's: its port on this machine, or on the very host that it
    /// listens on.
    pub fn is_at(&self, named: &Address) -> bool {
        named.port == self.port && (named.names_this_machine() || named.is_same_host(&self.host))
    }
}

/// When a process started that runs, in the words of its `/proc/PID/stat`. One that has ended, and whose parent has not
/// asked for its exit code yet, runs no more: its ports may be another's.
pub fn start_ticks(stat: &str) -> Option<u64> {
    // The name before may hold anything, blanks and brackets too.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_ascii_whitespace();
    let runs = !matches!(fields.next()?, "Z" | "X" | "x");
    runs.then(|| fields.nth(18)?.parse().ok()).flatten()
}

/// What a server asks of its callers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Access {
    /// Whether everybody needs a token: that of the user's home, or for this user's programs the control token.
    pub token: bool,
    /// SHA-256 of its certificate, when it serves HTTPS. Programs on its own machine may speak plain HTTP with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_fingerprint: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_start_of_a_process_is_found_behind_whatever_its_name_is() {
        let rest = "S 1 4242 4242 0 -1 4194560 1 0 0 0 10 11 12 13 20 0 5 0 987654 22 23";
        for name in ["claude-mpm-moni", "a b", "1) S 2 (", ""] {
            assert_eq!(start_ticks(&format!("4242 ({name}) {rest}")), Some(987_654), "{name:?}");
        }
        for broken in ["", "4242 (name", "4242 (name) S 1"] {
            assert_eq!(start_ticks(broken), None, "{broken:?}");
        }
        for ended in ["Z", "X"] {
            let stat = format!("4242 (name) {}", rest.replacen('S', ended, 1));
            assert_eq!(start_ticks(&stat), None, "a process in state {ended} runs no more");
        }
    }
}
