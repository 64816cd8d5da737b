//! What it costs to show events to many viewers, beside a bare broadcast of the same messages, and how late they
//! come.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use protocol::{Event, EventId, Row, Seq, Source, Timestamp, ingest, legacy, names};
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::Plan;
use crate::crowd::{Crowd, Door, Habit, first_page, visits};
use crate::load::{self, Client};
use crate::process::{Program, Server};
use crate::report::{Figure, Report, median, percentile};
use crate::samples::Samples;
use crate::store::END_MS_ASKED;

/// Events that are shown at once: what a busy second brings, and less than viewers may lag.
const BURST: usize = 256;

/// The sizes of crowds.
const CROWDS: &[usize] = &[1, 10, 100, 500];

/// What share of a bare broadcast is asked of showing events to many.
const SHARE_ASKED: f64 = 0.7;

/// At what pace how many viewers are shown events, an event each, and how late all but one in a hundred may come in ms.
const PACES: &[(usize, u32, f64)] = &[(100, 1000, 10.0), (500, 200, 6.0)];

/// Events that a late viewer finds.
const EARLIER: usize = 5_000;

/// Sessions that send events in turn, each waiting for its answer.
const SENDERS: usize = 8;

/// Viewers that come and go at once.
const VISITORS: usize = 8;

/// What one program did in one turn.
struct Turn {
    /// Deliveries a second.
    rate: f64,
    /// Of the server, for one event, in µs.
    cpu: f64,
    /// Of a delivery.
    bytes: f64,
}

/// As fast as it goes.
pub(crate) fn rate(plan: &Plan, samples: &Samples, report: &mut Report) -> Result<()> {
    report.section("Fan-out: deliveries per second of server CPU");
    let monitor = Burst::of(samples, names::EVENTS, str::to_owned);
    let bare = Burst::of(samples, "/broadcast", broadcast);
    // What an event costs that nobody is shown.
    let taken = turns(plan, &Program::Bare, Door::Bare, 0, &bare)?.cpu;
    let stored = turns(plan, &plan.monitor(), Door::SocketIo, 0, &monitor)?.cpu;
    for size in CROWDS {
        let each = |cpu: f64| cpu / *size as f64;
        let limit = turns(plan, &Program::Bare, Door::Bare, *size, &bare)?;
        for (name, door) in
            [("Socket.IO", Door::SocketIo), ("raw WebSocket", Door::WebSocket), ("/stream", Door::Stream)]
        {
            let turn = turns(plan, &plan.monitor(), door, *size, &monitor)?;
            let note = format!(
                "{:.2} µs each ({:.2} bare), without storing {:.2} ({:.2}); {:.0} bytes each ({:.0} bare); {:.0}/s",
                each(turn.cpu),
                each(limit.cpu),
                each(turn.cpu - stored),
                each(limit.cpu - taken),
                turn.bytes,
                limit.bytes,
                turn.rate
            );
            let figure = Figure::new(format!("{name}, {size} clients"), 1e6 / each(turn.cpu), "/s");
            let figure = figure.beside("bare WebSocket broadcast", 1e6 / each(limit.cpu));
            report.add(figure.at_least_of_limit(SHARE_ASKED).note(note));
        }
    }
    Ok(())
}

/// At a pace that people see.
pub(crate) fn delay(plan: &Plan, samples: &Samples, report: &mut Report) -> Result<()> {
    report.section("From the sender to every viewer, by Socket.IO");
    for (size, pace, asked) in PACES {
        let limit = paced(&Program::Bare, Door::Bare, *size, *pace, plan.turn, samples)?;
        let server = paced(&plan.monitor(), Door::SocketIo, *size, *pace, plan.turn, samples)?;
        for (at, percent) in [("p50", 50), ("p99", 99)] {
            let value = |delays: &[f64]| percentile(&mut delays.to_vec(), percent);
            let what = format!("{size} clients, {pace} events a second: {at}");
            let mut figure = Figure::new(what, value(&server), "ms");
            if percent == 99 {
                figure = figure.at_most(*asked);
            }
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
            Figure::new(format!("{} {name} clients that come and go", plan.visits), rate, "/s")
                .beside("bare WebSocket", limit)
                .at_least(1000.0),
        );
    }
    late(plan, samples, report)?;
    end_among_viewers(plan, report)?;
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
        let most = if habit == Habit::Read { most.at_most(80.0) } else { most };
        report.add(most.note(format!("{now:.1} at the end; they got {rows} rows and {gaps} gaps")));
    }
    Ok(())
}

/// Somebody who comes late: from the connection to the first page of what was before.
fn late(plan: &Plan, samples: &Samples, report: &mut Report) -> Result<()> {
    let server = Server::start(&plan.monitor())?;
    let mut client = Client::connect(server.port)?;
    let mut payloads = samples.payloads().take(EARLIER).peekable();
    while payloads.peek().is_some() {
        let lines: Vec<String> = payloads.by_ref().take(500).collect();
        client.send(&load::request(names::EVENTS, Some(&lines.join("\n"))))?;
        client.answer()?;
    }
    for (name, door) in
        [("Socket.IO", Door::SocketIo), ("/stream", Door::Stream), ("raw WebSocket", Door::WebSocket)]
    {
        let times = (0..plan.reads).map(|_| first_page(server.port, door)).collect::<Result<Vec<_>>>()?;
        let (events, mut times): (Vec<usize>, Vec<f64>) = times.into_iter().unzip();
        let what = format!("late viewer, {name}: to its first page, p50");
        let note = format!("{} of {EARLIER} events; p95 {:.2} ms", events[0], percentile(&mut times, 95));
        report.add(Figure::new(what, median(&mut times), "ms").at_most(5.0).note(note));
    }
    Ok(())
}

/// From the order to end to the end of the process while viewers are connected.
fn end_among_viewers(plan: &Plan, report: &mut Report) -> Result<()> {
    for (name, habit) in [("that read", Habit::Read), ("that never read", Habit::Sleep)] {
        let mut times = Vec::new();
        for _ in 0..plan.lives.div_ceil(3) {
            let server = Server::start(&plan.monitor())?;
            let _crowds = [Door::SocketIo, Door::Stream, Door::WebSocket]
                .map(|door| Crowd::connect(server.port, door, habit, 33))
                .into_iter()
                .collect::<Result<Vec<_>>>()?;
            times.push(server.terminate()?.as_secs_f64() * 1e3);
        }
        let figure = Figure::new(format!("SIGTERM to the end, 99 viewers {name}"), median(&mut times), "ms");
        report.add(figure.at_most(END_MS_ASKED));
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
    let message = legacy::message(&Event { row, payload, is_own: false, caller: None });
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
            cpu: (server.cpu()? - cpu).as_secs_f64() * 1e6 / (sent - before) as f64,
            bytes: (crowd.bytes() - bytes) as f64 / deliveries.max(1.0),
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
