//! What keeps a server that answers from doing all that it is there for, and what its user can do about it.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;

use client::Stray;
use client::stray::Mode;
use protocol::Health;
use protocol::health::CaptureHealth;
use serde::Serialize;

use crate::units::{grouped, started};

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Trouble {
    /// A sentence about the server, such as `its store is degraded: database or disk is full`.
    pub(crate) what: String,
    /// How it is ended.
    pub(crate) way_out: String,
}

impl Trouble {
    /// What a server tells of itself, the worst first.
    pub(crate) fn told(health: &Health) -> Vec<Self> {
        let port = health.port;
        let store = (!is_well(health)).then(|| Self {
            what: format!("its store is {}", health.store),
            way_out: format!(
                "make room on its disk and see that its files can be written; \
                 'claude-mpm-monitor logs --port {port}' tells more"
            ),
        });
        let capture = paused(&health.capture).map(|paused| Self {
            what: format!("capture is {paused}"),
            way_out: "resume it in the dashboard or in the desktop app's menu".to_owned(),
        });
        store.into_iter().chain(capture).collect()
    }

    /// What keeps a server from taking what hooks left on disk.
    pub(crate) fn with_spool(spool: &Path) -> Option<Self> {
        let error = match fs::symlink_metadata(spool).and_then(|found| readable(spool, &found)) {
            Ok(()) => return None,
            // No hook ever left anything.
            Err(error) if error.kind() == ErrorKind::NotFound => return None,
            Err(error) => error,
        };
        let spool = spool.display();
        Some(Self {
            what: format!("what hooks left in {spool} cannot be taken from there: {error}"),
            way_out: format!("let it be a folder of yours that you may use: chmod 700 {spool}"),
        })
    }

    /// A server that nothing on disk tells of any more.
    pub(crate) fn of_stray(stray: &Stray) -> Self {
        let Stray { port, process, mode, .. } = stray;
        let way_out = match mode {
            Mode::Background(_) => format!(
                "start it anew with 'claude-mpm-monitor restart --port {port}', or end it with \
                 'claude-mpm-monitor stop --port {port}'"
            ),
            Mode::Foreground => {
                format!("end it with 'claude-mpm-monitor stop --port {port}', then start it where it ran")
            }
            Mode::Desktop => "quit the desktop app in its menu, then start it again".to_owned(),
        };
        let what = format!(
            "it serves without its home (pid {}): its runfile is gone, and what it stores now may be lost",
            process.pid
        );
        Self { what, way_out }
    }

    /// For people, beside the server's name.
    pub(crate) fn lines(&self, port: u16) -> String {
        format!("✗ Server on port {port}: {}\n  Suggestion: {}\n", self.what, self.way_out)
    }
}

fn readable(spool: &Path, found: &fs::Metadata) -> io::Result<()> {
    if !found.is_dir() {
        return Err(io::Error::new(ErrorKind::NotADirectory, "it is no folder"));
    }
    fs::read_dir(spool).map(drop)
}

/// Whether a server that answers can also keep what it gets.
pub(crate) fn is_well(health: &Health) -> bool {
    health.store.is_empty() || health.store == "ok"
}

/// What there is to say while events are not kept.
pub(crate) fn paused(capture: &CaptureHealth) -> Option<String> {
    let until =
        capture.until.map_or_else(|| "until resumed".to_owned(), |at| format!("until {}", started(at)));
    capture.paused.then(|| format!("paused {until}, {} events not kept so far", grouped(capture.skipped)))
}
