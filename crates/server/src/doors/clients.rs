//! Who watches: one entry for each live connection, whatever its transport.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::http::header;
use axum::http::request::Parts;
use protocol::Timestamp;
use protocol::health::ClientInfo;
use socketioxide::TransportType;
use socketioxide::extract::SocketRef;
use tokio::sync::watch;

use crate::gate::peer::Peer;
use crate::intake::own::OwnEvents;

/// Connections that are listed for people.
const LISTED_MAX: usize = 1000;

/// How much is kept of what a program says of itself: `User-Agent`, name, kind and version.
const CHARS_MAX: usize = 200;

/// Connections, by an id that their transport gives.
#[derive(Clone)]
pub(crate) struct Clients {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    own: OwnEvents,
    connected: Mutex<BTreeMap<String, Client>>,
    changed: watch::Sender<()>,
    served: AtomicU64,
    not_delivered: AtomicU64,
}

/// One connection.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    /// What it calls itself, after `client:register`.
    pub name: Option<String>,
    /// What it says it is.
    pub kind: Option<String>,
    /// The version it named when it connected.
    pub version: Option<String>,
    /// Since when.
    pub connected_at: Timestamp,
    /// Where it is.
    pub address: Option<SocketAddr>,
    /// The program, by its own `User-Agent`.
    pub agent: Option<String>,
    pub transport: Transport,
}

/// How a connection is made.
#[derive(Clone, Debug)]
pub(crate) enum Transport {
    /// Socket.IO; which of its two ways may change while it lasts.
    SocketIo(SocketRef),
    WebSocket,
}

impl Transport {
    /// What it is called.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::WebSocket => "websocket",
            Self::SocketIo(socket) => match socket.transport_type() {
                TransportType::Websocket => "socket.io websocket",
                TransportType::Polling => "socket.io polling",
            },
        }
    }
}

impl Client {
    /// A connection that came with this request.
    pub(crate) fn of(request: &Parts, transport: Transport, now: Timestamp) -> Self {
        let agent = request.headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok());
        Self {
            name: None,
            kind: None,
            version: None,
            connected_at: now,
            address: request.extensions.get::<Peer>().map(|peer| peer.address),
            agent: agent.map(short),
            transport,
        }
    }

    fn info(&self, id: &str) -> ClientInfo {
        let namespace = match &self.transport {
            Transport::WebSocket => None,
            Transport::SocketIo(socket) => Some(socket.ns().to_owned()),
        };
        ClientInfo {
            id: id.to_owned(),
            kind: kind(self.kind.as_deref(), self.agent.as_deref()),
            name: self.name.clone(),
            address: self.address.map(|address| address.to_string()).unwrap_or_default(),
            transport: self.transport.name().to_owned(),
            namespace,
            version: self.version.clone(),
            connected_at: self.connected_at,
        }
    }
}

/// The beginning of what a program says of itself.
pub(crate) fn short(text: &str) -> String {
    text.chars().take(CHARS_MAX).collect()
}

/// What a program is, for people: as it registered, else by the beginning of its `User-Agent`.
fn kind(registered: Option<&str>, agent: Option<&str>) -> String {
    const AGENTS: &[(&str, &str)] = &[
        ("mozilla/", "Browser"),
        ("claude-mpm-monitor", "CLI Monitor"),
        ("claude-mpm-hook", "Hook"),
        ("python", "Python"),
        ("aiohttp", "Python"),
        ("node", "Node.js"),
    ];
    if let Some(registered) = registered {
        return registered.to_owned();
    }
    let agent = agent.unwrap_or_default().to_ascii_lowercase();
    let known = AGENTS.iter().find(|(start, _)| agent.starts_with(start));
    known.map_or("External Tool", |(_, kind)| kind).to_owned()
}

impl Clients {
    /// Connections that come and go are told there.
    pub(crate) fn new(own: OwnEvents) -> Self {
        Self { shared: Arc::new(Shared { own, ..Shared::default() }) }
    }

    pub(crate) fn joined(&self, id: &str, client: Client) {
        let (name, version) = (client.name.as_deref().map(short), client.version.as_deref().map(short));
        let client = Client { name, version, ..client };
        self.shared.own.connected(&client.info(id));
        self.lock().insert(id.to_owned(), client);
        self.shared.served.fetch_add(1, Ordering::Relaxed);
        self.shared.changed.send_replace(());
    }

    /// `trouble` is why it was disconnected, when it did not simply go.
    pub(crate) fn left(&self, id: &str, trouble: Option<&str>) {
        let client = self.lock().remove(id);
        if let Some(client) = client {
            self.shared.own.disconnected(&client.info(id), trouble);
        }
        self.shared.changed.send_replace(());
    }

    /// Notes the name that a connection gave itself.
    pub(crate) fn register(&self, id: &str, name: Option<&str>, kind: Option<&str>) {
        if let Some(client) = self.lock().get_mut(id) {
            client.name = name.map(short);
            client.kind = kind.map(short);
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

    /// Who is connected, the oldest first.
    pub(crate) fn list(&self) -> Vec<ClientInfo> {
        let mut clients = self.all();
        clients.sort_by_key(|(_, client)| client.connected_at);
        clients.truncate(LISTED_MAX);
        clients.iter().map(|(id, client)| client.info(id)).collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_what_it_registered_as_else_what_its_user_agent_says() {
        let cases = [
            (None, Some("Mozilla/5.0 (X11; Linux x86_64) Chrome/140"), "Browser"),
            (None, Some("Python/3.11 aiohttp/3.12"), "Python"),
            (None, Some("python-requests/2.32"), "Python"),
            (None, Some("Python/3.11 websockets/15.0"), "Python"),
            (None, Some("node-XMLHttpRequest"), "Node.js"),
            (None, Some("claude-mpm-monitor/0.1.0"), "CLI Monitor"),
            (None, Some("wscat"), "External Tool"),
            (None, None, "External Tool"),
            (Some("exporter"), Some("Python/3.11"), "exporter"),
        ];
        for (registered, agent, expected) in cases {
            assert_eq!(kind(registered, agent), expected, "{registered:?} {agent:?}");
        }
    }
}
