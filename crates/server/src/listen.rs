//! Taking a port: on both loopback addresses for `localhost`, on one address otherwise.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::net::{TcpListener, TcpSocket, lookup_host};

use crate::error::Error;

/// Connections that wait to be taken, if the system allows as many. One too many is not refused: its client tries again
/// only after a second, in which a hook has long given up.
const WAITING_MAX: u32 = 4096;

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
    if host != "localhost" {
        return Ok(vec![listen_at_one(host, port).await.map_err(failed)?]);
    }
    let first = listen((Ipv4Addr::LOCALHOST, port).into()).map_err(failed)?;
    let port = first.local_addr().map_err(failed)?.port();
    // Browsers may ask for either address of `localhost`; another program on one of them would get half of our
    // visitors, so the port counts as taken then.
    match listen((Ipv6Addr::LOCALHOST, port).into()) {
        Ok(second) => Ok(vec![first, second]),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => Err(failed(error)),
        Err(_) => Ok(vec![first]),
    }
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
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // A port can be taken again right after the server before. Elsewhere it would let two programs share one.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(WAITING_MAX)
}
