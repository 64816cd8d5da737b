//! Stopping, restarting and pausing from outside, for this user's own programs only; a pause also for his own page.

use std::ops::RangeInclusive;
use std::sync::PoisonError;
use std::time::SystemTime;

use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use axum::{Extension, Json};
use protocol::Timestamp;
use protocol::health::CaptureHealth;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::ended::Ended;
use crate::gate::error::ApiError;
use crate::gate::guard::{bearer, is_this_user};
use crate::gate::peer::Peer;
use crate::gate::place::is_own_page;
use crate::state::AppState;

/// How long a pause may be that ends by itself: a year.
const PAUSE_MINUTES: RangeInclusive<u64> = 1..=525_600;

/// What is told to who may be anybody.
pub(super) const NOT_PROVEN: &str = "it is not proven that you are this monitor's user; use the command line, or open \
                                     the link of `claude-mpm-monitor token link`";

#[derive(Default, Deserialize)]
struct Shutdown {
    successor_port: Option<u16>,
}

/// Stops. Clients are told to come back when another process is to take this one's place on a port.
pub(super) async fn shutdown(
    State(app): State<AppState>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Value>, ApiError> {
    authorise(&app, &headers)?;
    let Shutdown { successor_port } = optional(&body?, "{\"successor_port\":N}")?;
    let clients = app.clients.count();
    app.end(successor_port.map_or(Ended::Asked, |port| Ended::Replaced { port }));
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
    let Restart { port } = optional(&body?, "{\"port\":N}")?;
    let port = port.unwrap_or(app.port);
    // The dashboard's own port is ours already; it is given free before the next server takes it.
    if port != app.port && Some(port) != app.config.dashboard_port {
        // Taken from now on: clients that are sent there find it, and nobody else gets it in between.
        let taken = crate::gate::listen::bind(&app.config.host, port).await.map_err(|error| {
            let message = format!("{error}; this server keeps port {}", app.port);
            ApiError::conflict("port_unavailable", message)
        })?;
        *app.next.lock().unwrap_or_else(PoisonError::into_inner) = taken;
    }
    app.end(Ended::Restart { port });
    Ok((StatusCode::ACCEPTED, Json(json!({ "restarting": true, "port": port }))))
}

/// A body that may be left out.
fn optional<T: Default + DeserializeOwned>(body: &[u8], expected: &str) -> Result<T, ApiError> {
    if body.is_empty() {
        return Ok(T::default());
    }
    let invalid = |error| ApiError::bad_request("invalid_json", format!("expected {expected}: {error}"));
    serde_json::from_slice(body).map_err(invalid)
}

#[derive(Deserialize)]
struct Capture {
    paused: bool,
    minutes: Option<u64>,
}

/// Pauses the keeping of events, for some minutes or until resumed, or resumes it. Answers how it is from now on.
pub(super) async fn capture(
    State(app): State<AppState>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<CaptureHealth>, ApiError> {
    authorise_order(&app, &peer, &headers)?;
    let Capture { paused, minutes } = serde_json::from_slice(&body?).map_err(|error| {
        ApiError::bad_request("invalid_json", format!("expected {{\"paused\":true,\"minutes\":N}}: {error}"))
    })?;
    if minutes.is_some_and(|minutes| !PAUSE_MINUTES.contains(&minutes)) {
        let message = format!("minutes must be from 1 to {}", PAUSE_MINUTES.end());
        return Err(ApiError::bad_request("invalid_minutes", message));
    }
    let now = Timestamp::from_system(SystemTime::now());
    if paused {
        let until = minutes.map(|minutes| Timestamp(now.0.saturating_add_unsigned(minutes * 60_000)));
        app.config.capture.pause(now, until);
    } else {
        app.config.capture.resume(now);
    }
    Ok(Json(app.config.capture.health(now)))
}

/// Only who can read this user's runfile knows the token.
fn authorise(app: &AppState, headers: &HeaderMap) -> Result<(), ApiError> {
    if has_control_token(app, headers) {
        return Ok(());
    }
    Err(ApiError::unauthorized("this needs the control token of the server's runfile as a Bearer token"))
}

/// For what the dashboard may order, too. A page has no control token: it must be our own, and its reader proven to
/// be this server's user: by the system, or by having logged in.
pub(super) fn authorise_order(app: &AppState, peer: &Peer, headers: &HeaderMap) -> Result<(), ApiError> {
    if has_control_token(app, headers) {
        return Ok(());
    }
    if !is_own_page(headers) {
        let message = "only the dashboard's own pages may order this, and programs that send the control token of \
                       the server's runfile as a Bearer token";
        return Err(ApiError::forbidden("origin_not_allowed", message));
    }
    if is_proven(app, peer, headers) {
        return Ok(());
    }
    Err(ApiError::forbidden("user_not_proven", NOT_PROVEN))
}

/// Whether it is this server's user who asks, as far as that can be known.
pub(super) fn is_proven(app: &AppState, peer: &Peer, headers: &HeaderMap) -> bool {
    has_control_token(app, headers) || is_this_user(&app.tokens, peer, headers)
}

fn has_control_token(app: &AppState, headers: &HeaderMap) -> bool {
    bearer(headers).is_some_and(|given| app.tokens.is_control(given))
}
