//! The hook with a server that is up: what it sends, and to whom.

use std::io::Write;
use std::thread;
use std::time::Duration;

use crate::support::{Server, User, assert_invisible};
use protocol::names::BODY_BYTES_MAX;

const SAMPLES: &str = include_str!("../../../../tests/fixtures/hook-samples.jsonl");

#[test]
fn every_sample_arrives_byte_for_byte_and_in_order() {
    let server = Server::up();
    let user = User::new().with_runfile(server.port, None);
    let mut last = None;
    for sample in SAMPLES.lines() {
        user.run(format!("{sample}\n").as_bytes());
        let body = server.next();
        assert_eq!(body.payload.get(), sample);
        assert_eq!((body.source.as_str(), body.kind), ("hook", None));
        let position = Some((body.occurred_at, body.id));
        assert!(position > last, "time and id say the order");
        last = position;
    }
    assert_eq!(SAMPLES.lines().count(), 39);
}

#[test]
fn an_input_that_is_never_closed_is_delivered_at_its_last_byte() {
    let server = Server::up();
    let user = User::new().with_runfile(server.port, None);
    let mut hook = user.start();
    let mut stdin = hook.stdin.take().unwrap();
    stdin.write_all(br#"{"a":"}"}"#).unwrap();
    assert_eq!(server.next().payload.get(), r#"{"a":"}"}"#);
    assert_invisible(hook);
    drop(stdin);
}

#[test]
fn small_writes_make_one_event() {
    let server = Server::up();
    let user = User::new().with_runfile(server.port, None);
    let sample = SAMPLES.lines().next().unwrap();
    let mut hook = user.start();
    let mut stdin = hook.stdin.take().unwrap();
    for piece in sample.as_bytes().chunks(7) {
        stdin.write_all(piece).unwrap();
        thread::sleep(Duration::from_micros(100)); // so that most pieces are read on their own
    }
    drop(stdin);
    assert_eq!(server.next().payload.get(), sample);
    assert_invisible(hook);
}

#[test]
fn the_largest_payload_is_never_lost() {
    let server = Server::up();
    let user = User::new().with_runfile(server.port, None);
    let text = "line\\n".repeat((BODY_BYTES_MAX - 2048) / 6);
    let payload = format!(r#"{{"cwd":"/p","text":"{text}"}}"#);
    user.run(payload.as_bytes());
    // On a busy machine the time limit may send it to the spool instead.
    let body = user.spooled().pop().unwrap_or_else(|| server.next());
    assert!(body.payload.get() == payload, "16 MiB arrive byte for byte");
}

#[test]
fn an_input_that_is_no_event_is_reported() {
    let server = Server::up();
    let user = User::new().with_runfile(server.port, None);
    let too_large = format!("[\"{}\"]", "x".repeat(BODY_BYTES_MAX));
    let cases = [
        ("", "empty"),
        ("\n", "empty"),
        (r#"{"session_id":"3f0c"#, "truncated"),
        ("hello", "not_json"),
        ("{]", "not_json"),
        ("{'a':1}", "not_json"),
        (too_large.as_str(), "too_large"),
    ];
    for (input, reason) in cases {
        user.run(input.as_bytes());
        assert_eq!(server.next().reason(), reason, "{:?}", &input[..input.len().min(40)]);
    }
}

#[test]
fn silence_on_an_open_input_is_reported_and_ends() {
    let server = Server::up();
    let user = User::new().with_runfile(server.port, None);
    let mut hook = user.start();
    let mut stdin = hook.stdin.take().unwrap();
    stdin.write_all(b"{\"half\":").unwrap();
    assert_eq!(server.next().reason(), "timeout");
    assert_invisible(hook);
    drop(stdin);
}

#[test]
fn the_project_s_server_gets_its_events_and_the_others_go_to_the_configured_one() {
    let (general, of_project) = (Server::up(), Server::up());
    let user =
        User::new().with_runfile(general.port, None).with_runfile(of_project.port, Some("/home/dev/shop"));
    std::fs::write(user.home().config(), format!(r#"{{"port":{}}}"#, general.port)).unwrap();

    user.run(br#"{"cwd":"/home/dev/shop/api"}"#);
    assert_eq!(of_project.next().payload.get(), r#"{"cwd":"/home/dev/shop/api"}"#);
    user.run(br#"{"cwd":"/home/dev/shopping"}"#);
    assert_eq!(general.next().payload.get(), r#"{"cwd":"/home/dev/shopping"}"#);
    assert!(of_project.got_nothing());
}

#[test]
fn a_variable_says_which_of_this_user_s_servers_it_is() {
    let (server, configured) = (Server::up(), Server::up());
    for (variable, value) in variables_for(server.port) {
        let user = User::new().with_runfile(server.port, None).with_runfile(configured.port, None);
        std::fs::write(user.home().config(), format!(r#"{{"port":{}}}"#, configured.port)).unwrap();
        let user = user.with(variable, value);
        user.run(b"{}");
        assert_eq!(server.next().payload.get(), "{}", "{variable}");
        assert!(user.spooled().is_empty() && configured.got_nothing(), "{variable}");
    }
}

#[test]
fn a_variable_that_names_a_port_of_this_machine_which_no_server_of_this_user_has_means_the_spool() {
    let stranger = Server::up();
    let machine = format!("http://{}:{}", hostname(), stranger.port);
    let others =
        ["http://127.0.0.1", "http://[::1]", "http://0.0.0.0", "http://[::ffff:127.0.0.1]", "http://127.1"];
    let others = others.map(|url| ("CLAUDE_MPM_MONITOR_URL", format!("{url}:{}", stranger.port)));
    let all = variables_for(stranger.port).into_iter().chain(others);
    for (variable, value) in all.chain([("CLAUDE_MPM_MONITOR_URL", machine)]) {
        let user = User::new().with_token().with(variable, value.clone());
        user.run(b"{}");
        assert!(stranger.got_nothing(), "{variable}={value}: another user may listen there");
        assert_eq!(user.spooled().len(), 1, "{variable}={value}");
    }
    assert!(!stranger.was_knocked_at(), "nobody as much as connected");
}

#[test]
fn a_url_with_a_token_is_the_user_s_word_and_gets_that_token() {
    let tunnel = Server::up();
    let user = User::new()
        .with_token()
        .with("CLAUDE_MPM_MONITOR_URL", format!("http://localhost:{}", tunnel.port))
        .with("CLAUDE_MPM_MONITOR_TOKEN", "theirs");
    user.run(b"{}");
    assert_eq!(tunnel.next_authorization().as_deref(), Some("Bearer theirs"));
    assert!(user.spooled().is_empty());
}

/// Each variable that leads to a port of this machine.
fn variables_for(port: u16) -> [(&'static str, String); 4] {
    [
        ("CLAUDE_MPM_MONITOR_URL", format!("http://localhost:{port}/")),
        ("CLAUDE_MPM_MONITOR_PORT", port.to_string()),
        ("CLAUDE_MPM_SOCKETIO_PORT", port.to_string()),
        ("CLAUDE_MPM_SERVER_PORT", port.to_string()),
    ]
}

/// The machine's own name, by which the system finds it.
fn hostname() -> String {
    let output = std::process::Command::new("hostname").output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}
