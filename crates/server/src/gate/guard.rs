//! Who may ask: the Host header against DNS rebinding, the Origin header against other people's pages, the token
//! against everybody whom the connection itself does not prove to be this server's user, and headers that keep our
//! own page to itself.

use std::time::{Duration, Instant, SystemTime};

use axum::Json;
use axum::http::uri::Uri;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, header};
use axum::response::{IntoResponse, Response};
use protocol::names;
use serde_json::json;

use crate::config::Config;
use crate::gate::allowed::Allowed;
use crate::gate::audit::Audit;
use crate::gate::connections::Watched;
use crate::gate::error::{ApiError, Code, OVERLOADED, TOO_LARGE};
use crate::gate::peer::{Peer, User};
use crate::gate::place::{NoPlace, Several, addressed, only};
use crate::gate::rate::{Exhausted, Rates};
use crate::gate::token::{Login, Tokens};

/// Only what the server itself delivers runs in the dashboard; it talks only to its own origin.
const CONTENT_SECURITY_POLICY: &str = "default-src 'self'; connect-src 'self'; img-src 'self' data:; \
     style-src 'self' 'unsafe-inline'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// What a page of ours never asks the browser for.
const PERMISSIONS_POLICY: &str =
    "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), serial=(), usb=()";

/// Socket.IO's own route: its clients may bring their token after the connection, as `auth` of the namespace.
const SOCKET_IO_OWN: &str = "/socket.io/";

/// What a request has proved when it reaches a door.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Proof {
    /// Everything that is needed.
    Given,
    /// Nothing yet: the namespace that it connects to asks for a token.
    Owed,
}

/// What the guard needs to know.
pub(crate) struct Guard {
    allowed: Allowed,
    /// How long a body may take.
    body_limit: Duration,
    /// How long a client may owe the token.
    patience: Duration,
    needs_token: bool,
    tokens: Tokens,
    rates: Rates,
    audit: Audit,
    /// What a person without the token gets in the browser.
    login_page: LoginPage,
}

/// The page that asks for the token, with this status.
pub(crate) type LoginPage = fn(StatusCode) -> Response;

impl Guard {
    pub(crate) fn new(
        config: &Config,
        tokens: Tokens,
        rates: Rates,
        audit: Audit,
        login_page: LoginPage,
    ) -> Self {
        Self {
            allowed: Allowed::of(config),
            body_limit: Duration::from_secs(config.request_timeout_s),
            patience: Duration::from_secs(config.connect_timeout_s),
            needs_token: config.needs_token(),
            tokens,
            rates,
            audit,
            login_page,
        }
    }

    /// Whether somebody at the other end of this connection needs a token.
    fn needs_token(&self, peer: &Peer) -> bool {
        self.needs_token || peer.user == User::Other
    }

    fn proof<B>(&self, request: &Request<B>, peer: &Peer) -> Result<Proof, ApiError> {
        let address = peer.address.ip();
        self.rates.request(peer.origin(), Instant::now()).map_err(|Exhausted(wait)| {
            let message = format!("too many requests from {address}; wait {} s", wait.as_secs() + 1);
            ApiError::too_many("too_many_requests", message)
        })?;
        let host = self.check_host(request)?;
        self.check_origin(request, host)?;
        if self.needs_token(peer) { self.check_token(request, peer) } else { Ok(Proof::Given) }
    }

    /// The name under which we are addressed, if it is one of ours.
    fn check_host<'r, B>(&self, request: &'r Request<B>) -> Result<&'r str, ApiError> {
        let host = addressed(request).map_err(|reason| match reason {
            NoPlace::Missing => ApiError::bad_request("missing_host", "the request has no Host header"),
            NoPlace::Ambiguous => ApiError::bad_request(
                "ambiguous_host",
                "the request names two hosts; send one Host header, and none but that in the first line",
            ),
        })?;
        if self.allowed.host(host) {
            return Ok(host);
        }
        let message = format!(
            "this monitor is not reachable as {host:?}; use localhost, or add the name to allowed_hosts in its \
             configuration"
        );
        Err(ApiError::forbidden("host_not_allowed", message))
    }

    fn check_origin<B>(&self, request: &Request<B>, host: &str) -> Result<(), ApiError> {
        let headers = request.headers();
        // Both headers are sent by browsers only. They name no origin where they keep the answer from the page, which
        // then could still see how long it took.
        let origin = match only(headers, &header::ORIGIN) {
            Ok(Some(origin)) => origin,
            Ok(None) if is_foreign(headers) && !is_visit(headers) => return Err(cross_site()),
            Ok(None) => return Ok(()),
            Err(Several) => "",
        };
        if self.allowed.origin(origin, host) {
            return Ok(());
        }
        let message = format!(
            "pages of {origin:?} may not call this monitor; add the origin to cors_allowed_origins in its configuration"
        );
        Err(ApiError::forbidden("origin_not_allowed", message))
    }

    fn check_token<B>(&self, request: &Request<B>, peer: &Peer) -> Result<Proof, ApiError> {
        let (headers, path) = (request.headers(), request.uri().path());
        if let Some(given) = bearer(headers) {
            return if self.tokens.is_token(given) { Ok(Proof::Given) } else { Err(self.mistaken(peer)) };
        }
        if login(&self.tokens, headers).is_some() {
            return Ok(Proof::Given);
        }
        let may_owe =
            path.starts_with(SOCKET_IO_OWN) || path == names::LOGIN || is_preflight(request.method());
        // Another user has no business here, and programs that have the token can show it at once.
        if may_owe && peer.user != User::Other {
            return Ok(Proof::Owed);
        }
        Err(if self.needs_token {
            let way_out = "send it as `Authorization: Bearer …`, or open the link that `claude-mpm-monitor token link` prints";
            ApiError::unauthorized(format!("this monitor needs its token; {way_out}"))
        } else {
            let message = "this monitor belongs to another user of this machine; start one of your own";
            ApiError::forbidden("another_user", message)
        })
    }

    fn mistaken(&self, peer: &Peer) -> ApiError {
        match self.rates.mistake(peer.origin(), Instant::now()) {
            Ok(()) => {
                ApiError::unauthorized("this is not the token of this monitor; it may have been rotated")
            }
            Err(exhausted) => too_many_mistakes(exhausted),
        }
    }
}

/// The answer to who tries tokens.
pub(crate) fn too_many_mistakes(Exhausted(wait): Exhausted) -> ApiError {
    let message = format!("too many wrong tokens; wait {} s", wait.as_secs() + 1);
    ApiError::too_many("too_many_mistakes", message)
}

/// A request that may pass, and what the headers of its answer depend on.
pub(crate) struct Passed {
    pub proof: Proof,
    peer: Peer,
    method: Method,
    uri: Uri,
    /// The page that asks, where it may read the answer.
    origin: Option<HeaderValue>,
}

impl Guard {
    /// Checks a request before anything else looks at it; the error is the answer to one that may not pass.
    pub(crate) fn check<B>(
        &self,
        request: &Request<B>,
        peer: Peer,
        connection: &Watched,
    ) -> Result<Passed, Box<Response>> {
        let proof = self.proof(request, &peer).map_err(|refused| {
            let mut response = self.refuse(refused, request, &peer);
            restrict_content(response.headers_mut());
            keep_nowhere(response.headers_mut());
            Box::new(response)
        })?;
        match proof {
            Proof::Given => connection.owes_nothing(),
            Proof::Owed => connection.owes_for(self.patience),
        }
        // It passed, so it may read the answer.
        let origin = request.headers().get(header::ORIGIN).cloned();
        Ok(Passed { proof, peer, method: request.method().clone(), uri: request.uri().clone(), origin })
    }

    /// The answer of a door, in time and with what a browser must know of it.
    pub(crate) async fn answer(&self, passed: Passed, door: impl Future<Output = Response>) -> Response {
        let Passed { peer, method, uri, origin, .. } = passed;
        let is_preflight = is_preflight(&method);
        let mut response = if is_preflight {
            StatusCode::NO_CONTENT.into_response()
        } else if method == Method::POST {
            tokio::time::timeout(self.body_limit, door).await.unwrap_or_else(|_| {
                ApiError::timeout(
                    "the request did not come whole, or could not be carried out, in time; send less at once",
                )
                .into_response()
            })
        } else {
            door.await
        };
        if let Some(code) = refusal(&response) {
            self.audit.refused(code, peer.address.ip(), &format!("{method} {}", uri.path()));
        }
        if response.status() != StatusCode::NO_CONTENT {
            restrict_content(response.headers_mut());
        }
        keep_nowhere(response.headers_mut());
        allow_origin(response.headers_mut(), origin, is_preflight);
        response
    }

    /// Says no: to a person in a browser with a page, to a probe with what a stranger may know, to others with the
    /// reason.
    fn refuse<B>(&self, refused: ApiError, request: &Request<B>, peer: &Peer) -> Response {
        let (method, path) = (request.method(), request.uri().path());
        if refused.is_unauthorized() && matches!(path, names::HEALTH) && bearer(request.headers()).is_none() {
            let health = json!({
                "status": "running", "service": names::SERVICE, "version": env!("CARGO_PKG_VERSION"),
            });
            return Json(health).into_response();
        }
        self.audit.refused(refused.code, peer.address.ip(), &format!("{method} {path}"));
        let accepts = request.headers().get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
        let is_person = *method == Method::GET && accepts.is_some_and(|accept| accept.contains("text/html"));
        if refused.is_unauthorized() && is_person && !path.starts_with("/api/") {
            return (self.login_page)(StatusCode::UNAUTHORIZED);
        }
        refused.into_response()
    }
}

/// Why a door behind the guard refused a request; a mere mistake is no refusal.
fn refusal(response: &Response) -> Option<&'static str> {
    let is_refusal = matches!(
        response.status(),
        StatusCode::UNAUTHORIZED
            | StatusCode::FORBIDDEN
            | StatusCode::REQUEST_TIMEOUT
            | StatusCode::PAYLOAD_TOO_LARGE
            | StatusCode::UNSUPPORTED_MEDIA_TYPE
            | StatusCode::TOO_MANY_REQUESTS
    );
    let code = response.extensions().get::<Code>().map(|Code(code)| *code);
    let code = code.filter(|code| is_refusal || *code == OVERLOADED);
    // Socket.IO has its own form of errors.
    code.or((response.status() == StatusCode::PAYLOAD_TOO_LARGE).then_some(TOO_LARGE))
}

/// Whether the system says that this server's user is at the other end, or a login does. Who has the token may be
/// anybody to whom it was given.
pub(crate) fn is_this_user(tokens: &Tokens, peer: &Peer, headers: &HeaderMap) -> bool {
    peer.user == User::Own || login(tokens, headers) == Some(Login::User)
}

fn login(tokens: &Tokens, headers: &HeaderMap) -> Option<Login> {
    let now = SystemTime::now();
    let mut cookies = headers.get_all(header::COOKIE).iter().filter_map(|cookies| cookies.to_str().ok());
    cookies.find_map(|cookies| tokens.login(cookies, now))
}

/// The token of an `Authorization` header, whose scheme may be written in any case.
pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn is_preflight(method: &Method) -> bool {
    *method == Method::OPTIONS
}

/// Whether a page of another origin made the browser ask.
fn is_foreign(headers: &HeaderMap) -> bool {
    matches!(headers.get("sec-fetch-site").map(HeaderValue::as_bytes), Some(b"cross-site" | b"same-site"))
}

/// Whether its user goes from there to us, in a window of his own: by a link, and not ahead of him.
fn is_visit(headers: &HeaderMap) -> bool {
    let is = |name: &str, value: &str| headers.get(name).is_some_and(|found| found == value);
    is("sec-fetch-mode", "navigate")
        && is("sec-fetch-dest", "document")
        && !headers.contains_key("sec-purpose")
}

fn cross_site() -> ApiError {
    let message = "pages of other sites may not make a browser call this monitor; they can link to it";
    ApiError::forbidden("cross_site", message)
}

/// What a browser may make of an answer's content. The answer to a stored event has none.
fn restrict_content(headers: &mut HeaderMap) {
    set(headers, header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    // To nobody else; the login form must name its origin to us, though.
    set(headers, header::REFERRER_POLICY, "same-origin");
    set(headers, header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY);
    set(headers, header::X_FRAME_OPTIONS, "DENY");
    set(headers, HeaderName::from_static("cross-origin-opener-policy"), "same-origin");
    set(headers, HeaderName::from_static("cross-origin-resource-policy"), "same-origin");
    set(headers, HeaderName::from_static("permissions-policy"), PERMISSIONS_POLICY);
}

/// What we answer is the user's; no cache keeps it, but for the dashboard's files, which say so themselves.
fn keep_nowhere(headers: &mut HeaderMap) {
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
}

fn allow_origin(headers: &mut HeaderMap, origin: Option<HeaderValue>, is_preflight: bool) {
    set(headers, header::VARY, "origin");
    if is_preflight {
        set(headers, header::ACCESS_CONTROL_ALLOW_METHODS, "GET, POST, OPTIONS");
        set(headers, header::ACCESS_CONTROL_ALLOW_HEADERS, "content-type, authorization, if-none-match");
    }
    if let Some(origin) = origin {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        // Who may read it may also use it on its page.
        headers.remove("cross-origin-resource-policy");
    }
}

fn set(headers: &mut HeaderMap, name: HeaderName, value: &'static str) {
    headers.insert(name, HeaderValue::from_static(value));
}
