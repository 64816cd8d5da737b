//! What a hook costs Claude Code: whole processes, from their start to their exit, beside processes that do nothing.
//! All take turns, so that whatever else the machine does hits all alike. What is acknowledged or spooled is counted.

use std::fs;
use std::io::Write;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use protocol::paths::Home;
use protocol::{Runfile, Timestamp};
use serde_json::Value;
use tempfile::TempDir;

use crate::Plan;
use crate::load::{self, Client};
use crate::process::Server;
use crate::report::{Figure, Report, percentile};

/// Turns before counting, which fill the file cache.
const WARM_UP: usize = 5;

/// A large Write.
const LARGE_BYTES: usize = 256 * 1024;

/// Hooks of tools that Claude Code runs side by side.
const AT_ONCE: usize = 16;

/// A variant that takes long runs in one turn of so many.
const SELDOM: usize = 10;

/// How long the server may take for what a hook spooled because the machine was busy.
const DRAIN_LIMIT: Duration = Duration::from_secs(10);

/// The turns of one way to run a process.
struct Variant {
    name: &'static str,
    /// The program and its arguments.
    line: Vec<String>,
    home: PathBuf,
    input: String,
    /// Processes that start at the same moment.
    at_once: usize,
    /// Runs in one turn of so many.
    every: usize,
    /// Beside which variant it stands.
    limit: Option<&'static str>,
    /// What half of its runs may take.
    asked: Option<Most>,
    /// In ms.
    times: Vec<f64>,
}

/// How long something may take.
#[derive(Clone, Copy)]
enum Most {
    Ms(f64),
    /// As a multiple of a process that exits at once.
    Exits(f64),
}

/// A hook's payload in each delivery: the small one is what most are, the large one a written file.
struct Inputs {
    small: String,
    large: String,
}

impl Inputs {
    fn new() -> Self {
        let line = r"    let answer = compute(the, question);\n";
        let content = line.repeat(LARGE_BYTES / line.len());
        Self {
            small: r#"{"session_id":"3f0c2b9e","cwd":"/home/dev/shop","hook_event_name":"Stop"}"#.to_owned(),
            large: format!(
                r#"{{"session_id":"3f0c2b9e","hook_event_name":"PreToolUse","tool_name":"Write","tool_use_id":"t","tool_input":{{"content":"{content}"}}}}"#
            ),
        }
    }
}

/// All of them, each as often as the plan says.
pub(crate) fn hook(plan: &Plan, report: &mut Report) -> Result<()> {
    report.section("The hook: a whole process, from its start to its exit");
    let server = Server::start(&plan.monitor())?;
    let (up, down, hung) = (server.place().home(), TempDir::new()?, TempDir::new()?);
    // It takes connections into its queue and never answers one.
    let silent = TcpListener::bind("127.0.0.1:0")?;
    leave_runfile(hung.path(), silent.local_addr()?.port())?;
    let mut variants = variants(plan, &up, down.path(), hung.path())?;
    for turn in 0..WARM_UP + plan.hooks {
        for variant in &mut variants {
            if turn % variant.every == 0 {
                let times = variant.run()?;
                if turn >= WARM_UP {
                    variant.times.extend(times);
                }
            }
        }
    }
    check(&variants, &server, &up, down.path(), hung.path(), plan)?;
    let taken = |name: &str, percent: usize| {
        let variant = variants.iter().find(|variant| variant.name == name)?;
        Some(percentile(&mut variant.times.clone(), percent))
    };
    let nothing = taken(EXITS, 50).context("nothing was measured")?;
    for variant in &variants {
        for percent in [50, 95] {
            let value = percentile(&mut variant.times.clone(), percent);
            let mut figure = Figure::new(format!("{}: p{percent}", variant.name), value, "ms");
            if let Some((limit, value)) = variant.limit.and_then(|name| Some((name, taken(name, percent)?))) {
                figure = figure.beside(limit, value);
            }
            match variant.asked {
                Some(Most::Ms(most)) => figure = figure.at_most(most),
                Some(Most::Exits(times)) if percent == 50 => figure = figure.at_most(times * nothing),
                _ => {}
            }
            report.add(figure.note(variant.note()));
        }
    }
    Ok(())
}

const EXITS: &str = "exits at once";
const READS: &str = "reads standard input";
const READS_LARGE: &str = "reads 256 KiB";
const READS_AT_ONCE: &str = "reads standard input, 16 at once";
const READS_BY_SHELL: &str = "reads standard input, by a shell";

fn variants(plan: &Plan, up: &Path, down: &Path, hung: &Path) -> Result<Vec<Variant>> {
    let path = |name: &str| {
        Ok::<_, anyhow::Error>(std::env::current_exe()?.with_file_name(name).display().to_string())
    };
    let (least, hook) =
        (path("least")?, plan.monitor.with_file_name("claude-mpm-hook").display().to_string());
    let (exits, reads) = (vec![least.clone()], vec![least.clone(), "stdin".to_owned()]);
    let shell = |command: String| vec!["/bin/sh".to_owned(), "-c".to_owned(), command];
    let inputs = Inputs::new();
    let variant = |name, line: &[String], home: &Path| Variant {
        name,
        line: line.to_vec(),
        home: home.to_owned(),
        input: inputs.small.clone(),
        at_once: 1,
        every: 1,
        limit: None,
        asked: None,
        times: Vec::new(),
    };
    let hook_line = [hook.clone()];
    let hook =
        |name, home, limit, asked| Variant { limit: Some(limit), asked, ..variant(name, &hook_line, home) };
    Ok(vec![
        variant(EXITS, &exits, up),
        Variant { limit: Some(EXITS), ..variant(READS, &reads, up) },
        hook("hook, server up: stored", up, READS, Some(Most::Exits(2.0))),
        hook("hook, server down: spooled", down, READS, None),
        Variant {
            every: SELDOM,
            ..hook("hook, server never answers: spooled", hung, READS, Some(Most::Ms(210.0)))
        },
        Variant { input: inputs.large.clone(), ..variant(READS_LARGE, &reads, up) },
        Variant {
            input: inputs.large.clone(),
            ..hook("hook, 256 KiB, server up: stored", up, READS_LARGE, Some(Most::Exits(5.0)))
        },
        Variant { at_once: AT_ONCE, every: SELDOM, ..variant(READS_AT_ONCE, &reads, up) },
        Variant {
            at_once: AT_ONCE,
            every: SELDOM,
            ..hook("hook, 16 at once: stored", up, READS_AT_ONCE, Some(Most::Exits(13.3)))
        },
        variant(READS_BY_SHELL, &shell(format!("exec '{least}' stdin")), up),
        Variant {
            limit: Some(READS_BY_SHELL),
            ..variant("installed command, by a shell: stored", &shell(installed(plan, up)?), up)
        },
    ])
}

/// The command line that Claude Code's settings get, with the installed copy of the hook.
fn installed(plan: &Plan, home: &Path) -> Result<String> {
    let claude = TempDir::new()?;
    let mut install = Command::new(&plan.monitor);
    install.args(["hooks", "install", "--claude-version", "2.1.240"]);
    install.env("CLAUDE_MPM_HOME", home).env("CLAUDE_CONFIG_DIR", claude.path());
    let done = install.output().context("could not install hooks")?;
    ensure!(done.status.success(), "{install:?}: {}", String::from_utf8_lossy(&done.stderr));
    let settings: Value = serde_json::from_slice(&fs::read(claude.path().join("settings.json"))?)?;
    let command = &settings["hooks"]["Stop"][0]["hooks"][0]["command"];
    Ok(command.as_str().context("no command in the settings")?.to_owned())
}

impl Variant {
    /// Runs as many processes as it has at once; answers how long each took, in ms.
    fn run(&self) -> Result<Vec<f64>> {
        if self.at_once == 1 {
            return Ok(vec![self.run_one()?]);
        }
        let start = Barrier::new(self.at_once);
        thread::scope(|scope| {
            let run = || {
                start.wait();
                self.run_one()
            };
            let all: Vec<_> = (0..self.at_once).map(|_| scope.spawn(run)).collect();
            all.into_iter().map(|one| one.join().expect("a run does not panic")).collect()
        })
    }

    fn run_one(&self) -> Result<f64> {
        let (program, arguments) = self.line.split_first().context("no program")?;
        let mut command = Command::new(program);
        command.args(arguments).env_clear().env("CLAUDE_MPM_HOME", &self.home);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let start = Instant::now();
        let mut child = command.spawn().with_context(|| format!("could not start {program}"))?;
        let written = child.stdin.take().context("no stdin")?.write_all(self.input.as_bytes());
        let status = child.wait()?;
        let time = start.elapsed();
        ensure!(status.success(), "{}: {status}", self.name);
        // Who exits at once does not read.
        ensure!(written.is_ok() || self.name == EXITS, "{}: {written:?}", self.name);
        Ok(time.as_secs_f64() * 1e3)
    }

    /// How many processes ran, the first turns too.
    fn runs(&self, plan: &Plan) -> usize {
        self.at_once * (WARM_UP + plan.hooks).div_ceil(self.every)
    }

    fn note(&self) -> String {
        format!("{} runs", self.times.len())
    }
}

/// Nothing was lost: each event of a hook is stored where its server was up, and spooled elsewhere.
fn check(
    variants: &[Variant],
    server: &Server,
    up: &Path,
    down: &Path,
    hung: &Path,
    plan: &Plan,
) -> Result<()> {
    for (home, what) in [(up, "stored"), (down, "spooled"), (hung, "spooled")] {
        let of_hooks =
            variants.iter().filter(|variant| variant.name.ends_with(what) && variant.home == *home);
        let expected: usize = of_hooks.map(|variant| variant.runs(plan)).sum();
        let found = if home == up { stored(server, expected)? } else { spooled(home) };
        ensure!(found == expected, "{found} of {expected} events of hooks were {what}");
    }
    Ok(())
}

/// How many events the store holds, with nothing deleted the position of the newest, once it holds what is expected.
fn stored(server: &Server, expected: usize) -> Result<usize> {
    let mut client = Client::connect(server.port)?;
    let begin = Instant::now();
    loop {
        client.send(&load::request("/api/events?limit=1", None))?;
        let page: Value = serde_json::from_slice(client.answer()?)?;
        let found = page["events"][0]["seq"].as_u64().unwrap_or_default() as usize;
        if found >= expected || begin.elapsed() > DRAIN_LIMIT {
            return Ok(found);
        }
        thread::sleep(Duration::from_millis(50));
    }
}

fn spooled(home: &Path) -> usize {
    let files = fs::read_dir(Home::at(home).spool()).into_iter().flatten().flatten();
    files.filter(|file| file.path().extension().is_some_and(|extension| extension == "json")).count()
}

fn leave_runfile(folder: &Path, port: u16) -> Result<()> {
    let home = Home::at(folder);
    let runfile = Runfile {
        pid: std::process::id(),
        process_started_at: Timestamp(0),
        process_start_ticks: None,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        host: "127.0.0.1".to_owned(),
        port,
        addresses: Vec::new(),
        server_id: "bench".to_owned(),
        control_token: "bench".to_owned(),
        project: None,
        mode: "foreground".to_owned(),
        access: Default::default(),
    };
    fs::create_dir_all(home.run())?;
    Ok(fs::write(home.runfile(port), serde_json::to_vec(&runfile)?)?)
}
