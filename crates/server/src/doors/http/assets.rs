//! The dashboard, embedded in the executable.

use axum::extract::State;
use axum::http::{Method, StatusCode, Uri, header};
use axum::response::{Html, IntoResponse, Response};
use rust_embed::{EmbeddedFile, RustEmbed};

use crate::gate::error::ApiError;
use crate::state::AppState;

/// The built dashboard. Empty when it was not built before the server.
#[derive(RustEmbed)]
#[folder = "../../ui/dist"]
#[allow_missing = true]
struct Dashboard;

/// Shown in place of a dashboard that was not built.
const NOT_BUILT: &str = "<!doctype html><meta charset=utf-8><title>Claude MPM monitor</title>\
    <p>The monitor runs, but its dashboard was not built. <code>make run</code> builds it; \
    events are at <a href=/api/events>/api/events</a>.";

/// Shown in place of a dashboard that is switched off.
const SWITCHED_OFF: &str =
    "the dashboard is switched off in this monitor's configuration (\"dashboard\": false)";

pub(super) async fn index(app: &AppState) -> Response {
    if !app.config.dashboard {
        return ApiError::not_found("no_dashboard", SWITCHED_OFF).into_response();
    }
    match Dashboard::get("index.html") {
        // The page names its assets by content, so only the page itself must be asked for anew.
        Some(page) => respond(page, "no-cache"),
        None => (StatusCode::OK, Html(NOT_BUILT)).into_response(),
    }
}

/// A file of the dashboard, or nothing. Those below `/assets/` carry a hash of their content in their name.
pub(super) async fn file(
    State(app): State<AppState>,
    method: Method,
    uri: Uri,
) -> Result<Response, ApiError> {
    let path = uri.path().trim_start_matches('/');
    let served = app.config.dashboard && matches!(method, Method::GET | Method::HEAD);
    let file = Dashboard::get(path).filter(|_| served);
    let cache = if path.starts_with("assets/") { "public, max-age=31536000, immutable" } else { "no-cache" };
    file.map(|file| respond(file, cache))
        .ok_or_else(|| ApiError::not_found("unknown_route", format!("there is nothing at {}", uri.path())))
}

fn respond(file: EmbeddedFile, cache: &'static str) -> Response {
    let kind = file.metadata.mimetype().to_owned();
    ([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, cache.to_owned())], file.data).into_response()
}
