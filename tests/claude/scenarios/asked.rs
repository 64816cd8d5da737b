//! What waits for the user: permissions, questions and plans, until they are answered.

use claude_e2e::{Begin, Stage, at_least, containing};
use serde_json::json;

use crate::{THINKING, UNASKED, state, turn, working};

#[test]
fn a_permission_is_asked_for_until_it_is_given_and_the_wait_is_no_run() {
    let stage = Stage::set("permission-given");
    let user = stage.open(Begin::New, &[]);
    user.prompt("SCRIPT:permission");
    user.wait_for("Do you want to proceed?");
    stage.holds(
        "while it asks",
        &user.session,
        &json!({
            "status": { "state": "needs_you", "ask": { "what": "permission", "tool": "Bash" }, "open": 1 },
        }),
    );
    std::thread::sleep(THINKING);
    user.answer("Do you want to proceed?", "Enter");
    stage.wait_for_file("allowed.txt");
    stage.holds("after Yes", &user.session, &working("Bash"));
    stage.let_go("go");
    stage.control.wait_for(&user.session, "Stop", 1);
    stage.holds("after the turn", &user.session, &state("done"));
    user.leave();
    stage.ends(
        &user.session,
        &json!({
            "recent_calls": [{ "tool": "Bash", "asked_at": at_least(1),
                "end": { "outcome": "ok", "wait_ms": at_least(THINKING.as_millis() as u64) } }],
            "recent_turns": [turn("permission", 1, "ok")],
        }),
    );
    stage.over();
}

#[test]
fn esc_at_a_permission_prompt_ends_the_question() {
    let stage = Stage::set("permission-refused");
    let user = stage.open(Begin::New, &[]);
    user.prompt("SCRIPT:permission");
    user.wait_for("Do you want to proceed?");
    stage.holds("while it asks", &user.session, &state("needs_you"));
    user.press("Escape");
    user.wait_for("Interrupted");
    stage.holds("after Esc", &user.session, &state("interrupted"));
    user.leave();
    stage.ends(&user.session, &json!({ "recent_turns": [turn("permission", 1, "interrupted")] }));
    stage.over();
}

#[test]
fn a_question_waits_for_its_answer() {
    let stage = Stage::set("question");
    let user = stage.open(Begin::New, UNASKED);
    user.prompt("SCRIPT:question");
    user.wait_for("Which colour?");
    stage.holds(
        "while it asks",
        &user.session,
        &json!({
            "status": { "state": "needs_you", "ask": { "what": "question", "text": "Which colour?" } },
        }),
    );
    user.answer("Which colour?\n", "Enter");
    stage.control.wait_for(&user.session, "Stop", 1);
    stage.holds("after the answer", &user.session, &state("done"));
    user.leave();
    stage.ends(
        &user.session,
        &json!({
            "recent_calls": [{ "tool": "AskUserQuestion", "end": { "outcome": "ok" } }],
        }),
    );
    stage.over();
}

#[test]
fn a_plan_waits_for_its_approval() {
    let stage = Stage::set("plan");
    let user = stage.open(Begin::New, &["--permission-mode", "plan"]);
    user.prompt("SCRIPT:plan");
    user.wait_for("Would you like to proceed?");
    stage.holds(
        "while it asks",
        &user.session,
        &json!({
            "status": { "state": "needs_you", "ask": { "what": "plan" } },
            "plan": { "text": containing("The plan"), "is_approved": false },
        }),
    );
    user.answer("Would you like to proceed?", "2");
    stage.control.wait_for(&user.session, "Stop", 1);
    stage.holds(
        "after the answer",
        &user.session,
        &json!({
            "status": { "state": "done" },
            "plan": { "is_approved": true },
        }),
    );
    user.leave();
    stage.ends(&user.session, &json!({ "recent_turns": [turn("plan", 2, "ok")] }));
    stage.over();
}

#[test]
fn what_an_agent_behind_the_turn_asks_needs_the_user() {
    let stage = Stage::set("agent-asks");
    let user = stage.open(Begin::New, &["--allowedTools", "Agent"]);
    user.prompt("SCRIPT:asking-agent");
    user.wait_for("Do you want to proceed?");
    let asked = stage.control.of(&user.session, "PermissionRequest");
    let agent = &asked.first().expect("it asks").input["agent_id"];
    assert!(agent.is_string(), "an agent asks: {asked:#?}");
    let ask = json!({ "what": "permission", "tool": "Bash" });
    stage.holds(
        "while it asks",
        &user.session,
        &json!({
            "status": { "state": "needs_you", "ask": ask, "agent_id": agent },
        }),
    );
    std::thread::sleep(THINKING);
    user.answer("Do you want to proceed?", "Enter");
    stage.holds(
        "after Yes",
        &user.session,
        &json!({
            "status": { "state": "background", "tasks": 1 },
            "open_calls": [{ "tool": "Bash" }],
        }),
    );
    stage.let_go("go");
    stage.control.wait_for(&user.session, "Stop", 2);
    stage.holds("after it", &user.session, &state("done"));
    user.leave();
    stage.ends(&user.session, &json!({ "agent_tree": [{ "status": { "state": "ended" } }] }));
    stage.over();
}
