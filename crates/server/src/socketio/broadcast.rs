//! Every stored event to the clients of the namespace `/`: encoded once, sent to those who want its kind.

use std::sync::Arc;

use protocol::{Event, Kind, Seq, legacy};
use socketioxide::BroadcastError;
use socketioxide::SocketIo;
use socketioxide::extract::SocketRef;
use tokio::sync::Mutex;

use crate::clients::Clients;
use crate::config::EventNames;
use crate::hub::Subscriber;
use crate::state::AppState;

/// The room of clients that never subscribed to anything: they get everything, as in the reference.
const EVERYTHING: &str = "everything";

/// Events taken from the hub at once.
const BATCH_EVENTS: usize = 256;

/// Sends events, and lets clients join between two of them.
#[derive(Clone)]
pub(super) struct Broadcaster {
    /// The position up to which events were sent.
    position: Arc<Mutex<Seq>>,
}

impl Broadcaster {
    /// Sends from now on, until the hub is gone.
    pub(super) fn start(io: &SocketIo, app: &AppState) -> Self {
        let now = app.hub.latest();
        let broadcaster = Self { position: Arc::new(Mutex::new(now)) };
        let run = broadcaster.clone().run(
            io.clone(),
            app.hub.subscribe(now),
            app.clients.clone(),
            app.config.event_names,
        );
        let mut ended = app.ended.subscribe();
        tokio::spawn(async move {
            tokio::select! {
                () = run => {}
                _ = ended.wait_for(Option::is_some) => {}
            }
        });
        broadcaster
    }

    async fn run(self, io: SocketIo, mut subscriber: Subscriber, clients: Clients, names: EventNames) {
        while let Some(delivery) = subscriber.next(BATCH_EVENTS).await {
            let mut position = self.position.lock().await;
            if let Some(gap) = delivery.gap {
                tracing::warn!(from = %gap.from, to = %gap.to, "the broadcast fell behind");
                clients.lost(usize::try_from(gap.to.0 + 1 - gap.from.0).unwrap_or(usize::MAX));
            }
            for event in &delivery.events {
                if event.row.duplicate_of.is_none() && clients.count() > 0 {
                    send(&io, event, names, &clients).await;
                }
                *position = event.row.seq;
            }
        }
    }

    /// Lets a client in between two broadcasts; what it will not get live is up to the answered position.
    pub(super) async fn join(&self, socket: &SocketRef) -> Seq {
        let position = self.position.lock().await;
        socket.join(EVERYTHING);
        *position
    }
}

async fn send(io: &SocketIo, event: &Event, names: EventNames, clients: &Clients) {
    let name = match names {
        EventNames::ClaudeEvent => "claude_event",
        EventNames::Category => legacy::category(&event.row.kind),
    };
    let sent = io.to(rooms(&event.row.kind)).emit(name, &legacy::message(event)).await;
    if let Err(BroadcastError::Socket(failed)) = sent {
        clients.lost(failed.len());
    }
}

/// The rooms of everybody who wants this kind.
fn rooms(kind: &Kind) -> Vec<String> {
    let mut rooms =
        vec![EVERYTHING.to_owned(), room(kind.as_str()), room(&kind.subtype()), room(legacy::category(kind))];
    if let Some((group, _)) = kind.as_str().split_once(['.', ':']) {
        rooms.push(room(group));
    }
    if !matches!(kind, Kind::Other(_)) {
        rooms.push(room("hook"));
    }
    rooms
}

fn room(channel: &str) -> String {
    format!("channel {channel}")
}

/// From now on the client gets only these channels: kinds in any spelling, `session.*` for a group, `*` for
/// everything.
pub(super) fn subscribe(socket: &SocketRef, channels: &[String]) {
    socket.leave_all();
    if channels.is_empty() || channels.iter().any(|channel| channel == "*") {
        socket.join(EVERYTHING);
        return;
    }
    for channel in channels {
        let group = channel.strip_suffix(".*").or_else(|| channel.strip_suffix(":*"));
        let kind = Kind::from_name(channel);
        socket.join(match group {
            Some(group) => room(group),
            None => room(kind.as_str()),
        });
    }
}
