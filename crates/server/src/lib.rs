//! The monitor's server: one way in (`ingest`), one place that keeps (`store`), one that fans out (`hub`), and
//! doors that only translate (`http`, `socketio`,
//! `websocket`). The caller decides address, files and end.

mod claim;
mod config;
mod doors;
mod ended;
mod error;
mod gate;
mod instances;
mod intake;
mod metrics;
mod record;
mod state;
#[cfg(test)]
mod testing;

use std::future::Future;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use ::socketioxide::SocketIo;
use protocol::Timestamp;
use protocol::hooks::{Hooks, HooksOrder};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

pub use claim::Claim;
pub use config::{Config, Durability, EventNames};
pub use ended::Ended;
pub use error::Error;
pub use gate::listen::Listeners;
pub use gate::tls::Certificate;
pub use instances::{Answer, Call, CallError, Instances};
pub use intake::capture::Capture;
pub use intake::witness::transcripts::check_prices;
pub use state::HooksError;
use state::{AppState, Handles};

use doors::{clients, http, socketio, websocket};
use gate::{accept, audit, bodies, connections, listen, peer, rate, tls, token};
use intake::witness::{processes, transcripts};
use intake::{ingest, own, spool};
use record::hub::Hub;
use record::store::Store;

/// How long open requests may take to finish once the server stops. A half-sent request would hang for ever.
const DRAIN: Duration = Duration::from_secs(2);

/// A server that holds its port and its store but does not answer yet.
pub struct Server {
    listeners: Vec<TcpListener>,
    tls: Option<tls::Tls>,
    control_token: Arc<str>,
    told: own::Told,
    state: Handles,
    withdraw: Box<dyn FnOnce() + Send>,
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
        let tls = config.tls.as_ref().map(tls::Tls::new).transpose().map_err(Error::Tls)?;
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
        let control_token: Arc<str> = uuid::Uuid::new_v4().simple().to_string().into();
        let websockets = websocket::shared::WebSockets::new(config.instance_info(port));
        let id = format!("{}-{}", config.name, uuid::Uuid::new_v4().simple());
        let (own, told) = own::OwnEvents::new();
        let own = if config.own_events { own } else { own::OwnEvents::default() };
        let state = Handles {
            bodies: bodies::Bodies::new(config.body_bytes_max),
            ingest: ingest::Ingest::new(store.clone(), config.capture.clone()),
            tokens: token::Tokens::new(config.token_file.clone(), port, control_token.clone()),
            audit: audit::Audit::default(),
            rates: rate::Rates::default(),
            config,
            store,
            hub,
            clients: clients::Clients::new(own.clone()),
            own,
            websockets,
            spool: spool::Tally::default(),
            id: id.into(),
            port,
            started: Instant::now(),
            started_at: Timestamp::from_system(SystemTime::now()),
            instances: Arc::new(instances::Alone),
            calls: Arc::new(Semaphore::new(http::CALLS_MAX)),
            hooks: None,
            ended: watch::Sender::new(None),
            next: Mutex::default(),
        };
        Ok(Self { listeners, tls, control_token, told, state, withdraw: Box::new(|| ()) })
    }

    /// How this user's other servers are found and reached; without it `/api/instances` knows only this one.
    #[must_use]
    pub fn with_instances(mut self, instances: impl Instances) -> Self {
        self.state.instances = Arc::new(instances);
        self
    }

    /// What is done when the server ends, before it gives up its port: whatever leads others there is taken away, for
    /// the next who listens on that port may be anybody.
    #[must_use]
    pub fn with_withdrawal(mut self, withdraw: impl FnOnce() + Send + 'static) -> Self {
        self.withdraw = Box::new(withdraw);
        self
    }

    /// Who looks at our hooks in Claude Code's settings and changes them; without it `/api/hooks` is not found.
    #[must_use]
    pub fn with_hooks(
        mut self,
        desk: impl Fn(Option<HooksOrder>) -> Result<Hooks, HooksError> + Send + Sync + 'static,
    ) -> Self {
        self.state.hooks = Some(Arc::new(desk));
        self
    }

    /// Where it listens, IPv4 first.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        let mut addresses: Vec<_> = self.listeners.iter().flat_map(listen::addresses).collect();
        addresses.sort_unstable();
        addresses
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
        &self.control_token
    }

    /// SHA-256 of the certificate, as browsers show it, when it serves HTTPS.
    pub fn tls_fingerprint(&self) -> Option<&str> {
        self.tls.as_ref().map(|tls| tls.fingerprint.as_str())
    }

    /// Serves until `shutdown` completes or an authorised request asks for the end, then tells the clients,
    /// disconnects them, and closes the store.
    ///
    /// # Errors
    /// [`Error::Serve`] when a listener fails.
    pub async fn run(self, shutdown: impl Future<Output = ()> + Send + 'static) -> Result<Stopped, Error> {
        let Self { listeners, tls, told, state, withdraw, .. } = self;
        let state = AppState::from(state);
        let draining =
            spool::Draining::start(state.config.spool.clone(), spooler(&state)).map_err(Error::Serve)?;
        let following = transcripts::Following::start(
            state.hub.subscribe(state.store.last_seq()),
            state.ingest.clone(),
            state.config.prices.as_deref(),
        );
        let watching =
            processes::Watching::start(state.hub.subscribe(state.store.last_seq()), state.ingest.clone());
        own::store(told, state.ingest.clone());
        state.own.started(&state.health());
        let (layer, io) = socketio::layer(&state);
        let door = Arc::new(door(&state, layer, tls));
        websocket::start(&state).await;
        let mut rotating = JoinSet::new();
        if state.config.token_file.is_some() {
            rotating.spawn(state.tokens.clone().watch());
            rotating.spawn(socketio::disconnect_on_rotation(io.clone(), state.clone()));
        }
        let mut serving = JoinSet::new();
        let (close, closing) = watch::channel(false);
        for listener in listeners {
            serving.spawn(accept::serve(listener, door.clone(), closing.clone()));
        }
        let mut ended = state.ended.subscribe();
        tokio::select! {
            () = shutdown => state.end(Ended::Caller),
            _ = ended.wait_for(Option::is_some) => {}
        }
        withdraw();
        close.send_replace(true);
        drop(rotating);
        following.end();
        watching.end();
        Ok(stop(state, io, serving, draining).await)
    }
}

/// Whose spool is drained.
fn spooler(state: &AppState) -> spool::Server {
    let servers = state.clone();
    spool::Server {
        id: state.id.clone(),
        ingest: state.ingest.clone(),
        tally: state.spool.clone(),
        body_bytes_max: state.config.body_bytes_max,
        all: Box::new(move || servers.all_instances()),
    }
}

/// What the listeners of this server share.
fn door(
    state: &AppState,
    layer: ::socketioxide::layer::SocketIoLayer,
    tls: Option<tls::Tls>,
) -> accept::Door {
    accept::Door {
        dispatch: doors::behind_guard(state, layer),
        tls,
        connections: connections::Connections::new(),
        users: peer::Users::new(),
        // Where everybody needs a token, a proxy or a tunnel may speak for anybody.
        trusts_users: !state.config.needs_token(),
        audit: state.audit.clone(),
        head_limit: Duration::from_secs(state.config.request_timeout_s),
        bounds: Arc::new(connections::Bounds {
            patience: connections::Patience {
                answer: Duration::from_secs(state.config.request_timeout_s),
                live: Duration::from_secs(state.config.ping_interval_s + state.config.ping_timeout_s),
            },
            budget: state.bodies.budget.clone(),
            message_bytes_max: state.bodies.bytes_max,
            audit: state.audit.clone(),
        }),
        ended: state.ended.subscribe(),
    }
}

/// Clients are told, then disconnected; open requests finish; the store is closed last, so that everything
/// acknowledged is in it.
async fn stop(state: AppState, io: SocketIo, mut serving: JoinSet<()>, draining: spool::Draining) -> Stopped {
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
    socketio::close(&io).await;
    let drained = tokio::time::timeout(DRAIN, async { while serving.join_next().await.is_some() {} }).await;
    if drained.is_err() {
        tracing::debug!("requests that were never finished were cut off");
        serving.shutdown().await;
    }
    state.own.stopped(ended).await;
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
