//! The namespace `/stream`: a snapshot, then batches of rows in order, with counted gaps for who is too slow.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use protocol::session::SessionCounts;
use protocol::stream::{Filter, Snapshot, Subscribe};
use protocol::{Seq, Timestamp, names};
use serde::Serialize;
use serde_json::json;
use serde_json::value::RawValue;
use socketioxide::SocketIo;
use socketioxide::extract::{SocketRef, State};
use socketioxide::handler::ConnectHandler;
use socketioxide::socket::DisconnectReason;

use super::args::Args;
use super::feed::{self, Outlet};
use super::reply::Ack;
use super::{access, entrance, turns};
use crate::doors::clients::{Client, Transport};
use crate::record::hub::{ChangedSession, Delivery, Subscriber};
use crate::record::store::{Page, Query, StoreError};
use crate::state::AppState;

/// Rows of a snapshot when nobody says.
const SNAPSHOT_DEFAULT: usize = 500;

/// Sessions of a snapshot.
const SNAPSHOT_SESSIONS: usize = 200;

/// And of those that wait for their user.
const SNAPSHOT_URGENT: usize = 100;

/// At most so many rows in one batch; a client that catches up gets several. Each client has batches of its own on their
/// way, so this and what it has not read are most of what a hundred of them need in a flood.
const BATCH_ROWS_MAX: usize = 200;

/// Bytes on their way to a client that does not take them. The next batch is then there before it has read these.
const UNREAD_BYTES_MAX: u64 = 64 * 1024;

/// Between two batches, and half of it after a full one: at most 20 or 40 a second, and a burst becomes few.
const COALESCE: Duration = Duration::from_millis(50);

/// How long a client that has to catch up is not told of sessions at most: each batch with them costs half as much again.
const SESSIONS_PATIENCE: Duration = Duration::from_millis(250);

/// A [`Batch`](protocol::stream::Batch) whose rows are encoded already.
#[derive(Serialize)]
struct EncodedBatch<'a> {
    rows: Vec<&'a RawValue>,
}

/// A [`SessionsChanged`](protocol::stream::SessionsChanged) whose sessions are encoded already.
#[derive(Serialize)]
struct EncodedSessions<'a> {
    changed: Vec<&'a RawValue>,
    counts: SessionCounts,
}

/// Opens the namespace.
pub(super) fn open(io: &SocketIo) {
    io.ns(names::STREAM, connect.with(listen).with(access::authenticate));
}

/// Before a client is told that it is connected: it may subscribe at once.
async fn listen(socket: SocketRef) -> Result<(), Infallible> {
    entrance::join(&socket);
    turns::join(&socket);
    entrance::on(&socket, "subscribe", subscribe);
    socket.on_disconnect(disconnect);
    Ok(())
}

async fn connect(socket: SocketRef, State(app): State<AppState>) {
    entrance::open(&socket);
    let connected_at = Timestamp::from_system(SystemTime::now());
    let client = Client::of(socket.req_parts(), Transport::SocketIo(socket.clone()), connected_at);
    super::list(client, &client_id(&socket), &socket, &app);
}

async fn disconnect(socket: SocketRef, State(app): State<AppState>, reason: DisconnectReason) {
    app.clients.left(&client_id(&socket), super::trouble(reason));
    feed::stop(&socket);
}

/// A connection can be in both namespaces under one id.
fn client_id(socket: &SocketRef) -> String {
    format!("{}{}", socket.id, names::STREAM)
}

async fn subscribe(socket: SocketRef, args: Args, ack: Ack, State(app): State<AppState>) {
    let Some(mut turn) = turns::take_large(&socket, &ack).await else { return };
    feed::stop(&socket);
    let request: Subscribe = match args.strict() {
        Ok(request) => request,
        Err(error) => return refuse(&ack, "invalid_subscription", &error.to_string()),
    };
    // First the position, then the snapshot up to it, then everything after it: nothing between, nothing twice.
    let position = app.hub.latest();
    let subscriber = app.hub.subscribe(position);
    match snapshot(&app, &request, position).await {
        Ok(snapshot) => {
            if turn.answer(&[], &ack, &snapshot).await.is_none() {
                return;
            }
            let filter = request.filter.unwrap_or_default();
            feed::start(&socket, &app, run(socket.clone(), app.clone(), subscriber, filter));
        }
        Err(error) => refuse(&ack, error.code(), &error.to_string()),
    }
}

fn refuse(ack: &Ack, code: &str, message: &str) {
    ack.send(&json!({ "error": { "code": code, "message": message } }));
}

async fn snapshot(app: &AppState, request: &Subscribe, position: Seq) -> Result<Snapshot, StoreError> {
    let filter = request.filter.clone().unwrap_or_default();
    let query = Query {
        after: request.after,
        before: Some(Seq(position.0 + 1)),
        limit: request.limit.unwrap_or(SNAPSHOT_DEFAULT),
        session: filter.session,
        project: filter.project,
        kinds: filter.kinds,
        tool: filter.tool,
        agent: filter.agent,
        error: filter.error,
        ..Query::default()
    };
    let read = move |store: &crate::record::store::Store| {
        let sessions = store.sessions_to_watch(SNAPSHOT_SESSIONS, SNAPSHOT_URGENT)?;
        Ok((store.page(&query)?, sessions, store.session_counts()))
    };
    let (Page { events, has_more }, sessions, counts) = app.read(read).await?;
    Ok(Snapshot {
        epoch: app.store.epoch().to_owned(),
        server_version: env!("CARGO_PKG_VERSION").to_owned(),
        last_seq: position,
        snapshot: events.into_iter().map(|(row, _)| row).collect(),
        sessions,
        counts,
        has_more,
    })
}

/// Sends what comes, as fast as this client takes it and no faster than the batches allow.
async fn run(socket: SocketRef, app: AppState, mut subscriber: Subscriber, filter: Filter) {
    let mut outlet = Outlet::of(socket, UNREAD_BYTES_MAX);
    let mut told_sessions_at = Instant::now();
    while let Some(delivery) = outlet.next_change(&mut subscriber, BATCH_ROWS_MAX, &app).await {
        if send_rows(&mut outlet, &delivery, &filter).await.is_none() {
            return;
        }
        // Who has to catch up gains nothing by waiting for more, nor by what will have changed again in a moment.
        let is_behind = delivery.events.len() == BATCH_ROWS_MAX;
        if !is_behind || told_sessions_at.elapsed() >= SESSIONS_PATIENCE {
            if send_sessions(&mut outlet, &subscriber.changed(), &app).await.is_none() {
                return;
            }
            told_sessions_at = Instant::now();
        }
        tokio::time::sleep(if is_behind { COALESCE / 2 } else { COALESCE }).await;
    }
}

/// One batch of each kind. `None` when the client is gone.
async fn send_rows(outlet: &mut Outlet, delivery: &Delivery, filter: &Filter) -> Option<()> {
    for (name, events) in [("events", &delivery.events), ("unstored", &delivery.unstored)] {
        let wanted =
            events.iter().filter(|event| event.row.duplicate_of.is_none() && filter.matches(&event.row));
        let rows: Vec<&RawValue> = wanted.map(|event| event.encoded_row()).collect();
        if !rows.is_empty() {
            let bytes = rows.iter().map(|row| row.get().len()).sum();
            outlet.send(name, &EncodedBatch { rows }, bytes).await?;
        }
    }
    Some(())
}

/// The sessions that changed, if any. `None` when the client is gone.
async fn send_sessions(outlet: &mut Outlet, changed: &[Arc<ChangedSession>], app: &AppState) -> Option<()> {
    if changed.is_empty() {
        return Some(());
    }
    let changed: Vec<&RawValue> = changed.iter().map(|session| session.encoded()).collect();
    let bytes = changed.iter().map(|session| session.get().len()).sum();
    outlet
        .send("sessions", &EncodedSessions { changed, counts: app.store.session_counts_so_far() }, bytes)
        .await
}
