//! What other programs see while the tray restarts, stops and moves the server: they come back and miss nothing.

use desktop_e2e::{App, Tray};
use e2e::Client;
use serde_json::{Value, json};

/// A Socket.IO client that reconnects by itself, and then asks for what came after the last row that it saw.
struct Viewer {
    client: Client,
    seen: Vec<u64>,
    asked: u64,
}

impl Viewer {
    fn connect(url: &str, seen: Vec<u64>) -> Self {
        let options = json!({"url": url, "namespace": "/stream", "reconnection": true});
        let client = Client::node("socketio.mjs", &[&options.to_string()]);
        let mut viewer = Self { client, seen, asked: 0 };
        viewer.catch_up();
        viewer
    }

    /// Takes everything up to now, as soon as it is connected.
    fn catch_up(&mut self) {
        self.client.take("the connection", |line| line["what"] == "connect");
        self.asked += 1;
        let (ack, after) = (self.asked, self.seen.last().copied().unwrap_or(0));
        self.client.send(&json!({"emit": "subscribe", "data": {"after": after}, "ack": ack}));
        let answer = self.client.take("the rows so far", |line| line["ack"] == ack);
        self.see(&answer["data"]["snapshot"]);
    }

    fn see(&mut self, rows: &Value) {
        let mut seqs: Vec<_> =
            rows.as_array().expect("rows").iter().filter_map(|row| row["seq"].as_u64()).collect();
        seqs.sort_unstable();
        self.seen.extend(seqs);
    }

    /// Waits for a row that comes live.
    fn wait_for(&mut self, seq: u64) {
        while self.seen.last() != Some(&seq) {
            let batch = self.client.take("an event", |line| line["name"] == "events");
            self.see(&batch["data"]["rows"]);
        }
    }
}

#[test]
fn a_client_comes_back_after_restart_stop_and_move_and_sees_every_event_once() {
    let (app, _host, tray) = App::serving();
    let first = app.wait_for_server(app.port());
    let mut viewer = Viewer::connect(&format!("http://localhost:{}", app.port()), Vec::new());
    let mut posted = 0;
    let mut post = |port: u16| {
        posted += 1;
        assert_eq!(app.post(port, &e2e::prompt("s1", &format!("event {posted}"))), 204);
        posted
    };
    viewer.wait_for(post(app.port()));

    tray.click("Restart server");
    let second = app.wait_for_another(app.port(), &first["server_id"]);
    post(app.port());
    viewer.catch_up();
    viewer.wait_for(post(app.port()));

    tray.click("Stop server");
    viewer.client.take("the farewell", |line| line["name"] == "server_shutdown");
    tray.wait_for_status("the end", |status| status == "Stopped");
    tray.click("Start server");
    app.wait_for_another(app.port(), &second["server_id"]);
    post(app.port());
    viewer.catch_up();
    viewer.wait_for(post(app.port()));

    let other = move_elsewhere(&app, &tray);
    let url = format!("http://localhost:{other}");
    let is_told = |line: &Value| line["name"] == "server_restart" && line["data"]["url"] == url;
    viewer.client.take("where to", is_told);
    post(other);
    let mut viewer = Viewer::connect(&url, viewer.seen);
    let last = post(other);
    viewer.wait_for(last);
    assert_eq!(viewer.seen, (1..=last).collect::<Vec<u64>>(), "every event once and in order");
}

/// Moves the server by a second start, as a shortcut with `--port` does.
fn move_elsewhere(app: &App, tray: &Tray) -> u16 {
    let port = e2e::free_port();
    let second = app.command().args(["--hidden", "--port", &port.to_string()]).status().expect("it starts");
    assert!(second.success(), "{second}");
    tray.wait_for_status("the move", |status| status.contains(&port.to_string()));
    app.wait_for_server(port);
    port
}
