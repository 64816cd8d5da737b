//! Claims about the raw WebSocket door: the documented clients as they stand, and one that does what it is told.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::sync::Arc;

use e2e::{
    Client, Library, Monitor, PATIENCE, Socket, WebSocket, hook_samples, prompt, raw, stop, tool_start,
};
use serde_json::{Value, json};
use tempfile::TempDir;

fn types(messages: &[Value]) -> Vec<&str> {
    messages.iter().filter_map(|message| message["type"].as_str()).collect()
}

#[track_caller]
fn assert_fields(value: &Value, fields: &[&str]) {
    for field in fields {
        assert!(value.get(field).is_some(), "no {field} in {value}");
    }
}

fn get_history(types: &[&str], limit: usize) -> Value {
    json!({"command": "get_history", "params": {"event_types": types, "limit": limit}})
}

#[test]
fn the_documented_clients_get_each_event_once_and_in_order() {
    let monitor = Monitor::start();
    let url = format!("ws://localhost:{}", monitor.port());
    let mut clients = [
        (Client::python("websocket_monitor.py", &[&url]), "{'channels': ['*']}"),
        (Client::node("websocket_monitor.mjs", &[&url]), "{ channels: [ '*' ] }"),
    ];
    for (client, _) in &mut clients {
        // Nothing is missed from the moment of the greeting on.
        client.take("system.status", |line| is_line(line, "system.status"));
    }
    let count = 30;
    for number in 0..count {
        monitor.event(prompt("s-1", &format!("prompt-{number}-")));
    }
    monitor.event(stop("s-1"));
    for (mut client, subscribed) in clients {
        client.take("subscribed", |line| {
            is_line(line, "subscribed") && line.as_str().is_some_and(|line| line.ends_with(subscribed))
        });
        client.take("hook.stop", |line| is_line(line, "hook.stop"));
        let printed: Vec<Value> = client.rest();
        let text: Vec<&str> = printed.iter().filter_map(Value::as_str).collect();
        let prompts = text.iter().filter(|line| line.starts_with("hook.user_prompt")).count();
        assert_eq!(prompts, count, "each once:\n{}", text.join("\n"));
        let all = text.join("\n");
        let places: Vec<usize> = (0..count)
            .map(|number| {
                all.find(&format!("prompt-{number}-")).unwrap_or_else(|| panic!("{number} in {all}"))
            })
            .collect();
        assert!(places.is_sorted(), "in order:\n{all}");
    }
}

/// Whether a client printed a message of this type: `type: data` or `type data`.
fn is_line(line: &Value, r#type: &str) -> bool {
    let rest = line.as_str().and_then(|line| line.strip_prefix(r#type));
    rest.is_some_and(|rest| rest.starts_with([':', ' ']))
}

#[test]
fn a_new_client_is_told_the_status_on_either_path() {
    let monitor = Monitor::start();
    for path in ["/", "/ws", ""] {
        let mut socket = WebSocket::attempt(&monitor, path, None);
        let status = socket.data("system.status");
        let fields = [
            "session_id",
            "session_start",
            "claude_status",
            "claude_pid",
            "connected_clients",
            "websocket_port",
            "instance_info",
        ];
        assert_fields(&status, &fields);
        assert_eq!((&status["claude_status"], &status["session_id"]), (&json!("stopped"), &Value::Null));
        assert_eq!(status["websocket_port"], monitor.port());
        assert_eq!(status["instance_info"]["port"], monitor.port());
        assert_fields(&status["instance_info"], &["host", "working_dir"]);
        assert!(status["connected_clients"].as_u64() >= Some(1), "the newcomer counts: {status}");
    }
    let page = monitor.get("/");
    assert!(
        page.status == 200 && page.headers.contains("text/html"),
        "without an upgrade it is the dashboard"
    );
    monitor.get("/ws").assert_refused("/ws is for upgrades");
}

#[test]
fn the_status_is_told_again_whenever_it_changes() {
    let monitor = Monitor::start();
    let mut socket = WebSocket::connect(&monitor);
    let mut until = |field: &str, value: Value| {
        socket.matching(&format!("{field} {value}"), |message| {
            message["type"] == "system.status" && message["data"][field] == value
        })
    };
    let other = WebSocket::connect(&monitor);
    until("connected_clients", json!(2));
    let third = Socket::connect(&monitor, Library::Node);
    until("connected_clients", json!(3));
    drop((other, third));
    until("connected_clients", json!(1));
    monitor.event(tool_start("s-1", "toolu_1"));
    let running = until("claude_status", json!("running"));
    assert_eq!(running["data"]["session_id"], "s-1", "{running}");
    assert!(running["data"]["session_start"].is_string(), "{running}");
    monitor.event(r#"{"hook_event_name":"SessionEnd","session_id":"s-1","reason":"exit"}"#);
    until("claude_status", json!("stopped"));
    assert_eq!(monitor.assert_healthy()["clients_connected"], 1, "raw clients count like others");
}

#[test]
fn without_a_subscription_everything_comes_in_the_words_of_the_api() {
    let monitor = Monitor::start();
    let mut socket = WebSocket::connect(&monitor);
    let samples = hook_samples();
    samples.iter().for_each(|sample| monitor.event(sample));
    let messages = socket.so_far();
    let types = types(&messages);
    assert_eq!(types[..3], ["session.start", "claude.status", "hook.session_start"]);
    for wanted in [
        "session.end",
        "claude.output",
        "agent.delegation",
        "agent.status",
        "todo.update",
        "system.error",
        "hook.user_prompt",
    ] {
        assert!(types.contains(&wanted), "{wanted} in {types:?}");
    }
    let seqs = seqs(&json!(messages));
    assert!(seqs.is_sorted() && seqs.len() == messages.len(), "all in stored order: {seqs:?}");
    let start = &messages[0]["data"];
    assert_eq!(start["instance_info"]["port"], monitor.port(), "{start}");
    assert_eq!(start["websocket_port"], monitor.port(), "{start}");
    let end = messages.iter().find(|message| message["type"] == "session.end").expect("the end");
    assert!(end["data"]["duration_seconds"].is_number(), "{end}");
}

#[test]
fn channels_really_filter() {
    let monitor = Monitor::start();
    let mut sockets: Vec<(WebSocket, &[&str])> = [
        (&["session.*"][..], &["session.start", "session.end"][..]),
        (&["agent.delegation", "claude.output"], &["agent.delegation", "claude.output"]),
        (&["PreToolUse"], &["hook.pre_tool"]),
        (&["hook.pre_tool"], &["hook.pre_tool"]),
        (&["no.such.thing"], &[]),
    ]
    .map(|(channels, expected)| (WebSocket::subscribe(&monitor, channels), expected))
    .into();
    monitor.event(r#"{"hook_event_name":"SessionStart","session_id":"s-1","source":"startup"}"#);
    monitor.event(
        r#"{"hook_event_name":"PreToolUse","session_id":"s-1","tool_name":"Agent","tool_input":{"subagent_type":"Explore","description":"Look"}}"#,
    );
    monitor.event(r#"{"hook_event_name":"Stop","session_id":"s-1","last_assistant_message":"Done."}"#);
    monitor.event(r#"{"hook_event_name":"SessionEnd","session_id":"s-1"}"#);
    for (socket, expected) in &mut sockets {
        assert_eq!(types(&socket.so_far()), *expected);
    }
    let (changed, _) = &mut sockets[0];
    assert_eq!(
        changed.ask(&json!({"command": "subscribe", "channels": ["*"]}), "subscribed")["channels"][0],
        "*"
    );
    monitor.event(prompt("s-1", "go"));
    assert_eq!(types(&changed.so_far()), ["hook.user_prompt"], "a new choice replaces the old one");
}

#[test]
fn history_has_the_newest_messages_oldest_first() {
    let monitor = Monitor::start();
    for number in 0..5 {
        monitor.event(prompt("s-1", &format!("p-{number}")));
        let output = json!({"hook_event_name": "Stop", "session_id": "s-1", "last_assistant_message": format!("a-{number}")});
        monitor.event(output.to_string());
    }
    let mut socket = WebSocket::subscribe(&monitor, &["no.live.events"]);
    let mut contents = |types: &[&str], limit: usize, field: &str| -> Vec<String> {
        let history = socket.ask(&get_history(types, limit), "history");
        let events = history["events"].as_array().expect("events");
        events.iter().map(|event| event["data"][field].as_str().unwrap_or_default().to_owned()).collect()
    };
    assert_eq!(contents(&["claude.output"], 3, "content"), ["a-2", "a-3", "a-4"]);
    assert_eq!(contents(&["UserPromptSubmit"], 100, "prompt"), ["p-0", "p-1", "p-2", "p-3", "p-4"]);
    assert_eq!(contents(&["claude.*"], 2, "content"), ["a-3", "a-4"]);
    assert_eq!(contents(&[], 100, "session_id").len(), 15, "of each turn a prompt, an output and a stop");
    assert_eq!(contents(&["session.end"], 100, "").len(), 0);
}

#[test]
fn history_asked_for_in_a_storm_ends_where_live_goes_on() {
    let monitor = Monitor::start();
    let total = 200;
    let mut socket = WebSocket::connect(&monitor);
    std::thread::scope(|scope| {
        scope.spawn(|| (1..=total).for_each(|_| monitor.event(prompt("s-1", "go"))));
        socket.message("hook.user_prompt"); // the storm is on
        socket.send(&get_history(&["hook.user_prompt"], 1000));
        let (mut live, mut history) = (vec![1], None);
        while live.len() < total as usize || history.is_none() {
            let next = socket.matching("a prompt or the history", |message| {
                message["type"] == "hook.user_prompt" || message["type"] == "history"
            });
            match next["seq"].as_u64() {
                Some(seq) => live.push(seq),
                None => history = Some((live.clone(), seqs(&next["data"]["events"]))),
            }
        }
        assert_eq!(live, (1..=total).collect::<Vec<u64>>(), "live is whole");
        let (live_before, history) = history.expect("it was answered");
        assert_eq!(history, live_before, "history is what came live before it");
    });
}

fn seqs(messages: &Value) -> Vec<u64> {
    let messages = messages.as_array().unwrap_or_else(|| panic!("no messages: {messages}"));
    messages.iter().filter_map(|message| message["seq"].as_u64()).collect()
}

#[test]
fn a_published_event_is_stored_and_told_to_all() {
    let monitor = Monitor::start();
    let mut sender = WebSocket::connect(&monitor);
    let mut other = WebSocket::connect(&monitor);
    let ticket =
        json!({"type": "ticket.created", "session_id": "s-1", "data": {"id": "T-1", "title": "Fix it"}});
    let published = sender.ask(&json!({"command": "publish", "event": ticket}), "published");
    assert_eq!(published, json!({"seq": 1}));
    let stored = monitor.events("");
    assert_eq!(
        (stored.events[0].source.as_str(), stored.events[0].kind.as_str()),
        ("websocket", "ticket.created")
    );
    for socket in [&mut sender, &mut other] {
        assert_eq!(socket.data("ticket.created"), json!({"id": "T-1", "title": "Fix it"}));
    }
    for number in 0..20 {
        sender.send(&json!({"command": "publish", "event": {"kind": "x", "payload": number}}));
    }
    for number in 0..20 {
        assert_eq!(sender.data("published")["seq"], number + 2, "answered in the order of the commands");
    }
}

#[test]
fn every_mistake_is_answered_and_the_connection_stays() {
    let monitor = Monitor::start();
    let mut socket = WebSocket::connect(&monitor);
    let deep = format!(r#"{{"command":"publish","event":{}1{}}}"#, "[".repeat(5000), "]".repeat(5000));
    let cases = [
        ("not json", "invalid_json"),
        ("", "invalid_json"),
        ("[]", "invalid_command"),
        (r#"{"command":"dance"}"#, "unknown_command"),
        (r#"{"command":"subscribe","channels":{}}"#, "invalid_command"),
        (r#"{"command":"publish","event":7}"#, "not_an_object"),
        (r#"{"command":"publish","event":{"kind":"x"}}"#, "missing_payload"),
        (r#"{"command":"get_status","instance":1}"#, "unknown_instance"),
    ];
    for (text, code) in cases {
        socket.text(text);
        let error = socket.data("error");
        assert_eq!(error["code"], code, "{text}: {error}");
        assert_fields(&error, &["message"]);
    }
    socket.text(&deep);
    assert_fields(&socket.data("error"), &["code", "message"]);
    socket.binary(r#"{"command":"get_status"}"#);
    assert_eq!(socket.data("error")["code"], "binary_frame");
    assert_fields(&socket.ask(&json!({"command": "get_status"}), "system.status"), &["claude_status"]);
    assert_eq!(monitor.events("").events.len(), 0, "nothing was stored");
}

#[test]
fn pages_of_other_origins_cannot_connect() {
    let monitor = Monitor::start();
    for origin in ["http://evil.example", "null", "http://localhost.evil.example"] {
        for path in ["/", "/ws"] {
            assert_eq!(WebSocket::attempt(&monitor, path, Some(origin)).refusal(), 403, "{origin} at {path}");
        }
    }
    let own = format!("http://localhost:{}", monitor.port());
    WebSocket::attempt(&monitor, "/", Some(&own)).data("system.status");
}

#[test]
fn commands_reach_another_instance_of_the_same_user() {
    let home = Arc::new(TempDir::new().expect("a temporary folder can be made"));
    let [here, there] = [(); 2].map(|()| Monitor::start_with(&home, &[]));
    let mut socket = WebSocket::subscribe(&here, &["session.*"]);
    let mut ask = |command: Value, answer: &str| {
        socket.send(&command);
        let port = &command["instance"];
        let message =
            socket.matching(answer, |message| message["type"] == answer && message["instance"] == *port);
        message["data"].clone()
    };
    for port in [here.port(), there.port()] {
        let status = ask(json!({"command": "get_status", "instance": port}), "system.status");
        assert_eq!(status["websocket_port"], port);
    }
    let event = json!({"kind": "ticket.created", "payload": {"id": "T-1"}});
    let published = ask(json!({"command": "publish", "event": event, "instance": there.port()}), "published");
    assert_eq!(published["seq"], 1);
    assert_eq!(there.events("").events.len(), 1, "it is stored there");
    assert_eq!(here.events("").events.len(), 0, "and not here");
    let history = ask(json!({"command": "get_history", "instance": there.port()}), "history");
    assert_eq!(history["events"][0]["data"]["id"], "T-1", "{history}");
    let wanted = json!({"command": "subscribe", "channels": ["hook.stop"], "instance": there.port()});
    assert_eq!(ask(wanted, "subscribed")["channels"], json!(["hook.stop"]));
    let bad = json!({"command": "publish", "event": 7, "instance": there.port()});
    assert_eq!(ask(bad, "error")["code"], "not_an_object");
    assert_eq!(ask(json!({"command": "get_status", "instance": 1}), "error")["code"], "unknown_instance");

    there.event(prompt("s-1", "not wanted"));
    there.event(stop("s-1"));
    here.event(stop("s-2"));
    here.event(r#"{"hook_event_name":"SessionStart","session_id":"s-3"}"#);
    let followed = socket.message("hook.stop");
    assert_eq!(
        (&followed["instance"], &followed["data"]["session_id"]),
        (&json!(there.port()), &json!("s-1"))
    );
    let own = socket.message("session.start");
    assert!(own.get("instance").is_none() && own["data"]["session_id"] == "s-3", "{own}");
    drop(there);
    assert_eq!(socket.data("error")["code"], "instance_gone", "a followed instance's end is told");
}

#[test]
fn a_client_that_does_not_read_holds_up_nobody_and_is_told_what_it_missed() {
    let monitor = Monitor::start();
    let mut slow = WebSocket::subscribe(&monitor, &["hook.user_prompt"]);
    let mut other = WebSocket::subscribe(&monitor, &["hook.user_prompt"]);
    slow.pause(true);
    // More than the ring and all buffers on the way hold.
    let large = "x".repeat(60_000);
    let batch: Vec<Value> = (0..50)
        .map(|_| json!({"hook_event_name": "UserPromptSubmit", "session_id": "s-1", "prompt": large}))
        .collect();
    let batch = json!(batch).to_string();
    let batches = 12;
    for number in 1..=batches {
        let reply = monitor.post("/api/events", &batch);
        assert_eq!(reply.status, 200, "{reply:?}");
        for event in 1..=50 {
            let seq = other.message("hook.user_prompt")["seq"].as_u64();
            assert_eq!(seq, Some((number - 1) * 50 + event), "the other one gets everything");
        }
    }
    slow.pause(false);
    let gap = slow.data("system.gap");
    let (from, to) = (gap["from"].as_u64().expect("from"), gap["to"].as_u64().expect("to"));
    assert!(1 < from && from <= to && to < batches * 50, "{gap}");
    for seq in (1..from).chain(to + 1..=batches * 50) {
        assert_eq!(slow.message("hook.user_prompt")["seq"], seq, "everything but the gap, in order");
    }
}

#[test]
fn a_client_that_answers_no_ping_is_dropped() {
    let monitor = Monitor::start_configured(r#"{"ping_interval": 1, "ping_timeout": 1}"#, &[]);
    let mut watcher = WebSocket::connect(&monitor);
    // A client that upgrades and then does nothing at all.
    let mut dead = TcpStream::connect((Ipv4Addr::LOCALHOST, monitor.port())).expect("it listens");
    dead.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
    dead.write_all(upgrade(&monitor, "/ws").as_bytes()).expect("it reads");
    let mut received = Vec::new();
    dead.read_to_end(&mut received).expect("it is closed within the limit");
    assert!(received.starts_with(b"HTTP/1.1 101 "), "{}", String::from_utf8_lossy(&received));
    watcher.matching("one client less", |message| message["data"]["connected_clients"] == 1);
    watcher.ask(&json!({"command": "get_status"}), "system.status");
}

fn upgrade(monitor: &Monitor, path: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: localhost:{}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        monitor.port()
    )
}

#[test]
fn a_broken_upgrade_is_refused_and_the_next_one_works() {
    let monitor = Monitor::start();
    for path in ["/", "/ws"] {
        let good = upgrade(&monitor, path);
        for (what, bad) in [
            ("version", good.replace("Version: 13", "Version: 8")),
            ("key", good.replace("Sec-WebSocket-Key", "X-Key")),
        ] {
            let reply = raw(monitor.port(), bad).expect("an answer");
            reply.assert_refused(what);
        }
        assert_eq!(raw(monitor.port(), good).map(|reply| reply.status), Some(101));
    }
}

#[test]
fn clients_are_told_why_before_the_server_stops_and_a_stuck_one_does_not_keep_it() {
    let monitor = Monitor::start();
    let mut sockets = [WebSocket::connect(&monitor), WebSocket::connect(&monitor)];
    let mut stuck = WebSocket::connect(&monitor);
    stuck.pause(true);
    for _ in 0..20 {
        let large = json!({"hook_event_name": "UserPromptSubmit", "prompt": "x".repeat(60_000)});
        monitor.post("/api/events", json!(vec![large; 20]).to_string());
    }
    let stopped = monitor.cli(&["stop", "--port", &monitor.port().to_string()]);
    assert!(stopped.status.success(), "{stopped:?}");
    let said = String::from_utf8_lossy(&stopped.stdout);
    assert!(said.contains("Disconnected 3 clients"), "{said}");
    for socket in &mut sockets {
        assert_eq!(socket.data("system.shutdown")["reason"], "shutdown");
        assert_eq!(socket.closed(), 1001, "going away");
    }
}

#[test]
fn clients_are_told_where_the_server_goes_before_it_restarts() {
    let monitor = Monitor::start();
    let mut socket = WebSocket::connect(&monitor);
    monitor.event(prompt("s-1", "the last one"));
    let token = format!("Bearer {}", monitor.control_token());
    let reply = monitor.post_with("/api/restart", &[("authorization", &token)], "");
    assert_eq!(reply.status, 202, "{reply:?}");
    let [last, restart] =
        [(); 2].map(|()| socket.matching("the end", |message| message["type"] != "system.status"));
    assert_eq!(last["type"], "hook.user_prompt", "what is stored comes before the end: {last}");
    assert_eq!(restart["type"], "system.restart", "{restart}");
    assert_eq!(restart["data"]["url"], format!("http://localhost:{}", monitor.port()), "{restart}");
    assert_eq!(socket.closed(), 1001);
}
