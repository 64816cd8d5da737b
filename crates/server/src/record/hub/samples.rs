//! Events, sessions and publications for the hub's tests.

use std::sync::Arc;

use protocol::{Event, EventId, Row, Seq, Session, SessionId, Source, Timestamp, ingest};
use serde_json::value::RawValue;

use super::{Hub, Publication};
use crate::record::sessions::SessionState;
use crate::record::store::Committed;

/// An event whose payload is a text of so many bytes, beside its quotes.
pub(super) fn event(seq: u64, payload_bytes: usize) -> Arc<Event> {
    let json = format!(r#"{{"kind":"x","payload":"{}"}}"#, "x".repeat(payload_bytes));
    let raw = RawValue::from_string(json).expect("the sample is JSON");
    let incoming = ingest::parse(&raw, Source::Http).expect("the sample is an event");
    let payload = incoming.payload.clone();
    let row = Row::of(incoming, Seq(seq), EventId(uuid::Uuid::nil()), Timestamp(0));
    Arc::new(Event { row, payload, is_own: false, caller: None })
}

/// A session after so many events.
pub(super) fn session(id: &str, events: u64) -> Session {
    Session { events, ..SessionState::new(SessionId(id.to_owned())).session() }
}

/// Publishes small events with these positions, and sessions that they changed.
pub(super) fn publish(hub: &Hub, seqs: impl Iterator<Item = u64>, sessions: Vec<Session>) {
    let events = seqs.map(|seq| event(seq, 1)).collect();
    hub.publish(Publication::Committed(Committed { events, sessions }));
}
