//! Claims about the home: what is written there nobody else can read, its secrets are nowhere else, and nobody who could
//! write there once makes us write, follow or believe what is his. As root, for only root can be somebody else.
#![cfg(unix)]

use std::fs::{self, Permissions};
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use e2e::{free_port, our, output, program, prompt};
use protocol::paths::Home;
use tempfile::TempDir;

/// A user without rights, and one to whom the home belongs.
const NOBODY: u32 = 65_534;
const SOMEBODY: u32 = 54_321;

const PRECIOUS: &str = "what was here before\n";

/// A home in a folder that everybody may look into; the port, when its monitor runs in the background.
struct Place {
    root: TempDir,
    home: Home,
    port: u16,
}

impl Place {
    fn new() -> Self {
        let root = TempDir::new().expect("a temporary folder can be made");
        let home = Home::at(root.path().join("home"));
        let place = Self { root, home, port: free_port() };
        for folder in [place.root.path(), place.home.folder()] {
            fs::create_dir_all(folder).expect("a folder can be made");
            set_mode(folder, 0o755);
        }
        // Settings that are there are backed up.
        fs::create_dir(place.path("claude")).expect("a folder can be made");
        fs::write(place.path("claude/settings.json"), "{ \"model\": \"opus\" }")
            .expect("settings can be written");
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// `PORT` in a name within our folder stands for the port.
    fn ours(&self, name: &str) -> PathBuf {
        let folder = self.home.monitor();
        if name.is_empty() { folder } else { folder.join(name.replace("PORT", &self.port.to_string())) }
    }

    /// One of our programs, whose files everybody could read if it were for the process alone.
    fn command(&self, name: &str, arguments: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", "umask 000; exec \"$@\"", "sh"]).arg(program(name));
        command.args(arguments.replace("PORT", &self.port.to_string()).split_whitespace());
        for (name, value) in our(self.home.folder(), name).get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command.env("CLAUDE_CONFIG_DIR", self.path("claude")).current_dir(self.root.path());
        command
    }

    fn run(&self, arguments: &str) -> Output {
        output(&mut self.command("claude-mpm-monitor", arguments), b"")
    }

    #[track_caller]
    fn done(&self, arguments: &str) {
        let done = self.run(arguments);
        assert!(done.status.success(), "{arguments}: {}", said(&done));
    }

    fn hook(&self, stdin: &str) {
        let done = output(&mut self.command("claude-mpm-hook", ""), stdin.as_bytes());
        assert!(done.status.success() && done.stdout.is_empty(), "a hook always succeeds: {done:?}");
    }

    /// All that writes: without a monitor, with one in the background, and with it gone again.
    fn live(&self) {
        self.hook(&prompt("s-1", "kept on disk"));
        self.done("hooks install --claude-version 2.1.240");
        self.done("start --port PORT");
        self.hook(&prompt("s-1", "sent"));
        self.done("token rotate");
        self.done("export --port PORT --force --output export.jsonl");
        self.done("stop --port PORT");
    }

    /// Every file and folder of ours, by its whole path.
    fn all(&self) -> Vec<PathBuf> {
        let mut found = vec![self.home.monitor()];
        let mut at = 0;
        while at < found.len() {
            if found[at].is_dir() {
                let entries = fs::read_dir(&found[at]).expect("it is ours");
                found.extend(entries.map(|entry| entry.expect("it is ours").path()).collect::<Vec<_>>());
            }
            at += 1;
        }
        found
    }

    /// A file elsewhere, for a link to lead to.
    fn canary(&self) -> PathBuf {
        let canary = self.path("canary");
        fs::write(&canary, PRECIOUS).expect("a file can be written");
        set_mode(&canary, 0o644);
        canary
    }

    #[track_caller]
    fn assert_canary(&self, case: &str) {
        let canary = self.path("canary");
        assert_eq!(fs::read_to_string(&canary).expect("it is there"), PRECIOUS, "{case}");
        assert_eq!(mode(&canary), 0o644, "{case}");
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // Of a test that failed in between.
        self.run("stop --port PORT");
    }
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).expect("it is there").mode() & 0o7777
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).expect("it is ours");
}

fn give(path: &Path, user: u32) {
    chown(path, Some(user), Some(user)).expect("this test must run as root, who can give files away");
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// A program as another user.
fn as_user(user: u32, program: &str) -> Command {
    let mut command = Command::new("setpriv");
    command.arg(format!("--reuid={user}")).arg(format!("--regid={user}")).arg("--clear-groups").arg(program);
    command
}

/// Of these paths, those that another user can read or list, or write to.
fn reached_by_nobody(paths: &[PathBuf]) -> Vec<String> {
    let script = "for path do cat -- \"$path\" >/dev/null 2>&1 && echo \"read $path\"; \
                  ls -- \"$path/\" >/dev/null 2>&1 && echo \"listed $path\"; \
                  (: >>\"$path\") 2>/dev/null && echo \"wrote $path\"; done; true";
    let tried = output(as_user(NOBODY, "sh").args(["-c", script, "sh"]).args(paths), b"");
    assert!(tried.status.success(), "this test must run as root, who can be somebody else: {tried:?}");
    String::from_utf8(tried.stdout).expect("text").lines().map(str::to_owned).collect()
}

#[test]
fn what_a_full_life_writes_no_other_user_can_read() {
    let place = Place::new();
    fs::write(place.home.config(), r#"{ "require_token": true }"#).expect("a file can be written");
    place.done("hooks install --claude-version 2.1.240");
    place.hook(&prompt("s-1", "kept on disk"));
    let broken = place.ours("spool/1795225603281-01990000-0000-7000-8000-000000000001.json");
    fs::write(&broken, "no event").expect("a file can be written");
    set_mode(&broken, 0o600);
    place.done("start --port PORT --tls");
    place.hook(&prompt("s-1", "sent"));
    place.done("export --port PORT --output export.jsonl");
    let running = place.all();
    let open = place.path("open");
    fs::write(&open, "for everybody").expect("a file can be written");
    set_mode(&open, 0o666);
    let reached = reached_by_nobody(&[&running[..], &[place.path("export.jsonl"), open.clone()]].concat());
    let expected = ["read", "wrote"].map(|verb| format!("{verb} {}", open.display()));
    assert_eq!(reached, expected, "nothing but what is open to everybody");
    place.done("stop --port PORT");
    place.hook(&prompt("s-1", "kept on disk again"));

    let all = [running, place.all(), vec![place.path("export.jsonl")]].concat();
    let there = all.iter().filter(|path| path.exists());
    let open: Vec<_> = there.filter(|path| mode(path) & 0o077 != 0).collect();
    assert!(open.is_empty(), "closed, each by itself: {open:?}");
    for name in [
        "run/PORT.json",
        "run/PORT.lock",
        "run/PORT.supervisor",
        "logs/monitor-PORT.log",
        "events.db",
        "events.db-wal",
        "token",
        "certificate.pem",
        "hooks.json",
        "bin/claude-mpm-hook",
        "spool/usage",
        "spool/rejected",
    ] {
        assert!(all.contains(&place.ours(name)), "{name} was written: {all:?}");
    }
    assert!(all.iter().any(|path| path.parent() == Some(&place.ours("backup"))), "{all:?}");
}

#[test]
fn links_in_place_of_files_that_are_replaced_are_not_followed() {
    let place = Place::new();
    let canary = place.canary();
    let names = [
        "run/PORT.json",
        "run/PORT.supervisor",
        "hooks.json",
        "bin/claude-mpm-hook",
        "desktop.json",
        "spool/1795225603281-01990000-0000-7000-8000-000000000001.json",
    ];
    for name in names {
        let path = place.ours(name);
        fs::create_dir_all(path.parent().expect("it lies in a folder")).expect("a folder can be made");
        symlink(&canary, &path).expect("a link can be made");
    }
    place.live();
    place.assert_canary("after a life");
    let events = fs::read_to_string(place.path("export.jsonl")).expect("it was exported");
    assert_eq!(events.lines().count(), 2, "both came in: {events}");
    assert!(!events.contains(PRECIOUS.trim()), "and nothing else: {events}");
    assert!(place.ours(names[3]).metadata().expect("a hook").len() > 1000, "the hook itself");
}

#[test]
fn whatever_stands_in_place_of_what_is_written_on_is_refused_by_name() {
    let place = Place::new();
    fs::write(place.home.config(), r#"{ "require_token": true }"#).expect("a file can be written");
    place.live();
    let canary = place.canary();
    fs::create_dir(place.path("elsewhere")).expect("a folder can be made");
    type Plant = fn(&Place, &Path);
    let link: Plant = |place, path| symlink(place.path("canary"), path).expect("a link can be made");
    let dangling: Plant = |place, path| symlink(place.path("nowhere"), path).expect("a link can be made");
    let folder: Plant = |place, path| symlink(place.path("elsewhere"), path).expect("a link can be made");
    let foreign: Plant = |_, path| {
        fs::create_dir(path).expect("a folder can be made");
        give(path, NOBODY);
    };
    let foreign_file: Plant = |_, path| {
        fs::write(path, "x".repeat(64)).expect("a file can be written");
        set_mode(path, 0o600);
        give(path, NOBODY);
    };
    let pipe: Plant = |_, path| {
        assert!(output(Command::new("mkfifo").arg(path), b"").status.success());
    };
    const START: &str = "start --port PORT";
    const INSTALL: &str = "hooks install --claude-version 2.1.240";
    let cases: &[(&str, &str, &[Plant])] = &[
        ("", START, &[folder, foreign, link]),
        ("run", START, &[folder, foreign, dangling]),
        ("logs", START, &[folder, foreign]),
        ("run/PORT.lock", START, &[link, dangling, pipe, foreign_file]),
        ("logs/monitor-PORT.log", START, &[link, dangling, pipe, foreign_file]),
        ("events.db", START, &[link, dangling, pipe, foreign_file]),
        ("events.db-wal", START, &[link, pipe, foreign_file]),
        ("events.db.lock", START, &[link, dangling, pipe, foreign_file]),
        ("token", START, &[link, pipe]),
        ("bin", INSTALL, &[folder, foreign]),
        ("backup", INSTALL, &[folder, foreign]),
        ("hooks.lock", INSTALL, &[link, dangling, pipe, foreign_file]),
    ];
    for (name, arguments, plants) in cases {
        for (number, plant) in plants.iter().enumerate() {
            let case = format!("{name:?}, {number}");
            let path = place.ours(name);
            let kept = place.path("kept");
            let is_kept = fs::rename(&path, &kept).is_ok();
            plant(&place, &path);
            fs::write(place.path("claude/settings.json"), "{}").expect("settings can be written");
            let refused = place.run(arguments);
            let said = said(&refused);
            assert!(!refused.status.success(), "{case}: {said}");
            assert!(said.contains(&path.display().to_string()), "{case} is named: {said}");
            assert!(said.contains("move it away"), "{case}: the way out: {said}");
            place.assert_canary(&case);
            assert!(!place.path("nowhere").exists(), "{case}");
            assert_eq!(fs::read_dir(place.path("elsewhere")).expect("it is ours").count(), 0, "{case}");
            // Away again, as the user would.
            let _ = fs::remove_file(&path).or_else(|_| fs::remove_dir_all(&path));
            if is_kept {
                fs::rename(&kept, &path).expect("it is ours");
            }
        }
    }
    place.live();
    drop(canary);
}

#[test]
fn a_spool_with_links_in_it_leads_nowhere_and_keeps_nothing_from_the_server() {
    for name in ["spool", "spool/usage", "spool/refused", "spool/.lock", "spool/rejected"] {
        let place = Place::new();
        let canary = place.canary();
        fs::create_dir(place.path("elsewhere")).expect("a folder can be made");
        let path = place.ours(name);
        fs::create_dir_all(path.parent().expect("it lies in a folder")).expect("a folder can be made");
        let target =
            if ["spool", "spool/rejected"].contains(&name) { place.path("elsewhere") } else { canary };
        symlink(target, &path).expect("a link can be made");
        place.hook(&prompt("s-1", "nobody is there"));
        place.done("start --port PORT");
        place.hook(&prompt("s-1", "sent"));
        place.done("status --port PORT");
        place.done("stop --port PORT");
        place.assert_canary(name);
        assert_eq!(fs::read_dir(place.path("elsewhere")).expect("it is ours").count(), 0, "{name}");
    }
}

#[test]
fn what_was_open_to_others_is_closed_at_the_next_start() {
    let place = Place::new();
    place.live();
    let opened = [("", 0o777), ("run", 0o755), ("logs", 0o777), ("spool", 0o777), ("events.db", 0o644)];
    for (name, mode) in opened.iter().chain(&[("logs/monitor-PORT.log", 0o666), ("run/PORT.lock", 0o666)]) {
        set_mode(&place.ours(name), *mode);
    }
    set_mode(place.home.folder(), 0o1777);
    fs::write(place.ours("events.db-wal"), "").expect("a file can be written");
    set_mode(&place.ours("events.db-wal"), 0o644);
    place.live();
    for path in place.all() {
        assert_eq!(mode(&path) & 0o077, 0, "{}", path.display());
    }
    assert_eq!(mode(place.home.folder()), 0o1755, "others may look, as before, but not write");
}

#[test]
fn secrets_that_others_could_read_are_not_used_any_more() {
    let place = Place::new();
    fs::write(place.home.config(), r#"{ "require_token": true }"#).expect("a file can be written");
    place.done("start --port PORT --tls");
    place.done("stop --port PORT");
    let certificate = fs::read_to_string(place.home.certificate()).expect("it was made");
    set_mode(&place.home.certificate(), 0o640);
    place.done("start --port PORT --tls");
    place.done("stop --port PORT");
    assert_ne!(fs::read_to_string(place.home.certificate()).expect("another was made"), certificate);
    assert_eq!(mode(&place.home.certificate()), 0o600);
    set_mode(&place.home.token(), 0o644);
    let refused = place.run("start --port PORT");
    assert!(said(&refused).contains("other users can read the token file"), "{}", said(&refused));
    place.done("token rotate");
    place.done("start --port PORT");
}

#[test]
fn a_home_of_another_user_is_refused() {
    let place = Place::new();
    give(place.home.folder(), SOMEBODY);
    for arguments in ["start --port PORT", "hooks install --claude-version 2.1.240", "token rotate"] {
        let refused = place.run(arguments);
        let said = said(&refused);
        assert!(!refused.status.success() && said.contains("belongs to another user (uid 54321)"), "{said}");
        assert!(said.contains("CLAUDE_MPM_HOME"), "the way out: {said}");
    }
    place.hook(&prompt("s-1", "nobody is there"));
    assert!(!place.home.monitor().exists(), "nothing was written");
}

#[test]
fn an_export_never_writes_through_a_link() {
    let place = Place::new();
    let canary = place.canary();
    place.done("start --port PORT");
    place.hook(&prompt("s-1", "sent"));
    for (name, target) in [("full.jsonl", &canary), ("dangling.jsonl", &place.path("nowhere"))] {
        symlink(target, place.path(name)).expect("a link can be made");
        let refused = place.run(&format!("export --port PORT --output {name}"));
        assert!(!refused.status.success() && said(&refused).contains("--force"), "{}", said(&refused));
        place.done(&format!("export --port PORT --force --output {name}"));
        assert!(place.path(name).symlink_metadata().expect("a file").is_file(), "{name} is the file itself");
        place.assert_canary(name);
        assert!(!target.exists() || *target == canary, "{name}");
    }
}

#[test]
fn no_secret_is_in_a_command_line_an_answer_or_the_log() {
    let place = Place::new();
    let settings = r#"{ "require_token": true, "log_level": "DEBUG" }"#;
    fs::write(place.home.config(), settings).expect("a file can be written");
    place.done("start --port PORT --tls");
    place.hook(&prompt("s-1", "sent"));
    let token = fs::read_to_string(place.home.token()).expect("it was made").trim().to_owned();
    let runfile = fs::read_to_string(place.home.runfile(place.port)).expect("it runs");
    let runfile: serde_json::Value = serde_json::from_str(&runfile).expect("JSON");
    let control = runfile["control_token"].as_str().expect("there is one").to_owned();
    let link = said(&place.run("token link --port PORT"));
    let code =
        link.split("code=").nth(1).expect("a link").split_whitespace().next().expect("a code").to_owned();
    let secrets = [token.as_str(), &control, &code];
    let ask = |path: &str, header: &str| {
        let url = format!("http://127.0.0.1:{}{path}", place.port);
        let mut curl = Command::new("curl");
        let asked =
            output(curl.args(["--silent", "--include", "--max-time", "30", "--header", header, &url]), b"");
        String::from_utf8_lossy(&asked.stdout).into_owned()
    };
    let right = format!("authorization: Bearer {token}");
    let mut seen = Vec::new();
    for path in [
        "/",
        "/health",
        "/status",
        "/stats",
        "/version",
        "/metrics",
        "/api/settings",
        "/api/instances",
        "/api/hooks",
        "/api/sessions",
        "/api/events?payload=true",
        "/api/legacy",
    ] {
        let answer = ask(path, &right);
        assert!(answer.starts_with("HTTP/1.1 200"), "{path}: {answer}");
        seen.push((path.to_owned(), answer));
    }
    // Where they must not be, and who asks wrongly names them there.
    for path in [
        format!("/api/events?token={token}"),
        format!("/api/events?access={control}"),
        format!("/api/events?code={code}"),
    ] {
        let answer = ask(&path, "x: y");
        assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
        seen.push(("a refusal".to_owned(), answer));
    }
    seen.push(("what was refused".to_owned(), ask("/stats", &right)));
    seen.push(("the log".to_owned(), fs::read_to_string(place.home.log(place.port)).expect("a log")));
    let supervisor = fs::read_to_string(place.home.supervisor(place.port)).expect("it is supervised");
    let pids =
        [&runfile["pid"], &serde_json::from_str::<serde_json::Value>(&supervisor).expect("JSON")["pid"]];
    for pid in pids {
        let line = fs::read(format!("/proc/{pid}/cmdline")).expect("it runs");
        assert!(!line.is_empty(), "{pid}");
        seen.push((format!("the command line of {pid}"), String::from_utf8_lossy(&line).into_owned()));
    }
    for (place, text) in &seen {
        for secret in secrets {
            assert!(!text.contains(secret), "{place}: {text}");
        }
    }
}

/// A hook as a user whose home others can write to believes and gives away nothing.
#[test]
fn a_hook_believes_no_runfile_and_sends_no_token_that_another_user_left() {
    let place = Place::new();
    // Where that user can run it.
    let hook = place.path("hook");
    fs::copy(program("claude-mpm-hook"), &hook).expect("it can be copied");
    set_mode(&hook, 0o755);
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a port is free");
    listener.set_nonblocking(true).expect("it can be set");
    let port = listener.local_addr().expect("it has an address").port();
    let runfile = place.home.runfile(port);
    fs::create_dir_all(place.home.run()).expect("a folder can be made");
    let text = serde_json::json!({
        "pid": 1, "process_started_at": 1, "version": "0", "host": "localhost", "port": port, "server_id": "x",
        "control_token": "x", "mode": "background", "access": { "token": true },
    });
    let run = |owner: u32| {
        // A living process of that user, which the runfile names. It is that user's once it has said something.
        let mut living = as_user(SOMEBODY, "cat")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it can be started");
        living.stdin.as_ref().expect("it was asked for").write_all(b"x").expect("it reads");
        living.stdout.as_mut().expect("it was asked for").read_exact(&mut [0]).expect("it writes");
        let mut text = text.clone();
        text["pid"] = living.id().into();
        fs::write(&runfile, text.to_string()).expect("a file can be written");
        for path in [place.home.folder(), &place.home.monitor(), &place.home.run()] {
            give(path, SOMEBODY);
        }
        give(&runfile, owner);
        set_mode(&runfile, 0o644);
        let mut hook = as_user(SOMEBODY, hook.to_str().expect("text"));
        hook.env_clear().env("CLAUDE_MPM_HOME", place.home.folder()).current_dir("/");
        let done = output(&mut hook, prompt("s-1", "private").as_bytes());
        assert!(done.status.success(), "{done:?}");
        living.kill().and_then(|()| living.wait()).expect("it was started");
        listener.accept().is_ok()
    };
    assert!(run(SOMEBODY), "its own runfile leads to the port");
    assert!(!run(NOBODY), "another's does not");
}
