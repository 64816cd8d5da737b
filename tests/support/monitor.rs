//! A real monitor in a home of its own on a port of its own; it ends with the value.

use std::ffi::OsString;
use std::fs::File;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
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

/// Whether it keeps its own events beside those that the test sends.
const OWN_EVENTS: &str = "CLAUDE_MPM_OWN_EVENTS";

/// What its environment holds beside what every test gives it.
type Variables = Vec<(&'static str, OsString)>;

/// A running `claude-mpm-monitor start --foreground`.
pub struct Monitor {
    home: Arc<TempDir>,
    arguments: Vec<String>,
    variables: Variables,
    port: u16,
    child: Child,
    agent: ureq::Agent,
}

/// What a crashed or stopped monitor leaves.
pub struct Crashed {
    home: Arc<TempDir>,
    arguments: Vec<String>,
    variables: Variables,
    port: u16,
}

impl Monitor {
    /// Starts one in a new home and returns when it answers.
    pub fn start() -> Self {
        Self::start_in(TempDir::new().expect("a temporary folder can be made"))
    }

    /// Starts one in this home on a free port.
    pub fn start_in(home: TempDir) -> Self {
        Self::start_with(&Arc::new(home), &[])
    }

    /// Starts one in this home, which others may share, on a free port and with these arguments.
    pub fn start_with(home: &Arc<TempDir>, arguments: &[&str]) -> Self {
        Self::start_as(home, arguments, Vec::new())
    }

    /// Starts one in a new home with these settings and arguments.
    pub fn start_configured(settings: &str, arguments: &[&str]) -> Self {
        let home = TempDir::new().expect("a temporary folder can be made");
        std::fs::write(home.path().join("socketio_config.json"), settings).expect("a file can be written");
        Self::start_with(&Arc::new(home), arguments)
    }

    /// Starts one that keeps its own events, too: its start and stop, and who connects and leaves.
    pub fn start_with_own_events() -> Self {
        let home = Arc::new(TempDir::new().expect("a temporary folder can be made"));
        Self::start_as(&home, &[], vec![(OWN_EVENTS, "true".into())])
    }

    /// Starts one in this home whose disk and clock are as the test wants.
    #[cfg(target_os = "linux")]
    pub fn start_with_faults(home: TempDir, faults: &crate::Faults) -> Self {
        Self::start_as(&Arc::new(home), &[], faults.variables())
    }

    fn start_as(home: &Arc<TempDir>, arguments: &[&str], variables: Variables) -> Self {
        let agent = agent();
        let arguments: Vec<String> = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        for _ in 0..PORT_TRIES {
            let port = free_port();
            if let Some(child) = serve(&agent, home.path(), port, &arguments, &variables) {
                return Self { home: home.clone(), arguments, variables, port, child, agent };
            }
        }
        panic!("no monitor could be started");
    }

    /// Ends it as a crash would, without a word.
    pub fn crash(mut self) -> Crashed {
        self.end();
        self.remains()
    }

    fn remains(&self) -> Crashed {
        Crashed {
            home: self.home.clone(),
            arguments: self.arguments.clone(),
            variables: self.variables.clone(),
            port: self.port,
        }
    }

    /// Ends it as its user does, and claims that it ends well.
    pub fn stop(mut self) -> Crashed {
        let stopped = self.cli(&["stop", "--port", &self.port.to_string()]);
        assert!(stopped.status.success(), "{stopped:?}");
        let ended = self.child.wait().expect("a child can be waited for");
        assert!(ended.success(), "{ended}");
        self.crash()
    }

    /// Moves it to another free port, as its user may, and returns when it answers there.
    pub fn move_away(&mut self) {
        let port = free_port();
        let token = format!("Bearer {}", self.control_token());
        let reply =
            self.post_with("/api/restart", &[("authorization", &token)], format!("{{\"port\":{port}}}"));
        assert_eq!(reply.status, 202, "{reply:?}");
        self.port = port;
        assert!(answers(&self.agent, self.home.path(), port, &mut self.child), "it ended instead");
    }

    /// `http://127.0.0.1:<port>`.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
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

    /// The token of its home, which was made when it started.
    pub fn token(&self) -> String {
        let token = std::fs::read_to_string(Home::at(self.home()).token()).expect("there is a token");
        token.trim().to_owned()
    }

    /// The path and query of a new login link.
    #[track_caller]
    pub fn login_path(&self) -> String {
        let printed = self.cli(&["token", "link"]);
        let link = String::from_utf8_lossy(&printed.stdout);
        let at = link.find("/login?code=").unwrap_or_else(|| panic!("no link: {printed:?}"));
        link[at..].trim().to_owned()
    }

    /// What it has written to its terminal and its log.
    pub fn log(&self) -> String {
        log(self.home(), self.port)
    }

    /// Its `CLAUDE_MPM_HOME`.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// `GET` of a path.
    pub fn get(&self, path: &str) -> Reply {
        self.get_with(path, &[])
    }

    /// `GET` with these headers.
    pub fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> Reply {
        let request = self.agent.get(format!("{}{path}", self.url()));
        reply(headers.iter().fold(request, |request, (name, value)| request.header(*name, *value)).call())
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
    /// leave the event on disk instead of waiting; then the monitor takes it from there.
    pub fn hook(&self, stdin: &str) -> Output {
        let output = hook(self.home(), &[], stdin);
        self.wait_for_spool();
        output
    }

    /// Waits until nothing lies in the spool, hence all of it is stored.
    #[track_caller]
    pub fn wait_for_spool(&self) {
        let start = Instant::now();
        while !spooled(self.home()).is_empty() {
            assert!(start.elapsed() < PATIENCE, "the spool is not drained: {}", self.assert_healthy());
            std::thread::sleep(POLL);
        }
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
    /// Its `CLAUDE_MPM_HOME`.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// The same, for another monitor in it.
    pub fn shared_home(&self) -> &Arc<TempDir> {
        &self.home
    }

    /// Starts another one and ends it as a crash would at that moment, whether it answers yet or not.
    pub fn crash_when(self, moment: impl Fn() -> bool) -> Self {
        let mut child = spawn(self.home.path(), self.port, &self.arguments, &self.variables);
        let start = Instant::now();
        while !moment() && start.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_micros(200));
        }
        let ended = child.try_wait().expect("a child can be asked");
        let _ = child.kill();
        let _ = child.wait();
        assert!(ended.is_none(), "it ended by itself:\n{}", log(self.home.path(), self.port));
        assert!(start.elapsed() < PATIENCE, "the moment never came:\n{}", log(self.home.path(), self.port));
        self
    }

    /// Starts another one in the same home on the same port.
    pub fn restart(self) -> Monitor {
        let agent = agent();
        let Self { home, arguments, variables, port } = self;
        let child = serve(&agent, home.path(), port, &arguments, &variables);
        let child = child.unwrap_or_else(|| panic!("it does not start again:\n{}", log(home.path(), port)));
        Monitor { home, arguments, variables, port, child, agent }
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

/// Runs the real hook in a home with these variables and this on its standard input, as Claude Code would.
pub fn hook(home: &Path, variables: &[(&str, &str)], stdin: &str) -> Output {
    let mut hook = our(home, "claude-mpm-hook");
    let output = output(hook.envs(variables.iter().copied()), stdin.as_bytes());
    assert!(output.status.success(), "a hook always succeeds: {output:?}");
    assert!(output.stdout.is_empty(), "Claude Code reads what a hook prints: {output:?}");
    output
}

/// The events that lie in the spool of a home.
pub fn spooled(home: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(Home::at(home).spool()) else { return Vec::new() };
    let paths = entries.map(|entry| entry.expect("an entry can be read").path());
    let is_event = |path: &PathBuf| {
        path.file_name().and_then(|name| name.to_str()).and_then(spool::parse_file_name).is_some()
    };
    paths.filter(is_event).collect()
}

/// One of our programs in a home, with nothing of this user's own settings.
pub fn our(home: &Path, name: &str) -> Command {
    let mut command = Command::new(program(name));
    settle(&mut command, home);
    command
}

/// Gives a program this home, and nothing of this user's own settings.
pub fn settle(command: &mut Command, home: &Path) {
    for (variable, _) in std::env::vars_os() {
        if variable.to_string_lossy().starts_with("CLAUDE_") {
            command.env_remove(variable);
        }
    }
    command
        .env("CLAUDE_MPM_HOME", home)
        .env("HOME", home)
        // What the tests count are the events that they send.
        .env(OWN_EVENTS, "false")
        .env_remove("DISPLAY")
        .env_remove("WAYLAND_DISPLAY");
    command.current_dir(home);
}

/// Starts a monitor and waits until it answers; `None` when it cannot have the port.
fn serve(
    agent: &ureq::Agent,
    home: &Path,
    port: u16,
    arguments: &[String],
    variables: &Variables,
) -> Option<Child> {
    let mut child = spawn(home, port, arguments, variables);
    answers(agent, home, port, &mut child).then_some(child)
}

fn spawn(home: &Path, port: u16, arguments: &[String], variables: &Variables) -> Child {
    let log = File::create(log_file(home, port)).expect("a log can be made");
    our(home, "claude-mpm-monitor")
        .args(["start", "--foreground", "--no-browser", "--port", &port.to_string()])
        .args(arguments)
        .envs(variables.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(log.try_clone().expect("a file can be shared"))
        .stderr(log)
        .spawn()
        .expect("the monitor can be started")
}

/// Waits until this very monitor serves: its runfile and `/health` agree. `false` when it ended instead.
fn answers(agent: &ureq::Agent, home: &Path, port: u16, child: &mut Child) -> bool {
    let start = Instant::now();
    while start.elapsed() < PATIENCE {
        if child.try_wait().expect("a child can be asked").is_some() {
            return false;
        }
        if let Some(runfile) = runfile(home, port)
            && let Some(health) = health(agent, port, &runfile)
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

/// What it says to who has its runfile.
fn health(agent: &ureq::Agent, port: u16, runfile: &Value) -> Option<Value> {
    let token = format!("Bearer {}", runfile["control_token"].as_str().unwrap_or_default());
    let request = agent.get(format!("http://127.0.0.1:{port}/health")).header("authorization", token);
    serde_json::from_str(&request.call().ok()?.body_mut().read_to_string().ok()?).ok()
}

fn log(home: &Path, port: u16) -> String {
    std::fs::read_to_string(log_file(home, port)).unwrap_or_default()
}

fn log_file(home: &Path, port: u16) -> PathBuf {
    home.join(format!("monitor-{port}.out"))
}

/// A port that is free now, and not one of those that the system gives to whoever connects somewhere: it must
/// still be free when its monitor was killed and starts again.
pub fn free_port() -> u16 {
    const PORTS: std::ops::Range<u16> = 20_000..32_000;
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = std::process::id().wrapping_mul(97) % u32::from(PORTS.end - PORTS.start);
    let port = |_| {
        let next = NEXT.fetch_add(1, Ordering::Relaxed);
        PORTS.start + (start as u16).wrapping_add(next) % (PORTS.end - PORTS.start)
    };
    let is_free = |port: &u16| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok();
    PORTS.map(port).find(is_free).expect("some port is free")
}

/// Answers of every status are answers, and no wait is endless. Each request has its own connection: one that was kept
/// may be closed, for it was idle for too long, while the next request is written to it.
fn agent() -> ureq::Agent {
    ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(PATIENCE))
        .max_idle_connections(0)
        .build()
        .into()
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
