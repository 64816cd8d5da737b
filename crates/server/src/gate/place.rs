//! Where a request is addressed to and which page sent it, in the strict form in which clients write that: whatever
//! could be read in two ways is no place.

use std::net::{IpAddr, Ipv6Addr};

use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, Request, header};

/// The port of `http://` when none is named.
const HTTP_PORT: u16 = 80;

/// The port of `https://` when none is named.
const HTTPS_PORT: u16 = 443;

/// `host` or `host:port`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    /// A name, or an address without brackets.
    name: &'a str,
    port: Option<u16>,
}

impl<'a> Place<'a> {
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        let (name, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (address, port) = rest.split_once(']')?;
                address.parse::<Ipv6Addr>().ok()?;
                (address, port)
            }
            None => {
                let (name, port) = text.split_at(text.find(':').unwrap_or(text.len()));
                let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
                if name.is_empty() || !name.bytes().all(is_name) {
                    return None;
                }
                (name, port)
            }
        };
        let port = match port.strip_prefix(':') {
            None if port.is_empty() => None,
            // A sign would be read as part of a number.
            Some(digits) if digits.starts_with(|first: char| first.is_ascii_digit()) => {
                Some(digits.parse().ok()?)
            }
            _ => return None,
        };
        Some(Self { name, port })
    }

    /// Whether it has that name, in whatever case.
    pub(crate) fn is_named(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }

    pub(crate) fn address(&self) -> Option<IpAddr> {
        self.name.parse().ok()
    }

    /// Whether it can only be this machine.
    pub(crate) fn is_loopback(&self) -> bool {
        let below = self.name.len().checked_sub(".localhost".len()).and_then(|at| self.name.get(at..));
        self.is_named("localhost")
            || below.is_some_and(|end| end.eq_ignore_ascii_case(".localhost"))
            || self.address().is_some_and(|address| address.is_loopback())
    }

    /// Whether both are the same, when `port` is meant where none is named.
    fn is_same(&self, other: &Self, port: u16) -> bool {
        self.is_named(other.name) && self.port.unwrap_or(port) == other.port.unwrap_or(port)
    }
}

/// A page's origin, as browsers write it: `http://host:port` or `https://host:port` and nothing more.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Origin<'a> {
    pub place: Place<'a>,
    default_port: u16,
}

impl<'a> Origin<'a> {
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        let (scheme, place) = text.split_once("://")?;
        let default_port = match scheme {
            _ if scheme.eq_ignore_ascii_case("http") => HTTP_PORT,
            _ if scheme.eq_ignore_ascii_case("https") => HTTPS_PORT,
            _ => return None,
        };
        Some(Self { place: Place::parse(place)?, default_port })
    }

    /// Whether the page came from this place.
    pub(crate) fn is_of(&self, place: &Place<'_>) -> bool {
        self.place.is_same(place, self.default_port)
    }
}

/// Why nobody can tell where a request is addressed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoPlace {
    /// It says nothing of it.
    Missing,
    /// It says two things.
    Ambiguous,
}

/// Where a request is addressed to, as it was written: in its one `Host` header, with which a whole address in its
/// first line must agree.
pub(crate) fn addressed<B>(request: &Request<B>) -> Result<&str, NoPlace> {
    let in_line = request.uri().authority().map(Authority::as_str);
    let in_header = only(request.headers(), &header::HOST).map_err(|Several| NoPlace::Ambiguous)?;
    let host = match (in_header, in_line) {
        (Some(host), Some(line)) => {
            let is_https = request.uri().scheme_str() == Some("https");
            let port = if is_https { HTTPS_PORT } else { HTTP_PORT };
            let both = Place::parse(host).zip(Place::parse(line));
            if !both.is_some_and(|(host, line)| host.is_same(&line, port)) {
                return Err(NoPlace::Ambiguous);
            }
            host
        }
        (Some(host), None) => host,
        (None, Some(line)) => line,
        (None, None) => return Err(NoPlace::Missing),
    };
    if host.is_empty() { Err(NoPlace::Missing) } else { Ok(host) }
}

/// Whether a page of the very server that is asked sent the request.
pub(crate) fn is_own_page(headers: &HeaderMap) -> bool {
    let text = |name| only(headers, name).ok().flatten();
    let origin = text(&header::ORIGIN).and_then(Origin::parse);
    origin.zip(text(&header::HOST).and_then(Place::parse)).is_some_and(|(origin, host)| origin.is_of(&host))
}

/// A header came more than once.
pub(crate) struct Several;

/// The text of a header that may come once; one that is no text is an empty one.
pub(crate) fn only<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<Option<&'h str>, Several> {
    let mut values = headers.get_all(name).iter();
    let value = values.next().map(|value| value.to_str().unwrap_or_default());
    if values.next().is_some() { Err(Several) } else { Ok(value) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_name_or_an_address_and_a_port_and_nothing_more() {
        for text in
            ["localhost", "LOCALHOST:1", "a_b.c-d:65535", "127.0.0.1:80", "[::1]", "[2001:db8::1]:8765"]
        {
            assert!(Place::parse(text).is_some(), "{text}");
        }
        for text in [
            "",
            ":80",
            "localhost:",
            "localhost:x",
            "localhost:+1",
            "localhost:65536",
            "localhost:1:2",
            "a b",
            "::1",
            "[::1",
            "[::1]x",
            "[::1].evil.example",
            "[::1]evil.example:80",
            "[evil.example]",
            "[]",
            "user@localhost",
            "localhost@evil.example",
            "localhost/x",
            "localhost#",
            "localhost?",
            "b\u{fc}ro",
            "localhost,evil.example",
            "localhost\\evil",
        ] {
            assert!(Place::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn an_origin_has_a_scheme_of_the_web_and_belongs_to_one_place() {
        let of = |origin: &str, place: &str| {
            let place = Place::parse(place).expect("a place");
            Origin::parse(origin).is_some_and(|origin| origin.is_of(&place))
        };
        assert!(of("http://LOCALHOST:8765", "localhost:8765") && of("https://h.lan", "h.lan:443"));
        assert!(of("http://[::1]:80", "[::1]"));
        assert!(!of("http://localhost:8765", "localhost:8766") && !of("https://h.lan", "h.lan:80"));
        for text in ["tauri://localhost", "javascript://localhost", "http://u@localhost", "http://localhost/"]
        {
            assert!(Origin::parse(text).is_none(), "{text}");
        }
    }
}
