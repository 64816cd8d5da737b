//! A real raw WebSocket client that does what a test tells it.

use serde_json::{Value, json};

use crate::{Client, Monitor};

/// A connection, or the attempt at one.
pub struct WebSocket {
    client: Client,
}

impl WebSocket {
    /// Connects to `/ws` and returns when connected and greeted.
    #[track_caller]
    pub fn connect(monitor: &Monitor) -> Self {
        let mut socket = Self::attempt(monitor, "/ws", None);
        socket.client.take("open", |line| line["what"] == "open");
        socket.data("system.status");
        socket
    }

    /// Connects and wants only these channels.
    #[track_caller]
    pub fn subscribe(monitor: &Monitor, channels: &[&str]) -> Self {
        let mut socket = Self::connect(monitor);
        socket.send(&json!({"command": "subscribe", "channels": channels}));
        assert_eq!(socket.data("subscribed"), json!({"channels": channels}));
        socket
    }

    /// Tries to connect to a path, as a page of this origin where one is given; what comes of it is for the test
    /// to see.
    pub fn attempt(monitor: &Monitor, path: &str, origin: Option<&str>) -> Self {
        Self::attempt_with(monitor, path, &json!({"origin": origin}))
    }

    /// Tries to connect to a path with these options of the `ws` library, such as `headers`.
    pub fn attempt_with(monitor: &Monitor, path: &str, options: &Value) -> Self {
        let url = format!("{}{path}", monitor.url().replacen("http", "ws", 1));
        let arguments = json!({"url": url, "options": options}).to_string();
        Self { client: Client::node("websocket.mjs", &[&arguments]) }
    }

    /// Sends one JSON value.
    pub fn send(&mut self, command: &Value) {
        self.text(&command.to_string());
    }

    /// Sends a text frame.
    pub fn text(&mut self, text: &str) {
        self.client.send(&json!({"send": text}));
    }

    /// Sends a binary frame.
    pub fn binary(&mut self, text: &str) {
        self.client.send(&json!({"binary": text}));
    }

    /// Stops reading, or goes on with it.
    pub fn pause(&mut self, pause: bool) {
        self.client.send(&json!({"pause": pause}));
    }

    /// The next message of this type that was not taken yet, with its envelope.
    #[track_caller]
    pub fn message(&mut self, r#type: &str) -> Value {
        self.matching(r#type, |message| message["type"] == r#type)
    }

    /// The next message that was not taken yet and is wanted.
    #[track_caller]
    pub fn matching(&mut self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let found = |line: &Value| line["what"] == "message" && wanted(&line["data"]);
        let mut line = self.client.take(what, found);
        assert_eq!(line["isBinary"], false, "every message is a text frame: {line}");
        let message = line["data"].take();
        assert!(message["timestamp"].is_string() && message["data"].is_object(), "an envelope: {message}");
        message
    }

    /// The data of the next message of this type.
    #[track_caller]
    pub fn data(&mut self, r#type: &str) -> Value {
        self.message(r#type)["data"].take()
    }

    /// Sends a command and returns the data of its answer.
    #[track_caller]
    pub fn ask(&mut self, command: &Value, answer: &str) -> Value {
        self.send(command);
        self.data(answer)
    }

    /// The status that the upgrade was refused with.
    #[track_caller]
    pub fn refusal(&mut self) -> Value {
        self.client.take("refused", |line| line["what"] == "refused")["status"].take()
    }

    /// Waits until the connection is closed, and returns the code.
    #[track_caller]
    pub fn closed(&mut self) -> Value {
        self.client.take("close", |line| line["what"] == "close")["code"].take()
    }

    /// All messages that came so far and were not taken, but `system.status`. A round trip is made first, so that
    /// whatever the server sent before is here.
    #[track_caller]
    pub fn so_far(&mut self) -> Vec<Value> {
        self.ask(&json!({"command": "get_history", "params": {"limit": 0}}), "history");
        let messages = self.client.rest().into_iter().filter(|line| line["what"] == "message");
        messages
            .map(|mut line| line["data"].take())
            .filter(|message| message["type"] != "system.status")
            .collect()
    }
}
