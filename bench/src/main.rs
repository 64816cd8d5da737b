//! Measures what the monitor carries and costs, each figure beside its limit in the same run, because absolute
//! figures differ from machine to machine. `make bench` builds and runs it.

mod bare;
mod crowd;
mod elsewhere;
mod fanout;
mod hook;
mod ingest;
mod insert;
mod load;
mod plot;
mod process;
mod report;
mod samples;
mod store;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};

use load::{Client, Load};
use process::Program;
use report::Report;
use samples::Samples;

/// Measures the monitor, each figure beside its limit in the same run.
#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    verb: Option<Verb>,
    /// Short turns and a short history: to see whether a change helps, not to quote
    #[arg(long)]
    quick: bool,
    /// Only these parts, separated by commas [default: all, with --quick all but app]
    #[arg(long, value_delimiter = ',', value_parser = PARTS.map(|(name, _)| name))]
    only: Vec<String>,
    /// Only name the parts that would be measured
    #[arg(long)]
    parts: bool,
    /// Write the figures to this file as JSON too
    #[arg(long)]
    json: Option<PathBuf>,
    /// Draw the figures beside their limits into this file (SVG)
    #[arg(long)]
    svg: Option<PathBuf>,
    /// The monitor to measure [default: the one beside this executable]
    #[arg(long)]
    monitor: Option<PathBuf>,
    /// Another build of the monitor, to compare in the same turns
    #[arg(long)]
    against: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Serve the bare handler that is the limit of the others
    #[command(hide = true)]
    Bare { port: u16 },
    /// Only put a load on a server that runs, for a profiler to look at
    Load {
        port: u16,
        #[arg(long, default_value_t = 64)]
        connections: usize,
        #[arg(long, default_value_t = 5)]
        seconds: u64,
        /// Bodies of many events instead of single ones
        #[arg(long)]
        bulk: bool,
    },
}

/// A part of the report.
type Part = fn(&Plan, &Samples, &mut Report) -> Result<()>;

/// All of them, in the order of the report.
const PARTS: [(&str, Part); 12] = [
    ("hook", |plan, _, report| hook::hook(plan, report)),
    ("empty", |plan, _, report| store::empty(plan, report)),
    ("single", ingest::single),
    ("bulk", ingest::bulk),
    ("durability", ingest::durability),
    ("insert", ingest::insert),
    ("rate", fanout::rate),
    ("delay", fanout::delay),
    ("crowds", fanout::crowds),
    ("full", store::full),
    ("browser", |plan, _, report| elsewhere::browser(plan, report)),
    (APP, |plan, _, report| elsewhere::app(plan, report)),
];

/// It needs what the desktop app needs, and minutes in which nothing happens.
const APP: &str = "app";

/// What to measure, and how thoroughly.
struct Plan {
    monitor: PathBuf,
    against: Option<PathBuf>,
    quick: bool,
    /// Turns of the hook.
    hooks: usize,
    /// How long a server is watched that has nothing to do.
    idle: Duration,
    /// Turns of each program in each comparison; the median counts.
    rounds: usize,
    /// How long one turn under load is.
    turn: Duration,
    /// Starts and ends of each program.
    lives: usize,
    /// Reads of each kind.
    reads: usize,
    /// Events of histories, short ones first.
    histories: &'static [usize],
    /// Events that come one by one, before memory is read.
    single_events: usize,
    /// Events that flood past viewers.
    flood: usize,
    /// Viewers that come and go.
    visits: usize,
}

impl Plan {
    fn of(arguments: &Arguments) -> Result<Self> {
        let beside = std::env::current_exe()?.with_file_name("claude-mpm-monitor");
        let monitor = arguments.monitor.clone().unwrap_or(beside);
        let against = arguments.against.clone();
        Ok(if arguments.quick {
            Self {
                monitor,
                against,
                quick: true,
                hooks: 40,
                idle: Duration::from_secs(2),
                rounds: 3,
                turn: Duration::from_millis(400),
                lives: 5,
                reads: 20,
                histories: &[2_000, 20_000],
                single_events: 10_000,
                flood: 20_000,
                visits: 200,
            }
        } else {
            Self {
                monitor,
                against,
                quick: false,
                hooks: 500,
                idle: Duration::from_secs(60),
                rounds: 5,
                turn: Duration::from_secs(2),
                lives: 15,
                reads: 100,
                histories: &[10_000, 100_000, 500_000, 1_000_000],
                single_events: 500_000,
                flood: 1_000_000,
                visits: 2_000,
            }
        })
    }

    fn monitor(&self) -> Program {
        Program::Monitor(self.monitor.clone())
    }
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let samples = Samples::load()?;
    match arguments.verb {
        Some(Verb::Bare { port }) => return bare::serve(port),
        Some(Verb::Load { port, connections, seconds, bulk }) => {
            let requests: Vec<_> = if bulk {
                samples.bodies().take(16).map(|(request, _)| request).collect()
            } else {
                samples.single_events()
            };
            let load = Load { connections, reconnect: false, time: Duration::from_secs(seconds) };
            println!("{:?}", load::run(port, load, &requests)?);
            return Ok(());
        }
        None => {}
    }
    let is_wanted = |name: &str| match arguments.only.as_slice() {
        [] => name != APP || !arguments.quick,
        only => only.iter().any(|wanted| wanted == name),
    };
    let wanted: Vec<_> = PARTS.into_iter().filter(|(name, _)| is_wanted(name)).collect();
    if arguments.parts {
        println!("{}", wanted.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(" "));
        return Ok(());
    }
    let plan = Plan::of(&arguments)?;
    let mut report = Report::default();
    let cores = std::thread::available_parallelism()?;
    println!("{cores} cores, shared with the load generator; payloads of {} bytes", samples.mean_bytes());
    for (name, part) in wanted {
        part(&plan, &samples, &mut report).with_context(|| format!("part {name}"))?;
    }
    if let Some(path) = &arguments.json {
        write(path, serde_json::to_vec_pretty(&report)?)?;
    }
    if let Some(path) = &arguments.svg {
        write(path, plot::svg(&report).into_bytes())?;
    }
    Ok(())
}

fn write(path: &Path, content: Vec<u8>) -> Result<()> {
    fs::write(path, content).with_context(|| format!("could not write {}", path.display()))
}

/// Returns when everything stored so far is in the search index: a search waits for that.
fn wait_until_searchable(port: u16) -> Result<()> {
    let mut client = Client::connect(port)?;
    client.set_patience(Duration::from_secs(600))?;
    client.send(&load::request("/api/events?limit=1&q=indexed", None))?;
    client.answer().map(drop)
}
