//! `diagnose`: what is on a port, what lies around, where hooks send, and what to do about it.

use anyhow::Context as _;
use claude::{Handler, Handlers, Look, Sender, local_port};
use client::legacy::{self, PidFile, Style};
use client::{Legacy, Lock, Probe, runfiles};
use protocol::hooks::HooksProblem;
use protocol::names;
use serde::Serialize;

use crate::Exit;
use crate::args::Diagnose;
use crate::context::Context;
use crate::trouble::Trouble;

/// The variables by which a hook learns a port, the strongest first.
const PORT_VARIABLES: [&str; 3] =
    ["CLAUDE_MPM_MONITOR_PORT", "CLAUDE_MPM_SOCKETIO_PORT", "CLAUDE_MPM_SERVER_PORT"];

/// The variable that goes before all of them.
const URL_VARIABLE: &str = "CLAUDE_MPM_MONITOR_URL";

pub(crate) fn run(diagnose: &Diagnose, context: &mut Context<'_, '_>) -> anyhow::Result<Exit> {
    let port = context.port(diagnose.port)?;
    let diagnosis = Diagnosis::of(port, context)?;
    if diagnose.json {
        context.terminal.say(serde_json::to_string_pretty(&diagnosis)?);
    } else {
        context.terminal.say(diagnosis.page());
    }
    Ok(Exit::Done)
}

/// Everything there is to say about a port.
#[derive(Debug, Serialize)]
struct Diagnosis {
    port: u16,
    case: Case,
    port_status: &'static str,
    /// The program that listens, when the system tells.
    owner: Option<String>,
    findings: Vec<Finding>,
}

/// Who serves the port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Case {
    /// Several servers claim it.
    Conflict,
    /// This user's monitor.
    Native,
    /// A server of claude-mpm that tells its pid over HTTP.
    Http,
    /// A server of claude-mpm with a PID file.
    Daemon,
    /// Another program.
    Foreign,
    /// Nobody.
    None,
}

/// One observation.
#[derive(Debug, Serialize)]
struct Finding {
    area: Area,
    /// Whether something should be done.
    problem: bool,
    text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    remedy: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Area {
    Server,
    Files,
    Hooks,
    Environment,
}

impl Finding {
    fn good(area: Area, text: impl Into<String>) -> Self {
        Self { area, problem: false, text: text.into(), remedy: None }
    }

    fn problem(area: Area, text: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { area, problem: true, text: text.into(), remedy: Some(remedy.into()) }
    }
}

impl Diagnosis {
    fn of(port: u16, context: &Context<'_, '_>) -> anyhow::Result<Self> {
        let found = client::probe(&context.home, port);
        let pid_files = legacy::pid_files(&context.home, port);
        let serving = match &found {
            Probe::Ours(running) => Some(running.runfile.pid),
            Probe::Stray(stray) => Some(stray.process.pid),
            Probe::Legacy(legacy) => legacy.pid,
            Probe::Foreign { .. } | Probe::Free => None,
        };
        let rivals: Vec<_> =
            pid_files.iter().filter(|file| Some(file.pid) != serving && file.is_alive()).collect();
        let (case, mut findings) = servers(port, &found, &rivals, context);
        findings.extend(files(port, &found, &pid_files, context)?);
        findings.extend(environment(port, context));
        findings.extend(hooks(port, context)?);
        let owner = client::owner(port);
        Ok(Self {
            port,
            case,
            port_status: if matches!(found, Probe::Free) { "AVAILABLE" } else { "IN USE" },
            owner: owner.map(|owner| owner.to_string()),
            findings,
        })
    }

    fn page(&self) -> String {
        let title = format!("Diagnosing the monitor on port {}", self.port);
        let mut page = format!("{title}\n{}\n", "=".repeat(60));
        page += &self.section("Server Analysis", Area::Server);
        let owner = self.owner.as_ref().map(|owner| format!(" by {owner}")).unwrap_or_default();
        page += &format!("\nPort Status: {}{owner}\n", self.port_status);
        page += &self.section("Files", Area::Files);
        page += &self.section("Environment", Area::Environment);
        page += &self.section("Hooks of Claude Code", Area::Hooks);
        let remedies = self.findings.iter().filter_map(|finding| finding.remedy.as_ref());
        let mut seen: Vec<&String> = Vec::new();
        for remedy in remedies {
            if !seen.contains(&remedy) {
                seen.push(remedy);
            }
        }
        if seen.is_empty() {
            return page + "\nNothing to do.";
        }
        page += "\nWhat to do:\n";
        for (number, remedy) in seen.iter().enumerate() {
            page += &format!("  {}. {remedy}\n", number + 1);
        }
        page.trim_end().to_owned()
    }

    fn section(&self, title: &str, area: Area) -> String {
        let findings: Vec<_> = self.findings.iter().filter(|finding| finding.area == area).collect();
        if findings.is_empty() {
            return String::new();
        }
        let line =
            |finding: &&Finding| format!("  {} {}\n", if finding.problem { "✗" } else { "✓" }, finding.text);
        format!("\n{title}:\n{}", findings.iter().map(line).collect::<String>())
    }
}

/// Who serves, and who else claims to.
fn servers(port: u16, found: &Probe, rivals: &[&PidFile], context: &Context<'_, '_>) -> (Case, Vec<Finding>) {
    let (case, finding) = match found {
        Probe::Ours(running) => {
            let (runfile, health) = (&running.runfile, &running.health);
            let text = format!(
                "Your monitor serves this port (pid {}, version {}, {}, {} clients)",
                runfile.pid, runfile.version, runfile.mode, health.clients_connected
            );
            (Case::Native, Finding::good(Area::Server, text))
        }
        Probe::Stray(stray) => {
            let Trouble { what, way_out } = Trouble::of_stray(stray);
            let text = format!("Your monitor serves this port, but {what}");
            (Case::Native, Finding::problem(Area::Server, text, way_out))
        }
        Probe::Legacy(legacy) => legacy_finding(port, legacy),
        Probe::Foreign { .. } if Lock::is_held(&context.home, port) => {
            let remedy =
                format!("stop it with 'claude-mpm-monitor stop --port {port} --force' and start it again");
            let text = "Your monitor holds this port but does not answer";
            (Case::Native, Finding::problem(Area::Server, text, remedy))
        }
        Probe::Foreign { owner } => {
            let holder = client::holder(owner.as_ref());
            let text = format!("Another program has this port: {holder}. It is never stopped from here.");
            let remedy = "stop that program, or use another port with --port";
            (Case::Foreign, Finding::problem(Area::Server, text, remedy))
        }
        Probe::Free => {
            let text = "No server found on this port";
            let remedy = format!("start one with 'claude-mpm-monitor start --port {port}'");
            (Case::None, Finding::problem(Area::Server, text, remedy))
        }
    };
    let mut findings = vec![finding];
    for rival in rivals {
        let text = format!(
            "CONFLICT: {} names another server of claude-mpm that runs: process {}",
            rival.path.display(),
            rival.pid
        );
        let remedy = format!(
            "keep one of them: end process {} where it was started ('claude-mpm monitor stop' or \
             'claude-mpm-socketio stop')",
            rival.pid
        );
        findings.push(Finding::problem(Area::Server, text, remedy));
    }
    let is_conflict = !rivals.is_empty() && !matches!(found, Probe::Free | Probe::Foreign { .. });
    (if is_conflict { Case::Conflict } else { case }, findings)
}

fn legacy_finding(port: u16, legacy: &Legacy) -> (Case, Finding) {
    let pid = legacy.pid.map_or_else(|| "pid not told".to_owned(), |pid| format!("pid {pid}"));
    let (case, management) = match legacy.style {
        Style::Http => (Case::Http, "HTTP-managed: it tells its pid"),
        Style::Daemon => (Case::Daemon, "daemon-managed: its pid lies in a PID file"),
    };
    let text = format!("{} serves this port ({pid}; {management})", legacy.name());
    let remedy = format!(
        "to replace it with this monitor: 'claude-mpm-monitor stop --port {port}', then \
         'claude-mpm-monitor start --port {port}'"
    );
    (case, Finding::problem(Area::Server, text, remedy))
}

/// What servers left on disk.
fn files(
    port: u16,
    found: &Probe,
    pid_files: &[PidFile],
    context: &Context<'_, '_>,
) -> anyhow::Result<Vec<Finding>> {
    let mut findings = Vec::new();
    let run = context.home.run();
    let known = runfiles::list(&context.home).with_context(|| format!("could not read {}", run.display()))?;
    for runfile in known {
        if !Lock::is_held(&context.home, runfile.port) {
            let path = context.home.runfile(runfile.port);
            let text = format!("Stale runfile {} (process {} serves no more)", path.display(), runfile.pid);
            let remedy = format!("'claude-mpm-monitor stop --port {}' clears it away", runfile.port);
            findings.push(Finding::problem(Area::Files, text, remedy));
        }
    }
    for PidFile { path, pid } in pid_files.iter().filter(|file| !file.is_alive()) {
        let text = format!("Stale PID file {} (process {pid} is no server of claude-mpm)", path.display());
        let remedy = format!("remove {}", path.display());
        findings.push(Finding::problem(Area::Files, text, remedy));
    }
    if let Probe::Legacy(Legacy { style: Style::Daemon, .. }) = found
        && pid_files.is_empty()
    {
        let paths = legacy::pid_paths(&context.home, port);
        let paths: Vec<_> = paths.iter().map(|path| path.display().to_string()).collect();
        let text = format!("The daemon on this port has no PID file (looked for {})", paths.join(", "));
        findings.push(Finding::problem(Area::Files, text, "stop it where it was started"));
    }
    if let Err(reason) = host::check_prices(&context.home.prices()) {
        let remedy = "correct the file, then restart the monitor; until then the shipped prices apply";
        findings.push(Finding::problem(Area::Files, reason, remedy));
    }
    findings.extend(spool(context));
    if findings.is_empty() {
        findings.push(Finding::good(Area::Files, "No stale files"));
    }
    Ok(findings)
}

/// What keeps hooks from keeping their events while no monitor answers, and what they have lost by it.
fn spool(context: &Context<'_, '_>) -> Vec<Finding> {
    let home = &context.home;
    let spool = home.spool();
    let unusable = Trouble::with_spool(home)
        .map(|trouble| Finding::problem(Area::Files, trouble.sentence(), trouble.way_out));
    let lost = client::lost_events(home);
    let lost = (lost > 0).then(|| {
        let text =
            format!("Events that hooks could neither hand over nor keep, ever: {lost}. They are lost.");
        let [within, beside] = client::counters_of_lost_events(home).map(|path| path.display().to_string());
        let remedy = format!(
            "make sure that the disk has room and that hooks can use {}; removing {within} and {beside} \
             forgets the count",
            spool.display()
        );
        Finding::problem(Area::Files, text, remedy)
    });
    unusable.into_iter().chain(lost).collect()
}

/// Variables that send this terminal's hooks elsewhere.
fn environment(port: u16, context: &Context<'_, '_>) -> Vec<Finding> {
    let set = |name: &str| {
        let value = (context.var)(name)?.to_string_lossy().into_owned();
        (!value.is_empty()).then(|| (name.to_owned(), value))
    };
    let variables: Vec<_> = [URL_VARIABLE].into_iter().chain(PORT_VARIABLES).filter_map(set).collect();
    let elsewhere = elsewhere(&variables, port).map(|(name, value)| {
        let text = format!("{name}={value}: hooks started from this terminal send there, not to port {port}");
        Finding::problem(Area::Environment, text, format!("unset {name}, or set it to port {port}"))
    });
    let nothing = || Finding::good(Area::Environment, "No variable sends hooks elsewhere");
    vec![elsewhere.unwrap_or_else(nothing)]
}

/// The variable that decides where hooks send, if that is not this port.
fn elsewhere(variables: &[(String, String)], port: u16) -> Option<(&str, &str)> {
    let value = |wanted: &str| {
        let set = variables.iter().find(|(name, value)| name == wanted && !value.is_empty())?;
        Some((set.0.as_str(), set.1.as_str()))
    };
    if let Some((name, url)) = value(URL_VARIABLE) {
        return (local_port(url) != Some(port)).then_some((name, url));
    }
    let (name, text) = PORT_VARIABLES.iter().find_map(|name| value(name))?;
    (text.trim().parse() != Ok(port)).then_some((name, text))
}

/// What keeps Claude Code from calling hooks, whom it calls, and whether that sends here.
fn hooks(port: u16, context: &Context<'_, '_>) -> anyhow::Result<Vec<Finding>> {
    let setup = crate::hooks::setup(context)?;
    let here = std::env::current_dir().unwrap_or_default();
    let Look { report, handlers, .. } = setup.look(&here, setup.version().ok());
    let mut findings: Vec<Finding> = report.problems.into_iter().map(Finding::from).collect();
    findings.extend(handlers.iter().flat_map(|file| handler_findings(file, port)));
    let mut all = handlers.iter().flat_map(|file| &file.handlers);
    if !all.any(|handler| sends_here(handler, port)) {
        let text = "No hook sends Claude Code's events to this monitor";
        let remedy = "connect Claude Code with 'claude-mpm-monitor hooks install'";
        findings.push(Finding::problem(Area::Hooks, text, remedy));
    }
    Ok(findings)
}

impl From<HooksProblem> for Finding {
    fn from(HooksProblem { text, way_out, .. }: HooksProblem) -> Self {
        // What needs nothing done is worth knowing all the same.
        Self { area: Area::Hooks, problem: way_out.is_some(), text, remedy: way_out }
    }
}

fn sends_here(handler: &Handler, port: u16) -> bool {
    match (handler.sender, handler.port) {
        (_, Some(named)) => named == port,
        (Sender::Ours, None) => true,
        (Sender::ClaudeMpm, None) => port == names::DEFAULT_PORT,
        (Sender::Other, None) => false,
    }
}

fn handler_findings(file: &Handlers, port: u16) -> Vec<Finding> {
    let path = file.path.display();
    let mut findings = Vec::new();
    if let Some((name, value)) = elsewhere(&file.environment, port) {
        let text = format!("{path} sets {name}={value}: hooks send there, not to port {port}");
        findings.push(Finding::problem(
            Area::Hooks,
            text,
            format!("remove {name} from {path}, or change it"),
        ));
    }
    let mut calls: Vec<&str> = file.handlers.iter().map(|handler| handler.call.as_str()).collect();
    calls.sort_unstable();
    calls.dedup();
    for call in calls {
        let handlers: Vec<_> = file.handlers.iter().filter(|handler| handler.call == call).collect();
        let Some(first) = handlers.first() else { continue };
        let events: Vec<_> = handlers.iter().map(|handler| handler.event.as_str()).collect();
        let events = events.join(", ");
        findings.push(match (first.sender, first.port) {
            _ if sends_here(first, port) => {
                Finding::good(Area::Hooks, format!("{path}: {call} sends here ({events})"))
            }
            (Sender::ClaudeMpm, None) => {
                let text = format!("{path}: claude-mpm's hook {call} sends to port 8765 ({events})");
                let remedy =
                    format!("set CLAUDE_MPM_SOCKETIO_PORT={port} for Claude Code, or serve on port 8765");
                Finding::problem(Area::Hooks, text, remedy)
            }
            (_, Some(other)) => {
                let text = format!("{path}: {call} sends to port {other} ({events})");
                let remedy = format!("change {path} if these events belong to port {port}");
                Finding::problem(Area::Hooks, text, remedy)
            }
            (Sender::Ours | Sender::Other, None) => {
                Finding::good(Area::Hooks, format!("{path}: {call} is no monitor's hook ({events})"))
            }
        });
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_strongest_variable_decides_where_hooks_send() {
        type Variables<'a> = &'a [(&'a str, &'a str)];
        let cases: [(Variables<'_>, Option<&str>); 6] = [
            (&[], None),
            (&[("CLAUDE_MPM_SOCKETIO_PORT", "9000")], None),
            (&[("CLAUDE_MPM_SOCKETIO_PORT", "9001")], Some("CLAUDE_MPM_SOCKETIO_PORT")),
            (&[("CLAUDE_MPM_SERVER_PORT", "9001"), ("CLAUDE_MPM_MONITOR_PORT", "9000")], None),
            (
                &[("CLAUDE_MPM_MONITOR_URL", "http://box:8765"), ("CLAUDE_MPM_MONITOR_PORT", "9000")],
                Some(URL_VARIABLE),
            ),
            (&[("CLAUDE_MPM_MONITOR_URL", "http://localhost:9000")], None),
        ];
        for (variables, expected) in cases {
            let owned: Vec<_> =
                variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            assert_eq!(elsewhere(&owned, 9000).map(|(name, _)| name), expected, "{variables:?}");
        }
    }
}
