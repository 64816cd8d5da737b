//! How many events a second a monitor stores, beside what answers without storing and what stores without
//! answering. The programs take turns; all but the one under load are frozen meanwhile.

use std::time::Duration;

use anyhow::Result;

use crate::crowd::{Crowd, Door, Habit};
use crate::insert::Inserts;
use crate::load::{self, Load};
use crate::process::{self, Place, Program, Server};
use crate::report::{Figure, Report, median};
use crate::samples::Samples;
use crate::{Plan, wait_until_searchable};

/// One way in which events come.
struct Case<'a> {
    name: &'a str,
    load: Load,
    requests: &'a [Vec<u8>],
    /// Events in each request.
    events: usize,
    /// Whether somebody watches.
    viewer: bool,
    /// What the monitor's configuration file says.
    configuration: &'a str,
    /// What share of the bare handler is asked, where one is.
    asked: Option<f64>,
}

/// Single events: name, connections, a new connection for each event, with a viewer, the share of the bare handler that
/// is asked.
const SINGLE: &[(&str, usize, bool, bool, Option<f64>)] = &[
    ("1 connection", 1, false, false, None),
    ("8 connections", 8, false, false, Some(0.5)),
    ("64 connections", 64, false, false, Some(0.5)),
    ("64 connections, 1 live viewer", 64, false, true, Some(0.28)),
    ("8 at once, new connection each", 8, true, false, None),
];

/// Bodies of many events: name, connections, with a viewer.
const BULK: &[(&str, usize, bool)] =
    &[("1 connection", 1, false), ("4 connections", 4, false), ("4 connections, 1 live viewer", 4, true)];

/// What it means that an event is stored, as the setting says.
const DURABILITIES: &[(&str, &str)] =
    &[("crash", r#"{"durability":"crash"}"#), ("power", r#"{"durability":"power"}"#)];

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
    for (name, connections, reconnect, viewer, asked) in SINGLE {
        let load = Load { connections: *connections, reconnect: *reconnect, time: plan.turn };
        let (viewer, asked) = (*viewer, *asked);
        let case = Case { name, load, requests: &requests, events: 1, viewer, configuration: "{}", asked };
        compare(plan, report, &case)?;
    }
    Ok(())
}

/// Many events in a body, one a line.
pub(crate) fn bulk(plan: &Plan, samples: &Samples, report: &mut Report) -> Result<()> {
    let (requests, events) = bodies(samples);
    report.section("NDJSON, bodies of 1 MiB, stored before the answer");
    for (name, connections, viewer) in BULK {
        let load = Load { connections: *connections, reconnect: false, time: 2 * plan.turn };
        let (requests, viewer) = (&requests, *viewer);
        let case = Case { name, load, requests, events, viewer, configuration: "{}", asked: None };
        compare(plan, report, &case)?;
    }
    Ok(())
}

/// What it costs that nothing is lost when the process ends, and what when the machine does.
pub(crate) fn durability(plan: &Plan, samples: &Samples, report: &mut Report) -> Result<()> {
    report.section("Durability: what is stored survives a crash of the process, or of the machine");
    let single = samples.single_events();
    let (bulk, events) = bodies(samples);
    for (durability, configuration) in DURABILITIES {
        for (way, connections, requests, events) in [
            ("1 connection", 1, &single, 1),
            ("64 connections", 64, &single, 1),
            ("NDJSON, 4 connections", 4, &bulk, events),
        ] {
            let name = &format!("{durability}, {way}");
            let load = Load { connections, reconnect: false, time: plan.turn };
            let case = Case { name, load, requests, events, viewer: false, configuration, asked: None };
            compare(plan, report, &case)?;
        }
    }
    Ok(())
}

/// Bodies of many events, and how many each has in the mean.
fn bodies(samples: &Samples) -> (Vec<Vec<u8>>, usize) {
    let bodies: Vec<(Vec<u8>, usize)> = samples.bodies().take(16).collect();
    let events = bodies.iter().map(|(_, events)| events).sum::<usize>() / bodies.len();
    (bodies.into_iter().map(|(request, _)| request).collect(), events)
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

fn compare(plan: &Plan, report: &mut Report, case: &Case<'_>) -> Result<()> {
    let Case { name, load, requests, events, .. } = *case;
    let mut programs = vec![Program::Bare, plan.monitor()];
    programs.extend(plan.against.clone().map(Program::Monitor));
    let start = |program| Server::start_in(program, &Place::configured(case.configuration)?);
    let servers = programs.iter().map(start).collect::<Result<Vec<_>>>()?;
    let viewers: Vec<Option<Crowd>> = servers
        .iter()
        .enumerate()
        .map(|(at, server)| {
            let is_watched = case.viewer && at > 0;
            is_watched.then(|| Crowd::connect(server.port, Door::Stream, Habit::Read, 1)).transpose()
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
        let mut figure =
            Figure::new(what, rate(turns_of_one), "/s").beside("bare axum handler", bare).note(note);
        if let Some(share) = case.asked {
            figure = figure.at_least_of_limit(share);
        }
        report.add(figure);
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
