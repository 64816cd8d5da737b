//! Measures what the monitor carries and costs, each figure beside its limit in the same run, because absolute
//! figures differ from machine to machine. `make bench` builds and runs it.

mod bare;
mod crowd;
mod fanout;
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
    /// Only parts whose name contains this: single, bulk, insert, rate, delay, crowds, empty, full
    #[arg(long, default_value = "")]
    only: String,
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

/// What to measure, and how thoroughly.
struct Plan {
    monitor: PathBuf,
    against: Option<PathBuf>,
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
                rounds: 3,
                turn: Duration::from_millis(400),
                lives: 5,
                reads: 20,
                histories: &[2_000, 20_000],
                flood: 20_000,
                visits: 200,
            }
        } else {
            Self {
                monitor,
                against,
                rounds: 5,
                turn: Duration::from_secs(2),
                lives: 15,
                reads: 100,
                histories: &[10_000, 100_000, 500_000, 1_000_000],
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
    let plan = Plan::of(&arguments)?;
    let mut report = Report::default();
    let cores = std::thread::available_parallelism()?;
    println!("{cores} cores, shared with the load generator; payloads of {} bytes", samples.mean_bytes());
    let wanted = |name: &str| name.contains(&arguments.only);
    if wanted("single") {
        ingest::single(&plan, &samples, &mut report)?;
    }
    if wanted("bulk") {
        ingest::bulk(&plan, &samples, &mut report)?;
    }
    if wanted("insert") {
        ingest::insert(&plan, &samples, &mut report)?;
    }
    if wanted("rate") {
        fanout::rate(&plan, &samples, &mut report)?;
    }
    if wanted("delay") {
        fanout::delay(&plan, &samples, &mut report)?;
    }
    if wanted("crowds") {
        fanout::crowds(&plan, &samples, &mut report)?;
    }
    if wanted("empty") {
        store::empty(&plan, &mut report)?;
    }
    if wanted("full") {
        store::full(&plan, &samples, &mut report)?;
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
