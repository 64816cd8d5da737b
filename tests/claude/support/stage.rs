//! One scenario's world: a home, a project under git, the stand-in, a monitor with its hooks installed, and the control
//! hook beside them. All of it goes with the value.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use e2e::{Crashed, Monitor, PATIENCE, Stored, eventually, output};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::control::{self, Control};
use crate::known::{self, Fault};
use crate::truth::{Difference, differences, nothing};
use crate::{Api, Purpose};

/// Names the executable of Claude Code; `scripts/test-claude` sets it.
const CLAUDE: &str = "TEST_CLAUDE";

/// A key that is none. Claude Code asks for nothing when its end was approved before.
const KEY: &str = "sk-ant-not-a-key-000";

/// How long a known fault is looked at: what it would take the monitor to say the truth if it were mended, which is two
/// seconds by its promise, and more on a busy machine.
const MENDED_WITHIN: Duration = Duration::from_secs(4);

/// How long to rest between two looks.
const POLL: Duration = Duration::from_millis(20);

/// More events than any scenario has.
const EVENTS_MAX: usize = 1000;

/// Whether the monitor serves.
enum Server {
    Up(Monitor),
    Down(Crashed),
    /// The scenario is over.
    Gone,
}

/// The world of one scenario.
pub struct Stage {
    scenario: &'static str,
    /// The stand-in for the API.
    pub api: Api,
    /// What the hooks really were given.
    pub control: Control,
    monitor: Server,
    home: Arc<TempDir>,
    /// Known faults that were looked at.
    seen: RefCell<BTreeSet<Fault>>,
}

impl Stage {
    /// Sets it for the scenario of this name.
    pub fn set(scenario: &'static str) -> Self {
        Self::set_with(scenario, &[])
    }

    /// The same, with a control hook for these events, too, which no monitor asks for yet: they are missed.
    pub fn set_with(scenario: &'static str, events: &[&str]) -> Self {
        assert_offline();
        let home = Arc::new(TempDir::new().expect("a temporary folder can be made"));
        let path = home.path();
        let claude = path.join(".local/bin/claude");
        for folder in ["project", "tmp", ".local/bin"] {
            std::fs::create_dir_all(path.join(folder)).expect("a folder can be made");
        }
        std::os::unix::fs::symlink(claude_code(), claude).expect("a link can be made");
        let project = path.join("project");
        std::fs::write(path.join(".claude.json"), acquainted(&project).to_string()).expect("a file");
        std::fs::write(project.join("a.txt"), "one\ntwo\nthree\n").expect("a file can be written");
        git(&project, &["init", "--quiet", "--initial-branch", "main"]);
        git(&project, &["add", "."]);
        git(&project, &["commit", "--quiet", "--message", "first"]);
        let monitor = Monitor::start_with(&home, &[]);
        let installed = monitor.cli(&["hooks", "install"]);
        assert!(installed.status.success(), "{installed:?}");
        let control = Control::in_folder(path.join("control"));
        let stage = Self {
            scenario,
            api: Api::start(&project),
            control,
            monitor: Server::Up(monitor),
            home,
            seen: RefCell::default(),
        };
        let user = stage.home().join(".claude/settings.json");
        stage.control.write_settings(&built("control-hook"), &user, events, &stage.settings());
        stage
    }

    /// `HOME` of Claude Code and of the monitor.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// The folder that the sessions work in.
    pub fn project(&self) -> PathBuf {
        self.home().join("project")
    }

    /// Lets a command of a script go on that waits for a file of this name.
    pub fn let_go(&self, file: &str) {
        std::fs::write(self.project().join(file), "").expect("a file can be written");
    }

    /// Waits until a command of a script has made this file.
    #[track_caller]
    pub fn wait_for_file(&self, file: &str) {
        let path = self.project().join(file);
        eventually(&path.display().to_string(), || path.exists().then_some(()));
    }

    /// The settings that call the control hook.
    pub(crate) fn settings(&self) -> PathBuf {
        self.home().join("control.settings.json")
    }

    /// The environment of Claude Code: nothing of this user's, nothing that would call anybody.
    pub(crate) fn environment(&self) -> Vec<(String, String)> {
        let path = std::env::var("PATH").unwrap_or_default();
        let home = self.home().display();
        [
            ("PATH", format!("{home}/.local/bin:{path}")),
            ("HOME", home.to_string()),
            ("CLAUDE_MPM_HOME", home.to_string()),
            ("TMPDIR", format!("{home}/tmp")),
            ("TERM", "xterm-256color".to_owned()),
            ("LANG", "C.UTF-8".to_owned()),
            ("ANTHROPIC_BASE_URL", self.api.url()),
            ("ANTHROPIC_API_KEY", KEY.to_owned()),
            ("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1".to_owned()),
            ("DISABLE_TELEMETRY", "1".to_owned()),
            ("DISABLE_ERROR_REPORTING", "1".to_owned()),
            ("DISABLE_AUTOUPDATER", "1".to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .to_vec()
    }

    /// The monitor.
    pub fn monitor(&self) -> &Monitor {
        match &self.monitor {
            Server::Up(monitor) => monitor,
            Server::Down(_) | Server::Gone => panic!("the monitor was stopped"),
        }
    }

    /// Stops the monitor, as its user may at any time.
    pub fn stop_monitor(&mut self) {
        if let Server::Up(monitor) = std::mem::replace(&mut self.monitor, Server::Gone) {
            self.monitor = Server::Down(monitor.stop());
        }
    }

    /// Starts it again.
    pub fn start_monitor(&mut self) {
        if let Server::Down(stopped) = std::mem::replace(&mut self.monitor, Server::Gone) {
            self.monitor = Server::Up(stopped.restart());
        }
    }

    /// What the monitor says of a session; nothing when it does not know it.
    pub fn said(&self, session: &str) -> Value {
        let reply = self.monitor().get(&format!("/api/sessions/{session}"));
        if reply.status == 200 { reply.json() } else { Value::Null }
    }

    /// Claims that the monitor comes to say the truth of this moment, but for the faults that are known of it, and that
    /// those are still there.
    #[track_caller]
    pub fn holds(&self, moment: &str, session: &str, truth: &Value) {
        self.compare(moment, truth, || self.said(session));
    }

    /// Claims that all that the hooks were given is stored, once and unchanged, and nothing else.
    #[track_caller]
    pub fn delivered(&self) {
        self.compare("deliveries", &nothing(), || {
            let given =
                self.control.kept().into_iter().map(|kept| (kept.event, kept.raw)).collect::<Vec<_>>();
            let stored = self.stored().into_iter().filter(|event| event.source == "hook");
            let stored = stored.map(|event| (event.kind.clone(), event.payload().to_owned()));
            control::unlike(&given, &stored.collect::<Vec<_>>())
        });
    }

    /// Everything that is stored.
    pub fn stored(&self) -> Vec<Stored> {
        let page = self.monitor().events(&format!("payload=true&duplicates=true&limit={EVENTS_MAX}"));
        assert!(!page.has_more, "a scenario has fewer than {EVENTS_MAX} events");
        page.events
    }

    /// Claims what holds of every session that has ended, and this besides: all was delivered, nothing is open, and
    /// calls, tokens and cost are those of the control hook and the stand-in.
    #[track_caller]
    pub fn ends(&self, session: &str, besides: &Value) {
        self.delivered();
        let calls = self.control.of(session, "PreToolUse").len();
        let used = self.api.used(session, |told| told.purpose == Purpose::Turn);
        let mut truth = json!({
            "status": { "state": "closed" },
            "current": [],
            "open_calls": [],
            "agents": { "running": 0 },
            "tool_calls": calls,
            "tokens": used,
        });
        merge(&mut truth, besides);
        self.holds("at its end", session, &truth);
        self.calls_ran_as_long_as_they_did(session);
    }

    /// Claims something else that holds at a moment, known faults apart as in [`Self::holds`].
    #[track_caller]
    pub fn agrees(&self, moment: &str, truth: &Value, said: impl Fn() -> Value) {
        self.compare(moment, truth, said);
    }

    /// Claims that this is over: every fault that is known of the scenario was looked at.
    #[track_caller]
    pub fn over(mut self) {
        let seen = self.seen.take();
        let unseen: Vec<_> =
            known::of(self.scenario).into_iter().filter(|fault| !seen.contains(fault)).collect();
        assert!(unseen.is_empty(), "no such moment: strike these off known-faults.txt: {unseen:#?}");
        self.stop_monitor();
    }

    /// How long each call ran is what Claude Code told the control hook.
    #[track_caller]
    fn calls_ran_as_long_as_they_did(&self, session: &str) {
        let said = self.said(session);
        let ends = ["PostToolUse", "PostToolUseFailure"].map(|event| self.control.of(session, event));
        for end in ends.iter().flatten() {
            let (id, ran) = (&end.input["tool_use_id"], &end.input["duration_ms"]);
            let calls = said["recent_calls"].as_array().expect("a list of calls");
            let call = calls.iter().find(|call| call["tool_use_id"] == *id);
            let call = call.unwrap_or_else(|| panic!("{id} is not among {calls:#?}"));
            assert_eq!(call["end"]["execution_ms"], *ran, "{call:#?}");
        }
    }

    #[track_caller]
    fn compare(&self, moment: &str, truth: &Value, said: impl Fn() -> Value) {
        let mut faults = known::of(self.scenario);
        faults.retain(|fault| fault.moment == moment);
        let is_known = |found: &Difference| faults.iter().any(|fault| fault.covers(&found.path));
        let started = Instant::now();
        let mut right_since = None;
        loop {
            let now = said();
            let found = differences(truth, &now);
            let wrong: Vec<_> = found.iter().filter(|found| !is_known(found)).collect();
            let is_there = |fault: &&Fault| found.iter().any(|found| fault.covers(&found.path));
            if wrong.is_empty() {
                let since = *right_since.get_or_insert_with(Instant::now);
                // A fault that takes no time to be seen needs no time to be looked at.
                if faults.is_empty() {
                    return;
                }
                let mended: Vec<_> = faults.iter().filter(|fault| !is_there(fault)).collect();
                if since.elapsed() > MENDED_WITHIN {
                    assert!(mended.is_empty(), "mended: strike these off known-faults.txt: {mended:#?}");
                    self.seen.borrow_mut().extend(faults.iter().copied());
                    return;
                }
            } else {
                right_since = None;
            }
            let scenario = self.scenario;
            assert!(
                started.elapsed() < PATIENCE,
                "{scenario}, {moment}: these are not true: {wrong:#?}\nall that it says: {now:#}"
            );
            std::thread::sleep(POLL);
        }
    }
}

impl Drop for Stage {
    /// Nothing is left behind: whatever still runs in this home, which no other program has, is ended.
    fn drop(&mut self) {
        let home = format!("HOME={}", self.home().display());
        for pid in processes_with(&home) {
            let _ = output(Command::new("kill").args(["-KILL", &pid]), b"");
        }
    }
}

/// The processes whose environment holds this.
fn processes_with(variable: &str) -> Vec<String> {
    let entries = std::fs::read_dir("/proc").expect("Linux lists its processes");
    let has = |path: &Path| {
        // Another user's is not to be read, and any may end meanwhile.
        let environment = std::fs::read(path.join("environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|each| each == variable.as_bytes())
    };
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| has(path));
    paths.filter_map(|path| path.file_name()?.to_str().map(str::to_owned)).collect()
}

/// Claims that nothing can be reached but this machine's loopback.
fn assert_offline() {
    let devices = std::fs::read_to_string("/proc/self/net/dev").expect("Linux lists its devices");
    let names = devices.lines().skip(2).filter_map(|line| line.split_once(':'));
    let others: Vec<_> = names.map(|(name, _)| name.trim()).filter(|name| *name != "lo").collect();
    assert!(others.is_empty(), "these tests run without a network: start them with scripts/test-claude");
}

fn claude_code() -> PathBuf {
    let path = std::env::var_os(CLAUDE).map(PathBuf::from);
    path.unwrap_or_else(|| {
        panic!("{CLAUDE} names no Claude Code: start these tests with scripts/test-claude")
    })
}

/// One of this package's programs, which cargo builds beside the tests.
pub fn built(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("the running test has a path");
    let folder = test.ancestors().nth(2).expect("a test lies two folders below the profile's");
    folder.join(name)
}

/// What Claude Code keeps of a user who has seen its first questions.
fn acquainted(project: &Path) -> Value {
    let end = &KEY[KEY.len() - 20..];
    json!({
        "hasCompletedOnboarding": true,
        "theme": "dark",
        "customApiKeyResponses": { "approved": [KEY, end], "rejected": [] },
        "projects": { project.display().to_string(): { "hasTrustDialogAccepted": true } },
    })
}

fn git(folder: &Path, arguments: &[&str]) {
    let mut git = Command::new("git");
    git.args(["-c", "user.name=script", "-c", "user.email=script@localhost"]);
    git.current_dir(folder).env("HOME", folder).env("GIT_CONFIG_NOSYSTEM", "1");
    let done = output(git.args(arguments), b"");
    assert!(done.status.success(), "{done:?}");
}

/// Puts one object's fields over another's.
fn merge(into: &mut Value, other: &Value) {
    match (into, other) {
        (Value::Object(into), Value::Object(other)) => {
            for (name, value) in other {
                merge(into.entry(name.clone()).or_insert(Value::Null), value);
            }
        }
        (into, other) => *into = other.clone(),
    }
}
