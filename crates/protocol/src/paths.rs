//! Where files lie in the user's home. Pure path arithmetic; whoever needs a folder makes it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// `~/.claude-mpm`, or `$CLAUDE_MPM_HOME`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Home(PathBuf);

impl Home {
    /// Finds the home by a lookup of environment variables; `None` when neither `CLAUDE_MPM_HOME` nor the
    /// user's home folder is set.
    pub fn from_env(var: impl Fn(&str) -> Option<OsString>) -> Option<Self> {
        let set = |name: &str| var(name).filter(|value| !value.is_empty());
        if let Some(home) = set("CLAUDE_MPM_HOME") {
            return Some(Self(home.into()));
        }
        let user = set("HOME").or_else(|| set("USERPROFILE"))?;
        Some(Self(Path::new(&user).join(".claude-mpm")))
    }

    /// A home at this folder.
    pub fn at(folder: impl Into<PathBuf>) -> Self {
        Self(folder.into())
    }

    /// The folder itself; may hold files of claude-mpm.
    pub fn folder(&self) -> &Path {
        &self.0
    }

    /// The folder that is only ours.
    pub fn monitor(&self) -> PathBuf {
        self.0.join("monitor")
    }

    /// The configuration file.
    pub fn config(&self) -> PathBuf {
        self.0.join("socketio_config.json")
    }

    /// The event store.
    pub fn database(&self) -> PathBuf {
        self.monitor().join("events.db")
    }

    /// The user's own prices of models.
    pub fn prices(&self) -> PathBuf {
        self.folder().join("prices.json")
    }

    /// Runfiles and locks.
    pub fn run(&self) -> PathBuf {
        self.monitor().join("run")
    }

    /// The runfile of a port.
    pub fn runfile(&self, port: u16) -> PathBuf {
        self.run().join(format!("{port}.json"))
    }

    /// The lock that a server on this port holds while it lives.
    pub fn lock(&self, port: u16) -> PathBuf {
        self.run().join(format!("{port}.lock"))
    }

    /// What the supervisor of a background server on this port notes.
    pub fn supervisor(&self, port: u16) -> PathBuf {
        self.run().join(format!("{port}.supervisor"))
    }

    /// Events that no server could take.
    pub fn spool(&self) -> PathBuf {
        self.monitor().join("spool")
    }

    /// The secret that a server beyond loopback asks for.
    pub fn token(&self) -> PathBuf {
        self.monitor().join("token")
    }

    /// The certificate that a server signed itself, with its key.
    pub fn certificate(&self) -> PathBuf {
        self.monitor().join("certificate.pem")
    }

    /// Log files.
    pub fn logs(&self) -> PathBuf {
        self.monitor().join("logs")
    }

    /// The log of a server on this port; its older parts have a number behind the name.
    pub fn log(&self, port: u16) -> PathBuf {
        self.logs().join(format!("monitor-{port}.log"))
    }

    /// The log of the desktop app, and of the server inside it.
    pub fn desktop_log(&self) -> PathBuf {
        self.logs().join("desktop.log")
    }
}
