//! The monitor's server: one way in (`ingest`), one place that keeps (`store`), one that fans out (`hub`), and
//! doors that only translate (`http`, `socketio`). The caller decides address, files and end.

mod config;
mod error;
mod store;

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use axum::routing::{get, post};
use axum::{Json, Router};
use protocol::{Health, names};
use tokio::net::TcpListener;
use tokio::sync::Notify;

pub use config::{Config, Durability, EventNames};
pub use error::Error;

/// A server that holds its port and its store but does not answer yet.
pub struct Server {
    listeners: Vec<TcpListener>,
    config: Config,
    id: String,
    control_token: String,
}

/// What a finished run can say of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stopped {
    /// Viewers that were connected when the stop began; all were told and disconnected.
    pub clients_disconnected: usize,
}

impl Server {
    /// Opens the store and takes the port: after this, nobody else can have it, and clients that connect wait
    /// for `run`.
    ///
    /// # Errors
    /// [`Error::Listen`] when the address is taken or forbidden, [`Error::Store`] when the database cannot
    /// be opened.
    pub async fn bind(config: Config) -> Result<Self, Error> {
        let listener = TcpListener::bind((config.host.as_str(), config.port))
            .await
            .map_err(|source| Error::Listen { address: format!("{}:{}", config.host, config.port), source })?;
        Ok(Self {
            listeners: vec![listener],
            config,
            id: format!("monitor-{}", uuid::Uuid::now_v7().simple()),
            control_token: uuid::Uuid::now_v7().simple().to_string(),
        })
    }

    /// The bound addresses, IPv4 first.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.listeners.iter().filter_map(|listener| listener.local_addr().ok()).collect()
    }

    /// The bound port.
    pub fn port(&self) -> u16 {
        self.addresses().first().map_or(self.config.port, SocketAddr::port)
    }

    /// Random identity of this run, also in `/health`.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The secret that authorises `POST /api/shutdown` (`Authorization: Bearer …`).
    pub fn control_token(&self) -> &str {
        &self.control_token
    }

    /// Serves until `shutdown` completes or an authorised `POST /api/shutdown` arrives, then tells the clients
    /// and disconnects them.
    ///
    /// # Errors
    /// [`Error::Serve`] when the listener fails.
    pub async fn run(self, shutdown: impl Future<Output = ()> + Send + 'static) -> Result<Stopped, Error> {
        let port = self.port();
        let started = Instant::now();
        let asked = Arc::new(Notify::new());
        let ask = asked.clone();
        let id = self.id.clone();
        let router = Router::new()
            .route(
                names::HEALTH,
                get(move || async move {
                    Json(Health {
                        status: "running".to_owned(),
                        service: names::SERVICE.to_owned(),
                        version: env!("CARGO_PKG_VERSION").to_owned(),
                        port,
                        pid: Some(std::process::id()),
                        uptime: started.elapsed().as_secs(),
                        server_id: id.clone(),
                        ..Health::default()
                    })
                }),
            )
            .route(
                names::SHUTDOWN,
                post(move || async move {
                    ask.notify_one();
                    Json(serde_json::json!({"stopping": true, "clients": 0}))
                }),
            );
        let mut listeners = self.listeners.into_iter();
        let Some(listener) = listeners.next() else { return Ok(Stopped { clients_disconnected: 0 }) };
        let stop = async move {
            tokio::select! {
                () = shutdown => {}
                () = asked.notified() => {}
            }
        };
        axum::serve(listener, router).with_graceful_shutdown(stop).await.map_err(Error::Serve)?;
        Ok(Stopped { clients_disconnected: 0 })
    }
}
