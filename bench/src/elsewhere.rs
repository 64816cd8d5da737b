//! What other programs measure for the report: the dashboard's bench in a browser, and the idle desktop app. Each is told
//! a file by `BENCH_REPORT` and writes its figures there, in the shape of the report.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::Plan;
use crate::report::Report;

/// Shorter turns of the dashboard's bench.
const QUICK_BROWSER: &[(&str, &str)] = &[
    ("BENCH_SECONDS", "10"),
    ("BENCH_CALLS", "5000"),
    ("BENCH_STORED", "20000"),
    ("BENCH_STORED_LARGE", "50000"),
];

/// The dashboard in Chromium, beside an empty page.
pub(crate) fn browser(plan: &Plan, report: &mut Report) -> Result<()> {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/browser");
    ensure!(
        tests.join("node_modules").is_dir(),
        "the dashboard's bench has no node modules: run scripts/setup test, or leave it out with --only"
    );
    let mut command = Command::new("npm");
    command.arg("--prefix").arg(tests).args(["run", "--silent", "bench"]);
    if plan.quick {
        command.envs(QUICK_BROWSER.iter().copied());
    }
    measured_by(command, plan, report)
}

/// The desktop app while nothing happens, beside an idle window.
pub(crate) fn app(plan: &Plan, report: &mut Report) -> Result<()> {
    let program = plan.monitor.with_file_name("examples").join("idle");
    ensure!(
        program.is_file(),
        "the desktop app's bench is not built: cargo build --release -p desktop-e2e --example idle, or leave it out \
         with --only"
    );
    let mut command = Command::new(program);
    if plan.quick {
        command.env("IDLE_SECONDS", "5");
    }
    measured_by(command, plan, report)
}

/// Runs a program and takes in what it measured. What it says meanwhile is no part of the report.
fn measured_by(mut command: Command, plan: &Plan, report: &mut Report) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("report.json");
    let programs = plan.monitor.parent().context("the monitor lies in no folder")?.canonicalize()?;
    command.env("TEST_PROGRAMS", programs).env("BENCH_REPORT", &file);
    command.stdin(Stdio::null()).stdout(std::io::stderr());
    let status = command.status().with_context(|| format!("could not start {command:?}"))?;
    ensure!(status.success(), "{command:?} failed: {status}");
    let text = fs::read(&file).with_context(|| format!("{command:?} left no report"))?;
    report.include(serde_json::from_slice(&text).context("a report of another shape")?);
    Ok(())
}
