//! Stored events to a client of the namespace `/`, one message each, of the kinds that it subscribed to.

use std::sync::{Arc, Mutex, PoisonError};

use protocol::names::CHANNEL_BYTES_MAX;
use protocol::{Kind, Seq, legacy};
use socketioxide::extract::SocketRef;

use super::feed::{self, Outlet};
use crate::config::EventNames;
use crate::state::AppState;

/// Events taken from the hub at once.
const BATCH_EVENTS: usize = 256;

/// Bytes on their way to a client that does not take them. Each event is a message of its own: with much less, who reads
/// as fast as it can would be waited for again and again.
pub(super) const UNREAD_BYTES_MAX: u64 = 256 * 1024;

/// Most channels of one client.
const CHANNELS_MAX: usize = 100;

/// What a client wants: everything, as in the reference, until it subscribes to channels.
#[derive(Clone, Default)]
struct Wanted(Arc<Mutex<Option<Vec<Channel>>>>);

/// One subscribed channel.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Channel {
    /// A kind, in any spelling.
    Kind(Kind),
    /// `session.*`: every kind of that group.
    Group(String),
    /// One of the reference's broadcast names, such as `tool_event`.
    Category(String),
}

/// Notes that a client wants everything, before it can say otherwise.
pub(super) fn join(socket: &SocketRef) {
    socket.extensions.insert(Wanted::default());
}

/// Starts sending what a client wants of everything after a position.
pub(super) fn start(socket: &SocketRef, app: &AppState, after: Seq) {
    let wanted = socket.extensions.get::<Wanted>().unwrap_or_default();
    feed::start(socket, app, run(socket.clone(), app.clone(), after, wanted));
}

async fn run(socket: SocketRef, app: AppState, after: Seq, wanted: Wanted) {
    let mut subscriber = app.hub.subscribe(after);
    let mut outlet = Outlet::of(socket, UNREAD_BYTES_MAX);
    while let Some(delivery) = outlet.next(&mut subscriber, BATCH_EVENTS, &app).await {
        for event in delivery.events.into_iter().chain(delivery.unstored) {
            if event.row.duplicate_of.is_some() || !wanted.includes(&event.row.kind) {
                continue;
            }
            let name = match app.config.event_names {
                EventNames::ClaudeEvent => "claude_event",
                EventNames::Category => legacy::category(&event.row.kind),
            };
            if outlet.send_encoded(name, event.legacy()).await.is_none() {
                return;
            }
        }
    }
}

/// From now on the client gets only these channels; `*`, or none at all, means everything. Answers those that were
/// taken.
pub(super) fn subscribe(socket: &SocketRef, channels: Vec<String>) -> Vec<String> {
    let everything = channels.is_empty() || channels.iter().any(|channel| channel == "*");
    // Nothing would come of a longer one.
    let taken = channels.into_iter().filter(|channel| channel.len() <= CHANNEL_BYTES_MAX).take(CHANNELS_MAX);
    let taken: Vec<String> = taken.collect();
    if let Some(Wanted(wanted)) = socket.extensions.get::<Wanted>() {
        let channels = (!everything).then(|| taken.iter().map(|channel| Channel::of(channel)).collect());
        *wanted.lock().unwrap_or_else(PoisonError::into_inner) = channels;
    }
    taken
}

impl Wanted {
    fn includes(&self, kind: &Kind) -> bool {
        let channels = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        channels.as_ref().is_none_or(|channels| channels.iter().any(|channel| channel.includes(kind)))
    }
}

impl Channel {
    fn of(name: &str) -> Self {
        if let Some(group) = name.strip_suffix(".*").or_else(|| name.strip_suffix(":*")) {
            return Self::Group(group.to_owned());
        }
        if name.ends_with("_event") {
            Self::Category(name.to_owned())
        } else {
            Self::Kind(Kind::from_name(name))
        }
    }

    fn includes(&self, kind: &Kind) -> bool {
        match self {
            Self::Kind(wanted) => wanted == kind,
            Self::Category(wanted) => wanted == legacy::category(kind),
            Self::Group(wanted) if wanted == "hook" => !matches!(kind, Kind::Other(_)),
            Self::Group(wanted) => {
                kind.as_str().split_once(['.', ':']).is_some_and(|(group, _)| group == wanted)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_channel_includes_its_kinds_in_every_spelling_and_no_others() {
        let cases = [
            ("pre_tool", "PreToolUse", true),
            ("PreToolUse", "pre_tool", true),
            ("hook.pre_tool", "PreToolUse", true),
            ("hook.*", "PreToolUse", true),
            ("hook.*", "session.start", false),
            ("session.*", "session.start", true),
            ("session.*", "sessions.start", false),
            ("memory:*", "memory:loaded", true),
            ("tool_event", "PostToolUse", true),
            ("tool_event", "Stop", false),
            ("Stop", "StopFailure", false),
        ];
        for (channel, kind, expected) in cases {
            assert_eq!(Channel::of(channel).includes(&Kind::from_name(kind)), expected, "{channel} {kind}");
        }
    }
}
