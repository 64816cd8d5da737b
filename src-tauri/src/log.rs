//! The app's log, `monitor/logs/desktop.log`: an app started from a menu has no terminal.

use std::fs::{File, OpenOptions};
use std::io;
use std::sync::Mutex;

use protocol::paths::Home;
use tracing_subscriber::EnvFilter;

/// A log larger than this is emptied at the next start.
const BYTES_MAX: u64 = 1024 * 1024;

/// Starts it; without a file the app runs without a log.
pub(crate) fn start(home: &Home) {
    match open(home) {
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

fn open(home: &Home) -> io::Result<File> {
    client::runfiles::make_folders(home)?;
    let path = home.logs().join("desktop.log");
    let mut options = OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(&path)?;
    if file.metadata()?.len() > BYTES_MAX {
        file.set_len(0)?;
    }
    Ok(file)
}
