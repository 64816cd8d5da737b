//! How many connections there are, altogether and of one sender. When there are too many, those that have been idle
//! for longest make room, then those that have owed a token for longest: whoever only holds connections never keeps
//! others out.

mod frames;
mod heads;
mod stream;

use std::collections::HashMap;
use std::future::poll_fn;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::body::{Body, HttpBody};
use axum::http::{Response, StatusCode};
use futures_util::task::AtomicWaker;

use crate::gate::peer::Origin;
use heads::Place;
pub(crate) use stream::{Abort, Bounds, Counted, Patience};

/// Connections altogether, if the system allows as many open files.
const CONNECTIONS_MAX: usize = 8192;

/// Connections from this machine: a thousand local viewers, and its hooks besides.
const LOOPBACK_MAX: usize = 4096;

/// Connections of this machine's other users together, where they are told apart. Without the token they get nothing
/// but a refusal.
const OTHER_USER_MAX: usize = 64;

/// Connections from another address. A browser opens six.
const ADDRESS_MAX: usize = 256;

/// One look at all connections that are counted together is dear, so each part of this size makes room for one more:
/// whoever opens thousands is looked at once for many.
const LOOKED_AT_FOR_ONE: usize = 256;

/// Open files that are not connections: the store, the log, the spool, the runtime's own.
#[cfg(unix)]
const OTHER_FILES: u64 = 200;

/// A body up to this size is sent in one go, and its connection is idle at once.
const SMALL_BODY_BYTES: u64 = 64 * 1024;

/// Messages of one WebSocket's client that are handled at a time, each by a task of its own: more than it can ask at a time,
/// and more events than wait for one commit. While there are as many, no more of it is read.
const HANDLED_MAX: usize = 1024;

/// All open connections; clones share them.
#[derive(Clone)]
pub(crate) struct Connections {
    shared: Arc<Shared>,
}

struct Shared {
    max: usize,
    started: Instant,
    next: AtomicU64,
    open: Mutex<HashMap<Origin, HashMap<u64, Arc<Slot>>>>,
}

/// What is known of one connection.
#[derive(Debug)]
struct Slot {
    /// Answers that are being made or sent.
    busy: AtomicUsize,
    /// Requests that came on it.
    asked: AtomicU64,
    /// Whether the last one may lead to a WebSocket: nothing came behind it that could be taken for what it is not.
    may_upgrade: AtomicBool,
    /// It is no HTTP connection any more: the WebSocket that it has become pings its client itself.
    is_upgraded: AtomicBool,
    /// It was ended from our side, which is noted.
    is_cut: AtomicBool,
    /// Milliseconds since the server's start until which its client may still owe the token; 0 when it owes nothing.
    owes_until_ms: AtomicU64,
    /// Bytes that came.
    received: AtomicU64,
    /// Bytes that the system took for the other end.
    sent: AtomicU64,
    /// Milliseconds since the server's start at which it became idle.
    idle_since_ms: AtomicU64,
    /// It makes room for another one.
    is_evicted: AtomicBool,
    /// Who ends it then.
    keeper: AtomicWaker,
    /// Messages that are being handled.
    handled: AtomicUsize,
    /// Who reads on when the request is answered, or a message was handled.
    reader: AtomicWaker,
}

/// Why a connection is ended from our side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Cut {
    #[error("the client takes nothing of what is sent")]
    Stuck,
    #[error("too much is on its way at a time, and this is the largest of it")]
    GivenUp,
    #[error("the client sent too much before it named the token")]
    Owing,
    #[error("there are too many connections")]
    Evicted,
}

impl Cut {
    /// Why a read or write on the stream of a connection failed, if it was ended from our side.
    pub(crate) fn of(error: &io::Error) -> Option<Self> {
        error.get_ref()?.downcast_ref().copied()
    }

    /// The code of a refusal.
    fn code(self) -> &'static str {
        match self {
            Self::Stuck => "slow_reader",
            Self::GivenUp => "overloaded",
            Self::Owing => "too_large",
            Self::Evicted => "too_many_connections",
        }
    }
}

/// One counted connection, until it is dropped.
pub(crate) struct Held {
    connections: Connections,
    origin: Origin,
    number: u64,
    slot: Arc<Slot>,
}

/// The right to see one connection work and to end it; does not keep it counted.
#[derive(Clone)]
pub(crate) struct Watched {
    shared: Arc<Shared>,
    slot: Arc<Slot>,
}

/// One answer in the making.
pub(crate) struct Busy(Watched);

/// One message that is being handled.
pub(crate) struct Handling(Watched);

impl Connections {
    pub(crate) fn new() -> Self {
        let max = CONNECTIONS_MAX.min(files_max());
        let shared = Shared { max, started: Instant::now(), next: AtomicU64::new(0), open: Mutex::default() };
        Self { shared: Arc::new(shared) }
    }

    /// Counts a connection. `None` when there are too many and none of them can make room.
    pub(crate) fn hold(&self, origin: Origin) -> Option<Held> {
        let mut open = self.shared.lock();
        let is_room = self.shared.make_room(&mut open, max_of(origin), |other| other == origin)
            // Whatever strangers do, there is room for this user's own programs.
            && (origin == Origin::Loopback
                || self.shared.make_room(&mut open, self.shared.max_of_strangers(), |other| other != Origin::Loopback))
            && self.shared.make_room(&mut open, self.shared.max, |_| true);
        if !is_room {
            return None;
        }
        let number = self.shared.next.fetch_add(1, Ordering::Relaxed);
        let slot = Arc::new(Slot {
            busy: AtomicUsize::new(0),
            asked: AtomicU64::new(0),
            may_upgrade: AtomicBool::new(false),
            is_upgraded: AtomicBool::new(false),
            is_cut: AtomicBool::new(false),
            owes_until_ms: AtomicU64::new(0),
            received: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            idle_since_ms: AtomicU64::new(self.shared.now_ms()),
            is_evicted: AtomicBool::new(false),
            keeper: AtomicWaker::new(),
            handled: AtomicUsize::new(0),
            reader: AtomicWaker::new(),
        });
        open.entry(origin).or_default().insert(number, slot.clone());
        Some(Held { connections: self.clone(), origin, number, slot })
    }
}

/// How many connections a sender may have.
fn max_of(origin: Origin) -> usize {
    match origin {
        Origin::Loopback => LOOPBACK_MAX,
        Origin::OtherUser => OTHER_USER_MAX,
        Origin::V4(_) | Origin::V6(_) => ADDRESS_MAX,
    }
}

/// All connections, by who made them and by their number.
type Open = HashMap<Origin, HashMap<u64, Arc<Slot>>>;

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Connections of everybody but this user.
    fn max_of_strangers(&self) -> usize {
        self.max - LOOPBACK_MAX.min(self.max / 2)
    }

    /// Whether one more of these connections is within their limit, after others have made room if need be.
    fn make_room(&self, open: &mut Open, max: usize, among: impl Fn(Origin) -> bool) -> bool {
        let these = || open.iter().filter(|(origin, _)| among(**origin));
        if these().map(|(_, slots)| slots.len()).sum::<usize>() < max {
            return true;
        }
        let now_ms = self.now_ms();
        let mut candidates: Vec<_> = these()
            .flat_map(|(origin, slots)| {
                slots.iter().filter_map(|(number, slot)| Some((slot.rank(now_ms)?, *number, *origin)))
            })
            .collect();
        let wanted = (max / LOOKED_AT_FOR_ONE).max(1);
        if candidates.len() > wanted {
            candidates.select_nth_unstable_by_key(wanted, |&(rank, number, _)| (rank, number));
            candidates.truncate(wanted);
        }
        // Nobody at work goes while somebody idle does.
        let Some(is_at_work) = candidates.iter().map(|((is_at_work, _), ..)| *is_at_work).min() else {
            return false;
        };
        for (_, number, origin) in candidates.into_iter().filter(|((at_work, _), ..)| *at_work == is_at_work)
        {
            let slot = open.get_mut(&origin).and_then(|slots| slots.remove(&number));
            slot.inspect(|slot| slot.evict());
        }
        true
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

impl Slot {
    /// The lower, the sooner it makes room; `None` when it does not.
    fn rank(&self, now_ms: u64) -> Option<(bool, u64)> {
        let is_at_work = self.busy.load(Ordering::Relaxed) > 0 || self.is_upgraded.load(Ordering::Relaxed);
        (!is_at_work || self.owes(now_ms)).then(|| (is_at_work, self.idle_since_ms.load(Ordering::Relaxed)))
    }

    /// Whether its client has yet to name the token.
    fn owes(&self, now_ms: u64) -> bool {
        now_ms < self.owes_until_ms.load(Ordering::Relaxed)
    }

    fn evict(&self) {
        self.is_evicted.store(true, Ordering::Release);
        self.keeper.wake();
    }

    /// Whether it makes room for another one; the task hears of it when it must.
    fn watch_eviction(&self, cx: &mut Context<'_>) -> bool {
        self.keeper.register(cx.waker());
        self.is_evicted.load(Ordering::Acquire)
    }
}

impl Held {
    pub(crate) fn watched(&self) -> Watched {
        Watched { shared: self.connections.shared.clone(), slot: self.slot.clone() }
    }
}

impl Held {
    fn is_upgraded(&self) -> bool {
        self.slot.is_upgraded.load(Ordering::Relaxed)
    }

    fn is_busy(&self) -> bool {
        self.slot.busy.load(Ordering::Relaxed) > 0
    }

    fn asked(&self) -> u64 {
        self.slot.asked.load(Ordering::Relaxed)
    }

    /// Whether its client has yet to name the token.
    fn owes(&self) -> bool {
        self.slot.owes_until_ms.load(Ordering::Relaxed) > 0
            && self.slot.owes(self.connections.shared.now_ms())
    }

    /// As [`Slot::watch_eviction`]. A WebSocket never makes room once its client owes nothing.
    fn watch_eviction(&self, cx: &mut Context<'_>) -> bool {
        self.slot.owes_until_ms.load(Ordering::Relaxed) > 0 && self.slot.watch_eviction(cx)
    }

    fn waits_for_answer(&self, cx: &Context<'_>) {
        self.slot.reader.register(cx.waker());
    }

    /// Whether as many messages are handled as may be; the task hears of it when there are fewer.
    fn is_full(&self, cx: &Context<'_>) -> bool {
        let is_full = || self.slot.handled.load(Ordering::Acquire) >= HANDLED_MAX;
        if !is_full() {
            return false;
        }
        self.slot.reader.register(cx.waker());
        is_full()
    }

    fn note_place(&self, place: Place) {
        self.slot.may_upgrade.store(place == Place::Behind, Ordering::Relaxed);
    }

    fn note_cut(&self) {
        self.slot.is_cut.store(true, Ordering::Relaxed);
    }

    fn note_received(&self, bytes: usize) {
        self.slot.received.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    fn note_sent(&self, written: &Poll<io::Result<usize>>) {
        if let Poll::Ready(Ok(bytes)) = written {
            self.slot.sent.fetch_add(*bytes as u64, Ordering::Relaxed);
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut open = self.connections.shared.lock();
        if let Some(slots) = open.get_mut(&self.origin) {
            slots.remove(&self.number);
            if slots.is_empty() {
                open.remove(&self.origin);
            }
        }
    }
}

impl Watched {
    /// Waits until the connection must make room.
    pub(crate) async fn evicted(&self) {
        poll_fn(|cx| if self.slot.watch_eviction(cx) { Poll::Ready(()) } else { Poll::Pending }).await;
    }

    /// Whether there ever was a request on it.
    pub(crate) fn has_asked(&self) -> bool {
        self.slot.asked.load(Ordering::Relaxed) > 0
    }

    /// Whether the request that came last may lead to a WebSocket.
    pub(crate) fn may_upgrade(&self) -> bool {
        self.slot.may_upgrade.load(Ordering::Relaxed)
    }

    /// Whether anything ever came. Browsers open connections that they may never need.
    pub(crate) fn has_heard(&self) -> bool {
        self.slot.received.load(Ordering::Relaxed) > 0
    }

    /// Whether it was ended from our side, which is noted.
    pub(crate) fn is_cut(&self) -> bool {
        self.slot.is_cut.load(Ordering::Relaxed)
    }

    /// Bytes that the system took for the other end so far.
    pub(crate) fn sent(&self) -> u64 {
        self.slot.sent.load(Ordering::Relaxed)
    }

    /// Its client has yet to name the token, and has so much time to do so.
    pub(crate) fn owes_for(&self, time: Duration) {
        let time_ms = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        self.slot.owes_until_ms.store(self.shared.now_ms().saturating_add(time_ms), Ordering::Relaxed);
    }

    /// Its client owes nothing.
    pub(crate) fn owes_nothing(&self) {
        self.slot.owes_until_ms.store(0, Ordering::Relaxed);
    }

    /// A message of its client is being handled until the value is dropped.
    pub(crate) fn handling(&self) -> Handling {
        self.slot.handled.fetch_add(1, Ordering::Relaxed);
        Handling(self.clone())
    }

    /// The connection is not idle until the value is dropped.
    pub(crate) fn busy(&self) -> Busy {
        self.slot.busy.fetch_add(1, Ordering::Relaxed);
        self.slot.asked.fetch_add(1, Ordering::Relaxed);
        Busy(self.clone())
    }
}

impl Busy {
    /// Goes on until the whole answer was handed over.
    pub(crate) fn until_sent(self, response: Response<Body>) -> Response<Body> {
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            self.0.slot.is_upgraded.store(true, Ordering::Relaxed);
            return response;
        }
        if response.body().size_hint().upper().is_some_and(|bytes| bytes <= SMALL_BODY_BYTES) {
            return response;
        }
        response.map(|body| Body::new(stream::Sending::new(body, self)))
    }
}

impl Drop for Handling {
    fn drop(&mut self) {
        let slot = &self.0.slot;
        if slot.handled.fetch_sub(1, Ordering::AcqRel) == HANDLED_MAX {
            slot.reader.wake();
        }
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.slot.idle_since_ms.store(self.0.shared.now_ms(), Ordering::Relaxed);
        self.0.slot.busy.fetch_sub(1, Ordering::Relaxed);
        // Only a `GET` is ever waited for.
        if self.0.slot.may_upgrade.load(Ordering::Relaxed) {
            self.0.slot.reader.wake();
        }
    }
}

/// How many connections the system's limit of open files leaves room for; the limit is raised as far as this user
/// may.
#[cfg(unix)]
fn files_max() -> usize {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let wanted = CONNECTIONS_MAX as u64 + OTHER_FILES;
    let (current, maximum) = (limit.current.unwrap_or(wanted), limit.maximum.unwrap_or(wanted));
    let raised = wanted.min(maximum);
    let is_raised = current < raised
        && setrlimit(Resource::Nofile, Rlimit { current: Some(raised), maximum: limit.maximum }).is_ok();
    let files = if is_raised { raised } else { current };
    usize::try_from(files.saturating_sub(OTHER_FILES)).unwrap_or(usize::MAX).max(64)
}

#[cfg(not(unix))]
fn files_max() -> usize {
    CONNECTIONS_MAX
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    const HERE: Origin = Origin::Loopback;
    const STRANGER: Origin = Origin::V4(Ipv4Addr::new(192, 0, 2, 7));

    fn connections(max: usize) -> Connections {
        let shared = Shared { max, started: Instant::now(), next: AtomicU64::new(0), open: Mutex::default() };
        Connections { shared: Arc::new(shared) }
    }

    fn is_evicted(held: &Held) -> bool {
        !held
            .connections
            .shared
            .lock()
            .get(&held.origin)
            .is_some_and(|slots| slots.contains_key(&held.number))
    }

    #[test]
    fn the_one_that_is_idle_for_longest_makes_room() {
        let connections = connections(10_000);
        let mut held: Vec<_> = (0..ADDRESS_MAX).map(|_| connections.hold(STRANGER).unwrap()).collect();
        let busy = held[0].watched().busy();
        held.push(connections.hold(STRANGER).expect("one makes room"));
        let evicted: Vec<_> = (0..held.len()).filter(|&at| is_evicted(&held[at])).collect();
        assert_eq!(evicted, [1], "the first one works");
        drop(busy);
    }

    #[test]
    fn of_thousands_several_make_room_at_once_but_nobody_at_work_while_another_is_idle() {
        let evicted_of = |idle: usize| {
            let connections = connections(10_000);
            let held: Vec<_> = (0..LOOPBACK_MAX).map(|_| connections.hold(HERE).unwrap()).collect();
            let _busy: Vec<_> = held[idle..].iter().map(|held| held.watched().busy()).collect();
            held.iter().for_each(|held| held.watched().owes_for(Duration::from_secs(60)));
            let _one_more = connections.hold(HERE).expect("others make room");
            (0..held.len()).filter(|&at| is_evicted(&held[at])).collect::<Vec<_>>()
        };
        assert_eq!(evicted_of(LOOPBACK_MAX), Vec::from_iter(0..16));
        assert_eq!(evicted_of(2), [0, 1]);
        assert_eq!(evicted_of(0), Vec::from_iter(0..16), "all owe the token");
    }

    #[test]
    fn when_all_are_at_work_the_next_is_refused_and_only_there() {
        let connections = connections(10_000);
        let held: Vec<_> = (0..ADDRESS_MAX).map(|_| connections.hold(STRANGER).unwrap()).collect();
        let busy: Vec<_> = held.iter().map(|held| held.watched().busy()).collect();
        assert!(connections.hold(STRANGER).is_none());
        assert!(connections.hold(HERE).is_some(), "others are served");
        drop((busy, held));
        assert!(
            connections.hold(STRANGER).is_some() && connections.shared.lock().is_empty(),
            "all are forgotten"
        );
    }

    #[test]
    fn a_connection_that_was_upgraded_stays_and_a_long_answer_keeps_its_own() {
        let connections = connections(1);
        let first = connections.hold(HERE).unwrap();
        let busy = first.watched().busy();
        let long = busy.until_sent(Response::new(Body::from(vec![0; 100_000])));
        assert!(connections.hold(HERE).is_none(), "its body is not sent yet");
        drop(long);
        let upgrade =
            Response::builder().status(StatusCode::SWITCHING_PROTOCOLS).body(Body::empty()).unwrap();
        let _ = first.watched().busy().until_sent(upgrade);
        assert!(connections.hold(HERE).is_none(), "a WebSocket is never idle");
        first.watched().owes_for(Duration::from_secs(60));
        assert!(connections.hold(HERE).is_some() && is_evicted(&first), "unless its client owes the token");
    }

    #[test]
    fn who_owes_nothing_any_more_stays() {
        let connections = connections(1);
        let first = connections.hold(HERE).unwrap();
        let _busy = first.watched().busy();
        first.watched().owes_for(Duration::from_secs(60));
        first.watched().owes_nothing();
        assert!(connections.hold(HERE).is_none(), "it came with the token in the end");
        first.watched().owes_for(Duration::ZERO);
        assert!(connections.hold(HERE).is_none(), "whoever is still there then has named it");
    }

    #[test]
    fn strangers_and_other_users_leave_room_for_this_user() {
        for (max, reserved) in [(CONNECTIONS_MAX, LOOPBACK_MAX), (100, 50)] {
            let connections = connections(max);
            let networks = (0..u16::MAX).map(|network| Origin::V6([0x2001, 0xdb8, 0, network]));
            let held: Vec<_> = std::iter::once(Origin::OtherUser)
                .chain(networks)
                .flat_map(|origin| std::iter::repeat_n(origin, 300))
                .take(CONNECTIONS_MAX)
                .filter_map(|origin| connections.hold(origin))
                .map(|held| (held.watched().busy(), held))
                .collect();
            assert_eq!(held.len(), max - reserved);
            let others = connections.shared.lock()[&Origin::OtherUser].len();
            assert!(others <= OTHER_USER_MAX, "{others}");
            let own: Vec<_> = std::iter::repeat_with(|| connections.hold(HERE)).take(reserved).collect();
            assert!(own.iter().all(Option::is_some), "of {max}");
        }
    }
}
