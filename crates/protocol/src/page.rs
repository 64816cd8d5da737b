//! A page of history, the answer of `GET /api/events`: its events, and the position from which to ask on.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use crate::{Row, Seq};

/// The longest that a request may wait for the next event, in seconds. Proxies give up on silence after a minute
/// or two.
pub const WAIT_S_MAX: u64 = 60;

/// A part of the history, oldest first.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Page {
    /// The events.
    pub events: Vec<Entry>,
    /// Whether more events match in the direction of the page.
    pub has_more: bool,
    /// Everything that matches up to this position was given or lies before the page: `after` it comes what is
    /// new. A page that is asked for `after` a position ends here.
    pub position: Seq,
    /// Identity of the store; another one means that positions start over.
    pub epoch: String,
    /// The server ends: nothing more comes from it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ending: Option<Ending>,
}

/// Why a server answers no more, and where it goes on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ending {
    /// `restart` or `shutdown`.
    pub reason: String,
    /// After a restart, its address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

/// An event of a page.
#[derive(Clone, Debug, Serialize)]
pub struct Entry {
    /// Everything but the payload.
    #[serde(flatten)]
    pub row: Row,
    /// What the sender sent, byte for byte; only where it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payload: Option<Box<RawValue>>,
}

impl<'de> Deserialize<'de> for Entry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        /// A flattened struct cannot keep raw JSON, so the payload is read by itself.
        #[derive(Deserialize)]
        struct Payload {
            payload: Option<Box<RawValue>>,
        }
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        let row = serde_json::from_str(raw.get()).map_err(serde::de::Error::custom)?;
        let Payload { payload } = serde_json::from_str(raw.get()).map_err(serde::de::Error::custom)?;
        Ok(Self { row, payload })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_read_as_it_was_written_with_its_payload_byte_for_byte() {
        let text = r#"{"seq":7,"id":"0198f9a0-0000-7000-8000-000000000001","received_at":1,"occurred_at":2,"source":"http","kind":"Stop","is_error":false,"summary":"done","payload":{"b": 1.00, "a":"\u00e4"}}"#;
        let entry: Entry = serde_json::from_str(text).expect("an entry");
        assert_eq!(entry.payload.as_ref().map(|raw| raw.get()), Some(r#"{"b": 1.00, "a":"\u00e4"}"#));
        assert_eq!(serde_json::to_string(&entry).expect("JSON"), text);
        let row: Entry =
            serde_json::from_str(&text.replace(r#","payload":"#, r#","other":"#)).expect("an entry");
        assert!(row.payload.is_none());
    }
}
