//! The demo: every recorded event arrives by the ordinary door, and replays never mix.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use crate::support::Desk;
use client::{Lock, Part, Query};
use protocol::{Runfile, Timestamp};
use serde_json::Value;

/// A monitor that only remembers what it was sent.
struct Recorder {
    events: Arc<Mutex<Vec<Value>>>,
    /// As a monitor holds it while it lives.
    _lock: Lock,
}

impl Recorder {
    /// Serves the desk's port as this user's monitor.
    fn start(desk: &Desk) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", desk.port)).unwrap();
        let runfile = Runfile {
            pid: std::process::id(),
            process_started_at: Timestamp(0),
            process_start_ticks: None,
            version: "0.1.0".to_owned(),
            host: "127.0.0.1".to_owned(),
            port: desk.port,
            addresses: Vec::new(),
            server_id: "monitor-recorder".to_owned(),
            control_token: String::new(),
            project: None,
            mode: "foreground".to_owned(),
            access: Default::default(),
        };
        let lock = Lock::try_take(&desk.home, desk.port).unwrap().expect("nobody else serves there");
        client::runfiles::write(&desk.home, &runfile).unwrap();
        let events = Arc::new(Mutex::new(Vec::new()));
        let kept = events.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let kept = kept.clone();
                std::thread::spawn(move || answer(stream.unwrap(), &kept));
            }
        });
        Self { events, _lock: lock }
    }

    fn take(&self) -> Vec<Value> {
        std::mem::take(&mut self.events.lock().unwrap())
    }
}

/// Answers the requests of one connection until it is closed.
fn answer(mut stream: TcpStream, kept: &Mutex<Vec<Value>>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    loop {
        let mut head = Vec::new();
        while head.last().is_none_or(|line: &String| line != "\r\n") {
            let mut line = String::new();
            if reader.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            head.push(line.to_lowercase());
        }
        let length = head.iter().find_map(|line| line.strip_prefix("content-length:"));
        let mut body = vec![0; length.map_or(0, |text| text.trim().parse().unwrap())];
        reader.read_exact(&mut body).unwrap();
        let reply = if head[0].starts_with("post /api/events ") {
            kept.lock().unwrap().push(serde_json::from_slice(&body).unwrap());
            "HTTP/1.1 204 No Content\r\n\r\n".to_owned()
        } else {
            let health = r#"{"service":"claude-mpm-monitor","server_id":"monitor-recorder"}"#;
            format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{health}", health.len())
        };
        stream.write_all(reply.as_bytes()).unwrap();
    }
}

fn ids(events: &[Value], key: &str) -> BTreeSet<String> {
    events.iter().filter_map(|event| event[key].as_str()).map(str::to_owned).collect()
}

#[test]
fn every_recorded_event_arrives_in_order_and_two_replays_share_no_id() {
    let desk = Desk::new();
    let recorder = Recorder::start(&desk);
    let recorded = include_str!("../../assets/demo.jsonl").lines().count();
    let first = desk.run("demo --speed 5000");
    assert_eq!(first.code, Some(0), "{first:?}");
    assert!(first.out.ends_with(&format!("Demo ended: {recorded} events sent\n")), "{first:?}");
    let first = recorder.take();
    assert_eq!(first.len(), recorded);
    assert_eq!(first[0]["hook_event_name"], "SessionStart");
    assert_eq!(first[recorded - 1]["hook_event_name"], "SessionEnd");
    assert_eq!(desk.run("demo --speed 5000").code, Some(0));
    let second = recorder.take();
    for key in ["session_id", "prompt_id", "tool_use_id", "agent_id"] {
        let (first, second) = (ids(&first, key), ids(&second, key));
        assert!(!first.is_empty() && first.len() == second.len());
        assert!(first.is_disjoint(&second), "{key} is the same in both replays");
    }
}

#[test]
fn a_real_monitor_stores_the_whole_demo() {
    let desk = Desk::new();
    let (_server, running) = desk.serve("", desk.port);
    let ran = desk.run("demo --speed 5000");
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let page = running.monitor().history(&Query::default(), Part::Newest, 1000).unwrap();
    let stored: Vec<Value> = page.events.iter().map(|event| serde_json::to_value(event).unwrap()).collect();
    assert_eq!(stored.len(), include_str!("../../assets/demo.jsonl").lines().count());
    assert_eq!(ids(&stored, "session_id").len(), 2);
    assert_eq!(ids(&stored, "agent_id").len(), 3);
    assert!(stored.iter().all(|event| event["duplicate_of"].is_null()), "no event is taken for another");
}

#[test]
fn an_interrupted_demo_ends_its_sessions() {
    let desk = Desk::new();
    let recorder = Recorder::start(&desk);
    let (demo, _) = desk.serve("demo --speed 0.01", desk.port);
    let arrived = crate::support::wait_for(|| recorder.events.lock().unwrap().first().cloned());
    assert!(arrived.is_some(), "the first event is sent at once");
    demo.signal(rustix::process::Signal::INT);
    let ran = demo.ended();
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.out.contains("Demo stopped after 1 of "), "{ran:?}");
    let events = recorder.take();
    let ended: Vec<_> = events.iter().filter(|event| event["hook_event_name"] == "SessionEnd").collect();
    assert_eq!(ended.len(), 1, "only the session that was begun: {events:?}");
    assert_eq!(ended[0]["session_id"], events[0]["session_id"]);
}

#[test]
fn without_a_monitor_the_demo_says_how_to_start_one() {
    let desk = Desk::new();
    let ran = desk.run("demo");
    assert_eq!(ran.code, Some(3), "{ran:?}");
    let port = desk.port;
    assert_eq!(
        ran.err,
        format!(
            "Error: Monitor is not running on port {port}\n\
             Suggestion: use 'claude-mpm-monitor start --port {port}' to start it\n"
        )
    );
}
