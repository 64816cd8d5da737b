//! Claims about what stays behind: viewers of every door come and go, slow ones among them, programs send and others read
//! history, and the monitor's memory, open files and threads do not grow. `SOAK_MINUTES` sets for how long.
#![cfg(target_os = "linux")]

use std::time::{Duration, Instant};

use e2e::{Bare, Monitor, PATIENCE, Senders, number};
use protocol::names;
use serde_json::json;

/// Rounds while everybody waits for the checks.
const ROUNDS: usize = 30;

/// Viewers of each door in a round.
const VIEWERS: usize = 2;

/// Events that a viewer reads before it goes.
const READ: usize = 3;

/// Events sent before anything is measured: more than the hub's ring holds, and in more sessions than are kept at hand.
const FIRST_EVENTS: usize = 9_000;

/// Bytes of text in each event.
const TEXT_BYTES: usize = 1000;

/// By how much the later rounds may exceed the earlier ones, in KiB. The allocator and the store's caches give back as chance
/// has it: from one round to the next memory differs by as much.
const MEMORY_KIB: u64 = 6 * 1024;

/// And in percent: in a few rounds caches are still filling, in minutes they are not.
const MEMORY_PERCENT: (u64, u64) = (15, 5);

/// By how many files: the connections of those who ask for history stay open for a while.
const FILES: u64 = 3;

/// By how many threads: those for work that blocks end after ten seconds without any. What leaks with every connection is
/// more than that: a round has some twenty of them.
const THREADS: u64 = 4;

/// What the monitor holds at one moment at which nobody watches.
#[derive(Clone, Copy, Debug)]
struct Sample {
    memory_kib: u64,
    files: u64,
    threads: u64,
}

impl Sample {
    fn of(pid: u64) -> Self {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("the system tells");
            line.split_whitespace().next().and_then(|number| number.parse().ok()).expect("a number")
        };
        let files = std::fs::read_dir(format!("/proc/{pid}/fd")).expect("its files are listed").count();
        Self { memory_kib: field("VmRSS:"), files: files as u64, threads: field("Threads:") }
    }
}

/// A live connection of any door.
struct Viewer(Bare);

impl Viewer {
    /// Connects and says what it wants; in Socket.IO first the namespace, which is answered before more is said.
    fn connect(monitor: &Monitor, path: &str, wants: &[&str]) -> Self {
        let mut viewer = Bare::connect(monitor, path);
        for want in wants {
            viewer.say(want);
            if want.starts_with("40") {
                viewer.hear_until(want);
            }
        }
        Self(viewer)
    }

    /// One of each door, however many there are.
    fn of_each_door(monitor: &Monitor) -> Vec<Self> {
        const SOCKETIO: &str = "/socket.io/?EIO=4&transport=websocket";
        let doors: [(&str, &[&str]); 4] = [
            ("/", &[]),
            ("/ws", &[r#"{"command":"subscribe","channels":["*"]}"#]),
            (SOCKETIO, &["40"]),
            (SOCKETIO, &["40/stream,", r#"42/stream,["subscribe",{}]"#]),
        ];
        doors.iter().map(|(path, wants)| Self::connect(monitor, path, wants)).collect()
    }

    /// Reads so many messages with events.
    fn read(&mut self, events: usize) {
        (0..events).for_each(|_| self.read_until("-0000-7000-8000-"));
    }

    fn read_until(&mut self, part: &str) {
        while !self.0.hear().contains(part) {}
    }
}

/// A Socket.IO client that polls, and leaves.
fn poll(monitor: &Monitor) {
    const PATH: &str = "/socket.io/?EIO=4&transport=polling";
    let opened = monitor.get(PATH).body;
    let sid = opened.split('"').nth(3).unwrap_or_else(|| panic!("a session: {opened}"));
    let path = format!("{PATH}&sid={sid}");
    for (packet, answer) in [("40", "40{"), (r#"42["get_status"]"#, r#"42["status""#)] {
        assert_eq!(monitor.post(&path, packet).status, 200, "{packet}");
        let mut reply = monitor.get(&path);
        while !reply.body.contains(answer) {
            assert_eq!(reply.status, 200, "{reply:?}");
            reply = monitor.get(&path);
        }
    }
    assert_eq!(monitor.post(&path, "1").status, 200);
}

/// One round: everybody comes, reads and goes.
fn visit(monitor: &Monitor, round: usize) {
    let slow = Viewer::of_each_door(monitor);
    for _ in 0..VIEWERS {
        for mut viewer in Viewer::of_each_door(monitor) {
            viewer.read(READ);
            // Every other one goes without a word.
            if round.is_multiple_of(2) {
                viewer.0.close();
            }
        }
    }
    poll(monitor);
    for path in [
        "/api/events?limit=200&payload=true",
        "/api/events?q=number&limit=50",
        "/api/events?query=kind:load&limit=50",
        "/api/figures?query=kind:load",
        "/api/sessions?limit=100",
        "/stats",
        "/metrics",
        "/",
    ] {
        assert_eq!(monitor.get(path).status, 200, "{path}");
    }
    assert_eq!(monitor.post(names::EVENTS, "no event").status, 400);
    drop(slow);
    let start = Instant::now();
    while monitor.assert_healthy()["clients_connected"] != 0 {
        assert!(start.elapsed() < PATIENCE, "somebody is still counted");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn median(samples: &[Sample], what: impl Fn(&Sample) -> u64) -> u64 {
    let mut numbers: Vec<u64> = samples.iter().map(what).collect();
    numbers.sort_unstable();
    numbers[numbers.len() / 2]
}

/// Fills what is kept of the newest events and what was made of them for viewers, so that it is full from the first sample
/// on.
fn fill(monitor: &Monitor) -> Vec<String> {
    let id = |number| format!("ffffffff-0000-7000-8000-{number:012x}");
    let ids: Vec<String> = (0..FIRST_EVENTS).map(id).collect();
    std::thread::scope(|scope| {
        for mut viewer in Viewer::of_each_door(monitor) {
            let last = ids.last().expect("there are some");
            scope.spawn(move || viewer.read_until(last));
        }
        for ids in ids.chunks(250) {
            let text = "x".repeat(TEXT_BYTES);
            let event = |id| json!({"id": id, "kind": "load", "session_id": id, "payload": {"text": text}});
            let lines: Vec<String> = ids.iter().map(|id| event(id).to_string()).collect();
            let reply = monitor.post(names::EVENTS, lines.join("\n"));
            assert_eq!((reply.status, &reply.json()["stored"]), (200, &json!(ids.len())), "{reply:?}");
        }
    });
    ids
}

#[test]
fn whoever_comes_and_goes_leaves_nothing_behind() {
    let minutes = number("SOAK_MINUTES");
    let monitor = Monitor::start();
    let pid = monitor.assert_healthy()["pid"].as_u64().expect("a process");
    let mut sent = fill(&monitor);
    let senders = Senders::start(&monitor.url(), 2, TEXT_BYTES);
    let (mut samples, start) = (Vec::new(), Instant::now());
    let mut told = 0;
    while minutes
        .map_or(samples.len() < ROUNDS, |minutes| start.elapsed() < Duration::from_secs(60 * minutes))
    {
        visit(&monitor, samples.len());
        samples.push(Sample::of(pid));
        if start.elapsed().as_secs() / 60 > told {
            told += 1;
            let (rounds, events) = (samples.len(), senders.acknowledged());
            println!("{told} min: {rounds} rounds, {events} events, {:?}", samples[rounds - 1]);
        }
    }
    sent.extend(senders.end());

    let third = samples.len() / 3;
    let (middle, last) = (&samples[third..2 * third], &samples[2 * third..]);
    println!("{} rounds, {} events", samples.len(), sent.len());
    let percent = if minutes.is_some() { MEMORY_PERCENT.1 } else { MEMORY_PERCENT.0 };
    let memory = median(middle, |sample| sample.memory_kib) * percent / 100 + MEMORY_KIB;
    for (what, number, more) in [
        ("KiB of memory", (|sample| sample.memory_kib) as fn(&Sample) -> u64, memory),
        ("open files", |sample| sample.files, FILES),
        ("threads", |sample| sample.threads, THREADS),
    ] {
        let (before, after) = (median(middle, number), median(last, number));
        println!("{what}: {before}, later {after}");
        assert!(after <= before + more, "more and more {what}: {before}, later {after}");
    }
    monitor.assert_stored_once(&sent);
}
