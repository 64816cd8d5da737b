//! What the user orders by commands: compaction, a new session, a name, another model, other settings.

use claude_e2e::{Begin, COMPACTION, Stage, Stored, TITLE, containing, without};
use serde_json::json;

use crate::{UNASKED, first_turn, state, turn};

#[test]
fn compaction_is_a_state_of_its_own() {
    let stage = Stage::set("compact");
    let user = stage.open(Begin::New, UNASKED);
    first_turn(&stage, &user, "hello");
    user.prompt("/compact");
    stage.holds("while it compacts", &user.session, &state("compacting"));
    stage.api.open(COMPACTION);
    stage.control.wait_for(&user.session, "PostCompact", 1);
    stage.holds(
        "after it",
        &user.session,
        &json!({
            "status": without("compacting"),
            "agents": { "total": 0 },
        }),
    );
    stage.agrees(
        "on the screen",
        &json!({ "hooks": 0 }),
        || json!({ "hooks": user.screen().matches("claude-mpm-hook").count() }),
    );
    user.leave();
    stage.delivered();
    stage.holds(
        "at its end",
        &user.session,
        &json!({
            "status": { "state": "closed" },
            "tokens": stage.api.used(&user.session, |_| true),
        }),
    );
    stage.over();
}

#[test]
fn clear_ends_a_session_and_begins_another() {
    let stage = Stage::set("clear");
    let user = stage.open(Begin::New, UNASKED);
    first_turn(&stage, &user, "hello");
    user.prompt("/clear");
    let next = stage.control.session_from("clear");
    assert_ne!(next, user.session);
    stage.holds("before the next prompt", &next, &state("idle"));
    stage.holds(
        "in the old one",
        &user.session,
        &json!({ "status": { "state": "closed", "reason": "clear" } }),
    );
    user.prompt("SCRIPT:command");
    stage.control.wait_for(&next, "Stop", 1);
    stage.holds("after the next turn", &next, &state("done"));
    user.leave();
    stage.ends(&user.session, &json!({ "recent_turns": [turn("hello", 0, "ok")] }));
    stage.holds(
        "in the new one",
        &next,
        &json!({
            "status": { "state": "closed" },
            "recent_turns": [turn("command", 1, "ok")],
            "tokens": stage.api.used(&next, |_| true),
        }),
    );
    stage.over();
}

#[test]
fn a_session_has_the_name_that_its_user_gave_it_and_hears_of_it_once() {
    let mut stage = Stage::set("rename");
    let user = stage.open(Begin::New, UNASKED);
    first_turn(&stage, &user, "hello");
    user.prompt("/rename Better name");
    stage.holds("after it", &user.session, &json!({ "title": "Better name" }));
    stage.stop_monitor();
    stage.start_monitor();
    user.prompt("SCRIPT:think");
    stage.control.wait_for(&user.session, "Stop", 2);
    user.leave();
    stage.ends(&user.session, &json!({ "title": "Better name" }));
    stage.agrees("of its titles", &json!({ "titles": 1 }), || {
        let told = |event: &Stored| event.source == "transcript" && event.payload().contains("Better name");
        json!({ "titles": stage.stored().iter().filter(|event| told(event)).count() })
    });
    stage.over();
}

#[test]
fn another_model_is_known_at_once() {
    let stage = Stage::set_with("model", &["PostModelSwitch"]);
    let user = stage.open(Begin::New, UNASKED);
    first_turn(&stage, &user, "hello");
    user.prompt("/model claude-sonnet-5-5");
    user.wait_for("Switch model?");
    user.answer("Switch model?", "Enter");
    stage.control.wait_for(&user.session, "PostModelSwitch", 1);
    stage.holds("after it", &user.session, &json!({ "model": containing("sonnet") }));
    user.leave();
    stage.ends(&user.session, &json!({}));
    stage.over();
}

#[test]
fn what_claude_code_asks_besides_its_turns_is_counted() {
    let stage = Stage::set("titled");
    // Titles are no essential traffic.
    let titled = ["env", "-u", "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "claude"];
    let user = stage.open_as(&titled, Begin::New, UNASKED);
    user.prompt("Please be so kind as to greet everybody who is in this room today SCRIPT:hello");
    stage.control.wait_for(&user.session, "Stop", 1);
    stage.holds("of its title", &user.session, &json!({ "title": TITLE }));
    user.leave();
    stage.delivered();
    stage.holds(
        "at its end",
        &user.session,
        &json!({
            "status": { "state": "closed" },
            "tokens": stage.api.used(&user.session, |_| true),
        }),
    );
    stage.over();
}

#[test]
fn changed_settings_are_no_news_of_a_session() {
    let stage = Stage::set("settings-changed");
    let user = stage.open(Begin::New, UNASKED);
    first_turn(&stage, &user, "hello");
    let settings = stage.home().join(".claude/settings.json");
    let text = std::fs::read_to_string(&settings).expect("there are settings");
    std::fs::write(&settings, text.replacen('{', "{ \"spinnerTipsEnabled\": false,", 1)).expect("a file");
    stage.control.wait_for(&user.session, "ConfigChange", 1);
    stage.delivered();
    stage.holds("after it", &user.session, &json!({ "last_summary": containing("Hello") }));
    user.leave();
    stage.ends(&user.session, &json!({ "recent_turns": [turn("hello", 0, "ok")] }));
    stage.over();
}
