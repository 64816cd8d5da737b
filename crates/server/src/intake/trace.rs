//! Single events in the log, at the level DEBUG: each line names the event by the id that its hook gave it, and says that
//! it came in, was committed, or was refused. Nothing of what an event says is in them.

use protocol::{EventId, Incoming, Refusal};
use serde::Deserialize;
use tracing::Level;
use tracing::field::display;

use crate::record::store::{Appended, StoreError};

/// What the lines of single events have as their target.
const TARGET: &str = "event";

/// The ids of events on their way into the store; none when nobody reads them.
pub(crate) struct Traced(Vec<Option<EventId>>);

impl Traced {
    /// They came in.
    pub(crate) fn received(events: &[Incoming]) -> Self {
        if !tracing::enabled!(target: TARGET, Level::DEBUG) {
            return Self(Vec::new());
        }
        for event in events {
            let (id, source) = (event.id.map(|id| display(id.0)), event.source.as_str());
            tracing::debug!(target: TARGET, id, kind = event.kind.as_str(), source, "received");
        }
        Self(events.iter().map(|event| event.id).collect())
    }

    /// They are committed, or none of them is.
    pub(crate) fn ended(self, ended: &Result<Appended, StoreError>) {
        for (at, id) in self.0.into_iter().enumerate() {
            let id = id.map(|id| display(id.0));
            match ended {
                Ok(appended) => tracing::debug!(target: TARGET, id, seq = appended.seqs[at].0, "stored"),
                Err(error) => tracing::debug!(target: TARGET, id, %error, "not stored"),
            }
        }
    }
}

/// A sender's text is no event.
pub(crate) fn refused(text: &[u8], refusal: &Refusal) {
    if tracing::enabled!(target: TARGET, Level::DEBUG) {
        let id = id_in(text).map(|id| display(id.0));
        tracing::debug!(target: TARGET, id, code = refusal.code, "refused");
    }
}

/// The id that a text names which is an object at least.
fn id_in(text: &[u8]) -> Option<EventId> {
    #[derive(Deserialize)]
    struct Named {
        id: EventId,
    }
    serde_json::from_slice::<Named>(text).ok().map(|named| named.id)
}
