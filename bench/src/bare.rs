//! The limits of the figures: an axum handler that reads the body and answers 204, a health answer, and a WebSocket
//! broadcast of what comes, line by line, as it came.

use axum::body::Bytes;
use axum::extract::ws::{Message, Utf8Bytes, WebSocket, WebSocketUpgrade};
use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{get, post};
use axum::{Json, Router};
use futures_util::SinkExt;
use protocol::names;
use serde_json::json;
use tokio::sync::broadcast;

/// Lines that a viewer may lag behind.
const BACKLOG: usize = 8 * 1024;

type Lines = broadcast::Sender<Utf8Bytes>;

/// Serves until the process is ended.
pub(crate) fn serve(port: u16) -> anyhow::Result<()> {
    let router = Router::new()
        .route(names::HEALTH, get(async || Json(json!({ "status": "running" }))))
        .route(names::EVENTS, post(async |_: Bytes| StatusCode::NO_CONTENT))
        .route("/broadcast", post(send_on))
        .route("/ws", get(watch))
        .layer(DefaultBodyLimit::max(names::BODY_BYTES_MAX))
        .with_state(Lines::new(BACKLOG));
    tokio::runtime::Runtime::new()?.block_on(async {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
        Ok(axum::serve(listener, router).await?)
    })
}

async fn send_on(State(lines): State<Lines>, body: String) -> StatusCode {
    for line in body.lines() {
        let _ = lines.send(line.into());
    }
    StatusCode::NO_CONTENT
}

async fn watch(upgrade: WebSocketUpgrade, State(lines): State<Lines>) -> Response {
    upgrade.on_upgrade(async move |socket| {
        // A viewer that leaves ends its task.
        let _ = pass_on(socket, lines).await;
    })
}

/// Everything that waits goes out in one write.
async fn pass_on(mut socket: WebSocket, lines: Lines) -> Result<(), axum::Error> {
    let mut lines = lines.subscribe();
    socket.send(Message::text("ready")).await?;
    while let Ok(line) = lines.recv().await {
        socket.feed(Message::Text(line)).await?;
        while let Ok(line) = lines.try_recv() {
            socket.feed(Message::Text(line)).await?;
        }
        socket.flush().await?;
    }
    Ok(())
}
