//! `{"type","timestamp","data"}`: the one form of every message, with `id` for events, `seq` for what is stored and
//! `instance` for what was asked of, or comes from, a named instance.

use std::borrow::Cow;
use std::time::SystemTime;

use protocol::{EventId, Seq, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

#[derive(Deserialize, Serialize)]
pub(super) struct Envelope<'a, D> {
    #[serde(borrow)]
    pub r#type: Cow<'a, str>,
    #[serde(borrow)]
    pub timestamp: Cow<'a, str>,
    pub data: D,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<EventId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seq: Option<Seq>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<u16>,
}

impl<D: Serialize> Envelope<'_, D> {
    pub(super) fn encode(&self) -> String {
        // Text and JSON values always serialise.
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// A message of the server itself, now.
pub(super) fn message(r#type: &str, instance: Option<u16>, data: &impl Serialize) -> String {
    let timestamp = Timestamp::from_system(SystemTime::now()).rfc3339();
    Envelope { r#type: r#type.into(), timestamp: timestamp.into(), data, id: None, seq: None, instance }
        .encode()
}

/// A message that came from another server.
pub(super) fn parse(text: &str) -> Option<Envelope<'_, &RawValue>> {
    serde_json::from_str(text).ok()
}
