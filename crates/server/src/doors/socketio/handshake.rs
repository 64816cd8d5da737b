//! The requests of Socket.IO sessions. From the first one on a session holds memory and timers, whether its client ever
//! says more or not: sessions are counted, little of the request is kept, what the later ones take is noted, and what they
//! bring is bounded.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use axum::body::{Body, HttpBody, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use socketioxide::adapter::LocalAdapter;
use socketioxide::socket::Socket;

use super::traffic::Traffic;
use crate::gate::bodies::{Bodies, OWING_BYTES_MAX};
use crate::gate::connections::Watched;
use crate::gate::error::ApiError;
use crate::gate::guard::Proof;
use crate::gate::peer::{Origin, Peer};

/// Sessions altogether: as many as there can be connections. One that polls has none between its requests.
const SESSIONS_MAX: usize = 8192;

/// Sessions whose clients have yet to name the token, altogether and of one sender. Those that name it do so at once.
const OWING_MAX: usize = 2048;
const OWING_OF_SENDER_MAX: usize = 512;

/// Packets that may come by polling before the token is named. Each is answered, and the answers wait for a poll.
const OWING_PACKETS_MAX: usize = 64;

/// Between two packets of one body.
const SEPARATOR: u8 = 0x1e;

/// The longest name of a namespace, which a refusal repeats; the refusals wait for a poll.
const NAMESPACE_BYTES_MAX: usize = 200;

/// What is kept of the request's head: what the protocol needs, and what program it is.
const KEPT_HEADERS: &[header::HeaderName] =
    &[header::HOST, header::ORIGIN, header::UPGRADE, header::SEC_WEBSOCKET_KEY, header::USER_AGENT];
const KEPT_PARAMETERS: &[&str] = &["EIO=", "transport="];
const KEPT_BYTES_MAX: usize = 512;

/// Bytes of the answer that opens a session: its id, and what the protocol has to agree on.
const OPENING_BYTES_MAX: u64 = 16 * 1024;

/// All open sessions; clones share them.
#[derive(Clone)]
pub(crate) struct Sessions {
    open: Arc<Mutex<Open>>,
    intake: Bodies,
}

#[derive(Default)]
struct Open {
    count: usize,
    owing: HashMap<Origin, usize>,
    /// By the id that their later requests name.
    known: HashMap<String, Arc<Known>>,
}

/// What is known of a session when a later request of it comes.
struct Known {
    /// Whether its client has yet to name the token.
    owes: AtomicBool,
    /// What its client has sent meanwhile, by polling.
    owing_bytes: AtomicUsize,
    owing_packets: AtomicUsize,
    traffic: Arc<Traffic>,
}

/// One counted session. The request that opened it carries it, and lives as long as the session.
pub(super) struct Session {
    sessions: Sessions,
    origin: Origin,
    known: Arc<Known>,
    /// By which its later requests name it.
    id: OnceLock<String>,
}

impl Sessions {
    pub(crate) fn new(intake: Bodies) -> Self {
        Self { open: Arc::default(), intake }
    }

    /// `None` when there are too many.
    fn enter(&self, origin: Origin, owes: bool) -> Option<Session> {
        let mut open = self.lock();
        let owing = open.owing.values().sum::<usize>();
        let owing_of_sender = open.owing.get(&origin).copied().unwrap_or_default();
        if open.count >= SESSIONS_MAX
            || owes && (owing >= OWING_MAX || owing_of_sender >= OWING_OF_SENDER_MAX)
        {
            return None;
        }
        open.count += 1;
        if owes {
            *open.owing.entry(origin).or_default() += 1;
        }
        Some(Session {
            sessions: self.clone(),
            origin,
            known: Arc::new(Known {
                owes: AtomicBool::new(owes),
                owing_bytes: AtomicUsize::new(0),
                owing_packets: AtomicUsize::new(0),
                traffic: Arc::default(),
            }),
            id: OnceLock::new(),
        })
    }

    fn known(&self, id: &str) -> Option<Arc<Known>> {
        self.lock().known.get(id).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the answer to a request brings to the client: itself, or a WebSocket, which owes no token that was named.
    fn note_taken(&self, known: &Known, connection: Option<&Watched>, response: &Response) {
        match connection.filter(|_| response.status() == StatusCode::SWITCHING_PROTOCOLS) {
            Some(connection) => {
                // The token may be named at this moment by a request beside this one.
                let _open = self.lock();
                known.traffic.note_websocket(connection);
                known.acquit(connection);
            }
            None => known.traffic.note_polled(response.body().size_hint().lower()),
        }
    }

    /// What a client sends by polling, in one piece and within its limits.
    async fn receive(&self, known: &Known, request: Request) -> Result<Request, ApiError> {
        let (head, body) = request.into_parts();
        let owes = known.owes.load(Ordering::Relaxed);
        let bytes_max = if owes {
            OWING_BYTES_MAX.saturating_sub(known.owing_bytes.load(Ordering::Relaxed))
        } else {
            self.intake.bytes_max
        };
        let body = self.intake.read(body, bytes_max).await?;
        if body.split(|byte| *byte == SEPARATOR).any(is_of_long_namespace) {
            let message = format!("the name of a namespace has {NAMESPACE_BYTES_MAX} bytes at most");
            return Err(ApiError::bad_request("invalid_namespace", message));
        }
        if owes {
            known.owing_bytes.fetch_add(body.len(), Ordering::Relaxed);
            let packets = body.split(|byte| *byte == SEPARATOR).count();
            if known.owing_packets.fetch_add(packets, Ordering::Relaxed) + packets > OWING_PACKETS_MAX {
                let message = "name the token before you send more, or open another session";
                return Err(ApiError::too_many("too_many_packets", message));
            }
        }
        Ok(Request::from_parts(head, Body::from(body)))
    }
}

impl Known {
    /// What comes by this connection owes nothing if the session does not.
    fn acquit(&self, connection: &Watched) {
        if !self.owes.load(Ordering::Relaxed) {
            connection.owes_nothing();
        }
    }
}

/// What goes to the client of a socket, when it came by a session that is counted.
pub(super) fn traffic_of(socket: &Socket<LocalAdapter>) -> Option<Arc<Traffic>> {
    let session = socket.req_parts().extensions.get::<Arc<Session>>();
    session.map(|session| session.known.traffic.clone())
}

impl Session {
    /// Its later requests will name this id.
    fn is_known_as(&self, id: &str) {
        let id = self.id.get_or_init(|| id.to_owned());
        self.sessions.lock().known.insert(id.clone(), self.known.clone());
    }

    /// Its client has named the token.
    pub(super) fn owes_nothing(&self) {
        let mut open = self.sessions.lock();
        if self.known.owes.swap(false, Ordering::Relaxed) {
            self.known.traffic.websocket().inspect(|connection| connection.owes_nothing());
            if let Some(owing) = open.owing.get_mut(&self.origin) {
                *owing -= 1;
                if *owing == 0 {
                    open.owing.remove(&self.origin);
                }
            }
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.owes_nothing();
        let mut open = self.sessions.lock();
        open.count -= 1;
        if let Some(id) = self.id.get() {
            open.known.remove(id);
        }
    }
}

/// Counts the session that a request opens, or refuses it; notes what later ones take.
pub(crate) async fn count(State(sessions): State<Sessions>, mut request: Request, next: Next) -> Response {
    if !request.uri().path().starts_with("/socket.io") {
        return next.run(request).await;
    }
    let connection = request.extensions().get::<Watched>().cloned();
    if let Some(id) = session_id(&request) {
        let Some(known) = sessions.known(id) else { return next.run(request).await };
        connection.as_ref().inspect(|connection| known.acquit(connection));
        return match *request.method() {
            Method::GET => {
                let response = next.run(request).await;
                sessions.note_taken(&known, connection.as_ref(), &response);
                response
            }
            Method::POST => match sessions.receive(&known, request).await {
                Ok(request) => next.run(request).await,
                Err(refused) => refused.into_response(),
            },
            _ => next.run(request).await,
        };
    }
    let proof = request.extensions().get::<Proof>();
    let Some(peer) = request.extensions().get::<Peer>() else { return next.run(request).await };
    let Some(session) = sessions.enter(peer.origin(), proof != Some(&Proof::Given)) else {
        let message = "too many Socket.IO sessions are open already; close some, and come back in a minute";
        return ApiError::too_many("too_many_sessions", message).into_response();
    };
    *request.uri_mut() = little_of_address(request.uri());
    *request.headers_mut() = little_of_headers(request.headers());
    let session = Arc::new(session);
    request.extensions_mut().insert(session.clone());
    let response = next.run(request).await;
    sessions.note_taken(&session.known, connection.as_ref(), &response);
    if response.body().size_hint().upper().is_none_or(|bytes| bytes > OPENING_BYTES_MAX) {
        return response;
    }
    let (head, body) = response.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap_or_default();
    if let Some(id) = opened_id(&body) {
        session.is_known_as(id);
    }
    Response::from_parts(head, Body::from(body))
}

/// Whether a packet asks for a namespace whose name is too long.
fn is_of_long_namespace(packet: &[u8]) -> bool {
    let name = packet.strip_prefix(b"40/").unwrap_or_default();
    name.len() > NAMESPACE_BYTES_MAX && !name[..NAMESPACE_BYTES_MAX].contains(&b',')
}

/// The id of a session, by the answer to the request that opened it.
fn opened_id(body: &[u8]) -> Option<&str> {
    let (_, rest) = std::str::from_utf8(body).ok()?.split_once(r#""sid":""#)?;
    rest.split_once('"').map(|(id, _)| id)
}

/// The session that a request belongs to; none when it opens one.
fn session_id(request: &Request) -> Option<&str> {
    request.uri().query()?.split('&').find_map(|pair| pair.strip_prefix("sid="))
}

/// Copies: a part of the head would keep all of it in memory.
fn little_of_address(address: &Uri) -> Uri {
    let query = address.query().unwrap_or_default();
    let find = |name: &&str| query.split('&').find(|pair| pair.starts_with(*name));
    let kept: Vec<&str> = KEPT_PARAMETERS.iter().filter_map(find).collect();
    let kept = format!("/socket.io/?{}", kept.join("&"));
    kept.parse().unwrap_or_else(|_| Uri::from_static("/socket.io/"))
}

fn little_of_headers(headers: &HeaderMap) -> HeaderMap {
    let kept = KEPT_HEADERS.iter().filter_map(|name| {
        let value = headers.get(name)?.as_bytes();
        let value = HeaderValue::from_bytes(&value[..value.len().min(KEPT_BYTES_MAX)]).ok()?;
        Some((name.clone(), value))
    });
    kept.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    fn stranger(number: u8) -> Origin {
        Origin::V4(Ipv4Addr::new(192, 0, 2, number))
    }

    #[test]
    fn who_owes_the_token_keeps_out_neither_others_nor_who_has_it() {
        let sessions = Sessions::new(Bodies::new(1));
        let fill = |origin| std::iter::from_fn(|| sessions.enter(origin, true)).collect::<Vec<_>>();
        let first = fill(stranger(1));
        assert_eq!(first.len(), OWING_OF_SENDER_MAX);
        assert!(sessions.enter(stranger(1), false).is_some(), "the token was shown");
        let others: Vec<_> = (2..=20).flat_map(|number| fill(stranger(number))).collect();
        assert_eq!(first.len() + others.len(), OWING_MAX);
        first[0].owes_nothing();
        first[0].owes_nothing();
        assert_eq!(fill(stranger(1)).len(), 1, "one has named the token");
        drop((first, others));
        let open = sessions.lock();
        assert!(open.count == 0 && open.owing.is_empty(), "all are forgotten");
    }

    #[test]
    fn there_is_an_end_to_sessions() {
        let sessions = Sessions::new(Bodies::new(1));
        let all: Vec<_> = std::iter::from_fn(|| sessions.enter(Origin::Loopback, false)).collect();
        assert_eq!(all.len(), SESSIONS_MAX);
    }

    #[test]
    fn little_is_kept_of_the_request_and_none_of_its_memory() {
        let address = format!("/socket.io/?x={}&EIO=4&transport=polling&t=1", "x".repeat(10_000));
        let address = little_of_address(&address.parse().unwrap());
        assert_eq!(address, "/socket.io/?EIO=4&transport=polling");
        let mut headers = HeaderMap::new();
        headers.insert(header::USER_AGENT, HeaderValue::from_str(&"x".repeat(10_000)).unwrap());
        headers.insert(header::COOKIE, HeaderValue::from_static("secret"));
        let kept = little_of_headers(&headers);
        assert_eq!((kept.len(), kept[header::USER_AGENT].len()), (1, KEPT_BYTES_MAX));
    }

    #[test]
    fn a_session_is_known_by_its_id_until_it_ends() {
        let sessions = Sessions::new(Bodies::new(1));
        let session = sessions.enter(Origin::Loopback, false).expect("there is room");
        let id = opened_id(br#"0{"sid":"AAAAAH9f","upgrades":["websocket"],"pingInterval":25000}"#);
        session.is_known_as(id.expect("it has one"));
        assert!(sessions.known("AAAAAH9f").is_some() && sessions.known("other").is_none());
        drop(session);
        assert!(sessions.lock().known.is_empty());
        assert_eq!(opened_id(b"{\"code\":0}"), None, "it was not opened");
    }
}
