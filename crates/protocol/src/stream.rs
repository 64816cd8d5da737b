//! The messages of the `/stream` namespace: everything once, then changes, numbered so that nothing is lost
//! unseen.

use serde::{Deserialize, Serialize};

use crate::session::SessionCounts;
use crate::{Row, Seq, Session};

/// Client → server, event `subscribe`. Everything is optional.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[cfg_attr(test, derive(ts_rs::TS), ts(optional_fields))]
pub struct Subscribe {
    /// Send what came after this position; without it, the newest rows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<Seq>,
    /// How many rows the snapshot may hold (default 500, at most 1000).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(type = "number"))]
    pub limit: Option<usize>,
    /// Only rows that match.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter: Option<Filter>,
}

/// Which rows a subscriber wants: each given field must match.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[cfg_attr(test, derive(ts_rs::TS), ts(optional_fields))]
pub struct Filter {
    /// Exactly this session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// Exactly this project, or a folder above it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// One of these kinds.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(test, ts(as = "Option<Vec<String>>"))]
    pub kinds: Vec<String>,
    /// Exactly this tool.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool: Option<String>,
    /// This agent's id or type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// Only failures (`true`) or only the rest (`false`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<bool>,
}

impl Filter {
    /// Whether a row passes.
    pub fn matches(&self, row: &Row) -> bool {
        let session = self.session.as_deref();
        let agent = self.agent.as_deref();
        let project = row.project.as_deref();
        session.is_none_or(|s| row.session_id.as_ref().is_some_and(|id| id.as_str() == s))
            && self.project.as_deref().is_none_or(|p| project.is_some_and(|row| is_within(row, p)))
            && (self.kinds.is_empty() || self.kinds.iter().any(|k| k == row.kind.as_str()))
            && self.tool.as_deref().is_none_or(|t| row.tool_name.as_deref() == Some(t))
            && agent.is_none_or(|a| {
                row.agent_type.as_deref() == Some(a)
                    || row.agent_id.as_ref().is_some_and(|id| id.as_str() == a)
            })
            && self.error.is_none_or(|error| row.is_error == error)
    }
}

/// Whether `path` is `folder` or lies below it.
pub fn is_within(path: &str, folder: &str) -> bool {
    let folder = folder.trim_end_matches(['/', '\\']);
    path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '\\']))
}

/// Server → client, the acknowledgement of `subscribe`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Snapshot {
    /// Identity of the store; another one means that positions start over.
    pub epoch: String,
    /// Version of the server; a page from another version offers to reload.
    pub server_version: String,
    /// Position up to which the snapshot is complete; live rows come after it.
    pub last_seq: Seq,
    /// Rows, oldest first.
    pub snapshot: Vec<Row>,
    /// Sessions, the most recently active first, and behind them some that wait for their user however long ago they were.
    pub sessions: Vec<Session>,
    /// How many there are in all.
    #[serde(default)]
    pub counts: SessionCounts,
    /// With `after`: more rows lie between the last one sent and `last_seq`. Without: older rows exist.
    pub has_more: bool,
}

/// Server → client, event `events`: new rows in order, at most 20 batches a second, or 40 to a client that catches up.
/// Event `unstored`: rows that could not be kept; their position is 0, and this is the only time they are shown.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Batch {
    /// Oldest first.
    pub rows: Vec<Row>,
}

/// Server → client, event `gap`: rows that this subscriber was too slow for; `GET /api/events?after=` has
/// them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Gap {
    /// First missed position.
    pub from: Seq,
    /// Last missed position.
    pub to: Seq,
}

/// Server → client, event `sessions`: sessions that changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct SessionsChanged {
    /// Their new state.
    pub changed: Vec<Session>,
    /// How many sessions there are in all now.
    #[serde(default)]
    pub counts: SessionCounts,
}
