//! Each event's messages as text: encoded once for all clients that are about as far as each other.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::ws::Utf8Bytes;
use protocol::derived::{self, Message};
use protocol::{Event, Seq};
use serde_json::{Map, Value, json};

use super::envelope::Envelope;
use crate::state::AppState;

/// The longest message. Common client libraries take one MiB unless told otherwise, and close on more.
pub(super) const MESSAGE_BYTES_MAX: usize = 1_000_000;

/// Encoded events kept; clients that keep up ask for the same ones within moments.
const CACHED_EVENTS_MAX: usize = 256;

/// Bytes of them.
const CACHED_BYTES_MAX: usize = 8 * 1024 * 1024;

/// One message of an event, ready to be sent.
pub(super) struct Encoded {
    pub r#type: String,
    pub text: Utf8Bytes,
}

#[derive(Default)]
pub(super) struct Cache {
    recent: Mutex<Recent>,
}

#[derive(Default)]
struct Recent {
    events: VecDeque<(Seq, Arc<[Encoded]>)>,
    bytes: usize,
}

impl Cache {
    /// The messages of an event, encoded now if nobody did lately.
    pub(super) fn of(&self, event: &Event, app: &AppState) -> Arc<[Encoded]> {
        let seq = event.row.seq;
        let find = |recent: &Recent| {
            recent.events.iter().rev().find(|(at, _)| *at == seq).map(|(_, messages)| messages.clone())
        };
        if let Some(known) = find(&self.recent.lock().unwrap_or_else(PoisonError::into_inner)) {
            return known;
        }
        // Outside the lock: two clients may do this at once, and both come to the same.
        let messages: Arc<[Encoded]> = encode(event, app).into();
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        recent.add(seq, messages.clone());
        messages
    }
}

impl Recent {
    fn add(&mut self, seq: Seq, messages: Arc<[Encoded]>) {
        self.bytes += bytes(&messages);
        self.events.push_back((seq, messages));
        while self.events.len() > CACHED_EVENTS_MAX || self.bytes > CACHED_BYTES_MAX {
            let Some((_, oldest)) = self.events.pop_front() else { return };
            self.bytes -= bytes(&oldest);
        }
    }
}

fn bytes(messages: &[Encoded]) -> usize {
    messages.iter().map(|message| message.text.as_str().len()).sum()
}

/// The messages of an event, in their order.
pub(super) fn encode(event: &Event, app: &AppState) -> Vec<Encoded> {
    let started_at = event.row.session_id.as_ref().and_then(|id| app.hub.session_started_at(id));
    let messages = derived::messages(event, &app.instance_info(), started_at);
    let timestamp = event.row.occurred_at.rfc3339();
    let encode = |Message { r#type, data }: Message| {
        let envelope = |data| Envelope {
            r#type: r#type.as_str().into(),
            timestamp: timestamp.as_str().into(),
            data,
            seq: Some(event.row.seq),
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

/// What stands for data that are too long to be sent.
fn too_long(event: &Event, bytes: usize) -> Map<String, Value> {
    let row = &event.row;
    let stand_in = json!({
        "session_id": row.session_id,
        "hook_event_name": row.kind,
        "tool_name": row.tool_name,
        "summary": row.summary,
        "left_out_bytes": bytes,
        "whole_event": format!("/api/events/{}", row.seq),
    });
    match stand_in {
        Value::Object(stand_in) => stand_in,
        _ => Map::new(),
    }
}
