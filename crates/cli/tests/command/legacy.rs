//! claude-mpm's own servers beside ours: recognised, shown with how they are managed, stopped when asked and
//! proven, and left alone otherwise.

use std::fs;
use std::net::TcpListener;

use crate::programs::{Program, python_daemon, python_monitor, python_session};
use crate::support::{Desk, free_port};
use rustix::process::Signal;

/// A desk with claude-mpm's monitor on its port.
fn beside_the_monitor(more: &[&str]) -> (Desk, Program) {
    let desk = Desk::new();
    let monitor = python_monitor(&desk.path(""), desk.port, more);
    (desk, monitor)
}

#[test]
fn claude_mpm_s_monitor_is_named_with_its_way_out_by_every_start() {
    let (desk, mut monitor) = beside_the_monitor(&[]);
    let (port, pid) = (desk.port, monitor.pid());
    let text = format!("Port {port} is served by claude-mpm's Python monitor 5.9.10 (pid {pid}).");
    let way_out = format!(
        "To replace it, stop it with 'claude-mpm-monitor stop --port {port}'; or choose another port with --port."
    );
    let with_labels = format!("Error: {text}\nSuggestion: {way_out}\n");
    for (line, expected) in [
        ("", format!("{text}\n{way_out}\n")),
        ("--background", format!("{text}\n{way_out}\n")),
        ("start", with_labels.clone()),
        ("start --foreground", with_labels.clone()),
        (&format!("port {port}"), with_labels.clone()),
        ("restart", with_labels.clone()),
    ] {
        let ran = desk.run(line);
        assert_eq!((ran.code, ran.err), (Some(1), expected), "{line:?}");
    }
    let all = desk.run("stop");
    assert_eq!(all.code, Some(0), "{all:?}");
    assert_eq!(
        all.out,
        format!("Monitor is not running\n{text} 'claude-mpm-monitor stop --port {port}' stops it.\n")
    );
    assert!(monitor.is_running(), "without its port, it is none of ours to stop");
}

#[test]
fn status_shows_how_claude_mpm_s_servers_are_managed_and_stopped() {
    let (desk, monitor) = beside_the_monitor(&[]);
    let (port, pid) = (desk.port, monitor.pid());
    let status = desk.run("status");
    assert_eq!(status.code, Some(3), "none of ours runs: {status:?}");
    let block = format!(
        "Active Servers: 0\n\nServer of claude-mpm on port {port}:\n  \
           - Port: {port}\n  \
           - Dashboard: http://localhost:{port}\n  \
           - Process ID: {pid}\n  \
           - Management: HTTP (claude-mpm's Python monitor 5.9.10)\n  \
           - Stop with: claude-mpm-monitor stop --port {port}\n  \
           - Status: Running\n"
    );
    assert!(status.out.contains(&block), "{status:?}");
    let json: serde_json::Value = serde_json::from_str(&desk.run("status --json").out).unwrap();
    assert_eq!((&json[0]["management"], &json[0]["pid"]), (&"http".into(), &pid.into()));
    assert_eq!(json[0]["stop_command"], format!("claude-mpm-monitor stop --port {port}"));
    let list = desk.run("list");
    assert!(list.out.contains("claude-mpm "), "{list:?}");
    let daemon_port = free_port();
    let _daemon = python_daemon(&desk.path(""), daemon_port, &[]);
    let status = desk.run(&format!("status --port {daemon_port}"));
    assert!(status.out.contains("  - Management: Daemon (claude-mpm's Python daemon)\n"), "{status:?}");
}

#[test]
fn claude_mpm_s_monitor_is_stopped_by_the_pid_that_it_tells_and_its_pid_file_goes() {
    let project = ".claude-mpm";
    let desk = Desk::new();
    fs::create_dir(desk.path(project)).unwrap();
    let pid_file = desk.path(project).join(format!("monitor-daemon-{}.pid", desk.port));
    let mut monitor = python_monitor(&desk.path(""), desk.port, &["--pid-file", pid_file.to_str().unwrap()]);
    let (port, pid) = (desk.port, monitor.pid());
    let stop = desk.run(&format!("stop --port {port}"));
    assert_eq!(stop.code, Some(0), "{stop:?}");
    assert_eq!(
        stop.out,
        format!(
            "Stopping claude-mpm's Python monitor 5.9.10 on port {port}...\n\n  \
               Asked over HTTP: it is process {pid}\n  \
               Asked process {pid} to end\n\n\
             ✓ Server on port {port} stopped successfully\n  \
               - Process {pid} terminated\n\n\
             Monitoring server stopped.\n"
        )
    );
    assert!(!monitor.is_running() && !pid_file.exists());
    let start = desk.run("start");
    assert_eq!(start.code, Some(0), "its place is free: {start:?}");
    assert_eq!(desk.run("stop").code, Some(0));
}

#[test]
fn an_old_daemon_is_stopped_by_whichever_pid_file_it_left() {
    let desk = Desk::new();
    fs::create_dir_all(desk.home.folder()).unwrap();
    fs::create_dir(desk.path(".claude-mpm")).unwrap();
    let port = desk.port;
    for pid_file in [
        desk.home.folder().join("socketio-server.pid"),
        format!("/tmp/claude_mpm_socketio_{port}.pid").into(),
        desk.path(".claude-mpm").join(format!("monitor-daemon-{port}.pid")),
    ] {
        let mut daemon = python_daemon(&desk.path(""), port, &["--pid-file", pid_file.to_str().unwrap()]);
        let pid = daemon.pid();
        let stop = desk.run(&format!("stop --port {port}"));
        assert_eq!(stop.code, Some(0), "{stop:?}");
        assert!(
            stop.out.contains(&format!(
                "  Asked over HTTP: it does not name its process\n  \
                   Looked into {}: process {pid}\n  Asked process {pid} to end\n",
                pid_file.display()
            )),
            "{stop:?}"
        );
        assert!(!daemon.is_running() && !pid_file.exists(), "{}", pid_file.display());
    }
}

#[test]
fn a_daemon_without_a_pid_file_is_left_alone_with_the_places_that_were_looked_at() {
    let desk = Desk::new();
    let mut daemon = python_daemon(&desk.path(""), desk.port, &[]);
    let stop = desk.run(&format!("stop --port {}", desk.port));
    assert_eq!(stop.code, Some(1), "{stop:?}");
    let looked = desk.home.folder().join("socketio-server.pid");
    assert!(
        stop.out.contains(&format!("  ✗ No PID file found (looked for {}, ", looked.display())),
        "{stop:?}"
    );
    assert!(
        stop.err.starts_with("Error: could not stop claude-mpm's Python daemon\nSuggestion: see "),
        "{stop:?}"
    );
    assert!(daemon.is_running());
}

#[test]
fn a_process_that_is_not_what_it_is_said_to_be_is_left_alone() {
    let desk = Desk::new();
    fs::create_dir_all(desk.home.folder()).unwrap();
    let bystander = python_monitor(&desk.path(""), free_port(), &[]);
    let sleeper = std::process::Command::new("sleep").arg("600").spawn().unwrap();
    let (mut bystander, mut sleeper) = (bystander, sleeper);
    let mut daemon = python_daemon(&desk.path(""), desk.port, &[]);
    let pid_file = desk.home.folder().join("socketio-server.pid");
    for (pid, reason) in [
        (bystander.pid(), "it does not listen on the port"),
        (sleeper.id(), "its command line is not that of a claude-mpm server"),
        (u32::MAX / 2, "no process has this pid"),
    ] {
        fs::write(&pid_file, pid.to_string()).unwrap();
        let stop = desk.run(&format!("stop --port {} --force", desk.port));
        assert_eq!(stop.code, Some(1), "{stop:?}");
        assert!(stop.out.contains(&format!("  ✗ Process {pid} was left alone: {reason}\n")), "{stop:?}");
    }
    assert!(bystander.is_running() && daemon.is_running() && sleeper.try_wait().unwrap().is_none());
    sleeper.kill().unwrap();
    sleeper.wait().unwrap();
}

#[test]
fn a_session_with_a_server_inside_is_never_ended() {
    let desk = Desk::new();
    let mut session = python_session(&desk.path(""), desk.port);
    for line in [format!("stop --port {} --force", desk.port), "start --force".to_owned()] {
        let ran = desk.run(&line);
        assert_eq!(ran.code, Some(1), "{ran:?}");
        assert!(
            ran.out.contains("it is a claude-mpm session; end that session to stop the server in it"),
            "{ran:?}"
        );
        assert!(session.is_running());
    }
}

#[test]
fn a_server_that_only_claims_a_pid_ends_nobody() {
    use std::io::{Read, Write};
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let desk = Desk::at(listener.local_addr().unwrap().port());
    let mut bystander = python_monitor(&desk.path(""), free_port(), &[]);
    let pid = bystander.pid();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { continue };
            let _ = stream.read(&mut [0; 1024]);
            let body =
                format!(r#"{{"service":"claude-mpm-monitor","port":1,"version":"6.5.83","pid":{pid}}}"#);
            let _ = write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        }
    });
    let stop = desk.run(&format!("stop --port {} --force", desk.port));
    assert_eq!(stop.code, Some(1), "{stop:?}");
    assert!(
        stop.out.contains(&format!("  ✗ Process {pid} was left alone: it does not listen on the port\n"))
    );
    assert!(bystander.is_running());
}

#[test]
fn start_with_force_replaces_claude_mpm_s_monitor() {
    let (desk, mut monitor) = beside_the_monitor(&[]);
    let start = desk.run("start --force");
    assert_eq!(start.code, Some(0), "{start:?}");
    assert!(!monitor.is_running());
    desk.wait_for_ours(desk.port);
    assert_eq!(desk.run("stop").code, Some(0));
}

#[test]
fn a_daemon_that_hangs_or_does_not_obey_is_recognised_and_ended() {
    let (desk, mut stubborn) = beside_the_monitor(&["--stubborn"]);
    let stop = desk.run(&format!("stop --port {} --force", desk.port));
    assert_eq!(stop.code, Some(0), "{stop:?}");
    let killed = format!("  Process {} did not end when asked and was killed\n", stubborn.pid());
    assert!(stop.out.contains(&killed) && !stubborn.is_running(), "{stop:?}");
    fs::create_dir_all(desk.home.folder()).unwrap();
    let pid_file = desk.home.folder().join("socketio-server.pid");
    let mut hung = python_daemon(&desk.path(""), desk.port, &["--pid-file", pid_file.to_str().unwrap()]);
    hung.signal(Signal::STOP);
    let status = desk.run("status");
    assert!(
        status.out.contains(&format!("  - Process ID: {}\n  - Management: Daemon ", hung.pid())),
        "{status:?}"
    );
    let stop = desk.run(&format!("stop --port {} --force", desk.port));
    assert_eq!(stop.code, Some(0), "{stop:?}");
    assert!(!hung.is_running());
}
