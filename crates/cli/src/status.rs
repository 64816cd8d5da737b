//! `status`: this user's monitors, for people and for programs.

use client::{Lock, Probe, Supervised, Supervision, page as page_url, page_on, runfiles};
use protocol::{Health, Runfile, Timestamp};
use serde_json::json;

use crate::Exit;
use crate::args::Status;
use crate::context::Context;

/// One monitor of this user.
struct Server {
    runfile: Runfile,
    /// `None` when it lives but does not answer.
    health: Option<Health>,
    /// `None` for one in the foreground.
    supervision: Option<Supervision>,
}

pub(crate) fn run(status: &Status, context: &mut Context<'_, '_>) -> anyhow::Result<Exit> {
    let servers = servers(status.port, context);
    let crashed = crashed(status.port, &servers, context);
    if status.json {
        let servers: Vec<_> = servers.iter().map(Server::json).collect();
        context.terminal.say(serde_json::to_string_pretty(&servers)?);
    } else if !servers.is_empty() {
        context.terminal.say(page(&servers, status.verbose));
    } else if crashed.is_empty() {
        nobody(status.port, context)?;
    } else {
        context.terminal.say("Monitor is not running");
    }
    if !status.json {
        for (port, record) in &crashed {
            context.terminal.say(format_args!("\n{}", no_server(*port, record)));
        }
    }
    Ok(if servers.is_empty() { Exit::NotRunning } else { Exit::Done })
}

/// The living monitors, by port.
fn servers(port: Option<u16>, context: &Context<'_, '_>) -> Vec<Server> {
    let home = &context.home;
    let runfiles = runfiles::list(home).into_iter().filter(|runfile| port.is_none_or(|p| p == runfile.port));
    let server = |runfile: Runfile| match client::probe(home, runfile.port) {
        Probe::Ours(running) => Some(Server {
            supervision: Supervision::read(home, running.runfile.port),
            runfile: running.runfile,
            health: Some(running.health),
        }),
        _ => Lock::is_held(home, runfile.port).then(|| Server {
            supervision: Supervision::read(home, runfile.port),
            runfile,
            health: None,
        }),
    };
    runfiles.filter_map(server).collect()
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

/// Why no server runs on a port.
fn no_server(port: u16, record: &Supervision) -> String {
    let (at, reason, output) = match &record.last_crash {
        Some(crash) => (started(crash.at), crash.reason.as_str(), crash.output.as_str()),
        None => (String::new(), "unknown", ""),
    };
    let lines: String = output.lines().map(|line| format!("    {line}\n")).collect();
    let what = match record.state {
        Supervised::GaveUp => "crashed three times in a row and was not started again",
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
    match client::probe(&context.home, port) {
        Probe::Foreign { owner } => {
            let holder = client::holder(owner.as_ref());
            context.terminal.say(format_args!("Port {port} is in use by {holder}."));
        }
        Probe::Legacy { pid, version } => {
            let (text, _) = crate::launch::legacy(port, pid, version.as_deref());
            context.terminal.say(text);
        }
        Probe::Free | Probe::Ours(_) => {}
    }
    Ok(())
}

fn page(servers: &[Server], verbose: bool) -> String {
    let title = if verbose { "Monitoring Server Status (Detailed)" } else { "Monitoring Server Status" };
    let rule = "=".repeat(title.len() + usize::from(verbose));
    let mut page = format!("{title}\n{rule}\n\nActive Servers: {}\n", servers.len());
    for (number, server) in servers.iter().enumerate() {
        page += &format!("\nServer {}:\n", number + 1);
        for (name, value) in server.lines(verbose) {
            page += &format!("  - {name}: {value}\n");
        }
        if verbose {
            page += &server.clients();
        }
    }
    let urls: Vec<_> = servers.iter().filter_map(Server::dashboard).collect();
    if urls.is_empty() {
        return page.trim_end().to_owned();
    }
    page + &format!("\nDashboard accessible at: {}", urls.join(", "))
}

impl Server {
    fn url(&self) -> String {
        page_url(&self.runfile)
    }

    /// Where its dashboard is; one that does not answer is looked for on the server's own port.
    fn dashboard_port(&self) -> Option<u16> {
        match &self.health {
            Some(health) => health.dashboard_port,
            None => Some(self.runfile.port),
        }
    }

    fn dashboard(&self) -> Option<String> {
        self.dashboard_port().map(|port| page_on(&self.runfile, port))
    }

    fn lines(&self, verbose: bool) -> Vec<(&'static str, String)> {
        let Runfile { pid, port, host, process_started_at, project, .. } = &self.runfile;
        let more = |line| verbose.then_some(line);
        let answered = |line: fn(&Health) -> (&'static str, String)| self.health.as_ref().map(line);
        [
            Some(("Port", port.to_string())),
            more(("Host", host.clone())),
            Some(("Dashboard", self.dashboard().unwrap_or_else(|| "switched off".to_owned()))),
            self.dashboard_port().map(|port| ("Dashboard Port", port.to_string())).and_then(more),
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
            Some(_) if !verbose => "Running".to_owned(),
            Some(health) if health.store.is_empty() || health.store == "ok" => "Running (Healthy)".to_owned(),
            Some(health) => format!("Running ({})", health.store),
        }
    }

    /// The connections whose version is known.
    fn clients(&self) -> String {
        let Some(health) = self.health.as_ref().filter(|health| !health.client_versions.is_empty()) else {
            return String::new();
        };
        let clients = health.client_versions.iter().enumerate();
        let clients = clients.map(|(at, (id, version))| format!("  {}. {id} - Version {version}\n", at + 1));
        format!("\nClient Connections:\n{}", clients.collect::<String>())
    }

    fn json(&self) -> serde_json::Value {
        let health = self.health.as_ref();
        json!({
            "port": self.runfile.port,
            "pid": self.runfile.pid,
            "url": self.url(),
            "dashboard_url": self.dashboard(),
            "profile": health.map(|health| health.profile.as_str()),
            "restarts": self.supervision.as_ref().map(|supervision| supervision.restarts),
            "last_crash": self.supervision.as_ref().and_then(|supervision| supervision.last_crash.as_ref()),
            "uptime_s": health.map(|health| health.uptime),
            "clients": health.map(|health| health.clients_connected),
            "status": health.map_or("not responding", |health| health.status.as_str()),
            "version": self.runfile.version,
            "mode": self.runfile.mode,
            "project": self.runfile.project,
        })
    }
}

/// `2025-01-08 14:30:15 UTC`.
fn started(at: Timestamp) -> String {
    let text = at.rfc3339();
    format!("{} UTC", text[..19].replace('T', " "))
}

/// `2h 15m 30s`, without leading zeros.
fn duration(seconds: u64) -> String {
    let parts =
        [(seconds / 86_400, "d"), (seconds / 3600 % 24, "h"), (seconds / 60 % 60, "m"), (seconds % 60, "s")];
    let shown = parts.iter().skip_while(|(count, unit)| *count == 0 && *unit != "s");
    shown.map(|(count, unit)| format!("{count}{unit}")).collect::<Vec<_>>().join(" ")
}

/// `1,247`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy).collect();
    groups.join(",")
}

fn rate(health: &Health) -> String {
    let seconds = health.uptime.max(1) as f64;
    format!("{:.2}/sec", health.health_stats.events_processed as f64 / seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server() -> Server {
        let runfile = Runfile {
            pid: 12345,
            process_started_at: Timestamp(1_736_346_615_000),
            version: "0.1.0".to_owned(),
            host: "localhost".to_owned(),
            port: 8765,
            server_id: "monitor-1".to_owned(),
            control_token: "secret".to_owned(),
            project: None,
            mode: "background".to_owned(),
            access: Default::default(),
        };
        let mut health = Health {
            dashboard_port: Some(8766),
            profile: "production".to_owned(),
            status: "running".to_owned(),
            uptime: 8130,
            clients_connected: 3,
            store: "ok".to_owned(),
            ..Health::default()
        };
        health.health_stats.events_processed = 1247;
        Server { runfile, health: Some(health), supervision: None }
    }

    #[test]
    fn the_page_reads_as_promised() {
        let expected = "\
Monitoring Server Status
========================

Active Servers: 1

Server 1:
  - Port: 8765
  - Dashboard: http://localhost:8766
  - Process ID: 12345
  - Uptime: 2h 15m 30s
  - Connected Clients: 3
  - Status: Running

Dashboard accessible at: http://localhost:8766";
        assert_eq!(page(&[server()], false), expected);
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
  - Dashboard: http://localhost:8766
  - Dashboard Port: 8766
  - Process ID: 12345
  - Profile: production
  - Started: 2025-01-08 14:30:15 UTC
  - Uptime: 2h 15m 30s
  - Connected Clients: 3
  - Events Processed: 1,247
  - Average Event Rate: 0.15/sec
  - Status: Running (Healthy)

Dashboard accessible at: http://localhost:8766";
        assert_eq!(page(&[server()], true), expected);
    }

    #[test]
    fn the_project_of_a_server_is_shown() {
        let mut shop = server();
        shop.runfile.project = Some("/home/dev/shop".to_owned());
        assert_eq!(shop.json()["project"], "/home/dev/shop");
        assert_eq!(server().json()["project"], serde_json::Value::Null);
        assert!(page(&[shop], true).contains("  - Project: /home/dev/shop\n"));
    }

    #[test]
    fn a_server_that_lives_but_does_not_answer_is_shown_as_such() {
        let silent = Server { health: None, ..server() };
        assert!(page(&[silent], true).contains("  - Status: Not responding\n"));
    }

    #[test]
    fn durations_and_numbers_are_short_and_whole() {
        let cases = [(0, "0s"), (59, "59s"), (60, "1m 0s"), (3600, "1h 0m 0s"), (90_061, "1d 1h 1m 1s")];
        for (seconds, expected) in cases {
            assert_eq!(duration(seconds), expected);
        }
        let cases = [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")];
        for (number, expected) in cases {
            assert_eq!(grouped(number), expected);
        }
    }
}
