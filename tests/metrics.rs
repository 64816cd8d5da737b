//! What Prometheus reads, by the parser of its own client library; and the dashboard for Grafana that shows it.

use std::collections::BTreeMap;
use std::process::Command;

use e2e::{Library, Monitor, Socket, WebSocket, output, prompt, repository};
use serde::Deserialize;

#[derive(Debug, Deserialize)]
struct Sample {
    name: String,
    labels: BTreeMap<String, String>,
    value: f64,
    #[serde(rename = "type")]
    kind: String,
}

/// Every sample of a scrape.
fn scrape(monitor: &Monitor) -> Vec<Sample> {
    let mut scraper = Command::new(repository().join(".venv/bin/python"));
    scraper
        .arg(repository().join("tests/clients/python/scrape.py"))
        .arg(format!("{}/metrics", monitor.url()));
    let output = output(&mut scraper, b"");
    assert!(output.status.success(), "{output:?}");
    let lines = String::from_utf8(output.stdout).expect("it prints text");
    lines.lines().map(|line| serde_json::from_str(line).expect("a sample a line")).collect()
}

/// The value of the only sample with this name and label.
#[track_caller]
fn value(samples: &[Sample], name: &str, label: Option<(&str, &str)>) -> f64 {
    let is_it = |sample: &&Sample| {
        sample.name == format!("claude_mpm_monitor_{name}")
            && label.is_none_or(|(key, value)| sample.labels.get(key).is_some_and(|found| found == value))
    };
    let found: Vec<&Sample> = samples.iter().filter(is_it).collect();
    assert_eq!(found.len(), 1, "{name} {label:?} in {samples:#?}");
    found[0].value
}

#[test]
fn prometheus_reads_what_was_stored_refused_and_paid() {
    let monitor = Monitor::start();
    monitor.event(prompt("s-1", "one"));
    monitor.event(prompt("s-1", "two"));
    monitor.post("/api/events", "{ half").assert_refused("no JSON");
    monitor.get_with("/status", &[("host", "elsewhere.example")]).assert_refused("a foreign Host");
    let _socket = WebSocket::connect(&monitor);
    let _node = Socket::connect(&monitor, Library::Node);
    let samples = scrape(&monitor);
    for (name, label, expected) in [
        ("events_stored_total", None, 2.0),
        ("events_refused_total", None, 1.0),
        ("requests_refused_total", Some(("code", "host_not_allowed")), 1.0),
        ("clients", Some(("transport", "websocket")), 1.0),
        ("clients_served_total", None, 2.0),
        ("store_last_position", None, 2.0),
        ("store_ok", None, 1.0),
        ("capture_paused", None, 0.0),
        ("spool_waiting", None, 0.0),
        ("append_duration_seconds_count", None, 2.0),
        ("commit_events_sum", None, 2.0),
        ("build_info", Some(("version", env!("CARGO_PKG_VERSION"))), 1.0),
    ] {
        assert_eq!(value(&samples, name, label), expected, "{name}");
    }
    assert!(value(&samples, "store_size_bytes", None) > 0.0);
    let of_process = |name: &str| {
        let sample = samples.iter().find(|sample| sample.name == name);
        sample.unwrap_or_else(|| panic!("no {name}")).value
    };
    for name in ["process_start_time_seconds", "process_cpu_seconds_total", "process_resident_memory_bytes"] {
        assert!(of_process(name) > 0.0, "{name}");
    }
    assert!(of_process("process_open_fds") < of_process("process_max_fds"));
    // A counter is not named like one unless it is one.
    for sample in &samples {
        assert_eq!(sample.name.ends_with("_total"), sample.kind == "counter", "{sample:?}");
    }
}

#[test]
fn a_restart_in_the_same_process_is_no_start_of_the_process() {
    let mut monitor = Monitor::start();
    let started = |monitor: &Monitor| {
        let samples = scrape(monitor);
        samples.iter().find(|sample| sample.name == "process_start_time_seconds").map(|sample| sample.value)
    };
    let before = started(&monitor).expect("it says when it started");
    let server = monitor.get("/health").json()["start_time"].clone();
    monitor.move_away();
    assert_ne!(monitor.get("/health").json()["start_time"], server, "another server");
    assert_eq!(started(&monitor), Some(before), "the same process");
}

#[test]
fn the_dashboard_for_grafana_shows_only_what_there_is() {
    let monitor = Monitor::start();
    let _node = Socket::connect(&monitor, Library::Node);
    monitor.get_with("/status", &[("host", "elsewhere.example")]).assert_refused("a foreign Host");
    let samples = scrape(&monitor);
    let text = std::fs::read_to_string(repository().join("docs/grafana.json")).expect("it is in the docs");
    let dashboard: serde_json::Value = serde_json::from_str(&text).expect("it is JSON");
    let mut names = 0;
    for panel in dashboard["panels"].as_array().expect("panels") {
        for target in panel["targets"].as_array().expect("targets") {
            let expression = target["expr"].as_str().expect("an expression");
            let words = expression.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            for name in words.filter(|word| word.starts_with("claude_mpm_") || word.starts_with("process_")) {
                assert!(samples.iter().any(|sample| sample.name == name), "{name} of {expression}");
                names += 1;
            }
        }
    }
    assert!(names > 10, "the names were found");
}

#[test]
fn names_units_and_descriptions_are_as_prometheus_wants_them() {
    let monitor = Monitor::start();
    let _node = Socket::connect(&monitor, Library::Node);
    monitor.event(prompt("s-1", "one"));
    let text = monitor.get("/metrics").body;
    assert!(text.ends_with("# EOF\n"), "the end is told");
    let (mut described, mut typed) = (BTreeMap::new(), BTreeMap::new());
    let mut family = "";
    for line in text.lines().filter(|line| *line != "# EOF") {
        let words: Vec<&str> = line.splitn(4, ' ').collect();
        match words[..] {
            ["#", "HELP", name, help] => {
                assert_eq!(described.insert(name, help), None, "{name} is described once");
                family = name;
            }
            ["#", "TYPE", name, kind] => assert_eq!(typed.insert(name, kind), None, "{name} has one type"),
            ["#", "UNIT", name, unit] => assert!(name.ends_with(&format!("_{unit}")), "{line}"),
            _ => {
                let name = line.split(['{', ' ']).next().expect("a name");
                assert!(name.starts_with(family), "{name} stands in the family {family}");
                assert!(typed.contains_key(family), "{family} has a type before its samples");
            }
        }
    }
    assert_eq!(described.keys().collect::<Vec<_>>(), typed.keys().collect::<Vec<_>>());
    assert!(described.len() > 15, "{described:?}");
    for (name, help) in &described {
        let is_plain = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
        assert!(is_plain, "{name} is lower case with underscores");
        let is_ours = name.starts_with("claude_mpm_monitor_") || name.starts_with("process_");
        assert!(is_ours, "{name} says whose it is");
        assert!(!help.is_empty(), "{name} is described");
        // Seconds, bytes and events: no multiples, and `_total` is written by the format itself.
        for ending in
            ["_ms", "_milliseconds", "_minutes", "_kb", "_kib", "_mib", "_percent", "_total", "_count"]
        {
            assert!(!name.ends_with(ending), "{name} ends with {ending}");
        }
        let is_measure = ["duration", "time", "size", "memory"].iter().any(|word| name.contains(word));
        let has_unit = ["_seconds", "_bytes"].iter().any(|unit| name.ends_with(unit));
        assert!(!is_measure || has_unit, "{name} has a unit");
    }
}
