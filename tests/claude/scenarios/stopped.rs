//! What ends or breaks off: Esc, Ctrl-C, a closed terminal, a killed process, and what only looks like it.

use claude_e2e::{Begin, Stage, without};
use serde_json::json;

use crate::{UNASKED, first_turn, state, turn, working};

#[test]
fn esc_in_a_tool_interrupts_the_call_and_the_turn() {
    let stage = Stage::set("esc-in-tool");
    let user = stage.open(Begin::New, UNASKED);
    stage.holds("before the first prompt", &user.session, &state("idle"));
    user.prompt("SCRIPT:waiting-command");
    stage.holds("while it runs", &user.session, &working("Bash"));
    user.press("Escape");
    user.wait_for("Interrupted");
    stage.holds("after Esc", &user.session, &state("interrupted"));
    user.leave();
    stage.ends(
        &user.session,
        &json!({
            "status": { "reason": "prompt_input_exit" },
            "recent_calls": [{ "tool": "Bash", "end": { "outcome": "interrupted" } }],
            "recent_turns": [turn("waiting-command", 1, "interrupted")],
        }),
    );
    stage.over();
}

#[test]
fn esc_in_the_text_interrupts_the_turn() {
    let stage = Stage::set("esc-in-text");
    let user = stage.open(Begin::New, UNASKED);
    user.prompt("SCRIPT:slow-text");
    user.wait_for("I count: one");
    stage.holds("while it speaks", &user.session, &state("working"));
    user.press("Escape");
    user.wait_for("Interrupted");
    stage.holds("after Esc", &user.session, &state("interrupted"));
    user.leave();
    stage.ends(&user.session, &json!({ "recent_turns": [turn("slow-text", 0, "interrupted")] }));
    stage.over();
}

#[test]
fn esc_before_the_first_word_ends_the_work() {
    let stage = Stage::set("esc-before-word");
    let user = stage.open(Begin::New, UNASKED);
    user.prompt("SCRIPT:slow-start");
    stage.api.wait_for("slow-start 0");
    stage.holds("while it thinks", &user.session, &state("working"));
    user.press("Escape");
    stage.holds("after Esc", &user.session, &json!({ "status": without("working") }));
    user.press("C-u");
    user.leave();
    stage.ends(&user.session, &json!({}));
    stage.over();
}

#[test]
fn ctrl_c_in_a_tool_interrupts_it_and_the_session_goes_on() {
    let stage = Stage::set("ctrl-c");
    let user = stage.open(Begin::New, UNASKED);
    user.prompt("SCRIPT:waiting-command");
    stage.holds("while it runs", &user.session, &working("Bash"));
    user.press("C-c");
    user.wait_for("Interrupted");
    stage.holds("after Ctrl-C", &user.session, &state("interrupted"));
    user.leave();
    let truth = json!({ "status": { "state": "closed", "reason": "prompt_input_exit" } });
    stage.holds("after two more", &user.session, &truth);
    stage.ends(&user.session, &json!({ "recent_turns": [turn("waiting-command", 1, "interrupted")] }));
    stage.over();
}

#[test]
fn a_session_whose_terminal_is_closed_has_ended() {
    let stage = Stage::set("hang-up");
    let user = stage.open(Begin::New, UNASKED);
    first_turn(&stage, &user, "hello");
    user.hang_up();
    stage.ends(&user.session, &json!({ "recent_turns": [turn("hello", 0, "ok")] }));
    stage.over();
}

#[test]
fn a_killed_session_is_lost() {
    let stage = Stage::set("killed");
    let user = stage.open(Begin::New, UNASKED);
    user.prompt("SCRIPT:waiting-command");
    stage.holds("while it runs", &user.session, &working("Bash"));
    user.kill();
    stage.let_go("go");
    stage.delivered();
    stage.holds("after the kill", &user.session, &state("lost"));
    stage.over();
}

#[test]
fn a_prompt_that_is_typed_while_a_tool_runs_interrupts_nothing() {
    let stage = Stage::set("queued-prompt");
    let user = stage.open(Begin::New, UNASKED);
    user.prompt("SCRIPT:waiting-command");
    stage.holds("while it runs", &user.session, &working("Bash"));
    user.prompt("SCRIPT:hello");
    stage.control.wait_for(&user.session, "UserPromptSubmit", 2);
    stage.holds(
        "with a prompt in the queue",
        &user.session,
        &json!({
            "status": { "state": "working", "tool": "Bash" },
            "open_calls": [{ "tool": "Bash" }],
            "recent_turns": without("outcome"),
        }),
    );
    stage.let_go("go");
    stage.control.wait_for(&user.session, "Stop", 1);
    stage.holds("after the turn", &user.session, &state("done"));
    user.leave();
    stage.ends(
        &user.session,
        &json!({
            "recent_calls": [{ "tool": "Bash", "end": { "outcome": "ok" } }],
            "recent_turns": without("\"unknown\""),
        }),
    );
    stage.over();
}
