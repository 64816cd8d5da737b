//! Decides where an event goes. Never to a port that this user named nowhere: another user's server may be
//! listening there.

use std::net::IpAddr;
use std::path::Path;

use protocol::Runfile;
use protocol::names::DEFAULT_PORT;
use protocol::project;

/// A whole address, set by `claude-mpm-monitor run` or by the user for a server elsewhere.
const URL: &str = "CLAUDE_MPM_MONITOR_URL";

/// The token for a server that is named by a variable.
const TOKEN: &str = "CLAUDE_MPM_MONITOR_TOKEN";

/// Variables that name a port, first the one that counts most, each with the host that belongs to it. The
/// later ones are claude-mpm's.
const PORTS: [(&str, &str); 3] = [
    ("CLAUDE_MPM_MONITOR_PORT", "CLAUDE_MPM_MONITOR_HOST"),
    ("CLAUDE_MPM_SOCKETIO_PORT", "CLAUDE_MPM_SOCKETIO_HOST"),
    ("CLAUDE_MPM_SERVER_PORT", "CLAUDE_MPM_SERVER_HOST"),
];

/// This machine. Not `localhost`, which may be looked up.
const LOOPBACK: &str = "127.0.0.1";

/// Where to post.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// An address, or a name to look up; without brackets.
    pub host: String,
    /// The port there.
    pub port: u16,
    /// What stands in front of the route; empty without a reverse proxy.
    pub path: String,
    /// The `Host` header.
    pub authority: String,
    /// The secret to send along.
    pub token: Token,
}

/// Which secret goes along with an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Token {
    /// None: loopback needs none.
    None,
    /// The one that the environment names.
    Given(String),
    /// The one in the user's home, for a server of this user that listens beyond loopback.
    OfHome,
}

/// The server for an event, by the first of: the URL variable, a port variable, the runfile of the innermost
/// project around `cwd`, the runfile of the configured or default port, the only runfile. `None` is the spool.
/// Files are read only when no variable decides on server and token.
pub fn target(
    variable: impl Fn(&str) -> Option<String>,
    runfiles: impl FnOnce() -> Vec<Runfile>,
    configured_port: impl FnOnce() -> Option<u16>,
    cwd: Option<&Path>,
) -> Option<Target> {
    let set = |name: &str| variable(name).filter(|value| !value.trim().is_empty());
    if let Some(url) = set(URL) {
        return by_url(url.trim(), set(TOKEN).map_or(Token::OfHome, |token| given(&token)));
    }
    let named = by_port_variable(&set);
    let token = set(TOKEN).map(|token| given(&token));
    if let (Some((host, port)), Some(token)) = (&named, &token) {
        return Some(at(host.clone(), *port, token.clone()));
    }
    let runfiles = runfiles();
    if let Some((host, port)) = named {
        let token = of_port(&runfiles, port).map_or(Token::None, token_of);
        return Some(at(host, port, token));
    }
    let chosen = cwd
        .and_then(|cwd| project::innermost(&runfiles, |runfile| runfile.project.as_deref(), cwd))
        .or_else(|| of_port(&runfiles, configured_port()?))
        .or_else(|| of_port(&runfiles, DEFAULT_PORT))
        .or_else(|| if let [only] = &runfiles[..] { Some(only) } else { None });
    chosen.map(of_runfile)
}

/// `http://host[:port][/path]`. Anything else, such as https, cannot be posted to from here.
fn by_url(url: &str, token: Token) -> Option<Target> {
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
    (!host.is_empty()).then(|| Target {
        host: host.to_owned(),
        port,
        path: path.trim_end_matches('/').to_owned(),
        authority: authority.to_owned(),
        token,
    })
}

fn by_port_variable(set: &impl Fn(&str) -> Option<String>) -> Option<(String, u16)> {
    PORTS.iter().find_map(|(port, host)| {
        let port: u16 = set(port)?.trim().parse().ok().filter(|port| *port > 0)?;
        let host = set(host).map(|host| without_brackets(host.trim()).to_owned());
        let host = host.filter(|host| is_destination(host)).unwrap_or_else(|| LOOPBACK.to_owned());
        Some((host, port))
    })
}

fn of_port(runfiles: &[Runfile], port: u16) -> Option<&Runfile> {
    runfiles.iter().find(|runfile| runfile.port == port)
}

fn of_runfile(runfile: &Runfile) -> Target {
    let host = without_brackets(&runfile.host);
    let host = if is_destination(host) { host } else { LOOPBACK };
    at(host.to_owned(), runfile.port, token_of(runfile))
}

/// What a server of this user asks for.
fn token_of(runfile: &Runfile) -> Token {
    if runfile.access.token { Token::OfHome } else { Token::None }
}

fn at(host: String, port: u16, token: Token) -> Target {
    let authority = match host.as_str() {
        local if is_loopback(local) => format!("localhost:{port}"),
        ipv6 if ipv6.contains(':') => format!("[{ipv6}]:{port}"),
        other => format!("{other}:{port}"),
    };
    Target { host, port, path: String::new(), authority, token }
}

/// Whether one can connect to it; `0.0.0.0` and `::` only mean "listen everywhere".
fn is_destination(host: &str) -> bool {
    let is_name =
        || host.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'));
    !host.is_empty() && host.parse::<IpAddr>().map_or_else(|_| is_name(), |ip| !ip.is_unspecified())
}

fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

fn without_brackets(host: &str) -> &str {
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

/// A token that would break the request's head is none.
fn given(token: &str) -> Token {
    let token = token.trim();
    if token.bytes().all(|byte| byte.is_ascii_graphic()) {
        Token::Given(token.to_owned())
    } else {
        Token::None
    }
}

#[cfg(test)]
mod tests {
    use protocol::Timestamp;
    use protocol::runfile::Access;

    use super::*;

    fn runfile(port: u16, project: Option<&str>, host: &str) -> Runfile {
        Runfile {
            pid: 1,
            process_started_at: Timestamp(0),
            process_start_ticks: None,
            version: "0.1.0".to_owned(),
            host: host.to_owned(),
            port,
            server_id: "id".to_owned(),
            control_token: "secret".to_owned(),
            project: project.map(str::to_owned),
            mode: "background".to_owned(),
            access: Access { token: !is_loopback(host), tls_fingerprint: None },
        }
    }

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
        target.map_or_else(|| "spool".to_owned(), |target| format!("{} {}", target.host, target.port))
    }

    #[test]
    fn a_variable_decides_over_every_runfile() {
        let cases: &[(&[(&str, &str)], &str)] = &[
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
            (&[("CLAUDE_MPM_MONITOR_PORT", "1"), ("CLAUDE_MPM_MONITOR_HOST", "[::1]")], "::1 1"),
            (&[("CLAUDE_MPM_MONITOR_PORT", "1"), ("CLAUDE_MPM_MONITOR_HOST", "a b\r\n")], "127.0.0.1 1"),
            (&[("CLAUDE_MPM_MONITOR_PORT", "1"), ("CLAUDE_MPM_SERVER_HOST", "10.0.0.9")], "127.0.0.1 1"),
            (&[("CLAUDE_MPM_MONITOR_URL", "http://h:9"), ("CLAUDE_MPM_MONITOR_PORT", "1")], "h 9"),
            (&[("CLAUDE_MPM_MONITOR_URL", "https://h:9"), ("CLAUDE_MPM_MONITOR_PORT", "1")], "spool"),
            (&[("CLAUDE_MPM_MONITOR_URL", "")], "127.0.0.1 8765"),
            (&[("CLAUDE_MPM_SUB_AGENT", "1")], "127.0.0.1 8765"),
        ];
        for (variables, expected) in cases {
            let found = by_variables(variables, runfiles(&[(8765, None)]));
            assert_eq!(address(found), *expected, "{variables:?}");
        }
    }

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
            let found = by_url(url, Token::None);
            let parts =
                found.as_ref().map(|t| (t.host.as_str(), t.port, t.path.as_str(), t.authority.as_str()));
            assert_eq!(parts, expected, "{url:?}");
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
        // host of the runfile, address, Host header, token
        let cases = [
            ("127.0.0.1", "127.0.0.1", "localhost:8765", Token::None),
            ("localhost", "localhost", "localhost:8765", Token::None),
            ("::1", "::1", "localhost:8765", Token::None),
            ("0.0.0.0", "127.0.0.1", "localhost:8765", Token::OfHome),
            ("::", "127.0.0.1", "localhost:8765", Token::OfHome),
            ("192.168.1.5", "192.168.1.5", "192.168.1.5:8765", Token::OfHome),
            ("fd00::5", "fd00::5", "[fd00::5]:8765", Token::OfHome),
        ];
        for (host, expected, authority, token) in cases {
            let target = of_runfile(&runfile(8765, None, host));
            assert_eq!((target.host.as_str(), target.authority.as_str()), (expected, authority), "{host}");
            assert_eq!(target.token, token, "{host}");
        }
    }

    #[test]
    fn the_environment_s_token_goes_to_the_environment_s_server_only() {
        let token = ("CLAUDE_MPM_MONITOR_TOKEN", "secret");
        let given =
            |variables: &[_]| by_variables(variables, runfiles(&[(8765, None)])).map(|target| target.token);
        let secret = Some(Token::Given("secret".to_owned()));
        assert_eq!(given(&[token, ("CLAUDE_MPM_MONITOR_URL", "http://box:9")]), secret);
        assert_eq!(given(&[token, ("CLAUDE_MPM_MONITOR_PORT", "9")]), secret);
        assert_eq!(given(&[token]), Some(Token::None));
        let url = by_variables(&[("CLAUDE_MPM_MONITOR_URL", "http://box:9")], vec![]);
        assert_eq!(url.map(|target| target.token), Some(Token::OfHome), "the user's own, then");
        let port = by_variables(&[("CLAUDE_MPM_MONITOR_PORT", "8765")], vec![runfile(8765, None, "0.0.0.0")]);
        assert_eq!(port.map(|target| target.token), Some(Token::OfHome), "it is asked for there");
        let broken = ("CLAUDE_MPM_MONITOR_TOKEN", "a\r\nX: y");
        assert_eq!(given(&[broken, ("CLAUDE_MPM_MONITOR_PORT", "9")]), Some(Token::None));
    }
}
