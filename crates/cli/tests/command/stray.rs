//! Servers whose home was removed while they served: found, named and ended all the same, and never another's.

use std::fs;

use client::{Probe, Supervision};
use rustix::process::Signal;
use serde_json::Value;

use crate::support::{Desk, Foreground, Ran, free_port, wait_for};

fn is_gone(pid: u32) -> bool {
    wait_for(|| client::started_at(pid).is_none().then_some(())).is_some()
}

/// Starts a server in the background and removes its home; its pid and its supervisor's.
fn lost(desk: &Desk, flags: &str) -> (u32, u32) {
    let start = desk.run(&format!("start {flags}"));
    assert_eq!(start.code, Some(0), "{start:?}");
    let server = desk.wait_for_ours(desk.port).runfile.pid;
    let supervisor = Supervision::read(&desk.home, desk.port).unwrap().pid;
    remove(desk);
    (server, supervisor)
}

/// Removes the home, in which the server may write at the same time.
fn remove(desk: &Desk) {
    let removed = wait_for(|| fs::remove_dir_all(desk.home.folder()).ok());
    removed.expect("it is ours");
    assert!(!desk.home.folder().exists());
}

/// Starts a server in the foreground and removes its home.
fn lost_in_foreground(desk: &Desk) -> Foreground {
    let (server, _) = desk.serve("start --foreground", desk.port);
    remove(desk);
    server
}

/// Runs a verb beside a server without a home, until it says so: the server puts its home back every second, and may do it
/// just now.
#[track_caller]
fn without_home(desk: &Desk, line: &str, says: impl Fn(&Ran) -> bool) -> Ran {
    let said = wait_for(|| {
        let _ = fs::remove_dir_all(desk.home.folder());
        Some(desk.run(line)).filter(&says)
    });
    said.unwrap_or_else(|| panic!("{line}: {:?}", desk.run(line)))
}

#[test]
fn a_server_whose_home_was_removed_is_shown_with_its_process_and_the_way_out() {
    let desk = Desk::new();
    let port = desk.port;
    let (server, _) = lost(&desk, "");
    let what = format!("it serves without its home (pid {server})");
    let stop = format!("'claude-mpm-monitor stop --port {port}'");
    let first = format!(
        "Monitoring Server Status\n========================\n\nActive Servers: 1\n\n✗ Server on port {port}: {what}"
    );
    let status = without_home(&desk, "status", |status| status.out.starts_with(&first));
    assert_eq!(status.code, Some(0), "{status:?}");
    assert!(status.out.contains(&stop), "{status:?}");
    for line in ["status --json".to_owned(), format!("status --port {port} --json"), "list --json".to_owned()]
    {
        let listed = without_home(&desk, &line, |listed| listed.out.contains(&what));
        let servers: Value = serde_json::from_str(&listed.out).unwrap();
        assert_eq!((&servers[0]["port"], &servers[0]["pid"]), (&port.into(), &server.into()), "{line}");
        assert!(servers[0]["troubles"][0]["what"].as_str().unwrap().starts_with(&what), "{servers}");
    }
    without_home(&desk, "list", |list| list.out.contains("without its home"));
    let health = without_home(&desk, "health", |health| health.out.contains(&what));
    assert_eq!(health.code, Some(1), "{health:?}");
    let served = format!("✗ Your monitor serves this port, but {what}");
    without_home(&desk, "diagnose", |diagnose| diagnose.out.contains(&served));
    for line in ["start", "--no-browser"] {
        let start = without_home(&desk, line, |start| start.err.contains(&what));
        assert_eq!(start.code, Some(1), "{start:?}");
        assert!(start.err.contains(&stop), "{start:?}");
    }
    assert_eq!(desk.run("stop").code, Some(0));
}

#[test]
fn a_server_whose_home_was_removed_is_stopped_with_its_supervisor() {
    for (line, flags) in
        [("stop", ""), ("stop --port PORT", ""), ("stop --force", ""), ("stop", "--host 0.0.0.0")]
    {
        let desk = Desk::new();
        let (server, supervisor) = lost(&desk, flags);
        let stop = desk.run(&line.replace("PORT", &desk.port.to_string()));
        assert_eq!(stop.code, Some(0), "{line} {flags}: {stop:?}");
        assert!(stop.out.contains(&format!("  - Process {server} terminated\n")), "{stop:?}");
        assert!(stop.out.contains("clients gracefully"), "{stop:?}");
        assert!(client::started_at(server).is_none(), "{line} {flags}");
        assert!(is_gone(supervisor) && desk.is_free(desk.port), "{line} {flags}");
    }
    let desk = Desk::new();
    let server = lost_in_foreground(&desk);
    assert_eq!(desk.run(&format!("stop --port {}", desk.port)).code, Some(0));
    let ran = server.ended();
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.out.ends_with("Monitor stopped\n"), "{ran:?}");
}

#[test]
fn a_server_in_place_of_whose_folder_stands_a_file_is_shown_and_stopped() {
    let desk = Desk::new();
    assert_eq!(desk.run("start").code, Some(0));
    let server = desk.wait_for_ours(desk.port).runfile.pid;
    let ours = desk.home.monitor();
    fs::rename(&ours, ours.with_extension("moved")).unwrap();
    fs::write(&ours, "").unwrap();
    let status = desk.run("status");
    assert_eq!(status.code, Some(0), "{status:?}");
    assert!(status.out.contains(&format!("it serves without its home (pid {server})")), "{status:?}");
    let stop = desk.run("stop");
    assert_eq!(stop.code, Some(0), "{stop:?}");
    assert!(is_gone(server) && desk.is_free(desk.port), "{stop:?}");
}

#[test]
fn a_server_that_has_lost_only_its_runfile_is_stopped_as_well() {
    let desk = Desk::new();
    assert_eq!(desk.run("start").code, Some(0));
    let server = desk.wait_for_ours(desk.port).runfile.pid;
    fs::remove_file(desk.home.runfile(desk.port)).unwrap();
    let status = desk.run("status");
    assert!(status.out.contains(&format!("it serves without its home (pid {server})")), "{status:?}");
    assert_eq!(desk.run("stop").code, Some(0));
    assert!(is_gone(server));
}

#[test]
fn a_second_port_of_a_server_that_is_known_makes_no_second_server() {
    let desk = Desk::new();
    let dashboard = free_port();
    assert_eq!(desk.run(&format!("start --dashboard-port {dashboard}")).code, Some(0));
    assert_eq!(client::strays(&desk.home), []);
    assert!(matches!(client::probe(&desk.home, dashboard), Probe::Foreign { .. }));
    let servers: Value = serde_json::from_str(&desk.run("status --json").out).unwrap();
    assert_eq!(servers.as_array().map(Vec::len), Some(1), "{servers}");
    let (server, supervisor) =
        (desk.wait_for_ours(desk.port).runfile.pid, Supervision::read(&desk.home, desk.port));
    let found = wait_for(|| {
        // The server puts it back every second.
        let _ = fs::remove_dir_all(desk.home.folder());
        let strays = client::strays(&desk.home);
        let found: Vec<_> = strays.iter().map(|stray| (stray.port, stray.process.pid)).collect();
        Some(found).filter(|found| !found.is_empty())
    });
    assert_eq!(found, Some(vec![(desk.port, server)]), "once, by the port that it was started for");
    assert_eq!(desk.run("stop").code, Some(0));
    assert!(is_gone(server) && is_gone(supervisor.unwrap().pid));
}

#[test]
fn a_server_whose_home_was_removed_is_started_anew_with_its_flags() {
    for line in ["restart", "restart --port PORT"] {
        let desk = Desk::new();
        let dashboard = free_port();
        let (server, supervisor) = lost(&desk, &format!("--dashboard-port {dashboard}"));
        let restart = desk.run(&line.replace("PORT", &desk.port.to_string()));
        assert_eq!(restart.code, Some(0), "{line}: {restart:?}");
        assert!(is_gone(server) && is_gone(supervisor), "{line}");
        let running = desk.wait_for_ours(desk.port);
        assert_ne!(running.runfile.pid, server);
        assert_eq!(running.health.dashboard_port, Some(dashboard), "{line}");
        running.monitor().post_event(r#"{"hook_event_name":"Stop","session_id":"s"}"#).unwrap();
        assert_eq!(desk.run("stop").code, Some(0));
    }
    let desk = Desk::new();
    let (server, _) = lost(&desk, "");
    let start = desk.run("start --force");
    assert_eq!(start.code, Some(0), "{start:?}");
    assert!(is_gone(server));
    assert_eq!(desk.run("stop").code, Some(0));
    let desk = Desk::new();
    let server = lost_in_foreground(&desk);
    let restart = desk.run("restart");
    assert_eq!(restart.code, Some(1), "{restart:?}");
    assert!(restart.err.contains("start it where it ran"), "{restart:?}");
    assert!(client::started_at(server.pid()).is_some(), "it was left alone");
}

#[test]
fn what_is_not_proven_to_be_of_this_home_is_left_alone() {
    // Another home's, whether that is there or was removed as well.
    for is_removed in [false, true] {
        let (mine, theirs) = (Desk::new(), Desk::new());
        let (server, _) = theirs.serve("start --foreground", theirs.port);
        if is_removed {
            remove(&theirs);
        }
        let stop = mine.run("stop");
        assert_eq!((stop.code, stop.out.as_str()), (Some(0), "Monitor is not running\n"), "{stop:?}");
        let stop = mine.run(&format!("stop --port {} --force", theirs.port));
        assert_eq!(stop.code, Some(3), "{stop:?}");
        assert!(matches!(client::probe(&mine.home, theirs.port), Probe::Foreign { .. }));
        assert_eq!(client::strays(&mine.home), []);
        assert!(client::started_at(server.pid()).is_some(), "removed: {is_removed}");
    }
    // One that does not answer says nothing of what it is.
    let desk = Desk::new();
    let server = lost_in_foreground(&desk);
    server.signal(Signal::STOP);
    let stop = desk.run(&format!("stop --port {}", desk.port));
    assert_eq!(stop.code, Some(3), "{stop:?}");
    assert!(stop.err.contains("in use by claude-mpm-monitor"), "{stop:?}");
    server.signal(Signal::CONT);
    assert!(client::started_at(server.pid()).is_some(), "it was left alone");
}
