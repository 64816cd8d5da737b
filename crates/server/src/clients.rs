//! Who watches: one entry for each live connection, whatever its transport.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use protocol::Timestamp;
use tokio::sync::watch;

/// Connections, by an id that their transport gives.
#[derive(Clone, Default)]
pub(crate) struct Clients {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    connected: Mutex<BTreeMap<String, Client>>,
    changed: watch::Sender<()>,
    served: AtomicU64,
    not_delivered: AtomicU64,
}

/// One connection.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    /// By which door it came.
    pub transport: &'static str,
    /// What it calls itself, after `client:register`.
    pub name: Option<String>,
    /// What it says it is.
    pub kind: Option<String>,
    /// The version it named when it connected.
    pub version: Option<String>,
    /// Since when.
    pub connected_at: Timestamp,
}

impl Clients {
    pub(crate) fn joined(&self, id: &str, client: Client) {
        self.lock().insert(id.to_owned(), client);
        self.shared.served.fetch_add(1, Ordering::Relaxed);
        self.shared.changed.send_replace(());
    }

    pub(crate) fn left(&self, id: &str) {
        self.lock().remove(id);
        self.shared.changed.send_replace(());
    }

    /// Notes the name that a connection gave itself.
    pub(crate) fn register(&self, id: &str, name: Option<String>, kind: Option<String>) {
        if let Some(client) = self.lock().get_mut(id) {
            client.name = name;
            client.kind = kind;
        }
    }

    pub(crate) fn count(&self) -> usize {
        self.lock().len()
    }

    /// Sees every connection that comes or goes.
    pub(crate) fn changes(&self) -> watch::Receiver<()> {
        self.shared.changed.subscribe()
    }

    /// How many ever connected.
    pub(crate) fn served(&self) -> u64 {
        self.shared.served.load(Ordering::Relaxed)
    }

    pub(crate) fn all(&self) -> Vec<(String, Client)> {
        self.lock().iter().map(|(id, client)| (id.clone(), client.clone())).collect()
    }

    /// Versions that connections named, by connection.
    pub(crate) fn versions(&self) -> BTreeMap<String, String> {
        let connected = self.lock();
        connected.iter().filter_map(|(id, client)| Some((id.clone(), client.version.clone()?))).collect()
    }

    /// Counts a broadcast that a connection was too slow to take.
    pub(crate) fn lost(&self, count: usize) {
        self.shared.not_delivered.fetch_add(count as u64, Ordering::Relaxed);
    }

    /// Broadcasts that slow connections missed since start.
    pub(crate) fn not_delivered(&self) -> u64 {
        self.shared.not_delivered.load(Ordering::Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Client>> {
        self.shared.connected.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
