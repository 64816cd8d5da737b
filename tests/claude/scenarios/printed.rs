//! Headless sessions: one prompt, its calls, and what is known of them at their end.

use claude_e2e::{Print, Stage, built, containing, in_any_order, without};
use serde_json::json;

use crate::{check, ended, failed, ok, turn};

#[test]
fn an_answer_is_a_turn() {
    check(
        "hello",
        Print::default(),
        &json!({
            "errors": 0,
            "last_summary": without("other"),
            "recent_calls": [],
            "recent_turns": [turn("hello", 0, "ok")],
        }),
    );
}

#[test]
fn thinking_is_no_event_of_its_own() {
    check("think", Print::default(), &json!({ "errors": 0, "recent_turns": [turn("think", 0, "ok")] }));
}

#[test]
fn a_command_is_a_call() {
    check(
        "command",
        Print::default(),
        &json!({
            "recent_calls": [ok("Bash", "Bash  echo one; echo two")],
            "recent_turns": [turn("command", 1, "ok")],
        }),
    );
}

#[test]
fn a_command_that_fails_is_a_failed_call_in_a_turn_that_went_well() {
    let summary = "Bash  echo before; echo 'no such thing' >&2; exit 3";
    check(
        "failing-command",
        Print::default(),
        &json!({
            "errors": 1,
            "recent_calls": [failed("Bash", summary)],
            "recent_errors": [{ "tool": "Bash" }],
            "recent_turns": [turn("failing-command", 1, "ok")],
        }),
    );
}

#[test]
fn files_are_known_by_what_was_done_with_them() {
    check(
        "files",
        Print::default(),
        &json!({
            "recent_calls": [ok("Write", "Write  b.txt  3 lines"), ok("Read", "Read  b.txt"), ok("Edit", "Edit  b.txt  +2 −1")],
            "files": [{ "path": containing("/project/b.txt"), "reads": 1, "writes": 1, "edits": 1, "last": "edit" }],
            "recent_turns": [turn("files", 3, "ok")],
        }),
    );
}

#[test]
fn a_call_that_is_refused_before_it_runs_is_a_failed_call() {
    check(
        "failing-edit",
        Print::default(),
        &json!({
            "tool_calls": 3,
            "recent_calls": [ok("Read", "Read  a.txt"), { "tool": "Edit", "end": { "outcome": "failed" } },
                failed("Read", "Read  missing.txt")],
        }),
    );
    check(
        "unknown-tool",
        Print::default(),
        &json!({
            "tool_calls": 1,
            "recent_calls": [{ "tool": "NoSuchTool", "end": { "outcome": "failed" } }],
        }),
    );
    check(
        "bad-input",
        Print::default(),
        &json!({
            "tool_calls": 1,
            "recent_calls": [{ "tool": "Read", "end": { "outcome": "failed" } }],
        }),
    );
}

#[test]
fn searches_are_calls() {
    check(
        "search",
        Print::default(),
        &json!({
            "recent_calls": [ok("Glob", "Glob  **/*.txt"), ok("Grep", "Grep  three")],
        }),
    );
}

#[test]
fn calls_at_the_same_time_are_told_apart() {
    check(
        "parallel",
        Print::default(),
        &json!({
            "recent_calls": in_any_order(&[ok("Bash", "Bash  sleep 1; echo a"), ok("Bash", "Bash  sleep 1; echo b"),
                failed("Bash", "Bash  exit 1")]),
            "recent_turns": [turn("parallel", 3, "ok")],
        }),
    );
}

#[test]
fn todo_lists_are_followed() {
    let todos = [("CLAUDE_CODE_ENABLE_TODO_TOOLS", "1"), ("CLAUDE_CODE_ENABLE_TASKS", "0")];
    check(
        "todos",
        Print { environment: &todos, ..Print::default() },
        &json!({
            "todos": { "done": 0, "total": 2, "current": "Looking" },
            "todo_list": [{ "text": "Look", "status": "in_progress" }, { "text": "Do", "status": "pending" }],
        }),
    );
}

#[test]
fn tasks_are_followed() {
    check(
        "tasks",
        Print { environment: &[("CLAUDE_CODE_ENABLE_TODO_TOOLS", "1")], ..Print::default() },
        &json!({
            "todos": { "done": 1, "total": 2, "current": "Doing" },
            "todo_list": [{ "text": "Look", "status": "completed" }, { "text": "Do", "status": "in_progress" }],
            "recent_turns": [turn("tasks", 6, "ok")],
        }),
    );
}

#[test]
fn what_nobody_can_allow_is_denied_and_nobody_was_asked() {
    let how =
        Print { arguments: &["--permission-mode", "default"], allowed: Some("Read"), ..Print::default() };
    check(
        "permission",
        how,
        &json!({
            "recent_calls": [{ "tool": "Bash", "asked_at": null, "end": { "outcome": "denied" } }],
            "recent_turns": [turn("permission", 1, "ok")],
        }),
    );
}

#[test]
fn an_error_of_the_api_that_passes_is_told_and_harms_no_turn() {
    let stage = Stage::set("overloaded");
    let printed = stage.print("overloaded", Print::default());
    stage.agrees(
        "after the retries",
        &json!({ "told": true }),
        || json!({ "told": stage.stored().iter().any(|event| event.payload().contains("Overloaded")) }),
    );
    ended(stage, &printed, &json!({ "recent_turns": [turn("overloaded", 0, "ok")] }));
}

#[test]
fn a_turn_that_the_api_refuses_says_why() {
    let few = Print { environment: &[("CLAUDE_CODE_MAX_RETRIES", "1")], ..Print::default() };
    let failed = |words: &str| {
        json!({
            "errors": 1,
            "recent_errors": [{ "text": containing(words) }],
            "recent_turns": [{ "end": { "outcome": "failed" } }],
        })
    };
    check("rate-limit", few, &failed("rate_limit"));
    check("bad-request", few, &failed("something is wrong with them"));
    check("server-error", few, &failed("server_error"));
    check("bad-key", few, &failed("authentication_failed"));
}

#[test]
fn an_answer_that_is_cut_off_or_refused_ends_its_turn() {
    check("cut-off", Print::default(), &json!({ "recent_turns": [turn("cut-off", 0, "ok")] }));
    check("refusal", Print::default(), &json!({ "recent_turns": [turn("refusal", 0, "ok")] }));
}

#[test]
fn what_cannot_be_fetched_is_a_failed_call() {
    check(
        "fetch",
        Print::default(),
        &json!({
            "recent_calls": [failed("WebFetch", "WebFetch  http://192.0.2.1/page")],
        }),
    );
}

#[test]
fn a_session_stays_in_its_project_wherever_its_commands_go() {
    check(
        "folder",
        Print::default(),
        &json!({
            "project": containing("/project\""),
            "recent_turns": [turn("folder", 2, "ok")],
        }),
    );
}

#[test]
fn a_worktree_is_left_as_it_was_entered() {
    check(
        "worktree",
        Print::default(),
        &json!({
            "project": containing("/project\""),
            "branch": "main",
            "recent_turns": [turn("worktree", 3, "ok")],
        }),
    );
}

#[test]
fn long_inputs_and_outputs_are_kept_whole() {
    check(
        "big",
        Print::default(),
        &json!({
            "recent_calls": [ok("Write", "Write  big.txt  20000 lines"), { "tool": "Bash", "end": { "outcome": "ok" } }],
        }),
    );
}

#[test]
fn what_looks_like_a_secret_is_masked_in_summaries() {
    check(
        "secret",
        Print::default(),
        &json!({
            "recent_calls": [ok("Bash", "Bash  export API_KEY=[masked]; echo ok")],
        }),
    );
}

#[test]
fn tools_of_an_mcp_server_are_calls_and_its_questions_are_answered() {
    let server = json!({ "mcpServers": { "script": { "command": built("mcp-server") } } }).to_string();
    check(
        "mcp",
        Print { arguments: &["--mcp-config", &server], ..Print::default() },
        &json!({
            "recent_calls": [ok("mcp__script__add", "script add"), ok("mcp__script__ask", "script ask")],
            "recent_turns": [turn("mcp", 2, "ok")],
        }),
    );
}

#[test]
fn a_schedule_is_a_call() {
    check(
        "schedule",
        Print::default(),
        &json!({
            "recent_calls": [ok("CronCreate", "CronCreate  */5 * * * *  look again")],
        }),
    );
}
