//! Reading: a few read-only connections, and rows back into events.

use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use protocol::{AgentId, Event, EventId, Kind, Row, Seq, SessionId, Source, Timestamp, ToolUseId};
use rusqlite::{Connection, OptionalExtension};
use serde_json::value::RawValue;
use uuid::Uuid;

use super::{StoreError, lock, schema};

/// Connections, and so reads at a time; others wait. SQLite keeps the files of closed connections open while one of
/// another connection is.
const CONNECTIONS_MAX: usize = 8;

/// Connections kept open between reads.
const IDLE_MAX: usize = 4;

/// The longest that one read takes; the slowest questions about a full store take some seconds.
const READ_TIME_MAX: Duration = Duration::from_secs(30);

/// Steps of the database between two looks at the time.
const STEPS: i32 = 10_000;

/// The columns of a row, in the order in which [`row`] reads them.
pub(super) const COLUMNS: &str = "e.seq, e.id, e.received_at, e.occurred_at, e.source, e.kind, e.session_id, \
     e.agent_id, e.agent_type, e.project, e.tool_use_id, e.tool_name, e.prompt_id, e.duration_ms, e.is_error, \
     e.summary, e.duplicate_of";

/// Read-only connections to one database.
pub(super) struct Readers {
    path: PathBuf,
    connections: Mutex<Connections>,
    /// One of them was given back.
    returned: Condvar,
    patience: Duration,
}

#[derive(Default)]
struct Connections {
    idle: Vec<Connection>,
    /// How many are in use.
    taken: usize,
    /// How often the database was opened anew.
    opened: u64,
}

impl Readers {
    pub(super) fn new(path: &Path) -> Self {
        let path = path.to_owned();
        Self { path, connections: Mutex::default(), returned: Condvar::new(), patience: READ_TIME_MAX }
    }

    /// Closes what is idle, so that the writer is the last to leave and tidies up the files.
    pub(super) fn close(&self) {
        lock(&self.connections).idle.clear();
    }

    /// Forgets every connection: the database was opened anew, and they read the files that were there before.
    pub(super) fn renew(&self) {
        let mut connections = lock(&self.connections);
        connections.idle.clear();
        connections.opened += 1;
    }

    /// Runs a read on a connection of its own, for as long as a read may take.
    pub(super) fn with<T>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let _turn = self.turn();
        let (idle, opened) = {
            let mut connections = lock(&self.connections);
            (connections.idle.pop(), connections.opened)
        };
        let mut connection = idle.map_or_else(|| schema::open_reader(&self.path), Ok)?;
        let (begin, patience) = (Instant::now(), self.patience);
        connection.progress_handler(STEPS, Some(move || begin.elapsed() > patience))?;
        let result = read(&connection);
        connection.progress_handler(STEPS, None::<fn() -> bool>)?;
        let mut connections = lock(&self.connections);
        if connections.opened == opened && connections.idle.len() < IDLE_MAX {
            connections.idle.push(connection);
        }
        result
    }

    /// The right to use a connection; waits until there is one.
    fn turn(&self) -> Turn<'_> {
        let is_full = |connections: &mut Connections| connections.taken >= CONNECTIONS_MAX;
        let free = self.returned.wait_while(lock(&self.connections), is_full);
        free.unwrap_or_else(PoisonError::into_inner).taken += 1;
        Turn(self)
    }
}

/// A connection that is in use until the value is dropped.
struct Turn<'r>(&'r Readers);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        lock(&self.0.connections).taken -= 1;
        self.0.returned.notify_one();
    }
}

/// One event with its payload.
pub(super) fn event(connection: &Connection, seq: Seq) -> Result<Option<Event>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS}, p.payload FROM events e JOIN payloads p ON p.seq = e.seq WHERE e.seq = ?1"
    );
    let mut find = connection.prepare_cached(&sql)?;
    Ok(find
        .query_row([seq.0], |found| {
            Ok(Event { row: row(found)?, payload: payload(found, 17)?, is_own: false, caller: None })
        })
        .optional()?)
}

/// A row from the first columns of a result.
pub(super) fn row(found: &rusqlite::Row<'_>) -> rusqlite::Result<Row> {
    let id: [u8; 16] = found.get(1)?;
    let source: String = found.get(4)?;
    let kind: String = found.get(5)?;
    Ok(Row {
        seq: Seq(found.get(0)?),
        id: EventId(Uuid::from_bytes(id)),
        received_at: Timestamp(found.get(2)?),
        occurred_at: Timestamp(found.get(3)?),
        source: Source::from_name(&source).unwrap_or(Source::Http),
        kind: Kind::from_name(&kind),
        session_id: found.get::<_, Option<String>>(6)?.map(SessionId),
        agent_id: found.get::<_, Option<String>>(7)?.map(AgentId),
        agent_type: found.get(8)?,
        project: found.get(9)?,
        tool_use_id: found.get::<_, Option<String>>(10)?.map(ToolUseId),
        tool_name: found.get(11)?,
        prompt_id: found.get(12)?,
        duration_ms: found.get(13)?,
        is_error: found.get(14)?,
        summary: found.get(15)?,
        duplicate_of: found.get::<_, Option<u64>>(16)?.map(Seq),
    })
}

/// The payload column of a result.
pub(super) fn payload(found: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<Box<RawValue>> {
    let text: String = found.get(column)?;
    RawValue::from_string(text).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, Box::new(error))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Durability;

    #[test]
    fn a_read_that_takes_too_long_ends_and_the_next_one_is_served() {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let path = folder.path().join("events.db");
        let _writer = schema::open(&path, Durability::Crash).expect("the store opens");
        let readers = Readers { patience: Duration::ZERO, ..Readers::new(&path) };
        let count = |sql: &str| {
            readers.with(|connection| Ok(connection.query_row(sql, [], |row| row.get::<_, u64>(0))?))
        };
        let endless =
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n";
        assert!(matches!(count(endless), Err(StoreError::SlowQuery)));
        assert_eq!(count("SELECT count(*) FROM events").expect("a short read"), 0);
    }
}
