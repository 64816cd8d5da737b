//! Figures over stored events.

use axum::Json;
use axum::extract::{Query as QueryString, State};
use protocol::figures::Figures;

use super::events;
use crate::gate::error::ApiError;
use crate::state::AppState;

/// `GET /api/figures`, with the filters of `GET /api/events`.
pub(super) async fn figures(
    State(app): State<AppState>,
    QueryString(pairs): QueryString<Vec<(String, String)>>,
) -> Result<Json<Figures>, ApiError> {
    let query = events::asked(&pairs)?.query;
    if query.searches() {
        app.store.indexed().await?;
    }
    Ok(Json(app.read(move |store| store.figures(&query)).await?))
}
