//! What was sent to the client of one session and what of it the client has taken, by whichever transport: what waits
//! for a client that takes nothing is the server's memory.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::gate::connections::Watched;

/// Bytes sent to one session's client and taken by it; what belongs to the protocol counts as taken only.
#[derive(Default)]
pub(super) struct Traffic {
    /// Sent to it: never more than really was, or the rest would be waited for in vain.
    sent: AtomicU64,
    /// In the answers to its polls.
    polled: AtomicU64,
    /// Where its WebSocket is, once it has one.
    websocket: OnceLock<Watched>,
}

impl Traffic {
    /// Before it is sent: another task may look in between.
    pub(super) fn note_sent(&self, bytes: usize) {
        self.sent.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// It could not be sent after all.
    pub(super) fn note_unsent(&self, bytes: usize) {
        let less = |sent: u64| Some(sent.saturating_sub(bytes as u64));
        // It may have been forgiven meanwhile; otherwise this cannot fail.
        let _ = self.sent.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
    }

    pub(super) fn note_polled(&self, bytes: u64) {
        self.polled.fetch_add(bytes, Ordering::Relaxed);
    }

    /// From now on it takes what it gets by this connection.
    pub(super) fn note_websocket(&self, connection: &Watched) {
        self.websocket.get_or_init(|| connection.clone());
    }

    /// Where its WebSocket is, once it has one.
    pub(super) fn websocket(&self) -> Option<&Watched> {
        self.websocket.get()
    }

    /// What it has taken.
    pub(super) fn taken(&self) -> u64 {
        self.polled.load(Ordering::Relaxed) + self.websocket.get().map_or(0, Watched::sent)
    }

    /// What is on its way to a client that has not taken it.
    pub(super) fn unread(&self) -> u64 {
        let taken = self.taken();
        // Whatever else it took counts too: when it has taken everything, this is exact again.
        self.sent.fetch_max(taken, Ordering::Relaxed).saturating_sub(taken)
    }

    /// What it has not taken by now it never will: the library loses a packet that did not fit into the last poll before
    /// a session moves to its WebSocket.
    pub(super) fn forgive(&self) {
        self.sent.store(self.taken(), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_client_took_besides_hides_nothing_that_is_sent_later() {
        let traffic = Traffic::default();
        traffic.note_sent(1000);
        traffic.note_sent(10);
        traffic.note_unsent(10);
        assert_eq!(traffic.unread(), 1000);
        traffic.note_polled(1300);
        assert_eq!(traffic.unread(), 0, "all of it, and what the protocol adds");
        traffic.note_sent(1000);
        assert_eq!(traffic.unread(), 1000);
        traffic.forgive();
        assert_eq!(traffic.unread(), 0);
    }
}
