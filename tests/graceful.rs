//! Claims about a stop and a restart as the connected clients see them: told why and where to, counted, and nothing
//! missed by who comes back.

use e2e::{Library, Monitor, Options, Socket, WebSocket};
use serde_json::{Value, json};

fn prompt(text: &str) -> String {
    json!({ "hook_event_name": "UserPromptSubmit", "session_id": "s-1", "prompt": text }).to_string()
}

/// A connection of each kind, as the dashboard and other programs make them.
struct Everybody {
    sockets: Vec<Socket>,
    stream: Socket,
    websocket: WebSocket,
}

impl Everybody {
    fn connect(monitor: &Monitor) -> Self {
        let options = Options { namespace: "/stream", ..Options::default() };
        Self {
            sockets: Library::ALL.iter().map(|library| Socket::connect(monitor, *library)).collect(),
            stream: Socket::connect_with(monitor, Library::Node, &options),
            websocket: WebSocket::connect(monitor),
        }
    }

    /// What each is told, and that each is disconnected after it.
    fn told(&mut self, event: &str, message: &str) -> Vec<Value> {
        let mut told = vec![self.websocket.data(message)];
        self.websocket.closed();
        for socket in self.sockets.iter_mut().chain([&mut self.stream]) {
            told.push(socket.event(event));
            socket.closed();
        }
        told
    }
}

#[test]
fn a_stop_counts_every_client_once_and_tells_each_why() {
    let monitor = Monitor::start();
    let mut everybody = Everybody::connect(&monitor);
    assert_eq!(monitor.assert_healthy()["clients_connected"], 5);
    let stopped = monitor.cli(&["stop", "--port", &monitor.port().to_string()]);
    let said = String::from_utf8_lossy(&stopped.stdout);
    assert!(said.contains("  - Disconnected 5 clients gracefully\n"), "{stopped:?}");
    for told in everybody.told("server_shutdown", "system.shutdown") {
        assert_eq!(told["reason"], "shutdown", "{told}");
    }
}

#[test]
fn a_move_tells_every_client_where_to_and_who_comes_back_misses_nothing() {
    let mut monitor = Monitor::start();
    monitor.event(prompt("before"));
    let mut everybody = Everybody::connect(&monitor);
    let last = everybody.stream.ask("subscribe", &json!({}))["last_seq"].clone();
    assert_eq!(last, 1);
    monitor.move_away();
    let url = format!("http://localhost:{}", monitor.port());
    for told in everybody.told("server_restart", "system.restart") {
        assert_eq!((&told["reason"], &told["url"]), (&json!("restart"), &json!(url)), "{told}");
    }
    monitor.event(prompt("while nobody was there"));
    let mut again = Everybody::connect(&monitor);
    let missed = again.stream.ask("subscribe", &json!({ "after": last }));
    assert_eq!(missed["snapshot"].as_array().map(Vec::len), Some(1), "{missed}");
    assert_eq!(missed["snapshot"][0]["seq"], 2, "{missed}");
    for socket in &mut again.sockets {
        let history = socket.event("history");
        assert_eq!(history["count"], 2, "history is kept: {history}");
    }
}
