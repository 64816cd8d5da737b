//! Claims about the kinds of events that people look for: agents, tools, system, project, memory and connections all
//! appear in the stream, and each can be asked for alone.

use std::time::Instant;

use e2e::{Library, Monitor, PATIENCE, Socket, WebSocket};
use serde_json::{Value, json};

/// A hook of one session.
fn hook(name: &str, more: &Value) -> Value {
    let mut hook = json!({ "session_id": "s-1", "cwd": "/home/dev/shop", "hook_event_name": name });
    hook.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    hook
}

fn tool(name: &str, input: &Value, response: &Value) -> Value {
    hook(
        "PostToolUse",
        &json!({ "tool_name": name, "tool_use_id": name, "tool_input": input, "tool_response": response }),
    )
}

/// The summaries of what a query finds, in the dashboard's language.
fn found(monitor: &Monitor, query: &str) -> Vec<String> {
    let events = monitor.events(&format!("query={}", query.replace(' ', "%20").replace('"', "%22"))).events;
    events.into_iter().map(|event| event.summary).collect()
}

#[test]
fn every_category_is_in_the_stream_and_can_be_asked_for_alone() {
    let monitor = Monitor::start();
    let mut stream = Socket::connect(&monitor, Library::Node);
    let events = [
        hook("SubagentStart", &json!({ "agent_id": "a1", "agent_type": "Explore" })),
        tool("Bash", &json!({ "command": "git commit -m done" }), &json!({ "stdout": "1 file changed" })),
        tool("Bash", &json!({ "command": "cargo test" }), &json!({ "stdout": "test result: ok. 3 passed" })),
        tool("Write", &json!({ "file_path": "/home/dev/shop/tax.rs", "content": "x" }), &json!({})),
        hook("FileChanged", &json!({ "file_path": "/home/dev/shop/.envrc", "event": "change" })),
        hook(
            "ConfigChange",
            &json!({ "source": "user_settings", "file_path": "/home/dev/.claude/settings.json" }),
        ),
        json!({ "type": "memory:updated", "data": { "session_id": "s-1", "agent_id": "engineer" } }),
    ];
    for event in &events {
        monitor.event(event.to_string());
    }
    for _ in &events {
        stream.event("claude_event");
    }
    let cases = [
        ("agent", "kind:Subagent*", 1),
        ("tool", "kind:PostToolUse", 3),
        ("git", "tool:Bash git", 1),
        ("test results", "tool:Bash \"cargo test\"", 1),
        ("file changes", "tool:Write,Edit", 1),
        ("watched files", "kind:FileChanged", 1),
        ("configuration changes", "kind:ConfigChange", 1),
        ("memory", "kind:memory*", 1),
    ];
    for (category, query, count) in cases {
        let found = found(&monitor, query);
        assert_eq!(found.len(), count, "{category}: {query} finds {found:?}");
    }
}

#[test]
fn the_monitor_tells_of_its_own_start_and_stop_and_of_who_connects_and_leaves() {
    let monitor = Monitor::start_with_own_events();
    let mut watcher = WebSocket::subscribe(&monitor, &["client.*", "system.started"]);
    drop(WebSocket::connect(&monitor));
    for kind in ["client.connected", "client.disconnected"] {
        let client = watcher.data(kind);
        assert_eq!(client["transport"], "websocket", "{client}");
    }
    let monitor = monitor.stop().restart();
    let own = monitor.wait_for_events("kind=system.started&kind=system.stopped", 3).events;
    let kinds: Vec<&str> = own.iter().map(|event| event.kind.as_str()).collect();
    assert_eq!(kinds, ["system.started", "system.stopped", "system.started"]);
    assert!(own.iter().all(|event| event.source == "monitor"));
    let left = found(&monitor, "kind:client.disconnected");
    assert!(left.len() >= 2, "the watcher left with the server: {left:?}");
    assert!(found(&monitor, "kind:client.*").iter().all(|summary| summary.contains("127.0.0.1:")));
}

#[test]
fn a_client_that_connects_in_a_loop_does_not_fill_the_store() {
    const TIMES: usize = 60;
    let monitor = Monitor::start_with_own_events();
    for _ in 0..TIMES {
        let url = format!("ws://127.0.0.1:{}/ws", monitor.port());
        let (mut socket, _) = tungstenite::connect(url).expect("it takes a WebSocket");
        // It leaves while it is still being told things.
        socket.close(None).expect("it may say goodbye");
        while socket.read().is_ok() {}
    }
    let started = Instant::now();
    loop {
        let health = monitor.assert_healthy();
        if health["health_stats"]["clients_served"] == TIMES && health["clients_connected"] == 0 {
            break;
        }
        assert!(started.elapsed() < PATIENCE, "all came and left: {health}");
    }
    let monitor = monitor.stop().restart();
    let page = monitor.wait_for_events("kind=system.stopped&payload=true", 1);
    let clients = monitor.events("kind=client.connected&kind=client.disconnected&limit=1000").events.len();
    assert!((2..TIMES).contains(&clients), "{clients} rows for {TIMES} connections");
    assert_eq!(monitor.events("kind=client.disconnected&error=true").events.len(), 0, "all said goodbye");
    let stopped = &page.events[0];
    let payload: Value = serde_json::from_str(stopped.payload()).expect("a payload is JSON");
    assert_eq!(payload["skipped_events"], 2 * TIMES - clients, "the rest is counted: {payload}");
    assert!(stopped.summary.ends_with("were skipped"), "{}", stopped.summary);
}
