//! The runfile: what a running server leaves on disk so that this user's other processes find it.

use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// `monitor/run/<port>.json`, mode 0600. A hint, never a proof: who holds the lock beside it is alive, and
/// `/health` with the same `server_id` says that it serves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Runfile {
    /// The serving process.
    pub pid: u32,
    /// When that process started; a reused pid has another start time.
    pub process_started_at: Timestamp,
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
