//! Whom `tail` follows: one monitor or all of this user's, those too that start later. Each is followed by a thread of
//! its own, which ends when nobody listens any more.

use std::collections::BTreeMap;
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use client::{Follow, Monitor, Part, Query, Reconnection, Running, Start};
use protocol::paths::Home;

use super::Message;
use crate::args::Tail;

/// How often new monitors are looked for.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How monitors are followed, and who is.
pub(super) struct Sources {
    pub(super) home: Home,
    pub(super) reconnection: Reconnection,
    pub(super) messages: SyncSender<Message>,
    pub(super) followed: Followed,
}

impl Sources {
    /// Follows a monitor from its newest events on.
    pub(super) fn follow(&self, running: &Running, tail: &Tail) -> anyhow::Result<()> {
        let monitor = running.monitor();
        let query = Query { payload: tail.payload, ..tail.wanted.query(&monitor)? };
        let follow = Follow::new(monitor, query, Start::Newest(tail.lines)).reconnecting(self.reconnection);
        let (followed, messages, id) =
            (self.followed.clone(), self.messages.clone(), self.followed.add(&follow));
        thread::spawn(move || pass_on(id, follow, &followed, &messages));
        Ok(())
    }

    /// Follows monitors that start from now on.
    pub(super) fn follow_new(self, tail: Tail) {
        thread::spawn(move || {
            loop {
                thread::sleep(LOOK_EVERY);
                let running = client::running(&self.home);
                for running in running.iter().filter(|running| self.followed.is_new(&running.monitor())) {
                    // One that cannot be asked is gone again.
                    let _ = self.follow(running, &tail);
                }
            }
        });
    }
}

/// Tells what a follower learns, until it ends or nobody listens.
fn pass_on(id: usize, mut follow: Follow, followed: &Followed, messages: &SyncSender<Message>) {
    while let Some(update) = follow.next() {
        followed.note(id, &follow);
        let is_over = update.is_err();
        let message = Message::Update { id, url: follow.monitor().url().to_owned(), update };
        if messages.send(message).is_err() || is_over {
            break;
        }
    }
    followed.remove(id);
}

/// Who is followed now.
#[derive(Clone, Default)]
pub(super) struct Followed(Arc<Mutex<Register>>);

#[derive(Default)]
struct Register {
    next: usize,
    all: BTreeMap<usize, Whom>,
}

/// What stays when a monitor restarts: its store, or else its address.
struct Whom {
    url: String,
    epoch: Option<String>,
}

impl Whom {
    fn of(follow: &Follow) -> Self {
        Self { url: follow.monitor().url().to_owned(), epoch: follow.epoch().map(str::to_owned) }
    }
}

impl Followed {
    /// Their ids.
    pub(super) fn ids(&self) -> Vec<usize> {
        self.lock().all.keys().copied().collect()
    }

    fn add(&self, follow: &Follow) -> usize {
        let mut register = self.lock();
        register.next += 1;
        let id = register.next;
        register.all.insert(id, Whom::of(follow));
        id
    }

    fn note(&self, id: usize, follow: &Follow) {
        self.lock().all.insert(id, Whom::of(follow));
    }

    fn remove(&self, id: usize) {
        self.lock().all.remove(&id);
    }

    fn is_new(&self, monitor: &Monitor) -> bool {
        if self.lock().all.values().any(|whom| whom.url == monitor.url()) {
            return false;
        }
        // Asked without the lock: nobody waits for it.
        let Ok(page) = monitor.history(&Query::default(), Part::Newest, 1) else { return false };
        !self.lock().all.values().any(|whom| whom.epoch.as_ref() == Some(&page.epoch))
    }

    fn lock(&self) -> MutexGuard<'_, Register> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
