//! Whether Claude Code's settings name a hook that reports to a monitor. Only looked at, never changed.

use std::ffi::OsString;
use std::path::Path;

use claude::{Sender, Setup};
use protocol::paths::Home;

/// Whether a hook in the settings that count for this user everywhere is ours or claude-mpm's.
pub(crate) fn are_installed(home: &Home, var: &dyn Fn(&str) -> Option<OsString>) -> bool {
    let Some(setup) = Setup::from_env(home, var) else { return false };
    let files = setup.handlers(Path::new("/"));
    files.iter().flat_map(|file| &file.handlers).any(|handler| handler.sender != Sender::Other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_hook_counts_as_installed_when_the_settings_run_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("settings.json");
        let var = |name: &str| (name == "CLAUDE_CONFIG_DIR").then(|| folder.path().as_os_str().to_owned());
        let are_installed = || are_installed(&Home::at(folder.path()), &var);
        assert!(!are_installed(), "no file");
        let with = |command: &str| json!({"hooks": {"Stop": [{"hooks": [{"type": "command", "command": command}]}]}});
        for (command, expected) in [
            ("/usr/bin/claude-mpm-hook", true),
            ("/x/claude_mpm/scripts/claude-hook-fast.sh", true),
            ("notify-send done", false),
        ] {
            std::fs::write(&file, with(command).to_string()).unwrap();
            assert_eq!(are_installed(), expected, "{command}");
        }
        std::fs::write(&file, r#"{"permissions": "claude-mpm-hook"}"#).unwrap();
        assert!(!are_installed(), "only hooks count");
    }
}
