//! Claims about sessions of the real Claude Code: what the monitor says of them at each moment, and at their end.

mod asked;
mod behind;
mod commanded;
mod lived;
mod printed;
mod stopped;

use std::time::Duration;

use claude_e2e::{Print, Printed, Purpose, Stage, Terminal};
use serde_json::{Value, json};

/// How long a user thinks before he answers: what the monitor must show as a wait.
const THINKING: Duration = Duration::from_secs(2);

/// Commands and agents run unasked.
const UNASKED: &[&str] = &["--allowedTools", "Bash,Read,Agent"];

/// How much the sum of rounded costs may differ from the rounded sum, in millionths of a dollar a response.
const ROUNDING: f64 = 0.5;

/// Runs the script of a scenario's name as a headless session to its end, and claims that all is known of it, and this
/// besides.
#[track_caller]
fn check(scenario: &'static str, how: Print<'_>, besides: &Value) {
    let stage = Stage::set(scenario);
    let printed = stage.print(scenario, how);
    ended(stage, &printed, besides);
}

/// Claims that a headless session is known as it was, and that its cost is what Claude Code itself says.
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

/// Lets a script run to the end of its turn, the first of the session's.
#[track_caller]
fn first_turn(stage: &Stage, user: &Terminal, script: &str) {
    user.prompt(&format!("SCRIPT:{script}"));
    stage.control.wait_for(&user.session, "Stop", 1);
    stage.holds("after the first turn", &user.session, &state("done"));
}

/// A session that does this.
fn state(state: &str) -> Value {
    json!({ "status": { "state": state } })
}

/// A session in which this tool runs.
fn working(tool: &str) -> Value {
    json!({ "status": { "state": "working", "tool": tool } })
}

/// A turn by a script that made so many calls.
fn turn(script: &str, calls: u64, outcome: &str) -> Value {
    json!({ "prompt": format!("SCRIPT:{script}"), "tool_calls": calls, "end": { "outcome": outcome } })
}

/// A call that went well.
fn ok(tool: &str, summary: &str) -> Value {
    json!({ "tool": tool, "summary": summary, "end": { "outcome": "ok" } })
}

/// A call that failed.
fn failed(tool: &str, summary: &str) -> Value {
    json!({ "tool": tool, "summary": summary, "end": { "outcome": "failed" } })
}
