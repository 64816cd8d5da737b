//! Taking a port: on both loopback addresses for `localhost`, on one address otherwise.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr};

use tokio::net::TcpListener;

use crate::error::Error;

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
        return Ok(vec![TcpListener::bind((host, port)).await.map_err(failed)?]);
    }
    let first = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.map_err(failed)?;
    let port = first.local_addr().map_err(failed)?.port();
    // Browsers may ask for either address of `localhost`; another program on one of them would get half of our
    // visitors, so the port counts as taken then.
    match TcpListener::bind((Ipv6Addr::LOCALHOST, port)).await {
        Ok(second) => Ok(vec![first, second]),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => Err(failed(error)),
        Err(_) => Ok(vec![first]),
    }
}
