//! Claims about what is never lost and never doubled: through kills, restarts and the spool.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use e2e::{Monitor, PATIENCE, Stored, hook, prompt};
use protocol::paths::Home;
use serde_json::json;

/// Kills in one run, unless `SOAK_KILLS` says another number.
const KILLS: u64 = 20;

/// How many programs post at once.
const POSTERS: u64 = 3;

/// The longest life between two kills.
const LIFE_MS_MAX: u64 = 400;

/// The longest life after the drain of the spool began, for every second kill: until after the first group is
/// stored and deleted.
const DRAIN_US_MAX: u64 = 6_000;

/// A port that nobody serves: with it, a hook spools even while the server runs.
const NOBODY: (&str, &str) = ("CLAUDE_MPM_MONITOR_PORT", "1");

/// How long a sender rests between two events: the load is heavy, not a denial of service.
const REST: Duration = Duration::from_millis(2);

/// A number from the environment.
fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok().filter(|text| !text.is_empty())?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} is no number: {text}")))
}

/// Numbers that look random and come again with the same seed (xorshift64).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

/// Everything stored, page by page.
fn everything(monitor: &Monitor) -> Vec<Stored> {
    let (mut all, mut after) = (Vec::new(), 0);
    loop {
        let page = monitor.events(&format!("after={after}&limit=1000&payload=true&duplicates=true"));
        after = page.events.last().map_or(after, |event| event.seq);
        all.extend(page.events);
        if !page.has_more {
            return all;
        }
    }
}

/// Posts events one after the other, each with its own id, each again until it is acknowledged, whatever
/// happens to the server meanwhile. Returns the ids.
fn post_until(ended: &AtomicBool, url: &str, sender: u64) -> Vec<String> {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(PATIENCE))
        .build()
        .into();
    let mut ids = Vec::new();
    while !ended.load(Ordering::Relaxed) {
        let id = format!("{sender:08x}-0000-7000-8000-{:012x}", ids.len());
        let body = json!({"id": id, "kind": "load", "session_id": id, "payload": {"number": ids.len()}});
        let body = body.to_string();
        let start = Instant::now();
        loop {
            match agent.post(format!("{url}/api/events")).send(body.as_bytes()) {
                Ok(answer) if answer.status() == 204 => break,
                Ok(answer) if answer.status().is_client_error() => panic!("refused: {answer:?}"),
                _ => std::thread::sleep(REST),
            }
            assert!(start.elapsed() < 2 * PATIENCE, "{id} is never acknowledged");
        }
        ids.push(id);
        std::thread::sleep(REST);
    }
    ids
}

/// Runs the real hook again and again, whether a server is there or not; every third time it does not find
/// one. Returns the sessions.
fn hook_until(ended: &AtomicBool, home: &Path) -> Vec<String> {
    let mut sessions = Vec::new();
    while !ended.load(Ordering::Relaxed) {
        let session = format!("hook-{}", sessions.len());
        let variables: &[_] = if sessions.len() % 3 == 0 { &[NOBODY] } else { &[] };
        hook(home, variables, &prompt(&session, "is anybody there?"));
        sessions.push(session);
        std::thread::sleep(REST);
    }
    sessions
}

/// Whether a server just began to drain the spool: it says so by emptying the count of what lies there.
struct DrainBegins {
    usage: PathBuf,
    last: Cell<u64>,
}

impl DrainBegins {
    fn of(home: &Path) -> Self {
        Self { usage: Home::at(home).spool().join(protocol::spool::USAGE), last: Cell::new(0) }
    }

    fn now(&self) -> bool {
        let length = fs::metadata(&self.usage).map_or(0, |usage| usage.len());
        length < self.last.replace(length)
    }
}

#[test]
fn every_event_is_there_exactly_once_after_kill_upon_kill() {
    let kills = number("SOAK_KILLS").unwrap_or(KILLS);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970");
    let seed = number("SOAK_SEED").unwrap_or(now.as_nanos() as u64).max(1);
    println!("{kills} kills, SOAK_SEED={seed}");
    let mut random = Random(seed);

    let mut monitor = Monitor::start();
    let (url, home) = (monitor.url(), monitor.home().to_owned());
    let ended = AtomicBool::new(false);
    let (monitor, posted, hooked) = std::thread::scope(|scope| {
        // However this ends, the senders end too.
        struct End<'a>(&'a AtomicBool);
        impl Drop for End<'_> {
            fn drop(&mut self) {
                self.0.store(true, Ordering::Relaxed);
            }
        }
        let end = End(&ended);
        let posters: Vec<_> = (0..POSTERS)
            .map(|sender| {
                scope.spawn({
                    let (ended, url) = (&ended, &url);
                    move || post_until(ended, url, sender)
                })
            })
            .collect();
        let hooks = scope.spawn(|| hook_until(&ended, &home));
        for kill in 1..=kills.div_ceil(2) {
            std::thread::sleep(Duration::from_millis(random.below(LIFE_MS_MAX)));
            let crashed = monitor.crash();
            let drain = DrainBegins::of(&home);
            let life = Duration::from_micros(random.below(DRAIN_US_MAX));
            let crashed = crashed.crash_when(|| {
                let begins = drain.now();
                if begins {
                    std::thread::sleep(life);
                }
                begins
            });
            monitor = crashed.restart();
            if kill % 50 == 0 {
                println!("{} kills", 2 * kill);
            }
        }
        drop(end);
        let posted = posters.into_iter().flat_map(|poster| poster.join().expect("a sender ends well"));
        (monitor, posted.collect::<Vec<_>>(), hooks.join().expect("the hooks end well"))
    });
    monitor.wait_for_spool();

    let stored = everything(&monitor);
    let seqs: Vec<u64> = stored.iter().map(|event| event.seq).collect();
    assert!(seqs.iter().copied().eq(1..=seqs.len() as u64), "positions have no gap: {seqs:?}");
    let mut times: BTreeMap<&str, usize> = BTreeMap::new();
    for event in &stored {
        *times.entry(event.session_id.as_deref().expect("every event has a session")).or_default() += 1;
    }
    for sent in posted.iter().chain(&hooked) {
        let times = times.remove(sent.as_str()).unwrap_or(0);
        assert_eq!(times, 1, "{sent} was handed over once, and must be stored once; SOAK_SEED={seed}");
    }
    assert!(times.is_empty(), "nobody sent these: {times:?}");
    for event in stored.iter().filter(|event| event.kind == "load") {
        assert_eq!(event.session_id.as_ref(), Some(&event.id), "an event keeps its id");
    }
    let health = monitor.assert_healthy();
    assert_eq!(health["spool"], json!({"waiting": 0, "refused": 0, "rejected": 0}), "{health}");
    println!("{} posted and {} hooked events, each stored once", posted.len(), hooked.len());
}

#[test]
fn events_survive_a_kill_with_the_durability_of_power_loss_too() {
    let home = tempfile::tempdir().expect("a temporary folder can be made");
    fs::write(Home::at(home.path()).config(), r#"{"durability":"power"}"#).expect("written");
    let monitor = Monitor::start_in(home);
    let sessions: Vec<String> = (0..20).map(|number| format!("s-{number}")).collect();
    sessions.iter().for_each(|session| monitor.event(prompt(session, "hello")));
    let monitor = monitor.crash().restart();
    assert_eq!(monitor.events("").sessions(), sessions);
}

#[test]
fn history_survives_a_restart_and_pages_on() {
    let monitor = Monitor::start();
    (0..5).for_each(|number| monitor.event(prompt(&format!("s-{number}"), "before")));
    let seen = monitor.events("limit=3&after=0");
    assert!(seen.has_more);
    let monitor = monitor.stop().restart();
    assert_eq!(monitor.events("").seqs(), [1, 2, 3, 4, 5]);
    monitor.event(prompt("s-5", "after"));
    let rest = monitor.events(&format!("after={}", seen.seqs()[2]));
    assert_eq!(rest.seqs(), [4, 5, 6], "a reader goes on where it was");
    assert_eq!(rest.sessions(), ["s-3", "s-4", "s-5"]);
}

#[test]
fn a_late_event_comes_last_and_keeps_its_own_time() {
    let monitor = Monitor::start();
    monitor.event(prompt("now", "hello"));
    let hour_ago = monitor.events("").events[0].received_at - 3_600_000;
    let late = json!({"kind": "late", "session_id": "late", "occurred_at": hour_ago, "payload": {}});
    monitor.event(late.to_string());
    let events = monitor.events("").events;
    let found: Vec<_> = events.iter().map(|event| (event.seq, event.kind.as_str())).collect();
    assert_eq!(found, [(1, "UserPromptSubmit"), (2, "late")]);
    assert_eq!(events[1].occurred_at, hour_ago);
    assert!(events[1].received_at >= events[0].received_at);
}

#[test]
fn a_full_spool_s_refusals_are_told() {
    let monitor = Monitor::start();
    assert_eq!(monitor.assert_healthy()["spool"]["refused"], 0);
    let home = Home::at(monitor.home());
    let stopped = monitor.stop();
    fs::create_dir_all(home.spool()).expect("a folder can be made");
    let full = fs::File::create(home.spool().join(protocol::spool::USAGE)).expect("a counter can be made");
    full.set_len(protocol::spool::BLOCKS_MAX).expect("a counter can be long");
    for _ in 0..3 {
        hook(home.folder(), &[], &prompt("lost", "nobody has room for this"));
    }
    let monitor = stopped.restart();
    assert_eq!(monitor.assert_healthy()["spool"]["refused"], 3);
    assert_eq!(monitor.get("/stats").json()["spool"]["refused"], 3);
    monitor.wait_for_spool();
    assert!(monitor.events("").events.is_empty());
}

#[test]
fn a_running_server_takes_in_what_is_spooled_meanwhile() {
    let monitor = Monitor::start();
    let elsewhere = tempfile::tempdir().expect("a temporary folder can be made");
    // A hook that found no server, as one that ran out of time.
    let sessions: Vec<String> = (0..30).map(|number| format!("s-{number}")).collect();
    for session in &sessions {
        hook(elsewhere.path(), &[], &prompt(session, "is anybody there?"));
    }
    let (from, to) = (Home::at(elsewhere.path()).spool(), Home::at(monitor.home()).spool());
    fs::create_dir_all(to.parent().expect("it lies in the home")).expect("a folder can be made");
    fs::rename(&from, &to).expect("a folder can be moved");
    let events = monitor.wait_for_events("limit=1000", sessions.len()).events;
    let found: Vec<_> = events.iter().filter_map(|event| event.session_id.clone()).collect();
    assert_eq!(found, sessions, "in the order in which they happened");
    assert!(events.iter().all(|event| event.source == "hook"), "{events:?}");
    monitor.wait_for_spool();
}
