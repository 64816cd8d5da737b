//! A viewer of `/stream`, as the dashboard is one: reads what comes and counts it.

use std::io::ErrorKind;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use protocol::names;
use tungstenite::{Message, WebSocket};

/// How long a read may wait before the viewer looks whether it shall end.
const POLL: Duration = Duration::from_millis(50);

/// Reads until dropped.
pub(crate) struct Viewer {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    rows: AtomicUsize,
    gaps: AtomicUsize,
    ended: AtomicBool,
}

impl Viewer {
    pub(crate) fn connect(port: u16) -> Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        let url = format!("ws://localhost:{port}/socket.io/?EIO=4&transport=websocket");
        let (mut socket, _) = tungstenite::client(url, stream)?;
        expect(&mut socket, "0")?;
        socket.send(Message::text(format!("40{},", names::STREAM)))?;
        expect(&mut socket, "40")?;
        socket.send(Message::text(format!("42{},1[\"subscribe\",{{\"limit\":1}}]", names::STREAM)))?;
        expect(&mut socket, "43")?;
        socket.get_ref().set_read_timeout(Some(POLL))?;
        let shared: Arc<Shared> = Arc::default();
        let counts = shared.clone();
        let thread = Some(thread::spawn(move || {
            if let Err(error) = read(&mut socket, &counts) {
                eprintln!("the viewer ended: {error}");
            }
        }));
        Ok(Self { shared, thread })
    }

    /// Rows received, and gaps told.
    pub(crate) fn seen(&self) -> (usize, usize) {
        (self.shared.rows.load(Ordering::Relaxed), self.shared.gaps.load(Ordering::Relaxed))
    }
}

impl Drop for Viewer {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Reads the next message, which starts like this. The server's first ping may come before it.
fn expect(socket: &mut WebSocket<TcpStream>, start: &str) -> Result<()> {
    let mut message = socket.read()?;
    if message.to_text()? == "2" {
        socket.send(Message::text("3"))?;
        message = socket.read()?;
    }
    let text = message.to_text()?;
    ensure!(text.starts_with(start), "expected {start}…, got {text}");
    Ok(())
}

fn read(socket: &mut WebSocket<TcpStream>, shared: &Shared) -> Result<()> {
    while !shared.ended.load(Ordering::Relaxed) {
        let message = match socket.read() {
            Ok(message) => message,
            Err(tungstenite::Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => continue,
            Err(error) => bail!(error),
        };
        let text = message.to_text()?;
        if text == "2" {
            socket.send(Message::text("3"))?;
        } else if text.contains(r#"["events","#) {
            shared.rows.fetch_add(text.matches(r#"{"seq":"#).count(), Ordering::Relaxed);
        } else if text.contains(r#"["gap","#) {
            shared.gaps.fetch_add(1, Ordering::Relaxed);
        }
    }
    Ok(())
}
