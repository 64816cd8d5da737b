//! The one thread that writes: takes everything that waits, commits it as one group, publishes it, answers,
//! and does the chores (search index, retention) when nobody waits.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::time::{Duration, Instant};

use protocol::ingest::{DuplicateKey, Facts};
use protocol::{Caller, Event, EventId, Incoming, Row, Seq, Session, SessionId, Timestamp};
use rusqlite::Connection;
use serde_json::value::RawValue;
use tokio::sync::oneshot;

use super::census::Census;
use super::condition::Condition;
use super::database::Database;
use super::duplicates::{Duplicates, Link};
use super::log::{self, Log};
use super::read::Readers;
use super::sessions::{self, Renewed, Sessions};
use super::{Appended, Committed, Publication, Publish, StoreError, retention, schema, search, unopened};
use crate::config::Config;
use crate::record::costs::Costs;

/// Most events in one commit: large enough that the commit's cost vanishes, small enough to answer soon.
const GROUP_EVENTS_MAX: usize = 4096;

/// How long the writer waits for work before it turns to its chores.
const IDLE: Duration = Duration::from_millis(50);

/// The longest that chores wait for a quiet moment; one piece takes a twentieth of it at most.
const CHORE_INTERVAL: Duration = Duration::from_millis(200);

/// The same while somebody waits for them, as searches wait for the index.
const URGENT_INTERVAL: Duration = Duration::from_millis(50);

/// How often sessions are written while they change: rarely enough to cost little, often enough that a start after a
/// crash has little to fold.
const SAVE_INTERVAL: Duration = Duration::from_secs(1);

/// How often a store that could not be written is tried again while no event tries it.
const PROBE_INTERVAL: Duration = Duration::from_secs(5);

/// How often a writer without work looks whether its files are still there.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// How often retention looks at the store's age and size.
const RETENTION_INTERVAL: Duration = Duration::from_secs(60);

/// What the writer can be asked to do.
pub(super) enum Job {
    /// Store events.
    Append { events: Vec<Prepared>, since: Instant, reply: oneshot::Sender<Result<Appended, StoreError>> },
    /// Note that somebody has seen a session as it is now; answers whether there is one.
    Read { session: SessionId, reply: oneshot::Sender<Result<bool, StoreError>> },
    /// Write sessions that were computed anew; answers whether that is done.
    Renewed { sessions: Vec<Renewed>, reply: SyncSender<Result<bool, StoreError>> },
    /// Write what is known of sessions; answers when that is done, or not to be done.
    SaveSessions { reply: SyncSender<()> },
    /// Make everything up to a position searchable.
    Index { up_to: Seq, reply: oneshot::Sender<()> },
}

/// Who waits for an answer.
struct Waiting {
    reply: oneshot::Sender<Result<Appended, StoreError>>,
    /// How many of the group's events are its own.
    events: usize,
    since: Instant,
}

/// What the writer shares with everybody else.
pub(super) struct Shares {
    pub publish: Publish,
    pub condition: Arc<Condition>,
    pub readers: Arc<Readers>,
    pub census: Arc<Census>,
    pub costs: Costs,
}

pub(super) struct Writer {
    database: Database,
    /// Whether a new database may not have reached the disk.
    is_unsynced: bool,
    last_seq: Seq,
    indexed: Seq,
    duplicates: Duplicates,
    sessions: Sessions,
    save_due: Instant,
    limits: retention::Limits,
    retention_due: Instant,
    clock: retention::Clock,
    publish: Publish,
    census: Arc<Census>,
    condition: Arc<Condition>,
    /// Searches that wait for the index, by the position they need.
    searches: Vec<(Seq, oneshot::Sender<()>)>,
    costs: Costs,
}

/// An event on its way into the log: all but its position is settled.
pub(super) struct Prepared {
    row: Row,
    payload: Box<RawValue>,
    key: Option<DuplicateKey>,
    facts: Box<Facts>,
    is_own: bool,
    caller: Option<Caller>,
    /// Whether the sender gave the id: then it may have come before.
    may_repeat: bool,
    outcome: Outcome,
}

impl Prepared {
    pub(super) fn of(mut incoming: Incoming, received_at: Timestamp) -> Self {
        let may_repeat = incoming.id.is_some();
        let id = incoming.id.unwrap_or_else(|| EventId::new(received_at));
        Self {
            key: incoming.duplicate_key.take(),
            payload: std::mem::replace(&mut incoming.payload, RawValue::NULL.to_owned()),
            facts: std::mem::take(&mut incoming.facts),
            is_own: incoming.is_own,
            caller: incoming.caller,
            may_repeat,
            outcome: Outcome::Stored(Seq(0)),
            row: Row::of(incoming, Seq(0), id, received_at),
        }
    }

    fn into_event(self) -> Arc<Event> {
        Arc::new(Event { row: self.row, payload: self.payload, is_own: self.is_own, caller: self.caller })
    }
}

impl Writer {
    pub(super) fn new(connection: Connection, config: &Config, shares: Shares) -> rusqlite::Result<Self> {
        let last_seq =
            connection.query_row("SELECT coalesce(max(seq), 0) FROM events", [], |row| row.get(0))?;
        let Shares { publish, condition, readers, census, costs } = shares;
        Ok(Self {
            is_unsynced: schema::is_unsynced(&connection)?,
            last_seq: Seq(last_seq),
            indexed: search::indexed(&connection)?,
            duplicates: Duplicates::default(),
            sessions: Sessions::open(&connection)?,
            save_due: Instant::now(),
            limits: retention::Limits::of(config),
            retention_due: Instant::now() + RETENTION_INTERVAL,
            clock: retention::Clock::start(),
            publish,
            census,
            database: Database::new(connection, config, readers, condition.clone())?,
            condition,
            searches: Vec::new(),
            costs,
        })
    }

    pub(super) fn last_seq(&self) -> Seq {
        self.last_seq
    }

    /// Works until every sender of jobs is gone and all their jobs are done.
    pub(super) fn run(mut self, jobs: &Receiver<Job>, committed: impl Fn(Seq)) {
        let mut last_chore = Instant::now();
        // Nobody should have to wait for it; the first events try again.
        if let Err(error) = self.sync() {
            tracing::warn!(%error, "the new event store could not be synced");
        }
        loop {
            // Under a steady stream there is never a quiet moment: then one piece of a chore has to fit in between.
            // Not while the store is in trouble: the next group tries it anyway, and senders would wait twice.
            let interval = if self.searches.is_empty() { CHORE_INTERVAL } else { URGENT_INTERVAL };
            if last_chore.elapsed() >= interval && !self.condition.is_troubled() {
                self.chore();
                last_chore = Instant::now();
            }
            let is_waited_for = !self.searches.is_empty() || self.sessions.is_behind();
            let wait = if is_waited_for { Duration::ZERO } else { IDLE };
            match jobs.recv_timeout(wait) {
                Ok(job) => self.take_group(job, jobs, &committed),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) if !self.chore() => match jobs.recv_timeout(self.nap()) {
                    Ok(job) => self.take_group(job, jobs, &committed),
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => break,
                },
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
        if let Err(error) = self.save_sessions() {
            tracing::warn!(%error, "could not write the sessions; the next start computes them");
        }
        self.database.close(self.last_seq);
    }

    /// How long there is nothing to do unless somebody asks.
    fn nap(&self) -> Duration {
        if self.condition.is_troubled() {
            PROBE_INTERVAL
        } else if self.sessions.is_unsaved() {
            self.save_due.saturating_duration_since(Instant::now()).min(LOOK_INTERVAL)
        } else {
            LOOK_INTERVAL
        }
    }

    /// One piece of idle work; false when there is none.
    fn chore(&mut self) -> bool {
        let is_placed = self.database.stay_in_place(self.last_seq).is_ok();
        if !is_placed || (self.condition.is_troubled() && !self.recovers()) {
            return false;
        }
        let retained = if Instant::now() >= self.retention_due { self.retain() } else { Ok(false) };
        let done = retained.and_then(|more| match more {
            true => Ok(true),
            false if self.sessions.is_behind() => self.change_sessions(Sessions::catch_up_one),
            false if self.sessions.is_unsaved() && Instant::now() >= self.save_due => self.save_sessions(),
            false if self.indexed < self.last_seq => self.index(),
            false => Ok(false),
        });
        done.unwrap_or_else(|error| {
            tracing::warn!(%error, "a chore of the event store failed");
            self.searches.clear();
            self.retention_due = Instant::now() + RETENTION_INTERVAL;
            self.save_due = Instant::now() + RETENTION_INTERVAL;
            false
        })
    }

    /// No event is acknowledged before a new database is on the disk.
    fn sync(&mut self) -> rusqlite::Result<()> {
        if self.is_unsynced {
            self.database.sync()?;
            self.is_unsynced = false;
        }
        Ok(())
    }

    /// Whether events can be stored again.
    fn recovers(&mut self) -> bool {
        let tried = self.probe();
        match &tried {
            Ok(()) => {
                tracing::info!("the event store can be written again");
                self.condition.works();
            }
            Err(error) => tracing::warn!(%error, "the event store still cannot be written"),
        }
        tried.is_ok()
    }

    /// Writes all that an event writes, and nothing that stays.
    fn probe(&mut self) -> rusqlite::Result<()> {
        self.sync()?;
        let change = self.database.connection.transaction()?;
        log::probe(&change, Seq(self.last_seq.0 + 1))?;
        sessions::probe(&change)?;
        change.execute("INSERT OR REPLACE INTO meta (name, value) VALUES ('probe', 1)", [])?;
        change.commit()
    }

    fn index(&mut self) -> rusqlite::Result<bool> {
        self.indexed =
            search::index_some(&mut self.database.connection, self.indexed)?.unwrap_or(self.last_seq);
        let indexed = self.indexed;
        for (_, reply) in self.searches.extract_if(.., |(up_to, _)| *up_to <= indexed) {
            let _ = reply.send(());
        }
        Ok(true)
    }

    fn retain(&mut self) -> rusqlite::Result<bool> {
        let gone = retention::delete_some(&mut self.database.connection, &self.limits, self.clock.today())?;
        let more = gone.is_some();
        self.census.remove(&gone.unwrap_or_default());
        if !more {
            self.retention_due = Instant::now() + RETENTION_INTERVAL;
        }
        Ok(more)
    }

    /// Takes a job and everything that waits behind it, and commits it as one group.
    fn take_group(&mut self, first: Job, jobs: &Receiver<Job>, committed: &impl Fn(Seq)) {
        let mut waiting = Vec::new();
        let mut events: Vec<Prepared> = Vec::new();
        let mut reads = Vec::new();
        let mut renewals = Vec::new();
        let mut saves = Vec::new();
        let mut next = Some(first);
        while let Some(job) = next {
            match job {
                Job::Append { events: mut more, since, reply } => {
                    waiting.push(Waiting { reply, events: more.len(), since });
                    if events.is_empty() { events = more } else { events.append(&mut more) }
                }
                Job::Read { session, reply } => reads.push((session, reply)),
                Job::Renewed { sessions, reply } => renewals.push((sessions, reply)),
                Job::SaveSessions { reply } => saves.push(reply),
                Job::Index { up_to, reply } if up_to <= self.indexed => drop(reply.send(())),
                Job::Index { up_to, reply } => self.searches.push((up_to, reply)),
            }
            next = if events.len() < GROUP_EVENTS_MAX { jobs.try_recv().ok() } else { None };
        }
        self.store(events, waiting, committed);
        // After the events that came before them: what was seen is what was stored.
        for (session, reply) in reads {
            let _ = reply.send(self.mark_read(&session));
        }
        for (renewed, reply) in renewals {
            let _ = reply.try_send(self.renew(renewed).map_err(StoreError::from));
        }
        if !saves.is_empty()
            && !self.condition.is_troubled()
            && let Err(error) = self.save_sessions()
        {
            tracing::warn!(%error, "could not write the sessions");
        }
        for reply in saves {
            let _ = reply.try_send(());
        }
    }

    fn store(&mut self, mut group: Vec<Prepared>, waiting: Vec<Waiting>, committed: &impl Fn(Seq)) {
        if group.is_empty() {
            return answer(waiting, &[]);
        }
        let started = Instant::now();
        match self.commit(&mut group) {
            Ok(sessions) => {
                // After the commit: nothing is acknowledged that lies where nobody finds it again.
                let placed = self.database.keep_events(self.last_seq);
                if placed.is_ok() {
                    self.condition.works();
                }
                committed(self.last_seq);
                self.note_costs(&waiting, group.len(), started);
                let outcomes: Vec<Outcome> = group.iter().map(|event| event.outcome).collect();
                let stored = group.into_iter().filter(|event| matches!(event.outcome, Outcome::Stored(_)));
                let events = stored.map(Prepared::into_event).collect();
                self.tell(Committed { events, sessions });
                match placed {
                    Ok(()) => answer(waiting, &outcomes),
                    // It comes back with the rest of the store, if that does.
                    Err(error) => refuse(waiting, &error),
                }
            }
            Err(error) => {
                refuse(waiting, &error);
                (self.publish)(Publication::Unstored(group.into_iter().map(unstored).collect()));
            }
        }
    }

    fn tell(&self, group: Committed) {
        self.census.update(&group.sessions);
        (self.publish)(Publication::Committed(group));
    }

    fn note_costs(&self, waiting: &[Waiting], events: usize, started: Instant) {
        let now = Instant::now();
        self.costs.committed(events, now - started);
        for waited in waiting {
            self.costs.appended(now - waited.since);
        }
    }

    fn mark_read(&mut self, session: &SessionId) -> Result<bool, StoreError> {
        let is_known =
            self.change_sessions(|sessions, connection| sessions.mark_read(connection, session))?;
        self.database.keep_events(self.last_seq)?;
        Ok(is_known)
    }

    fn renew(&mut self, renewed: Vec<Renewed>) -> rusqlite::Result<bool> {
        self.change_sessions(|sessions, connection| sessions.renew(connection, renewed).map(|()| true))
    }

    /// Writes what is known of sessions, all of it: what the log tells and memory does not is read first.
    fn save_sessions(&mut self) -> rusqlite::Result<bool> {
        while self.sessions.is_behind() {
            self.change_sessions(Sessions::catch_up_one)?;
        }
        let last_seq = self.last_seq;
        self.save_due = Instant::now() + SAVE_INTERVAL;
        self.change_sessions(|sessions, connection| sessions.save(connection, last_seq).map(|()| true))
    }

    /// A change of sessions without new events.
    fn change_sessions(
        &mut self,
        change: impl FnOnce(&mut Sessions, &Connection) -> rusqlite::Result<bool>,
    ) -> rusqlite::Result<bool> {
        let written = self.write_sessions(change);
        if written.is_err() {
            self.sessions.forget(&self.database.connection);
        }
        let (is_done, sessions) = written?;
        if !sessions.is_empty() {
            self.tell(Committed { events: Vec::new(), sessions });
        }
        Ok(is_done)
    }

    fn write_sessions(
        &mut self,
        change: impl FnOnce(&mut Sessions, &Connection) -> rusqlite::Result<bool>,
    ) -> rusqlite::Result<(bool, Vec<Session>)> {
        let transaction = self.database.connection.transaction()?;
        let is_done = change(&mut self.sessions, &transaction)?;
        let sessions = self.sessions.settle_group(&transaction, self.last_seq)?;
        transaction.commit()?;
        Ok((is_done, sessions))
    }

    /// All events of a group or none of them; answers the sessions that changed.
    fn commit(&mut self, group: &mut [Prepared]) -> Result<Vec<Session>, StoreError> {
        self.database.take_events(self.last_seq)?;
        let before = self.last_seq;
        let result = self.sync().and_then(|()| self.insert(group));
        result.map_err(|error| {
            self.last_seq = before;
            self.sessions.forget(&self.database.connection);
            self.duplicates.forget();
            tracing::error!(%error, "could not store events");
            if unopened::is_damage(&error) {
                self.database.mark_damaged();
            }
            self.condition.fails(error.to_string());
            StoreError::from(error)
        })
    }

    fn insert(&mut self, group: &mut [Prepared]) -> rusqlite::Result<Vec<Session>> {
        let change = self.database.connection.transaction()?;
        let mut log = Log::open(&change)?;
        let mut last = self.last_seq;
        for Prepared { row, payload, key, facts, may_repeat, outcome, .. } in group {
            if *may_repeat && let Some(earlier) = log::position_of(&change, row.id)? {
                *outcome = Outcome::Duplicate(earlier);
                continue;
            }
            last = Seq(last.0 + 1);
            row.seq = last;
            *outcome = Outcome::Stored(last);
            let may_be_superseded = key.as_ref().is_some_and(DuplicateKey::may_be_superseded);
            let link = key.take().map_or(Link::None, |key| self.duplicates.link(row, &key));
            if let Link::To(richer) = link {
                row.duplicate_of = Some(richer);
            }
            log.append(row, payload.get())?;
            if let Link::From(poorer) = link {
                for earlier in &poorer {
                    log::mark_duplicate(&change, *earlier, last)?;
                }
                self.sessions.supersede(&change, row, &poorer)?;
            }
            self.sessions.apply(&change, row, std::mem::take(facts), may_be_superseded)?;
        }
        drop(log);
        let sessions = self.sessions.settle_group(&change, last)?;
        change.commit()?;
        self.last_seq = last;
        Ok(sessions)
    }
}

/// Without the position it would have had.
fn unstored(mut event: Prepared) -> Arc<Event> {
    event.row.seq = Seq(0);
    event.row.duplicate_of = None;
    event.into_event()
}

#[derive(Clone, Copy)]
enum Outcome {
    Stored(Seq),
    Duplicate(Seq),
}

/// None of the events of these senders is acknowledged.
fn refuse(waiting: Vec<Waiting>, error: &StoreError) {
    for Waiting { reply, .. } in waiting {
        let _ = reply.send(Err(error.clone()));
    }
}

/// Each sender learns about its own events.
fn answer(waiting: Vec<Waiting>, outcomes: &[Outcome]) {
    let mut rest = outcomes;
    for Waiting { reply, events: count, .. } in waiting {
        let (own, others) = rest.split_at(count);
        rest = others;
        let stored = own.iter().filter(|outcome| matches!(outcome, Outcome::Stored(_))).count();
        let seqs = own.iter().map(|outcome| match outcome {
            Outcome::Stored(seq) | Outcome::Duplicate(seq) => *seq,
        });
        let _ = reply.send(Ok(Appended { seqs: seqs.collect(), stored, duplicates: count - stored }));
    }
}
