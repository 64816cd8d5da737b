//! Claims about the configuration file: each of its keys changes what the monitor does. Whoever adds a key adds a row,
//! or names the test that would fail without it.

use std::collections::BTreeSet;
use std::fs;
use std::net::{Ipv4Addr, TcpStream};
use std::process::Command;
use std::time::Instant;

use e2e::{Library, Monitor, PATIENCE, Socket, free_port, our, output, prompt, raw, repository, tool_start};
use protocol::paths::Home;
use serde_json::{Value, json};
use tempfile::TempDir;

/// A key, a value that is not its default, and what then holds and otherwise does not.
struct Case {
    key: &'static str,
    /// With the dashboard switched off, the token asked for, or another form of log, others could not be seen.
    is_apart: bool,
    value: Value,
    holds: fn(&Monitor) -> bool,
}

fn cases() -> Vec<Case> {
    let case = |key, value, holds| Case {
        key,
        is_apart: matches!(key, "dashboard" | "require_token" | "log_format"),
        value,
        holds,
    };
    vec![
        case("profile", json!("development"), |m| m.assert_healthy()["profile"] == "development"),
        case("host", json!("127.0.0.1"), |m| status(m)["host"] == "127.0.0.1"),
        case("dashboard", json!(false), |m| m.get("/").status == 404),
        case("dashboard_port", json!(free_port()), |m| {
            let port = m.assert_healthy()["dashboard_port"].as_u64().unwrap_or_default();
            port != u64::from(m.port()) && TcpStream::connect((Ipv4Addr::LOCALHOST, port as u16)).is_ok()
        }),
        case("server_id", json!("office"), |m| {
            m.assert_healthy()["server_id"].as_str().is_some_and(|id| id.starts_with("office-"))
        }),
        case("cors_allowed_origins", json!(["http://shop.example"]), |m| {
            m.post_with("/api/events", &[("origin", "http://shop.example")], prompt("s", "hi")).status == 204
        }),
        case("allowed_hosts", json!(["box.lan"]), |m| {
            let asked = raw(m.port(), "GET /health HTTP/1.1\r\nhost: box.lan\r\nconnection: close\r\n\r\n");
            asked.is_some_and(|reply| reply.status == 200)
        }),
        case("require_token", json!(true), |m| m.get("/api/events").status == 401),
        case("max_http_buffer_size", json!(2000), |m| {
            m.post("/api/events", prompt("s", &"x".repeat(4000))).status == 413
        }),
        case("max_history_size", json!(2), |m| {
            (0..5).for_each(|number| m.event(prompt("s", &number.to_string())));
            let mut socket = Socket::connect(m, Library::Node);
            let greeting = socket.event("history");
            socket.emit("get_history", &json!({ "limit": 5 }));
            greeting["count"] == 2 && socket.event("history")["count"] == 2
        }),
        case("min_client_version", json!("9.0.0"), |m| {
            m.post("/compatibility", r#"{"client_version":"1.0.0"}"#).json()["compatible"] == false
        }),
        case("ping_interval", json!(7), |m| handshake(m).body.contains("\"pingInterval\":7000")),
        case("ping_timeout", json!(8), |m| handshake(m).body.contains("\"pingTimeout\":8000")),
        case("log_level", json!("DEBUG"), |m| m.log().contains(" DEBUG ")),
        case("log_format", json!("json"), |m| {
            m.get_with("/status", &[("host", "elsewhere.example")]).assert_refused("a foreign Host");
            let log = m.log();
            let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
            lines.into_iter().any(|line| line["level"] == "WARN" && line["code"] == "host_not_allowed")
        }),
        case("log_to_file", json!(true), |m| Home::at(m.home()).log(m.port()).exists()),
    ]
}

/// Keys whose tests take more than one question: the test that fails without the key, and where it is.
const ELSEWHERE: &[(&str, &str, &str)] = &[
    ("port", "crates/cli/tests/command/single_instance.rs", "the_configured_port_is_used_and_never_another"),
    (
        "deployment_mode",
        "crates/cli/tests/command/settings.rs",
        "a_machine_that_is_only_a_client_starts_no_server",
    ),
    (
        "auto_start",
        "crates/cli/tests/command/settings.rs",
        "run_starts_no_monitor_when_none_is_to_be_started",
    ),
    (
        "persistent",
        "crates/cli/tests/command/supervision.rs",
        "a_server_that_is_not_persistent_ends_with_its_session",
    ),
    ("health_check_interval", "crates/cli/tests/command/supervision.rs", "a_server_that_hangs_is_replaced"),
    (
        "max_connection_attempts",
        "crates/cli/tests/command/tail.rs",
        "a_tail_gives_up_after_as_many_looks_as_it_may",
    ),
    ("reconnection_delay", "crates/client/src/follow.rs", "the_pauses_between_looks_grow_up_to_the_longest"),
    ("request_timeout", "tests/limits.rs", "a_body_that_never_ends_is_answered_in_the_end"),
    ("tls", "tests/keys.rs", "the_keys_of_tls_choose_the_certificate"),
    ("tls_cert", "tests/keys.rs", "the_keys_of_tls_choose_the_certificate"),
    ("tls_key", "tests/keys.rs", "the_keys_of_tls_choose_the_certificate"),
    ("socketio_event_names", "tests/keys.rs", "the_names_of_broadcasts_are_those_that_were_chosen"),
    ("connection_timeout", "tests/keys.rs", "who_does_not_say_what_he_wants_is_disconnected_in_time"),
    (
        "retention_days",
        "crates/server/src/record/store/tests.rs",
        "events_beyond_their_age_go_and_the_newest_stays",
    ),
    (
        "retention_mib",
        "crates/server/src/record/store/tests.rs",
        "a_store_beyond_its_size_shrinks_to_it_and_keeps_the_newest",
    ),
    (
        "own_events",
        "tests/categories.rs",
        "the_monitor_tells_of_its_own_start_and_stop_and_of_who_connects_and_leaves",
    ),
    (
        "durability",
        "crates/server/src/record/store/tests.rs",
        "durability_decides_whether_a_commit_waits_for_the_disk",
    ),
    ("log_file_path", "crates/cli/tests/command/logs.rs", "a_log_goes_where_the_user_wants_it"),
    ("log_file_kib", "crates/cli/tests/command/logs.rs", "a_log_stays_under_its_cap_and_its_end_is_shown"),
    ("log_files", "crates/cli/tests/command/logs.rs", "a_log_stays_under_its_cap_and_its_end_is_shown"),
];

/// A monitor with this configuration.
fn configured(configuration: &Value) -> Monitor {
    Monitor::start_configured(&configuration.to_string(), &[])
}

/// What `status --json` says of it.
fn status(monitor: &Monitor) -> Value {
    let ran = monitor.cli(&["status", "--json"]);
    let servers: Value =
        serde_json::from_slice(&ran.stdout).unwrap_or_else(|cause| panic!("{cause}: {ran:?}"));
    servers[0].clone()
}

/// The first answer to a Socket.IO client that polls.
fn handshake(monitor: &Monitor) -> e2e::Reply {
    monitor.get("/socket.io/?EIO=4&transport=polling")
}

#[test]
fn each_key_changes_what_the_monitor_does() {
    let plain = Monitor::start();
    let (apart, together): (Vec<_>, Vec<_>) = cases().into_iter().partition(|case| case.is_apart);
    let groups = apart.into_iter().map(|case| vec![case]).chain([together]);
    for group in groups {
        let values = group.iter().map(|case| (case.key.to_owned(), case.value.clone()));
        let monitor = configured(&Value::Object(values.collect()));
        for Case { key, value, holds, .. } in &group {
            assert!(holds(&monitor), "{key}: {value} is ignored");
            assert!(!holds(&plain), "{key}: what is claimed of {value} holds without it, too");
        }
    }
}

#[test]
fn every_key_has_a_test() {
    let home = TempDir::new().expect("a temporary folder can be made");
    let ran = output(our(home.path(), "claude-mpm-monitor").args(["config", "--json"]), b"");
    let settings: Vec<Value> = serde_json::from_slice(&ran.stdout).expect("JSON");
    let keys: BTreeSet<&str> = settings.iter().filter_map(|setting| setting["key"].as_str()).collect();
    let cases = cases();
    let tested = cases.iter().map(|case| case.key).chain(ELSEWHERE.iter().map(|(key, ..)| *key));
    assert_eq!(keys, tested.collect(), "each key once");
    for (key, file, test) in ELSEWHERE {
        let text =
            fs::read_to_string(repository().join(file)).unwrap_or_else(|cause| panic!("{file}: {cause}"));
        assert!(text.contains(&format!("fn {test}()")), "{key}: there is no {test} in {file}");
    }
}

#[test]
fn the_keys_of_tls_choose_the_certificate() {
    let own = configured(&json!({ "tls": true }));
    let folder = Home::at(own.home()).monitor();
    let trusts = |monitor: &Monitor, certificate: &std::path::Path| {
        let url = format!("https://localhost:{}/version", monitor.port());
        let curl = output(Command::new("curl").args(["-s", "--cacert"]).arg(certificate).arg(url), b"");
        curl.status.success()
    };
    let pem = |name: &str| {
        let found =
            fs::read_dir(&folder).expect("it is ours").filter_map(Result::ok).map(|entry| entry.path());
        let found = found.filter(|path| path.is_file());
        let mut found = found.filter(|path| fs::read_to_string(path).is_ok_and(|text| text.contains(name)));
        found.next().unwrap_or_else(|| panic!("no {name} in {}", folder.display()))
    };
    let (certificate, key) = (pem("BEGIN CERTIFICATE"), pem("PRIVATE KEY"));
    assert!(trusts(&own, &certificate), "\"tls\": true serves HTTPS with the monitor's own certificate");
    let files = configured(&json!({ "tls_cert": certificate, "tls_key": key }));
    assert!(trusts(&files, &certificate), "the named certificate is served");
    assert!(!trusts(&configured(&json!({ "tls": true })), &certificate), "another home has another one");
    assert!(!trusts(&Monitor::start(), &certificate), "without the keys there is no HTTPS");
}

#[test]
fn the_names_of_broadcasts_are_those_that_were_chosen() {
    for (configuration, name) in
        [(json!({}), "claude_event"), (json!({ "socketio_event_names": "category" }), "tool_event")]
    {
        let monitor = configured(&configuration);
        let mut socket = Socket::connect(&monitor, Library::Node);
        monitor.event(tool_start("s", "call"));
        assert_eq!(socket.event(name)["session_id"], "s", "{configuration}");
    }
}

#[test]
fn who_does_not_say_what_he_wants_is_disconnected_in_time() {
    let [hasty, patient] = [1, 3600].map(|seconds| configured(&json!({ "connection_timeout": seconds })));
    let join = |monitor: &Monitor| {
        let open = handshake(monitor).body;
        let open: Value =
            serde_json::from_str(open.trim_start_matches('0')).expect("the open packet is JSON");
        format!("/socket.io/?EIO=4&transport=polling&sid={}", open["sid"].as_str().expect("it has an id"))
    };
    let (first, second) = (join(&hasty), join(&patient));
    let start = Instant::now();
    while hasty.post(&first, "2").status == 200 {
        assert!(start.elapsed() < PATIENCE, "it stays connected");
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    assert_eq!(patient.post(&second, "40").status, 200, "the other one is still waited for");
}
