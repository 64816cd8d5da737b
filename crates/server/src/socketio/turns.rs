//! How much one client can ask at a time. Each of its emits is answered by a task of its own, so one that asks faster
//! than it is answered would pile them up.

use std::sync::Arc;

use serde_json::json;
use socketioxide::extract::{AckSender, SocketRef};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Questions that are being answered for one client; a page asks two or three.
const TURNS_MAX: usize = 64;

#[derive(Clone)]
struct Turns(Arc<Semaphore>);

/// Before the client can ask anything.
pub(super) fn join(socket: &SocketRef) {
    socket.extensions.insert(Turns(Arc::new(Semaphore::new(TURNS_MAX))));
}

/// The right to answer a question, until it is dropped; the acknowledgement with it. Without one, the client was told.
pub(super) fn take(socket: &SocketRef, ack: AckSender) -> Option<(OwnedSemaphorePermit, AckSender)> {
    let turns = socket.extensions.get::<Turns>();
    if let Some(turn) = turns.and_then(|Turns(turns)| turns.try_acquire_owned().ok()) {
        return Some((turn, ack));
    }
    let message = format!("{TURNS_MAX} questions are being answered already; wait for an answer");
    // It may not have asked for one.
    let _ = ack.send(&json!({ "error": { "code": "busy", "message": message } }));
    None
}
