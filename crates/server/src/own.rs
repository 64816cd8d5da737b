//! What the monitor tells of itself: that it started and stops, and who connects to it and leaves. These are events
//! like any other and take the one way in; telling never waits.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use protocol::health::ClientInfo;
use protocol::{Source, Timestamp};
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::Ended;
use crate::ingest::Ingest;
use crate::state::AppState;

/// Events that wait to be stored. A storm of connections beyond that is counted in the next event that is told.
const WAITING_MAX: usize = 1024;

/// How long the end of a server waits for them.
const FLUSH_LIMIT: Duration = Duration::from_secs(2);

/// A way to tell; clones share it. The default tells nobody.
#[derive(Clone, Default)]
pub(crate) struct OwnEvents {
    waiting: Option<mpsc::Sender<Item>>,
    skipped: Arc<AtomicU64>,
}

enum Item {
    Event(String),
    /// Answered when everything before it is stored.
    Flush(oneshot::Sender<()>),
}

/// What was told and is not stored yet.
pub(crate) struct Told(mpsc::Receiver<Item>);

impl OwnEvents {
    pub(crate) fn new() -> (Self, Told) {
        let (waiting, told) = mpsc::channel(WAITING_MAX);
        (Self { waiting: Some(waiting), skipped: Arc::default() }, Told(told))
    }

    pub(crate) fn started(&self, app: &AppState) {
        let health = app.health();
        let payload = json!({
            "version": health.version, "host": health.host, "port": health.port, "pid": health.pid,
            "mode": health.mode, "server_id": health.server_id,
        });
        let summary = format!("Monitor started  {} on port {}", health.version, health.port);
        self.tell("system.started", false, &summary, payload);
    }

    /// Tells that the server stops, and waits until that is stored.
    pub(crate) async fn stopped(&self, ended: Ended) {
        let reason = match ended {
            Ended::Caller => "its program ends it".to_owned(),
            Ended::Asked => "it was asked to".to_owned(),
            Ended::Replaced { port } => format!("another one takes over on port {port}"),
            Ended::Restart { port } => format!("it starts again on port {port}"),
        };
        self.tell(
            "system.stopped",
            false,
            &format!("Monitor stopped  {reason}"),
            json!({ "reason": reason }),
        );
        let Some(waiting) = &self.waiting else { return };
        let (stored, is_stored) = oneshot::channel();
        let flush = async { waiting.send(Item::Flush(stored)).await.is_ok() && is_stored.await.is_ok() };
        if tokio::time::timeout(FLUSH_LIMIT, flush).await != Ok(true) {
            tracing::warn!("the monitor's own last events could not be stored");
        }
    }

    pub(crate) fn connected(&self, client: &ClientInfo) {
        let summary = format!("{} connected  {}  {}", client.kind, client.transport, client.address);
        self.tell("client.connected", false, &summary, json!(client));
    }

    /// `trouble` is why it was disconnected, when it did not simply go.
    pub(crate) fn disconnected(&self, client: &ClientInfo, trouble: Option<&str>) {
        let mut payload = json!(client);
        payload["error"] = json!(trouble);
        let trouble = trouble.map(|trouble| format!("  {trouble}"));
        let is_error = trouble.is_some();
        let summary = format!("{} left  {}{}", client.kind, client.address, trouble.unwrap_or_default());
        self.tell("client.disconnected", is_error, &summary, payload);
    }

    fn tell(&self, kind: &str, is_error: bool, summary: &str, mut payload: Value) {
        let Some(waiting) = &self.waiting else { return };
        match self.skipped.swap(0, Ordering::Relaxed) {
            0 => {}
            skipped => payload["skipped_events"] = skipped.into(),
        }
        let event = json!({
            "source": Source::Monitor.as_str(),
            "kind": kind,
            "occurred_at": Timestamp::from_system(SystemTime::now()),
            "is_error": is_error,
            "summary": summary,
            "payload": payload,
        });
        if waiting.try_send(Item::Event(event.to_string())).is_err() {
            let before = payload["skipped_events"].as_u64().unwrap_or(0);
            self.skipped.fetch_add(before + 1, Ordering::Relaxed);
        }
    }
}

/// Stores what is told, until nobody can tell any more.
pub(crate) fn store(Told(mut told): Told, ingest: Ingest) -> JoinHandle<()> {
    tokio::spawn(async move {
        while let Some(item) = told.recv().await {
            match item {
                Item::Event(event) => {
                    if let Err(error) = ingest.take(event.into(), Source::Monitor).await {
                        tracing::debug!("could not keep what the monitor tells of itself: {error:?}");
                    }
                }
                // Whoever asked may have given up.
                Item::Flush(stored) => drop(stored.send(())),
            }
        }
    })
}
