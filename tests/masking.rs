//! Claims about secrets: where they are not shown, whatever field of an event they came in, and where they are.

use e2e::{Library, Monitor, Options, Socket, WebSocket};
use protocol::names;
use serde_json::{Value, json};

/// A secret that is put together here, so that no scanner takes it for a leak.
fn token(start: &str) -> String {
    format!("{start}{}", "x7Kq2".repeat(7))
}

/// A hook event with these fields.
fn hook(event: &str, more: &Value) -> Value {
    let mut hook = json!({ "hook_event_name": event, "session_id": "s-1", "cwd": "/home/dev/shop" });
    hook.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    hook
}

/// Events that have a secret in each field that is shown somewhere, and in its forms, and all these secrets.
fn events() -> (Vec<Value>, Vec<String>) {
    let names = ["ghp_", "glpat-", "sk-ant-api03-", "npm_", "hvs.", "ATCTT3", "v2.local.", "lin_api_"];
    let [title, question, plan, todo, file, id, folder, said] = names.map(token);
    let phrase = "correct horse battery".to_owned();
    let word = "hunter2hunter2".to_owned();
    let mcp = format!("mcp__{id}__q");
    let call = |id: &str, tool: &str, input: Value| json!({ "tool_use_id": id, "tool_name": tool, "tool_input": input });
    let bash = |command: String| json!({ "command": command });
    let events = vec![
        hook("SessionStart", &json!({ "source": "startup", "session_title": title, "model": said })),
        hook(
            "UserPromptSubmit",
            &json!({ "prompt": format!("password: \"{phrase}\", please"), "prompt_id": id }),
        ),
        hook("PreToolUse", &call("t1", "Bash", bash(format!("PGPASSWORD={word} psql")))),
        hook(
            "PostToolUse",
            &json!({
                "tool_use_id": "t1", "tool_name": "Bash", "tool_input": bash(format!("mysql -p{word}")),
                "tool_response": { "stdout": format!("\u{1b}[1m{title}\u{1b}[0m"), "gitOperation": { "commit": { "branch": said } } },
            }),
        ),
        hook(
            "PreToolUse",
            &call(
                "t2",
                "AskUserQuestion",
                json!({ "questions": [{ "question": format!("use {question}?") }] }),
            ),
        ),
        hook(
            "PreToolUse",
            &call(
                "t3",
                "ExitPlanMode",
                json!({ "plan": format!("1. export A_TOKEN={plan}"), "planFilePath": format!("/p/{plan}") }),
            ),
        ),
        hook(
            "PreToolUse",
            &call(
                "t4",
                "TodoWrite",
                json!({ "todos": [{ "content": todo, "activeForm": todo, "status": "in_progress" }] }),
            ),
        ),
        hook("PreToolUse", &call("t5", "Read", json!({ "file_path": format!("/home/dev/{file}") }))),
        hook("PostToolUse", &call("t5", "Read", json!({ "file_path": format!("/home/dev/{file}") }))),
        hook("PreToolUse", &call(&id, &mcp, json!({ "title": "x" }))),
        hook(
            "PermissionRequest",
            &call(&id, &mcp, bash(format!("echo {word} | docker login --password-stdin"))),
        ),
        hook("SubagentStart", &json!({ "agent_id": id, "agent_type": format!("agent {said}") })),
        hook(
            "SubagentStop",
            &json!({ "agent_id": id, "last_assistant_message": format!("\u{5bc6}\u{7801}\u{ff1a}{word}") }),
        ),
        hook(
            "Notification",
            &json!({ "notification_type": "permission_prompt", "message": format!("curl -ubob:{word}") }),
        ),
        hook("TaskCreated", &json!({ "task_id": id, "task_subject": said, "teammate_name": said })),
        hook("Elicitation", &json!({ "mcp_server_name": said, "message": format!("https://u:{word}@h/x") })),
        hook(
            "StopFailure",
            &json!({ "error": format!("bad {said}"), "error_details": format!("key {said}") }),
        ),
        hook("Stop", &json!({ "background_tasks": [{ "id": id, "type": "shell", "description": said }] })),
        hook(
            "UserPromptSubmit",
            &json!({ "session_id": format!("s-{id}"), "cwd": format!("/home/{folder}/shop"), "prompt": "hi" }),
        ),
        hook(
            "PreToolUse",
            &call("t6", "Bash", bash(format!("rclone config create r s3 secret_access_key {word}"))),
        ),
        hook("PreToolUse", &call("t7", "Bash", bash(format!("passwd --stdin bob <<EOF\n{word}\nEOF")))),
        hook("PreToolUse", &call("t8", "Bash", bash(format!("expect -c 'send \"{word}\\r\"'")))),
        hook("PreToolUse", &call("t9", "Bash", bash(format!("rsync --password-file=<(echo {word}) a b")))),
        hook(
            "PreToolUse",
            &call("t10", "Bash", bash(format!("restic --password-command 'echo {word}' backup"))),
        ),
        hook("PreToolUse", &call("t11", "Bash", bash(format!("/usr/bin/curl -sSubob:{word} https://h")))),
        hook("UserPromptSubmit", &json!({ "prompt": format!("the secret key is {word}") })),
        hook("UserPromptSubmit", &json!({ "prompt": format!("<password>{word}</password>") })),
        json!({ "kind": format!("build.{said}"), "session_id": "s-2", "payload": { "message": said } }),
        json!({ "type": format!("deploy.{said}"), "data": { "message": said, "cwd": format!("/home/{folder}") } }),
    ];
    (events, vec![title, question, plan, todo, file, id, folder, said, phrase, word])
}

/// A monitor that got all of them and says everything in its log.
fn monitor(events: &[Value]) -> Monitor {
    let monitor = Monitor::start_configured(r#"{"log_level":"DEBUG"}"#, &[]);
    for event in events {
        monitor.event(event.to_string());
    }
    monitor
}

#[track_caller]
fn assert_hidden(place: &str, shown: &str, secrets: &[String]) {
    assert!(shown.contains("[masked]"), "{place} shows what was sent, without the secrets: {shown}");
    assert!(!shown.contains("[masked]]"), "{place} has nothing beside what is masked: {shown}");
    for secret in secrets {
        // The middle of it, for a line may have been cut.
        let part = &secret[secret.len() / 3..secret.len() * 2 / 3];
        assert!(!shown.contains(part), "{place} shows {secret}: {shown}");
    }
}

#[test]
fn no_list_no_card_no_log_and_no_export_shows_a_secret_of_any_field() {
    let (events, secrets) = events();
    let monitor = monitor(&events);
    let sessions = monitor.get("/api/sessions").json();
    let ids = sessions["sessions"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|one| one["session_id"].as_str().expect("an id"));
    let mut paths: Vec<String> =
        ids.map(|id| format!("/api/sessions/{}", id.replace('[', "%5B").replace(']', "%5D"))).collect();
    assert_eq!(paths.len(), 3, "sessions stay apart: {sessions}");
    let lists = [
        "/api/events?limit=1000&duplicates=true",
        "/api/events?limit=1000&payload=true&masked=true",
        "/api/sessions",
    ];
    paths.retain(|path| path.contains("%5B") || path.ends_with("/s-1"));
    paths.extend(lists.map(str::to_owned));
    paths.push("/api/figures".to_owned());
    for path in paths {
        let answer = monitor.get(&path);
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        assert_hidden(&path, &answer.body, &secrets);
    }
    for seq in 1..=events.len() {
        let one = monitor.get(&format!("/api/events/{seq}?masked=true")).body;
        assert_hidden(&format!("the details of {}", events[seq - 1]), &one, &secrets);
    }
    assert_hidden("the log", &monitor.log(), &secrets);
    for arguments in [
        &["tail", "--no-follow", "-n", "1000"][..],
        &["tail", "--no-follow", "--json", "--payload", "-n", "1000"],
        &["export", "--format", "jsonl"],
        &["export", "--format", "csv"],
        &["export", "--format", "html"],
    ] {
        let ran = monitor.cli(arguments);
        assert!(ran.status.success(), "{ran:?}");
        assert_hidden(&arguments.join(" "), &String::from_utf8_lossy(&ran.stdout), &secrets);
    }
    let kept = monitor.get("/api/events?limit=1000&payload=true").body;
    for secret in &secrets {
        assert!(kept.contains(secret.as_str()), "what was sent is kept as it was: {secret}");
    }
}

#[test]
fn no_live_client_is_told_a_secret_but_in_what_was_sent() {
    let (events, secrets) = events();
    let monitor = monitor(&[]);
    let options = Options { namespace: names::STREAM, ..Options::default() };
    let mut stream = Socket::connect_with(&monitor, Library::Node, &options);
    stream.ask("subscribe", &json!({}));
    let mut socket = Socket::connect(&monitor, Library::Node);
    let mut websocket = WebSocket::connect(&monitor);
    for event in &events {
        monitor.event(event.to_string());
    }
    let mut rows = Vec::new();
    while rows.len() < events.len() {
        rows.extend(stream.event("events")["rows"].as_array().expect("rows").clone());
    }
    assert_hidden("/stream", &Value::from(rows).to_string(), &secrets);
    let without_data = |mut message: Value| {
        let data = message.as_object_mut().expect("an object").remove("data");
        assert!(data.is_some(), "what was sent is told as it was: {message}");
        message
    };
    let history = socket.ask("get_history", &json!({ "limit": 1000 }));
    let history = history["events"].as_array().expect("events").iter().cloned().map(without_data);
    assert_hidden("Socket.IO", &Value::from_iter(history).to_string(), &secrets);
    let status = websocket.ask(&json!({ "command": "get_status" }), "system.status");
    for secret in &secrets {
        assert!(!status.to_string().contains(secret.as_str()), "{status}");
    }
}

#[test]
fn what_had_a_secret_in_its_name_is_found_by_that_name() {
    let (events, _) = events();
    let monitor = monitor(&events);
    let (id, folder, said) = (token("ATCTT3"), token("v2.local."), token("lin_api_"));
    for query in [
        format!("session=s-{id}"),
        format!("project=/home/{folder}/shop"),
        format!("kind=build.{said}"),
        format!("tool=mcp__{id}__q"),
    ] {
        assert!(!monitor.events(&query).events.is_empty(), "{query}");
    }
    assert_eq!(monitor.get(&format!("/api/sessions/s-{id}")).status, 200);
    assert_eq!(monitor.post(&format!("/api/sessions/s-{id}/read"), "").status, 204);
}
