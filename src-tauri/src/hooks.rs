//! How our hooks in Claude Code's settings fare, as the tray says it. Only looked at, never changed.

use std::ffi::OsString;
use std::path::Path;

use claude::{Sender, Setup};
use protocol::paths::Home;

/// How the hooks are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum HooksState {
    Installed,
    #[default]
    Missing,
    /// Something keeps them from running.
    Broken(String),
}

/// Looks at the settings of this user.
pub(crate) fn look(home: &Home, var: &dyn Fn(&str) -> Option<OsString>) -> HooksState {
    let Some(setup) = Setup::from_env(home, var) else { return HooksState::Missing };
    // No project: only what holds everywhere.
    let look = setup.look(Path::new("/"), None);
    let mut called = look.handlers.iter().flat_map(|file| &file.handlers);
    if called.all(|handler| handler.sender == Sender::Other) {
        return HooksState::Missing;
    }
    let fatal = look.report.problems.into_iter().find(|problem| problem.is_fatal);
    fatal.map_or(HooksState::Installed, |problem| HooksState::Broken(problem.text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use claude::Hooks;
    use serde_json::json;

    #[test]
    fn hooks_count_as_installed_when_nothing_keeps_them_from_running() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path().join("mpm"));
        let var = |name: &str| (name == "HOME").then(|| folder.path().as_os_str().to_owned());
        assert_eq!(look(&home, &var), HooksState::Missing, "no file");
        let settings = folder.path().join(".claude/settings.json");
        std::fs::create_dir_all(settings.parent().unwrap()).unwrap();
        let registrations = claude::registrations(claude::Version(2, 1, 200), &[]).unwrap();
        let hooks = Hooks::of(&home, false);
        hooks.install(&settings, &registrations).unwrap();
        let HooksState::Broken(text) = look(&home, &var) else { panic!("the hook is not there yet") };
        assert!(text.contains("is missing"), "{text}");
        claude::Binary::of(&home).install(&std::env::current_exe().unwrap()).unwrap();
        assert_eq!(look(&home, &var), HooksState::Installed);
        let mut off: serde_json::Value =
            serde_json::from_str(&std::fs::read_to_string(&settings).unwrap()).unwrap();
        off["disableAllHooks"] = json!(true);
        std::fs::write(&settings, off.to_string()).unwrap();
        assert!(matches!(look(&home, &var), HooksState::Broken(text) if text.contains("disableAllHooks")));
        hooks.uninstall(&settings).unwrap();
        assert_eq!(look(&home, &var), HooksState::Missing);
    }
}
