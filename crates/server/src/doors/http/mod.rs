//! HTTP: the table of routes, and the one form of an error.

mod assets;
mod control;
mod error;
mod events;
mod figures;
mod hooks;
mod info;
mod instances;
mod login;
mod news;
mod sessions;
mod upgrade;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::Uri;
use axum::routing::{get, post};
use protocol::names;
use tower_http::compression::CompressionLayer;

pub(crate) use events::take;
pub(crate) use instances::CALLS_MAX;
pub(crate) use login::page as login_page;

use crate::gate::error::ApiError;
use crate::state::AppState;

/// The largest body of an order or a question: a hundred times what any of them needs. Events come by [`take`].
const ORDER_BYTES_MAX: usize = 64 * 1024;

/// Every route of the server but the way in, [`take`].
pub(crate) fn router(state: AppState) -> Router {
    Router::new()
        .route("/", get(upgrade::root))
        .route("/ws", get(upgrade::websocket))
        .route(names::HEALTH, get(info::health))
        .route("/api/health", get(info::health))
        .route(names::STATUS, get(info::status))
        .route("/version", get(info::version))
        .route("/version.json", get(info::version_json))
        .route("/stats", get(info::stats))
        .route(names::METRICS, get(info::metrics))
        .route("/compatibility", post(info::compatibility))
        .route("/api/config", get(info::config))
        .route("/api/working-directory", get(info::working_directory))
        .route(names::EVENTS, get(events::page))
        .route("/api/events/{seq}", get(events::one))
        .route("/api/figures", get(figures::figures))
        .route(names::SESSIONS, get(sessions::list))
        .route("/api/sessions/{id}", get(sessions::one))
        .route("/api/sessions/{id}/read", post(sessions::read))
        .route("/api/settings", get(info::settings))
        .route("/api/instances", get(instances::list))
        .route("/api/legacy", get(instances::legacy))
        .route("/api/instances/{port}/stop", post(instances::stop))
        .route("/api/instances/{port}/restart", post(instances::restart))
        .route("/instances/{port}/{*route}", get(instances::read).post(instances::tell))
        .route(names::HOOKS, get(hooks::look).post(hooks::change))
        .route(names::LOGIN, get(login::by_link).post(login::by_form))
        .route(names::LOGIN_LINK, post(login::new_link))
        .route(names::SHUTDOWN, post(control::shutdown))
        .route(names::RESTART, post(control::restart))
        .route(names::CAPTURE, post(control::capture))
        .fallback(assets::file)
        .method_not_allowed_fallback(wrong_method)
        .layer(DefaultBodyLimit::max(state.config.body_bytes_max.min(ORDER_BYTES_MAX)))
        .layer(CompressionLayer::new())
        .with_state(state)
}

async fn wrong_method(uri: Uri, method: axum::http::Method) -> ApiError {
    ApiError::wrong_method(format!("{} does not take {method}", uri.path()))
}
