//! A real Socket.IO client, whichever library it is built on.

use serde_json::{Value, json};

use crate::{Client, Monitor};

/// The other side's client library.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Library {
    /// `socket.io-client` on Node.js.
    Node,
    /// `python-socketio`, asynchronous.
    Python,
    /// `python-socketio`, synchronous: it handles each event on a thread of its own, so it keeps no order.
    PythonThreads,
}

impl Library {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Node, Self::Python, Self::PythonThreads];
}

/// How to connect. `Default` is what a client does that is told nothing.
#[derive(Clone, Debug, Default)]
pub struct Options<'a> {
    /// The transports to use; none leaves it to the library, which polls first and then upgrades.
    pub transports: &'a [&'a str],
    /// The auth payload.
    pub auth: Option<Value>,
    /// The namespace; empty is `/`.
    pub namespace: &'a str,
}

/// A connection, or the attempt at one.
pub struct Socket {
    client: Client,
    asked: u64,
}

impl Socket {
    /// Connects without any option and returns when connected.
    #[track_caller]
    pub fn connect(monitor: &Monitor, library: Library) -> Self {
        Self::connect_with(monitor, library, &Options::default())
    }

    /// Connects and returns when connected.
    #[track_caller]
    pub fn connect_with(monitor: &Monitor, library: Library, options: &Options<'_>) -> Self {
        let mut socket = Self::attempt(monitor, library, options);
        socket.client.take("connect", |line| line["what"] == "connect");
        socket
    }

    /// Tries to connect; what comes of it is for the test to see.
    pub fn attempt(monitor: &Monitor, library: Library, options: &Options<'_>) -> Self {
        let arguments = json!({
            "url": monitor.url(),
            "transports": if options.transports.is_empty() { Value::Null } else { json!(options.transports) },
            "auth": options.auth,
            "namespace": if options.namespace.is_empty() { "/" } else { options.namespace },
            "threads": library == Library::PythonThreads,
        })
        .to_string();
        let client = match library {
            Library::Node => Client::node("socketio.mjs", &[&arguments]),
            Library::Python | Library::PythonThreads => Client::python("socketio_client.py", &[&arguments]),
        };
        Self { client, asked: 0 }
    }

    /// The data of the next event of this name that was not taken yet.
    #[track_caller]
    pub fn event(&mut self, name: &str) -> Value {
        self.client.take(name, |line| line["what"] == "event" && line["name"] == name)["data"].take()
    }

    /// Sends an event; `Value::Null` sends it without any data.
    pub fn emit(&mut self, name: &str, data: &Value) {
        self.client.send(&json!({"emit": name, "data": data}));
    }

    /// Sends an event and returns what it was acknowledged with.
    #[track_caller]
    pub fn ask(&mut self, name: &str, data: &Value) -> Value {
        self.asked += 1;
        let number = self.asked;
        self.client.send(&json!({"emit": name, "data": data, "ack": number}));
        self.client.take(&format!("ack of {name}"), |line| line["what"] == "ack" && line["ack"] == number)["data"]
            .take()
    }

    /// Why the connection was refused.
    #[track_caller]
    pub fn refusal(&mut self) -> Value {
        self.client.take("connect_error", |line| line["what"] == "connect_error")["data"].take()
    }

    /// Waits until the connection moved to a WebSocket.
    #[track_caller]
    pub fn upgraded(&mut self) {
        self.client.take("upgrade", |line| line["what"] == "upgrade" && line["transport"] == "websocket");
    }

    /// Waits until the connection is closed.
    #[track_caller]
    pub fn closed(&mut self) {
        self.client.take("disconnect", |line| line["what"] == "disconnect");
    }

    /// The data of all events of this name that came so far and were not taken. A round trip is made first, so
    /// that whatever the server sent before is here.
    #[track_caller]
    pub fn events_so_far(&mut self, name: &str) -> Vec<Value> {
        self.ask("get_version", &Value::Null);
        let rest = self.client.rest();
        rest.into_iter()
            .filter(|line| line["what"] == "event" && line["name"] == name)
            .map(|mut line| line["data"].take())
            .collect()
    }
}
