//! Taking a port: on both loopback addresses for `localhost` and for a server that listens everywhere, which programs of
//! this machine reach as `localhost`; on one address otherwise.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, lookup_host};

use crate::error::Error;

/// Connections that wait to be taken, if the system allows as many. One too many is not refused: its client tries again
/// only after a second, in which a hook has long given up.
const WAITING_MAX: u32 = 4096;

/// How long a connection to this very process may take. The system makes it while it is asked to.
const OWN_CONNECTION_LIMIT: Duration = Duration::from_millis(500);

/// A taken port: whoever connects waits until a server runs on it.
#[derive(Debug, Default)]
pub struct Listeners(pub(crate) Vec<TcpListener>);

impl Listeners {
    /// The port, unless nothing was taken.
    pub fn port(&self) -> Option<u16> {
        self.0.first()?.local_addr().ok().map(|address| address.port())
    }
}

/// Takes a port.
pub(crate) async fn bind(host: &str, port: u16) -> Result<Listeners, Error> {
    bind_all(host, port).await.map(Listeners)
}

/// Listeners of one port, IPv4 first.
async fn bind_all(host: &str, port: u16) -> Result<Vec<TcpListener>, Error> {
    let failed = |source| Error::Listen { address: format!("{host}:{port}"), port, source };
    let first = match host {
        "localhost" => listen((Ipv4Addr::LOCALHOST, port).into()),
        _ => listen_at_one(host, port).await,
    };
    let first = first.map_err(failed)?;
    let address = first.local_addr().map_err(failed)?;
    let other: Option<IpAddr> = match address.ip() {
        IpAddr::V4(ip) if host == "localhost" || ip.is_unspecified() => Some(Ipv6Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => Some(Ipv4Addr::LOCALHOST.into()),
        _ => None,
    };
    let Some(other) = other else { return Ok(vec![first]) };
    // Programs may ask for either address of `localhost`; another program on one of them would get half of our
    // visitors, so the port counts as taken then. Where IPv6 brings IPv4 along it is taken by ourselves.
    match listen((other, address.port()).into()) {
        Ok(second) => Ok(vec![first, second]),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse && other.is_ipv6() => Err(failed(error)),
        Err(_) => Ok(vec![first]),
    }
}

/// What a listener takes: one address, or with every one of IPv6 every one of IPv4 as well.
pub(crate) fn addresses(listener: &TcpListener) -> Vec<SocketAddr> {
    let Ok(bound) = listener.local_addr() else { return Vec::new() };
    let also = takes_ipv4_too(listener, bound.ip()).then(|| (Ipv4Addr::UNSPECIFIED, bound.port()).into());
    std::iter::once(bound).chain(also).collect()
}

#[cfg(unix)]
fn takes_ipv4_too(listener: &TcpListener, bound: IpAddr) -> bool {
    bound == IpAddr::V6(Ipv6Addr::UNSPECIFIED)
        && rustix::net::sockopt::ipv6_v6only(listener).is_ok_and(|is_ipv6_only| !is_ipv6_only)
}

/// Windows keeps the two apart.
#[cfg(not(unix))]
fn takes_ipv4_too(_: &TcpListener, _: IpAddr) -> bool {
    false
}

/// Listens at the first address of a host that can be taken.
async fn listen_at_one(host: &str, port: u16) -> io::Result<TcpListener> {
    let mut last = None;
    for address in lookup_host((host, port)).await? {
        match listen(address) {
            Ok(listener) => return Ok(listener),
            Err(error) => last = Some(error),
        }
    }
    Err(last.unwrap_or_else(|| io::Error::new(io::ErrorKind::AddrNotAvailable, "the host has no address")))
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    has_way(address.ip())?;
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // A port can be taken again right after the server before. Elsewhere it would let two programs share one.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(WAITING_MAX)
}

/// Refuses an address to which no program on this machine has a way: the system lets a port of it be taken all the same
/// while its interface is down, the loopback's too.
fn has_way(address: IpAddr) -> io::Result<()> {
    // These mean every address, and are no destinations.
    let near: &[IpAddr] = match address {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => &[IpAddr::V4(Ipv4Addr::LOCALHOST)],
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => {
            &[IpAddr::V6(Ipv6Addr::LOCALHOST), IpAddr::V4(Ipv4Addr::LOCALHOST)]
        }
        ref other => std::slice::from_ref(other),
    };
    let mut tried = near.iter().map(|address| look_up(*address));
    let first = tried.next().unwrap_or(Ok(()));
    if first.is_ok() || tried.any(|other| other.is_ok()) { Ok(()) } else { first }
}

/// Lets the system look for the way to an address. Nothing is sent there, so the port does not matter.
fn look_up(address: IpAddr) -> io::Result<()> {
    const ANY_PORT: u16 = 9;
    let from: IpAddr = match address {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    match UdpSocket::bind((from, 0)).and_then(|socket| socket.connect((address, ANY_PORT))) {
        Err(error) if no_way(&error) => Err(error),
        // Whatever else keeps us from asking, the port itself may be had.
        _ if address.is_loopback() => reach_this_process(address),
        _ => Ok(()),
    }
}

/// Connects to this process. There is a way to a loopback interface that is down; what is sent there just vanishes.
fn reach_this_process(address: IpAddr) -> io::Result<()> {
    // Without a port for it nothing is known.
    let Ok(listener) = std::net::TcpListener::bind((address, 0)) else { return Ok(()) };
    match TcpStream::connect_timeout(&listener.local_addr()?, OWN_CONNECTION_LIMIT) {
        Err(error) if matches!(error.kind(), io::ErrorKind::TimedOut | io::ErrorKind::NetworkDown) => {
            Err(io::Error::new(io::ErrorKind::NetworkDown, "the loopback interface is down"))
        }
        _ => Ok(()),
    }
}

fn no_way(error: &io::Error) -> bool {
    use io::ErrorKind::{AddrNotAvailable, HostUnreachable, NetworkUnreachable};
    matches!(error.kind(), AddrNotAvailable | HostUnreachable | NetworkUnreachable)
}
