//! `get_history`: the newest messages of some channels, derived from the stored events like the live ones.

use std::collections::VecDeque;

use protocol::{Event, Seq};
use serde::Serialize;
use serde_json::value::RawValue;

use super::channels::Channels;
use super::encoded::{self, MESSAGE_BYTES_MAX};
use crate::record::store::{Query, Store, StoreError};
use crate::state::AppState;

/// Events read at once; with their payloads they may be large.
const PAGE_EVENTS: usize = 50;

/// Events looked at for one answer, when few of them give a wanted message.
const SCAN_EVENTS_MAX: usize = 10_000;

/// `{events, count, has_more}`
#[derive(Serialize)]
pub(super) struct History {
    /// Oldest first.
    events: VecDeque<Box<RawValue>>,
    count: usize,
    /// Whether older events were not looked at.
    has_more: bool,
}

/// The newest `limit` messages up to a position.
pub(super) async fn read(
    app: &AppState,
    channels: Channels,
    limit: usize,
    up_to: Seq,
) -> Result<History, StoreError> {
    let limit = limit.min(app.config.history_max);
    let reader = app.clone();
    app.read(move |store| collect(&reader, store, &channels, limit, up_to)).await
}

fn collect(
    app: &AppState,
    store: &Store,
    channels: &Channels,
    limit: usize,
    up_to: Seq,
) -> Result<History, StoreError> {
    let mut events = VecDeque::new();
    let mut bytes = 0;
    let mut before = Seq(up_to.0 + 1);
    let mut scanned = 0;
    let mut has_more = true;
    while has_more && scanned < SCAN_EVENTS_MAX {
        let query = Query {
            before: Some(before),
            limit: PAGE_EVENTS,
            kinds: channels.kinds(),
            payload: true,
            ..Query::default()
        };
        let page = store.page(&query)?;
        has_more = page.has_more;
        for event in page.into_events().iter().rev() {
            (before, scanned) = (event.row.seq, scanned + 1);
            for message in wanted(app, event, channels) {
                bytes += message.get().len();
                if events.len() == limit || bytes > MESSAGE_BYTES_MAX {
                    return Ok(History { count: events.len(), events, has_more: true });
                }
                events.push_front(message);
            }
        }
    }
    Ok(History { count: events.len(), events, has_more })
}

/// The wanted messages of an event, newest first.
fn wanted(app: &AppState, event: &Event, channels: &Channels) -> Vec<Box<RawValue>> {
    let messages = encoded::encode(event, app).into_iter().rev();
    let wanted = messages.filter(|message| channels.wants(&message.r#type));
    wanted.filter_map(|message| RawValue::from_string(message.text.as_str().to_owned()).ok()).collect()
}
