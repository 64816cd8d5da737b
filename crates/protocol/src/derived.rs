//! An event in the words of the raw WebSocket API: `session.start`, `claude.output`, `todo.update` and the
//! rest, computed from the stored event alone.

use serde_json::{Map, Value, json};

use crate::instance::InstanceInfo;
use crate::kind::{HookEvent, MpmEvent, snake_case};
use crate::{Event, Kind, Timestamp, legacy};

/// Groups of that API's names, written `group.name` or `group:name`. Events that come under such a name are
/// passed on under it.
const GROUPS: &[&str] = &["session", "claude", "agent", "todo", "memory", "ticket", "system", "client"];

/// What only a server says of itself; an event of that name is somebody's claim, not our state.
const RESERVED: &[&str] = &["system.status", "system.gap", "system.shutdown", "system.restart"];

/// Which events give which messages besides their own `hook.…`.
const MEANINGS: &[(&str, &[HookEvent])] = &[
    ("session.start", &[HookEvent::SessionStart]),
    ("session.end", &[HookEvent::SessionEnd]),
    ("claude.status", &[HookEvent::SessionStart, HookEvent::SessionEnd]),
    ("claude.output", &[HookEvent::Stop]),
    ("agent.delegation", &[HookEvent::PreToolUse]),
    ("agent.status", &[HookEvent::SubagentStart, HookEvent::SubagentStop, HookEvent::TeammateIdle]),
    ("todo.update", &[HookEvent::PreToolUse, HookEvent::TaskCreated, HookEvent::TaskCompleted]),
    ("system.error", &[HookEvent::StopFailure, HookEvent::PostToolUseFailure]),
];

/// One message of the API, without its envelope.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// Its type, such as `agent.delegation`.
    pub r#type: String,
    /// What it says.
    pub data: Map<String, Value>,
}

/// What an event tells: first what it means in the API's own words, last the hook with all its data. No type
/// occurs twice. A duplicate tells nothing. `started_at` is the start of the event's session, where known.
pub fn messages(event: &Event, instance: &InstanceInfo, started_at: Option<Timestamp>) -> Vec<Message> {
    if event.row.duplicate_of.is_some() {
        return Vec::new();
    }
    if let Kind::Other(name) = &event.row.kind
        && is_of_the_api(name)
    {
        return vec![own(event, name, instance)];
    }
    let data = legacy::data(event);
    let mut messages = meaning(event, &data, instance, started_at);
    messages.push(Message { r#type: hook_type(&event.row.kind), data });
    messages
}

/// The type under which an event of this kind is told with all its data.
pub fn hook_type(kind: &Kind) -> String {
    let name = snake_case(&kind.subtype());
    format!("hook.{}", name.strip_prefix("hook.").unwrap_or(&name))
}

/// The kinds whose events can give messages of this type, so that a search for it looks at no others; `None`
/// when that cannot be told.
pub fn kinds(r#type: &str) -> Option<Vec<Kind>> {
    if r#type.starts_with("hook.") {
        let hooks = HookEvent::ALL.iter().copied().map(Kind::Hook);
        let mut all = hooks.chain(MpmEvent::ALL.iter().copied().map(Kind::Mpm));
        return all.find(|kind| hook_type(kind) == r#type).map(|kind| vec![kind]);
    }
    let meant = MEANINGS.iter().filter(|(name, _)| *name == r#type);
    let mut kinds: Vec<Kind> = meant.flat_map(|(_, events)| events.iter().copied().map(Kind::Hook)).collect();
    if r#type == "todo.update" {
        kinds.push(Kind::Mpm(MpmEvent::TodoUpdated));
    }
    kinds.push(Kind::from_name(r#type));
    Some(kinds)
}

fn is_of_the_api(name: &str) -> bool {
    let group = name.split_once(['.', ':']).map(|(group, _)| group);
    group.is_some_and(|group| GROUPS.contains(&group)) && !RESERVED.contains(&name)
}

/// An event that came in the API's own words, as it came.
fn own(event: &Event, name: &str, instance: &InstanceInfo) -> Message {
    let mut data = legacy::sent(event);
    if name.starts_with("session.") {
        data.entry("session_id").or_insert_with(|| json!(event.row.session_id));
        data.entry("instance_info").or_insert_with(|| json!(instance));
    }
    Message { r#type: name.to_owned(), data }
}

fn meaning(
    event: &Event,
    data: &Map<String, Value>,
    instance: &InstanceInfo,
    started_at: Option<Timestamp>,
) -> Vec<Message> {
    use HookEvent as H;
    let row = &event.row;
    let at = row.occurred_at.rfc3339();
    let text = |name: &str| data.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let say = |r#type: &str, data: Value| message(event, r#type, data);
    match &row.kind {
        Kind::Hook(H::SessionStart) => {
            let start = json!({
                "start_time": at,
                "launch_method": text("launch_method").unwrap_or("subprocess"),
                "working_directory": row.project,
                "websocket_port": instance.port,
                "instance_info": instance,
                "source": text("source"),
                "model": text("model"),
                "git_branch": text("git_branch"),
            });
            vec![say("session.start", start), say("claude.status", status(event, "running", instance))]
        }
        Kind::Hook(H::SessionEnd) => {
            let lasted_ms = row.duration_ms.map(|ms| ms as f64);
            let since_start = started_at.map(|start| (row.occurred_at.0 - start.0).max(0) as f64);
            let end = json!({
                "end_time": at,
                "duration_seconds": lasted_ms.or(since_start).map(|ms| ms / 1000.0),
                "reason": text("reason"),
                "websocket_port": instance.port,
                "instance_info": instance,
            });
            vec![say("session.end", end), say("claude.status", status(event, "stopped", instance))]
        }
        Kind::Hook(H::PreToolUse) => match row.tool_name.as_deref() {
            Some("Agent" | "Task") => vec![say("agent.delegation", delegation(data, &row.summary, &at))],
            Some("TodoWrite" | "TaskCreate" | "TaskUpdate") => {
                todo_call(data).into_iter().map(|todos| say("todo.update", todos)).collect()
            }
            _ => Vec::new(),
        },
        Kind::Hook(H::TaskCreated) => vec![say("todo.update", task(data, "pending"))],
        Kind::Hook(H::TaskCompleted) => vec![say("todo.update", task(data, "completed"))],
        Kind::Mpm(MpmEvent::TodoUpdated) => {
            list(data.get("todos")).into_iter().map(|todos| say("todo.update", todos)).collect()
        }
        Kind::Hook(H::SubagentStart) => vec![say("agent.status", agent(event, data, "started"))],
        Kind::Hook(H::SubagentStop) => vec![say("agent.status", agent(event, data, "completed"))],
        Kind::Hook(H::TeammateIdle) => vec![say("agent.status", agent(event, data, "idle"))],
        Kind::Hook(H::Stop) => {
            let output = text("last_assistant_message").or_else(|| text("output"));
            let output = output.map(|content| json!({ "content": content, "stream": "stdout" }));
            output.into_iter().map(|output| say("claude.output", output)).collect()
        }
        Kind::Hook(H::StopFailure | H::PostToolUseFailure) => {
            let error = json!({
                "error": text("error"),
                "message": text("error_details").or_else(|| text("last_assistant_message")).unwrap_or(&row.summary),
                "hook_event_name": row.kind,
                "tool_name": row.tool_name,
                "tool_use_id": row.tool_use_id,
                "timestamp": at,
            });
            vec![say("system.error", error)]
        }
        _ => Vec::new(),
    }
}

/// A message with the session it belongs to. What is not known is left out, but for the API's own nullable
/// fields.
fn message(event: &Event, r#type: &str, data: Value) -> Message {
    let mut all = Map::new();
    if let Some(session) = &event.row.session_id {
        all.insert("session_id".to_owned(), json!(session));
    }
    let Value::Object(data) = data else { return Message { r#type: r#type.to_owned(), data: all } };
    let nullable = ["pid", "agent", "working_directory", "duration_seconds"];
    all.extend(
        data.into_iter().filter(|(name, value)| !value.is_null() || nullable.contains(&name.as_str())),
    );
    Message { r#type: r#type.to_owned(), data: all }
}

/// The process itself is not ours to see, so its pid is unknown.
fn status(event: &Event, status: &str, instance: &InstanceInfo) -> Value {
    json!({ "status": status, "pid": null, "message": event.row.summary, "instance_info": instance })
}

fn delegation(data: &Map<String, Value>, summary: &str, at: &str) -> Value {
    let input = input(data);
    let details = data.get("delegation_details").unwrap_or(&Value::Null);
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let agent = text(&input["subagent_type"]).or_else(|| text(&details["agent_type"]));
    let task = text(&input["description"]).or_else(|| text(&details["description"]));
    let task = task.or_else(|| text(&input["prompt"])).unwrap_or_else(|| summary.to_owned());
    json!({
        "agent": agent,
        "task": task,
        "prompt": input["prompt"],
        "status": "started",
        "tool_use_id": data.get("tool_use_id"),
        "timestamp": at,
    })
}

fn agent(event: &Event, data: &Map<String, Value>, status: &str) -> Value {
    let row = &event.row;
    let field = |name: &str| data.get(name).cloned().unwrap_or(Value::Null);
    let agent = row.agent_type.clone().map_or_else(|| field("teammate_name"), Value::from);
    json!({
        "agent": agent,
        "agent_id": row.agent_id,
        "status": status,
        "message": field("last_assistant_message"),
        "timestamp": row.occurred_at.rfc3339(),
    })
}

/// What a call to one of the todo tools tells: `TodoWrite` the whole list, the task tools one entry of it.
fn todo_call(data: &Map<String, Value>) -> Option<Value> {
    let input = input(data);
    if !input["todos"].is_null() {
        return list(input.get("todos"));
    }
    let subject = &input["subject"];
    let status = input["status"].as_str().or_else(|| input["taskId"].is_null().then_some("pending"));
    let has_news = !subject.is_null() || status.is_some();
    has_news.then(|| entry(&input["taskId"], subject, status, &input["activeForm"]))
}

fn task(data: &Map<String, Value>, status: &str) -> Value {
    let field = |name: &str| data.get(name).cloned().unwrap_or(Value::Null);
    let subject = [field("task_subject"), field("task_title")].into_iter().find(|subject| !subject.is_null());
    entry(&field("task_id"), &subject.unwrap_or_default(), Some(status), &Value::Null)
}

/// One entry of a list whose rest this event does not tell.
fn entry(id: &Value, content: &Value, status: Option<&str>, active_form: &Value) -> Value {
    let fields = [
        ("id", id.clone()),
        ("content", content.clone()),
        ("status", json!(status)),
        ("activeForm", active_form.clone()),
    ];
    let entry: Map<String, Value> = fields
        .into_iter()
        .filter(|(_, value)| !value.is_null())
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
    let mut update = todos(&[Value::Object(entry)]);
    update["partial"] = true.into();
    update
}

/// The whole list; `None` when there is none.
fn list(todos_told: Option<&Value>) -> Option<Value> {
    Some(todos(todos_told?.as_array()?))
}

fn todos(todos: &[Value]) -> Value {
    let count = |status: &str| todos.iter().filter(|todo| todo["status"] == status).count();
    json!({
        "todos": todos,
        "stats": {
            "total": todos.len(),
            "completed": count("completed"),
            "in_progress": count("in_progress"),
            "pending": count("pending"),
        },
    })
}

/// The arguments of a tool call, under Claude Code's name or claude-mpm's.
fn input(data: &Map<String, Value>) -> &Value {
    data.get("tool_input").or_else(|| data.get("tool_parameters")).unwrap_or(&Value::Null)
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;
    use uuid::Uuid;

    use super::*;
    use crate::{EventId, Row, Seq, Source, ingest};

    const SAMPLES: &str = include_str!("../../../tests/fixtures/hook-samples.jsonl");
    const POSTS: &str = include_str!("../../../tests/fixtures/claude-mpm-hook-posts.jsonl");

    fn event(json: &str) -> Event {
        let raw = RawValue::from_string(json.to_owned()).expect("the sample is JSON");
        let incoming = ingest::parse(&raw, Source::Http).expect("the sample is an event");
        let payload = incoming.payload.clone();
        let row = Row::of(incoming, Seq(1), EventId(Uuid::nil()), Timestamp(1_795_225_582_000));
        Event { row, payload, is_own: false, caller: None }
    }

    fn instance() -> InstanceInfo {
        InstanceInfo { port: 8765, host: "localhost".to_owned(), working_dir: Some("/w".to_owned()) }
    }

    fn told(json: &str) -> Vec<Message> {
        messages(&event(json), &instance(), None)
    }

    fn types(messages: &[Message]) -> Vec<&str> {
        messages.iter().map(|message| message.r#type.as_str()).collect()
    }

    #[track_caller]
    fn data(json: &str, r#type: &str) -> Value {
        let told = told(json);
        let found = told.iter().find(|message| message.r#type == r#type);
        Value::Object(found.unwrap_or_else(|| panic!("no {type} in {:?}", types(&told))).data.clone())
    }

    /// Every recorded event: Claude Code's payloads, and what claude-mpm's hooks posted.
    fn recorded() -> Vec<Event> {
        let posts = POSTS.lines().filter_map(|line| {
            let post: Value = serde_json::from_str(line).expect("a recorded post is JSON");
            let body = post["body"].as_str()?.to_owned();
            let raw = RawValue::from_string(body).ok()?;
            ingest::parse(&raw, Source::Http).ok().map(|_| event(raw.get()))
        });
        let recorded: Vec<Event> = SAMPLES.lines().map(event).chain(posts).collect();
        assert!(recorded.len() > 90, "the recordings were found");
        recorded
    }

    #[test]
    fn each_recorded_hook_is_told_in_the_words_of_the_api() {
        let told: Vec<String> = SAMPLES.lines().map(|line| types(&self::told(line)).join(" ")).collect();
        let expected = [
            "session.start claude.status hook.session_start",
            "hook.setup",
            "hook.instructions_loaded",
            "hook.user_prompt",
            "hook.user_prompt_expansion",
            "hook.message_display",
            "hook.pre_tool",
            "hook.permission_request",
            "hook.post_tool",
            "system.error hook.post_tool_use_failure",
            "hook.post_tool_batch",
            "hook.permission_denied",
            "hook.notification",
            "agent.status hook.subagent_start",
            "agent.status hook.subagent_stop",
            "todo.update hook.task_created",
            "todo.update hook.task_completed",
            "claude.output hook.stop",
            "system.error hook.stop_failure",
            "agent.status hook.teammate_idle",
            "hook.config_change",
            "hook.cwd_changed",
            "hook.directory_added",
            "hook.file_changed",
            "hook.worktree_create",
            "hook.worktree_remove",
            "hook.pre_compact",
            "hook.post_compact",
            "hook.elicitation",
            "hook.elicitation_result",
            "session.end claude.status hook.session_end",
            "hook.pre_tool",
            "agent.delegation hook.pre_tool",
            "hook.post_tool",
            "todo.update hook.pre_tool",
            "todo.update hook.pre_tool",
            "hook.pre_tool",
            "hook.pre_tool",
            "hook.pre_tool",
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn no_recorded_event_tells_one_type_twice_and_each_type_leads_back_to_its_kind() {
        for event in recorded() {
            let told = messages(&event, &instance(), None);
            let types = types(&told);
            let mut once = types.clone();
            once.sort_unstable();
            once.dedup();
            assert_eq!(once.len(), types.len(), "{types:?}");
            for r#type in types {
                let kinds = kinds(r#type);
                assert!(
                    kinds.is_none_or(|kinds| kinds.contains(&event.row.kind)),
                    "{type} of {}",
                    event.row.kind
                );
            }
        }
    }

    #[test]
    fn a_session_names_itself_and_its_instance() {
        let start = data(
            r#"{"hook_event_name":"SessionStart","session_id":"s","cwd":"/shop","source":"startup"}"#,
            "session.start",
        );
        assert_eq!(
            start,
            json!({
                "session_id": "s", "start_time": "2026-11-21T01:46:22.000Z", "launch_method": "subprocess",
                "working_directory": "/shop", "websocket_port": 8765, "source": "startup",
                "instance_info": {"port": 8765, "host": "localhost", "working_dir": "/w"},
            })
        );
        let end = event(r#"{"hook_event_name":"SessionEnd","session_id":"s"}"#);
        let told = messages(&end, &instance(), Some(Timestamp(1_795_225_580_500)));
        assert_eq!(told[0].data["duration_seconds"], 1.5);
        assert_eq!(told[0].data["end_time"], "2026-11-21T01:46:22.000Z");
        assert_eq!(told[0].data["instance_info"]["port"], 8765);
        assert_eq!((&told[1].data["status"], &told[1].data["pid"]), (&json!("stopped"), &Value::Null));
    }

    #[test]
    fn each_sender_s_delegation_and_todos_have_one_shape() {
        let ours = r#"{"hook_event_name":"PreToolUse","session_id":"s","tool_name":"Agent","tool_use_id":"t","tool_input":{"subagent_type":"Explore","description":"Find it","prompt":"find"}}"#;
        let python = r#"{"event":"claude_event","data":{"event":"mpm_event","type":"hook","subtype":"pre_tool","session_id":"s","data":{"tool_name":"Task","tool_parameters":{},"delegation_details":{"agent_type":"Explore","description":"Find it"}}}}"#;
        for sent in [ours, python] {
            let told = data(sent, "agent.delegation");
            assert_eq!(
                (&told["agent"], &told["task"], &told["status"], &told["session_id"]),
                (&json!("Explore"), &json!("Find it"), &json!("started"), &json!("s")),
                "{sent}"
            );
        }
        let todos = r#"[{"content":"a","status":"in_progress"},{"content":"b","status":"completed"}]"#;
        for sent in [
            format!(
                r#"{{"hook_event_name":"PreToolUse","tool_name":"TodoWrite","tool_input":{{"todos":{todos}}}}}"#
            ),
            format!(
                r#"{{"event":"claude_event","data":{{"event":"mpm_event","type":"hook","subtype":"todo_updated","data":{{"todos":{todos}}}}}}}"#
            ),
        ] {
            let told = data(&sent, "todo.update");
            assert_eq!(told["stats"], json!({"total": 2, "completed": 1, "in_progress": 1, "pending": 0}));
            assert_eq!(told["todos"][1]["content"], "b");
        }
    }

    #[test]
    fn a_task_tells_its_own_entry_and_that_there_may_be_others() {
        let cases = [
            (
                r#"{"hook_event_name":"PreToolUse","tool_name":"TaskCreate","tool_input":{"subject":"x"}}"#,
                json!({"content": "x", "status": "pending"}),
            ),
            (
                r#"{"hook_event_name":"PreToolUse","tool_name":"TaskUpdate","tool_input":{"taskId":"1","status":"in_progress"}}"#,
                json!({"id": "1", "status": "in_progress"}),
            ),
            (
                r#"{"hook_event_name":"TaskCompleted","task_id":"1","task_subject":"x"}"#,
                json!({"id": "1", "content": "x", "status": "completed"}),
            ),
        ];
        for (sent, entry) in cases {
            let told = data(sent, "todo.update");
            assert_eq!((&told["todos"], &told["partial"]), (&json!([entry]), &json!(true)), "{sent}");
        }
        let renamed_owner = r#"{"hook_event_name":"PreToolUse","tool_name":"TaskUpdate","tool_input":{"taskId":"1","owner":"me"}}"#;
        assert_eq!(types(&told(renamed_owner)), ["hook.pre_tool"], "nothing of a list's state changed");
    }

    #[test]
    fn events_in_the_api_s_own_words_pass_as_they_are() {
        let memory = r#"{"type":"memory:loaded","timestamp":"2026-11-21T01:46:22.000Z","data":{"agent_id":"a","memory_size":7}}"#;
        assert_eq!(told(memory).len(), 1);
        assert_eq!(data(memory, "memory:loaded"), json!({"agent_id": "a", "memory_size": 7}));
        let ticket = r#"{"kind":"ticket.created","payload":{"id":"T-1","title":"x"}}"#;
        assert_eq!(data(ticket, "ticket.created"), json!({"id": "T-1", "title": "x"}));
        let session = r#"{"kind":"session.start","session_id":"s","payload":{"launch_method":"exec"}}"#;
        let session = data(session, "session.start");
        assert_eq!((&session["session_id"], &session["launch_method"]), (&json!("s"), &json!("exec")));
        assert_eq!(session["instance_info"]["port"], 8765);
    }

    #[test]
    fn any_other_kind_is_a_hook_and_cannot_pose_as_the_server() {
        for (kind, expected) in [
            ("BuildFinished", "hook.build_finished"),
            ("hook.my_own", "hook.my_own"),
            ("system.status", "hook.system.status"),
            ("error", "hook.error"),
        ] {
            let sent = json!({"kind": kind, "payload": {"a": 1}}).to_string();
            assert_eq!(types(&told(&sent)), [expected]);
            assert_eq!(data(&sent, expected)["a"], 1);
        }
    }

    #[test]
    fn a_duplicate_tells_nothing() {
        let mut event = event(r#"{"hook_event_name":"Stop"}"#);
        event.row.duplicate_of = Some(Seq(7));
        assert_eq!(messages(&event, &instance(), None), []);
    }
}
