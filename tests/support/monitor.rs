//! A real monitor in a home of its own on a port of its own; it ends with the value.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use protocol::paths::Home;
use protocol::spool;
use serde_json::Value;
use tempfile::TempDir;

use crate::{PATIENCE, Page, Reply, output, program};

/// How often a start is tried again because somebody else took the port in between.
const PORT_TRIES: usize = 5;

/// How long to rest between two looks at whether the monitor answers.
const POLL: Duration = Duration::from_millis(10);

/// A running `claude-mpm-monitor start --foreground`.
pub struct Monitor {
    home: Arc<TempDir>,
    port: u16,
    child: Child,
    agent: ureq::Agent,
}

/// What a crashed monitor leaves.
pub struct Crashed {
    home: Arc<TempDir>,
    port: u16,
}

impl Monitor {
    /// Starts one in a new home and returns when it answers.
    pub fn start() -> Self {
        Self::start_in(TempDir::new().expect("a temporary folder can be made"))
    }

    /// Starts one in a new home with this configuration file.
    pub fn start_with(configuration: &Value) -> Self {
        let home = TempDir::new().expect("a temporary folder can be made");
        let file = home.path().join("socketio_config.json");
        std::fs::write(file, configuration.to_string()).expect("a configuration can be written");
        Self::start_in(home)
    }

    /// Starts another one in the same home on a port of its own.
    pub fn beside(&self) -> Self {
        Self::start_in(self.home.clone())
    }

    /// Starts one in this home on a free port.
    pub fn start_in(home: impl Into<Arc<TempDir>>) -> Self {
        let (home, agent, mut tried) = (home.into(), agent(), 0);
        for _ in 0..PORT_TRIES {
            tried = free_port();
            if let Some(child) = serve(&agent, home.path(), tried) {
                return Self { home, port: tried, child, agent };
            }
        }
        panic!("no monitor could be started:\n{}", log(home.path(), tried));
    }

    /// Ends it as a crash would, without a word.
    pub fn crash(mut self) -> Crashed {
        self.end();
        Crashed { home: self.home.clone(), port: self.port }
    }

    /// `http://127.0.0.1:<port>`.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The port that it serves.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The secret in its runfile, which lets this user stop and restart it.
    pub fn control_token(&self) -> String {
        let runfile = runfile(self.home(), self.port).expect("a serving monitor has a runfile");
        runfile["control_token"].as_str().expect("it holds the token").to_owned()
    }

    /// Its `CLAUDE_MPM_HOME`.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// `GET` of a path.
    pub fn get(&self, path: &str) -> Reply {
        reply(self.agent.get(format!("{}{path}", self.url())).call())
    }

    /// `POST` of a body to a path, as JSON.
    pub fn post(&self, path: &str, body: impl AsRef<[u8]>) -> Reply {
        self.post_with(path, &[("content-type", "application/json")], body)
    }

    /// `POST` with these headers.
    pub fn post_with(&self, path: &str, headers: &[(&str, &str)], body: impl AsRef<[u8]>) -> Reply {
        let request = self.agent.post(format!("{}{path}", self.url()));
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        reply(request.send(body.as_ref()))
    }

    /// Posts one event and claims that it was stored.
    #[track_caller]
    pub fn event(&self, body: impl AsRef<[u8]>) {
        let reply = self.post("/api/events", body);
        assert_eq!(reply.status, 204, "a single stored event is answered with 204: {reply:?}");
    }

    /// A page of events: `GET /api/events?<query>`.
    #[track_caller]
    pub fn events(&self, query: &str) -> Page {
        let reply = self.get(&format!("/api/events?{query}"));
        assert_eq!(reply.status, 200, "{query}: {reply:?}");
        reply.page()
    }

    /// Waits until a page has this many events; for what arrives by a way that acknowledges nothing.
    #[track_caller]
    pub fn wait_for_events(&self, query: &str, count: usize) -> Page {
        let start = Instant::now();
        loop {
            let page = self.events(query);
            if page.events.len() >= count || start.elapsed() > PATIENCE {
                assert_eq!(page.events.len(), count, "events of {query}: {:?}", page.events);
                return page;
            }
            std::thread::sleep(POLL);
        }
    }

    /// Asks with the real `curl`.
    pub fn curl(&self, path: &str, arguments: &[&str]) -> Reply {
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--show-error", "--include", "--max-time", "30"]);
        curl.args(arguments).arg(format!("{}{path}", self.url()));
        let output = output(&mut curl, b"");
        let text = String::from_utf8_lossy(&output.stdout);
        // curl shows interim answers too.
        let text = text.strip_prefix("HTTP/1.1 100 Continue\r\n\r\n").unwrap_or(&text);
        Reply::parse(text).unwrap_or_else(|| panic!("no answer to curl: {output:?}"))
    }

    /// Runs the real hook with this on its standard input, as Claude Code would. On a busy machine the hook may
    /// leave the event on disk instead of waiting; then it is delivered from there.
    pub fn hook(&self, stdin: &str) -> Output {
        let output = output(&mut our(self.home(), "claude-mpm-hook"), stdin.as_bytes());
        assert!(output.status.success(), "a hook always succeeds: {output:?}");
        assert!(output.stdout.is_empty(), "Claude Code reads what a hook prints: {output:?}");
        // The server does not take the spool in by itself yet.
        for body in spooled(self.home()) {
            self.event(body);
        }
        output
    }

    /// Runs the real command line in this monitor's home.
    pub fn cli(&self, arguments: &[&str]) -> Output {
        output(our(self.home(), "claude-mpm-monitor").args(arguments), b"")
    }

    /// `/health`, and the claim that it is fine.
    #[track_caller]
    pub fn assert_healthy(&self) -> Value {
        let reply = self.get("/health");
        assert_eq!(reply.status, 200, "{reply:?}\n{}", log(self.home(), self.port));
        let health = reply.json();
        assert_eq!(health["status"], "running", "{health}");
        health
    }

    fn end(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Crashed {
    /// Starts another one in the same home on the same port.
    pub fn restart(self) -> Monitor {
        let agent = agent();
        let child = serve(&agent, self.home.path(), self.port);
        let child =
            child.unwrap_or_else(|| panic!("it does not start again:\n{}", log(self.home.path(), self.port)));
        Monitor { home: self.home, port: self.port, child, agent }
    }
}

impl Drop for Monitor {
    fn drop(&mut self) {
        self.end();
        if std::thread::panicking() {
            eprintln!("the monitor on {} said:\n{}", self.port, log(self.home.path(), self.port));
        }
    }
}

/// Sends these bytes as they are and reads one answer; `None` when the server closes without one.
pub fn raw(port: u16, request: impl AsRef<[u8]>) -> Option<Reply> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("the monitor listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
    stream.set_write_timeout(Some(PATIENCE)).expect("a timeout can be set");
    // A server may refuse and close before it has read everything.
    let _ = stream.write_all(request.as_ref());
    let (mut answer, mut chunk) = (Vec::new(), [0; 8192]);
    while let Ok(bytes @ 1..) = stream.read(&mut chunk) {
        answer.extend_from_slice(&chunk[..bytes]);
        let so_far = Reply::parse(&String::from_utf8_lossy(&answer));
        if so_far.as_ref().is_some_and(Reply::is_whole) {
            return so_far;
        }
    }
    Reply::parse(&String::from_utf8_lossy(&answer))
}

/// The bodies that hooks left on disk in this home, oldest first. They are gone from there.
pub fn spooled(home: &Path) -> Vec<Vec<u8>> {
    let Ok(folder) = std::fs::read_dir(Home::at(home).spool()) else { return Vec::new() };
    let paths = folder.map(|entry| entry.expect("an entry can be read").path());
    let is_event = |path: &PathBuf| path.extension().is_some_and(|extension| extension == spool::EXTENSION);
    let mut events: Vec<PathBuf> = paths.filter(is_event).collect();
    events.sort_unstable();
    let take = |path: PathBuf| {
        let body = std::fs::read(&path).expect("a spooled event can be read");
        std::fs::remove_file(path).expect("a spooled event can be taken");
        body
    };
    events.into_iter().map(take).collect()
}

/// One of our programs in a home, with nothing of this user's own settings.
pub fn our(home: &Path, name: &str) -> Command {
    let mut command = Command::new(program(name));
    for (variable, _) in std::env::vars_os() {
        if variable.to_string_lossy().starts_with("CLAUDE_") {
            command.env_remove(variable);
        }
    }
    command
        .env("CLAUDE_MPM_HOME", home)
        .env("HOME", home)
        .env_remove("DISPLAY")
        .env_remove("WAYLAND_DISPLAY");
    command.current_dir(home);
    command
}

/// Starts a monitor and waits until it answers; `None` when it cannot have the port.
fn serve(agent: &ureq::Agent, home: &Path, port: u16) -> Option<Child> {
    let log = File::create(home.join(output_file(port))).expect("a log can be made");
    let mut child = our(home, "claude-mpm-monitor")
        .args(["start", "--foreground", "--no-browser", "--port", &port.to_string()])
        .stdin(Stdio::null())
        .stdout(log.try_clone().expect("a file can be shared"))
        .stderr(log)
        .spawn()
        .expect("the monitor can be started");
    answers(agent, home, port, &mut child).then_some(child)
}

/// Waits until this very monitor serves: its runfile and `/health` agree. `false` when it ended instead.
fn answers(agent: &ureq::Agent, home: &Path, port: u16, child: &mut Child) -> bool {
    let start = Instant::now();
    while start.elapsed() < PATIENCE {
        if child.try_wait().expect("a child can be asked").is_some() {
            return false;
        }
        if let (Some(runfile), Some(health)) = (runfile(home, port), health(agent, port))
            && runfile["server_id"] == health["server_id"]
        {
            return true;
        }
        std::thread::sleep(POLL);
    }
    panic!("the monitor on {port} does not answer:\n{}", log(home, port));
}

fn runfile(home: &Path, port: u16) -> Option<Value> {
    let text = std::fs::read(Home::at(home).runfile(port)).ok()?;
    serde_json::from_slice(&text).ok()
}

fn health(agent: &ureq::Agent, port: u16) -> Option<Value> {
    let text =
        agent.get(format!("http://127.0.0.1:{port}/health")).call().ok()?.body_mut().read_to_string().ok()?;
    serde_json::from_str(&text).ok()
}

fn log(home: &Path, port: u16) -> String {
    std::fs::read_to_string(home.join(output_file(port))).unwrap_or_default()
}

/// What the monitor on this port prints; several can share a home.
fn output_file(port: u16) -> String {
    format!("monitor-{port}.out")
}

/// A port that is free now.
fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("some port is free");
    listener.local_addr().expect("a bound socket has an address").port()
}

/// Answers of every status are answers, and no wait is endless.
fn agent() -> ureq::Agent {
    ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(PATIENCE)).build().into()
}

fn reply(answer: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> Reply {
    let mut answer = answer.unwrap_or_else(|cause| panic!("no answer: {cause}"));
    let header = |(name, value): (&ureq::http::HeaderName, &ureq::http::HeaderValue)| {
        format!("{name}: {}\r\n", String::from_utf8_lossy(value.as_bytes()))
    };
    let headers = answer.headers().iter().map(header).collect();
    let body = answer.body_mut().with_config().limit(u64::MAX).read_to_string().expect("the body is text");
    Reply { status: answer.status().as_u16(), headers, body }
}
