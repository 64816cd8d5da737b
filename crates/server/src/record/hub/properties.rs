//! Any sequence of publications and readers: each reader gets everything after its position, or is told what it missed,
//! and misses nothing that the ring has room for. `FUZZ_CASES` sets how many are tried.

use proptest::collection::vec;
use proptest::prelude::*;
use tokio::runtime::Builder;

use super::samples::{publish, session};
use super::*;
use crate::testing::{cases, trying};

const CASES: u32 = 500;

/// Events that the ring of these tests holds.
const RING: u64 = 8;

/// One thing that happens.
#[derive(Clone, Debug)]
enum Step {
    /// So many events are committed, which change this session.
    Commit(u64, u8),
    /// Somebody subscribes to what comes from now on.
    Subscribe,
    /// One of the subscribers, by its number, takes at most so many events, and perhaps asks for sessions.
    Take(usize, usize, bool),
}

fn any_steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0..12_u64, 0..3_u8).prop_map(|(events, session)| Step::Commit(events, session)),
        1 => Just(Step::Subscribe),
        6 => (0..4_usize, 1..6_usize, any::<bool>())
            .prop_map(|(number, count, asks)| Step::Take(number, count, asks)),
    ];
    vec(step, 1..60)
}

/// A subscriber, and what it should know.
struct Reader {
    subscriber: Subscriber,
    at: u64,
    /// Sessions that changed since it was last told of changes.
    changed: HashMap<String, u64>,
}

impl Reader {
    fn of(hub: &Hub) -> Self {
        let at = hub.latest();
        Self { subscriber: hub.subscribe(at), at: at.0, changed: HashMap::new() }
    }

    /// Takes what there is, and claims that it is just that.
    async fn take(&mut self, last: u64, count: usize, asks: bool) -> Result<(), TestCaseError> {
        if self.at == last && self.changed.is_empty() {
            return Ok(());
        }
        let delivery = self.subscriber.next_change(count).await.expect("the hub is there");
        let oldest = last.saturating_sub(RING) + 1;
        let missed = (self.at + 1 < oldest).then(|| Gap { from: Seq(self.at + 1), to: Seq(oldest - 1) });
        prop_assert_eq!(delivery.gap, missed);
        let from = oldest.max(self.at + 1);
        let expected: Vec<u64> = (from..=last).take(count).collect();
        let seqs: Vec<u64> = delivery.events.iter().map(|event| event.row.seq.0).collect();
        self.at = seqs.last().copied().unwrap_or(self.at);
        prop_assert_eq!(seqs, expected);
        if !asks {
            return Ok(());
        }
        let changed = self.subscriber.changed();
        let told = changed.iter().map(|session| (session.session_id.0.clone(), session.events));
        prop_assert_eq!(told.collect::<HashMap<_, _>>(), std::mem::take(&mut self.changed));
        Ok(())
    }
}

proptest! {
    #![proptest_config(trying(cases().unwrap_or(CASES)))]

    #[test]
    fn any_reader_gets_just_what_it_has_not_had(steps in any_steps()) {
        let runtime = Builder::new_current_thread().build().expect("a runtime");
        let hub = Hub::with_ring(Seq(0), RING as usize);
        let (mut last, mut readers) = (0, vec![Reader::of(&hub)]);
        for (number, step) in steps.into_iter().enumerate() {
            match step {
                Step::Commit(events, id) => {
                    let (id, version) = (id.to_string(), number as u64);
                    publish(&hub, last + 1..=last + events, vec![session(&id, version)]);
                    last += events;
                    for reader in &mut readers {
                        reader.changed.insert(id.clone(), version);
                    }
                }
                Step::Subscribe => readers.push(Reader::of(&hub)),
                Step::Take(number, count, asks) => {
                    let number = number % readers.len();
                    runtime.block_on(readers[number].take(last, count, asks))?;
                }
            }
        }
    }
}
