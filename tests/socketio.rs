//! Claims about the Socket.IO door, namespace `/`: every known client library on every transport.

use std::time::{Duration, Instant};

use e2e::{Bare, Library, Monitor, Options, Socket, prompt, tool_end, tool_start};
use serde_json::{Value, json};

/// Ways to connect: one transport, the other, and what a library does by itself.
const TRANSPORTS: [&[&str]; 3] = [&["polling"], &["websocket"], &[]];

fn options<'a>(transports: &'a [&'a str]) -> Options<'a> {
    Options { transports, ..Options::default() }
}

fn with_auth(version: &str) -> Options<'static> {
    Options { auth: Some(json!({"claude_mpm_version": version, "client_id": "cli-1"})), ..Options::default() }
}

#[track_caller]
fn assert_fields(value: &Value, fields: &[&str], what: &str) {
    for field in fields {
        assert!(value.get(field).is_some(), "{what} has no {field}: {value}");
    }
}

/// The sessions of a history's events, in its order.
#[track_caller]
fn sessions(history: &Value) -> Vec<String> {
    let events = history["events"].as_array().unwrap_or_else(|| panic!("no events in {history}"));
    events.iter().filter_map(|event| event["session_id"].as_str().map(str::to_owned)).collect()
}

#[test]
fn every_client_on_every_transport_gets_each_event_once_and_in_order() {
    let monitor = Monitor::start();
    let mut sockets = Vec::new();
    for library in Library::ALL {
        for transports in TRANSPORTS {
            sockets.push((
                library,
                transports,
                Socket::connect_with(&monitor, library, &options(transports)),
            ));
        }
    }

    let (senders, each) = (8, 25);
    std::thread::scope(|scope| {
        for sender in 0..senders {
            let monitor = &monitor;
            scope.spawn(move || {
                for number in 0..each {
                    monitor.event(prompt(&format!("s-{sender}-{number}"), "go"));
                }
            });
        }
    });

    let stored = monitor.events("limit=1000").sessions();
    assert_eq!(stored.len(), senders * each, "everything acknowledged is stored");
    for (library, transports, socket) in &mut sockets {
        let mut seen: Vec<Value> = (0..stored.len()).map(|_| socket.event("claude_event")).collect();
        if *library == Library::PythonThreads {
            // Its threads print in any order; that each event came once is still true.
            seen.sort_by_key(|event| stored.iter().position(|id| event["session_id"] == **id));
        }
        let sessions: Vec<&str> = seen.iter().filter_map(|event| event["session_id"].as_str()).collect();
        assert_eq!(sessions, stored, "{library:?} over {transports:?} got them in stored order");
        if transports.is_empty() {
            socket.upgraded();
        }
    }
    // One more of each, so that a late repetition would show.
    monitor.event(prompt("last", "go"));
    for (library, transports, socket) in &mut sockets {
        let next = socket.event("claude_event");
        assert_eq!(next["session_id"], "last", "{library:?} over {transports:?} got nothing twice");
    }
}

#[test]
fn a_new_client_is_greeted_and_given_the_history() {
    let monitor = Monitor::start();
    for number in 0..60 {
        monitor.event(prompt(&format!("s-{number}"), "before anybody looked"));
    }
    for library in Library::ALL {
        let mut socket = Socket::connect(&monitor, library);
        assert_fields(
            &socket.event("connection_ack"),
            &["server_version", "server_id", "compatibility", "timestamp"],
            "connection_ack",
        );
        let server_status =
            ["server_version", "server_id", "uptime", "clients_connected", "events_processed"];
        assert_fields(&socket.event("server_status"), &server_status, "server_status");
        socket.event("status");
        socket.event("welcome");
        assert_fields(
            &socket.event("dashboard:welcome"),
            &["message", "session_id", "server_info"],
            "welcome",
        );
        assert!(socket.event("dashboard:client:count")["count"].as_u64() >= Some(1), "the newcomer counts");
        for name in ["event_history", "history"] {
            let history = socket.event(name);
            let sessions = sessions(&history);
            let newest: Vec<String> = (10..60).map(|number| format!("s-{number}")).collect();
            assert_eq!(sessions, newest, "{name} has the newest 50, oldest first");
            assert_eq!(history["count"], 50, "{name}: {}", history["count"]);
            assert_eq!(history["returned"], 50, "{name}: {}", history["returned"]);
            assert_eq!(history["total_available"], 60, "{name}: {}", history["total_available"]);
        }
    }
}

#[test]
fn an_auth_payload_is_accepted_by_every_library() {
    let monitor = Monitor::start();
    for library in Library::ALL {
        let mut socket = Socket::connect_with(&monitor, library, &with_auth("4.2.0"));
        socket.event("connection_ack");
        let versions = monitor.assert_healthy()["client_versions"].take();
        let known = versions.as_object().is_some_and(|map| map.values().any(|version| version == "4.2.0"));
        assert!(known, "the version that {library:?} named is shown: {versions}");
    }
}

#[test]
fn only_a_version_that_is_really_too_old_is_warned() {
    let monitor = Monitor::start();
    let mut old = Socket::connect_with(&monitor, Library::Node, &with_auth("0.6.0"));
    old.event("compatibility_warning");
    old.event("connection_ack");
    // As texts, 0.10.0 and 0.100 come before 0.7.0; as versions they do not.
    for version in ["unknown", "0.7.0", "0.10.0", "0.100", "5.3.0"] {
        let mut socket = Socket::connect_with(&monitor, Library::Node, &with_auth(version));
        let warnings = socket.events_so_far("compatibility_warning");
        assert!(warnings.is_empty(), "{version} is compatible: {warnings:?}");
    }
}

#[test]
fn an_event_from_a_client_is_acknowledged_when_stored_and_broadcast_to_all() {
    let monitor = Monitor::start();
    let mut other = Socket::connect(&monitor, Library::Node);
    for (number, library) in (1..).zip(Library::ALL) {
        let mut sender = Socket::connect(&monitor, library);
        let session = format!("from-{library:?}");
        let event = json!({"type": "hook", "subtype": "pre_tool", "session_id": session, "data": {"tool_name": "Read"}});
        assert_eq!(sender.ask("claude_event", &event), json!({"seq": number}), "{library:?}");
        assert_eq!(monitor.events("").sessions().last(), Some(&session), "acknowledged means stored");
        for (who, socket) in [("sender", &mut sender), ("other", &mut other)] {
            assert_eq!(socket.event("claude_event")["session_id"], session, "{who} of {library:?}");
        }
    }
    assert_eq!(monitor.events("").events[0].source, "socketio");
}

#[test]
fn each_question_has_its_answer_with_and_without_data() {
    let monitor = Monitor::start();
    monitor.event(prompt("s-1", "hello"));
    for library in Library::ALL {
        let mut socket = Socket::connect(&monitor, library);
        for name in ["status", "history", "event_history"] {
            socket.event(name); // of the greeting
        }
        for data in [Value::Null, json!({})] {
            socket.emit("ping", &data);
            assert_fields(&socket.event("pong"), &["timestamp", "server_id"], "pong");
            socket.emit("get_version", &data);
            let version = ["server_version", "server_id", "supported_client_versions", "features"];
            assert_fields(&socket.event("version_info"), &version, "version_info");
            socket.emit("get_status", &data);
            socket.event("status");
            socket.emit("request.status", &data);
            socket.event("status");
            for question in ["get_history", "request_history"] {
                socket.emit(question, &data);
                assert_eq!(socket.event("history")["events"][0]["session_id"], "s-1", "{question}");
                assert_eq!(socket.event("event_history")["events"][0]["session_id"], "s-1", "{question}");
            }
            socket.emit("dashboard:status", &data);
            let status = ["service", "status", "clients_connected", "uptime", "features"];
            assert_fields(&socket.event("dashboard:status:response"), &status, "dashboard:status:response");
            socket.emit("dashboard:info", &data);
            let info = ["service_name", "description", "features", "endpoints", "events"];
            assert_fields(&socket.event("dashboard:info:response"), &info, "dashboard:info:response");
            socket.emit("hook:history:get", &data);
            let history = socket.event("hook:history:response");
            assert_eq!(history["events"][0]["session_id"], "s-1", "{history}");
            assert_fields(&history, &["total", "filters"], "hook:history:response");
        }
        socket.emit("dashboard:ping", &json!({"timestamp": 12.5}));
        let pong = socket.event("dashboard:pong");
        assert_eq!(pong["timestamp"], 12.5, "the sender's time comes back: {pong}");
    }
}

#[test]
fn history_is_limited_and_filtered_as_asked() {
    let monitor = Monitor::start();
    for number in 0..5 {
        monitor.event(prompt("s-1", "a prompt"));
        monitor.event(tool_start("s-2", &format!("toolu_{number}")));
    }
    let mut socket = Socket::connect(&monitor, Library::Node);
    socket.event("history");
    let mut ask = |question: Value| {
        socket.emit("get_history", &question);
        sessions(&socket.event("history"))
    };
    assert_eq!(ask(json!({"limit": 3})), ["s-2", "s-1", "s-2"], "the newest three, oldest first");
    assert_eq!(ask(json!({"session_id": "s-1"})), ["s-1"; 5]);
    assert_eq!(ask(json!({"event_types": ["PreToolUse"]})), ["s-2"; 5], "Claude Code's name");
    assert_eq!(ask(json!({"event_types": ["pre_tool"], "limit": 2})), ["s-2"; 2], "claude-mpm's name");
    assert_eq!(ask(json!({"type": "UserPromptSubmit"})), ["s-1"; 5]);
}

#[test]
fn a_subscriber_gets_only_the_kinds_it_asked_for() {
    let monitor = Monitor::start();
    let mut picky = Socket::connect(&monitor, Library::Python);
    let mut open = Socket::connect(&monitor, Library::Node);
    picky.emit("subscribe", &json!({"channels": ["PostToolUse"]}));
    assert_eq!(picky.event("subscribed")["channels"], json!(["PostToolUse"]));
    open.emit("subscribe", &json!({"channels": ["*"]}));
    open.event("subscribed");

    monitor.event(tool_start("s-1", "toolu_1"));
    monitor.event(tool_end("s-2", "toolu_1"));
    monitor.event(prompt("s-3", "next"));
    monitor.event(tool_end("s-4", "toolu_2"));
    for session in ["s-2", "s-4"] {
        assert_eq!(picky.event("claude_event")["session_id"], session, "only PostToolUse");
    }
    for session in ["s-1", "s-2", "s-3", "s-4"] {
        assert_eq!(open.event("claude_event")["session_id"], session, "everything");
    }
}

#[test]
fn an_unknown_event_is_answered_when_an_answer_was_asked_for() {
    let monitor = Monitor::start();
    for library in Library::ALL {
        let mut socket = Socket::connect(&monitor, library);
        socket.emit("no:such:event", &json!({"a": 1}));
        let answer = socket.ask("no:such:event", &Value::Null);
        assert_eq!(answer["error"]["code"], "unknown_event", "{library:?}: {answer}");
        assert_fields(&socket.ask("ping", &Value::Null), &["server_id"], "the connection lives");
    }
}

#[test]
fn no_client_can_read_files() {
    let monitor = Monitor::start();
    let mut socket = Socket::connect(&monitor, Library::Node);
    socket.emit("read_file", &json!({"file_path": "/etc/hostname", "working_dir": "/"}));
    let answer = socket.event("file_content_response");
    assert_eq!(answer["success"], false, "{answer}");
    assert!(answer.get("content").is_none(), "{answer}");
    socket.emit("code:analyze:file", &json!({"path": "/etc/hostname"}));
    socket.event("code:error");
}

#[test]
fn a_bad_event_is_refused_alone() {
    let monitor = Monitor::start();
    let mut socket = Socket::connect(&monitor, Library::Node);
    for bad in [json!({"no": "type"}), json!("text"), json!([1]), json!(7), Value::Null] {
        socket.emit("hook:ingest", &bad);
        assert_fields(&socket.event("hook:error"), &["error"], &format!("hook:ingest {bad}"));
    }
    for bad in [json!("text"), json!(7), Value::Null] {
        socket.emit("claude_event", &bad);
        assert_fields(&socket.event("hook:error"), &["error"], &format!("claude_event {bad}"));
    }
    let good = json!({"type": "hook.stop", "timestamp": "2026-11-21T01:46:22.000Z", "session_id": "s-1"});
    assert_eq!(socket.ask("hook:ingest", &good), json!({"seq": 1}), "the next one is stored");
    assert_eq!(monitor.events("").events.len(), 1, "and only that one");
}

#[test]
fn clients_register_and_are_listed() {
    let monitor = Monitor::start();
    let mut first = Socket::connect(&monitor, Library::Node);
    let mut second = Socket::connect(&monitor, Library::Python);
    first.emit("client:register", &json!({"name": "first", "type": "cli"}));
    let registered = first.event("client:registered");
    assert_eq!((&registered["name"], &registered["type"]), (&json!("first"), &json!("cli")));
    second.emit("client:list", &Value::Null);
    let list = second.event("client:list:response");
    assert_eq!(list["total"], 2, "{list}");
    let clients = list["clients"].as_array().expect("clients");
    assert_eq!(clients.len(), 2, "{list}");
    let known = clients.iter().find(|client| client["name"] == "first").expect("the registered one");
    assert_eq!(known["session_id"], registered["session_id"], "{list}");
    assert_eq!(known["registered"], true, "{list}");
    second.emit("client:register", &json!({"name": "n".repeat(100_000), "type": "t".repeat(100_000)}));
    second.event("client:registered");
    let status = monitor.get("/status");
    assert!(status.body.len() < 20_000, "what it says of itself is cut: {} bytes", status.body.len());
}

#[test]
fn sessions_are_started_listed_shown_and_ended() {
    let monitor = Monitor::start();
    let mut socket = Socket::connect(&monitor, Library::Node);
    let mut other = Socket::connect(&monitor, Library::Python);
    socket.emit("hook:session:start", &json!({"session_id": "s-1", "metadata": {"a": 1}}));
    for who in [&mut socket, &mut other] {
        assert_eq!(who.event("hook:session:started")["session_id"], "s-1");
        assert_eq!(who.event("claude_event")["session_id"], "s-1");
    }
    socket.emit("hook:sessions:list", &Value::Null);
    let list = socket.event("hook:sessions:response");
    assert_eq!(list["total"], 1, "{list}");
    assert_eq!(list["sessions"][0]["session_id"], "s-1", "{list}");
    socket.emit("hook:session:info", &json!({"session_id": "s-1"}));
    socket.event("hook:session:info:response");
    socket.emit("hook:session:info", &json!({"session_id": "nobody"}));
    assert_fields(&socket.event("hook:error"), &["error"], "an unknown session");
    socket.emit("hook:session:end", &json!({"session_id": "s-1"}));
    for who in [&mut socket, &mut other] {
        assert_eq!(who.event("hook:session:ended")["session_id"], "s-1");
    }
    socket.emit("hook:session:start", &json!({}));
    assert_fields(&socket.event("hook:error"), &["error"], "a start without a session");
}

#[test]
fn a_session_is_replayed_from_its_first_event_to_its_last() {
    let monitor = Monitor::start();
    monitor.event(prompt("s-1", "first"));
    monitor.event(prompt("s-2", "not this one"));
    monitor.event(tool_start("s-1", "toolu_1"));
    monitor.event(tool_end("s-1", "toolu_1"));
    let mut socket = Socket::connect(&monitor, Library::Node);
    socket.emit("hook:replay:start", &json!({"session_id": "s-1", "speed": 100}));
    socket.event("hook:replay:started");
    for index in 0..3 {
        let step = socket.event("hook:replay:event");
        assert_eq!((&step["index"], &step["total"]), (&json!(index), &json!(3)), "{step}");
        assert_eq!(step["event"]["session_id"], "s-1", "{step}");
    }
    socket.event("hook:replay:completed");
}

#[test]
fn a_replay_in_haste_leaves_out_nothing_by_any_transport() {
    let monitor = Monitor::start();
    let total = 600;
    let lines: Vec<_> = (0..total).map(|number| prompt("s-1", &format!("{number}")).to_string()).collect();
    assert_eq!(monitor.post("/api/events", lines.join("\n")).status, 200);
    let ways = |library| TRANSPORTS.map(|transports| (library, transports));
    for (library, transports) in Library::ALL.into_iter().flat_map(ways) {
        let mut socket = Socket::connect_with(&monitor, library, &options(transports));
        socket.emit("hook:replay:start", &json!({"session_id": "s-1", "speed": 1e9}));
        let mut steps: Vec<_> = (0..total)
            .map(|_| socket.event("hook:replay:event")["index"].as_u64().expect("a number"))
            .collect();
        if library == Library::PythonThreads {
            // It hands each event to a thread of its own.
            steps.sort_unstable();
        }
        assert!(steps.into_iter().eq(0..total), "each one, in order: {library:?} by {transports:?}");
        socket.event("hook:replay:completed");
    }
}

#[test]
fn a_replay_ends_when_another_is_asked_for() {
    let monitor = Monitor::start();
    // The first would go on, and be complete, while the second pauses.
    for (session, pauses_ms) in [("s-1", vec![0, 1500, 3000]), ("s-2", vec![0, 4000])] {
        for pause_ms in pauses_ms {
            let at = 1_787_393_400_000u64 + pause_ms;
            let event = json!({"kind": "x", "session_id": session, "occurred_at": at, "payload": {}});
            monitor.event(event.to_string());
        }
    }
    let mut socket = Socket::connect(&monitor, Library::Node);
    let mut step = |session: &str| {
        socket.emit("hook:replay:start", &json!({"session_id": session, "speed": 1}));
        // What came of the one before it is on its way yet.
        while socket.event("hook:replay:event")["event"]["session_id"] != session {}
    };
    step("s-1");
    step("s-2");
    assert_eq!(socket.event("hook:replay:completed")["session_id"], "s-2");
    let steps = socket.events_so_far("hook:replay:event");
    let others = steps.iter().filter(|step| step["event"]["session_id"] != "s-2");
    assert_eq!(others.count(), 0, "{steps:?}");
}

#[test]
fn an_unknown_namespace_is_refused_and_the_server_lives() {
    let monitor = Monitor::start();
    for library in Library::ALL {
        let options = Options { namespace: "/hook", ..Options::default() };
        let mut socket = Socket::attempt(&monitor, library, &options);
        socket.refusal();
    }
    monitor.assert_healthy();
    Socket::connect(&monitor, Library::Node);
}

#[test]
fn clients_are_counted_while_they_are_connected() {
    let monitor = Monitor::start();
    let mut first = Socket::connect(&monitor, Library::Node);
    let second = Socket::connect(&monitor, Library::Python);
    let counts = |socket: &mut Socket, wanted: u64| {
        while socket.event("dashboard:client:count")["count"] != wanted {}
    };
    counts(&mut first, 2);
    assert_eq!(monitor.assert_healthy()["clients_connected"], 2);
    drop(second);
    counts(&mut first, 1);
}

#[test]
fn clients_are_told_why_before_the_server_stops() {
    let monitor = Monitor::start();
    let mut sockets: Vec<Socket> =
        Library::ALL.iter().map(|library| Socket::connect(&monitor, *library)).collect();
    let stopped = monitor.cli(&["stop", "--port", &monitor.port().to_string()]);
    assert!(stopped.status.success(), "{stopped:?}");
    for socket in &mut sockets {
        assert_fields(&socket.event("server_shutdown"), &["reason"], "server_shutdown");
        socket.closed();
    }
}

#[test]
fn a_broadcast_carries_what_the_reference_s_dashboard_reads() {
    let monitor = Monitor::start();
    let mut socket = Socket::connect(&monitor, Library::Node);
    monitor.event(tool_start("s-1", "toolu_1"));
    let event = socket.event("claude_event");
    assert_eq!((&event["type"], &event["subtype"]), (&json!("hook"), &json!("pre_tool")), "{event}");
    assert_eq!(event["session_id"], "s-1", "{event}");
    assert_eq!(event["data"]["tool_name"], "Bash", "{event}");
    assert_eq!(event["data"]["tool_parameters"]["command"], "npm test", "{event}");
    assert_eq!(event["data"]["correlation_id"], "toolu_1", "{event}");
    assert_fields(&event, &["timestamp", "source"], "an event");
    monitor.event(prompt("s-1", "hello there"));
    assert_eq!(socket.event("claude_event")["data"]["prompt_text"], "hello there");
}

#[test]
fn ten_clients_that_come_while_events_pour_in_each_see_an_unbroken_end() {
    let monitor = Monitor::start();
    let total = 300_usize;
    let session = |number: usize| format!("s-{number}");
    let number_of = |session: &str| session["s-".len()..].parse::<usize>().expect("a number");
    std::thread::scope(|scope| {
        scope.spawn(|| (0..total).for_each(|number| monitor.event(prompt(&session(number), "go"))));
        for _ in 0..10 {
            scope.spawn(|| {
                let mut socket = Socket::connect(&monitor, Library::Node);
                let before = sessions(&socket.event("history"));
                let known = before.last().map_or(0, |last| number_of(last) + 1);
                let expected: Vec<String> = (known.saturating_sub(50)..known).map(session).collect();
                assert_eq!(before, expected, "the history is the newest 50");
                for number in known..total {
                    let live = socket.event("claude_event")["session_id"].take();
                    assert_eq!(live, session(number), "live goes on where the history ended");
                }
            });
        }
    });
}

/// The server pings a client beside all that waits for it.
#[test]
fn a_client_that_reads_nothing_for_a_while_in_a_flood_stays_and_goes_on() {
    const EVENTS: usize = 12_000;
    let monitor = Monitor::start_configured(r#"{"ping_interval": 5}"#, &[]);
    let mut socket = Bare::socketio(&monitor);
    socket.hear_until("2");
    let pinged = Instant::now();
    socket.ask("40", "42[\"dashboard:welcome\"");
    let line = json!({"kind": "load", "session_id": "s-1", "payload": {"text": "x".repeat(200)}}).to_string();
    for _ in 0..EVENTS / 2000 {
        let reply = monitor.post("/api/events", vec![line.as_str(); 2000].join("\n"));
        assert_eq!((reply.status, &reply.json()["stored"]), (200, &json!(2000)), "{reply:?}");
    }
    // Nothing tells from outside that the next ping is due.
    std::thread::sleep(Duration::from_secs(6).saturating_sub(pinged.elapsed()));
    socket.hear_until("2");
    socket.ask(r#"421["get_version"]"#, "431");
    assert_eq!(monitor.assert_healthy()["clients_connected"], 1);
}
