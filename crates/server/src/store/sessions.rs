//! The state of each session: a fold over its events, kept in the store beside them so that a start reads no
//! history.

use std::collections::HashMap;

use protocol::kind::HookEvent;
use protocol::{Kind, Row, Session};
use rusqlite::{Connection, OptionalExtension, params};

use super::StoreError;

/// Sessions kept in memory; others are read again when they wake.
const CACHED_MAX: usize = 512;

/// The sessions touched lately, as the writer knows them.
#[derive(Default)]
pub(super) struct Sessions {
    cached: HashMap<String, Cached>,
}

struct Cached {
    session: Session,
    changed: bool,
}

impl Sessions {
    /// Folds an event into its session.
    pub(super) fn apply(
        &mut self,
        connection: &Connection,
        row: &Row,
        title: Option<String>,
        model: Option<String>,
    ) -> rusqlite::Result<()> {
        let Some(id) = &row.session_id else { return Ok(()) };
        if row.duplicate_of.is_some() {
            return Ok(());
        }
        let cached = self.cached(connection, id.as_str(), || begin(row, id.clone()))?;
        fold(&mut cached.session, row, title, model);
        cached.changed = true;
        Ok(())
    }

    /// Takes back what an event counted that turned out to be the poorer delivery of `row`.
    pub(super) fn uncount(
        &mut self,
        connection: &Connection,
        row: &Row,
        counted: Counted,
    ) -> rusqlite::Result<()> {
        let Some(id) = &row.session_id else { return Ok(()) };
        let cached = self.cached(connection, id.as_str(), || begin(row, id.clone()))?;
        let session = &mut cached.session;
        session.events = session.events.saturating_sub(1);
        session.errors = session.errors.saturating_sub(counted.errors);
        session.tool_calls = session.tool_calls.saturating_sub(counted.tool_calls);
        cached.changed = true;
        Ok(())
    }

    /// Writes what changed and tells it.
    pub(super) fn save(&mut self, connection: &Connection) -> rusqlite::Result<Vec<Session>> {
        let mut saved = Vec::new();
        let mut save = connection.prepare_cached(
            "INSERT INTO sessions (session_id, last_seq, state) VALUES (?1, ?2, ?3)
             ON CONFLICT (session_id) DO UPDATE SET last_seq = ?2, state = ?3",
        )?;
        for (id, cached) in self.cached.iter_mut().filter(|(_, cached)| cached.changed) {
            let state = serde_json::to_string(&cached.session).map_err(to_sql_error)?;
            save.execute(params![id, cached.session.last_seq.0, state])?;
            cached.changed = false;
            saved.push(cached.session.clone());
        }
        if self.cached.len() > CACHED_MAX {
            self.cached.clear();
        }
        Ok(saved)
    }

    /// After a group that could not be committed: what is cached may never have been written.
    pub(super) fn forget(&mut self) {
        self.cached.clear();
    }

    fn cached(
        &mut self,
        connection: &Connection,
        id: &str,
        begin: impl FnOnce() -> Session,
    ) -> rusqlite::Result<&mut Cached> {
        if !self.cached.contains_key(id) {
            let session = state_of(connection, id)?.unwrap_or_else(begin);
            self.cached.insert(id.to_owned(), Cached { session, changed: false });
        }
        Ok(self.cached.get_mut(id).expect("it was inserted just now"))
    }
}

/// What one event adds to the counters of its session.
#[derive(Clone, Copy, Debug)]
pub(super) struct Counted {
    errors: u64,
    tool_calls: u64,
}

impl Counted {
    pub(super) fn of(kind: &Kind, is_error: bool) -> Self {
        let is_call = *kind == Kind::Hook(HookEvent::PreToolUse);
        Self { errors: u64::from(is_error), tool_calls: u64::from(is_call) }
    }
}

fn begin(row: &Row, session_id: protocol::SessionId) -> Session {
    Session {
        session_id,
        project: None,
        title: None,
        model: None,
        started_at: row.occurred_at,
        last_event_at: row.occurred_at,
        last_seq: row.seq,
        events: 0,
        errors: 0,
        tool_calls: 0,
        last_summary: String::new(),
        ended_at: None,
    }
}

/// One step of the fold.
fn fold(session: &mut Session, row: &Row, title: Option<String>, model: Option<String>) {
    let counted = Counted::of(&row.kind, row.is_error);
    session.events += 1;
    session.errors += counted.errors;
    session.tool_calls += counted.tool_calls;
    session.started_at = session.started_at.min(row.occurred_at);
    session.last_event_at = session.last_event_at.max(row.occurred_at);
    session.last_seq = row.seq;
    session.last_summary.clone_from(&row.summary);
    session.project = row.project.clone().or(session.project.take());
    session.title = title.or(session.title.take());
    session.model = model.or(session.model.take());
    session.ended_at = (row.kind == Kind::Hook(HookEvent::SessionEnd)).then_some(row.occurred_at);
}

fn state_of(connection: &Connection, id: &str) -> rusqlite::Result<Option<Session>> {
    let mut find = connection.prepare_cached("SELECT state FROM sessions WHERE session_id = ?1")?;
    let state: Option<String> = find.query_row([id], |row| row.get(0)).optional()?;
    // A state that cannot be read was written by another version; the session starts over.
    Ok(state.and_then(|state| serde_json::from_str(&state).ok()))
}

fn to_sql_error(error: serde_json::Error) -> rusqlite::Error {
    rusqlite::Error::ToSqlConversionFailure(Box::new(error))
}

/// One session.
pub(super) fn load(connection: &Connection, id: &str) -> Result<Option<Session>, StoreError> {
    Ok(state_of(connection, id)?)
}

/// Sessions, the most recently active first.
pub(super) fn list(connection: &Connection, limit: usize) -> Result<Vec<Session>, StoreError> {
    let mut list = connection.prepare_cached("SELECT state FROM sessions ORDER BY last_seq DESC LIMIT ?1")?;
    let states = list.query_map([limit], |row| row.get::<_, String>(0))?;
    let states = states.collect::<rusqlite::Result<Vec<_>>>()?;
    Ok(states.iter().filter_map(|state| serde_json::from_str(state).ok()).collect())
}
