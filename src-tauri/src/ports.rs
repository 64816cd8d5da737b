//! Who uses which port of the range that the menu offers.

use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use client::{Lock, Probe};
use protocol::names;
use protocol::paths::Home;

/// How long one connection may take; on this machine it is made or refused at once.
const CONNECT_LIMIT: Duration = Duration::from_millis(200);

/// The use of a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PortUse {
    Free,
    /// By whom, as it reads after "used by".
    Used(String),
}

/// Looks at every port of the range. Blocks; who holds a port is only asked where somebody does.
pub(crate) fn look(home: &Home) -> Vec<(u16, PortUse)> {
    names::PORT_RANGE.map(|port| (port, r#use(home, port))).collect()
}

fn r#use(home: &Home, port: u16) -> PortUse {
    if Lock::is_held(home, port) {
        return PortUse::Used("your monitor".to_owned());
    }
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    if TcpStream::connect_timeout(&address, CONNECT_LIMIT).is_err() {
        return PortUse::Free;
    }
    PortUse::Used(match client::probe(home, port) {
        Probe::Free => return PortUse::Free,
        Probe::Ours(_) | Probe::Stray(_) => "your monitor".to_owned(),
        Probe::Legacy(_) => "claude-mpm's Python monitor".to_owned(),
        Probe::Foreign { owner } => client::holder(owner.as_ref()),
    })
}
