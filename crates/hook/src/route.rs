//! Decides where an event goes. On this machine only to a port that a living server of this user proves to be its own,
//! or for which the user gave a token: another user may listen on any other.

use std::path::Path;

use protocol::names::DEFAULT_PORT;
use protocol::{Address, Runfile, project};

/// A whole address, set by `claude-mpm-monitor run` or by the user for a server elsewhere.
const URL: &str = "CLAUDE_MPM_MONITOR_URL";

/// The token for a server that a variable names by its whole address.
const TOKEN: &str = "CLAUDE_MPM_MONITOR_TOKEN";

/// Variables that name a port, first the one that counts most, each with the host that belongs to it. The
/// later ones are claude-mpm's.
const PORTS: [(&str, &str); 3] = [
    ("CLAUDE_MPM_MONITOR_PORT", "CLAUDE_MPM_MONITOR_HOST"),
    ("CLAUDE_MPM_SOCKETIO_PORT", "CLAUDE_MPM_SOCKETIO_HOST"),
    ("CLAUDE_MPM_SERVER_PORT", "CLAUDE_MPM_SERVER_HOST"),
];

/// Where to post, and why there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The place.
    pub address: Address,
    /// Who says that this user's events may go there.
    pub word: Word,
}

/// Whose word an address is, and so which secret goes along with an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Word {
    /// A server's of this user that lives there. It is given the token of the user's home where it asks for it.
    Server {
        /// Whether it does.
        wants_token: bool,
    },
    /// The user's, who named the address together with this token, such as a tunnel's to another machine.
    Token(String),
    /// The user's, who named a host and nothing more: good for any machine but this one.
    Host,
}

/// The server for an event, by the first of: the URL variable, a port variable, the runfile of the innermost
/// project around `cwd`, the runfile of the configured or default port, the only runfile. `None` is the spool.
/// Files are read only when the variables do not decide it.
pub fn target(
    variable: impl Fn(&str) -> Option<String>,
    runfiles: impl FnOnce() -> Vec<Runfile>,
    configured_port: impl FnOnce() -> Option<u16>,
    cwd: Option<&Path>,
) -> Option<Target> {
    let set = |name: &str| variable(name).filter(|value| !value.trim().is_empty());
    let token = || set(TOKEN).and_then(|token| usable(&token));
    if let Some(url) = set(URL) {
        return named(Address::of_url(url.trim())?, token(), runfiles);
    }
    if let Some(address) = by_port_variable(&set) {
        // Programs set ports of this machine, and know of no token that the user has for another one.
        let token = if address.names_this_machine() { None } else { token() };
        return named(address, token, runfiles);
    }
    let runfiles = runfiles();
    let chosen = cwd
        .and_then(|cwd| project::innermost(&runfiles, |runfile| runfile.project.as_deref(), cwd))
        .or_else(|| of_port(&runfiles, configured_port()?))
        .or_else(|| of_port(&runfiles, DEFAULT_PORT))
        .or_else(|| if let [only] = &runfiles[..] { Some(only) } else { None });
    chosen.map(of_runfile)
}

/// The target that variables name. On this machine it is a server of this user or none.
fn named(address: Address, token: Option<String>, runfiles: impl FnOnce() -> Vec<Runfile>) -> Option<Target> {
    if let Some(token) = token {
        return Some(Target { address, word: Word::Token(token) });
    }
    if let Some(runfile) = runfiles().iter().find(|runfile| runfile.is_at(&address)) {
        let Target { address: of_server, word } = of_runfile(runfile);
        return Some(Target { address: Address { path: address.path, ..of_server }, word });
    }
    (!address.names_this_machine()).then_some(Target { address, word: Word::Host })
}

fn by_port_variable(set: &impl Fn(&str) -> Option<String>) -> Option<Address> {
    PORTS.iter().find_map(|(port, host)| {
        let port: u16 = set(port)?.trim().parse().ok().filter(|port| *port > 0)?;
        Some(Address::at(&set(host).unwrap_or_default(), port))
    })
}

fn of_port(runfiles: &[Runfile], port: u16) -> Option<&Runfile> {
    runfiles.iter().find(|runfile| runfile.port == port)
}

fn of_runfile(runfile: &Runfile) -> Target {
    Target { address: runfile.address(), word: Word::Server { wants_token: runfile.access.token } }
}

/// A token that would break the request's head is none.
fn usable(token: &str) -> Option<String> {
    let token = token.trim();
    token.bytes().all(|byte| byte.is_ascii_graphic()).then(|| token.to_owned())
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use protocol::Timestamp;
    use protocol::runfile::Access;

    use super::*;

    const ASKED_FOR: Word = Word::Server { wants_token: true };
    const OPEN: Word = Word::Server { wants_token: false };

    /// Where a server listens that was asked to listen on that host.
    fn addresses(host: &str, port: u16) -> Vec<SocketAddr> {
        let ips: &[&str] = match host {
            "localhost" => &["127.0.0.1", "::1"],
            "0.0.0.0" => &["0.0.0.0", "::1"],
            "::" => &["0.0.0.0", "::"],
            "box" => &["192.168.1.5"],
            ip => &[ip],
        };
        ips.iter().map(|ip| SocketAddr::new(ip.parse().expect("an address"), port)).collect()
    }

    /// A server on that host; beyond loopback it asks for the token.
    fn runfile(port: u16, project: Option<&str>, host: &str) -> Runfile {
        Runfile {
            pid: 1,
            process_started_at: Timestamp(0),
            process_start_ticks: None,
            version: "0.1.0".to_owned(),
            host: host.to_owned(),
            port,
            addresses: addresses(host, port),
            server_id: "id".to_owned(),
            control_token: "secret".to_owned(),
            project: project.map(str::to_owned),
            mode: "background".to_owned(),
            access: Access {
                token: !["127.0.0.1", "::1", "localhost"].contains(&host),
                tls_fingerprint: None,
            },
        }
    }

    /// Names of variables, each with its value.
    type Variables<'a> = &'a [(&'a str, &'a str)];

    /// Ports, each with its server's project.
    type Servers = [(u16, Option<&'static str>)];

    fn runfiles(of: &Servers) -> Vec<Runfile> {
        of.iter().map(|(port, project)| runfile(*port, *project, "127.0.0.1")).collect()
    }

    fn by_variables(variables: &[(&str, &str)], runfiles: Vec<Runfile>) -> Option<Target> {
        let variable = |name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        target(variable, || runfiles, || None, None)
    }

    fn address(target: Option<Target>) -> String {
        target.map_or_else(
            || "spool".to_owned(),
            |Target { address, .. }| format!("{} {}", address.host, address.port),
        )
    }

    #[test]
    fn a_variable_decides_over_every_runfile() {
        let cases: &[(Variables<'_>, &str)] = &[
            (&[], "127.0.0.1 8765"),
            (&[("CLAUDE_MPM_SERVER_PORT", "3")], "127.0.0.1 3"),
            (&[("CLAUDE_MPM_SERVER_PORT", "3"), ("CLAUDE_MPM_SOCKETIO_PORT", "2")], "127.0.0.1 2"),
            (&[("CLAUDE_MPM_SOCKETIO_PORT", "2"), ("CLAUDE_MPM_MONITOR_PORT", "1")], "127.0.0.1 1"),
            (&[("CLAUDE_MPM_MONITOR_PORT", " "), ("CLAUDE_MPM_SERVER_PORT", "3")], "127.0.0.1 3"),
            (&[("CLAUDE_MPM_MONITOR_PORT", "auto"), ("CLAUDE_MPM_SERVER_PORT", "3")], "127.0.0.1 3"),
            (&[("CLAUDE_MPM_MONITOR_PORT", "0")], "127.0.0.1 8765"),
            (&[("CLAUDE_MPM_MONITOR_HOST", "10.0.0.9")], "127.0.0.1 8765"),
            (&[("CLAUDE_MPM_MONITOR_PORT", "1"), ("CLAUDE_MPM_MONITOR_HOST", "10.0.0.9")], "10.0.0.9 1"),
            (&[("CLAUDE_MPM_MONITOR_PORT", "1"), ("CLAUDE_MPM_MONITOR_HOST", "0.0.0.0")], "127.0.0.1 1"),
            (&[("CLAUDE_MPM_MONITOR_PORT", "1"), ("CLAUDE_MPM_MONITOR_HOST", "::")], "127.0.0.1 1"),
            (&[("CLAUDE_MPM_MONITOR_PORT", "7"), ("CLAUDE_MPM_MONITOR_HOST", "[::1]")], "::1 7"),
            (&[("CLAUDE_MPM_MONITOR_PORT", "1"), ("CLAUDE_MPM_MONITOR_HOST", "a b\r\n")], "127.0.0.1 1"),
            (&[("CLAUDE_MPM_MONITOR_PORT", "1"), ("CLAUDE_MPM_SERVER_HOST", "10.0.0.9")], "127.0.0.1 1"),
            (&[("CLAUDE_MPM_MONITOR_URL", "http://h:9"), ("CLAUDE_MPM_MONITOR_PORT", "1")], "h 9"),
            (&[("CLAUDE_MPM_MONITOR_URL", "https://h:9"), ("CLAUDE_MPM_MONITOR_PORT", "1")], "spool"),
            (&[("CLAUDE_MPM_MONITOR_URL", "")], "127.0.0.1 8765"),
            (&[("CLAUDE_MPM_SUB_AGENT", "1")], "127.0.0.1 8765"),
        ];
        for (variables, expected) in cases {
            let mut servers = runfiles(&[(1, None), (2, None), (3, None), (8765, None)]);
            servers.push(runfile(7, None, "::1"));
            assert_eq!(address(by_variables(variables, servers)), *expected, "{variables:?}");
        }
    }

    #[test]
    fn a_port_of_this_machine_that_no_server_of_this_user_has_means_the_spool() {
        let named: &[Variables<'_>] = &[
            &[("CLAUDE_MPM_MONITOR_URL", "http://localhost:9")],
            &[("CLAUDE_MPM_MONITOR_URL", "http://127.0.0.1:9/monitor")],
            &[("CLAUDE_MPM_MONITOR_URL", "http://[::1]:9")],
            &[("CLAUDE_MPM_MONITOR_URL", "http://0.0.0.0:9")],
            &[("CLAUDE_MPM_MONITOR_PORT", "9")],
            &[("CLAUDE_MPM_MONITOR_PORT", "9"), ("CLAUDE_MPM_MONITOR_HOST", "localhost")],
            &[("CLAUDE_MPM_MONITOR_PORT", "9"), ("CLAUDE_MPM_MONITOR_TOKEN", "for-a-url")],
            &[("CLAUDE_MPM_SOCKETIO_PORT", "9")],
            &[("CLAUDE_MPM_SERVER_PORT", "9")],
        ];
        for variables in named {
            assert_eq!(by_variables(variables, runfiles(&[(8765, None)])), None, "{variables:?}");
            let found = by_variables(variables, vec![runfile(9, None, "192.168.1.5")]);
            assert_eq!(address(found), "192.168.1.5 9", "{variables:?}: where the server of that port is");
        }
    }

    #[test]
    fn the_innermost_project_s_server_is_chosen_then_the_configured_then_the_default_then_the_only_one() {
        let two = &[(8765, None), (8770, Some("/home/dev"))];
        let nested = &[(8765, None), (8770, Some("/home/dev")), (8771, Some("/home/dev/shop"))];
        let twins = &[(8770, Some("/home/dev")), (8771, Some("/home/dev/"))];
        let cases: &[(&Servers, Option<u16>, &str, &str)] = &[
            (&[], None, "/home/dev", "spool"),
            (&[], Some(8765), "/home/dev", "spool"),
            (two, None, "/home/dev", "127.0.0.1 8770"),
            (two, None, "/home/dev/shop", "127.0.0.1 8770"),
            (two, None, "/home/developer", "127.0.0.1 8765"),
            (two, Some(8770), "/srv", "127.0.0.1 8770"),
            (two, Some(9999), "/srv", "127.0.0.1 8765"),
            (nested, Some(8765), "/home/dev/shop/src", "127.0.0.1 8771"),
            (nested, None, "/home/dev/other", "127.0.0.1 8770"),
            (nested, None, "relative", "127.0.0.1 8765"),
            (twins, None, "/home/dev", "127.0.0.1 8770"),
            (&[(8770, None)], Some(9999), "/srv", "127.0.0.1 8770"),
            (&[(8770, Some(""))], None, "/srv", "127.0.0.1 8770"),
            (&[(8770, None), (8771, None)], None, "/srv", "spool"),
        ];
        for (known, configured, cwd, expected) in cases {
            let found = target(|_| None, || runfiles(known), || *configured, Some(Path::new(cwd)));
            assert_eq!(address(found), *expected, "{cwd} with {known:?}, configured {configured:?}");
        }
    }

    #[test]
    fn a_server_that_listens_everywhere_is_reached_on_this_machine_and_gets_the_token() {
        // host of the runfile, address, Host header, word
        let cases = [
            ("127.0.0.1", "127.0.0.1", "localhost:8765", OPEN),
            ("localhost", "127.0.0.1", "localhost:8765", OPEN),
            ("::1", "::1", "localhost:8765", OPEN),
            ("0.0.0.0", "127.0.0.1", "localhost:8765", ASKED_FOR),
            ("::", "127.0.0.1", "localhost:8765", ASKED_FOR),
            ("192.168.1.5", "192.168.1.5", "192.168.1.5:8765", ASKED_FOR),
            ("fd00::5", "fd00::5", "[fd00::5]:8765", ASKED_FOR),
        ];
        for (host, expected, authority, word) in cases {
            let target = of_runfile(&runfile(8765, None, host));
            let found = (target.address.host.as_str(), target.address.authority.as_str());
            assert_eq!(found, (expected, authority), "{host}");
            assert_eq!(target.word, word, "{host}");
        }
    }

    #[test]
    fn a_token_goes_where_it_was_named_for_and_the_home_s_where_a_server_of_the_home_asks_for_it() {
        let token = ("CLAUDE_MPM_MONITOR_TOKEN", "secret");
        let url = |url| ("CLAUDE_MPM_MONITOR_URL", url);
        let (port, host) = (("CLAUDE_MPM_MONITOR_PORT", "9"), ("CLAUDE_MPM_MONITOR_HOST", "box"));
        let broken = ("CLAUDE_MPM_MONITOR_TOKEN", "a\r\nX: y");
        let secret = Some(Word::Token("secret".to_owned()));
        // What variables say, on which host a server of this user has port 9, and what comes of it.
        let cases: &[(Variables<'_>, &str, Option<Word>)] = &[
            (&[token, url("http://box:9")], "127.0.0.1", secret.clone()),
            (&[token, url("http://localhost:9")], "0.0.0.0", secret.clone()),
            (&[token, url("http://localhost:7")], "127.0.0.1", secret.clone()),
            (&[token, port, host], "127.0.0.1", secret),
            (&[token, port], "127.0.0.1", Some(OPEN)),
            (&[token, port], "0.0.0.0", Some(ASKED_FOR)),
            (&[token], "127.0.0.1", Some(OPEN)),
            (&[broken, url("http://localhost:7")], "127.0.0.1", None),
            (&[broken, url("http://box:9")], "127.0.0.1", Some(Word::Host)),
            (&[url("http://box:9")], "0.0.0.0", Some(Word::Host)),
            (&[url("http://box:9")], "box", Some(ASKED_FOR)),
            (&[url("http://BOX:7")], "box", Some(Word::Host)),
            (&[url("http://localhost:9")], "0.0.0.0", Some(ASKED_FOR)),
            (&[url("http://192.168.1.5:9")], "192.168.1.5", Some(ASKED_FOR)),
            (&[port], "0.0.0.0", Some(ASKED_FOR)),
            (&[port, host], "0.0.0.0", Some(Word::Host)),
        ];
        for (variables, server, expected) in cases {
            let found = by_variables(variables, vec![runfile(9, None, server)]).map(|target| target.word);
            assert_eq!(found, *expected, "{variables:?} with a server on {server}");
        }
    }
}
