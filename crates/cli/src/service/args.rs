//! The flags of `service`.

use std::fmt::{self, Display};
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use host::Profile;

#[derive(Debug, Args)]
pub(crate) struct Service {
    #[command(subcommand)]
    pub(crate) verb: ServiceVerb,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ServiceVerb {
    /// Write the service's files and start it
    Install(Install),
    /// Stop it and remove exactly what was written
    Uninstall(Where),
    /// Show what is installed and whether it runs
    Status {
        #[command(flatten)]
        place: Where,
        /// Print a JSON object for programs
        #[arg(long)]
        json: bool,
    },
}

/// Which installation.
#[derive(Debug, Args)]
pub(crate) struct Where {
    /// For this user, or for the whole system
    #[arg(long, default_value = "user")]
    pub(crate) mode: ServiceMode,
    /// Into the system in this folder, such as an image; nothing is started
    #[arg(long, value_name = "DIR")]
    pub(crate) root: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Install {
    #[command(flatten)]
    pub(crate) place: Where,
    /// The profile to run with: development, production or docker
    #[arg(long, default_value = "production")]
    pub(crate) environment: Profile,
    /// Write the configuration (and the wrapper), but no service
    #[arg(long)]
    pub(crate) no_service: bool,
    /// Only check whether it would work, and change nothing
    #[arg(long)]
    pub(crate) test_only: bool,
    /// Print the service's definition and change nothing
    #[arg(long, conflicts_with_all = ["test_only", "no_service"])]
    pub(crate) print: bool,
    /// The system to print for [default: this one]
    #[arg(long, requires = "print")]
    pub(crate) platform: Option<Platform>,
    /// Also install the command claude-mpm-socketio, and let the service be called so
    #[arg(long)]
    pub(crate) wrapper: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ServiceMode {
    User,
    System,
}

impl Display for ServiceMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if *self == Self::User { "user" } else { "system" })
    }
}

/// What runs services.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Platform {
    Systemd,
    Launchd,
    Windows,
}

impl Platform {
    /// That of this system.
    pub(crate) const HERE: Self = if cfg!(target_os = "macos") {
        Self::Launchd
    } else if cfg!(windows) {
        Self::Windows
    } else {
        Self::Systemd
    };
}
