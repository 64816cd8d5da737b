//! What the app remembers of its user, in `monitor/desktop.json`.

use std::io;
use std::path::PathBuf;

use protocol::paths::Home;
use serde::{Deserialize, Serialize};

/// The user's choices; a file that is missing or damaged gives the defaults.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Preferences {
    /// The port that was chosen in the app; none leaves it to the configuration.
    pub(crate) port: Option<u16>,
    /// Whether notifications are shown.
    pub(crate) notifications: bool,
    /// A turn that took at least this many seconds is told when it ends.
    pub(crate) long_turn_s: u64,
    /// The page of a window that was hidden for this many seconds is freed.
    pub(crate) free_window_after_s: u64,
    /// Whether the user was told that closing the window leaves the app in the tray.
    pub(crate) told_of_tray: bool,
}

impl Default for Preferences {
    fn default() -> Self {
        Self {
            port: None,
            notifications: true,
            long_turn_s: 60,
            free_window_after_s: 300,
            told_of_tray: false,
        }
    }
}

impl Preferences {
    pub(crate) fn load(home: &Home) -> Self {
        let text = private::read(&path(home)).unwrap_or_default();
        serde_json::from_slice(&text).unwrap_or_default()
    }

    /// Writes them whole or not at all.
    pub(crate) fn save(&self, home: &Home) -> io::Result<()> {
        client::runfiles::make_folders(home)?;
        private::replace(&path(home), &serde_json::to_vec_pretty(self)?)
    }
}

fn path(home: &Home) -> PathBuf {
    home.monitor().join("desktop.json")
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn choices_are_remembered_and_a_damaged_file_is_no_trouble() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path());
        assert_eq!(Preferences::load(&home), Preferences::default());
        let chosen = Preferences {
            port: Some(8770),
            notifications: false,
            told_of_tray: true,
            ..Preferences::default()
        };
        chosen.save(&home).unwrap();
        assert_eq!(Preferences::load(&home), chosen);
        fs::write(path(&home), "{\"notifications\": fal").unwrap();
        assert_eq!(Preferences::load(&home), Preferences::default());
    }
}
