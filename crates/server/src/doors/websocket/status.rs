//! `system.status`: what Claude Code does, as the sessions tell it, and who watches; told whenever it changes.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use protocol::session::State;
use protocol::{Session, SessionId, Timestamp};

use super::shared::Status;
use crate::state::AppState;

/// Between two looks: a storm of clients or events becomes one change.
const COALESCE: Duration = Duration::from_millis(50);

/// Events taken from the hub at once.
const BATCH_EVENTS: usize = 1024;

/// Sessions that may run at a time; of more, the oldest are forgotten.
const RUNNING_MAX: usize = 1024;

/// Stored sessions looked at when the server starts.
const STORED_SESSIONS: usize = 200;

/// A stored session that was silent for longer does not run any more, although nobody said that it ended.
const SILENT_MS: i64 = 12 * 60 * 60 * 1000;

/// The status now.
pub(super) fn current(app: &AppState) -> Status {
    let known = app.websockets.status().borrow().clone();
    Status { connected_clients: app.clients.count(), ..known }
}

/// The sessions that run, with their start.
#[derive(Default)]
pub(super) struct Running(BTreeMap<SessionId, Timestamp>);

impl Running {
    fn fold(&mut self, session: &Session) {
        if session.ended_at.is_some() || session.status.state == State::Lost {
            self.0.remove(&session.session_id);
            return;
        }
        self.0.insert(session.session_id.clone(), session.started_at);
        if self.0.len() > RUNNING_MAX {
            let oldest = self.0.iter().min_by_key(|(_, started_at)| **started_at).map(|(id, _)| id.clone());
            oldest.map(|id| self.0.remove(&id));
        }
    }

    fn tell(&self, status: &mut Status) {
        let newest = self.0.iter().max_by_key(|(_, started_at)| **started_at);
        status.claude_status = if newest.is_some() { "running" } else { "stopped" };
        status.session_start = newest.map(|(_, started_at)| started_at.rfc3339());
        status.session_id = newest.map(|(id, _)| id.clone());
    }
}

/// The sessions that ran when the server was last seen.
pub(super) async fn stored(app: &AppState) -> Running {
    let sessions = app.read(|store| store.sessions(STORED_SESSIONS, &[])).await.unwrap_or_else(|error| {
        tracing::warn!(%error, "could not read the sessions");
        Vec::new()
    });
    let since = Timestamp::from_system(SystemTime::now()).0 - SILENT_MS;
    let mut running = Running::default();
    sessions.into_iter().filter(|s| s.last_event_at.0 >= since).for_each(|session| running.fold(&session));
    running
}

/// Follows sessions and clients until the server ends.
pub(super) async fn watch(app: AppState, mut running: Running) {
    let status = app.websockets.status();
    let mut subscriber = app.hub.subscribe(app.hub.latest());
    let mut clients = app.clients.changes();
    let mut ended = app.ended.subscribe();
    loop {
        status.send_if_modified(|status| {
            let before = status.clone();
            running.tell(status);
            status.connected_clients = app.clients.count();
            *status != before
        });
        tokio::select! {
            change = subscriber.next_change(BATCH_EVENTS) => {
                if change.is_none() {
                    return;
                }
                subscriber.changed().iter().for_each(|session| running.fold(session));
            }
            changed = clients.changed() => if changed.is_err() { return },
            _ = ended.wait_for(Option::is_some) => return,
        }
        tokio::time::sleep(COALESCE).await;
    }
}
