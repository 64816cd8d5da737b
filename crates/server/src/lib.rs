//! The monitor's server: one way in (`ingest`), one place that keeps (`store`), one that fans out (`hub`), and
//! doors that only translate (`http`, `socketio`,
//! `websocket`). The caller decides address, files and end.

mod capture;
mod clients;
mod compatibility;
mod config;
mod error;
mod http;
mod hub;
mod ingest;
mod listen;
mod security;
mod sessions;
mod socketio;
mod spool;
mod state;
mod store;
mod websocket;

use std::future::Future;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use ::socketioxide::SocketIo;
use axum::Router;
use protocol::Timestamp;
use protocol::instance::Instance;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

pub use capture::Capture;
pub use config::{Config, Durability, EventNames};
pub use error::Error;
use hub::Hub;
pub use listen::Listeners;
use state::{AppState, Instances};
use store::Store;

/// How long open requests may take to finish once the server stops. A half-sent request would hang for ever.
const DRAIN: Duration = Duration::from_secs(2);

/// A server that holds its port and its store but does not answer yet.
pub struct Server {
    listeners: Vec<TcpListener>,
    state: AppState,
}

/// Why a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The caller's shutdown completed.
    Caller,
    /// An authorised `POST /api/shutdown` came.
    Asked,
    /// An authorised `POST /api/shutdown` came, for another process to serve on this port instead.
    Replaced {
        /// Where the other one will serve.
        port: u16,
    },
    /// An authorised `POST /api/restart` came: start again, on this port.
    Restart {
        /// The port to serve next.
        port: u16,
    },
}

/// What a finished run can say of itself.
#[derive(Debug)]
pub struct Stopped {
    /// Viewers that were connected when the stop began; all were told and disconnected.
    pub clients_disconnected: usize,
    /// Why it ended.
    pub ended: Ended,
    /// After [`Ended::Restart`] on another port: that port, already taken for [`Server::bind_on`].
    pub next: Listeners,
}

impl Server {
    /// Opens the store and takes the port: after this, nobody else can have it, and clients that connect wait
    /// for `run`.
    ///
    /// # Errors
    /// [`Error::Listen`] when the address is taken or forbidden, [`Error::Store`] when the database cannot
    /// be opened.
    pub async fn bind(config: Config) -> Result<Self, Error> {
        let listeners = listen::bind(&config.host, config.port).await?;
        Self::bind_on(listeners, config).await
    }

    /// Opens the store for a port that is taken already; as [`Server::bind`] otherwise.
    ///
    /// # Errors
    /// [`Error::Listen`] when the dashboard's own port is taken or forbidden, [`Error::Store`] when the database
    /// cannot be opened.
    pub async fn bind_on(Listeners(mut listeners): Listeners, config: Config) -> Result<Self, Error> {
        let port = listeners.first().and_then(|l| l.local_addr().ok()).map_or(config.port, |a| a.port());
        if let Some(extra) = config.extra_port() {
            listeners.extend(listen::bind(&config.host, extra).await?.0);
        }
        // The hub goes on where the store ends, so the store is opened first and gets its publisher after.
        let publisher: Arc<OnceLock<Hub>> = Arc::default();
        let published = publisher.clone();
        let publish = move |group| {
            if let Some(hub) = published.get() {
                hub.publish(group);
            }
        };
        let store = Store::open(&config, Box::new(publish))?;
        let hub = publisher.get_or_init(|| Hub::new(store.last_seq())).clone();
        let websockets = websocket::WebSockets::new(config.instance_info(port));
        let id = format!("{}-{}", config.name, uuid::Uuid::new_v4().simple());
        let state = AppState {
            ingest: ingest::Ingest::new(store.clone(), config.capture.clone()),
            config: Arc::new(config),
            store,
            hub,
            clients: clients::Clients::default(),
            websockets,
            spool: spool::Tally::default(),
            id: id.into(),
            control_token: uuid::Uuid::new_v4().simple().to_string().into(),
            port,
            started: Instant::now(),
            started_at: Timestamp::from_system(SystemTime::now()),
            instances: Arc::new(Vec::new),
            ended: watch::Sender::new(None),
            next: Arc::default(),
        };
        Ok(Self { listeners, state })
    }

    /// Where this user's other servers are noted; without it `/api/instances` knows only this one.
    #[must_use]
    pub fn with_instances(mut self, instances: impl Fn() -> Vec<Instance> + Send + Sync + 'static) -> Self {
        let instances: Instances = Arc::new(instances);
        self.state.instances = instances;
        self
    }

    /// The bound addresses, IPv4 first.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.listeners.iter().filter_map(|listener| listener.local_addr().ok()).collect()
    }

    /// The bound port.
    pub fn port(&self) -> u16 {
        self.state.port
    }

    /// Random identity of this run, also in `/health`.
    pub fn id(&self) -> &str {
        &self.state.id
    }

    /// The secret that authorises `POST /api/shutdown` (`Authorization: Bearer …`).
    pub fn control_token(&self) -> &str {
        &self.state.control_token
    }

    /// Serves until `shutdown` completes or an authorised request asks for the end, then tells the clients,
    /// disconnects them, and closes the store.
    ///
    /// # Errors
    /// [`Error::Serve`] when a listener fails.
    pub async fn run(self, shutdown: impl Future<Output = ()> + Send + 'static) -> Result<Stopped, Error> {
        let Self { listeners, state } = self;
        let draining = spool::Draining::start(&state).map_err(Error::Serve)?;
        let (layer, io) = socketio::layer(&state);
        let router = router(&state, layer);
        websocket::start(&state).await;
        let mut serving = JoinSet::new();
        for listener in listeners {
            let mut ended = state.ended.subscribe();
            let end = async move { drop(ended.wait_for(Option::is_some).await) };
            let router = router.clone();
            serving.spawn(async move { axum::serve(listener, router).with_graceful_shutdown(end).await });
        }
        let mut ended = state.ended.subscribe();
        tokio::select! {
            () = shutdown => state.end(Ended::Caller),
            _ = ended.wait_for(Option::is_some) => {}
            Some(failed) = serving.join_next() => {
                if let Ok(Err(error)) = failed {
                    return Err(Error::Serve(error));
                }
                state.end(Ended::Caller);
            }
        }
        Ok(stop(state, io, serving, draining).await)
    }
}

/// Routes, then Socket.IO before all but the way in, and the guard before all of them.
fn router(state: &AppState, layer: ::socketioxide::layer::SocketIoLayer) -> Router {
    let allowed = Arc::new(security::Allowed::of(&state.config));
    http::router(state.clone())
        .layer(layer)
        .merge(http::way_in(state.clone()))
        .layer(axum::middleware::from_fn_with_state(allowed, security::guard))
}

/// Clients are told, then disconnected; open requests finish; the store is closed last, so that everything
/// acknowledged is in it.
async fn stop(
    state: AppState,
    io: SocketIo,
    mut serving: JoinSet<std::io::Result<()>>,
    draining: spool::Draining,
) -> Stopped {
    let clients_disconnected = state.clients.count();
    let ended = state.ended.borrow().unwrap_or(Ended::Caller);
    match ended {
        Ended::Restart { port } | Ended::Replaced { port } => {
            socketio::announce_end(&io, "server_restart", "restart", Some(state.url_at(port))).await;
        }
        Ended::Caller | Ended::Asked => {
            socketio::announce_end(&io, "server_shutdown", "shutdown", None).await;
        }
    }
    websocket::announce_end(&state, ended).await;
    io.close().await;
    let drained = tokio::time::timeout(DRAIN, async { while serving.join_next().await.is_some() {} }).await;
    if drained.is_err() {
        tracing::debug!("requests that were never finished were cut off");
        serving.shutdown().await;
    }
    let store = state.store.clone();
    let closed = tokio::task::spawn_blocking(move || {
        draining.end();
        store.close();
    });
    let closed = closed.await;
    if closed.is_err() {
        tracing::error!("closing the event store panicked");
    }
    let next = std::mem::take(&mut *state.next.lock().unwrap_or_else(PoisonError::into_inner));
    Stopped { clients_disconnected, ended, next }
}
