//! Any bytes in any pieces: the hook reads one JSON value of them or says what is wrong, and how they were cut makes no
//! difference. `FUZZ_CASES` sets how many are tried.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::tests::Pieces;
use super::*;
use crate::delivery::Delivery;

const CASES: u32 = 1000;

/// More than the inputs have, but for those that are to be too large.
const BYTES_MAX: usize = 4 * 1024;

const SAMPLES: &str = include_str!("../../../../tests/fixtures/hook-samples.jsonl");

fn cases() -> u32 {
    std::env::var("FUZZ_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(CASES)
}

/// A recorded payload with pieces of it replaced, or bytes of no meaning.
fn any_input() -> impl Strategy<Value = Vec<u8>> {
    let splinters: Vec<&[u8]> = vec![
        b"",
        b"{",
        b"}",
        b"]",
        b"[[[[",
        b"\"",
        b"\\",
        b"\\\"",
        b"\n",
        b"\xEF\xBB\xBF",
        b"\xFF",
        b"\0",
        b"1e9",
        b"null",
    ];
    let damage = vec((any::<Index>(), 0..20_usize, select(splinters)), 0..4);
    let samples: Vec<&[u8]> = SAMPLES.lines().map(str::as_bytes).collect();
    let damaged = (select(samples), damage).prop_map(|(sample, damages)| {
        let mut bytes = sample.to_vec();
        for (at, length, splinter) in damages {
            let at = at.index(bytes.len() + 1);
            let end = (at + length).min(bytes.len());
            bytes.splice(at..end, splinter.iter().copied());
        }
        bytes
    });
    prop_oneof![4 => damaged, 1 => vec(any::<u8>(), 0..64)]
}

/// The bytes cut at these places.
fn cut<'a>(bytes: &'a [u8], cuts: &[Index]) -> Vec<&'a [u8]> {
    let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
    at.extend([0, bytes.len()]);
    at.sort_unstable();
    at.windows(2).map(|ends| &bytes[ends[0]..ends[1]]).filter(|piece| !piece.is_empty()).collect()
}

fn read(bytes: &[u8], cuts: &[Index]) -> Input {
    let mut source = Pieces { pieces: cut(bytes, cuts), then: Ok(0) };
    read_from(&mut source, Instant::now(), BYTES_MAX)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_in_any_pieces_are_one_event_or_a_reason(bytes in any_input(), cuts in vec(any::<Index>(), 0..6)) {
        let input = read(&bytes, &cuts);
        match (&input, read(&bytes, &[])) {
            (Input::Json { bytes: value, .. }, whole) => {
                prop_assert_eq!(&input, &whole);
                prop_assert!(value.len() <= BYTES_MAX);
                let is_in = |all: &[u8]| all.windows(value.len().max(1)).any(|part| part == value);
                let replaced = String::from_utf8_lossy(&bytes);
                prop_assert!(is_in(&bytes) || is_in(replaced.as_bytes()), "its own bytes, or what stands for them");
            }
            // In pieces it may be known earlier, with less read.
            (Input::Invalid { reason, .. }, Input::Invalid { reason: whole, .. }) => {
                prop_assert_eq!(*reason, whole);
            }
            (_, whole) => prop_assert!(false, "{:?} in one piece", whole),
        }
        // What is sent is always JSON, whatever came.
        let delivery = Delivery::new(input, &crate::caller::Called::default(), std::time::SystemTime::now());
        let body: Result<serde::de::IgnoredAny, _> = serde_json::from_slice(&delivery.parts().concat());
        prop_assert!(body.is_ok());
    }
}
