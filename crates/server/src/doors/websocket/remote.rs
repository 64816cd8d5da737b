//! Commands for another of this user's servers: carried out there over a connection of their own, one after the
//! other, and answered here with `instance` set.

use std::collections::HashMap;
use std::time::Duration;

use axum::extract::ws::Utf8Bytes;
use axum::http::{HeaderValue, header};
use futures_util::{SinkExt, StreamExt};
use protocol::Refusal;
use serde_json::json;
use tokio::net::TcpStream;
use tokio::sync::mpsc::{self, error::TrySendError};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use super::envelope::{self, message};
use crate::state::AppState;

/// How long the other server may take to answer; it runs on this machine.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);

/// Commands of one client that wait to be carried out elsewhere.
const ORDERS_MAX: usize = 64;

/// Messages from elsewhere that wait for one client; when it does not read, the other server's connection
/// waits too and loses what the client would.
const MESSAGES_MAX: usize = 64;

/// Other instances that one client can follow at a time.
const FOLLOWED_MAX: usize = 16;

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// One client's line to other instances; ends with the value.
pub(super) struct Remote {
    orders: mpsc::Sender<Order>,
    messages: mpsc::Receiver<Utf8Bytes>,
    _worker: JoinSet<()>,
}

/// A command for another instance, as the client wrote it.
pub(super) struct Order {
    pub port: u16,
    pub text: String,
    /// The types that can answer it.
    pub answers: &'static [&'static str],
}

impl Remote {
    pub(super) fn new(app: &AppState) -> Self {
        let (orders, waiting) = mpsc::channel(ORDERS_MAX);
        let (sender, messages) = mpsc::channel(MESSAGES_MAX);
        let worker = Worker { app: app.clone(), messages: sender, followed: HashMap::new() };
        Self { orders, messages, _worker: JoinSet::from_iter([worker.run(waiting)]) }
    }

    /// Takes a command; its answer comes as a message.
    pub(super) fn give(&self, order: Order) -> Result<(), Refusal> {
        self.orders.try_send(order).map_err(|error| match error {
            TrySendError::Full(_) | TrySendError::Closed(_) => {
                let message = format!("{ORDERS_MAX} commands to other instances wait already");
                Refusal { code: "busy", message }
            }
        })
    }

    /// The next message from elsewhere.
    pub(super) async fn next(&mut self) -> Option<Utf8Bytes> {
        self.messages.recv().await
    }
}

struct Worker {
    app: AppState,
    messages: mpsc::Sender<Utf8Bytes>,
    followed: HashMap<u16, AbortHandle>,
}

impl Worker {
    async fn run(mut self, mut orders: mpsc::Receiver<Order>) {
        // Dropped with the worker, and everything that is followed with it.
        let mut following = JoinSet::new();
        while let Some(order) = orders.recv().await {
            let port = order.port;
            let answer = match self.carry_out(&order, &mut following).await {
                Ok(answer) => answer,
                Err(Refusal { code, message: reason }) => {
                    message("error", Some(port), &json!({ "code": code, "message": reason }))
                }
            };
            if self.messages.send(answer.into()).await.is_err() {
                return;
            }
        }
    }

    async fn carry_out(&mut self, order: &Order, following: &mut JoinSet<()>) -> Result<String, Refusal> {
        while following.try_join_next().is_some() {}
        self.followed.retain(|_, followed| !followed.is_finished());
        let is_subscription = order.answers.contains(&"subscribed");
        if is_subscription && self.followed.len() >= FOLLOWED_MAX && !self.followed.contains_key(&order.port)
        {
            let message = format!("at most {FOLLOWED_MAX} other instances can be followed at a time");
            return Err(Refusal { code: "too_many_instances", message });
        }
        let url = self.url(order.port).await?;
        let (socket, answer) = match timeout(ANSWER_LIMIT, ask(&url, self.app.tokens.own(), order)).await {
            Ok(Ok(answered)) => answered,
            Ok(Err(reason)) => return Err(unreachable(order.port, &reason)),
            Err(_) => return Err(unreachable(order.port, "it does not answer")),
        };
        if is_subscription {
            let follow = following.spawn(follow(socket, order.port, self.messages.clone()));
            if let Some(before) = self.followed.insert(order.port, follow) {
                before.abort();
            }
        }
        Ok(answer)
    }

    /// Where the door of another of this user's servers is.
    async fn url(&self, port: u16) -> Result<String, Refusal> {
        let instances = self.app.instances.clone();
        let all = tokio::task::spawn_blocking(move || instances.list()).await.unwrap_or_default();
        let found = all.into_iter().find(|instance| instance.port == port);
        let instance = found.ok_or_else(|| {
            let message = format!("no monitor of yours serves port {port}; GET /api/instances lists them");
            Refusal { code: "unknown_instance", message }
        })?;
        Ok(format!("{}/ws", ws(&instance.url)))
    }
}

/// On this machine a server of ours needs no encryption, also where it offers it.
fn ws(url: &str) -> String {
    let address = url.trim_start_matches("https://").trim_start_matches("http://");
    format!("ws://{address}")
}

fn unreachable(port: u16, reason: &str) -> Refusal {
    Refusal { code: "instance_unreachable", message: format!("the monitor on port {port}: {reason}") }
}

/// Connects, sends the command and waits for its answer. What comes before is not meant for our client.
async fn ask(url: &str, token: Option<String>, order: &Order) -> Result<(Socket, String), String> {
    let mut request = url.into_client_request().map_err(|error| error.to_string())?;
    if let Some(token) = token {
        let bearer = HeaderValue::try_from(format!("Bearer {token}")).map_err(|error| error.to_string())?;
        request.headers_mut().insert(header::AUTHORIZATION, bearer);
    }
    let (mut socket, _) = connect_async(request).await.map_err(|error| error.to_string())?;
    socket.send(Message::text(&order.text)).await.map_err(|error| error.to_string())?;
    while let Some(frame) = socket.next().await {
        let frame = frame.map_err(|error| error.to_string())?;
        let Message::Text(text) = frame else { continue };
        if let Some(answer) = marked(&text, order.port, |r#type| order.answers.contains(&r#type)) {
            return Ok((socket, answer));
        }
    }
    Err("it closed the connection".to_owned())
}

/// Passes everything on until either side goes.
async fn follow(mut socket: Socket, port: u16, messages: mpsc::Sender<Utf8Bytes>) {
    while let Some(Ok(frame)) = socket.next().await {
        let Message::Text(text) = frame else { continue };
        if let Some(text) = marked(&text, port, |_| true)
            && messages.send(text.into()).await.is_err()
        {
            return;
        }
    }
    let gone = json!({ "code": "instance_gone", "message": format!("the monitor on port {port} is gone") });
    // Our own client may be gone as well.
    let _ = messages.send(message("error", Some(port), &gone).into()).await;
}

/// A message of a wanted type, with the instance that it comes from.
fn marked(text: &str, port: u16, wanted: impl Fn(&str) -> bool) -> Option<String> {
    let mut envelope = envelope::parse(text)?;
    envelope.instance = Some(port);
    wanted(&envelope.r#type).then(|| envelope.encode())
}
