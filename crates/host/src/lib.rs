//! A server in this process: its settings, the lock and the runfile of its port, start and stop. Used by the
//! command line in the foreground and by the desktop app.

mod connect;
mod hooks;
mod host;
mod instances;
mod key;
mod loading;
mod log_file;
mod profile;
mod registration;
mod settings;
mod signals;
mod supervisor;
mod tls;

pub use connect::{ConnectError, Connected};
pub use host::{Host, StartError};
pub use log_file::{LogFile, LogLimits, log_parts};
pub use profile::{Detected, Profile};
pub use server::{Config, Stopped, check_prices};
pub use settings::{DeploymentMode, Flags, LogFormat, LogLevel, Origin, Setting, Settings, SettingsError};
pub use signals::{Hangup, Signals};
pub use supervisor::{Serves, SupervisionEnd, Supervisor};
pub use tls::{Tls, TlsError};
