//! The monitor as a service: files that the system understands, written and taken away exactly.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{Desk, Ran, wait_for};

/// A user with a home, and a `systemctl` that only notes what it is asked.
struct User {
    desk: Desk,
}

impl User {
    fn new() -> Self {
        let desk = Desk::new();
        let bin = desk.path("bin");
        fs::create_dir_all(&bin).unwrap();
        let systemctl = bin.join("systemctl");
        fs::write(&systemctl, "#!/bin/sh\necho \"$@\" >> \"$(dirname \"$0\")/asked\"\necho active\n")
            .unwrap();
        fs::set_permissions(&systemctl, fs::Permissions::from_mode(0o755)).unwrap();
        Self { desk }
    }

    fn run(&self, line: &str) -> Ran {
        let path = format!("{}:{}", self.desk.path("bin").display(), std::env::var("PATH").unwrap());
        let mut command = self.desk.command(line);
        command.env("HOME", self.desk.path("user")).env_remove("XDG_CONFIG_HOME").env("PATH", path);
        Ran::from(command.output().unwrap())
    }

    /// What `systemctl` was asked since the last time.
    fn asked(&self) -> Vec<String> {
        let noted = self.desk.path("bin/asked");
        let text = fs::read_to_string(&noted).unwrap_or_default();
        let _ = fs::remove_file(noted);
        text.lines().map(str::to_owned).collect()
    }

    fn unit(&self) -> PathBuf {
        self.desk.path("user/.config/systemd/user/claude-mpm-monitor.service")
    }

    fn wrapper(&self) -> PathBuf {
        self.desk.path("user/.local/bin/claude-mpm-socketio")
    }
}

/// Every file below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

#[test]
fn a_service_is_installed_started_shown_and_removed_exactly() {
    let user = User::new();
    let kept = user.desk.path("user/.config/systemd/user/other.service");
    fs::create_dir_all(kept.parent().unwrap()).unwrap();
    fs::write(&kept, "not ours").unwrap();
    let none = user.run("service status");
    assert_eq!((none.code, none.out.as_str()), (Some(3), "The service is not installed\n"));
    let install = user.run("service install --environment development --wrapper");
    assert_eq!(install.code, Some(0), "{install:?}");
    assert_eq!(user.asked(), ["--user daemon-reload", "--user enable --now claude-mpm-monitor"]);
    let unit = fs::read_to_string(user.unit()).unwrap();
    assert!(unit.contains("start --foreground --profile development\n"), "{unit}");
    assert!(unit.contains(&format!("CLAUDE_MPM_HOME={}", user.desk.home.folder().display())), "{unit}");
    assert!(unit.contains("Alias=claude-mpm-socketio.service\n"), "{unit}");
    let called = Command::new(user.wrapper()).arg("version").output().map(Ran::from).unwrap();
    assert!(called.out.starts_with("claude-mpm-monitor "), "the wrapper hands everything on: {called:?}");
    let status = user.run("service status");
    assert_eq!(status.code, Some(0), "{status:?}");
    assert!(status.out.contains("claude-mpm-monitor.service: as installed\n"), "{status:?}");
    assert!(status.out.contains("The system says: active\n"), "{status:?}");
    let again = user.run("service install");
    assert_eq!(again.code, Some(1), "{again:?}");
    assert!(again.err.contains("installed already"), "{again:?}");
    user.asked();
    let config = fs::read_to_string(user.desk.home.config()).unwrap();
    fs::write(user.desk.home.config(), config.replace("// \"port\": 8765", "\"port\": 9000")).unwrap();
    let uninstall = user.run("service uninstall");
    assert_eq!(uninstall.code, Some(0), "{uninstall:?}");
    assert_eq!(user.asked(), ["--user disable --now claude-mpm-monitor"]);
    assert!(uninstall.out.contains("was changed since and is kept"), "{uninstall:?}");
    assert_eq!(files(&user.desk.path("user")), [kept], "nothing else is left");
    assert!(user.desk.home.config().exists());
    assert_eq!(user.run("service uninstall").out, "The service is not installed\n");
}

#[test]
fn what_only_looks_changes_nothing() {
    let user = User::new();
    let test = user.run("service install --test-only");
    assert_eq!(test.code, Some(0), "{test:?}");
    assert!(test.out.contains("claude-mpm-monitor.service can be written\n"), "{test:?}");
    let print = user.run("service install --print --environment docker");
    assert!(print.out.contains("--profile docker\n"), "{print:?}");
    assert!(user.run("service install --print --platform launchd").out.contains("<plist"));
    assert!(user.run("service install --print --platform windows").out.contains("<Task "));
    assert_eq!((files(&user.desk.path("user")), user.asked()), (vec![], vec![]));
    assert!(!user.desk.home.config().exists());
    let (_server, _) = user.desk.serve("", user.desk.port);
    let busy = user.run("service install --test-only");
    assert_eq!(busy.code, Some(1), "{busy:?}");
    assert!(busy.err.contains("serves port"), "{busy:?}");
}

#[test]
fn without_a_service_only_the_configuration_is_written() {
    let user = User::new();
    let install = user.run("service install --no-service");
    assert_eq!(install.code, Some(0), "{install:?}");
    assert!(user.desk.home.config().exists() && !user.unit().exists());
    assert_eq!(user.asked(), Vec::<String>::new());
    assert_eq!(user.run("service uninstall").code, Some(0));
    assert!(!user.desk.home.config().exists());
}

#[test]
fn a_system_service_goes_into_an_image_and_out_again() {
    let user = User::new();
    let root = user.desk.path("image");
    let line = format!("--mode system --root {}", root.display());
    let install = user.run(&format!("service install --wrapper {line}"));
    assert_eq!(install.code, Some(0), "{install:?}");
    for path in [
        "etc/systemd/system/claude-mpm-monitor.service",
        "etc/claude-mpm/socketio_config.json",
        "usr/local/bin/claude-mpm-socketio",
    ] {
        assert!(root.join(path).is_file(), "{path}");
    }
    assert_eq!(user.asked(), Vec::<String>::new(), "nothing is started for an image");
    assert_eq!(user.run(&format!("service uninstall {line}")).code, Some(0));
    assert_eq!(files(&root), Vec::<PathBuf>::new());
}

#[test]
fn systemd_takes_the_units_as_they_are() {
    let user = User::new();
    for mode in ["user", "system"] {
        let print = user.run(&format!("service install --print --wrapper --mode {mode}"));
        let unit = user.desk.path(&format!("{mode}/claude-mpm-monitor.service"));
        fs::create_dir_all(unit.parent().unwrap()).unwrap();
        fs::write(&unit, &print.out).unwrap();
        let mut verify = Command::new("systemd-analyze");
        if mode == "user" {
            verify.arg("--user").env("XDG_RUNTIME_DIR", user.desk.path("user"));
        }
        let verify = verify.args(["--man=no", "--recursive-errors=no", "verify"]).arg(&unit);
        let ran = Ran::from(verify.output().expect("scripts/setup test installs systemd-analyze"));
        assert_eq!(
            (ran.code, ran.err.as_str(), ran.out.as_str()),
            (Some(0), "", ""),
            "{mode}: {}",
            print.out
        );
    }
}

#[test]
fn the_command_of_the_unit_serves() {
    let user = User::new();
    let print = user.run("service install --print");
    let line = print.out.lines().find_map(|line| line.strip_prefix("ExecStart=")).unwrap();
    let (exe, arguments) = line.strip_prefix('"').unwrap().split_once('"').unwrap();
    assert_eq!(Path::new(exe), Path::new(env!("CARGO_BIN_EXE_claude-mpm-monitor")));
    let (server, running) = user.desk.serve(arguments, user.desk.port);
    assert_eq!(
        (running.runfile.mode.as_str(), running.health.profile.as_str()),
        ("foreground", "production")
    );
    server.signal(rustix::process::Signal::TERM);
    assert_eq!(server.ended().code, Some(0), "how systemd stops it is a good end");
    assert!(wait_for(|| user.desk.is_free(user.desk.port).then_some(())).is_some());
}
