//! Claims about trouble with the store and the system: the sender is told the truth, who watches sees what happens, and the
//! server goes on and recovers by itself.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::process::{Command, Stdio};

use e2e::{Library, Monitor, Options, Socket, WebSocket, our, output, prompt, repository, wait_until};
use protocol::names;
use protocol::paths::Home;
use rusqlite::Connection;
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

/// Ends a monitor that kept one event, lets something be done to its database, and starts it again.
fn start_after(change: &str) -> Monitor {
    let monitor = Monitor::start();
    monitor.event(prompt("s-1", "a needle"));
    monitor.wait_for_events("query=needle", 1);
    let stopped = monitor.stop();
    let connection = Connection::open(Home::at(stopped.home()).database()).expect("there is a database");
    connection.execute_batch(change).unwrap_or_else(|cause| panic!("{change}: {cause}"));
    drop(connection);
    stopped.restart()
}

#[test]
fn what_of_a_database_can_be_computed_anew_is_and_nothing_is_set_aside() {
    for change in [
        "DELETE FROM meta WHERE name = 'epoch'",
        "UPDATE meta SET value = 7 WHERE name = 'epoch'",
        "DELETE FROM meta WHERE name = 'sessions'",
        "UPDATE meta SET value = 'many' WHERE name = 'sessions'",
        "UPDATE meta SET value = x'00' WHERE name = 'indexed'",
        "DROP TABLE meta",
        "DROP TABLE sessions",
        "ALTER TABLE sessions DROP COLUMN view",
        "DROP TABLE search",
        "DROP INDEX events_id; DROP INDEX sessions_last",
        // As versions before left it: sessions without a state, and the mark of a later one.
        "DROP TABLE sessions;
         CREATE TABLE sessions (
             session_id TEXT PRIMARY KEY, last_seq INTEGER NOT NULL, read_seq INTEGER NOT NULL,
             version INTEGER NOT NULL, view TEXT NOT NULL, state TEXT NOT NULL);
         CREATE INDEX sessions_last ON sessions (last_seq);
         PRAGMA user_version = 2",
        "PRAGMA user_version = 1",
        // Of somebody else, in a database that is ours.
        "CREATE TABLE notes (text); CREATE INDEX more ON events (kind)",
    ] {
        let monitor = start_after(change);
        assert_eq!(health(&monitor)["store"], "ok", "{change}");
        assert_eq!(monitor.events("").sessions(), ["s-1"], "{change}");
        let session = monitor.get("/api/sessions/s-1").json();
        assert_eq!(session["events"], 1, "{change}: {session}");
        monitor.event(prompt("s-2", "another needle"));
        assert_eq!(monitor.wait_for_events("query=needle", 2).sessions(), ["s-1", "s-2"], "{change}");
        let listed = monitor.get("/api/sessions").json();
        let listed = listed["sessions"].as_array().map_or(0, Vec::len);
        assert_eq!(listed, 2, "{change}");
        let monitor = monitor.stop().restart();
        assert_eq!(monitor.events("").sessions(), ["s-1", "s-2"], "{change}: and stays so");
    }
}

#[test]
fn a_database_that_is_no_event_store_is_set_aside_by_name_and_a_new_one_begun() {
    for (change, why) in [
        ("DROP TABLE payloads", "its table payloads is missing"),
        ("DROP TABLE events", "its table events is missing"),
        ("ALTER TABLE events DROP COLUMN summary", "its table events is missing, or another one"),
        ("DROP TABLE events; CREATE VIEW events AS SELECT 1", "its table events is missing, or another one"),
        ("PRAGMA user_version = 0", "belonged to another program"),
        ("PRAGMA user_version = -1", "no event store of this monitor"),
    ] {
        let monitor = start_after(change);
        let store = health(&monitor)["store"].as_str().expect("text").to_owned();
        assert!(store.starts_with("degraded: the database ") && store.contains(why), "{change}: {store}");
        assert!(store.contains("a new one begun"), "{change}: {store}");
        let aside = store.split("set aside as ").nth(1).and_then(|rest| rest.split(".db").next());
        let aside = format!("{}.db", aside.expect("a path"));
        let kept = Connection::open(&aside).expect("a database");
        let tables: u64 =
            kept.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).expect("it is whole");
        assert!(tables > 1, "{change}: nothing was deleted");
        monitor.event(prompt("s-2", "it goes on"));
        assert_eq!(monitor.events("").sessions(), ["s-2"], "{change}");
    }
}

#[test]
fn a_newer_database_is_left_alone_with_the_way_out() {
    let monitor = Monitor::start();
    monitor.event(prompt("s-1", "kept"));
    let port = monitor.port().to_string();
    let stopped = monitor.stop();
    let database = Home::at(stopped.home()).database();
    let connection = Connection::open(&database).expect("there is a database");
    connection.pragma_update(None, "user_version", 99).expect("it can be set");
    drop(connection);
    let start = ["start", "--foreground", "--port", &port];
    let refused = output(our(stopped.home(), "claude-mpm-monitor").args(start), b"");
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success(), "{refused:?}");
    for words in ["schema version 99", "install a newer monitor", &database.display().to_string()] {
        assert!(said.contains(words), "{words}: {said}");
    }
    let connection = Connection::open(&database).expect("it is where it was");
    let count: u64 =
        connection.query_row("SELECT count(*) FROM events", [], |row| row.get(0)).expect("whole");
    assert_eq!(count, 1, "as it was");
}

#[test]
fn a_store_is_called_well_only_when_the_next_event_can_be_stored() {
    for table in ["payloads", "events", "sessions", "meta"] {
        let monitor = Monitor::start_configured(r#"{"log_level":"INFO"}"#, &[]);
        monitor.event(prompt("s-1", "before"));
        let connection = Connection::open(Home::at(monitor.home()).database()).expect("there is a database");
        // Only what stores events fails.
        let trap = format!(
            "CREATE TRIGGER trap BEFORE INSERT ON {table} WHEN {} BEGIN SELECT raise(abort, 'in vain'); END",
            if table == "meta" { "new.name = 'probe'" } else { "true" }
        );
        connection.execute_batch(&trap).expect("a trigger can be made");
        connection
            .execute_batch("CREATE TRIGGER now BEFORE INSERT ON events BEGIN SELECT raise(abort, 'now'); END")
            .expect("a trigger can be made");
        assert_eq!(monitor.post(names::EVENTS, prompt("s-1", "refused")).status, 503, "{table}");
        connection.execute_batch("DROP TRIGGER now").expect("it is there");
        wait_until("it tried again", || {
            health(&monitor)["store"] == "ok"
                || monitor.log().contains("the event store still cannot be written")
        });
        let store = health(&monitor)["store"].to_string();
        assert!(store.contains("degraded"), "{table} cannot be written: {store}");
        connection.execute_batch("DROP TRIGGER trap").expect("it is there");
        wait_until("it is well", || health(&monitor)["store"] == "ok");
        assert_eq!(monitor.events("").events.len(), 1, "{table}: what was tried is not seen");
        monitor.event(prompt("s-2", "after"));
        assert_eq!(monitor.events("").events.last().expect("events").seq, 2, "{table}: nor counted");
    }
}
