//! Transcripts of any content, written in any pieces, cut short and replaced: each line is read once, whatever is in it
//! harms nobody, and what it tells is an event. `FUZZ_CASES` sets how many are tried.

use std::collections::HashSet;
use std::fs::OpenOptions;
use std::io::Write;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use protocol::Source;
use serde_json::Value;
use serde_json::value::RawValue;

use super::*;
use crate::testing::{cases, trying};

const CASES: u32 = 300;

const LINES: &[&str] = &[
    include_str!("../../../../../../tests/fixtures/transcripts/first.jsonl"),
    include_str!("../../../../../../tests/fixtures/transcripts/resumed.jsonl"),
    include_str!("../../../../../../tests/fixtures/transcripts/first/subagents/agent-a1.jsonl"),
];

/// What a number or text of a record is replaced by.
const ODD: &[&str] = &[
    "null",
    "-1",
    "1e300",
    "18446744073709551616",
    "0.5",
    "\"\"",
    "\"fast\"",
    "true",
    "[]",
    "{}",
    "[[[[",
    "\"\\ud800\"",
    "\"<synthetic>\"",
    "\"msg_1\"",
    "\"msg_2\"",
    "}",
    "\0",
    "",
];

/// A recorded line with values of it replaced, or bytes of no meaning.
fn any_line() -> impl Strategy<Value = Vec<u8>> {
    let recorded: Vec<&str> = LINES.iter().flat_map(|text| text.lines()).collect();
    let replaced =
        (select(recorded), vec((any::<Index>(), select(ODD)), 0..4)).prop_map(|(line, changes)| {
            let mut line = line.to_owned();
            for (at, odd) in changes {
                // From a colon on to the next comma or brace: one value, mostly.
                let colons: Vec<usize> = line.match_indices(": ").map(|(at, _)| at + 2).collect();
                if colons.is_empty() {
                    break;
                }
                let start = colons[at.index(colons.len())];
                let length = line[start..].find([',', '}']).unwrap_or(line.len() - start);
                line.replace_range(start..start + length, odd);
            }
            line.into_bytes()
        });
    let noise = vec(any::<u8>().prop_filter("one line", |byte| *byte != b'\n'), 0..80);
    prop_oneof![8 => replaced, 1 => noise]
}

/// What happens to a file.
#[derive(Clone, Debug)]
enum Change {
    Append(Vec<u8>),
    Cut(Index),
    Replace(Vec<u8>),
}

fn any_change() -> impl Strategy<Value = Change> {
    let bytes = vec(prop_oneof![3 => Just(b'a'), 1 => Just(b'\n'), 1 => any::<u8>()], 0..30);
    prop_oneof![
        6 => bytes.clone().prop_map(Change::Append),
        1 => any::<Index>().prop_map(Change::Cut),
        1 => bytes.prop_map(Change::Replace),
    ]
}

proptest! {
    #![proptest_config(trying(cases().unwrap_or(CASES)))]

    #[test]
    fn any_line_tells_events_or_nothing_and_each_response_once(lines in vec(any_line(), 1..40)) {
        let mut teller = Teller::new(Prices::load(None));
        let origin = Origin { session: "s".to_owned(), agent: None };
        let now = Instant::now();
        let mut events = Vec::new();
        for line in &lines {
            if let Some(record) = record::read(line) {
                events.extend(teller.take(record, &origin, now));
            }
        }
        events.extend(teller.overdue(now + Duration::from_secs(3600)));
        prop_assert!(!teller.waits());
        let mut responses = HashSet::new();
        for event in &events {
            let told: Value = serde_json::from_str(event).expect("an event is JSON");
            let raw: &RawValue = serde_json::from_str(event).expect("an event is JSON");
            prop_assert!(protocol::ingest::parse(raw, Source::Transcript).is_ok(), "{}", event);
            if told["kind"] == "transcript.response" {
                prop_assert!(responses.insert(told["payload"]["message_id"].to_string()), "told twice: {}", event);
            }
        }
    }

    #[test]
    fn whatever_happens_to_a_file_each_line_of_it_is_read_once(changes in vec(any_change(), 1..20)) {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let path = folder.path().join("t.jsonl");
        std::fs::write(&path, "").expect("a file can be written");
        let mut tail = Tail::new(path.clone());
        // What the file holds, and how much of that is known.
        let (mut content, mut known) = (Vec::new(), 0);
        for change in changes {
            match change {
                Change::Append(bytes) => {
                    let mut file = OpenOptions::new().append(true).open(&path).expect("it is there");
                    file.write_all(&bytes).expect("it can be written");
                    content.extend(bytes);
                }
                Change::Cut(at) => {
                    content.truncate(at.index(content.len() + 1));
                    let file = OpenOptions::new().write(true).open(&path).expect("it is there");
                    file.set_len(content.len() as u64).expect("it can be cut");
                    if content.len() < known {
                        known = 0;
                    }
                }
                Change::Replace(bytes) => {
                    let new = folder.path().join("new");
                    std::fs::write(&new, &bytes).expect("a file can be written");
                    std::fs::rename(&new, &path).expect("it can be replaced");
                    (content, known) = (bytes, 0);
                }
            }
            let mut read = Vec::new();
            tail.look(|line| read.push(line.to_vec())).expect("it can be read");
            let whole = content.iter().rposition(|byte| *byte == b'\n').map_or(known, |at| at + 1).max(known);
            let expected: Vec<Vec<u8>> =
                content[known..whole].split_inclusive(|byte| *byte == b'\n').map(|line| line[..line.len() - 1].to_vec()).collect();
            prop_assert_eq!(read, expected);
            known = whole;
        }
    }
}
