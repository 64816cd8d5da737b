//! An event as claude-mpm's own clients expect it: category names and the fields that its dashboards read,
//! computed from the raw payload.

use serde_json::{Map, Value, json};

use crate::kind::{HookEvent, MpmEvent};
use crate::{Event, Kind, Seq};

/// Longest text inside a broadcast payload. Viewers that want the rest fetch the event; a broadcast goes to
/// every client at once.
const TEXT_BYTES_MAX: usize = 64 * 1024;

/// How many characters of a prompt make its preview.
const PREVIEW_CHARS: usize = 200;

/// The broadcast name that the newest reference gives to an event.
pub fn category(kind: &Kind) -> &'static str {
    use HookEvent as H;
    match kind {
        Kind::Hook(H::PreToolUse | H::PostToolUse | H::PostToolUseFailure) => "tool_event",
        Kind::Hook(H::SubagentStart | H::SubagentStop) | Kind::Mpm(MpmEvent::TodoUpdated) => "hook_event",
        Kind::Hook(H::SessionStart | H::SessionEnd) | Kind::Mpm(MpmEvent::TokenUsageUpdated) => {
            "session_event"
        }
        Kind::Hook(_) | Kind::Mpm(_) => "claude_event",
        Kind::Other(name) => category_of_name(name),
    }
}

fn category_of_name(name: &str) -> &'static str {
    match name {
        "tool.start" | "tool.end" | "tool_use" | "tool_result" => "tool_event",
        "session.started" | "session.ended" | "session.start" | "session.end" => "session_event",
        "response.start" | "response.end" | "response_started" | "response_ended" => "response_event",
        "agent.delegated" | "agent.returned" | "agent_start" | "agent_end" => "agent_event",
        "file.read" | "file.write" | "file.edit" | "file_read" | "file_write" => "file_event",
        "system_ready" | "system_shutdown" => "system_event",
        _ => "claude_event",
    }
}

/// The name under which claude-mpm's dashboards know the event. A failed tool call ends the call that
/// `pre_tool` opened, so it is a `post_tool` with an error.
fn subtype(kind: &Kind) -> String {
    match kind {
        Kind::Hook(HookEvent::PostToolUseFailure) => HookEvent::PostToolUse.subtype(),
        other => other.subtype(),
    }
}

/// The broadcast: `{type, subtype, data, timestamp, session_id, source, …}`.
pub fn message(event: &Event) -> Value {
    let row = &event.row;
    let data = data(event);
    let correlation_id = data.get("correlation_id").cloned();
    let mut message = Map::new();
    let category = category(&row.kind);
    message
        .insert("type".into(), if category == "claude_event" { type_of(&row.kind) } else { "hook" }.into());
    message.insert("subtype".into(), subtype(&row.kind).into());
    message.insert("data".into(), Value::Object(data));
    message.insert("timestamp".into(), row.occurred_at.rfc3339().into());
    message.insert("session_id".into(), json!(row.session_id));
    message.insert("source".into(), row.source.as_str().into());
    if let Some(id) = correlation_id {
        message.insert("correlation_id".into(), id);
    }
    if let Some(project) = &row.project {
        message.insert("cwd".into(), project.clone().into());
    }
    message.insert("event".into(), "mpm_event".into());
    message.insert("id".into(), json!(row.id));
    if row.seq == Seq(0) {
        message.insert("stored".into(), false.into());
    } else {
        message.insert("seq".into(), json!(row.seq));
    }
    message.insert("summary".into(), row.summary.clone().into());
    Value::Object(message)
}

fn type_of(kind: &Kind) -> &str {
    match kind {
        Kind::Hook(_) | Kind::Mpm(_) => "hook",
        Kind::Other(name) => name,
    }
}

/// `data`: what the sender sent, without its envelope, and beside it the names that claude-mpm's own hook
/// would have used.
pub(crate) fn data(event: &Event) -> Map<String, Value> {
    let row = &event.row;
    let mut data = sent(event);
    let mut add = |name: &str, value: Value| {
        if !value.is_null() && !data.contains_key(name) {
            data.insert(name.to_owned(), value);
        }
    };
    add("session_id", json!(row.session_id));
    add("working_directory", json!(row.project));
    add("agent_id", json!(row.agent_id));
    add("agent_type", json!(row.agent_type));
    add("tool_name", json!(row.tool_name));
    add("correlation_id", json!(row.tool_use_id));
    add("timestamp", row.occurred_at.rfc3339().into());
    add("duration_ms", json!(row.duration_ms));
    if let Kind::Hook(event) = &row.kind {
        add("hook_event_name", event.as_str().into());
        hook_names(*event, &mut data);
    }
    if row.is_error {
        data.insert("is_error".to_owned(), true.into());
    }
    data
}

/// What the sender sent, without its envelope, long texts cut.
pub(crate) fn sent(event: &Event) -> Map<String, Value> {
    let mut data = innermost(serde_json::from_str(event.payload.get()).unwrap_or(Value::Null));
    data.values_mut().for_each(cut);
    data
}

/// The payload's own object: below `data` for as long as that is an envelope.
fn innermost(payload: Value) -> Map<String, Value> {
    let Value::Object(mut object) = payload else {
        return Map::from_iter([("value".to_owned(), payload)]);
    };
    let is_envelope = ["event", "type", "subtype", "namespace"].iter().any(|name| object.contains_key(*name));
    if is_envelope
        && !object.contains_key("transcript_path")
        && object.get("data").is_some_and(Value::is_object)
    {
        let mut inner = innermost(object["data"].take());
        if let Some(id) =
            object.get("correlation_id").filter(|id| !id.is_null() && !inner.contains_key("tool_use_id"))
        {
            inner.entry("correlation_id").or_insert_with(|| id.clone());
        }
        return inner;
    }
    object
}

/// claude-mpm's names for the fields of Claude Code's payloads.
fn hook_names(event: HookEvent, data: &mut Map<String, Value>) {
    use HookEvent as H;
    match event {
        H::UserPromptSubmit => {
            if let Some(prompt) = data.get("prompt").and_then(Value::as_str).map(str::to_owned) {
                let preview: String = prompt.chars().take(PREVIEW_CHARS).collect();
                add(data, "prompt_length", prompt.chars().count().into());
                add(data, "prompt_preview", preview.into());
                add(data, "prompt_text", prompt.into());
            }
        }
        H::PreToolUse | H::PostToolUse | H::PostToolUseFailure | H::PermissionRequest => {
            tool_names(event, data);
        }
        H::SubagentStop | H::Stop => {
            if let Some(output) = data.get("last_assistant_message").cloned() {
                add(data, "output", output);
            }
        }
        _ => {}
    }
}

fn tool_names(event: HookEvent, data: &mut Map<String, Value>) {
    let tool = data.get("tool_name").and_then(Value::as_str).unwrap_or_default().to_owned();
    if let Some(input) = data.get("tool_input").cloned() {
        if matches!(tool.as_str(), "Agent" | "Task") {
            let details = json!({
                "agent_type": input["subagent_type"],
                "prompt": input["prompt"],
                "description": input["description"],
            });
            add(data, "delegation_details", details);
            add(data, "is_delegation", true.into());
        }
        if let Some(todos) = input.get("todos").cloned() {
            add(data, "todos", todos);
        }
        add(data, "tool_parameters", input);
    }
    let failed = event == HookEvent::PostToolUseFailure;
    if failed || event == HookEvent::PostToolUse {
        add(data, "success", (!failed).into());
        add(data, "status", if failed { "error" } else { "success" }.into());
        let output = output(data);
        add(data, "has_output", (!output.is_null()).into());
        add(data, "output", output);
    }
}

/// The text that a tool call printed or found.
fn output(data: &Map<String, Value>) -> Value {
    let Some(response) = data.get("tool_response") else { return Value::Null };
    let candidates = [
        &response["stdout"],
        &response["file"]["content"],
        &response["content"],
        &response["result"],
        response,
    ];
    candidates.into_iter().find(|value| value.is_string()).cloned().unwrap_or(Value::Null)
}

fn add(data: &mut Map<String, Value>, name: &str, value: Value) {
    if !value.is_null() {
        data.entry(name).or_insert(value);
    }
}

/// Shortens every text that is too long to be sent to all clients.
fn cut(value: &mut Value) {
    match value {
        Value::String(text) if text.len() > TEXT_BYTES_MAX => {
            let mut end = TEXT_BYTES_MAX;
            while !text.is_char_boundary(end) {
                end -= 1;
            }
            let left_out = text.len() - end;
            text.truncate(end);
            text.push_str(&format!("… [{left_out} more bytes; GET /api/events/<seq> has them]"));
        }
        Value::Array(values) => values.iter_mut().for_each(cut),
        Value::Object(object) => object.values_mut().for_each(cut),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;
    use uuid::Uuid;

    use super::*;
    use crate::{EventId, Row, Source, Timestamp, ingest};

    fn broadcast(json: &str) -> Value {
        let raw = RawValue::from_string(json.to_owned()).expect("the sample is JSON");
        let incoming = ingest::parse(&raw, Source::Http).expect("the sample is an event");
        let payload = incoming.payload.clone();
        let row = Row::of(incoming, Seq(1), EventId(Uuid::nil()), Timestamp(1_795_225_582_000));
        message(&Event { row, payload, is_own: false, caller: None })
    }

    #[test]
    fn a_raw_hook_payload_carries_what_claude_mpm_s_dashboard_reads() {
        let sent = broadcast(
            r#"{"hook_event_name":"PreToolUse","session_id":"s","cwd":"/w","tool_name":"Agent","tool_use_id":"toolu_1","tool_input":{"subagent_type":"Explore","prompt":"find","description":"Find it"}}"#,
        );
        assert_eq!(sent["type"], "hook");
        assert_eq!(sent["subtype"], "pre_tool");
        assert_eq!(sent["session_id"], "s");
        assert_eq!(sent["cwd"], "/w");
        assert_eq!(sent["correlation_id"], "toolu_1");
        assert_eq!(sent["data"]["correlation_id"], "toolu_1");
        assert_eq!(sent["data"]["tool_parameters"]["prompt"], "find");
        assert_eq!(sent["data"]["delegation_details"]["agent_type"], "Explore");
        assert_eq!(sent["data"]["working_directory"], "/w");
    }

    #[test]
    fn a_failed_tool_call_ends_the_call_with_an_error() {
        let sent = broadcast(
            r#"{"hook_event_name":"PostToolUseFailure","tool_name":"Bash","tool_use_id":"t","tool_input":{},"error":"Exit code 1"}"#,
        );
        assert_eq!((&sent["subtype"], &sent["data"]["is_error"]), (&json!("post_tool"), &json!(true)));
    }

    #[test]
    fn an_envelope_is_unwrapped_and_its_pairing_kept() {
        let sent = broadcast(
            r#"{"namespace":"","event":"claude_event","data":{"event":"mpm_event","source":"hook","type":"hook","subtype":"pre_tool","timestamp":"2026-11-21T01:46:43.281801+00:00","data":{"tool_name":"Read","tool_parameters":{"file_path":"/a"}},"correlation_id":"c1","session_id":"s"}}"#,
        );
        assert_eq!(sent["data"]["tool_parameters"]["file_path"], "/a");
        assert_eq!(sent["data"]["correlation_id"], "c1");
        assert_eq!(sent["timestamp"], "2026-11-21T01:46:43.281Z");
    }

    #[test]
    fn a_long_text_is_cut_and_says_so() {
        let long = "x".repeat(TEXT_BYTES_MAX + 9);
        let sent = broadcast(&format!(
            r#"{{"hook_event_name":"PreToolUse","tool_name":"Write","tool_input":{{"content":"{long}"}}}}"#
        ));
        let content = sent["data"]["tool_input"]["content"].as_str().unwrap_or_default();
        assert!(
            content.len() < TEXT_BYTES_MAX + 100 && content.contains("[9 more bytes"),
            "{}",
            content.len()
        );
    }

    #[test]
    fn categories_are_those_of_the_reference() {
        let cases = [
            ("pre_tool", "tool_event"),
            ("subagent_stop", "hook_event"),
            ("session_start", "session_event"),
            ("stop", "claude_event"),
            ("user_prompt", "claude_event"),
            ("todo_updated", "hook_event"),
            ("file.edit", "file_event"),
            ("anything", "claude_event"),
        ];
        for (name, expected) in cases {
            assert_eq!(category(&Kind::from_name(name)), expected, "{name}");
        }
    }
}
