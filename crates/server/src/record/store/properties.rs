//! For any events, in any groups, over any restarts and crashes: the state that was kept while they came is the state that
//! the stored events give. `FUZZ_CASES` sets how many are tried, twenty times fewer than of inputs.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use protocol::{Source, ingest};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;
use crate::testing::{cases, trying};

/// Sequences tried; each opens a database of its own.
const CASES: u32 = 48;

const KINDS: &[&str] = &[
    "SessionStart",
    "UserPromptSubmit",
    "PreToolUse",
    "PreToolUse",
    "PreToolUse",
    "PermissionRequest",
    "PermissionDenied",
    "PostToolUse",
    "PostToolUse",
    "PostToolUse",
    "PostToolUseFailure",
    "PostToolBatch",
    "Notification",
    "SubagentStart",
    "SubagentStop",
    "TaskCreated",
    "TaskCompleted",
    "Stop",
    "StopFailure",
    "PreCompact",
    "PostCompact",
    "Elicitation",
    "ElicitationResult",
    "SessionEnd",
    "session.interrupted",
    "session.lost",
    "InstructionsLoaded",
    "todo_updated",
];

const TOOLS: &[&str] =
    &["Bash", "Read", "Edit", "Agent", "TodoWrite", "TaskCreate", "TaskUpdate", "ExitPlanMode"];

/// Who delivers an event.
#[derive(Clone, Copy, Debug)]
enum Sender {
    Hook,
    Bash,
    Python,
    /// Claude-mpm's report about the event.
    Report,
    Bare,
}

#[derive(Clone, Debug)]
struct Sent {
    sender: Sender,
    kind: &'static str,
    session: u8,
    agent: Option<u8>,
    tool: &'static str,
    call: Option<u8>,
    /// How long before its arrival it happened.
    ago_ms: i64,
    /// Fields that are anything, in place of those that belong there.
    odd: Option<(&'static str, Value)>,
}

/// What happens to the store.
#[derive(Clone, Debug)]
enum Step {
    /// A group of events after a pause.
    Group(Vec<Sent>, i64),
    Restart,
    /// The process dies: what is in the files is all that is left.
    Crash,
    /// Somebody looks at the sessions, which writes them.
    Look,
    Read(u8),
}

fn sent() -> impl Strategy<Value = Sent> {
    let sender = prop_oneof![
        4 => Just(Sender::Hook),
        2 => Just(Sender::Bash),
        2 => Just(Sender::Python),
        1 => Just(Sender::Report),
        1 => Just(Sender::Bare),
    ];
    let field = prop::sample::select(vec![
        "tool_input",
        "tool_response",
        "background_tasks",
        "agent_id",
        "agent_type",
        "notification_type",
        "source",
        "tool_calls",
        "todos",
        "prompt",
        "is_interrupt",
        "tool_use_id",
        "duration_ms",
    ]);
    let odd = option::weighted(0.3, (field, value()));
    let kind = prop::sample::select(KINDS);
    let tool = prop::sample::select(TOOLS);
    let call = option::weighted(0.9, 0..6u8);
    (sender, kind, 0..2u8, option::weighted(0.4, 0..3u8), tool, call, -50..3000i64, odd).prop_map(
        |(sender, kind, session, agent, tool, call, ago_ms, odd)| Sent {
            sender,
            kind,
            session,
            agent,
            tool,
            call,
            ago_ms,
            odd,
        },
    )
}

/// Any small JSON value, some of which mean something.
fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-5..5000i64).prop_map(Value::from),
        prop::sample::select(vec![
            "",
            "a0",
            "a1",
            "compact",
            "resume",
            "idle_prompt",
            "permission_prompt",
            "ü"
        ])
        .prop_map(Value::from),
    ];
    leaf.prop_recursive(2, 8, 3, |inner| {
        let name = prop::sample::select(vec!["id", "agentId", "status", "type", "file_path", "tool_use_id"]);
        prop_oneof![
            vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::btree_map(name, inner, 0..3).prop_map(|fields| json!(fields)),
        ]
    })
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let group = (vec(sent(), 1..12), 0..2500i64).prop_map(|(events, pause)| Step::Group(events, pause));
    let step = prop_oneof![
        10 => group,
        1 => Just(Step::Restart),
        2 => Just(Step::Crash),
        2 => Just(Step::Look),
        1 => (0..2u8).prop_map(Step::Read),
    ];
    vec(step, 1..12)
}

impl Sent {
    /// As it is sent.
    fn json(&self, arrives_at: i64) -> Value {
        let mut payload = json!({
            "hook_event_name": self.kind,
            "session_id": format!("s{}", self.session),
            "cwd": "/w/shop",
            "tool_name": self.tool,
            "tool_input": {
                "file_path": format!("/w/{:?}", self.call),
                "plan": "p",
                "taskId": "1",
                "status": "completed",
                "todos": [{ "content": "A", "status": "in_progress" }],
            },
            "tool_response": { "agentId": "a1", "status": "async_launched", "task": { "id": "1" } },
            "agent_type": "Explore",
            "task_id": "1",
            "tool_calls": [{ "tool_use_id": "t1" }, { "tool_use_id": "t2" }],
            "background_tasks": [{ "id": "a0", "type": "subagent" }, { "id": "b", "type": "shell" }],
            "prompt": "go",
            "duration_ms": 5,
        });
        if let Some(agent) = self.agent {
            payload["agent_id"] = json!(format!("a{agent}"));
        }
        if let Some(call) = self.call {
            payload["tool_use_id"] = json!(format!("t{call}"));
        }
        if let Some((field, value)) = &self.odd {
            payload[*field] = value.clone();
        }
        let kind = protocol::Kind::from_name(self.kind);
        let python = |subtype: &str, more: Value| {
            let mut data = payload.clone();
            data["hook_name"] = more;
            let inner = json!({ "event": "mpm_event", "type": "hook", "subtype": subtype, "data": data,
                "session_id": payload["session_id"], "correlation_id": "c" });
            json!({ "event": "claude_event", "data": inner })
        };
        match self.sender {
            Sender::Hook => {
                json!({ "source": "hook", "kind": self.kind, "occurred_at": arrives_at - self.ago_ms,
                    "payload": payload })
            }
            Sender::Bash => json!({ "event": "claude_event", "data": { "type": "hook", "source": "fast_hook",
                "data": payload } }),
            Sender::Python => python(&kind.subtype(), Value::Null),
            Sender::Report => python("hook_execution", json!(self.kind)),
            Sender::Bare => payload,
        }
    }

    fn incoming(&self, arrives_at: i64) -> Incoming {
        let json = RawValue::from_string(self.json(arrives_at).to_string()).expect("it is JSON");
        ingest::parse(&json, Source::Http).expect("it is an event")
    }
}

fn run(steps: &[Step]) {
    let mut folders = vec![tempfile::tempdir().expect("a folder")];
    let open = |folder: &TempDir| {
        let config = Config { database: folder.path().join("events.db"), ..Config::default() };
        Store::open(&config, Box::new(drop)).expect("the store opens")
    };
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let mut store = open(&folders[0]);
    let mut now = 1_800_000_000_000;
    for step in steps {
        match step {
            Step::Group(events, pause) => {
                now += pause;
                let events = events.iter().map(|event| event.incoming(now)).collect();
                runtime.block_on(store.append(events, Timestamp(now))).expect("the events are stored");
            }
            Step::Read(session) => {
                let session = SessionId(format!("s{session}"));
                runtime.block_on(store.mark_read(session)).expect("the mark is stored");
            }
            Step::Look => check(&store),
            Step::Restart => {
                store.close();
                store = open(&folders[folders.len() - 1]);
            }
            Step::Crash => {
                let left = files_of(&folders[folders.len() - 1]);
                store.close();
                store = open(&left);
                folders.push(left);
            }
        }
    }
    check(&store);
    store.close();
}

/// What a crash would leave now: the database first, because its log of changes only adds to it.
fn files_of(folder: &TempDir) -> TempDir {
    let copy = tempfile::tempdir().expect("a folder");
    for name in ["events.db", "events.db-wal"] {
        std::fs::copy(folder.path().join(name), copy.path().join(name)).expect("the file is there");
    }
    copy
}

fn check(store: &Store) {
    let listed = store.sessions(10, &[]).expect("the store reads");
    for view in &listed {
        let id = &view.session_id;
        let kept = store.session(id.as_str()).expect("the store reads").expect("the session is there");
        let rebuilt =
            store.shared.readers.with(|connection| Ok(sessions::fold(connection, id, None, sessions::END)?));
        let rebuilt = rebuilt.expect("the store reads").expect("it has events").read_up_to(kept.read());
        assert_eq!(kept, rebuilt, "the state that was kept is the one that the events give");
        assert_eq!(*view, kept.session(), "the list shows it");
    }
}

proptest! {
    #![proptest_config(trying(cases().map_or(CASES, |cases| cases.div_ceil(20))))]

    #[test]
    fn what_was_kept_is_what_the_stored_events_give(steps in steps()) {
        run(&steps);
    }
}
