//! Claims about events that a hook can neither hand over nor keep: it ends well all the same, and what is lost is counted
//! and told, whatever kept it from being kept.
#![cfg(unix)]

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use e2e::{Monitor, PATIENCE, has_other_users, hook, output, program, prompt, settle};
use protocol::paths::Home;
use serde_json::Value;
use tempfile::TempDir;

/// A port that nobody serves: with it, a hook spools even while the server runs.
const NOBODY: (&str, &str) = ("CLAUDE_MPM_MONITOR_PORT", "1");

/// Another user than the one who runs this.
const SOMEBODY: u32 = 54_321;

/// How long to rest between two looks.
const POLL: Duration = Duration::from_millis(10);

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn refused(monitor: &Monitor) -> u64 {
    monitor.assert_healthy()["spool"]["refused"].as_u64().expect("a number")
}

/// Waits until the monitor says, or does not say any more, that hooks cannot use the spool.
#[track_caller]
fn wait_for_problem(monitor: &Monitor, is_there: bool) -> String {
    let start = Instant::now();
    loop {
        let health = monitor.assert_healthy();
        let problem = &health["spool"]["problem"];
        if problem.is_string() == is_there {
            return problem.as_str().unwrap_or_default().to_owned();
        }
        assert!(start.elapsed() < PATIENCE, "{health}");
        std::thread::sleep(POLL);
    }
}

#[test]
fn where_no_file_may_grow_a_hook_ends_well_and_its_loss_is_told() {
    let crashed = Monitor::start().stop();
    for stdin in [prompt("s-1", "lost"), prompt("s-2", &"long ".repeat(10_000))] {
        for limit in ["0", "1"] {
            let mut limited = Command::new("sh");
            limited.args(["-c", &format!("ulimit -f {limit}; exec \"$0\"")]).arg(program("claude-mpm-hook"));
            settle(&mut limited, crashed.home());
            let done = output(&mut limited, stdin.as_bytes());
            assert_eq!(done.status.code(), Some(0), "{limit}: {done:?}");
            assert!(done.stdout.is_empty() && done.stderr.is_empty(), "{limit}: {done:?}");
        }
    }
    let monitor = crashed.restart();
    monitor.wait_for_spool();
    // A limit of one block has room for the first of the two.
    let stored = monitor.events("session=s-1").events.len() as u64;
    assert!(stored <= 1 && monitor.events("session=s-2").events.is_empty());
    assert_eq!(refused(&monitor), 4 - stored, "each is stored, or counted as lost");
}

/// A shell's commands in a mount namespace of their own, where they may mount what they like.
fn mounting(home: &Path, script: &str) -> Output {
    let mut unshare = Command::new("unshare");
    // Only root may do so as he is.
    if !has_other_users() {
        unshare.arg("--map-root-user");
    }
    unshare.args(["--mount", "sh", "-euc", script]);
    unshare.args(["sh", program("claude-mpm-monitor").to_str().expect("text")]);
    unshare.arg(program("claude-mpm-hook")).args([prompt("s-1", "lost"), e2e::free_port().to_string()]);
    settle(&mut unshare, home);
    output(&mut unshare, b"")
}

#[cfg(target_os = "linux")]
#[test]
fn on_a_full_disk_every_lost_event_is_counted_and_told_once_there_is_room() {
    let fill = "dd if=/dev/zero of=\"$CLAUDE_MPM_HOME/fill\" bs=4096 2>/dev/null || true";
    let lose = "for n in 1 2 3; do echo \"$3\" | \"$2\" || echo \"a hook ended with $?\"; done";
    // A home that nobody used yet; one that a monitor made; one where a loss was counted before.
    let befores = [
        ":",
        "\"$1\" start --port \"$4\" >/dev/null; \"$1\" stop --port \"$4\" >/dev/null",
        "mkdir -p \"$CLAUDE_MPM_HOME/monitor/spool\"; head -c 4096 /dev/zero > \"$CLAUDE_MPM_HOME/monitor/spool/refused\"",
    ];
    for (before, counted) in befores.iter().zip([3, 3, 4099]) {
        let home = TempDir::new().expect("a temporary folder can be made");
        let script = format!(
            "mount -t tmpfs -o size=64m none \"$CLAUDE_MPM_HOME\"; {before}; {fill}; {lose}; \
             \"$1\" diagnose --port \"$4\" | grep lost; rm \"$CLAUDE_MPM_HOME/fill\"; \
             \"$1\" start --port \"$4\" >/dev/null; \"$1\" status --port \"$4\" --json; \
             \"$1\" status --port \"$4\" | grep -e Spool: -e Status:; \"$1\" stop --port \"$4\" >/dev/null"
        );
        let done = mounting(home.path(), &script);
        let said = text(&done.stdout);
        assert!(done.status.success() && !said.contains("a hook ended with"), "{before}: {done:?}");
        assert!(said.contains(&format!("neither hand over nor keep, ever: {counted}.")), "{before}: {said}");
        assert!(said.contains(&format!("\"refused\": {counted}")), "{before}: {said}");
        assert!(said.contains("Status: Running ("), "not as if nothing had happened: {before}: {said}");
        assert!(said.contains("events were lost"), "{before}: {said}");
    }
}

#[test]
fn whatever_stands_in_place_of_the_spool_is_told_and_what_it_costs_is_counted() {
    type Plant = fn(&Path);
    let file: Plant = |path| fs::write(path, "").expect("a file can be written");
    let link: Plant = |path| symlink("/tmp", path).expect("a link can be made");
    let foreign: Plant = |path| {
        fs::create_dir(path).expect("a folder can be made");
        chown(path, Some(SOMEBODY), Some(SOMEBODY)).expect("root can give files away");
    };
    let mut plants = vec![(file, "move it away"), (link, "move it away")];
    if has_other_users() {
        plants.push((foreign, "belongs to another user"));
    }
    for (plant, words) in plants {
        let monitor = Monitor::start();
        let spool = Home::at(monitor.home()).spool();
        let path = spool.display().to_string();
        hook(monitor.home(), &[NOBODY], &prompt("s-1", "kept"));
        monitor.wait_for_spool();
        fs::rename(&spool, spool.with_extension("kept")).expect("hooks have made it");
        plant(&spool);
        let problem = wait_for_problem(&monitor, true);
        assert!(problem.contains(&path) && problem.contains(words), "{problem}");
        hook(monitor.home(), &[NOBODY], &prompt("s-1", "lost"));
        assert_eq!(refused(&monitor), 1, "{words}");
        let status = text(&monitor.cli(&["status"]).stdout);
        assert!(status.contains("hooks cannot keep events") && status.contains(&path), "{status}");
        let health = monitor.cli(&["health"]);
        assert_eq!(health.status.code(), Some(1), "{health:?}");
        assert!(text(&health.stdout).contains(&problem), "{health:?}");
        let diagnosis = text(&monitor.cli(&["diagnose"]).stdout);
        assert!(diagnosis.contains("✗ Hooks cannot keep events"), "{diagnosis}");
        assert!(diagnosis.contains("move it away"), "the way out: {diagnosis}");

        fs::remove_file(&spool).or_else(|_| fs::remove_dir(&spool)).expect("it can be moved away");
        wait_for_problem(&monitor, false);
        hook(monitor.home(), &[NOBODY], &prompt("s-1", "kept"));
        monitor.wait_for_spool();
        assert_eq!(refused(&monitor), 1, "nothing more is lost");
    }
}

#[test]
fn a_spool_that_its_own_user_cannot_use_is_told() {
    if !has_other_users() {
        return;
    }
    let root = TempDir::new().expect("a temporary folder can be made");
    let home = root.path().join("home");
    fs::create_dir(&home).expect("a folder can be made");
    fs::set_permissions(root.path(), Permissions::from_mode(0o755)).expect("it is ours");
    chown(&home, Some(SOMEBODY), Some(SOMEBODY)).expect("root can give files away");
    // Where that user can run them.
    let copied = ["claude-mpm-monitor", "claude-mpm-hook"].map(|name| {
        let copy = root.path().join(name);
        fs::copy(program(name), &copy).expect("it can be copied");
        fs::set_permissions(&copy, Permissions::from_mode(0o755)).expect("it is ours");
        copy
    });
    let port = e2e::free_port().to_string();
    let run = |copy: usize, arguments: &[&str], stdin: &str| {
        let mut command = Command::new("setpriv");
        let identity = [format!("--reuid={SOMEBODY}"), format!("--regid={SOMEBODY}")];
        command.args(identity).arg("--clear-groups");
        settle(command.arg(&copied[copy]).args(arguments), &home);
        output(&mut command, stdin.as_bytes())
    };
    let start = || assert!(run(0, &["start", "--port", &port], "").status.success());
    assert!(run(1, &[], &prompt("s-1", "kept")).status.success());
    start();
    assert!(run(0, &["stop", "--port", &port], "").status.success());
    let spool = Home::at(&home).spool();
    for (number, mode) in [0o000, 0o500, 0o600].into_iter().enumerate() {
        fs::set_permissions(&spool, Permissions::from_mode(mode)).expect("root may do so");
        assert!(run(1, &[], &prompt("s-1", "lost")).status.success(), "a hook always succeeds");
        let way_out = format!("chmod 700 {}", spool.display());
        let diagnosis = text(&run(0, &["diagnose", "--port", &port], "").stdout);
        assert!(diagnosis.contains(&way_out), "{mode:03o}: {diagnosis}");
        start();
        let started = Instant::now();
        let health = loop {
            let health = run(0, &["health", "--json"], "");
            if !health.status.success() || started.elapsed() > PATIENCE {
                break health;
            }
            std::thread::sleep(POLL);
        };
        let status = text(&run(0, &["status"], "").stdout);
        assert!(run(0, &["stop", "--port", &port], "").status.success());
        let health: Value = serde_json::from_slice(&health.stdout).expect("JSON");
        let told = &health[0]["health"]["spool"];
        assert!(told["problem"].as_str().is_some_and(|problem| problem.contains(&way_out)), "{told}");
        assert_eq!(told["refused"], number + 1, "{mode:03o}: what it cost");
        assert!(status.contains(&way_out), "{mode:03o}: {status}");
    }
}
