//! Answering one client: as an event, and as the acknowledgement that it may have asked for.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;
use serde_json::Value;
use socketioxide::adapter::LocalAdapter;
use socketioxide::extract::{AckSender, SocketRef};
use socketioxide::handler::{self, FromMessageParts};
use socketioxide::socket::Socket;

use crate::clients::short;

/// The acknowledgement of an emit, if its client asked for one.
pub(super) struct Ack {
    socket: Arc<Socket<LocalAdapter>>,
    id: Option<i64>,
}

impl Ack {
    /// Whether anything will be sent.
    pub(super) fn is_wanted(&self) -> bool {
        self.id.is_some()
    }

    /// A client that is gone or does not read is not waited for; false when it gets nothing now.
    pub(super) fn send<T: Serialize + ?Sized>(&self, data: &T) -> bool {
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
        Ok(Self { socket: socket.clone(), id: *id })
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
    if let Err(error) = socket.emit(event, data) {
        tracing::debug!(%error, event, "could not answer a client");
    }
}
