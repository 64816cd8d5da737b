//! What every door can reach.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::ops::Deref;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::{Instant, SystemTime};

use protocol::health::HealthStats;
use protocol::hooks::{Hooks, HooksOrder};
use protocol::instance::{Instance, InstanceInfo};
use protocol::{Health, Timestamp, names};
use tokio::sync::{Semaphore, watch};

use crate::config::Config;
use crate::doors::clients::Clients;
use crate::doors::websocket::shared::WebSockets;
use crate::ended::Ended;
use crate::gate::audit::Audit;
use crate::gate::bodies::Bodies;
use crate::gate::listen::Listeners;
use crate::gate::rate::Rates;
use crate::gate::token::Tokens;
use crate::instances::Instances;
use crate::intake::ingest::Ingest;
use crate::intake::own::OwnEvents;
use crate::intake::spool::Tally;
use crate::record::hub::Hub;
use crate::record::store::{Page, Query, Store, StoreError};

/// Looks at our hooks in Claude Code's settings and, when ordered, changes them; provided by the host, who knows
/// where they are. Blocks on the disk.
pub(crate) type HooksDesk = Arc<dyn Fn(Option<HooksOrder>) -> Result<Hooks, HooksError> + Send + Sync>;

/// Why the hooks are as they were.
#[derive(Debug, thiserror::Error)]
pub enum HooksError {
    /// What would be changed is not what the user was shown.
    #[error("the settings were changed meanwhile; look at the difference again")]
    Changed,
    /// The reason, and the way out where there is one.
    #[error("{0}")]
    Failed(String),
}

/// Everything a door needs; clones share it.
#[derive(Clone)]
pub(crate) struct AppState(Arc<Handles>);

/// Handles to everything a door needs.
pub(crate) struct Handles {
    pub config: Config,
    pub store: Store,
    pub hub: Hub,
    pub bodies: Bodies,
    pub ingest: Ingest,
    pub clients: Clients,
    pub own: OwnEvents,
    pub websockets: WebSockets,
    pub spool: Tally,
    pub id: Arc<str>,
    pub tokens: Tokens,
    pub audit: Audit,
    pub rates: Rates,
    pub port: u16,
    pub started: Instant,
    pub started_at: Timestamp,
    pub instances: Arc<dyn Instances>,
    /// Calls to other servers that run.
    pub calls: Arc<Semaphore>,
    /// None where the host manages no hooks.
    pub hooks: Option<HooksDesk>,
    pub ended: watch::Sender<Option<Ended>>,
    /// The port to serve after a restart, when it is another one.
    pub next: Mutex<Listeners>,
}

impl From<Handles> for AppState {
    fn from(handles: Handles) -> Self {
        Self(Arc::new(handles))
    }
}

impl Deref for AppState {
    type Target = Handles;

    fn deref(&self) -> &Handles {
        &self.0
    }
}

impl Handles {
    /// Reads the store off the async threads.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Store) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let store = self.store.clone();
        tokio::task::spawn_blocking(move || read(&store)).await.map_err(|_| StoreError::Closed)?
    }

    /// A page of history; a full-text search waits until what is stored is searchable.
    pub(crate) async fn page(&self, query: Query) -> Result<Page, StoreError> {
        if query.searches() {
            self.store.indexed().await?;
        }
        self.read(move |store| store.page(&query)).await
    }

    /// Asks the server to end; the first reason counts.
    pub(crate) fn end(&self, reason: Ended) {
        self.ended.send_if_modified(|ended| {
            let is_first = ended.is_none();
            ended.get_or_insert(reason);
            is_first
        });
    }

    pub(crate) fn url(&self) -> String {
        self.url_at(self.port)
    }

    /// Where this server would be on another port.
    pub(crate) fn url_at(&self, port: u16) -> String {
        let host = match self.config.host.parse::<IpAddr>() {
            // These mean "listen everywhere" and are no destinations.
            Ok(ip) if ip.is_unspecified() => "localhost".to_owned(),
            Ok(IpAddr::V6(ip)) => format!("[{ip}]"),
            _ => self.config.host.clone(),
        };
        let scheme = if self.config.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{host}:{port}")
    }

    /// How the raw WebSocket door names this server.
    pub(crate) fn instance_info(&self) -> InstanceInfo {
        self.config.instance_info(self.port)
    }

    /// This user's servers, this one among them. Blocks on the disk.
    pub(crate) fn all_instances(&self) -> Vec<Instance> {
        let own = self.instance();
        let mut all = self.instances.list();
        if !all.iter().any(|other| other.server_id == own.server_id) {
            all.insert(0, own);
        }
        all
    }

    fn instance(&self) -> Instance {
        Instance {
            port: self.port,
            url: self.url(),
            pid: std::process::id(),
            server_id: self.id.to_string(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            project: None,
            status: "running".to_owned(),
        }
    }

    pub(crate) fn health(&self) -> Health {
        let counters = self.ingest.counters();
        let last_activity = counters.last_activity.load(Ordering::Relaxed);
        let version = env!("CARGO_PKG_VERSION").to_owned();
        Health {
            status: "running".to_owned(),
            service: names::SERVICE.to_owned(),
            version: version.clone(),
            port: self.port,
            pid: Some(std::process::id()),
            uptime: self.started.elapsed().as_secs(),
            host: self.config.host.clone(),
            server_version: version,
            server_id: self.id.to_string(),
            uptime_seconds: self.started.elapsed().as_secs_f64(),
            start_time: self.started_at.rfc3339(),
            timestamp: Timestamp::from_system(SystemTime::now()).rfc3339(),
            clients_connected: self.clients.count() as u64,
            client_versions: self.clients.versions(),
            health_stats: HealthStats {
                events_processed: counters.stored.load(Ordering::Relaxed),
                clients_served: self.clients.served(),
                errors: counters.refused.load(Ordering::Relaxed),
                last_activity: i64::try_from(last_activity).ok().filter(|at| *at > 0).map(Timestamp),
            },
            dependencies: BTreeMap::from([("sqlite".to_owned(), rusqlite::version().to_owned())]),
            store: self.store.state(),
            rebuild: self.store.rebuild(),
            spool: self.spool.health(self.config.spool.as_deref()),
            capture: self.config.capture.health(Timestamp::from_system(SystemTime::now())),
            last_seq: self.hub.latest(),
            mode: self.config.mode.clone(),
            dashboard_port: self.config.dashboard.then(|| self.config.dashboard_port.unwrap_or(self.port)),
            profile: self.config.profile.clone(),
        }
    }
}
