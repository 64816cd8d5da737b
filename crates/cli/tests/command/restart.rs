//! `restart` and `port`: the monitor anew, with what it was started with, and its clients told.

use std::net::{TcpListener, TcpStream};

use tungstenite::{Message, WebSocket};

use crate::support::{Desk, free_port};

const EVENT: &str = r#"{"hook_event_name":"UserPromptSubmit","session_id":"kept","prompt":"hello"}"#;

/// A viewer, once it is greeted and so counted.
fn viewer(port: u16) -> WebSocket<TcpStream> {
    let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let (mut viewer, _) = tungstenite::client(format!("ws://localhost:{port}/ws"), stream).unwrap();
    assert!(viewer.read().unwrap().is_text(), "system.status");
    viewer
}

/// Reads up to a message of that type.
fn told(viewer: &mut WebSocket<TcpStream>, kind: &str) -> serde_json::Value {
    loop {
        let Message::Text(text) = viewer.read().expect("told before it is cut off") else { continue };
        let message: serde_json::Value = serde_json::from_str(&text).unwrap();
        if message["type"] == kind {
            return message;
        }
    }
}

#[test]
fn stopping_tells_every_client_and_counts_them_truly() {
    let desk = Desk::new();
    assert_eq!(desk.run("start").code, Some(0));
    let mut viewers: Vec<_> = (0..3).map(|_| viewer(desk.port)).collect();
    let status = desk.run("status");
    assert!(status.out.contains("  - Connected Clients: 3\n"), "{status:?}");
    let stop = desk.run("stop");
    assert!(stop.out.contains("  - Disconnected 3 clients gracefully\n"), "{stop:?}");
    for viewer in &mut viewers {
        assert_eq!(told(viewer, "system.shutdown")["data"]["reason"], "shutdown");
    }
}

#[test]
fn a_restart_keeps_port_host_project_dashboard_mode_and_history() {
    let desk = Desk::new();
    let (port, apart) = (desk.port, free_port());
    let project = desk.path("shop");
    std::fs::create_dir(&project).unwrap();
    let start = format!("start --host 127.0.0.1 --dashboard-port {apart} --project shop");
    assert_eq!(desk.run(&start).code, Some(0));
    let before = desk.wait_for_ours(port);
    before.monitor().post_event(EVENT).unwrap();
    let mut viewer = viewer(port);
    let restart = desk.run("restart");
    assert_eq!(restart.code, Some(0), "{restart:?}");
    let after = desk.wait_for_ours(port);
    assert_eq!(
        restart.out,
        format!(
            "Restarting monitoring server...\n\n\
             ✓ Server on port {port} stopped successfully\n  \
               - Disconnected 1 client gracefully\n  \
               - Process {} terminated\n\n\
             ✓ Server started successfully\n  \
               - Server URL: http://127.0.0.1:{port}\n  \
               - Dashboard URL: http://127.0.0.1:{apart}\n  \
               - Process ID: {}\n  \
               - Mode: background\n\n\
             Monitoring server is ready for connections.\n\
             Open http://127.0.0.1:{apart} in your browser to view the dashboard.\n",
            before.runfile.pid, after.runfile.pid
        )
    );
    let notice = told(&mut viewer, "system.restart");
    assert_eq!(notice["data"]["url"], format!("http://127.0.0.1:{port}"), "it is told where to come back");
    assert_ne!(after.runfile.pid, before.runfile.pid, "a new process, for a new version and new settings");
    let kept =
        |runfile: &protocol::Runfile| (runfile.host.clone(), runfile.project.clone(), runfile.mode.clone());
    assert_eq!(kept(&after.runfile), kept(&before.runfile));
    assert_eq!(after.health.dashboard_port, Some(apart));
    assert_eq!(after.health.last_seq, protocol::Seq(1), "the history stayed");
    assert_eq!(desk.run("stop").code, Some(0));
}

#[test]
fn a_restart_moves_the_monitor_to_another_port_host_and_dashboard() {
    let desk = Desk::new();
    let (next, apart) = (free_port(), free_port());
    assert_eq!(desk.run("start").code, Some(0));
    let mut viewer = viewer(desk.port);
    let restart = desk.run(&format!("restart --port {next} --host 127.0.0.1 --dashboard-port {apart}"));
    assert_eq!(restart.code, Some(0), "{restart:?}");
    assert!(desk.is_free(desk.port));
    let after = desk.wait_for_ours(next);
    assert_eq!((after.runfile.host.as_str(), after.health.dashboard_port), ("127.0.0.1", Some(apart)));
    assert_eq!(told(&mut viewer, "system.restart")["data"]["url"], format!("http://localhost:{next}"));
    let taken = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let taken_port = taken.local_addr().unwrap().port();
    let refused = desk.run(&format!("restart --port {taken_port}"));
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.err.contains(&format!("Port {taken_port} is already in use by ")), "{refused:?}");
    assert!(refused.err.ends_with(&format!("The monitor on port {next} serves on.\n")), "{refused:?}");
    assert_eq!(desk.wait_for_ours(next).runfile.pid, after.runfile.pid);
    assert_eq!(desk.run("stop").code, Some(0));
}

#[test]
fn a_restart_starts_what_does_not_run_and_asks_which_of_several() {
    let desk = Desk::new();
    let started = desk.run("restart");
    assert_eq!(started.code, Some(0), "{started:?}");
    assert!(started.out.starts_with("Starting Socket.IO monitoring server...\n"), "{started:?}");
    let other = free_port();
    assert_eq!(desk.run(&format!("start --port {other}")).code, Some(0));
    let which = desk.run("restart");
    let mut ports = [desk.port, other];
    ports.sort_unstable();
    assert_eq!(
        (which.code, which.err),
        (
            Some(2),
            format!("Error: 2 monitors run\nSuggestion: name one with --port: {}, {}\n", ports[0], ports[1])
        )
    );
    let before = desk.wait_for_ours(other).runfile.pid;
    assert_eq!(desk.run(&format!("restart --port {other}")).code, Some(0));
    assert_ne!(desk.wait_for_ours(other).runfile.pid, before);
    let list = desk.run("list");
    assert_eq!(list.out.lines().count(), 3, "a heading and one line each: {list:?}");
    assert!(list.out.starts_with("PORT  PID"), "{list:?}");
    let json: serde_json::Value = serde_json::from_str(&desk.run("list --json").out).unwrap();
    let listed: Vec<_> = json.as_array().unwrap().iter().map(|server| server["port"].clone()).collect();
    assert_eq!(listed, ports);
    assert_eq!(desk.run("stop").code, Some(0));
    let none = desk.run("list");
    assert_eq!((none.code, none.out.as_str()), (Some(0), "Monitor is not running\n"));
}

#[test]
fn a_server_in_a_terminal_restarts_inside_its_process() {
    let desk = Desk::new();
    let next = free_port();
    let (server, before) = desk.serve("", desk.port);
    let here = desk.run("restart");
    assert_eq!(here.code, Some(0), "{here:?}");
    let after = desk.wait_for_ours(desk.port);
    assert_eq!(after.runfile.pid, server.pid());
    assert_ne!(after.runfile.server_id, before.runfile.server_id, "it has started again");
    let moved = desk.run(&format!("restart --port {next}"));
    assert_eq!(moved.code, Some(0), "{moved:?}");
    assert_eq!(desk.wait_for_ours(next).runfile.pid, server.pid());
    let refused = desk.run("restart --host 127.0.0.1");
    assert_eq!(refused.code, Some(1), "{refused:?}");
    let error = format!("Error: a foreground server (pid {}) can change its port only\n", server.pid());
    assert!(refused.err.starts_with(&error), "{refused:?}");
    assert_eq!(desk.run("stop").code, Some(0));
    assert_eq!(server.ended().code, Some(0));
}

#[test]
fn port_starts_or_restarts_the_monitor_exactly_there() {
    let desk = Desk::new();
    let port = free_port();
    let started = desk.run(&format!("port {port}"));
    assert_eq!(started.code, Some(0), "{started:?}");
    let before = desk.wait_for_ours(port).runfile;
    assert_eq!((before.host.as_str(), before.mode.as_str()), ("localhost", "background"));
    let restarted = desk.run(&format!("port {port} --host 127.0.0.1"));
    assert_eq!(restarted.code, Some(0), "{restarted:?}");
    assert!(restarted.out.starts_with("Restarting monitoring server...\n"), "{restarted:?}");
    let after = desk.wait_for_ours(port).runfile;
    assert_ne!(after.pid, before.pid);
    assert_eq!(after.host, "127.0.0.1");
    assert_eq!(desk.run("stop").code, Some(0));
}

#[test]
fn health_says_whether_each_monitor_is_well() {
    let desk = Desk::new();
    let port = desk.port;
    let none = desk.run("health");
    assert_eq!((none.code, none.out.as_str()), (Some(3), ""));
    assert!(none.err.contains("Error: Monitor is not running\n"), "{none:?}");
    let none = desk.run(&format!("health --port {port}"));
    assert_eq!(none.code, Some(3));
    assert!(none.err.starts_with(&format!("Error: Server on port {port} is not running\n")), "{none:?}");
    let (server, running) = desk.serve("", port);
    let well = desk.run("health");
    assert_eq!(well.code, Some(0), "{well:?}");
    let said = format!(
        "✓ Server on port {port} is healthy (pid {}, version {}",
        server.pid(),
        running.health.version
    );
    assert!(well.out.starts_with(&said), "{well:?}");
    assert_eq!(desk.run(&format!("health --port {}", free_port())).code, Some(3), "another port is not it");
    let json: serde_json::Value = serde_json::from_str(&desk.run("health --json").out).unwrap();
    assert_eq!((&json[0]["healthy"], &json[0]["health"]["pid"]), (&true.into(), &server.pid().into()));
    let said = format!("✓ WebSocket API at ws://localhost:{port}/ws takes clients (");
    for line in [
        "health --websocket".to_owned(),
        format!("health --websocket {port}"),
        format!("health --websocket --port {port}"),
        format!("health --port {port} --websocket {port}"),
    ] {
        let well = desk.run(&line);
        assert_eq!(well.code, Some(0), "{well:?}");
        assert!(well.out.lines().nth(1).is_some_and(|line| line.starts_with(&said)), "{well:?}");
    }
    let json: serde_json::Value = serde_json::from_str(&desk.run("health --websocket --json").out).unwrap();
    assert_eq!(json[0]["websocket"]["claude_status"], "stopped", "no session runs: {json}");
    let elsewhere = desk.run(&format!("health --websocket {}", free_port()));
    assert_eq!(elsewhere.code, Some(3), "{elsewhere:?}");
    let both = desk.run(&format!("health --port {port} --websocket {}", free_port()));
    assert_eq!((both.code, both.out.as_str()), (Some(2), ""), "{both:?}");
    assert!(
        both.err.contains(&format!("Suggestion: leave out one of them: --port {port} --websocket\n")),
        "{both:?}"
    );
    server.signal(rustix::process::Signal::STOP);
    let ill = desk.run("health --websocket");
    server.signal(rustix::process::Signal::CONT);
    assert_eq!(ill.code, Some(1), "{ill:?}");
    assert_eq!(ill.out, format!("✗ Server on port {port} is not healthy: it does not answer\n"));
    assert_eq!(desk.run("stop").code, Some(0));
}
