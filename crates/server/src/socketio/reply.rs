//! Answering one client: as an event, and as the acknowledgement that it may have asked for.

use serde_json::Value;
use socketioxide::extract::{AckSender, SocketRef};

use crate::clients::short;

/// To the sender as an event, and as an acknowledgement where one was asked for.
pub(super) fn answer(socket: &SocketRef, ack: AckSender, event: &str, data: &Value) {
    emit(socket, event, data);
    let _ = ack.send(data);
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
