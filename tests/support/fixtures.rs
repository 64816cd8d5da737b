//! Recorded bodies, and small hook payloads in Claude Code's shape.

use serde::Deserialize;
use serde_json::json;

use crate::repository;

/// What one of claude-mpm's own hooks posted.
#[derive(Debug, Deserialize)]
pub struct Post {
    /// The whole body.
    pub body: String,
}

/// Every body that claude-mpm's own hooks posted in one recorded session.
pub fn hook_posts() -> Vec<Post> {
    lines("claude-mpm-hook-posts.jsonl")
        .iter()
        .map(|line| serde_json::from_str(line).expect("a recorded post is JSON"))
        .collect()
}

/// One payload of each hook event, as Claude Code gives it to a hook.
pub fn hook_samples() -> Vec<String> {
    lines("hook-samples.jsonl")
}

/// A tool call begins.
pub fn tool_start(session: &str, tool_use: &str) -> String {
    json!({
        "session_id": session, "cwd": "/home/dev/shop", "hook_event_name": "PreToolUse",
        "tool_name": "Bash", "tool_input": {"command": "npm test"}, "tool_use_id": tool_use,
    })
    .to_string()
}

/// A tool call ended well.
pub fn tool_end(session: &str, tool_use: &str) -> String {
    json!({
        "session_id": session, "cwd": "/home/dev/shop", "hook_event_name": "PostToolUse",
        "tool_name": "Bash", "tool_input": {"command": "npm test"}, "tool_use_id": tool_use,
        "tool_response": {"stdout": "ok"}, "duration_ms": 12,
    })
    .to_string()
}

/// A prompt was sent.
pub fn prompt(session: &str, text: &str) -> String {
    json!({
        "session_id": session, "cwd": "/home/dev/shop", "hook_event_name": "UserPromptSubmit", "prompt": text,
    })
    .to_string()
}

/// A turn ended.
pub fn stop(session: &str) -> String {
    json!({"session_id": session, "cwd": "/home/dev/shop", "hook_event_name": "Stop"}).to_string()
}

fn lines(file: &str) -> Vec<String> {
    let path = repository().join("tests/fixtures").join(file);
    let text = std::fs::read_to_string(path).expect("a fixture can be read");
    text.lines().map(str::to_owned).collect()
}
