//! Every recorded payload parses to the right kind, session, tool and summary.

use serde_json::Value;
use serde_json::value::RawValue;

use super::*;

fn raw(json: &str) -> Box<RawValue> {
    RawValue::from_string(json.to_owned()).expect("the sample is JSON")
}

fn parsed(json: &str) -> Incoming {
    parse(&raw(json), Source::Http).unwrap_or_else(|refusal| panic!("{}: {json}", refusal.message))
}

pub(super) fn fixture(name: &str) -> Vec<String> {
    let path = format!("{}/../../tests/fixtures/{name}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    text.lines().map(str::to_owned).collect()
}

#[test]
fn every_hook_sample_reads_as_a_person_would_say_it() {
    let expected = [
        ("SessionStart", "", "Session started  claude-sonnet-5  checkout bug"),
        ("Setup", "", "Setup  init"),
        ("InstructionsLoaded", "", "Loaded  CLAUDE.md  Project"),
        ("UserPromptSubmit", "", "Prompt  Why does checkout round the tax twice?"),
        ("UserPromptExpansion", "", "/review-pr  214"),
        ("MessageDisplay", "", "I will read the tax module first."),
        ("PreToolUse", "Bash", "Bash  cargo test -p tax"),
        ("PermissionRequest", "Bash", "Needs permission  Bash  git push origin fix/tax"),
        ("PostToolUse", "Bash", "Bash  cargo test -p tax  → test result: ok. 14 passed"),
        (
            "PostToolUseFailure",
            "Bash",
            "Bash  cargo test -p cart  ✗ Exit code 101 error[E0432]: unresolved import `tax::round`",
        ),
        ("PostToolBatch", "", "2 tool calls  Read, Grep"),
        ("PermissionDenied", "Bash", "Denied  Bash  rm -rf target  Blocked by classifier"),
        ("Notification", "", "Claude needs your permission"),
        ("SubagentStart", "", "Explore  started"),
        ("SubagentStop", "", "Explore  finished  Two call sites round the tax."),
        ("TaskCreated", "", "Task 1 created  Fix double rounding"),
        ("TaskCompleted", "", "Task 1 done  Fix double rounding"),
        ("Stop", "", "Turn ended  Fixed: the total is rounded once.  1 background task"),
        ("StopFailure", "", "Turn failed  rate_limit  429 Too Many Requests"),
        ("TeammateIdle", "", "researcher  is idle"),
        ("ConfigChange", "", "Configuration changed  project_settings  .claude/settings.json"),
        ("CwdChanged", "", "Moved to  /home/dev/shop/crates/tax"),
        ("DirectoryAdded", "", "Directory added  /home/dev/tax-rules"),
        ("FileChanged", "", "File changed  .envrc  change"),
        ("WorktreeCreate", "", "Worktree created  bold-oak-a3f2"),
        ("WorktreeRemove", "", "Worktree removed  .claude/worktrees/bold-oak-a3f2"),
        ("PreCompact", "", "Compacting  auto"),
        ("PostCompact", "", "Compacted  auto  The user asked about tax rounding..."),
        ("Elicitation", "", "tracker  asks  Which project?"),
        ("ElicitationResult", "", "Answered  tracker  accept"),
        ("SessionEnd", "", "Session ended  prompt_input_exit"),
        ("PreToolUse", "Read", "Read  src/cart.rs"),
        ("PreToolUse", "Agent", "Agent  Explore  Find rounding"),
        ("PostToolUse", "Agent", "Agent  Explore  Find rounding  → running in the background"),
        ("PreToolUse", "TodoWrite", "TodoWrite  0/2 done  Rounding once"),
        ("PreToolUse", "TaskUpdate", "TaskUpdate  #1  in_progress"),
        ("PreToolUse", "AskUserQuestion", "AskUserQuestion  Which rounding?"),
        ("PreToolUse", "ExitPlanMode", "ExitPlanMode  Plan 1. Round at the total"),
        ("PreToolUse", "mcp__tracker__create_issue", "tracker create_issue  Double rounding"),
    ];
    let samples = fixture("hook-samples.jsonl");
    assert_eq!(samples.len(), expected.len(), "one expectation for each sample");
    for (sample, (kind, tool, summary)) in samples.iter().zip(expected) {
        let event = parsed(sample);
        assert_eq!(event.kind.as_str(), kind);
        assert_eq!(event.tool_name.as_deref().unwrap_or_default(), tool, "{kind}");
        assert_eq!(event.summary, summary, "{kind} {tool}");
        assert_eq!(
            event.session_id.as_ref().map(SessionId::as_str),
            Some("3f0c2b9e-6d1a-4c57-9b0e-2a7d5e8f1c44")
        );
        assert!(event.project.is_some_and(|project| project.starts_with("/home/dev/shop")), "{kind}");
        assert_eq!(event.is_error, kind.ends_with("Failure"), "{kind}");
        assert_eq!(event.payload.get(), sample, "the payload is kept byte for byte");
    }
}

#[test]
fn every_post_of_claude_mpm_parses_to_its_kind_session_and_tool() {
    let posts = fixture("claude-mpm-hook-posts.jsonl");
    assert_eq!(posts.len(), 67);
    for post in posts {
        let post: Value = serde_json::from_str(&post).expect("the fixture is JSON");
        let body = post["body"].as_str().expect("a post has a body");
        let inner = &serde_json::from_str::<Value>(body).expect("a body is JSON")["data"];
        let event = parsed(body.trim());
        let subtype = inner["subtype"].as_str().expect("every post has a subtype");
        assert_eq!(event.kind, Kind::from_name(subtype), "{subtype}");
        assert_eq!(event.source, Source::MpmHook, "{subtype}");
        assert_eq!(
            event.session_id.as_ref().map(SessionId::as_str),
            inner["session_id"].as_str(),
            "{subtype}"
        );
        let tool = inner["data"]["tool_name"].as_str();
        assert_eq!(event.tool_name.as_deref(), tool, "{subtype}");
        assert_eq!(event.tool_use_id.as_ref().map(ToolUseId::as_str), inner["data"]["tool_use_id"].as_str());
        assert!(!event.summary.is_empty(), "{subtype} {body}");
        assert_eq!(event.payload.get(), body.trim(), "the envelope is kept byte for byte");
    }
}

#[test]
fn claude_mpm_s_own_events_read_well_too() {
    let cases = [
        (
            r#"{"event":"claude_event","data":{"event":"mpm_event","type":"hook","subtype":"pre_tool","data":{"tool_name":"Read","tool_parameters":{"file_path":"/w/a.txt"}},"cwd":"/w"}}"#,
            "Read  a.txt",
        ),
        (
            r#"{"event":"claude_event","data":{"event":"mpm_event","type":"hook","subtype":"todo_updated","data":{"todos":[{"content":"A","status":"completed"},{"content":"B","status":"in_progress","activeForm":"Doing B"}]}}}"#,
            "Todos  1/2 done  Doing B",
        ),
        (
            r#"{"event":"claude_event","data":{"event":"mpm_event","type":"hook","subtype":"token_usage_updated","data":{"input_tokens":10,"output_tokens":5}}}"#,
            "Tokens  in 10  out 5",
        ),
        (
            r#"{"event":"claude_event","data":{"event":"mpm_event","type":"hook","subtype":"hook_execution","data":{"hook_name":"PreToolUse","tool_name":"Read","duration_ms":7}}}"#,
            "Hook ran  PreToolUse  Read  7 ms",
        ),
        (
            r#"{"type":"claude.output","timestamp":"2025-07-30T10:00:00Z","data":{"content":"hello\nworld"}}"#,
            "claude.output  hello world",
        ),
        (r#"{"type":"memory","subtype":"loaded","data":{"agent_id":"engineer"}}"#, "memory.loaded"),
    ];
    for (body, summary) in cases {
        assert_eq!(parsed(body).summary, summary, "{body}");
    }
}

#[test]
fn an_edit_tells_how_many_lines_change() {
    let body = r#"{"hook_event_name":"PreToolUse","session_id":"s","cwd":"/p","tool_name":"Edit","tool_input":{"file_path":"/p/src/tax.rs","old_string":"a\nb","new_string":"a\nc\nd\ne"}}"#;
    assert_eq!(parsed(body).summary, "Edit  src/tax.rs  +3 −1");
}

#[test]
fn our_own_event_s_fields_win_over_its_payload() {
    let event = parsed(
        r#"{"id":"01932b5e-7d4c-7b3a-8f00-0123456789ab","occurred_at":1795225582727,"source":"hook","payload":{"hook_event_name":"Stop","session_id":"s","cwd":"/p","data":{"hook_event_name":"Stop"},"last_assistant_message":"done"}}"#,
    );
    assert_eq!(event.source, Source::Hook);
    assert_eq!(event.occurred_at, Some(Timestamp(1_795_225_582_727)));
    assert_eq!(event.session_id, Some(SessionId("s".to_owned())));
    assert!(
        event.payload.get().starts_with(r#"{"hook_event_name":"Stop""#),
        "only the payload is the payload"
    );
    let event = parsed(r#"{"kind":"deploy","session_id":"x","summary":"to\nstaging","payload":[1,2]}"#);
    assert_eq!((event.kind.as_str(), event.summary.as_str()), ("deploy", "to staging"));
}

#[test]
fn every_known_nesting_of_a_message_is_understood() {
    let cases = [
        (
            r#"{"hook_event_name":"PreToolUse","hook_input_data":{"tool_name":"Read","session_id":"s"}}"#,
            "PreToolUse",
        ),
        (r#"{"event":"claude_event","data":{"hook_event_name":"Stop","session_id":"s"}}"#, "Stop"),
        (r#"{"type":"hook","subtype":"pre_tool","data":{"tool_name":"Read"}}"#, "PreToolUse"),
        (r#"{"type":"hook.pre_tool","timestamp":"x","data":{}}"#, "PreToolUse"),
        (r#"{"type":"session.start","data":{"session_id":"s"}}"#, "session.start"),
        (r#"{"type":"tool_event","subtype":"post_tool","data":{}}"#, "PostToolUse"),
        (r#"{"event":"ticket.created","data":{"id":1}}"#, "ticket.created"),
        (r#"{"foo":1}"#, "unknown"),
        ("{}", "unknown"),
    ];
    for (body, kind) in cases {
        assert_eq!(parsed(body).kind.as_str(), kind, "{body}");
    }
}

#[test]
fn what_is_no_event_is_refused_with_its_reason() {
    let cases = [
        ("7", "not_an_object"),
        ("[]", "not_an_object"),
        (r#"{"kind":"x"}"#, "missing_payload"),
        (r#"{"id":"7","kind":"x","payload":{}}"#, "invalid_id"),
        (r#"{"payload":{"foo":1}}"#, "missing_kind"),
    ];
    for (body, code) in cases {
        assert_eq!(parse(&raw(body), Source::Http).err().map(|refusal| refusal.code), Some(code), "{body}");
    }
}

#[test]
fn the_same_hook_from_three_senders_has_the_same_key_but_for_the_sender() {
    let payload = r#"{"hook_event_name":"UserPromptSubmit","session_id":"s","prompt":"hi"}"#;
    let ours = parsed(&format!(r#"{{"source":"hook","payload":{payload}}}"#));
    let bash = parsed(&format!(
        r#"{{"event":"claude_event","data":{{"type":"hook","hook_event_name":"UserPromptSubmit","source":"fast_hook","data":{payload}}}}}"#
    ));
    let python = parsed(
        r#"{"event":"claude_event","data":{"event":"mpm_event","type":"hook","subtype":"user_prompt","session_id":"s","data":{"prompt_text":"hi"}}}"#,
    );
    for (event, deliverer) in [(ours, Deliverer::Hook), (bash, Deliverer::Bash), (python, Deliverer::Python)]
    {
        let key = DuplicateKey {
            deliverer,
            event: HookEvent::UserPromptSubmit,
            is_report: false,
            prompt: Some("hi".to_owned()),
        };
        assert_eq!(event.duplicate_key, Some(key));
    }
    assert_eq!(parsed(payload).duplicate_key, None, "anybody's own post is never taken for a double");
}
