//! Drives the app's real window by WebDriver.

use std::process::{Child, Command};
use std::time::Duration;

use e2e::{PATIENCE, free_port};
use fantoccini::{Client, ClientBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Map, Value, json};
use tokio::runtime::Runtime;

use crate::{App, eventually};

/// An app that was started by a WebDriver, with its window.
pub struct Driver {
    runtime: Runtime,
    client: Client,
    program: Child,
}

impl Driver {
    /// Starts the app with `--port` and these arguments.
    pub fn start(app: &App, arguments: &[&str]) -> Self {
        let port = free_port();
        let mut program = Command::new("WebKitWebDriver");
        app.settle(&mut program);
        program.env("TAURI_WEBVIEW_AUTOMATION", "true").arg(format!("--port={port}"));
        let program = program.spawn().expect("WebKitWebDriver: `scripts/setup test` installs it");
        let app_port = app.port().to_string();
        let mut all = vec!["--port", &app_port];
        all.extend(arguments);
        let binary = app.command().get_program().to_owned();
        let options = json!({ "binary": binary.to_str(), "args": all });
        let capabilities = Map::from_iter([("webkitgtk:browserOptions".to_owned(), options)]);
        let runtime = Runtime::new().expect("a runtime");
        let client = eventually("a session of the WebDriver", || {
            let mut builder = ClientBuilder::new(HttpConnector::new());
            builder.capabilities(capabilities.clone());
            let address = format!("http://127.0.0.1:{port}");
            let connecting = builder.connect(&address);
            runtime.block_on(async { tokio::time::timeout(PATIENCE, connecting).await }).ok()?.ok()
        });
        Self { runtime, client, program }
    }

    /// The text of the page.
    pub fn text(&self) -> String {
        let script = "return document.body ? document.body.innerText : ''";
        self.script(script).as_str().unwrap_or_default().to_owned()
    }

    /// Waits until the page shows this text.
    #[track_caller]
    pub fn wait_for_text(&self, text: &str) {
        eventually(&format!("{text:?} on the page; it shows:\n{}", self.text()), || {
            self.text().contains(text).then_some(())
        });
    }

    /// The page's address.
    pub fn address(&self) -> String {
        self.runtime.block_on(self.client.current_url()).map(|url| url.to_string()).unwrap_or_default()
    }

    /// Runs a script in the page.
    pub fn script(&self, script: &str) -> Value {
        // A page that is just being replaced answers nothing.
        self.runtime.block_on(self.client.execute(script, Vec::new())).unwrap_or_default()
    }

    /// A picture of the page, into a PNG file.
    pub fn screenshot(&self, path: &std::path::Path) {
        // What was found in the page may not have been drawn yet.
        let drawn = "const done = arguments[0]; setTimeout(() => requestAnimationFrame(() => requestAnimationFrame(done)), 500)";
        let _ = self.runtime.block_on(self.client.execute_async(drawn, Vec::new()));
        let picture = self.runtime.block_on(self.client.screenshot()).expect("a picture");
        std::fs::write(path, picture).expect("a picture can be written");
    }

    /// Ends the session, and with it the app.
    pub fn end(self) {
        let ended = self.runtime.block_on(async {
            tokio::time::timeout(Duration::from_secs(10), self.client.clone().close()).await
        });
        drop(ended);
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        let _ = self.program.kill();
        let _ = self.program.wait();
    }
}
