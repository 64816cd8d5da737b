//! Any body: each event of it is read or refused, what is read keeps its bytes and its limits, and what is stored of it
//! reads the same again. `FUZZ_CASES` sets how many are tried.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::Value;

use super::tests::fixture;
use super::*;
use crate::instance::InstanceInfo;
use crate::names::SUMMARY_BYTES_MAX;
use crate::{Event, EventId, Row, Seq, Timestamp, derived, legacy};

const CASES: u32 = 1000;

/// More than any name, id or path is kept of.
const FIELD_BYTES_MAX: usize = 1024;

fn cases() -> u32 {
    std::env::var("FUZZ_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(CASES)
}

/// What our hook, Claude Code and claude-mpm's hooks send.
fn samples() -> Vec<String> {
    let posts = fixture("claude-mpm-hook-posts.jsonl").into_iter().map(|line| {
        let post: Value = serde_json::from_str(&line).expect("a recorded post is JSON");
        post["body"].as_str().expect("it has a body").to_owned()
    });
    fixture("hook-samples.jsonl").into_iter().chain(posts).collect()
}

/// Samples with pieces of them replaced, alone or several in one body.
fn any_body() -> impl Strategy<Value = Vec<u8>> {
    let splinters: Vec<&[u8]> = vec![
        b"",
        b"{",
        b"}",
        b"[",
        b"]",
        b"\"",
        b",",
        b":",
        b"\\u0000",
        b"\\ud800",
        b"\xFF",
        b"\n",
        b"null",
        b"-0",
        b"1e999",
        b"18446744073709551616",
        b"\"session_id\":7,",
        b"\"hook_event_name\":null,",
        b"\"kind\":\"\",\"payload\":[],",
        b"\"id\":\"00000000-0000-7000-8000-000000000000\",",
        b"\"tool_input\":[[],{}],",
        b"\"duration_ms\":-1,",
        b"\"todos\":[{\"status\":[]},7],",
        b"\"event\":\"claude_event\",\"data\":",
        "\u{202e}\u{feff}é👩‍👩‍👧‍👦".as_bytes(),
    ];
    let damage = vec((any::<Index>(), prop_oneof![3 => Just(0), 1 => 0..30_usize], select(splinters)), 0..4);
    let event = (select(samples()), damage).prop_map(|(sample, damages)| {
        let mut bytes = sample.into_bytes();
        for (at, length, splinter) in damages {
            // Most after a comma or brace: there an object stays one.
            let at = at.index(bytes.len() + 1);
            let seam = bytes[at..].iter().position(|byte| matches!(byte, b',' | b'{'));
            let at = seam.map_or(at, |seam| at + seam + 1);
            let end = (at + length).min(bytes.len());
            bytes.splice(at..end, splinter.iter().copied());
        }
        bytes
    });
    let one = event.boxed();
    let lines = vec(one.clone(), 1..4).prop_map(|events| events.join(&b'\n'));
    let list = vec(one.clone(), 0..4).prop_map(|events| [b"[", &events.join(&b',')[..], b"]"].concat());
    prop_oneof![4 => one, 1 => lines, 1 => list, 1 => vec(any::<u8>(), 0..64)]
}

/// Claims about one event that was read.
fn check(incoming: Incoming, raw: &RawValue) -> Result<(), TestCaseError> {
    prop_assert!(incoming.summary.len() <= SUMMARY_BYTES_MAX, "{}", incoming.summary);
    prop_assert!(!incoming.summary.chars().any(char::is_control), "{:?}", incoming.summary);
    let session = incoming.session_id.as_ref().map_or("", |id| id.as_str());
    for field in [Some(session), incoming.tool_name.as_deref(), incoming.prompt_id.as_deref()] {
        prop_assert!(field.is_none_or(|field| field.len() <= FIELD_BYTES_MAX), "{field:?}");
    }
    prop_assert!(raw.get().contains(incoming.payload.get()), "its own bytes: {}", incoming.payload);
    prop_assert_eq!(&Kind::from_name(incoming.kind.as_str()), &incoming.kind, "a stored kind is read again");
    prop_assert_eq!(&facts(&incoming.kind, &incoming.payload), &*incoming.facts, "and so is what it tells");
    // What viewers get of it can be made, whatever it is.
    let payload = incoming.payload.clone();
    let row = Row::of(incoming, Seq(1), EventId(uuid::Uuid::nil()), Timestamp(0));
    let event = Event { row, payload, is_own: false, caller: None };
    prop_assert!(legacy::message(&event).is_object());
    let instance = InstanceInfo { port: 8765, host: "localhost".into(), working_dir: None };
    for message in derived::messages(&event, &instance, None) {
        prop_assert!(!message.r#type.is_empty(), "{message:?}");
    }
    Ok(())
}

fn check_refusal(refusal: &Refusal) -> Result<(), TestCaseError> {
    prop_assert!(!refusal.code.is_empty() && !refusal.message.is_empty(), "{refusal:?}");
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_body_is_events_that_keep_their_bytes_and_refusals_that_say_why(body in any_body()) {
        let raws = match split(&body) {
            Ok(Body::One(raw)) => vec![Ok(raw)],
            Ok(Body::Many(raws)) => raws,
            Err(refusal) => vec![Err(refusal)],
        };
        for raw in raws {
            match raw.and_then(|raw| Ok((parse(raw, Source::Http)?, raw))) {
                Ok((incoming, raw)) => check(incoming, raw)?,
                Err(refusal) => check_refusal(&refusal)?,
            }
        }
    }
}
