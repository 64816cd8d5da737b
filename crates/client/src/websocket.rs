//! Whether a monitor's WebSocket API answers: connects as any client does, subscribes, and asks for the status.

use std::io::ErrorKind;
use std::net::{TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::{Value, json};
use tungstenite::client::IntoClientRequest;
use tungstenite::http::{HeaderValue, header};
use tungstenite::{HandshakeError, Message, WebSocket};

use crate::monitor::ANSWER_LIMIT;
use crate::{Error, Monitor};

/// Messages that may come before an answer: a subscriber gets every event that happens meanwhile.
const MESSAGES_MAX: usize = 10_000;

/// What a monitor's WebSocket API answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebSocketCheck {
    /// Where it was asked.
    pub url: String,
    /// From the first byte to the last answer.
    pub took: Duration,
    /// `running` while a session of Claude Code runs, else `stopped`.
    pub claude_status: String,
    /// Who is connected, this check among them.
    pub connected_clients: u64,
}

#[derive(Deserialize)]
struct Status {
    claude_status: String,
    connected_clients: u64,
}

impl Monitor {
    /// Connects to its WebSocket API, subscribes to everything and asks for the status, each answer awaited.
    ///
    /// # Errors
    /// When it does not answer in time, refuses, or answers with something else.
    pub fn check_websocket(&self) -> Result<WebSocketCheck, Error> {
        let started = Instant::now();
        let mut line = Line::connect(self, started + ANSWER_LIMIT)?;
        line.answer("system.status")?;
        line.say(&json!({ "command": "subscribe", "channels": ["*"] }))?;
        line.answer("subscribed")?;
        line.say(&json!({ "command": "get_status" }))?;
        let status = line.answer("system.status")?;
        let Status { claude_status, connected_clients } =
            serde_json::from_value(status).map_err(|error| line.malformed(error.to_string()))?;
        let took = started.elapsed();
        // It has answered everything; how it takes the goodbye says nothing more.
        let _ = line.socket.close(None);
        Ok(WebSocketCheck { url: line.url, took, claude_status, connected_clients })
    }
}

struct Line {
    url: String,
    socket: WebSocket<TcpStream>,
    deadline: Instant,
}

impl Line {
    fn connect(monitor: &Monitor, deadline: Instant) -> Result<Self, Error> {
        // On this machine a server of ours needs no encryption, also where it offers it.
        let url = format!("{}/ws", monitor.url().replacen("http", "ws", 1));
        let unreachable = |reason: String| Error::Unreachable { url: url.clone(), reason };
        let mut request =
            url.as_str().into_client_request().map_err(|error| unreachable(error.to_string()))?;
        let agent = HeaderValue::from_static(concat!("claude-mpm-monitor/", env!("CARGO_PKG_VERSION")));
        request.headers_mut().insert(header::USER_AGENT, agent);
        if let Some(secret) = monitor.secret() {
            let bearer = HeaderValue::try_from(format!("Bearer {secret}"));
            let bearer = bearer.map_err(|error| unreachable(error.to_string()))?;
            request.headers_mut().insert(header::AUTHORIZATION, bearer);
        }
        let uri = request.uri();
        let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
        let stream = connect((host, uri.port_u16().unwrap_or(80)), deadline)
            .map_err(|error| unreachable(error.to_string()))?;
        monitor.prove(&url)?;
        match tungstenite::client(request, stream) {
            Ok((socket, _)) => Ok(Self { url, socket, deadline }),
            Err(HandshakeError::Failure(tungstenite::Error::Http(response))) => {
                let status = response.status().as_u16();
                Err(Error::Refused { url, status, message: "it opens no WebSocket".to_owned() })
            }
            Err(HandshakeError::Failure(error)) => Err(unreachable(error.to_string())),
            Err(HandshakeError::Interrupted(_)) => Err(unreachable("it opens no WebSocket".to_owned())),
        }
    }

    fn say(&mut self, command: &Value) -> Result<(), Error> {
        self.socket.send(Message::text(command.to_string())).map_err(|error| self.broken(&error))
    }

    /// The data of the next message of this type. Events may come before it.
    fn answer(&mut self, r#type: &str) -> Result<Value, Error> {
        for _ in 0..MESSAGES_MAX {
            let left = self.deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(self.silent(r#type));
            }
            self.socket
                .get_ref()
                .set_read_timeout(Some(left))
                .map_err(|error| self.broken(&tungstenite::Error::Io(error)))?;
            let message = match self.socket.read() {
                Ok(message) => message,
                Err(tungstenite::Error::Io(error))
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) =>
                {
                    return Err(self.silent(r#type));
                }
                Err(error) => return Err(self.broken(&error)),
            };
            let Message::Text(text) = message else { continue };
            let mut message: Value =
                serde_json::from_str(&text).map_err(|error| self.malformed(error.to_string()))?;
            if message["type"] == r#type {
                return Ok(message["data"].take());
            }
        }
        Err(self.malformed(format!("{MESSAGES_MAX} messages and no {type}", type = r#type)))
    }

    fn silent(&self, wanted: &str) -> Error {
        let reason = format!("no {wanted} within {} s", ANSWER_LIMIT.as_secs());
        Error::Unreachable { url: self.url.clone(), reason }
    }

    fn broken(&self, error: &tungstenite::Error) -> Error {
        Error::Unreachable { url: self.url.clone(), reason: error.to_string() }
    }

    fn malformed(&self, reason: String) -> Error {
        Error::Malformed { url: self.url.clone(), reason }
    }
}

/// The first address of a place that takes a connection. Whoever takes it and is silent is given up in time.
fn connect(place: (&str, u16), deadline: Instant) -> std::io::Result<TcpStream> {
    let mut last = std::io::Error::from(ErrorKind::AddrNotAvailable);
    for address in place.to_socket_addrs()? {
        let left = deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
        match TcpStream::connect_timeout(&address, left) {
            Ok(stream) => {
                stream.set_read_timeout(Some(left))?;
                stream.set_write_timeout(Some(left))?;
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}
