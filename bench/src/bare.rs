//! The limit of every HTTP figure: an axum handler that reads the body and answers 204, and a health answer.

use axum::body::Bytes;
use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use protocol::names;
use serde_json::json;

/// Serves until the process is ended.
pub(crate) fn serve(port: u16) -> anyhow::Result<()> {
    let router = Router::new()
        .route(names::HEALTH, get(async || Json(json!({ "status": "running" }))))
        .route(names::EVENTS, post(async |_: Bytes| StatusCode::NO_CONTENT))
        .layer(DefaultBodyLimit::max(names::BODY_BYTES_MAX));
    tokio::runtime::Runtime::new()?.block_on(async {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
        Ok(axum::serve(listener, router).await?)
    })
}
