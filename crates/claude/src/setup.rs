//! Claude Code and our hooks as one user has them: installing, uninstalling and looking, whoever asks for it, the
//! command line or the dashboard.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use protocol::paths::Home;

use crate::{
    Binary, Change, Configuration, Error, Extra, Handlers, Hooks, Look, Registration, SlashCommand, Version,
    edit, file, json, registrations, version,
};

/// One user's Claude Code.
#[derive(Debug)]
pub struct Setup {
    configuration: Configuration,
    hooks: Hooks,
    binary: Binary,
    claude: Option<PathBuf>,
    /// Which executable answered which version: asking takes half a second, and an update replaces the file.
    answered: Mutex<Option<(SystemTime, Version)>>,
}

impl Setup {
    /// As the environment says; `None` when the user has no home folder.
    pub fn from_env(home: &Home, var: &dyn Fn(&str) -> Option<OsString>) -> Option<Self> {
        // The hook looks in the user's home folder unless a variable says otherwise, and Claude Code need not be
        // started with that variable.
        let usual = Home::from_env(|name| var(name).filter(|_| name != "CLAUDE_MPM_HOME"));
        Some(Self {
            configuration: Configuration::from_env(var)?,
            hooks: Hooks::of(home, usual.as_ref() == Some(home)),
            binary: Binary::of(home),
            claude: version::find(var),
            answered: Mutex::default(),
        })
    }

    /// The version of the installed Claude Code.
    ///
    /// # Errors
    /// When there is none, or it does not say.
    pub fn version(&self) -> Result<Version, Error> {
        let claude =
            self.claude.as_ref().ok_or_else(|| Error::NoVersion("claude is not on your PATH".to_owned()))?;
        let written = claude.metadata().and_then(|file| file.modified()).ok();
        let mut answered = self.answered.lock().unwrap_or_else(PoisonError::into_inner);
        match (*answered, written) {
            (Some((at, version)), Some(written)) if at == written => Ok(version),
            _ => {
                let version = version::installed(claude)?;
                *answered = written.map(|written| (written, version));
                Ok(version)
            }
        }
    }

    /// The settings that an install writes: the user's, or the user's in one project.
    pub fn settings(&self, project: Option<&Path>) -> PathBuf {
        project.map_or_else(|| self.configuration.user_settings(), Configuration::local_settings)
    }

    /// The hook that the settings name.
    pub fn binary(&self) -> &Binary {
        &self.binary
    }

    /// `/mpm-monitor` within Claude Code.
    pub fn slash_command(&self) -> SlashCommand {
        SlashCommand::of(&self.configuration)
    }

    /// What to register for a version in these settings: what is asked for, and the extra events that an earlier
    /// install was asked for, which a new one keeps.
    ///
    /// # Errors
    /// When that version has no hooks.
    pub fn registrations(
        &self,
        version: Version,
        settings: &Path,
        asked: &[Extra],
    ) -> Result<Vec<Registration>, Error> {
        // Settings that cannot be read have their error when they are to be changed.
        let text = file::read(settings).ok().flatten().unwrap_or_default();
        let kept = edit::ours(&text).into_iter();
        let kept = kept.filter_map(|ours| Extra::installed(&ours.event, ours.matcher.as_deref()));
        let extras: Vec<Extra> = asked.iter().cloned().chain(kept).collect();
        registrations(version, &extras)
    }

    /// What an install would change. Nothing is written.
    ///
    /// # Errors
    /// When the settings cannot be read, or are none that Claude Code could read.
    pub fn plan_install(&self, settings: &Path, registrations: &[Registration]) -> Result<Change, Error> {
        self.hooks.plan_install(settings, registrations)
    }

    /// Puts the hook into its place and into the settings.
    ///
    /// # Errors
    /// As for planning, and when a file cannot be written. Then the settings are as they were.
    pub fn install(&self, settings: &Path, registrations: &[Registration]) -> Result<Change, Error> {
        // The settings must never name a hook that is not there.
        self.binary.install(&Binary::shipped()?)?;
        self.hooks.install(settings, registrations)
    }

    /// What an uninstall would change: in one project, or everywhere that we know of, the slash command with it.
    /// Nothing is written.
    ///
    /// # Errors
    /// When a file cannot be read or is no valid JSON.
    pub fn plan_uninstall(&self, project: Option<&Path>) -> Result<Vec<Change>, Error> {
        let plan = |settings: &Path| self.hooks.plan_uninstall(settings);
        self.each(project, plan, || self.slash_command().plan_uninstall())
    }

    /// Takes the hooks out, and the hook away when nobody needs it any more.
    ///
    /// # Errors
    /// As for planning, and when a file cannot be written.
    pub fn uninstall(&self, project: Option<&Path>) -> Result<Vec<Change>, Error> {
        let uninstall = |settings: &Path| self.hooks.uninstall(settings);
        let changes = self.each(project, uninstall, || self.slash_command().uninstall())?;
        if self.hooks.recorded().is_empty() {
            self.binary.uninstall()?;
        }
        Ok(changes)
    }

    /// Whom the settings call that count in a folder. What cannot be read calls nobody.
    pub fn handlers(&self, project: &Path) -> Vec<Handlers> {
        let files = self.configuration.settings(project).into_iter();
        let read = |path: PathBuf| {
            let text = file::read(&path).ok().flatten()?;
            Some(Handlers::of(&path, &json::value(&text).ok()?))
        };
        files.filter_map(|(_, path)| read(path)).collect()
    }

    /// How everything fares for sessions in a folder.
    pub fn look(&self, project: &Path, version: Option<Version>) -> Look {
        Look::at(&self.hooks, &self.configuration, project, version)
    }

    /// The files that can hold something of ours, each changed; without those where nothing is to be done.
    fn each(
        &self,
        project: Option<&Path>,
        change: impl Fn(&Path) -> Result<Change, Error>,
        change_slash: impl Fn() -> Result<Change, Error>,
    ) -> Result<Vec<Change>, Error> {
        let mut files = vec![self.settings(project)];
        if project.is_none() {
            let recorded = self.hooks.recorded();
            files.extend(recorded.into_iter().filter(|file| *file != self.configuration.user_settings()));
        }
        let mut changes = files.iter().map(|file| change(file)).collect::<Result<Vec<_>, _>>()?;
        if project.is_none() {
            changes.push(change_slash()?);
        }
        changes.retain(|change| !change.is_nothing());
        Ok(changes)
    }
}
