//! Listens to a monitor's sessions over its Socket.IO namespace `/stream`: all of them once, then each change.

use std::time::Duration;

use anyhow::{Context, bail, ensure};
use client::Monitor;
use futures_util::{SinkExt, StreamExt};
use protocol::stream::{Filter, SessionsChanged, Snapshot, Subscribe};
use protocol::{Session, names};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

/// How long the monitor may take to answer during the handshake.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);

/// The server pings every 30 seconds or as configured; a connection that is silent for longer is dead.
const SILENCE_LIMIT: Duration = Duration::from_secs(150);

/// A kind that no event has: rows are not asked for.
const NO_KIND: &str = "-";

/// What a listener learns.
#[derive(Debug)]
pub(crate) enum News {
    /// All sessions, at the beginning.
    All { sessions: Vec<Session>, version: String },
    /// Sessions that changed.
    Changed(Vec<Session>),
}

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Listens until the connection ends, and returns why.
pub(crate) async fn listen(monitor: &Monitor, tell: impl Fn(News)) -> anyhow::Error {
    match try_listen(monitor, tell).await {
        Ok(never) => match never {},
        Err(error) => error,
    }
}

async fn try_listen(monitor: &Monitor, tell: impl Fn(News)) -> anyhow::Result<std::convert::Infallible> {
    let mut socket = tokio::time::timeout(ANSWER_LIMIT, connect(monitor)).await.context("no answer")??;
    let wanted = Subscribe {
        limit: Some(1),
        filter: Some(Filter { kinds: vec![NO_KIND.to_owned()], ..Filter::default() }),
        ..Subscribe::default()
    };
    let subscribe = serde_json::to_string(&("subscribe", wanted))?;
    send(&mut socket, format!("42{},0{subscribe}", names::STREAM)).await?;
    loop {
        let packet = receive(&mut socket).await?;
        let packet = packet.strip_prefix('4').and_then(|packet| packet.split_once(','));
        match packet {
            Some((acknowledged, json)) if acknowledged == format!("3{}", names::STREAM) => {
                let (snapshot,): (Snapshot,) = parse(json.trim_start_matches(|c: char| c.is_ascii_digit()))?;
                let Snapshot { sessions, server_version: version, .. } = snapshot;
                tell(News::All { sessions, version });
            }
            Some((event, json)) if event == format!("2{}", names::STREAM) => {
                let (name, data): (String, Value) = parse(json)?;
                if name == "sessions" {
                    let SessionsChanged { changed, .. } = serde_json::from_value(data)?;
                    tell(News::Changed(changed));
                }
            }
            _ => {}
        }
    }
}

/// Opens the connection and the namespace.
async fn connect(monitor: &Monitor) -> anyhow::Result<Socket> {
    let address = monitor.url().replacen("http", "ws", 1);
    let url = format!("{address}/socket.io/?EIO=4&transport=websocket");
    monitor.prove(&url)?;
    let (mut socket, _) = connect_async(url).await?;
    ensure!(receive(&mut socket).await?.starts_with('0'), "no Socket.IO server");
    send(&mut socket, format!("40{},", names::STREAM)).await?;
    let answer = receive(&mut socket).await?;
    ensure!(answer.starts_with(&format!("40{}", names::STREAM)), "{} is refused: {answer}", names::STREAM);
    Ok(socket)
}

async fn send(socket: &mut Socket, packet: String) -> anyhow::Result<()> {
    Ok(socket.send(Message::text(packet)).await?)
}

/// The next packet that is no ping; pings are answered.
async fn receive(socket: &mut Socket) -> anyhow::Result<String> {
    loop {
        let message = tokio::time::timeout(SILENCE_LIMIT, socket.next()).await.context("it fell silent")?;
        match message.context("it closed the connection")?? {
            Message::Text(text) if text.as_str() == "2" => send(socket, "3".to_owned()).await?,
            Message::Text(text) if text.as_str() == "1" => bail!("it closed the connection"),
            Message::Text(text) => return Ok(text.as_str().to_owned()),
            Message::Close(_) => bail!("it closed the connection"),
            _ => {}
        }
    }
}

fn parse<T: DeserializeOwned>(json: &str) -> anyhow::Result<T> {
    serde_json::from_str(json).context("unexpected message")
}
