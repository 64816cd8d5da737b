//! Who holds a port: nobody, this user's monitor, claude-mpm's Python monitor, or somebody else.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use protocol::paths::Home;
use protocol::{Health, Runfile, names};
use serde_json::Value;

use crate::stray::{self, Stray};
use crate::{Legacy, Lock, Monitor, Owner, page, page_on, ports, runfiles};

/// How long a connection may take. On this machine it is made or refused at once.
const CONNECT_LIMIT: Duration = Duration::from_millis(500);

/// How long `/health` may take. A listener that stays silent for longer is not a monitor.
const HEALTH_LIMIT: Duration = Duration::from_secs(1);

/// How often a waiter probes again.
const POLL: Duration = Duration::from_millis(50);

/// Who holds a port.
#[derive(Debug)]
pub enum Probe {
    /// Nobody listens there.
    Free,
    /// A monitor of this user: `/health` names the `server_id` that its runfile has.
    Ours(Box<Running>),
    /// A monitor of this user whose runfile is gone.
    Stray(Box<Stray>),
    /// claude-mpm's own monitor or daemon, written in Python.
    Legacy(Legacy),
    /// Anybody else, another user's monitor too.
    Foreign {
        /// The program, when the system lets this user see it.
        owner: Option<Owner>,
    },
}

/// A monitor of this user that answers.
#[derive(Debug)]
pub struct Running {
    /// What it says.
    pub health: Health,
    /// What it left on disk.
    pub runfile: Runfile,
    /// Where it left that.
    pub home: Home,
}

impl Running {
    /// Where a browser finds it.
    pub fn url(&self) -> String {
        page(&self.runfile)
    }

    /// Where a browser finds its dashboard; `None` when that is switched off.
    pub fn dashboard_url(&self) -> Option<String> {
        self.health.dashboard_port.map(|port| page_on(&self.runfile, port))
    }

    /// A handle to talk to it.
    pub fn monitor(&self) -> Monitor {
        Monitor::of(&self.home, &self.runfile)
    }
}

/// Finds out who holds a port of this machine.
pub fn probe(home: &Home, port: u16) -> Probe {
    // With the lock held, whoever answers at the runfile's own address is the one that wrote it.
    let noted = runfiles::read(home, port).filter(|_| Lock::is_held(home, port));
    let noted = noted.as_ref();
    let addresses = addresses(port, noted);
    // All who listen at once, so that silence on two addresses takes no longer than on one. Mostly nobody does, and a
    // start waits for that: it needs no threads.
    let answers: Vec<Answer> = thread::scope(|scope| {
        let ask = |address| connect(address).map(|()| scope.spawn(move || ask(home, address, noted)));
        let asked: Vec<_> = addresses.iter().copied().map(ask).collect();
        let heard = |asked: thread::ScopedJoinHandle<'_, _>| asked.join().unwrap_or(Answer::Silence);
        asked.into_iter().map(|asked| asked.map_or_else(|answer| answer, heard)).collect()
    });
    // Read after the answers: a server writes its runfile before it answers, but after it listens.
    let runfile = runfiles::read(home, port);
    let anybody = answers.iter().any(|answer| !matches!(answer, Answer::Nobody));
    let (mut legacy, mut unknown) = (None, Vec::new());
    for (address, answer) in addresses.into_iter().zip(answers) {
        let Answer::Health(health) = answer else { continue };
        match recognise(home, &health, runfile.as_ref().filter(|runfile| runfile.listens_at(address))) {
            Some(Known::Legacy(found)) => legacy = Some(found),
            Some(Known::Ours(running)) => return Probe::Ours(running),
            None => unknown.push(health),
        }
    }
    if let Some(stray) = unknown.iter().find_map(|health| Stray::prove(home, port, health)) {
        return Probe::Stray(Box::new(stray));
    }
    if let Some(legacy) = legacy {
        // A daemon does not name its process; the system does.
        let pid = legacy.pid.or_else(|| ports::owner(port).map(|owner| owner.pid));
        return Probe::Legacy(Legacy { pid, ..legacy });
    }
    if !anybody {
        return Probe::Free;
    }
    let owner = ports::owner(port);
    let silent = owner.as_ref().and_then(Legacy::silent);
    silent.map_or(Probe::Foreign { owner }, Probe::Legacy)
}

/// Finds out who holds these ports, all at once.
pub fn probe_all(home: &Home, ports: &[u16]) -> Vec<(u16, Probe)> {
    thread::scope(|scope| {
        let probes: Vec<_> =
            ports.iter().map(|&port| scope.spawn(move || (port, probe(home, port)))).collect();
        probes.into_iter().filter_map(|probe| probe.join().ok()).collect()
    })
}

/// This user's monitors that serve without their runfile, by port.
pub fn strays(home: &Home) -> Vec<Stray> {
    // Not asked again: they have their runfiles.
    let known: Vec<u16> =
        runfiles::living(home).unwrap_or_default().iter().map(|runfile| runfile.port).collect();
    let mut ports = ports::of_programs(&stray::PROGRAMS);
    ports.retain(|port| !known.contains(port));
    let mut strays: Vec<Stray> = Vec::new();
    for (_, found) in probe_all(home, &ports) {
        if let Probe::Stray(stray) = found
            && strays.iter().all(|known| known.process.pid != stray.process.pid)
        {
            strays.push(*stray);
        }
    }
    strays.sort_by_key(|stray| stray.port);
    strays
}

/// This user's monitors that answer, by port.
pub fn running(home: &Home) -> Vec<Running> {
    // A home that cannot be read has none that could be found.
    let alive = runfiles::living(home).unwrap_or_default();
    let probed = alive.into_iter().filter_map(|runfile| match probe(home, runfile.port) {
        Probe::Ours(running) => Some(*running),
        _ => None,
    });
    probed.collect()
}

/// Waits until this user's monitor answers on a port; `None` when it does not within `limit`, or when nobody
/// is about to serve there any more.
pub fn wait_for_ours(home: &Home, port: u16, limit: Duration) -> Option<Box<Running>> {
    let started = Instant::now();
    while started.elapsed() < limit {
        match probe(home, port) {
            Probe::Ours(running) => return Some(running),
            _ if !Lock::is_held(home, port) => return None,
            _ => thread::sleep(POLL),
        }
    }
    None
}

/// Whether the monitor of a runfile listens and asks for its token there; whoever else has an address of that port gets
/// none.
fn asks_for_its_token(noted: &Runfile, address: SocketAddr) -> bool {
    noted.access.token && noted.listens_at(address)
}

/// Both loopback addresses of a port, and those that the runfile names.
fn addresses(port: u16, runfile: Option<&Runfile>) -> Vec<SocketAddr> {
    let mut addresses: Vec<SocketAddr> =
        vec![(Ipv4Addr::LOCALHOST, port).into(), (Ipv6Addr::LOCALHOST, port).into()];
    let noted = runfile.into_iter().flat_map(|runfile| &runfile.addresses);
    let noted = noted.filter(|address| address.port() == port && !address.ip().is_unspecified());
    for address in noted {
        if !addresses.contains(address) {
            addresses.push(*address);
        }
    }
    addresses
}

/// What one address has to say.
enum Answer {
    /// Nobody listens.
    Nobody,
    /// Somebody listens and says nothing that could be `/health`.
    Silence,
    /// Some JSON under the route of `/health`.
    Health(Value),
}

/// Finds out whether somebody listens; else that is the answer.
fn connect(address: SocketAddr) -> Result<(), Answer> {
    // Closed again at once: a program that serves one connection at a time shall be free to answer.
    let connected = TcpStream::connect_timeout(&address, CONNECT_LIMIT).map(drop);
    connected.map_err(|error| match error.kind() {
        // Too busy to accept is somebody, too. Where nothing arrives at all, such as at an interface that is down, the
        // system knows whether the address is anybody's.
        ErrorKind::TimedOut | ErrorKind::WouldBlock if TcpListener::bind(address).is_err() => Answer::Silence,
        _ => Answer::Nobody,
    })
}

fn ask(home: &Home, address: SocketAddr, noted: Option<&Runfile>) -> Answer {
    let host = address.ip().to_string();
    let monitor = match noted.filter(|noted| asks_for_its_token(noted, address)) {
        Some(noted) => Monitor::of_at(home, noted, &host, HEALTH_LIMIT),
        None => Monitor::with_limit(&host, address.port(), HEALTH_LIMIT),
    };
    monitor.get(names::HEALTH).map_or(Answer::Silence, Answer::Health)
}

/// What an answer of `/health` proves to be there.
enum Known {
    Ours(Box<Running>),
    Legacy(Legacy),
}

/// Who answers; `None` when it is neither ours nor claude-mpm's.
fn recognise(home: &Home, answer: &Value, runfile: Option<&Runfile>) -> Option<Known> {
    let service = answer["service"].as_str() == Some(names::SERVICE);
    let server_id = answer["server_id"].as_str();
    if service && let Some(runfile) = runfile.filter(|runfile| server_id == Some(&runfile.server_id)) {
        let health = serde_json::from_value(answer.clone()).ok()?;
        return Some(Known::Ours(Box::new(Running { health, runfile: runfile.clone(), home: home.clone() })));
    }
    Legacy::from_health(answer).map(Known::Legacy)
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::Timestamp;
    use serde_json::json;

    fn runfile() -> Runfile {
        Runfile {
            pid: 1,
            process_started_at: Timestamp(1),
            process_start_ticks: None,
            version: "0.1.0".to_owned(),
            host: "localhost".to_owned(),
            port: 9000,
            addresses: Vec::new(),
            server_id: "monitor-1".to_owned(),
            control_token: "secret".to_owned(),
            project: None,
            mode: "background".to_owned(),
            access: Default::default(),
        }
    }

    #[test]
    fn only_the_service_with_the_runfile_s_server_id_is_ours() {
        let ours = json!({"service": "claude-mpm-monitor", "server_id": "monitor-1", "status": "running"});
        let python = json!({"service": "claude-mpm-monitor", "version": "6.5.83", "pid": 7, "uptime": 8});
        let older = json!({"status": "healthy", "server_id": "x", "server_version": "1.0.0", "pid": 8,
            "health_stats": {"last_activity": "2025-07-30"}, "dependencies": {"python_version": "3.11"}});
        let daemon = json!({"status": "healthy", "server": "claude-mpm-python-socketio", "port": 8765});
        let later_daemon = json!({"status": "healthy", "service": "claude-mpm-socketio", "total_events": 3});
        let foreign = json!({"service": "claude-mpm-monitor", "server_id": "monitor-2"});
        let guarded = json!({"service": "claude-mpm-monitor", "status": "running", "version": "0.1.0"});
        let cases = [
            (&ours, Some(runfile()), "ours"),
            (&ours, None, "nobody"),
            (&foreign, Some(runfile()), "nobody"),
            (&python, Some(runfile()), "HTTP 7 6.5.83"),
            (&python, None, "HTTP 7 6.5.83"),
            (&older, None, "HTTP 8 1.0.0"),
            (&daemon, None, "Daemon 0 "),
            (&later_daemon, None, "Daemon 0 "),
            (&json!({"status": "ok"}), Some(runfile()), "nobody"),
            (&guarded, Some(runfile()), "nobody"),
            (&json!("ok"), Some(runfile()), "nobody"),
        ];
        for (answer, runfile, expected) in cases {
            let found = match recognise(&Home::at("/"), answer, runfile.as_ref()) {
                None => "nobody".to_owned(),
                Some(Known::Ours(_)) => "ours".to_owned(),
                Some(Known::Legacy(Legacy { pid, version, style })) => {
                    format!("{style} {} {}", pid.unwrap_or(0), version.unwrap_or_default())
                }
            };
            assert_eq!(found, expected, "{answer} with {runfile:?}");
        }
    }

    #[test]
    fn a_program_on_the_ipv6_loopback_alone_is_foreign() {
        let listener = std::net::TcpListener::bind((Ipv6Addr::LOCALHOST, 0));
        let listener = listener.expect("this test needs the IPv6 loopback");
        let folder = tempfile::tempdir().unwrap();
        let port = listener.local_addr().unwrap().port();
        let Probe::Foreign { owner: Some(owner) } = probe(&Home::at(folder.path()), port) else {
            panic!("half of our visitors would meet it");
        };
        assert_eq!(owner.pid, std::process::id());
    }

    #[test]
    fn a_listener_that_says_nothing_is_foreign_and_named() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path());
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let Probe::Foreign { owner: Some(owner) } = probe(&home, port) else {
            panic!("a silent listener is foreign, and this user can see whose it is");
        };
        assert_eq!(owner.pid, std::process::id());
        drop(listener);
        assert!(matches!(probe(&home, port), Probe::Free));
    }
}
