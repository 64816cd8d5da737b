//! One connection: a task that reads its own socket, awaits its own writes, and follows the hub at its own pace.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, close_code};
use futures_util::SinkExt;
use protocol::{Refusal, Seq, Source};
use serde::Serialize;
use serde_json::json;
use tokio::sync::watch;
use tokio::time::{Instant, Interval, MissedTickBehavior, sleep_until, timeout};
use tokio_tungstenite::tungstenite;
use tokio_tungstenite::tungstenite::error::ProtocolError;

use super::channels::Channels;
use super::command::{Command, Request, parse};
use super::envelope::message;
use super::remote::{Order, Remote};
use super::shared::{Open, Stage, Status};
use super::{encoded, history, status};
use crate::doors::clients::Client;
use crate::ended::Ended;
use crate::gate::connections::Cut;
use crate::intake::ingest::Rejected;
use crate::record::hub::{Delivery, Published, Subscriber};
use crate::state::AppState;

/// Events taken from the hub at once.
const BATCH_EVENTS: usize = 256;

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
enum Gone {
    #[error("the client left")]
    Left,
    #[error("the client did not answer a ping")]
    Silent,
    #[error("the client does not read")]
    Stuck,
    #[error("a message was larger than this monitor takes")]
    TooLarge,
    #[error("too much was on its way at a time, and this client had the largest part of it")]
    GivenUp,
    #[error("the connection broke: {0}")]
    Broken(axum::Error),
    #[error("the token is another one now")]
    Rotated,
    #[error("the server ends")]
    Ended,
}

/// Speaks with one client until it goes or the server ends.
pub(super) async fn serve(socket: WebSocket, client: Client, has_token: bool, app: AppState) {
    let mut stage = app.websockets.stage();
    let mut rotations = app.tokens.rotations();
    let mut connection = Connection::new(socket, client, app);
    let gone = tokio::select! {
        gone = connection.run() => gone,
        // Whoever came in with the old token comes back with the new one, or not at all.
        Ok(()) = rotations.changed(), if has_token => Gone::Rotated,
        // Whoever still does not read then is not waited for.
        () = reached(&mut stage, |stage| stage == Stage::Cut) => Gone::Ended,
    };
    tracing::debug!(client = connection.presence.id, %gone, "a WebSocket client is gone");
    let is_trouble =
        matches!(gone, Gone::Silent | Gone::Stuck | Gone::TooLarge | Gone::GivenUp | Gone::Broken(_));
    connection.presence.trouble = is_trouble.then(|| gone.to_string());
}

async fn reached(stage: &mut watch::Receiver<Stage>, wanted: impl Fn(Stage) -> bool) {
    if stage.wait_for(|stage| wanted(*stage)).await.is_err() {
        // The sender is gone only when everything is.
        std::future::pending::<()>().await;
    }
}

/// Counted and listed as long as it exists.
struct Presence {
    app: AppState,
    id: String,
    /// Why it ends, when the client does not simply go.
    trouble: Option<String>,
    _open: Open,
}

impl Presence {
    fn new(client: Client, app: AppState) -> Self {
        let id = format!("websocket-{}", uuid::Uuid::new_v4().simple());
        let open = app.websockets.enter();
        app.clients.joined(&id, client);
        Self { app, id, trouble: None, _open: open }
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        self.app.clients.left(&self.id, self.trouble.as_deref());
    }
}

struct Connection {
    socket: WebSocket,
    app: AppState,
    channels: Channels,
    subscriber: Subscriber,
    /// The position up to which this client was served.
    position: Seq,
    /// What it was last told of the status.
    told: Option<Status>,
    /// Whether it was told that events cannot be stored.
    in_trouble: bool,
    /// Its commands to other instances.
    remote: Remote,
    ping: Interval,
    /// Since when it owes an answer to a ping.
    silent_since: Option<Instant>,
    /// How long it may be silent, or not read.
    patience: Duration,
    presence: Presence,
}

impl Connection {
    fn new(socket: WebSocket, client: Client, app: AppState) -> Self {
        let position = app.hub.latest();
        let interval = Duration::from_secs(app.config.ping_interval_s);
        let mut ping = tokio::time::interval_at(Instant::now() + interval, interval);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            socket,
            channels: Channels::default(),
            subscriber: app.hub.subscribe(position),
            position,
            told: None,
            in_trouble: false,
            remote: Remote::new(&app),
            ping,
            silent_since: None,
            patience: Duration::from_secs(app.config.ping_timeout_s),
            presence: Presence::new(client, app.clone()),
            app,
        }
    }

    async fn run(&mut self) -> Gone {
        let result = self.serve().await;
        let gone = result.err().unwrap_or(Gone::Ended);
        let told = match gone {
            Gone::TooLarge => Some((close_code::SIZE, "send events one by one")),
            Gone::GivenUp => Some((close_code::AGAIN, "too much is on its way; send it again in a moment")),
            _ => None,
        };
        if let Some((code, reason)) = told {
            // It may be too busy sending to read this.
            let _ = self.send(Message::Close(Some(CloseFrame { code, reason: reason.into() }))).await;
        }
        gone
    }

    async fn serve(&mut self) -> Result<(), Gone> {
        let mut stage = self.app.websockets.stage();
        let mut status = self.app.websockets.status().subscribe();
        self.tell_status(None).await?;
        loop {
            let silence_ends = self.silent_since.map(|since| since + self.patience);
            tokio::select! {
                () = reached(&mut stage, |stage| stage != Stage::Open) => return self.farewell().await,
                frame = self.socket.recv() => self.receive(frame).await?,
                delivery = self.subscriber.next(BATCH_EVENTS) => self.deliver(delivery.ok_or(Gone::Ended)?).await?,
                Some(text) = self.remote.next() => self.send(Message::Text(text)).await?,
                Ok(()) = status.changed() => self.tell_change().await?,
                _ = self.ping.tick() => self.ping().await?,
                () = sleep_until(silence_ends.unwrap_or_else(Instant::now)), if silence_ends.is_some() => {
                    return Err(Gone::Silent);
                }
            }
        }
    }

    async fn receive(&mut self, frame: Option<Result<Message, axum::Error>>) -> Result<(), Gone> {
        self.silent_since = None;
        match frame.ok_or(Gone::Left)?.map_err(broken)? {
            Message::Text(text) => self.command(text).await,
            Message::Binary(_) => {
                let message = "send text frames with one JSON object each".to_owned();
                self.refuse(None, &Refusal { code: "binary_frame", message }).await
            }
            // The library answers pings and closes.
            Message::Ping(_) | Message::Pong(_) | Message::Close(_) => Ok(()),
        }
    }

    async fn command(&mut self, text: Utf8Bytes) -> Result<(), Gone> {
        let Request { instance, command } = match parse(text.as_str()) {
            Ok(request) => request,
            Err(refusal) => return self.refuse(None, &refusal).await,
        };
        if let Some(port) = instance.filter(|port| *port != self.app.port) {
            let order = Order { port, answers: command.answers(), text: text.as_str().to_owned() };
            return match self.remote.give(order) {
                Ok(()) => Ok(()),
                Err(refusal) => self.refuse(instance, &refusal).await,
            };
        }
        match command {
            Command::Subscribe { channels, named } => {
                self.channels = channels;
                self.answer("subscribed", instance, &json!({ "channels": named })).await
            }
            Command::GetStatus => self.tell_status(instance).await,
            Command::GetHistory { channels, limit } => self.tell_history(instance, channels, limit).await,
            Command::Publish(event) => match self.app.ingest.take_one(event, Source::Websocket).await {
                Ok(seq) => self.answer("published", instance, &json!({ "seq": seq })).await,
                Err(Rejected::Refused(refusal)) => self.refuse(instance, &refusal).await,
                Err(Rejected::Store(error)) => self.failed(instance, &error).await,
            },
        }
    }

    /// What is stored by now is delivered first: everything later comes live, so that nothing is missed between
    /// the answer and what follows, and nothing comes in both.
    async fn tell_history(
        &mut self,
        instance: Option<u16>,
        channels: Channels,
        limit: usize,
    ) -> Result<(), Gone> {
        self.catch_up().await?;
        match history::read(&self.app, channels, limit, self.position).await {
            Ok(history) => self.answer("history", instance, &history).await,
            Err(error) => self.failed(instance, &error).await,
        }
    }

    async fn catch_up(&mut self) -> Result<(), Gone> {
        let latest = self.app.hub.latest();
        while self.position < latest {
            let delivery = self.subscriber.next(BATCH_EVENTS).await.ok_or(Gone::Ended)?;
            self.deliver(delivery).await?;
        }
        Ok(())
    }

    async fn deliver(&mut self, Delivery { gap, events, unstored }: Delivery) -> Result<(), Gone> {
        if let Some(gap) = gap {
            self.app.clients.lost(usize::try_from(gap.to.0 + 1 - gap.from.0).unwrap_or(usize::MAX));
            self.answer("system.gap", None, &gap).await?;
        }
        self.tell_trouble(&unstored).await?;
        for event in events.iter().chain(&unstored) {
            for message in event.websocket(|event| encoded::encode(event, &self.app)) {
                if self.channels.wants(&message.r#type) {
                    let text = Message::Text(message.text.clone());
                    self.within(async |socket| socket.feed(text).await).await?;
                }
            }
            self.position = self.position.max(event.row.seq);
        }
        self.within(async |socket| socket.flush().await).await
    }

    /// Says once that events cannot be stored, until they can again.
    async fn tell_trouble(&mut self, unstored: &[Arc<Published>]) -> Result<(), Gone> {
        let told = std::mem::replace(&mut self.in_trouble, !unstored.is_empty());
        if told || unstored.is_empty() || !self.channels.wants("system.error") {
            return Ok(());
        }
        let error = json!({ "error": "store_failed", "message": self.app.store.state() });
        self.answer("system.error", None, &error).await
    }

    async fn tell_change(&mut self) -> Result<(), Gone> {
        let status = status::current(&self.app);
        if self.told.as_ref() == Some(&status) { Ok(()) } else { self.tell_status(None).await }
    }

    async fn tell_status(&mut self, instance: Option<u16>) -> Result<(), Gone> {
        let status = status::current(&self.app);
        self.answer("system.status", instance, &status).await?;
        self.told = Some(status);
        Ok(())
    }

    async fn ping(&mut self) -> Result<(), Gone> {
        self.silent_since.get_or_insert_with(Instant::now);
        self.send(Message::Ping(Default::default())).await
    }

    /// The rest of what is stored, then why there will be no more.
    async fn farewell(&mut self) -> Result<(), Gone> {
        self.catch_up().await?;
        let stage = *self.app.websockets.stage().borrow();
        match stage {
            Stage::Ending(Ended::Restart { port } | Ended::Replaced { port }) => {
                let restart = json!({ "reason": "restart", "url": self.app.url_at(port) });
                self.answer("system.restart", None, &restart).await?;
            }
            _ => self.answer("system.shutdown", None, &json!({ "reason": "shutdown" })).await?,
        }
        let frame = CloseFrame { code: close_code::AWAY, reason: "the server ends".into() };
        self.send(Message::Close(Some(frame))).await
    }

    async fn failed(
        &mut self,
        instance: Option<u16>,
        error: &crate::record::store::StoreError,
    ) -> Result<(), Gone> {
        tracing::warn!(%error, "could not answer a WebSocket client");
        self.refuse(instance, &Refusal { code: "store_failed", message: error.to_string() }).await
    }

    async fn refuse(&mut self, instance: Option<u16>, refusal: &Refusal) -> Result<(), Gone> {
        self.answer("error", instance, &json!({ "code": refusal.code, "message": refusal.message })).await
    }

    async fn answer(
        &mut self,
        r#type: &str,
        instance: Option<u16>,
        data: &impl Serialize,
    ) -> Result<(), Gone> {
        self.send(Message::Text(message(r#type, instance, data).into())).await
    }

    async fn send(&mut self, message: Message) -> Result<(), Gone> {
        self.within(async |socket| socket.send(message).await).await
    }

    /// Awaits a write, but no longer than a client may be silent.
    async fn within(
        &mut self,
        write: impl AsyncFnOnce(&mut WebSocket) -> Result<(), axum::Error>,
    ) -> Result<(), Gone> {
        let written = timeout(self.patience, write(&mut self.socket)).await;
        written.map_err(|_| Gone::Stuck)?.map_err(broken)
    }
}

fn broken(error: axum::Error) -> Gone {
    let cause = error.into_inner();
    match cause.downcast_ref() {
        Some(tungstenite::Error::Capacity(_)) => Gone::TooLarge,
        Some(tungstenite::Error::Io(error)) => match Cut::of(error) {
            Some(Cut::GivenUp) => Gone::GivenUp,
            Some(Cut::Stuck) => Gone::Stuck,
            _ => Gone::Broken(axum::Error::new(cause)),
        },
        // It has said goodbye, also when we had something more to say.
        Some(
            tungstenite::Error::ConnectionClosed
            | tungstenite::Error::AlreadyClosed
            | tungstenite::Error::Protocol(ProtocolError::SendAfterClosing),
        ) => Gone::Left,
        _ => Gone::Broken(axum::Error::new(cause)),
    }
}
