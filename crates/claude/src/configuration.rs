//! Where Claude Code keeps its settings and commands, on this system and for this user.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use protocol::hooks::Scope;

/// The folders of one user.
#[derive(Clone, Debug)]
pub struct Configuration {
    folder: PathBuf,
    /// The file in which Claude Code keeps what it remembers by itself, trust in folders among it.
    state: PathBuf,
    managed: PathBuf,
}

impl Configuration {
    /// `CLAUDE_CONFIG_DIR`, else `~/.claude`; `None` when the user has no home folder either.
    pub fn from_env(var: &dyn Fn(&str) -> Option<OsString>) -> Option<Self> {
        let set = |name: &str| var(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let home = set("HOME").or_else(|| set("USERPROFILE"));
        let (folder, state) = match (set("CLAUDE_CONFIG_DIR"), home) {
            (Some(folder), _) => (folder.clone(), folder.join(".claude.json")),
            (None, Some(home)) => (home.join(".claude"), home.join(".claude.json")),
            (None, None) => return None,
        };
        Some(Self { folder, state, managed: managed() })
    }

    /// In these folders.
    #[cfg(test)]
    pub(crate) fn at(folder: &Path, managed: &Path) -> Self {
        Self { folder: folder.to_owned(), state: folder.join(".claude.json"), managed: managed.to_owned() }
    }

    /// The folder itself.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The user's settings.
    pub fn user_settings(&self) -> PathBuf {
        self.folder.join("settings.json")
    }

    /// The user's settings in one project. They are not shared, so they may hold paths of this machine.
    pub fn local_settings(project: &Path) -> PathBuf {
        project.join(".claude/settings.local.json")
    }

    /// Every file whose hooks count in a project, the least specific first.
    pub fn settings(&self, project: &Path) -> Vec<(Scope, PathBuf)> {
        let mut files = vec![
            (Scope::User, self.user_settings()),
            (Scope::Project, project.join(".claude/settings.json")),
            (Scope::Local, Self::local_settings(project)),
            (Scope::Managed, self.managed.join("managed-settings.json")),
        ];
        // In the user's home folder both are one file.
        files.dedup_by(|a, b| a.1 == b.1);
        let drop_ins = std::fs::read_dir(self.managed.join("managed-settings.d")).into_iter().flatten();
        let mut drop_ins: Vec<PathBuf> = drop_ins.filter_map(|entry| Some(entry.ok()?.path())).collect();
        drop_ins.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
        drop_ins.sort();
        files.extend(drop_ins.into_iter().map(|path| (Scope::Managed, path)));
        files
    }

    /// What Claude Code remembers by itself.
    pub(crate) fn state(&self) -> &Path {
        &self.state
    }

    /// The user's slash commands.
    pub(crate) fn commands(&self) -> PathBuf {
        self.folder.join("commands")
    }

    /// Which plugins are installed, and where.
    pub(crate) fn plugins(&self) -> PathBuf {
        self.folder.join("plugins/installed_plugins.json")
    }
}

/// The organisation's folder, which only administrators write.
fn managed() -> PathBuf {
    if cfg!(target_os = "macos") {
        "/Library/Application Support/ClaudeCode".into()
    } else if cfg!(windows) {
        r"C:\Program Files\ClaudeCode".into()
    } else {
        "/etc/claude-code".into()
    }
}
