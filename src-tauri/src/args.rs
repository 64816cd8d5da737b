//! The command line and the links, of the first start and of those that the running app is told about.

use std::str::FromStr;

use clap::Parser;
use tauri::Url;

/// The scheme of links into the app.
const SCHEME: &str = "claude-mpm";

/// The longest session id in a link; Claude Code's have 36 characters.
const SESSION_ID_BYTES_MAX: usize = 200;

/// Shows the dashboard in a window and the monitor's state in the tray, and serves unless a monitor of yours
/// already does.
#[derive(Clone, Debug, Default, PartialEq, Eq, Parser)]
#[command(name = "claude-mpm-monitor-desktop", version)]
pub(crate) struct Args {
    /// Port to serve [default: the one chosen in the app, else the configured one, else 8765]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) port: Option<u16>,
    /// Show no window; the tray has everything
    #[arg(long)]
    pub(crate) hidden: bool,
    /// What to open: claude-mpm://session/ID, or claude-mpm:// for the dashboard
    pub(crate) link: Option<Link>,
}

/// What a `claude-mpm://` link opens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Link {
    Dashboard,
    Settings,
    Session(String),
}

impl Args {
    /// What another start was called with; it has refused already what is wrong.
    pub(crate) fn of_second_start(args: &[String]) -> Self {
        Self::try_parse_from(args).unwrap_or_default()
    }
}

impl FromStr for Link {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let unknown =
            || format!("expected {SCHEME}://session/ID, {SCHEME}://settings or {SCHEME}://, not {text:?}");
        let url = Url::parse(text).map_err(|_| unknown())?;
        let path: Vec<&str> = url.path().split('/').filter(|part| !part.is_empty()).collect();
        match (url.scheme(), url.host_str().unwrap_or_default(), path.as_slice()) {
            (SCHEME, "", []) => Ok(Self::Dashboard),
            (SCHEME, "settings", []) => Ok(Self::Settings),
            (SCHEME, "session", [id]) if id.len() <= SESSION_ID_BYTES_MAX => Ok(Self::Session(decoded(id))),
            _ => Err(unknown()),
        }
    }
}

/// A part of a path without its percent signs.
fn decoded(part: &str) -> String {
    let mut bytes = Vec::with_capacity(part.len());
    let mut rest = part.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let escaped = (byte == b'%').then(|| after.get(..2)).flatten();
        let escaped =
            escaped.and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
        bytes.push(escaped.unwrap_or(byte));
        rest = if escaped.is_some() { &after[2..] } else { after };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn a_link_names_a_session_or_the_dashboard_and_anything_else_is_refused() {
        Args::command().debug_assert();
        let session = |id: &str| Some(Link::Session(id.to_owned()));
        let cases = [
            ("claude-mpm://session/3f0c-1", session("3f0c-1")),
            ("claude-mpm://session/a%20b%2F", session("a b/")),
            ("claude-mpm://session/50%", session("50%")),
            ("claude-mpm://", Some(Link::Dashboard)),
            ("claude-mpm://settings", Some(Link::Settings)),
            ("claude-mpm://session", None),
            ("claude-mpm://session/a/b", None),
            ("claude-mpm://settings/x", None),
            ("https://session/a", None),
            ("session", None),
        ];
        for (text, expected) in cases {
            assert_eq!(text.parse().ok(), expected, "{text}");
        }
        let long = format!("claude-mpm://session/{}", "x".repeat(SESSION_ID_BYTES_MAX + 1));
        assert!(long.parse::<Link>().is_err(), "a link has a limit");
    }

    #[test]
    fn a_second_start_is_understood_and_one_that_is_not_just_shows_the_window() {
        let args =
            |line: &str| Args::of_second_start(&line.split(' ').map(str::to_owned).collect::<Vec<_>>());
        let expected = Args { port: Some(9000), hidden: true, link: Some(Link::Session("a".to_owned())) };
        assert_eq!(args("app --port 9000 --hidden claude-mpm://session/a"), expected);
        assert_eq!(args("app --colour"), Args::default());
    }
}
