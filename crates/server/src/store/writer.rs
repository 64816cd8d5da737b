//! The one thread that writes: takes everything that waits, commits it as one group, publishes it, answers,
//! and does the chores (search index, retention) when nobody waits.

use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use protocol::ingest::{DuplicateKey, Facts};
use protocol::{Event, EventId, Incoming, Row, Seq, Session, SessionId, Timestamp};
use rusqlite::{CachedStatement, Connection, OptionalExtension, params};
use serde_json::value::RawValue;
use tokio::sync::oneshot;
use uuid::Uuid;

use super::checkpoint::Checkpoints;
use super::duplicates::{Duplicates, Link};
use super::sessions::Sessions;
use super::{Appended, Committed, Publication, Publish, StoreError, lock, retention, schema, search};
use crate::config::Config;
use crate::metrics::Costs;

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

/// How often retention looks at the store's age and size.
const RETENTION_INTERVAL: Duration = Duration::from_secs(60);

/// What the writer can be asked to do.
pub(super) enum Job {
    /// Store events.
    Append { events: Vec<Prepared>, since: Instant, reply: oneshot::Sender<Result<Appended, StoreError>> },
    /// Note that somebody has seen a session as it is now; answers whether there is one.
    Read { session: SessionId, reply: oneshot::Sender<Result<bool, StoreError>> },
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

pub(super) struct Writer {
    connection: Connection,
    checkpoints: Checkpoints,
    /// Whether a new database may not have reached the disk.
    is_unsynced: bool,
    last_seq: Seq,
    indexed: Seq,
    duplicates: Duplicates,
    sessions: Sessions,
    save_due: Instant,
    /// Whether sessions may be left that another version wrote.
    has_old_sessions: bool,
    limits: retention::Limits,
    retention_due: Instant,
    clock: retention::Clock,
    publish: Publish,
    trouble: Arc<Mutex<Option<String>>>,
    /// Searches that wait for the index, by the position they need.
    searches: Vec<(Seq, oneshot::Sender<()>)>,
    database: PathBuf,
    costs: Costs,
}

/// An event on its way into the log: all but its position is settled.
pub(super) struct Prepared {
    row: Row,
    payload: Box<RawValue>,
    key: Option<DuplicateKey>,
    facts: Box<Facts>,
    is_own: bool,
    /// Whether the sender gave the id: then it may have come before.
    may_repeat: bool,
    outcome: Outcome,
}

impl Prepared {
    pub(super) fn of(mut incoming: Incoming, received_at: Timestamp) -> Self {
        let may_repeat = incoming.id.is_some();
        let id = incoming.id.unwrap_or_else(|| EventId(Uuid::now_v7()));
        Self {
            key: incoming.duplicate_key.take(),
            payload: std::mem::replace(&mut incoming.payload, RawValue::NULL.to_owned()),
            facts: std::mem::take(&mut incoming.facts),
            is_own: incoming.is_own,
            may_repeat,
            outcome: Outcome::Stored(Seq(0)),
            row: Row::of(incoming, Seq(0), id, received_at),
        }
    }

    fn into_event(self) -> Arc<Event> {
        Arc::new(Event { row: self.row, payload: self.payload, is_own: self.is_own })
    }
}

impl Writer {
    pub(super) fn new(
        mut connection: Connection,
        config: &Config,
        publish: Publish,
        trouble: Arc<Mutex<Option<String>>>,
        costs: Costs,
    ) -> rusqlite::Result<Self> {
        let last_seq =
            connection.query_row("SELECT coalesce(max(seq), 0) FROM events", [], |row| row.get(0))?;
        let indexed = search::indexed(&connection)?;
        let is_unsynced = schema::is_unsynced(&connection)?;
        let sessions = Sessions::open(&connection)?;
        let checkpoints = Checkpoints::start(&mut connection, &config.database)?;
        Ok(Self {
            connection,
            checkpoints,
            is_unsynced,
            last_seq: Seq(last_seq),
            indexed,
            duplicates: Duplicates::default(),
            sessions,
            save_due: Instant::now(),
            has_old_sessions: true,
            limits: retention::Limits::of(config),
            retention_due: Instant::now() + RETENTION_INTERVAL,
            clock: retention::Clock::start(),
            publish,
            trouble,
            searches: Vec::new(),
            database: config.database.clone(),
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
            if last_chore.elapsed() >= interval && !self.is_troubled() {
                self.chore();
                last_chore = Instant::now();
            }
            let wait = if self.searches.is_empty() { IDLE } else { Duration::ZERO };
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
        self.checkpoints.end(&mut self.connection);
        if let Err((_, error)) = self.connection.close() {
            tracing::warn!(%error, "could not close the event store");
        }
    }

    /// How long there is nothing to do unless somebody asks.
    fn nap(&self) -> Duration {
        if self.is_troubled() {
            PROBE_INTERVAL
        } else if self.sessions.is_unsaved() {
            self.save_due.saturating_duration_since(Instant::now())
        } else {
            RETENTION_INTERVAL
        }
    }

    /// One piece of idle work; false when there is none.
    fn chore(&mut self) -> bool {
        if self.is_troubled() && self.probe().is_err() {
            return false;
        }
        let retained = if Instant::now() >= self.retention_due { self.retain() } else { Ok(false) };
        let done = retained.and_then(|more| match more {
            true => Ok(true),
            false if self.sessions.is_behind() => self.change_sessions(Sessions::catch_up_one),
            false if self.sessions.is_unsaved() && Instant::now() >= self.save_due => self.save_sessions(),
            false if self.indexed < self.last_seq => self.index(),
            false if self.has_old_sessions => self.renew(),
            false => Ok(false),
        });
        done.unwrap_or_else(|error| {
            tracing::warn!(%error, "a chore of the event store failed");
            self.searches.clear();
            self.retention_due = Instant::now() + RETENTION_INTERVAL;
            self.has_old_sessions = false;
            self.save_due = Instant::now() + RETENTION_INTERVAL;
            false
        })
    }

    fn is_troubled(&self) -> bool {
        lock(&self.trouble).is_some()
    }

    /// No event is acknowledged before a new database is on the disk.
    fn sync(&mut self) -> rusqlite::Result<()> {
        if self.is_unsynced {
            schema::sync(&self.connection)?;
            self.is_unsynced = false;
        }
        Ok(())
    }

    /// Finds out whether the store can be written again.
    fn probe(&mut self) -> rusqlite::Result<()> {
        self.sync()?;
        self.connection.execute("INSERT OR REPLACE INTO meta (name, value) VALUES ('probe', 1)", [])?;
        tracing::info!("the event store can be written again");
        lock(&self.trouble).take();
        Ok(())
    }

    fn index(&mut self) -> rusqlite::Result<bool> {
        self.indexed = search::index_some(&mut self.connection, self.indexed)?.unwrap_or(self.last_seq);
        let indexed = self.indexed;
        for (_, reply) in self.searches.extract_if(.., |(up_to, _)| *up_to <= indexed) {
            let _ = reply.send(());
        }
        Ok(true)
    }

    fn retain(&mut self) -> rusqlite::Result<bool> {
        let more = retention::delete_some(&mut self.connection, &self.limits, self.clock.today())?;
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
        let mut saves = Vec::new();
        let mut next = Some(first);
        while let Some(job) = next {
            match job {
                Job::Append { events: mut more, since, reply } => {
                    waiting.push(Waiting { reply, events: more.len(), since });
                    if events.is_empty() { events = more } else { events.append(&mut more) }
                }
                Job::Read { session, reply } => reads.push((session, reply)),
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
        if !saves.is_empty()
            && !self.is_troubled()
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
                committed(self.last_seq);
                self.note_costs(&waiting, group.len(), started);
                lock(&self.trouble).take();
                let outcomes: Vec<Outcome> = group.iter().map(|event| event.outcome).collect();
                let stored = group.into_iter().filter(|event| matches!(event.outcome, Outcome::Stored(_)));
                let events = stored.map(Prepared::into_event).collect();
                (self.publish)(Publication::Committed(Committed { events, sessions }));
                answer(waiting, &outcomes);
            }
            Err(error) => {
                tracing::error!(%error, "could not store events");
                if schema::is_damage(&error) {
                    schema::mark_damaged(&self.database);
                }
                *lock(&self.trouble) = Some(error.to_string());
                let error = StoreError::from(error);
                for Waiting { reply, .. } in waiting {
                    let _ = reply.send(Err(error.clone()));
                }
                (self.publish)(Publication::Unstored(group.into_iter().map(unstored).collect()));
            }
        }
    }

    fn note_costs(&self, waiting: &[Waiting], events: usize, started: Instant) {
        let now = Instant::now();
        self.costs.committed(events, now - started);
        for waited in waiting {
            self.costs.appended(now - waited.since);
        }
    }

    fn mark_read(&mut self, session: &SessionId) -> Result<bool, StoreError> {
        self.change_sessions(|sessions, connection| sessions.mark_read(connection, session))
            .map_err(StoreError::from)
    }

    /// Computes a session anew that another version wrote; false when there is none.
    fn renew(&mut self) -> rusqlite::Result<bool> {
        let renewed = self.change_sessions(Sessions::renew_one)?;
        self.has_old_sessions = renewed;
        Ok(renewed)
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
            self.sessions.forget(&self.connection);
        }
        let (is_done, sessions) = written?;
        if !sessions.is_empty() {
            (self.publish)(Publication::Committed(Committed { events: Vec::new(), sessions }));
        }
        Ok(is_done)
    }

    fn write_sessions(
        &mut self,
        change: impl FnOnce(&mut Sessions, &Connection) -> rusqlite::Result<bool>,
    ) -> rusqlite::Result<(bool, Vec<Session>)> {
        let transaction = self.connection.transaction()?;
        let is_done = change(&mut self.sessions, &transaction)?;
        let sessions = self.sessions.settle_group(&transaction, self.last_seq)?;
        transaction.commit()?;
        Ok((is_done, sessions))
    }

    /// All events of a group or none of them; answers the sessions that changed.
    fn commit(&mut self, group: &mut [Prepared]) -> rusqlite::Result<Vec<Session>> {
        let before = self.last_seq;
        let result = self.sync().and_then(|()| self.insert(group));
        if result.is_err() {
            self.last_seq = before;
            self.sessions.forget(&self.connection);
            self.duplicates.forget();
        }
        result
    }

    fn insert(&mut self, group: &mut [Prepared]) -> rusqlite::Result<Vec<Session>> {
        let change = self.connection.transaction()?;
        let mut log = Log::open(&change)?;
        let mut last = self.last_seq;
        for Prepared { row, payload, key, facts, may_repeat, outcome, .. } in group {
            if *may_repeat && let Some(earlier) = position_of(&change, row.id)? {
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
                    mark_duplicate(&change, *earlier, last)?;
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

fn position_of(connection: &Connection, id: EventId) -> rusqlite::Result<Option<Seq>> {
    let mut known = connection.prepare_cached("SELECT seq FROM events WHERE id = ?1")?;
    let seq: Option<u64> = known.query_row([id.0.as_bytes()], |row| row.get(0)).optional()?;
    Ok(seq.map(Seq))
}

/// The two statements that store an event, prepared once for a group.
struct Log<'c> {
    row: CachedStatement<'c>,
    payload: CachedStatement<'c>,
}

impl<'c> Log<'c> {
    fn open(connection: &'c Connection) -> rusqlite::Result<Self> {
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

    fn append(&mut self, row: &Row, payload: &str) -> rusqlite::Result<()> {
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
fn mark_duplicate(connection: &Connection, poorer: Seq, richer: Seq) -> rusqlite::Result<()> {
    let mut mark = connection.prepare_cached("UPDATE events SET duplicate_of = ?2 WHERE seq = ?1")?;
    mark.execute(params![poorer.0, richer.0])?;
    Ok(())
}
