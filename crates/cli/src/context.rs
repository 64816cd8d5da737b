//! What every verb needs: the user's home and environment, and the terminal.

use std::ffi::OsString;
use std::time::Duration;

use anyhow::Context as _;
use client::runfiles;
use host::{Flags, Settings};
use protocol::Runfile;
use protocol::paths::Home;

use crate::Terminal;

/// How long a start may take when `CLAUDE_MPM_MONITOR_TIMEOUT` says nothing else.
const START_LIMIT_S: u64 = 30;

/// The surroundings of one command.
pub(crate) struct Context<'a, 't> {
    pub(crate) home: Home,
    pub(crate) var: &'a dyn Fn(&str) -> Option<OsString>,
    pub(crate) terminal: &'a mut Terminal<'t>,
    /// Whether the warnings of the settings were told.
    pub(crate) has_warned: bool,
}

impl Context<'_, '_> {
    /// The settings of this user with these flags; warns of keys that nobody knows.
    pub(crate) fn settings(&mut self, flags: &Flags) -> anyhow::Result<Settings> {
        let settings = Settings::load(flags, self.var, &self.home)?;
        for warning in settings.warnings.iter().filter(|_| !self.has_warned) {
            self.terminal.complain(format_args!("Warning: {warning}"));
        }
        self.has_warned = true;
        Ok(settings)
    }

    /// The port that the user named, else the configured one.
    pub(crate) fn port(&mut self, named: Option<u16>) -> anyhow::Result<u16> {
        Ok(self.settings(&Flags { port: named, ..Flags::default() })?.config.port)
    }

    /// The runfiles of this user's living monitors, by port.
    pub(crate) fn living(&self) -> anyhow::Result<Vec<Runfile>> {
        let run = self.home.run();
        runfiles::living(&self.home).with_context(|| format!("could not read {}", run.display()))
    }

    /// How long a monitor may take until it answers.
    pub(crate) fn start_limit(&self) -> anyhow::Result<Duration> {
        let name = "CLAUDE_MPM_MONITOR_TIMEOUT";
        let Some(text) = (self.var)(name).filter(|text| !text.is_empty()) else {
            return Ok(Duration::from_secs(START_LIMIT_S));
        };
        let text = text.to_string_lossy();
        let seconds = text.trim().parse();
        seconds.map(Duration::from_secs).with_context(|| format!("could not read {name} as seconds: {text}"))
    }
}
