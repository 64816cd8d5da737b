//! Claims about the way in: what senders in the field send is stored whole, and nothing acknowledged is lost.

use std::collections::BTreeMap;

use e2e::{Library, Monitor, Socket, hook, hook_posts, hook_samples, our, output, prompt, tool_start};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

const ALL: &str = "payload=true&duplicates=true&limit=1000";

#[test]
fn every_body_that_claude_mpm_s_own_hooks_post_is_kept_byte_for_byte() {
    let monitor = Monitor::start();
    let posts = hook_posts();
    assert_eq!(posts.len(), 67);
    for post in &posts {
        monitor.event(&post.body);
    }
    let stored = monitor.events(ALL).events;
    assert_eq!(stored.len(), posts.len());
    for (event, post) in stored.iter().zip(&posts) {
        assert_eq!(event.payload(), post.body.trim(), "event {}", event.seq);
        assert_eq!(event.source, "mpm_hook", "event {}: {}", event.seq, event.payload());
        assert_ne!(event.kind, "unknown", "{}", event.payload());
    }
}

#[test]
fn a_hook_that_settings_and_a_plugin_call_is_one_event_and_two_prompts_are_two() {
    let monitor = Monitor::start();
    let typed = |id: &str| json!({ "session_id": "s", "hook_event_name": "UserPromptSubmit", "prompt": "go", "prompt_id": id });
    for payload in
        [typed("p1").to_string(), tool_start("s", "t1"), typed("p2").to_string(), tool_start("s", "t2")]
    {
        monitor.hook(&payload);
        monitor.hook(&payload);
    }
    let shown: Vec<String> = monitor.events("limit=10").events.into_iter().map(|event| event.kind).collect();
    assert_eq!(shown, ["UserPromptSubmit", "PreToolUse", "UserPromptSubmit", "PreToolUse"]);
    assert_eq!(monitor.events(ALL).events.len(), 8, "all of them are kept");
    // Without an id they may be two.
    monitor.hook(&prompt("nameless", "go"));
    monitor.hook(&prompt("nameless", "go"));
    assert_eq!(monitor.events("session=nameless&limit=10").events.len(), 2);
}

#[test]
fn an_event_in_another_encoding_belongs_to_its_session_and_ends_its_call() {
    let monitor = Monitor::start();
    monitor.hook(&tool_start("s", "t1"));
    let ended = br#"{"session_id":"s","hook_event_name":"PostToolUse","tool_name":"Bash","tool_use_id":"t1",
        "tool_response":{"stdout":"GBK: "#;
    let ended = [&ended[..], b"\xd6\xd0\xce\xc4\"}}"].concat();
    let output = output(&mut our(monitor.home(), "claude-mpm-hook"), &ended);
    assert!(output.status.success(), "{output:?}");
    monitor.wait_for_spool();
    let detail = monitor.get("/api/sessions/s").json();
    assert_eq!(detail["open_calls"], json!([]));
    let last = monitor.events(ALL).events.pop().expect("it is there");
    assert!(last.payload().contains("GBK: \u{fffd}\u{fffd}\u{fffd}\u{fffd}"), "{}", last.payload());
}

#[test]
fn every_hook_event_of_claude_code_arrives_through_the_hook() {
    let monitor = Monitor::start();
    let samples = hook_samples();
    assert_eq!(samples.len(), 39);
    for sample in &samples {
        monitor.hook(sample);
    }
    let stored = monitor.wait_for_events(ALL, samples.len()).events;
    for (event, sample) in stored.iter().zip(&samples) {
        let given: Value = serde_json::from_str(sample).expect("a sample is JSON");
        assert_eq!(event.kind, given["hook_event_name"], "event {}", event.seq);
        assert_eq!(event.session_id.as_deref(), given["session_id"].as_str(), "event {}", event.seq);
        assert_eq!(event.tool_name.as_deref(), given["tool_name"].as_str(), "event {}", event.seq);
        assert_eq!(event.payload(), sample, "event {}", event.seq);
        assert_eq!(event.source, "hook", "event {}", event.seq);
    }
}

#[test]
fn a_hook_without_a_monitor_loses_nothing() {
    let home = tempfile::tempdir().expect("a temporary folder can be made");
    let sessions: Vec<String> = (0..20).map(|number| format!("s-{number}")).collect();
    for session in &sessions {
        hook(home.path(), &[], &prompt(session, "is anybody there?"));
    }
    let monitor = Monitor::start_in(home);
    let page = monitor.wait_for_events(ALL, sessions.len());
    assert_eq!(page.sessions(), sessions, "in the order in which they happened");
}

#[test]
fn a_hook_that_gets_nonsense_says_nothing_and_keeps_even_that() {
    let monitor = Monitor::start();
    let nonsense = ["", "not json", "[]", "7", "{", "{}"];
    for input in nonsense {
        monitor.hook(input);
    }
    monitor.hook(&prompt("s-1", "and then a real one"));
    let page = monitor.wait_for_events(ALL, nonsense.len() + 1);
    let kinds: Vec<&str> = page.events.iter().map(|event| event.kind.as_str()).collect();
    assert_eq!(kinds.iter().filter(|kind| **kind == "hook_input_invalid").count(), 3, "{kinds:?}");
    assert_eq!(kinds.iter().filter(|kind| **kind == "unknown").count(), 3, "{kinds:?}");
    monitor.assert_healthy();
}

#[test]
fn a_payload_of_megabytes_arrives_through_the_hook() {
    let monitor = Monitor::start();
    let text = "ä\\\"\n".repeat(500_000);
    let payload = json!({
        "session_id": "s-1", "cwd": "/home/dev/shop", "hook_event_name": "PostToolUse", "tool_name": "Read",
        "tool_input": {"file_path": "/big"}, "tool_response": {"content": text}, "tool_use_id": "toolu_1",
    })
    .to_string();
    monitor.hook(&payload);
    let page = monitor.wait_for_events(ALL, 1);
    assert!(page.events[0].payload() == payload, "{} bytes came back changed", payload.len());
    assert!(page.events[0].summary.len() <= 300, "a row stays small: {}", page.events[0].summary.len());
}

/// The recorded posts about one tool call, by the hook that sent them: bash keeps Claude Code's own payload.
fn posts_about_one_tool_call() -> (String, String, String) {
    #[derive(Deserialize)]
    struct Envelope {
        data: Data,
    }
    #[derive(Deserialize)]
    struct Data {
        subtype: String,
        source: String,
        data: Box<RawValue>,
    }
    let mut bodies = BTreeMap::new();
    for post in hook_posts() {
        let envelope: Envelope = serde_json::from_str(&post.body).expect("a recorded post is an envelope");
        if envelope.data.subtype == "pre_tool" {
            bodies.entry(envelope.data.source).or_insert((post.body, envelope.data.data.get().to_owned()));
        }
    }
    let (bash, payload) = bodies["fast_hook"].clone();
    (payload, bash, bodies["hook"].0.clone())
}

#[test]
fn one_tool_call_told_by_several_senders_is_shown_once() {
    let (payload, bash, python) = posts_about_one_tool_call();
    let monitor = Monitor::start();
    let mut socket = Socket::connect(&monitor, Library::Node);
    monitor.hook(&payload);
    monitor.event(&bash);
    monitor.event(&python);
    monitor.event(prompt("the-end", "done"));

    let shown = monitor.events("").events;
    assert_eq!(shown.len(), 2, "the tool call once, and the end: {shown:?}");
    assert_eq!(shown[0].source, "hook", "the richest is the one shown: {shown:?}");
    let all = monitor.events("duplicates=true").events;
    assert_eq!(all.len(), 4, "nothing is thrown away: {all:?}");
    assert_eq!(all[1].duplicate_of, Some(all[0].seq), "{all:?}");
    assert_eq!(all[2].duplicate_of, Some(all[0].seq), "{all:?}");
    assert_eq!(socket.event("claude_event")["subtype"], "pre_tool");
    assert_eq!(socket.event("claude_event")["session_id"], "the-end", "live as well");
}

#[test]
fn the_same_thing_told_twice_by_one_sender_happened_twice() {
    let monitor = Monitor::start();
    monitor.event(prompt("s-1", "again"));
    monitor.event(prompt("s-1", "again"));
    assert_eq!(monitor.events("").events.len(), 2);
}

#[test]
fn what_was_acknowledged_survives_a_crash() {
    let monitor = Monitor::start();
    let mut acknowledged: Vec<String> = std::thread::scope(|scope| {
        let senders: Vec<_> = (0..4)
            .map(|sender| {
                let monitor = &monitor;
                scope.spawn(move || {
                    let session = |number| format!("s-{sender}-{number}");
                    (0..50).map(session).inspect(|id| monitor.event(tool_start(id, id))).collect::<Vec<_>>()
                })
            })
            .collect();
        senders.into_iter().flat_map(|sender| sender.join().expect("a sender ends well")).collect()
    });
    let before = monitor.events(ALL).sessions();
    let monitor = monitor.crash().restart();
    assert_eq!(monitor.events(ALL).sessions(), before, "the same events in the same order");
    let mut kept = before;
    acknowledged.sort();
    kept.sort();
    assert_eq!(kept, acknowledged);
    monitor.event(prompt("s-new", "go on"));
    assert_eq!(monitor.events("").events.last().map(|event| event.seq), Some(201), "numbers go on");
}

#[test]
fn unknown_kinds_and_fields_pass_through() {
    let monitor = Monitor::start();
    let body =
        r#"{"hook_event_name":"ThoughtExperiment","session_id":"s-1","a_new_field":{"deep":[1,2.50,1e3]}}"#;
    monitor.event(body);
    let event = &monitor.events(ALL).events[0];
    assert_eq!((event.kind.as_str(), event.payload()), ("ThoughtExperiment", body));
}

#[test]
fn half_a_character_as_javascript_cuts_it_is_kept() {
    let monitor = Monitor::start();
    let mut socket = Socket::connect(&monitor, Library::Node);
    let body = r#"{"hook_event_name":"UserPromptSubmit","session_id":"s-1","prompt":"cut here \ud83d"}"#;
    monitor.event(body);
    assert_eq!(monitor.events(ALL).events[0].payload(), body);
    assert_eq!(socket.event("claude_event")["session_id"], "s-1");
}
