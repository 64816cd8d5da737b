//! What a long history costs: memory, start, end, and reading it.

use std::time::{Duration, Instant};

use anyhow::Result;

use crate::load::{self, Client};
use crate::process::{Place, Program, Server};
use crate::report::{Figure, Report, median, percentile};
use crate::samples::Samples;
use crate::{Plan, wait_until_searchable};

/// After the last event, before memory is read.
const REST: Duration = Duration::from_secs(1);

/// What is read from the history.
const READS: &[(&str, &str)] = &[
    ("newest page of 100", "/api/events?limit=100"),
    ("page of 100 in the middle", "/api/events?limit=100&before=5000"),
    ("newest page of one session", "/api/events?limit=100&session=3f0c2b9e-6d1a-4c57-9b0e-000000000007"),
    ("newest errors", "/api/events?limit=100&error=true"),
    ("search: a word that occurs once", "/api/events?limit=100&q=n4242"),
    ("search: a word of every seventh event", "/api/events?limit=100&q=checkout"),
    ("sessions", "/api/sessions"),
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
    report_lives(report, &mut monitor, &mut bare);
    let server = Server::start(&plan.monitor())?;
    let handler = Server::start(&Program::Bare)?;
    std::thread::sleep(REST);
    let memory = Figure::new("memory, idle", server.memory_mib("VmRSS")?, "MiB");
    report.add(memory.beside("bare axum handler", handler.memory_mib("VmRSS")?));
    Ok(())
}

/// The same with many events.
pub(crate) fn full(plan: &Plan, samples: &Samples, report: &mut Report) -> Result<()> {
    report.section("A long history");
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
        let mut figure = Figure::new(format!("memory with {stored} events"), memory, "MiB").note(note);
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
    report_lives(report, &mut monitor, &mut bare);
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
    for (name, path) in READS {
        let (mut times, mut healths) = (Vec::new(), Vec::new());
        for _ in 0..plan.reads {
            healths.push(time("/health")?);
            times.push(time(path)?);
        }
        let p95 = percentile(&mut times, 95);
        let figure = Figure::new(*name, median(&mut times), "ms").beside("/health", median(&mut healths));
        report.add(figure.note(format!("p95 {p95:.2} ms")));
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

fn report_lives(report: &mut Report, monitor: &mut Lives, bare: &mut Lives) {
    for (name, times, bare) in [
        ("start to the first 200 of /health", &mut monitor.starts, &mut bare.starts),
        ("SIGTERM to the end of the process", &mut monitor.ends, &mut bare.ends),
    ] {
        let worst = percentile(times, 100);
        let figure = Figure::new(name, median(times), "ms").beside("bare axum handler", median(bare));
        report.add(figure.note(format!("{worst:.1} ms at most")));
    }
}
