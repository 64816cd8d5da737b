//! A session as viewers see it.

use serde::{Deserialize, Serialize};

use crate::{Seq, SessionId, Timestamp};

/// What is known of one Claude Code session.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(optional_fields))]
pub struct Session {
    /// Claude Code's id.
    pub session_id: SessionId,
    /// The newest working directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// Its title, when Claude Code gave one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Its model, when known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// When its first event happened.
    pub started_at: Timestamp,
    /// When its newest event happened.
    pub last_event_at: Timestamp,
    /// Position of its newest event.
    pub last_seq: Seq,
    /// How many events were stored, duplicates not counted.
    #[cfg_attr(test, ts(type = "number"))]
    pub events: u64,
    /// How many of them report a failure.
    #[cfg_attr(test, ts(type = "number"))]
    pub errors: u64,
    /// How many tool calls were started.
    #[cfg_attr(test, ts(type = "number"))]
    pub tool_calls: u64,
    /// The summary of its newest event.
    pub last_summary: String,
    /// When it ended, after `SessionEnd`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
}
