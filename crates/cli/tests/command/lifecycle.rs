//! Background servers: started when they answer, shown, stopped, and found again after a crash.

use std::io::Write;
use std::process::Stdio;

use crate::support::{Desk, Ran, free_port, wait_for};
use client::{Lock, Probe};
use rustix::process::Signal;

#[test]
fn a_background_server_outlives_its_start_and_is_stopped() {
    let desk = Desk::new();
    let start = desk.run("start");
    assert_eq!(start.code, Some(0), "{start:?}");
    let (port, pid) = (desk.port, desk.wait_for_ours(desk.port).runfile.pid);
    assert_eq!(
        start.out,
        format!(
            "Starting Socket.IO monitoring server...\n\n\
             ✓ Server started successfully\n  \
               - Server URL: http://localhost:{port}\n  \
               - Dashboard URL: http://localhost:{port}\n  \
               - Process ID: {pid}\n  \
               - Mode: background\n\n\
             Monitoring server is ready for connections.\n\
             Open http://localhost:{port} in your browser to view the dashboard.\n"
        )
    );
    let again = desk.run("start");
    assert_eq!(again.code, Some(0), "{again:?}");
    assert_eq!(again.out, format!("Monitor already running at http://localhost:{port} (pid {pid})\n"));
    let stop = desk.run(&format!("stop --port {port}"));
    assert_eq!(stop.code, Some(0), "{stop:?}");
    assert_eq!(
        stop.out,
        format!(
            "Stopping monitoring server...\n\n\
             ✓ Server on port {port} stopped successfully\n  \
               - Disconnected 0 clients gracefully\n  \
               - Process {pid} terminated\n\n\
             Monitoring server stopped.\n"
        )
    );
    assert!(desk.is_free(port));
    assert_eq!(client::started_at(pid), None, "the process is gone");
    assert!(!desk.home.runfile(port).exists());
}

#[test]
fn what_is_not_running_cannot_be_stopped_and_is_said() {
    let desk = Desk::new();
    let all = desk.run("stop");
    assert_eq!((all.code, all.out.as_str()), (Some(0), "Monitor is not running\n"));
    let one = desk.run(&format!("stop --port {}", desk.port));
    assert_eq!(one.code, Some(3));
    let port = desk.port;
    assert_eq!(
        one.err,
        format!(
            "Error: Server on port {port} is not running\n\
             Suggestion: use 'claude-mpm-monitor start --port {port}' to start the server\n"
        )
    );
    assert_eq!(one.out, "", "nothing is being stopped");
}

#[test]
fn stop_ends_all_servers_of_this_user() {
    let desk = Desk::new();
    let other = free_port();
    assert_eq!(desk.run("start").code, Some(0));
    assert_eq!(desk.run(&format!("start --port {other}")).code, Some(0));
    let status = desk.run("status");
    assert!(status.out.contains("Active Servers: 2"), "{status:?}");
    let one = desk.run(&format!("status --port {other}"));
    assert!(one.out.contains("Active Servers: 1") && one.out.contains(&other.to_string()), "{one:?}");
    let stop = desk.run("stop");
    assert_eq!(stop.code, Some(0), "{stop:?}");
    assert!(desk.is_free(desk.port) && desk.is_free(other));
}

#[test]
fn status_is_a_page_for_people_and_an_array_for_programs() {
    let desk = Desk::new();
    let none = desk.run("status");
    assert_eq!((none.code, none.out.as_str()), (Some(3), "Monitor is not running\n"));
    let none = desk.run("status --json");
    assert_eq!((none.code, none.out.as_str()), (Some(3), "[]\n"));
    let (server, running) = desk.serve("start --foreground", desk.port);
    let status = desk.run("status --json");
    assert_eq!(status.code, Some(0), "{status:?}");
    let servers: serde_json::Value = serde_json::from_str(&status.out).unwrap();
    let url = format!("http://localhost:{}", desk.port);
    assert_eq!(servers.as_array().map(Vec::len), Some(1));
    assert_eq!(servers[0]["port"], desk.port);
    assert_eq!(servers[0]["pid"], server.pid());
    assert_eq!((&servers[0]["url"], &servers[0]["dashboard_url"]), (&url.clone().into(), &url.into()));
    assert_eq!(servers[0]["status"], "running");
    assert_eq!(servers[0]["clients"], 0);
    assert!(servers[0]["uptime_s"].is_u64());
    assert_eq!(servers[0]["version"], running.health.version);
    assert_eq!(servers[0]["mode"], "foreground");
    let page = desk.run("status --verbose");
    assert!(page.out.starts_with("Monitoring Server Status (Detailed)\n"), "{page:?}");
    assert!(page.out.contains("  - Status: Running (Healthy)\n"), "{page:?}");
}

#[test]
fn a_crashed_server_s_runfile_is_no_obstacle() {
    let desk = Desk::new();
    let (server, running) = desk.serve("", desk.port);
    server.signal(Signal::KILL);
    server.ended();
    assert_eq!(
        client::runfiles::read(&desk.home, desk.port),
        Some(running.runfile.clone()),
        "it was left behind"
    );
    assert_eq!(desk.run("status").code, Some(3), "a stale runfile is no server");
    let start = desk.run("start");
    assert_eq!(start.code, Some(0), "{start:?}");
    assert_ne!(desk.wait_for_ours(desk.port).runfile.server_id, running.runfile.server_id);
    assert_eq!(desk.run("stop").code, Some(0));
    client::runfiles::write(&desk.home, &running.runfile).unwrap();
    let stop = desk.run(&format!("stop --port {}", desk.port));
    assert_eq!(stop.code, Some(3), "{stop:?}");
    assert!(!desk.home.runfile(desk.port).exists(), "stop clears it away");
}

#[test]
fn a_server_that_hangs_is_shown_as_such_and_stopped_by_force() {
    let desk = Desk::new();
    let (server, _) = desk.serve("", desk.port);
    server.signal(Signal::STOP);
    let silent = || (!matches!(client::probe(&desk.home, desk.port), Probe::Ours(_))).then_some(());
    assert!(wait_for(silent).is_some());
    let status = desk.run("status");
    assert!(status.out.contains("  - Status: Not responding\n"), "{status:?}");
    let start = desk.command("start").env("CLAUDE_MPM_MONITOR_TIMEOUT", "1").output().map(Ran::from).unwrap();
    assert_eq!(start.code, Some(1), "{start:?}");
    assert!(start.err.contains("claude-mpm-monitor stop --port"), "the way out is told: {start:?}");
    let stop = desk.run("stop --force");
    assert_eq!(stop.code, Some(0), "{stop:?}");
    assert_eq!(server.ended().code, None, "it was ended by a signal");
    assert!(desk.is_free(desk.port) && !desk.home.runfile(desk.port).exists());
}

#[test]
fn a_process_that_only_has_the_pid_of_a_runfile_is_never_signalled() {
    let desk = Desk::new();
    let (server, running) = desk.serve("", desk.port);
    server.signal(Signal::KILL);
    server.ended();
    let mut bystander = std::process::Command::new("sleep").arg("600").spawn().unwrap();
    let mut runfile = running.runfile;
    runfile.pid = bystander.id();
    runfile.process_started_at.0 -= 3_600_000;
    client::runfiles::write(&desk.home, &runfile).unwrap();
    // Held, so that the runfile does not count as stale.
    let lock = Lock::try_take(&desk.home, desk.port).unwrap().unwrap();
    let stop = desk.run(&format!("stop --port {} --force", desk.port));
    assert_eq!(stop.code, Some(1), "{stop:?}");
    assert!(stop.err.contains("was left alone"), "{stop:?}");
    assert!(bystander.try_wait().unwrap().is_none(), "it runs on");
    bystander.kill().unwrap();
    bystander.wait().unwrap();
    drop(lock);
}

#[test]
fn a_background_start_that_fails_says_why() {
    let desk = Desk::new();
    std::fs::create_dir_all(desk.home.folder()).unwrap();
    std::fs::write(desk.home.config(), r#"{"retention_days": "soon"}"#).unwrap();
    let start = desk.run("start");
    assert_eq!(start.code, Some(1), "{start:?}");
    assert!(start.err.contains("socketio_config.json: retention_days must be a number of days"), "{start:?}");
    std::fs::remove_file(desk.home.config()).unwrap();
    let start =
        desk.command("start").env("CLAUDE_MPM_MONITOR_TIMEOUT", "never").output().map(Ran::from).unwrap();
    assert_eq!(start.code, Some(1), "{start:?}");
    assert!(start.err.contains("could not read CLAUDE_MPM_MONITOR_TIMEOUT as seconds: never"), "{start:?}");
}

#[test]
fn a_second_interrupt_waits_for_no_client() {
    let desk = Desk::new();
    let (server, _) = desk.serve("", desk.port);
    let mut slow = std::net::TcpStream::connect(("127.0.0.1", desk.port)).unwrap();
    slow.write_all(b"GET /health HTTP/1.1\r\n").unwrap();
    server.signal(Signal::INT);
    server.signal(Signal::INT);
    let ended = wait_for(|| {
        server.signal(Signal::INT);
        client::started_at(server.pid()).is_none().then_some(())
    });
    assert!(ended.is_some());
    let ran = server.ended();
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(!desk.home.runfile(desk.port).exists());
}

#[test]
fn a_server_whose_reader_went_away_serves_on() {
    let desk = Desk::new();
    let mut child = desk.command("").stdout(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    desk.wait_for_ours(desk.port);
    assert_eq!(desk.run("stop").code, Some(0));
    assert!(wait_for(|| child.try_wait().unwrap()).is_some_and(|status| status.success()));
}

#[test]
fn the_version_is_printed_and_an_unknown_verb_is_a_usage_error() {
    let desk = Desk::new();
    let version = desk.run("version");
    assert_eq!((version.code, version.out.starts_with("claude-mpm-monitor ")), (Some(0), true));
    assert_eq!(desk.run("--help").code, Some(0));
    let unknown = desk.run("reticulate");
    assert_eq!((unknown.code, unknown.out.as_str()), (Some(2), ""));
}
