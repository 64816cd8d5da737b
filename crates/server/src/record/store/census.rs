//! How many sessions there are in each state: kept up to date with every change, so that nobody has to look at all of them
//! to tell.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use protocol::session::{SessionCounts, State};
use protocol::{Session, SessionId};
use rusqlite::Connection;

use super::lock;
use crate::record::sessions::VERSION;

/// How long somebody who asks waits for the first look at all sessions, right after a start.
const PATIENCE: Duration = Duration::from_secs(1);

/// The states in which a session waits for its user, whenever it was last active.
const URGENT: [&str; 3] = ["needs_you", "failed", "rate_limited"];

/// All sessions, as far as they are counted.
#[derive(Default)]
pub(super) struct Census {
    sessions: Mutex<Sessions>,
    completed: Condvar,
}

#[derive(Default)]
struct Sessions {
    known: HashMap<SessionId, Known>,
    counts: SessionCounts,
    is_complete: bool,
}

/// What is counted of a session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Known {
    /// None while it waits to be computed anew.
    state: Option<&'static str>,
    is_unread: bool,
    is_open: bool,
    agents: u64,
}

impl Sessions {
    fn note(&mut self, session: &Session) {
        let now = Known::of(session);
        if let Some(before) = self.known.insert(session.session_id.clone(), now) {
            count(&mut self.counts, before, -1);
        }
        count(&mut self.counts, now, 1);
    }
}

impl Known {
    fn of(session: &Session) -> Self {
        Self {
            state: Some(session.status.state.name()),
            is_unread: matches!(session.status.state, State::Done { unread: true }),
            is_open: session.ended_at.is_none(),
            agents: session.agents.running,
        }
    }
}

impl Census {
    /// Counts what the database holds; what changed meanwhile is known better already.
    pub(super) fn take(&self, connection: &Connection) -> rusqlite::Result<()> {
        let mut all =
            connection.prepare("SELECT session_id, CASE WHEN version = ?1 THEN view END FROM sessions")?;
        let mut rows = all.query([VERSION])?;
        while let Some(row) = rows.next()? {
            let id = SessionId(row.get(0)?);
            let view: Option<String> = row.get(1)?;
            let session = view.and_then(|view| serde_json::from_str::<Session>(&view).ok());
            let known = session.as_ref().map(Known::of).unwrap_or_default();
            let mut sessions = lock(&self.sessions);
            let sessions = &mut *sessions;
            if let Entry::Vacant(place) = sessions.known.entry(id) {
                place.insert(known);
                count(&mut sessions.counts, known, 1);
            }
        }
        lock(&self.sessions).is_complete = true;
        self.completed.notify_all();
        Ok(())
    }

    /// Notes sessions as they are now.
    pub(super) fn update(&self, changed: &[Session]) {
        let mut sessions = lock(&self.sessions);
        changed.iter().for_each(|session| sessions.note(session));
    }

    /// Notes sessions that were read, where nothing is known of them: what the writer told of others may be newer.
    pub(super) fn learn(&self, read: &[Session]) {
        let mut sessions = lock(&self.sessions);
        for session in read {
            if sessions.known.get(&session.session_id).is_some_and(|known| known.state.is_none()) {
                sessions.note(session);
            }
        }
    }

    /// Forgets sessions that were deleted.
    pub(super) fn remove(&self, ids: &[SessionId]) {
        let mut sessions = lock(&self.sessions);
        for id in ids {
            if let Some(gone) = sessions.known.remove(id) {
                count(&mut sessions.counts, gone, -1);
            }
        }
    }

    /// How many there are. Right after a start it waits until all are counted, for a moment.
    pub(super) fn counts(&self) -> SessionCounts {
        let sessions = lock(&self.sessions);
        let waited = self.completed.wait_timeout_while(sessions, PATIENCE, |sessions| !sessions.is_complete);
        waited.unwrap_or_else(PoisonError::into_inner).0.counts.clone()
    }

    /// How many there are so far, at once.
    pub(super) fn counts_so_far(&self) -> SessionCounts {
        lock(&self.sessions).counts.clone()
    }

    /// Some of those that wait for their user.
    pub(super) fn urgent(&self, limit: usize) -> Vec<SessionId> {
        let sessions = lock(&self.sessions);
        let is_urgent = |known: &Known| known.state.is_some_and(|state| URGENT.contains(&state));
        let urgent = sessions.known.iter().filter(|(_, known)| is_urgent(known));
        urgent.map(|(id, _)| id.clone()).take(limit).collect()
    }
}

fn count(counts: &mut SessionCounts, known: Known, by: i64) {
    let add = |number: &mut u64, by: i64| *number = number.saturating_add_signed(by);
    add(&mut counts.total, by);
    if let Some(state) = known.state {
        add(counts.states.entry(state.to_owned()).or_default(), by);
        add(&mut counts.open, if known.is_open { by } else { 0 });
    }
    add(&mut counts.unread, if known.is_unread { by } else { 0 });
    add(&mut counts.agents, by * i64::try_from(known.agents).unwrap_or(i64::MAX));
}
