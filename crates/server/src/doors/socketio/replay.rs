//! Replaying a stored session to one client, with the pauses between its events as they were.

use std::time::Duration;

use protocol::{Event, legacy};
use serde::Deserialize;
use serde_json::json;
use socketioxide::extract::{SocketRef, State};
use tokio::task::AbortHandle;

use super::args::Args;
use super::feed::Outlet;
use super::live::UNREAD_BYTES_MAX;
use super::reply::{Ack, answer};
use super::turns;
use crate::doors::clients::short;
use crate::record::hub::to_raw;
use crate::record::store::Query;
use crate::state::AppState;

/// Longest pause between two events of a replay: a night between two prompts is not replayed.
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// `{session_id, speed=1}`
#[derive(Deserialize)]
#[serde(default)]
struct Request {
    session_id: String,
    speed: f64,
}

impl Default for Request {
    fn default() -> Self {
        Self { session_id: String::new(), speed: 1.0 }
    }
}

/// The running replay of a client; a new one replaces it.
#[derive(Clone)]
struct Replay(AbortHandle);

pub(super) async fn start(socket: SocketRef, args: Args, ack: Ack, State(app): State<AppState>) {
    let Some(_turn) = turns::take(&socket, &ack) else { return };
    stop(&socket);
    let request: Request = args.parsed();
    let query = Query {
        session: Some(request.session_id.clone()),
        limit: app.config.history_max,
        payload: true,
        ..Query::default()
    };
    let events = app.page(query).await.map(crate::record::store::Page::into_events).unwrap_or_default();
    if events.is_empty() {
        let error = json!({ "error": format!("Session not found: {}", short(&request.session_id)) });
        return answer(&socket, &ack, "hook:error", &error);
    }
    let total = events.len();
    let started = json!({ "session_id": request.session_id, "total": total, "speed": request.speed });
    answer(&socket, &ack, "hook:replay:started", &started);
    let replay = tokio::spawn(play(socket.clone(), request, events));
    if let Some(Replay(before)) = socket.extensions.insert(Replay(replay.abort_handle())) {
        // It was asked for at the same time.
        before.abort();
    }
}

/// Ends the replay of a client, if one runs.
pub(super) fn stop(socket: &SocketRef) {
    if let Some(Replay(replay)) = socket.extensions.remove::<Replay>() {
        replay.abort();
    }
}

/// Waits for its viewer, like what is live. `None` when it is gone.
async fn play(socket: SocketRef, request: Request, events: Vec<Event>) -> Option<()> {
    let total = events.len();
    let mut outlet = Outlet::of(socket, UNREAD_BYTES_MAX);
    let mut before = None;
    for (index, event) in events.iter().enumerate() {
        let at = event.row.occurred_at;
        tokio::time::sleep(before.map_or(Duration::ZERO, |before: i64| pause(at.0 - before, request.speed)))
            .await;
        before = Some(at.0);
        let message = to_raw(&json!({ "index": index, "total": total, "event": legacy::message(event) }));
        outlet.send_encoded("hook:replay:event", &message).await?;
    }
    let completed = json!({ "session_id": request.session_id, "total": total });
    outlet.send("hook:replay:completed", &completed, 0).await
}

fn pause(ms: i64, speed: f64) -> Duration {
    let speed = if speed.is_finite() && speed > 0.0 { speed } else { 1.0 };
    Duration::try_from_secs_f64(ms.max(0) as f64 / 1000.0 / speed).unwrap_or(PAUSE_MAX).min(PAUSE_MAX)
}
