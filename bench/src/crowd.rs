//! A crowd of viewers on a thread of its own, as browsers and other clients are viewers: each reads what comes,
//! counts it, and notes how late it is.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use futures_util::{SinkExt, StreamExt};
use protocol::names;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

/// Longer than any delivery may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// By which door viewers come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Door {
    /// Socket.IO, as claude-mpm's own clients do: each event in full, a message each.
    SocketIo,
    /// The dashboard's namespace: rows in batches.
    Stream,
    /// Raw WebSocket, hooks only: a message for each event.
    WebSocket,
    /// Raw WebSocket of a server that sends on what it gets, line by line.
    Bare,
}

/// What viewers do once they are connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Habit {
    /// They read what comes.
    Read,
    /// They never read.
    Sleep,
}

/// Viewers that stay until they are dropped.
pub(crate) struct Crowd {
    seen: Arc<Seen>,
    size: usize,
    end: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

/// What all viewers of a crowd saw together.
#[derive(Default)]
struct Seen {
    events: AtomicUsize,
    gaps: AtomicUsize,
    /// Viewers that the server left.
    left: AtomicUsize,
    bytes: AtomicUsize,
    /// When event number n was due, once somebody wants to know how late it came.
    due: OnceLock<Vec<Instant>>,
    /// How late events came, in ms.
    delays: Mutex<Vec<f64>>,
}

impl Crowd {
    /// Connects so many viewers; returns when each gets what comes from now on.
    pub(crate) fn connect(port: u16, door: Door, habit: Habit, size: usize) -> Result<Self> {
        let seen: Arc<Seen> = Arc::default();
        let (end, mut ended) = watch::channel(false);
        let (ready, connected) = oneshot::channel();
        let shared = seen.clone();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let thread = thread::spawn(move || {
            runtime.block_on(async {
                let viewers = watch_all(port, door, habit, size, &shared).await;
                let _viewers = match viewers {
                    Ok(viewers) => ready.send(Ok(())).map(|()| viewers),
                    Err(error) => return drop(ready.send(Err(error))),
                };
                let _ = ended.wait_for(|ended| *ended).await;
            });
        });
        connected.blocking_recv().context("the viewers ended")??;
        Ok(Self { seen, size, end, thread: Some(thread) })
    }

    /// Events that all viewers got together, and gaps that they were told of.
    pub(crate) fn seen(&self) -> (usize, usize) {
        (self.seen.events.load(Ordering::Relaxed), self.seen.gaps.load(Ordering::Relaxed))
    }

    /// Bytes that all viewers got together.
    pub(crate) fn bytes(&self) -> usize {
        self.seen.bytes.load(Ordering::Relaxed)
    }

    /// Returns when each viewer has got so many events.
    pub(crate) fn wait_for(&self, events: usize) -> Result<()> {
        let begin = Instant::now();
        while self.seen().0 < events * self.size {
            let (got, gaps) = self.seen();
            ensure!(gaps == 0, "{gaps} gaps: the viewers were too slow");
            let left = self.seen.left.load(Ordering::Relaxed);
            ensure!(left == 0, "{left} of {} viewers lost their connection", self.size);
            ensure!(begin.elapsed() < PATIENCE, "{got} of {} deliveries came", events * self.size);
            thread::sleep(Duration::from_micros(100));
        }
        Ok(())
    }

    /// From now on, once for a crowd, notes how late each event comes: number n is due at the n-th of these times.
    pub(crate) fn note_delays(&self, due: Vec<Instant>) {
        let _ = self.seen.due.set(due);
    }

    /// How late they came, in ms.
    pub(crate) fn delays(&self) -> Vec<f64> {
        std::mem::take(&mut *self.seen.delays.lock().expect("no viewer panics"))
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        let _ = self.end.send(true);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

type Socket = WebSocketStream<TcpStream>;

/// The viewers, and those that only stay connected.
async fn watch_all(
    port: u16,
    door: Door,
    habit: Habit,
    size: usize,
    seen: &Arc<Seen>,
) -> Result<(JoinSet<()>, Vec<Socket>)> {
    let (mut viewers, mut sleepers) = (JoinSet::new(), Vec::new());
    for _ in 0..size {
        let socket = connect(port, door).await?;
        match habit {
            Habit::Read => drop(viewers.spawn(watch(socket, door, seen.clone()))),
            Habit::Sleep => sleepers.push(socket),
        }
    }
    Ok((viewers, sleepers))
}

/// How many times a second a viewer can come and go, many at once.
pub(crate) fn visits(port: u16, door: Door, at_once: usize, count: usize) -> Result<f64> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let begin = Instant::now();
    runtime.block_on(async {
        let mut visitors = JoinSet::new();
        for _ in 0..at_once {
            visitors.spawn(async move {
                for _ in 0..count / at_once {
                    connect(port, door).await?.close(None).await?;
                }
                anyhow::Ok(())
            });
        }
        visitors.join_all().await.into_iter().collect::<Result<()>>()
    })?;
    Ok(count as f64 / begin.elapsed().as_secs_f64())
}

/// How many events the first page of a new viewer has, and how long it took from connecting, in ms.
pub(crate) fn first_page(port: u16, door: Door) -> Result<(usize, f64)> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let begin = Instant::now();
    let events = runtime.block_on(async {
        let mut socket = connect(port, door).await?;
        let page = match door {
            // The last of what it is greeted with.
            Door::SocketIo => expect(&mut socket, r#"42["history""#).await?,
            Door::Stream => {
                say(&mut socket, format!("42{},2[\"subscribe\",{{\"limit\":100}}]", names::STREAM)).await?;
                expect(&mut socket, "43").await?
            }
            Door::WebSocket => {
                say(&mut socket, r#"{"command":"get_history","params":{"limit":100}}"#.to_owned()).await?;
                expect(&mut socket, r#"{"type":"history""#).await?
            }
            Door::Bare => bail!("a bare broadcast keeps nothing"),
        };
        rows(door, &page)
    })?;
    Ok((events, begin.elapsed().as_secs_f64() * 1e3))
}

/// How many events are in a page of the past.
fn rows(door: Door, page: &str) -> Result<usize> {
    let json = page.find(['[', '{']).map_or("", |start| &page[start..]);
    let page: Value = serde_json::from_str(json)?;
    let rows = match door {
        Door::SocketIo => page.pointer("/1/events"),
        Door::Stream => page.pointer("/0/snapshot"),
        Door::WebSocket | Door::Bare => page.pointer("/data/events"),
    };
    Ok(rows.and_then(Value::as_array).context("a page without events")?.len())
}

async fn connect(port: u16, door: Door) -> Result<Socket> {
    let path = match door {
        Door::SocketIo | Door::Stream => "/socket.io/?EIO=4&transport=websocket",
        Door::WebSocket | Door::Bare => "/ws",
    };
    let stream = TcpStream::connect(("127.0.0.1", port)).await?;
    let request = format!("ws://localhost:{port}{path}").into_client_request()?;
    let (mut socket, _) = tokio_tungstenite::client_async(request, stream).await?;
    match door {
        Door::SocketIo => {
            expect(&mut socket, "0").await?;
            say(&mut socket, "40".to_owned()).await?;
            expect(&mut socket, "40").await?;
        }
        Door::Stream => {
            expect(&mut socket, "0").await?;
            say(&mut socket, format!("40{},", names::STREAM)).await?;
            expect(&mut socket, "40").await?;
            say(&mut socket, format!("42{},1[\"subscribe\",{{\"limit\":1}}]", names::STREAM)).await?;
            expect(&mut socket, "43").await?;
        }
        Door::WebSocket => {
            say(&mut socket, r#"{"command":"subscribe","channels":["hook.*"]}"#.to_owned()).await?;
            expect(&mut socket, r#"{"type":"subscribed""#).await?;
        }
        Door::Bare => drop(expect(&mut socket, "ready").await?),
    }
    Ok(socket)
}

async fn say(socket: &mut Socket, text: String) -> Result<()> {
    Ok(socket.send(Message::text(text)).await?)
}

/// Reads up to the message that starts like this, and returns it.
async fn expect(socket: &mut Socket, start: &str) -> Result<String> {
    let begin = tokio::time::Instant::now();
    while let Some(message) = tokio::time::timeout_at(begin + PATIENCE, socket.next()).await? {
        let message = message?;
        let Ok(text) = message.to_text() else { continue };
        if text.starts_with(start) {
            return Ok(text.to_owned());
        }
        if text == "2" {
            say(socket, "3".to_owned()).await?;
        }
    }
    bail!("the server closed before it said {start}")
}

async fn watch(socket: Socket, door: Door, seen: Arc<Seen>) {
    // A server that ends leaves its viewers; who waits for deliveries learns that there is nobody any more.
    let _ = read(socket, door, &seen).await;
    seen.left.fetch_add(1, Ordering::Relaxed);
}

async fn read(mut socket: Socket, door: Door, seen: &Seen) -> Result<()> {
    while let Some(message) = socket.next().await {
        let message = message?;
        let text = match &message {
            Message::Text(text) => text.as_str(),
            _ => continue,
        };
        if text == "2" {
            say(&mut socket, "3".to_owned()).await?;
            continue;
        }
        seen.bytes.fetch_add(text.len(), Ordering::Relaxed);
        let events = events_in(door, text);
        if events == 0 {
            seen.gaps.fetch_add(usize::from(is_gap(text)), Ordering::Relaxed);
            continue;
        }
        if let Some(delay) = seen.due.get().and_then(|due| delay(text, due)) {
            seen.delays.lock().expect("no viewer panics").push(delay);
        }
        seen.events.fetch_add(events, Ordering::Relaxed);
    }
    bail!("the server closed")
}

fn events_in(door: Door, text: &str) -> usize {
    match door {
        Door::SocketIo => usize::from(text.starts_with(r#"42["claude_event""#)),
        Door::Stream if text.contains(r#"["events","#) => text.matches(r#"{"seq":"#).count(),
        Door::Stream => 0,
        Door::WebSocket => usize::from(text.starts_with(r#"{"type":"hook."#)),
        Door::Bare => 1,
    }
}

fn is_gap(text: &str) -> bool {
    text.contains(r#"["gap","#) || text.starts_with(r#"{"type":"system.gap""#)
}

/// By how many ms a message is late whose event names its number.
fn delay(text: &str, due: &[Instant]) -> Option<f64> {
    let (_, number) = text.split_once(r#""run":"n"#)?;
    let (number, _) = number.split_once('"')?;
    let due = due.get(number.parse::<usize>().ok()?)?;
    Some(due.elapsed().as_secs_f64() * 1e3)
}
