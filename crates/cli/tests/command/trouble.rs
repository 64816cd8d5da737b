//! Homes that cannot be read or written, that have odd names, that belong to others; and a clock that goes back.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use protocol::paths::Home;
use rustix::process::Signal;

use crate::programs::python_monitor;
use crate::support::{Desk, Ran, wait_for};

/// A user without rights. Root ignores permissions, so as root the command is run as this one.
const NOBODY: u32 = 65_534;

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// The executable where every user can run it, and its command line with a home that belongs to that user.
struct Other {
    desk: Desk,
    exe: PathBuf,
}

impl Other {
    fn new() -> Self {
        let desk = Desk::new();
        fs::set_permissions(desk.path(""), Permissions::from_mode(0o755)).unwrap();
        let exe = desk.path("claude-mpm-monitor");
        fs::copy(env!("CARGO_BIN_EXE_claude-mpm-monitor"), &exe).unwrap();
        fs::create_dir_all(desk.home.folder()).unwrap();
        if is_root() {
            chown(desk.home.folder(), Some(NOBODY), Some(NOBODY)).unwrap();
        }
        Self { desk, exe }
    }

    fn command(&self, line: &str) -> Command {
        let mut command = Command::new(&self.exe);
        command
            .args(line.split_whitespace())
            .env_clear()
            .env("HOME", self.desk.path(""))
            .env("CLAUDE_MPM_HOME", self.desk.home.folder())
            .env("CLAUDE_MPM_SOCKETIO_PORT", self.desk.port.to_string())
            .current_dir("/")
            .stdin(Stdio::null());
        if is_root() {
            command.uid(NOBODY).gid(NOBODY);
        }
        command
    }

    fn run(&self, line: &str) -> Ran {
        Ran::from(self.command(line).output().unwrap())
    }

    fn set_mode(&self, path: PathBuf, mode: u32) {
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }
}

#[test]
fn a_home_that_cannot_be_read_is_an_error_and_never_taken_for_an_empty_one() {
    let other = Other::new();
    let start = other.run("start");
    assert_eq!(start.code, Some(0), "{start:?}");
    let run = other.desk.home.run();
    other.set_mode(run.clone(), 0o000);
    for line in ["status", "stop", "restart", "list", "health", "status --json"] {
        let ran = other.run(line);
        assert_eq!(ran.code, Some(1), "{line}: {ran:?}");
        let expected = format!("Error: could not read {}: Permission denied", run.display());
        assert!(ran.err.starts_with(&expected), "{line}: {ran:?}");
    }
    other.set_mode(run, 0o700);
    assert_eq!(other.run("status").code, Some(0));
    other.set_mode(other.desk.home.folder().to_owned(), 0o000);
    let ran = other.run("start");
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.err.contains("Permission denied"), "{ran:?}");
    other.set_mode(other.desk.home.folder().to_owned(), 0o700);
    assert_eq!(other.run("stop").code, Some(0));
}

#[test]
fn a_folder_that_is_closed_to_its_own_user_is_named_with_the_way_out() {
    let other = Other::new();
    assert_eq!(other.run("start").code, Some(0));
    let monitor = other.desk.home.monitor();
    other.set_mode(monitor.clone(), 0o000);
    for line in ["status", "stop", "diagnose"] {
        let ran = other.run(line);
        assert_eq!(ran.code, Some(1), "{line}: {ran:?}");
        let said = format!("{}{}", ran.out, ran.err);
        assert!(said.contains("is closed even to its own user (mode 000)"), "{line}: {ran:?}");
        assert!(said.contains(&format!("'chmod 700 {}'", monitor.display())), "the way out: {line}: {ran:?}");
    }
    other.set_mode(monitor, 0o700);
    assert_eq!(other.run("stop").code, Some(0));
}

#[test]
fn a_spool_that_cannot_be_used_is_named_by_status_with_the_way_out() {
    let other = Other::new();
    let start = other.run("start");
    assert_eq!(start.code, Some(0), "{start:?}");
    let spool = other.desk.home.spool();
    let troubles = |named: &str, way_out: &str| {
        let status = other.run("status");
        assert_eq!(status.code, Some(0), "{status:?}");
        let (first, _) = status.out.split_once("\nServer 1:\n").unwrap();
        let said =
            format!("✗ Server on port {}: hooks cannot keep events: {}", other.desk.port, spool.display());
        assert!(first.contains(&said) && first.contains(named), "{status:?}");
        assert!(first.contains(&format!("Suggestion: {way_out}")), "{status:?}");
    };
    assert!(!other.run("status").out.contains('✗'), "no hook ever left anything");
    fs::write(&spool, "").unwrap();
    troubles("is a link or a file, no folder", "move it away");
    fs::remove_file(&spool).unwrap();
    fs::create_dir(&spool).unwrap();
    if is_root() {
        chown(&spool, Some(NOBODY), Some(NOBODY)).unwrap();
    }
    other.set_mode(spool.clone(), 0o000);
    troubles(
        "is closed even to its own user (mode 000)",
        &format!("give back the rights with 'chmod 700 {}'", spool.display()),
    );
    other.set_mode(spool.clone(), 0o700);
    assert!(!other.run("status").out.contains('✗'), "it is well again");
    assert_eq!(other.run("stop").code, Some(0));
}

#[test]
fn a_home_that_cannot_be_written_is_named_by_the_start_that_fails() {
    let other = Other::new();
    other.set_mode(other.desk.home.folder().to_owned(), 0o500);
    for line in ["start", "start --foreground", "--no-browser", "--background"] {
        let ran = other.run(line);
        assert_eq!(ran.code, Some(1), "{line}: {ran:?}");
        assert!(ran.err.contains("Permission denied"), "{line}: {ran:?}");
        assert!(other.desk.is_free(other.desk.port));
    }
    let status = other.run("status");
    assert_eq!((status.code, status.out.as_str()), (Some(3), "Monitor is not running\n"), "{status:?}");
}

#[test]
fn a_home_with_spaces_and_other_scripts_in_its_path_works() {
    let desk = Desk::new();
    let home = Home::at(desk.path("Zoë's Ordner/家 – ~/.claude-mpm"));
    let run =
        |line: &str| Ran::from(desk.command(line).env("CLAUDE_MPM_HOME", home.folder()).output().unwrap());
    let start = run("start --verbose");
    assert_eq!(start.code, Some(0), "{start:?}");
    assert!(
        start.out.contains(&format!("  - Runfile: {}\n", home.runfile(desk.port).display())),
        "{start:?}"
    );
    assert_eq!(run("status").code, Some(0));
    assert_eq!(run("restart").code, Some(0));
    assert!(run("diagnose").out.contains("✓ Your monitor serves this port"));
    assert_eq!(run("stop").code, Some(0));
}

#[test]
fn what_another_user_runs_is_shown_and_left_alone() {
    if !is_root() {
        // Only root can be two users; everybody else has the same with a second home, in single_instance.rs.
        eprintln!("skipped: this takes root, who can be two users");
        return;
    }
    let other = Other::new();
    let mut mine = python_monitor(&other.desk.path(""), other.desk.port, &[]);
    let stop = other.run(&format!("stop --port {} --force", other.desk.port));
    assert_eq!(stop.code, Some(1), "{stop:?}");
    assert!(stop.out.contains("was left alone: it belongs to another user\n"), "{stop:?}");
    assert!(mine.is_running());
    drop(mine);
    let owner = Desk::at(other.desk.port);
    let (_server, _) = owner.serve("", owner.port);
    for line in ["start --force", "status", "stop --force"] {
        let ran = other.run(&format!("{line} --port {}", owner.port));
        assert_ne!(ran.code, Some(0), "{line}: {ran:?}");
        let said = ran.out + &ran.err;
        assert!(said.contains("n use by another program"), "the system does not tell whose it is: {said}");
    }
    assert!(!owner.is_free(owner.port), "it was left alone");
    assert_eq!(owner.run("stop").code, Some(0));
}

#[test]
fn a_clock_that_went_back_since_the_start_changes_nothing() {
    let desk = Desk::new();
    let (server, running) = desk.serve("", desk.port);
    // A clock that goes back an hour makes the start lie an hour later than the system now says.
    let mut runfile = running.runfile;
    runfile.process_started_at.0 += 3_600_000;
    client::runfiles::write(&desk.home, &runfile).unwrap();
    let status = desk.run("status --json");
    let servers: serde_json::Value = serde_json::from_str(&status.out).unwrap();
    assert!(
        servers[0]["uptime_s"].as_u64().unwrap() < 3600,
        "time since the start, not by the clock: {status:?}"
    );
    server.signal(Signal::STOP);
    let hangs = || desk.run("status").out.contains("Not responding").then_some(());
    assert!(wait_for(hangs).is_some());
    let stop = desk.run("stop --force");
    assert_eq!(stop.code, Some(0), "it is still known as ours: {stop:?}");
    assert_eq!(server.ended().code, None, "ended by a signal");
}
