//! `demo`: replays a recorded session through the ordinary door, so that there is something to see.

use std::pin::pin;
use std::time::Duration;

use anyhow::Context as _;
use client::Monitor;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::time::{Instant, sleep_until};

use crate::args::Demo;
use crate::context::Context;
use crate::{Exit, which};

/// Two sessions as Claude Code's hooks sent them, one event a line, oldest first.
const RECORDING: &str = include_str!("../assets/demo.jsonl");

/// Part of every id in the recording. Each replay puts its own text there, so that replays never mix.
const RUN: &str = "d3300d33";

/// A line of the recording.
#[derive(Debug, Deserialize)]
struct Recorded {
    /// Milliseconds since the recording began.
    at_ms: u64,
    /// What the hook sent.
    payload: Box<RawValue>,
}

/// What tells the events of a recording apart.
#[derive(Debug, Deserialize)]
struct Head {
    session_id: String,
    hook_event_name: String,
}

impl Recorded {
    fn head(&self) -> anyhow::Result<Head> {
        serde_json::from_str(self.payload.get()).context("could not read the recording")
    }
}

pub(crate) fn run(demo: &Demo, context: &mut Context<'_, '_>) -> anyhow::Result<Exit> {
    let running = match which::monitor(demo.which.port, context)? {
        Ok(running) => running,
        Err(exit) => return Ok(exit),
    };
    let run = uuid::Uuid::new_v4().simple().to_string();
    let events = recording(&RECORDING.replace(RUN, &run[run.len() - RUN.len()..]))?;
    context.terminal.say(format_args!("Replaying a recorded session to {}", running.url()));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.context("could not start the runtime")?;
    let sent = runtime.block_on(replay(&running.monitor(), &events, demo.speed, context))?;
    if sent < events.len() {
        for end in ends(&events, sent)? {
            running.monitor().post_event(end.payload.get())?;
        }
        context.terminal.say(format_args!("Demo stopped after {sent} of {} events", events.len()));
    } else {
        context.terminal.say(format_args!("Demo ended: {sent} events sent"));
    }
    Ok(Exit::Done)
}

/// Sends each event at its time until all are sent or the user interrupts; returns how many were sent.
async fn replay(
    monitor: &Monitor,
    events: &[Recorded],
    speed: f64,
    context: &mut Context<'_, '_>,
) -> anyhow::Result<usize> {
    let mut interrupted = pin!(tokio::signal::ctrl_c());
    let started = Instant::now();
    for (sent, event) in events.iter().enumerate() {
        let due = started + Duration::from_millis(event.at_ms).div_f64(speed);
        tokio::select! {
            biased;
            _ = &mut interrupted => return Ok(sent),
            () = sleep_until(due) => {}
        }
        monitor.post_event(event.payload.get())?;
        context.terminal.progress(format_args!("{} of {} events", sent + 1, events.len()));
    }
    Ok(events.len())
}

/// The ends of the sessions that began among the first `sent` events: without them they would look busy for
/// ever.
fn ends(events: &[Recorded], sent: usize) -> anyhow::Result<Vec<&Recorded>> {
    let heads: Vec<Head> = events.iter().map(Recorded::head).collect::<Result<_, _>>()?;
    let begun = |head: &Head| heads[..sent].iter().any(|sent| sent.session_id == head.session_id);
    let late = events.iter().zip(&heads).skip(sent);
    Ok(late.filter(|(_, h)| h.hook_event_name == "SessionEnd" && begun(h)).map(|(event, _)| event).collect())
}

fn recording(text: &str) -> anyhow::Result<Vec<Recorded>> {
    text.lines().map(|line| serde_json::from_str(line).context("could not read the recording")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;
    use std::collections::BTreeSet;

    fn payloads() -> Vec<(u64, Value)> {
        let events = recording(RECORDING).unwrap();
        events.iter().map(|event| (event.at_ms, serde_json::from_str(event.payload.get()).unwrap())).collect()
    }

    #[test]
    fn the_recording_is_in_order_and_takes_about_a_minute() {
        let events = payloads();
        assert!(events.is_sorted_by_key(|(at_ms, _)| *at_ms), "oldest first");
        assert!((60_000..=90_000).contains(&events.last().unwrap().0), "{:?}", events.last().unwrap().0);
        assert!((120..=170).contains(&events.len()), "{} events", events.len());
    }

    #[test]
    fn every_id_is_new_with_every_replay() {
        for (_, payload) in payloads() {
            for key in ["session_id", "prompt_id", "tool_use_id", "agent_id"] {
                if let Some(id) = payload[key].as_str() {
                    assert!(id.contains(RUN), "{key} {id} would be the same in every replay");
                }
            }
        }
    }

    #[test]
    fn the_recording_shows_every_part_of_a_session() {
        let seen: BTreeSet<_> =
            payloads().iter().map(|(_, p)| p["hook_event_name"].as_str().unwrap().to_owned()).collect();
        for name in [
            "SessionStart",
            "InstructionsLoaded",
            "UserPromptSubmit",
            "PreToolUse",
            "PermissionRequest",
            "PostToolUse",
            "PostToolUseFailure",
            "Notification",
            "SubagentStart",
            "SubagentStop",
            "TaskCreated",
            "TaskCompleted",
            "PreCompact",
            "PostCompact",
            "Stop",
            "SessionEnd",
        ] {
            assert!(seen.contains(name), "{name} is missing");
        }
    }

    #[test]
    fn every_tool_call_that_starts_also_ends_and_every_subagent_is_launched_by_a_call() {
        let events = payloads();
        let ids = |names: &[&str], key: fn(&Value) -> &Value| -> BTreeSet<String> {
            let named = events.iter().filter(|(_, p)| names.iter().any(|name| p["hook_event_name"] == *name));
            named.filter_map(|(_, p)| key(p).as_str().map(str::to_owned)).collect()
        };
        let started = ids(&["PreToolUse"], |p| &p["tool_use_id"]);
        assert_eq!(started, ids(&["PostToolUse", "PostToolUseFailure"], |p| &p["tool_use_id"]));
        let launched = ids(&["PostToolUse"], |p| &p["tool_response"]["agentId"]);
        assert!(!launched.is_empty());
        assert_eq!(launched, ids(&["SubagentStart"], |p| &p["agent_id"]));
        assert_eq!(launched, ids(&["SubagentStop"], |p| &p["agent_id"]));
    }
}
