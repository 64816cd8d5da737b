//! What Claude Code's settings say about hooks: who is called at which event, and where it sends. Only read.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// The largest settings file that is read; real ones are a few KiB.
const FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// One settings file of Claude Code.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HookSettings {
    /// The file.
    pub path: PathBuf,
    /// Whether it switches every hook off.
    pub disabled: bool,
    /// Its environment variables, which hooks see too.
    pub environment: Vec<(String, String)>,
    /// Its hooks, in the order of the file.
    pub hooks: Vec<Hook>,
}

/// A hook: what Claude Code calls at an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hook {
    /// Such as `PreToolUse`.
    pub event: String,
    /// The command line, or the address that is posted to.
    pub call: String,
    /// Whose hook it is.
    pub sender: Sender,
    /// The port of this machine that the call names.
    pub port: Option<u16>,
}

/// Whose hook it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender {
    /// This product's: it finds its server by itself.
    Ours,
    /// claude-mpm's: it posts to 8765, or where its variables say.
    ClaudeMpm,
    /// Anybody else's.
    Other,
}

/// Why a settings file says nothing.
#[derive(Debug, thiserror::Error)]
pub enum HooksError {
    /// It cannot be read.
    #[error("could not read {}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The operating system's reason.
        source: io::Error,
    },
    /// It is no JSON object. Claude Code cannot read it either.
    #[error("could not read {} as a JSON object: {reason}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        reason: String,
    },
}

/// Where Claude Code reads settings of a user and of a project, the weakest first.
pub fn paths(user: Option<&Path>, project: &Path) -> Vec<PathBuf> {
    let own = user.map(|user| user.join(".claude/settings.json"));
    let project = ["settings.json", "settings.local.json"].map(|name| project.join(".claude").join(name));
    let mut paths: Vec<_> = own.into_iter().chain(project).collect();
    // In the home folder, the user's file is the project's as well.
    paths.dedup();
    paths
}

/// Reads a settings file; `None` when there is none.
///
/// # Errors
/// When it cannot be read, or is no JSON object.
pub fn read(path: &Path) -> Result<Option<HookSettings>, HooksError> {
    let unreadable = |source| HooksError::Unreadable { path: path.to_owned(), source };
    match fs::metadata(path) {
        Ok(file) if file.len() > FILE_BYTES_MAX => {
            return Err(unreadable(io::Error::other(format!("it is larger than {FILE_BYTES_MAX} bytes"))));
        }
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unreadable(error)),
    }
    let text = fs::read_to_string(path).map_err(unreadable)?;
    let malformed = |reason: String| HooksError::Malformed { path: path.to_owned(), reason };
    let settings: Value = serde_json::from_str(&text).map_err(|error| malformed(error.to_string()))?;
    if !settings.is_object() {
        return Err(malformed("it holds something else".to_owned()));
    }
    Ok(Some(understood(path, &settings)))
}

fn understood(path: &Path, settings: &Value) -> HookSettings {
    let entries = |value: &Value| value.as_object().cloned().unwrap_or_default();
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let mut hooks = Vec::new();
    for (event, groups) in entries(&settings["hooks"]) {
        for entry in list(&groups).iter().flat_map(|group| list(&group["hooks"])) {
            hooks.extend(hook(&event, &entry));
        }
    }
    let text = |(name, value): (String, Value)| Some((name, value.as_str()?.to_owned()));
    HookSettings {
        path: path.to_owned(),
        disabled: settings["disableAllHooks"] == true,
        environment: entries(&settings["env"]).into_iter().filter_map(text).collect(),
        hooks,
    }
}

fn hook(event: &str, entry: &Value) -> Option<Hook> {
    let call = entry["command"].as_str().or_else(|| entry["url"].as_str())?;
    let sender = if call.contains("claude-mpm-hook") {
        Sender::Ours
    } else if entry["_mpm"] == true || call.contains("claude-hook") || call.contains("claude-mpm") {
        Sender::ClaudeMpm
    } else {
        Sender::Other
    };
    Some(Hook { event: event.to_owned(), call: call.to_owned(), sender, port: local_port(call) })
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
    fn a_hook_is_known_by_its_call_with_the_port_it_names() {
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
        let found = understood(Path::new("settings.json"), &settings);
        let hooks: Vec<_> =
            found.hooks.iter().map(|hook| (hook.event.as_str(), hook.sender, hook.port)).collect();
        assert_eq!(
            hooks,
            [
                ("PreToolUse", Sender::Ours, None),
                ("PreToolUse", Sender::ClaudeMpm, None),
                ("PreToolUse", Sender::Other, Some(4000)),
                ("Stop", Sender::Other, Some(8765)),
            ]
        );
        assert_eq!(found.environment, [("CLAUDE_MPM_SOCKETIO_PORT".to_owned(), "9000".to_owned())]);
        assert!(!found.disabled);
        assert!(understood(Path::new("s"), &json!({"disableAllHooks": true})).disabled);
    }

    #[test]
    fn a_settings_file_is_read_or_its_fault_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("settings.json");
        assert_eq!(read(&path).unwrap(), None);
        fs::write(&path, "{ half").unwrap();
        assert!(matches!(read(&path), Err(HooksError::Malformed { .. })));
        fs::write(&path, "[]").unwrap();
        assert!(matches!(read(&path), Err(HooksError::Malformed { .. })));
        fs::write(&path, "{}").unwrap();
        assert_eq!(read(&path).unwrap().map(|settings| settings.hooks), Some(Vec::new()));
    }
}
