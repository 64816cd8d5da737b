//! `diagnose`: the cases of who serves, what lies around, where hooks send, and what to do.

use std::fs;

use serde_json::{Value, json};

use crate::programs::{other_program, python_daemon, python_monitor};
use crate::support::{Desk, Ran, free_port};

/// What it says as JSON.
fn diagnosed(desk: &Desk) -> Value {
    let ran = desk.run("diagnose --json");
    assert_eq!(ran.code, Some(0), "{ran:?}");
    serde_json::from_str(&ran.out).unwrap()
}

/// Whether some problem's text and remedy contain these.
fn has_problem(diagnosis: &Value, text: &str, remedy: &str) -> bool {
    let contains = |value: &Value, part: &str| value.as_str().is_some_and(|value| value.contains(part));
    diagnosis["findings"].as_array().unwrap().iter().any(|finding| {
        finding["problem"] == true && contains(&finding["text"], text) && contains(&finding["remedy"], remedy)
    })
}

#[test]
fn each_case_of_who_serves_is_told() {
    let desk = Desk::new();
    let port = desk.port;
    let none = diagnosed(&desk);
    assert_eq!((&none["case"], &none["port_status"]), (&"none".into(), &"AVAILABLE".into()));
    assert!(has_problem(&none, "No server found", &format!("'claude-mpm-monitor start --port {port}'")));
    let other = other_program(port);
    let foreign = diagnosed(&desk);
    assert_eq!((&foreign["case"], &foreign["port_status"]), (&"foreign".into(), &"IN USE".into()));
    assert!(foreign["owner"].as_str().unwrap().ends_with(&format!("(pid {})", other.pid())), "{foreign}");
    drop(other);
    let monitor = python_monitor(&desk.path(""), port, &[]);
    let http = diagnosed(&desk);
    assert_eq!(http["case"], "http");
    assert!(
        has_problem(&http, "claude-mpm's Python monitor 5.9.10", &format!("stop --port {port}")),
        "{http}"
    );
    drop(monitor);
    let pid_file = desk.home.folder().join("socketio-server.pid");
    fs::create_dir_all(desk.home.folder()).unwrap();
    let daemon = python_daemon(&desk.path(""), port, &["--pid-file", pid_file.to_str().unwrap()]);
    assert_eq!(diagnosed(&desk)["case"], "daemon");
    drop(daemon);
    let (_server, _) = desk.serve("", port);
    assert_eq!(diagnosed(&desk)["case"], "native");
    let elsewhere = free_port();
    let _daemon = python_daemon(&desk.path(""), elsewhere, &["--pid-file", pid_file.to_str().unwrap()]);
    let conflict = diagnosed(&desk);
    assert_eq!(conflict["case"], "conflict");
    assert!(has_problem(&conflict, "CONFLICT: ", "keep one of them"), "{conflict}");
    assert_eq!(desk.run("stop").code, Some(0));
}

#[test]
fn the_page_names_what_was_found_and_what_to_do() {
    let desk = Desk::new();
    let port = desk.port;
    let page = desk.run("diagnose");
    assert_eq!(page.code, Some(0), "{page:?}");
    let start = format!(
        "Diagnosing the monitor on port {port}\n{}\n\nServer Analysis:\n  ✗ No server found on this port\n\n\
         Port Status: AVAILABLE\n\nFiles:\n  ✓ No stale files\n\n\
         Environment:\n  ✓ No variable sends hooks elsewhere\n\nHooks of Claude Code:\n",
        "=".repeat(60)
    );
    assert!(page.out.starts_with(&start), "{page:?}");
    let (_, to_do) = page.out.split_once("\nWhat to do:\n").unwrap();
    let to_do: Vec<&str> = to_do.lines().collect();
    assert_eq!(
        to_do.first(),
        Some(&&*format!("  1. start one with 'claude-mpm-monitor start --port {port}'"))
    );
    let last = to_do.last().unwrap();
    assert!(last.ends_with(". connect Claude Code with 'claude-mpm-monitor hooks install'"), "{page:?}");
    let other = desk.run(&format!("diagnose --port {}", free_port()));
    assert!(!other.out.contains(&format!("on port {port}\n")), "{other:?}");
}

#[test]
fn leftover_files_are_named() {
    let desk = Desk::new();
    let (server, _) = desk.serve("", desk.port);
    server.signal(rustix::process::Signal::KILL);
    server.ended();
    let pid_file = desk.home.folder().join("socketio-server.pid");
    fs::write(&pid_file, std::process::id().to_string()).unwrap();
    let found = diagnosed(&desk);
    let runfile = desk.home.runfile(desk.port);
    assert!(
        has_problem(&found, &format!("Stale runfile {}", runfile.display()), "clears it away"),
        "{found}"
    );
    assert!(has_problem(&found, &format!("Stale PID file {}", pid_file.display()), "remove "), "{found}");
}

#[test]
fn hooks_that_send_elsewhere_are_named_and_those_that_send_here_are_well() {
    let desk = Desk::new();
    let port = desk.port;
    fs::create_dir(desk.path(".claude")).unwrap();
    let settings = desk.path(".claude/settings.json");
    let hook = |command: String| json!([{"hooks": [{"type": "command", "command": command}]}]);
    let write = |value: Value| fs::write(&settings, value.to_string()).unwrap();
    write(json!({
        "disableAllHooks": true,
        "env": {"CLAUDE_MPM_SOCKETIO_PORT": "4001"},
        "hooks": {
            "Stop": hook("claude-hook".to_owned()),
            "PreToolUse": hook("curl http://localhost:4000/events".to_owned()),
        },
    }));
    let found = diagnosed(&desk);
    for (text, remedy) in [
        ("\"disableAllHooks\" is true in ", "Remove that setting."),
        ("sets CLAUDE_MPM_SOCKETIO_PORT=4001", "remove CLAUDE_MPM_SOCKETIO_PORT"),
        ("claude-mpm's hook claude-hook sends to port 8765 (Stop)", "CLAUDE_MPM_SOCKETIO_PORT="),
        ("curl http://localhost:4000/events sends to port 4000 (PreToolUse)", "change "),
        ("No hook sends Claude Code's events to this monitor", "connect Claude Code with "),
    ] {
        assert!(has_problem(&found, text, remedy), "{text} in {found}");
    }
    write(json!({"hooks": {"Stop": hook("/opt/claude-mpm-hook".to_owned())}}));
    let page = desk.run("diagnose");
    assert!(page.out.contains("/opt/claude-mpm-hook sends here (Stop)\n"), "{page:?}");
    assert!(!page.out.contains("No hook sends"), "{page:?}");
    fs::write(&settings, "{ half").unwrap();
    assert!(has_problem(&diagnosed(&desk), "settings.json is no valid JSON: ", "correct it"));
    let mut elsewhere = desk.command(&format!("diagnose --port {port}"));
    let elsewhere =
        Ran::from(elsewhere.env("CLAUDE_MPM_MONITOR_URL", "http://box.lan:8765").output().unwrap());
    assert!(
        elsewhere.out.contains("✗ CLAUDE_MPM_MONITOR_URL=http://box.lan:8765: hooks started from"),
        "{elsewhere:?}"
    );
}

#[test]
fn a_table_of_prices_that_cannot_be_read_is_named() {
    let desk = Desk::new();
    fs::create_dir_all(desk.home.folder()).unwrap();
    let shipped = fs::read_to_string("../server/src/intake/witness/transcripts/prices.json").unwrap();
    fs::write(desk.home.prices(), &shipped).unwrap();
    let reason = "could not read the prices in ";
    assert!(!has_problem(&diagnosed(&desk), reason, ""));
    for (broken, place) in
        [("{\n", "line 2"), (&*shipped.replace("\"2026-10-07\"", "\"soon\""), "\"soon\" is no day")]
    {
        fs::write(desk.home.prices(), broken).unwrap();
        let diagnosis = diagnosed(&desk);
        assert!(has_problem(&diagnosis, reason, "correct the file"), "{diagnosis}");
        assert!(has_problem(&diagnosis, place, ""), "{diagnosis}");
    }
}
