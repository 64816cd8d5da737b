//! The supervisor of a background server: restarts after crashes, gives up, and never outlives an order to stop.

use std::fs;
use std::process::{Command, Stdio};

use client::{Supervised, Supervision};
use rustix::process::{Pid, Signal, kill_process};

use crate::support::{Desk, free_port, wait_for};

fn signal(pid: u32, signal: Signal) {
    kill_process(Pid::from_raw(pid.cast_signed()).expect("a pid"), signal).expect("the process is ours");
}

fn is_gone(pid: u32) -> bool {
    wait_for(|| client::started_at(pid).is_none().then_some(())).is_some()
}

/// The record of a desk's supervisor.
fn supervision(desk: &Desk) -> Supervision {
    wait_for(|| Supervision::read(&desk.home, desk.port)).expect("a background server has a supervisor")
}

/// Starts a background server; its pid and its supervisor's.
fn started(desk: &Desk) -> (u32, u32) {
    let start = desk.run("start");
    assert_eq!(start.code, Some(0), "{start:?}");
    (desk.wait_for_ours(desk.port).runfile.pid, supervision(desk).pid)
}

/// Waits until another server process answers.
fn restarted(desk: &Desk, port: u16, former: u32) -> u32 {
    let found = wait_for(|| {
        let pid = client::runfiles::read(&desk.home, port).map(|runfile| runfile.pid);
        pid.filter(|pid| *pid != former && desk.wait_for_ours(port).runfile.pid == *pid)
    });
    found.expect("it was started again")
}

#[cfg(target_os = "linux")]
#[test]
fn server_and_supervisor_have_left_the_terminal() {
    let desk = Desk::new();
    let (server, supervisor) = started(&desk);
    for pid in [server, supervisor] {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        let fields: Vec<_> = stat[stat.rfind(')').unwrap()..].split(' ').collect();
        assert_eq!(fields[4], supervisor.to_string(), "the supervisor leads a session of its own");
    }
    assert_eq!(desk.run("stop").code, Some(0));
}

#[test]
fn a_crashed_server_is_started_again_and_status_says_so() {
    let desk = Desk::new();
    let (server, supervisor) = started(&desk);
    signal(server, Signal::KILL);
    let again = restarted(&desk, desk.port, server);
    let record = supervision(&desk);
    assert_eq!((record.pid, record.restarts, record.state), (supervisor, 1, Supervised::Serving));
    let status = desk.run("status --verbose");
    assert!(
        status.out.contains("  - Restarts: 1, the last time after signal: 9 (SIGKILL) at "),
        "{status:?}"
    );
    let programs: serde_json::Value = serde_json::from_str(&desk.run("status --json").out).unwrap();
    assert_eq!(programs[0]["restarts"], 1);
    assert_eq!(programs[0]["last_crash"]["reason"], "signal: 9 (SIGKILL)");
    let log = fs::read_to_string(desk.home.log(desk.port)).unwrap();
    assert!(log.contains("ERROR supervisor: the server ended: signal: 9 (SIGKILL); crash 1 of 3"), "{log}");
    assert_eq!(desk.run("stop").code, Some(0));
    assert!(is_gone(again) && is_gone(supervisor), "a stop is no crash, and leaves nobody");
    assert_eq!(Supervision::read(&desk.home, desk.port), None);
}

#[test]
fn three_crashes_in_a_row_end_it_and_status_says_why() {
    let desk = Desk::new();
    let (mut server, supervisor) = started(&desk);
    for _ in 1..3 {
        signal(server, Signal::KILL);
        server = restarted(&desk, desk.port, server);
    }
    signal(server, Signal::KILL);
    assert!(is_gone(supervisor), "it gave up");
    assert!(desk.is_free(desk.port));
    let status = desk.run("status");
    assert_eq!(status.code, Some(3), "{status:?}");
    for said in [
        "Monitor is not running\n".to_owned(),
        format!(
            "The monitor on port {} crashed three times in a row and was not started again.\n",
            desk.port
        ),
        ", signal: 9 (SIGKILL)\n".to_owned(),
        "serving".to_owned(),
        format!("  - Log: {}\n", desk.home.log(desk.port).display()),
    ] {
        assert!(status.out.contains(&said), "{said:?} in {status:?}");
    }
    let programs = desk.run("status --json");
    assert_eq!(programs.code, Some(3), "{programs:?}");
    let crashed: serde_json::Value = serde_json::from_str(&programs.out).unwrap();
    assert_eq!((&crashed[0]["port"], &crashed[0]["status"]), (&desk.port.into(), &"crashed".into()));
    assert_eq!(crashed[0]["last_crash"]["reason"], "signal: 9 (SIGKILL)");
    let list = desk.run("list").out;
    let words: Vec<_> = list.lines().nth(1).unwrap().split_whitespace().collect();
    assert_eq!(words, [&desk.port.to_string(), "-", "background", "crashed", "-", "-"], "{list}");
    assert_eq!(crashed[0]["log"], desk.home.log(desk.port).to_str().unwrap());
    let start = desk.run("start");
    assert_eq!(start.code, Some(0), "{start:?}");
    assert_eq!(supervision(&desk).state, Supervised::Serving, "a new start is a new supervision");
    assert_eq!(desk.run("stop").code, Some(0));
}

#[test]
fn a_signal_to_the_supervisor_or_to_the_server_stops_both() {
    let desk = Desk::new();
    for to_server in [true, false] {
        let (server, supervisor) = started(&desk);
        signal(if to_server { server } else { supervisor }, Signal::TERM);
        assert!(is_gone(server) && is_gone(supervisor), "to the server: {to_server}");
        assert!(desk.is_free(desk.port) && !desk.home.runfile(desk.port).exists());
        assert_eq!(Supervision::read(&desk.home, desk.port), None);
    }
}

#[test]
fn a_server_that_hangs_is_stopped_by_force_and_not_started_again() {
    let desk = Desk::new();
    let (server, supervisor) = started(&desk);
    signal(server, Signal::STOP);
    let stop = desk.run("stop --force");
    assert_eq!(stop.code, Some(0), "{stop:?}");
    assert!(is_gone(server) && is_gone(supervisor));
    assert!(desk.is_free(desk.port));
}

#[test]
fn a_server_that_hangs_is_replaced() {
    let desk = Desk::new();
    desk.configure(r#"{ "health_check_interval": 1 }"#);
    let (server, supervisor) = started(&desk);
    signal(server, Signal::STOP);
    let again = restarted(&desk, desk.port, server);
    assert!(is_gone(server));
    let record = supervision(&desk);
    assert_eq!((record.pid, record.restarts), (supervisor, 1));
    assert_eq!(
        record.last_crash.map(|crash| crash.reason).as_deref(),
        Some("3 health checks without an answer")
    );
    assert_eq!(desk.run("stop").code, Some(0));
    assert!(is_gone(again) && is_gone(supervisor));
}

#[test]
fn a_server_that_is_not_persistent_ends_with_its_session() {
    for is_persistent in [false, true] {
        let desk = Desk::new();
        desk.configure(&format!(r#"{{ "persistent": {is_persistent} }}"#));
        // A session like that of a terminal: its shell waits for the next command.
        let exe = env!("CARGO_BIN_EXE_claude-mpm-monitor");
        let mut session = Command::new("setsid");
        session.args(["--wait", "sh", "-c", &format!("{exe} start && read line")]);
        session.envs(desk.command("").get_envs().filter_map(|(name, value)| Some((name, value?))));
        let mut session = session.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let server = desk.wait_for_ours(desk.port).runfile.pid;
        let supervisor = supervision(&desk).pid;
        drop(session.stdin.take());
        session.wait().unwrap();
        if is_persistent {
            assert_eq!(desk.wait_for_ours(desk.port).runfile.pid, server, "it serves on");
            assert_eq!(desk.run("stop").code, Some(0));
        }
        assert!(is_gone(server) && is_gone(supervisor), "persistent: {is_persistent}");
        assert!(!desk.home.runfile(desk.port).exists(), "it ended well");
    }
}

#[test]
fn a_server_whose_supervisor_was_killed_serves_on_and_is_stopped() {
    let desk = Desk::new();
    let (server, supervisor) = started(&desk);
    signal(supervisor, Signal::KILL);
    assert!(is_gone(supervisor));
    let monitor = desk.wait_for_ours(desk.port).monitor();
    monitor.post_event(r#"{"hook_event_name":"Stop","session_id":"s"}"#).unwrap();
    assert_eq!(desk.run("stop").code, Some(0));
    assert!(is_gone(server));
}

#[test]
fn a_server_that_moved_is_started_again_where_it_was() {
    let desk = Desk::new();
    let (server, supervisor) = started(&desk);
    let running = desk.wait_for_ours(desk.port);
    let port = free_port();
    running.monitor().restart(&running.runfile.control_token, port).unwrap();
    assert_eq!(desk.wait_for_ours(port).runfile.pid, server, "the same process");
    let moved = wait_for(|| Supervision::read(&desk.home, port)).expect("the record moves along");
    assert_eq!((moved.pid, Supervision::read(&desk.home, desk.port)), (supervisor, None));
    signal(server, Signal::KILL);
    restarted(&desk, port, server);
    assert!(desk.is_free(desk.port));
    assert_eq!(desk.run("stop").code, Some(0));
    assert!(is_gone(supervisor));
}

#[test]
fn a_stop_between_two_servers_ends_the_supervisor() {
    let desk = Desk::new();
    let (mut server, supervisor) = started(&desk);
    signal(server, Signal::KILL);
    server = restarted(&desk, desk.port, server);
    signal(server, Signal::KILL);
    wait_for(|| (supervision(&desk).state == Supervised::Restarting).then_some(())).expect("it rests");
    let stop = desk.run(&format!("stop --port {}", desk.port));
    assert_eq!(stop.code, Some(0), "{stop:?}");
    assert!(is_gone(supervisor));
    assert!(desk.is_free(desk.port));
}
