//! Claims about the namespace `/stream`: everything once, then changes, numbered, so that nothing is lost unseen.

use std::collections::HashMap;

use e2e::{Bare, Library, Monitor, Options, Socket, prompt, tool_end, tool_start};
use protocol::stream::{Batch, SessionsChanged, Snapshot};
use protocol::{Row, SessionId, names};
use serde_json::{Value, json};

fn connect(monitor: &Monitor) -> Socket {
    Socket::connect_with(monitor, Library::Node, &Options { namespace: names::STREAM, ..Options::default() })
}

#[track_caller]
fn subscribe(socket: &mut Socket, wish: &Value) -> Snapshot {
    let answer = socket.ask("subscribe", wish);
    serde_json::from_value(answer.clone()).unwrap_or_else(|cause| panic!("no snapshot: {cause} in {answer}"))
}

#[track_caller]
fn batch(socket: &mut Socket) -> Vec<Row> {
    let batch: Batch = serde_json::from_value(socket.event("events")).expect("a batch of rows");
    assert!(!batch.rows.is_empty(), "a batch is never empty");
    batch.rows
}

/// The next rows, until there are this many.
#[track_caller]
fn rows(socket: &mut Socket, count: usize) -> Vec<Row> {
    let mut rows = Vec::new();
    while rows.len() < count {
        rows.extend(batch(socket));
    }
    rows
}

fn seqs(rows: &[Row]) -> Vec<u64> {
    rows.iter().map(|row| row.seq.0).collect()
}

fn range(from: u64, to: u64) -> Vec<u64> {
    (from..=to).collect()
}

#[test]
fn a_subscriber_gets_everything_so_far_before_anything_new() {
    let monitor = Monitor::start();
    (1..=3).for_each(|number| monitor.event(prompt("s-1", &format!("prompt {number}"))));
    let mut socket = connect(&monitor);
    let first = subscribe(&mut socket, &json!({}));
    assert_eq!(seqs(&first.snapshot), [1, 2, 3], "oldest first");
    assert_eq!(first.last_seq.0, 3);
    assert!(!first.has_more, "there is nothing older");
    assert_eq!(first.sessions.len(), 1);
    assert_eq!((first.sessions[0].session_id.as_str(), first.sessions[0].events), ("s-1", 3));
    assert!(!first.epoch.is_empty() && !first.server_version.is_empty());

    monitor.event(tool_start("s-2", "toolu_1"));
    let live = rows(&mut socket, 1);
    assert_eq!(seqs(&live), [4]);
    assert_eq!(live[0].session_id.as_ref().map(SessionId::as_str), Some("s-2"));
    assert_eq!(live[0].tool_name.as_deref(), Some("Bash"));
    assert!(!live[0].summary.is_empty(), "a row says in one line what happened");
}

#[test]
fn a_subscription_without_data_is_one_with_every_default() {
    let monitor = Monitor::start();
    monitor.event(prompt("s-1", "hello"));
    assert_eq!(seqs(&subscribe(&mut connect(&monitor), &Value::Null).snapshot), [1]);
}

#[test]
fn batches_come_in_order_without_loss_or_repetition_while_many_send() {
    let monitor = Monitor::start();
    let (senders, each) = (6, 100);
    let total = senders * each;
    std::thread::scope(|scope| {
        for sender in 0..senders {
            let monitor = &monitor;
            scope.spawn(move || {
                (0..each)
                    .for_each(|number| monitor.event(prompt(&format!("s-{sender}"), &format!("{number}"))));
            });
        }
        // Subscribers come at different moments of the storm.
        for _ in 0..4 {
            scope.spawn(|| {
                let mut socket = connect(&monitor);
                let first = subscribe(&mut socket, &json!({"limit": 1000}));
                assert_eq!(seqs(&first.snapshot), range(1, first.last_seq.0), "the snapshot is whole");
                let mut next = first.last_seq.0 + 1;
                while next <= total {
                    let rows = batch(&mut socket);
                    assert_eq!(
                        seqs(&rows),
                        range(next, next + rows.len() as u64 - 1),
                        "live rows go on from there"
                    );
                    next += rows.len() as u64;
                }
            });
        }
    });
}

#[test]
fn after_a_break_a_subscriber_goes_on_where_it_was() {
    let monitor = Monitor::start();
    (1..=5).for_each(|_| monitor.event(prompt("s-1", "go")));
    let epoch = subscribe(&mut connect(&monitor), &json!({})).epoch;
    (6..=9).for_each(|_| monitor.event(prompt("s-1", "go")));

    let mut again = connect(&monitor);
    let missed = subscribe(&mut again, &json!({"after": 5}));
    assert_eq!(seqs(&missed.snapshot), [6, 7, 8, 9]);
    assert_eq!((missed.last_seq.0, missed.has_more), (9, false));
    assert_eq!(missed.epoch, epoch, "the same store");
    assert_eq!(
        seqs(&subscribe(&mut connect(&monitor), &json!({"after": 9})).snapshot),
        range(1, 0),
        "nothing is new"
    );
    monitor.event(prompt("s-1", "go"));
    assert_eq!(seqs(&rows(&mut again, 1)), [10]);
}

#[test]
fn positions_and_epoch_survive_a_crash_of_the_server() {
    let monitor = Monitor::start();
    (1..=3).for_each(|_| monitor.event(prompt("s-1", "go")));
    let before = subscribe(&mut connect(&monitor), &json!({}));
    let monitor = monitor.crash().restart();
    monitor.event(prompt("s-1", "go"));
    let after = subscribe(&mut connect(&monitor), &json!({"after": before.last_seq.0}));
    assert_eq!(after.epoch, before.epoch);
    assert_eq!(seqs(&after.snapshot), [4]);
}

#[test]
fn a_snapshot_is_limited_and_says_that_there_is_more() {
    let monitor = Monitor::start();
    (1..=10).for_each(|_| monitor.event(prompt("s-1", "go")));
    let newest = subscribe(&mut connect(&monitor), &json!({"limit": 4}));
    assert_eq!(
        (seqs(&newest.snapshot), newest.has_more),
        (range(7, 10), true),
        "the newest, and older exist"
    );
    let next = subscribe(&mut connect(&monitor), &json!({"limit": 4, "after": 2}));
    assert_eq!(
        (seqs(&next.snapshot), next.has_more),
        (range(3, 6), true),
        "what follows, and more lies between"
    );
}

#[test]
fn a_filter_holds_for_the_snapshot_and_for_what_comes_after() {
    let monitor = Monitor::start();
    let send = || {
        monitor.event(prompt("s-1", "go"));
        monitor.event(tool_start("s-1", "toolu_1"));
        monitor.event(tool_end("s-2", "toolu_1"));
    };
    send();
    let cases = [
        (json!({"session": "s-1"}), vec![1, 2], vec![4, 5]),
        (json!({"kinds": ["PostToolUse", "UserPromptSubmit"]}), vec![1, 3], vec![4, 6]),
        (json!({"tool": "Bash"}), vec![2, 3], vec![5, 6]),
        (json!({"project": "/home/dev"}), vec![1, 2, 3], vec![4, 5, 6]),
        (json!({"session": "s-1", "tool": "Bash"}), vec![2], vec![5]),
    ];
    let mut sockets: Vec<Socket> = cases
        .iter()
        .map(|(filter, so_far, _)| {
            let mut socket = connect(&monitor);
            let first = subscribe(&mut socket, &json!({"filter": filter}));
            assert_eq!(&seqs(&first.snapshot), so_far, "snapshot of {filter}");
            assert_eq!(first.last_seq.0, 3, "positions are those of the whole log");
            socket
        })
        .collect();
    send();
    for ((filter, _, live), socket) in cases.iter().zip(&mut sockets) {
        assert_eq!(&seqs(&rows(socket, live.len())), live, "live rows of {filter}");
    }
}

#[test]
fn subscribing_again_replaces_the_filter() {
    let monitor = Monitor::start();
    let mut socket = connect(&monitor);
    subscribe(&mut socket, &json!({"filter": {"session": "s-1"}}));
    subscribe(&mut socket, &json!({"filter": {"session": "s-2"}}));
    monitor.event(prompt("s-1", "go"));
    monitor.event(prompt("s-2", "go"));
    assert_eq!(seqs(&rows(&mut socket, 1)), [2]);
}

#[test]
fn changed_sessions_are_told() {
    let monitor = Monitor::start();
    let mut socket = connect(&monitor);
    subscribe(&mut socket, &json!({}));
    monitor.event(tool_start("s-1", "toolu_1"));
    let changed: SessionsChanged = serde_json::from_value(socket.event("sessions")).expect("sessions");
    let session =
        changed.changed.iter().find(|session| session.session_id.as_str() == "s-1").expect("the session");
    assert_eq!((session.events, session.tool_calls, session.ended_at), (1, 1, None));
}

#[test]
fn a_duplicate_is_not_shown_live() {
    let monitor = Monitor::start();
    let mut socket = connect(&monitor);
    subscribe(&mut socket, &json!({}));
    let id = "01938f5e-0000-7000-8000-000000000001";
    let event = json!({"id": id, "kind": "Notification", "session_id": "s-1", "payload": {"message": "hi"}})
        .to_string();
    monitor.event(&event);
    monitor.event(&event);
    monitor.event(prompt("s-1", "the end"));
    let seen = rows(&mut socket, 2);
    assert_eq!(seen.len(), 2, "{seen:?}");
    assert_eq!(seen[1].kind.as_str(), "UserPromptSubmit");
}

#[test]
fn a_malformed_subscription_is_refused_and_the_next_one_works() {
    let monitor = Monitor::start();
    let mut socket = connect(&monitor);
    for wish in [json!("text"), json!({"after": "soon"}), json!({"filter": 7}), json!({"limit": -1})] {
        let answer = socket.ask("subscribe", &wish);
        assert_eq!(answer["error"]["code"], "invalid_subscription", "{wish}: {answer}");
    }
    subscribe(&mut socket, &json!({}));
}

#[test]
fn what_is_emitted_right_after_the_connection_is_answered() {
    let monitor = Monitor::start();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| (0..25).for_each(|_| visit_in_haste(&monitor)));
        }
    });
}

#[test]
fn a_viewer_that_reads_sees_ever_more_changes_of_many_sessions() {
    let monitor = Monitor::start();
    let mut socket = connect(&monitor);
    subscribe(&mut socket, &json!({}));
    // So many that what is told of them is far more than may be on its way at once.
    let (rounds, sessions) = (60, 60);
    for round in 0..rounds {
        let lines: Vec<_> = (0..sessions)
            .map(|session| prompt(&format!("s-{session}"), &format!("round {round}")).to_string())
            .collect();
        assert_eq!(monitor.post("/api/events", lines.join("\n")).status, 200);
        assert_eq!(seqs(&rows(&mut socket, sessions)).last(), Some(&((round + 1) * sessions as u64)));
    }
}

#[test]
fn a_viewer_that_has_to_catch_up_knows_each_session_as_it_is_in_the_end() {
    let monitor = Monitor::start();
    let mut socket = connect(&monitor);
    subscribe(&mut socket, &json!({}));
    let (each, sessions) = (8, 300);
    let lines: Vec<_> = (0..each * sessions)
        .map(|number| prompt(&format!("s-{}", number % sessions), &format!("prompt {number}")).to_string())
        .collect();
    assert_eq!(monitor.post("/api/events", lines.join("\n")).status, 200);
    assert_eq!(seqs(&rows(&mut socket, each * sessions)).last(), Some(&((each * sessions) as u64)));
    let mut known = HashMap::new();
    while known.values().sum::<usize>() < each * sessions {
        let told: SessionsChanged = serde_json::from_value(socket.event("sessions")).expect("sessions");
        known.extend(told.changed.into_iter().map(|session| (session.session_id, session.events as usize)));
    }
    assert!(known.len() == sessions && known.values().all(|events| *events == each), "{known:?}");
}

#[test]
fn a_viewer_that_stops_reading_holds_up_nobody_and_is_told_exactly_what_it_missed() {
    let monitor = Monitor::start();
    let mut viewer = Bare::socketio(&monitor);
    viewer.ask("40/stream,", "40/stream,");
    viewer.ask(r#"42/stream,1["subscribe",{"limit":1}]"#, "43/stream,1");
    let mut client = Bare::socketio(&monitor);
    client.ask("40", "40");
    let mut reader = connect(&monitor);
    subscribe(&mut reader, &json!({"limit": 1}));

    // More than the ring and all buffers on the way hold.
    let long = "x".repeat(1000);
    let event = |number| {
        json!({"hook_event_name": "PreToolUse", "session_id": "s-1", "cwd": long, "agent_type": long,
               "tool_name": long, "prompt_id": long, "tool_use_id": number})
    };
    let (bodies, events) = (5, 2400);
    for body in 0..bodies {
        let lines: Vec<_> = (0..events).map(|number| event(body * events + number).to_string()).collect();
        let reply = monitor.post("/api/events", lines.join("\n"));
        assert_eq!(reply.status, 200, "{reply:?}");
        let got = rows(&mut reader, events as usize);
        assert_eq!(got.last().map(|row| row.seq.0), Some((body + 1) * events), "who reads gets everything");
    }

    let last = bodies * events;
    let seqs_of = |data: &Value| data["rows"].as_array().expect("rows").iter().map(seq).collect();
    assert_all_but_a_gap(&mut viewer, "42/stream,", "events", last, seqs_of);
    assert_all_but_a_gap(&mut client, "42", "claude_event", last, |data| vec![seq(data)]);
}

/// Reads on to the last event: everything in order, but for one gap.
fn assert_all_but_a_gap(
    socket: &mut Bare,
    start: &str,
    name: &str,
    last: u64,
    seqs: impl Fn(&Value) -> Vec<u64>,
) {
    let (mut next, mut gap) = (1, None);
    while next <= last {
        let text = socket.hear_until(start);
        let (event, data): (String, Value) = serde_json::from_str(&text[start.len()..]).expect("an event");
        if event == name {
            let got = seqs(&data);
            assert_eq!(got, range(next, next + got.len() as u64 - 1), "in order");
            next += got.len() as u64;
        } else if event == "gap" {
            assert_eq!((data["from"].as_u64(), gap), (Some(next), None), "once, and at its place: {data}");
            gap = data["to"].as_u64();
            next = gap.expect("to") + 1;
        }
    }
    assert!(gap.is_some_and(|to| to < last), "it was too slow for some and not for all: {gap:?}");
}

fn seq(row: &Value) -> u64 {
    row["seq"].as_u64().unwrap_or_else(|| panic!("no position: {row}"))
}

/// Emits as soon as the namespace is open, as no library does on purpose but each may by chance.
fn visit_in_haste(monitor: &Monitor) {
    let mut socket = Bare::socketio(monitor);
    socket.ask("40/stream,", "40/stream,");
    socket.ask(r#"42/stream,1["subscribe",{"limit":1}]"#, "43/stream,1");
    socket.ask("40", "40");
    socket.ask(r#"421["get_version"]"#, "431");
}

#[test]
fn a_snapshot_counts_all_sessions_and_has_those_that_wait_however_old_they_are() {
    let monitor = Monitor::start();
    let ask = json!({
        "hook_event_name": "PermissionRequest", "session_id": "waiting", "cwd": "/w/shop", "tool_name": "Bash",
        "tool_input": {"command": "git push"}, "tool_use_id": "toolu_1",
    });
    monitor.event(ask.to_string());
    let many: Vec<String> = (0..300).map(|number| prompt(&format!("s-{number}"), "go").to_string()).collect();
    assert_eq!(monitor.post(names::EVENTS, many.join("\n")).status, 200);
    monitor
        .event(json!({"hook_event_name": "SessionEnd", "session_id": "s-0", "reason": "other"}).to_string());

    let mut socket = connect(&monitor);
    let snapshot = subscribe(&mut socket, &json!({}));
    let ids: Vec<&str> = snapshot.sessions.iter().map(|session| session.session_id.as_str()).collect();
    assert_eq!((ids.len(), ids.last()), (201, Some(&"waiting")), "the newest, and who waits");
    let counts = &snapshot.counts;
    assert_eq!((counts.total, counts.open), (301, 300));
    let states = json!({"needs_you": 1, "working": 299, "closed": 1});
    assert_eq!(serde_json::to_value(&counts.states).expect("JSON"), states);
    assert_eq!(monitor.get("/api/sessions?limit=1").json()["counts"]["states"], states);

    monitor.event(prompt("one-more", "go"));
    let told: SessionsChanged = serde_json::from_value(socket.event("sessions")).expect("sessions");
    assert_eq!((told.changed.len(), told.counts.total), (1, 302));
    let monitor = monitor.crash().restart();
    let mut socket = connect(&monitor);
    let counts = subscribe(&mut socket, &json!({})).counts;
    assert_eq!((counts.total, counts.open, counts.states["working"]), (302, 301, 300), "after a restart");
}
