//! The body that is posted or spooled: our envelope around the payload's own bytes.

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use protocol::{Caller, EventId, Source, Timestamp};
use serde_json::json;
use uuid::Uuid;

use crate::caller::Called;
use crate::stdin::{Input, Reason};

/// The kind of a delivery that reports a broken input instead of an event.
pub const INPUT_INVALID: &str = "hook_input_invalid";

/// How much of a broken input is reported: enough to see what it was.
const HEAD_BYTES: usize = 200;

/// One event on its way. Sending it twice is harmless: its id stays the same.
#[derive(Debug)]
pub struct Delivery {
    /// Its identity.
    pub id: EventId,
    /// When this process started, so before anything could delay it.
    pub occurred_at: Timestamp,
    cwd: Option<PathBuf>,
    /// Everything in front of the payload.
    envelope: String,
    payload: Vec<u8>,
}

impl Delivery {
    /// Wraps what standard input held at that time.
    pub fn new(input: Input, called: &Called, now: SystemTime) -> Self {
        let id = EventId(time_ordered_id(now));
        let occurred_at = Timestamp::from_system(now);
        let (kind, cwd, payload) = match input {
            Input::Json { bytes, facts } => (None, facts.cwd, bytes),
            Input::Invalid { reason, bytes } => (Some(INPUT_INVALID), None, report(reason, &bytes)),
        };
        let envelope = envelope(id, occurred_at, kind, called);
        Self { id, occurred_at, cwd, envelope, payload }
    }

    /// The session's working directory, when the payload names one.
    pub fn cwd(&self) -> Option<&Path> {
        self.cwd.as_deref()
    }

    /// The body in pieces, so that a payload of megabytes is not copied.
    pub fn parts(&self) -> [&[u8]; 3] {
        [self.envelope.as_bytes(), &self.payload, b"}"]
    }

    /// The body's length.
    pub fn length(&self) -> usize {
        self.parts().iter().map(|part| part.len()).sum()
    }
}

fn envelope(id: EventId, occurred_at: Timestamp, kind: Option<&str>, called: &Called) -> String {
    let source = Source::Hook.as_str();
    let kind = kind.map(|kind| format!(r#""kind":"{kind}","#)).unwrap_or_default();
    let sender = sender();
    let caller = called.by.map(|Caller { pid, started, namespace }| {
        format!(r#""caller":{{"pid":{pid},"started":{started},"namespace":{namespace}}},"#)
    });
    let caller = caller.unwrap_or_default();
    let project = called.project.as_ref().map(|project| format!(r#""project":{},"#, json!(project)));
    let project = project.unwrap_or_default();
    format!(
        r#"{{"id":"{}","occurred_at":{},"source":"{source}",{kind}{project}{caller}"sender":{sender},"payload":"#,
        id.0, occurred_at.0
    )
}

/// Who we are. The parent is Claude Code, or the shell it started us with.
fn sender() -> String {
    let version = env!("CARGO_PKG_VERSION");
    #[cfg(unix)]
    let parent = format!(r#","ppid":{}"#, std::os::unix::process::parent_id());
    #[cfg(not(unix))]
    let parent = "";
    format!(r#"{{"name":"claude-mpm-hook","version":"{version}"{parent}}}"#)
}

/// What to tell about an input that is no event.
fn report(reason: Reason, bytes: &[u8]) -> Vec<u8> {
    let head = String::from_utf8_lossy(&bytes[..bytes.len().min(HEAD_BYTES)]);
    let report = json!({ "reason": reason.as_str(), "bytes": bytes.len(), "head": head });
    report.to_string().into_bytes()
}

/// A UUIDv7 that also orders hooks within one millisecond, by a twelve-bit fraction of it (RFC 9562, method 3).
fn time_ordered_id(now: SystemTime) -> Uuid {
    const FRACTION_BITS: u8 = 12;
    let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    let within_ms = u128::from(since.subsec_nanos() % 1_000_000);
    let fraction = (within_ms << FRACTION_BITS) / 1_000_000;
    let at = uuid::Timestamp::from_unix_time(since.as_secs(), since.subsec_nanos(), fraction, FRACTION_BITS);
    Uuid::new_v7(at)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::payload::Facts;
    use crate::stdin::ENVELOPE_BYTES_MAX;

    const NOW: Duration = Duration::from_micros(1_795_225_603_281_801);

    fn delivery(input: Input) -> (Delivery, serde_json::Value) {
        let delivery = Delivery::new(input, &Called::default(), UNIX_EPOCH + NOW);
        let body = serde_json::from_slice(&delivery.parts().concat()).unwrap();
        (delivery, body)
    }

    #[test]
    fn the_payload_is_carried_byte_for_byte() {
        let payload = br#"{ "b":1.00,  "a":"\u00fc" }"#;
        let input = Input::Json { bytes: payload.to_vec(), facts: Facts { cwd: Some("/p".into()) } };
        let (delivery, body) = delivery(input);

        let bytes = delivery.parts().concat();
        assert!(bytes.ends_with(&[b"\"payload\":", &payload[..], b"}"].concat()));
        assert_eq!(bytes.len(), delivery.length());
        assert_eq!(delivery.cwd(), Some(Path::new("/p")));
        assert_eq!(body["id"], delivery.id.0.to_string());
        assert_eq!(body["occurred_at"], 1_795_225_603_281_u64);
        assert_eq!(body["source"], "hook");
        assert_eq!(body["sender"]["name"], "claude-mpm-hook");
        assert!(body.get("kind").is_none(), "the payload says what happened");
    }

    #[test]
    fn a_broken_input_is_reported_with_its_head() {
        let bytes = [b"\xFF\"".to_vec(), vec![b'x'; 1000]].concat();
        let (delivery, body) = delivery(Input::Invalid { reason: Reason::Truncated, bytes });

        assert_eq!(body["kind"], INPUT_INVALID);
        assert_eq!(body["payload"]["reason"], "truncated");
        assert_eq!(body["payload"]["bytes"], 1002);
        let head = format!("\u{fffd}\"{}", "x".repeat(HEAD_BYTES - 2));
        assert_eq!(body["payload"]["head"], head);
        assert_eq!(delivery.cwd(), None);
    }

    #[test]
    fn the_envelope_leaves_room_for_the_longest_payload() {
        let by = Some(Caller { pid: u32::MAX, started: u64::MAX, namespace: u64::MAX });
        // As long as it may be: two quotes around, and each letter escaped.
        let project = Called::from_env(|_| Some("\\".repeat(255).into())).project;
        assert!(project.is_some());
        let input = Input::Invalid { reason: Reason::TooLarge, bytes: vec![] };
        let delivery = Delivery::new(input, &Called { by, project }, UNIX_EPOCH + NOW);
        assert!(delivery.envelope.len() < ENVELOPE_BYTES_MAX, "{}", delivery.envelope.len());
    }

    #[test]
    fn ids_of_one_millisecond_sort_by_time() {
        let ids: Vec<Uuid> =
            (0..1000).map(|us| time_ordered_id(UNIX_EPOCH + NOW + Duration::from_micros(us))).collect();
        assert!(ids.is_sorted(), "a microsecond apart is enough");
        assert_eq!(ids[0].get_version_num(), 7);
    }
}
