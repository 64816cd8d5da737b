//! Claims about following one event, by the id that its hook gave it, from the hook to every client.

use std::fs;
use std::time::Instant;

use e2e::{Library, Monitor, Options, PATIENCE, Socket, WebSocket, hook, prompt, spooled};
use protocol::names;
use protocol::paths::Home;
use protocol::spool::parse_file_name;
use serde_json::{Value, json};
use tempfile::TempDir;

/// A home whose monitor says everything in its log, as JSON.
fn talkative() -> TempDir {
    let home = TempDir::new().expect("a temporary folder can be made");
    let configuration = json!({"log_level": "DEBUG", "log_format": "json"});
    fs::write(Home::at(home.path()).config(), configuration.to_string()).expect("it is ours");
    home
}

/// What the log says of single events, once it says this of the event with that id.
#[track_caller]
fn said(monitor: &Monitor, id: &str, message: &str) -> Vec<Value> {
    let start = Instant::now();
    loop {
        let log = monitor.log();
        let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let lines: Vec<Value> = lines.filter(|line| line["target"] == "event" && line["id"] == id).collect();
        if lines.iter().any(|line| line["message"] == message) {
            return lines;
        }
        assert!(start.elapsed() < PATIENCE, "{id} was not {message}: {lines:?}");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

#[test]
fn one_event_is_found_by_its_id_from_the_hook_to_every_client() {
    let home = talkative();
    // The hook leaves the event on disk first, under its id: so the test learns it.
    hook(home.path(), &[], &prompt("s-1", "follow me"));
    let files = spooled(home.path());
    let name = files[0].file_name().and_then(|name| name.to_str()).expect("a name");
    let (_, id) = parse_file_name(name).expect("it names its event");
    let id = id.0.to_string();

    let monitor = Monitor::start_in(home);
    monitor.wait_for_spool();
    let lines = said(&monitor, &id, "stored");
    let messages: Vec<&str> = lines.iter().filter_map(|line| line["message"].as_str()).collect();
    assert_eq!(messages, ["received", "stored"]);
    assert_eq!(lines[0]["kind"], "UserPromptSubmit");
    let seq = lines[1]["seq"].as_u64().expect("its position");
    assert!(lines.iter().all(|line| line["level"] == "DEBUG" && !line.to_string().contains("follow me")));

    let page = monitor.get(&format!("/api/events?query=id:{id}")).json();
    assert_eq!(page["events"].as_array().map(Vec::len), Some(1), "{page}");
    assert_eq!((&page["events"][0]["id"], &page["events"][0]["seq"]), (&json!(id), &json!(seq)));
    let ran = monitor.cli(&["tail", "--no-follow", "--json", "--id", &id]);
    let line: Value = serde_json::from_slice(&ran.stdout).unwrap_or_else(|cause| panic!("{cause}: {ran:?}"));
    assert_eq!((&line["id"], &line["seq"]), (&json!(id), &json!(seq)));

    let options = Options { namespace: names::STREAM, ..Options::default() };
    let snapshot = Socket::connect_with(&monitor, Library::Node, &options).ask("subscribe", &json!({}));
    assert_eq!(snapshot["snapshot"][0]["id"], id);
    let history = Socket::connect(&monitor, Library::Node).event("history");
    assert_eq!(history["events"][0]["id"], id);
    let question = json!({"command": "get_history", "params": {"event_types": ["hook.*"], "limit": 1}});
    let history = WebSocket::connect(&monitor).ask(&question, "history");
    assert_eq!(history["events"][0]["id"], id, "{history}");
}

#[test]
fn a_live_event_carries_its_id_to_every_client() {
    let monitor = Monitor::start();
    let options = Options { namespace: names::STREAM, ..Options::default() };
    let mut stream = Socket::connect_with(&monitor, Library::Node, &options);
    stream.ask("subscribe", &json!({}));
    let (mut socket, mut websocket) =
        (Socket::connect(&monitor, Library::Node), WebSocket::connect(&monitor));
    websocket.ask(&json!({"command": "subscribe", "channels": ["hook.*"]}), "subscribed");
    monitor.hook(&prompt("s-1", "follow me"));
    let stored = monitor.get("/api/events").json();
    let id = &stored["events"][0]["id"];
    assert!(id.is_string(), "{stored}");
    assert_eq!(&stream.event("events")["rows"][0]["id"], id);
    assert_eq!(&socket.event("claude_event")["id"], id);
    assert_eq!(&websocket.message("hook.user_prompt")["id"], id);
}

#[test]
fn a_refused_event_is_named_in_the_log() {
    let monitor = Monitor::start_in(talkative());
    let id = "0198f9a0-0000-7000-8000-00000000000b";
    monitor.post("/api/events", json!({"id": id, "payload": 7}).to_string()).assert_refused("no event");
    let lines = said(&monitor, id, "refused");
    assert!(lines[0]["code"].is_string(), "{lines:?}");
    assert_eq!(lines.len(), 1, "it was never received");
}
