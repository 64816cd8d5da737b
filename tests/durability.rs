//! Claims about what is never lost and never doubled: through kills, restarts and the spool.

use std::cell::Cell;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use e2e::{Monitor, Random, Senders, hook, number, prompt, seed};
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

/// How long the hooks rest between two events: the load is heavy, not a denial of service.
const REST: Duration = Duration::from_millis(2);

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
    let seed = seed();
    println!("{kills} kills, SOAK_SEED={seed}");
    let mut random = Random::of(seed);

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
        let senders = Senders::start(&url, POSTERS, 0);
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
        (monitor, senders.end(), hooks.join().expect("the hooks end well"))
    });
    monitor.wait_for_spool();

    monitor.assert_stored_once(&[&posted[..], &hooked].concat());
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
