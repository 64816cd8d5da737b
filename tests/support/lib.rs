//! Starts real monitors and real clients for the tests, and waits for what they do with a limit on every wait.

mod bare;
mod client;
#[cfg(target_os = "linux")]
mod faults;
mod fixtures;
mod guarded;
mod imports;
mod monitor;
mod programs;
mod random;
mod reply;
mod senders;
mod socket;
mod squatter;
mod websocket;

use std::time::{Duration, Instant};

pub use bare::Bare;
pub use client::Client;
#[cfg(target_os = "linux")]
pub use faults::{Errno, Faults, Files, lose_power};
pub use fixtures::{Post, hook_posts, hook_samples, prompt, stop, tool_end, tool_start};
pub use guarded::Guarded;
pub use imports::Imports;
pub use monitor::{Crashed, Monitor, free_port, hook, our, raw, settle, spooled};
pub use programs::{DESKTOP, NOBODY, has_other_users, output, program, repository};
pub use random::{Random, number, seed};
pub use reply::{Page, Reply, Stored};
pub use senders::Senders;
pub use socket::{Library, Options, Socket};
pub use squatter::Squatter;
pub use websocket::WebSocket;

/// The longest wait for anything. Generous: it is reached only when something is broken, and machines that
/// run tests are slow at times.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// How long to rest between two looks at what a test waits for.
const POLL: Duration = Duration::from_millis(10);

/// Waits until something is so that nobody tells of.
#[track_caller]
pub fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    eventually(what, || is_so().then_some(()));
}

/// Waits until there is something.
#[track_caller]
pub fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(started.elapsed() < PATIENCE, "waited in vain: {what}");
        std::thread::sleep(POLL);
    }
}
