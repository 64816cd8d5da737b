//! Whether events are kept. While capture is paused they are taken from their senders, counted, and dropped.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use protocol::Timestamp;
use protocol::health::CaptureHealth;

/// A handle to the switch; clones share it. It outlives the restarts of a server that keeps its [`crate::Config`].
#[derive(Clone, Debug, Default)]
pub struct Capture(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    /// The newest pause. One that ended is remembered: events of its time may still come from the spool.
    pause: Option<Pause>,
    skipped: u64,
}

#[derive(Clone, Copy, Debug)]
struct Pause {
    since: Timestamp,
    /// Its end; none until somebody resumes.
    until: Option<Timestamp>,
    /// Whether somebody resumed.
    is_ended: bool,
}

impl Pause {
    /// Whether it lasts. A clock that is set back does not end it, and does not bring one back that was ended.
    fn lasts(self, now: Timestamp) -> bool {
        !self.is_ended && self.until.is_none_or(|until| now < until)
    }

    fn covers(self, at: Timestamp) -> bool {
        self.since <= at && self.until.is_none_or(|until| at < until)
    }
}

impl Capture {
    /// Keeps nothing from now on until that time, or until resumed.
    pub(crate) fn pause(&self, now: Timestamp, until: Option<Timestamp>) {
        let mut inner = self.inner();
        let since = inner.pause.filter(|pause| pause.lasts(now)).map_or(now, |pause| pause.since);
        inner.pause = Some(Pause { since, until, is_ended: false });
    }

    /// Keeps everything from now on.
    pub(crate) fn resume(&self, now: Timestamp) {
        if let Some(pause) = self.inner().pause.as_mut().filter(|pause| pause.lasts(now)) {
            pause.until = Some(now);
            pause.is_ended = true;
        }
    }

    /// Whether what happens now is dropped.
    pub(crate) fn is_paused(&self, now: Timestamp) -> bool {
        self.inner().pause.is_some_and(|pause| pause.lasts(now))
    }

    /// Whether what happened at that time is kept, when it comes later.
    pub(crate) fn keeps(&self, at: Timestamp) -> bool {
        !self.inner().pause.is_some_and(|pause| pause.covers(at))
    }

    pub(crate) fn count_skipped(&self, events: usize) {
        self.inner().skipped += events as u64;
    }

    pub(crate) fn health(&self, now: Timestamp) -> CaptureHealth {
        let inner = self.inner();
        let pause = inner.pause.filter(|pause| pause.lasts(now));
        CaptureHealth {
            paused: pause.is_some(),
            until: pause.and_then(|pause| pause.until),
            skipped: inner.skipped,
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_happens_in_a_pause_is_not_kept_also_when_it_comes_later() {
        let capture = Capture::default();
        let at = Timestamp;
        assert!(capture.keeps(at(5)));
        capture.pause(at(10), Some(at(20)));
        assert!(
            capture.keeps(at(9)) && !capture.keeps(at(10)) && !capture.keeps(at(19)) && capture.keeps(at(20))
        );
        capture.pause(at(15), None);
        assert!(
            !capture.keeps(at(12)) && !capture.keeps(at(1000)),
            "a longer pause begins with the first one"
        );
        assert_eq!(capture.health(at(16)), CaptureHealth { paused: true, until: None, skipped: 0 });
        capture.resume(at(30));
        capture.resume(at(40));
        assert!(!capture.keeps(at(29)) && capture.keeps(at(30)), "the second resuming changes nothing");
        assert!(!capture.is_paused(at(29)), "a clock that is set back brings no pause back");
        capture.pause(at(50), None);
        assert!(capture.is_paused(at(45)), "nor does it end one");
        capture.resume(at(45));
        assert!(!capture.is_paused(at(55)), "only resuming does");
        capture.count_skipped(3);
        assert_eq!(capture.health(at(30)), CaptureHealth { paused: false, until: None, skipped: 3 });
    }
}
