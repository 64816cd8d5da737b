//! A server in this process: its settings, the lock and the runfile of its port, start and stop. Used by the
//! command line in the foreground and by the desktop app.

mod host;
mod key;
mod settings;
mod tls;

pub use host::{Host, StartError};
pub use server::{Config, Stopped};
pub use settings::{Flags, LogLevel, Origin, Settings, SettingsError};
pub use tls::{Tls, TlsError};
