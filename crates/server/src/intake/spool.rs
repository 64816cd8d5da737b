//! The spool's other end: what hooks left on disk goes through the one way in, at start and while running, in
//! order, and is deleted only after it is stored. A crash between the two is harmless: an event keeps its id.

use std::collections::{BTreeSet, VecDeque};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, TryRecvError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use protocol::ingest::Object;
use protocol::instance::Instance;
use protocol::project::taker;
use protocol::spool::{self, SpoolHealth};
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::runtime::Handle;

use crate::intake::ingest::{Ingest, Spooled};
use crate::record::store::StoreError;

/// How often the folder is looked at: one `stat` while nothing changes.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How long a store that could not keep events is left alone.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// How long after a change the folder's time may still stand for several changes: file systems count coarsely.
const SETTLED_AFTER: Duration = Duration::from_secs(2);

/// Files stored as one group: enough that the commit's cost vanishes, few enough that live events wait for
/// milliseconds only.
const BATCH_FILES_MAX: usize = 256;

/// Bytes of one group; one file may be larger.
const BATCH_BYTES_MAX: usize = 8 * 1024 * 1024;

/// A hook writes a file within milliseconds; one that is unfinished after this was killed.
const UNFINISHED_AGE_MAX: Duration = Duration::from_secs(60);

/// What is kept of files that are no event: enough to find out who writes them.
const REJECTED_FILES_MAX: usize = 1000;

/// Their bytes.
const REJECTED_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// What a server tells of its spool; clones share it.
#[derive(Clone, Default)]
pub(crate) struct Tally(Arc<Counters>);

#[derive(Default)]
struct Counters {
    waiting: AtomicU64,
    rejected: AtomicU64,
    problem: Mutex<Option<String>>,
}

impl Tally {
    pub(crate) fn health(&self, folder: Option<&Path>) -> SpoolHealth {
        let length = |path: PathBuf| fs::symlink_metadata(path).ok().map(|file| file.len());
        let refused =
            |folder: &Path| spool::refused(length(folder.join(spool::REFUSED)), length(spool::lost(folder)));
        SpoolHealth {
            waiting: self.0.waiting.load(Ordering::Relaxed),
            refused: folder.map_or(0, refused),
            rejected: self.0.rejected.load(Ordering::Relaxed),
            problem: self.problem().clone(),
        }
    }

    fn problem(&self) -> std::sync::MutexGuard<'_, Option<String>> {
        self.0.problem.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The thread that drains; it ends with this value, after the group at hand.
pub(crate) struct Draining {
    end: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Draining {
    /// Begins to drain a spool; does nothing when there is none.
    pub(crate) fn start(folder: Option<PathBuf>, server: Server) -> io::Result<Self> {
        let Some(folder) = folder else { return Ok(Self { end: None, thread: None }) };
        // While there is room for it: hooks count what they lose when there is none.
        if let Err(error) = private::create_zeros(&spool::lost(&folder), spool::LOST_BYTES)
            && error.kind() != io::ErrorKind::AlreadyExists
        {
            tracing::warn!(%error, "events that hooks lose could not be counted");
        }
        let drain = Drain {
            folder,
            server,
            runtime: Handle::current(),
            seen: None,
            servers: Vec::new(),
            left: BTreeSet::new(),
        };
        let (end, ended) = mpsc::channel();
        let thread = std::thread::Builder::new().name("spool".to_owned()).spawn(|| drain.run(ended))?;
        Ok(Self { end: Some(end), thread: Some(thread) })
    }

    /// Ends it and waits for the group at hand. Blocks until that is stored.
    pub(crate) fn end(mut self) {
        drop(self.end.take());
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("draining the spool had panicked");
        }
    }
}

/// Whose spool is drained, as far as that matters.
pub(crate) struct Server {
    /// The identity of its run.
    pub id: Arc<str>,
    pub ingest: Ingest,
    pub tally: Tally,
    /// The largest event that it takes.
    pub body_bytes_max: usize,
    /// This user's servers now, this one among them. Blocks on the disk.
    pub all: Box<dyn Fn() -> Vec<Instance> + Send>,
}

struct Drain {
    folder: PathBuf,
    server: Server,
    runtime: Handle,
    /// The folder's time at the last look, when no later change can hide behind it.
    seen: Option<SystemTime>,
    /// Who ran at the last look.
    servers: Vec<Instance>,
    /// Files looked at and left where they are: another server's, or not to be read.
    left: BTreeSet<String>,
}

/// Why a look ended before everything was taken.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the spool cannot be used: {0}")]
    Folder(#[from] io::Error),
}

impl Drain {
    // It owns the receiver: the thread's end is the channel's.
    #[allow(clippy::needless_pass_by_value, reason = "it moves into the thread")]
    fn run(mut self, ended: Receiver<()>) {
        let mut wait = Duration::ZERO;
        while ended.recv_timeout(wait) == Err(RecvTimeoutError::Timeout) {
            let looked = self.look(&ended);
            self.tell(&looked);
            wait = match looked {
                Ok(()) => LOOK_EVERY,
                Err(trouble) => {
                    tracing::warn!(%trouble, "spooled events wait");
                    self.seen = None;
                    RETRY_AFTER
                }
            };
        }
    }

    /// Says what keeps the spool from being used. What the store has to say it says itself.
    fn tell(&self, looked: &Result<(), Trouble>) {
        let problem = match looked {
            Err(Trouble::Folder(error)) => {
                let (reason, folder) = (error.to_string(), self.folder.display().to_string());
                Some(if reason.contains(&folder) { reason } else { format!("{folder}: {reason}") })
            }
            Err(Trouble::Store(_)) | Ok(()) => None,
        };
        *self.server.tally.problem() = problem;
    }

    /// Takes what is there, unless nothing changed since the last look.
    fn look(&mut self, ended: &Receiver<()>) -> Result<(), Trouble> {
        // Hooks need it when nobody is there to say that they cannot use it. Its time does not tell of its rights.
        private::check_folder(&self.folder)?;
        // No folder: no hook ever spooled.
        let Ok(changed) = fs::metadata(&self.folder).and_then(|folder| folder.modified()) else {
            return Ok(());
        };
        // Who runs decides what of the rest is ours, and can change without any change of the folder.
        let servers_changed = !self.left.is_empty() && self.servers != (self.server.all)();
        if self.seen == Some(changed) && !servers_changed {
            return Ok(());
        }
        let Some(_lock) = lock(&self.folder)? else { return Ok(()) };
        let age = SystemTime::now().duration_since(changed).unwrap_or_default();
        self.seen = (age >= SETTLED_AFTER).then_some(changed);
        self.meet((self.server.all)());
        // Before listing: what hooks spool from now on is counted, seen in this look or not.
        reset_usage(&self.folder)?;
        let mut queue = list(&self.folder)?;
        self.server.tally.0.waiting.store(queue.len() as u64, Ordering::Relaxed);
        self.left.retain(|name| queue.binary_search(name).is_ok());
        queue.retain(|name| !self.left.contains(name));
        let mut queue = VecDeque::from(queue);
        let taken = self.take_all(&mut queue, ended);
        count_usage(&self.folder, queue.iter().chain(&self.left));
        taken
    }

    /// Takes group after group until the queue is empty or the server ends.
    fn take_all(&mut self, queue: &mut VecDeque<String>, ended: &Receiver<()>) -> Result<(), Trouble> {
        while !queue.is_empty() && ended.try_recv() == Err(TryRecvError::Empty) {
            let mut group = self.read_group(queue);
            let spooled = group.iter().filter_map(|(name, body)| Spooled::of(name, body)).collect();
            let outcomes = match self.runtime.block_on(self.server.ingest.take_spooled(spooled)) {
                Ok(outcomes) => outcomes,
                Err(error) => {
                    // All of it is tried again.
                    group.into_iter().rev().for_each(|(name, _)| queue.push_front(name));
                    return Err(error.into());
                }
            };
            for ((name, _), outcome) in group.drain(..).zip(outcomes) {
                match outcome {
                    Ok(()) => self.forget(name),
                    Err(refusal) => self.reject(name, &refusal.message),
                }
            }
        }
        prune_rejected(&self.folder.join(spool::REJECTED));
        Ok(())
    }

    /// Reads from the front of the queue what is stored as one group.
    fn read_group(&mut self, queue: &mut VecDeque<String>) -> Vec<(String, Vec<u8>)> {
        let (mut group, mut bytes) = (Vec::new(), 0);
        while group.len() < BATCH_FILES_MAX
            && let Some(name) = queue.pop_front()
        {
            match read(&self.folder.join(&name), self.server.body_bytes_max) {
                Ok(Some(body)) if !group.is_empty() && bytes + body.len() > BATCH_BYTES_MAX => {
                    queue.push_front(name);
                    break;
                }
                Ok(Some(body)) if self.is_ours(&body) => {
                    bytes += body.len();
                    group.push((name, body));
                }
                Ok(Some(_)) => drop(self.left.insert(name)),
                Ok(None) => self.reject(name, "it is larger than a request may be"),
                Err(error) if error.kind() == io::ErrorKind::NotFound => self.count_taken(),
                Err(error) => self.leave(name, &error),
            }
        }
        group
    }

    /// Files left to others are looked at again when other servers run.
    fn meet(&mut self, servers: Vec<Instance>) {
        if self.servers != servers {
            self.servers = servers;
            self.left.clear();
        }
    }

    /// Whether this server is the one to take an event.
    fn is_ours(&self, body: &[u8]) -> bool {
        if let [only] = &self.servers[..]
            && only.project.is_none()
        {
            return true;
        }
        let taker = taker(&self.servers, folder_of(body).as_deref());
        taker.is_some_and(|server| server.server_id == *self.server.id)
    }

    /// Deletes a file whose event is stored.
    fn forget(&mut self, name: String) {
        match fs::remove_file(self.folder.join(&name)) {
            Ok(()) => self.count_taken(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.count_taken(),
            Err(error) => self.leave(name, &error),
        }
    }

    /// Moves a file aside that will never be an event.
    fn reject(&mut self, name: String, reason: &str) {
        tracing::warn!(name, reason, "a spooled file is no event");
        let rejected = self.folder.join(spool::REJECTED);
        let moved = private::folder(&rejected)
            .and_then(|()| fs::rename(self.folder.join(&name), rejected.join(&name)));
        match moved {
            Ok(()) => {
                self.count_taken();
                self.server.tally.0.rejected.fetch_add(1, Ordering::Relaxed);
            }
            Err(error) => self.leave(name, &error),
        }
    }

    fn leave(&mut self, name: String, error: &io::Error) {
        tracing::warn!(name, %error, "a spooled file stays where it is");
        self.left.insert(name);
    }

    fn count_taken(&self) {
        let less = |waiting: u64| Some(waiting.saturating_sub(1));
        let _ = self.server.tally.0.waiting.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
    }
}

/// Takes the lock of a spool that is this user's alone; `None` when another server has it. Dropping the file frees it,
/// and so does a crash.
fn lock(folder: &Path) -> io::Result<Option<File>> {
    private::folder(folder)?;
    let mut options = OpenOptions::new();
    let file = private::open(&folder.join(spool::LOCK), options.create(true).write(true).truncate(false))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Says that nothing lies in the spool; what turns out to stay is counted again.
fn reset_usage(folder: &Path) -> io::Result<()> {
    // Emptied once it is known whose it is.
    match private::open(&folder.join(spool::USAGE), OpenOptions::new().write(true)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        usage => usage?.set_len(0),
    }
}

/// Counts what stays in the spool.
fn count_usage<'a>(folder: &Path, names: impl Iterator<Item = &'a String>) {
    let sizes = names.filter_map(|name| fs::symlink_metadata(folder.join(name)).ok());
    let blocks: u64 = sizes.map(|file| spool::blocks(file.len())).sum();
    let marks = vec![b'.'; usize::try_from(blocks.min(spool::BLOCKS_MAX)).unwrap_or_default()];
    let counted = private::open(&folder.join(spool::USAGE), OpenOptions::new().append(true));
    if let Err(error) = counted.and_then(|mut usage| usage.write_all(&marks)) {
        tracing::debug!(%error, "could not count what stays in the spool");
    }
}

/// The events in order of their names, hence of their times. Sweeps what hooks left unfinished.
fn list(folder: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        if spool::parse_file_name(&name).is_some() {
            names.push(name);
        } else if spool::is_unfinished(&name) && is_abandoned(&entry) {
            // It may be gone already.
            let _ = fs::remove_file(entry.path());
        }
    }
    names.sort_unstable();
    Ok(names)
}

fn is_abandoned(entry: &fs::DirEntry) -> bool {
    let modified = entry.metadata().and_then(|file| file.modified()).ok();
    modified.and_then(|at| at.elapsed().ok()).is_some_and(|age| age > UNFINISHED_AGE_MAX)
}

/// A file's content; `None` when it is larger than `bytes_max`.
fn read(path: &Path, bytes_max: usize) -> io::Result<Option<Vec<u8>>> {
    let file = private::look(path)?;
    let mut content = Vec::with_capacity(usize::try_from(file.metadata()?.len()).unwrap_or(0).min(bytes_max));
    // Looked at by reading: it may grow.
    let read = file.take(bytes_max as u64 + 1).read_to_end(&mut content)?;
    Ok((read <= bytes_max).then_some(content))
}

/// The working directory that the hook's payload names.
fn folder_of(body: &[u8]) -> Option<PathBuf> {
    #[derive(Deserialize)]
    struct Envelope<'a> {
        #[serde(borrow)]
        payload: &'a RawValue,
    }
    let Envelope { payload } = serde_json::from_slice(body).ok()?;
    Object::of(payload)?.text("cwd").map(|cwd| PathBuf::from(cwd.into_owned()))
}

/// Removes the oldest rejected files beyond the limits.
fn prune_rejected(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    let size = |entry: fs::DirEntry| Some((entry.file_name(), entry.metadata().ok()?.len()));
    let mut files: Vec<_> = entries.flatten().filter_map(size).collect();
    files.sort_unstable();
    let mut bytes: u64 = files.iter().map(|(_, size)| size).sum();
    let mut count = files.len();
    for (name, size) in files {
        if count <= REJECTED_FILES_MAX && bytes <= REJECTED_BYTES_MAX {
            return;
        }
        // What cannot be removed is tried again with the next one.
        let _ = fs::remove_file(folder.join(name));
        (count, bytes) = (count - 1, bytes - size);
    }
}

#[cfg(test)]
mod tests;
