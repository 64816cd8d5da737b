//! Under which names this server may be addressed, and which pages may call it.

use crate::config::Config;
use crate::gate::place::{Origin, Place};

/// The names under which this server may be addressed and called.
#[derive(Debug)]
pub(crate) struct Allowed {
    hosts: Vec<String>,
    origins: Vec<String>,
    any_origin: bool,
    /// Whether other machines reach it by addresses that we need not know, such as that of a container's host. No
    /// name was made to point at us where there is no name.
    any_address: bool,
}

impl Allowed {
    pub(crate) fn of(config: &Config) -> Self {
        let hosts = config.allowed_hosts.iter().chain([&config.host]);
        let origins =
            config.cors_allowed_origins.iter().map(|origin| origin.trim_end_matches('/').to_owned());
        Self {
            hosts: hosts.map(|host| host.trim_start_matches('[').trim_end_matches(']').to_owned()).collect(),
            origins: origins.collect(),
            any_origin: config.cors_allowed_origins.iter().any(|o| o == "*"),
            any_address: !config.is_loopback(),
        }
    }

    /// Whether a request was addressed to us. A page of another site whose name was made to point here is
    /// known by its name.
    pub(crate) fn host(&self, host: &str) -> bool {
        Place::parse(host)
            .is_some_and(|place| self.is_ours(&place) || self.any_address && place.address().is_some())
    }

    /// Whether a page of this origin may change or read things at this host, whose name is known to be ours.
    pub(crate) fn origin(&self, origin: &str, host: &str) -> bool {
        // What the user wrote may be of any kind, such as a browser's extension.
        if self.any_origin || self.origins.iter().any(|allowed| allowed.eq_ignore_ascii_case(origin)) {
            return true;
        }
        let Some(origin) = Origin::parse(origin) else { return false };
        self.is_ours(&origin.place) || Place::parse(host).is_some_and(|host| origin.is_of(&host))
    }

    fn is_ours(&self, place: &Place<'_>) -> bool {
        place.is_loopback() || self.hosts.iter().any(|host| place.is_named(host))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(host: &str, origins: &[&str]) -> Allowed {
        let cors_allowed_origins = origins.iter().map(|&origin| origin.to_owned()).collect();
        Allowed::of(&Config { host: host.to_owned(), cors_allowed_origins, ..Config::default() })
    }

    #[test]
    fn only_our_own_names_are_hosts() {
        let names = vec!["Monitor.lan".to_owned()];
        let allowed = Allowed::of(&Config { allowed_hosts: names, ..Config::default() });
        for host in ["localhost:8765", "127.0.0.1", "[::1]:9", "LOCALHOST", "monitor.lan:80", "app.localhost"]
        {
            assert!(allowed.host(host), "{host}");
        }
        for host in [
            "evil.example",
            "localhost.evil.example:8765",
            "10.0.0.1",
            "",
            "a b",
            "[::1].evil.example",
            "localhost@evil.example",
        ] {
            assert!(!allowed.host(host), "{host}");
        }
    }

    #[test]
    fn only_loopback_and_configured_pages_are_origins() {
        let strict = allowed("localhost", &["https://tools.example"]);
        for origin in ["http://localhost:3000", "http://127.0.0.1", "http://[::1]:5", "https://tools.example"]
        {
            assert!(strict.origin(origin, "localhost:8765"), "{origin}");
        }
        for origin in
            ["null", "", "http://evil.example", "http://localhost.evil.example", "https://tools.example.evil"]
        {
            assert!(!strict.origin(origin, "localhost:8765"), "{origin}");
        }
        for origin in
            ["tauri://localhost", "app://localhost", "javascript://localhost", "http://user@localhost"]
        {
            assert!(!strict.origin(origin, "localhost:8765"), "{origin}");
        }
        let extension = "chrome-extension://abcdefgh";
        assert!(allowed("localhost", &[extension]).origin(extension, "localhost"), "the user wrote it");
        assert!(allowed("localhost", &["*"]).origin("http://evil.example", "localhost"), "the user wrote it");
    }

    #[test]
    fn a_server_for_other_machines_has_any_address_but_no_other_name_and_its_own_pages_only() {
        let open = allowed("0.0.0.0", &[]);
        for host in ["192.0.2.7:8765", "[2001:db8::1]:8765", "127.0.0.1", "0.0.0.0"] {
            assert!(open.host(host), "{host}");
        }
        assert!(!open.host("evil.example") && !open.host("192.0.2.7.evil.example"));
        assert!(open.origin("http://192.0.2.7:8765", "192.0.2.7:8765"), "its own page");
        assert!(!open.origin("http://192.0.2.8:8765", "192.0.2.7:8765"), "another machine's");
        assert!(!open.origin("http://192.0.2.7:80", "192.0.2.7:8765"), "another program's");
    }
}
