//! How many events a second a monitor stores, beside what answers without storing and what stores without
//! answering. The programs take turns; all but the one under load are frozen meanwhile.

use std::time::Duration;

use anyhow::Result;

use crate::crowd::{Crowd, Door, Habit};
use crate::insert::Inserts;
use crate::load::{self, Load};
use crate::process::{self, Program, Server};
use crate::report::{Figure, Report, median};
use crate::samples::Samples;
use crate::{Plan, wait_until_searchable};

/// The ways in which single events come.
const SINGLE: &[(&str, usize, bool, bool)] = &[
    // Name, connections, a new connection for each event, with a viewer.
    ("1 connection", 1, false, false),
    ("8 connections", 8, false, false),
    ("64 connections", 64, false, false),
    ("64 connections, 1 live viewer", 64, false, true),
    ("8 at once, new connection each", 8, true, false),
];

/// What one program did in one turn.
struct Turn {
    per_second: f64,
    /// Of the server, for one event, in µs.
    cpu: f64,
    /// Of the load generator, as a share of one core.
    generator: f64,
}

/// One event in a request.
pub(crate) fn single(plan: &Plan, samples: &Samples, report: &mut Report) -> Result<()> {
    let requests = samples.single_events();
    report.section("Single events, stored before the answer");
    for (name, connections, reconnect, viewer) in SINGLE {
        let load = Load { connections: *connections, reconnect: *reconnect, time: plan.turn };
        compare(plan, report, name, load, &requests, 1, *viewer)?;
    }
    Ok(())
}

/// Many events in a body, one a line.
pub(crate) fn bulk(plan: &Plan, samples: &Samples, report: &mut Report) -> Result<()> {
    let bodies: Vec<(Vec<u8>, usize)> = samples.bodies().take(16).collect();
    let events = bodies.iter().map(|(_, events)| events).sum::<usize>() / bodies.len();
    let requests: Vec<Vec<u8>> = bodies.into_iter().map(|(request, _)| request).collect();
    report.section("NDJSON, bodies of 1 MiB, stored before the answer");
    for (name, connections) in [("1 connection", 1), ("4 connections", 4)] {
        let load = Load { connections, reconnect: false, time: 2 * plan.turn };
        compare(plan, report, name, load, &requests, events, false)?;
    }
    Ok(())
}

/// What SQLite alone does with rows that are ready.
pub(crate) fn insert(plan: &Plan, samples: &Samples, report: &mut Report) -> Result<()> {
    report.section("SQLite alone: the same tables, rows ready in memory, one thread");
    let server = Server::start(&plan.monitor())?;
    let (body, _) = samples.bodies().next().expect("there is a body");
    load::run(server.port, Load { connections: 1, reconnect: false, time: Duration::ZERO }, &[body])?;
    wait_until_searchable(server.port)?;
    let place = server.place();
    server.terminate()?;
    let mut inserts = Inserts::of(&place.database())?;
    for group in [1, 64, 4096] {
        let turns = (0..plan.rounds).map(|_| inserts.rate(group, plan.turn));
        let (mut rates, mut cpu): (Vec<f64>, Vec<f64>) =
            turns.collect::<Result<Vec<_>>>()?.into_iter().unzip();
        let note = format!("{:.1} µs of CPU an event", median(&mut cpu));
        report.add(Figure::new(format!("groups of {group}"), median(&mut rates), "/s").note(note));
    }
    Ok(())
}

fn compare(
    plan: &Plan,
    report: &mut Report,
    name: &str,
    load: Load,
    requests: &[Vec<u8>],
    events: usize,
    viewer: bool,
) -> Result<()> {
    let mut programs = vec![Program::Bare, plan.monitor()];
    programs.extend(plan.against.clone().map(Program::Monitor));
    let servers = programs.iter().map(Server::start).collect::<Result<Vec<_>>>()?;
    let viewers: Vec<Option<Crowd>> = servers
        .iter()
        .enumerate()
        .map(|(at, server)| {
            (viewer && at > 0).then(|| Crowd::connect(server.port, Door::Stream, Habit::Read, 1)).transpose()
        })
        .collect::<Result<_>>()?;
    let mut turns: Vec<Vec<Turn>> = servers.iter().map(|_| Vec::new()).collect();
    for server in &servers {
        server.pause()?;
    }
    for _ in 0..plan.rounds {
        for (server, turns) in servers.iter().zip(&mut turns) {
            server.resume()?;
            turns.push(turn(server, load, requests, events)?);
            server.pause()?;
        }
    }
    let middle = |turns: &[Turn], of: fn(&Turn) -> f64| median(&mut turns.iter().map(of).collect::<Vec<_>>());
    let rate = |turns: &[Turn]| middle(turns, |turn| turn.per_second);
    let cpu = |turns: &[Turn]| middle(turns, |turn| turn.cpu);
    let bare = rate(&turns[0]);
    for (at, turns_of_one) in turns.iter().enumerate().skip(1) {
        let what = if at == 1 { name.to_owned() } else { format!("{name} (the other build)") };
        let seen = viewers[at].as_ref().map_or(String::new(), |viewer| {
            let (rows, gaps) = viewer.seen();
            format!("; the viewer got {rows} rows, {gaps} gaps")
        });
        let note = format!(
            "{:.1} µs of server CPU an event ({:.1} bare); generator {:.0} % of a core{seen}",
            cpu(turns_of_one),
            cpu(&turns[0]),
            100.0 * middle(turns_of_one, |turn| turn.generator),
        );
        report.add(Figure::new(what, rate(turns_of_one), "/s").beside("bare axum handler", bare).note(note));
    }
    Ok(())
}

fn turn(server: &Server, load: Load, requests: &[Vec<u8>], events: usize) -> Result<Turn> {
    let (server_before, own_before) = (server.cpu()?, process::cpu("self")?);
    let done = load::run(server.port, load, requests)?;
    let (server_used, own_used) = (server.cpu()? - server_before, process::cpu("self")? - own_before);
    let count = (done.requests * events) as f64;
    let time = done.time.as_secs_f64();
    Ok(Turn {
        per_second: count / time,
        cpu: server_used.as_secs_f64() * 1e6 / count,
        generator: own_used.as_secs_f64() / time,
    })
}
