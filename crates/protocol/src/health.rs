//! The answer of `/health`: the reference's fields and those of its standalone server, united.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::spool::SpoolHealth;
use crate::{Seq, Timestamp};

/// Who serves and how it fares. The fields of a foreign or older monitor that are missing take defaults, so
/// that a probe can read any of them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Health {
    /// `running`.
    pub status: String,
    /// `claude-mpm-monitor`.
    pub service: String,
    /// Version of this product.
    pub version: String,
    /// The port served.
    pub port: u16,
    /// The serving process.
    #[cfg_attr(test, ts(type = "number | null"))]
    pub pid: Option<u32>,
    /// Whole seconds since start.
    #[cfg_attr(test, ts(type = "number"))]
    pub uptime: u64,
    /// The host it was asked to listen on.
    pub host: String,
    /// Same as `version`; the name that standalone servers use.
    pub server_version: String,
    /// Random identity of this server run, also in its runfile.
    pub server_id: String,
    /// Seconds since start, with fraction.
    pub uptime_seconds: f64,
    /// When it started, RFC 3339.
    pub start_time: String,
    /// Now, by the server's clock, RFC 3339.
    pub timestamp: String,
    /// Connected viewers, all transports.
    #[cfg_attr(test, ts(type = "number"))]
    pub clients_connected: u64,
    /// Versions that clients named when they connected, by connection.
    pub client_versions: BTreeMap<String, String>,
    /// Counters since start.
    pub health_stats: HealthStats,
    /// Versions of what it is built on.
    pub dependencies: BTreeMap<String, String>,
    /// `ok`, or `degraded: <reason>`.
    pub store: String,
    /// While sessions are computed anew that another version of the monitor wrote.
    pub rebuild: Option<Rebuild>,
    /// How the spool fares.
    pub spool: SpoolHealth,
    /// Whether events are kept.
    pub capture: CaptureHealth,
    /// Position of the newest stored event.
    pub last_seq: Seq,
    /// `foreground`, `background` or `desktop`.
    pub mode: String,
    /// Where the dashboard is to be opened; none when it is switched off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dashboard_port: Option<u16>,
    /// `development`, `production` or `docker`.
    pub profile: String,
}

/// The answer of `/status`: health, and who is connected.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Status {
    /// As `/health` answers.
    #[serde(flatten)]
    pub health: Health,
    /// Connected viewers, the oldest first; of very many the oldest ones.
    pub clients: Vec<ClientInfo>,
}

/// One connected viewer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct ClientInfo {
    /// Random, for as long as it is connected.
    pub id: String,
    /// What it is, for people: `Browser`, `CLI Monitor`, `Hook`, `Python`, `Node.js`, `External Tool`, or what it
    /// registered as.
    pub kind: String,
    /// What it calls itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Where it connects from: address and port.
    pub address: String,
    /// `socket.io websocket`, `socket.io polling` or `websocket`.
    pub transport: String,
    /// The Socket.IO namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// The version that it named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Since when, in milliseconds since 1970.
    pub connected_at: Timestamp,
}

/// How far something is that takes a while.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Rebuild {
    /// So many sessions are done.
    #[cfg_attr(test, ts(type = "number"))]
    pub done: u64,
    /// Of so many.
    #[cfg_attr(test, ts(type = "number"))]
    pub total: u64,
}

/// Counters since start.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct HealthStats {
    /// Events stored.
    #[cfg_attr(test, ts(type = "number"))]
    pub events_processed: u64,
    /// Clients that ever connected.
    #[cfg_attr(test, ts(type = "number"))]
    pub clients_served: u64,
    /// Events refused.
    #[cfg_attr(test, ts(type = "number"))]
    pub errors: u64,
    /// When the newest event was stored.
    pub last_activity: Option<Timestamp>,
}

/// Whether events are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct CaptureHealth {
    /// Events that come now are not kept.
    pub paused: bool,
    /// When the pause ends by itself.
    pub until: Option<Timestamp>,
    /// Events not kept since start.
    #[cfg_attr(test, ts(type = "number"))]
    pub skipped: u64,
}
