//! The runfile: what a running server leaves on disk so that this user's other processes find it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use serde::{Deserialize, Serialize};

use crate::{Address, Timestamp, address};

/// `monitor/run/<port>.json`, mode 0600. A hint, never a proof: who holds the lock beside it is alive, and
/// `/health` with the same `server_id` says that it serves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Runfile {
    /// The serving process.
    pub pid: u32,
    /// When that process started; a reused pid has another start time.
    pub process_started_at: Timestamp,
    /// The same as Linux counts it, in ticks since the machine started: unlike a time it is the same after the clock was
    /// changed. `None` where the system does not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process_start_ticks: Option<u64>,
    /// The server's version.
    pub version: String,
    /// The address it was asked to listen on.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Where it really listens, on the dashboard's own port too. The same port of another address may be anybody's, of
    /// `localhost` too: not every machine has both of its addresses from the start. Servers before this was noted have
    /// none here.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<SocketAddr>,
    /// Random identity, also in `/health`.
    pub server_id: String,
    /// A secret that only this user can read; it authorises `POST /api/shutdown`.
    pub control_token: String,
    /// The project it was started for; none takes every project.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// `foreground`, `background` or [`DESKTOP`].
    pub mode: String,
    /// What it asks of its callers.
    #[serde(default)]
    pub access: Access,
}

/// The mode of a server inside the desktop app.
pub const DESKTOP: &str = "desktop";

impl Runfile {
    /// Whether the server is part of the desktop app, which lives on without it.
    pub fn is_in_desktop_app(&self) -> bool {
        self.mode == DESKTOP
    }

    /// Where a program on this machine reaches the server: never a name, which may mean an address of somebody else's.
    pub fn address(&self) -> Address {
        Address::at(&self.destination(self.port).to_string(), self.port)
    }

    /// The host by which people and browsers on this machine reach a port of the server: `localhost` where all that it
    /// means is the server's, else an IP address.
    pub fn near_host(&self, port: u16) -> String {
        let is_localhost = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]
            .into_iter()
            .all(|address| self.listens_at(SocketAddr::new(address, port)));
        if is_localhost { "localhost".to_owned() } else { self.destination(port).to_string() }
    }

    /// Whether the server itself has this address, so that nobody else listens there.
    pub fn listens_at(&self, address: SocketAddr) -> bool {
        let ip = address.ip().to_canonical();
        self.listening().iter().any(|own| {
            let covers = own.ip().is_unspecified() && own.is_ipv4() == ip.is_ipv4();
            own.port() == address.port() && (covers || own.ip().to_canonical() == ip)
        })
    }

    /// Whether it is known where it listens.
    pub fn is_reachable(&self) -> bool {
        !self.listening().is_empty()
    }

    /// Where to connect to for one of its ports. Who does not know where an older server listens is sent to where it
    /// does not, as [`Runfile::listens_at`] tells.
    fn destination(&self, port: u16) -> IpAddr {
        let near = |own: IpAddr| match own {
            IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
            other => other,
        };
        let listening = self.listening();
        let of_port = listening.iter().find(|own| own.port() == port);
        of_port.map_or(Ipv4Addr::LOCALHOST.into(), |own| near(own.ip()))
    }

    /// The addresses noted; of an older server those that its host stands for in any case. No more of `localhost` than
    /// IPv4, and of any other name nothing.
    fn listening(&self) -> Vec<SocketAddr> {
        if !self.addresses.is_empty() {
            return self.addresses.clone();
        }
        let ip = match self.host.as_str() {
            "localhost" => Some(Ipv4Addr::LOCALHOST.into()),
            host => host.parse().ok(),
        };
        ip.map(|ip| SocketAddr::new(ip, self.port)).into_iter().collect()
    }

    /// Whether no other machine can reach it.
    pub fn is_for_this_machine(&self) -> bool {
        address::is_loopback(&self.host)
    }

    /// Whether an address that somebody named is the server's: its port on this machine, or on the very host that it
    /// listens on.
    pub fn is_at(&self, named: &Address) -> bool {
        named.port == self.port && (named.names_this_machine() || named.is_same_host(&self.host))
    }
}

/// When a process started that runs, in the words of its `/proc/PID/stat`. One that has ended, and whose parent has not
/// asked for its exit code yet, runs no more: its ports may be another's.
pub fn start_ticks(stat: &str) -> Option<u64> {
    // The name before may hold anything, blanks and brackets too.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_ascii_whitespace();
    let runs = !matches!(fields.next()?, "Z" | "X" | "x");
    runs.then(|| fields.nth(18)?.parse().ok()).flatten()
}

/// What a server asks of its callers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Access {
    /// Whether everybody needs a token: that of the user's home, or for this user's programs the control token.
    pub token: bool,
    /// SHA-256 of its certificate, when it serves HTTPS. Programs on its own machine may speak plain HTTP with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_fingerprint: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runfile(host: &str, addresses: &[&str]) -> Runfile {
        Runfile {
            pid: 1,
            process_started_at: Timestamp(0),
            process_start_ticks: None,
            version: "0.1.0".to_owned(),
            host: host.to_owned(),
            port: 9,
            addresses: addresses.iter().map(|address| address.parse().expect("an address")).collect(),
            server_id: "id".to_owned(),
            control_token: "secret".to_owned(),
            project: None,
            mode: "background".to_owned(),
            access: Access::default(),
        }
    }

    #[test]
    fn a_server_is_reached_where_it_listens_and_nowhere_else() {
        // The host that was asked for, where the server listens, its name and where programs go, and where others may be.
        type Case<'a> = (&'a str, &'a [&'a str], &'a str, &'a str, &'a [&'a str]);
        let cases: &[Case<'_>] = &[
            (
                "localhost",
                &["127.0.0.1:9", "[::1]:9"],
                "localhost",
                "127.0.0.1",
                &["127.0.0.2:9", "127.0.0.1:8"],
            ),
            ("localhost", &["127.0.0.1:9"], "127.0.0.1", "127.0.0.1", &["[::1]:9"]),
            ("localhost", &["[::1]:9"], "::1", "::1", &["127.0.0.1:9"]),
            ("localhost", &[], "127.0.0.1", "127.0.0.1", &["[::1]:9"]),
            ("127.0.0.1", &[], "127.0.0.1", "127.0.0.1", &["[::1]:9"]),
            ("::1", &[], "::1", "::1", &["127.0.0.1:9"]),
            ("0.0.0.0", &["0.0.0.0:9", "[::1]:9"], "localhost", "127.0.0.1", &["[fd00::5]:9"]),
            ("0.0.0.0", &["0.0.0.0:9"], "127.0.0.1", "127.0.0.1", &["[::1]:9"]),
            ("0.0.0.0", &[], "127.0.0.1", "127.0.0.1", &["[::1]:9"]),
            ("::", &["0.0.0.0:9", "[::]:9"], "localhost", "127.0.0.1", &["[::1]:8"]),
            ("::", &["[::]:9"], "::1", "::1", &["127.0.0.1:9", "[::ffff:127.0.0.1]:9"]),
            ("box", &["192.168.1.5:9"], "192.168.1.5", "192.168.1.5", &["127.0.0.1:9", "[::1]:9"]),
            ("box", &[], "127.0.0.1", "127.0.0.1", &["127.0.0.1:9", "192.168.1.5:9"]),
        ];
        for &(host, addresses, near, destination, others) in cases {
            let runfile = runfile(host, addresses);
            assert_eq!(runfile.near_host(9), near, "{host} {addresses:?}");
            assert_eq!(runfile.address().host, destination, "{host} {addresses:?}");
            for address in addresses {
                assert!(runfile.listens_at(address.parse().expect("an address")), "{host} {address}");
            }
            for other in others {
                assert!(
                    !runfile.listens_at(other.parse().expect("an address")),
                    "{host} {addresses:?} {other}"
                );
            }
        }
    }

    #[test]
    fn the_start_of_a_process_is_found_behind_whatever_its_name_is() {
        let rest = "S 1 4242 4242 0 -1 4194560 1 0 0 0 10 11 12 13 20 0 5 0 987654 22 23";
        for name in ["claude-mpm-moni", "a b", "1) S 2 (", ""] {
            assert_eq!(start_ticks(&format!("4242 ({name}) {rest}")), Some(987_654), "{name:?}");
        }
        for broken in ["", "4242 (name", "4242 (name) S 1"] {
            assert_eq!(start_ticks(broken), None, "{broken:?}");
        }
        for ended in ["Z", "X"] {
            let stat = format!("4242 (name) {}", rest.replacen('S', ended, 1));
            assert_eq!(start_ticks(&stat), None, "a process in state {ended} runs no more");
        }
    }
}
