//! Claims about headless sessions of the real Claude Code: one prompt, and what is known of it when it has ended.

use claude_e2e::{
    Begin, Print, Printed, Purpose, Stage, built, containing, eventually, in_any_order, without,
};
use serde_json::{Value, json};

/// How much the sum of rounded costs may differ from the rounded sum, in millionths of a dollar a response.
const ROUNDING: f64 = 0.5;

/// Runs the script of a scenario's name to its end and claims that all is known of it, and this besides.
#[track_caller]
fn check(scenario: &'static str, how: Print<'_>, besides: &Value) -> Printed {
    let stage = Stage::set(scenario);
    let printed = stage.print(scenario, how);
    ended(stage, &printed, besides);
    printed
}

/// Claims that a session is known as it was, and that its cost is what Claude Code itself says.
#[track_caller]
fn ended(stage: Stage, printed: &Printed, besides: &Value) {
    stage.ends(&printed.session, besides);
    let said = &stage.said(&printed.session)["tokens"];
    let used = stage.api.used(&printed.session, |told| told.purpose == Purpose::Turn);
    let responses = used.map_or(0.0, |used| used["responses"].as_f64().expect("a number"));
    let own = printed.result["total_cost_usd"].as_f64().expect("Claude Code tells its cost") * 1e6;
    let cost = said["cost_usd_micros"].as_f64().unwrap_or(0.0);
    assert!((own - cost).abs() <= ROUNDING * responses + 0.01, "{own} of {said}: {}", printed.result);
    stage.over();
}

/// A turn that went well.
fn turn(scenario: &str, calls: u64) -> Value {
    json!({ "prompt": format!("SCRIPT:{scenario}"), "tool_calls": calls, "end": { "outcome": "ok" } })
}

/// A call that went well.
fn ok(tool: &str, summary: &str) -> Value {
    json!({ "tool": tool, "summary": summary, "end": { "outcome": "ok" } })
}

/// A call that failed.
fn failed(tool: &str, summary: &str) -> Value {
    json!({ "tool": tool, "summary": summary, "end": { "outcome": "failed" } })
}

#[test]
fn an_answer_is_a_turn() {
    check(
        "hello",
        Print::default(),
        &json!({
            "errors": 0,
            "last_summary": without("other"),
            "recent_calls": [],
            "recent_turns": [turn("hello", 0)],
        }),
    );
}

#[test]
fn thinking_is_no_event_of_its_own() {
    check("think", Print::default(), &json!({ "errors": 0, "recent_turns": [turn("think", 0)] }));
}

#[test]
fn a_command_is_a_call() {
    check(
        "command",
        Print::default(),
        &json!({
            "recent_calls": [ok("Bash", "Bash  echo one; echo two")],
            "recent_turns": [turn("command", 1)],
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
            "recent_turns": [turn("failing-command", 1)],
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
            "recent_turns": [turn("files", 3)],
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
            "recent_turns": [turn("parallel", 3)],
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
            "recent_turns": [turn("tasks", 6)],
        }),
    );
}

#[test]
fn an_agent_is_known_by_what_it_was_asked_and_said() {
    check(
        "agent",
        Print::default(),
        &json!({
            "agents": { "total": 1, "running": 0 },
            "agent_tree": [{
                "agent_type": "general-purpose",
                "description": "Count the files",
                "parent": { "of": "main" },
                "is_background": false,
                "status": { "state": "ended" },
                "tool_calls": 2,
                "last_message": "Two files.",
            }],
            "recent_calls": [ok("Bash", "Bash  ls | wc -l"), ok("Read", "Read  a.txt"),
                ok("Agent", "Agent  general-purpose  Count the files")],
            "recent_turns": [turn("agent", 3)],
        }),
    );
}

#[test]
fn agents_of_agents_make_a_tree() {
    let agent = |description: &str, parent: &str, calls: u64| {
        json!({
            "description": description,
            "parent": { "of": parent },
            "status": { "state": "ended" },
            "tool_calls": calls,
        })
    };
    check(
        "two-agents",
        Print::default(),
        &json!({
            "agents": { "total": 3, "running": 0 },
            "agent_tree": in_any_order(&[agent("First", "main", 2), agent("Second", "main", 1),
                agent("Grandchild", "agent", 2)]),
        }),
    );
}

#[test]
fn a_command_behind_the_turns_is_a_background_task_and_its_end_is_no_prompt() {
    let stage = Stage::set("background-command");
    let printing = stage.start_print("background-command", Print::default());
    let session = printing.session.clone();
    eventually("the end of the turn", || stage.control.of(&session, "Stop").first().map(|_| ()));
    stage.holds(
        "while it goes on",
        &session,
        &json!({
            "status": { "state": "background", "tasks": 1 },
            "background": [{ "kind": "shell", "description": "Work behind" }],
            "recent_turns": [turn("background-command", 1)],
        }),
    );
    stage.let_go("go");
    ended(
        stage,
        &printing.end(),
        &json!({
            "background": [],
            "recent_turns": without("<task-notification>"),
        }),
    );
}

#[test]
fn an_agent_behind_the_turns_runs_until_it_has_ended() {
    let stage = Stage::set("background-agent");
    let printing = stage.start_print("background-agent", Print::default());
    let session = printing.session.clone();
    eventually("the end of the turn", || stage.control.of(&session, "Stop").first().map(|_| ()));
    stage.holds("while it works", &session, &json!({
        "status": { "state": "background", "tasks": 1 },
        "agents": { "total": 1, "running": 1 },
        "agent_tree": [{ "description": "Think long", "is_background": true, "status": { "state": "running" } }],
        "recent_turns": [turn("background-agent", 2)],
    }));
    stage.let_go("thought");
    ended(
        stage,
        &printing.end(),
        &json!({
            "agent_tree": [{ "status": { "state": "ended" }, "tool_calls": 1, "last_message": "I thought about it." }],
            "recent_turns": without("<task-notification>"),
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
            "recent_turns": [turn("permission", 1)],
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
    ended(stage, &printed, &json!({ "recent_turns": [turn("overloaded", 0)] }));
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
    check("cut-off", Print::default(), &json!({ "recent_turns": [turn("cut-off", 0)] }));
    check("refusal", Print::default(), &json!({ "recent_turns": [turn("refusal", 0)] }));
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
            "recent_turns": [turn("folder", 2)],
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
            "recent_turns": [turn("worktree", 3)],
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
            "recent_turns": [turn("mcp", 2)],
        }),
    );
}

#[test]
fn what_a_watch_tells_is_no_prompt() {
    check(
        "watch",
        Print::default(),
        &json!({
            "recent_calls": [ok("Monitor", "Monitor  Watch ticks")],
            "recent_turns": without("<task-notification>"),
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

#[test]
fn a_resumed_session_goes_on_and_its_past_counts_once() {
    let stage = Stage::set("resume");
    let first = stage.print("hello", Print::default());
    let again = Print { begin: Begin::Resumed(&first.session), ..Print::default() };
    stage.print("command", again);
    stage.ends(&first.session, &json!({ "recent_turns": [turn("hello", 0), turn("command", 1)] }));
    stage.over();
}

#[test]
fn a_fork_is_a_session_of_its_own_that_has_used_what_it_used_itself() {
    let stage = Stage::set("fork");
    let first = stage.print("hello", Print::default());
    let fork = Print { begin: Begin::Forked(&first.session), ..Print::default() };
    let fork = stage.print("command", fork);
    assert_ne!(fork.session, first.session);
    stage.ends(&first.session, &json!({ "recent_turns": [turn("hello", 0)] }));
    stage.holds(
        "in the fork",
        &fork.session,
        &json!({
            "recent_turns": [turn("command", 1)],
            "tokens": stage.api.used(&fork.session, |told| told.purpose == Purpose::Turn),
        }),
    );
    stage.over();
}
