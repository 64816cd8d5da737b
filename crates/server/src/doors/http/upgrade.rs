//! From HTTP to the raw WebSocket door: `/ws`, and `/`, which is the dashboard for everybody else.

use axum::extract::State;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::http::header;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};

use super::assets;
use crate::gate::error::ApiError;
use crate::state::AppState;

type Upgrade = Result<WebSocketUpgrade, WebSocketUpgradeRejection>;

/// The dashboard, or a WebSocket for who asks for one.
pub(super) async fn root(State(app): State<AppState>, request: Parts, upgrade: Upgrade) -> Response {
    let asked = request.headers.get(header::UPGRADE).and_then(|protocol| protocol.to_str().ok());
    match asked {
        Some(protocol) if protocol.eq_ignore_ascii_case("websocket") => {
            websocket(State(app), request, upgrade).await
        }
        _ => assets::index(&app).await,
    }
}

/// A WebSocket and nothing else.
pub(super) async fn websocket(State(app): State<AppState>, request: Parts, upgrade: Upgrade) -> Response {
    match upgrade {
        Ok(upgrade) => crate::doors::websocket::open(upgrade, &request, app),
        Err(rejection) => ApiError::upgrade_required(rejection.body_text()).into_response(),
    }
}
