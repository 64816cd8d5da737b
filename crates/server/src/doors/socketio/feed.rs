//! What every live connection has in common: a task that sends it what it wants of the hub, at the pace at which
//! it reads, and that ends with the connection or the server.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use protocol::stream::Gap;
use serde::Serialize;
use serde_json::value::RawValue;
use socketioxide::TransportType;
use socketioxide::extract::SocketRef;
use tokio::task::AbortHandle;

use super::handshake;
use super::traffic::Traffic;
use crate::record::hub::{Delivery, Subscriber};
use crate::state::AppState;

/// First and longest pause before a connection that has no room is tried again.
const PAUSE: (Duration, Duration) = (Duration::from_millis(2), Duration::from_millis(100));

/// How long a client may take nothing but its pings until what it was sent counts as lost. By then its heartbeat has ended
/// one that does not read.
const FORGIVEN_AFTER: Duration = Duration::from_secs(60);

/// More than the pings of that time.
const PINGS_BYTES: u64 = 1024;

/// python-socketio gives up on a polling answer of more than 16 packets, so a polling client gets at most half of that at
/// once, and more when it has taken them.
const POLLING_PACKETS_MAX: usize = 8;

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
    socket: SocketRef,
    /// What it has taken.
    traffic: Option<Arc<Traffic>>,
    /// Bytes on their way to a client that does not take them, in whichever namespace: more is not encoded for it.
    unread_bytes_max: u64,
    /// How many packets were sent.
    packets: usize,
}

impl Outlet {
    pub(super) fn of(socket: SocketRef, unread_bytes_max: u64) -> Self {
        Self { traffic: handshake::traffic_of(&socket), socket, unread_bytes_max, packets: 0 }
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
        self.deliver(bytes, |socket| socket.emit(event, data).is_ok()).await
    }

    /// The same for what is encoded already.
    pub(super) async fn send_encoded(&mut self, event: &str, data: &RawValue) -> Option<()> {
        self.send(event, data, data.get().len()).await
    }

    /// The same for what is sent in another way, which says whether there was room.
    pub(super) async fn deliver(&mut self, bytes: usize, send: impl Fn(&SocketRef) -> bool) -> Option<()> {
        // Mostly there is room, and this is done for each event and viewer.
        let mut patience = None;
        while !self.try_deliver(bytes, &send)? {
            patience.get_or_insert_with(|| Patience::of(self.traffic.clone())).wait().await;
        }
        self.packets += 1;
        if self.packets.is_multiple_of(POLLING_PACKETS_MAX)
            && self.socket.transport_type() == TransportType::Polling
        {
            self.until(0).await?;
        }
        Some(())
    }

    /// Waits until the client has taken most of what it was sent. `None` when it is gone.
    pub(super) async fn room(&self) -> Option<()> {
        self.until(self.unread_bytes_max).await
    }

    /// Waits until no more than so many bytes are on their way.
    async fn until(&self, unread_bytes: u64) -> Option<()> {
        let mut patience = Patience::of(self.traffic.clone());
        while self.socket.connected() {
            if self.unread() <= unread_bytes {
                return Some(());
            }
            patience.wait().await;
        }
        None
    }

    /// Sends it if there is room. `None` when the client is gone.
    fn try_deliver(&self, bytes: usize, send: impl Fn(&SocketRef) -> bool) -> Option<bool> {
        if !self.socket.connected() {
            return None;
        }
        if self.unread() > self.unread_bytes_max {
            return Some(false);
        }
        let Some(traffic) = &self.traffic else { return Some(send(&self.socket)) };
        traffic.note_sent(bytes);
        let is_sent = send(&self.socket);
        if !is_sent {
            traffic.note_unsent(bytes);
        }
        Some(is_sent)
    }

    /// What is on its way that the client has not taken.
    fn unread(&self) -> u64 {
        self.traffic.as_ref().map_or(0, |traffic| traffic.unread())
    }
}

/// Waits for a client to take something, each time twice as long as before.
struct Patience {
    traffic: Option<Arc<Traffic>>,
    pause: Duration,
    taken: u64,
    /// Since when it has taken nothing more.
    since: Instant,
}

impl Patience {
    fn of(traffic: Option<Arc<Traffic>>) -> Self {
        let taken = traffic.as_ref().map_or(0, |traffic| traffic.taken());
        Self { traffic, pause: PAUSE.0, taken, since: Instant::now() }
    }

    async fn wait(&mut self) {
        tokio::time::sleep(self.pause).await;
        self.pause = (self.pause * 2).min(PAUSE.1);
        let Some(traffic) = &self.traffic else { return };
        let taken = traffic.taken();
        if taken > self.taken + PINGS_BYTES {
            (self.taken, self.since) = (taken, Instant::now());
        } else if self.since.elapsed() > FORGIVEN_AFTER {
            traffic.forgive();
        }
    }
}
