//! Taking a port: on both loopback addresses for `localhost`, on one address otherwise.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr};

use tokio::net::TcpListener;

use crate::error::Error;

/// Listeners of one port, IPv4 first.
pub(crate) async fn bind(host: &str, port: u16) -> Result<Vec<TcpListener>, Error> {
    let failed = |source| Error::Listen { address: format!("{host}:{port}"), source };
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
