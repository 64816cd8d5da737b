//! Which programs listen on which TCP ports, as the operating system tells. Never a guess.

use std::fmt;
use std::path::Path;

use crate::process;

/// How often it is asked at most who listens.
const LOOKS_MAX: usize = 3;

/// The program that listens on a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The process.
    pub pid: u32,
    /// The name of its program.
    pub program: String,
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (pid {})", self.program, self.pid)
    }
}

/// The owner as it reads in a sentence.
pub fn holder(owner: Option<&Owner>) -> String {
    owner.map_or_else(|| "another program".to_owned(), Owner::to_string)
}

/// The program that listens on a port; `None` when the system does not tell, as for other users' programs.
pub fn owner(port: u16) -> Option<Owner> {
    owners(port).into_iter().next()
}

/// The ports on which programs of these names listen, as far as the system shows this user.
pub(crate) fn of_programs(names: &[&str]) -> Vec<u16> {
    let Ok(listeners) = listeners::get_all() else { return Vec::new() };
    let is_one = |listener: &listeners::Listener| {
        let name = Path::new(&listener.process.path).file_name().unwrap_or_default().to_string_lossy();
        // So Linux calls a program that was replaced since.
        let name = name.strip_suffix(" (deleted)").unwrap_or(&name);
        names.contains(&name.strip_suffix(std::env::consts::EXE_SUFFIX).unwrap_or(name))
    };
    let listens = |listener: &listeners::Listener| listener.state == listeners::SocketState::Listen;
    let found = listeners.into_iter().filter(listens).filter(is_one);
    let mut ports: Vec<u16> = found.map(|listener| listener.socket.port()).collect();
    ports.sort_unstable();
    ports.dedup();
    ports
}

/// Every program that listens on a port, those first that a browser on this machine would reach: IPv4 and
/// IPv6 may be in different hands.
pub fn owners(port: u16) -> Vec<Owner> {
    // A process that ended while we looked only held what it had been forked with: who has it now?
    let looks = (0..LOOKS_MAX).map(|_| look(port));
    looks.flatten().next().unwrap_or_default()
}

/// `None` when a process ended meanwhile.
fn look(port: u16) -> Option<Vec<Owner>> {
    let Ok(listeners) = listeners::get_all() else { return Some(Vec::new()) };
    let mut found: Vec<_> = listeners
        .into_iter()
        .filter(|listener| listener.socket.port() == port)
        .filter(|listener| listener.protocol == listeners::Protocol::TCP)
        .filter(|listener| listener.state == listeners::SocketState::Listen)
        .collect();
    found.sort_by_key(|listener| {
        let address = listener.socket.ip();
        let is_near = address.is_loopback() || address.is_unspecified();
        (!is_near, address.is_ipv6(), listener.process.pid)
    });
    let mut owners: Vec<Owner> = Vec::new();
    for listener in found {
        let owner = named(&listener.process)?;
        if !owners.contains(&owner) {
            owners.push(owner);
        }
    }
    Some(owners)
}

/// Linux cuts the name of a process after 15 bytes; the executable's own name is whole when it continues it.
fn named(process: &listeners::Process) -> Option<Owner> {
    let (pid, name) = process::program_of(process.pid)?;
    let file = Path::new(&process.path).file_name().map(|name| name.to_string_lossy().into_owned());
    let program = file.filter(|file| file.starts_with(&name)).unwrap_or(name);
    Some(Owner { pid, program })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv6Addr, TcpListener};

    #[test]
    fn a_program_on_the_ipv6_loopback_alone_is_found_too() {
        let listener =
            TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).expect("this test needs the IPv6 loopback");
        let port = listener.local_addr().unwrap().port();
        let pids: Vec<_> = owners(port).into_iter().map(|owner| owner.pid).collect();
        assert_eq!(pids, [std::process::id()], "once, whatever the number of its sockets");
        drop(listener);
    }

    #[cfg(unix)]
    #[test]
    fn a_program_that_shares_its_port_with_processes_it_forked_is_the_one_that_was_started() {
        use std::io::{BufRead as _, BufReader};
        use std::process::{Command, Stdio};

        let fork = "import os, socket, sys
listener = socket.create_server(('127.0.0.1', 0))
worker = os.fork()
if worker:
    print(listener.getsockname()[1], flush=True)
sys.stdin.read()";
        let mut python = Command::new("python3")
            .args(["-c", fork])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("this test needs python3");
        let mut port = String::new();
        BufReader::new(python.stdout.take().unwrap()).read_line(&mut port).unwrap();
        let pids: Vec<_> = owners(port.trim().parse().unwrap()).into_iter().map(|owner| owner.pid).collect();
        drop(python.stdin.take());
        let started = python.id();
        python.wait().unwrap();
        assert_eq!(pids, [started]);
    }
}
