//! What every live connection has in common: a task that sends it what it wants of the hub, at the pace at which
//! it reads, and that ends with the connection or the server.

use std::future::Future;
use std::time::Duration;

use axum::http::header::UPGRADE;
use protocol::stream::Gap;
use serde::Serialize;
use socketioxide::extract::SocketRef;
use tokio::task::AbortHandle;

use crate::connections::Watched;
use crate::hub::{Delivery, Subscriber};
use crate::state::AppState;

/// First and longest pause before a connection that has no room is tried again.
const PAUSE: (Duration, Duration) = (Duration::from_millis(2), Duration::from_millis(100));

/// The running feed of a connection in one namespace; a new one replaces it.
#[derive(Clone)]
struct Feed(AbortHandle);

/// Starts the feed of a connection.
pub(super) fn start(socket: &SocketRef, app: &AppState, feed: impl Future<Output = ()> + Send + 'static) {
    stop(socket);
    let mut ended = app.ended.subscribe();
    let task = tokio::spawn(async move {
        tokio::select! {
            () = feed => {}
            _ = ended.wait_for(Option::is_some) => {}
        }
    });
    socket.extensions.insert(Feed(task.abort_handle()));
}

/// Ends the feed of a connection, if it has one.
pub(super) fn stop(socket: &SocketRef) {
    if let Some(Feed(feed)) = socket.extensions.remove::<Feed>() {
        feed.abort();
    }
}

/// The way out to one client: sends at the pace at which it reads.
pub(super) struct Outlet {
    pub(super) socket: SocketRef,
    /// Its connection, where that is known: a client that began by polling has had others since.
    connection: Option<Watched>,
    /// How much had left when nothing was on its way any more.
    left: u64,
    /// What was sent since then; never more than really was, or the rest would be waited for in vain.
    sent: u64,
    /// Bytes on their way to a client that does not take them: more is not encoded for it.
    unread_bytes_max: u64,
}

impl Outlet {
    pub(super) fn of(socket: SocketRef, unread_bytes_max: u64) -> Self {
        let request = socket.req_parts();
        let is_websocket = request.headers.contains_key(UPGRADE);
        let connection = request.extensions.get::<Watched>().filter(|_| is_websocket).cloned();
        let left = connection.as_ref().map_or(0, Watched::sent);
        Self { socket, connection, left, sent: 0, unread_bytes_max }
    }

    /// The next events for the client, after it was told what it missed. `None` when there will be none.
    pub(super) async fn next(
        &mut self,
        subscriber: &mut Subscriber,
        count: usize,
        app: &AppState,
    ) -> Option<Delivery> {
        let delivery = subscriber.next(count).await?;
        self.tell_gap(&delivery, app).await?;
        Some(delivery)
    }

    /// The same, also when no event came but a session changed.
    pub(super) async fn next_change(
        &mut self,
        subscriber: &mut Subscriber,
        count: usize,
        app: &AppState,
    ) -> Option<Delivery> {
        let delivery = subscriber.next_change(count).await?;
        self.tell_gap(&delivery, app).await?;
        Some(delivery)
    }

    async fn tell_gap(&mut self, delivery: &Delivery, app: &AppState) -> Option<()> {
        if let Some(Gap { from, to }) = delivery.gap {
            app.clients.lost(usize::try_from(to.0 + 1 - from.0).unwrap_or(usize::MAX));
            self.send("gap", &Gap { from, to }, 0).await?;
        }
        Some(())
    }

    /// Sends what takes at least so many bytes, and waits for room: while a client does not read, its position in
    /// the hub stands still, nothing piles up for it, and what it misses becomes a gap. `None` when it is gone.
    pub(super) async fn send<T: Serialize + ?Sized>(
        &mut self,
        event: &str,
        data: &T,
        bytes: usize,
    ) -> Option<()> {
        let mut pause = PAUSE.0;
        while self.socket.connected() {
            if !self.is_stuck() && self.socket.emit(event, data).is_ok() {
                self.sent += bytes as u64;
                return Some(());
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSE.1);
        }
        None
    }

    /// Whether too much is on its way that the client has not taken.
    fn is_stuck(&mut self) -> bool {
        let Some(connection) = &self.connection else { return false };
        let left = connection.sent();
        if left - self.left >= self.sent {
            // Whatever else went out counts too: from here on it is exact again.
            (self.left, self.sent) = (left, 0);
        }
        self.sent - (left - self.left) > self.unread_bytes_max
    }
}
