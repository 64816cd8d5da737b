//! Forgetting: the oldest events go when they are too old or when the store is too large.

use std::time::SystemTime;

use protocol::Timestamp;
use rusqlite::{Connection, params};

use crate::config::Config;

/// Events deleted in one piece of idle work.
const BATCH_EVENTS: u64 = 500;

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

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

/// Deletes a few events when a limit is exceeded; true when it may have more to do.
pub(super) fn delete_some(connection: &mut Connection, limits: &Limits) -> rusqlite::Result<bool> {
    let now = Timestamp::from_system(SystemTime::now());
    let too_large = match limits.bytes_max {
        Some(max) => bytes(connection)? > max,
        None => false,
    };
    let old = limits.age_ms_max.map_or(i64::MIN, |age| now.0 - age);
    // The newest event stays: positions never start over.
    let last: Option<u64> = connection.query_row(
        "SELECT max(seq) FROM (SELECT seq, received_at FROM events ORDER BY seq LIMIT ?1)
         WHERE (received_at < ?2 OR ?3) AND seq < (SELECT max(seq) FROM events)",
        params![BATCH_EVENTS, old, too_large],
        |row| row.get(0),
    )?;
    let Some(last) = last else { return Ok(false) };
    let change = connection.transaction()?;
    change.execute("DELETE FROM search WHERE rowid <= ?1", [last])?;
    change.execute("DELETE FROM payloads WHERE seq <= ?1", [last])?;
    change.execute("DELETE FROM events WHERE seq <= ?1", [last])?;
    change.execute("DELETE FROM sessions WHERE last_seq <= ?1", [last])?;
    change.commit()?;
    connection.execute_batch("PRAGMA incremental_vacuum(256)")?;
    Ok(true)
}

/// Size of what is stored, without the room that deleted events left.
pub(super) fn bytes(connection: &Connection) -> rusqlite::Result<u64> {
    let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, u64>(0));
    Ok((pragma("page_count")? - pragma("freelist_count")?) * pragma("page_size")?)
}
