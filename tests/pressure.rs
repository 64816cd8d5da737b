//! Claims about the monitor's memory: whatever a client sends to a door without reading what comes back, or without ever
//! finishing it, the memory stays within a stated bound, others are served meanwhile, and it is given back afterwards.
//! `PRESSURE_TIMES` multiplies the clients.
#![cfg(target_os = "linux")]

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use std::sync::mpsc::channel;
use std::time::Duration;

use e2e::{Client, Guarded, Library, Monitor, Options, PATIENCE, Socket, number, prompt};
use rustix::net::{AddressFamily, SocketType, connect, socket, sockopt};
use serde_json::json;

/// What all those who do not read cost together.
const UNREAD_BYTES_MAX: u64 = 48 * MIB as u64;

/// And those who finish nothing: the budget, and the libraries' own buffers, which grow by doubling.
const UNFINISHED_BYTES_MAX: u64 = 416 * MIB as u64;

/// And those who have not named the token, whatever they do.
const OWING_BYTES_MAX: u64 = 32 * MIB as u64;

const MIB: usize = 1024 * 1024;

/// Clients of each kind that do not read, and how much each of them sends at most.
const UNREAD: (usize, usize) = (3, 40 * MIB);

/// Clients that do not finish, and how much each of them sends: a little less than the largest body. All of it is more than
/// the bound.
const UNFINISHED: usize = 32;
const UNFINISHED_BYTES: usize = 15 * MIB;

/// Those who owe the token, whose sessions are few.
const OWING: usize = 4;

/// As much as one of them sends in frames or chunks of a few bytes, which cost time above all.
const SMALL_BYTES: usize = MIB / 2;

/// Attacks after which a viewer is looked at who was there before; after all others an event is sent.
const LOOKS: usize = 8;

/// A client that could not send for so long waits for the server to read, or was cut off.
const STALLED: Duration = Duration::from_millis(300);

/// How much of it one client sends before it is the next one's turn.
const TURN_BYTES: usize = 256 * 1024;

/// Where WebSockets are taken.
const ENGINE: &str = "/socket.io/?EIO=4&transport=websocket";
const POLLING: &str = "/socket.io/?EIO=4&transport=polling";

/// Stands for a session that is opened by polling when the attack begins: one that nobody polls ends soon.
const SESSION: &str = "/SESSION";

/// What clients of a kind do.
struct Attack {
    name: String,
    clients: usize,
    /// What each sends first; the answer to the head is read, so that it may have to wait for it.
    opening: Vec<u8>,
    is_answered: bool,
    then: Vec<u8>,
    /// What it sends again and again, and how much of it.
    again: Vec<u8>,
    bytes: usize,
}

/// A frame of a WebSocket client, masked with zeros. Its payload may be another one than it announces.
fn frame(first: u8, announced: usize, payload: &[u8]) -> Vec<u8> {
    let announced = (announced as u64).to_be_bytes();
    [&[first, 0x80 | 127][..], &announced, &[0; 4], payload].concat()
}

fn text(text: &str) -> Vec<u8> {
    frame(0x81, text.len(), text.as_bytes())
}

/// A request with these lines in its head.
fn request(line: &str, more: &str) -> Vec<u8> {
    format!("{line} HTTP/1.1\r\nhost: localhost\r\n{more}\r\n").into_bytes()
}

fn upgrade(path: &str) -> Vec<u8> {
    let more = "connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
                sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    request(&format!("GET {path}"), more)
}

/// The doors of WebSockets, and what a client says there first.
fn websockets() -> [(&'static str, &'static str, &'static str); 4] {
    [
        ("/", "", r#"{"command":"get_status"}"#),
        ("/ws", "", r#"{"command":"get_status"}"#),
        (ENGINE, "40", r#"42["get_status"]"#),
        (ENGINE, "40/stream,", r#"42/stream,["subscribe",{}]"#),
    ]
}

/// A message, if there is one.
fn said(message: &str) -> Vec<u8> {
    if message.is_empty() { Vec::new() } else { text(message) }
}

/// Every kind of frame, again and again.
fn endless(question: &str) -> Vec<(&'static str, Vec<u8>)> {
    let fragment = |first, text: &str| frame(first, text.len(), text.as_bytes());
    vec![
        ("text", text(question)),
        ("binary", frame(0x82, 100, &[b'x'; 100])),
        ("ping", frame(0x89, 125, &[b'x'; 125])),
        ("empty ping", vec![0x89, 0x80, 0, 0, 0, 0]),
        ("pong", frame(0x8a, 125, &[b'x'; 125])),
        ("close", frame(0x88, 2, &1000u16.to_be_bytes())),
        ("fragments", [fragment(0x01, &question[..9]), fragment(0x80, &question[9..])].concat()),
        (
            "pings in fragments",
            [fragment(0x01, &question[..9]), frame(0x89, 5, b"hello"), fragment(0x80, &question[9..])]
                .concat(),
        ),
    ]
}

/// Every kind of frame and message that does not end: how it begins, and what comes of it without end.
fn unfinished() -> Vec<(&'static str, Vec<u8>, Vec<u8>)> {
    let filler = vec![b'x'; 64 * 1024];
    let announced = 16 * MIB;
    let part = frame(0x00, filler.len(), &filler);
    vec![
        ("half a text", frame(0x81, announced, b"{"), filler.clone()),
        ("half a binary", frame(0x82, announced, b"{"), filler.clone()),
        ("half a part", [frame(0x01, 1, b"{"), frame(0x00, announced - 1, b"")].concat(), filler),
        ("text in parts", frame(0x01, 1, b"{"), part.clone()),
        ("binary in parts", frame(0x02, 1, b"{"), part.clone()),
        ("parts with pings", frame(0x01, 1, b"{"), [part, frame(0x89, 5, b"hello")].concat()),
        ("parts of nothing", frame(0x01, 0, b""), frame(0x00, 0, b"")),
        ("half a ping", frame(0x89, 125, b"x"), Vec::new()),
        ("half a close", frame(0x88, 100, b"\x03\xe8"), Vec::new()),
        ("half a head", vec![0x81, 0x80 | 127, 0, 0], Vec::new()),
        ("a head alone", frame(0x81, announced, b""), Vec::new()),
        ("an attachment to come", text(r#"451-["claude_event",{"_placeholder":true,"num":0}]"#), Vec::new()),
    ]
}

/// Every route that takes a body.
const POSTS: &[&str] = &[
    "/api/events",
    "/compatibility",
    "/api/sessions/s/read",
    "/api/instances/1/stop",
    "/api/instances/1/restart",
    "/instances/1/api/sessions/s/read",
    "/api/hooks",
    "/login",
    "/api/login-link",
    "/api/shutdown",
    "/api/restart",
    "/api/capture",
];

/// Bodies that do not end: what the head says of them, and what comes.
fn bodies() -> Vec<(&'static str, String, Vec<u8>)> {
    let chunk = |bytes: usize| [format!("{bytes:x}\r\n").as_bytes(), &vec![b'x'; bytes], b"\r\n"].concat();
    let chunked = "transfer-encoding: chunked\r\n".to_owned();
    vec![
        ("half a body", format!("content-length: {}\r\n", 16 * MIB), vec![b'x'; 64 * 1024]),
        ("chunks", chunked.clone(), chunk(64 * 1024)),
        ("chunks of a byte", chunked, chunk(1)),
    ]
}

/// Opens a session by polling, and asks for a namespace in it.
fn session(monitor: &Monitor) -> String {
    let opened = monitor.get(POLLING).body;
    let sid = opened.split('"').nth(3).unwrap_or_else(|| panic!("a session: {opened}"));
    let path = format!("{POLLING}&sid={sid}");
    assert_eq!(monitor.post(&path, "40").status, 200, "it is read");
    path
}

impl Attack {
    /// Opens the session that it happens in, if it does.
    fn open_session(&mut self, monitor: &Monitor) {
        let is_named = |bytes: &[u8]| bytes.starts_with(format!("POST {SESSION} ").as_bytes());
        if ![&self.opening, &self.again].into_iter().any(|bytes| is_named(bytes)) {
            return;
        }
        let path = session(monitor);
        for bytes in [&mut self.opening, &mut self.again].into_iter().filter(|bytes| is_named(bytes)) {
            *bytes = String::from_utf8_lossy(bytes).replace(SESSION, &path).into_bytes();
        }
    }
}

/// What the clients of every door can do.
struct Walk {
    /// Clients that finish nothing.
    unfinished: usize,
}

impl Walk {
    fn unread(&self) -> Vec<Attack> {
        let (clients, bytes) = UNREAD;
        let mut attacks = Vec::new();
        for (path, first, question) in websockets() {
            for (name, again) in endless(question) {
                let name = format!("{path} {first}, unread: {name}");
                let opening = upgrade(path);
                attacks.push(Attack {
                    name,
                    clients,
                    opening,
                    is_answered: true,
                    then: said(first),
                    again,
                    bytes,
                });
            }
        }
        for line in
            ["GET /health", "GET /api/events?limit=1000", "POST /api/login-link", "GET /", "GET /none"]
        {
            let (name, again) = (format!("{line}, unread"), request(line, ""));
            let (opening, then) = (Vec::new(), Vec::new());
            attacks.push(Attack { name, clients, opening, is_answered: false, then, again, bytes });
        }
        for says in ["40", "40/stream,", "40/none,", r#"42["get_status"]"#, r#"42["get_history",{}]"#] {
            let more = format!("content-length: {}\r\n", says.len());
            let again = [request(&format!("POST {SESSION}"), &more), says.into()].concat();
            let (opening, then) = (Vec::new(), Vec::new());
            let name = format!("polling, never polled: {says}");
            attacks.push(Attack { name, clients, opening, is_answered: false, then, again, bytes });
        }
        attacks
    }

    fn unfinished(&self) -> Vec<Attack> {
        let (clients, bytes) = (self.unfinished, UNFINISHED_BYTES);
        let mut attacks = Vec::new();
        for (path, first, _) in websockets() {
            for (name, begin, again) in unfinished() {
                let name = format!("{path} {first}, unfinished: {name}");
                let (opening, then) = (upgrade(path), [said(first), begin].concat());
                attacks.push(Attack { name, clients, opening, is_answered: true, then, again, bytes });
            }
        }
        for path in POSTS.iter().copied().chain([SESSION]) {
            for (name, head, again) in bodies() {
                let opening = request(&format!("POST {path}"), &head);
                let (name, then) = (format!("POST {path}, unfinished: {name}"), Vec::new());
                attacks.push(Attack { name, clients, opening, is_answered: false, then, again, bytes });
            }
        }
        for line in ["GET /health", "POST /api/events"] {
            let opening = format!("{line} HTTP/1.1\r\nhost: localhost\r\n").into_bytes();
            let again = format!("x-{}: {}\r\n", "y".repeat(20), "x".repeat(1000)).into_bytes();
            let (name, then) = (format!("{line}, unfinished head"), Vec::new());
            let (clients, bytes) = (4 * clients, 60 * 1024);
            attacks.push(Attack { name, clients, opening, is_answered: false, then, again, bytes });
        }
        attacks
    }
}

/// One client, which never reads more than the answer to its opening.
struct Attacker {
    stream: TcpStream,
    sent: usize,
    is_done: bool,
}

impl Attacker {
    /// Connects with the least room for answers that the system gives.
    fn connect(monitor: &Monitor, attack: &Attack) -> Self {
        let socket = socket(AddressFamily::INET, SocketType::STREAM, None).expect("a socket can be made");
        sockopt::set_socket_recv_buffer_size(&socket, 4096).expect("a buffer can be small");
        connect(&socket, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, monitor.port()))
            .expect("the monitor listens");
        let mut stream = TcpStream::from(socket);
        stream.set_read_timeout(Some(PATIENCE)).expect("a time limit can be set");
        stream.set_write_timeout(Some(STALLED)).expect("a time limit can be set");
        let opened = stream.write_all(&attack.opening);
        if attack.is_answered {
            opened.expect("it is read");
            let mut answer = Vec::new();
            let mut byte = [0];
            while !answer.ends_with(b"\r\n\r\n") {
                stream.read_exact(&mut byte).expect("it is answered");
                answer.push(byte[0]);
            }
            assert!(
                answer.starts_with(b"HTTP/1.1 101 "),
                "{}: {}",
                attack.name,
                String::from_utf8_lossy(&answer)
            );
        }
        // It may be refused as early as that.
        let _ = stream.write_all(&attack.then);
        Self { stream, sent: 0, is_done: attack.again.is_empty() }
    }

    /// Sends some of it, unless it is cut off, or the server reads no more.
    fn press(&mut self, attack: &Attack) {
        let mut turn = 0;
        while !self.is_done && turn < TURN_BYTES {
            let written = self.stream.write_all(&attack.again);
            turn += attack.again.len();
            self.sent += attack.again.len();
            self.is_done = written.is_err() || self.sent >= attack.bytes;
        }
    }
}

/// Forgets what a process held at most so far.
fn forget_peak(monitor: &Monitor) {
    std::fs::write(format!("/proc/{}/clear_refs", monitor.pid()), "5").expect("it is our own process");
}

/// Carries all attacks out, and claims that each stays within its bound.
fn assert_bounded(monitor: &Monitor, guarded: &mut Guarded<'_>, attacks: Vec<Attack>, bytes_max: u64) {
    let times = number("PRESSURE_TIMES").unwrap_or(1);
    let before = monitor.memory();
    let authorization = format!("Bearer {}", monitor.control_token());
    for (at, mut attack) in attacks.into_iter().enumerate() {
        attack.clients *= usize::try_from(times).expect("a number of clients");
        // Small pieces go out many at a time.
        if !attack.again.is_empty() {
            if attack.again.len() < 20 {
                attack.bytes = SMALL_BYTES;
            }
            attack.again = attack.again.repeat((16 * 1024 / attack.again.len()).max(1));
        }
        attack.open_session(monitor);
        forget_peak(monitor);
        let start = std::time::Instant::now();
        let mut attackers: Vec<_> =
            (0..attack.clients).map(|_| Attacker::connect(monitor, &attack)).collect();
        while attackers.iter().any(|attacker| !attacker.is_done) {
            attackers.iter_mut().for_each(|attacker| attacker.press(&attack));
        }
        let headers = [("authorization", authorization.as_str())];
        assert_eq!(
            monitor.post_with("/api/events", &headers, prompt("s", "hello")).status,
            204,
            "{}",
            attack.name
        );
        if at % LOOKS == 0 {
            guarded.assert_serving();
        }
        let more = monitor.peak().saturating_sub(before);
        let sent: usize = attackers.iter().map(|attacker| attacker.sent).sum();
        let took = start.elapsed().as_millis();
        println!("{:>4} MiB more, {:>4} MiB sent, {took} ms: {}", more >> 20, sent >> 20, attack.name);
        assert!(more < bytes_max, "{more} bytes for {}", attack.name);
    }
}

#[test]
fn who_reads_nothing_costs_little_at_every_door_with_every_frame() {
    let monitor = Monitor::start();
    let mut guarded = Guarded::watch(&monitor);
    let walk = Walk { unfinished: UNFINISHED };
    assert_bounded(&monitor, &mut guarded, walk.unread(), UNREAD_BYTES_MAX);
    guarded.assert_unharmed();
}

#[test]
fn who_finishes_nothing_stays_within_the_budget_at_every_door_with_every_frame() {
    let monitor = Monitor::start();
    let mut guarded = Guarded::watch(&monitor);
    let walk = Walk { unfinished: UNFINISHED };
    assert_bounded(&monitor, &mut guarded, walk.unfinished(), UNFINISHED_BYTES_MAX);
    let refused = monitor.get("/stats").json()["refused"]["counts"]["overloaded"].as_u64();
    assert!(refused > Some(0), "the largest gave way, and it is known why");
    guarded.assert_unharmed();
}

#[test]
fn who_owes_the_token_costs_next_to_nothing_at_every_door_with_every_frame() {
    let monitor = Monitor::start_configured(r#"{"require_token": true, "connection_timeout": 10}"#, &[]);
    let mut guarded = Guarded::watch(&monitor);
    let walk = Walk { unfinished: OWING };
    let is_owing = |attack: &Attack| !attack.is_answered || attack.name.starts_with(ENGINE);
    for attacks in [walk.unread(), walk.unfinished()] {
        let attacks = attacks.into_iter().filter(is_owing).collect();
        assert_bounded(&monitor, &mut guarded, attacks, OWING_BYTES_MAX);
    }
    guarded.assert_unharmed();
}

/// Begins as many of these as the budget has room for, and some more, and claims that one of them is told this.
#[track_caller]
fn assert_told(monitor: &Monitor, opening: &[u8], begun: &[u8], told: &'static [u8]) {
    const CLIENTS: usize = 24;
    let (sender, ends) = channel();
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, monitor.port())).expect("it listens");
            let (mut reading, sender) =
                (stream.try_clone().expect("it can be read elsewhere"), sender.clone());
            std::thread::spawn(move || {
                let mut heard = Vec::new();
                // It may be cut off while it still sends.
                let _ = reading.read_to_end(&mut heard);
                let _ = sender.send(heard.windows(told.len()).any(|bytes| bytes == told));
            });
            stream.write_all(opening).expect("it is read");
            // It may have been given up already.
            let _ = stream.write_all(begun);
            stream
        })
        .collect();
    drop(sender);
    while !ends.recv_timeout(PATIENCE).expect("some are given up, and one is told why") {}
    monitor.event(prompt("s", "small ones go on"));
    drop(clients);
}

#[test]
fn who_gives_way_is_told_why() {
    let monitor = Monitor::start();
    let guarded = Guarded::watch(&monitor);
    // Of a WebSocket it is the code 1013.
    let announced = frame(0x81, 16 * MIB, b"{");
    assert_told(&monitor, &upgrade("/ws"), &announced, b"\x03\xf5");
    let head = request("POST /api/events", &format!("content-length: {}\r\n", 16 * MIB));
    assert_told(&monitor, &head, &vec![b' '; 15 * MIB], b"HTTP/1.1 503 ");
    guarded.assert_unharmed();
}

#[test]
fn who_names_the_token_while_polling_sends_large_events_by_websocket_afterwards() {
    let monitor = Monitor::start_configured(r#"{"require_token": true}"#, &[]);
    let options = Options { auth: Some(json!({"token": monitor.token()})), ..Options::default() };
    for _ in 0..3 {
        // As the library does by itself, it polls first and then upgrades.
        let mut socket = Socket::connect_with(&monitor, Library::Node, &options);
        for transport in ["polling or already upgraded", "upgraded"] {
            let event = json!({"hook_event_name": "UserPromptSubmit", "session_id": "s", "prompt": "x".repeat(300_000)});
            assert!(socket.ask("claude_event", &event)["seq"].is_u64(), "{transport}");
        }
    }
}

#[test]
fn what_is_asked_before_the_answer_came_is_answered_in_its_turn() {
    let monitor = Monitor::start();
    let close = "connection: close\r\n";
    let asked = [
        request("GET /health", ""),
        request("GET /version", ""),
        request("POST /api/login-link", "content-length: 2\r\n"),
        b"{}".to_vec(),
        request("GET /health", ""),
        request("GET /version", close),
    ];
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, monitor.port())).expect("it listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a time limit can be set");
    stream.write_all(&asked.concat()).expect("it is read");
    let mut answers = String::new();
    stream.read_to_string(&mut answers).expect("all are answered, and then it closes");
    assert_eq!(answers.matches("HTTP/1.1 200 OK").count(), 5, "{answers}");
    // Behind a body nobody can tell where a WebSocket would begin.
    let posted = [request("POST /api/login-link", "content-length: 2\r\n"), b"{}".to_vec(), upgrade("/ws")];
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, monitor.port())).expect("it listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a time limit can be set");
    stream.write_all(&posted.concat()).expect("it is read");
    let mut answers = Vec::new();
    let mut bytes = [0; 4096];
    while !String::from_utf8_lossy(&answers).contains("early_upgrade") {
        let count = stream.read(&mut bytes).expect("it is answered");
        assert!(count > 0, "{}", String::from_utf8_lossy(&answers));
        answers.extend_from_slice(&bytes[..count]);
    }
}

#[test]
fn pings_over_tls_that_are_not_read_cost_as_little() {
    let monitor = Monitor::start_configured("{}", &["--tls"]);
    let mut guarded = Guarded::watch(&monitor);
    for path in ["/ws", ENGINE] {
        forget_peak(&monitor);
        let before = monitor.memory();
        let arguments = [&monitor.port().to_string(), path, &(32 * MIB).to_string()];
        let mut client = Client::python("tls_pings.py", &arguments);
        let sent = client.take("it sent what it could", |line| line["what"] == "sent");
        guarded.assert_serving();
        let more = monitor.peak().saturating_sub(before);
        println!("{:>4} MiB more, {sent}: {path}", more >> 20);
        assert!(more < 16 * MIB as u64, "{more} bytes after {sent} at {path}");
    }
    guarded.assert_unharmed();
}
