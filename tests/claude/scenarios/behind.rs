//! Agents and what goes on behind the turns, at work and when they have ended.

use claude_e2e::{Begin, Print, Stage, eventually, in_any_order, without};
use serde_json::json;

use crate::{UNASKED, check, ended, ok, state, turn};

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
            "recent_turns": [turn("agent", 3, "ok")],
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
            "recent_turns": [turn("background-command", 1, "ok")],
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
        "recent_turns": [turn("background-agent", 2, "ok")],
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
fn an_agent_is_seen_at_work() {
    let stage = Stage::set("agent-at-work");
    let user = stage.open(Begin::New, UNASKED);
    user.prompt("SCRIPT:waited-for-agent");
    stage.holds(
        "while it works",
        &user.session,
        &json!({
            "status": { "state": "background", "tasks": 1 },
            "agents": { "total": 1, "running": 1 },
            "current": [{ "tool": "Bash" }],
            "agent_tree": [{ "status": { "state": "running" } }],
        }),
    );
    stage.let_go("thought");
    stage.control.wait_for(&user.session, "Stop", 2);
    stage.holds("after the turn", &user.session, &state("done"));
    user.leave();
    stage.ends(
        &user.session,
        &json!({
            "agent_tree": [{ "description": "Think long", "status": { "state": "ended" }, "tool_calls": 1,
                "last_message": "I thought about it." }],
            "recent_turns": without("<task-notification>"),
        }),
    );
    stage.over();
}

#[test]
fn a_teammate_that_waits_is_done() {
    let stage = Stage::set("teammate");
    let teams = ["env", "CLAUDE_CODE_EXPERIMENTAL_AGENT_TEAMS=1", "claude"];
    let user = stage.open_as(&teams, Begin::New, UNASKED);
    user.prompt("SCRIPT:teammate");
    stage.control.wait_for(&user.session, "TeammateIdle", 1);
    stage.holds(
        "when it has done its work",
        &user.session,
        &json!({
            "status": { "state": "done" },
            "agents": { "running": 0 },
        }),
    );
    user.leave();
    stage.delivered();
    stage.over();
}

#[test]
fn a_background_task_goes_on_behind_the_turn_and_its_end_is_no_prompt() {
    let stage = Stage::set("task-behind");
    let user = stage.open(Begin::New, UNASKED);
    user.prompt("SCRIPT:background-command");
    stage.control.wait_for(&user.session, "Stop", 1);
    stage.holds(
        "while it goes on",
        &user.session,
        &json!({
            "status": { "state": "background", "tasks": 1 },
            "background": [{ "kind": "shell" }],
        }),
    );
    stage.let_go("go");
    stage.control.wait_for(&user.session, "Stop", 2);
    stage.holds(
        "after it",
        &user.session,
        &json!({
            "status": { "state": "done" },
            "background": [],
            "recent_turns": without("<task-notification>"),
        }),
    );
    user.leave();
    stage.ends(&user.session, &json!({}));
    stage.over();
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
