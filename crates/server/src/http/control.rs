//! Stopping and restarting from outside, for this user's own programs only; and this user's other servers.

use std::sync::PoisonError;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use protocol::instance::Instance;
use serde::Deserialize;
use serde_json::{Value, json};

use super::ApiError;
use crate::Ended;
use crate::security::bearer;
use crate::state::AppState;

pub(super) async fn shutdown(
    State(app): State<AppState>,
    headers: HeaderMap,
) -> Result<Json<Value>, ApiError> {
    authorise(&app, &headers)?;
    let clients = app.clients.count();
    app.end(Ended::Asked);
    Ok(Json(json!({ "stopping": true, "clients": clients })))
}

#[derive(Default, Deserialize)]
struct Restart {
    port: Option<u16>,
}

/// Restarts, on another port when asked. A port that is taken is refused and the server goes on.
pub(super) async fn restart(
    State(app): State<AppState>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<impl IntoResponse, ApiError> {
    authorise(&app, &headers)?;
    let body = body?;
    let Restart { port } = if body.is_empty() {
        Restart::default()
    } else {
        serde_json::from_slice(&body).map_err(|error| {
            ApiError::bad_request("invalid_json", format!("expected {{\"port\":N}}: {error}"))
        })?
    };
    let port = port.unwrap_or(app.port);
    // The dashboard's own port is ours already; it is given free before the next server takes it.
    if port != app.port && Some(port) != app.config.dashboard_port {
        // Taken from now on: clients that are sent there find it, and nobody else gets it in between.
        let taken = crate::listen::bind(&app.config.host, port).await.map_err(|error| {
            let message = format!("{error}; this server keeps port {}", app.port);
            ApiError::conflict("port_unavailable", message)
        })?;
        *app.next.lock().unwrap_or_else(PoisonError::into_inner) = taken;
    }
    app.end(Ended::Restart { port });
    Ok((StatusCode::ACCEPTED, Json(json!({ "restarting": true, "port": port }))))
}

/// This user's servers.
pub(super) async fn instances(State(app): State<AppState>) -> Result<Json<Vec<Instance>>, ApiError> {
    let all = tokio::task::spawn_blocking(move || app.all_instances()).await.unwrap_or_default();
    Ok(Json(all))
}

/// Only who can read this user's runfile knows the token.
fn authorise(app: &AppState, headers: &HeaderMap) -> Result<(), ApiError> {
    if bearer(headers).is_some_and(|given| app.tokens.is_control(given)) {
        return Ok(());
    }
    Err(ApiError::unauthorized("this needs the control token of the server's runfile as a Bearer token"))
}
