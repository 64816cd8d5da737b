//! One of this user's servers, as `/api/instances` lists them and as its own messages name it.

use serde::{Deserialize, Serialize};

/// A server as the raw WebSocket API names it in its messages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceInfo {
    /// Its port.
    pub port: u16,
    /// Where it listens.
    pub host: String,
    /// Its working directory.
    pub working_dir: Option<String>,
}

/// A server of claude-mpm's own on this machine, written in Python, as `/api/legacy` lists them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(optional_fields))]
pub struct LegacyServer {
    /// Its port.
    pub port: u16,
    /// What it is, for people.
    pub name: String,
    /// The serving process; none when neither it nor the system tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// Its version, as it says itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

/// A server that this user runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(optional_fields))]
pub struct Instance {
    /// Its port.
    pub port: u16,
    /// Where its dashboard is.
    pub url: String,
    /// The serving process.
    #[cfg_attr(test, ts(type = "number"))]
    pub pid: u32,
    /// Random identity of its run.
    pub server_id: String,
    /// Its version.
    pub version: String,
    /// The project it was started for; none takes every project.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// `running`, or `not answering`.
    pub status: String,
}
