//! Our hooks in Claude Code's settings, for the dashboard: how they fare, and the two changes, for this server's user
//! alone. What they are and where they lie is known by the host.

use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::HeaderMap;
use axum::{Extension, Json};
use protocol::hooks::{Hooks, HooksOrder, PlannedChange};

use super::control::{NOT_PROVEN, authorise_order, is_proven};
use crate::gate::error::ApiError;
use crate::gate::peer::Peer;
use crate::state::AppState;
use crate::state::HooksError;

/// How the hooks fare, and what an install or uninstall would change. The settings that a difference shows are the
/// user's alone.
pub(super) async fn look(
    State(app): State<AppState>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
) -> Result<Json<Hooks>, ApiError> {
    let may_change = is_proven(&app, &peer, &headers);
    let Json(hooks) = ask(app, None).await?;
    let hidden = || PlannedChange { diff: String::new(), problem: Some(NOT_PROVEN.to_owned()) };
    Ok(Json(match may_change {
        true => hooks,
        false => Hooks { install: hidden(), uninstall: hidden(), ..hooks },
    }))
}

/// Carries out a change that the user has seen; answers how the hooks fare afterwards.
pub(super) async fn change(
    State(app): State<AppState>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Hooks>, ApiError> {
    authorise_order(&app, &peer, &headers)?;
    let order: HooksOrder = serde_json::from_slice(&body?).map_err(|error| {
        let message =
            format!("expected {{\"action\":\"install\" or \"uninstall\",\"diff\":what GET showed}}: {error}");
        ApiError::bad_request("invalid_json", message)
    })?;
    ask(app, Some(order)).await
}

async fn ask(app: AppState, order: Option<HooksOrder>) -> Result<Json<Hooks>, ApiError> {
    let Some(desk) = app.hooks.clone() else {
        return Err(ApiError::not_found("no_hooks", "this server does not manage hooks"));
    };
    // It reads and writes files, and may start a process.
    let answer = tokio::task::spawn_blocking(move || desk(order)).await;
    let answer = answer.unwrap_or_else(|crash| Err(HooksError::Failed(crash.to_string())));
    answer.map(Json).map_err(|error| {
        let code = match error {
            HooksError::Changed => "settings_changed",
            HooksError::Failed(_) => "hooks_not_changed",
        };
        ApiError::conflict(code, error.to_string())
    })
}
