//! The namespace `/`: what claude-mpm's clients emit, and what they are answered.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::time::{Duration, SystemTime};

use protocol::{Seq, Source, Timestamp, names};
use serde_json::value::RawValue;
use serde_json::{Value, json, to_value};
use socketioxide::SocketIo;
use socketioxide::extract::{Event, SocketRef, State, TryData};
use socketioxide::handler::ConnectHandler;
use socketioxide::socket::DisconnectReason;
use tokio::time::MissedTickBehavior;

use super::args::Args;
use super::entrance::{self, on};
use super::feed::Outlet;
use super::reply::{Ack, answer, emit, told};
use super::{access, feed, history, live, replay, turns};
use crate::doors::clients::{Client, Transport, short};
use crate::doors::compatibility;
use crate::intake::ingest::Rejected;
use crate::record::hub::to_raw;
use crate::record::store::Query;
use crate::state::AppState;

/// How many events a client gets when it connects.
const HISTORY_ON_CONNECT: usize = 50;

/// The largest notice that everybody gets as a client wrote it; of a larger one they get the session.
const NOTICE_BYTES_MAX: usize = 4096;

/// The reference's heartbeat.
const HEARTBEAT: Duration = Duration::from_secs(180);

/// Emits that the reference answers by reading files of this machine. We do not: design, not omission.
const NOT_OFFERED: &[(&str, &str)] = &[
    ("read_file", "file_content_response"),
    ("get_git_branch", "git_branch_response"),
    ("check_file_tracked", "file_tracked_response"),
    ("check_git_status", "git_status_response"),
    ("git_add_file", "git_add_response"),
];

/// Opens the namespace.
pub(super) fn open(io: &SocketIo, app: &AppState) {
    io.ns("/", connect.with(listen).with(access::authenticate));
    let io = io.clone();
    let mut ended = app.ended.subscribe();
    tokio::spawn(async move {
        tokio::select! {
            () = heartbeat(io) => {}
            _ = ended.wait_for(Option::is_some) => {}
        }
    });
}

/// The table of everything a client can emit, before it is told that it is connected: it may emit at once.
async fn listen(socket: SocketRef) -> Result<(), Infallible> {
    entrance::join(&socket);
    live::join(&socket);
    turns::join(&socket);
    on(&socket, "claude_event", take_event);
    on(&socket, "hook:ingest", take_hook);
    on(&socket, "ping", ping);
    on(&socket, "dashboard:ping", dashboard_ping);
    on(&socket, "get_version", get_version);
    on(&socket, "get_status", get_status);
    on(&socket, "request.status", get_status);
    on(&socket, "dashboard:status", dashboard_status);
    on(&socket, "dashboard:info", dashboard_info);
    on(&socket, "get_history", history::get_history);
    on(&socket, "request_history", history::get_history);
    on(&socket, "hook:history:get", history::hook_history);
    on(&socket, "subscribe", subscribe);
    on(&socket, "client:register", register);
    on(&socket, "client:list", list_clients);
    on(&socket, "hook:session:start", session_start);
    on(&socket, "hook:session:end", session_end);
    on(&socket, "hook:sessions:list", list_sessions);
    on(&socket, "hook:session:info", session_info);
    on(&socket, "hook:replay:start", replay::start);
    on(&socket, "pong", async |_: Ack| {});
    entrance::on_fallback(&socket, not_offered);
    socket.on_disconnect(disconnect);
    Ok(())
}

async fn connect(
    socket: SocketRef,
    TryData(auth): TryData<Value>,
    io: SocketIo,
    State(app): State<AppState>,
) {
    entrance::open(&socket);
    let auth = auth.unwrap_or_default();
    let version = auth["claude_mpm_version"].as_str().map(short);
    let client = Client {
        name: auth["client_id"].as_str().map(str::to_owned),
        version: version.clone(),
        ..Client::of(socket.req_parts(), Transport::SocketIo(socket.clone()), now())
    };
    if !super::list(client, socket.id.as_str(), &socket, &app) {
        return;
    }
    greet(&socket, &app, &version.unwrap_or_else(|| "unknown".to_owned()));
    // History up to a position, then everything after it: nothing between, nothing twice.
    let position = app.hub.latest();
    let query = Query {
        before: Some(Seq(position.0 + 1)),
        limit: HISTORY_ON_CONNECT.min(app.config.history_max),
        ..Query::default()
    };
    let history = to_raw(&history::read(&app, query).await);
    let mut outlet = Outlet::of(socket.clone(), turns::UNREAD_BYTES_MAX);
    for name in ["event_history", "history"] {
        if outlet.send_encoded(name, &history).await.is_none() {
            return;
        }
    }
    live::start(&socket, &app, position);
    count_changed(&io, &app).await;
}

fn greet(socket: &SocketRef, app: &AppState, version: &str) {
    let health = app.health();
    let min = &app.config.client_version_min;
    let compatibility = compatibility::answer(version, min);
    emit(
        socket,
        "connection_ack",
        &json!({
            "server_version": health.version,
            "server_id": health.server_id,
            "compatibility": compatibility,
            "timestamp": health.timestamp,
        }),
    );
    if !compatibility::is_compatible(version, min) {
        emit(socket, "compatibility_warning", &compatibility);
    }
    emit(
        socket,
        "server_status",
        &json!({
            "server_version": health.version,
            "server_id": health.server_id,
            "uptime": health.uptime_seconds,
            "clients_connected": health.clients_connected,
            "events_processed": health.health_stats.events_processed,
            "timestamp": health.timestamp,
        }),
    );
    emit(socket, "status", &to_value(&health).unwrap_or_default());
    let welcome = json!({
        "message": "Connected to Claude MPM Unified Monitor",
        "session_id": socket.id,
        "client_id": socket.id,
        "server_time": health.timestamp,
        "server_info": { "service": "unified-monitor", "version": health.version },
    });
    emit(socket, "welcome", &welcome);
    emit(socket, "dashboard:welcome", &welcome);
}

async fn disconnect(socket: SocketRef, io: SocketIo, State(app): State<AppState>, reason: DisconnectReason) {
    app.clients.left(socket.id.as_str(), super::trouble(reason));
    feed::stop(&socket);
    replay::stop(&socket);
    count_changed(&io, &app).await;
}

async fn count_changed(io: &SocketIo, app: &AppState) {
    let count = json!({ "count": app.clients.count() });
    if let Some(everybody) = io.of("/") {
        let _ = everybody.emit("dashboard:client:count", &count).await;
    }
}

/// The event joins the queue at the call, before the client's next emit is looked at; only the answer waits.
#[allow(clippy::needless_pass_by_value, reason = "an extractor is handed over by value")]
fn take_event(
    socket: SocketRef,
    args: Args,
    ack: Ack,
    State(app): State<AppState>,
) -> impl Future<Output = ()> + Send {
    let taking = take(socket, args.first(), ack, &app);
    async move {
        taking.await;
    }
}

/// A hook's data without type and time is refused; otherwise as above.
#[allow(clippy::needless_pass_by_value, reason = "an extractor is handed over by value")]
fn take_hook(
    socket: SocketRef,
    args: Args,
    ack: Ack,
    State(app): State<AppState>,
) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    let event: Value = args.parsed();
    if event["type"].is_null() || event["timestamp"].is_null() {
        let error = json!({ "error": "Invalid hook data format", "code": "invalid_hook" });
        return Box::pin(async move { answer(&socket, &ack, "hook:error", &error) });
    }
    let taking = take(socket, args.first(), ack, &app);
    Box::pin(async move {
        taking.await;
    })
}

/// Whether it was stored.
fn take(
    socket: SocketRef,
    raw: &RawValue,
    ack: Ack,
    app: &AppState,
) -> impl Future<Output = bool> + Send + use<> {
    let taking = app.ingest.take_one(raw, Source::Socketio);
    async move {
        let taken = taking.await;
        let is_stored = taken.is_ok();
        let answer = match taken {
            Ok(seq) => json!({ "seq": seq }),
            Err(rejected) => {
                let (code, message) = reason(&rejected);
                emit(&socket, "hook:error", &json!({ "error": message, "code": code }));
                json!({ "error": { "code": code, "message": message } })
            }
        };
        // The client may be gone, or may not have asked for an answer.
        ack.send(&answer);
        is_stored
    }
}

fn reason(rejected: &Rejected) -> (&'static str, String) {
    match rejected {
        Rejected::Refused(refusal) => (refusal.code, refusal.message.clone()),
        Rejected::Store(error) => ("store_failed", error.to_string()),
    }
}

async fn ping(socket: SocketRef, ack: Ack, State(app): State<AppState>) {
    answer(&socket, &ack, "pong", &json!({ "timestamp": now().rfc3339(), "server_id": &*app.id }));
}

async fn dashboard_ping(socket: SocketRef, args: Args, ack: Ack) {
    let sent: Value = args.parsed();
    let pong = json!({ "timestamp": told(&sent["timestamp"]), "server_time": now().rfc3339() });
    answer(&socket, &ack, "dashboard:pong", &pong);
}

async fn get_version(socket: SocketRef, ack: Ack, State(app): State<AppState>) {
    answer(
        &socket,
        &ack,
        "version_info",
        &compatibility::version_info(&app.id, &app.config.client_version_min),
    );
}

async fn get_status(socket: SocketRef, ack: Ack, State(app): State<AppState>) {
    answer(&socket, &ack, "status", &to_value(app.health()).unwrap_or_default());
}

async fn dashboard_status(socket: SocketRef, ack: Ack, State(app): State<AppState>) {
    let health = app.health();
    let status = json!({
        "service": "unified-monitor",
        "status": health.status,
        "clients_connected": health.clients_connected,
        "uptime": health.uptime_seconds,
        "features": {
            "code_analysis": false, "real_ast": false, "file_monitoring": false, "dashboard": true,
        },
    });
    answer(&socket, &ack, "dashboard:status:response", &status);
}

async fn dashboard_info(socket: SocketRef, ack: Ack, State(app): State<AppState>) {
    let info = json!({
        "service_name": names::SERVICE,
        "description": "Shows live what Claude Code does, and keeps it",
        "features": ["events", "history", "search"],
        "endpoints": { "dashboard": app.url(), "health": names::HEALTH, "api": names::EVENTS },
        "events": { "code_analysis": [], "dashboard": ["claude_event", "event_history", "heartbeat"] },
    });
    answer(&socket, &ack, "dashboard:info:response", &info);
}

async fn subscribe(socket: SocketRef, args: Args, ack: Ack) {
    let request: Value = args.parsed();
    let channels: Vec<String> = match &request["channels"] {
        Value::Array(all) => all.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        Value::String(one) => vec![one.clone()],
        _ => vec!["*".to_owned()],
    };
    let channels = live::subscribe(&socket, channels);
    answer(&socket, &ack, "subscribed", &json!({ "channels": channels }));
}

async fn register(socket: SocketRef, args: Args, ack: Ack, State(app): State<AppState>) {
    let request: Value = args.parsed();
    app.clients.register(socket.id.as_str(), request["name"].as_str(), request["type"].as_str());
    let (name, kind) = (told(&request["name"]), told(&request["type"]));
    let registered = json!({ "name": name, "type": kind, "session_id": socket.id });
    answer(&socket, &ack, "client:registered", &registered);
}

async fn list_clients(socket: SocketRef, ack: Ack, State(app): State<AppState>) {
    let Some(mut turn) = turns::take_large(&socket, &ack).await else { return };
    let clients: Vec<Value> = app
        .clients
        .all()
        .into_iter()
        .map(|(id, client)| {
            json!({
                "session_id": id,
                "registered": client.name.is_some(),
                "name": client.name,
                "type": client.kind,
                "connected_at": client.connected_at.rfc3339(),
            })
        })
        .collect();
    let list = json!({ "total": clients.len(), "clients": clients });
    turn.answer(&["client:list:response"], &ack, &list).await;
}

async fn session_start(socket: SocketRef, args: Args, ack: Ack, io: SocketIo, State(app): State<AppState>) {
    session_marker(socket, &args, ack, io, &app, ["session.started", "hook:session:started"]).await;
}

async fn session_end(socket: SocketRef, args: Args, ack: Ack, io: SocketIo, State(app): State<AppState>) {
    session_marker(socket, &args, ack, io, &app, ["session.ended", "hook:session:ended"]).await;
}

/// A client says that a session starts or ends: an event like any other and, when it is stored, a notice to everybody.
async fn session_marker(
    socket: SocketRef,
    args: &Args,
    ack: Ack,
    io: SocketIo,
    app: &AppState,
    [kind, notice]: [&str; 2],
) {
    let request: Value = args.parsed();
    let Some(session_id) = request["session_id"].as_str() else {
        let error = json!({ "error": "session_id is required", "code": "missing_session" });
        return answer(&socket, &ack, "hook:error", &error);
    };
    let body = json!({ "type": kind, "session_id": session_id, "data": request });
    let Ok(event) = RawValue::from_string(body.to_string()) else { return };
    let is_stored = take(socket, &event, ack, app).await;
    if let Some(everybody) = io.of("/").filter(|_| is_stored) {
        let is_small = args.first().get().len() <= NOTICE_BYTES_MAX;
        let about = if is_small { request } else { json!({ "session_id": short(session_id) }) };
        let _ = everybody.emit(notice, &about).await;
    }
}

async fn list_sessions(socket: SocketRef, ack: Ack, State(app): State<AppState>) {
    let Some(mut turn) = turns::take_large(&socket, &ack).await else { return };
    let limit = app.config.history_max;
    let sessions = app.read(move |store| store.sessions(limit, &[])).await.unwrap_or_default();
    let list = json!({ "total": sessions.len(), "sessions": sessions });
    turn.answer(&["hook:sessions:response"], &ack, &list).await;
}

async fn session_info(socket: SocketRef, args: Args, ack: Ack, State(app): State<AppState>) {
    let Some(_turn) = turns::take(&socket, &ack) else { return };
    let request: Value = args.parsed();
    let id = request["session_id"].as_str().unwrap_or_default().to_owned();
    let wanted = id.clone();
    match app.read(move |store| store.session(&wanted)).await {
        Ok(Some(session)) => {
            answer(&socket, &ack, "hook:session:info:response", &to_value(session).unwrap_or_default());
        }
        _ => answer(
            &socket,
            &ack,
            "hook:error",
            &json!({ "error": format!("Session not found: {}", short(&id)) }),
        ),
    }
}

/// What we do not offer is said; what nobody knows is acknowledged as such and otherwise ignored.
async fn not_offered(socket: SocketRef, Event(name): Event, ack: Ack) {
    let error = "this monitor does not read files or run analyses for its viewers";
    if let Some((_, response)) = NOT_OFFERED.iter().find(|(known, _)| *known == name) {
        answer(&socket, &ack, response, &json!({ "success": false, "error": error }));
    } else if name.starts_with("code:") {
        answer(&socket, &ack, "code:error", &json!({ "success": false, "error": error }));
    } else {
        let message = format!("there is no event {:?}", short(&name));
        ack.send(&json!({ "error": { "code": "unknown_event", "message": message } }));
    }
}

async fn heartbeat(io: SocketIo) {
    let mut tick = tokio::time::interval_at(tokio::time::Instant::now() + HEARTBEAT, HEARTBEAT);
    tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
    for number in 1u64.. {
        tick.tick().await;
        let Some(everybody) = io.of("/") else { return };
        let sockets = everybody.clone().sockets().len();
        let beat = json!({
            "type": "heartbeat",
            "timestamp": now().rfc3339(),
            "connected_clients": sockets,
            "heartbeat_number": number,
            "service": "unified-monitor",
            "message": "the monitor is alive",
        });
        let _ = everybody.emit("heartbeat", &beat).await;
    }
}

fn now() -> Timestamp {
    Timestamp::from_system(SystemTime::now())
}
