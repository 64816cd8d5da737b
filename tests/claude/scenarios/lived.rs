//! Several sessions and several lives of one: resumed, forked, side by side, in a worktree, run by us, without a monitor.

use claude_e2e::{Begin, Print, Purpose, Stage, containing, program, without};
use serde_json::json;

use crate::{THINKING, UNASKED, first_turn, state, turn, working};

/// More pictures of itself than that are no news: a prompt, some seconds of thought, an answer.
const OUTPUTS_MAX: usize = 8;

#[test]
fn a_resumed_session_goes_on_and_its_past_counts_once() {
    let stage = Stage::set("resume");
    let first = stage.print("hello", Print::default());
    let again = Print { begin: Begin::Resumed(&first.session), ..Print::default() };
    stage.print("command", again);
    stage
        .ends(&first.session, &json!({ "recent_turns": [turn("hello", 0, "ok"), turn("command", 1, "ok")] }));
    stage.over();
}

#[test]
fn a_fork_is_a_session_of_its_own_that_has_used_what_it_used_itself() {
    let stage = Stage::set("fork");
    let first = stage.print("hello", Print::default());
    let fork = Print { begin: Begin::Forked(&first.session), ..Print::default() };
    let fork = stage.print("command", fork);
    assert_ne!(fork.session, first.session);
    stage.ends(&first.session, &json!({ "recent_turns": [turn("hello", 0, "ok")] }));
    stage.holds(
        "in the fork",
        &fork.session,
        &json!({
            "recent_turns": [turn("command", 1, "ok")],
            "tokens": stage.api.used(&fork.session, |told| told.purpose == Purpose::Turn),
        }),
    );
    stage.over();
}

#[test]
fn a_session_that_is_resumed_is_open_again_and_a_fork_is_another() {
    let stage = Stage::set("resume-in-terminal");
    let first = stage.open(Begin::New, UNASKED);
    first_turn(&stage, &first, "hello");
    first.leave();
    stage.holds("when it was left", &first.session, &state("closed"));
    let again = stage.open(Begin::Resumed(&first.session), UNASKED);
    stage.control.wait_for(&first.session, "SessionStart", 2);
    stage.holds("when it is resumed", &first.session, &json!({ "status": without("closed") }));
    again.prompt("SCRIPT:command");
    stage.control.wait_for(&first.session, "Stop", 2);
    again.leave();
    let fork = stage.open(Begin::Forked(&first.session), UNASKED);
    fork.prompt("SCRIPT:think");
    stage.control.wait_for(&fork.session, "Stop", 1);
    stage.holds(
        "in the fork",
        &fork.session,
        &json!({
            "status": { "state": "done" },
            "recent_turns": [turn("think", 0, "ok")],
        }),
    );
    fork.leave();
    stage
        .ends(&first.session, &json!({ "recent_turns": [turn("hello", 0, "ok"), turn("command", 1, "ok")] }));
    stage.holds(
        "in the fork at its end",
        &fork.session,
        &json!({
            "status": { "state": "closed" },
            "tokens": stage.api.used(&fork.session, |_| true),
        }),
    );
    stage.over();
}

#[test]
fn sessions_in_one_project_are_told_apart() {
    let stage = Stage::set("two-sessions");
    let one = stage.open(Begin::New, UNASKED);
    let other = stage.open(Begin::New, UNASKED);
    one.prompt("SCRIPT:waiting-command");
    first_turn(&stage, &other, "hello");
    stage.holds("while the other one is done", &one.session, &working("Bash"));
    other.leave();
    stage.holds("when the other one has left", &one.session, &working("Bash"));
    stage.let_go("go");
    stage.control.wait_for(&one.session, "Stop", 1);
    stage.holds("after its turn", &one.session, &state("done"));
    one.leave();
    stage.ends(&one.session, &json!({ "recent_turns": [turn("waiting-command", 1, "ok")] }));
    stage.ends(&other.session, &json!({ "recent_turns": [turn("hello", 0, "ok")] }));
    stage.over();
}

#[test]
fn a_session_in_a_worktree_is_on_its_branch() {
    let stage = Stage::set("in-worktree");
    let user = stage.open(Begin::New, &["--worktree", "side", "--allowedTools", "Bash"]);
    first_turn(&stage, &user, "command");
    stage.holds(
        "in it",
        &user.session,
        &json!({
            "project": containing("/project/.claude/worktrees/side"),
            "branch": "worktree-side",
        }),
    );
    user.hang_up();
    stage.ends(&user.session, &json!({ "recent_turns": [turn("command", 1, "ok")] }));
    stage.over();
}

#[test]
fn run_tells_what_its_program_does_and_not_each_picture_of_it() {
    let stage = Stage::set("run");
    let monitor = program("claude-mpm-monitor").display().to_string();
    let port = stage.monitor().port().to_string();
    let user = stage.open_as(&[&monitor, "run", "--port", &port, "--", "claude"], Begin::New, UNASKED);
    user.prompt("SCRIPT:slow-start");
    stage.holds("while it thinks", &user.session, &state("working"));
    std::thread::sleep(THINKING);
    stage.api.open("start");
    stage.control.wait_for(&user.session, "Stop", 1);
    user.leave();
    stage.ends(&user.session, &json!({ "recent_turns": [turn("slow-start", 0, "ok")] }));
    stage.agrees("in the list", &json!({ "sessions": 1, "floods": false }), || {
        let sessions = stage.monitor().get("/api/sessions").json();
        let outputs = stage.stored().iter().filter(|event| event.kind == "claude.output").count();
        json!({ "sessions": sessions["sessions"].as_array().map(Vec::len), "floods": outputs > OUTPUTS_MAX })
    });
    stage.over();
}

#[test]
fn what_happens_without_a_monitor_is_known_when_it_is_back() {
    let mut stage = Stage::set("monitor-down");
    let user = stage.open(Begin::New, UNASKED);
    user.prompt("SCRIPT:waiting-command");
    stage.holds("while it runs", &user.session, &working("Bash"));
    stage.stop_monitor();
    stage.let_go("go");
    stage.control.wait_for(&user.session, "Stop", 1);
    stage.start_monitor();
    stage.holds("when it is back", &user.session, &state("done"));
    user.prompt("SCRIPT:hello");
    stage.control.wait_for(&user.session, "Stop", 2);
    stage.stop_monitor();
    user.leave();
    stage.start_monitor();
    stage.ends(
        &user.session,
        &json!({
            "recent_turns": [turn("waiting-command", 1, "ok"), turn("hello", 0, "ok")],
        }),
    );
    stage.over();
}
