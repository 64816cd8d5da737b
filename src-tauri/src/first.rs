//! Leaves a start to the app that runs already, before anything of the toolkit is set up: a process that ends in the
//! middle of that may not end well.

use std::time::{Duration, Instant};

use client::{Lock, runfiles};
use protocol::paths::Home;

/// How long another start may take until it can be told of this one.
const LIMIT: Duration = Duration::from_secs(20);

/// How often a waiter looks again.
const POLL: Duration = Duration::from_millis(20);

/// The right to start, given to one after the other; dropped when others can tell this app of themselves.
pub(crate) fn turn(home: &Home) -> Option<Lock> {
    runfiles::make_folders(home).ok()?;
    let path = home.run().join("desktop.lock");
    let started = Instant::now();
    while started.elapsed() < LIMIT {
        if let Some(lock) = Lock::try_take_file(&path).ok()? {
            return Some(lock);
        }
        std::thread::sleep(POLL);
    }
    None
}

/// Whether an app runs that took this start over.
#[cfg(target_os = "linux")]
pub(crate) fn is_taken_over() -> bool {
    // The names under which the plugin for single instances makes the first app known.
    const NAME: &str = "io.github.claude-mpm.monitor.SingleInstance";
    const PATH: &str = "/io/github/claude_mpm/monitor/SingleInstance";
    let args: Vec<String> = std::env::args_os().map(|arg| arg.to_string_lossy().into_owned()).collect();
    let folder = std::env::current_dir().unwrap_or_default().to_string_lossy().into_owned();
    let Ok(bus) = zbus::blocking::Connection::session() else { return false };
    let told = bus.call_method(
        Some(NAME),
        PATH,
        Some("org.SingleInstance.DBus"),
        "ExecuteCallback",
        &(args, folder),
    );
    told.is_ok()
}

/// Elsewhere the plugin does it.
#[cfg(not(target_os = "linux"))]
pub(crate) fn is_taken_over() -> bool {
    false
}
