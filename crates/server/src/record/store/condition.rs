//! How the store fares, as the writer notes it and everybody may ask.

use std::sync::Mutex;

use protocol::health::Rebuild;

use super::lock;

/// How the store fares.
#[derive(Debug, Default)]
pub(super) struct Condition {
    /// Why the last write failed; none after one that worked.
    trouble: Mutex<Option<String>>,
    /// What the user should know until the next start.
    notice: Mutex<Option<String>>,
    /// How far sessions of another version are computed anew; none when there are none.
    rebuild: Mutex<Option<Rebuild>>,
}

impl Condition {
    /// Of a store about which its user should know this.
    pub(super) fn noting(notice: Option<String>) -> Self {
        Self { notice: Mutex::new(notice), ..Self::default() }
    }

    pub(super) fn is_troubled(&self) -> bool {
        lock(&self.trouble).is_some()
    }

    /// A write failed.
    pub(super) fn fails(&self, why: String) {
        *lock(&self.trouble) = Some(why);
    }

    /// A write worked.
    pub(super) fn works(&self) {
        lock(&self.trouble).take();
    }

    /// Tells the user until the next start, in place of what was told before.
    pub(super) fn note(&self, notice: String) {
        *lock(&self.notice) = Some(notice);
    }

    /// Sessions are computed anew, so far; or no more.
    pub(super) fn rebuilds(&self, progress: Option<Rebuild>) {
        *lock(&self.rebuild) = progress;
    }

    pub(super) fn rebuild(&self) -> Option<Rebuild> {
        *lock(&self.rebuild)
    }

    /// `ok`, or `degraded: <reason>`.
    pub(super) fn state(&self) -> String {
        let notice = || Some(format!("{}; told until the next start", lock(&self.notice).as_ref()?));
        let told = lock(&self.trouble).clone().or_else(notice);
        told.map_or_else(|| "ok".to_owned(), |reason| format!("degraded: {reason}"))
    }
}
