//! What others speak: each door translates between its own words and ours, and decides nothing.

pub(crate) mod clients;
pub(crate) mod compatibility;
pub(crate) mod http;
pub(crate) mod socketio;
pub(crate) mod websocket;

use axum::Router;
use axum::response::IntoResponse;
use socketioxide::layer::SocketIoLayer;

use crate::gate::dispatch::{Dispatch, WayIn};
use crate::gate::guard::Guard;
use crate::state::AppState;

/// All doors behind their guard.
pub(crate) fn behind_guard(app: &AppState, socket_io: SocketIoLayer) -> Dispatch {
    let guard =
        Guard::new(&app.config, app.tokens.clone(), app.rates.clone(), app.audit.clone(), http::login_page);
    Dispatch::new(guard, way_in(app.clone()), routes(app.clone(), socket_io))
}

/// Events by HTTP.
fn way_in(app: AppState) -> WayIn {
    Box::new(move |peer, request| {
        let app = app.clone();
        Box::pin(async move { http::take(&app, &peer, request).await.into_response() })
    })
}

/// Everything else, with Socket.IO, and the count of its sessions, before it.
fn routes(app: AppState, socket_io: SocketIoLayer) -> Router {
    let sessions = socketio::Sessions::new(app.bodies.clone());
    let count = axum::middleware::from_fn_with_state(sessions, socketio::count);
    http::router(app).layer(socket_io).layer(count)
}
