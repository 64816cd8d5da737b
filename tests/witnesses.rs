//! Claims about what is known of a session besides what its hooks say: who called them, and that it is gone.

use std::process::{Child, Command, Stdio};

use e2e::{Monitor, hook, prompt, wait_until};
use protocol::SessionDetail;
use protocol::runfile::start_ticks;
use protocol::session::State;
use serde_json::{Value, json};

/// A process that stands for Claude Code's; it ends with this value.
struct Claude(Child);

impl Claude {
    fn start() -> Self {
        let sleeping = Command::new("sleep").arg("600").stdin(Stdio::null()).spawn();
        Self(sleeping.expect("`sleep` can be run"))
    }

    /// Runs the hook as this process would.
    fn calls_hook(&self, monitor: &Monitor, more: &[(&str, &str)], payload: &Value) {
        let pid = self.0.id().to_string();
        let variables = [&[("CLAUDE_PID", pid.as_str())], more].concat();
        hook(monitor.home(), &variables, &payload.to_string());
        monitor.wait_for_spool();
    }

    fn kill(&mut self) {
        self.0.kill().expect("it can be killed");
        self.0.wait().expect("it can be waited for");
    }
}

impl Drop for Claude {
    fn drop(&mut self) {
        // One that has ended cannot be killed.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn hooked(name: &str, session: &str, more: &Value) -> Value {
    let mut payload = json!({ "hook_event_name": name, "session_id": session, "cwd": "/work/shop/api" });
    payload.as_object_mut().expect("an object").extend(more.as_object().cloned().unwrap_or_default());
    payload
}

fn begun(session: &str) -> [Value; 3] {
    let command = json!({ "tool_name": "Bash", "tool_use_id": "t1", "tool_input": { "command": "sleep 9" } });
    [
        hooked("SessionStart", session, &json!({ "source": "startup" })),
        hooked("UserPromptSubmit", session, &json!({ "prompt": "go" })),
        hooked("PreToolUse", session, &command),
    ]
}

fn state(monitor: &Monitor, session: &str) -> State {
    let detail: SessionDetail = monitor.get(&format!("/api/sessions/{session}")).parsed();
    detail.session.status.state
}

#[test]
fn a_session_whose_process_was_killed_is_lost_and_one_that_said_its_end_is_not() {
    let monitor = Monitor::start();
    let (mut killed, mut closed) = (Claude::start(), Claude::start());
    for event in begun("killed") {
        killed.calls_hook(&monitor, &[], &event);
    }
    for event in begun("closed") {
        closed.calls_hook(&monitor, &[], &event);
    }
    closed.calls_hook(&monitor, &[], &hooked("SessionEnd", "closed", &json!({ "reason": "other" })));
    assert_eq!(state(&monitor, "killed"), State::Working { tool: Some("Bash".to_owned()) });
    closed.kill();
    killed.kill();
    wait_until("the killed session is lost", || state(&monitor, "killed") == State::Lost);
    let told = monitor.events("kind=session.lost&limit=10");
    assert_eq!(told.sessions(), ["killed"], "the other one said that it ended");
    let lost = monitor.get("/api/events?kind=session.lost").json();
    assert_eq!(lost["events"][0]["project"], "/work/shop/api", "it is found with its project");
    assert_eq!(state(&monitor, "closed"), State::Closed { reason: Some("other".to_owned()) });
}

#[test]
fn two_processes_of_one_session_are_lost_with_the_second() {
    let monitor = Monitor::start();
    let (mut first, mut second) = (Claude::start(), Claude::start());
    for event in begun("shared") {
        first.calls_hook(&monitor, &[], &event);
    }
    second.calls_hook(&monitor, &[], &hooked("SessionStart", "shared", &json!({ "source": "resume" })));
    second.calls_hook(&monitor, &[], &hooked("UserPromptSubmit", "shared", &json!({ "prompt": "more" })));
    // One of its own tells when the end of the first has been heard of.
    for event in begun("beside") {
        first.calls_hook(&monitor, &[], &event);
    }
    first.kill();
    wait_until("the session beside is lost", || state(&monitor, "beside") == State::Lost);
    assert_eq!(state(&monitor, "shared"), State::Working { tool: None });
    second.kill();
    wait_until("the shared session is lost", || state(&monitor, "shared") == State::Lost);
}

#[test]
fn a_process_that_may_be_another_one_says_nothing_of_a_session() {
    let monitor = Monitor::start();
    let mut claude = Claude::start();
    let (own, pid) = (std::process::id(), claude.0.id());
    let namespace = std::fs::read_link("/proc/self/ns/pid").expect("Linux has namespaces");
    let digits: String = namespace.to_string_lossy().chars().filter(char::is_ascii_digit).collect();
    let namespace: u64 = digits.parse().expect("a number");
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("it runs");
    let started = start_ticks(&stat).expect("it started");
    // A pid of another namespace, and a bare pid without a proof.
    for (session, caller) in [
        ("elsewhere", json!({ "pid": pid, "started": started, "namespace": namespace + 1 })),
        ("unproven", json!({ "pid": pid })),
        ("strange", json!([pid, started, namespace])),
    ] {
        let payload = hooked("UserPromptSubmit", session, &json!({ "prompt": "go" }));
        monitor.event(json!({ "source": "hook", "caller": caller, "payload": payload }).to_string());
    }
    // Its pid is another's now: the one that called has gone.
    let reused = json!({ "pid": own, "started": 1, "namespace": namespace });
    let payload = hooked("UserPromptSubmit", "reused", &json!({ "prompt": "go" }));
    monitor.event(json!({ "source": "hook", "caller": reused, "payload": payload }).to_string());
    for event in begun("beside") {
        claude.calls_hook(&monitor, &[], &event);
    }
    claude.kill();
    wait_until("the session beside is lost", || state(&monitor, "beside") == State::Lost);
    wait_until("the other one, too", || state(&monitor, "reused") == State::Lost);
    for session in ["elsewhere", "unproven", "strange"] {
        assert_eq!(state(&monitor, session), State::Working { tool: None }, "{session}");
    }
}

#[test]
fn of_the_environment_a_hook_hands_on_the_process_and_the_project_and_nothing_else() {
    const SECRET: &str = "sk-that-nobody-may-see-0123456789";
    let monitor = Monitor::start();
    let claude = Claude::start();
    let variables = [
        ("CLAUDE_PROJECT_DIR", "/work/shop"),
        ("CLAUDE_CODE_MESSAGING_TOKEN", SECRET),
        ("ANTHROPIC_API_KEY", SECRET),
        ("CLAUDE_CODE_SESSION_ID", SECRET),
    ];
    claude.calls_hook(&monitor, &variables, &hooked("UserPromptSubmit", "s", &json!({ "prompt": "go" })));
    let detail: SessionDetail = monitor.get("/api/sessions/s").parsed();
    assert_eq!(detail.session.project.as_deref(), Some("/work/shop"), "wherever its commands went");
    let stored = monitor.get("/api/events?limit=10&payload=true").body;
    assert!(stored.contains("/work/shop/api"), "the payload stays: {stored}");
    assert!(!stored.contains(SECRET), "{stored}");
    // What is spooled is what would have been sent.
    let home = tempfile::TempDir::new().expect("a temporary folder can be made");
    hook(home.path(), &variables, &prompt("s", "go"));
    let kept = e2e::spooled(home.path()).pop().expect("nobody took it");
    let kept = std::fs::read_to_string(kept).expect("it can be read");
    assert!(kept.contains("\"project\":\"/work/shop\"") && !kept.contains(SECRET), "{kept}");
}
