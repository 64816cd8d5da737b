//! `--json`: one document on standard output, the facts that people get as lines, and nothing else.

use serde_json::{Value, json};

use crate::support::{Desk, Ran, free_port};

/// The only thing on standard output.
#[track_caller]
fn document(ran: &Ran, code: i32) -> Value {
    assert_eq!(ran.code, Some(code), "{ran:?}");
    serde_json::from_str(&ran.out).unwrap_or_else(|error| panic!("{error}: {ran:?}"))
}

#[test]
fn verbs_that_make_a_monitor_run_answer_as_status_does_and_say_what_they_did() {
    let desk = Desk::new();
    let (port, next) = (desk.port, free_port());
    let cases = [
        ("start --json".to_owned(), "started", port),
        ("start --json".to_owned(), "already_running", port),
        ("restart --json".to_owned(), "restarted", port),
        (format!("port {port} --json"), "restarted", port),
        (format!("restart --port {next} --json"), "restarted", next),
    ];
    for (line, outcome, port) in cases {
        let ran = desk.run(&line);
        let mut server = document(&ran, 0);
        assert_eq!(ran.err, "", "{line}");
        let server = server.as_object_mut().unwrap();
        assert_eq!(server.remove("outcome"), Some(outcome.into()), "{line}");
        assert_eq!(server.remove("login_url"), Some(Value::Null), "no login is needed: {line}");
        assert_eq!(server["port"], port, "{line}");
        assert_eq!(server["url"], format!("http://localhost:{port}"));
        let mut status = document(&desk.run("status --json"), 0)[0].take();
        // The only value that changes while nothing happens.
        for object in [&mut *server, status.as_object_mut().unwrap()] {
            assert!(object.remove("uptime_s").is_some_and(|uptime| uptime.is_u64()));
        }
        assert_eq!(status.as_object().unwrap(), server, "{line}");
    }
    assert_eq!(desk.run("stop").code, Some(0));
    let started = document(&desk.run(&format!("port {port} --json")), 0);
    assert_eq!((&started["outcome"], &started["mode"]), (&"started".into(), &"background".into()));
    assert_eq!(desk.run("stop").code, Some(0));
}

#[test]
fn a_start_that_asks_for_the_token_answers_with_a_login_link() {
    let desk = Desk::new();
    desk.configure(r#"{ "require_token": true }"#);
    let started = document(&desk.run("start --json"), 0);
    let url = started["login_url"].as_str().unwrap();
    assert!(url.starts_with(&format!("http://localhost:{}/login", desk.port)), "{started}");
    let token = document(&desk.run("token show --json"), 0)["token"].as_str().unwrap().to_owned();
    assert_eq!(desk.run("token show").out, format!("{token}\n"));
    let link = document(&desk.run("token link --json"), 0);
    assert_eq!(link[0]["port"], desk.port);
    assert!(link[0]["login_url"].as_str().unwrap().contains("/login"), "{link}");
    let rotated = document(&desk.run("token rotate --json"), 0);
    assert_ne!(rotated["token"], token.as_str(), "{rotated}");
    assert_eq!(desk.run("token show").out, format!("{}\n", rotated["token"].as_str().unwrap()));
    assert_eq!(desk.run("stop").code, Some(0));
    assert_eq!(desk.run("token link --json").code, Some(3));
}

#[test]
fn other_machines_are_spoken_of_only_where_they_can_come() {
    let desk = Desk::new();
    desk.configure(r#"{ "require_token": true }"#);
    for (host, is_open) in [("localhost", false), ("127.0.0.1", false), ("0.0.0.0", true)] {
        let started = desk.run(&format!("start --host {host}"));
        assert_eq!(started.code, Some(0), "{started:?}");
        assert!(started.out.contains("Everybody needs the token of this monitor."), "{started:?}");
        assert_eq!(started.out.contains("From another machine"), is_open, "{started:?}");
        assert_eq!(started.err.contains("not encrypted"), is_open, "{started:?}");
        let link = desk.run("token link");
        assert_eq!(link.out.lines().count(), 1, "nothing but the link, for scripts: {link:?}");
        assert_eq!(link.err.contains("From another machine"), is_open, "{link:?}");
        assert_eq!(desk.run("stop").code, Some(0));
    }
}

#[test]
fn stop_answers_with_what_became_of_each() {
    let desk = Desk::new();
    let other = free_port();
    assert_eq!(document(&desk.run("stop --json"), 0), json!([]));
    let none = desk.run(&format!("stop --port {other} --json"));
    assert_eq!(document(&none, 3), json!([]));
    assert!(none.err.starts_with("Error: "), "people are told all the same: {none:?}");
    let mut expected = Vec::new();
    for port in [desk.port, other] {
        let started = document(&desk.run(&format!("start --port {port} --json")), 0);
        expected.push(json!({ "port": port, "stopped": true, "pid": started["pid"], "clients": 0 }));
    }
    expected.sort_by_key(|stopped| stopped["port"].as_u64());
    assert_eq!(document(&desk.run("stop --json"), 0), Value::from(expected));
}

#[test]
fn a_start_that_fails_has_no_document_and_says_why_on_standard_error() {
    let desk = Desk::new();
    let taken = std::net::TcpListener::bind(("127.0.0.1", desk.port)).unwrap();
    let ran = desk.run("start --json");
    assert_eq!((ran.code, ran.out.as_str()), (Some(1), ""), "{ran:?}");
    assert!(ran.err.starts_with(&format!("Error: Port {} is already in use by ", desk.port)), "{ran:?}");
    let found = document(&desk.run(&format!("find-port {} --json", desk.port)), 1);
    assert_eq!(found, json!({ "port": desk.port, "available": false }));
    drop(taken);
    let found = document(&desk.run(&format!("find-port {} --json", desk.port)), 0);
    assert_eq!(found, json!({ "port": desk.port, "available": true }));
}

#[test]
fn version_and_service_answer() {
    let desk = Desk::new();
    let version = document(&desk.run("version --json"), 0);
    let text = format!("{} {}\n", version["name"].as_str().unwrap(), version["version"].as_str().unwrap());
    assert_eq!((desk.run("version").out, desk.run("--version").out), (text.clone(), text));
    let service = document(&desk.run("service status --json"), 3);
    assert_eq!(service, json!({ "installed": false, "mode": "user", "files": [], "system": null }));
}

#[test]
fn an_import_answers_with_what_became_of_the_lines() {
    let desk = Desk::new();
    let (_server, _) = desk.serve("", desk.port);
    let file = desk.path("events.jsonl");
    std::fs::write(&file, "{\"hook_event_name\":\"Stop\",\"session_id\":\"s\"}\n[1]\n").unwrap();
    let line = format!("import {} --json", file.display());
    let tally = document(&desk.run(&line), 1);
    assert_eq!(tally, json!({ "stored": 1, "duplicates": 0, "refused": 1 }));
    assert_eq!(document(&desk.run(&line), 1)["duplicates"], 1, "each event once");
}
