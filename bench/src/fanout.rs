//! What it costs to show events to many viewers, beside a bare broadcast of the same messages, and how late they
//! come.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use protocol::{Event, EventId, Row, Seq, Source, Timestamp, ingest, legacy, names};
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::Plan;
use crate::crowd::{Crowd, Door, Habit, visits};
use crate::load::{self, Client};
use crate::process::{Program, Server};
use crate::report::{Figure, Report, median, percentile};
use crate::samples::Samples;

/// Events that are shown at once: what a busy second brings, and less than viewers may lag.
const BURST: usize = 256;

/// The sizes of crowds.
const CROWDS: &[usize] = &[1, 10, 100, 500];

/// At what pace how many viewers are shown events, an event each.
const PACES: &[(usize, u32)] = &[(100, 1000), (500, 200)];

/// Sessions that send events in turn, each waiting for its answer.
const SENDERS: usize = 8;

/// Viewers that come and go at once.
const VISITORS: usize = 8;

/// What one program did in one turn.
struct Turn {
    /// Deliveries a second.
    rate: f64,
    /// Of the server, for one delivery, in µs.
    cpu: f64,
    bytes: f64,
}

/// As fast as it goes.
pub(crate) fn rate(plan: &Plan, samples: &Samples, report: &mut Report) -> Result<()> {
    report.section("Fan-out: deliveries per second of server CPU");
    let monitor = Burst::of(samples, names::EVENTS, str::to_owned);
    let bare = Burst::of(samples, "/broadcast", broadcast);
    for size in CROWDS {
        let limit = turns(plan, &Program::Bare, Door::Bare, *size, &bare)?;
        for (name, door) in
            [("Socket.IO", Door::SocketIo), ("raw WebSocket", Door::WebSocket), ("/stream", Door::Stream)]
        {
            let turn = turns(plan, &plan.monitor(), door, *size, &monitor)?;
            let note = format!(
                "{:.2} µs each ({:.2} bare); {:.0} bytes each ({:.0} bare); {:.0}/s",
                turn.cpu, limit.cpu, turn.bytes, limit.bytes, turn.rate
            );
            let figure = Figure::new(format!("{name}, {size} clients"), 1e6 / turn.cpu, "/s");
            report.add(figure.beside("bare WebSocket broadcast", 1e6 / limit.cpu).note(note));
        }
    }
    Ok(())
}

/// At a pace that people see.
pub(crate) fn delay(plan: &Plan, samples: &Samples, report: &mut Report) -> Result<()> {
    report.section("From the sender to every viewer, by Socket.IO");
    for (size, pace) in PACES {
        let limit = paced(&Program::Bare, Door::Bare, *size, *pace, plan.turn, samples)?;
        let server = paced(&plan.monitor(), Door::SocketIo, *size, *pace, plan.turn, samples)?;
        for (at, percent) in [("p50", 50), ("p99", 99)] {
            let value = |delays: &[f64]| percentile(&mut delays.to_vec(), percent);
            let figure =
                Figure::new(format!("{size} clients, {pace} events a second: {at}"), value(&server), "ms");
            let note = format!("all {} came", server.len());
            report.add(figure.beside("bare WebSocket broadcast", value(&limit)).note(note));
        }
    }
    Ok(())
}

/// Viewers that come and go at once, and viewers that flood passes by.
pub(crate) fn crowds(plan: &Plan, samples: &Samples, report: &mut Report) -> Result<()> {
    report.section("Crowds");
    let bare = Server::start(&Program::Bare)?;
    let limit = visits(bare.port, Door::Bare, VISITORS, plan.visits)?;
    let server = Server::start(&plan.monitor())?;
    for (name, door) in [("Socket.IO", Door::SocketIo), ("raw WebSocket", Door::WebSocket)] {
        let rate = visits(server.port, door, VISITORS, plan.visits)?;
        report.add(
            Figure::new(format!("{name} clients that come and go"), rate, "/s")
                .beside("bare WebSocket", limit),
        );
    }
    for (name, size, habit) in [
        ("no viewer", 0, Habit::Read),
        ("100 viewers of /stream", 100, Habit::Read),
        ("100 viewers that never read", 100, Habit::Sleep),
    ] {
        let server = Server::start(&plan.monitor())?;
        let crowd = Crowd::connect(server.port, Door::Stream, habit, size)?;
        let mut client = Client::connect(server.port)?;
        let mut stored = 0;
        for (body, events) in samples.bodies() {
            client.send(&body)?;
            client.answer()?;
            stored += events;
            if stored >= plan.flood {
                break;
            }
        }
        let most = Figure::new(
            format!("memory at most, {stored} events, {name}"),
            server.memory_mib("VmHWM")?,
            "MiB",
        );
        let (rows, gaps) = crowd.seen();
        let now = server.memory_mib("VmRSS")?;
        report.add(most.note(format!("{now:.1} at the end; they got {rows} rows and {gaps} gaps")));
    }
    Ok(())
}

/// A request of many events.
struct Burst(Vec<u8>);

impl Burst {
    fn of(samples: &Samples, path: &str, line: impl Fn(&str) -> String) -> Self {
        let lines: Vec<String> = samples.payloads().take(BURST).map(|payload| line(&payload)).collect();
        Self(load::request(path, Some(&lines.join("\n"))))
    }
}

/// The message that the monitor would send for a payload, for who only passes it on.
fn broadcast(payload: &str) -> String {
    let raw = RawValue::from_string(payload.to_owned()).expect("the sample is JSON");
    let incoming = ingest::parse(&raw, Source::Http).expect("the sample is an event");
    let payload = incoming.payload.clone();
    let row = Row::of(incoming, Seq(1), EventId(Uuid::now_v7()), Timestamp(1_795_225_582_000));
    let message = legacy::message(&Event { row, payload });
    format!(r#"42["claude_event",{message}]"#)
}

/// The middle of several turns.
fn turns(plan: &Plan, program: &Program, door: Door, size: usize, burst: &Burst) -> Result<Turn> {
    let server = Server::start(program)?;
    let crowd = Crowd::connect(server.port, door, Habit::Read, size)?;
    let mut client = Client::connect(server.port)?;
    let mut sent = 0;
    let mut turns = Vec::new();
    // The first one warms up.
    for _ in 0..=plan.rounds {
        let (begin, cpu, bytes, before) = (Instant::now(), server.cpu()?, crowd.bytes(), sent);
        while sent == before || begin.elapsed() < plan.turn / 4 {
            client.send(&burst.0)?;
            client.answer()?;
            sent += BURST;
            crowd.wait_for(sent)?;
        }
        let deliveries = ((sent - before) * size) as f64;
        turns.push(Turn {
            rate: deliveries / begin.elapsed().as_secs_f64(),
            cpu: (server.cpu()? - cpu).as_secs_f64() * 1e6 / deliveries,
            bytes: (crowd.bytes() - bytes) as f64 / deliveries,
        });
    }
    let middle = |of: fn(&Turn) -> f64| median(&mut turns[1..].iter().map(of).collect::<Vec<_>>());
    Ok(Turn {
        rate: middle(|turn| turn.rate),
        cpu: middle(|turn| turn.cpu),
        bytes: middle(|turn| turn.bytes),
    })
}

/// How late events came, in ms, that were sent one by one at a pace.
fn paced(
    program: &Program,
    door: Door,
    size: usize,
    pace: u32,
    time: Duration,
    samples: &Samples,
) -> Result<Vec<f64>> {
    let server = Server::start(program)?;
    let crowd = Crowd::connect(server.port, door, Habit::Read, size)?;
    let mut senders = (0..SENDERS).map(|_| Client::connect(server.port)).collect::<Result<Vec<_>>>()?;
    let (path, line): (_, fn(&str) -> String) = match program {
        Program::Bare => ("/broadcast", broadcast),
        Program::Monitor(_) => (names::EVENTS, str::to_owned),
    };
    let count = (f64::from(pace) * time.as_secs_f64()) as usize;
    let requests: Vec<Vec<u8>> =
        samples.payloads().take(count).map(|payload| load::request(path, Some(&line(&payload)))).collect();
    let begin = Instant::now();
    let due: Vec<Instant> = (1..=count as u32).map(|n| begin + n * Duration::from_secs(1) / pace).collect();
    crowd.note_delays(due.clone());
    for (number, (request, due)) in requests.iter().zip(due).enumerate() {
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        let sender = &mut senders[number % SENDERS];
        if number >= SENDERS {
            sender.answer()?;
        }
        sender.send(request)?;
    }
    crowd.wait_for(count).context("events were lost")?;
    let delays = crowd.delays();
    ensure!(delays.len() == count * size, "{} of {} messages named their event", delays.len(), count * size);
    Ok(delays)
}
