//! Figures over stored events, and who is connected.

use axum::Json;
use axum::extract::{Query as QueryString, State};
use protocol::figures::{ConnectedClient, Figures};

use super::{ApiError, events};
use crate::state::AppState;

/// `GET /api/figures`, with the filters of `GET /api/events`.
pub(super) async fn figures(
    State(app): State<AppState>,
    QueryString(pairs): QueryString<Vec<(String, String)>>,
) -> Result<Json<Figures>, ApiError> {
    let (query, _) = events::query(&pairs)?;
    if query.searches() {
        app.store.indexed().await?;
    }
    Ok(Json(app.read(move |store| store.figures(&query)).await?))
}

/// `GET /api/clients`.
pub(super) async fn clients(State(app): State<AppState>) -> Json<Vec<ConnectedClient>> {
    let all = app.clients.all().into_iter().map(|(id, client)| ConnectedClient {
        id,
        transport: client.transport.to_owned(),
        name: client.name,
        kind: client.kind,
        version: client.version,
        connected_at: client.connected_at,
    });
    Json(all.collect())
}
