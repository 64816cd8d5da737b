//! A headless session: one prompt, one answer, the end.

use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use e2e::PATIENCE;
use serde_json::Value;
use uuid::Uuid;

use crate::Stage;

/// The tools that run unasked, where a scenario does not say otherwise.
const ALLOWED: &str =
    "Bash,Read,Write,Edit,Glob,Grep,Agent,Task,WebFetch,EnterWorktree,ExitWorktree,Monitor,mcp__script";

/// How long to rest between two looks at whether a session has ended.
const POLL: Duration = Duration::from_millis(20);

/// What a headless session is started with, beside its prompt.
#[derive(Clone, Copy, Debug, Default)]
pub struct Print<'a> {
    /// Which session it is.
    pub begin: Begin<'a>,
    /// Arguments.
    pub arguments: &'a [&'a str],
    /// Variables of its environment.
    pub environment: &'a [(&'a str, &'a str)],
    /// Tools that run unasked, instead of the usual ones.
    pub allowed: Option<&'a str>,
}

/// Which session goes on.
#[derive(Clone, Copy, Debug, Default)]
pub enum Begin<'a> {
    /// A new one.
    #[default]
    New,
    /// That one.
    Resumed(&'a str),
    /// A copy of that one.
    Forked(&'a str),
}

/// A headless session that runs; it ends with the value.
pub struct Printing {
    /// Its id.
    pub session: String,
    script: String,
    child: Child,
    out: PathBuf,
}

/// A headless session that has ended.
#[derive(Clone, Debug)]
pub struct Printed {
    /// Its id.
    pub session: String,
    /// What it said of itself at its end.
    pub result: Value,
}

impl Stage {
    /// Runs a script as a headless session to its end.
    #[track_caller]
    pub fn print(&self, script: &str, how: Print<'_>) -> Printed {
        self.start_print(script, how).end()
    }

    /// Starts a script as a headless session.
    #[track_caller]
    pub fn start_print(&self, script: &str, how: Print<'_>) -> Printing {
        let (session, begin) = how.begin.arguments();
        let out = self.home().join(format!("{}.out", Uuid::new_v4()));
        let file = File::create(&out).expect("a file can be made");
        let mut claude = Command::new(self.home().join(".local/bin/claude"));
        claude
            .env_clear()
            .envs(self.environment())
            .envs(how.environment.iter().copied())
            .current_dir(self.project())
            .args(["-p", &format!("SCRIPT:{script}"), "--output-format", "stream-json", "--verbose"])
            .args(["--allowedTools", how.allowed.unwrap_or(ALLOWED)])
            .arg("--settings")
            .arg(self.settings())
            .args(begin)
            .args(how.arguments)
            .stdin(Stdio::null())
            .stdout(file.try_clone().expect("a file can be shared"))
            .stderr(file);
        let child = claude.spawn().expect("Claude Code can be started");
        Printing { session, script: script.to_owned(), child, out }
    }
}

impl Begin<'_> {
    /// The id of the session, and the arguments that begin it.
    pub(crate) fn arguments(self) -> (String, Vec<String>) {
        let new = Uuid::new_v4().to_string();
        match self {
            Self::New => (new.clone(), vec!["--session-id".to_owned(), new]),
            Self::Resumed(session) => (session.to_owned(), vec!["--resume".to_owned(), session.to_owned()]),
            Self::Forked(from) => {
                let arguments = ["--resume", from, "--fork-session", "--session-id", &new];
                (new.clone(), arguments.map(str::to_owned).to_vec())
            }
        }
    }
}

impl Printing {
    /// Waits for its end.
    #[track_caller]
    pub fn end(mut self) -> Printed {
        let started = Instant::now();
        while self.child.try_wait().expect("a child can be asked").is_none() {
            assert!(started.elapsed() < PATIENCE, "{} does not end: {}", self.script, self.said());
            std::thread::sleep(POLL);
        }
        let said = self.said();
        let mut lines = said.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let result = lines.rfind(|line| line["type"] == "result");
        let result = result.unwrap_or_else(|| panic!("{} ended without a result: {said}", self.script));
        Printed { session: self.session.clone(), result }
    }

    fn said(&self) -> String {
        std::fs::read_to_string(&self.out).unwrap_or_default()
    }
}

impl Drop for Printing {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
