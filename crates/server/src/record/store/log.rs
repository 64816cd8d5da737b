//! The statements that store events: the rows and their payloads, and which of them are other deliveries of the same.

use std::time::SystemTime;

use protocol::{EventId, Kind, Row, Seq, Source, Timestamp};
use rusqlite::{CachedStatement, Connection, OptionalExtension, params};
use uuid::Uuid;

/// Where an event is, when it came before.
pub(super) fn position_of(connection: &Connection, id: EventId) -> rusqlite::Result<Option<Seq>> {
    let mut known = connection.prepare_cached("SELECT seq FROM events WHERE id = ?1")?;
    let seq: Option<u64> = known.query_row([id.0.as_bytes()], |row| row.get(0)).optional()?;
    Ok(seq.map(Seq))
}

/// The two statements that store an event, prepared once for a group.
pub(super) struct Log<'c> {
    row: CachedStatement<'c>,
    payload: CachedStatement<'c>,
}

impl<'c> Log<'c> {
    pub(super) fn open(connection: &'c Connection) -> rusqlite::Result<Self> {
        Ok(Self {
            row: connection.prepare_cached(
                "INSERT INTO events (seq, id, received_at, occurred_at, source, kind, session_id, agent_id,
                     agent_type, project, tool_use_id, tool_name, prompt_id, duration_ms, is_error, summary,
                     duplicate_of)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)",
            )?,
            payload: connection.prepare_cached("INSERT INTO payloads (seq, payload) VALUES (?1, ?2)")?,
        })
    }

    pub(super) fn append(&mut self, row: &Row, payload: &str) -> rusqlite::Result<()> {
        self.row.execute(params![
            row.seq.0,
            row.id.0.as_bytes(),
            row.received_at.0,
            row.occurred_at.0,
            row.source.as_str(),
            row.kind.as_str(),
            row.session_id.as_ref().map(protocol::SessionId::as_str),
            row.agent_id.as_ref().map(protocol::AgentId::as_str),
            row.agent_type,
            row.project,
            row.tool_use_id.as_ref().map(protocol::ToolUseId::as_str),
            row.tool_name,
            row.prompt_id,
            row.duration_ms,
            row.is_error,
            row.summary,
            row.duplicate_of.map(|seq| seq.0),
        ])?;
        self.payload.execute(params![row.seq.0, payload])?;
        Ok(())
    }
}

/// Links a stored event to its richer delivery.
pub(super) fn mark_duplicate(connection: &Connection, poorer: Seq, richer: Seq) -> rusqlite::Result<()> {
    let mut mark = connection.prepare_cached("UPDATE events SET duplicate_of = ?2 WHERE seq = ?1")?;
    mark.execute(params![poorer.0, richer.0])?;
    Ok(())
}

/// Writes what an event writes, and takes it back: to be committed when nobody knows whether that works.
pub(super) fn probe(change: &Connection, seq: Seq) -> rusqlite::Result<()> {
    let at = Timestamp::from_system(SystemTime::now());
    let row = Row {
        seq,
        id: EventId(Uuid::now_v7()),
        received_at: at,
        occurred_at: at,
        source: Source::Http,
        kind: Kind::from_name("probe"),
        session_id: None,
        agent_id: None,
        agent_type: None,
        project: None,
        tool_use_id: None,
        tool_name: None,
        prompt_id: None,
        duration_ms: None,
        is_error: false,
        summary: String::new(),
        duplicate_of: None,
    };
    Log::open(change)?.append(&row, "null")?;
    change.execute("DELETE FROM payloads WHERE seq = ?1", [seq.0])?;
    change.execute("DELETE FROM events WHERE seq = ?1", [seq.0])?;
    Ok(())
}
