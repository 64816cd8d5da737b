//! Finding monitors: the one that the environment names, this user's own, and whatever else answers on the usual
//! ports; and choosing the best of them.

use std::cmp::Reverse;
use std::ffi::OsString;
use std::io::ErrorKind;
use std::net::{SocketAddr, ToSocketAddrs, UdpSocket};
use std::path::Path;
use std::thread;

use protocol::paths::Home;
use protocol::{Address, Health, names};

use crate::{Monitor, Probe, Running, probe, running};

/// The variable that names a monitor, wherever it is.
const URL: &str = "CLAUDE_MPM_MONITOR_URL";

/// The token for the monitor that [`URL`] names.
const TOKEN: &str = "CLAUDE_MPM_MONITOR_TOKEN";

/// A monitor that answers.
#[derive(Clone, Debug)]
pub struct Found {
    /// To talk to it.
    pub monitor: Monitor,
    /// What it said.
    pub health: Health,
    /// How it was found, and so how far it can be trusted.
    pub by: FoundBy,
}

impl Found {
    fn ours(running: Running) -> Self {
        let monitor = running.monitor();
        Self { monitor, health: running.health, by: FoundBy::Runfile { project: running.runfile.project } }
    }
}

/// How a monitor was found; the first is the strongest reason to choose it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FoundBy {
    /// The user named its address.
    Environment,
    /// It is this user's own, for the sessions of this folder or, with none, of all.
    Runfile {
        /// The folder.
        project: Option<String>,
    },
    /// claude-mpm's Python monitor listens on a usual port. Nobody proved whose it is.
    Port,
}

/// Every monitor that answers: the named one, those of this home, and claude-mpm's own on the usual ports.
pub fn discover(home: &Home, var: impl Fn(&str) -> Option<OsString>) -> Vec<Found> {
    let set = |name: &str| {
        let value = var(name)?.into_string().ok()?.trim().to_owned();
        (!value.is_empty()).then_some(value)
    };
    let ours = running(home);
    let named = set(URL).and_then(|url| named(&url, set(TOKEN), &ours));
    let ours = ours.into_iter().map(Found::ours);
    named.into_iter().chain(ours).chain(on_usual_ports(home)).collect()
}

/// This user's own monitors that answer.
pub fn ours(home: &Home) -> Vec<Found> {
    running(home).into_iter().map(Found::ours).collect()
}

/// The monitor at an address that the user named. On this machine it is one of this user's, or one that he gave a token
/// for, such as a tunnel's to another machine: anybody may listen at any other port.
fn named(url: &str, token: Option<String>, ours: &[Running]) -> Option<Found> {
    if let Some(token) = token {
        return found(Monitor::at_url(url).with_token(token), FoundBy::Environment);
    }
    let address = Address::of_url(url);
    let of_this_user = |address: &Address| ours.iter().find(|running| running.runfile.is_at(address));
    match address.as_ref().and_then(of_this_user) {
        Some(running) => found(running.monitor(), FoundBy::Environment),
        None if address.as_ref().is_some_and(leads_here) => None,
        None => found(Monitor::at_url(url), FoundBy::Environment),
    }
}

/// The best of several for a program that works in `folder`: the named one; else this user's own for the innermost
/// project around it, then for all sessions, on the usual port rather than another. A Python monitor is never
/// chosen: it keeps no history to follow.
pub fn best<'a>(found: &'a [Found], folder: &Path) -> Option<&'a Found> {
    let rank = |found: &Found| match &found.by {
        FoundBy::Environment => Some((0, Reverse(0), false)),
        FoundBy::Runfile { project: Some(project) } => {
            let depth = Path::new(project).components().count();
            folder.starts_with(project).then_some((1, Reverse(depth), false))
        }
        FoundBy::Runfile { project: None } => Some((2, Reverse(0), found.health.port != names::DEFAULT_PORT)),
        FoundBy::Port => None,
    };
    let ranked = found.iter().filter_map(|found| Some((rank(found)?, found)));
    ranked.min_by_key(|(rank, _)| *rank).map(|(_, found)| found)
}

/// Whether an address is one of this machine's, whatever its name: only then a socket can have it.
fn leads_here(address: &Address) -> bool {
    let is_of_this_machine = |mut found: SocketAddr| {
        found.set_port(0);
        !matches!(UdpSocket::bind(found), Err(error) if error.kind() == ErrorKind::AddrNotAvailable)
    };
    let looked_up = || (address.host.as_str(), address.port).to_socket_addrs();
    address.names_this_machine() || looked_up().is_ok_and(|mut found| found.any(is_of_this_machine))
}

/// All at once, because a port that is held by something silent takes a second.
fn on_usual_ports(home: &Home) -> Vec<Found> {
    thread::scope(|scope| {
        let asked: Vec<_> = names::PORT_RANGE
            .map(|port| {
                scope.spawn(move || matches!(probe(home, port), Probe::Legacy { .. }).then_some(port))
            })
            .collect();
        let ports = asked.into_iter().filter_map(|thread| thread.join().ok().flatten());
        ports.filter_map(|port| found(Monitor::at("localhost", port), FoundBy::Port)).collect()
    })
}

fn found(monitor: Monitor, by: FoundBy) -> Option<Found> {
    let health = monitor.health().ok()?;
    Some(Found { monitor, health, by })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(port: u16, by: FoundBy) -> Found {
        Found { monitor: Monitor::at("localhost", port), health: Health { port, ..Health::default() }, by }
    }

    fn of(project: &str) -> FoundBy {
        FoundBy::Runfile { project: Some(project.to_owned()) }
    }

    #[test]
    fn the_best_is_the_named_one_then_that_of_the_innermost_project_then_that_for_all_sessions() {
        let mut all = vec![
            at(8766, FoundBy::Port),
            at(9000, FoundBy::Runfile { project: None }),
            at(8765, FoundBy::Runfile { project: None }),
            at(9001, of("/work")),
            at(9002, of("/work/shop")),
            at(9003, of("/other")),
            at(9004, FoundBy::Environment),
        ];
        let chosen = |all: &[Found]| best(all, Path::new("/work/shop/api")).map(|found| found.health.port);
        for expected in [9004, 9002, 9001, 8765, 9000] {
            assert_eq!(chosen(&all), Some(expected));
            all.retain(|found| found.health.port != expected);
        }
        assert_eq!(chosen(&all), None, "neither another project's nor a Python monitor");
    }
}
