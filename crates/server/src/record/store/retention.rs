//! Forgetting: the oldest events go when they are too old or when the store is too large.

use std::time::{Duration, Instant, SystemTime};

use protocol::{SessionId, Timestamp};
use rusqlite::{Connection, params};

use crate::config::Config;

/// Events deleted in one piece of idle work.
const BATCH_EVENTS: u64 = 500;

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// How long the clock of the day must have run evenly before age is judged by it. A clock that is wrong after a boot, or
/// when a machine wakes, is put right within minutes; what was deleted by it would not come back.
const SETTLED_AFTER: Duration = Duration::from_secs(10 * 60);

/// A difference between the clock of the day and the machine's own that is no jump, from one look to the next.
const DRIFT_MS_MAX: u64 = 60_000;

/// Tells whether the clock of the day can be trusted.
#[derive(Debug)]
pub(super) struct Clock {
    looked: (Instant, Timestamp),
    even_since: Instant,
}

impl Clock {
    pub(super) fn start() -> Self {
        Self::of(Instant::now(), Timestamp::from_system(SystemTime::now()))
    }

    fn of(now: Instant, today: Timestamp) -> Self {
        Self { looked: (now, today), even_since: now }
    }

    /// The time of the day, when it has not jumped for long enough.
    fn settled(&mut self, now: Instant, today: Timestamp) -> Option<Timestamp> {
        let (last, that_day) = std::mem::replace(&mut self.looked, (now, today));
        let expected = that_day.0 + i64::try_from((now - last).as_millis()).unwrap_or(i64::MAX);
        if today.0.abs_diff(expected) > DRIFT_MS_MAX {
            self.even_since = now;
        }
        (now - self.even_since >= SETTLED_AFTER).then_some(today)
    }

    /// Looks at both clocks.
    pub(super) fn today(&mut self) -> Option<Timestamp> {
        self.settled(Instant::now(), Timestamp::from_system(SystemTime::now()))
    }
}

/// What is kept. `None` sets no limit.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    age_ms_max: Option<i64>,
    bytes_max: Option<u64>,
}

impl Limits {
    pub(super) fn of(config: &Config) -> Self {
        Self {
            age_ms_max: (config.retention_days > 0).then(|| i64::from(config.retention_days) * DAY_MS),
            bytes_max: (config.retention_mib > 0).then(|| config.retention_mib * 1024 * 1024),
        }
    }
}

/// Deletes a few events when a limit is exceeded; `None` when there are none to delete, else the sessions that went with them.
/// Without a time of the day that can be trusted nothing is too old.
pub(super) fn delete_some(
    connection: &mut Connection,
    limits: &Limits,
    today: Option<Timestamp>,
) -> rusqlite::Result<Option<Vec<SessionId>>> {
    let too_large = match limits.bytes_max {
        Some(max) => bytes(connection)? > max,
        None => false,
    };
    let old = today.zip(limits.age_ms_max).map_or(i64::MIN, |(today, age)| today.0 - age);
    // The newest event stays: positions never start over.
    let last: Option<u64> = connection.query_row(
        "SELECT max(seq) FROM (SELECT seq, received_at FROM events ORDER BY seq LIMIT ?1)
         WHERE (received_at < ?2 OR ?3) AND seq < (SELECT max(seq) FROM events)",
        params![BATCH_EVENTS, old, too_large],
        |row| row.get(0),
    )?;
    let Some(last) = last else { return Ok(None) };
    let change = connection.transaction()?;
    change.execute("DELETE FROM search WHERE rowid <= ?1", [last])?;
    change.execute("DELETE FROM payloads WHERE seq <= ?1", [last])?;
    change.execute("DELETE FROM events WHERE seq <= ?1", [last])?;
    let gone = {
        let mut delete = change.prepare("DELETE FROM sessions WHERE last_seq <= ?1 RETURNING session_id")?;
        let gone = delete.query_map([last], |row| row.get(0).map(SessionId))?;
        gone.collect::<rusqlite::Result<_>>()?
    };
    change.commit()?;
    connection.execute_batch("PRAGMA incremental_vacuum(256)")?;
    Ok(Some(gone))
}

/// Size of what is stored, without the room that deleted events left.
pub(super) fn bytes(connection: &Connection) -> rusqlite::Result<u64> {
    let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, u64>(0));
    Ok((pragma("page_count")? - pragma("freelist_count")?) * pragma("page_size")?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn age_is_judged_only_by_a_clock_that_has_run_evenly_for_a_while() {
        const MINUTE: i64 = 60_000;
        let start = Instant::now();
        let mut clock = Clock::of(start, Timestamp(0));
        let mut at = |minutes: u64, today: i64| {
            let now = start + Duration::from_secs(60 * minutes);
            clock.settled(now, Timestamp(today * MINUTE)).map(|today| today.0 / MINUTE)
        };
        assert_eq!((at(5, 5), at(10, 10)), (None, Some(10)));
        const YEAR: i64 = 365 * 24 * 60;
        assert_eq!(at(11, YEAR), None, "a jump ahead");
        assert_eq!(at(20, YEAR + 9), None);
        assert_eq!((at(20, 20), at(29, 29), at(30, 30)), (None, None, Some(30)), "put right");
        assert_eq!(at(31, 1), None, "a jump back");
        assert_eq!(at(41, 11), Some(11), "a clock that stays as it is now is believed in the end");
        assert_eq!(at(100_000, 99_970), Some(99_970), "nobody looked for long, and it ran evenly");
    }
}
