//! Whether Claude Code's settings name a hook that reports to the monitor. Only looked at, never changed.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// The settings of this user.
pub(crate) fn settings_file(var: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let set = |name: &str| var(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let folder = set("CLAUDE_CONFIG_DIR")
        .or_else(|| set("HOME").or_else(|| set("USERPROFILE")).map(|home| home.join(".claude")))?;
    Some(folder.join("settings.json"))
}

/// Whether a hook in that file is ours or claude-mpm's.
pub(crate) fn are_installed(settings: &Path) -> bool {
    let text = std::fs::read_to_string(settings).unwrap_or_default();
    let settings: Value = serde_json::from_str(&text).unwrap_or_default();
    settings["hooks"].as_object().is_some_and(|events| {
        let groups = events.values().filter_map(Value::as_array).flatten();
        let hooks = groups.filter_map(|group| group["hooks"].as_array()).flatten();
        let mut commands = hooks.filter_map(|hook| hook["command"].as_str());
        commands.any(|command| ["claude-mpm-hook", "claude-hook"].iter().any(|name| command.contains(name)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_hook_counts_as_installed_when_the_settings_run_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("settings.json");
        assert!(!are_installed(&file), "no file");
        let with = |command: &str| json!({"hooks": {"Stop": [{"hooks": [{"type": "command", "command": command}]}]}});
        for (command, expected) in [
            ("/usr/bin/claude-mpm-hook", true),
            ("/x/claude_mpm/scripts/claude-hook-fast.sh", true),
            ("notify-send done", false),
        ] {
            std::fs::write(&file, with(command).to_string()).unwrap();
            assert_eq!(are_installed(&file), expected, "{command}");
        }
        std::fs::write(&file, r#"{"permissions": "claude-mpm-hook"}"#).unwrap();
        assert!(!are_installed(&file), "only hooks count");
    }
}
