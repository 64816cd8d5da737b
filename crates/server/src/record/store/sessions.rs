//! Keeps the states of sessions: folds events in as they are committed, and now and then writes checkpoints, so
//! that a start reads little history. What a checkpoint does not cover yet is folded from the log when its session
//! is read; where a checkpoint is of no use, everything is.
//!
//! A checkpoint never holds an event that can still be taken back, so it stays right whatever comes.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant, SystemTime};

use protocol::ingest::{self, Facts};
use protocol::{Row, Seq, Session, SessionId, Timestamp};
use rusqlite::{Connection, OptionalExtension, params};
use uuid::Uuid;

use super::duplicates::{REMEMBERED_MAX, WINDOW_MS};
use super::{StoreError, read};
use crate::record::sessions::{SessionState, VERSION};

/// Sessions kept in memory; others are read again when they wake.
const ACTIVE_MAX: usize = 512;

/// Events of one session that can still be taken back: all that the writer remembers deliveries of. A flood beyond it
/// costs a computation anew, should one of the older ones be taken back after all.
const RETRACTABLE_MAX: usize = REMEMBERED_MAX;

/// Events from which a state is computed anew at most: a minute of work would hold up every sender.
const REBUILD_EVENTS_MAX: u64 = 50_000;

/// How long a list computes sessions that another version wrote.
const COMPUTE_PATIENCE: Duration = Duration::from_secs(1);

/// After every event.
pub(super) const END: Seq = Seq(i64::MAX as u64);

/// The sessions touched lately, as the writer knows them.
pub(super) struct Sessions {
    active: HashMap<SessionId, Active>,
    /// Those that the present group changed.
    changed: Vec<SessionId>,
    behind: Behind,
    /// Those that were computed anew for the present group without being in memory, as they are now.
    renewed: Vec<Session>,
    /// Counts groups, to know which sessions were touched longest ago.
    group: u64,
}

/// A session of another version as its events tell it.
pub(super) struct Renewed {
    id: SessionId,
    /// None when there are no events.
    state: Option<SessionState>,
}

impl Renewed {
    pub(super) fn compute(connection: &Connection, id: SessionId) -> rusqlite::Result<Self> {
        Ok(Self { state: load(connection, &id, END)?, id })
    }
}

/// Which sessions have events that neither memory nor their row in the database knows.
enum Behind {
    /// Some of those with events after this position, of which every row knows.
    After(Seq),
    /// These.
    These(Vec<SessionId>),
    None,
}

struct Active {
    state: SessionState,
    is_current: Current,
    retractable: Option<Retractable>,
    /// The last group that touched it.
    touched: u64,
    is_changed: bool,
    is_saved: bool,
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
    /// As another run of the writer left them.
    pub(super) fn open(connection: &Connection) -> rusqlite::Result<Self> {
        let known = known(connection)?;
        Ok(Self {
            active: HashMap::new(),
            changed: Vec::new(),
            behind: Behind::After(known),
            renewed: Vec::new(),
            group: 0,
        })
    }

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
        let active = match self.active(connection, id, row.seq)? {
            Some(active) => active,
            None => self.active.entry(id.clone()).or_insert(Active::new(SessionState::new(id.clone()))),
        };
        active.touched = group;
        active.fold(row, facts, may_be_superseded);
        if !std::mem::replace(&mut active.is_changed, true) {
            self.changed.push(id.clone());
        }
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
        if let Some(active) = self.active(connection, id, row.seq)? {
            poorer.iter().for_each(|seq| active.retract(*seq));
        }
        Ok(())
    }

    /// Somebody has seen a session as it is now. False when there is none.
    pub(super) fn mark_read(&mut self, connection: &Connection, id: &SessionId) -> rusqlite::Result<bool> {
        let Some(active) = self.active(connection, id, END)? else { return Ok(false) };
        active.refresh(connection, id)?;
        active.state.mark_read();
        active.save(connection, id)?;
        self.change(id);
        Ok(true)
    }

    /// Writes sessions that were computed anew. What happened in one since then has brought it into memory, or its row up to
    /// date: that counts.
    pub(super) fn renew(&mut self, connection: &Connection, sessions: Vec<Renewed>) -> rusqlite::Result<()> {
        for Renewed { id, state } in sessions {
            if let Some(active) = self.active.get_mut(&id) {
                active.save(connection, &id)?;
                self.change(&id);
            } else if is_of_other_version(connection, &id)? {
                let mut computed = Active::new(state.unwrap_or_else(|| SessionState::new(id.clone())));
                computed.save(connection, &id)?;
                self.renewed.push(computed.state.session());
            }
        }
        Ok(())
    }

    /// Catches up with the log by one session. False when there was nothing to catch up with.
    pub(super) fn catch_up_one(&mut self, connection: &Connection) -> rusqlite::Result<bool> {
        if let Behind::After(known) = self.behind {
            let mut find = connection.prepare_cached(
                "SELECT DISTINCT session_id FROM events WHERE seq > ?1 AND session_id IS NOT NULL",
            )?;
            let found = find.query_map([known.0], |row| row.get(0).map(SessionId))?;
            self.behind = Behind::These(found.collect::<rusqlite::Result<_>>()?);
        }
        match &mut self.behind {
            Behind::These(sessions) => match sessions.pop() {
                Some(id) => {
                    if let Some(active) = self.active(connection, &id, END)? {
                        active.is_saved = false;
                    }
                    self.change(&id);
                }
                None => self.behind = Behind::None,
            },
            Behind::After(_) | Behind::None => return Ok(false),
        }
        Ok(true)
    }

    /// The sessions that the group changed, as they are now. What a crash must not leave as it is in the database is
    /// written here.
    pub(super) fn settle_group(
        &mut self,
        connection: &Connection,
        last_seq: Seq,
    ) -> rusqlite::Result<Vec<Session>> {
        let mut sessions = std::mem::take(&mut self.renewed);
        sessions.reserve(self.changed.len());
        for id in self.changed.drain(..) {
            let Some(active) = self.active.get_mut(&id) else { continue };
            active.is_changed = false;
            if active.is_current == Current::Rebuild {
                active.save(connection, &id)?;
            } else {
                active.refresh(connection, &id)?;
            }
            sessions.push(active.state.session());
        }
        self.group += 1;
        // Writing makes room.
        if self.active.len() > ACTIVE_MAX {
            self.save(connection, last_seq)?;
        }
        Ok(sessions)
    }

    /// Whether something is to be written.
    pub(super) fn is_unsaved(&self) -> bool {
        self.active.values().any(|active| !active.is_saved)
    }

    /// Whether the log may tell of sessions what neither memory nor their rows know.
    pub(super) fn is_behind(&self) -> bool {
        !matches!(self.behind, Behind::None)
    }

    /// Writes what changed since the last time; after it, every row knows the log up to `last_seq`.
    pub(super) fn save(&mut self, connection: &Connection, last_seq: Seq) -> rusqlite::Result<()> {
        let now = Timestamp::from_system(SystemTime::now());
        for (id, active) in self.active.iter_mut().filter(|(_, active)| !active.is_saved) {
            active.settle(now);
            active.save(connection, id)?;
        }
        if matches!(self.behind, Behind::None) {
            set_known(connection, last_seq)?;
        }
        self.release();
        Ok(())
    }

    /// After a change that could not be committed: what is in memory may never have been written.
    pub(super) fn forget(&mut self, connection: &Connection) {
        self.active.clear();
        self.changed.clear();
        self.renewed.clear();
        // A database that does not even tell that has other troubles; all sessions then wait for the next start.
        self.behind = known(connection).map_or(Behind::None, Behind::After);
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

    /// A session in memory; one that is not there yet as the log before a position tells it. None when it is new.
    fn active(
        &mut self,
        connection: &Connection,
        id: &SessionId,
        before: Seq,
    ) -> rusqlite::Result<Option<&mut Active>> {
        if !self.active.contains_key(id)
            && let Some(state) = load(connection, id, before)?
        {
            self.active.insert(id.clone(), Active::new(state));
        }
        Ok(self.active.get_mut(id))
    }

    fn change(&mut self, id: &SessionId) {
        if let Some(active) = self.active.get_mut(id)
            && !std::mem::replace(&mut active.is_changed, true)
        {
            self.changed.push(id.clone());
        }
    }
}

impl Active {
    fn new(state: SessionState) -> Self {
        Self {
            state,
            is_current: Current::Yes,
            retractable: None,
            touched: 0,
            is_changed: false,
            is_saved: true,
        }
    }

    /// Gives up what is too old to be taken back.
    fn settle(&mut self, now: Timestamp) {
        if let Some(retractable) = &mut self.retractable
            && retractable.settle(now)
        {
            // All that could be taken back is settled.
            if self.is_current == Current::Refold {
                self.state = retractable.folded().read_up_to(self.state.read());
                self.is_current = Current::Yes;
            }
            self.retractable = None;
        }
    }

    fn fold(&mut self, row: &Row, facts: Box<Facts>, may_be_superseded: bool) {
        self.is_saved = false;
        self.settle(row.received_at);
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
            (Current::Refold, Some(retractable)) => {
                self.state = retractable.folded().read_up_to(self.state.read());
            }
            (Current::Refold | Current::Rebuild, _) => {
                let read = self.state.read();
                let rebuilt = fold(connection, id, None, END)?;
                self.state = rebuilt.unwrap_or_else(|| SessionState::new(id.clone())).read_up_to(read);
                self.retractable = None;
            }
        }
        self.is_current = Current::Yes;
        Ok(())
    }

    /// Writes its row: the line of lists as it is now, the state without what can still be taken back.
    fn save(&mut self, connection: &Connection, id: &SessionId) -> rusqlite::Result<()> {
        self.refresh(connection, id)?;
        let mut save = connection.prepare_cached(
            "INSERT INTO sessions (session_id, last_seq, read_seq, version, view, state)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT (session_id)
             DO UPDATE SET last_seq = ?2, read_seq = ?3, version = ?4, view = ?5, state = ?6",
        )?;
        let Self { state, retractable, .. } = self;
        let settled = retractable.as_ref().map_or(&*state, |retractable| &retractable.before);
        let (view, settled) = (to_json(&state.session())?, to_json(settled)?);
        save.execute(params![id.as_str(), state.last_seq().0, state.read().0, VERSION, view, settled])?;
        // What can still be taken back is written again once it is settled, and leaves memory then.
        self.is_saved = retractable.is_none();
        Ok(())
    }
}

impl Retractable {
    /// Gives up what is too old to be taken back; true when that is everything.
    fn settle(&mut self, now: Timestamp) -> bool {
        let is_old = |row: &Row| now.0.abs_diff(row.received_at.0) > WINDOW_MS;
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

/// Writes what a session writes, and takes it back: to be committed when nobody knows whether that works.
pub(super) fn probe(change: &Connection) -> rusqlite::Result<()> {
    let id = SessionId(Uuid::now_v7().to_string());
    Active::new(SessionState::new(id.clone())).save(change, &id)?;
    change.execute("DELETE FROM sessions WHERE session_id = ?1", [id.as_str()])?;
    Ok(())
}

/// What the database holds of a session.
struct Checkpoint {
    read: Seq,
    /// None when another version wrote it.
    state: Option<SessionState>,
}

fn checkpoint(connection: &Connection, id: &SessionId) -> rusqlite::Result<Option<Checkpoint>> {
    let mut find =
        connection.prepare_cached("SELECT read_seq, version, state FROM sessions WHERE session_id = ?1")?;
    let found = find.query_row([id.as_str()], |row| {
        let is_ours = row.get::<_, u32>(1)? == VERSION;
        let state = if is_ours { serde_json::from_str(row.get_ref(2)?.as_str()?).ok() } else { None };
        Ok(Checkpoint { read: Seq(row.get(0)?), state })
    });
    found.optional()
}

/// A session as its checkpoint and the log between that and a position tell it; none when neither knows it.
pub(super) fn load(
    connection: &Connection,
    id: &SessionId,
    before: Seq,
) -> rusqlite::Result<Option<SessionState>> {
    let checkpoint = checkpoint(connection, id)?;
    let read = checkpoint.as_ref().map_or(Seq(0), |checkpoint| checkpoint.read);
    let state = fold(connection, id, checkpoint.and_then(|checkpoint| checkpoint.state), before)?;
    Ok(state.map(|state| state.read_up_to(read)))
}

/// Folds the stored events of a session before a position, behind a state or from the beginning; none when there
/// are none.
pub(super) fn fold(
    connection: &Connection,
    id: &SessionId,
    from: Option<SessionState>,
    before: Seq,
) -> rusqlite::Result<Option<SessionState>> {
    let columns = read::COLUMNS;
    let mut events = connection.prepare_cached(&format!(
        "SELECT {columns}, p.payload FROM events e JOIN payloads p ON p.seq = e.seq
         WHERE e.session_id = ?1 AND e.duplicate_of IS NULL AND e.seq < ?3 AND e.seq >= (
             SELECT min(seq) FROM (
                 SELECT seq FROM events WHERE session_id = ?1 AND seq > ?2 AND seq < ?3
                 ORDER BY seq DESC LIMIT {REBUILD_EVENTS_MAX}
             )
         )
         ORDER BY e.seq"
    ))?;
    let after = from.as_ref().map_or(Seq(0), SessionState::last_seq);
    let mut rows = events.query(params![id.as_str(), after.0, before.0])?;
    let mut state = from;
    while let Some(found) = rows.next()? {
        let (row, payload) = (read::row(found)?, read::payload(found, 17)?);
        let state = state.get_or_insert_with(|| SessionState::new(id.clone()));
        state.apply(&row, &ingest::facts(&row.kind, &payload));
    }
    Ok(state)
}

/// Sessions that another version wrote, the most recently active last.
pub(super) fn of_other_versions(connection: &Connection) -> rusqlite::Result<Vec<SessionId>> {
    let mut find =
        connection.prepare_cached("SELECT session_id FROM sessions WHERE version <> ?1 ORDER BY last_seq")?;
    let found = find.query_map([VERSION], |row| row.get(0).map(SessionId))?;
    found.collect()
}

fn is_of_other_version(connection: &Connection, id: &SessionId) -> rusqlite::Result<bool> {
    let mut find = connection
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM sessions WHERE session_id = ?1 AND version <> ?2)")?;
    find.query_row(params![id.as_str(), VERSION], |row| row.get(0))
}

/// The position up to which every session's row knows the log.
fn known(connection: &Connection) -> rusqlite::Result<Seq> {
    connection.query_row("SELECT value FROM meta WHERE name = 'sessions'", [], |row| row.get(0).map(Seq))
}

fn set_known(connection: &Connection, seq: Seq) -> rusqlite::Result<()> {
    connection.prepare_cached("UPDATE meta SET value = ?1 WHERE name = 'sessions'")?.execute([seq.0])?;
    Ok(())
}

fn to_json(value: &impl serde::Serialize) -> rusqlite::Result<String> {
    serde_json::to_string(value).map_err(|e| rusqlite::Error::ToSqlConversionFailure(Box::new(e)))
}

/// Sessions in one of these states, or in any when none is named; the most recently active first. Those that another
/// version wrote are computed on the spot: what is asked for does not wait until it is its turn. The oldest ones are left out
/// when that takes too long.
pub(super) fn list(
    connection: &Connection,
    limit: usize,
    states: &[String],
) -> Result<Vec<Session>, StoreError> {
    let begun = Instant::now();
    let mut list = connection.prepare_cached(
        "SELECT session_id, CASE WHEN version = ?1 THEN view END FROM sessions
         WHERE version <> ?1 OR ?2 = '[]'
             OR json_extract(view, '$.status.state') IN (SELECT value FROM json_each(?2))
         ORDER BY last_seq DESC",
    )?;
    let mut found = list.query(params![VERSION, to_json(&states)?])?;
    let mut sessions = Vec::new();
    while let Some(row) = found.next()?
        && sessions.len() < limit
    {
        let session = match row.get::<_, Option<String>>(1)? {
            Some(view) => serde_json::from_str(&view).ok(),
            None if begun.elapsed() >= COMPUTE_PATIENCE => None,
            None => {
                let state = load(connection, &SessionId(row.get(0)?), END)?;
                state.map(|state| state.session()).filter(|session| is_in(session, states))
            }
        };
        sessions.extend(session);
    }
    Ok(sessions)
}

fn is_in(session: &Session, states: &[String]) -> bool {
    states.is_empty() || states.iter().any(|state| state == session.status.state.name())
}
