//! Claims about a disk that fails or is slow and a clock that jumps. The real monitor runs as it is shipped, SQLite
//! included; only the C library's writes to the event store, and its clocks, do what the test wants.
#![cfg(target_os = "linux")]

use std::fs;
use std::time::{Duration, Instant};

use e2e::{
    Crashed, Errno, Faults, Files, Monitor, PATIENCE, Random, Senders, WebSocket, lose_power, number, prompt,
    seed, wait_until,
};
use protocol::{names, paths::Home};
use rusqlite::Connection;
use serde_json::{Value, json};

/// How often the disk fails in one run, unless `SOAK_FAULTS` says another number.
const ROUNDS: u64 = 16;

/// How often the power fails in one run, unless `SOAK_FAULTS` says another number: a fifth of that, for each sync copies the
/// whole store.
const POWER_CUTS: u64 = 8;

/// Bytes of a payload that make the log of changes long enough to be copied in a moment.
const LARGE: usize = 40_000;

fn started(settings: &Value, faults: &Faults) -> Monitor {
    let home = tempfile::tempdir().expect("a temporary folder can be made");
    fs::write(Home::at(home.path()).config(), settings.to_string()).expect("it is ours");
    Monitor::start_with_faults(home, faults)
}

fn health(monitor: &Monitor) -> Value {
    monitor.get(names::HEALTH).json()
}

/// As many sessions as their version of the fold makes old at once.
const OLD_SESSIONS: usize = 3000;

#[test]
fn after_a_change_of_the_fold_what_is_asked_for_is_there_at_once_and_the_rest_follows() {
    let faults = Faults::none();
    let monitor = started(&json!({}), &faults);
    let old = |number| prompt(&format!("old-{number}"), "from before").to_string();
    let body: Vec<String> = (0..OLD_SESSIONS).map(old).collect();
    assert_eq!(monitor.post(names::EVENTS, body.join("\n")).status, 200);
    let stopped = monitor.stop();
    let connection = Connection::open(Home::at(stopped.home()).database()).expect("there is a database");
    let changed = connection.execute("UPDATE sessions SET version = 0, view = ''", []).expect("it is ours");
    assert_eq!(changed, OLD_SESSIONS);
    drop(connection);

    let monitor = stopped.restart();
    let listed = |query: &str| {
        let sessions = monitor.get(&format!("/api/sessions?{query}")).json()["sessions"].clone();
        let ids = sessions.as_array().expect("a list").iter();
        ids.map(|session| session["session_id"].as_str().expect("an id").to_owned()).collect::<Vec<_>>()
    };
    let newest: Vec<String> =
        (0..OLD_SESSIONS).rev().take(200).map(|number| format!("old-{number}")).collect();
    // Whatever of the others is done by then: nothing more is written.
    faults.hold_writes();
    assert_eq!(listed("limit=200"), newest, "a list");
    assert_eq!(listed("limit=200&status=working"), newest, "a list of those in a state");
    let oldest = monitor.get("/api/sessions/old-0").json();
    assert_eq!(oldest["events"], 1, "the oldest one of all: {oldest}");
    faults.heal();

    wait_until("all are done", || health(&monitor)["rebuild"].is_null());
    monitor.event(prompt("new", "and on it goes"));
    assert_eq!(listed("limit=1"), ["new"]);
    let connection = Connection::open(Home::at(monitor.home()).database()).expect("there is a database");
    let old: u64 = connection
        .query_row("SELECT count(*) FROM sessions WHERE version = 0 OR view = ''", [], |row| row.get(0))
        .expect("it can be read");
    assert_eq!(old, 0, "none is forgotten");
}

#[test]
fn how_far_sessions_are_computed_anew_is_told_while_it_lasts() {
    let faults = Faults::none();
    let monitor = started(&json!({}), &faults);
    for number in 0..10 {
        monitor.event(prompt(&format!("old-{number}"), "from before"));
    }
    let stopped = monitor.stop();
    let connection = Connection::open(Home::at(stopped.home()).database()).expect("there is a database");
    connection.execute("UPDATE sessions SET version = 0, view = ''", []).expect("it is ours");
    // Until it is taken away, nothing that was computed can be written.
    connection
        .execute_batch(
            "CREATE TRIGGER trap BEFORE UPDATE ON sessions BEGIN SELECT raise(abort, 'not yet'); END",
        )
        .expect("a trigger can be made");
    let monitor = stopped.restart();
    wait_until("it is told", || health(&monitor)["rebuild"] == json!({"done": 0, "total": 10}));
    connection.execute_batch("DROP TRIGGER trap").expect("it is there");
    wait_until("it is over", || health(&monitor)["rebuild"].is_null());
    let listed = monitor.get("/api/sessions").json();
    assert_eq!(listed["sessions"].as_array().map(Vec::len), Some(10), "{listed}");
}

/// Waits until the store is well, with nobody sending anything.
#[track_caller]
fn wait_until_well(monitor: &Monitor) {
    let start = Instant::now();
    while health(monitor)["store"] != "ok" {
        assert!(start.elapsed() < PATIENCE, "it does not recover: {}", health(monitor));
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Claims that nothing in the database contradicts itself, the search index included.
#[track_caller]
fn assert_sound(crashed: &Crashed) {
    let database = Home::at(crashed.home()).database();
    let connection = Connection::open(&database).expect("it is a database");
    let found: String =
        connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).expect("it can be checked");
    assert_eq!(found, "ok");
    connection
        .execute("INSERT INTO search (search, rank) VALUES ('integrity-check', 0)", [])
        .expect("the index is sound");
    let lonely = "SELECT count(*) FROM events LEFT JOIN payloads USING (seq) WHERE payload IS NULL";
    let lonely: u64 = connection.query_row(lonely, [], |row| row.get(0)).expect("it can be read");
    assert_eq!(lonely, 0, "every event has its payload");
    let names = fs::read_dir(database.parent().expect("it lies in a folder")).expect("it can be read");
    let names = names.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned());
    let damaged: Vec<String> = names.filter(|name| name.contains("damaged")).collect();
    assert!(damaged.is_empty(), "trouble with the disk is no damage: {damaged:?}");
}

#[test]
fn a_sync_that_fails_is_told_to_the_sender_and_over_when_the_disk_is_well() {
    let faults = Faults::none();
    let monitor = started(&json!({"durability": "power"}), &faults);
    monitor.event(prompt("before", "hello"));
    faults.fail_syncs(Files::Log);
    for _ in 0..3 {
        let refused = monitor.post(names::EVENTS, prompt("meanwhile", "hello"));
        assert_eq!((refused.status, &refused.json()["code"]), (503, &json!("store_failed")), "{refused:?}");
    }
    let troubled = health(&monitor);
    assert!(troubled["store"].as_str().is_some_and(|store| store.starts_with("degraded: ")), "{troubled}");
    assert_eq!(troubled["last_seq"], 1, "nothing is counted that may not be there");
    assert_eq!(monitor.events("").sessions(), ["before"], "what can be served is served");
    faults.heal();
    wait_until_well(&monitor);
    monitor.event(prompt("after", "hello"));
    let monitor = monitor.crash().restart();
    assert_eq!(monitor.events("").sessions(), ["before", "after"], "none that was refused, all that was not");
    assert_eq!(monitor.events("").seqs(), [1, 2]);
    assert_sound(&monitor.stop());
}

#[test]
fn no_event_is_acknowledged_before_a_new_store_is_on_the_disk() {
    let faults = Faults::none();
    faults.fail_syncs(Files::Database);
    let monitor = started(&json!({}), &faults);
    let refused = monitor.post(names::EVENTS, prompt("early", "hello"));
    assert_eq!((refused.status, &refused.json()["code"]), (503, &json!("store_failed")), "{refused:?}");
    // The next start still knows that it has to wait.
    let monitor = monitor.crash().restart();
    let refused = monitor.post(names::EVENTS, prompt("early", "hello"));
    assert_eq!(refused.status, 503, "{refused:?}");
    faults.heal();
    wait_until_well(&monitor);
    monitor.event(prompt("after", "hello"));
    assert_eq!(monitor.events("").sessions(), ["after"]);
    assert_sound(&monitor.stop());
}

#[test]
fn a_checkpoint_that_cannot_be_synced_loses_nothing() {
    let faults = Faults::none();
    let monitor = started(&json!({}), &faults);
    let senders = Senders::start(&monitor.url(), 4, LARGE);
    for files in [Files::Log, Files::Database] {
        faults.fail_syncs(files);
        faults.wait_for(3);
        faults.heal();
        senders.wait_for(10);
    }
    faults.fail_syncs(Files::Both);
    faults.wait_for(1);
    let crashed = monitor.crash();
    faults.heal();
    let monitor = crashed.restart();
    senders.wait_for(10);
    let sent = senders.end();
    wait_until_well(&monitor);
    monitor.assert_stored_once(&sent);
    assert_sound(&monitor.stop());
}

#[test]
fn every_acknowledged_event_is_there_exactly_once_whatever_writes_fail() {
    let (seed, rounds) = (seed(), number("SOAK_FAULTS").unwrap_or(ROUNDS));
    println!("{rounds} times trouble, SOAK_SEED={seed}");
    let mut random = Random::of(seed);
    let faults = Faults::none();
    let mut monitor = started(&json!({}), &faults);
    let senders = Senders::start(&monitor.url(), 4, LARGE);
    for round in 1..=rounds {
        // The database file is written when the log is copied, which happens now and then.
        let (files, one_in) = random.one_of(&[
            (Files::Log, 1),
            (Files::Log, 7),
            (Files::Log, 100),
            (Files::Both, 7),
            (Files::Both, 100),
            (Files::Database, 1),
            (Files::Database, 7),
        ]);
        match random.below(5) {
            0 => faults.fail_writes(files, Errno::Io, one_in),
            1 => faults.fail_writes(files, Errno::NoSpace, one_in),
            2 => faults.cut_writes(files, Some(Errno::Io), one_in),
            3 => faults.cut_writes(files, Some(Errno::NoSpace), one_in),
            _ => faults.cut_writes(files, None, one_in),
        }
        faults.wait_for(1 + random.below(5));
        if random.below(3) == 0 {
            let crashed = monitor.crash();
            faults.heal();
            monitor = crashed.restart();
        } else {
            faults.heal();
        }
        senders.wait_for(5);
        if round % 50 == 0 {
            println!("{round} times trouble, {} events", senders.acknowledged());
        }
    }
    let sent = senders.end();
    wait_until_well(&monitor);
    monitor.assert_stored_once(&sent);
    assert_sound(&monitor.stop());
    println!("{} events, each stored once; {} writes failed", sent.len(), faults.met());
}

/// Cuts the power again and again while senders send; answers what they sent and the monitor after the last time.
fn cut_power(durability: &str) -> (Vec<String>, Monitor) {
    let seed = seed();
    println!("SOAK_SEED={seed}");
    let random = &mut Random::of(seed);
    let faults = &Faults::none();
    faults.keep_synced();
    let mut monitor = started(&json!({ "durability": durability }), faults);
    let senders = Senders::start(&monitor.url(), 4, LARGE);
    for _ in 0..number("SOAK_FAULTS").map_or(POWER_CUTS, |faults| faults.div_ceil(5)) {
        senders.wait_for(1 + random.below(200));
        let crashed = monitor.crash();
        let database = Home::at(crashed.home()).database();
        // Some times everything reached the disk that was written, some times nothing that was not synced.
        let share = random.below(5);
        for file in [database.clone(), database.with_extension("db-wal")] {
            lose_power(&file, |_| random.below(4) < share);
        }
        fs::remove_file(database.with_extension("db-shm")).expect("SQLite makes it");
        monitor = crashed.restart();
    }
    faults.heal();
    (senders.end(), monitor)
}

#[test]
fn a_loss_of_power_takes_nothing_that_was_acknowledged_with_the_durability_for_it() {
    let (sent, monitor) = cut_power("power");
    monitor.assert_stored_once(&sent);
    assert_sound(&monitor.stop());
}

#[test]
fn a_loss_of_power_may_take_the_newest_events_and_never_the_store() {
    let (sent, monitor) = cut_power("crash");
    let stored: Vec<String> = monitor.everything().into_iter().map(|event| event.id).collect();
    assert!(
        !stored.is_empty() && stored.iter().all(|id| sent.contains(id)),
        "only what was sent: {stored:?}"
    );
    assert_sound(&monitor.stop());
}

#[test]
fn while_the_disk_stands_still_everybody_is_served_but_the_senders() {
    let faults = Faults::none();
    let monitor = started(&json!({}), &faults);
    monitor.event(prompt("before", "hello"));
    let mut viewer = WebSocket::connect(&monitor);
    faults.hold_writes();
    let senders = Senders::start(&monitor.url(), 16, 100);
    // What the monitor does by itself may be held up before the senders are, and then nothing else is.
    faults.wait_until(1);
    for _ in 0..5 {
        assert_eq!(health(&monitor)["last_seq"], 1);
        assert_eq!(monitor.events("session=before").sessions(), ["before"]);
        assert_eq!(monitor.get("/api/sessions").status, 200);
        assert_eq!(monitor.get("/metrics").status, 200);
        viewer.ask(&json!({"command": "get_status"}), "system.status");
        WebSocket::connect(&monitor);
    }
    assert_eq!(senders.acknowledged(), 0, "acknowledged means stored");
    faults.heal();
    senders.wait_for(32);
    faults.slow_down(Duration::from_millis(10));
    senders.wait_for(64);
    for seq in 2..=65 {
        assert_eq!(viewer.message("hook.load")["seq"], seq, "each one, in order");
    }
    let sent = senders.end();
    faults.heal();
    monitor.assert_stored_once(&[vec!["before".to_owned()], sent].concat());
}

#[test]
fn a_clock_that_jumps_changes_times_and_nothing_else() {
    const HOUR: i64 = 3600;
    let faults = Faults::none();
    let mut monitor = started(&json!({}), &faults);
    let mut sent = Vec::new();
    let mut send = |monitor: &Monitor, session: &str| {
        monitor.event(prompt(session, "hello"));
        sent.push(session.to_owned());
    };
    send(&monitor, "now");
    for (session, clock) in [
        ("hour back", -HOUR),
        ("day ahead", 24 * HOUR),
        ("year ahead", 8760 * HOUR),
        ("week back", -168 * HOUR),
    ] {
        faults.set_clock(clock);
        send(&monitor, session);
        assert_eq!(monitor.get("/api/sessions/now").status, 200);
        let status = monitor.cli(&["status", "--port", &monitor.port().to_string()]);
        assert!(status.status.success(), "it knows itself: {status:?}");
        monitor = monitor.stop().restart();
        send(&monitor, &format!("{session}, restarted"));
        monitor = monitor.crash().restart();
        send(&monitor, &format!("{session}, crashed"));
    }
    faults.set_clock(0);
    send(&monitor, "now again");
    let events = monitor.events("limit=1000").events;
    let found: Vec<_> = events.iter().filter_map(|event| event.session_id.clone()).collect();
    assert_eq!(found, sent, "in the order in which they came");
    let hours =
        |from: usize, to: usize| (events[to].received_at - events[from].received_at) / (HOUR * 1000 - 60_000);
    assert_eq!((hours(1, 0), hours(0, 4)), (1, 24), "the clock did jump: {events:?}");
    let sessions = monitor.get("/api/sessions?limit=500").json();
    assert_eq!(sessions["sessions"].as_array().map(Vec::len), Some(sent.len()), "{sessions}");
}

#[test]
fn while_the_clock_shows_a_time_that_http_cannot_write_that_is_said_and_nothing_is_lost() {
    const YEAR: i64 = 365 * 24 * 3600;
    let faults = Faults::none();
    let monitor = started(&json!({}), &faults);
    let mut viewer = WebSocket::connect(&monitor);
    for years in [-100, 9_000] {
        faults.set_clock(years * YEAR);
        let refused = monitor.get("/health");
        assert_eq!((refused.status, refused.json()["code"].as_str()), (503, Some("impossible_date")));
        monitor.hook(&prompt(&format!("{years} years"), "hello"));
        // Live connections write no dates.
        let status = viewer.ask(&json!({"command": "get_status"}), "system.status");
        assert_eq!(status["connected_clients"], 1, "{status}");
        faults.set_clock(0);
        assert_eq!(monitor.get("/health").status, 200, "it serves as soon as the clock is right");
        monitor.wait_for_spool();
    }
    assert_eq!(monitor.events("").sessions(), ["-100 years", "9000 years"]);
    assert!(!monitor.log().contains("panicked"), "{}", monitor.log());
}

#[test]
fn a_pause_of_capture_lasts_when_the_clock_jumps_back_and_ends_when_it_is_ended() {
    let faults = Faults::none();
    let monitor = started(&json!({}), &faults);
    let token = format!("Bearer {}", monitor.control_token());
    let capture = |paused: bool| {
        let reply = monitor.post_with(
            "/api/capture",
            &[("authorization", &token)],
            json!({"paused": paused}).to_string(),
        );
        assert_eq!((reply.status, reply.json()["paused"].clone()), (200, json!(paused)), "{reply:?}");
    };
    capture(true);
    faults.set_clock(-3600);
    assert_eq!(health(&monitor)["capture"]["paused"], true);
    assert_eq!(monitor.post(names::EVENTS, prompt("paused", "hello")).status, 202);
    capture(false);
    monitor.event(prompt("resumed", "hello"));
    faults.set_clock(0);
    monitor.event(prompt("later", "hello"));
    capture(true);
    capture(false);
    faults.set_clock(-1);
    monitor.event(prompt("a second back", "hello"));
    assert_eq!(monitor.events("").sessions(), ["resumed", "later", "a second back"]);
}

#[test]
fn a_login_lasts_a_month_and_a_link_to_it_ten_minutes() {
    const DAY: i64 = 24 * 3600;
    // A connection that is kept for another request ends when minutes pass, perhaps in the middle of that.
    const LAST: (&str, &str) = ("connection", "close");
    let faults = Faults::none();
    let monitor = started(&json!({ "require_token": true }), &faults);
    let [first, second, third] = [(); 3].map(|()| monitor.login_path());
    let login = monitor.get(&first);
    assert_eq!(login.status, 200, "{login:?}");
    let cookie = login.cookie();
    let headers = json!({ "headers": { "Cookie": cookie } });
    for (day, is_in) in [(0, true), (29, true), (31, false), (0, true)] {
        faults.set_clock(day * DAY);
        let expected = if is_in { 200 } else { 401 };
        let reply = monitor.get_with(names::EVENTS, &[("cookie", &cookie), LAST]);
        assert_eq!(reply.status, expected, "day {day}: {reply:?}");
        if is_in {
            WebSocket::attempt_with(&monitor, "/ws", &headers).data("system.status");
        } else {
            assert_eq!(WebSocket::attempt_with(&monitor, "/ws", &headers).refusal(), 401, "day {day}");
        }
    }
    faults.let_pass(9 * 60);
    assert_eq!(monitor.get_with(&second, &[LAST]).status, 200, "nine minutes later");
    faults.let_pass(11 * 60);
    assert_eq!(monitor.get_with(&third, &[LAST]).status, 401, "eleven minutes later");
}

#[test]
fn what_keeps_a_monitor_from_keeping_events_is_the_first_that_its_user_reads() {
    let faults = Faults::none();
    let monitor = started(&json!({"durability": "power"}), &faults);
    let port = monitor.port();
    let read = |arguments: &[&str]| {
        let read = monitor.cli(arguments);
        (read.status.code(), String::from_utf8(read.stdout).expect("text"))
    };
    let first_of_status = |what: &str| {
        let (code, page) = read(&["status"]);
        assert_eq!(code, Some(0), "it runs: {page}");
        let (first, rest) = page.split_once("\nServer 1:\n").expect("a block for the server");
        let said = format!("✗ Server on port {port}: {what}");
        assert!(first.contains(&said) && first.contains("\n  Suggestion: "), "{page}");
        assert!(!rest.contains("Status: Running\n"), "{page}");
        let (code, list) = read(&["list"]);
        assert!(code == Some(0) && list.contains(&said), "{list}");
        let (_, health) = read(&["health"]);
        assert!(health.contains(what), "{health}");
        let (code, servers) = read(&["status", "--json"]);
        let servers: Value = serde_json::from_str(&servers).expect("JSON");
        let trouble = &servers[0]["troubles"][0];
        assert!(trouble["what"].as_str().is_some_and(|said| said.starts_with(what)), "{servers}");
        assert!(trouble["way_out"].is_string() && code == Some(0), "{servers}");
    };
    faults.fail_syncs(Files::Log);
    assert_eq!(monitor.post(names::EVENTS, prompt("s", "hello")).status, 503);
    first_of_status("its store is degraded: ");
    assert_eq!(read(&["health"]).0, Some(1));
    faults.heal();
    wait_until_well(&monitor);
    let (code, page) = read(&["status"]);
    assert!(code == Some(0) && page.contains("Status: Running\n") && !page.contains('✗'), "{page}");
    let token = format!("Bearer {}", monitor.control_token());
    let paused = monitor.post_with("/api/capture", &[("authorization", &token)], r#"{"paused":true}"#);
    assert_eq!(paused.status, 200, "{paused:?}");
    first_of_status("capture is paused until resumed, 0 events not kept so far");
    assert_eq!(read(&["health"]).0, Some(0), "as its user wants it");
}
