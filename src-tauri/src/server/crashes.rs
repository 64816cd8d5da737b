//! When a failed server is started again, and when no more.

use std::time::{Duration, Instant};

/// What fails three times fails for a reason that a fourth start does not remove.
const CRASHES_MAX: u32 = 3;

/// How long a server must have served for its next crash to be the first of a row.
const STEADY: Duration = Duration::from_secs(60);

/// How long to rest after the first crash of a row; twice as long after each further one.
const REST: Duration = Duration::from_secs(1);

/// The crashes in a row, so far.
#[derive(Debug, Default)]
pub(super) struct Crashes {
    in_a_row: u32,
    serving_since: Option<Instant>,
}

/// What to do after a crash.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    RetryIn(Duration),
    GiveUp { crashes: u32 },
}

impl Crashes {
    pub(super) fn is_empty(&self) -> bool {
        self.in_a_row == 0
    }

    pub(super) fn started(&mut self, now: Instant) {
        self.serving_since = Some(now);
    }

    pub(super) fn crashed(&mut self, now: Instant) -> Next {
        let was_steady = self.serving_since.take().is_some_and(|since| now.duration_since(since) >= STEADY);
        self.in_a_row = if was_steady { 1 } else { self.in_a_row + 1 };
        if self.in_a_row < CRASHES_MAX {
            Next::RetryIn(REST * 2_u32.pow(self.in_a_row - 1))
        } else {
            Next::GiveUp { crashes: self.in_a_row }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_crashes_in_a_row_end_the_tries_and_a_steady_server_begins_a_new_row() {
        let mut crashes = Crashes::default();
        let start = Instant::now();
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        assert!(crashes.is_empty());
        crashes.started(at(0));
        assert_eq!(crashes.crashed(at(5)), Next::RetryIn(REST));
        assert_eq!(crashes.crashed(at(6)), Next::RetryIn(REST * 2), "it did not even start");
        crashes.started(at(8));
        assert_eq!(crashes.crashed(at(8 + 60)), Next::RetryIn(REST), "it had served for a minute");
        crashes.started(at(70));
        assert_eq!(crashes.crashed(at(71)), Next::RetryIn(REST * 2));
        assert_eq!(crashes.crashed(at(73)), Next::GiveUp { crashes: 3 });
    }
}
