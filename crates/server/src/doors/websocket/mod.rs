//! The raw WebSocket door: text frames with one JSON object each, in the words of claude-mpm's WebSocket API.

mod channels;
mod client;
mod command;
mod encoded;
mod envelope;
mod history;
mod remote;
mod status;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::extract::ws::WebSocketUpgrade;
use axum::http::request::Parts;
use axum::response::Response;
use protocol::Timestamp;
use protocol::instance::InstanceInfo;
use tokio::sync::watch;

use crate::doors::clients::{Client, Transport};
use crate::ended::Ended;
use crate::gate::peer::{Peer, User};
use crate::state::AppState;
use status::Status;

/// How long clients may take to hear why the server ends. One that does not read is cut off then.
const FAREWELL: Duration = Duration::from_secs(1);

/// How much of a connection is read at once. Commands and events fit in it, and each connection keeps it.
const READ_BYTES: usize = 16 * 1024;

/// What all open connections share; clones share it.
#[derive(Clone)]
pub(crate) struct WebSockets {
    shared: Arc<Shared>,
}

struct Shared {
    stage: watch::Sender<Stage>,
    open: watch::Sender<usize>,
    status: watch::Sender<Status>,
}

/// How far the door is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Connections live.
    Open,
    /// They say why the server ends, and close.
    Ending(Ended),
    /// Whoever is still there is dropped.
    Cut,
}

impl WebSockets {
    pub(crate) fn new(instance: InstanceInfo) -> Self {
        let shared = Shared {
            stage: watch::Sender::new(Stage::Open),
            open: watch::Sender::new(0),
            status: watch::Sender::new(Status::idle(instance)),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Counts a connection until the guard is dropped.
    fn enter(&self) -> Open {
        self.shared.open.send_modify(|open| *open += 1);
        Open(self.clone())
    }

    async fn all_closed(&self) {
        // The sender lives in `self`, so this ends only when everybody is gone.
        let _ = self.shared.open.subscribe().wait_for(|open| *open == 0).await;
    }
}

/// One counted connection.
struct Open(WebSockets);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.shared.open.send_modify(|open| *open -= 1);
    }
}

/// Starts what the door does for all its clients.
pub(crate) async fn start(app: &AppState) {
    let running = status::stored(app).await;
    tokio::spawn(status::watch(app.clone(), running));
}

/// Turns a request into a connection.
pub(crate) fn open(upgrade: WebSocketUpgrade, request: &Parts, app: AppState) -> Response {
    let now = Timestamp::from_system(SystemTime::now());
    let client = Client::of(request, Transport::WebSocket, now);
    let has_token = request.extensions.get::<Peer>().is_some_and(|peer| peer.user == User::Other);
    let has_token = has_token || app.config.needs_token();
    let limit = app.config.body_bytes_max;
    let upgrade = upgrade.max_message_size(limit).max_frame_size(limit).read_buffer_size(READ_BYTES);
    upgrade.on_upgrade(move |socket| client::serve(socket, client, has_token, app))
}

/// Tells every client why the server ends, and disconnects it.
pub(crate) async fn announce_end(app: &AppState, ended: Ended) {
    let websockets = &app.websockets;
    for stage in [Stage::Ending(ended), Stage::Cut] {
        websockets.shared.stage.send_replace(stage);
        if tokio::time::timeout(FAREWELL, websockets.all_closed()).await.is_ok() {
            return;
        }
    }
}
