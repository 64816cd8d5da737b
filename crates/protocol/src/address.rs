//! Where a monitor is, as people and variables name it, and whether that names this machine: there another user may
//! listen on any port, so its name alone says nothing of who does.

use std::net::IpAddr;

/// The loopback address to connect to. Not `localhost`, which may be looked up.
const LOOPBACK: &str = "127.0.0.1";

/// A host, a port there, and what stands in front of the routes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// An IP address, or a name to look up; without brackets.
    pub host: String,
    /// The port there.
    pub port: u16,
    /// What stands in front of each route; empty without a reverse proxy.
    pub path: String,
    /// The `Host` header.
    pub authority: String,
}

impl Address {
    /// `http://host[:port][/path]`; `None` for anything else, such as https, which is spoken by browsers only.
    pub fn of_url(url: &str) -> Option<Self> {
        let scheme = url.get(..7).filter(|scheme| scheme.eq_ignore_ascii_case("http://"))?;
        let rest = url[scheme.len()..].split(['?', '#']).next()?;
        if rest.contains(|c: char| !c.is_ascii_graphic() || c == '@') {
            return None;
        }
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, port.parse().ok()?),
            _ => (authority, 80),
        };
        let host = without_brackets(host);
        (!host.is_empty()).then(|| Self {
            host: host.to_owned(),
            port,
            path: path.trim_end_matches('/').to_owned(),
            authority: authority.to_owned(),
        })
    }

    /// A host as settings name it. One that only means "listen everywhere", or is none, is this machine.
    pub fn at(host: &str, port: u16) -> Self {
        let host =
            Some(without_brackets(host.trim())).filter(|host| is_destination(host)).unwrap_or(LOOPBACK);
        let authority = match host {
            local if is_loopback(local) => format!("localhost:{port}"),
            ipv6 if ipv6.contains(':') => format!("[{ipv6}]:{port}"),
            other => format!("{other}:{port}"),
        };
        Self { host: host.to_owned(), port, path: String::new(), authority }
    }

    /// Whether it is this machine by its very name. Other names may lead here as well, once they are looked up.
    pub fn names_this_machine(&self) -> bool {
        let host = self.host.trim_end_matches('.');
        let is_unspecified = || host.parse::<IpAddr>().is_ok_and(|ip| ip.to_canonical().is_unspecified());
        is_loopback(host) || is_unspecified()
    }

    /// Whether both name the same host, by the same name.
    pub fn is_same_host(&self, host: &str) -> bool {
        let host = without_brackets(host);
        match (self.host.parse::<IpAddr>(), host.parse::<IpAddr>()) {
            (Ok(one), Ok(other)) => one.to_canonical() == other.to_canonical(),
            _ => self.host.eq_ignore_ascii_case(host),
        }
    }
}

/// Whether one can connect to it; `0.0.0.0` and `::` only mean "listen everywhere".
fn is_destination(host: &str) -> bool {
    let is_name =
        || host.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'));
    !host.is_empty() && host.parse::<IpAddr>().map_or_else(|_| is_name(), |ip| !ip.is_unspecified())
}

/// Whether only this machine reaches what listens there.
pub(crate) fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<IpAddr>().is_ok_and(|ip| ip.to_canonical().is_loopback())
}

fn without_brackets(host: &str) -> &str {
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_taken_apart_or_refused() {
        // URL, host, port, path, Host header
        let cases = [
            ("http://localhost:8765", Some(("localhost", 8765, "", "localhost:8765"))),
            ("HTTP://10.0.0.9:8765/", Some(("10.0.0.9", 8765, "", "10.0.0.9:8765"))),
            ("http://box/monitor/?x=1", Some(("box", 80, "/monitor", "box"))),
            ("http://[::1]:8765", Some(("::1", 8765, "", "[::1]:8765"))),
            ("http://[::1]", Some(("::1", 80, "", "[::1]"))),
            ("https://box", None),
            ("box:8765", None),
            ("http://", None),
            ("http://box:port", None),
            ("http://user:secret@box", None),
            ("http://box\r\nX: y", None),
        ];
        for (url, expected) in cases {
            let found = Address::of_url(url);
            let parts =
                found.as_ref().map(|a| (a.host.as_str(), a.port, a.path.as_str(), a.authority.as_str()));
            assert_eq!(parts, expected, "{url:?}");
        }
    }

    #[test]
    fn this_machine_is_known_by_each_of_its_names() {
        let here =
            ["localhost", "LocalHost", "localhost.", "127.0.0.1", "127.9.9.9", "[::1]", "0.0.0.0", "[::]"];
        for host in here.into_iter().chain(["[::ffff:127.0.0.1]", "[::ffff:0.0.0.0]"]) {
            let address = Address::of_url(&format!("http://{host}:9")).expect("a URL");
            assert!(address.names_this_machine(), "{host}");
        }
        for host in ["box", "localhost.box", "10.0.0.9", "[fd00::5]", "[::ffff:10.0.0.9]"] {
            let address = Address::of_url(&format!("http://{host}:9")).expect("a URL");
            assert!(!address.names_this_machine(), "{host}");
        }
    }
}
