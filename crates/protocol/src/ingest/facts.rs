//! What an event tells about its session beside the fields of its row. Read once, where events are parsed, so
//! that who folds events into states never looks at JSON.

use serde_json::value::RawValue;

use super::notice;
use super::object::Object;
use super::summary::{call_line, one_line};
use crate::detail::{BackgroundTask, FileUse, Todo, TodoStatus};
use crate::kind::{HookEvent, MpmEvent};
use crate::raw::text;
use crate::session::Tokens;
use crate::{AgentId, Kind, ToolUseId, mask};

/// Entries taken of a list in one event; real lists have a few dozen.
const LIST_MAX: usize = 200;

/// Bytes kept of a plan; the event has all of it.
const PLAN_BYTES_MAX: usize = 4096;

/// Bytes kept of an id, a name or a path.
const NAME_BYTES_MAX: usize = 1024;

/// What one event tells.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Facts {
    /// The session's title.
    pub title: Option<String>,
    /// The session's model.
    pub model: Option<String>,
    /// The git branch.
    pub branch: Option<String>,
    /// Claude Code's permission mode.
    pub permission_mode: Option<String>,
    /// claude-mpm's id that pairs the two ends of a call where there is no `tool_use_id`.
    pub correlation: Option<String>,
    /// What only this kind of event tells.
    pub told: Told,
}

/// What only certain kinds of events tell. A kind without an entry here tells nothing more than its row.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Told {
    /// Nothing.
    #[default]
    Nothing,
    /// `SessionStart`.
    Start {
        /// `startup`, `resume`, `clear`, `compact`, `fork`.
        source: Option<String>,
    },
    /// `SessionEnd`.
    End {
        /// Why.
        reason: Option<String>,
    },
    /// `UserPromptSubmit`.
    Prompt {
        /// In one line.
        text: String,
    },
    /// `UserPromptSubmit` for what Claude Code tells itself: a background task has ended, or a watch saw something.
    Notice,
    /// `PreToolUse`.
    Call {
        /// Equal inputs have equal fingerprints.
        input: u64,
        /// What the tool is used for.
        usage: Usage,
    },
    /// `PermissionRequest`.
    Permission {
        /// Equal inputs have equal fingerprints.
        input: u64,
        /// What the tool is used for.
        usage: Usage,
        /// The call in one line.
        summary: String,
    },
    /// `PostToolUse`.
    Result {
        /// What the tool was used for, with what came of it.
        usage: Usage,
    },
    /// `PostToolUseFailure`.
    Failure {
        /// Whether the user stopped the tool.
        is_interrupt: bool,
    },
    /// `PermissionDenied`.
    Denied,
    /// `PostToolBatch`.
    Batch {
        /// The calls that ended.
        calls: Vec<ToolUseId>,
    },
    /// `Notification`.
    Notification {
        /// Its type, such as `idle_prompt`.
        about: Option<String>,
        /// Its text.
        message: String,
    },
    /// `SubagentStart`.
    AgentStart {
        /// What it is asked to do; only claude-mpm tells it.
        description: Option<String>,
    },
    /// `SubagentStop`.
    AgentStop {
        /// The agent by the name of its transcript, which is right where `agent_id` is not.
        transcript: Option<AgentId>,
        /// What it said last, in one line.
        message: Option<String>,
        /// What goes on in the session, where it is told.
        background: Option<Background>,
    },
    /// `TaskCreated` and `TaskCompleted`.
    Task(Task),
    /// `Stop`.
    Stop {
        /// What goes on in the session, where it is told.
        background: Option<Background>,
    },
    /// `StopFailure`.
    StopFailure {
        /// Claude Code's name of the error.
        error: String,
        /// What it said, in one line.
        message: Option<String>,
    },
    /// `Elicitation`.
    Elicitation {
        /// The MCP server.
        server: Option<String>,
        /// The question, in one line.
        message: String,
    },
    /// `ElicitationResult`.
    ElicitationResult {
        /// The MCP server.
        server: Option<String>,
    },
    /// `PreCompact`.
    Compacting,
    /// `PostCompact`, or `transcript.compaction_stopped`: no hook tells that the user stopped it.
    Compacted,
    /// claude-mpm's `todo_updated`.
    Todos(Vec<Todo>),
    /// `session.interrupted`: the user stopped the turn. Claude Code has no hook for it.
    Interrupted,
    /// `session.lost`: the session's process is gone. Claude Code has no hook for it.
    Lost,
    /// `transcript.response`.
    Response {
        /// What this one response used.
        tokens: Tokens,
    },
}

/// What a tool is used for, where it changes more than the list of calls.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub enum Usage {
    /// Anything else.
    #[default]
    Other,
    /// A file is read or changed.
    File {
        /// As the tool was told.
        path: String,
        /// How.
        how: FileUse,
    },
    /// The list is replaced.
    Todos(Vec<Todo>),
    /// A task is made or changed.
    Task(Task),
    /// A subagent is started.
    Agent {
        /// Its type.
        agent_type: Option<String>,
        /// What it is to do, in a few words.
        description: Option<String>,
        /// The agent, when the result names it.
        started: Option<AgentId>,
        /// Whether it goes on after the call.
        is_background: bool,
    },
    /// The user is asked something.
    Question {
        /// In one line.
        text: String,
    },
    /// The user is asked to accept a plan.
    Plan {
        /// Its beginning.
        text: String,
        /// The file that holds it.
        path: Option<String>,
    },
}

/// What is told of one task. What is absent stays as it was.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Task {
    /// Claude Code's id; a task has none before the result of its creation.
    pub id: Option<String>,
    /// What is to be done.
    pub subject: Option<String>,
    /// How far it is.
    pub status: Option<TaskStatus>,
    /// What to show while it is being done.
    pub active_form: Option<String>,
    /// Who is to do it.
    pub owner: Option<String>,
}

/// How far a task is, or that it is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum TaskStatus {
    /// It is on the list.
    Listed(TodoStatus),
    /// It was deleted.
    Deleted,
}

/// What goes on behind the turns of a session. All of it: what is not here has ended.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Background {
    /// Running subagents with their types.
    pub agents: Vec<(AgentId, Option<String>)>,
    /// Anything else that runs.
    pub tasks: Vec<BackgroundTask>,
    /// How many schedules will wake the session.
    pub schedules: u64,
}

impl Facts {
    /// What an event of this kind tells whose details lie in `data`; `outer` is the object around it, if any.
    pub(super) fn of(kind: &Kind, outer: &Object<'_>, data: &Object<'_>) -> Self {
        let is_hook = matches!(kind, Kind::Hook(_));
        let hook_name = |name: &str| if is_hook { name_of(data, name) } else { None };
        // What a subagent's transcript tells is not the session's.
        let is_transcript = matches!(kind, Kind::Other(name) if name.starts_with("transcript."));
        let is_session = is_hook || is_transcript && data.raw("agent_id").is_none();
        let session_name = |name: &str| if is_session { name_of(data, name) } else { None };
        let branch = name_of(data, "git_branch").filter(|branch| branch != "Unknown");
        Self {
            title: session_name("session_title").map(|title| one_line(&title)),
            model: session_name("model"),
            branch: branch.or_else(|| branch_of(data.raw("tool_response")?)),
            permission_mode: hook_name("permission_mode"),
            correlation: id_of(data, "correlation_id").or_else(|| id_of(outer, "correlation_id")),
            told: Told::of(kind, data),
        }
    }
}

/// What one response used.
fn tokens_of(data: &Object<'_>) -> Tokens {
    let counts = data.object("tokens");
    let count = |name: &str| {
        let number = counts.as_ref().and_then(|counts| counts.number(name));
        number.map_or(0, |number| number.max(0.0) as u64)
    };
    let cost = data.number("cost_usd_micros");
    Tokens {
        responses: 1,
        input: count("input"),
        output: count("output"),
        cache_write: count("cache_write_5m").saturating_add(count("cache_write_1h")),
        cache_read: count("cache_read"),
        cost_usd_micros: cost.map_or(0, |cost| cost.max(0.0) as u64),
        unpriced: u64::from(cost.is_none()),
    }
}

impl Told {
    fn of(kind: &Kind, data: &Object<'_>) -> Self {
        use HookEvent as H;
        let event = match kind {
            Kind::Hook(event) => event,
            Kind::Mpm(MpmEvent::TodoUpdated) => return Self::Todos(todos(data)),
            // A program that `run` launched.
            Kind::Other(name) if name == "session.start" => return Self::Start { source: None },
            Kind::Other(name) if name == "session.end" => {
                return Self::End { reason: name_of(data, "reason") };
            }
            Kind::Other(name) if name == "session.interrupted" => return Self::Interrupted,
            Kind::Other(name) if name == "session.lost" => return Self::Lost,
            Kind::Other(name) if name == "transcript.compaction_stopped" => return Self::Compacted,
            Kind::Other(name) if name == "transcript.response" => {
                return Self::Response { tokens: tokens_of(data) };
            }
            Kind::Mpm(_) | Kind::Other(_) => return Self::Nothing,
        };
        match event {
            H::SessionStart => Self::Start { source: name_of(data, "source") },
            H::SessionEnd => Self::End { reason: name_of(data, "reason") },
            H::UserPromptSubmit if prompt(data).is_some_and(|text| notice::told(&text).is_some()) => {
                Self::Notice
            }
            H::UserPromptSubmit => {
                Self::Prompt { text: prompt(data).map(|text| one_line(&text)).unwrap_or_default() }
            }
            H::PreToolUse => {
                let (input, usage) = input_of(data);
                Self::Call { input, usage }
            }
            // claude-mpm's Python hook reports what it decided itself: nobody is asked.
            H::PermissionRequest if data.text("decision").is_some() => Self::Nothing,
            H::PermissionRequest => {
                let (input, usage) = input_of(data);
                Self::Permission { input, usage, summary: call_line(data) }
            }
            H::PostToolUse => Self::Result { usage: Usage::of(data) },
            H::PostToolUseFailure => Self::Failure { is_interrupt: data.is_true("is_interrupt") },
            H::PermissionDenied => Self::Denied,
            H::PostToolBatch => Self::Batch { calls: batch(data) },
            H::Notification => Self::Notification {
                about: name_of(data, "notification_type"),
                message: line_of(data, &["message", "title"]),
            },
            H::SubagentStart => Self::AgentStart { description: line_in(data, "description") },
            H::SubagentStop => Self::AgentStop {
                transcript: data.text("agent_transcript_path").and_then(|path| agent_of_transcript(&path)),
                message: line_in(data, "last_assistant_message"),
                background: background(data),
            },
            H::TaskCreated => Self::Task(told_task(data, None)),
            H::TaskCompleted => Self::Task(told_task(data, Some(TodoStatus::Completed))),
            H::Stop => Self::Stop { background: background(data) },
            H::StopFailure => Self::StopFailure {
                error: name_of(data, "error").unwrap_or_else(|| "unknown".to_owned()),
                message: line_in(data, "error_details").or_else(|| line_in(data, "last_assistant_message")),
            },
            H::Elicitation => Self::Elicitation {
                server: name_of(data, "mcp_server_name"),
                message: line_of(data, &["message"]),
            },
            H::ElicitationResult => Self::ElicitationResult { server: name_of(data, "mcp_server_name") },
            H::PreCompact => Self::Compacting,
            H::PostCompact => Self::Compacted,
            _ => Self::Nothing,
        }
    }
}

fn prompt<'a>(data: &Object<'a>) -> Option<std::borrow::Cow<'a, str>> {
    data.first_text(&["prompt", "prompt_text"])
}

impl Usage {
    /// Looks only into the inputs and responses of tools that it knows: others may be large.
    fn of(data: &Object<'_>) -> Self {
        let input =
            || data.object("tool_input").or_else(|| data.object("tool_parameters")).unwrap_or_default();
        let response = || data.object("tool_response").unwrap_or_default();
        match data.text("tool_name").as_deref() {
            Some("Read") => file(&input(), FileUse::Read),
            Some("Write") => file(&input(), FileUse::Write),
            Some("Edit" | "MultiEdit" | "NotebookEdit") => file(&input(), FileUse::Edit),
            Some("TodoWrite") => todo_write(&input()),
            Some("TaskCreate") => task_create(&input(), &response()),
            Some("TaskUpdate") => task_update(&input()),
            Some("Agent" | "Task") => agent(&input(), &response()),
            Some("AskUserQuestion") => Self::Question { text: question(&input()) },
            Some("ExitPlanMode") => plan(&input()),
            _ => Self::Other,
        }
    }
}

fn input_of(data: &Object<'_>) -> (u64, Usage) {
    let input = data.raw("tool_input").map_or(0, |input| fingerprint(input.get()));
    (input, Usage::of(data))
}

fn file(input: &Object<'_>, how: FileUse) -> Usage {
    match input.first_text(&["file_path", "notebook_path"]) {
        Some(path) => Usage::File { path: masked(&path), how },
        None => Usage::Other,
    }
}

fn todo_write(input: &Object<'_>) -> Usage {
    if input.raw("todos").is_some() { Usage::Todos(todos(input)) } else { Usage::Other }
}

fn task_create(input: &Object<'_>, response: &Object<'_>) -> Usage {
    Usage::Task(Task {
        id: response.object("task").and_then(|task| scalar(&task, "id")),
        subject: line_in(input, "subject"),
        status: None,
        active_form: line_in(input, "activeForm"),
        owner: None,
    })
}

fn task_update(input: &Object<'_>) -> Usage {
    Usage::Task(Task {
        id: scalar(input, "taskId"),
        subject: line_in(input, "subject"),
        status: input.text("status").and_then(|status| task_status(&status)),
        active_form: line_in(input, "activeForm"),
        owner: name_of(input, "owner"),
    })
}

fn plan(input: &Object<'_>) -> Usage {
    let plan = input.text("plan").unwrap_or_default();
    let mut text = cut(&plan, PLAN_BYTES_MAX);
    mask::in_place(&mut text);
    Usage::Plan { text, path: name_of(input, "planFilePath") }
}

fn agent(input: &Object<'_>, response: &Object<'_>) -> Usage {
    let status = response.text("status");
    let is_launched = matches!(status.as_deref(), Some("async_launched" | "remote_launched"));
    let is_finished = status.is_some() && !is_launched;
    Usage::Agent {
        agent_type: name_of(input, "subagent_type"),
        description: line_in(input, "description"),
        started: id_of(response, "agentId").map(AgentId),
        is_background: is_launched || (!is_finished && input.is_true("run_in_background")),
    }
}

fn question(input: &Object<'_>) -> String {
    let questions = input.array("questions");
    let texts = questions.iter().take(LIST_MAX).filter_map(|raw| Object::of(raw)?.string("question"));
    one_line(&texts.collect::<Vec<_>>().join("  "))
}

fn batch(data: &Object<'_>) -> Vec<ToolUseId> {
    let calls = data.array("tool_calls");
    let ids = calls.iter().filter_map(|raw| id_of(&Object::of(raw)?, "tool_use_id"));
    ids.take(LIST_MAX).map(ToolUseId).collect()
}

fn told_task(data: &Object<'_>, status: Option<TodoStatus>) -> Task {
    Task {
        id: scalar(data, "task_id"),
        subject: line_in(data, "task_subject").or_else(|| line_in(data, "task_title")),
        status: status.map(TaskStatus::Listed),
        active_form: None,
        owner: name_of(data, "teammate_name"),
    }
}

fn todos(data: &Object<'_>) -> Vec<Todo> {
    let entry = |raw: &&RawValue| {
        let todo = Object::of(raw)?;
        Some(Todo {
            task_id: None,
            text: line_of(&todo, &["content", "text", "title"]),
            status: todo.text("status").and_then(|status| todo_status(&status)).unwrap_or_default(),
            active_form: line_in(&todo, "activeForm"),
            owner: None,
            agent_id: None,
        })
    };
    data.array("todos").iter().take(LIST_MAX).filter_map(entry).collect()
}

fn todo_status(name: &str) -> Option<TodoStatus> {
    match name {
        "pending" => Some(TodoStatus::Pending),
        "in_progress" => Some(TodoStatus::InProgress),
        "completed" => Some(TodoStatus::Completed),
        _ => None,
    }
}

fn task_status(name: &str) -> Option<TaskStatus> {
    if name == "deleted" { Some(TaskStatus::Deleted) } else { todo_status(name).map(TaskStatus::Listed) }
}

/// What goes on, when the event says it at all: claude-mpm's Python hook and old versions do not.
fn background(data: &Object<'_>) -> Option<Background> {
    data.raw("background_tasks")?;
    let mut background =
        Background { schedules: data.array("session_crons").len() as u64, ..Background::default() };
    let tasks = data.array("background_tasks");
    for task in tasks.iter().take(LIST_MAX).filter_map(|raw| Object::of(raw)) {
        let Some(id) = scalar(&task, "id") else { continue };
        if matches!(task.text("status").as_deref(), Some("completed" | "failed" | "killed" | "stopped")) {
            continue;
        }
        let kind = name_of(&task, "type").unwrap_or_default();
        if kind == "subagent" {
            background.agents.push((AgentId(id), name_of(&task, "agent_type")));
        } else {
            let description = line_of(&task, &["description", "command", "name", "tool"]);
            let description = Some(description).filter(|text| !text.is_empty());
            background.tasks.push(BackgroundTask { id, kind, description });
        }
    }
    Some(background)
}

/// `…/subagents/agent-<id>.jsonl`
fn agent_of_transcript(path: &str) -> Option<AgentId> {
    let name = path.rsplit(['/', '\\']).next()?;
    let id = name.strip_prefix("agent-")?.strip_suffix(".jsonl")?;
    (!id.is_empty()).then(|| AgentId(masked_id(id)))
}

/// The branch that a git command of the shell tool or a worktree tool worked on.
fn branch_of(response: &RawValue) -> Option<String> {
    if !["\"gitOperation\"", "\"worktreeBranch\""].iter().any(|name| response.get().contains(name)) {
        return None;
    }
    let response = Object::of(response)?;
    let commit = response.object("gitOperation").and_then(|operation| operation.object("commit"));
    commit.and_then(|commit| name_of(&commit, "branch")).or_else(|| name_of(&response, "worktreeBranch"))
}

fn name_of(object: &Object<'_>, field: &str) -> Option<String> {
    object.text(field).map(|text| masked(&text))
}

/// An id, in the form in which rows have it.
fn id_of(object: &Object<'_>, field: &str) -> Option<String> {
    object.text(field).map(|text| masked_id(&text))
}

/// A name or a path, without secrets.
fn masked(text: &str) -> String {
    let mut text = cut(text, NAME_BYTES_MAX);
    mask::name_in_place(&mut text);
    text
}

fn masked_id(text: &str) -> String {
    let mut id = cut(text, NAME_BYTES_MAX);
    mask::id_in_place(&mut id);
    id
}

/// An id that is a text or a number, as a text.
fn scalar(object: &Object<'_>, field: &str) -> Option<String> {
    let raw = object.raw(field)?;
    match text(raw) {
        Some(text) => (!text.is_empty()).then(|| masked_id(&text)),
        None => raw.get().starts_with(|c: char| c.is_ascii_digit()).then(|| cut(raw.get(), NAME_BYTES_MAX)),
    }
}

fn line_in(object: &Object<'_>, field: &str) -> Option<String> {
    object.text(field).map(|text| one_line(&text))
}

fn line_of(object: &Object<'_>, fields: &[&str]) -> String {
    object.first_text(fields).map(|text| one_line(&text)).unwrap_or_default()
}

fn cut(text: &str, bytes_max: usize) -> String {
    let mut end = text.len().min(bytes_max);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}

/// FNV-1a over the JSON without the white space between its parts. Kept in checkpoints, so it must not
/// change with the compiler as the standard library's hash may.
fn fingerprint(json: &str) -> u64 {
    const PRIME: u64 = 0x0100_0000_01b3;
    let (mut hash, mut in_string, mut is_escaped) = (0xcbf2_9ce4_8422_2325u64, false, false);
    for byte in json.bytes() {
        if !in_string && byte.is_ascii_whitespace() {
            continue;
        }
        hash = (hash ^ u64::from(byte)).wrapping_mul(PRIME);
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = in_string,
            b'"' => in_string = !in_string,
            _ => {}
        }
    }
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inputs_that_differ_only_in_white_space_between_their_parts_are_equal() {
        let same = [r#"{"a":"x y","b":[1,2]}"#, "{ \"a\" : \"x y\",\n\"b\": [1, 2] }"];
        assert_eq!(fingerprint(same[0]), fingerprint(same[1]));
        for other in [r#"{"a":"xy","b":[1,2]}"#, r#"{"a":"x y","b":[12]}"#, r#"{"a":"x\" y","b":[1,2]}"#] {
            assert_ne!(fingerprint(same[0]), fingerprint(other), "{other}");
        }
    }

    #[test]
    fn a_transcript_names_its_agent() {
        let of = |path| agent_of_transcript(path).map(|id| id.0);
        assert_eq!(of("/p/s/subagents/agent-a4d2.jsonl").as_deref(), Some("a4d2"));
        assert_eq!(of(r"C:\p\agent-b1.jsonl").as_deref(), Some("b1"));
        assert_eq!(of("/p/3f0c.jsonl"), None);
    }
}
