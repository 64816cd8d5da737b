//! How a browser logs in: by a link that is good once, or by its user with the token. What it carries from then on
//! is a signed cookie that no script and no other site can use.

use std::time::{Instant, SystemTime};

use axum::extract::rejection::FormRejection;
use axum::extract::{Extension, Query, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::{Form, Json};
use protocol::names;
use serde::Deserialize;
use serde_json::{Value, json};

use super::control::is_proven;
use crate::gate::error::{ApiError, CHALLENGE};
use crate::gate::guard::too_many_mistakes;
use crate::gate::peer::Peer;
use crate::gate::token::{CODE_LIFE, Login};
use crate::state::AppState;

/// Goes on to the dashboard from a page of ours: after a redirect of a link on another site, the browser would not
/// send the cookie yet.
const WELCOME: &str = "<!doctype html><html lang=en><meta charset=utf-8><meta http-equiv=refresh content=\"0;url=/\">\
    <title>Claude MPM monitor</title><p>You are logged in. <a href=/>Open the dashboard</a>.";

/// Where the user may type the token.
const FORM: &str = "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content=\"width=device-width\">\
    <title>Log in · Claude MPM monitor</title>\
    <style>:root{color-scheme:light dark}body{font:16px/1.5 system-ui,sans-serif;max-width:34rem;margin:15vh auto;\
    padding:0 1rem}input,button{font:inherit;padding:.4rem .6rem}input{width:100%;box-sizing:border-box;margin:.3rem 0 .8rem}\
    </style><h1>Claude MPM monitor</h1><p>This monitor can be reached from other machines, so it asks who you are. \
    On the machine where it runs, <code>claude-mpm-monitor token link</code> prints a link that logs you in.\
    <form method=post action=/login><label>Or enter the token<br><input type=password name=token required autofocus \
    autocomplete=current-password></label><button>Log in</button></form>";

#[derive(Deserialize)]
pub(super) struct Link {
    #[serde(default)]
    code: String,
}

#[derive(Deserialize)]
pub(super) struct Typed {
    #[serde(default)]
    token: String,
}

/// `GET /login?code=…`: uses the link up. Who only asks what is there (`HEAD`) is shown the form's head.
pub(super) async fn by_link(
    State(app): State<AppState>,
    method: Method,
    Extension(peer): Extension<Peer>,
    Query(Link { code }): Query<Link>,
) -> Result<Response, ApiError> {
    if !app.config.needs_token() {
        return Ok(Html(WELCOME).into_response());
    }
    if code.is_empty() || method != Method::GET {
        return Ok(page(StatusCode::OK));
    }
    match app.tokens.redeem(&code, Instant::now()) {
        Some(login) => log_in(&app, peer, login),
        None => refused(&app, peer, "bad_login_link"),
    }
}

/// `POST /login` with `token=…`, as the form sends it.
pub(super) async fn by_form(
    State(app): State<AppState>,
    Extension(peer): Extension<Peer>,
    form: Result<Form<Typed>, FormRejection>,
) -> Result<Response, ApiError> {
    let Form(Typed { token }) =
        form.map_err(|error| ApiError::bad_request("invalid_form", format!("expected token=…: {error}")))?;
    if !app.tokens.is_token(token.trim()) {
        return refused(&app, peer, "wrong_token");
    }
    log_in(&app, peer, Login::Token)
}

/// `POST /api/login-link`: a path that logs one browser in, as this server's user when it was he who asked.
pub(super) async fn new_link(
    State(app): State<AppState>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
) -> Json<Value> {
    if !app.config.needs_token() {
        return Json(json!({ "path": "/", "expires_s": null }));
    }
    let login = if is_proven(&app, &peer, &headers) { Login::User } else { Login::Token };
    let code = app.tokens.new_code(login, Instant::now());
    Json(json!({ "path": format!("{}?code={code}", names::LOGIN), "expires_s": CODE_LIFE.as_secs() }))
}

/// The page that asks for the token.
pub(crate) fn page(status: StatusCode) -> Response {
    let mut page = (status, Html(FORM)).into_response();
    if status == StatusCode::UNAUTHORIZED {
        let challenge = HeaderValue::from_static(CHALLENGE);
        page.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
    }
    page
}

/// The page again, but not without end.
fn refused(app: &AppState, peer: Peer, code: &'static str) -> Result<Response, ApiError> {
    // One mistake too many is noted where it is answered.
    app.rates.mistake(peer.origin(), Instant::now()).map_err(too_many_mistakes)?;
    app.audit.refused(code, peer.address.ip(), names::LOGIN);
    Ok(page(StatusCode::UNAUTHORIZED))
}

fn log_in(app: &AppState, peer: Peer, login: Login) -> Result<Response, ApiError> {
    let no_token =
        || ApiError::conflict("no_token", "this monitor has no token, so there is nothing to log in to");
    let cookie = app.tokens.set_cookie(login, peer.is_https, SystemTime::now()).ok_or_else(no_token)?;
    Ok(([(header::SET_COOKIE, cookie)], Html(WELCOME)).into_response())
}
