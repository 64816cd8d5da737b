//! Whatever is sent to a door, by mistake or on purpose: it is taken or refused, the monitor stays well, and what it
//! took is what was sent. Inputs are real payloads and packets that were damaged at random; a failure is shrunk to its
//! smallest form and told. `FUZZ_CASES` sets how many each door gets.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpStream};
use std::time::Duration;

use e2e::{Monitor, PATIENCE, hook_posts, hook_samples, our, output, prompt};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::{Config, TestRunner};
use tungstenite::{Message, WebSocket};

/// Inputs for each door while everybody waits for the checks.
const CASES: u32 = 400;

/// What breaks parsers.
const SPLINTERS: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    "\"",
    ",",
    ":",
    "\\",
    "\\u0000",
    "\\ud800",
    "\u{feff}",
    "null",
    "1e999",
    "-0",
    "18446744073709551616",
    "\n",
    "\r\n",
    "\0",
    "\u{202e}",
    "👩‍👩‍👧‍👦",
    "\"session_id\":7",
    "\"hook_event_name\":null",
    "\"events\":[",
    "\"tool_input\":[[",
    "{\"event\":{\"event\":",
    "42[\"",
    "451-",
    "2probe",
    "40/stream,",
    "--",
    "dur:>",
    "tool:",
    "%",
    "..",
    "\"\"",
];

fn cases() -> u32 {
    std::env::var("FUZZ_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(CASES)
}

/// Tries the claim with as many inputs as are wanted, and shrinks the first that breaks it.
fn for_any<S: Strategy>(cases: u32, inputs: &S, claim: impl Fn(S::Value) -> Result<(), TestCaseError>) {
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    if let Err(broken) = TestRunner::new(config).run(inputs, claim) {
        panic!("{broken}");
    }
}

/// One way to damage something.
#[derive(Clone, Debug)]
enum Damage {
    Flip(Index, u8),
    Insert(Index, Vec<u8>),
    Cut(Index, Index),
    Repeat(Index, Index, u8),
}

impl Damage {
    fn strategy() -> impl Strategy<Value = Self> {
        let splinter = prop_oneof![
            8 => select(SPLINTERS).prop_map(|text| text.as_bytes().to_vec()),
            2 => vec(any::<u8>(), 1..8),
            1 => (select(vec!["[", "{\"a\":", " ", "é"]), 1..2000_usize).prop_map(|(text, times)| text.repeat(times).into_bytes()),
        ];
        prop_oneof![
            (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Self::Flip(at, byte)),
            (any::<Index>(), splinter).prop_map(|(at, bytes)| Self::Insert(at, bytes)),
            (any::<Index>(), any::<Index>()).prop_map(|(from, to)| Self::Cut(from, to)),
            (any::<Index>(), any::<Index>(), 1..4_u8)
                .prop_map(|(from, to, times)| Self::Repeat(from, to, times)),
        ]
    }

    fn apply(&self, bytes: &mut Vec<u8>) {
        let place = |index: &Index| index.index(bytes.len() + 1);
        let stretch = |from: &Index, to: &Index| {
            let (from, to) = (place(from), place(to));
            from.min(to)..from.max(to)
        };
        match self {
            Self::Flip(at, byte) => {
                let at = place(at);
                if let Some(old) = bytes.get_mut(at) {
                    *old ^= byte;
                }
            }
            Self::Insert(at, more) => {
                let at = place(at);
                bytes.splice(at..at, more.iter().copied());
            }
            Self::Cut(from, to) => drop(bytes.drain(stretch(from, to))),
            Self::Repeat(from, to, times) => {
                let range = stretch(from, to);
                let (end, piece) = (range.end, bytes[range].repeat(usize::from(*times)));
                bytes.splice(end..end, piece);
            }
        }
    }
}

/// One of these, damaged none to six times.
fn damaged(corpus: Vec<Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    (select(corpus), vec(Damage::strategy(), 0..6)).prop_map(|(mut bytes, damages)| {
        for damage in damages {
            damage.apply(&mut bytes);
        }
        bytes
    })
}

fn damaged_text(corpus: &[&str]) -> impl Strategy<Value = String> + use<> {
    let corpus = corpus.iter().map(|text| text.as_bytes().to_vec()).collect();
    damaged(corpus).prop_map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

/// What Claude Code's hooks and claude-mpm's send.
fn bodies() -> Vec<Vec<u8>> {
    let mut bodies: Vec<Vec<u8>> = hook_samples().into_iter().map(String::into_bytes).collect();
    bodies.extend(hook_posts().into_iter().map(|post| post.body.into_bytes()));
    bodies.extend([b"[]".to_vec(), b"[{\"kind\":\"a\",\"payload\":{}},7]".to_vec(), b"{}\n{}\n".to_vec()]);
    bodies
}

#[test]
fn a_body_is_stored_as_it_came_or_refused() {
    let monitor = Monitor::start();
    for_any(cases(), &damaged(bodies()), |body| {
        let reply = monitor.post("/api/events", &body);
        prop_assert!(matches!(reply.status, 200 | 204 | 400 | 413), "{reply:?}");
        if reply.status == 204 {
            let newest = monitor.events("limit=1&payload=true&duplicates=true").events.remove(0);
            let sent = String::from_utf8_lossy(&body);
            let sent = sent.trim_start_matches('\u{feff}').trim();
            prop_assert!(
                newest.payload() == sent || sent.contains('\u{fffd}'),
                "{} for {sent}",
                newest.payload()
            );
        } else if reply.status != 200 {
            prop_assert!(
                reply.json()["code"].is_string() && reply.json()["message"].is_string(),
                "{reply:?}"
            );
        }
        Ok(())
    });
    monitor.assert_healthy();
}

#[test]
fn a_question_is_answered_or_refused() {
    let monitor = Monitor::start();
    for body in bodies() {
        monitor.post("/api/events", body);
    }
    let questions = damaged_text(&[
        "tool:Bash,Edit -status:error dur:>5s project:shop words",
        "session:3f0c \"two words\" kind:Stop agent:main dur:<100ms",
        "status:ok tool:mcp__*",
        "NEAR(a b, 2) OR a* -\"b\"",
    ]);
    for_any(cases(), &questions, |question| {
        // What fits into an address; longer ones never leave the client.
        let encoded: String = question.bytes().take(16 * 1024).map(|byte| format!("%{byte:02x}")).collect();
        for path in [
            "/api/events?query=",
            "/api/events?q=",
            "/api/figures?query=",
            "/api/events?session=",
            "/api/sessions/",
        ] {
            let reply = monitor.get(&format!("{path}{encoded}"));
            prop_assert!(reply.status < 500, "{path}{question}: {reply:?}");
        }
        Ok(())
    });
    monitor.assert_healthy();
}

#[test]
fn a_websocket_message_is_answered_and_the_connection_stays() {
    let monitor = Monitor::start();
    let mut socket = connect(&monitor, "/ws");
    let messages = damaged_text(&[
        r#"{"command":"subscribe","channels":["session.*","claude.output","*"]}"#,
        r#"{"command":"get_history","params":{"event_types":["hook.stop"],"limit":100}}"#,
        r#"{"command":"publish","event":{"kind":"note","payload":{"text":"hello"}}}"#,
        r#"{"command":"get_status","instance":8766}"#,
    ]);
    let said = std::cell::RefCell::new(&mut socket);
    for_any(cases(), &messages, |message| {
        let mut socket = said.borrow_mut();
        socket.send(Message::text(&message)).expect("the connection stays");
        // The mark is answered last, so whatever the message did to the connection, it is still there.
        socket.send(Message::text(r#"{"command":"no such command, a mark"}"#)).expect("the connection stays");
        loop {
            let Message::Text(text) = socket.read().expect("the connection stays") else { continue };
            if text.contains("a mark") {
                return Ok(());
            }
        }
    });
    monitor.assert_healthy();
}

#[test]
fn a_socket_io_packet_harms_nobody() {
    let monitor = Monitor::start();
    let mut witness = connect(&monitor, "/ws");
    let packets = damaged_text(&[
        "40",
        "40/stream,{\"token\":\"x\"}",
        "42[\"claude_event\",{\"kind\":\"note\",\"payload\":{}}]",
        "421[\"get_history\",{\"limit\":100,\"event_types\":[\"Stop\"]}]",
        "42/stream,2[\"subscribe\",{\"after\":0,\"filter\":{\"query\":\"tool:Bash\"},\"limit\":10}]",
        "451-[\"claude_event\",{\"_placeholder\":true,\"num\":0}]",
        "42[\"subscribe\",{\"channels\":[\"*\"]}]",
        "3probe",
        "41",
    ]);
    for_any(cases(), &vec(packets, 1..4), |packets| {
        let mut socket = connect(&monitor, "/socket.io/?EIO=4&transport=websocket");
        socket.send(Message::text("40")).expect("a fresh connection takes a packet");
        for packet in packets {
            // A server may close on the first broken one.
            if socket.send(Message::text(packet)).is_err() {
                break;
            }
        }
        drop(socket.close(None));
        while socket.read().is_ok() {}
        witness.get_ref().peer_addr().expect("others stay connected");
        Ok(())
    });
    witness.send(Message::text(r#"{"command":"no such command, a mark"}"#)).expect("others stay connected");
    while !witness.read().expect("others stay connected").to_text().is_ok_and(|text| text.contains("a mark"))
    {
    }
    monitor.assert_healthy();
}

#[test]
fn a_request_is_answered_or_hung_up_on() {
    let monitor = Monitor::start();
    let requests = damaged(vec![
        b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec(),
        b"POST /api/events HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nContent-Type: text/plain\r\n\r\n{}".to_vec(),
        b"POST /api/events HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n".to_vec(),
        b"GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
          Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
            .to_vec(),
        b"GET /assets/../../../etc/passwd HTTP/1.1\r\nHost: localhost\r\nOrigin: http://localhost\r\n\r\n".to_vec(),
    ]);
    for_any(cases(), &requests, |request| {
        let mut stream =
            TcpStream::connect((Ipv4Addr::LOCALHOST, monitor.port())).expect("the monitor listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
        let _ = stream.write_all(&request);
        // What is unfinished stays so: nobody needs to wait for more.
        let _ = stream.shutdown(Shutdown::Write);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let answer = String::from_utf8_lossy(&answer);
        prop_assert!(!answer.starts_with("HTTP/1.1 5") && !answer.starts_with("HTTP/1.0 5"), "{answer}");
        prop_assert!(!answer.contains("root:"), "{answer}");
        Ok(())
    });
    monitor.assert_healthy();
}

#[test]
fn a_hook_takes_anything_and_says_nothing() {
    let monitor = Monitor::start();
    // Each is a process of its own.
    for_any(cases() / 4, &damaged(bodies()), |stdin| {
        let ended = output(&mut our(monitor.home(), "claude-mpm-hook"), &stdin);
        prop_assert!(
            ended.status.success() && ended.stdout.is_empty() && ended.stderr.is_empty(),
            "{ended:?}"
        );
        Ok(())
    });
    monitor.wait_for_spool();
    monitor.assert_healthy();
    monitor.event(prompt("s-1", "and real ones are taken"));
}

fn connect(monitor: &Monitor, path: &str) -> WebSocket<TcpStream> {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, monitor.port())).expect("the monitor listens");
    stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a timeout can be set");
    let url = format!("ws://127.0.0.1:{}{path}", monitor.port());
    tungstenite::client(url, stream).expect("it is a WebSocket").0
}
