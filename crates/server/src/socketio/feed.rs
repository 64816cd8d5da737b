//! What every live connection has in common: a task that sends it what it wants of the hub, at the pace at which
//! it reads, and that ends with the connection or the server.

use std::future::Future;
use std::time::Duration;

use protocol::Session;
use protocol::stream::Gap;
use serde::Serialize;
use socketioxide::extract::SocketRef;
use tokio::task::AbortHandle;

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

/// The next events for a connection, after it was told what it missed. `None` when there will be none.
pub(super) async fn next(
    subscriber: &mut Subscriber,
    count: usize,
    socket: &SocketRef,
    app: &AppState,
) -> Option<Delivery> {
    let delivery = subscriber.next(count).await?;
    tell_gap(&delivery, socket, app).await?;
    Some(delivery)
}

/// The same, and the sessions that changed, also when no event came.
pub(super) async fn next_change(
    subscriber: &mut Subscriber,
    count: usize,
    socket: &SocketRef,
    app: &AppState,
) -> Option<(Delivery, Vec<Session>)> {
    let (delivery, changed) = subscriber.next_change(count).await?;
    tell_gap(&delivery, socket, app).await?;
    Some((delivery, changed))
}

async fn tell_gap(delivery: &Delivery, socket: &SocketRef, app: &AppState) -> Option<()> {
    if let Some(Gap { from, to }) = delivery.gap {
        app.clients.lost(usize::try_from(to.0 + 1 - from.0).unwrap_or(usize::MAX));
        send(socket, "gap", &Gap { from, to }).await?;
    }
    Some(())
}

/// Sends, and waits for room: while a client does not read, its position in the hub stands still, nothing piles
/// up for it, and what it misses becomes a gap. `None` when the client is gone.
pub(super) async fn send<T: Serialize + ?Sized>(socket: &SocketRef, event: &str, data: &T) -> Option<()> {
    let mut pause = PAUSE.0;
    while socket.connected() {
        if socket.emit(event, data).is_ok() {
            return Some(());
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSE.1);
    }
    None
}
