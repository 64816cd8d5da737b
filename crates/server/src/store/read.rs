//! Reading: a few read-only connections, and rows back into events.

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use protocol::{AgentId, Event, EventId, Kind, Row, Seq, SessionId, Source, Timestamp, ToolUseId};
use rusqlite::{Connection, OptionalExtension};
use serde_json::value::RawValue;
use uuid::Uuid;

use super::{StoreError, lock, schema};

/// Connections kept open between reads; more are opened under load and closed after it.
const IDLE_MAX: usize = 4;

/// The columns of a row, in the order in which [`row`] reads them.
pub(super) const COLUMNS: &str = "e.seq, e.id, e.received_at, e.occurred_at, e.source, e.kind, e.session_id, \
     e.agent_id, e.agent_type, e.project, e.tool_use_id, e.tool_name, e.prompt_id, e.duration_ms, e.is_error, \
     e.summary, e.duplicate_of";

/// Read-only connections to one database.
pub(super) struct Readers {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
}

impl Readers {
    pub(super) fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), idle: Mutex::new(Vec::new()) }
    }

    /// Closes what is idle, so that the writer is the last to leave and tidies up the files.
    pub(super) fn close(&self) {
        lock(&self.idle).clear();
    }

    /// Runs a read on a connection of its own.
    pub(super) fn with<T>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let idle = lock(&self.idle).pop();
        let connection = idle.map_or_else(|| schema::open_reader(&self.path), Ok)?;
        let result = read(&connection);
        let mut idle = lock(&self.idle);
        if idle.len() < IDLE_MAX {
            idle.push(connection);
        }
        result
    }
}

/// One event with its payload.
pub(super) fn event(connection: &Connection, seq: Seq) -> Result<Option<Event>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS}, p.payload FROM events e JOIN payloads p ON p.seq = e.seq WHERE e.seq = ?1"
    );
    let mut find = connection.prepare_cached(&sql)?;
    Ok(find
        .query_row([seq.0], |found| Ok(Event { row: row(found)?, payload: payload(found, 17)? }))
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
