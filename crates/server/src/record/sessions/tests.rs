//! Claims about the fold, as tables over sequences of events.

#![allow(clippy::needless_pass_by_value, reason = "samples are read as written, without a reference each")]

use protocol::detail::{AgentStatus, Outcome, Parent, ToolCall};
use protocol::ingest::{self, Facts};
use protocol::session::{Ask, Progress, State};
use protocol::{EventId, Row, Seq, SessionDetail, SessionId, Source, Timestamp};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use uuid::Uuid;

use super::SessionState;

/// The session of the recording that has subagents, a question, a permission and a background shell.
const SHOP: &str = "3f0c2b9e-6d1a-4c57-9b0e-2a7dd3300d33";

/// A fold of one session, fed with payloads.
struct Fold {
    state: Option<SessionState>,
    seq: u64,
}

impl Fold {
    fn new() -> Self {
        Self { state: None, seq: 0 }
    }

    /// Folds a hook payload that happened at `at`.
    fn at(&mut self, at: i64, payload: Value) -> &mut Self {
        let (row, facts) = event(self.seq + 1, at, &payload.to_string());
        self.seq += 1;
        let id = row.session_id.clone().expect("the sample has a session");
        self.state.get_or_insert_with(|| SessionState::new(id)).apply(&row, &facts);
        self
    }

    fn all(events: &[(i64, Value)]) -> SessionDetail {
        let mut fold = Self::new();
        for (at, payload) in events {
            fold.at(*at, payload.clone());
        }
        fold.detail()
    }

    fn detail(&self) -> SessionDetail {
        self.state.as_ref().expect("something was folded").detail()
    }

    fn state(&self) -> State {
        self.detail().session.status.state
    }
}

/// A payload as a row and facts. It arrives when it happened, or as soon after as the order of calls allows.
fn event(seq: u64, at: i64, payload: &str) -> (Row, Facts) {
    let own = format!(r#"{{"source":"hook","occurred_at":{},"payload":{payload}}}"#, MIDNIGHT + at);
    let raw = RawValue::from_string(own).expect("the sample is JSON");
    let mut incoming = ingest::parse(&raw, Source::Http).expect("the sample is an event");
    let facts = std::mem::take(&mut *incoming.facts);
    let again = ingest::facts(&incoming.kind, &incoming.payload);
    assert_eq!(facts, again, "what is read at the door is what a stored payload tells: {payload}");
    let received = Timestamp(MIDNIGHT + 1_000_000);
    (Row::of(incoming, Seq(seq), EventId(Uuid::nil()), received), facts)
}

/// Any time after which numbers are milliseconds and not seconds.
const MIDNIGHT: i64 = 1_800_000_000_000;

fn hook(name: &str, more: Value) -> Value {
    let mut payload = json!({ "hook_event_name": name, "session_id": "s", "cwd": "/w/shop" });
    let fields = payload.as_object_mut().expect("an object");
    fields.extend(more.as_object().cloned().unwrap_or_default());
    payload
}

fn prompt() -> Value {
    hook("UserPromptSubmit", json!({ "prompt": "go" }))
}

fn pre(id: &str, tool: &str, input: Value) -> Value {
    hook("PreToolUse", json!({ "tool_use_id": id, "tool_name": tool, "tool_input": input }))
}

fn post(id: &str, tool: &str, duration_ms: u64) -> Value {
    hook("PostToolUse", json!({ "tool_use_id": id, "tool_name": tool, "duration_ms": duration_ms }))
}

fn ask(tool: &str, input: Value) -> Value {
    hook("PermissionRequest", json!({ "tool_name": tool, "tool_input": input }))
}

fn stop() -> Value {
    hook("Stop", json!({ "background_tasks": [], "session_crons": [] }))
}

/// The same event on the lane of a subagent.
fn by(agent: &str, mut payload: Value) -> Value {
    payload["agent_id"] = json!(agent);
    payload["agent_type"] = json!("Explore");
    payload
}

fn bash() -> Value {
    json!({ "command": "cargo test" })
}

fn working(tool: Option<&str>) -> State {
    State::Working { tool: tool.map(str::to_owned) }
}

fn background(tasks: u64) -> State {
    State::Background { tasks }
}

const DONE: State = State::Done { unread: true };

fn call<'a>(detail: &'a SessionDetail, id: &str) -> &'a ToolCall {
    let all = detail.open_calls.iter().chain(&detail.recent_calls);
    let mut found = all.filter(|call| call.tool_use_id.as_ref().is_some_and(|known| known.as_str() == id));
    let call = found.next().unwrap_or_else(|| panic!("no call {id} in {detail:#?}"));
    assert!(found.next().is_none(), "{id} is there twice");
    call
}

fn outcome(detail: &SessionDetail, id: &str) -> Option<Outcome> {
    call(detail, id).end.map(|end| end.outcome)
}

/// The recorded events of one session up to a moment.
fn recorded(session: &str, until_ms: i64) -> SessionDetail {
    let mut fold = Fold::new();
    for line in include_str!("../../../../cli/assets/demo.jsonl").lines() {
        let line: Value = serde_json::from_str(line).expect("the recording is JSON");
        let at = line["at_ms"].as_i64().expect("a time");
        if at <= until_ms && line["payload"]["session_id"] == session {
            fold.at(at, line["payload"].clone());
        }
    }
    fold.detail()
}

#[test]
fn the_recorded_session_is_always_in_the_right_state() {
    let question = |detail: &SessionDetail| match &detail.session.status.state {
        State::NeedsYou { ask, .. } => Some(ask.clone()),
        _ => None,
    };
    let cases = [
        (0, "idle"),
        (1400, "working"),
        (5000, "working"),
        (19_300, "working"),
        (20_600, "needs_you"),
        (25_800, "working"),
        (42_300, "compacting"),
        (45_200, "working"),
        (45_300, "working"),
        (55_900, "working"),
        (55_960, "needs_you"),
        (61_900, "needs_you"),
        (64_800, "working"),
        (67_600, "background"),
        (70_300, "working"),
        (72_200, "done"),
        (75_500, "closed"),
    ];
    for (at, state) in cases {
        let status = recorded(SHOP, at).session.status;
        assert_eq!(status.state.name(), state, "at {at} ms: {status:?}");
    }
    let asked = recorded(SHOP, 20_600);
    assert!(matches!(question(&asked), Some(Ask::Question { text }) if text.starts_with("How shall")));
    let permission = recorded(SHOP, 61_900);
    let tool = match question(&permission) {
        Some(Ask::Permission { tool, summary }) if summary.contains("git push") => tool,
        other => panic!("{other:?}"),
    };
    assert_eq!(tool.as_deref(), Some("Bash"));
    assert_eq!(
        permission.session.status.since,
        Timestamp(MIDNIGHT + 55_960),
        "the notification adds nothing"
    );
}

#[test]
fn the_recorded_agents_have_their_parents_and_their_ends() {
    let detail = recorded(SHOP, 12_100);
    let tree: Vec<_> = detail.agent_tree.iter().map(|a| (a.agent_type.as_deref(), a.is_background)).collect();
    assert_eq!(tree, [(Some("Explore"), true), (Some("code-reviewer"), true)]);
    assert!(detail.agent_tree.iter().all(|agent| agent.parent == Parent::Main && agent.status.is_running()));
    assert_eq!(detail.agent_tree[0].description.as_deref(), Some("Find all rounding of money"));
    let later = recorded(SHOP, 16_200);
    assert_eq!((later.session.agents.total, later.session.agents.running), (2, 1));
    let end = recorded(SHOP, 80_000);
    assert!(matches!(end.agent_tree[1].status, AgentStatus::Ended { at } if at.0 == MIDNIGHT + 19_300));
    assert!(end.agent_tree[1].last_message.is_some() && end.agent_tree[1].tool_calls > 3);
}

#[test]
fn recorded_calls_tell_waiting_from_running() {
    let detail = recorded(SHOP, 80_000);
    let push = detail.recent_calls.iter().find(|call| call.summary.contains("git push")).expect("the push");
    let end = push.end.expect("it ended");
    assert_eq!(push.asked_at, Some(Timestamp(MIDNIGHT + 55_960)));
    assert_eq!((end.execution_ms, end.wait_ms), (Some(1730), Some(64_800 - 55_900 - 1730)));
    assert!(detail.open_calls.is_empty(), "{:?}", detail.open_calls);
    assert_eq!(detail.session.errors, 2);
    assert_eq!(detail.recent_errors.len(), 2);
    let prompts: Vec<_> = detail.recent_turns.iter().map(|turn| turn.prompt.is_some()).collect();
    assert_eq!(prompts, [true, true], "{:?}", detail.recent_turns);
    assert!(detail.recent_turns.iter().all(|turn| turn.end.is_some_and(|end| end.outcome == Outcome::Ok)));
    let tax = detail.files.iter().find(|file| file.path.ends_with("src/tax.rs")).expect("the file");
    assert_eq!((tax.reads, tax.edits, tax.writes), (1, 1, 0));
}

#[test]
fn recorded_todos_come_from_lists_and_from_tasks() {
    let progress = |at| recorded(SHOP, at).session.todos;
    let first = progress(2600).expect("a list");
    assert_eq!((first.done, first.total), (0, first.total));
    assert!(first.current.is_some(), "{first:?}");
    let with_tasks = progress(27_380).expect("a list");
    assert_eq!(with_tasks.total, first.total + 2);
    let end = recorded(SHOP, 80_000);
    let Some(Progress { done, total, current: None }) = end.session.todos.clone() else {
        panic!("{:?}", end.session.todos)
    };
    assert_eq!(done, total, "{:?}", end.todo_list);
    let tasks: Vec<_> = end.todo_list.iter().filter_map(|todo| todo.task_id.as_deref()).collect();
    assert_eq!(tasks, ["1", "2"]);
}

#[test]
fn each_event_leads_to_the_state_that_it_tells() {
    let failed = |error: &str| hook("StopFailure", json!({ "error": error, "error_details": "429" }));
    let background_stop = hook(
        "Stop",
        json!({ "background_tasks": [
            { "id": "b1", "type": "shell", "status": "running", "command": "npm run dev" },
            { "id": "b2", "type": "shell", "status": "completed" },
            { "id": "a9", "type": "subagent", "status": "running", "agent_type": "Explore" },
        ] }),
    );
    let crons = hook("Stop", json!({ "background_tasks": [], "session_crons": [{ "id": "c" }] }));
    let elicitation = hook("Elicitation", json!({ "mcp_server_name": "tracker", "message": "Which?" }));
    let answered = hook("ElicitationResult", json!({ "mcp_server_name": "tracker", "action": "accept" }));
    let interrupted = hook(
        "PostToolUseFailure",
        json!({ "tool_use_id": "t1", "tool_name": "Bash", "error": "x", "is_interrupt": true }),
    );
    let notification =
        |about: &str| hook("Notification", json!({ "notification_type": about, "message": "m" }));
    let end = |reason: &str| hook("SessionEnd", json!({ "reason": reason }));
    let start = |source: &str| hook("SessionStart", json!({ "source": source }));
    let needs = |ask: Ask| State::NeedsYou { ask, agent_id: None, open: 1 };
    let may_bash = Ask::Permission { tool: Some("Bash".to_owned()), summary: "Bash  cargo test".to_owned() };
    let which = Ask::Elicitation { server: Some("tracker".to_owned()), message: "Which?".to_owned() };
    let question = json!({ "questions": [{ "question": "Up or down?" }] });
    let or = "Up or down?".to_owned();
    let limited = State::RateLimited { message: Some("429".to_owned()) };
    let overloaded = State::Failed { error: "overloaded".to_owned(), message: Some("429".to_owned()) };
    let closed = |reason: &str| State::Closed { reason: Some(reason.to_owned()) };
    let own = |kind: &str| json!({ "type": kind, "session_id": "s", "data": {} });
    let cases: Vec<(Vec<Value>, State)> = vec![
        (vec![start("startup")], State::Idle),
        (vec![prompt()], working(None)),
        (vec![prompt(), pre("t1", "Bash", bash())], working(Some("Bash"))),
        (vec![prompt(), pre("t1", "Bash", bash()), post("t1", "Bash", 1)], working(None)),
        (vec![pre("t1", "Bash", bash()), ask("Bash", bash())], needs(may_bash.clone())),
        (vec![pre("t1", "Bash", bash()), ask("Bash", bash()), post("t1", "Bash", 1)], working(None)),
        // Denied by hand: no hook, but the agent goes on.
        (
            vec![pre("t1", "Bash", bash()), ask("Bash", bash()), pre("t2", "Read", json!({}))],
            working(Some("Read")),
        ),
        (
            vec![
                pre("t1", "Bash", bash()),
                ask("Bash", bash()),
                hook("PermissionDenied", json!({ "tool_use_id": "t1", "tool_name": "Bash" })),
            ],
            working(None),
        ),
        (vec![pre("t1", "Bash", bash()), ask("Bash", bash()), stop()], DONE),
        (vec![pre("t1", "Bash", bash()), ask("Bash", bash()), prompt()], working(None)),
        (vec![prompt(), ask("Bash", bash())], needs(may_bash.clone())),
        (vec![pre("t1", "Bash", bash()), notification("permission_prompt")], needs(may_bash)),
        (vec![pre("t1", "AskUserQuestion", question)], needs(Ask::Question { text: or })),
        (vec![pre("t1", "ExitPlanMode", json!({ "plan": "# Do it" }))], needs(Ask::Plan)),
        (vec![prompt(), elicitation.clone()], needs(which)),
        (vec![prompt(), elicitation.clone(), answered], working(None)),
        (vec![prompt(), elicitation, prompt()], working(None)),
        (vec![prompt(), stop()], DONE),
        (vec![prompt(), background_stop.clone()], background(2)),
        (vec![prompt(), background_stop.clone(), stop()], DONE),
        (vec![prompt(), background_stop, end("other")], closed("other")),
        (vec![prompt(), crons], State::Scheduled { schedules: 1 }),
        (vec![prompt(), failed("rate_limit")], limited),
        (vec![prompt(), failed("overloaded")], overloaded),
        (vec![prompt(), notification("idle_prompt")], DONE),
        (vec![prompt(), failed("rate_limit"), prompt()], working(None)),
        (vec![prompt(), hook("PreCompact", json!({}))], State::Compacting),
        (vec![prompt(), hook("PreCompact", json!({})), hook("PostCompact", json!({}))], working(None)),
        (vec![prompt(), hook("PreCompact", json!({})), start("compact")], working(None)),
        (vec![prompt(), stop(), hook("PreCompact", json!({})), hook("PostCompact", json!({}))], DONE),
        (vec![prompt(), pre("t1", "Bash", bash()), interrupted], State::Interrupted),
        (vec![prompt(), pre("t1", "Bash", bash()), own("session.interrupted")], State::Interrupted),
        (vec![prompt(), pre("t1", "Bash", bash()), own("session.lost")], State::Lost),
        (vec![prompt(), own("session.lost"), prompt()], working(None)),
        (vec![prompt(), end("clear")], closed("clear")),
        (vec![prompt(), end("other"), start("resume")], State::Idle),
        (vec![prompt(), end("other"), prompt()], working(None)),
        (vec![prompt(), end("other"), notification("permission_prompt")], closed("other")),
        (vec![prompt(), end("other"), stop()], closed("other")),
        // Nothing of a payload can be relied on.
        (vec![json!({ "hook_event_name": "Stop", "session_id": "s", "background_tasks": 7 })], DONE),
        (vec![hook("PreToolUse", json!({ "tool_name": 5, "tool_input": "x" }))], working(None)),
        (vec![hook("PostToolUse", json!({ "tool_response": [1] }))], working(None)),
        (vec![prompt(), hook("SubagentStop", json!({ "agent_id": "", "agent_type": "" }))], working(None)),
        (vec![prompt(), hook("PostToolBatch", json!({ "tool_calls": [null, 3, {}] }))], working(None)),
    ];
    for (events, expected) in cases {
        let mut fold = Fold::new();
        for (at, payload) in events.iter().enumerate() {
            fold.at(i64::try_from(at).expect("few") * 10, payload.clone());
        }
        assert_eq!(fold.state(), expected, "{events:#?}");
    }
}

#[test]
fn one_agent_may_need_you_while_others_work() {
    let mut fold = Fold::new();
    fold.at(0, prompt());
    for (at, agent) in [(1, "a"), (2, "b"), (3, "c")] {
        fold.at(at, by(agent, hook("SubagentStart", json!({}))));
        fold.at(at, by(agent, pre(&format!("{agent}1"), "Bash", bash())));
    }
    fold.at(10, by("b", ask("Bash", bash())));
    fold.at(11, by("c", ask("Bash", bash())));
    fold.at(12, by("a", post("a1", "Bash", 5))).at(13, by("a", pre("a2", "Read", json!({}))));
    let State::NeedsYou { agent_id: Some(agent), open: 2, .. } = fold.state() else {
        panic!("{:?}", fold.state())
    };
    assert_eq!(agent.as_str(), "b", "who waits longest");
    fold.at(20, by("b", pre("b2", "Read", json!({})))).at(21, by("c", post("c1", "Bash", 1)));
    assert_eq!(fold.state(), working(Some("Read")));
    let detail = fold.detail();
    assert_eq!((outcome(&detail, "b1"), outcome(&detail, "c1")), (None, Some(Outcome::Ok)));
    assert_eq!(call(&detail, "c1").end.and_then(|end| end.wait_ms), Some(17));
    assert_eq!(detail.session.tool_calls, 5);
    assert_eq!(detail.agent_tree.iter().map(|agent| agent.tool_calls).collect::<Vec<_>>(), [2, 2, 1]);
}

#[test]
fn calls_are_paired_in_whatever_order_their_ends_come() {
    let lost = hook(
        "PostToolBatch",
        json!({ "tool_calls": [{ "tool_use_id": "t1" }, { "tool_use_id": "t2" }, { "tool_use_id": "t9" }] }),
    );
    // The end before its start.
    let detail = Fold::all(&[(0, prompt()), (50, post("t1", "Bash", 30)), (10, pre("t1", "Bash", bash()))]);
    let one = call(&detail, "t1");
    let end = one.end.expect("it ended");
    assert_eq!((one.started_at.0 - MIDNIGHT, end.execution_ms, end.wait_ms), (10, Some(30), Some(10)));
    assert_eq!((detail.open_calls.len(), detail.session.tool_calls), (0, 1));
    // An end without any start, and ends that come twice.
    let detail =
        Fold::all(&[(50, post("t1", "Bash", 30)), (51, post("t1", "Bash", 30)), (52, post("t1", "Bash", 1))]);
    assert_eq!(call(&detail, "t1").started_at.0 - MIDNIGHT, 20, "when it began to run");
    assert_eq!((call(&detail, "t1").end.and_then(|end| end.wait_ms), detail.session.tool_calls), (None, 1));
    // Starts that come twice.
    let detail = Fold::all(&[
        (0, pre("t1", "Bash", bash())),
        (1, pre("t1", "Bash", bash())),
        (9, post("t1", "Bash", 2)),
    ]);
    assert_eq!((detail.session.tool_calls, detail.recent_calls.len()), (1, 1));
    // A lost end is made good by the batch, and that by the end that was only late.
    let mut fold = Fold::new();
    fold.at(0, pre("t1", "Bash", bash())).at(1, pre("t2", "Bash", bash())).at(2, pre("t3", "Bash", bash()));
    fold.at(9, lost);
    let detail = fold.detail();
    assert_eq!((outcome(&detail, "t1"), outcome(&detail, "t3")), (Some(Outcome::Unknown), None));
    fold.at(8, post("t1", "Bash", 3));
    assert_eq!(outcome(&fold.detail(), "t1"), Some(Outcome::Ok));
    assert_eq!(fold.detail().session.tool_calls, 3);
    // Never a negative wait.
    let detail = Fold::all(&[(0, pre("t1", "Bash", bash())), (5, post("t1", "Bash", 5000))]);
    assert_eq!(call(&detail, "t1").end.and_then(|end| end.wait_ms), Some(0));
    // A prompt tells that the user stopped what ran; an end that was only late tells better.
    let mut fold = Fold::new();
    fold.at(0, prompt()).at(1, pre("t1", "Bash", bash())).at(9, prompt());
    let detail = fold.detail();
    assert_eq!(outcome(&detail, "t1"), Some(Outcome::Interrupted));
    assert_eq!(detail.recent_turns[0].end.map(|end| end.outcome), Some(Outcome::Interrupted));
    fold.at(8, post("t1", "Bash", 3));
    assert_eq!(outcome(&fold.detail(), "t1"), Some(Outcome::Ok));
}

#[test]
fn what_comes_late_does_not_change_the_present() {
    let cases: Vec<(Vec<(i64, Value)>, State)> = vec![
        (vec![(0, prompt()), (50, stop()), (20, pre("t1", "Bash", bash()))], DONE),
        (
            vec![(0, prompt()), (50, stop()), (20, pre("t1", "Bash", bash())), (30, post("t1", "Bash", 1))],
            DONE,
        ),
        (vec![(10, pre("t1", "Bash", bash())), (0, prompt())], working(Some("Bash"))),
        (vec![(0, prompt()), (50, prompt()), (40, stop())], working(None)),
        (vec![(10, prompt()), (0, hook("SessionStart", json!({ "source": "startup" })))], working(None)),
        (
            vec![(0, prompt()), (50, hook("SessionEnd", json!({}))), (40, pre("t1", "Bash", bash()))],
            State::Closed { reason: None },
        ),
        // The request after the end of its call, and before its start.
        (
            vec![(0, pre("t1", "Bash", bash())), (90, post("t1", "Bash", 10)), (5, ask("Bash", bash()))],
            working(None),
        ),
        (
            vec![
                (0, prompt()),
                (6, ask("Bash", bash())),
                (5, pre("t1", "Bash", bash())),
                (9, post("t1", "Bash", 1)),
            ],
            working(None),
        ),
        // A clock of the future must not freeze the present.
        (vec![(9_000_000_000, prompt()), (10, stop()), (9_000_000_001, stop())], DONE),
    ];
    for (events, expected) in cases {
        assert_eq!(Fold::all(&events).session.status.state, expected, "{events:#?}");
    }
    let asked =
        Fold::all(&[(0, pre("t1", "Bash", bash())), (90, post("t1", "Bash", 10)), (5, ask("Bash", bash()))]);
    assert_eq!(call(&asked, "t1").asked_at, Some(Timestamp(MIDNIGHT + 5)));
    let named = Fold::all(&[(10, pre("t1", "Bash", bash())), (0, prompt()), (50, stop())]);
    let prompts: Vec<_> = named.recent_turns.iter().map(|turn| turn.prompt.as_deref()).collect();
    assert_eq!(prompts, [Some("go")]);
}

#[test]
fn agents_are_found_however_little_is_told_of_them() {
    let launched = |id: &str, status: &str| {
        hook(
            "PostToolUse",
            json!({
                "tool_name": "Agent", "tool_use_id": format!("t-{id}"),
                "tool_input": { "subagent_type": "Explore", "description": "Look" },
                "tool_response": { "status": status, "agentId": id },
            }),
        )
    };
    let agent_stop = |id: &str, more: Value| {
        let mut payload = hook("SubagentStop", more);
        payload["agent_id"] = json!(id);
        payload
    };
    let state = |detail: &SessionDetail| -> Vec<(String, &'static str, Parent)> {
        let name = |status| match status {
            AgentStatus::Running => "running",
            AgentStatus::Ended { .. } => "ended",
            AgentStatus::EndUnknown { .. } => "end unknown",
        };
        let agents = detail.agent_tree.iter();
        agents.map(|a| (a.agent_id.to_string(), name(a.status), a.parent.clone())).collect()
    };
    let of = |id: &str| Parent::Agent { agent_id: protocol::AgentId(id.to_owned()) };
    type Expected = Vec<(&'static str, &'static str, Parent)>;
    let cases: Vec<(&str, Vec<Value>, Expected)> = vec![
        (
            "a tool call of an unknown agent",
            vec![by("a", pre("t", "Read", json!({})))],
            vec![("a", "running", Parent::Unknown)],
        ),
        (
            "an agent below an agent, told before its start",
            vec![launched("a", "async_launched"), by("a", launched("b", "async_launched"))],
            vec![("a", "running", Parent::Main), ("b", "running", of("a"))],
        ),
        (
            "one that its parent waited for",
            vec![by("a", hook("SubagentStart", json!({}))), launched("a", "completed")],
            vec![("a", "ended", Parent::Main)],
        ),
        (
            "its end before the result that launched it",
            vec![agent_stop("a", json!({ "agent_type": "Explore" })), launched("a", "async_launched")],
            vec![("a", "ended", Parent::Main)],
        ),
        (
            "circles",
            vec![
                by("a", launched("a", "completed")),
                by("a", launched("b", "x")),
                by("b", launched("a", "x")),
            ],
            vec![("a", "ended", Parent::Unknown), ("b", "ended", of("a"))],
        ),
        (
            "a stop with an id that is no agent's",
            vec![
                by("a", hook("SubagentStart", json!({}))),
                agent_stop("zzz", json!({ "agent_type": "", "agent_transcript_path": "/x/agent-a.jsonl" })),
            ],
            vec![("a", "ended", Parent::Unknown)],
        ),
        (
            "a stop of nobody",
            vec![by("a", hook("SubagentStart", json!({}))), agent_stop("zzz", json!({ "agent_type": "" }))],
            vec![("a", "running", Parent::Unknown)],
        ),
        (
            "at the end of a turn nobody runs who is not said to",
            vec![
                prompt(),
                launched("a", "async_launched"),
                by("b", hook("SubagentStart", json!({}))),
                stop(),
            ],
            vec![("a", "end unknown", Parent::Main), ("b", "end unknown", Parent::Unknown)],
        ),
        (
            "without a list, background agents go on, and those below them",
            vec![
                prompt(),
                launched("a", "async_launched"),
                by("a", launched("b", "async_launched")),
                by("c", hook("SubagentStart", json!({}))),
                hook("Stop", json!({})),
            ],
            vec![
                ("a", "running", Parent::Main),
                ("b", "running", of("a")),
                ("c", "end unknown", Parent::Unknown),
            ],
        ),
        (
            "one that ended and was woken",
            vec![
                by("a", hook("SubagentStart", json!({}))),
                agent_stop("a", json!({ "agent_type": "Explore" })),
                by("a", pre("t", "Read", json!({}))),
            ],
            vec![("a", "running", Parent::Unknown)],
        ),
        (
            "the end of the session",
            vec![by("a", hook("SubagentStart", json!({}))), hook("SessionEnd", json!({}))],
            vec![("a", "end unknown", Parent::Unknown)],
        ),
    ];
    for (what, events, expected) in cases {
        let events: Vec<(i64, Value)> =
            events.into_iter().enumerate().map(|(at, e)| (i64::try_from(at).expect("few"), e)).collect();
        let detail = Fold::all(&events);
        let expected: Vec<_> =
            expected.into_iter().map(|(id, status, parent)| (id.to_owned(), status, parent)).collect();
        assert_eq!(state(&detail), expected, "{what}");
    }
}

#[test]
fn a_session_started_as_an_agent_has_no_agent_for_itself() {
    let as_agent = |payload| by("main-1", payload);
    let detail = Fold::all(&[
        (0, as_agent(hook("SessionStart", json!({ "source": "startup" })))),
        (1, as_agent(prompt())),
        (2, as_agent(pre("t1", "Bash", bash()))),
        (3, as_agent(stop())),
    ]);
    assert_eq!((detail.session.status.state, detail.agent_tree.len()), (DONE, 0));
}

#[test]
fn claude_mpm_s_calls_without_ids_are_paired_by_correlation_and_by_order() {
    let python = |subtype: &str, tool: &str, correlation: &str| {
        json!({ "event": "claude_event", "data": {
            "event": "mpm_event", "type": "hook", "subtype": subtype, "session_id": "s",
            "correlation_id": correlation, "data": {
                "tool_name": tool, "git_branch": "fix/tax", "success": true,
                "tool_parameters": { "file_path": "/w/shop/a.txt" },
            },
        } })
    };
    let mut fold = Fold::new();
    fold.at(0, python("pre_tool", "Read", "one")).at(1, python("pre_tool", "Write", "two"));
    assert_eq!(fold.state(), working(Some("Write")));
    fold.at(5, python("post_tool", "Write", "two")).at(6, python("post_tool", "Read", "somebody else's"));
    let detail = fold.detail();
    assert!(detail.open_calls.is_empty(), "{:?}", detail.open_calls);
    let ended: Vec<_> = detail.recent_calls.iter().map(|call| call.tool.as_deref()).collect();
    assert_eq!(ended, [Some("Write"), Some("Read")]);
    assert_eq!((detail.session.tool_calls, detail.files.len()), (2, 1));
    assert_eq!(detail.session.branch.as_deref(), Some("fix/tax"));
    // Python tells the start, our hook the end: one call, with the id that only one of them knows.
    let mut fold = Fold::new();
    fold.at(0, python("pre_tool", "Bash", "one")).at(9, post("t1", "Bash", 4));
    let detail = fold.detail();
    assert_eq!(call(&detail, "t1").end.and_then(|end| end.wait_ms), Some(5));
    assert_eq!((detail.session.tool_calls, detail.recent_calls.len()), (1, 1));
}

#[test]
fn todos_come_from_every_source() {
    let list = |entries: Value| pre("t", "TodoWrite", json!({ "todos": entries }));
    let two = json!([{ "content": "A", "status": "completed" }, { "content": "B", "status": "in_progress",
        "activeForm": "Doing B" }]);
    let python = json!({ "event": "mpm_event", "type": "hook", "subtype": "todo_updated", "session_id": "s",
        "data": { "todos": two } });
    let create = hook(
        "PostToolUse",
        json!({ "tool_name": "TaskCreate", "tool_use_id": "c", "tool_input": { "subject": "C" },
            "tool_response": { "task": { "id": 7 } } }),
    );
    let update = |status: &str| {
        hook(
            "PostToolUse",
            json!({ "tool_name": "TaskUpdate", "tool_use_id": format!("u-{status}"),
                "tool_input": { "taskId": "7", "status": status } }),
        )
    };
    let created = hook("TaskCreated", json!({ "task_id": "7", "task_subject": "C", "teammate_name": "x" }));
    let completed = hook("TaskCompleted", json!({ "task_id": "7", "task_subject": "C" }));
    let half = Some(Progress { done: 1, total: 2, current: Some("Doing B".to_owned()) });
    let of = |done, total| Some(Progress { done, total, current: None });
    let cases = [
        (vec![(0, list(two.clone()))], half.clone()),
        (vec![(0, python)], half.clone()),
        (vec![(0, list(two.clone())), (1, list(json!([])))], None),
        (vec![(5, list(two.clone())), (1, list(json!([{ "content": "old" }])))], half),
        (vec![(0, create.clone()), (1, created.clone())], of(0, 1)),
        (vec![(0, created.clone()), (1, create.clone()), (2, completed.clone())], of(1, 1)),
        (vec![(0, completed), (1, created.clone())], of(1, 1)),
        (vec![(0, created.clone()), (1, update("completed"))], of(1, 1)),
        (vec![(0, created.clone()), (1, update("deleted"))], None),
        (
            vec![(0, created), (1, list(two.clone())), (2, by("a", list(two)))],
            Some(Progress { done: 2, total: 5, current: Some("Doing B".to_owned()) }),
        ),
    ];
    for (events, expected) in cases {
        assert_eq!(Fold::all(&events).session.todos, expected, "{events:#?}");
    }
    let plan = json!({ "plan": "# Do it", "planFilePath": "/p.md" });
    let proposed = (0, pre("p", "ExitPlanMode", plan.clone()));
    let accepted =
        hook("PostToolUse", json!({ "tool_name": "ExitPlanMode", "tool_use_id": "p", "tool_input": plan }));
    let is_approved =
        |events: &[(i64, Value)]| Fold::all(events).plan.map(|plan| (plan.seq.0, plan.is_approved));
    assert_eq!(is_approved(std::slice::from_ref(&proposed)), Some((1, false)));
    assert_eq!(is_approved(&[proposed, (9, accepted)]), Some((1, true)));
}

#[test]
fn done_is_unread_until_it_was_seen_and_again_after_the_next_turn() {
    let unread = |fold: &Fold| matches!(fold.state(), State::Done { unread: true });
    let mut fold = Fold::new();
    fold.at(0, prompt()).at(1, stop());
    assert!(unread(&fold));
    fold.state.as_mut().expect("a state").mark_read();
    assert!(!unread(&fold));
    fold.at(2, hook("Notification", json!({ "notification_type": "idle_prompt" })));
    assert!(!unread(&fold), "that nothing goes on is nothing new");
    fold.at(3, prompt()).at(4, stop());
    assert!(unread(&fold));
}

#[test]
fn nothing_grows_without_bound() {
    let mut fold = Fold::new();
    fold.at(0, prompt());
    for number in 0..600 {
        let (id, agent) = (format!("t{number}"), format!("a{number}"));
        let file = json!({ "file_path": format!("/w/{number}"), "subject": "x" });
        fold.at(number, by(&agent, pre(&id, "Bash", file.clone())));
        fold.at(number, by(&agent, ask("Bash", file.clone())));
        fold.at(
            number,
            hook(
                "PostToolUse",
                json!({ "tool_name": "Read", "tool_use_id": format!("r{number}"), "tool_input": file }),
            ),
        );
        fold.at(number, hook("TaskCreated", json!({ "task_id": number, "task_subject": "x" })));
        fold.at(number, hook("Elicitation", json!({ "mcp_server_name": id, "message": "?" })));
        fold.at(number, hook("StopFailure", json!({ "error": "x" }))).at(number, prompt());
        fold.at(number, by(&agent, pre(&id, "TodoWrite", json!({ "todos": [{ "content": "x" }] }))));
    }
    let detail = fold.detail();
    let sizes = [
        detail.agent_tree.len(),
        detail.open_calls.len(),
        detail.recent_calls.len(),
        detail.todo_list.len(),
        detail.files.len(),
        detail.recent_errors.len(),
        detail.recent_turns.len(),
    ];
    assert!(sizes.iter().all(|size| *size <= 200), "{sizes:?}");
    let bytes = serde_json::to_string(fold.state.as_ref().expect("a state")).expect("JSON").len();
    assert!(bytes < 256 * 1024, "{bytes} bytes");
    assert_eq!(detail.session.session_id, SessionId("s".to_owned()));
}

#[test]
fn a_prompt_that_is_typed_while_claude_works_waits_and_interrupts_nothing() {
    let typed = |id: &str, text: &str| hook("UserPromptSubmit", json!({ "prompt": text, "prompt_id": id }));
    let begun =
        [(0, typed("p1", "build it")), (1, pre("t1", "Bash", bash())), (2, typed("p1", "then test it"))];
    let queued = Fold::all(&begun);
    assert_eq!(queued.session.status.state, working(Some("Bash")));
    assert_eq!((queued.open_calls.len(), queued.recent_turns.len()), (1, 1));
    let over = Fold::all(&[&begun[..], &[(3, post("t1", "Bash", 2)), (4, stop())]].concat());
    assert_eq!((over.session.status.state.clone(), outcome(&over, "t1")), (DONE, Some(Outcome::Ok)));
    let ends: Vec<_> = over.recent_turns.iter().map(|turn| turn.end.map(|end| end.outcome)).collect();
    assert_eq!(ends, [Some(Outcome::Ok)]);
    // One that begins a turn of its own tells that the user stopped the one before.
    let stopped = Fold::all(&[&begun[..2], &[(2, typed("p2", "no, stop"))]].concat());
    assert_eq!(outcome(&stopped, "t1"), Some(Outcome::Interrupted));
    assert_eq!(stopped.recent_turns.len(), 2);
}

#[test]
fn what_claude_code_tells_itself_is_no_prompt_of_the_user() {
    let text =
        "<task-notification><summary>Background command \"make\" completed</summary></task-notification>";
    let notice = hook("UserPromptSubmit", json!({ "prompt": text, "prompt_id": "p9" }));
    let during = Fold::all(&[(0, prompt()), (1, pre("t1", "Bash", bash())), (2, notice.clone())]);
    assert_eq!(during.session.status.state, working(Some("Bash")));
    assert_eq!((during.open_calls.len(), during.recent_turns.len()), (1, 1));
    assert_eq!(during.session.last_summary, "Notice  Background command \"make\" completed");
    let woken = Fold::all(&[(0, prompt()), (1, stop()), (2, notice.clone())]);
    assert_eq!(woken.session.status.state, working(None));
    let after = Fold::all(&[(0, prompt()), (1, stop()), (2, notice), (3, stop())]);
    assert_eq!(after.session.status.state, DONE);
    let prompts: Vec<_> = after.recent_turns.iter().map(|turn| turn.prompt.as_deref()).collect();
    assert_eq!(prompts, [Some("go"), None]);
}

#[test]
fn what_only_notifications_tell_is_asked_too() {
    for about in ["permission_prompt", "worker_permission_prompt", "agent_needs_input"] {
        let told = json!({ "notification_type": about, "message": "a worker needs your choice" });
        let detail = Fold::all(&[(0, prompt()), (1, hook("Notification", told))]);
        assert_eq!(detail.session.status.state.name(), "needs_you", "{about}");
    }
}

#[test]
fn what_concerns_every_session_or_none_changes_no_session() {
    let change = hook("ConfigChange", json!({ "source": "user_settings" }));
    let detail = Fold::all(&[(0, prompt()), (1, change)]);
    assert_eq!(detail.session.last_summary, "Prompt  go");
    // A compaction ends an agent that never began.
    let nobody =
        hook("SubagentStop", json!({ "agent_id": "a1", "agent_type": "", "agent_transcript_path": "" }));
    assert!(Fold::all(&[(0, prompt()), (1, nobody)]).agent_tree.is_empty());
}

#[test]
fn a_compaction_that_the_user_stopped_is_over() {
    let stopped = json!({ "type": "transcript.compaction_stopped", "session_id": "s" });
    let begun = [(0, prompt()), (1, stop()), (2, hook("PreCompact", json!({ "trigger": "manual" })))];
    assert_eq!(Fold::all(&begun).session.status.state, State::Compacting);
    let over = Fold::all(&[&begun[..], &[(3, stopped)]].concat());
    assert_eq!(over.session.status.state, DONE);
}
