//! The supervisor of a background server: restarts after crashes, gives up, and never outlives an order to stop.

use std::fs;
use std::net::TcpListener;
use std::process::{Command, Stdio};

use client::{Supervised, Supervision};
use rustix::process::{Pid, Signal, kill_process};

use crate::support::{Desk, Foreground, free_port, wait_for};

fn signal(pid: u32, signal: Signal) {
    kill_process(Pid::from_raw(pid.cast_signed()).expect("a pid"), signal).expect("the process is ours");
}

pub(crate) fn is_gone(pid: u32) -> bool {
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

#[cfg(unix)]
#[test]
fn a_server_whose_port_was_taken_while_it_was_down_waits_for_it_and_that_is_no_crash() {
    let other = free_port();
    for dashboard_apart in [false, true] {
        let desk = Desk::new();
        let taken = if dashboard_apart { ("127.0.0.1", other) } else { ("::1", desk.port) };
        if dashboard_apart {
            desk.configure(&format!(r#"{{"dashboard_port":{other}}}"#));
        }
        let (server, supervisor) = started(&desk);
        // It notices nothing before the port is another's.
        signal(supervisor, Signal::STOP);
        signal(server, Signal::KILL);
        let squatter = wait_for(|| TcpListener::bind(taken).ok()).expect("the port is given up");
        signal(supervisor, Signal::CONT);
        let log = || fs::read_to_string(desk.home.log(desk.port)).unwrap();
        // More than crashes would be forgiven.
        wait_for(|| (log().matches("already in use").count() > 3).then_some(()))
            .unwrap_or_else(|| panic!("{}", log()));
        let record = supervision(&desk);
        assert_eq!((record.pid, record.state), (supervisor, Supervised::Waiting));
        let status = desk.run("status");
        assert_eq!(status.code, Some(3), "{status:?}");
        let said = "started again as soon as its port is free";
        assert!(status.out.contains(said) && status.out.contains("SIGKILL"), "{status:?}");
        drop(squatter);
        restarted(&desk, desk.port, server);
        let record =
            wait_for(|| Some(supervision(&desk)).filter(|record| record.state == Supervised::Serving));
        assert_eq!(record.expect("it serves").restarts, 1);
        let log = log();
        assert!(log.contains("another program has the port") && !log.contains("crash 2 of 3"), "{log}");
        assert_eq!(desk.run("stop").code, Some(0));
        assert!(is_gone(supervisor));
    }
}

#[cfg(unix)]
#[test]
fn a_stop_ends_a_supervisor_that_waits_for_its_port() {
    let desk = Desk::new();
    let (server, supervisor) = started(&desk);
    signal(supervisor, Signal::STOP);
    signal(server, Signal::KILL);
    let squatter =
        wait_for(|| TcpListener::bind(("127.0.0.1", desk.port)).ok()).expect("the port is given up");
    signal(supervisor, Signal::CONT);
    wait_for(|| (supervision(&desk).state == Supervised::Waiting).then_some(())).expect("it waits");
    desk.run("stop");
    assert!(is_gone(supervisor));
    assert_eq!(Supervision::read(&desk.home, desk.port), None);
    drop(squatter);
}

#[test]
fn a_signal_to_the_supervisor_or_to_the_server_stops_both() {
    let desk = Desk::new();
    let both = |number| [(number, true), (number, false)];
    for (number, to_server) in [Signal::TERM, Signal::INT, Signal::QUIT].into_iter().flat_map(both) {
        let (server, supervisor) = started(&desk);
        signal(if to_server { server } else { supervisor }, number);
        assert!(is_gone(server) && is_gone(supervisor), "{number:?} to the server: {to_server}");
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

#[test]
fn signals_that_ask_for_no_end_are_outlived_by_server_and_supervisor() {
    let desk = Desk::new();
    let (server, supervisor) = started(&desk);
    let harmless = [
        Signal::USR1,
        Signal::USR2,
        Signal::ALARM,
        Signal::VTALARM,
        Signal::PROF,
        Signal::IO,
        Signal::PIPE,
        Signal::WINCH,
        Signal::XFSZ,
        Signal::HUP,
    ];
    for number in harmless {
        for pid in [server, supervisor] {
            signal(pid, number);
            let pids = (desk.wait_for_ours(desk.port).runfile.pid, supervision(&desk).pid);
            assert_eq!(pids, (server, supervisor), "{number:?} to {pid}");
        }
    }
    assert_eq!(supervision(&desk).last_crash, None);
    assert_eq!(desk.run("stop").code, Some(0));
    assert!(is_gone(server) && is_gone(supervisor));
}

#[test]
fn a_server_in_a_terminal_outlives_what_asks_for_no_end_and_ends_well_by_the_rest() {
    for number in [Signal::INT, Signal::TERM, Signal::QUIT, Signal::HUP] {
        let desk = Desk::new();
        let server = Foreground::in_terminal(&desk.command("start --foreground"));
        desk.wait_for_ours(desk.port);
        for harmless in [Signal::USR1, Signal::USR2, Signal::ALARM] {
            server.signal(harmless);
            assert_eq!(desk.wait_for_ours(desk.port).runfile.pid, server.pid(), "{harmless:?}");
        }
        server.signal(number);
        let ran = server.ended();
        assert_eq!(ran.code, Some(0), "{number:?}: {ran:?}");
        assert!(ran.out.ends_with("Monitor stopped\n"), "{number:?}: {ran:?}");
        assert!(desk.is_free(desk.port) && !desk.home.runfile(desk.port).exists(), "{number:?}");
    }
}

#[test]
fn a_server_that_was_started_to_outlive_its_terminal_does() {
    let desk = Desk::new();
    let command = desk.command("start --foreground");
    let mut nohup = Command::new("nohup");
    nohup.arg(command.get_program()).args(command.get_args());
    nohup.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    nohup.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let server = Foreground::of(nohup.spawn().unwrap());
    desk.wait_for_ours(desk.port);
    server.signal(Signal::HUP);
    assert_eq!(desk.wait_for_ours(desk.port).runfile.pid, server.pid());
    assert_eq!(desk.run("stop").code, Some(0));
    assert_eq!(server.ended().code, Some(0));
}

/// The processes of this home's servers and their supervisors, with what they are.
pub(crate) fn processes(desk: &Desk, role: &str) -> Vec<u32> {
    let pids =
        fs::read_dir("/proc").unwrap().filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok());
    let home = format!("CLAUDE_MPM_HOME={}\0", desk.home.folder().display());
    let is_ours = |pid: &u32| {
        let read = |name: &str| fs::read(format!("/proc/{pid}/{name}")).unwrap_or_default();
        let (line, variables) = (read("cmdline"), read("environ"));
        String::from_utf8_lossy(&line).contains(role) && String::from_utf8_lossy(&variables).contains(&home)
    };
    pids.filter(is_ours).collect()
}

/// A start that waits for a server which was stopped before it came to serve; the server's pid.
fn stalled(desk: &Desk, seconds: &str) -> (Foreground, u32) {
    let is_stopped = |pid: u32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        stat[stat.rfind(')').unwrap()..].starts_with(") T").then_some(())
    };
    loop {
        let mut start = desk.command("start");
        let start = Foreground::in_terminal(start.env("CLAUDE_MPM_MONITOR_TIMEOUT", seconds));
        let server = wait_for(|| processes(desk, "--role=server").first().copied()).unwrap();
        signal(server, Signal::STOP);
        wait_for(|| is_stopped(server)).unwrap();
        if !desk.home.runfile(desk.port).exists() {
            return (start, server);
        }
        // It was quicker.
        signal(server, Signal::CONT);
        assert_eq!(start.ended().code, Some(0));
        assert_eq!(desk.run("stop").code, Some(0));
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_start_that_is_cut_off_before_its_server_serves_leaves_nobody_behind() {
    for number in [Signal::KILL, Signal::INT, Signal::HUP] {
        let desk = Desk::new();
        let (start, server) = stalled(&desk, "60");
        let supervisor = processes(&desk, "--role=supervisor")[0];
        start.signal(number);
        assert_eq!(start.ended().code, None, "{number:?}");
        assert!(is_gone(supervisor) && is_gone(server), "{number:?}");
        assert!(desk.is_free(desk.port), "{number:?}");
        assert_eq!(desk.run("status").out, "Monitor is not running\n");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_start_that_is_cut_off_at_any_moment_leaves_a_server_that_is_known_or_nobody() {
    for moment in 0..12 {
        let desk = Desk::new();
        let start = desk.command("start").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let start = Foreground::of(start);
        let role = if moment % 2 == 0 { "--role=supervisor" } else { "--role=server" };
        wait_for(|| (!processes(&desk, role).is_empty()).then_some(())).unwrap();
        std::thread::yield_now();
        start.signal(Signal::KILL);
        start.ended();
        // Once it is settled: either both are there and `stop` finds them, or neither.
        let settled = wait_for(|| {
            let there = processes(&desk, "--role=");
            let known = client::runfiles::living(&desk.home).unwrap().len();
            let supervised = Supervision::read(&desk.home, desk.port).is_some();
            (there.is_empty() || there.len() == 2 && known == 1 && supervised).then_some(there)
        });
        let there = settled.unwrap_or_else(|| panic!("{:?}", processes(&desk, "--role=")));
        assert_eq!(desk.run("stop").code, Some(0));
        assert!(there.into_iter().all(is_gone));
        assert_eq!(processes(&desk, "--role="), [0; 0]);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_start_that_takes_too_long_ends_its_server_and_leaves_nobody_behind() {
    let desk = Desk::new();
    let (start, server) = stalled(&desk, "1");
    let ran = start.ended();
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.err.contains("did not answer within 1 s and was ended"), "{ran:?}");
    assert!(is_gone(server));
    assert_eq!(processes(&desk, "--role="), [0; 0]);
}

#[cfg(target_os = "linux")]
#[test]
fn without_a_loopback_address_a_start_ends_with_the_reason_and_the_way_out() {
    let up_without_address = "ip link set lo up && ip address del 127.0.0.1/8 dev lo && ";
    let down_with_address = "ip link set lo up && ip link set lo down && ";
    for (network, reason) in [
        ("", "Network is unreachable"),
        (up_without_address, "Network is unreachable"),
        (down_with_address, "the loopback interface is down"),
    ] {
        for line in ["start", "start --foreground", "start --host 0.0.0.0", "--no-browser"] {
            let desk = Desk::new();
            let command = desk.command(line);
            let mut apart = Command::new("unshare");
            apart.args([
                "--user",
                "--map-root-user",
                "--net",
                "sh",
                "-c",
                &format!("{network}exec \"$@\""),
                "sh",
            ]);
            apart.arg(command.get_program()).args(command.get_args());
            apart.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
            // Longer than the test waits: that it ends is because its server did.
            apart.env("CLAUDE_MPM_MONITOR_TIMEOUT", "600");
            apart.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
            let ran = Foreground::of(apart.spawn().unwrap()).ended();
            assert_eq!(ran.code, Some(1), "{network}{line}: {ran:?}");
            assert!(ran.err.contains("could not listen on "), "{network}{line}: {ran:?}");
            assert!(ran.err.contains(reason), "{network}{line}: {ran:?}");
            assert!(ran.err.contains("ip link set lo up"), "{network}{line}: {ran:?}");
            assert_eq!(processes(&desk, "--role="), [0; 0]);
        }
    }
}
