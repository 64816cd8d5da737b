//! What all open connections of this door share: how many there are, how far the door is closed, and the status that
//! they are told.

use std::sync::Arc;

use protocol::SessionId;
use protocol::instance::InstanceInfo;
use serde::Serialize;
use tokio::sync::watch;

use crate::ended::Ended;

/// What all open connections share; clones share it.
#[derive(Clone)]
pub(crate) struct WebSockets {
    shared: Arc<Shared>,
}

struct Shared {
    stage: watch::Sender<Stage>,
    open: watch::Sender<usize>,
    status: watch::Sender<Status>,
}

/// How far the door is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Connections live.
    Open,
    /// They say why the server ends, and close.
    Ending(Ended),
    /// Whoever is still there is dropped.
    Cut,
}

impl WebSockets {
    pub(crate) fn new(instance: InstanceInfo) -> Self {
        let shared = Shared {
            stage: watch::Sender::new(Stage::Open),
            open: watch::Sender::new(0),
            status: watch::Sender::new(Status::idle(instance)),
        };
        Self { shared: Arc::new(shared) }
    }

    pub(super) fn stage(&self) -> watch::Receiver<Stage> {
        self.shared.stage.subscribe()
    }

    pub(super) fn set(&self, stage: Stage) {
        self.shared.stage.send_replace(stage);
    }

    /// What is told of Claude Code, but for who watches now.
    pub(super) fn status(&self) -> &watch::Sender<Status> {
        &self.shared.status
    }

    /// Counts a connection until the guard is dropped.
    pub(super) fn enter(&self) -> Open {
        self.shared.open.send_modify(|open| *open += 1);
        Open(self.clone())
    }

    pub(super) async fn all_closed(&self) {
        // The sender lives in `self`, so this ends only when everybody is gone.
        let _ = self.shared.open.subscribe().wait_for(|open| *open == 0).await;
    }
}

/// One counted connection.
pub(super) struct Open(WebSockets);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.shared.open.send_modify(|open| *open -= 1);
    }
}

/// The data of `system.status`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Status {
    /// The session that started last, of those that run.
    pub(super) session_id: Option<SessionId>,
    pub(super) session_start: Option<String>,
    /// `running` while a session does, else `stopped`.
    pub(super) claude_status: &'static str,
    /// Unknown: the processes are not ours.
    pub(super) claude_pid: Option<u32>,
    pub(super) connected_clients: usize,
    pub(super) websocket_port: u16,
    pub(super) instance_info: InstanceInfo,
}

impl Status {
    /// Nothing runs, nobody watches.
    fn idle(instance: InstanceInfo) -> Self {
        Self {
            session_id: None,
            session_start: None,
            claude_status: "stopped",
            claude_pid: None,
            connected_clients: 0,
            websocket_port: instance.port,
            instance_info: instance,
        }
    }
}
