//! Who serves: health, versions, statistics, and what claude-mpm's viewers ask of the working directory.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::header;
use axum::response::IntoResponse;
use protocol::configuration::Configuration;
use protocol::health::Status;
use protocol::{Health, Timestamp};
use serde_json::{Value, json};

use crate::doors::compatibility;
use crate::gate::error::ApiError;
use crate::metrics;
use crate::record::store::Store;
use crate::state::AppState;

/// More than a reference to a branch has, whose name is a path.
const GIT_HEAD_BYTES_MAX: u64 = 8 * 1024;

pub(super) async fn health(State(app): State<AppState>) -> Json<Health> {
    Json(app.health())
}

pub(super) async fn status(State(app): State<AppState>) -> Json<Status> {
    Json(Status { health: app.health(), clients: app.clients.list() })
}

/// `/version` of the reference's standalone server.
pub(super) async fn version(State(app): State<AppState>) -> Json<Value> {
    Json(compatibility::version_info(&app.id, &app.config.client_version_min))
}

/// `/version.json` of the reference's newest monitor.
pub(super) async fn version_json() -> Json<Value> {
    let version = env!("CARGO_PKG_VERSION");
    Json(json!({
        "version": version,
        "build": 1,
        "formatted_build": "0001",
        "full_version": format!("v{version}-build.1"),
        "service": "unified-monitor",
    }))
}

/// For people, too: a field a line.
pub(super) async fn stats(State(app): State<AppState>) -> impl IntoResponse {
    let health = app.health();
    let last_activity = health.health_stats.last_activity.map(Timestamp::rfc3339);
    let stats = json!({
        "server_info": { "version": health.version, "id": health.server_id, "uptime": health.uptime_seconds },
        "connections": {
            "current_clients": health.clients_connected,
            "total_served": health.health_stats.clients_served,
            "client_versions": health.client_versions,
            "clients": app.clients.list(),
        },
        "events": {
            "total_processed": health.health_stats.events_processed,
            "history_size": health.last_seq,
            "last_activity": last_activity,
            "not_delivered": app.clients.not_delivered(),
        },
        "errors": health.health_stats.errors,
        "refused": app.audit.summary(),
        "store": health.store,
        "spool": health.spool,
    });
    ([(header::CONTENT_TYPE, "application/json")], format!("{stats:#}\n"))
}

/// For Prometheus.
pub(super) async fn metrics(State(app): State<AppState>) -> impl IntoResponse {
    // A store that cannot be read has no size, and all the rest is worth knowing then.
    let store_bytes = app.read(Store::bytes).await.ok();
    let sources = metrics::Sources {
        health: app.health(),
        clients: &app.clients,
        audit: &app.audit,
        store: &app.store,
        store_bytes,
        process_started_at: app.config.process_started_at.unwrap_or(app.started_at),
    };
    ([(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], metrics::text(&sources))
}

/// `POST /compatibility {"client_version"}`, whatever the Content-Type.
pub(super) async fn compatibility(
    State(app): State<AppState>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Value>, ApiError> {
    let body: Value = serde_json::from_slice(&body?)
        .map_err(|error| ApiError::bad_request("invalid_json", format!("not JSON: {error}")))?;
    let client = body.get("client_version").and_then(Value::as_str).unwrap_or("unknown");
    Ok(Json(compatibility::answer(client, &app.config.client_version_min)))
}

pub(super) async fn config(State(app): State<AppState>) -> Json<Value> {
    let folder = &app.config.working_directory;
    Json(json!({
        "workingDirectory": folder,
        "gitBranch": git_branch(folder),
        "serverTime": Timestamp::from_system(SystemTime::now()).rfc3339(),
        "service": "unified-monitor",
    }))
}

/// `GET /api/settings`: what this server runs with, and who chose it.
pub(super) async fn settings(State(app): State<AppState>) -> Json<Configuration> {
    Json(app.config.configuration.clone())
}

pub(super) async fn working_directory(State(app): State<AppState>) -> Json<Value> {
    Json(json!({ "working_directory": app.config.working_directory, "success": true }))
}

/// The branch that a folder or one above it has checked out; `Unknown` as in the reference.
fn git_branch(folder: &Path) -> String {
    let heads = folder.ancestors().map(|folder| folder.join(".git/HEAD"));
    let read = |head: PathBuf| private::text(private::peek(&head).ok()?, GIT_HEAD_BYTES_MAX).ok();
    let head = heads.into_iter().find_map(read);
    let branch = head.as_deref().and_then(|head| head.trim().strip_prefix("ref: refs/heads/"));
    branch.unwrap_or("Unknown").to_owned()
}
