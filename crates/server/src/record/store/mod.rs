//! Keeps events: an SQLite database with one writer thread that commits in groups, and readers that never
//! wait for it.
//!
//! An event is acknowledged after its group is committed, published in the order of its position right after
//! that, and indexed for full-text search when the writer has nothing better to do.

mod census;
mod checkpoint;
mod condition;
mod content;
mod database;
mod duplicates;
mod figures;
mod files;
mod log;
mod place;
mod query;
mod read;
mod renewal;
mod retention;
mod schema;
mod search;
mod sessions;
mod shape;
mod terms;
mod unopened;
mod writer;

use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use protocol::figures::Figures;
use protocol::health::Rebuild;
use protocol::session::SessionCounts;
use protocol::{Event, Incoming, Seq, Session, SessionId, Timestamp};
use rusqlite::ErrorCode;
use tokio::sync::{Semaphore, TryAcquireError, oneshot};

use crate::config::Config;
use crate::error::Error;
use crate::record::costs::Costs;
use crate::record::sessions::SessionState;
pub(crate) use query::{Page, Query};
pub(crate) use terms::Terms;

use census::Census;
use condition::Condition;
use renewal::Renewal;
use writer::{Job, Prepared, Shares, Writer};

/// Events in flight between the doors and the disk, in KiB of payload. A sender waits when it is full, and
/// is sent away when too many wait, so memory stays bounded however fast events come.
const QUEUE_KIB_MAX: usize = 64 * 1024;

/// The same for events that wait for a place in the queue: a disk that stands still must not fill the memory.
const WAITING_KIB_MAX: usize = QUEUE_KIB_MAX;

/// What the queue counts for an event beside its payload, in bytes.
const EVENT_OVERHEAD_BYTES: usize = 1024;

/// How long a list of sessions waits for the writer at most; usually it is a few milliseconds.
const SAVE_PATIENCE: Duration = Duration::from_secs(1);

/// Why events could not be kept or read.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum StoreError {
    /// The database refused; the text is SQLite's.
    #[error("the event store failed: {0}")]
    Database(String),
    /// What was stored would not be found again.
    #[error("the event store is no longer where it belongs, and could not be put back: {0}")]
    Displaced(String),
    /// What was stored is no longer there to be read.
    #[error(
        "another program wrote into the file of the event store, which is no longer whole; nothing can be kept before \
         'claude-mpm-monitor restart', which sets it aside and begins a new one"
    )]
    Overwritten,
    /// Too much waits for the disk.
    #[error("too many events wait for the disk; send them again in a moment")]
    Busy,
    /// The server is stopping.
    #[error("the event store is closed")]
    Closed,
    /// The search text holds nothing to search for.
    #[error("the search text needs a letter or a digit")]
    EmptySearch,
    /// More values than the database can look for at once.
    #[error(
        "the query is too long: ask for at most {} values and words, {} KiB together",
        query::VALUES_MAX,
        query::VALUE_BYTES_MAX / 1024
    )]
    LargeQuery,
    /// It took too long to read.
    #[error("the query takes too long: ask for a shorter stretch of time, or for longer words")]
    SlowQuery,
}

impl StoreError {
    /// For programs: stable, snake_case.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::Database(_) | Self::Displaced(_) | Self::Overwritten => "store_failed",
            Self::Busy => "busy",
            Self::Closed => "stopping",
            Self::EmptySearch => "empty_search",
            Self::LargeQuery => "query_too_long",
            Self::SlowQuery => "query_too_slow",
        }
    }

    /// Whether asking for something else would help.
    pub(crate) fn is_askers(&self) -> bool {
        matches!(self, Self::EmptySearch | Self::LargeQuery | Self::SlowQuery)
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::OperationInterrupted) => Self::SlowQuery,
            _ => Self::Database(error.to_string()),
        }
    }
}

/// What became of the events of one append.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Appended {
    /// The position of each event, in the order given; of the first delivery for one delivered before.
    pub seqs: Vec<Seq>,
    /// How many were stored now.
    pub stored: usize,
    /// How many had been stored before, by their id.
    pub duplicates: usize,
}

/// A committed group: its new events in order of position, and the sessions that they changed.
#[derive(Debug)]
pub(crate) struct Committed {
    /// New events.
    pub events: Vec<Arc<Event>>,
    /// Sessions as they are now.
    pub sessions: Vec<Session>,
}

/// What the writer makes known.
#[derive(Debug)]
pub(crate) enum Publication {
    /// A group was committed.
    Committed(Committed),
    /// A group could not be kept. Its events have position 0; who watches now is the only one to see them.
    Unstored(Vec<Arc<Event>>),
}

/// Called by the writer after each group, in order.
pub(crate) type Publish = Box<dyn Fn(Publication) + Send>;

/// A handle to the store; clones share it.
#[derive(Clone)]
pub(crate) struct Store {
    shared: Arc<Shared>,
}

struct Shared {
    jobs: Mutex<Option<Sender<Job>>>,
    queue: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
    readers: Arc<read::Readers>,
    /// The newest committed position.
    last_seq: AtomicU64,
    epoch: String,
    writer: Mutex<Option<JoinHandle<()>>>,
    renewal: Mutex<Option<Renewal>>,
    condition: Arc<Condition>,
    census: Arc<Census>,
    costs: Costs,
}

impl Store {
    /// Opens or makes the database and starts its writer.
    ///
    /// # Errors
    /// [`Error::Store`] when the file cannot be made, is no database, or was made by a newer version.
    pub(crate) fn open(config: &Config, publish: Publish) -> Result<Self, Error> {
        let failed = |reason: String| Error::Store { path: config.database.clone(), reason };
        let schema::Opened { connection, notice } =
            schema::open(&config.database, config.durability).map_err(failed)?;
        let epoch = schema::epoch(&connection).map_err(|e| failed(e.to_string()))?;
        let condition = Arc::new(Condition::noting(notice));
        let readers = Arc::new(read::Readers::new(&config.database));
        let census = Arc::<Census>::default();
        let costs = Costs::default();
        let shares = Shares {
            publish,
            condition: condition.clone(),
            readers: readers.clone(),
            census: census.clone(),
            costs: costs.clone(),
        };
        let writer = Writer::new(connection, config, shares).map_err(|e| failed(e.to_string()))?;
        let last_seq = AtomicU64::new(writer.last_seq().0);
        let (jobs, receiver) = mpsc::channel();
        let shared = Arc::new(Shared {
            jobs: Mutex::new(Some(jobs)),
            queue: Arc::new(Semaphore::new(QUEUE_KIB_MAX)),
            waiting: Arc::new(Semaphore::new(WAITING_KIB_MAX)),
            readers,
            last_seq,
            epoch,
            writer: Mutex::new(None),
            renewal: Mutex::new(None),
            condition,
            census,
            costs,
        });
        let progress = shared.clone();
        let thread = std::thread::Builder::new()
            .name("store".to_owned())
            .spawn(move || writer.run(&receiver, |seq| progress.last_seq.store(seq.0, Ordering::Release)))
            .map_err(|e| failed(e.to_string()))?;
        *lock(&shared.writer) = Some(thread);
        let store = Self { shared };
        *lock(&store.shared.renewal) = Some(Renewal::start(&store).map_err(|e| failed(e.to_string()))?);
        Ok(store)
    }

    /// Stores events and answers when they are committed. Events join the queue at the call, not at the first
    /// poll, so that callers that call in order are stored in order; only when the queue is full do they wait
    /// for a place.
    ///
    /// # Errors
    /// [`StoreError`] when the group could not be committed, or too much waits already; then none of these events is
    /// stored.
    pub(crate) fn append(
        &self,
        events: Vec<Incoming>,
        received_at: Timestamp,
    ) -> impl Future<Output = Result<Appended, StoreError>> + Send + use<> {
        let bytes: usize = events.iter().map(|event| event.payload.get().len() + EVENT_OVERHEAD_BYTES).sum();
        let kib = u32::try_from((bytes / 1024).clamp(1, QUEUE_KIB_MAX)).unwrap_or(u32::MAX);
        let (reply, answer) = oneshot::channel();
        let events = events.into_iter().map(|event| Prepared::of(event, received_at)).collect();
        let job = Job::Append { events, since: Instant::now(), reply };
        let place = self.shared.queue.clone().try_acquire_many_owned(kib);
        let store = self.clone();
        let queued = match place {
            Ok(place) => Ok(self.send(job).map(|()| place)),
            Err(TryAcquireError::Closed) => Ok(Err(StoreError::Closed)),
            Err(TryAcquireError::NoPermits) => {
                match self.shared.waiting.clone().try_acquire_many_owned(kib) {
                    Ok(room) => Err((job, room)),
                    Err(_) => Ok(Err(StoreError::Busy)),
                }
            }
        };
        async move {
            let _place = match queued {
                Ok(place) => place?,
                Err((job, _room)) => {
                    let waited = store.shared.queue.clone().acquire_many_owned(kib).await;
                    let place = waited.map_err(|_| StoreError::Closed)?;
                    store.send(job)?;
                    place
                }
            };
            answer.await.map_err(|_| StoreError::Closed)?
        }
    }

    /// A page of history. Blocks on the disk: call it off the async threads.
    ///
    /// # Errors
    /// [`StoreError`] when the database refuses.
    pub(crate) fn page(&self, query: &Query) -> Result<Page, StoreError> {
        self.shared.readers.with(|connection| query::page(connection, query))
    }

    /// Figures over the events of a query. Blocks on the disk.
    ///
    /// # Errors
    /// [`StoreError`] when the database refuses.
    pub(crate) fn figures(&self, query: &Query) -> Result<Figures, StoreError> {
        self.shared.readers.with(|connection| figures::figures(connection, query))
    }

    /// Its size, in bytes. Blocks on the disk.
    ///
    /// # Errors
    /// [`StoreError`] when the database refuses.
    pub(crate) fn bytes(&self) -> Result<u64, StoreError> {
        self.shared.readers.with(|connection| Ok(retention::bytes(connection)?))
    }

    /// One event with its payload. Blocks on the disk.
    ///
    /// # Errors
    /// [`StoreError`] when the database refuses.
    pub(crate) fn event(&self, seq: Seq) -> Result<Option<Event>, StoreError> {
        self.shared.readers.with(|connection| read::event(connection, seq))
    }

    /// Sessions in one of these states, or in any when none is named; the most recently active first. Blocks on
    /// the disk, and on the writer until it has written what it knows of sessions.
    ///
    /// # Errors
    /// [`StoreError`] when the database refuses.
    pub(crate) fn sessions(&self, limit: usize, states: &[String]) -> Result<Vec<Session>, StoreError> {
        let (reply, saved) = mpsc::sync_channel(1);
        if self.send(Job::SaveSessions { reply }).is_ok() {
            // A writer in trouble makes nobody wait: what it wrote before is an answer too.
            let _ = saved.recv_timeout(SAVE_PATIENCE);
        }
        let sessions = self.shared.readers.with(|connection| sessions::list(connection, limit, states))?;
        self.shared.census.learn(&sessions);
        Ok(sessions)
    }

    /// The most recently active sessions, and behind them others that wait for their user. Blocks like
    /// [`sessions`](Self::sessions).
    ///
    /// # Errors
    /// [`StoreError`] when the database refuses.
    pub(crate) fn sessions_to_watch(&self, newest: usize, urgent: usize) -> Result<Vec<Session>, StoreError> {
        let mut sessions = self.sessions(newest, &[])?;
        for id in self.shared.census.urgent(urgent) {
            if !sessions.iter().any(|session| session.session_id == id) {
                sessions.extend(self.session(id.as_str())?.map(|state| state.session()));
            }
        }
        Ok(sessions)
    }

    /// How many sessions there are. Blocks for a moment right after a start.
    pub(crate) fn session_counts(&self) -> SessionCounts {
        self.shared.census.counts()
    }

    /// How many sessions there are, as far as they are counted already.
    pub(crate) fn session_counts_so_far(&self) -> SessionCounts {
        self.shared.census.counts_so_far()
    }

    /// One session. Blocks on the disk.
    ///
    /// # Errors
    /// [`StoreError`] when the database refuses.
    pub(crate) fn session(&self, id: &str) -> Result<Option<SessionState>, StoreError> {
        let id = SessionId(id.to_owned());
        self.shared.readers.with(|connection| Ok(sessions::load(connection, &id, sessions::END)?))
    }

    /// A session as its events up to a position tell it; none when there are none up to there.
    ///
    /// # Errors
    /// [`StoreError`] when the database refuses.
    pub(crate) fn session_at(&self, id: &str, seq: Seq) -> Result<Option<SessionState>, StoreError> {
        let id = SessionId(id.to_owned());
        let before = Seq(seq.0.saturating_add(1)).min(sessions::END);
        self.shared.readers.with(|connection| Ok(sessions::fold(connection, &id, None, before)?))
    }

    /// Notes that somebody has seen a session as it is now; false when there is none.
    ///
    /// # Errors
    /// [`StoreError`] when that could not be stored.
    pub(crate) async fn mark_read(&self, session: SessionId) -> Result<bool, StoreError> {
        let (reply, answer) = oneshot::channel();
        self.send(Job::Read { session, reply })?;
        answer.await.map_err(|_| StoreError::Closed)?
    }

    /// Waits until everything stored so far can be found by [`Query::text`].
    ///
    /// # Errors
    /// [`StoreError::Closed`] when the server is stopping.
    pub(crate) async fn indexed(&self) -> Result<(), StoreError> {
        let (reply, answer) = oneshot::channel();
        self.send(Job::Index { up_to: self.last_seq(), reply })?;
        answer.await.map_err(|_| StoreError::Closed)
    }

    /// The newest committed position.
    pub(crate) fn last_seq(&self) -> Seq {
        Seq(self.shared.last_seq.load(Ordering::Acquire))
    }

    /// What storing costs.
    pub(crate) fn costs(&self) -> &Costs {
        &self.shared.costs
    }

    /// Identity of this database: positions of another one mean nothing here.
    pub(crate) fn epoch(&self) -> &str {
        &self.shared.epoch
    }

    /// `ok`, or `degraded: <reason>` after a write that failed, or of a database that was damaged or vanished.
    pub(crate) fn state(&self) -> String {
        self.shared.condition.state()
    }

    /// How far sessions of another version are computed anew; none when none are left.
    pub(crate) fn rebuild(&self) -> Option<Rebuild> {
        self.shared.condition.rebuild()
    }

    /// Commits what waits and closes the database. Blocks until that is done.
    pub(crate) fn close(&self) {
        if let Some(renewal) = lock(&self.shared.renewal).take() {
            renewal.end();
        }
        self.shared.queue.close();
        self.shared.readers.close();
        drop(lock(&self.shared.jobs).take());
        if let Some(thread) = lock(&self.shared.writer).take()
            && thread.join().is_err()
        {
            tracing::error!("the store's writer had panicked");
        }
    }

    fn send(&self, job: Job) -> Result<(), StoreError> {
        let jobs = lock(&self.shared.jobs);
        jobs.as_ref().and_then(|jobs| jobs.send(job).ok()).ok_or(StoreError::Closed)
    }
}

/// Locks a mutex; a holder that panicked leaves nothing half-done behind these locks.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
