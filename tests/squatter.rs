//! Claims about a port that a monitor gave up and somebody else took: whatever program of this user, under whatever
//! variable, looks there, nothing of the user's reaches him. He may be asked who he is, and that is all.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use e2e::{Monitor, PATIENCE, Squatter, WebSocket, free_port, hook, our, output, program, prompt, spooled};
use serde_json::json;
use tempfile::TempDir;

/// What must stay with this user.
const PRIVATE: &str = "private words of this user";

/// How long to rest between two looks.
const POLL: Duration = Duration::from_millis(10);

/// A monitor that asks even its own machine for the token, so that its home has one.
fn guarded() -> Monitor {
    Monitor::start_configured(r#"{"require_token":true}"#, &[])
}

/// A monitor that others than this machine may ask, at whatever address.
fn everywhere() -> Monitor {
    Monitor::start_with(
        &Arc::new(TempDir::new().expect("a temporary folder can be made")),
        &["--host", "0.0.0.0"],
    )
}

#[track_caller]
fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < PATIENCE, "{what}");
        std::thread::sleep(POLL);
    }
}

/// A program of ours whose output is for the test to read.
fn start(home: &Path, arguments: &[&str]) -> Child {
    let mut command = our(home, "claude-mpm-monitor");
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().expect("it can be started")
}

/// The sessions and kinds of what a monitor has stored, as its own user sees it.
fn stored(monitor: &Monitor) -> String {
    let token = format!("Bearer {}", monitor.control_token());
    monitor.get_with("/api/events?payload=true&limit=1000", &[("authorization", &token)]).body
}

#[test]
fn a_hook_keeps_its_event_under_every_variable_that_names_the_port() {
    for monitor in [guarded(), everywhere()] {
        let port = monitor.port().to_string();
        let gone = monitor.stop();
        let squatter = Squatter::on(port.parse().expect("a port"));
        let url = |host: &str| ("CLAUDE_MPM_MONITOR_URL", format!("http://{host}:{port}"));
        let by_port = |name: &'static str| (name, port.clone());
        let host = |name: &'static str| (name, "localhost".to_owned());
        let cases = [
            vec![],
            vec![url("localhost")],
            vec![url("127.0.0.1")],
            vec![url("[::1]")],
            vec![url("0.0.0.0")],
            vec![url("127.1")],
            vec![by_port("CLAUDE_MPM_MONITOR_PORT")],
            vec![by_port("CLAUDE_MPM_MONITOR_PORT"), host("CLAUDE_MPM_MONITOR_HOST")],
            vec![by_port("CLAUDE_MPM_MONITOR_PORT"), ("CLAUDE_MPM_MONITOR_TOKEN", "x".repeat(40))],
            vec![by_port("CLAUDE_MPM_SOCKETIO_PORT")],
            vec![by_port("CLAUDE_MPM_SOCKETIO_PORT"), host("CLAUDE_MPM_SOCKETIO_HOST")],
            vec![by_port("CLAUDE_MPM_SERVER_PORT")],
            vec![by_port("CLAUDE_MPM_SERVER_PORT"), host("CLAUDE_MPM_SERVER_HOST")],
        ];
        for (number, variables) in cases.iter().enumerate() {
            let variables: Vec<_> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
            hook(gone.home(), &variables, &prompt("s-1", PRIVATE));
            squatter.assert_asked_nothing(&format!("{variables:?}"));
            assert_eq!(spooled(gone.home()).len(), number + 1, "{variables:?}: it is kept");
        }
    }
}

#[test]
fn a_crashed_monitor_s_runfile_leads_no_verb_to_who_has_its_port() {
    let crashed = guarded().crash();
    let runfile = fs::read_dir(crashed.home().join("monitor/run")).expect("a crash leaves its runfile");
    let names: Vec<_> = runfile.map(|entry| entry.expect("an entry").file_name()).collect();
    let port: u16 = names
        .iter()
        .find_map(|name| name.to_str()?.strip_suffix(".json")?.parse().ok())
        .expect("a crash leaves its runfile");
    let squatter = Squatter::on(port);
    let line = crashed.home().join("events.jsonl");
    fs::write(&line, format!("{}\n", prompt("s-1", PRIVATE))).expect("a file can be written");
    let line = line.to_str().expect("text");
    let verbs: &[&[&str]] = &[
        &["status"],
        &["status", "--verbose"],
        &["health"],
        &["health", "--websocket"],
        &["diagnose"],
        &["list"],
        &["tail", "--no-follow"],
        &["export", "--output", "-"],
        &["import", line],
        &["open"],
        &["open", "--session", "s-1"],
        &["token", "link"],
        &["token", "rotate"],
        &["demo"],
        &["run", "--", "echo", PRIVATE],
        &["restart"],
        &["start"],
        &["stop"],
    ];
    let port = port.to_string();
    for verb in verbs {
        for with_port in [true, false] {
            let mut command = our(crashed.home(), "claude-mpm-monitor");
            // Those that start one must not find another port free.
            command.env("CLAUDE_MPM_SOCKETIO_PORT", &port).arg(verb[0]);
            let takes_port = !["list", "token"].contains(&verb[0]);
            if with_port && takes_port {
                command.args(["--port", &port]);
            }
            let done = output(command.args(&verb[1..]), b"");
            squatter.assert_told_nothing(&format!("{verb:?}: {done:?}"));
        }
    }
}

#[test]
fn nothing_leads_to_a_monitor_s_port_any_more_when_it_gives_it_up() {
    let monitor = Monitor::start();
    let (port, home) = (monitor.port(), monitor.home().to_owned());
    // It waits a while for the rest of this, and has given up its port by then.
    let mut unfinished = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
    let head = "POST /api/events HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9\r\n\r\n{";
    unfinished.write_all(head.as_bytes()).expect("it reads");
    // Once it has answered this, it has begun to read the other.
    monitor.assert_healthy();
    let mut stopping = start(&home, &["stop", "--port", &port.to_string()]);
    let squatter = Squatter::on(port);
    for variables in [&[][..], &[("CLAUDE_MPM_MONITOR_PORT", port.to_string().as_str())]] {
        hook(&home, variables, &prompt("s-1", PRIVATE));
        let status = output(our(&home, "claude-mpm-monitor").arg("status"), b"");
        squatter.assert_told_nothing(&format!("while it ends: {status:?}"));
    }
    drop(unfinished);
    assert!(stopping.wait().expect("a child can be waited for").success());
    squatter.assert_told_nothing("when it has ended");
    assert!(!spooled(&home).is_empty(), "the hooks kept what they had");
}

/// A program that says something, then runs a hook, each when it is told to.
fn talker(home: &Path) -> (PathBuf, impl Fn(u32)) {
    let script = home.join("talker");
    let step = |number: u32| home.join(format!("step-{number}"));
    let hook = program("claude-mpm-hook");
    let body = (1..=2).map(|number| {
        let payload = prompt(&format!("of-a-hook-{number}"), PRIVATE);
        let (step, hook) = (step(number), hook.display());
        format!(
            "until [ -e {} ]; do sleep 0.01; done\necho '{PRIVATE} {number}'\necho '{payload}' | {hook}\necho {number}\n",
            step.display()
        )
    });
    let text = format!("#!/bin/sh\n{}", body.collect::<String>());
    fs::write(&script, text).expect("a file can be written");
    let home = home.to_owned();
    (script, move |number| {
        fs::write(home.join(format!("step-{number}")), "").expect("a file can be written");
    })
}

#[test]
fn run_tells_its_program_s_words_and_its_hooks_to_this_user_s_monitors_alone() {
    let monitor = guarded();
    let (port, home) = (monitor.port(), monitor.home().to_owned());
    let (script, go) = talker(&home);
    let mut launcher = our(&home, "claude-mpm-monitor");
    launcher.args(["run", "--port", &port.to_string(), "--", "sh"]).arg(script);
    // For another machine's monitor; the program's hooks must not take it for the word that leads them.
    launcher.env("CLAUDE_MPM_MONITOR_TOKEN", "x".repeat(40));
    let mut launched =
        launcher.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("it can be started");
    let mut shown = BufReader::new(launched.stdout.take().expect("piped")).lines().map_while(Result::ok);
    wait_until("the program is told of", || stored(&monitor).contains("session.start"));
    let gone = monitor.stop();
    let squatter = Squatter::on(port);
    go(1);
    assert!(shown.any(|line| line == "1"), "the program goes on");
    assert_eq!(spooled(&home).len(), 1, "what its hook had is kept");

    // It comes back elsewhere.
    let moved = Monitor::start_with(gone.shared_home(), &[]);
    go(2);
    assert!(shown.any(|line| line == "2"), "the program goes on");
    assert!(launched.wait().expect("a child can be waited for").success());
    squatter.assert_asked_nothing("after the program's end");
    moved.wait_for_spool();
    let stored = stored(&moved);
    let said = [1, 2].map(|number| format!("{PRIVATE} {number}"));
    for what in ["of-a-hook-1", "of-a-hook-2", &said[0], &said[1], "session.end"] {
        assert!(stored.contains(what), "{what} is told to the monitor that took its place: {stored}");
    }
    assert!(!stored.contains("skipped_bytes"), "what was said in between waited: {stored}");
}

#[test]
fn an_import_that_outlives_its_monitor_goes_nowhere_else() {
    let monitor = guarded();
    let (port, home) = (monitor.port(), monitor.home().to_owned());
    let mut import = start(&home, &["import", "--port", &port.to_string(), "-"]);
    let mut lines = import.stdin.take().expect("piped");
    // A group, and one more.
    for number in 0..501 {
        writeln!(lines, "{}", prompt(&format!("s-{number}"), PRIVATE)).expect("it reads");
    }
    lines.flush().expect("it reads");
    wait_until("the first group is stored", || stored(&monitor).contains("s-499"));
    drop(monitor.stop());
    let squatter = Squatter::on(port);
    drop(lines);
    let ended = import.wait_with_output().expect("a child can be waited for");
    squatter.assert_asked_nothing("after the import");
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert!(!ended.status.success() && said.contains("it has ended"), "{said}");
}

#[test]
fn an_export_that_outlives_its_monitor_asks_nobody_else() {
    let monitor = guarded();
    let (port, home) = (monitor.port(), monitor.home().to_owned());
    let token = format!("Bearer {}", monitor.control_token());
    let events: Vec<String> =
        (0..1200).map(|number| prompt(&format!("s-{number}"), &"word ".repeat(200))).collect();
    let headers = [("authorization", token.as_str()), ("content-type", "application/x-ndjson")];
    assert_eq!(monitor.post_with("/api/events", &headers, events.join("\n")).status, 200);
    // It waits for its reader long before its last page.
    let mut export = start(&home, &["export", "--port", &port.to_string(), "--output", "-"]);
    let mut pages = export.stdout.take().expect("piped");
    pages.read_exact(&mut [0; 1024]).expect("it begins");
    drop(monitor.stop());
    let squatter = Squatter::on(port);
    let mut rest = Vec::new();
    pages.read_to_end(&mut rest).expect("it ends");
    let ended = export.wait_with_output().expect("a child can be waited for");
    squatter.assert_asked_nothing("after the export");
    assert!(!ended.status.success(), "half an export is none: {ended:?}");
}

#[test]
fn a_demo_that_outlives_its_monitor_goes_nowhere_else() {
    let monitor = guarded();
    let (port, home) = (monitor.port(), monitor.home().to_owned());
    let mut demo = start(&home, &["demo", "--port", &port.to_string(), "--speed", "4"]);
    wait_until("it has begun", || stored(&monitor).contains("SessionStart"));
    drop(monitor.stop());
    let squatter = Squatter::on(port);
    assert!(!demo.wait().expect("a child can be waited for").success());
    squatter.assert_asked_nothing("after the demo");
}

#[test]
fn who_follows_a_monitor_asks_nobody_else_for_it() {
    let monitor = guarded();
    let (port, home) = (monitor.port(), monitor.home().to_owned());
    let mut tail = start(&home, &["tail", "--port", &port.to_string(), "--session", "s-1"]);
    let crashed = monitor.crash();
    let squatter = Squatter::on(port);
    let mut said = BufReader::new(tail.stderr.take().expect("piped")).lines().map_while(Result::ok);
    // Or it has come too late to find it at all.
    let ends = said.any(|line| line.contains("is gone") || line.contains("not running"));
    squatter.assert_told_nothing("after the crash");
    assert!(ends, "it notices");
    let moved = Monitor::start_with(crashed.shared_home(), &[]);
    squatter.assert_told_nothing("while another one runs elsewhere");
    drop(moved);
    tail.kill().and_then(|()| tail.wait()).expect("a child can be ended");
}

#[test]
fn what_one_monitor_passes_on_to_another_reaches_nobody_else() {
    let home = Arc::new(TempDir::new().expect("a temporary folder can be made"));
    let (here, there) = (Monitor::start_with(&home, &[]), Monitor::start_with(&home, &[]));
    let port = there.port();
    let mut viewer = WebSocket::connect(&here);
    viewer.send(&json!({"command": "subscribe", "channels": ["*"], "instance": port}));
    viewer.message("subscribed");
    drop(there.crash());
    let squatter = Squatter::on(port);
    assert_eq!(viewer.message("error")["data"]["code"], "instance_gone");
    for command in ["get_status", "get_history"] {
        viewer.send(&json!({"command": command, "instance": port}));
        assert_eq!(viewer.message("error")["data"]["code"], "unknown_instance", "{command}");
    }
    viewer.send(&json!({"command": "publish", "instance": port, "event": {"kind": "x", "payload": {"text": PRIVATE}}}));
    assert_eq!(viewer.message("error")["data"]["code"], "unknown_instance");
    for route in ["health", "api/events?q=private", "api/sessions"] {
        let reply = here.get(&format!("/instances/{port}/{route}"));
        assert_eq!(reply.json()["code"], "unknown_instance", "{route}");
    }
    let origin = here.url();
    for order in ["stop", "restart"] {
        let reply = here.post_with(&format!("/api/instances/{port}/{order}"), &[("origin", &origin)], "");
        assert_eq!(reply.json()["code"], "unknown_instance", "{order}");
    }
    here.get("/api/instances");
    here.get("/api/legacy");
    squatter.assert_told_nothing("after every way to pass something on");
}

/// Where IPv6 came later than the monitor, the other half of `localhost` is somebody else's.
#[cfg(target_os = "linux")]
#[test]
fn the_address_that_a_monitor_could_not_have_is_told_nothing() {
    let home = TempDir::new().expect("a temporary folder can be made");
    fs::write(home.path().join("socketio_config.json"), r#"{"require_token":true}"#)
        .expect("a file can be written");
    let faults = e2e::Faults::none();
    faults.switch_off_ipv6();
    let monitor = Monitor::start_with_faults(home, &faults);
    let port = monitor.port().to_string();
    let squatter = Squatter::at(&[std::net::Ipv6Addr::LOCALHOST.into()], monitor.port());
    let url = |host: &str| ("CLAUDE_MPM_MONITOR_URL", format!("http://{host}:{port}"));
    let by_port = |name: &'static str| (name, port.clone());
    let cases = [
        vec![],
        vec![url("localhost")],
        vec![url("127.0.0.1")],
        vec![url("[::1]")],
        vec![by_port("CLAUDE_MPM_MONITOR_PORT")],
        vec![by_port("CLAUDE_MPM_MONITOR_PORT"), ("CLAUDE_MPM_MONITOR_HOST", "::1".to_owned())],
        vec![by_port("CLAUDE_MPM_SOCKETIO_PORT"), ("CLAUDE_MPM_SOCKETIO_HOST", "localhost".to_owned())],
        vec![by_port("CLAUDE_MPM_SERVER_PORT")],
    ];
    for (number, variables) in cases.iter().enumerate() {
        let variables: Vec<_> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let session = format!("of-a-hook-{number}");
        hook(monitor.home(), &variables, &prompt(&session, PRIVATE));
        monitor.wait_for_spool();
        squatter.assert_asked_nothing(&format!("{variables:?}"));
        assert!(stored(&monitor).contains(&session), "{variables:?}: it reaches the monitor");
    }
    let file = monitor.home().join("events.jsonl");
    fs::write(&file, format!("{}\n", prompt("imported", PRIVATE))).expect("a file can be written");
    let file = file.to_str().expect("text");
    let verbs: &[&[&str]] = &[
        &["status"],
        &["status", "--verbose"],
        &["list"],
        &["health"],
        &["health", "--websocket"],
        &["diagnose"],
        &["export", "--output", "-"],
        &["tail", "--no-follow"],
        &["import", file],
        &["open"],
        &["token", "link"],
        &["run", "--", "echo", PRIVATE],
        &["start"],
        &["demo", "--speed", "1000"],
    ];
    let [mut named, mut wrong] = [0, 0];
    for verb in verbs {
        let mut command = our(monitor.home(), "claude-mpm-monitor");
        command.env("CLAUDE_MPM_SOCKETIO_PORT", &port).args(*verb);
        let done = output(&mut command, b"");
        squatter.assert_told_nothing(&format!("{verb:?}: {done:?}"));
        let said = String::from_utf8_lossy(&done.stdout).into_owned();
        named += said.matches(&format!("127.0.0.1:{port}")).count();
        wrong += said.matches(&format!("localhost:{port}")).count();
    }
    assert!(named > 2 && wrong == 0, "people are led to the monitor's own address: {named}, {wrong}");
    let stopped = output(our(monitor.home(), "claude-mpm-monitor").args(["stop", "--port", &port]), b"");
    assert!(stopped.status.success(), "{stopped:?}");
    squatter.assert_told_nothing("after the stop");
}

#[test]
fn a_program_that_wants_a_whole_port_of_this_machine_gets_it_or_none() {
    let port = free_port();
    let held = std::net::TcpListener::bind(("::1", port)).expect("this test needs the IPv6 loopback");
    let home = TempDir::new().expect("a temporary folder can be made");
    for host in ["localhost", "0.0.0.0"] {
        let mut command = our(home.path(), "claude-mpm-monitor");
        let refused = output(command.args(["start", "--host", host, "--port", &port.to_string()]), b"");
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(!refused.status.success() && said.contains("already in use"), "{host}: {said}");
    }
    drop(held);
    let taken = everywhere();
    for host in ["127.0.0.1", "::1"] {
        let other = std::net::TcpListener::bind((host, taken.port()));
        assert!(other.is_err(), "nobody else has {host} while a monitor listens everywhere");
    }
}
