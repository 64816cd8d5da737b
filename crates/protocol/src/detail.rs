//! One session in full, as `GET /api/sessions/{id}` answers: everything a list leaves out, each part bounded.

use serde::{Deserialize, Serialize};

use crate::{AgentId, Seq, Session, Timestamp, ToolUseId};

/// A session with its agents, tool calls, todos, files, errors and turns.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(optional_fields))]
pub struct SessionDetail {
    /// What lists show.
    #[serde(flatten)]
    pub session: Session,
    /// Its subagents in the order in which they were first seen; parents lead to the tree.
    pub agent_tree: Vec<Agent>,
    /// Tool calls that have not ended, oldest first.
    pub open_calls: Vec<ToolCall>,
    /// The newest tool calls that ended, oldest first.
    pub recent_calls: Vec<ToolCall>,
    /// Its todo lists in one.
    pub todo_list: Vec<Todo>,
    /// The newest plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<Plan>,
    /// The files it touched lately, the newest touch last.
    pub files: Vec<TouchedFile>,
    /// The newest errors, oldest first.
    pub recent_errors: Vec<Failure>,
    /// What goes on behind the turns, other than subagents.
    pub background: Vec<BackgroundTask>,
    /// The newest turns, oldest first.
    pub recent_turns: Vec<Turn>,
}

/// A subagent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(optional_fields))]
pub struct Agent {
    /// Claude Code's id.
    pub agent_id: AgentId,
    /// Its type, such as `Explore`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_type: Option<String>,
    /// What it was asked to do, in a few words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Who started it.
    pub parent: Parent,
    /// Whether its parent goes on without waiting for it.
    pub is_background: bool,
    /// Whether it runs.
    pub status: AgentStatus,
    /// When it was first heard of.
    pub started_at: Timestamp,
    /// How many tools it called.
    #[cfg_attr(test, ts(type = "number"))]
    pub tool_calls: u64,
    /// What it said last, in one line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_message: Option<String>,
}

/// Who started a subagent. Only the result of the starting call tells it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "of", rename_all = "snake_case")]
#[cfg_attr(test, derive(ts_rs::TS))]
pub enum Parent {
    /// Nobody told yet.
    Unknown,
    /// The main thread.
    Main,
    /// Another subagent.
    Agent {
        /// Which.
        agent_id: AgentId,
    },
}

/// Whether a subagent runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
#[cfg_attr(test, derive(ts_rs::TS))]
pub enum AgentStatus {
    /// It has not ended.
    Running,
    /// It said that it ended.
    Ended {
        /// When.
        at: Timestamp,
    },
    /// It cannot run any more, but never said that it ended.
    EndUnknown {
        /// When that became clear.
        at: Timestamp,
    },
}

impl AgentStatus {
    /// Whether it runs.
    pub fn is_running(self) -> bool {
        self == Self::Running
    }

    /// When it ended, for certain or not.
    pub fn ended_at(self) -> Option<Timestamp> {
        match self {
            Self::Running => None,
            Self::Ended { at } | Self::EndUnknown { at } => Some(at),
        }
    }
}

/// A tool call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(optional_fields))]
pub struct ToolCall {
    /// Claude Code's id; claude-mpm's Python hook tells none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_use_id: Option<ToolUseId>,
    /// The tool; unknown when only a late notification told of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool: Option<String>,
    /// What it works on, in one line.
    pub summary: String,
    /// The subagent that called it; none for the main thread.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_id: Option<AgentId>,
    /// Position of the first event that told of it.
    pub seq: Seq,
    /// When it was called; when its start was lost, when it began to run as far as its end tells.
    pub started_at: Timestamp,
    /// When the user was asked for permission.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked_at: Option<Timestamp>,
    /// How it ended; absent while it has not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<CallEnd>,
}

/// How a tool call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(optional_fields))]
pub struct CallEnd {
    /// When.
    pub at: Timestamp,
    /// With what outcome.
    pub outcome: Outcome,
    /// How long the tool itself ran, as Claude Code measured it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(type = "number"))]
    pub execution_ms: Option<u64>,
    /// How long it waited before that, for permission and for hooks; known when both start and execution are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(type = "number"))]
    pub wait_ms: Option<u64>,
}

/// What came of a tool call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(test, derive(ts_rs::TS))]
pub enum Outcome {
    /// It succeeded.
    Ok,
    /// It failed.
    Failed,
    /// Auto mode did not let it run.
    Denied,
    /// The user stopped it.
    Interrupted,
    /// It is over, but nothing told how: its end was lost, or it never ran.
    Unknown,
}

/// One entry of a todo list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(optional_fields))]
pub struct Todo {
    /// The id of a task; entries of a `TodoWrite` list have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_id: Option<String>,
    /// What is to be done.
    pub text: String,
    /// How far it is.
    pub status: TodoStatus,
    /// What to show while it is being done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub active_form: Option<String>,
    /// Who is to do it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// The subagent whose list it is on; none for the main thread and for tasks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_id: Option<AgentId>,
}

/// How far a todo is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(test, derive(ts_rs::TS))]
pub enum TodoStatus {
    /// Not begun.
    #[default]
    Pending,
    /// Being done.
    InProgress,
    /// Done.
    Completed,
}

/// A plan that Claude proposed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(optional_fields))]
pub struct Plan {
    /// Its beginning.
    pub text: String,
    /// The file that holds it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Position of the event that holds all of it.
    pub seq: Seq,
    /// When it was proposed.
    pub at: Timestamp,
    /// Whether it was accepted.
    pub is_approved: bool,
}

/// A file that tools worked on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(optional_fields))]
pub struct TouchedFile {
    /// Its path, as the tool was told.
    pub path: String,
    /// How often it was read.
    #[cfg_attr(test, ts(type = "number"))]
    pub reads: u64,
    /// How often it was written whole.
    #[cfg_attr(test, ts(type = "number"))]
    pub writes: u64,
    /// How often it was edited.
    #[cfg_attr(test, ts(type = "number"))]
    pub edits: u64,
    /// What was done last.
    pub last: FileUse,
    /// When.
    pub last_at: Timestamp,
    /// Position of the event that told it.
    pub last_seq: Seq,
    /// The subagent that did it; none for the main thread.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_id: Option<AgentId>,
}

/// What a tool does with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(test, derive(ts_rs::TS))]
pub enum FileUse {
    /// `Read`.
    Read,
    /// `Write`.
    Write,
    /// `Edit`, `MultiEdit`, `NotebookEdit`.
    Edit,
}

/// An error that an event reported.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(optional_fields))]
pub struct Failure {
    /// Position of the event.
    pub seq: Seq,
    /// When it happened.
    pub at: Timestamp,
    /// The tool that failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool: Option<String>,
    /// The subagent it happened to; none for the main thread.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_id: Option<AgentId>,
    /// What happened, in one line.
    pub text: String,
}

/// Something that goes on behind the turns.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(optional_fields))]
pub struct BackgroundTask {
    /// Claude Code's id.
    pub id: String,
    /// Its type: `shell`, `monitor`, `workflow` …
    pub kind: String,
    /// What it does, in one line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// From a prompt to the end of the work on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(optional_fields))]
pub struct Turn {
    /// Position of its first event.
    pub seq: Seq,
    /// The prompt, in one line; absent when it began without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt: Option<String>,
    /// When it began.
    pub started_at: Timestamp,
    /// How many tools were called in it, by all agents.
    #[cfg_attr(test, ts(type = "number"))]
    pub tool_calls: u64,
    /// How it ended; absent while it has not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<TurnEnd>,
}

/// How a turn ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct TurnEnd {
    /// When.
    pub at: Timestamp,
    /// With what outcome; `unknown` when something else began before its end was told.
    pub outcome: Outcome,
}
