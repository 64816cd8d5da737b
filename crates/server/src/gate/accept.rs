//! From a listener to requests: connections are counted, encrypted where that was asked for, and given only so much
//! time to say what they want.

use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::http::Request;
use axum::response::Response;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::ended::Ended;
use crate::gate::audit::Audit;
use crate::gate::connections::{Abort, Bounds, Busy, Connections, Counted, Held, Watched};
use crate::gate::dispatch::Dispatch;
use crate::gate::peer::{Peer, User, Users, canonical};
use crate::gate::tls::Tls;

/// The largest head of a request: a browser's with all its cookies is a tenth of it.
const HEAD_BYTES_MAX: usize = 64 * 1024;

/// The most headers of a request.
const HEADERS_MAX: usize = 100;

/// How long to rest when the system gives no more connections.
const EXHAUSTED: Duration = Duration::from_millis(200);

/// The first byte of an encrypted connection; no HTTP request begins with it.
const TLS_HANDSHAKE: u8 = 0x16;

/// Said to a connection that is one too many.
const TOO_MANY: &str =
    r#"{"code":"too_many_connections","message":"too many connections are open already; close some"}"#;

/// Said to who speaks plain HTTP from another machine where HTTPS is served.
const USE_HTTPS: &str = r#"{"code":"https_required","message":"this monitor is served over https:// only"}"#;

/// Said while the clock shows a time that no answer can bear.
const NO_DATE: &str = r#"{"code":"impossible_date","message":"the clock of this machine stands before 1970 or after 9999; set it"}"#;

/// The first second of the year 10000: HTTP writes a year with four digits.
const DATES_END: Duration = Duration::from_secs(253_402_300_800);

/// What all listeners of a server share.
pub(crate) struct Door {
    pub dispatch: Dispatch,
    pub tls: Option<Tls>,
    pub connections: Connections,
    pub users: Users,
    /// Whether anybody is trusted for whose program he is.
    pub trusts_users: bool,
    pub audit: Audit,
    /// How long a head may take, and how long a connection may be idle.
    pub head_limit: Duration,
    /// What a client may leave unread and unfinished.
    pub bounds: Arc<Bounds>,
    pub ended: watch::Receiver<Option<Ended>>,
}

/// Serves a listener until it is to be closed and its connections are done.
pub(crate) async fn serve(listener: TcpListener, door: Arc<Door>, mut closing: watch::Receiver<bool>) {
    let mut open = JoinSet::new();
    loop {
        tokio::select! {
            // Changed once; or its sender is gone, as of a server that was dropped.
            _ = closing.changed() => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, address)) => admit(&door, stream, canonical(address), &mut open),
                Err(error) => rest(&error).await,
            },
            Some(_) = open.join_next() => {}
        }
    }
    drop(listener);
    while open.join_next().await.is_some() {}
}

/// Completes when the server ends.
async fn end(ended: &mut watch::Receiver<Option<Ended>>) {
    drop(ended.wait_for(Option::is_some).await);
}

/// A connection that broke before it was taken says nothing of the next one.
async fn rest(error: &io::Error) {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    if !matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset) {
        tracing::error!(%error, "could not take a connection");
        tokio::time::sleep(EXHAUSTED).await;
    }
}

fn admit(door: &Arc<Door>, stream: TcpStream, address: SocketAddr, open: &mut JoinSet<()>) {
    let Ok(local) = stream.local_addr().map(canonical) else { return };
    let owner = door.users.user(address, local);
    let user = if door.trusts_users { owner } else { User::Untold };
    let peer = Peer { address, is_https: false, user, owner };
    let Some(held) = door.connections.hold(peer.origin()) else {
        door.audit.refused("too_many_connections", address.ip(), "a connection");
        // Whether it can be told is not worth a wait.
        let _ = stream.try_write(answer("503 Service Unavailable", TOO_MANY).as_bytes());
        return;
    };
    // Small messages go out at once; without it they only would a little later.
    let _ = stream.set_nodelay(true);
    open.spawn(connection(door.clone(), stream, peer, local, held));
}

async fn connection(door: Arc<Door>, stream: TcpStream, peer: Peer, local: SocketAddr, held: Held) {
    let watched = held.watched();
    let work = async {
        if !has_date(SystemTime::now()) {
            return refuse_undated(&door, stream, peer).await;
        }
        let Some(tls) = &door.tls else { return http(&door, stream, peer, held).await };
        let mut first = [0];
        if !matches!(timeout(door.head_limit, stream.peek(&mut first)).await, Ok(Ok(1))) {
            return;
        }
        if first[0] == TLS_HANDSHAKE {
            match timeout(door.head_limit, tls.acceptor.accept(stream)).await {
                Ok(Ok(stream)) => http(&door, stream, Peer { is_https: true, ..peer }, held).await,
                Ok(Err(error)) => tracing::debug!(%error, address = %peer.address, "no TLS connection"),
                Err(_) => door.audit.refused("slow_handshake", peer.address.ip(), "a connection"),
            }
        } else if peer.address.ip() == local.ip() || peer.address.ip().is_loopback() {
            // What stays on this machine needs no encryption, and this user's hooks have none.
            http(&door, stream, peer, held).await;
        } else {
            door.audit.refused("https_required", peer.address.ip(), "a connection");
            let mut stream = stream;
            let _ = stream.write_all(answer("400 Bad Request", USE_HTTPS).as_bytes()).await;
        }
    };
    tokio::select! {
        () = work => {}
        () = watched.evicted() => {
            door.audit.refused("too_many_connections", peer.address.ip(), "an idle connection");
        }
    }
}

/// Answers the requests of one connection.
async fn http<S>(door: &Door, stream: S, peer: Peer, held: Held)
where
    S: AsyncRead + AsyncWrite + Abort + Unpin + Send + 'static,
{
    let watched = held.watched();
    let observed = watched.clone();
    // At work from the moment at which its head is there; what comes behind it is read before anybody looks at it.
    let service = service_fn(|request| respond(&door.dispatch, request, peer, &watched, watched.busy()));
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(door.head_limit);
    builder.max_buf_size(HEAD_BYTES_MAX).max_headers(HEADERS_MAX);
    let stream = TokioIo::new(Counted::new(stream, held, peer.address.ip(), door.bounds.clone()));
    let mut connection = std::pin::pin!(builder.serve_connection(stream, service).with_upgrades());
    let mut ended = door.ended.clone();
    let served = tokio::select! {
        served = while_dated(connection.as_mut()) => served,
        () = end(&mut ended) => {
            connection.as_mut().graceful_shutdown();
            while_dated(connection).await
        }
    };
    match served {
        Err(_) if observed.is_cut() => {}
        // Between two requests a connection may be idle, and a browser's spare one always is; its end is no fault.
        Err(error) if error.is_timeout() && (observed.has_asked() || !observed.has_heard()) => {}
        Err(error) if error.is_timeout() => {
            door.audit.refused("slow_head", peer.address.ip(), "a connection");
        }
        Err(error) if error.is_parse() => door.audit.refused("bad_head", peer.address.ip(), "a connection"),
        Err(error) => tracing::debug!(%error, address = %peer.address, "a connection broke"),
        Ok(()) => {}
    }
}

async fn respond(
    dispatch: &Dispatch,
    request: Request<Incoming>,
    peer: Peer,
    watched: &Watched,
    busy: Busy,
) -> Result<Response, Infallible> {
    Ok(busy.until_sent(dispatch.answer(request, peer, watched).await))
}

/// Says that the clock is wrong, to who has begun to ask.
async fn refuse_undated(door: &Door, mut stream: TcpStream, peer: Peer) {
    door.audit.refused("impossible_date", peer.address.ip(), "a connection");
    let mut head = [0; 1024];
    let _ = timeout(door.head_limit, stream.read(&mut head)).await;
    // Whether it can be told is not worth another wait.
    let _ = stream.try_write(answer("503 Service Unavailable", NO_DATE).as_bytes());
}

/// Goes on with a connection while the clock lets it: hyper notes the date whenever it does, and panics at one that
/// HTTP has no form for.
async fn while_dated<F, E>(mut connection: Pin<&mut F>) -> Result<(), E>
where
    F: Future<Output = Result<(), E>>,
{
    poll_fn(|context| match has_date(SystemTime::now()) {
        true => connection.as_mut().poll(context),
        false => Poll::Ready(Ok(())),
    })
    .await
}

/// Whether HTTP has a form for this time.
fn has_date(now: SystemTime) -> bool {
    now.duration_since(UNIX_EPOCH).is_ok_and(|since| since < DATES_END)
}

fn answer(status: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncache-control: no-store\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
    )
}
