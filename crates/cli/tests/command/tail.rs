//! `tail`: each flag, following across a restart, and ending well.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use crate::support::{Desk, free_port};
use client::Running;
use rustix::process::Signal;
use serde_json::{Value, json};

/// Two sessions, two tools, a subagent, two folders, one failure.
pub(crate) const EVENTS: &str = r#"{"hook_event_name":"UserPromptSubmit","session_id":"alpha-1","cwd":"/work/shop","prompt":"hello"}
{"hook_event_name":"PreToolUse","session_id":"alpha-1","cwd":"/work/shop/api","tool_name":"Bash","tool_use_id":"t1","tool_input":{"command":"make"}}
{"hook_event_name":"PreToolUse","session_id":"beta-2","cwd":"/work/site","agent_id":"a1","agent_type":"Explore","tool_name":"Read","tool_use_id":"t2","tool_input":{"file_path":"x.rs"}}
{"hook_event_name":"PostToolUseFailure","session_id":"beta-2","cwd":"/work/site","tool_name":"Bash","tool_use_id":"t3","tool_input":{"command":"export DB_PASSWORD=hunter2hunter2"},"error":"exit 1"}
{"hook_event_name":"Stop","session_id":"alpha-1","cwd":"/work/shop","last_assistant_message":"done"}"#;

pub(crate) fn fill(running: &Running) {
    running.monitor().post_event(EVENTS).unwrap();
}

/// The positions that `tail` shows with these flags.
#[track_caller]
fn seqs(desk: &Desk, flags: &str) -> Vec<u64> {
    let ran = desk.run(&format!("tail --no-follow --json {flags}"));
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""), "{flags}: {ran:?}");
    let lines = ran.out.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.map(|event| event["seq"].as_u64().unwrap()).collect()
}

#[test]
fn each_filter_of_tail_filters() {
    let desk = Desk::new();
    let (_server, running) = desk.serve("", desk.port);
    fill(&running);
    let cases: [(&str, &[u64]); 14] = [
        ("", &[1, 2, 3, 4, 5]),
        ("-n 2", &[4, 5]),
        ("--lines 0", &[]),
        ("--session alpha-1", &[1, 2, 5]),
        ("--session beta", &[3, 4]),
        ("--kind PreToolUse", &[2, 3]),
        ("--kind pre_tool,Stop", &[2, 3, 5]),
        ("--kind UserPromptSubmit --kind Stop", &[1, 5]),
        ("--tool Bash", &[2, 4]),
        ("--agent Explore", &[3]),
        ("--agent a1", &[3]),
        ("--project /work/shop", &[1, 2, 5]),
        ("--errors", &[4]),
        ("--session alpha-1 -n 1 --tool Bash", &[2]),
    ];
    for (flags, expected) in cases {
        assert_eq!(seqs(&desk, flags), expected, "{flags}");
    }
    running.monitor().post_event(r#"{"hook_event_name":"Stop","session_id":"alpha-7"}"#).unwrap();
    let ambiguous = desk.run("tail --no-follow --session alpha");
    assert_eq!(ambiguous.code, Some(1));
    assert!(ambiguous.err.contains("alpha-7, alpha-1"), "{ambiguous:?}");
}

#[test]
fn lines_are_for_people_and_json_is_for_programs_and_secrets_are_masked_in_both() {
    let desk = Desk::new();
    let (_server, running) = desk.serve("", desk.port);
    fill(&running);
    let plain = desk.run("tail --no-follow");
    assert_eq!(plain.out.lines().count(), 6, "a day and five events: {plain:?}");
    assert!(plain.out.contains("alpha-1   ▸  Bash  make\n"), "{plain:?}");
    assert!(!plain.out.contains('\u{1b}') && !plain.out.contains("hunter2"), "{plain:?}");
    assert_eq!(desk.run("tail --no-follow --raw").code, Some(2), "lines never show any");
    assert!(desk.run("tail --no-follow --color always").out.contains('\u{1b}'));
    assert!(!desk.run("tail --no-follow --color never").out.contains('\u{1b}'));
    let event = |flags: &str| {
        let ran = desk.run(&format!("tail --no-follow --json --errors {flags}"));
        serde_json::from_str::<Value>(&ran.out).unwrap()
    };
    let failed = event("");
    assert_eq!(failed["payload"], Value::Null);
    assert_eq!(event(&format!("--id {}", failed["id"].as_str().unwrap())), failed);
    assert_eq!(event("--payload")["payload"]["tool_input"]["command"], "export DB_PASSWORD=[masked]");
    assert_eq!(
        event("--payload --raw")["payload"]["tool_input"]["command"],
        "export DB_PASSWORD=hunter2hunter2"
    );
}

#[test]
fn a_tail_follows_the_monitor_to_another_port_and_ends_by_ctrl_c() {
    let desk = Desk::new();
    let (_server, running) = desk.serve("", desk.port);
    let mut tail = desk.command("tail -n 0").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut out = BufReader::new(tail.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut err = BufReader::new(tail.stderr.take().unwrap()).lines().map(Result::unwrap);
    // What is sent before the tail is there is not shown, so it is sent until something is.
    let (first, second) = (running.monitor(), free_port());
    let shown = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !shown.load(std::sync::atomic::Ordering::Relaxed) {
                first
                    .post_event(r#"{"hook_event_name":"UserPromptSubmit","session_id":"s","prompt":"one"}"#)
                    .unwrap();
            }
        });
        assert!(out.next().unwrap().starts_with("── "));
        assert!(out.next().unwrap().ends_with("❯  Prompt  one"));
        shown.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    first.restart(&running.runfile.control_token, second).unwrap();
    assert_eq!(
        err.next().unwrap(),
        format!("The monitor at http://localhost:{} is gone; waiting until it is back", desk.port)
    );
    assert_eq!(err.next().unwrap(), format!("The monitor is back at http://localhost:{second}"));
    desk.wait_for_ours(second)
        .monitor()
        .post_event(r#"{"hook_event_name":"UserPromptSubmit","session_id":"s","prompt":"two"}"#)
        .unwrap();
    let two = out.find(|line| !line.ends_with("one"));
    assert!(two.as_ref().is_some_and(|line| line.ends_with("❯  Prompt  two")), "{two:?}");
    let pid = rustix::process::Pid::from_raw(tail.id().cast_signed()).unwrap();
    rustix::process::kill_process(pid, Signal::INT).unwrap();
    assert_eq!(tail.wait().unwrap().code(), Some(0));
    assert_eq!(err.next(), None, "nothing more to say");
}

#[test]
fn a_tail_gives_up_after_as_many_looks_as_it_may() {
    let desk = Desk::new();
    desk.configure(r#"{ "max_connection_attempts": 2 }"#);
    let (server, running) = desk.serve("", desk.port);
    running.monitor().post_event(r#"{"hook_event_name":"Stop","session_id":"s"}"#).unwrap();
    let mut tail = desk.command("tail").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut out = BufReader::new(tail.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert!(out.next().unwrap().starts_with("── "), "it is there");
    server.signal(Signal::KILL);
    server.ended();
    assert_eq!(tail.wait().unwrap().code(), Some(1));
    let mut said = String::new();
    std::io::Read::read_to_string(&mut tail.stderr.take().unwrap(), &mut said).unwrap();
    assert!(said.ends_with("it is gone, and was looked for in vain 2 times\n"), "{said}");
}

#[test]
fn a_tail_that_nobody_reads_any_more_ends_well() {
    let desk = Desk::new();
    let (_server, running) = desk.serve("", desk.port);
    fill(&running);
    let mut tail = desk.command("tail").stdout(Stdio::piped()).spawn().unwrap();
    let mut first = String::new();
    let mut out = BufReader::new(tail.stdout.take().unwrap());
    out.read_line(&mut first).unwrap();
    drop(out);
    fill(&running);
    assert_eq!(tail.wait().unwrap().code(), Some(0));
}

#[test]
fn which_monitor_is_the_named_one_or_the_only_one() {
    let desk = Desk::new();
    let none = desk.run("tail");
    assert_eq!(none.code, Some(3));
    let port = desk.port;
    assert_eq!(
        none.err,
        format!(
            "Error: Monitor is not running on port {port}\n\
             Suggestion: use 'claude-mpm-monitor start --port {port}' to start it\n"
        )
    );
    let (second, third) = (free_port(), free_port());
    let (_second, running) = desk.serve(&format!("--port {second}"), second);
    fill(&running);
    assert_eq!(seqs(&desk, "-n 1"), [5], "the only one that runs");
    let (_third, _) = desk.serve(&format!("--port {third}"), third);
    assert_eq!(seqs(&desk, &format!("-n 1 --port {second}")), [5]);
    assert_eq!(seqs(&desk, &format!("-n 1 --port {third}")), [0; 0], "another store");
    let unclear = desk.run("tail");
    assert_eq!(unclear.code, Some(2));
    assert!(
        unclear.err.ends_with("Suggestion: choose one with --port, or follow all with --all\n"),
        "{unclear:?}"
    );
}

#[test]
fn all_monitors_are_followed_at_once_and_each_line_says_whose_it_is() {
    let desk = Desk::new();
    let (second, third) = (free_port(), free_port());
    assert_eq!(desk.run("watch --all").code, Some(3), "there is none");
    let (_first, first) = desk.serve("", desk.port);
    let (_second, running) = desk.serve(&format!("--port {second}"), second);
    let post = |running: &Running, session: &str, prompt: &str| {
        let prompt =
            json!({ "hook_event_name": "UserPromptSubmit", "session_id": session, "prompt": prompt });
        running.monitor().post_event(&prompt.to_string()).unwrap();
    };
    for (running, prompt) in [(&first, "one"), (&running, "two"), (&first, "three")] {
        post(running, "s", prompt);
    }
    let ran = desk.run("tail --all --no-follow --json");
    let told: Vec<(u64, String)> = ran
        .out
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .map(|event| (event["instance"].as_u64().unwrap(), event["summary"].as_str().unwrap().to_owned()))
        .collect();
    let (a, b) = (u64::from(desk.port), u64::from(second));
    let expected = [(a, "Prompt  one"), (b, "Prompt  two"), (a, "Prompt  three")];
    assert_eq!(told, expected.map(|(port, text)| (port, text.to_owned())), "in the order of time: {ran:?}");
    assert_eq!(desk.run(&format!("tail --all --port {second}")).code, Some(2));

    let mut watch = desk.command("watch --all -n 1").stdout(Stdio::piped()).spawn().unwrap();
    let mut out = BufReader::new(watch.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert!(out.next().unwrap().starts_with("── "));
    assert!(out.next().unwrap().starts_with(&format!("{second:<5}  ")));
    assert!(out.next().unwrap().ends_with("Prompt  three"));
    let (_third, later) = desk.serve(&format!("--port {third}"), third);
    post(&later, "s", "four");
    let four = out.next().unwrap();
    assert!(four.starts_with(&format!("{third:<5}  ")) && four.ends_with("Prompt  four"), "{four}");
    post(&running, "s", "five");
    assert!(out.next().unwrap().ends_with("Prompt  five"));
    let pid = rustix::process::Pid::from_raw(watch.id().cast_signed()).unwrap();
    rustix::process::kill_process(pid, Signal::INT).unwrap();
    assert_eq!(watch.wait().unwrap().code(), Some(0));
    assert_eq!(out.next(), None, "each was told once");
}
