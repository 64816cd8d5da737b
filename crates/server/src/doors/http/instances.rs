//! This user's servers for a page that talks to its own origin only: who they are, what each of them tells, and the
//! order to stop or restart.

use axum::Extension;
use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use protocol::instance::{Instance, LegacyServer};
use serde_json::{Value, json};
use tokio::sync::OwnedSemaphorePermit;

use super::control::authorise_order;
use super::events::invalid;
use crate::ended::Ended;
use crate::gate::error::ApiError;
use crate::gate::peer::Peer;
use crate::instances::{Answer, Call, CallError};
use crate::state::AppState;

/// Calls to other servers at a time; each holds a thread until it is answered, and a page that follows another
/// server always has one open.
pub(crate) const CALLS_MAX: usize = 64;

/// What is read from another server: everything that the dashboard shows.
const READABLE: &[&str] =
    &["health", "status", "stats", "api/events", "api/figures", "api/sessions", "api/settings"];

/// `GET /api/instances`.
pub(super) async fn list(State(app): State<AppState>) -> Result<Json<Vec<Instance>>, ApiError> {
    let all = tokio::task::spawn_blocking(move || app.all_instances()).await.unwrap_or_default();
    Ok(Json(all))
}

/// `GET /api/legacy`: claude-mpm's own servers. Asking each port takes a moment where somebody stays silent.
pub(super) async fn legacy(State(app): State<AppState>) -> Result<Json<Vec<LegacyServer>>, ApiError> {
    let permit = permit(&app)?;
    let instances = app.instances.clone();
    let found = tokio::task::spawn_blocking(move || {
        let _permit = permit;
        instances.legacy()
    });
    Ok(Json(found.await.unwrap_or_default()))
}

/// `GET /instances/{port}/…`: the answer of the server there to the same route.
pub(super) async fn read(State(app): State<AppState>, uri: Uri) -> Result<Response, ApiError> {
    let (port, route) = destination(&uri)?;
    let is_readable =
        |name: &str| route.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    if !READABLE.iter().any(|name| is_readable(name)) {
        return Err(not_relayed(&uri));
    }
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    relay(app, port, Call::Read(format!("/{route}{query}"))).await
}

/// `POST /instances/{port}/api/sessions/{id}/read`: somebody has seen that session.
pub(super) async fn tell(State(app): State<AppState>, uri: Uri) -> Result<Response, ApiError> {
    let (port, route) = destination(&uri)?;
    let session = route.strip_prefix("api/sessions/").and_then(|rest| rest.strip_suffix("/read"));
    if session.is_none_or(|session| session.is_empty() || session.contains('/')) {
        return Err(not_relayed(&uri));
    }
    relay(app, port, Call::Tell(format!("/{route}"))).await
}

/// `POST /api/instances/{port}/stop`.
pub(super) async fn stop(
    State(app): State<AppState>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    Path(port): Path<String>,
) -> Result<Json<Value>, ApiError> {
    let port = number(&port)?;
    authorise_order(&app, &peer, &headers)?;
    if port == app.port {
        app.end(Ended::Asked);
    } else {
        call(app, port, Call::Stop).await?;
    }
    Ok(Json(json!({ "stopping": true, "port": port })))
}

/// `POST /api/instances/{port}/restart`, on its port.
pub(super) async fn restart(
    State(app): State<AppState>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    Path(port): Path<String>,
) -> Result<impl IntoResponse, ApiError> {
    let port = number(&port)?;
    authorise_order(&app, &peer, &headers)?;
    if port == app.port {
        app.end(Ended::Restart { port });
    } else {
        call(app, port, Call::Restart).await?;
    }
    Ok((StatusCode::ACCEPTED, Json(json!({ "restarting": true, "port": port }))))
}

/// Port and route behind `/instances/`, as they were written: an escaped slash in an id stays escaped.
fn destination(uri: &Uri) -> Result<(u16, &str), ApiError> {
    let path = uri.path().strip_prefix("/instances/").unwrap_or_default();
    let (port, route) = path.split_once('/').unwrap_or((path, ""));
    Ok((number(port)?, route))
}

fn number(port: &str) -> Result<u16, ApiError> {
    port.parse().map_err(|_| invalid("port", port, "a port"))
}

fn not_relayed(uri: &Uri) -> ApiError {
    let message = format!("{} is not to be had from here; ask that server itself", uri.path());
    ApiError::not_found("not_relayed", message)
}

async fn relay(app: AppState, port: u16, wanted: Call) -> Result<Response, ApiError> {
    let Answer { status, body } = call(app, port, wanted).await?;
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
    Ok((status, [(header::CONTENT_TYPE, "application/json")], body).into_response())
}

fn permit(app: &AppState) -> Result<OwnedSemaphorePermit, ApiError> {
    app.calls.clone().try_acquire_owned().map_err(|_| {
        let message = format!("{CALLS_MAX} calls to other servers run already; wait a moment");
        ApiError::too_many("too_many_calls", message)
    })
}

async fn call(app: AppState, port: u16, call: Call) -> Result<Answer, ApiError> {
    let permit = permit(&app)?;
    let instances = app.instances.clone();
    let answered = tokio::task::spawn_blocking(move || {
        let _permit = permit;
        instances.call(port, call)
    });
    answered.await.unwrap_or_else(|_| Err(CallError::Failed("the call was cut off".to_owned()))).map_err(
        |error| match error {
            CallError::Unknown => {
                let message =
                    format!("no monitor of yours serves port {port}; GET /api/instances lists them");
                ApiError::not_found("unknown_instance", message)
            }
            CallError::Failed(reason) => {
                ApiError::bad_gateway("instance_failed", format!("the monitor on port {port}: {reason}"))
            }
        },
    )
}
