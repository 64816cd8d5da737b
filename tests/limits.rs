//! Claims about who takes more than his share: slow, many, large and wrong requests. After each of them the monitor
//! serves others as before.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::{Duration, Instant};

use e2e::{
    Bare, Client, Guarded, Library, Monitor, Options, PATIENCE, Socket, WebSocket, has_other_users, prompt,
    raw,
};
use serde_json::{Value, json};

/// A client that opens many connections and holds them.
fn connections(monitor: &Monitor, count: usize, kind: &str) -> Client {
    Client::python("connections.py", &[&monitor.port().to_string(), &count.to_string(), kind])
}

/// Several that ask for this and do not read the answer.
fn unread(monitor: &Monitor, count: usize, path: &str) -> Client {
    let arguments = [&monitor.port().to_string(), &count.to_string(), "unread", path];
    Client::python("connections.py", &arguments)
}

fn count(line: &Value, what: &str) -> Option<u64> {
    line["count"].as_u64().filter(|_| line["what"] == what)
}

/// Claims that the monitor does for everybody else what it is there for.
#[track_caller]
fn assert_serving(monitor: &Monitor) {
    monitor.assert_healthy();
    monitor.event(prompt("s-1", "hello"));
    let mut viewer = WebSocket::connect(monitor);
    viewer.ask(&json!({"command": "get_status"}), "system.status");
}

/// Waits until something is so.
#[track_caller]
fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < PATIENCE, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn two_hundred_heads_that_never_end_are_cut_off() {
    let monitor = Monitor::start_configured(r#"{"request_timeout": 2}"#, &[]);
    let mut guarded = Guarded::watch(&monitor);
    let mut slow = connections(&monitor, 200, "slow");
    slow.take("all open", |line| count(line, "open") == Some(200));
    guarded.assert_serving();
    slow.take("all cut off", |line| count(line, "closed") == Some(200));
    guarded.assert_unharmed();
    let refused = &monitor.get("/stats").json()["refused"]["counts"]["slow_head"];
    assert_eq!(refused, 200, "and it is known why");
}

#[test]
fn a_body_that_never_ends_is_answered_in_the_end() {
    let monitor = Monitor::start_configured(r#"{"request_timeout": 2}"#, &[]);
    let guarded = Guarded::watch(&monitor);
    let polling = format!("/socket.io/?EIO=4&transport=polling&sid={}", session(&monitor));
    for path in ["/api/events", "/compatibility", "/login", &polling] {
        for body in ["content-length: 1000\r\n\r\n{", "transfer-encoding: chunked\r\n\r\n5\r\n4"] {
            let mut stream =
                TcpStream::connect((Ipv4Addr::LOCALHOST, monitor.port())).expect("the monitor listens");
            stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
            let form = "content-type: application/x-www-form-urlencoded";
            let head = format!("POST {path} HTTP/1.1\r\nhost: localhost\r\n{form}\r\n{body}");
            stream.write_all(head.as_bytes()).expect("it is read");
            let mut answer = [0; 12];
            stream.read_exact(&mut answer).expect("it is answered");
            assert_eq!(&answer, b"HTTP/1.1 408", "{path} {body}");
        }
    }
    guarded.assert_unharmed();
    assert_eq!(monitor.get("/stats").json()["refused"]["counts"]["request_timeout"], 8);
}

#[test]
fn who_does_not_read_his_answers_is_cut_off() {
    let monitor = Monitor::start_configured(r#"{"request_timeout": 2}"#, &[]);
    // Together more than the system takes for a reader; one by one, so that each comes in time on a slow machine too.
    (0..30).for_each(|_| monitor.event(prompt("s-1", &"x".repeat(200_000))));
    let all = "/api/events?payload=true&before=31";
    let mut guarded = Guarded::watch(&monitor);
    let mut readers = unread(&monitor, 6, all);
    readers.take("all open", |line| count(line, "open") == Some(6));
    guarded.assert_serving();
    readers.take("all cut off", |line| count(line, "closed") == Some(6));
    let refused = || monitor.get("/stats").json()["refused"]["counts"]["slow_reader"] == 6;
    wait_until("it is known why", refused);
    guarded.assert_unharmed();
    assert_eq!(monitor.get(all).page().events.len(), 30, "who reads gets it");
}

#[test]
fn a_message_that_never_ends_is_cut_off() {
    let monitor = Monitor::start_configured(r#"{"ping_interval": 1, "ping_timeout": 1}"#, &[]);
    let guarded = Guarded::watch(&monitor);
    for path in ["/ws", "/socket.io/?EIO=4&transport=websocket"] {
        let mut stream =
            TcpStream::connect((Ipv4Addr::LOCALHOST, monitor.port())).expect("the monitor listens");
        let head = format!(
            "GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
             sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        // A text frame of 65,535 bytes that comes one at a time.
        let begun = [head.as_bytes(), &[0x81, 0xfe, 0xff, 0xff, 0, 0, 0, 0]].concat();
        stream.write_all(&begun).expect("it is read");
        wait_until("the server has closed", || (&stream).write_all(b"x").is_err());
    }
    guarded.assert_unharmed();
}

#[test]
fn a_tls_handshake_that_stops_is_cut_off() {
    let monitor = Monitor::start_configured(r#"{"request_timeout": 2}"#, &["--tls"]);
    let mut guarded = Guarded::watch(&monitor);
    let mut stopped = connections(&monitor, 50, "tls");
    stopped.take("all open", |line| count(line, "open") == Some(50));
    guarded.assert_serving();
    stopped.take("all cut off", |line| count(line, "closed") == Some(50));
    guarded.assert_unharmed();
    assert_eq!(monitor.get("/stats").json()["refused"]["counts"]["slow_handshake"], 50);
}

#[cfg(target_os = "linux")]
#[test]
fn ten_thousand_idle_connections_are_bounded_and_keep_nobody_out() {
    let monitor = Monitor::start();
    let mut viewer = Socket::connect(&monitor, Library::Node);
    let mut guarded = Guarded::watch(&monitor);
    let mut idle = connections(&monitor, 10_000, "idle");
    idle.take("they were tried", |line| count(line, "open").is_some());
    let files = monitor.open_files();
    assert!(files < 5000, "{files} files are open");
    guarded.assert_serving();
    viewer.event("claude_event");
    drop(idle);
    guarded.assert_unharmed();
}

/// The system tells a client that found no room in the queue nothing: it tries again a second later, which is later than
/// a hook waits.
#[cfg(target_os = "linux")]
#[test]
fn hundreds_who_come_while_the_server_stands_still_are_all_answered_at_once_after_it() {
    use rustix::process::{Pid, Signal, kill_process};
    let monitor = Monitor::start();
    let server = i32::try_from(monitor.pid()).ok().and_then(Pid::from_raw).expect("a process number");
    let room = std::fs::read_to_string("/proc/sys/net/core/somaxconn").expect("Linux says its limit");
    let count = room.trim().parse().map_or(1000, |room: usize| room.min(1000));
    kill_process(server, Signal::STOP).expect("it stands still");
    let here = (Ipv4Addr::LOCALHOST, monitor.port()).into();
    let waiting: Vec<_> = (0..count)
        .map(|number| {
            let mut stream = TcpStream::connect_timeout(&here, PATIENCE)
                .unwrap_or_else(|cause| panic!("connection {number} waits for room: {cause}"));
            stream.set_read_timeout(Some(PATIENCE)).expect("a time limit can be set");
            stream
                .write_all(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
                .expect("the system takes it");
            stream
        })
        .collect();
    kill_process(server, Signal::CONT).expect("it goes on");
    for mut stream in waiting {
        let mut status = [0; 12];
        stream.read_exact(&mut status).expect("there is an answer");
        assert_eq!(&status, b"HTTP/1.1 200");
    }
}

#[test]
fn another_user_of_this_machine_who_opens_thousands_of_connections_keeps_nobody_out() {
    if !has_other_users() {
        return;
    }
    let monitor = Monitor::start();
    let mut guarded = Guarded::watch(&monitor);
    for (count, kind) in [(4200, "engine"), (200, "websocket"), (200, "handshake"), (200, "idle")] {
        let arguments = [monitor.port().to_string(), count.to_string(), kind.to_owned()];
        let mut nobody =
            Client::python_as_nobody("connections.py", &arguments.each_ref().map(String::as_str));
        let open = nobody.take("they were tried", |line| line["what"] == "open");
        assert_eq!(open["statuses"]["101"], Value::Null, "{kind}: {open}");
        assert_eq!(open["statuses"]["200"], Value::Null, "{kind}: {open}");
        let files = monitor.open_files();
        assert!(files < 200, "{kind}: {files} files are open");
        guarded.assert_serving();
    }
    guarded.assert_unharmed();
}

#[test]
fn who_owes_the_token_holds_few_sessions_and_for_a_moment_only() {
    let settings = r#"{"require_token": true, "connection_timeout": 10}"#;
    let monitor = Monitor::start_configured(settings, &[]);
    let authorization = format!("Bearer {}", monitor.token());
    let mut guarded = Guarded::watch(&monitor);
    let mut handshakes = connections(&monitor, 5000, "handshake");
    let open = handshakes.take("they were tried", |line| line["what"] == "open");
    assert!(open["statuses"]["429"].as_u64() >= Some(1000), "{open}");
    let mut upgrades = connections(&monitor, 1000, "engine");
    upgrades.take("they were tried", |line| line["what"] == "open");
    guarded.assert_serving();
    let polling = "/socket.io/?EIO=4&transport=polling";
    let shown = monitor.get_with(polling, &[("authorization", &authorization)]);
    assert_eq!(shown.status, 200, "who shows the token at once gets in: {shown:?}");
    wait_until("they are forgotten", || monitor.get(polling).status == 200);
    drop(upgrades);
    guarded.assert_unharmed();
    let refused = monitor.get_with("/stats", &[("authorization", &authorization)]).json();
    assert!(refused["refused"]["counts"]["too_many_sessions"].as_u64() >= Some(1000), "{refused}");
}

#[test]
fn a_session_of_socket_io_keeps_little_of_the_request_that_opened_it() {
    let monitor = Monitor::start();
    let mut guarded = Guarded::watch(&monitor);
    let before = monitor.memory();
    let mut handshakes = connections(&monitor, 2000, "handshake");
    let open = handshakes.take("they were tried", |line| line["what"] == "open");
    assert_eq!(open["statuses"]["200"], 2000, "a thousand clients that poll are nothing unusual: {open}");
    let each = monitor.memory().saturating_sub(before) / 2000;
    assert!(each < 20_000, "{each} bytes for each");
    guarded.assert_serving();
}

#[test]
fn a_thousand_viewers_of_this_machine_are_served() {
    let monitor = Monitor::start();
    let mut viewers = connections(&monitor, 1000, "websocket");
    viewers.take("all open", |line| count(line, "open") == Some(1000));
    // A viewer is counted a moment after it was let in.
    wait_until("all are counted", || monitor.assert_healthy()["clients_connected"] == 1000);
    assert_serving(&monitor);
    let listed = monitor.get("/status").json()["clients"].as_array().map(Vec::len);
    assert!(listed >= Some(1000), "{listed:?}");
}

/// Opens a session of Socket.IO.
fn session(monitor: &Monitor) -> String {
    let open = monitor.get("/socket.io/?EIO=4&transport=polling").body;
    open.split('"').nth(3).expect("0{\"sid\":\"…\"").to_owned()
}

#[test]
fn who_asks_faster_than_it_is_answered_is_told_to_wait() {
    let monitor = Monitor::start();
    for _ in 0..50 {
        monitor.event(prompt("s-1", &"x".repeat(10_000)));
    }
    let guarded = Guarded::watch(&monitor);
    let mut asking = Bare::socketio(&monitor);
    asking.ask("40", "40");
    asking.say_all((0..3000).map(|number| format!("42{number}[\"get_history\",{{}}]")));
    let mut answers = std::iter::repeat_with(|| asking.hear()).take(6000);
    assert!(answers.any(|answer| answer.contains("\"busy\"")), "it was told");
    drop(asking);
    guarded.assert_unharmed();
    let mut other = Socket::connect(&monitor, Library::Node);
    assert_eq!(other.ask("get_history", &json!({"limit": 1}))["returned"], 1, "others are answered");
}

/// How many histories of 4 MB are asked for at once; each is sent twice.
const HISTORIES: usize = 16;

/// What a client may hold that takes none of them: far less than all, and a few more than are sent before it has to take
/// what it asked for.
const UNTAKEN_BYTES_MAX: u64 = 100 * 1024 * 1024;

/// Claims that who asks and takes nothing costs little while another client asks as much and takes it.
#[track_caller]
fn assert_costs_little(monitor: &Monitor, ask: impl FnOnce()) {
    let mut other = Socket::connect(monitor, Library::Node);
    let mut take =
        || assert_eq!(other.ask("get_history", &json!({}))["returned"], 100, "others are answered");
    take();
    let before = monitor.memory();
    ask();
    (0..HISTORIES).for_each(|_| take());
    let more = monitor.memory().saturating_sub(before);
    assert!(more < UNTAKEN_BYTES_MAX, "{more} bytes for a client that takes nothing");
}

fn with_a_large_history() -> Monitor {
    let monitor = Monitor::start();
    (0..100).for_each(|_| monitor.event(prompt("s-1", &"x".repeat(40_000))));
    monitor
}

#[test]
fn who_asks_by_websocket_for_large_histories_gets_each_when_it_takes_the_one_before() {
    let monitor = with_a_large_history();
    let mut asking = Bare::socketio(&monitor);
    asking.ask("40", "40");
    assert_costs_little(&monitor, || {
        for _ in 0..HISTORIES {
            asking.say(r#"42["get_history",{}]"#);
        }
    });
    let mut seen = 0;
    while seen < HISTORIES {
        seen += usize::from(is_whole_history(&asking.hear()));
    }
}

/// The first ones of both names came when it connected, with fewer events.
fn is_whole_history(packet: &str) -> bool {
    packet.starts_with(r#"42["history""#) && packet.contains(r#""returned":100"#)
}

#[test]
fn who_asks_by_polling_for_large_histories_gets_each_when_it_polls() {
    let monitor = with_a_large_history();
    let path = "/socket.io/?EIO=4&transport=polling";
    let opened = monitor.get(path).body;
    let opened: Value = serde_json::from_str(&opened[1..]).expect("a session is opened");
    let path = format!("{path}&sid={}", opened["sid"].as_str().expect("it has an id"));
    let say = |packets: &str| assert_eq!(monitor.post(&path, packets).status, 200, "it is read");
    let poll = || {
        let reply = monitor.get(&path);
        assert_eq!(reply.status, 200, "{reply:?}");
        let packets: Vec<String> = reply.body.split('\x1e').map(str::to_owned).collect();
        if packets.iter().any(|packet| packet == "2") {
            say("3");
        }
        packets
    };
    say("40");
    while !poll().iter().any(|packet| packet.starts_with("40")) {}
    let asked = vec![r#"42["get_history",{}]"#; HISTORIES].join("\x1e");
    assert_costs_little(&monitor, || say(&asked));
    let mut seen = 0;
    while seen < HISTORIES {
        seen += poll().iter().filter(|packet| is_whole_history(packet)).count();
    }
}

#[test]
fn what_a_client_says_of_itself_is_kept_and_told_in_short() {
    let monitor = Monitor::start();
    let long = "x".repeat(50_000);
    let auth = json!({"client_id": long, "claude_mpm_version": long});
    let options = Options { auth: Some(auth), ..Options::default() };
    let mut socket = Socket::connect_with(&monitor, Library::Node, &options);
    let mut other = Socket::connect(&monitor, Library::Node);
    for (event, data, answer) in [
        ("subscribe", json!({"channels": [long, "session.*"]}), "subscribed"),
        ("client:register", json!({"name": long, "type": {"a": long}}), "client:registered"),
        ("dashboard:ping", json!({"timestamp": long}), "dashboard:pong"),
        ("hook:session:info", json!({"session_id": long}), "hook:error"),
        ("hook:history:get", json!({"type": long, "session_id": long}), "hook:history:response"),
        ("hook:replay:start", json!({"session_id": long}), "hook:error"),
        ("nobody:knows", json!(long), ""),
    ] {
        let acknowledged = socket.ask(event, &data);
        assert!(acknowledged.to_string().len() < 5000, "{event}");
        if !answer.is_empty() {
            assert!(socket.event(answer).to_string().len() < 5000, "{event}");
        }
    }
    socket.ask("hook:session:start", &json!({"session_id": "s-1", "metadata": long}));
    assert_eq!(other.event("hook:session:started"), json!({"session_id": "s-1"}));
    for path in ["/status", "/health", "/stats"] {
        assert!(monitor.get(path).body.len() < 20_000, "{path}");
    }
}

#[test]
fn a_session_that_is_not_stored_is_not_announced() {
    let monitor = Monitor::start();
    let control = format!("Bearer {}", monitor.control_token());
    let pause = |paused: bool| {
        let order = json!({"paused": paused}).to_string();
        let reply = monitor.post_with("/api/capture", &[("authorization", &control)], order);
        assert_eq!(reply.status, 200, "{reply:?}");
    };
    let mut socket = Socket::connect(&monitor, Library::Node);
    let mut other = Socket::connect(&monitor, Library::Node);
    pause(true);
    socket.ask("hook:session:start", &json!({"session_id": "s-1"}));
    assert_eq!(other.events_so_far("hook:session:started"), [json!(null); 0]);
    pause(false);
    socket.ask("hook:session:start", &json!({"session_id": "s-2"}));
    assert_eq!(other.event("hook:session:started")["session_id"], "s-2");
}

#[test]
fn every_answer_tells_browsers_to_keep_our_page_to_itself() {
    let monitor = Monitor::start();
    for path in ["/", "/health", "/api/events", "/nothing", "/login"] {
        let headers = monitor.get(path).headers;
        for expected in [
            "x-content-type-options: nosniff",
            "x-frame-options: DENY",
            "referrer-policy: same-origin",
            "cross-origin-opener-policy: same-origin",
            "cross-origin-resource-policy: same-origin",
            "permissions-policy: camera=()",
        ] {
            assert!(headers.contains(expected), "{path} lacks {expected}: {headers}");
        }
        let policy = headers.lines().find_map(|line| line.strip_prefix("content-security-policy: "));
        let policy = policy.unwrap_or_else(|| panic!("{path} has no policy: {headers}"));
        for part in
            ["default-src 'self'", "connect-src 'self';", "frame-ancestors 'none'", "object-src 'none'"]
        {
            assert!(policy.contains(part), "{path}: {policy}");
        }
        assert!(!policy.contains("script-src") && !policy.contains("unsafe-eval"), "{policy}");
    }
    let refused = monitor.get_with("/", &[("host", "evil.example")]);
    assert!(refused.status == 403 && refused.headers.contains("x-frame-options: DENY"), "{refused:?}");
}

#[test]
fn no_cache_keeps_what_is_answered_but_the_files_of_the_dashboard() {
    let monitor = Monitor::start();
    monitor.event(prompt("s-1", "hello"));
    let lists =
        ["/api/events", "/api/events/1", "/api/sessions", "/api/sessions/s-1", "/api/figures", "/api/hooks"];
    let states =
        ["/health", "/api/health", "/status", "/stats", "/metrics", "/version", "/version.json", "/login"];
    let others = ["/api/settings", "/api/instances", "/api/config", "/api/working-directory", "/api/legacy"];
    let errors =
        ["/nothing", "/api/events?x=1", "/api/events/99", "/instances/1/health", "/ws", "/assets/none.js"];
    for path in
        [lists.as_slice(), &states, &others, &errors, &["/socket.io/?EIO=4&transport=polling"]].concat()
    {
        let reply = monitor.get(path);
        assert!(reply.headers.contains("cache-control: no-store"), "{path}: {reply:?}");
    }
    for (path, body) in [
        ("/api/events", prompt("s-1", "hello")),
        ("/api/events", format!("[{}]", prompt("s-1", "hello"))),
        ("/api/events", "no event".to_owned()),
        ("/compatibility", "{}".to_owned()),
        ("/api/login-link", String::new()),
        ("/api/shutdown", String::new()),
        ("/api/sessions/s-1/read", String::new()),
    ] {
        let reply = monitor.post(path, body);
        assert!(reply.headers.contains("cache-control: no-store"), "POST {path}: {reply:?}");
    }
    let foreign = monitor.get_with("/api/events", &[("host", "evil.example")]);
    assert!(foreign.headers.contains("cache-control: no-store"), "{foreign:?}");
    let page = monitor.get("/");
    let asset = page.body.split('"').find(|part| part.starts_with("/assets/") && part.ends_with(".js"));
    if let Some(asset) = asset {
        let asset = monitor.get(asset);
        assert!(asset.headers.contains("immutable"), "its name changes with its content: {}", asset.headers);
        assert!(page.headers.contains("cache-control: no-cache"), "{}", page.headers);
    }
}

#[test]
fn every_refusal_is_counted_and_told_with_its_reason() {
    let monitor = Monitor::start();
    monitor.get_with("/health?secret=1", &[("host", "evil.example")]).assert_refused("a foreign host");
    let foreign = [("origin", "http://evil.example"), ("content-type", "text/plain")];
    monitor.post_with("/api/events", &foreign, prompt("s-1", "injected")).assert_refused("a foreign page");
    for path in ["/ws", "/"] {
        let refused = WebSocket::attempt(&monitor, path, Some("http://evil.example")).refusal();
        assert_eq!(refused, 403, "{path}");
    }
    let head = format!("GET /health HTTP/1.1\r\nhost: localhost\r\nx: {}\r\n\r\n", "x".repeat(1_000_000));
    let bomb = raw(monitor.port(), head);
    assert!(bomb.as_ref().is_none_or(|reply| reply.status == 431), "a header bomb: {bomb:?}");
    assert_serving(&monitor);
    let refused = monitor.get("/stats").json()["refused"].take();
    assert_eq!(refused["counts"]["host_not_allowed"], 1, "{refused}");
    assert_eq!(refused["counts"]["origin_not_allowed"], 3, "{refused}");
    assert_eq!(refused["counts"]["bad_head"], 1, "{refused}");
    let first = &refused["latest"][0];
    assert_eq!((&first["what"], &first["address"]), (&"GET /health".into(), &"127.0.0.1".into()), "{first}");
    assert!(monitor.log().contains("host_not_allowed"), "{}", monitor.log());
    assert_eq!(monitor.events("q=injected").events.len(), 0);
}

#[test]
fn what_a_door_refuses_is_noted_like_what_the_guard_refuses() {
    let monitor =
        Monitor::start_configured(r#"{"require_token": true, "max_http_buffer_size": 100000}"#, &[]);
    let (url, token) = (monitor.url(), format!("Bearer {}", monitor.token()));
    let refused = |path: &str, more: &[(&str, &str)], body: &str| {
        let headers = [&[("authorization", token.as_str())], more].concat();
        monitor.post_with(path, &headers, body).status
    };
    assert_eq!(refused("/api/events", &[], &"x".repeat(100_001)), 413);
    assert_eq!(refused("/api/events", &[("content-encoding", "gzip")], "{}"), 415);
    assert_eq!(refused("/api/shutdown", &[], ""), 401);
    assert_eq!(refused("/api/capture", &[], ""), 403);
    assert_eq!(refused("/api/hooks", &[("origin", &url)], ""), 403);
    assert_eq!(refused("/api/events", &[], "no event"), 400);
    let refused = monitor.get_with("/stats", &[("authorization", &token)]).json()["refused"].take();
    let expected = json!({
        "too_large": 1, "unsupported_encoding": 1, "unauthorized": 1, "origin_not_allowed": 1,
        "user_not_proven": 1,
    });
    assert_eq!(refused["counts"], expected, "and a mere mistake is none: {refused}");
    assert_eq!(refused["latest"][0]["what"], "POST /api/events", "{refused}");
}

#[test]
fn who_is_connected_is_listed_with_what_it_is_and_how_it_came() {
    let monitor = Monitor::start();
    let mut expected = Vec::new();
    let _python = Socket::connect(&monitor, Library::Python);
    expected.push(("Python", "/", "socket.io"));
    let _node = Socket::connect(&monitor, Library::Node);
    expected.push(("Node.js", "/", "socket.io"));
    let options = json!({"headers": {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64)"}});
    let mut browser = WebSocket::attempt_with(&monitor, "/ws", &options);
    browser.data("system.status");
    expected.push(("Browser", "", "websocket"));
    let mut tool = Socket::connect(&monitor, Library::Node);
    let register = json!({"name": "my exporter", "type": "exporter"});
    tool.emit("client:register", &register);
    tool.event("client:registered");
    expected.push(("exporter", "/", "socket.io"));
    let status: protocol::health::Status = monitor.get("/status").parsed();
    assert_eq!(status.health.port, monitor.port(), "the rest is that of /health");
    assert_eq!(status.clients.len(), expected.len(), "{:?}", status.clients);
    for (client, (kind, namespace, transport)) in status.clients.iter().zip(expected) {
        assert_eq!(client.kind, kind, "{client:?}");
        assert_eq!(client.namespace.as_deref().unwrap_or_default(), namespace, "{client:?}");
        assert!(client.transport.starts_with(transport), "{client:?}");
        assert!(
            client.address.starts_with("127.0.0.1:") || client.address.starts_with("[::1]:"),
            "{client:?}"
        );
        assert!(client.connected_at.0 > 0, "{client:?}");
    }
    assert_eq!(status.clients[3].name.as_deref(), Some("my exporter"));
    let stats = monitor.get("/stats").json();
    assert_eq!(stats["connections"]["clients"].as_array().map(Vec::len), Some(4), "{stats}");
}
