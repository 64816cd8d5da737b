//! What a long history costs: memory, start, end, and reading it.

use std::fs::File;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::load::{self, Client, Load};
use crate::process::{Place, Program, Server};
use crate::report::{Figure, Report, median, percentile};
use crate::samples::Samples;
use crate::{Plan, wait_until_searchable};

/// How long the end of a server may take in ms, whoever is connected.
pub(crate) const END_MS_ASKED: f64 = 50.0;

/// After the last event, before memory is read.
const REST: Duration = Duration::from_secs(1);

/// What is read from the history, and how long it may take in ms.
const READS: &[(&str, &str, f64)] = &[
    ("newest page of 100", "/api/events?limit=100", 5.0),
    ("page of 100 in the middle", "/api/events?limit=100&before=5000", 5.0),
    ("newest page of one session", "/api/events?limit=100&session=3f0c2b9e-6d1a-4c57-9b0e-000000000007", 5.0),
    ("newest errors", "/api/events?limit=100&error=true", 5.0),
    ("search: a word that occurs once", "/api/events?limit=100&q=n4242", 100.0),
    ("search: a word of every seventh event", "/api/events?limit=100&q=checkout", 100.0),
    ("sessions", "/api/sessions", 100.0),
];

/// From the start of a process to its first 200, and from the order to end to its end, without any event.
pub(crate) fn empty(plan: &Plan, report: &mut Report) -> Result<()> {
    report.section("Start and end, empty store");
    let mut monitor = Lives::default();
    let mut bare = Lives::default();
    for _ in 0..plan.lives {
        bare.add(Server::start(&Program::Bare)?)?;
        monitor.add(Server::start(&plan.monitor())?)?;
    }
    report_lives(report, &mut monitor, &mut bare, 10.0);
    cold_start(plan, report)?;
    let server = Server::start(&plan.monitor())?;
    let handler = Server::start(&Program::Bare)?;
    std::thread::sleep(REST);
    let memory = Figure::new("memory, idle", server.memory_mib("VmRSS")?, "MiB");
    report.add(memory.beside("bare axum handler", handler.memory_mib("VmRSS")?).at_most(16.0));
    let (before, bare_before) = (server.fine_cpu()?, handler.fine_cpu()?);
    std::thread::sleep(plan.idle);
    let a_minute = |used: Duration| used.as_secs_f64() * 1e3 * 60.0 / plan.idle.as_secs_f64();
    let cpu = Figure::new("processor time of a minute, idle", a_minute(server.fine_cpu()? - before), "ms");
    let bare = a_minute(handler.fine_cpu()? - bare_before);
    report.add(cpu.beside("bare axum handler", bare).note(format!("watched for {:?}", plan.idle)));
    Ok(())
}

/// From the start of the monitor to its first 200 when its file must be read from the disk first.
fn cold_start(plan: &Plan, report: &mut Report) -> Result<()> {
    let mut times = Vec::new();
    for _ in 0..plan.lives.div_ceil(3) {
        let file = File::open(&plan.monitor)?;
        // What was just built may not have reached the disk, and what has not stays in memory.
        file.sync_all()?;
        rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed)?;
        let server = Server::start(&plan.monitor())?;
        times.push(server.started_in.as_secs_f64() * 1e3);
        server.terminate()?;
    }
    report.add(Figure::new("the same, its file not in memory", median(&mut times), "ms"));
    Ok(())
}

/// The same with many events.
pub(crate) fn full(plan: &Plan, samples: &Samples, report: &mut Report) -> Result<()> {
    report.section("A long history");
    memory_of_single_events(plan, samples, report)?;
    let place = Place::new()?;
    let server = Server::start_in(&plan.monitor(), &place)?;
    let mut bodies = samples.bodies();
    let (mut first, mut stored) = (None, 0);
    for goal in plan.histories {
        while stored < *goal {
            let (body, events) = bodies.next().expect("bodies without end");
            let mut client = Client::connect(server.port)?;
            client.send(&body)?;
            client.answer()?;
            stored += events;
        }
        let after_storing = server.memory_mib("VmRSS")?;
        let begin = Instant::now();
        wait_until_searchable(server.port)?;
        let indexed = begin.elapsed();
        std::thread::sleep(REST);
        let memory = server.memory_mib("VmRSS")?;
        let note = format!(
            "{after_storing:.1} before indexing, {:.1} at most; indexing took {:.1} s",
            server.memory_mib("VmHWM")?,
            indexed.as_secs_f64()
        );
        let mut figure =
            Figure::new(format!("memory with {stored} events in bodies of 1 MiB"), memory, "MiB").note(note);
        if *goal == 500_000 {
            figure = figure.at_most(40.0);
        }
        if let Some(first) = first {
            figure = figure.beside("with few events", first);
        }
        first.get_or_insert(memory);
        report.add(figure);
    }
    let times = read_all(&server, plan, report)?;
    report.add(Figure::new("memory after these reads", server.memory_mib("VmRSS")?, "MiB").note(times));
    let database = std::fs::metadata(place.database())?.len() as f64 / (1 << 20) as f64;
    report.add(Figure::new("database file", database, "MiB").note(format!(
        "{:.0} bytes an event, {} of them payload",
        database * (1 << 20) as f64 / stored as f64,
        samples.mean_bytes()
    )));
    let mut monitor = Lives::default();
    monitor.end(server)?;
    let mut bare = Lives::default();
    for _ in 0..plan.lives {
        bare.add(Server::start(&Program::Bare)?)?;
        monitor.add(Server::start_in(&plan.monitor(), &place)?)?;
    }
    report_lives(report, &mut monitor, &mut bare, 100.0);
    Ok(())
}

/// What a server needs after half a million events that came one by one, as hooks send them.
fn memory_of_single_events(plan: &Plan, samples: &Samples, report: &mut Report) -> Result<()> {
    let server = Server::start(&plan.monitor())?;
    let requests = samples.single_events();
    let load = Load { connections: 64, reconnect: false, time: Duration::from_secs(1) };
    let mut stored = 0;
    while stored < plan.single_events {
        stored += load::run(server.port, load, &requests)?.requests;
    }
    wait_until_searchable(server.port)?;
    std::thread::sleep(REST);
    let name = format!("memory with {stored} events that came one by one");
    let note = format!("{:.1} at most", server.memory_mib("VmHWM")?);
    report.add(Figure::new(name, server.memory_mib("VmRSS")?, "MiB").note(note).at_most(40.0));
    Ok(())
}

/// Reads each thing several times; its limit is `/health` on the same connection.
fn read_all(server: &Server, plan: &Plan, report: &mut Report) -> Result<String> {
    let mut client = Client::connect(server.port)?;
    let mut time = |path: &str| -> Result<f64> {
        let begin = Instant::now();
        client.send(&load::request(path, None))?;
        client.answer()?;
        Ok(begin.elapsed().as_secs_f64() * 1e3)
    };
    for (name, path, asked) in READS {
        let (mut times, mut healths) = (Vec::new(), Vec::new());
        for _ in 0..plan.reads {
            healths.push(time("/health")?);
            times.push(time(path)?);
        }
        let p95 = percentile(&mut times, 95);
        let figure = Figure::new(*name, median(&mut times), "ms").beside("/health", median(&mut healths));
        report.add(figure.at_most(*asked).note(format!("p95 {p95:.2} ms")));
    }
    Ok(format!("{} reads of each", plan.reads))
}

/// How long starts and ends took, in ms.
#[derive(Default)]
struct Lives {
    starts: Vec<f64>,
    ends: Vec<f64>,
}

impl Lives {
    fn add(&mut self, server: Server) -> Result<()> {
        self.starts.push(server.started_in.as_secs_f64() * 1e3);
        self.end(server)
    }

    fn end(&mut self, server: Server) -> Result<()> {
        self.ends.push(server.terminate()?.as_secs_f64() * 1e3);
        Ok(())
    }
}

fn report_lives(report: &mut Report, monitor: &mut Lives, bare: &mut Lives, start_ms_asked: f64) {
    for (name, times, bare, asked) in [
        ("start to the first 200 of /health", &mut monitor.starts, &mut bare.starts, start_ms_asked),
        ("SIGTERM to the end of the process", &mut monitor.ends, &mut bare.ends, END_MS_ASKED),
    ] {
        let worst = percentile(times, 100);
        let figure = Figure::new(name, median(times), "ms").beside("bare axum handler", median(bare));
        report.add(figure.at_most(asked).note(format!("{worst:.1} ms at most")));
    }
}
