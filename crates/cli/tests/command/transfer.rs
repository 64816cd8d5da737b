//! `export` and `import`: formats, filters, masking, files, and the way there and back.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;

use crate::support::{Desk, Ran, free_port};
use crate::tail::fill;
use client::{Monitor, Part, Query};
use serde_json::{Value, json};

fn events(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[track_caller]
fn seqs(desk: &Desk, flags: &str) -> Vec<u64> {
    let ran = desk.run(&format!("export {flags}"));
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""), "{flags}: {ran:?}");
    events(&ran.out).iter().map(|event| event["seq"].as_u64().unwrap()).collect()
}

#[test]
fn each_filter_of_an_export_filters() {
    let desk = Desk::new();
    let (_server, running) = desk.serve("", desk.port);
    fill(&running);
    let old = r#"{"id":"0190a7c0-1111-7000-8000-000000000001","kind":"old","occurred_at":"2020-05-05T12:00:00Z","session_id":"gamma","payload":{"text":"needle"}}"#;
    running.monitor().post_event(old).unwrap();
    let cases: [(&str, &[u64]); 16] = [
        ("", &[1, 2, 3, 4, 5, 6]),
        ("--id 0190a7c0-1111-7000-8000-000000000001", &[6]),
        ("--session beta", &[3, 4]),
        ("--kind Stop", &[5]),
        ("--tool Bash", &[2, 4]),
        ("--agent Explore", &[3]),
        ("--project /work/site", &[3, 4]),
        ("--errors", &[4]),
        ("--from 1h", &[1, 2, 3, 4, 5]),
        ("--from 2020-05-05 --to 2020-05-05", &[6]),
        ("--from 2020-05-06 --to 2020-05-07", &[]),
        ("--to 2021-01-01", &[6]),
        ("--query needle", &[6]),
        ("--limit 2", &[5, 6]),
        ("--limit 2 --session alpha", &[2, 5]),
        ("--limit 0", &[]),
    ];
    for (flags, expected) in cases {
        assert_eq!(seqs(&desk, flags), expected, "{flags}");
    }
    let other = free_port();
    let (_other, _) = desk.serve(&format!("--port {other}"), other);
    assert_eq!(seqs(&desk, &format!("--port {other}")), [0; 0]);
    let unclear = desk.run("export --from soon");
    assert_eq!(unclear.code, Some(1));
    assert!(unclear.err.contains("could not read the time \"soon\""), "{unclear:?}");
}

#[test]
fn secrets_are_masked_unless_they_are_asked_for() {
    let desk = Desk::new();
    let (_server, running) = desk.serve("", desk.port);
    fill(&running);
    for format in ["jsonl", "csv", "html"] {
        let masked = desk.run(&format!("export --format {format}"));
        assert_eq!(masked.code, Some(0), "{masked:?}");
        assert!(masked.out.contains("[masked]") && !masked.out.contains("hunter2"), "{format}: {masked:?}");
        // Lines never hold them; payloads do when that is asked for, and CSV has none.
        let raw = desk.run(&format!("export --format {format} --raw"));
        assert_eq!(raw.out.contains("hunter2hunter2"), format != "csv", "{format}: {raw:?}");
    }
    let masked = events(&desk.run("export --errors").out);
    assert_eq!(masked[0]["payload"]["tool_input"]["command"], "export DB_PASSWORD=[masked]");
}

#[test]
fn a_file_tells_its_format_by_its_name_and_is_replaced_only_by_force() {
    let desk = Desk::new();
    let (_server, running) = desk.serve("", desk.port);
    fill(&running);
    let begins = [
        ("a.jsonl", "{\"seq\":1,"),
        ("a.ndjson", "{\"seq\":1,"),
        ("a.csv", "seq,id,"),
        ("a.HTML", "<!doctype html>"),
    ];
    for (name, begin) in begins {
        let ran = desk.run(&format!("export -o {name}"));
        assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""), "{name}: {ran:?}");
        assert!(ran.out.starts_with(&format!("Exported 5 events to {name} (")), "{ran:?}");
        assert!(fs::read_to_string(desk.path(name)).unwrap().starts_with(begin), "{name}");
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(fs::metadata(desk.path("a.jsonl")).unwrap().permissions().mode() & 0o777, 0o600);
    }
    let Ran { code, err, .. } = desk.run("export --output a.csv --format jsonl");
    assert_eq!((code, err.as_str()), (Some(1), "Error: a.csv exists; --force replaces it\n"));
    assert_eq!(desk.run("export --output a.csv --format jsonl --force").code, Some(0));
    assert!(fs::read_to_string(desk.path("a.csv")).unwrap().starts_with('{'), "the format was said");
    let unclear = desk.run("export -o a.txt");
    assert_eq!(unclear.code, Some(2));
    assert!(unclear.err.contains("Suggestion: say --format jsonl, csv or html"), "{unclear:?}");
    assert_eq!(desk.run("export -o /no/such/folder/a.csv").code, Some(1));
    let leftovers = fs::read_dir(desk.path(""))
        .unwrap()
        .filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().starts_with(".export"));
    assert_eq!(leftovers.count(), 0, "no draft stays");
    assert_eq!(desk.run("export --raw").out.lines().count(), 5);
}

#[test]
fn what_an_event_says_is_neither_markup_nor_a_formula() {
    let desk = Desk::new();
    let (_server, running) = desk.serve("", desk.port);
    let evil = json!({"kind": "=cmd()", "session_id": "\"><script>alert(1)</script>", "project": "@x",
        "summary": "=HYPERLINK(\"http://x\")", "payload": {"</pre><script>": "<img src=x onerror=alert(1)>"}});
    running.monitor().post_event(&evil.to_string()).unwrap();
    let html = desk.run("export --format html").out;
    assert_eq!(html.matches("<script").count(), 1, "its own only: {html}");
    assert!(!html.contains("<img") && html.contains("&lt;img src=x"), "{html}");
    let csv = desk.run("export --format csv").out;
    let second = csv.lines().nth(1).unwrap();
    assert!(second.contains(",'=cmd(),") && second.contains(",'@x,"), "{second}");
    assert!(second.ends_with("\"'=HYPERLINK(\"\"http://x\"\")\""), "{second}");
}

#[test]
fn without_a_monitor_the_way_to_one_is_told_and_no_file_is_made() {
    let desk = Desk::new();
    for line in ["export -o a.jsonl", "import Cargo.toml"] {
        fs::write(desk.path("Cargo.toml"), "").unwrap();
        let ran = desk.run(line);
        assert_eq!(ran.code, Some(3), "{ran:?}");
        assert!(ran.err.contains(&format!("'claude-mpm-monitor start --port {}'", desk.port)), "{ran:?}");
    }
    assert!(!desk.path("a.jsonl").exists());
}

/// What must be the same after the way there and back: all but the place in the log and the time of arrival.
fn kept(monitor: &Monitor) -> Vec<Value> {
    let query = Query { payload: true, ..Query::default() };
    let page = monitor.history(&query, Part::Newest, 1000).unwrap();
    let mut events: Vec<Value> =
        page.events.iter().map(|event| serde_json::to_value(event).unwrap()).collect();
    for event in &mut events {
        let event = event.as_object_mut().unwrap();
        event.remove("seq");
        event.remove("received_at");
    }
    events
}

#[test]
fn exported_events_are_imported_as_they_were_and_only_once() {
    let desk = Desk::new();
    let (_server, running) = desk.serve("", desk.port);
    assert_eq!(desk.run("demo --speed 100000").code, Some(0));
    fill(&running);
    let others = [
        r#"{"event":"mpm_event","type":"hook","subtype":"user_prompt","timestamp":"2026-01-02T03:04:05Z","data":{"prompt_text":"x","session_id":"p"}}"#,
        "{\n \"kind\": \"own\",\n \"payload\": {\n  \"n\": 1.00\n }\n}",
    ];
    others.iter().for_each(|event| running.monitor().post_event(event).unwrap());
    assert_eq!(desk.run("export --raw -o all.jsonl").code, Some(0));
    let other = free_port();
    let (_other, imported) = desk.serve(&format!("--port {other}"), other);
    let count = kept(&running.monitor()).len();
    let first = desk.run(&format!("import all.jsonl --port {other}"));
    assert_eq!(first.code, Some(0), "{first:?}");
    assert_eq!(first.out, format!("Imported: {count} stored, 0 stored before, 0 refused\n"));
    let (given, taken) = (kept(&running.monitor()), kept(&imported.monitor()));
    for (given, taken) in given.iter().zip(&taken) {
        assert_eq!(taken, given);
    }
    assert_eq!(taken.len(), given.len());
    let again = desk.run(&format!("import all.jsonl --port {other}"));
    assert_eq!(again.out, format!("Imported: 0 stored, {count} stored before, 0 refused\n"));
    let back = desk.run("import all.jsonl");
    assert_eq!(back.out, format!("Imported: 0 stored, {count} stored before, 0 refused\n"));
}

#[test]
fn hooks_without_ids_are_imported_once_and_what_is_no_event_is_told_with_its_line() {
    let desk = Desk::new();
    let (_server, running) = desk.serve("", desk.port);
    let stop = r#"{"hook_event_name":"Stop","session_id":"s"}"#;
    let many = "[1]\n".repeat(30);
    let lines = format!(
        "{stop}\n\n{stop}\nnonsense\n{{\"no\":\"event\"}}\n{{\"id\":7,\"kind\":\"x\",\"payload\":{{}}}}\n{stop}"
    );
    fs::write(desk.path("hooks.ndjson"), &lines).unwrap();
    let ran = desk.run("import hooks.ndjson");
    assert_eq!(ran.code, Some(1), "something was refused: {ran:?}");
    assert_eq!(ran.out, "Imported: 3 stored, 0 stored before, 3 refused\n");
    let told: Vec<&str> = ran.err.lines().map(|line| line.split(':').next().unwrap()).collect();
    assert_eq!(told, ["line 4", "line 5", "line 6"], "{ran:?}");
    let mut piped = desk.command("import -");
    let mut piped =
        piped.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    piped.stdin.take().unwrap().write_all(format!("{many}{lines}").as_bytes()).unwrap();
    let piped = Ran::from(piped.wait_with_output().unwrap());
    assert_eq!(piped.out, "Imported: 0 stored, 3 stored before, 33 refused\n");
    assert_eq!(piped.err.lines().count(), 21, "the rest is only counted: {piped:?}");
    assert_eq!(kept(&running.monitor()).len(), 3);
    assert_eq!(desk.run("import no-such-file").code, Some(1));
}

#[test]
fn an_export_that_nobody_reads_any_more_ends_well() {
    let desk = Desk::new();
    let (_server, running) = desk.serve("", desk.port);
    let large = json!({"kind": "x", "payload": {"text": "y".repeat(1000)}}).to_string();
    running.monitor().post_event(&vec![large; 500].join("\n")).unwrap();
    let mut export = desk.command("export").stdout(Stdio::piped()).spawn().unwrap();
    let mut first = String::new();
    BufReader::new(export.stdout.take().unwrap()).read_line(&mut first).unwrap();
    assert_eq!(export.wait().unwrap().code(), Some(0));
}
