//! Events in and history out.

use std::borrow::Cow;
use std::time::Duration;

use axum::Json;
use axum::extract::{Path, Query as QueryString, State};
use axum::http::header::CONTENT_ENCODING;
use axum::http::{HeaderMap, Request, StatusCode};
use axum::response::{IntoResponse, Response};
use hyper::body::Incoming;
use protocol::page::WAIT_S_MAX;
use protocol::{Entry, Page, Seq, Source, Timestamp, mask};
use serde_json::json;

use super::news;
use crate::gate::error::ApiError;
use crate::gate::peer::Peer;
use crate::intake::ingest::{Sender, Taken};
use crate::record::store::{Query, StoreError, Terms};
use crate::state::AppState;

/// How many events a page has when nobody says.
const PAGE_DEFAULT: usize = 100;

/// `POST /api/events`: 204 for one event that is stored, counts for several; 202 for what is not kept because
/// capture is paused, so that hooks do not keep it for later.
pub(crate) async fn take(
    app: &AppState,
    peer: &Peer,
    request: Request<Incoming>,
) -> Result<Response, ApiError> {
    let (head, body) = request.into_parts();
    // A few bytes could unpack to any number of them.
    if head.headers.get(CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity") {
        return Err(ApiError::unsupported_encoding("send the body as it is, without `content-encoding`"));
    }
    let sender = Sender { door: Source::Http, is_own: peer.is_own() && !is_forwarded(&head.headers) };
    let body = app.bodies.read(body, app.bodies.bytes_max).await?;
    Ok(match app.ingest.take(body, sender).await? {
        Taken::One(_) => StatusCode::NO_CONTENT.into_response(),
        Taken::Many(summary) => Json(summary).into_response(),
        Taken::Paused { skipped } => {
            let body = Json(json!({ "stored": 0, "skipped": skipped, "capture": "paused" }));
            (StatusCode::ACCEPTED, body).into_response()
        }
    })
}

/// Whether a proxy says that it speaks for somebody else.
fn is_forwarded(headers: &HeaderMap) -> bool {
    ["forwarded", "via", "x-forwarded-for", "x-real-ip"].iter().any(|name| headers.contains_key(*name))
}

/// `GET /api/events`. With `wait` the answer comes when there is something to say.
pub(super) async fn page(
    State(app): State<AppState>,
    QueryString(pairs): QueryString<Vec<(String, String)>>,
) -> Result<Json<Page>, ApiError> {
    let Asked { query, wait, masked } = asked(&pairs)?;
    let mut page = news::page(&app, query, wait).await?;
    if masked {
        page = off_thread(page, |page| page.events.iter_mut().for_each(mask::entry)).await?;
    }
    Ok(Json(page))
}

/// Masking large payloads takes long enough to hold others up.
async fn off_thread<T: Send + 'static>(
    mut value: T,
    work: impl FnOnce(&mut T) + Send + 'static,
) -> Result<T, StoreError> {
    let done = tokio::task::spawn_blocking(move || {
        work(&mut value);
        value
    });
    done.await.map_err(|_| StoreError::Closed)
}

/// `GET /api/events/{seq}`: the whole event, with `masked=true` without what looks like a secret.
pub(super) async fn one(
    State(app): State<AppState>,
    Path(seq): Path<String>,
    QueryString(pairs): QueryString<Vec<(String, String)>>,
) -> Result<Json<Entry>, ApiError> {
    let seq = Seq(number("seq", &seq)?);
    let mut masked = false;
    for (name, value) in &pairs {
        match name.as_str() {
            "masked" => masked = boolean(name, value)?,
            _ => return Err(unknown_parameter(name)),
        }
    }
    let event = app.read(move |store| store.event(seq)).await?.ok_or_else(|| {
        ApiError::not_found(
            "unknown_event",
            format!("there is no event {seq}; it may have been too old to keep"),
        )
    })?;
    let entry = Entry { row: event.row, payload: Some(event.payload) };
    Ok(Json(if masked { off_thread(entry, mask::entry).await? } else { entry }))
}

/// What the query string of a page asks for.
pub(super) struct Asked {
    pub query: Query,
    /// How long to wait for the next event.
    wait: Duration,
    /// Whether secrets are masked.
    masked: bool,
}

/// Reads a query string. An unknown name is refused: silently ignored, it would look like a filter.
pub(super) fn asked(pairs: &[(String, String)]) -> Result<Asked, ApiError> {
    let mut query = Query { limit: PAGE_DEFAULT, ..Query::default() };
    let mut wait = Duration::ZERO;
    let mut masked = false;
    for (name, value) in pairs.iter().filter(|(_, value)| !value.is_empty()) {
        let text = || Some(value.clone());
        // As what it is compared with was stored.
        let plain = |value: &str| mask::text(value).into_owned();
        let masked_id = |value: &str| mask::id(value).into_owned();
        match name.as_str() {
            "after" => query.after = Some(Seq(number(name, value)?)),
            "before" => query.before = Some(Seq(number(name, value)?)),
            "limit" => query.limit = usize::try_from(number(name, value)?).unwrap_or(usize::MAX),
            "session" => query.session = Some(masked_id(value)),
            "project" => query.project = Some(plain(value)),
            "kind" => query.kinds.extend(value.split(',').map(plain)),
            "tool" => query.tool = Some(plain(value)),
            "agent" => query.agent = text(),
            "error" => query.error = Some(boolean(name, value)?),
            "from" => query.from = Some(time(name, value)?),
            "to" => query.to = Some(time(name, value)?),
            "q" => query.text = text(),
            "query" => query.terms = Terms::parse(value),
            "masked" => masked = boolean(name, value)?,
            "wait" => wait = Duration::from_secs(seconds(name, value)?),
            "payload" => query.payload = boolean(name, value)?,
            "duplicates" => query.duplicates = boolean(name, value)?,
            _ => return Err(unknown_parameter(name)),
        }
    }
    if !wait.is_zero() && (query.after.is_none() || query.before.is_some()) {
        let message = "`wait` needs `after`, and no `before`: it waits for what comes after a position";
        return Err(ApiError::bad_request("invalid_parameter", message));
    }
    Ok(Asked { query, wait, masked })
}

pub(super) fn unknown_parameter(name: &str) -> ApiError {
    ApiError::bad_request("unknown_parameter", format!("there is no parameter {name:?}"))
}

fn seconds(name: &str, value: &str) -> Result<u64, ApiError> {
    let seconds = value.parse().ok().filter(|seconds| *seconds <= WAIT_S_MAX);
    seconds.ok_or_else(|| invalid(name, value, &format!("a number of seconds up to {WAIT_S_MAX}")))
}

pub(super) fn number(name: &str, value: &str) -> Result<u64, ApiError> {
    let number = value.parse().ok().filter(|number| i64::try_from(*number).is_ok());
    number.ok_or_else(|| invalid(name, value, "a whole number"))
}

fn boolean(name: &str, value: &str) -> Result<bool, ApiError> {
    match value {
        "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        _ => Err(invalid(name, value, "true or false")),
    }
}

fn time(name: &str, value: &str) -> Result<Timestamp, ApiError> {
    // A `+` of an offset arrives as a space when the sender did not encode it.
    let value = if value.contains('T') { Cow::Owned(value.replace(' ', "+")) } else { Cow::Borrowed(value) };
    Timestamp::parse(&value).ok_or_else(|| invalid(name, &value, "RFC 3339 or milliseconds since 1970"))
}

pub(super) fn invalid(name: &str, value: &str, expected: &str) -> ApiError {
    ApiError::bad_request("invalid_parameter", format!("{name}={value:?} is not {expected}"))
}
