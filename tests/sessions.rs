//! Claims about what sessions are said to be doing, at the public doors.

use std::process::Command;
use std::sync::Arc;

use e2e::{Library, Monitor, Options, Socket, output, prompt, repository, stop, tool_start};
use protocol::session::{Session, State, Tokens};
use protocol::stream::SessionsChanged;
use protocol::{SessionDetail, detail, names};
use serde_json::{Value, json};
use tempfile::TempDir;

/// The recorded session that has subagents, a question, a permission and a background shell.
const SHOP: &str = "3f0c2b9e-6d1a-4c57-9b0e-2a7dd3300d33";

/// The other recorded session.
const WEBSITE: &str = "7b21e4d0-90c3-4f6e-8a15-6c4ed3300d33";

/// The recording up to a moment, with the times of its events.
fn recording(from_ms: i64, until_ms: i64) -> String {
    let file = repository().join("crates/cli/assets/demo.jsonl");
    let lines = std::fs::read_to_string(file).expect("the recording can be read");
    let events = lines.lines().map(|line| serde_json::from_str(line).expect("a line is JSON"));
    let at = |line: &Value| line["at_ms"].as_i64().expect("a time");
    let events = events.filter(|line: &Value| (from_ms..until_ms).contains(&at(line)));
    let events = events.map(|line| {
        let occurred_at = 1_700_000_000_000i64 + at(&line);
        json!({ "source": "hook", "occurred_at": occurred_at, "payload": line["payload"] }).to_string()
    });
    events.collect::<Vec<_>>().join("\n")
}

fn detail(monitor: &Monitor, session: &str) -> SessionDetail {
    monitor.get(&format!("/api/sessions/{session}")).parsed()
}

fn list(monitor: &Monitor, query: &str) -> Vec<Session> {
    let answer = monitor.get(&format!("/api/sessions?{query}")).json();
    serde_json::from_value(answer["sessions"].clone()).unwrap_or_else(|e| panic!("{e} in {answer}"))
}

fn states(sessions: &[Session]) -> Vec<(&str, &'static str)> {
    sessions.iter().map(|s| (s.session_id.as_str(), s.status.state.name())).collect()
}

#[test]
fn the_recorded_sessions_are_told_as_they_happened() {
    let monitor = Monitor::start();
    monitor.post("/api/events", recording(0, 56_000));
    assert_eq!(states(&list(&monitor, "")), [(SHOP, "needs_you"), (WEBSITE, "working")]);
    assert_eq!(states(&list(&monitor, "status=needs_you")), [(SHOP, "needs_you")]);
    assert_eq!(states(&list(&monitor, "status=done,working")), [(WEBSITE, "working")]);
    assert_eq!(list(&monitor, "limit=1").len(), 1);
    let shop = detail(&monitor, SHOP);
    assert_eq!(shop.session, list(&monitor, "status=needs_you")[0], "the list and the detail agree");
    assert!(shop.agent_tree.iter().all(|agent| agent.parent == detail::Parent::Main));
    assert_eq!((shop.open_calls.len(), shop.agent_tree.len()), (1, 2));
    assert!(shop.open_calls[0].asked_at.is_some());

    monitor.post("/api/events", recording(56_000, 70_000));
    let shop = detail(&monitor, SHOP);
    assert_eq!(shop.session.status.state, State::Background { tasks: 1 });
    assert_eq!(shop.background[0].kind, "shell");
    assert!(shop.open_calls.is_empty(), "{:?}", shop.open_calls);
    assert_eq!(states(&list(&monitor, "status=done")), [(WEBSITE, "done")]);
}

#[test]
fn what_was_read_is_not_unread_and_every_viewer_learns_it() {
    let monitor = Monitor::start();
    monitor.event(prompt("s-1", "hello"));
    monitor.event(stop("s-1"));
    let stream = Options { namespace: names::STREAM, ..Options::default() };
    let mut socket = Socket::connect_with(&monitor, Library::Node, &stream);
    let snapshot = socket.ask("subscribe", &json!({}));
    assert_eq!(snapshot["sessions"][0]["status"]["unread"], true, "{snapshot}");

    assert_eq!(monitor.post("/api/sessions/s-1/read", "").status, 204);
    let changed: SessionsChanged = serde_json::from_value(socket.event("sessions")).expect("sessions");
    assert_eq!(changed.changed[0].status.state, State::Done { unread: false });
    assert_eq!(detail(&monitor, "s-1").session.status.state, State::Done { unread: false });
    monitor.post("/api/sessions/nobody/read", "").assert_refused("a session that is not there");
    let foreign = [("origin", "https://example.org")];
    monitor.post_with("/api/sessions/s-1/read", &foreign, "").assert_refused("a foreign page");

    monitor.event(stop("s-1"));
    assert_eq!(detail(&monitor, "s-1").session.status.state, State::Done { unread: true });
}

#[test]
fn a_session_is_told_as_it_was_at_any_position() {
    let monitor = Monitor::start();
    let shop = |query: &str| monitor.get(&format!("/api/sessions/{SHOP}{query}"));
    monitor.post("/api/events", recording(0, 56_000));
    let (then, at) = (shop("").json(), monitor.get("/health").json()["last_seq"].clone());
    monitor.post("/api/events", recording(56_000, 70_000));
    assert_ne!(shop("").json(), then);
    assert_eq!(shop(&format!("?at={at}")).json(), then);
    assert_eq!(shop("?at=9223372036854775807").json(), shop("").json());
    assert_eq!(shop("?at=0").status, 404, "nothing had happened");
    assert_eq!((shop("?at=then").status, shop("?when=1").status), (400, 400));
}

#[test]
fn a_crash_loses_neither_the_state_of_a_session_nor_that_it_was_read() {
    let monitor = Monitor::start();
    monitor.post("/api/events", recording(0, 56_000));
    monitor.event(prompt("s-1", "hello"));
    monitor.event(stop("s-1"));
    monitor.post("/api/sessions/s-1/read", "");
    let before = (detail(&monitor, SHOP), list(&monitor, ""));
    let monitor = monitor.crash().restart();
    assert_eq!((detail(&monitor, SHOP), list(&monitor, "")), before);
    monitor.post("/api/events", recording(56_000, 80_000));
    assert_eq!(detail(&monitor, SHOP).session.status.state.name(), "closed");
}

#[test]
fn a_session_that_ended_lives_again_when_it_is_resumed() {
    let monitor = Monitor::start();
    let start = |source: &str| {
        json!({ "hook_event_name": "SessionStart", "session_id": "s-1", "source": source }).to_string()
    };
    let end = json!({ "hook_event_name": "SessionEnd", "session_id": "s-1", "reason": "other" }).to_string();
    let state = || detail(&monitor, "s-1").session.status.state;
    monitor.event(start("startup"));
    monitor.event(tool_start("s-1", "toolu_1"));
    monitor.event(&end);
    assert_eq!(state(), State::Closed { reason: Some("other".to_owned()) });
    assert!(detail(&monitor, "s-1").open_calls.is_empty());
    monitor.event(start("resume"));
    assert_eq!(state(), State::Idle);
    monitor.event(tool_start("s-1", "toolu_2"));
    assert_eq!(state(), State::Working { tool: Some("Bash".to_owned()) });
}

#[test]
fn a_question_about_sessions_that_makes_no_sense_is_refused() {
    let monitor = Monitor::start();
    for query in ["limit=many", "status=busy", "status=done,busy", "state=done"] {
        monitor.get(&format!("/api/sessions?{query}")).assert_refused(query);
    }
}

/// How long a transcript's news may take; only reached when something is broken.
const TRANSCRIPT_LIMIT: std::time::Duration = std::time::Duration::from_secs(30);

/// Asks until the session is as wanted.
#[track_caller]
fn eventually(monitor: &Monitor, id: &str, wanted: impl Fn(&Session) -> bool) -> Session {
    let begun = std::time::Instant::now();
    loop {
        let session = list(monitor, "").into_iter().find(|session| session.session_id.as_str() == id);
        match session {
            Some(session) if wanted(&session) => return session,
            last => assert!(begun.elapsed() < TRANSCRIPT_LIMIT, "never as wanted: {last:#?}"),
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}

#[test]
fn the_transcript_that_a_hook_names_tells_tokens_cost_title_and_the_key_esc() {
    let monitor = Monitor::start();
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let path = folder.path().join("first.jsonl");
    let recorded = repository().join("tests/fixtures/transcripts/first.jsonl");
    let recorded = std::fs::read_to_string(recorded).expect("the transcript can be read");
    let (before, after) = recorded.split_at(recorded.find("compact_boundary").expect("it was compacted"));
    std::fs::write(&path, before).expect("the transcript can be written");
    let hook = |name: &str| {
        json!({ "source": "hook", "occurred_at": 1_787_393_400_000u64, "payload": {
            "session_id": "first", "hook_event_name": name, "prompt": "go", "transcript_path": path,
        } })
        .to_string()
    };
    monitor.post("/api/events", hook("UserPromptSubmit"));
    let session =
        eventually(&monitor, "first", |session| session.tokens.is_some_and(|tokens| tokens.responses == 3));
    let tokens = session.tokens.expect("they were told");
    assert_eq!((tokens.input, tokens.output, tokens.cache_write, tokens.cache_read), (22, 320, 1400, 2500));
    assert_eq!((tokens.cost_usd_micros, tokens.unpriced), (6930 + 5900, 1));
    assert_eq!(session.title.as_deref(), Some("Fix the tax"));
    assert_eq!(session.model.as_deref(), Some("claude-future-9"), "the newest");
    assert_eq!(session.status.state.name(), "working");

    std::fs::write(&path, format!("{before}{after}")).expect("the transcript can be written");
    let session = eventually(&monitor, "first", |session| session.status.state == State::Interrupted);
    assert_eq!(session.tokens, Some(tokens), "nothing is counted twice");
}

/// More sessions than whose transcripts are followed at once.
const MANY_SESSIONS: usize = 600;

#[test]
fn for_the_transcript_of_a_new_session_that_of_the_quietest_gives_way_until_it_is_heard_of() {
    let monitor = Monitor::start();
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let recorded = repository().join("tests/fixtures/transcripts/first.jsonl");
    let recorded = std::fs::read_to_string(recorded).expect("the transcript can be read");
    let (before, after) = recorded.split_at(recorded.find("compact_boundary").expect("it was compacted"));
    let hook = |session: &str| {
        json!({ "source": "hook", "occurred_at": 1_787_393_400_000u64, "payload": {
            "session_id": session, "hook_event_name": "UserPromptSubmit", "prompt": "go",
            "transcript_path": folder.path().join(format!("{session}.jsonl")),
        } })
        .to_string()
    };
    let write = |session: &str, text: &str| {
        // Each with responses of its own: what two files say alike is told once.
        let own = text.replace("msg_", session).replace("\"first\"", &format!("{session:?}"));
        std::fs::write(folder.path().join(format!("{session}.jsonl")), own).expect("it can be written");
    };
    let is_read = |session: &Session| session.tokens.is_some_and(|tokens| tokens.responses == 3);
    write("quiet", before);
    monitor.post("/api/events", hook("quiet"));
    let tokens = eventually(&monitor, "quiet", is_read).tokens;

    let others: Vec<String> = (0..MANY_SESSIONS).map(|number| hook(&format!("other-{number}"))).collect();
    assert_eq!(monitor.post("/api/events", others.join("\n")).status, 200);
    write("new", before);
    monitor.post("/api/events", hook("new"));
    eventually(&monitor, "new", is_read);

    write("quiet", &format!("{before}{after}"));
    monitor.post("/api/events", hook("quiet"));
    let session = eventually(&monitor, "quiet", |session| session.status.state == State::Interrupted);
    assert_eq!(session.tokens, tokens, "nothing is counted twice");
}

/// Only root can be somebody else, and only Linux tells.
#[test]
fn a_transcript_that_somebody_else_names_is_not_read() {
    let monitor = Monitor::start_with(&Arc::new(TempDir::new().expect("a folder")), &["--host", "0.0.0.0"]);
    let folder = TempDir::new().expect("a temporary folder can be made");
    let recorded = repository().join("tests/fixtures/transcripts/first.jsonl");
    let recorded = std::fs::read_to_string(recorded).expect("the transcript can be read");
    let hook = |session: &str| {
        let path = folder.path().join(format!("{session}.jsonl"));
        // Each with responses of its own: what two files say alike is told once.
        let own = recorded.replace("msg_", session).replace("\"first\"", &format!("{session:?}"));
        std::fs::write(&path, own).expect("a transcript can be written");
        json!({
            "session_id": session, "hook_event_name": "UserPromptSubmit", "prompt": "go", "transcript_path": path,
        })
        .to_string()
    };
    let authorization = format!("authorization: Bearer {}", monitor.token());
    let url = format!("{}/api/events", monitor.url());
    let nobody = [
        "--reuid=65534",
        "--regid=65534",
        "--clear-groups",
        "curl",
        "--silent",
        "--fail",
        "--max-time",
        "30",
    ];
    let mut other = Command::new("setpriv");
    other.args(nobody).args(["--header", &authorization, "--data-binary", "@-", &url]);
    let sent = output(&mut other, hook("named-by-another").as_bytes());
    assert!(sent.status.success(), "this test must run as root, who can be somebody else: {sent:?}");
    let bearer = format!("Bearer {}", monitor.token());
    let forwarded = [("authorization", bearer.as_str()), ("x-forwarded-for", "192.0.2.7")];
    assert_eq!(monitor.post_with("/api/events", &forwarded, hook("named-through-a-proxy")).status, 204);
    monitor.hook(&hook("named-by-its-user"));
    // All files would be looked at in the same moment.
    let told = || {
        let page = monitor.get_with("/api/events?kind=transcript.response", &[("authorization", &bearer)]);
        page.page().sessions()
    };
    let begun = std::time::Instant::now();
    while told().is_empty() {
        assert!(begun.elapsed() < TRANSCRIPT_LIMIT, "the user's own transcript was never read");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    assert!(told().iter().all(|session| session == "named-by-its-user"), "{:?}", told());
}

#[test]
fn tokens_and_cost_are_counted_once_over_subagents_a_resumed_session_and_a_restart() {
    let monitor = Monitor::start();
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let recorded = repository().join("tests/fixtures/transcripts");
    let files = ["first.jsonl", "first/subagents/agent-a1.jsonl", "resumed.jsonl"];
    std::fs::create_dir_all(folder.path().join("first/subagents")).expect("a folder can be made");
    for file in files {
        std::fs::copy(recorded.join(file), folder.path().join(file)).expect("a file can be copied");
    }
    let prompt = |monitor: &Monitor, session: &str| {
        let path = folder.path().join(format!("{session}.jsonl"));
        let prompt = json!({
            "session_id": session, "hook_event_name": "UserPromptSubmit", "prompt": "go", "transcript_path": path,
        });
        monitor.post("/api/events", prompt.to_string());
    };
    let counted = |monitor: &Monitor, session: &str, responses: u64| {
        let told = |session: &Session| session.tokens.is_some_and(|tokens| tokens.responses >= responses);
        let tokens = eventually(monitor, session, told).tokens.expect("they were told");
        let Tokens { input, output, cache_write, cache_read, cost_usd_micros, unpriced, .. } = tokens;
        assert_eq!(tokens.responses, responses, "each once");
        ([input, output, cache_write, cache_read], cost_usd_micros, unpriced)
    };
    // Three of the main thread, one of which has no price, and one of the subagent: see the table of each by hand in
    // the server's own test.
    let first = ([10 + 5 + 7 + 20, 200 + 50 + 70 + 40, 1000 + 400, 500 + 2000], 6930 + 5900 + 220, 1);
    let resumed = ([1, 2, 0, 0], 33, 0);
    prompt(&monitor, "first");
    assert_eq!(counted(&monitor, "first", 4), first);
    prompt(&monitor, "resumed");
    assert_eq!(counted(&monitor, "resumed", 1), resumed, "without the copies of the first session's lines");

    // Nothing about the files is kept: they are read from the beginning.
    let monitor = monitor.crash().restart();
    prompt(&monitor, "first");
    prompt(&monitor, "resumed");
    let more = json!({
        "type": "assistant", "uuid": "00000000-0000-4000-8000-000000000099", "requestId": "req_9",
        "message": { "id": "msg_9", "model": "claude-haiku-4-5", "stop_reason": "end_turn",
            "usage": { "input_tokens": 1000, "output_tokens": 100 } },
    });
    for session in ["first", "resumed"] {
        let path = folder.path().join(format!("{session}.jsonl"));
        let mut text = std::fs::read_to_string(&path).expect("a transcript can be read");
        let more = more.to_string().replace("msg_9", &format!("msg_9_{session}"));
        text += &(more + "\n");
        std::fs::write(&path, text).expect("a transcript can be written");
    }
    let (tokens, cost, unpriced) = first;
    let [input, output, written, read] = tokens;
    assert_eq!(
        counted(&monitor, "first", 5),
        ([input + 1000, output + 100, written, read], cost + 1500, unpriced)
    );
    assert_eq!(counted(&monitor, "resumed", 2), ([1001, 102, 0, 0], 33 + 1500, 0));
}

/// What every line, card and list shows: everything but the payload, which is shown on demand.
#[test]
fn no_line_and_no_card_shows_a_secret() {
    let monitor = Monitor::start();
    let secret = format!("ghp_{}", "x7Kq2".repeat(7));
    let session = "5e55a0b1-0000-4000-8000-000000000000";
    let hook = |event: &str, more: Value| {
        let mut hook = json!({ "hook_event_name": event, "session_id": session, "cwd": "/home/dev/shop" });
        hook.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        hook.to_string()
    };
    let command = json!({ "command": format!("git push https://dev:{secret}@example.org/shop") });
    let todos = json!([{ "content": format!("use {secret}"), "status": "pending" }]);
    let events = [
        hook("SessionStart", json!({ "source": "startup", "session_title": secret })),
        hook("UserPromptSubmit", json!({ "prompt": format!("my token is {secret}") })),
        hook(
            "PreToolUse",
            json!({ "tool_name": "TodoWrite", "tool_use_id": "t1", "tool_input": { "todos": todos } }),
        ),
        hook(
            "PostToolUse",
            json!({ "tool_name": "TodoWrite", "tool_use_id": "t1", "tool_input": { "todos": todos } }),
        ),
        hook("PreToolUse", json!({ "tool_name": "Bash", "tool_use_id": "t2", "tool_input": command })),
        hook("PermissionRequest", json!({ "tool_name": "Bash", "tool_use_id": "t2", "tool_input": command })),
        hook(
            "PreToolUse",
            json!({ "tool_name": "ExitPlanMode", "tool_use_id": "t3", "tool_input": { "plan": secret } }),
        ),
        hook("Notification", json!({ "notification_type": "permission_prompt", "message": secret })),
        hook("StopFailure", json!({ "error": "invalid", "error_details": format!("bad key {secret}") })),
    ];
    monitor.post("/api/events", events.join("\n"));
    let shown = ["/api/events?payload=false", "/api/sessions", &format!("/api/sessions/{session}")];
    for path in shown {
        let answer = monitor.get(path).body;
        assert!(answer.contains("[masked]"), "{path}: {answer}");
        assert!(!answer.contains(&secret), "{path}: {answer}");
    }
    let details = monitor.get("/api/events?payload=true").body;
    assert_eq!(details.matches(&secret).count(), events.len(), "what was sent is kept as it was: {details}");
}
