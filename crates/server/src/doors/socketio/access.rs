//! Who may enter a namespace: whose request has proved it already, else who names the token as `auth`.

use std::sync::Arc;
use std::time::Instant;

use serde_json::Value;
use socketioxide::extract::{SocketRef, State, TryData};

use super::handshake::Session;
use crate::gate::connections::Watched;
use crate::gate::guard::Proof;
use crate::gate::peer::{Peer, User};
use crate::state::AppState;

/// Why not; its text is what the client sees as `connect_error`.
#[derive(Debug, thiserror::Error)]
pub(super) enum Denied {
    #[error("unauthorized: this monitor needs its token as auth {{token}}")]
    Missing,
    #[error("unauthorized: this is not the token of this monitor")]
    Wrong,
}

/// Lets a client in, or not.
pub(super) async fn authenticate(
    socket: SocketRef,
    TryData(auth): TryData<Value>,
    State(app): State<AppState>,
) -> Result<(), Denied> {
    let request = &socket.req_parts().extensions;
    if request.get::<Proof>() == Some(&Proof::Given) {
        return Ok(());
    }
    let auth = auth.unwrap_or_default();
    let denied = match auth["token"].as_str() {
        Some(token) if app.tokens.is_token(token.trim()) => {
            request.get::<Watched>().inspect(|connection| connection.owes_nothing());
            request.get::<Arc<Session>>().inspect(|session| session.owes_nothing());
            return Ok(());
        }
        Some(_) => Denied::Wrong,
        None => Denied::Missing,
    };
    if let Some(peer) = request.get::<Peer>() {
        let code = if matches!(denied, Denied::Wrong) { "wrong_token" } else { "unauthorized" };
        app.audit.refused(code, peer.address.ip(), &format!("socket.io {}", socket.ns()));
        if matches!(denied, Denied::Wrong) && app.rates.mistake(peer.origin(), Instant::now()).is_err() {
            // It may be gone already.
            let _ = socket.disconnect();
        }
    }
    Err(denied)
}

/// Whether a client is here only because it had the token.
pub(super) fn came_with_a_token(socket: &SocketRef, app: &AppState) -> bool {
    let peer = socket.req_parts().extensions.get::<Peer>();
    app.config.needs_token() || peer.is_some_and(|peer| peer.user == User::Other)
}
