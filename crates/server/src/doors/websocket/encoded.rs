//! Each event's messages as text, ready to be sent to any number of clients.

use protocol::derived::{self, Message};
use protocol::{Event, Seq};
use serde_json::{Map, Value, json};

use super::envelope::Envelope;
use crate::record::hub::Encoded;
use crate::state::AppState;

/// The longest message. Common client libraries take one MiB unless told otherwise, and close on more.
pub(super) const MESSAGE_BYTES_MAX: usize = 1_000_000;

/// The messages of an event, in their order.
pub(super) fn encode(event: &Event, app: &AppState) -> Vec<Encoded> {
    let started_at = event.row.session_id.as_ref().and_then(|id| app.hub.session_started_at(id));
    let messages = derived::messages(event, &app.instance_info(), started_at);
    let timestamp = event.row.occurred_at.rfc3339();
    let seq = is_stored(event).then_some(event.row.seq);
    let encode = |Message { r#type, data }: Message| {
        let envelope = |data| Envelope {
            r#type: r#type.as_str().into(),
            timestamp: timestamp.as_str().into(),
            data,
            id: Some(event.row.id),
            seq,
            instance: None,
        };
        let mut text = envelope(data).encode();
        if text.len() > MESSAGE_BYTES_MAX {
            text = envelope(too_long(event, text.len())).encode();
        }
        Encoded { text: text.into(), r#type }
    };
    messages.into_iter().map(encode).collect()
}

/// What could not be stored has no position.
fn is_stored(event: &Event) -> bool {
    event.row.seq != Seq(0)
}

/// What stands for data that are too long to be sent.
fn too_long(event: &Event, bytes: usize) -> Map<String, Value> {
    let row = &event.row;
    let stand_in = json!({
        "session_id": row.session_id,
        "hook_event_name": row.kind,
        "tool_name": row.tool_name,
        "summary": row.summary,
        "left_out_bytes": bytes,
        "whole_event": is_stored(event).then(|| format!("/api/events/{}", row.seq)),
    });
    match stand_in {
        Value::Object(stand_in) => stand_in,
        _ => Map::new(),
    }
}
