//! Socket.IO: the namespace `/` in the reference's words, and `/stream` for our own dashboard.

mod access;
mod args;
mod entrance;
mod feed;
mod handshake;
mod history;
mod legacy;
mod live;
mod replay;
mod reply;
mod stream;
mod traffic;
mod turns;

use std::time::Duration;

use serde_json::json;
use socketioxide::extract::SocketRef;
use socketioxide::layer::SocketIoLayer;
use socketioxide::socket::DisconnectReason;
use socketioxide::{ParserConfig, SocketIo};

use crate::doors::clients::Client;
use crate::state::AppState;
pub(crate) use handshake::{Sessions, count};

/// Packets that may wait for one connection: more than fit into the bytes that may. The library ends a connection for whose
/// ping there is no room, so a feed must stand still before.
const CONNECTION_PACKETS_MAX: usize = 2048;

/// Of the reference's words, and our own.
const NAMESPACES: [&str; 2] = ["/", protocol::names::STREAM];

/// Both namespaces, as a layer for the router and a handle to speak through.
pub(crate) fn layer(state: &AppState) -> (SocketIoLayer, SocketIo) {
    let (layer, io) = SocketIo::builder()
        .ping_interval(Duration::from_secs(state.config.ping_interval_s))
        .ping_timeout(Duration::from_secs(state.config.ping_timeout_s))
        .connect_timeout(Duration::from_secs(state.config.connect_timeout_s))
        .max_buffer_size(CONNECTION_PACKETS_MAX)
        .max_payload(state.config.body_bytes_max as u64)
        .ws_max_message_size(state.config.body_bytes_max)
        .ws_max_frame_size(state.config.body_bytes_max)
        // Nothing of ours has any, and a message that waits for them would be kept meanwhile.
        .with_parser(ParserConfig::common().max_incoming_binaries(0))
        .with_state(state.clone())
        .build_layer();
    legacy::open(&io, state);
    stream::open(&io);
    (layer, io)
}

/// Lists a client that has connected; false when it has left meanwhile.
fn list(client: Client, id: &str, socket: &SocketRef, app: &AppState) -> bool {
    app.clients.joined(id, client);
    let stays = socket.connected();
    if !stays {
        // Its end was told before it was listed.
        app.clients.left(id, None);
    }
    stays
}

/// Why a connection ended, when its client did not simply go. A page that is closed breaks its connection.
fn trouble(reason: DisconnectReason) -> Option<&'static str> {
    match reason {
        DisconnectReason::HeartbeatTimeout => Some("the client did not answer a ping"),
        DisconnectReason::PacketParsingError => Some("the client sent something that is no packet"),
        DisconnectReason::MultipleHttpPollingError => Some("the client polled twice at a time"),
        _ => None,
    }
}

/// Disconnects everybody whenever the token has become another one; who has the new one comes back.
pub(crate) async fn disconnect_on_rotation(io: SocketIo, app: AppState) {
    let mut rotations = app.tokens.rotations();
    while rotations.changed().await.is_ok() {
        for socket in everybody(&io).into_iter().filter(|socket| access::came_with_a_token(socket, &app)) {
            // It may be gone already.
            let _ = socket.disconnect();
        }
    }
}

/// Closes every connection. Clients take that for a loss and come back.
pub(crate) async fn close(io: &SocketIo) {
    let everybody = everybody(io);
    io.close().await;
    for socket in everybody {
        // The library has forgotten the namespaces by now. Unless their sockets leave them, each keeps the other for ever,
        // and this server's whole state with them. There is nobody left to be told.
        let _ = socket.disconnect();
    }
}

/// Who is connected, once for each namespace.
fn everybody(io: &SocketIo) -> Vec<SocketRef> {
    NAMESPACES
        .into_iter()
        .filter_map(|namespace| io.of(namespace))
        .flat_map(socketioxide::operators::BroadcastOperators::sockets)
        .collect()
}

/// Tells every client why it is about to lose its connection.
pub(crate) async fn announce_end(io: &SocketIo, event: &str, reason: &str, url: Option<String>) {
    let notice = json!({ "reason": reason, "url": url });
    for everybody in NAMESPACES.into_iter().filter_map(|namespace| io.of(namespace)) {
        // A client that cannot take the notice sees the connection close.
        let _ = everybody.emit(event, &notice).await;
    }
}
