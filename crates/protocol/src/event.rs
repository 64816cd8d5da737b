//! The event: one normalised fact about a Claude Code session, as stored and as sent to viewers.

use std::fmt;
use std::sync::Mutex;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use uuid::{ContextV7, Uuid};

use crate::names::NOTICE;
use crate::{HookEvent, Incoming, Kind, Timestamp};

/// Position in the log: 1, 2, 3 … in the order in which events were stored and broadcast.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
#[cfg_attr(test, derive(ts_rs::TS), ts(type = "number"))]
pub struct Seq(pub u64);

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Identity of an event across deliveries (UUIDv7 when we mint it): sending it again changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
#[cfg_attr(test, derive(ts_rs::TS), ts(type = "string"))]
pub struct EventId(pub Uuid);

/// Orders the ids of one millisecond.
static WITHIN_MS: Mutex<ContextV7> = Mutex::new(ContextV7::new());

impl EventId {
    /// A new one, which sorts by that time. Times before 1970 have no number there and count as its beginning.
    pub fn new(at: Timestamp) -> Self {
        let ms = at.0.max(0).unsigned_abs();
        let nanos = u32::try_from(ms % 1000).unwrap_or_default() * 1_000_000;
        Self(Uuid::new_v7(uuid::Timestamp::from_unix(&WITHIN_MS, ms / 1000, nanos)))
    }
}

/// A string newtype: text that means one thing and is never mixed up with another.
macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        #[cfg_attr(test, derive(ts_rs::TS), ts(type = "string"))]
        pub struct $name(pub String);

        impl $name {
            /// The text itself.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

text_id!(
    /// Claude Code's `session_id`.
    SessionId
);
text_id!(
    /// Claude Code's `agent_id`; absent on the main thread of a session.
    AgentId
);
text_id!(
    /// Claude Code's `tool_use_id`: pairs a tool call's start with its end.
    ToolUseId
);

/// Who sent an event: the door it came by, or the sender that named itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(test, derive(ts_rs::TS))]
pub enum Source {
    /// Our own `claude-mpm-hook`.
    Hook,
    /// claude-mpm's Python or bash hook.
    MpmHook,
    /// Anybody's `POST /api/events`.
    Http,
    /// A Socket.IO client.
    Socketio,
    /// A raw WebSocket client.
    Websocket,
    /// `claude-mpm-monitor run`.
    Run,
    /// OpenTelemetry from Claude Code.
    Otlp,
    /// A Claude Code transcript.
    Transcript,
    /// The monitor itself.
    Monitor,
}

impl Source {
    /// Every source, in the order of its stored code.
    pub const ALL: [Self; 9] = [
        Self::Hook,
        Self::MpmHook,
        Self::Http,
        Self::Socketio,
        Self::Websocket,
        Self::Run,
        Self::Otlp,
        Self::Transcript,
        Self::Monitor,
    ];

    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hook => "hook",
            Self::MpmHook => "mpm_hook",
            Self::Http => "http",
            Self::Socketio => "socketio",
            Self::Websocket => "websocket",
            Self::Run => "run",
            Self::Otlp => "otlp",
            Self::Transcript => "transcript",
            Self::Monitor => "monitor",
        }
    }

    /// The source of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|source| source.as_str() == name)
    }
}

/// A stored event without its payload: what lists show and what is broadcast live.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(optional_fields))]
pub struct Row {
    /// Position in the log.
    pub seq: Seq,
    /// Identity across deliveries.
    pub id: EventId,
    /// When the server took it in.
    pub received_at: Timestamp,
    /// When it happened, by the sender's clock; the server's when the sender named none.
    pub occurred_at: Timestamp,
    /// Who sent it.
    pub source: Source,
    /// What happened.
    pub kind: Kind,
    /// The session it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_id: Option<SessionId>,
    /// The subagent it belongs to; none on a session's main thread.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_id: Option<AgentId>,
    /// The subagent's type, such as `Explore`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_type: Option<String>,
    /// The working directory of the session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// The tool call it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_use_id: Option<ToolUseId>,
    /// The tool it is about, such as `Bash`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_name: Option<String>,
    /// The prompt (turn) it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt_id: Option<String>,
    /// How long it took, as the sender measured it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(type = "number"))]
    pub duration_ms: Option<u64>,
    /// Whether it reports a failure.
    pub is_error: bool,
    /// One line for people, at most 300 bytes.
    pub summary: String,
    /// A richer event about the same fact, when another sender delivered that too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duplicate_of: Option<Seq>,
}

impl Row {
    /// Whether it came as a prompt, and is what Claude Code tells itself: no word of the user's.
    pub fn is_notice(&self) -> bool {
        let is_prompt = self.kind == Kind::Hook(HookEvent::UserPromptSubmit);
        is_prompt && self.summary.strip_prefix(NOTICE).is_some_and(|rest| rest.starts_with("  "))
    }

    /// The row of a parsed event at its place in the log.
    pub fn of(incoming: Incoming, seq: Seq, id: EventId, received_at: Timestamp) -> Self {
        Self {
            seq,
            id,
            received_at,
            occurred_at: incoming.occurred_at.unwrap_or(received_at),
            source: incoming.source,
            kind: incoming.kind,
            session_id: incoming.session_id,
            agent_id: incoming.agent_id,
            agent_type: incoming.agent_type,
            project: incoming.project,
            tool_use_id: incoming.tool_use_id,
            tool_name: incoming.tool_name,
            prompt_id: incoming.prompt_id,
            duration_ms: incoming.duration_ms,
            is_error: incoming.is_error,
            summary: incoming.summary,
            duplicate_of: None,
        }
    }
}

/// The process of Claude Code that called a hook, as the hook saw it. A pid alone proves nothing: it may be another's by
/// now, or mean another process elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Caller {
    /// Its pid.
    pub pid: u32,
    /// When it started, in ticks since the system did.
    pub started: u64,
    /// The pid namespace in which it has that pid.
    pub namespace: u64,
}

/// A stored event with its payload, byte for byte as it was sent.
#[derive(Clone, Debug, Serialize)]
pub struct Event {
    /// Everything but the payload.
    #[serde(flatten)]
    pub row: Row,
    /// What the sender sent.
    pub payload: Box<RawValue>,
    /// Whether a program of this user on this machine has just sent it. Not kept: of a stored event nobody knows.
    #[serde(skip)]
    pub is_own: bool,
    /// Whose hook told it. Not kept either.
    #[serde(skip)]
    pub caller: Option<Caller>,
}
