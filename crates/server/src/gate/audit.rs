//! What was refused and why: counted, the newest kept for `/stats`, and told in the log once a minute for each
//! reason and address, so that a flood of refusals is no flood of lines. At the level DEBUG, each is a line.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use protocol::Timestamp;
use serde::Serialize;

/// Refusals kept for who asks.
const LATEST_MAX: usize = 50;

/// Reasons and addresses that are told apart in the log.
const TOLD_MAX: usize = 1024;

/// How long the log is silent about one reason and address.
const SILENCE: Duration = Duration::from_secs(60);

/// How much of a path is kept.
const WHAT_CHARS_MAX: usize = 200;

/// All refusals of one run; clones share them.
#[derive(Clone, Default)]
pub(crate) struct Audit {
    ledger: Arc<Mutex<Ledger>>,
}

#[derive(Default)]
struct Ledger {
    counts: BTreeMap<&'static str, u64>,
    latest: VecDeque<Refused>,
    told: HashMap<(IpAddr, &'static str), Told>,
}

struct Told {
    at: Instant,
    /// Refusals since.
    silent: u64,
}

/// One refusal. Neither queries nor headers are kept: they may hold secrets.
#[derive(Clone, Debug, Serialize)]
struct Refused {
    at: String,
    code: &'static str,
    address: IpAddr,
    what: String,
}

/// Refusals for people: how many of each kind, and the newest.
#[derive(Debug, Serialize)]
pub(crate) struct Summary {
    counts: BTreeMap<&'static str, u64>,
    latest: VecDeque<Refused>,
}

impl Audit {
    /// Notes a refusal; `what` is what was asked for, without its query.
    pub(crate) fn refused(&self, code: &'static str, address: IpAddr, what: &str) {
        let now = Instant::now();
        let what: String = what.chars().take(WHAT_CHARS_MAX).collect();
        let mut ledger = self.lock();
        *ledger.counts.entry(code).or_default() += 1;
        if let Some(since) = ledger.tell((address, code), now) {
            tracing::warn!(target: "audit", code, %address, what, since, "refused");
        } else {
            tracing::debug!(target: "audit", code, %address, what, "refused");
        }
        if ledger.latest.len() >= LATEST_MAX {
            ledger.latest.pop_front();
        }
        let at = Timestamp::from_system(SystemTime::now()).rfc3339();
        ledger.latest.push_back(Refused { at, code, address, what });
    }

    /// How many of each kind.
    pub(crate) fn counts(&self) -> BTreeMap<&'static str, u64> {
        self.lock().counts.clone()
    }

    pub(crate) fn summary(&self) -> Summary {
        let ledger = self.lock();
        Summary { counts: ledger.counts.clone(), latest: ledger.latest.clone() }
    }

    fn lock(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ledger {
    /// How many refusals there were since the last line about these, when it is time for the next one.
    fn tell(&mut self, which: (IpAddr, &'static str), now: Instant) -> Option<u64> {
        if let Some(told) = self.told.get_mut(&which)
            && now.duration_since(told.at) < SILENCE
        {
            told.silent += 1;
            return None;
        }
        if self.told.len() >= TOLD_MAX {
            self.told.retain(|_, told| now.duration_since(told.at) < SILENCE);
            if self.told.len() >= TOLD_MAX {
                return None;
            }
        }
        let before = self.told.insert(which, Told { at: now, silent: 0 });
        Some(before.map_or(1, |told| told.silent + 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    #[test]
    fn the_log_hears_of_one_reason_once_a_minute_and_how_often_it_was() {
        let mut ledger = Ledger::default();
        let (start, here) = (Instant::now(), IpAddr::V4(Ipv4Addr::LOCALHOST));
        assert_eq!(ledger.tell((here, "a"), start), Some(1));
        assert_eq!(ledger.tell((here, "a"), start), None);
        assert_eq!(ledger.tell((here, "a"), start), None);
        assert_eq!(ledger.tell((here, "b"), start), Some(1));
        assert_eq!(ledger.tell((here, "a"), start + SILENCE), Some(3));
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let audit = Audit::default();
        for last in 0..u32::try_from(2 * TOLD_MAX).unwrap() {
            audit.refused("code", IpAddr::V4(Ipv4Addr::from(last)), &"x".repeat(10_000));
        }
        let summary = audit.summary();
        assert_eq!((summary.counts["code"], summary.latest.len()), (2 * TOLD_MAX as u64, LATEST_MAX));
        assert!(audit.lock().told.len() <= TOLD_MAX && summary.latest[0].what.len() == WHAT_CHARS_MAX);
    }
}
