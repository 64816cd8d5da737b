//! Whom Claude Code's settings call at which event, and where that sends: our hook, claude-mpm's, anybody's.

use std::path::{Path, PathBuf};

use serde_json::Value;

/// The handlers of one settings file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Handlers {
    /// The file.
    pub path: PathBuf,
    /// Its environment variables, which handlers see too.
    pub environment: Vec<(String, String)>,
    /// In the order of the file.
    pub handlers: Vec<Handler>,
}

/// What Claude Code calls at an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handler {
    /// Such as `PreToolUse`.
    pub event: String,
    /// The command line, or the address that is posted to.
    pub call: String,
    /// Whose it is.
    pub sender: Sender,
    /// The port of this machine that the call names.
    pub port: Option<u16>,
}

/// Whose handler it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender {
    /// This product's: it finds its server by itself.
    Ours,
    /// claude-mpm's: it posts to 8765, or where its variables say.
    ClaudeMpm,
    /// Anybody else's.
    Other,
}

impl Handlers {
    /// Those of these settings. What is shaped otherwise is no handler.
    pub(crate) fn of(path: &Path, settings: &Value) -> Self {
        let entries = |value: &Value| value.as_object().cloned().unwrap_or_default();
        let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
        let mut handlers = Vec::new();
        for (event, groups) in entries(&settings["hooks"]) {
            for entry in list(&groups).iter().flat_map(|group| list(&group["hooks"])) {
                handlers.extend(Handler::of(&event, &entry));
            }
        }
        let text = |(name, value): (String, Value)| Some((name, value.as_str()?.to_owned()));
        let environment = entries(&settings["env"]).into_iter().filter_map(text).collect();
        Self { path: path.to_owned(), environment, handlers }
    }
}

impl Handler {
    fn of(event: &str, entry: &Value) -> Option<Self> {
        let call = entry["command"].as_str().or_else(|| entry["url"].as_str())?;
        let sender = if call.contains("claude-mpm-hook") {
            Sender::Ours
        } else if entry["_mpm"] == true || call.contains("claude-hook") || call.contains("claude-mpm") {
            Sender::ClaudeMpm
        } else {
            Sender::Other
        };
        Some(Self { event: event.to_owned(), call: call.to_owned(), sender, port: local_port(call) })
    }
}

/// The port of this machine that an address in a text names.
pub fn local_port(text: &str) -> Option<u16> {
    ["localhost:", "127.0.0.1:", "[::1]:"].iter().find_map(|host| {
        let (_, rest) = text.split_once(host)?;
        let digits = rest.split(|c: char| !c.is_ascii_digit()).next()?;
        digits.parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_handler_is_known_by_its_call_with_the_port_it_names() {
        let settings = json!({
            "env": {"CLAUDE_MPM_SOCKETIO_PORT": "9000", "N": 1},
            "hooks": {
                "PreToolUse": [{"matcher": "*", "hooks": [
                    {"type": "command", "command": "/opt/claude-mpm-hook", "timeout": 5},
                    {"type": "command", "command": "claude-hook", "_mpm": true},
                    {"type": "command", "command": "curl -s http://localhost:4000/events -d @-"},
                ]}],
                "Stop": [{"hooks": [{"type": "http", "url": "http://127.0.0.1:8765/api/events"}]}, "odd"],
                "Odd": 7,
            },
        });
        let found = Handlers::of(Path::new("settings.json"), &settings);
        let handlers: Vec<_> =
            found.handlers.iter().map(|one| (one.event.as_str(), one.sender, one.port)).collect();
        assert_eq!(
            handlers,
            [
                ("PreToolUse", Sender::Ours, None),
                ("PreToolUse", Sender::ClaudeMpm, None),
                ("PreToolUse", Sender::Other, Some(4000)),
                ("Stop", Sender::Other, Some(8765)),
            ]
        );
        assert_eq!(found.environment, [("CLAUDE_MPM_SOCKETIO_PORT".to_owned(), "9000".to_owned())]);
    }
}
