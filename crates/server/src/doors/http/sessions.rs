//! Sessions as the fold over their events sees them.

use axum::Json;
use axum::extract::{Path, Query as QueryString, State};
use protocol::session::{SessionCounts, State as SessionStatus};
use protocol::{Seq, Session, SessionDetail, SessionId, mask};
use serde::Serialize;

use super::events::{invalid, number, unknown_parameter};
use crate::gate::error::ApiError;
use crate::record::store::Store;
use crate::state::AppState;

/// How many sessions are listed at most.
const SESSIONS_MAX: usize = 500;

/// Sessions, the most recently active first.
#[derive(Serialize)]
pub(super) struct List {
    sessions: Vec<Session>,
    /// How many there are in all, whatever was asked for.
    counts: SessionCounts,
}

/// `GET /api/sessions`.
pub(super) async fn list(
    State(app): State<AppState>,
    QueryString(pairs): QueryString<Vec<(String, String)>>,
) -> Result<Json<List>, ApiError> {
    let (mut limit, mut states) = (SESSIONS_MAX, Vec::new());
    for (name, value) in pairs.iter().filter(|(_, value)| !value.is_empty()) {
        match name.as_str() {
            "limit" => limit = usize::try_from(number(name, value)?).unwrap_or(SESSIONS_MAX),
            "status" => {
                for state in value.split(',') {
                    states.push(known_state(name, state)?);
                }
            }
            _ => return Err(unknown_parameter(name)),
        }
    }
    let limit = limit.clamp(1, SESSIONS_MAX);
    let read = move |store: &Store| {
        Ok(List { sessions: store.sessions(limit, &states)?, counts: store.session_counts() })
    };
    Ok(Json(app.read(read).await?))
}

fn known_state(name: &str, state: &str) -> Result<String, ApiError> {
    if SessionStatus::NAMES.contains(&state) {
        return Ok(state.to_owned());
    }
    Err(invalid(name, state, &format!("one of {}", SessionStatus::NAMES.join(", "))))
}

/// `GET /api/sessions/{id}`: as it is now, or with `at=412` as its events up to that position tell it.
pub(super) async fn one(
    State(app): State<AppState>,
    Path(id): Path<String>,
    QueryString(pairs): QueryString<Vec<(String, String)>>,
) -> Result<Json<SessionDetail>, ApiError> {
    let mut at = None;
    for (name, value) in &pairs {
        match name.as_str() {
            "at" => at = Some(Seq(number(name, value)?)),
            _ => return Err(unknown_parameter(name)),
        }
    }
    let wanted = mask::id(&id).into_owned();
    let look = move |store: &Store| match at {
        Some(at) => store.session_at(&wanted, at),
        None => store.session(&wanted),
    };
    let session = app.read(look).await?;
    session.map(|session| Json(session.detail())).ok_or_else(|| unknown(&id))
}

/// `POST /api/sessions/{id}/read`: somebody has seen the session as it is now.
pub(super) async fn read(
    State(app): State<AppState>,
    Path(id): Path<String>,
) -> Result<axum::http::StatusCode, ApiError> {
    if app.store.mark_read(SessionId(mask::id(&id).into_owned())).await? {
        return Ok(axum::http::StatusCode::NO_CONTENT);
    }
    Err(unknown(&id))
}

fn unknown(id: &str) -> ApiError {
    ApiError::not_found("unknown_session", format!("there is no session {id:?}"))
}
