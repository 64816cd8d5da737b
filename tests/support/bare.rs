//! A client of any WebSocket door without a library around it: it reads only when a test tells it to.

use std::net::{Ipv4Addr, TcpStream};

use tungstenite::{Message, WebSocket};

use crate::{Monitor, PATIENCE};

/// Where Socket.IO takes WebSockets.
const SOCKETIO: &str = "/socket.io/?EIO=4&transport=websocket";

/// An open connection.
pub struct Bare(WebSocket<TcpStream>);

impl Bare {
    /// Connects to this path.
    #[track_caller]
    pub fn connect(monitor: &Monitor, path: &str) -> Self {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, monitor.port())).expect("the monitor listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a time limit can be set");
        let url = format!("ws://localhost:{}{path}", monitor.port());
        Self(tungstenite::client(url, stream).expect("it is a WebSocket").0)
    }

    /// Connects to Socket.IO, and to none of its namespaces.
    #[track_caller]
    pub fn socketio(monitor: &Monitor) -> Self {
        Self::connect(monitor, SOCKETIO)
    }

    /// Sends one message.
    #[track_caller]
    pub fn say(&mut self, text: &str) {
        self.0.send(Message::text(text)).expect("the monitor reads");
    }

    /// Sends many messages in one go.
    #[track_caller]
    pub fn say_all(&mut self, texts: impl Iterator<Item = String>) {
        for text in texts {
            self.0.write(Message::text(text)).expect("the monitor reads");
        }
        self.0.flush().expect("the monitor reads");
    }

    /// The next message; if it is a ping of Socket.IO, it is answered.
    #[track_caller]
    pub fn hear(&mut self) -> String {
        let message = self.0.read().unwrap_or_else(|cause| panic!("the connection does not stay: {cause}"));
        let text = message.into_text().expect("every message is a text").to_string();
        if text == "2" {
            self.say("3");
        }
        text
    }

    /// The next message that starts like this.
    #[track_caller]
    pub fn hear_until(&mut self, start: &str) -> String {
        loop {
            let text = self.hear();
            if text.starts_with(start) {
                return text;
            }
        }
    }

    /// Sends one message and waits for what starts like this.
    #[track_caller]
    pub fn ask(&mut self, text: &str, start: &str) -> String {
        self.say(text);
        self.hear_until(start)
    }

    /// Says that it goes, and waits until it has gone.
    pub fn close(&mut self) {
        // The server may have gone first.
        let _ = self.0.close(None);
        while self.0.read().is_ok() {}
    }
}
