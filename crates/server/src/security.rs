//! Who may ask: the Host header against DNS rebinding, the Origin header against other people's pages, and
//! headers that keep our own page to itself.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::config::Config;
use crate::http::ApiError;

/// Only what the server itself delivers runs in the dashboard; it talks only to its own origin.
const CONTENT_SECURITY_POLICY: &str = "default-src 'self'; connect-src 'self' ws: wss:; img-src 'self' data:; \
     style-src 'self' 'unsafe-inline'; object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The names under which this server may be addressed and called.
#[derive(Debug)]
pub(crate) struct Allowed {
    hosts: Vec<String>,
    origins: Vec<String>,
    any_origin: bool,
}

impl Allowed {
    pub(crate) fn of(config: &Config) -> Self {
        let mut hosts: Vec<String> = config.allowed_hosts.iter().map(|host| host.to_lowercase()).collect();
        hosts.push(config.host.to_lowercase());
        let origins =
            config.cors_allowed_origins.iter().map(|origin| origin.trim_end_matches('/').to_lowercase());
        Self {
            hosts,
            origins: origins.collect(),
            any_origin: config.cors_allowed_origins.iter().any(|o| o == "*"),
        }
    }

    /// Whether a request was addressed to us. A page of another site whose name was made to point here is
    /// known by its name.
    fn host(&self, host: &str) -> bool {
        let Ok(authority) = host.parse::<Authority>() else { return false };
        let name = authority.host().to_lowercase();
        is_loopback(&name) || self.hosts.contains(&name)
    }

    /// Whether a page of this origin may change or read things here.
    pub(crate) fn origin(&self, origin: &str) -> bool {
        if self.any_origin {
            return true;
        }
        let origin = origin.to_lowercase();
        let Some((_, authority)) = origin.split_once("://") else { return false };
        let Ok(authority) = authority.parse::<Authority>() else { return false };
        is_loopback(authority.host())
            || self.hosts.iter().any(|host| host == authority.host())
            || self.origins.contains(&origin)
    }
}

fn is_loopback(name: &str) -> bool {
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    bare == "localhost"
        || bare.ends_with(".localhost")
        || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// Checks every request before anything else looks at it.
pub(crate) async fn guard(State(allowed): State<Arc<Allowed>>, request: Request, next: Next) -> Response {
    if let Err(refused) = check(&allowed, &request) {
        tracing::debug!(code = refused.code, path = request.uri().path(), "refused");
        return refused.into_response();
    }
    let is_preflight = request.method() == Method::OPTIONS;
    let origin = request.headers().get(header::ORIGIN).filter(|origin| {
        // A foreign page may cause a read, but not see its answer.
        origin.to_str().is_ok_and(|origin| allowed.origin(origin))
    });
    let origin = origin.cloned();
    let mut response =
        if is_preflight { StatusCode::NO_CONTENT.into_response() } else { next.run(request).await };
    if response.status() != StatusCode::NO_CONTENT {
        restrict_content(response.headers_mut());
    }
    allow_origin(response.headers_mut(), origin, is_preflight);
    response
}

fn check(allowed: &Allowed, request: &Request) -> Result<(), ApiError> {
    let host = match request.headers().get(header::HOST) {
        Some(host) => host.to_str().unwrap_or_default(),
        None => request.uri().authority().map_or("", |authority| authority.as_str()),
    };
    if host.is_empty() {
        return Err(ApiError::bad_request("missing_host", "the request has no Host header"));
    }
    if !allowed.host(host) {
        let message = format!(
            "this monitor is not reachable as {host:?}; use localhost, or add the name to allowed_hosts in its \
             configuration"
        );
        return Err(ApiError::forbidden("host_not_allowed", message));
    }
    // An Origin is named by browsers only; whoever sends none is no page.
    let Some(origin) = request.headers().get(header::ORIGIN) else { return Ok(()) };
    let origin = origin.to_str().unwrap_or_default();
    if needs_origin(request) && !allowed.origin(origin) {
        let message = format!(
            "pages of {origin:?} may not call this monitor; add the origin to cors_allowed_origins in its configuration"
        );
        return Err(ApiError::forbidden("origin_not_allowed", message));
    }
    Ok(())
}

/// What a foreign page must not do: change something, or open a live connection. Reading an answer is kept
/// from it by the browser itself.
fn needs_origin(request: &Request) -> bool {
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
    !is_read
        || request.headers().contains_key(header::UPGRADE)
        || request.uri().path().starts_with("/socket.io")
}

/// What a browser may make of an answer's content. The answer to a stored event has none.
fn restrict_content(headers: &mut HeaderMap) {
    set(headers, header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(headers, header::REFERRER_POLICY, "no-referrer");
    set(headers, header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY);
}

fn allow_origin(headers: &mut HeaderMap, origin: Option<HeaderValue>, is_preflight: bool) {
    set(headers, header::VARY, "origin");
    if is_preflight {
        set(headers, header::ACCESS_CONTROL_ALLOW_METHODS, "GET, POST, OPTIONS");
        set(headers, header::ACCESS_CONTROL_ALLOW_HEADERS, "content-type, authorization, if-none-match");
    }
    if let Some(origin) = origin {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    }
}

fn set(headers: &mut HeaderMap, name: HeaderName, value: &'static str) {
    headers.insert(name, HeaderValue::from_static(value));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(host: &str, origins: &[&str]) -> Allowed {
        let cors_allowed_origins = origins.iter().map(|&origin| origin.to_owned()).collect();
        Allowed::of(&Config { host: host.to_owned(), cors_allowed_origins, ..Config::default() })
    }

    #[test]
    fn only_our_own_names_are_hosts() {
        let allowed = allowed("monitor.lan", &[]);
        for host in ["localhost:8765", "127.0.0.1", "[::1]:9", "LOCALHOST", "monitor.lan:80", "app.localhost"]
        {
            assert!(allowed.host(host), "{host}");
        }
        for host in ["evil.example", "localhost.evil.example:8765", "10.0.0.1", "", "a b"] {
            assert!(!allowed.host(host), "{host}");
        }
    }

    #[test]
    fn only_loopback_and_configured_pages_are_origins() {
        let strict = allowed("localhost", &["https://tools.example"]);
        for origin in ["http://localhost:3000", "http://127.0.0.1", "http://[::1]:5", "https://tools.example"]
        {
            assert!(strict.origin(origin), "{origin}");
        }
        for origin in
            ["null", "", "http://evil.example", "http://localhost.evil.example", "https://tools.example.evil"]
        {
            assert!(!strict.origin(origin), "{origin}");
        }
        assert!(allowed("localhost", &["*"]).origin("http://evil.example"), "the user wrote it");
    }
}
