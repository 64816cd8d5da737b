//! Launched programs: in a real terminal, beside the same program without us.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use client::{Part, Query};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};
use serde_json::Value;

use crate::support::{Desk, Ran, free_port, wait_for};

/// A program in a terminal that a test holds.
pub(crate) struct Terminal {
    master: File,
    child: Child,
    shown: Arc<Mutex<Vec<u8>>>,
    reader: Option<JoinHandle<()>>,
}

impl Terminal {
    /// Starts `line` as the leader of a session in a new terminal.
    pub(crate) fn start(desk: &Desk, line: &[&str]) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap();
        let path = Path::new(std::ffi::OsStr::from_bytes(name.to_bytes()));
        let slave = OpenOptions::new().read(true).write(true).open(path).unwrap();
        let mut command = desk.command("in-terminal");
        // Who runs the tests in a shell's background makes them ignore Ctrl-C, and a shell cannot undo that.
        command.args(["/usr/bin/env", "env", "--default-signal=INT,QUIT"]).args(line);
        command.stdin(slave.try_clone().unwrap()).stdout(slave.try_clone().unwrap()).stderr(slave);
        // Before a program could be told of it as of a change.
        resize(&master, 80, 24);
        let (master, child) = (File::from(master), command.spawn().unwrap());
        // Nobody but the programs in it keeps it open.
        drop(command);
        let mut terminal = Self { master, child, shown: Arc::default(), reader: None };
        let (mut from, shown) = (terminal.master.try_clone().unwrap(), terminal.shown.clone());
        terminal.reader = Some(thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(length @ 1..) = from.read(&mut buffer) {
                shown.lock().unwrap().extend_from_slice(&buffer[..length]);
            }
        }));
        terminal
    }

    fn resize(&self, columns: u16, rows: u16) {
        resize(&self.master, columns, rows);
    }

    fn shown(&self) -> String {
        String::from_utf8_lossy(&self.shown.lock().unwrap()).into_owned()
    }

    /// Waits until what runs in it has stopped, and says whether the terminal takes whole lines meanwhile.
    fn stopped(&self) -> bool {
        let pid = Pid::from_raw(self.child.id().cast_signed()).unwrap();
        let options = WaitIdOptions::STOPPED | WaitIdOptions::NOHANG;
        let found = wait_for(|| waitid(WaitId::Pid(pid), options).unwrap());
        assert!(found.is_some(), "it does not stop: {:?}", self.shown());
        tcgetattr(&self.master).unwrap().local_modes.contains(LocalModes::ICANON)
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_raw(self.child.id().cast_signed()).unwrap(), signal).unwrap();
    }

    /// Everything that was shown, once nobody can show anything any more.
    pub(crate) fn shown_whole(&mut self) -> String {
        self.reader.take().unwrap().join().unwrap();
        self.shown()
    }

    #[track_caller]
    fn wait_for(&self, text: &str) {
        let found = wait_for(|| self.shown().contains(text).then_some(()));
        assert!(found.is_some(), "{text:?} is never shown: {:?}", self.shown());
    }

    fn type_in(&mut self, text: &str) {
        self.master.write_all(text.as_bytes()).unwrap();
    }

    pub(crate) fn ended(&mut self) -> ExitStatus {
        wait_for(|| self.child.try_wait().unwrap())
            .unwrap_or_else(|| panic!("it does not end: {:?}", self.shown()))
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // One that has ended cannot be killed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn resize(master: impl AsFd, columns: u16, rows: u16) {
    tcsetwinsize(master, Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
}

/// A program made of this shell script.
fn script(desk: &Desk, text: &str) -> PathBuf {
    let path = desk.path("program");
    fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
    fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    path
}

/// A script that can rest with `wait` until a signal comes, and starts nothing meanwhile: the shell loses a signal that
/// comes while it starts something.
fn resting_script(desk: &Desk, text: &str) -> PathBuf {
    let something = r#"sleep 600 </dev/null >/dev/null 2>&1 & trap "kill $!" EXIT"#;
    script(desk, &format!("{something}\n{text}"))
}

const MONITOR: &str = env!("CARGO_BIN_EXE_claude-mpm-monitor");

/// The events of all runs on the desk's monitor, oldest first.
fn told(desk: &Desk) -> Vec<Value> {
    let query = Query { payload: true, ..Query::default() };
    let page = desk.wait_for_ours(desk.port).monitor().history(&query, Part::Newest, 1000).unwrap();
    page.events.iter().map(|event| serde_json::to_value(event).unwrap()).collect()
}

fn kinds(told: &[Value]) -> Vec<String> {
    told.iter()
        .map(|event| match event["payload"]["status"].as_str() {
            Some(status) if event["kind"] == "claude.status" => format!("claude.status {status}"),
            _ => event["kind"].as_str().unwrap().to_owned(),
        })
        .collect()
}

/// Plays with a program in a terminal: types, resizes, interrupts.
fn play(desk: &Desk, line: &[&str]) -> (String, ExitStatus) {
    let mut terminal = Terminal::start(desk, line);
    terminal.wait_for("name?");
    terminal.type_in("Ada\r");
    terminal.wait_for("hello Ada");
    terminal.wait_for("waiting");
    terminal.resize(100, 30);
    terminal.wait_for("resized 30 100");
    terminal.type_in("\u{3}");
    terminal.wait_for("interrupted");
    let status = terminal.ended();
    (terminal.shown_whole(), status)
}

#[test]
fn in_a_terminal_a_program_is_the_same_as_without_us() {
    let desk = Desk::new();
    let program = resting_script(
        &desk,
        r#"trap 'echo resized $(stty size); seen=1' WINCH
           trap 'echo interrupted; exit 7' INT
           stty size >/dev/null && [ -t 0 ] && [ -t 1 ] && [ -t 2 ] || exit 99
           printf '\033[1;31mname?\033[0m \007'
           read name
           printf 'hello %s\r\n\342\202\254 \033[2K\033[1A\n' "$name"
           echo waiting
           while :; do wait; done"#,
    );
    let program = program.to_str().unwrap();
    let bare = play(&desk, &[program]);
    assert_eq!(bare.1.code(), Some(7), "{bare:?}");
    let (_server, _) = desk.serve("--no-browser", desk.port);
    let launched = play(&desk, &[MONITOR, "run", "--", program]);
    assert_eq!(launched, bare);
    let told = told(&desk);
    let kinds = kinds(&told);
    assert_eq!(kinds[..3], ["session.start", "claude.status starting", "claude.status running"]);
    assert_eq!(kinds[kinds.len() - 2..], ["claude.status stopped", "session.end"]);
    assert_eq!(told.last().unwrap()["payload"]["result"]["code"], 7);
    let outputs: Vec<&Value> = told.iter().filter(|event| event["kind"] == "claude.output").collect();
    let content: String = outputs.iter().map(|event| event["payload"]["content"].as_str().unwrap()).collect();
    let left = "name? Ada\nhello Ada\nwaiting\nresized 30 100\n^Cinterrupted\n";
    assert_eq!(content, left, "told is what is left on the screen");
    let instance = &told[0]["payload"]["instance_info"];
    assert_eq!(instance["port"], desk.port);
    assert!(
        told.iter().all(|event| event["source"] == "run" && event["session_id"] == told[0]["session_id"])
    );
}

#[test]
fn of_a_screen_that_is_drawn_over_and_over_only_what_stays_is_told() {
    let desk = Desk::new();
    let (_server, _) = desk.serve("--no-browser", desk.port);
    // Draws as Claude Code does while it thinks, until the test has seen what stood above it.
    let program = script(
        &desk,
        r#"echo 'I read the code'
           turn=0
           while [ ! -e "$HOME/told" ]; do
             turn=$((turn + 1))
             printf '\033[2K\r* Thinking %s' $turn
             sleep 0.02
           done
           printf '\033[2K\rI have changed it\n'"#,
    );
    let mut terminal = Terminal::start(&desk, &[MONITOR, "run", "--", program.to_str().unwrap()]);
    let outputs = || {
        let told = told(&desk).into_iter().filter(|event| event["kind"] == "claude.output");
        told.map(|event| event["payload"]["content"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert!(wait_for(|| (!outputs().is_empty()).then_some(())).is_some(), "{:?}", terminal.shown());
    fs::write(desk.path("told"), "").unwrap();
    assert_eq!(terminal.ended().code(), Some(0));
    assert!(terminal.shown_whole().contains("Thinking 9"), "each picture is shown");
    assert_eq!(outputs(), ["I read the code\n", "I have changed it\n"]);
}

#[test]
fn a_program_that_stops_itself_gives_the_terminal_back_and_goes_on_with_us() {
    let desk = Desk::new();
    // Raw mode, as Claude Code sets it; then what it does at Ctrl-Z, and what it does when it is continued.
    let program = resting_script(
        &desk,
        r#"trap 'stty -icanon -echo; echo continued $(stty size); seen=1' CONT
           trap 'echo told; exit 4' USR1
           stty -icanon -echo
           echo suspended
           stty icanon echo
           kill -STOP $$
           while [ -z "$seen" ]; do wait; done
           read name
           echo "hello $name"
           while :; do wait; done"#,
    );
    let program = program.to_str().unwrap();
    let play = |line: &[&str]| {
        let mut terminal = Terminal::start(&desk, line);
        assert!(terminal.stopped(), "the shell's own modes");
        // Whoever is stopped says no more: what is shown now was said before.
        terminal.wait_for("suspended");
        terminal.resize(90, 20);
        terminal.signal(Signal::CONT);
        terminal.wait_for("continued 20 90");
        terminal.type_in("Ada\n");
        terminal.wait_for("hello Ada");
        terminal.signal(Signal::USR1);
        terminal.wait_for("told");
        let status = terminal.ended();
        (terminal.shown_whole(), status.code())
    };
    let bare = play(&[program]);
    assert_eq!(bare.1, Some(4), "{bare:?}");
    let (_server, _) = desk.serve("--no-browser", desk.port);
    assert_eq!(play(&[MONITOR, "run", "--", program]), bare);
}

#[test]
fn a_flood_in_a_terminal_is_shown_whole() {
    const LINES: usize = 1_200_000;
    let desk = Desk::new();
    let (_server, _) = desk.serve("--no-browser", desk.port);
    let text = format!(
        "yes 'a line of output that is shown in a terminal, again and again, as fast as it goes' | head -n {LINES}
         grep VmHWM /proc/$PPID/status"
    );
    let program = script(&desk, &text);
    let mut terminal = Terminal::start(&desk, &[MONITOR, "run", program.to_str().unwrap()]);
    assert_eq!(terminal.ended().code(), Some(0));
    let shown = terminal.shown_whole();
    assert_eq!(shown.lines().filter(|line| line.starts_with("a line")).count(), LINES);
    let peak = shown.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let peak_kib: u64 = peak.split_whitespace().next().unwrap().parse().unwrap();
    assert!(peak_kib < 100 * 1024, "the launcher held {peak_kib} KiB");
}

#[test]
fn the_result_of_a_program_is_ours_code_or_signal() {
    let desk = Desk::new();
    let (_server, _) = desk.serve("--no-browser", desk.port);
    let run = |text: &str| {
        let program = script(&desk, text);
        let mut command = desk.command("run --launch-method subprocess --");
        command.arg(program).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.output().unwrap()
    };
    assert_eq!(run("exit 0").status.code(), Some(0));
    assert_eq!(run("exit 42").status.code(), Some(42));
    assert_eq!(run("kill -TERM $$").status.signal(), Some(15));
    assert_eq!(run("kill -KILL $$").status.signal(), Some(9));
    let output = run("echo out; echo err >&2; exit 3");
    assert_eq!((output.stdout.as_slice(), output.stderr.as_slice()), (&b"out\n"[..], &b"err\n"[..]));
    let told = told(&desk);
    let streams: Vec<_> = told.iter().filter_map(|event| event["payload"]["stream"].as_str()).collect();
    assert!(streams.contains(&"stdout") && streams.contains(&"stderr"), "{streams:?}");
    let ran = desk.run("run -- no-such-program");
    assert_eq!(ran.code, Some(127));
    assert!(ran.err.starts_with("Error: there is no program no-such-program on your PATH"), "{ran:?}");
}

#[test]
fn in_a_terminal_a_signal_ends_us_as_it_ends_the_program() {
    let desk = Desk::new();
    let (_server, _) = desk.serve("--no-browser", desk.port);
    let program = script(&desk, "echo ready; while :; do sleep 0.05; done");
    let mut terminal = Terminal::start(&desk, &[MONITOR, "run", program.to_str().unwrap()]);
    terminal.wait_for("ready");
    terminal.signal(Signal::TERM);
    assert_eq!(terminal.ended().signal(), Some(15));
    assert_eq!(told(&desk).last().unwrap()["payload"]["result"]["signal"], 15);
}

#[test]
fn a_flood_of_output_passes_whole_and_what_is_not_told_is_counted() {
    const BYTES: usize = 100_000_000;
    let desk = Desk::new();
    let (_server, _) = desk.serve("--no-browser", desk.port);
    let program = script(
        &desk,
        &format!("yes 'a line of output that repeats' | head -c {BYTES}; grep VmHWM /proc/$PPID/status >&2"),
    );
    let mut command = desk.command("run --");
    let output = command.arg(program).stdout(Stdio::piped()).stderr(Stdio::piped()).output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(output.stdout.len(), BYTES);
    let peak = String::from_utf8(output.stderr).unwrap();
    let peak_kib: u64 = peak.split_whitespace().nth(1).unwrap().parse().unwrap();
    assert!(peak_kib < 100 * 1024, "the launcher held {peak_kib} KiB");
    let told = told(&desk);
    let count = |event: &Value| {
        let payload = &event["payload"];
        if payload["stream"] != "stdout" {
            return 0;
        }
        payload["content"].as_str().unwrap().len() + payload["skipped_bytes"].as_u64().unwrap_or(0) as usize
    };
    let counted: usize = told.iter().map(count).sum();
    assert!(counted <= BYTES && counted > 0);
    assert!(told.iter().any(|event| event["payload"]["skipped_bytes"].as_u64() > Some(0)));
    assert_eq!(kinds(&told).last().unwrap(), "session.end");
}

#[test]
fn a_monitor_is_started_when_none_runs_and_hooks_are_led_to_it() {
    let desk = Desk::new();
    let port = free_port();
    let program =
        script(&desk, "echo $CLAUDE_MPM_MONITOR_URL $CLAUDE_MPM_SOCKETIO_PORT $CLAUDE_MPM_SERVER_PORT");
    let mut command = desk.command(&format!("run --websocket --websocket-port {port} --"));
    let ran = Ran::from(command.arg(&program).output().unwrap());
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(ran.out, format!("http://localhost:{port} {port} {port}\n"));
    assert_eq!(ran.err, "");
    assert!(!desk.is_free(port), "it stays");
    assert_eq!(desk.run(&format!("stop --port {port}")).code, Some(0));
}

#[test]
fn exec_announces_the_program_and_becomes_it() {
    let desk = Desk::new();
    let (_server, _) = desk.serve("--no-browser", desk.port);
    let program = script(&desk, "echo $$; exit 5");
    let mut command = desk.command("run --launch-method exec --");
    let child = command.arg(program).stdout(Stdio::piped()).spawn().unwrap();
    let pid = child.id();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(5));
    assert_eq!(String::from_utf8(output.stdout).unwrap().trim(), pid.to_string(), "it is the same process");
    let told = told(&desk);
    assert_eq!(kinds(&told), ["session.start", "claude.status starting", "claude.status running"]);
    assert_eq!(told[0]["payload"]["launch_method"], "exec");
    assert_eq!(told[2]["payload"]["pid"], pid);
}

#[test]
fn delegations_and_todos_on_the_screen_are_told() {
    let desk = Desk::new();
    let (_server, _) = desk.serve("--no-browser", desk.port);
    let program = script(&desk, "printf '● Task(Find the bug)\\n  ⎿  ☒ Read\\n     ☐ Write\\n\\ndone\\n'");
    let status = desk.command("run --").arg(program).stdout(Stdio::null()).status().unwrap();
    assert_eq!(status.code(), Some(0));
    let told = told(&desk);
    let of = |kind: &str| told.iter().find(|event| event["kind"] == kind).unwrap_or_else(|| panic!("{kind}"));
    assert_eq!(of("agent.delegation")["payload"]["task"], "Find the bug");
    assert_eq!(of("todo.update")["payload"]["stats"]["total"], 2);
}

#[test]
fn find_port_names_a_free_port_and_knows_a_taken_one() {
    let desk = Desk::new();
    let listener = std::net::TcpListener::bind(("127.0.0.1", desk.port)).unwrap();
    let ran = desk.run(&format!("find-port {}", desk.port));
    assert_eq!((ran.code, ran.out.as_str()), (Some(1), "IN USE\n"));
    drop(listener);
    let ran = desk.run(&format!("find-port {}", desk.port));
    assert_eq!((ran.code, ran.out.as_str()), (Some(0), "AVAILABLE\n"));
    let ran = desk.run("find-port");
    let port: u16 = ran.out.trim().parse().unwrap();
    assert!((8765..8865).contains(&port), "{ran:?}");
    assert_eq!(desk.run("find-port 0").code, Some(2));
}

#[test]
fn programs_on_different_ports_tell_each_its_own_monitor() {
    let desk = Desk::new();
    let ports = [desk.port, free_port(), free_port()];
    let servers: Vec<_> = ports.iter().map(|port| desk.serve(&format!("--port {port}"), *port)).collect();
    let programs: Vec<Child> = ports
        .iter()
        .map(|port| {
            let mut command = desk.command(&format!("run --port {port} -- sh -c"));
            command.arg("echo to $CLAUDE_MPM_SERVER_PORT").stdout(Stdio::piped()).spawn().unwrap()
        })
        .collect();
    for (program, port) in programs.into_iter().zip(ports) {
        let shown = String::from_utf8(program.wait_with_output().unwrap().stdout).unwrap();
        assert_eq!(shown, format!("to {port}\n"));
    }
    for ((_, running), port) in servers.iter().zip(ports) {
        let query = Query { payload: true, ..Query::default() };
        let page = running.monitor().history(&query, Part::Newest, 1000).unwrap();
        let told: Vec<Value> = page.events.iter().map(|event| serde_json::to_value(event).unwrap()).collect();
        assert_eq!(kinds(&told).iter().filter(|kind| *kind == "session.start").count(), 1, "{port}");
        assert!(told.iter().all(|event| event["payload"]["instance_info"]["port"] == port), "{port}");
    }
}
