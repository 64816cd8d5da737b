//! The app's log, `monitor/logs/desktop.log`: an app started from a menu has no terminal.

use std::sync::Mutex;

use host::{LogFile, LogLimits};
use protocol::paths::Home;
use tracing_subscriber::EnvFilter;

/// The app says little: this is weeks of it.
const LIMITS: LogLimits = LogLimits { file_bytes_max: 1024 * 1024, files_max: 3 };

/// Starts it; without a file the app runs without a log.
pub(crate) fn start(home: &Home) {
    let opened =
        client::runfiles::make_folders(home).and_then(|()| LogFile::open(&home.desktop_log(), LIMITS));
    match opened {
        Ok(file) => {
            let filter = EnvFilter::new("info,zbus=warn,tao=warn");
            tracing_subscriber::fmt()
                .with_env_filter(filter)
                .with_ansi(false)
                .with_writer(Mutex::new(file))
                .init();
        }
        Err(error) => eprintln!("Warning: no log is written: {error}"),
    }
}
