//! Claims about trouble with the store and the system: the sender is told the truth, who watches sees what happens, and the
//! server goes on and recovers by itself.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::process::{Command, Stdio};

use e2e::{Library, Monitor, Options, Socket, WebSocket, prompt, repository};
use protocol::names;
use serde_json::{Value, json};

/// A limit below which the store cannot grow, in bytes.
const FILE_BYTES_MAX: &str = "300000:unlimited";

/// Sets how large files of the monitor may get, as a full disk would.
fn limit_files(monitor: &Monitor, limit: &str) {
    let pid = health(monitor)["pid"].to_string();
    let set = Command::new("prlimit").args(["--pid", &pid, &format!("--fsize={limit}")]).status();
    assert!(set.is_ok_and(|status| status.success()), "prlimit of util-linux sets the limit");
}

fn health(monitor: &Monitor) -> Value {
    monitor.get(names::HEALTH).json()
}

/// Posts events until one is refused; how many were stored, and what the refusal says.
fn fill(monitor: &Monitor) -> (u64, Value) {
    let text = "x".repeat(20_000);
    for stored in 0..1000 {
        let reply = monitor.post(names::EVENTS, prompt("s-1", &text));
        if reply.status != 204 {
            assert_eq!(reply.status, 503, "trouble of ours is no mistake of the sender: {reply:?}");
            return (stored, reply.json());
        }
    }
    panic!("the disk never got full");
}

#[test]
fn a_full_disk_is_told_to_the_sender_and_over_when_there_is_room_again() {
    let monitor = Monitor::start();
    limit_files(&monitor, FILE_BYTES_MAX);
    let (stored, error) = fill(&monitor);
    assert_eq!(error["code"], "store_failed", "{error}");
    assert!(health(&monitor)["store"].as_str().is_some_and(|store| store.starts_with("degraded: ")));
    assert_eq!(health(&monitor)["last_seq"], stored, "nothing is counted that is not there");

    limit_files(&monitor, "unlimited:unlimited");
    assert_eq!(monitor.post(names::EVENTS, prompt("s-1", "room again")).status, 204);
    assert_eq!(health(&monitor)["store"], "ok");
    assert_eq!(health(&monitor)["last_seq"], stored + 1, "positions go on without a hole");
}

#[test]
fn who_watches_sees_events_that_cannot_be_stored() {
    let monitor = Monitor::start();
    let stream = Options { namespace: names::STREAM, ..Options::default() };
    let mut dashboard = Socket::connect_with(&monitor, Library::Node, &stream);
    dashboard.ask("subscribe", &json!({}));
    let mut legacy = Socket::connect(&monitor, Library::Python);
    legacy.event("history");
    let mut raw = WebSocket::connect(&monitor);
    limit_files(&monitor, FILE_BYTES_MAX);
    fill(&monitor);
    let unstored = dashboard.event("unstored");
    assert_eq!(unstored["rows"][0]["seq"], 0, "it has no position: {unstored}");
    assert_eq!(unstored["rows"][0]["kind"], "UserPromptSubmit");
    loop {
        let event = legacy.event("claude_event");
        if event["stored"] == false {
            assert_eq!(event["subtype"], "user_prompt");
            break;
        }
    }
    assert_eq!(raw.data("system.error")["error"], "store_failed");
    raw.matching("a prompt without a position", |message| {
        message["type"] == "hook.user_prompt" && message.get("seq").is_none()
    });
}

#[test]
fn a_database_that_somebody_holds_is_waited_for_and_then_told() {
    let monitor = Monitor::start();
    let mut holder = Command::new(repository().join(".venv/bin/python"))
        .arg(repository().join("tests/clients/python/lock_database.py"))
        .arg(monitor.home().join("monitor/events.db"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("`make test` installs .venv");
    let mut said = String::new();
    BufReader::new(holder.stdout.take().expect("piped")).read_line(&mut said).expect("the holder speaks");
    assert_eq!(said.trim(), "locked");
    let refused = monitor.post(names::EVENTS, prompt("s-1", "nobody can write this"));
    assert_eq!(refused.status, 503, "{refused:?}");
    assert_eq!(monitor.get("/api/events").status, 200, "what can be served is served");
    drop(holder.stdin.take());
    holder.wait().expect("the holder ends");
    assert_eq!(monitor.post(names::EVENTS, prompt("s-1", "and this is stored")).status, 204);
    assert_eq!(health(&monitor)["store"], "ok");
}

#[test]
fn a_damaged_database_does_not_keep_the_monitor_from_starting() {
    let home = tempfile::tempdir().expect("a temporary folder can be made");
    std::fs::create_dir_all(home.path().join("monitor")).expect("a folder can be made");
    std::fs::write(home.path().join("monitor/events.db"), "no database ".repeat(1000))
        .expect("it is written");
    let monitor = Monitor::start_in(home);
    let store = health(&monitor)["store"].to_string();
    assert!(store.contains("damaged") && store.contains("set aside"), "{store}");
    assert_eq!(monitor.post(names::EVENTS, prompt("s-1", "it goes on")).status, 204);
}

#[test]
fn without_file_descriptors_those_who_are_connected_are_served_and_later_all_again() {
    let monitor = Monitor::start();
    let pid = health(&monitor)["pid"].to_string();
    let connect = || TcpStream::connect((Ipv4Addr::LOCALHOST, monitor.port())).expect("the system accepts");
    let mut known = BufReader::new(connect());
    assert_eq!(status_of(&mut known, "GET /health", ""), 200);
    // The first page opens the connections that read the store.
    assert_eq!(monitor.get(names::EVENTS).status, 200);

    let open = std::fs::read_dir(format!("/proc/{pid}/fd")).expect("it runs").count();
    limit_descriptors(&pid, open + 4);
    let crowd: Vec<TcpStream> = (0..60).map(|_| connect()).collect();
    for number in 0..20 {
        let event = prompt("s-1", &format!("event {number}")).to_string();
        assert_eq!(status_of(&mut known, "POST /api/events", &event), 204);
        assert_eq!(status_of(&mut known, "GET /api/events", ""), 200);
    }
    drop(crowd);
    assert_eq!(health(&monitor)["last_seq"], 20, "new connections are taken again");
}

/// Sets how many files the monitor may have open.
fn limit_descriptors(pid: &str, limit: usize) {
    let set = Command::new("prlimit").args(["--pid", pid, &format!("--nofile={limit}:")]).status();
    assert!(set.is_ok_and(|status| status.success()), "prlimit of util-linux sets the limit");
}

/// What one request on a connection that is kept is answered.
fn status_of(connection: &mut BufReader<TcpStream>, line: &str, body: &str) -> u16 {
    let length = body.len();
    let request = format!("{line} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {length}\r\n\r\n{body}");
    connection.get_mut().write_all(request.as_bytes()).expect("it reads");
    let (mut status, mut rest) = (0, 0);
    loop {
        let mut line = String::new();
        assert_ne!(connection.read_line(&mut line).expect("it answers"), 0, "the connection was closed");
        match line.trim_end().to_ascii_lowercase() {
            end if end.is_empty() => break,
            first if status == 0 => {
                status = first.split(' ').nth(1).expect("a status").parse().expect("a number");
            }
            header => {
                if let Some(length) = header.strip_prefix("content-length: ") {
                    rest = length.parse().expect("a length");
                }
            }
        }
    }
    connection.read_exact(&mut vec![0; rest]).expect("the whole answer");
    status
}
