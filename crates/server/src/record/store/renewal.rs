//! What a store that was just opened has to find out of its sessions, in a thread of its own: how many there are, and after a
//! change of the fold's version what those are that another version wrote, the newest first. It reads beside the writer,
//! which only has to write what was computed, so events hardly wait for it.

use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use protocol::SessionId;
use protocol::health::Rebuild;

use super::sessions::{self, Renewed};
use super::writer::Job;
use super::{Store, StoreError};

/// How long sessions are computed before the writer is asked to write them: then the cost of the commit hardly counts.
const PIECE: Duration = Duration::from_millis(20);

/// How long a store in trouble is left alone.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// The thread; it ends with this value, after the piece at hand.
pub(super) struct Renewal {
    end: mpsc::Sender<()>,
    thread: JoinHandle<()>,
}

impl Renewal {
    pub(super) fn start(store: &Store) -> std::io::Result<Self> {
        let (end, ended) = mpsc::channel();
        let store = store.clone();
        let thread =
            std::thread::Builder::new().name("renewal".to_owned()).spawn(move || run(&store, &ended))?;
        Ok(Self { end, thread })
    }

    /// Ends it and waits for that.
    pub(super) fn end(self) {
        drop(self.end);
        if self.thread.join().is_err() {
            tracing::error!("computing sessions anew had panicked");
        }
    }
}

fn run(store: &Store, ended: &Receiver<()>) {
    let mut wait = Duration::ZERO;
    if let Err(error) = store.shared.readers.with(|connection| Ok(store.shared.census.take(connection)?)) {
        tracing::warn!(%error, "could not count the sessions");
    }
    while ended.recv_timeout(wait) == Err(RecvTimeoutError::Timeout) {
        match renew_all(store, ended) {
            Ok(()) | Err(StoreError::Closed) => break,
            Err(error) => tracing::warn!(%error, "sessions of another version wait to be computed anew"),
        }
        wait = RETRY_AFTER;
    }
    store.shared.condition.rebuilds(None);
}

fn renew_all(store: &Store, ended: &Receiver<()>) -> Result<(), StoreError> {
    // The newest is the last, and the first to go.
    let mut waiting = store.shared.readers.with(|connection| Ok(sessions::of_other_versions(connection)?))?;
    let total = waiting.len();
    while !waiting.is_empty() && ended.try_recv() == Err(mpsc::TryRecvError::Empty) {
        let done = (total - waiting.len()) as u64;
        store.shared.condition.rebuilds(Some(Rebuild { done, total: total as u64 }));
        let sessions = compute(store, &mut waiting)?;
        let (reply, written) = mpsc::sync_channel(1);
        store.send(Job::Renewed { sessions, reply })?;
        written.recv().map_err(|_| StoreError::Closed)??;
    }
    Ok(())
}

/// A piece of those that wait, at least one.
fn compute(store: &Store, waiting: &mut Vec<SessionId>) -> Result<Vec<Renewed>, StoreError> {
    let begun = Instant::now();
    store.shared.readers.with(|connection| {
        let mut computed = Vec::new();
        while let Some(id) = waiting.pop() {
            computed.push(Renewed::compute(connection, id)?);
            if begun.elapsed() >= PIECE {
                break;
            }
        }
        Ok(computed)
    })
}
