//! A monitor for a program that needs one: the one that runs, or one that this process serves.

use std::path::Path;

use client::{Found, Monitor, best, discover};
use protocol::paths::Home;

use crate::{DeploymentMode, Host, Settings, StartError};

/// A monitor to talk to.
#[derive(Debug)]
pub enum Connected {
    /// It runs elsewhere.
    Client(Box<Found>),
    /// This process serves it, until the host is dropped or stopped.
    Embedded(Host),
}

/// Why there is no monitor to talk to.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Only one that runs was asked for, and none does.
    #[error("no monitor runs; start one with 'claude-mpm-monitor start'")]
    NoneRuns,
    /// None could be served here.
    #[error(transparent)]
    Start(#[from] StartError),
}

impl Connected {
    /// Finds a monitor, or serves one, as the settings say: `Auto` connects to the best that runs and else serves,
    /// unless `auto_start` is off; `Client` and `Standalone` only connect; `Embedded` only serves.
    ///
    /// # Errors
    /// When none runs that may be connected to, or none can be served.
    pub async fn open(settings: &Settings, home: &Home, folder: &Path) -> Result<Self, ConnectError> {
        let mode = settings.deployment_mode;
        if mode != DeploymentMode::Embedded {
            if let Some(found) = running(home, folder).await {
                return Ok(Self::Client(Box::new(found)));
            }
            if mode != DeploymentMode::Auto || !settings.auto_start {
                return Err(ConnectError::NoneRuns);
            }
        }
        Ok(Self::Embedded(Host::start(settings.config.clone(), home.clone(), None).await?))
    }

    /// To talk to it. Blocking: not from an async task.
    pub fn monitor(&self) -> Monitor {
        match self {
            Self::Client(found) => found.monitor.clone(),
            Self::Embedded(host) => host.monitor(),
        }
    }
}

/// The best monitor that runs.
async fn running(home: &Home, folder: &Path) -> Option<Found> {
    let (home, folder) = (home.clone(), folder.to_owned());
    let look = move || best(&discover(&home, |name| std::env::var_os(name)), &folder).cloned();
    tokio::task::spawn_blocking(look).await.ok().flatten()
}
