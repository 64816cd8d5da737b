//! How much one client can ask at a time. Each of its emits is answered by a task of its own, so one that asks faster
//! than it is answered, or than it takes the answers, would pile them up.

use std::sync::Arc;

use serde::Serialize;
use serde_json::json;
use socketioxide::extract::SocketRef;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::feed::Outlet;
use super::reply::Ack;
use crate::record::hub::to_raw;

/// Questions that are being answered for one client; a page asks two or three.
const TURNS_MAX: usize = 64;

/// Bytes that a client may not have taken when it is given an answer that may be large; more than a feed leaves on the
/// way, or no answer would come while events pour in.
pub(super) const UNREAD_BYTES_MAX: u64 = 1024 * 1024;

#[derive(Clone)]
struct Turns {
    questions: Arc<Semaphore>,
    /// One at a time of those with large answers.
    large: Arc<Semaphore>,
}

/// The right to answer a question, until it is dropped.
pub(super) type Turn = OwnedSemaphorePermit;

/// The right to give an answer that may be large.
pub(super) struct LargeTurn {
    outlet: Outlet,
    _turns: [Turn; 2],
}

/// Before the client can ask anything.
pub(super) fn join(socket: &SocketRef) {
    let semaphore = |turns| Arc::new(Semaphore::new(turns));
    socket.extensions.insert(Turns { questions: semaphore(TURNS_MAX), large: semaphore(1) });
}

/// The right to answer a question. Without one, the client was told.
pub(super) fn take(socket: &SocketRef, ack: &Ack) -> Option<Turn> {
    let turns = socket.extensions.get::<Turns>();
    let turn = turns.and_then(|turns| turns.questions.try_acquire_owned().ok());
    if turn.is_none() {
        let message = format!("{TURNS_MAX} questions are being answered already; wait for an answer");
        ack.send(&json!({ "error": { "code": "busy", "message": message } }));
    }
    turn
}

/// The same for an answer that may be large, after those before it, and when the client has taken what it was sent. `None`
/// also when it is gone.
pub(super) async fn take_large(socket: &SocketRef, ack: &Ack) -> Option<LargeTurn> {
    let turn = take(socket, ack)?;
    let alone = socket.extensions.get::<Turns>()?.large.acquire_owned().await.ok()?;
    let outlet = Outlet::of(socket.clone(), UNREAD_BYTES_MAX);
    outlet.room().await?;
    Some(LargeTurn { outlet, _turns: [turn, alone] })
}

impl LargeTurn {
    /// As these events and as the acknowledgement, encoded once, and each when most of the one before it was taken. `None`
    /// when the client is gone.
    pub(super) async fn answer(&mut self, events: &[&str], ack: &Ack, data: &impl Serialize) -> Option<()> {
        let data = to_raw(data);
        for event in events {
            self.outlet.send_encoded(event, &data).await?;
        }
        if ack.is_wanted() {
            self.outlet.deliver(data.get().len(), |_| ack.put(&data)).await?;
        }
        Some(())
    }
}
