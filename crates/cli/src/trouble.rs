//! What keeps a server that answers from doing all that it is there for, and what its user can do about it.

use client::Stray;
use client::stray::Mode;
use protocol::Health;
use protocol::health::CaptureHealth;
use protocol::paths::Home;
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
        let store = (!has_store(health)).then(|| Self {
            what: format!("its store is {}", health.store),
            way_out: format!(
                "'claude-mpm-monitor logs --port {port}' tells more; while events are refused, make room on its disk \
                 and see that its files can be written"
            ),
        });
        let capture = paused(&health.capture).map(|paused| Self {
            what: format!("capture is {paused}"),
            way_out: "resume it in the dashboard or in the desktop app's menu".to_owned(),
        });
        store.into_iter().chain(capture).collect()
    }

    /// What keeps hooks from keeping their events while no monitor answers, and a server from taking them.
    pub(crate) fn with_spool(home: &Home) -> Option<Self> {
        let folders = [home.monitor(), home.spool()];
        let reason = folders.iter().find_map(|folder| private::check_folder(folder).err())?.to_string();
        // Whose text names a way out ends with it.
        let (what, way_out) = match reason.rsplit_once("; ") {
            Some((what, way_out)) => (what.to_owned(), way_out.to_owned()),
            None => (format!("{}: {reason}", home.spool().display()), "let its user write there".to_owned()),
        };
        Some(Self { what: format!("hooks cannot keep events: {what}"), way_out })
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

    /// What is wrong, at the beginning of a line.
    pub(crate) fn sentence(&self) -> String {
        let mut chars = self.what.chars();
        chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
    }

    /// For people, beside the server's name.
    pub(crate) fn lines(&self, port: u16) -> String {
        format!("✗ Server on port {port}: {}\n  Suggestion: {}\n", self.what, self.way_out)
    }
}

/// Whether a server can keep what it gets.
pub(crate) fn has_store(health: &Health) -> bool {
    health.store.is_empty() || health.store == "ok"
}

/// What there is to say while events are not kept.
pub(crate) fn paused(capture: &CaptureHealth) -> Option<String> {
    let until =
        capture.until.map_or_else(|| "until resumed".to_owned(), |at| format!("until {}", started(at)));
    capture.paused.then(|| format!("paused {until}, {} events not kept so far", grouped(capture.skipped)))
}
