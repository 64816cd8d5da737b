//! `hooks`: connects Claude Code to the monitor and disconnects it again, says how the connection fares, and
//! proves it with a real event.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use claude::{Change, HookCommand, Look, Setup, Version};
use client::{Monitor, Part, Probe, Query};
use protocol::hooks::HooksProblem;
use protocol::stream::Filter;
use serde_json::json;

use crate::Exit;
use crate::args::{HooksInstall, HooksStatus, HooksTest, HooksUninstall, HooksVerb};
use crate::context::Context;

/// How long an event may take from the hook to the store and back; it needs milliseconds.
const RETURN_LIMIT: Duration = Duration::from_secs(10);

/// How often a monitor is asked for it.
const POLL: Duration = Duration::from_millis(20);

pub(crate) fn run(verb: &HooksVerb, context: &mut Context<'_, '_>) -> anyhow::Result<Exit> {
    let desk = Desk::new(context)?;
    match verb {
        HooksVerb::Install(install) => desk.install(install, context),
        HooksVerb::Uninstall(uninstall) => desk.uninstall(uninstall, context),
        HooksVerb::Status(status) => desk.status(status, context),
        HooksVerb::Test(test) => desk.test(test, context),
    }
}

/// This user's Claude Code, without which there are no hooks to speak of.
pub(crate) fn setup(context: &Context<'_, '_>) -> anyhow::Result<Setup> {
    Setup::from_env(&context.home, context.var)
        .context("could not find Claude Code's configuration folder: set HOME or CLAUDE_CONFIG_DIR")
}

/// What keeps events from coming, and the way out.
fn tell(problem: &HooksProblem, context: &mut Context<'_, '_>) {
    let mark = if problem.is_fatal { "✗" } else { "•" };
    let way_out = problem.way_out.as_deref().map(|way_out| format!(" {way_out}")).unwrap_or_default();
    context.terminal.say(format_args!("{mark} {}{way_out}", problem.text));
}

/// This user's Claude Code, seen from a folder.
struct Desk {
    setup: Setup,
    here: PathBuf,
}

impl Desk {
    fn new(context: &Context<'_, '_>) -> anyhow::Result<Self> {
        let here = std::env::current_dir().context("could not find the current folder")?;
        Ok(Self { setup: setup(context)?, here })
    }

    fn install(&self, install: &HooksInstall, context: &mut Context<'_, '_>) -> anyhow::Result<Exit> {
        let settings = self.setup.settings(install.project.as_deref());
        let version = self.version(install.claude_version)?;
        let registrations = self.setup.registrations(version, &settings, &install.with)?;
        if install.dry_run {
            show(&self.setup.plan_install(&settings, &registrations)?, context);
            return Ok(Exit::Done);
        }
        let change = self.setup.install(&settings, &registrations)?;
        let path = settings.display();
        if change.is_nothing() {
            context.terminal.say(format_args!("✓ Hooks are installed already in {path}"));
        } else {
            let count = registrations.len();
            context
                .terminal
                .say(format_args!("✓ {count} hook events of Claude Code {version} installed in {path}"));
            context.terminal.say(format_args!("  - Hook: {}", self.setup.binary().path().display()));
            backup(&change, context);
        }
        if install.slash_command {
            let slash = self.setup.slash_command();
            slash.install(&program(context)?)?;
            context.terminal.say(format_args!("✓ /mpm-monitor installed in {}", slash.path().display()));
        }
        let folder = install.project.as_deref().unwrap_or(&self.here);
        let report = self.setup.look(folder, Some(version)).report;
        let fatal: Vec<_> = report.problems.iter().filter(|problem| problem.is_fatal).collect();
        fatal.iter().for_each(|problem| tell(problem, context));
        context.terminal.say(match fatal[..] {
            [] => "Sessions that run already take part from now on. 'claude-mpm-monitor hooks test' proves it.",
            [..] => "Until that is mended, no session takes part. 'claude-mpm-monitor hooks status' tells when it is.",
        });
        Ok(Exit::Done)
    }

    fn uninstall(&self, uninstall: &HooksUninstall, context: &mut Context<'_, '_>) -> anyhow::Result<Exit> {
        let project = uninstall.project.as_deref();
        let changes = match uninstall.dry_run {
            true => self.setup.plan_uninstall(project)?,
            false => self.setup.uninstall(project)?,
        };
        if changes.is_empty() {
            let settings = self.setup.settings(project);
            context.terminal.say(format_args!("No hooks of the monitor in {}", settings.display()));
        }
        for change in &changes {
            if uninstall.dry_run {
                show(change, context);
                continue;
            }
            let what = if change.after.is_some() { "Hooks removed from" } else { "Removed" };
            context.terminal.say(format_args!("✓ {what} {}", change.path.display()));
            backup(change, context);
        }
        Ok(Exit::Done)
    }

    /// The version that was named, else that of the Claude Code that is found.
    fn version(&self, named: Option<Version>) -> Result<Version, claude::Error> {
        named.map_or_else(|| self.setup.version(), Ok)
    }

    fn status(&self, status: &HooksStatus, context: &mut Context<'_, '_>) -> anyhow::Result<Exit> {
        let version = self.version(status.claude_version);
        let folder = status.project.as_deref().unwrap_or(&self.here);
        let report = self.setup.look(folder, version.as_ref().ok().copied()).report;
        let exit = if report.is_working { Exit::Done } else { Exit::Failed };
        if status.json {
            context.terminal.say(serde_json::to_string_pretty(&report)?);
            return Ok(exit);
        }
        context.terminal.say(match (report.is_installed, report.is_working) {
            (_, true) => "Hooks are installed",
            (true, false) => "Hooks do not work",
            (false, false) => "Hooks are not installed; run 'claude-mpm-monitor hooks install'",
        });
        context.terminal.say(match version {
            Ok(version) => format!("  - Claude Code: {version}"),
            Err(claude::Error::NoVersion(reason)) => {
                format!("  - Claude Code: version not known: {reason}; name it with --claude-version")
            }
            Err(error) => format!("  - Claude Code: {error}"),
        });
        for file in report.files.iter().filter(|file| file.exists) {
            let (scope, path) = (file.scope.as_str(), file.path.display());
            let count = file.events.len();
            context.terminal.say(format_args!("  - {scope} settings: {count} events in {path}"));
        }
        if let Some(slash) = &report.slash_command {
            context.terminal.say(format_args!("  - Slash command: {}", slash.display()));
        }
        report.problems.iter().for_each(|problem| tell(problem, context));
        if report.is_working {
            context
                .terminal
                .say("Sessions started with --bare or --safe-mode run no hooks, whatever is installed.");
        }
        Ok(exit)
    }

    fn test(&self, test: &HooksTest, context: &mut Context<'_, '_>) -> anyhow::Result<Exit> {
        let folder = test.project.as_deref().unwrap_or(&self.here);
        let Look { report, commands, .. } = self.setup.look(folder, self.version(test.claude_version).ok());
        if commands.is_empty() {
            context.terminal.error("no hooks are installed", Some("run 'claude-mpm-monitor hooks install'"));
            return Ok(Exit::Failed);
        }
        let monitors = monitors(context)?;
        if monitors.is_empty() {
            let way_out = "start one with 'claude-mpm-monitor start', then test again";
            context.terminal.error("no monitor is running that the event could reach", Some(way_out));
            return Ok(Exit::NotRunning);
        }
        for command in &commands {
            if !self.test_command(command, folder, &monitors, context)? {
                return Ok(Exit::Failed);
            }
        }
        let fatal: Vec<_> = report.problems.iter().filter(|problem| problem.is_fatal).collect();
        for problem in &fatal {
            context.terminal.error(&problem.text, problem.way_out.as_deref());
        }
        Ok(if fatal.is_empty() { Exit::Done } else { Exit::Failed })
    }

    /// Sends the start and the end of a session by one of the installed commands.
    fn test_command(
        &self,
        command: &HookCommand,
        folder: &Path,
        monitors: &[Monitor],
        context: &mut Context<'_, '_>,
    ) -> anyhow::Result<bool> {
        let session = format!("hooks-test-{}", uuid::Uuid::new_v4());
        let started = Instant::now();
        for (event, field, value) in
            [("SessionStart", "source", "startup"), ("SessionEnd", "reason", "other")]
        {
            let payload =
                json!({ "session_id": session, "cwd": folder, "hook_event_name": event, field: value });
            let output = run_hook(command, folder, &payload.to_string())?;
            if let Some(fault) = fault(&output) {
                let text = format!("the hook is not silent: {fault}; Claude Code would show that");
                context.terminal.error(text, Some("run 'claude-mpm-monitor hooks install'"));
                return Ok(false);
            }
        }
        let ran = started.elapsed() / 2;
        let query =
            Query { filter: Filter { session: Some(session), ..Filter::default() }, ..Query::default() };
        while started.elapsed() < RETURN_LIMIT {
            for monitor in monitors {
                // One that stops meanwhile has not got the event.
                let stored = monitor.history(&query, Part::Newest, 2).map_or(0, |page| page.events.len());
                if stored == 2 {
                    let (url, took) = (monitor.url(), started.elapsed().as_millis());
                    context.terminal.say(format_args!(
                        "✓ Both test events came back from {url} within {took} ms; the hook took {:.1} ms each",
                        ran.as_secs_f64() * 1000.0
                    ));
                    return Ok(true);
                }
            }
            std::thread::sleep(POLL);
        }
        let text = format!(
            "the hook ran, but no monitor has its event after {} s: {}",
            RETURN_LIMIT.as_secs(),
            command.line()
        );
        let way_out = "look for CLAUDE_MPM_MONITOR_URL and port variables that lead elsewhere";
        context.terminal.error(text, Some(way_out));
        Ok(false)
    }
}

/// Runs a command as Claude Code does: by a shell, in the session's folder, without its own telemetry settings.
fn run_hook(hook: &HookCommand, folder: &Path, payload: &str) -> anyhow::Result<Output> {
    let mut command = if cfg!(windows) { Command::new(&hook.binary) } else { Command::new("sh") };
    if !cfg!(windows) {
        command.args(["-c", &hook.line()]);
    }
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("OTEL_")) {
        command.env_remove(name);
    }
    command.current_dir(folder).env("CLAUDE_PROJECT_DIR", folder);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().with_context(|| format!("could not run {}", hook.line()))?;
    let mut stdin = child.stdin.take().context("the hook has no standard input")?;
    // A hook that is gone reads nothing; then the event does not come back, which is told.
    let _ = std::io::Write::write_all(&mut stdin, payload.as_bytes());
    drop(stdin);
    child.wait_with_output().context("could not wait for the hook")
}

/// What Claude Code would notice.
fn fault(output: &Output) -> Option<String> {
    let printed = |name: &str, bytes: &[u8]| {
        (!bytes.is_empty()).then(|| format!("it wrote {:?} to {name}", String::from_utf8_lossy(bytes).trim()))
    };
    let status = (!output.status.success()).then(|| format!("it ended with {}", output.status));
    status
        .or_else(|| printed("standard output", &output.stdout))
        .or_else(|| printed("standard error", &output.stderr))
}

/// This user's monitors that answer.
fn monitors(context: &Context<'_, '_>) -> anyhow::Result<Vec<Monitor>> {
    let runfiles = client::runfiles::list(&context.home).context("could not list the monitors that run")?;
    let runfiles = runfiles.into_iter();
    let probed = runfiles.filter_map(|runfile| match client::probe(&context.home, runfile.port) {
        Probe::Ours(running) => Some(running.monitor()),
        _ => None,
    });
    Ok(probed.collect())
}

/// How a shell finds this program: by its name where that leads here, else by its path.
fn program(context: &Context<'_, '_>) -> anyhow::Result<String> {
    let own =
        std::env::current_exe().and_then(std::fs::canonicalize).context("could not find this executable")?;
    let name = own.file_name().unwrap_or_default();
    let path = (context.var)("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file());
    if found.and_then(|file| std::fs::canonicalize(file).ok()).as_ref() == Some(&own) {
        return Ok(name.to_string_lossy().into_owned());
    }
    let text = own.to_str().context("the path of this executable is no Unicode text")?;
    anyhow::ensure!(
        !text.contains(|c: char| c.is_whitespace() || "'\"`$\\()".contains(c)),
        "a slash command cannot name {text}: put this program on your PATH"
    );
    Ok(text.to_owned())
}

fn show(change: &Change, context: &mut Context<'_, '_>) {
    let diff = change.diff();
    context.terminal.say(if change.is_nothing() { "Nothing to change" } else { diff.trim_end() });
}

fn backup(change: &Change, context: &mut Context<'_, '_>) {
    if let Some(backup) = &change.backup {
        context.terminal.say(format_args!("  - Backup: {}", backup.display()));
    }
}
