//! Answering one client: as an event, and as the acknowledgement that it may have asked for.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;
use socketioxide::adapter::LocalAdapter;
use socketioxide::extract::{AckSender, SocketRef};
use socketioxide::handler::{self, FromMessageParts};
use socketioxide::socket::Socket;

use super::handshake;
use crate::doors::clients::short;
use crate::gate::connections::{Handling, Watched};
use crate::record::hub::to_raw;

/// Bytes that a client may not have taken when it is given a small answer: more than when it is given a large one, so that it
/// can ask something while that is on its way. An answer beyond is lost, as it is when too many packets wait.
const UNREAD_BYTES_MAX: u64 = 2 * 1024 * 1024;

/// The acknowledgement of an emit, if its client asked for one.
pub(super) struct Ack {
    socket: Arc<Socket<LocalAdapter>>,
    id: Option<i64>,
    /// Whoever handles an emit holds this until it is handled.
    _handling: Option<Handling>,
}

impl Ack {
    /// Whether anything will be sent.
    pub(super) fn is_wanted(&self) -> bool {
        self.id.is_some()
    }

    /// A client that is gone or does not read is not waited for; false when it gets nothing now.
    pub(super) fn send(&self, data: &impl Serialize) -> bool {
        let data = to_raw(data);
        self.is_wanted() && give(&self.socket, data.get().len(), || self.put(&data))
    }

    /// The same for what is counted by who sends it.
    pub(super) fn put(&self, data: &RawValue) -> bool {
        let Ok(sender) = AckSender::from_message_parts(&self.socket, &mut no_message(), &self.id);
        sender.send(data).is_ok()
    }
}

/// What the library wants for making an acknowledgement, and does not look at.
fn no_message() -> handler::Value {
    handler::Value::Bytes(Bytes::new())
}

impl FromMessageParts<LocalAdapter> for Ack {
    type Error = Infallible;

    fn from_message_parts(
        socket: &Arc<Socket<LocalAdapter>>,
        _: &mut handler::Value,
        id: &Option<i64>,
    ) -> Result<Self, Infallible> {
        let handling =
            handshake::traffic_of(socket).and_then(|traffic| traffic.websocket().map(Watched::handling));
        Ok(Self { socket: socket.clone(), id: *id, _handling: handling })
    }
}

/// To the sender as an event, and as an acknowledgement where one was asked for.
pub(super) fn answer(socket: &SocketRef, ack: &Ack, event: &str, data: &Value) {
    emit(socket, event, data);
    ack.send(data);
}

/// As much as is told again of what a client sent.
pub(super) fn told(value: &Value) -> Value {
    match value {
        Value::String(text) => short(text).into(),
        Value::Array(_) | Value::Object(_) => Value::Null,
        plain => plain.clone(),
    }
}

/// A client that is gone or does not read is not waited for.
pub(super) fn emit(socket: &SocketRef, event: &str, data: &Value) {
    let data = to_raw(data);
    if !give(socket, data.get().len(), || socket.emit(event, &data).is_ok()) {
        tracing::debug!(event, "could not answer a client");
    }
}

/// Sends so many bytes, unless too many are on their way; whether they are now.
fn give(socket: &Socket<LocalAdapter>, bytes: usize, send: impl FnOnce() -> bool) -> bool {
    let Some(traffic) = handshake::traffic_of(socket) else { return send() };
    if traffic.unread() > UNREAD_BYTES_MAX {
        return false;
    }
    traffic.note_sent(bytes);
    let is_sent = send();
    if !is_sent {
        traffic.note_unsent(bytes);
    }
    is_sent
}
