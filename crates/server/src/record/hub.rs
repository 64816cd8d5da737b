//! Hands stored events to whoever watches: a bounded ring of the newest ones, and subscribers that each read it
//! at their own pace. Publishing never waits; a subscriber that falls out of the ring is told what it missed.
//!
//! Between the steps of one thread others come in wherever it calls `step`; `interleavings.rs` tries in which orders.

#[cfg(test)]
mod interleavings;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod samples;

use std::collections::{HashMap, VecDeque};
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};

use axum::extract::ws::Utf8Bytes;
use protocol::stream::Gap;
use protocol::{Event, Seq, Session, SessionId, Timestamp};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use tokio::sync::{broadcast, watch};

use crate::record::store::{Committed, Publication, lock};

/// Events kept for subscribers that lag: several seconds of a heavy load.
const RING_EVENTS_MAX: usize = 5 * 1024;

/// Bytes of payload kept for them, however few events that is.
const RING_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Events that could not be stored, kept for subscribers that lag.
const UNSTORED_MAX: usize = 256;

/// Sessions whose newest state is at hand; older changes are in the store.
const SESSIONS_MAX: usize = 1024;

/// A handle to the hub; clones share it.
#[derive(Clone)]
pub(crate) struct Hub {
    shared: Arc<Shared>,
}

struct Shared {
    ring: Mutex<Ring>,
    sessions: Mutex<HashMap<SessionId, (Revision, Arc<ChangedSession>)>>,
    latest: watch::Sender<Latest>,
    unstored: broadcast::Sender<Arc<Published>>,
}

/// Counts what was published: a session may change without an event.
type Revision = u64;

/// How far everything is.
#[derive(Clone, Copy, Debug, Default)]
struct Latest {
    seq: Seq,
    revision: Revision,
}

/// One message that a door makes of an event, ready to be sent to any number of its clients.
#[derive(Debug)]
pub(crate) struct Encoded {
    pub r#type: String,
    pub text: Utf8Bytes,
}

/// A published event, with what several subscribers need of it and only one has to make.
#[derive(Debug)]
pub(crate) struct Published {
    event: Arc<Event>,
    encoded_row: OnceLock<Box<RawValue>>,
    legacy: OnceLock<Box<RawValue>>,
    websocket: OnceLock<Vec<Encoded>>,
}

impl Published {
    fn of(event: Arc<Event>) -> Arc<Self> {
        Arc::new(Self {
            event,
            encoded_row: OnceLock::new(),
            legacy: OnceLock::new(),
            websocket: OnceLock::new(),
        })
    }

    /// Its row, encoded once however many clients get it.
    pub(crate) fn encoded_row(&self) -> &RawValue {
        self.encoded_row.get_or_init(|| to_raw(&self.event.row))
    }

    /// The event in the reference's words, likewise.
    pub(crate) fn legacy(&self) -> &RawValue {
        self.legacy.get_or_init(|| to_raw(&protocol::legacy::message(&self.event)))
    }

    /// Its messages to raw WebSocket clients, likewise.
    pub(crate) fn websocket(&self, encode: impl FnOnce(&Event) -> Vec<Encoded>) -> &[Encoded] {
        self.websocket.get_or_init(|| encode(&self.event))
    }
}

/// A session as a change left it, with what several subscribers need of it and only one has to make.
#[derive(Debug)]
pub(crate) struct ChangedSession {
    session: Session,
    encoded: OnceLock<Box<RawValue>>,
}

impl ChangedSession {
    fn of(session: Session) -> Arc<Self> {
        Arc::new(Self { session, encoded: OnceLock::new() })
    }

    /// It as JSON, encoded once however many clients get it.
    pub(crate) fn encoded(&self) -> &RawValue {
        self.encoded.get_or_init(|| to_raw(&self.session))
    }
}

impl Deref for ChangedSession {
    type Target = Session;

    fn deref(&self) -> &Session {
        &self.session
    }
}

/// What is sent to viewers always serialises.
pub(crate) fn to_raw(value: &impl Serialize) -> Box<RawValue> {
    to_raw_value(value).unwrap_or_else(|_| RawValue::NULL.to_owned())
}

impl Deref for Published {
    type Target = Event;

    fn deref(&self) -> &Event {
        &self.event
    }
}

/// The newest events, without a hole between them.
struct Ring {
    events: VecDeque<Arc<Published>>,
    events_max: usize,
    bytes: usize,
}

/// What a subscriber gets next.
#[derive(Debug, Default)]
pub(crate) struct Delivery {
    /// What it was too slow for, before `events`.
    pub gap: Option<Gap>,
    /// The next events, oldest first.
    pub events: Vec<Arc<Published>>,
    /// Events that could not be stored: they have no position and cannot be asked for again.
    pub unstored: Vec<Arc<Published>>,
}

/// One reader of the hub, at a position of its own.
pub(crate) struct Subscriber {
    hub: Hub,
    position: Seq,
    revision: Revision,
    latest: watch::Receiver<Latest>,
    unstored: broadcast::Receiver<Arc<Published>>,
}

impl Hub {
    /// A hub that goes on after the newest stored event.
    pub(crate) fn new(last_seq: Seq) -> Self {
        Self::with_ring(last_seq, RING_EVENTS_MAX)
    }

    fn with_ring(last_seq: Seq, events_max: usize) -> Self {
        let shared = Shared {
            ring: Mutex::new(Ring { events: VecDeque::new(), events_max, bytes: 0 }),
            sessions: Mutex::default(),
            latest: watch::Sender::new(Latest { seq: last_seq, revision: 0 }),
            unstored: broadcast::Sender::new(UNSTORED_MAX),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Makes a group visible. Called by the store's writer only, in order.
    pub(crate) fn publish(&self, publication: Publication) {
        match publication {
            Publication::Committed(group) => self.publish_committed(group),
            Publication::Unstored(events) => {
                for event in events {
                    // Nobody may be watching.
                    let _ = self.shared.unstored.send(Published::of(event));
                }
            }
        }
    }

    fn publish_committed(&self, group: Committed) {
        let mut latest = self.shared.latest();
        latest.seq = group.events.last().map_or(latest.seq, |event| event.row.seq);
        latest.revision += 1;
        self.shared.ring().extend(group.events);
        remember(&mut self.shared.sessions(), group.sessions, latest.revision);
        // Last: whoever is woken by it finds everything.
        step();
        self.shared.latest.send_replace(latest);
    }

    /// The newest published position.
    pub(crate) fn latest(&self) -> Seq {
        self.shared.latest().seq
    }

    /// Returns when something after a position was published.
    pub(crate) async fn newer_than(&self, position: Seq) {
        // The sender lives in `self`, so this ends only with news.
        let _ = self.shared.latest.subscribe().wait_for(|latest| latest.seq > position).await;
    }

    /// A reader of everything after a position, and of the changes of sessions from now on.
    pub(crate) fn subscribe(&self, after: Seq) -> Subscriber {
        let latest = self.shared.latest.subscribe();
        let revision = latest.borrow().revision;
        let unstored = self.shared.unstored.subscribe();
        Subscriber { hub: self.clone(), position: after, revision, latest, unstored }
    }

    /// When a session that changed lately started.
    pub(crate) fn session_started_at(&self, id: &SessionId) -> Option<Timestamp> {
        self.shared.sessions().get(id).map(|(_, session)| session.started_at)
    }
}

impl Shared {
    fn latest(&self) -> Latest {
        step();
        *self.latest.borrow()
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        step();
        lock(&self.ring)
    }

    fn sessions(&self) -> MutexGuard<'_, HashMap<SessionId, (Revision, Arc<ChangedSession>)>> {
        step();
        lock(&self.sessions)
    }
}

/// The end of one step of a thread and the beginning of its next.
fn step() {
    #[cfg(test)]
    interleavings::step();
}

impl Subscriber {
    /// Waits until there is something after its position, and takes at most `count` of it. `None` when the
    /// hub is gone.
    pub(crate) async fn next(&mut self, count: usize) -> Option<Delivery> {
        let position = self.position;
        self.wait(count, |latest| latest.seq > position).await
    }

    /// The same, but a session that changed is something too: [`changed`](Self::changed) then tells which.
    pub(crate) async fn next_change(&mut self, count: usize) -> Option<Delivery> {
        let (position, revision) = (self.position, self.revision);
        self.wait(count, |latest| latest.seq > position || latest.revision > revision).await
    }

    /// The sessions at hand that changed since they were last asked for, each once and as it is now: who asks less often is
    /// told less.
    pub(crate) fn changed(&mut self) -> Vec<Arc<ChangedSession>> {
        // First how far it is, then what changed: what changes in between is told twice, not never.
        let known = std::mem::replace(&mut self.revision, self.hub.shared.latest().revision);
        let sessions = self.hub.shared.sessions();
        let changed = sessions.values().filter(|(changed, _)| *changed > known);
        changed.map(|(_, session)| session.clone()).collect()
    }

    async fn wait(&mut self, count: usize, is_news: impl FnMut(&Latest) -> bool) -> Option<Delivery> {
        tokio::select! {
            biased;
            newer = self.latest.wait_for(is_news) => drop(newer.ok()?),
            event = self.unstored.recv() => {
                // One that was too slow for them has no way to get them.
                let unstored = event.into_iter().collect();
                return Some(Delivery { unstored, ..Delivery::default() });
            }
        }
        let delivery = self.hub.shared.ring().after(self.position, count);
        if let Some(last) = delivery.events.last() {
            self.position = last.row.seq;
        }
        Some(delivery)
    }
}

impl Ring {
    fn extend(&mut self, events: Vec<Arc<Event>>) {
        for event in events {
            self.bytes += event.payload.get().len();
            self.events.push_back(Published::of(event));
            while self.events.len() > self.events_max
                || (self.bytes > RING_BYTES_MAX && self.events.len() > 1)
            {
                let oldest = self.events.pop_front();
                self.bytes -= oldest.map_or(0, |event| event.payload.get().len());
            }
        }
    }

    fn after(&self, position: Seq, count: usize) -> Delivery {
        let Some(first) = self.events.front().map(|event| event.row.seq) else { return Delivery::default() };
        let from = Seq(position.0 + 1);
        let gap = (from < first).then(|| Gap { from, to: Seq(first.0 - 1) });
        let skip = usize::try_from(from.0.saturating_sub(first.0)).unwrap_or(usize::MAX);
        let events = self.events.iter().skip(skip).take(count).cloned().collect();
        Delivery { gap, events, ..Delivery::default() }
    }
}

fn remember(
    known: &mut HashMap<SessionId, (Revision, Arc<ChangedSession>)>,
    changed: Vec<Session>,
    revision: Revision,
) {
    for session in changed {
        known.insert(session.session_id.clone(), (revision, ChangedSession::of(session)));
    }
    if known.len() > SESSIONS_MAX {
        let mut revisions: Vec<Revision> = known.values().map(|(revision, _)| *revision).collect();
        revisions.sort_unstable();
        let keep_from = revisions[known.len() - SESSIONS_MAX / 2];
        known.retain(|_, (revision, _)| *revision >= keep_from);
    }
}

#[cfg(test)]
mod tests {
    use super::samples::event;
    use super::*;

    fn committed(from: u64, count: u64, payload_bytes: usize) -> Publication {
        Publication::Committed(Committed {
            events: (from..from + count).map(|seq| event(seq, payload_bytes)).collect(),
            sessions: Vec::new(),
        })
    }

    fn seqs(delivery: &Delivery) -> Vec<u64> {
        delivery.events.iter().map(|event| event.row.seq.0).collect()
    }

    #[tokio::test]
    async fn a_subscriber_gets_everything_after_its_position_once_and_in_order() {
        let hub = Hub::new(Seq(10));
        let mut early = hub.subscribe(Seq(10));
        hub.publish(committed(11, 3, 1));
        let mut late = hub.subscribe(Seq(12));
        assert_eq!(seqs(&early.next(2).await.expect("a delivery")), [11, 12]);
        assert_eq!(seqs(&early.next(2).await.expect("a delivery")), [13]);
        assert_eq!(seqs(&late.next(9).await.expect("a delivery")), [13]);
        hub.publish(committed(14, 1, 1));
        assert_eq!(seqs(&early.next(9).await.expect("a delivery")), [14]);
    }

    #[tokio::test]
    async fn a_subscriber_that_lags_behind_the_ring_is_told_exactly_what_it_missed() {
        let hub = Hub::new(Seq(0));
        let mut slow = hub.subscribe(Seq(0));
        let count = RING_EVENTS_MAX as u64 + 5;
        hub.publish(committed(1, count, 1));
        let delivery = slow.next(1).await.expect("a delivery");
        assert_eq!(delivery.gap, Some(Gap { from: Seq(1), to: Seq(5) }));
        assert_eq!(seqs(&delivery), [6]);
        assert_eq!(slow.next(1).await.expect("a delivery").gap, None, "a gap is told once");
    }

    #[tokio::test]
    async fn a_session_that_changes_without_an_event_is_told_to_who_asks_for_changes() {
        let hub = Hub::new(Seq(0));
        let mut watcher = hub.subscribe(Seq(0));
        let session = crate::record::sessions::SessionState::new(SessionId("s".to_owned())).session();
        let group = Committed { events: Vec::new(), sessions: vec![session.clone()] };
        hub.publish(Publication::Committed(group));
        let delivery = watcher.next_change(9).await.expect("a delivery");
        assert!(delivery.events.is_empty() && delivery.gap.is_none(), "{delivery:?}");
        let changed = watcher.changed();
        let told: Vec<&Session> = changed.iter().map(|changed| &***changed).collect();
        assert_eq!(told, [&session]);
        hub.publish(committed(1, 1, 1));
        let delivery = watcher.next_change(9).await.expect("a delivery");
        assert_eq!((seqs(&delivery), watcher.changed().len()), (vec![1], 0), "a change is told once");
    }

    #[test]
    fn large_payloads_do_not_grow_the_ring_beyond_its_bytes() {
        let hub = Hub::new(Seq(0));
        hub.publish(committed(1, 100, RING_BYTES_MAX / 10));
        let ring = lock(&hub.shared.ring);
        assert!(
            ring.bytes <= RING_BYTES_MAX && ring.events.len() >= 9,
            "{} bytes, {}",
            ring.bytes,
            ring.events.len()
        );
    }
}
