//! `status`: this user's monitors and claude-mpm's, for people and for programs.

use std::time::SystemTime;

use client::{Legacy, Probe, Running, Stray, Supervised, Supervision, page, page_on, url};
use protocol::health::ClientInfo;
use protocol::spool::SpoolHealth;
use protocol::{Health, Runfile, Timestamp, names};
use serde_json::{Value, json};

use crate::Exit;
use crate::args::Status;
use crate::context::Context;
use crate::trouble::{Trouble, has_store, paused};
use crate::units::{age, duration, grouped, started};

pub(crate) fn run(status: &Status, context: &mut Context<'_, '_>) -> anyhow::Result<Exit> {
    let found = Found::look(status.port, context)?;
    if status.json {
        context.terminal.answer(&found.json());
    } else if !found.is_nothing() {
        context.terminal.say(found.page(status.verbose));
    } else if found.crashed.is_empty() {
        nobody(status.port, context)?;
    } else {
        context.terminal.say(format_args!("Monitor is not running\n{}", found.crashes().trim_end()));
    }
    Ok(found.exit())
}

/// What runs, by port.
pub(crate) struct Found {
    pub(crate) servers: Vec<Server>,
    /// Those that serve without their runfile.
    pub(crate) strays: Vec<Stray>,
    /// claude-mpm's own servers.
    pub(crate) legacy: Vec<(u16, Legacy)>,
    /// Background servers that crashed and are not, or not yet, started again.
    pub(crate) crashed: Vec<(u16, Supervision)>,
}

/// One monitor of this user.
pub(crate) struct Server {
    pub(crate) runfile: Runfile,
    /// `None` when it lives but does not answer.
    pub(crate) health: Option<Health>,
    /// `None` for one in the foreground.
    pub(crate) supervision: Option<Supervision>,
    /// Who is connected; empty when it does not answer.
    pub(crate) clients: Vec<ClientInfo>,
    /// What is wrong with it, as long as it answers.
    pub(crate) troubles: Vec<Trouble>,
}

impl Found {
    /// The living monitors of this user, on that port or all; and claude-mpm's, on that port, the configured one
    /// and those of the range.
    pub(crate) fn look(port: Option<u16>, context: &mut Context<'_, '_>) -> anyhow::Result<Self> {
        let runfiles = context.living()?.into_iter().filter(|runfile| port.is_none_or(|p| p == runfile.port));
        let servers: Vec<_> = runfiles.map(|runfile| Server::ask(runfile, context)).collect();
        let mut strays = client::strays(&context.home);
        strays.retain(|stray| port.is_none_or(|port| port == stray.port));
        let mut ports = match port {
            Some(port) => vec![port],
            None => names::PORT_RANGE.chain([context.port(None)?]).collect(),
        };
        ports.sort_unstable();
        ports.dedup();
        ports.retain(|port| servers.iter().all(|server| server.runfile.port != *port));
        let legacy =
            client::probe_all(&context.home, &ports).into_iter().filter_map(|(port, found)| match found {
                Probe::Legacy(legacy) => Some((port, legacy)),
                _ => None,
            });
        Ok(Self { legacy: legacy.collect(), crashed: crashed(port, &servers, context), servers, strays })
    }

    /// Whether a monitor of this user runs.
    pub(crate) fn exit(&self) -> Exit {
        let nothing_runs = self.servers.is_empty() && self.strays.is_empty();
        if nothing_runs { Exit::NotRunning } else { Exit::Done }
    }

    pub(crate) fn is_nothing(&self) -> bool {
        self.servers.is_empty() && self.strays.is_empty() && self.legacy.is_empty()
    }

    /// One object for each, with how it is managed.
    pub(crate) fn json(&self) -> Vec<Value> {
        let legacy = self.legacy.iter().map(|(port, legacy)| {
            json!({
                "port": port,
                "pid": legacy.pid,
                "url": url("localhost", *port),
                "dashboard_url": url("localhost", *port),
                "status": "running",
                "version": legacy.version,
                "management": legacy.style.to_string().to_lowercase(),
                "stop_command": stop_command(*port),
            })
        });
        let crashed = self.crashed.iter().map(|(port, record)| crashed_json(*port, record));
        let strays = self.strays.iter().map(stray_json);
        self.servers.iter().map(Server::json).chain(strays).chain(legacy).chain(crashed).collect()
    }

    fn page(&self, verbose: bool) -> String {
        let count = self.servers.len() + self.strays.len();
        let mut page = heading(verbose) + &format!("Active Servers: {count}\n");
        page += &self.troubles();
        page += &self.details(verbose);
        page + &self.urls()
    }

    /// What is wrong with servers that run, for their user to see first.
    pub(crate) fn troubles(&self) -> String {
        let of = |server: &Server| {
            let port = server.runfile.port;
            server.troubles.iter().map(|trouble| format!("\n{}", trouble.lines(port))).collect::<String>()
        };
        let stray = |stray: &Stray| format!("\n{}", Trouble::of_stray(stray).lines(stray.port));
        self.servers.iter().map(of).chain(self.strays.iter().map(stray)).collect()
    }

    /// A block for each server.
    pub(crate) fn details(&self, verbose: bool) -> String {
        let mut blocks = String::new();
        let now = Timestamp::from_system(SystemTime::now());
        for (number, server) in self.servers.iter().enumerate() {
            blocks += &format!("\nServer {}:\n", number + 1);
            blocks += &list(server.lines(verbose));
            if verbose {
                blocks += &server.connections(now);
            }
        }
        for (number, stray) in self.strays.iter().enumerate() {
            blocks += &format!("\nServer {}:\n", self.servers.len() + number + 1);
            blocks += &list(stray_lines(stray));
        }
        for (port, legacy) in &self.legacy {
            blocks += &format!("\nServer of claude-mpm on port {port}:\n");
            blocks += &list(legacy_lines(*port, legacy));
        }
        blocks += &self.crashes();
        blocks
    }

    /// Why no server runs where one should.
    fn crashes(&self) -> String {
        self.crashed.iter().map(|(port, record)| format!("\n{}\n", no_server(*port, record))).collect()
    }

    /// The last line: where to look.
    pub(crate) fn urls(&self) -> String {
        let ours = self.servers.iter().filter_map(Server::dashboard);
        let urls: Vec<_> = ours.chain(self.legacy.iter().map(|(port, _)| url("localhost", *port))).collect();
        if urls.is_empty() {
            String::new()
        } else {
            format!("\nDashboard accessible at: {}", urls.join(", "))
        }
    }
}

/// Title and rule of the page.
pub(crate) fn heading(verbose: bool) -> String {
    let title = if verbose { "Monitoring Server Status (Detailed)" } else { "Monitoring Server Status" };
    let rule = "=".repeat(title.len() + usize::from(verbose));
    format!("{title}\n{rule}\n\n")
}

fn list(lines: Vec<(&str, String)>) -> String {
    lines.into_iter().map(|(name, value)| format!("  - {name}: {value}\n")).collect()
}

/// One that serves without its runfile, as programs read it.
fn stray_json(stray: &Stray) -> Value {
    json!({
        "port": stray.port,
        "pid": stray.process.pid,
        "url": url("localhost", stray.port),
        "status": "running",
        "troubles": [Trouble::of_stray(stray)],
        "version": stray.health.version,
        "management": "native",
        "stop_command": stop_command(stray.port),
    })
}

fn stray_lines(stray: &Stray) -> Vec<(&'static str, String)> {
    vec![
        ("Port", stray.port.to_string()),
        ("Process ID", stray.process.pid.to_string()),
        ("Stop with", stop_command(stray.port)),
        ("Status", "Running (without its home)".to_owned()),
    ]
}

fn legacy_lines(port: u16, legacy: &Legacy) -> Vec<(&'static str, String)> {
    let pid = legacy.pid.map_or_else(|| "not told".to_owned(), |pid| pid.to_string());
    vec![
        ("Port", port.to_string()),
        ("Dashboard", url("localhost", port)),
        ("Process ID", pid),
        ("Management", format!("{} ({})", legacy.style, legacy.name())),
        ("Stop with", stop_command(port)),
        ("Status", "Running".to_owned()),
    ]
}

fn stop_command(port: u16) -> String {
    format!("claude-mpm-monitor stop --port {port}")
}

/// The background servers that crashed and are not, or not yet, started again.
fn crashed(port: Option<u16>, servers: &[Server], context: &Context<'_, '_>) -> Vec<(u16, Supervision)> {
    let mut records = Supervision::list(&context.home);
    records.retain(|(of, record)| {
        record.state != Supervised::Serving
            && port.is_none_or(|port| port == *of)
            && servers.iter().all(|server| server.runfile.port != *of)
    });
    records
}

/// What a background server that crashed does, in a word.
pub(crate) fn crashed_state(record: &Supervision) -> &'static str {
    match record.state {
        Supervised::GaveUp => "crashed",
        Supervised::Waiting => "waiting",
        Supervised::Serving | Supervised::Restarting => "restarting",
    }
}

/// A background server that crashed, as programs read it.
fn crashed_json(port: u16, record: &Supervision) -> Value {
    json!({
        "port": port,
        "pid": null,
        "status": crashed_state(record),
        "mode": "background",
        "restarts": record.restarts,
        "last_crash": record.last_crash,
        "log": record.log,
        "management": "native",
        "stop_command": stop_command(port),
    })
}

/// Why no server runs on a port.
fn no_server(port: u16, record: &Supervision) -> String {
    let (at, reason, output) = match &record.last_crash {
        Some(crash) => (started(crash.at), crash.reason.as_str(), crash.output.as_str()),
        None => (String::new(), "unknown", ""),
    };
    let lines: String = output.lines().map(|line| format!("    {line}\n")).collect();
    let what = match record.state {
        Supervised::GaveUp => "crashed three times in a row and was not started again",
        Supervised::Waiting => {
            "crashed and is started again as soon as its port is free, which another program has"
        }
        Supervised::Serving | Supervised::Restarting => "crashed and is being started again",
    };
    format!(
        "The monitor on port {port} {what}.\n  - Last crash: {at}, {reason}\n{lines}  - Log: {}",
        record.log.display()
    )
}

/// Says that no monitor runs, and who has the port instead.
fn nobody(port: Option<u16>, context: &mut Context<'_, '_>) -> anyhow::Result<()> {
    context.terminal.say("Monitor is not running");
    let port = context.port(port)?;
    if let Probe::Foreign { owner } = client::probe(&context.home, port) {
        let holder = client::holder(owner.as_ref());
        context.terminal.say(format_args!("Port {port} is in use by {holder}."));
    }
    Ok(())
}

impl Server {
    /// The monitor of a runfile whose lock is held.
    pub(crate) fn ask(runfile: Runfile, context: &Context<'_, '_>) -> Self {
        match client::probe(&context.home, runfile.port) {
            Probe::Ours(running) => {
                // Gone since: then nobody is connected to it.
                let clients = running.monitor().status().map(|status| status.clients).unwrap_or_default();
                let Running { health, runfile, .. } = *running;
                let supervision = Supervision::read(&context.home, runfile.port);
                let mut troubles = Trouble::told(&health);
                troubles.extend(Trouble::with_spool(&context.home));
                Self { runfile, health: Some(health), supervision, clients, troubles }
            }
            _ => {
                let supervision = Supervision::read(&context.home, runfile.port);
                Self { runfile, health: None, supervision, clients: Vec::new(), troubles: Vec::new() }
            }
        }
    }

    pub(crate) fn url(&self) -> String {
        page(&self.runfile)
    }

    /// Where the dashboard is; `None` when it is switched off, or when nobody can tell.
    pub(crate) fn dashboard(&self) -> Option<String> {
        self.health.as_ref()?.dashboard_port.map(|port| page_on(&self.runfile, port))
    }

    fn lines(&self, verbose: bool) -> Vec<(&'static str, String)> {
        let Runfile { pid, port, host, process_started_at, project, .. } = &self.runfile;
        let more = |line| verbose.then_some(line);
        let answered = |line: fn(&Health) -> (&'static str, String)| self.health.as_ref().map(line);
        let dashboard_port = self.health.as_ref().and_then(|health| health.dashboard_port);
        let dashboard = self.dashboard().unwrap_or_else(|| "switched off".to_owned());
        [
            Some(("Port", port.to_string())),
            more(("Host", host.clone())),
            self.health.is_some().then_some(("Dashboard", dashboard)),
            dashboard_port.map(|port| ("Dashboard Port", port.to_string())).and_then(more),
            Some(("Process ID", pid.to_string())),
            project.clone().map(|project| ("Project", project)).and_then(more),
            answered(|health| ("Profile", health.profile.clone())).and_then(more),
            self.restarted().and_then(more),
            more(("Started", started(*process_started_at))),
            answered(|health| ("Uptime", duration(health.uptime))),
            answered(|health| ("Connected Clients", health.clients_connected.to_string())),
            answered(|health| ("Events Processed", grouped(health.health_stats.events_processed)))
                .and_then(more),
            answered(|health| ("Average Event Rate", rate(health))).and_then(more),
            self.health.as_ref().and_then(|health| paused(&health.capture)).map(|text| ("Capture", text)),
            self.health.as_ref().and_then(|health| lost(&health.spool)).map(|text| ("Spool", text)),
            Some(("Status", self.state(verbose))),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    /// What its supervisor had to do.
    fn restarted(&self) -> Option<(&'static str, String)> {
        let supervision = self.supervision.as_ref()?;
        let crash = supervision.last_crash.as_ref()?;
        let text = format!(
            "{}, the last time after {} at {}",
            supervision.restarts,
            crash.reason,
            started(crash.at)
        );
        Some(("Restarts", text))
    }

    fn state(&self, verbose: bool) -> String {
        match &self.health {
            None => "Not responding".to_owned(),
            Some(health) if !has_store(health) => format!("Running ({})", health.store),
            Some(health) if health.capture.paused => "Running (not keeping events)".to_owned(),
            Some(_) if !self.troubles.is_empty() => "Running (see above)".to_owned(),
            Some(Health { spool, .. }) if let Some(lost) = lost(spool) => format!("Running ({lost})"),
            Some(_) if verbose => "Running (Healthy)".to_owned(),
            Some(_) => "Running".to_owned(),
        }
    }

    /// Who is connected, the oldest first.
    fn connections(&self, now: Timestamp) -> String {
        if self.clients.is_empty() {
            return String::new();
        }
        let line = |(at, client): (usize, &ClientInfo)| {
            let age = age(now.0.saturating_sub(client.connected_at.0));
            let version = client.version.as_ref().map(|version| format!(", version {version}"));
            let (kind, address) = (&client.kind, &client.address);
            format!("  {}. {kind} ({address}) - Connected {age} ago{}\n", at + 1, version.unwrap_or_default())
        };
        let lines: String = self.clients.iter().enumerate().map(line).collect();
        format!("\nClient Connections:\n{lines}")
    }

    pub(crate) fn json(&self) -> Value {
        let health = self.health.as_ref();
        json!({
            "port": self.runfile.port,
            "pid": self.runfile.pid,
            "url": self.url(),
            "dashboard_url": self.dashboard(),
            "host": self.runfile.host,
            "profile": health.map(|health| health.profile.as_str()),
            "restarts": self.supervision.as_ref().map(|supervision| supervision.restarts),
            "last_crash": self.supervision.as_ref().and_then(|supervision| supervision.last_crash.as_ref()),
            "uptime_s": health.map(|health| health.uptime),
            "clients": health.map(|health| health.clients_connected),
            "connections": self.clients,
            "events": health.map(|health| health.health_stats.events_processed),
            "capture": health.map(|health| health.capture),
            "store": health.map(|health| health.store.as_str()),
            "spool": health.map(|health| &health.spool),
            "troubles": self.troubles,
            "status": health.map_or("not responding", |health| health.status.as_str()),
            "version": self.runfile.version,
            "mode": self.runfile.mode,
            "project": self.runfile.project,
            "started_at": self.runfile.process_started_at.rfc3339(),
            "management": "native",
            "stop_command": stop_command(self.runfile.port),
        })
    }
}

/// What there is to say of events that hooks lost.
fn lost(spool: &SpoolHealth) -> Option<String> {
    (spool.refused > 0).then(|| format!("{} events were lost", grouped(spool.refused)))
}

fn rate(health: &Health) -> String {
    let seconds = health.uptime.max(1) as f64;
    format!("{:.2}/sec", health.health_stats.events_processed as f64 / seconds)
}

#[cfg(test)]
mod tests {
    use protocol::health::CaptureHealth;

    use super::*;

    fn server() -> Server {
        let runfile = Runfile {
            pid: 12345,
            process_started_at: Timestamp(1_736_346_615_000),
            process_start_ticks: None,
            version: "0.1.0".to_owned(),
            host: "localhost".to_owned(),
            port: 8765,
            addresses: vec![([127, 0, 0, 1], 8765).into(), (std::net::Ipv6Addr::LOCALHOST, 8765).into()],
            server_id: "monitor-1".to_owned(),
            control_token: "secret".to_owned(),
            project: None,
            mode: "background".to_owned(),
            access: Default::default(),
        };
        let mut health = Health {
            status: "running".to_owned(),
            uptime: 8130,
            clients_connected: 3,
            store: "ok".to_owned(),
            dashboard_port: Some(8765),
            profile: "production".to_owned(),
            ..Health::default()
        };
        health.health_stats.events_processed = 1247;
        Server { runfile, health: Some(health), supervision: None, clients: Vec::new(), troubles: Vec::new() }
    }

    fn page(server: Server, verbose: bool) -> String {
        Found { servers: vec![server], strays: Vec::new(), legacy: Vec::new(), crashed: Vec::new() }
            .page(verbose)
    }

    #[test]
    fn the_page_reads_as_promised() {
        let expected = "\
Monitoring Server Status
========================

Active Servers: 1

Server 1:
  - Port: 8765
  - Dashboard: http://localhost:8765
  - Process ID: 12345
  - Uptime: 2h 15m 30s
  - Connected Clients: 3
  - Status: Running

Dashboard accessible at: http://localhost:8765";
        assert_eq!(page(server(), false), expected);
    }

    #[test]
    fn the_detailed_page_reads_as_promised() {
        let expected = "\
Monitoring Server Status (Detailed)
====================================

Active Servers: 1

Server 1:
  - Port: 8765
  - Host: localhost
  - Dashboard: http://localhost:8765
  - Dashboard Port: 8765
  - Process ID: 12345
  - Profile: production
  - Started: 2025-01-08 14:30:15 UTC
  - Uptime: 2h 15m 30s
  - Connected Clients: 3
  - Events Processed: 1,247
  - Average Event Rate: 0.15/sec
  - Status: Running (Healthy)

Dashboard accessible at: http://localhost:8765";
        assert_eq!(page(server(), true), expected);
    }

    #[test]
    fn clients_are_shown_with_kind_address_and_age() {
        let client = |kind: &str, port: u16, connected_at| ClientInfo {
            kind: kind.to_owned(),
            address: format!("127.0.0.1:{port}"),
            connected_at: Timestamp(connected_at),
            ..ClientInfo::default()
        };
        let clients = vec![client("Browser", 54321, 0), client("CLI Monitor", 54322, 7_785_000)];
        let shown = Server { clients, ..server() }.connections(Timestamp(7_800_000));
        let expected = "\nClient Connections:\n  \
            1. Browser (127.0.0.1:54321) - Connected 2h 10m ago\n  \
            2. CLI Monitor (127.0.0.1:54322) - Connected 15s ago\n";
        assert_eq!(shown, expected);
        assert_eq!(server().connections(Timestamp(0)), "");
    }

    #[test]
    fn a_pause_of_capture_is_shown_with_its_end() {
        let mut server = server();
        let capture = CaptureHealth { paused: true, until: None, skipped: 1200 };
        server.health.as_mut().unwrap().capture = capture;
        assert_eq!(server.json()["capture"], json!({"paused": true, "until": null, "skipped": 1200}));
        let shown = paused(&CaptureHealth { until: Some(Timestamp(1_736_346_615_000)), ..capture });
        let expected = "paused until 2025-01-08 14:30:15 UTC, 1,200 events not kept so far";
        assert_eq!(shown.as_deref(), Some(expected));
        let page = page(server, false);
        assert!(page.contains("  - Capture: paused until resumed, 1,200 events not kept so far\n"), "{page}");
    }

    #[test]
    fn the_project_of_a_server_is_shown() {
        let mut shop = server();
        shop.runfile.project = Some("/home/dev/shop".to_owned());
        assert_eq!(shop.json()["project"], "/home/dev/shop");
        assert_eq!(server().json()["project"], serde_json::Value::Null);
        assert!(page(shop, true).contains("  - Project: /home/dev/shop\n"));
    }

    #[test]
    fn a_server_that_lives_but_does_not_answer_is_shown_as_such() {
        let silent = Server { health: None, ..server() };
        assert!(page(silent, true).contains("  - Status: Not responding\n"));
    }

    #[test]
    fn what_is_wrong_is_said_first_with_the_way_out() {
        let mut full = server();
        let health = full.health.as_mut().unwrap();
        health.port = 8765;
        health.store = "degraded: database or disk is full".to_owned();
        full.troubles = Trouble::told(health);
        let json = full.json();
        assert_eq!(json["store"], "degraded: database or disk is full");
        assert_eq!(json["troubles"][0]["what"], "its store is degraded: database or disk is full");
        assert!(json["troubles"][0]["way_out"].as_str().unwrap().contains("make room on its disk"), "{json}");
        for verbose in [false, true] {
            let page = page(
                Server { troubles: full.troubles.clone(), health: full.health.clone(), ..server() },
                verbose,
            );
            let (first, rest) = page.split_once("\nServer 1:\n").unwrap();
            let said = "Active Servers: 1\n\n✗ Server on port 8765: its store is degraded: database or disk is full\n  \
                Suggestion: 'claude-mpm-monitor logs --port 8765' tells more";
            assert!(first.contains(said), "{page}");
            assert!(rest.contains("  - Status: Running (degraded: database or disk is full)\n"), "{page}");
        }
    }
}
