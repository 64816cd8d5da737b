//! One monitor per port: first start, second start, foreign programs, races, and what the user reads.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::Stdio;

use crate::support::{Desk, Ran, free_port, wait_for};
use client::{Part, Query};
use protocol::SessionId;
use rustix::process::Signal;

/// What the first lines printed tell the user to send.
const FIRST_EVENT: &str = r#"{"hook_event_name":"UserPromptSubmit","session_id":"try","prompt":"hello"}"#;

/// A program that is not a monitor but answers every request with 200 and some JSON.
fn http_program() -> TcpListener {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let serving = listener.try_clone().unwrap();
    std::thread::spawn(move || {
        for stream in serving.incoming() {
            let Ok(mut stream) = stream else { continue };
            let _ = stream.read(&mut [0; 1024]);
            let body = r#"{"status":"ok"}"#;
            let _ = write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        }
    });
    listener
}

/// A program that takes every connection and says nothing.
fn mute_program() -> TcpListener {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let serving = listener.try_clone().unwrap();
    std::thread::spawn(move || {
        let mut kept = Vec::new();
        kept.extend(serving.incoming().filter_map(Result::ok));
    });
    listener
}

#[test]
fn a_daemon_is_started_found_and_stopped_by_the_bare_command() {
    let desk = Desk::new();
    let port = desk.port;
    let started = desk.run("--background");
    assert_eq!(started.code, Some(0), "{started:?}");
    let url = format!("http://localhost:{port}");
    assert_eq!(
        started.out,
        format!(
            "Monitor daemon started in background on port {port}\n\
             Open {url} in your browser to view the dashboard.\n"
        )
    );
    assert_eq!(desk.wait_for_ours(port).runfile.mode, "background");
    for line in ["", "--background"] {
        let again = desk.run(line);
        assert_eq!(again.code, Some(0), "{again:?}");
        assert!(again.out.starts_with(&format!("Monitor already running at {url}\n")), "{again:?}");
    }
    assert_eq!(desk.run("stop").code, Some(0));
    assert!(desk.is_free(port));
}

#[test]
fn the_bare_command_serves_and_a_second_one_finds_the_first() {
    let desk = Desk::new();
    let port = desk.port;
    let (first, running) = desk.serve("", port);
    assert_eq!(running.health.pid, Some(first.pid()));
    let second = desk.run("");
    assert_eq!(second.code, Some(0), "{second:?}");
    assert!(second.out.starts_with(&format!("Monitor already running at http://localhost:{port}\n")));
    running.monitor().post_event(FIRST_EVENT).unwrap();
    let page = running.monitor().history(&Query::default(), Part::Newest, 10).unwrap();
    let kinds: Vec<_> =
        page.events.iter().map(|event| (event.row.kind.as_str(), event.row.session_id.as_ref())).collect();
    assert_eq!(kinds, [("UserPromptSubmit", Some(&SessionId("try".to_owned())))]);
    let explicit = desk.run(&format!("--port {port}"));
    assert_eq!(explicit.code, Some(0), "an explicit port is the same: {explicit:?}");
    first.signal(Signal::INT);
    let Ran { code, out, err } = first.ended();
    assert_eq!(code, Some(0), "Ctrl-C ends it cleanly: {out}");
    // In a container what it does is logged as well.
    assert!(err.lines().all(|line| line.contains(" INFO ")), "nothing is wrong: {err}");
    assert!(out.starts_with(&format!(
        "Starting Claude MPM monitor on localhost:{port}\nMonitor running on port {port}\n"
    )));
    assert!(out.contains(&format!(
        "\nSend a first event: curl http://localhost:{port}/api/events -d '{FIRST_EVENT}'\n"
    )));
    assert!(desk.is_free(port));
}

#[test]
fn a_request_to_end_leaves_no_runfile_and_a_free_port() {
    let desk = Desk::new();
    let (server, _) = desk.serve("start --foreground", desk.port);
    assert!(desk.home.runfile(desk.port).exists());
    server.signal(Signal::TERM);
    let ran = server.ended();
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.out.contains("✓ Server started successfully\n"), "{}", ran.out);
    assert!(ran.out.contains("  - Mode: foreground\n"), "{}", ran.out);
    assert!(!desk.home.runfile(desk.port).exists());
    assert!(desk.is_free(desk.port));
}

#[test]
fn a_foreign_program_is_named_and_left_alone() {
    let silent = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let exe = std::env::current_exe().unwrap();
    let program = exe.file_name().unwrap().to_str().unwrap();
    let other_loopback = TcpListener::bind(("::1", 0)).expect("this test needs the IPv6 loopback");
    for listener in [silent, mute_program(), http_program(), other_loopback] {
        let address = listener.local_addr().unwrap();
        let port = address.port();
        let desk = Desk::at(port);
        let in_use = format!("ort {port} is already in use by {program} (pid {})", std::process::id());
        let cases = [
            ("", format!("Default p{in_use}.\nStop that program or choose another port with --port.\n")),
            (&format!("--port {port}"), format!("P{in_use}.\nChoose a different port.\n")),
            ("start", format!("Error: P{in_use}\nSuggestion: use --port to choose another port\n")),
            (
                "start --foreground",
                format!("Error: P{in_use}\nSuggestion: use --port to choose another port\n"),
            ),
        ];
        for (line, expected) in cases {
            let ran = desk.run(line);
            assert_eq!((ran.code, ran.err), (Some(1), expected), "{line:?}");
            assert_eq!(ran.out, "", "nothing is being started");
        }
        let stop = desk.run(&format!("stop --port {port} --force"));
        assert_eq!(stop.code, Some(3), "{stop:?}");
        assert!(stop.err.contains("--force never applies to another program"), "{stop:?}");
        assert!(std::net::TcpStream::connect(address).is_ok(), "it still listens");
        assert!(!desk.home.runfile(port).exists());
    }
}

#[test]
fn another_user_s_monitor_is_foreign() {
    let (mine, theirs) = (Desk::new(), Desk::new());
    let (_server, _) = theirs.serve("", theirs.port);
    let start = mine.run(&format!("start --port {}", theirs.port));
    assert_eq!(start.code, Some(1), "{start:?}");
    assert!(start.err.contains("is already in use by claude-mpm-monitor (pid"), "{start:?}");
    let stop = mine.run(&format!("stop --port {}", theirs.port));
    assert_eq!(stop.code, Some(3), "{stop:?}");
    assert!(!theirs.is_free(theirs.port), "it was left alone");
}

#[test]
fn of_fifty_simultaneous_starts_one_serves_and_all_succeed() {
    for verb in ["start", "start --foreground"] {
        let desk = Desk::new();
        let spawn = |_| desk.command(verb).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let children: Vec<_> = (0..50).map(spawn).collect();
        let serving = desk.wait_for_ours(desk.port).runfile.pid;
        let (winner, losers): (Vec<_>, Vec<_>) = children.into_iter().partition(|c| c.id() == serving);
        for loser in losers {
            let ran = Ran::from(loser.wait_with_output().unwrap());
            assert_eq!(ran.code, Some(0), "{verb}: {ran:?}");
            assert!(ran.out.contains(&serving.to_string()), "it names the one that serves: {ran:?}");
        }
        assert_eq!(client::runfiles::list(&desk.home).unwrap().len(), 1);
        assert_eq!(desk.wait_for_ours(desk.port).runfile.pid, serving, "nobody took its place");
        assert_eq!(desk.run("stop").code, Some(0));
        for child in winner {
            assert!(child.wait_with_output().unwrap().status.success());
        }
    }
}

#[test]
fn the_configured_port_is_used_and_never_another() {
    let desk = Desk::new();
    std::fs::create_dir_all(desk.home.folder()).unwrap();
    let other = free_port();
    std::fs::write(desk.home.config(), format!(r#"{{"port": {other}, "prot": 1}}"#)).unwrap();
    let start = desk.command("start").env_remove("CLAUDE_MPM_SOCKETIO_PORT").output().map(Ran::from).unwrap();
    assert_eq!(start.code, Some(0), "{start:?}");
    assert!(start.out.contains(&format!("  - Server URL: http://localhost:{other}\n")), "{start:?}");
    assert!(start.err.contains(r#"unknown key "prot"; did you mean "port"?"#), "{start:?}");
    let stop = desk.run("stop");
    assert_eq!(stop.code, Some(0), "{stop:?}");
}

#[test]
fn the_file_in_the_working_directory_configures_nothing() {
    let desk = Desk::new();
    std::fs::write(desk.path("socketio_config.json"), r#"{"port": 1, "host": "0.0.0.0"}"#).unwrap();
    let start = desk.run("start");
    assert_eq!(start.code, Some(0), "{start:?}");
    assert!(start.out.contains(&format!("http://localhost:{}", desk.port)), "{start:?}");
    assert_eq!(desk.run("stop").code, Some(0));
}

#[test]
fn simultaneous_starts_with_auto_take_different_ports() {
    let desk = Desk::new();
    let spawn =
        |_| desk.command("start --port auto").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let children: Vec<_> = (0..3).map(spawn).collect();
    let ran: Vec<_> =
        children.into_iter().map(|child| Ran::from(child.wait_with_output().unwrap())).collect();
    let started = ran.iter().filter(|ran| ran.code == Some(0)).count();
    let none_left = ran.iter().filter(|ran| ran.err.contains("no port from 8765 to 8785 is free")).count();
    assert_eq!(started + none_left, 3, "{ran:?}");
    assert_eq!(client::runfiles::list(&desk.home).unwrap().len(), started, "one server for each: {ran:?}");
    assert_eq!(desk.run("stop").code, Some(0));
}

#[test]
fn auto_takes_a_free_port_of_the_range_and_prints_it() {
    let desk = Desk::new();
    let start = desk.run("start --port auto");
    if start.err.contains("no port from 8765 to 8785 is free") {
        return; // A machine whose whole range is in use has said so.
    }
    assert_eq!(start.code, Some(0), "{start:?}");
    let port = client::runfiles::list(&desk.home).unwrap()[0].port;
    assert!((8765..=8785).contains(&port));
    assert!(start.out.contains(&format!("  - Server URL: http://localhost:{port}\n")), "{start:?}");
    assert_eq!(desk.run(&format!("stop --port {port}")).code, Some(0));
}

#[test]
fn the_browser_is_opened_when_there_is_a_display_and_nobody_forbids_it() {
    use std::os::unix::fs::PermissionsExt;
    let desk = Desk::new();
    let (bin, opened) = (desk.path("bin"), desk.path("opened"));
    std::fs::create_dir(&bin).unwrap();
    std::fs::write(bin.join("xdg-open"), format!("#!/bin/sh\necho \"$1\" >> {}\n", opened.display()))
        .unwrap();
    std::fs::set_permissions(bin.join("xdg-open"), std::fs::Permissions::from_mode(0o755)).unwrap();
    let (_server, _) = desk.serve("--no-browser", desk.port);
    let with_display = |line: &str| {
        let path = format!("{}:/usr/bin:/bin", bin.display());
        Ran::from(desk.command(line).env("DISPLAY", ":99").env("PATH", path).output().unwrap())
    };
    let quiet = with_display("--no-browser");
    assert!(!quiet.out.contains("Opening browser"), "{quiet:?}");
    assert!(!opened.exists());
    let url = format!("http://localhost:{}", desk.port);
    let ran = with_display("");
    assert!(ran.out.ends_with(&format!("Opening browser to existing instance: {url}\n")), "{ran:?}");
    let page = wait_for(|| std::fs::read_to_string(&opened).ok().filter(|text| text.ends_with('\n')));
    assert_eq!(page.as_deref(), Some(format!("{url}\n").as_str()), "once, and after the first was forbidden");
}
