//! From what senders send to one parsed event: every accepted shape is read here, once, and nowhere else.
//!
//! Accepted, alone, as a JSON array or as NDJSON: a raw hook payload of Claude Code, claude-mpm's Python
//! envelope, claude-mpm's fast-bash envelope, and our own event. What is no event is refused alone, with a
//! code and a reason; nothing else in the same body suffers.

mod body;
pub mod facts;
mod notice;
mod object;
mod shape;
mod summary;

use serde_json::value::RawValue;

pub use body::{Body, split};
pub use facts::Facts;
pub use object::Object;

use crate::kind::HookEvent;
use crate::{AgentId, Caller, EventId, Kind, SessionId, Source, Timestamp, ToolUseId};

/// Why one event was not taken; goes back to its sender.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Stable, snake_case.
    pub code: &'static str,
    /// What was wrong and what is expected.
    pub message: String,
}

impl Refusal {
    pub(crate) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

/// Which program delivered a hook event. The same hook delivered by two of them is one fact; the richer
/// delivery is the one shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Deliverer {
    /// claude-mpm's Python hook: normalised fields only.
    Python,
    /// claude-mpm's bash hook: the whole hook payload in an envelope.
    Bash,
    /// Our own hook: the whole hook payload with an id and an exact time.
    Hook,
}

/// What two deliveries of the same hook have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DuplicateKey {
    /// Who delivered it.
    pub deliverer: Deliverer,
    /// The hook event: the delivered one, or the one that a report is about.
    pub event: HookEvent,
    /// Whether this is claude-mpm's `hook_execution`, a report about another event.
    pub is_report: bool,
    /// The text of a prompt.
    pub prompt: Option<String>,
}

impl DuplicateKey {
    /// Whether a richer delivery of the same hook may follow.
    pub fn may_be_superseded(&self) -> bool {
        self.is_report || self.deliverer != Deliverer::Hook
    }
}

/// A parsed event that has no position in the log yet.
#[derive(Clone, Debug)]
pub struct Incoming {
    /// The sender's id; the store mints one when there is none.
    pub id: Option<EventId>,
    /// When it happened; the store takes the time of arrival when there is none.
    pub occurred_at: Option<Timestamp>,
    /// Who sent it.
    pub source: Source,
    /// What happened.
    pub kind: Kind,
    /// The session it belongs to.
    pub session_id: Option<SessionId>,
    /// The subagent it belongs to.
    pub agent_id: Option<AgentId>,
    /// The subagent's type.
    pub agent_type: Option<String>,
    /// The working directory.
    pub project: Option<String>,
    /// The tool call.
    pub tool_use_id: Option<ToolUseId>,
    /// The tool.
    pub tool_name: Option<String>,
    /// The prompt.
    pub prompt_id: Option<String>,
    /// The sender's measurement.
    pub duration_ms: Option<u64>,
    /// Whether it reports a failure.
    pub is_error: bool,
    /// One line for people.
    pub summary: String,
    /// What it tells about its session.
    pub facts: Box<Facts>,
    /// What to look for when another sender delivers the same hook.
    pub duplicate_key: Option<DuplicateKey>,
    /// Whether a program of this user on this machine sent it. The door says so, never the event.
    pub is_own: bool,
    /// The process of Claude Code whose hook told it.
    pub caller: Option<Caller>,
    /// What was sent, byte for byte.
    pub payload: Box<RawValue>,
}

/// Parses one event that came by `door`.
///
/// # Errors
/// A [`Refusal`] when it is no JSON object or names a field in a form that would be lost.
pub fn parse(raw: &RawValue, door: Source) -> Result<Incoming, Refusal> {
    shape::parse(raw, door)
}

/// Reads again what a stored event tells about its session.
pub fn facts(kind: &Kind, payload: &RawValue) -> Facts {
    shape::facts(kind, payload)
}

#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod tests;
