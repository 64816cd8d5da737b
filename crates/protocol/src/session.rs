//! A session as lists show it: what it is, what it is doing, and what it needs.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{AgentId, Seq, SessionId, Timestamp};

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
    /// What it is doing.
    pub status: Status,
    /// The tool calls that have not ended, the newest first; only the first few.
    pub current: Vec<CurrentCall>,
    /// Its subagents.
    pub agents: AgentCount,
    /// How far its todo lists are; absent when it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub todos: Option<Progress>,
    /// Claude Code's permission mode, such as `plan`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub permission_mode: Option<String>,
    /// What it has used; absent when no transcript told it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<Tokens>,
    /// The git branch, when an event told it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
}

/// What a session is doing, and since when.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Status {
    /// When it came into this state.
    pub since: Timestamp,
    /// The state.
    #[serde(flatten)]
    pub state: State,
}

/// The states of a session. Each follows from what was told, never from how long nothing was told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
#[cfg_attr(test, derive(ts_rs::TS), ts(optional_fields))]
pub enum State {
    /// It started and has no prompt yet.
    Idle,
    /// Claude works on a prompt.
    Working {
        /// The tool that runs; none while Claude thinks.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tool: Option<String>,
    },
    /// Somebody must answer; other agents of the session may go on meanwhile.
    NeedsYou {
        /// What is asked; of several questions the oldest.
        ask: Ask,
        /// The subagent that asks; none for the main thread.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        agent_id: Option<AgentId>,
        /// How many questions are open.
        #[cfg_attr(test, ts(type = "number"))]
        open: u64,
    },
    /// The context is being compacted.
    Compacting,
    /// The turn ended and nothing goes on.
    Done {
        /// Nobody marked it as read since.
        unread: bool,
    },
    /// The turn ended; tasks it left behind go on.
    Background {
        /// How many.
        #[cfg_attr(test, ts(type = "number"))]
        tasks: u64,
    },
    /// The turn ended; it will wake by a schedule.
    Scheduled {
        /// How many schedules.
        #[cfg_attr(test, ts(type = "number"))]
        schedules: u64,
    },
    /// The turn ended with an API error.
    Failed {
        /// Claude Code's name of the error.
        error: String,
        /// What it said.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        message: Option<String>,
    },
    /// The turn ended at a rate limit.
    RateLimited {
        /// What it said.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        message: Option<String>,
    },
    /// The user stopped the turn.
    Interrupted,
    /// It ended.
    Closed {
        /// Claude Code's reason.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// Its process is gone and never said so.
    Lost,
}

impl State {
    /// Its name on the wire.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Working { .. } => "working",
            Self::NeedsYou { .. } => "needs_you",
            Self::Compacting => "compacting",
            Self::Done { .. } => "done",
            Self::Background { .. } => "background",
            Self::Scheduled { .. } => "scheduled",
            Self::Failed { .. } => "failed",
            Self::RateLimited { .. } => "rate_limited",
            Self::Interrupted => "interrupted",
            Self::Closed { .. } => "closed",
            Self::Lost => "lost",
        }
    }

    /// The names of all states.
    pub const NAMES: &'static [&'static str] = &[
        "idle",
        "working",
        "needs_you",
        "compacting",
        "done",
        "background",
        "scheduled",
        "failed",
        "rate_limited",
        "interrupted",
        "closed",
        "lost",
    ];
}

/// How many sessions there are, all that are stored.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct SessionCounts {
    /// All of them.
    #[cfg_attr(test, ts(type = "number"))]
    pub total: u64,
    /// Those that have not ended.
    #[cfg_attr(test, ts(type = "number"))]
    pub open: u64,
    /// Those that are done and nobody has seen it.
    #[cfg_attr(test, ts(type = "number"))]
    pub unread: u64,
    /// Their agents that run.
    #[cfg_attr(test, ts(type = "number"))]
    pub agents: u64,
    /// By the name of their state. Those that still wait to be computed anew are in none.
    #[cfg_attr(test, ts(type = "Record<string, number>"))]
    pub states: BTreeMap<String, u64>,
}

/// What somebody must answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
#[cfg_attr(test, derive(ts_rs::TS), ts(optional_fields))]
pub enum Ask {
    /// Whether a tool may run.
    Permission {
        /// The tool; unknown when only a late notification told of it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tool: Option<String>,
        /// What it would work on, in one line.
        summary: String,
    },
    /// A question of Claude's own (`AskUserQuestion`).
    Question {
        /// Its text.
        text: String,
    },
    /// Whether a plan is good (`ExitPlanMode`).
    Plan,
    /// A question of an MCP server.
    Elicitation {
        /// The server; unknown when only a late notification told of it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        server: Option<String>,
        /// Its text.
        message: String,
    },
}

/// A tool call that has not ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(optional_fields))]
pub struct CurrentCall {
    /// The tool; unknown when only a late notification told of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool: Option<String>,
    /// What it works on, in one line.
    pub summary: String,
    /// The subagent that called it; none for the main thread.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_id: Option<AgentId>,
    /// When it was called.
    pub since: Timestamp,
}

/// How many subagents a session has had.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct AgentCount {
    /// All that are remembered.
    #[cfg_attr(test, ts(type = "number"))]
    pub total: u64,
    /// Those that have not ended.
    #[cfg_attr(test, ts(type = "number"))]
    pub running: u64,
}

/// What a session has used, by the responses that its transcripts tell; its subagents are counted too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Tokens {
    /// Responses of the API.
    #[cfg_attr(test, ts(type = "number"))]
    pub responses: u64,
    /// Tokens read that came from no cache.
    #[cfg_attr(test, ts(type = "number"))]
    pub input: u64,
    /// Tokens written.
    #[cfg_attr(test, ts(type = "number"))]
    pub output: u64,
    /// Tokens put into a cache.
    #[cfg_attr(test, ts(type = "number"))]
    pub cache_write: u64,
    /// Tokens read from a cache.
    #[cfg_attr(test, ts(type = "number"))]
    pub cache_read: u64,
    /// What the priced responses cost by the price table, in millionths of a US dollar. Computed, not billed.
    #[cfg_attr(test, ts(type = "number"))]
    pub cost_usd_micros: u64,
    /// Responses of models that have no price: the cost is without them.
    #[cfg_attr(test, ts(type = "number"))]
    pub unpriced: u64,
}

impl Tokens {
    /// Adds what another part used.
    pub fn add(&mut self, other: &Self) {
        let pairs = [
            (&mut self.responses, other.responses),
            (&mut self.input, other.input),
            (&mut self.output, other.output),
            (&mut self.cache_write, other.cache_write),
            (&mut self.cache_read, other.cache_read),
            (&mut self.cost_usd_micros, other.cost_usd_micros),
            (&mut self.unpriced, other.unpriced),
        ];
        for (sum, part) in pairs {
            *sum = sum.saturating_add(part);
        }
    }
}

/// How far a todo list is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(optional_fields))]
pub struct Progress {
    /// Finished entries.
    #[cfg_attr(test, ts(type = "number"))]
    pub done: u64,
    /// All entries.
    #[cfg_attr(test, ts(type = "number"))]
    pub total: u64,
    /// What is being done now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current: Option<String>,
}
