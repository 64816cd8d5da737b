//! Our hooks in Claude Code's settings: what is registered where, what could keep events from coming, and what an
//! install or an uninstall would change. The answer of `/api/hooks`, of which `hooks status --json` is a part.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// How the hooks fare, and what could be done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Hooks {
    /// How they fare.
    pub report: HooksReport,
    /// What an install for this user would change.
    pub install: PlannedChange,
    /// What an uninstall would change.
    pub uninstall: PlannedChange,
}

/// A change of settings that was planned and not made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct PlannedChange {
    /// The files, as a unified diff; empty when there is nothing to change.
    pub diff: String,
    /// Why it cannot be made, and what to do about it.
    pub problem: Option<String>,
}

/// What to do with the hooks: the body of `POST /api/hooks`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct HooksOrder {
    /// Which of the two.
    pub action: HooksAction,
    /// The diff that the user was shown. When it would be another one by now, nothing is changed.
    pub diff: String,
}

/// The two changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(test, derive(ts_rs::TS))]
pub enum HooksAction {
    /// Register our hook for this user.
    Install,
    /// Take it out of every settings file that we put it into.
    Uninstall,
}

/// Everything that can be said without running a hook.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct HooksReport {
    /// The version of Claude Code; nothing when it could not be asked.
    pub claude_version: Option<String>,
    /// The executable that the settings name.
    #[cfg_attr(test, ts(type = "string"))]
    pub hook: PathBuf,
    /// The settings files that count.
    pub files: Vec<HooksFile>,
    /// The slash command's file, when it is installed.
    #[cfg_attr(test, ts(type = "string | null"))]
    pub slash_command: Option<PathBuf>,
    /// What is wrong or worth knowing, the worst first.
    pub problems: Vec<HooksProblem>,
    /// Whether our hook is registered for any event.
    pub is_installed: bool,
    /// Whether it is, and nothing that we know of keeps it from running.
    pub is_working: bool,
}

/// One settings file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct HooksFile {
    /// Whose it is.
    pub scope: Scope,
    /// Where it lies.
    #[cfg_attr(test, ts(type = "string"))]
    pub path: PathBuf,
    /// Whether there is such a file.
    pub exists: bool,
    /// The events that our hook is registered for.
    pub events: Vec<String>,
}

/// Whose settings a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(test, derive(ts_rs::TS))]
pub enum Scope {
    /// The user's, for all projects.
    User,
    /// The project's, shared by all who work on it.
    Project,
    /// The user's in one project.
    Local,
    /// The organisation's.
    Managed,
}

impl Scope {
    /// The word for people.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Project => "project",
            Self::Local => "local",
            Self::Managed => "managed",
        }
    }
}

/// Something that is wrong or worth knowing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct HooksProblem {
    /// Whether events do not come because of it.
    pub is_fatal: bool,
    /// What it is, as a sentence.
    pub text: String,
    /// What to do about it.
    pub way_out: Option<String>,
}
