//! One budget of memory for what has not come whole: heads, bodies and messages of all connections together. What is over
//! it is taken from the one that holds most, so whoever sends little goes on.

use std::collections::HashMap;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::task::AtomicWaker;
use tokio::sync::Notify;

/// What may be unfinished at a time: sixteen of the largest bodies, which is more than is ever sent at once, and what any
/// machine that runs Claude Code can spare.
const UNFINISHED_BYTES_MAX: usize = 256 * 1024 * 1024;

/// What is unfinished is counted in steps of this size, and the first one not at all. Most events come whole within it, so
/// they never meet the lock; all connections that there can be hold half of the budget in it.
const STEP_BYTES: usize = 16 * 1024;

/// How long those that were given up may be waited for. They hear of it within milliseconds, and a large body waits at each of
/// its ten growths.
const LETTING_GO_MAX: Duration = Duration::from_millis(100);

/// The budget of one server; clones share it.
#[derive(Clone)]
pub(crate) struct Budget(Arc<Shared>);

struct Shared {
    max: usize,
    ledger: Mutex<Ledger>,
    /// Nothing is held any more by those that were given up.
    all_let_go: Notify,
}

#[derive(Default)]
struct Ledger {
    /// What all hold but those that were given up.
    bytes: usize,
    /// What those hold still that were given up: they let go when they hear of it.
    leaving: usize,
    next: u64,
    /// Those that can be given up.
    unfinished: HashMap<u64, Holder>,
}

struct Holder {
    bytes: usize,
    notice: Arc<Notice>,
}

/// Tells one holder that it was given up.
#[derive(Default)]
struct Notice {
    is_given_up: AtomicBool,
    waker: AtomicWaker,
}

/// What one connection or body holds of the budget; given back when it is dropped.
pub(crate) struct Part {
    budget: Budget,
    /// None while it holds less than is counted.
    counted: Option<Counted>,
}

struct Counted {
    number: u64,
    bytes: usize,
    notice: Arc<Notice>,
}

/// Too much is unfinished at a time, and this holds most of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "too much is on its way at a time, and this is the largest of it; try again in a moment, with less at once"
)]
pub(crate) struct GivenUp;

impl Budget {
    /// A budget that has room for several of the largest bodies, whatever their limit is.
    pub(crate) fn new(body_bytes_max: usize) -> Self {
        Self::of(UNFINISHED_BYTES_MAX.max(body_bytes_max.saturating_mul(4)))
    }

    fn of(max: usize) -> Self {
        Self(Arc::new(Shared { max, ledger: Mutex::default(), all_let_go: Notify::new() }))
    }

    /// A part that holds nothing yet.
    pub(crate) fn part(&self) -> Part {
        Part { budget: self.clone(), counted: None }
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.0.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ledger {
    fn enter(&mut self) -> Counted {
        let (number, notice) = (self.next, Arc::<Notice>::default());
        self.next += 1;
        self.unfinished.insert(number, Holder { bytes: 0, notice: notice.clone() });
        Counted { number, bytes: 0, notice }
    }

    /// Takes back what the largest holds; it hears of it and lets go.
    fn give_up_largest(&mut self) -> Option<u64> {
        let largest = self.unfinished.iter().max_by_key(|(_, holder)| holder.bytes);
        let number = *largest?.0;
        let holder = self.unfinished.remove(&number)?;
        self.bytes = self.bytes.saturating_sub(holder.bytes);
        self.leaving += holder.bytes;
        holder.notice.is_given_up.store(true, Ordering::Release);
        holder.notice.waker.wake();
        Some(number)
    }
}

impl Part {
    /// From now on it holds so many bytes.
    ///
    /// # Errors
    /// When it must let go of them.
    pub(crate) fn hold(&mut self, bytes: usize) -> Result<(), GivenUp> {
        let counted = self.counted.as_ref().map_or(0, |counted| counted.bytes);
        if bytes < STEP_BYTES {
            self.release();
            return Ok(());
        }
        // What becomes less is seldom, and given back at its end.
        if bytes >= counted + STEP_BYTES { self.count(bytes) } else { self.checked() }
    }

    fn count(&mut self, bytes: usize) -> Result<(), GivenUp> {
        let mut ledger = self.budget.ledger();
        let counted = self.counted.get_or_insert_with(|| ledger.enter());
        let more = bytes - counted.bytes;
        let Some(holder) = ledger.unfinished.get_mut(&counted.number) else { return Err(GivenUp) };
        holder.bytes = bytes;
        counted.bytes = bytes;
        ledger.bytes += more;
        while ledger.bytes > self.budget.0.max {
            let given_up = ledger.give_up_largest();
            if given_up.is_none_or(|number| number == counted.number) {
                return Err(GivenUp);
            }
        }
        Ok(())
    }

    fn checked(&self) -> Result<(), GivenUp> {
        let is_given_up = |counted: &Counted| counted.notice.is_given_up.load(Ordering::Acquire);
        if self.counted.as_ref().is_some_and(is_given_up) { Err(GivenUp) } else { Ok(()) }
    }

    /// Whether it must let go of what it holds; the task hears of it when it must.
    ///
    /// # Errors
    /// When it must.
    pub(crate) fn watch(&self, cx: &mut Context<'_>) -> Result<(), GivenUp> {
        if let Some(counted) = &self.counted {
            counted.notice.waker.register(cx.waker());
        }
        self.checked()
    }

    /// Completes when it must let go of what it holds.
    pub(crate) async fn given_up(&self) -> GivenUp {
        poll_fn(|cx| self.watch(cx).map_or_else(Poll::Ready, |()| Poll::Pending)).await
    }

    /// Waits until those have let go that were given up: what they leave and what takes its place would be there at once.
    /// Not for ever, for one that is kept from hearing of it must not hold up all others.
    pub(crate) async fn others_let_go(&self) {
        let shared = &self.budget.0;
        let all = async {
            loop {
                let let_go = shared.all_let_go.notified();
                let mut let_go = pin!(let_go);
                let_go.as_mut().enable();
                if self.budget.ledger().leaving == 0 {
                    return;
                }
                let_go.await;
            }
        };
        // Then it is more than the budget for a while.
        let _ = tokio::time::timeout(LETTING_GO_MAX, all).await;
    }

    /// It is whole: it still counts, and is not given up any more.
    ///
    /// # Errors
    /// When it was before.
    pub(crate) fn settle(&mut self) -> Result<(), GivenUp> {
        let Some(counted) = &self.counted else { return Ok(()) };
        self.budget.ledger().unfinished.remove(&counted.number).map(drop).ok_or(GivenUp)
    }

    /// Gives back all that it holds.
    pub(crate) fn release(&mut self) {
        let Some(counted) = self.counted.take() else { return };
        let mut ledger = self.budget.ledger();
        ledger.unfinished.remove(&counted.number);
        if !counted.notice.is_given_up.load(Ordering::Acquire) {
            ledger.bytes = ledger.bytes.saturating_sub(counted.bytes);
            return;
        }
        ledger.leaving = ledger.leaving.saturating_sub(counted.bytes);
        if ledger.leaving == 0 {
            self.budget.0.all_let_go.notify_waiters();
        }
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        self.release();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1024 * 1024;

    fn parts<const COUNT: usize>(budget: &Budget) -> [Part; COUNT] {
        std::array::from_fn(|_| budget.part())
    }

    #[test]
    fn the_largest_is_given_up_and_the_others_go_on() {
        let budget = Budget::of(10 * MIB);
        let [mut small, mut large, mut last] = parts(&budget);
        small.hold(MIB).unwrap();
        large.hold(6 * MIB).unwrap();
        last.hold(4 * MIB).expect("the largest makes room");
        assert_eq!(large.hold(6 * MIB), Err(GivenUp));
        assert_eq!(large.hold(8 * MIB), Err(GivenUp), "for good");
        small.hold(MIB + 1).unwrap();
        assert_eq!(last.hold(10 * MIB), Err(GivenUp), "it is the largest itself");
        drop((large, last));
        assert_eq!(budget.ledger().bytes, MIB);
        drop(small);
        assert!(budget.ledger().bytes == 0 && budget.ledger().unfinished.is_empty());
    }

    #[test]
    fn what_is_whole_counts_and_stays() {
        let budget = Budget::of(10 * MIB);
        let [mut whole, mut first, mut second] = parts(&budget);
        whole.hold(8 * MIB).unwrap();
        whole.settle().unwrap();
        first.hold(MIB).unwrap();
        assert_eq!(second.hold(2 * MIB), Err(GivenUp), "it is the largest of those that are not whole");
        first.hold(2 * MIB).unwrap();
        drop(whole);
        first.hold(9 * MIB).unwrap();
    }

    #[test]
    fn what_is_small_is_not_counted() {
        let budget = Budget::of(MIB);
        let [mut small, mut large] = parts(&budget);
        for bytes in [1, STEP_BYTES - 1] {
            small.hold(bytes).unwrap();
        }
        assert!(budget.ledger().unfinished.is_empty());
        large.hold(MIB).unwrap();
        large.hold(0).unwrap();
        assert_eq!(budget.ledger().bytes, 0, "a message came whole, and the next begins");
    }

    #[tokio::test]
    async fn who_waits_hears_that_it_is_given_up() {
        let budget = Budget::of(MIB);
        let [mut waiting, mut other] = parts(&budget);
        waiting.hold(MIB).unwrap();
        let (given_up, held) = tokio::join!(waiting.given_up(), async { other.hold(STEP_BYTES) });
        assert_eq!((given_up, held), (GivenUp, Ok(())));
        assert_eq!(waiting.settle(), Err(GivenUp));
    }
}
