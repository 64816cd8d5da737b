//! The other end of a connection: its address, and on Linux which user's it is.

#[cfg(target_os = "linux")]
mod sock_diag;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// The other end of a connection; every request carries it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer {
    /// Where it is; an IPv4 address is one, also on an IPv6 listener.
    pub address: SocketAddr,
    /// Whether the connection is encrypted.
    pub is_https: bool,
    /// Whose program it is, as far as that is a reason to trust it: untold where everybody needs a token.
    pub user: User,
    /// Whose program it is, as the system says.
    pub owner: User,
}

/// Whose program is at the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum User {
    /// This user's, or root's, who reads this user's files anyway.
    Own,
    /// Another user's of this machine, or that of somebody who is gone already.
    Other,
    /// The system does not tell, or it is another machine.
    Untold,
}

impl Peer {
    /// Whether it is a program of this user on this machine; where the system does not tell, any on this machine.
    pub(crate) fn is_own(&self) -> bool {
        match self.owner {
            User::Own => true,
            User::Other => false,
            User::Untold => self.address.ip().is_loopback(),
        }
    }

    /// What it counts as where senders are limited.
    pub(crate) fn origin(&self) -> Origin {
        match self.address.ip() {
            _ if self.user == User::Other => Origin::OtherUser,
            address if address.is_loopback() => Origin::Loopback,
            IpAddr::V4(address) => Origin::V4(address),
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                Origin::V6([a, b, c, d])
            }
        }
    }
}

/// What counts as one sender where senders are limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Origin {
    /// This machine, by its loopback addresses.
    Loopback,
    /// All other users of this machine together, where the system tells them apart.
    OtherUser,
    /// One IPv4 address.
    V4(Ipv4Addr),
    /// One IPv6 network: whoever has an address there has all of them.
    V6([u16; 4]),
}

/// An IPv4 address that came over an IPv6 listener as what it is.
pub(crate) fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// Tells the users of this machine apart.
pub(crate) struct Users {
    #[cfg(target_os = "linux")]
    kernel: Option<sock_diag::Kernel>,
}

impl Users {
    /// `None` never: a system that does not tell makes every answer [`User::Untold`], and the log says so.
    pub(crate) fn new() -> Self {
        #[cfg(target_os = "linux")]
        {
            let kernel = sock_diag::Kernel::open();
            if let Err(error) = &kernel {
                let way_out = "set require_token in the configuration if others use this machine";
                tracing::info!(%error, way_out, "the system does not tell whose a connection is");
            }
            Self { kernel: kernel.ok() }
        }
        #[cfg(not(target_os = "linux"))]
        Self {}
    }

    /// Whose program is at `peer`, the other end of a connection to `local`.
    pub(crate) fn user(&self, peer: SocketAddr, local: SocketAddr) -> User {
        #[cfg(target_os = "linux")]
        if let Some(kernel) = self.kernel.as_ref().filter(|_| peer.ip().is_loopback()) {
            return match kernel.owner(peer, local) {
                Ok(Some(uid)) if uid == 0 || uid == rustix::process::geteuid().as_raw() => User::Own,
                Ok(_) => User::Other,
                Err(error) => {
                    tracing::warn!(%error, "could not find out whose a connection is");
                    User::Other
                }
            };
        }
        let _ = (peer, local);
        User::Untold
    }
}
