//! Claims about a publisher and its subscribers at once, in whichever order their steps come. Each step is one lock or one
//! look at how far everything is, and nothing waits inside of it, so the orders of the steps are all that can happen.
//! `SHUTTLE_ORDERS` sets how many are tried; one that breaks a claim is printed, and nobody waits for ever unnoticed.

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};

use protocol::Seq;
use protocol::stream::Gap;
use shuttle::future::block_on;
use shuttle::scheduler::{PctScheduler, RandomScheduler, Scheduler};
use shuttle::{Config, Runner, thread};

use super::samples::{event, publish, session};
use super::{Hub, Publication, Subscriber};

/// Orders tried of each claim while everybody waits for the checks.
const ORDERS: usize = 1000;

/// Bytes of stack for each thread that is tried; a debug build needs more than the library's default.
const STACK_BYTES: usize = 256 * 1024;

/// How many threads out of turn a search for rare orders takes in one order.
const RARE: usize = 3;

thread_local! {
    static IS_TRIED: Cell<bool> = const { Cell::new(false) };
}

/// Lets another thread in, if orders are being tried.
pub(super) fn step() {
    if IS_TRIED.get() {
        thread::yield_now();
    }
}

/// Tries a claim in many orders: at random, and looking for rare ones.
fn in_any_order(claim: impl Fn() + Clone + Send + Sync + 'static) {
    let orders = std::env::var("SHUTTLE_ORDERS").ok();
    let orders = orders.map_or(ORDERS, |orders| orders.parse().expect("SHUTTLE_ORDERS is a number"));
    let schedulers: [Box<dyn Scheduler + Send>; 2] =
        [Box::new(RandomScheduler::new(orders)), Box::new(PctScheduler::new(RARE, orders))];
    for scheduler in schedulers {
        let mut config = Config::new();
        config.stack_size = STACK_BYTES;
        IS_TRIED.set(true);
        Runner::new(scheduler, config).run(claim.clone());
        IS_TRIED.set(false);
    }
}

/// Reads on to the position; answers how many events it was told to have missed.
async fn read_up_to(subscriber: &mut Subscriber, from: Seq, last: Seq) -> u64 {
    let (mut at, mut missed) = (from, 0);
    while at < last {
        let delivery = subscriber.next(2).await.expect("the hub is there");
        if let Some(Gap { from, to }) = delivery.gap {
            assert_eq!(from, Seq(at.0 + 1), "a gap begins where the reader is");
            missed += to.0 - at.0;
            at = to;
        }
        assert!(delivery.events.len() <= 2, "{delivery:?}");
        for event in &delivery.events {
            assert_eq!(event.row.seq, Seq(at.0 + 1), "each event once and in order, after the gap");
            at = event.row.seq;
        }
    }
    missed
}

#[test]
fn each_subscriber_gets_every_event_once_and_in_order_or_is_told_exactly_what_it_missed() {
    static MISSED: AtomicU64 = AtomicU64::new(0);
    static WHOLE: AtomicU64 = AtomicU64::new(0);
    in_any_order(|| {
        let hub = Hub::with_ring(Seq(10), 3);
        let readers: Vec<_> = (0..2)
            .map(|_| {
                let hub = hub.clone();
                thread::spawn(move || {
                    // As the doors do: first how far it is, then everything after it.
                    let from = hub.latest();
                    let mut subscriber = hub.subscribe(from);
                    let missed = block_on(read_up_to(&mut subscriber, from, Seq(17)));
                    MISSED.fetch_add(missed, Ordering::Relaxed);
                    WHOLE.fetch_add(u64::from(missed == 0 && from == Seq(10)), Ordering::Relaxed);
                })
            })
            .collect();
        publish(&hub, 11..=12, Vec::new());
        publish(&hub, 13..=13, Vec::new());
        publish(&hub, 14..=15, Vec::new());
        publish(&hub, 16..=17, Vec::new());
        readers.into_iter().for_each(|reader| reader.join().expect("it reads to the end"));
    });
    let tried = [&MISSED, &WHOLE].map(|count| count.load(Ordering::Relaxed));
    assert!(tried.iter().all(|count| *count > 0), "gaps were tried, and none: {tried:?}");
}

#[test]
fn whoever_waits_for_news_is_woken_by_them() {
    in_any_order(|| {
        let hub = Hub::new(Seq(0));
        let waiting = hub.clone();
        let waiter = thread::spawn(move || {
            block_on(waiting.newer_than(Seq(1)));
            assert!(waiting.latest() > Seq(1));
        });
        publish(&hub, 1..=1, vec![session("a", 1)]);
        publish(&hub, 2..=2, Vec::new());
        waiter.join().expect("it is woken");
    });
}

#[test]
fn the_last_change_of_each_session_reaches_who_subscribed_before_it() {
    in_any_order(|| {
        let hub = Hub::new(Seq(0));
        let mut subscriber = hub.subscribe(Seq(0));
        let watcher = thread::spawn(move || {
            let mut known: HashMap<String, u64> = HashMap::new();
            while known.get("a") != Some(&3) || known.get("b") != Some(&2) {
                block_on(subscriber.next_change(9)).expect("the hub is there");
                for session in subscriber.changed() {
                    let before = known.insert(session.session_id.0.clone(), session.events).unwrap_or(0);
                    assert!(before <= session.events, "no session goes back");
                }
            }
        });
        publish(&hub, 1..=1, vec![session("a", 1)]);
        publish(&hub, 2..=2, vec![session("a", 2), session("b", 1)]);
        // Changes without an event, as when somebody has read a session.
        publish(&hub, 0..0, vec![session("b", 2)]);
        publish(&hub, 0..0, vec![session("a", 3)]);
        watcher.join().expect("it is told");
    });
}

#[test]
fn an_event_that_is_not_stored_is_seen_beside_the_others_and_moves_nobody() {
    in_any_order(|| {
        let hub = Hub::new(Seq(0));
        let mut subscriber = hub.subscribe(Seq(0));
        let reader = thread::spawn(move || {
            let (mut stored, mut unstored) = (Vec::new(), 0);
            while stored.len() < 2 || unstored < 2 {
                let delivery = block_on(subscriber.next(9)).expect("the hub is there");
                stored.extend(delivery.events.iter().map(|event| event.row.seq.0));
                unstored += delivery.unstored.len();
            }
            assert_eq!((stored, unstored), (vec![1, 2], 2));
        });
        publish(&hub, 1..=1, Vec::new());
        hub.publish(Publication::Unstored(vec![event(0, 1), event(0, 1)]));
        publish(&hub, 2..=2, Vec::new());
        reader.join().expect("it gets everything");
    });
}
