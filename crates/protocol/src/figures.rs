//! Figures over stored events, the answer of `GET /api/figures`: how many, how often, how long; and who is connected.

use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// What the events that match a query have in common.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Figures {
    /// How many events were counted.
    #[cfg_attr(test, ts(type = "number"))]
    pub events: u64,
    /// How many of them report a failure.
    #[cfg_attr(test, ts(type = "number"))]
    pub errors: u64,
    /// Whether all that match were counted; otherwise only the newest.
    pub is_complete: bool,
    /// When the first counted bucket begins.
    pub from: Timestamp,
    /// Width of a bucket, in milliseconds.
    #[cfg_attr(test, ts(type = "number"))]
    pub bucket_ms: i64,
    /// The counted events by when they happened, without holes.
    pub buckets: Vec<Bucket>,
    /// How long tool calls ran.
    pub calls: Spread,
    /// The time between an event and its arrival, for events that hooks sent.
    pub delivery: Spread,
    /// By tool, the most frequent first.
    pub tools: Vec<Share>,
    /// By kind.
    pub kinds: Vec<Share>,
    /// By session.
    pub sessions: Vec<Share>,
    /// By the name of the project's folder.
    pub projects: Vec<Share>,
    /// By type of subagent; `main` for none.
    pub agents: Vec<Share>,
    /// By the door or sender they came from.
    pub sources: Vec<Share>,
    /// Size of the store on disk, in bytes.
    #[cfg_attr(test, ts(type = "number"))]
    pub store_bytes: u64,
}

/// The events of one stretch of time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Bucket {
    /// How many.
    #[cfg_attr(test, ts(type = "number"))]
    pub events: u64,
    /// How many of them report a failure.
    #[cfg_attr(test, ts(type = "number"))]
    pub errors: u64,
    /// How long the tool calls that ended in it ran.
    pub calls: Spread,
}

/// How a duration spreads, in milliseconds; all 0 when there is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Spread {
    /// How many.
    #[cfg_attr(test, ts(type = "number"))]
    pub count: u64,
    /// Half of them are shorter.
    #[cfg_attr(test, ts(type = "number"))]
    pub p50_ms: u64,
    /// 95 % of them are shorter.
    #[cfg_attr(test, ts(type = "number"))]
    pub p95_ms: u64,
    /// The longest.
    #[cfg_attr(test, ts(type = "number"))]
    pub max_ms: u64,
}

/// The events that have one value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(optional_fields))]
pub struct Share {
    /// The value.
    pub name: String,
    /// How many.
    #[cfg_attr(test, ts(type = "number"))]
    pub events: u64,
    /// How many of them report a failure.
    #[cfg_attr(test, ts(type = "number"))]
    pub errors: u64,
    /// How long its tool calls ran.
    pub calls: Spread,
    /// When its newest event happened.
    pub last_at: Timestamp,
    /// The project of a session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
}
