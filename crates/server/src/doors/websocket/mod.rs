//! The raw WebSocket door: text frames with one JSON object each, in the words of claude-mpm's WebSocket API.

mod channels;
mod client;
mod command;
mod encoded;
mod envelope;
mod history;
mod remote;
pub(crate) mod shared;
mod status;

use std::time::{Duration, SystemTime};

use axum::extract::ws::WebSocketUpgrade;
use axum::http::request::Parts;
use axum::response::Response;
use protocol::Timestamp;

use crate::doors::clients::{Client, Transport};
use crate::ended::Ended;
use crate::gate::peer::{Peer, User};
use crate::state::AppState;
use shared::Stage;

/// How long clients may take to hear why the server ends. One that does not read is cut off then.
const FAREWELL: Duration = Duration::from_secs(1);

/// How much of a connection is read at once. Commands and events fit in it, and each connection keeps it.
const READ_BYTES: usize = 16 * 1024;

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
        websockets.set(stage);
        if tokio::time::timeout(FAREWELL, websockets.all_closed()).await.is_ok() {
            return;
        }
    }
}
