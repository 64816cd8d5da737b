//! Keeps the states of sessions: folds events in as they are committed, writes a checkpoint with each group so
//! that a start reads no history, and computes a state anew from the events where the checkpoint is of no use.

use std::collections::{HashMap, VecDeque};

use protocol::ingest::{self, Facts};
use protocol::{Row, Seq, Session, SessionId, Timestamp};
use rusqlite::{Connection, OptionalExtension, params};

use super::duplicates::WINDOW_MS;
use super::{StoreError, read};
use crate::sessions::{SessionState, VERSION};

/// Sessions kept in memory; others are read again when they wake.
const ACTIVE_MAX: usize = 512;

/// Events of one session that can still be taken back. A flood beyond it costs a computation anew, should one
/// of the older ones be taken back after all.
const RETRACTABLE_MAX: usize = 512;

/// Events from which a state is computed anew at most: a minute of work would hold up every sender.
const REBUILD_EVENTS_MAX: u64 = 50_000;

/// The sessions touched lately, as the writer knows them.
#[derive(Default)]
pub(super) struct Sessions {
    active: HashMap<SessionId, Active>,
    /// Counts groups, to know which sessions were touched longest ago.
    group: u64,
}

struct Active {
    state: SessionState,
    is_current: Current,
    retractable: Option<Retractable>,
    /// The last group that touched it.
    touched: u64,
    is_changed: bool,
}

/// Whether the state holds everything that was folded.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Current {
    Yes,
    /// An event was taken back: fold the rest again.
    Refold,
    /// Only the events in the store tell.
    Rebuild,
}

/// Events for which a richer delivery may still come, with all that followed, and the state before them.
struct Retractable {
    before: SessionState,
    events: VecDeque<(Row, Box<Facts>)>,
}

impl Sessions {
    /// Folds an event into its session.
    pub(super) fn apply(
        &mut self,
        connection: &Connection,
        row: &Row,
        facts: Box<Facts>,
        may_be_superseded: bool,
    ) -> rusqlite::Result<()> {
        let Some(id) = &row.session_id else { return Ok(()) };
        if row.duplicate_of.is_some() {
            return Ok(());
        }
        let group = self.group;
        let active = match self.active(connection, id)? {
            Some(active) => active,
            None => self.active.entry(id.clone()).or_insert(Active::new(SessionState::new(id.clone()))),
        };
        active.touched = group;
        active.is_changed = true;
        active.fold(row, facts, may_be_superseded);
        Ok(())
    }

    /// Takes back events that turned out to be poorer deliveries of `row`.
    pub(super) fn supersede(
        &mut self,
        connection: &Connection,
        row: &Row,
        poorer: &[Seq],
    ) -> rusqlite::Result<()> {
        let Some(id) = &row.session_id else { return Ok(()) };
        if let Some(active) = self.active(connection, id)? {
            poorer.iter().for_each(|seq| active.retract(*seq));
        }
        Ok(())
    }

    /// Somebody has seen a session as it is now. False when there is none.
    pub(super) fn mark_read(&mut self, connection: &Connection, id: &SessionId) -> rusqlite::Result<bool> {
        let Some(active) = self.active(connection, id)? else { return Ok(false) };
        active.refresh(connection, id)?;
        active.state.mark_read();
        active.is_changed = true;
        Ok(true)
    }

    /// Computes one session anew that another version wrote. False when there is none.
    pub(super) fn renew_one(&mut self, connection: &Connection) -> rusqlite::Result<bool> {
        let mut find =
            connection.prepare_cached("SELECT session_id FROM sessions WHERE version <> ?1 LIMIT 1")?;
        let Some(id) = find.query_row([VERSION], |row| row.get(0).map(SessionId)).optional()? else {
            return Ok(false);
        };
        if let Some(active) = self.active(connection, &id)? {
            active.is_changed = true;
        }
        Ok(true)
    }

    /// Writes what changed and tells it.
    pub(super) fn save(&mut self, connection: &Connection) -> rusqlite::Result<Vec<Session>> {
        let mut saved = Vec::new();
        let mut save = connection.prepare_cached(
            "INSERT INTO sessions (session_id, last_seq, read_seq, version, view, state)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT (session_id)
             DO UPDATE SET last_seq = ?2, read_seq = ?3, version = ?4, view = ?5, state = ?6",
        )?;
        for (id, active) in self.active.iter_mut().filter(|(_, active)| active.is_changed) {
            active.refresh(connection, id)?;
            active.is_changed = false;
            let Active { state, .. } = active;
            let session = state.session();
            let (view, whole) = (to_json(&session)?, to_json(state)?);
            save.execute(params![id.as_str(), state.last_seq().0, state.read().0, VERSION, view, whole])?;
            saved.push(session);
        }
        self.group += 1;
        self.release();
        Ok(saved)
    }

    /// After a group that could not be committed: what is in memory may never have been written.
    pub(super) fn forget(&mut self) {
        self.active.clear();
    }

    /// Closed sessions leave memory, and of too many those that were touched longest ago.
    fn release(&mut self) {
        self.active.retain(|_, active| !active.state.is_over());
        if self.active.len() > ACTIVE_MAX {
            let mut touched: Vec<u64> = self.active.values().map(|active| active.touched).collect();
            touched.sort_unstable();
            let keep_from = touched[touched.len() - ACTIVE_MAX / 2];
            self.active.retain(|_, active| active.touched >= keep_from);
            if self.active.len() > ACTIVE_MAX {
                self.active.clear();
            }
        }
    }

    /// A session in memory, from its checkpoint if need be; none when it is new.
    fn active(&mut self, connection: &Connection, id: &SessionId) -> rusqlite::Result<Option<&mut Active>> {
        if !self.active.contains_key(id)
            && let Some(checkpoint) = checkpoint(connection, id.as_str())?
        {
            self.active.insert(id.clone(), Active::from(checkpoint, id));
        }
        Ok(self.active.get_mut(id))
    }
}

impl Active {
    fn new(state: SessionState) -> Self {
        Self { state, is_current: Current::Yes, retractable: None, touched: 0, is_changed: false }
    }

    fn from(checkpoint: Checkpoint, id: &SessionId) -> Self {
        match checkpoint.state {
            Some(state) => Self::new(state),
            None => Self {
                is_current: Current::Rebuild,
                ..Self::new(SessionState::new(id.clone()).read_up_to(checkpoint.read))
            },
        }
    }

    fn fold(&mut self, row: &Row, facts: Box<Facts>, may_be_superseded: bool) {
        if let Some(retractable) = &mut self.retractable
            && retractable.settle(row.received_at)
        {
            // All that could be taken back is settled.
            if self.is_current == Current::Refold {
                self.state = retractable.folded();
                self.is_current = Current::Yes;
            }
            self.retractable = None;
        }
        if self.retractable.is_none() && may_be_superseded && self.is_current == Current::Yes {
            let before = self.state.clone();
            self.retractable = Some(Retractable { before, events: VecDeque::new() });
        }
        if self.is_current == Current::Yes {
            self.state.apply(row, &facts);
        }
        if let Some(retractable) = &mut self.retractable {
            retractable.events.push_back((row.clone(), facts));
        }
    }

    fn retract(&mut self, seq: Seq) {
        let events = self.retractable.as_mut().map(|retractable| &mut retractable.events);
        let known = events.and_then(|events| {
            let place = events.iter().position(|(row, _)| row.seq == seq)?;
            events.remove(place)
        });
        self.is_current = match (known, self.is_current) {
            (Some(_), Current::Yes | Current::Refold) => Current::Refold,
            (Some(_), Current::Rebuild) | (None, _) => Current::Rebuild,
        };
    }

    /// Makes the state hold everything that was folded.
    fn refresh(&mut self, connection: &Connection, id: &SessionId) -> rusqlite::Result<()> {
        match (self.is_current, &self.retractable) {
            (Current::Yes, _) => return Ok(()),
            (Current::Refold, Some(retractable)) => self.state = retractable.folded(),
            (Current::Refold | Current::Rebuild, _) => {
                let read = self.state.read();
                let rebuilt = rebuild(connection, id.as_str())?;
                self.state = rebuilt.unwrap_or_else(|| SessionState::new(id.clone())).read_up_to(read);
                self.retractable = None;
            }
        }
        self.is_current = Current::Yes;
        Ok(())
    }
}

impl Retractable {
    /// Gives up what is too old to be taken back; true when that is everything.
    fn settle(&mut self, now: Timestamp) -> bool {
        let is_old = |row: &Row| now.0 - row.received_at.0 > WINDOW_MS;
        if self.events.back().is_none_or(|(row, _)| is_old(row)) {
            return true;
        }
        while self.events.len() >= RETRACTABLE_MAX || self.events.front().is_some_and(|(row, _)| is_old(row))
        {
            let Some((row, facts)) = self.events.pop_front() else { break };
            self.before.apply(&row, &facts);
        }
        false
    }

    fn folded(&self) -> SessionState {
        let mut state = self.before.clone();
        self.events.iter().for_each(|(row, facts)| state.apply(row, facts));
        state
    }
}

/// What the database holds of a session.
struct Checkpoint {
    read: Seq,
    /// None when another version wrote it.
    state: Option<SessionState>,
}

fn checkpoint(connection: &Connection, id: &str) -> rusqlite::Result<Option<Checkpoint>> {
    let mut find =
        connection.prepare_cached("SELECT read_seq, version, state FROM sessions WHERE session_id = ?1")?;
    let found = find.query_row([id], |row| {
        let read = Seq(row.get(0)?);
        let is_ours = row.get::<_, u32>(1)? == VERSION;
        let state = if is_ours { serde_json::from_str(row.get_ref(2)?.as_str()?).ok() } else { None };
        Ok(Checkpoint { read, state: state.map(|state: SessionState| state.read_up_to(read)) })
    });
    found.optional()
}

/// Folds the stored events of a session; none when there are none.
pub(super) fn rebuild(connection: &Connection, id: &str) -> rusqlite::Result<Option<SessionState>> {
    let columns = read::COLUMNS;
    let mut events = connection.prepare_cached(&format!(
        "SELECT {columns}, p.payload FROM events e JOIN payloads p ON p.seq = e.seq
         WHERE e.session_id = ?1 AND e.duplicate_of IS NULL AND e.seq >= (
             SELECT min(seq) FROM (
                 SELECT seq FROM events WHERE session_id = ?1 ORDER BY seq DESC LIMIT {REBUILD_EVENTS_MAX}
             )
         )
         ORDER BY e.seq"
    ))?;
    let mut rows = events.query([id])?;
    let mut state: Option<SessionState> = None;
    while let Some(found) = rows.next()? {
        let (row, payload) = (read::row(found)?, read::payload(found, 17)?);
        let state = state.get_or_insert_with(|| SessionState::new(SessionId(id.to_owned())));
        state.apply(&row, &ingest::facts(&row.kind, &payload));
    }
    Ok(state)
}

fn to_json(value: &impl serde::Serialize) -> rusqlite::Result<String> {
    serde_json::to_string(value).map_err(|e| rusqlite::Error::ToSqlConversionFailure(Box::new(e)))
}

/// One session.
pub(super) fn load(connection: &Connection, id: &str) -> Result<Option<SessionState>, StoreError> {
    Ok(match checkpoint(connection, id)? {
        None => None,
        Some(Checkpoint { state: Some(state), .. }) => Some(state),
        Some(Checkpoint { read, state: None }) => {
            rebuild(connection, id)?.map(|state| state.read_up_to(read))
        }
    })
}

/// Sessions in one of these states, or in any when none is named; the most recently active first. Those that
/// another version wrote are listed once they are computed anew.
pub(super) fn list(
    connection: &Connection,
    limit: usize,
    states: &[String],
) -> Result<Vec<Session>, StoreError> {
    let mut list = connection.prepare_cached(
        "SELECT view FROM sessions
         WHERE version = ?1
             AND (?2 = '[]' OR json_extract(view, '$.status.state') IN (SELECT value FROM json_each(?2)))
         ORDER BY last_seq DESC LIMIT ?3",
    )?;
    let views = list.query_map(params![VERSION, to_json(&states)?, limit], |row| row.get::<_, String>(0))?;
    let views = views.collect::<rusqlite::Result<Vec<_>>>()?;
    Ok(views.iter().filter_map(|view| serde_json::from_str(view).ok()).collect())
}
