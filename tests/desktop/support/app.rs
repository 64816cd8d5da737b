//! The app in a home of its own.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use e2e::{DESKTOP, free_port, program, settle};
use protocol::paths::Home;
use serde_json::Value;
use tempfile::TempDir;

use crate::{Bus, Screen, Tray, TrayHost, eventually};

/// A home with a screen, and mostly a bus, on which apps are started.
pub struct App {
    screen: Screen,
    bus: Option<Bus>,
    home: Arc<TempDir>,
    executable: PathBuf,
    port: u16,
    child: Option<Child>,
}

impl App {
    /// A desktop on which nothing runs yet.
    pub fn new() -> Self {
        Self::with(Some(Bus::start()))
    }

    /// One where the app serves and shows its tray, without a window.
    #[track_caller]
    pub fn serving() -> (Self, TrayHost, Tray) {
        let mut app = Self::new();
        let host = TrayHost::start(app.bus());
        app.start(&["--hidden"]);
        let tray = host.tray();
        app.wait_for_server(app.port());
        tray.wait_for_status("serving", |status| status.starts_with("Running on localhost:"));
        (app, host, tray)
    }

    /// One without a session bus.
    pub fn without_bus() -> Self {
        Self::with(None)
    }

    /// One in a home where others may run, for that port.
    pub fn in_home(home: Arc<TempDir>, port: u16) -> Self {
        Self::at(home, port, Some(Bus::start()))
    }

    fn with(bus: Option<Bus>) -> Self {
        let home = TempDir::new().expect("a temporary folder can be made");
        Self::at(Arc::new(home), free_port(), bus)
    }

    fn at(home: Arc<TempDir>, port: u16, bus: Option<Bus>) -> Self {
        Self { screen: Screen::start(), bus, home, executable: program(DESKTOP), port, child: None }
    }

    /// Starts it, with `--port` and these arguments.
    pub fn start(&mut self, arguments: &[&str]) {
        let port = self.port.to_string();
        self.start_with(&[&["--port", &port], arguments].concat());
    }

    /// Starts it with these arguments only.
    pub fn start_with(&mut self, arguments: &[&str]) {
        let mut command = self.command();
        self.child = Some(command.args(arguments).spawn().expect("the app can be started"));
    }

    /// What its user chose earlier, as it is kept in `desktop.json`.
    pub fn prefers(&self, preferences: &Value) {
        let folder = Home::at(self.home()).monitor();
        std::fs::create_dir_all(&folder).expect("a folder can be made");
        std::fs::write(folder.join("desktop.json"), preferences.to_string()).expect("a file can be written");
    }

    /// A start on this desktop, still without arguments.
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.executable);
        self.settle(&mut command);
        command.stdin(Stdio::null());
        command
    }

    /// Puts a program on this desktop.
    pub fn settle(&self, command: &mut Command) {
        let log = self.log();
        settle(command, self.home.path());
        command
            .env("DISPLAY", self.screen.display())
            .env("XDG_RUNTIME_DIR", self.home.path())
            .env("NO_AT_BRIDGE", "1")
            .env("GDK_BACKEND", "x11")
            .stdout(log.try_clone().expect("a file can be shared"))
            .stderr(log);
        for name in ["XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME", "WAYLAND_DISPLAY"] {
            command.env_remove(name);
        }
        match &self.bus {
            Some(bus) => command.env("DBUS_SESSION_BUS_ADDRESS", bus.address()),
            None => command.env_remove("DBUS_SESSION_BUS_ADDRESS"),
        };
    }

    /// Its bus.
    pub fn bus(&self) -> &Bus {
        self.bus.as_ref().expect("this desktop has a bus")
    }

    /// Its screen.
    pub fn screen(&self) -> &Screen {
        &self.screen
    }

    /// Its home.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// The port that it is started with.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The process that was started.
    pub fn pid(&self) -> u32 {
        self.child.as_ref().expect("it was started").id()
    }

    /// `/health` of whoever serves that port.
    pub fn health_at(&self, port: u16) -> Option<Value> {
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .timeout_global(Some(Duration::from_secs(5)))
            .proxy(None)
            .build()
            .into();
        let mut answer = agent.get(format!("http://127.0.0.1:{port}/health")).call().ok()?;
        answer.body_mut().read_json().ok()
    }

    /// Waits until a server of this home answers on that port; returns its `/health`.
    #[track_caller]
    pub fn wait_for_server(&self, port: u16) -> Value {
        eventually(&format!("a server on {port}:\n{}", self.said()), || {
            let runfile = std::fs::read(Home::at(self.home()).runfile(port)).ok()?;
            let runfile: Value = serde_json::from_slice(&runfile).ok()?;
            self.health_at(port).filter(|health| health["server_id"] == runfile["server_id"])
        })
    }

    /// Waits until another run than that one answers there.
    #[track_caller]
    pub fn wait_for_another(&self, port: u16, server_id: &Value) -> Value {
        eventually("another run of the server", || {
            Some(self.wait_for_server(port)).filter(|health| health["server_id"] != *server_id)
        })
    }

    /// Waits until nobody answers on that port.
    #[track_caller]
    pub fn wait_for_silence(&self, port: u16) {
        eventually("the end of the server", || self.health_at(port).is_none().then_some(()));
    }

    /// Posts an event and returns the status.
    pub fn post(&self, port: u16, body: &str) -> u16 {
        let config = ureq::Agent::config_builder().proxy(None).http_status_as_error(false).build();
        let agent = ureq::Agent::from(config);
        let sent = agent.post(format!("http://127.0.0.1:{port}/api/events")).send(body);
        sent.expect("the server answers").status().as_u16()
    }

    /// Sends SIGTERM.
    pub fn terminate(&self) {
        let status = Command::new("kill").arg(self.pid().to_string()).status().expect("kill can be started");
        assert!(status.success());
    }

    /// Waits until it has ended.
    #[track_caller]
    pub fn wait_for_end(&mut self) -> ExitStatus {
        let child = self.child.as_mut().expect("it was started");
        let status = eventually("the end of the app", || child.try_wait().expect("a child can be asked"));
        self.child = None;
        status
    }

    /// Whether it runs.
    pub fn runs(&mut self) -> bool {
        self.child.as_mut().is_some_and(|child| child.try_wait().expect("a child can be asked").is_none())
    }

    /// How many processes show its pages.
    pub fn pages(&self) -> usize {
        let processes = std::fs::read_dir("/proc").expect("Linux has it").flatten();
        let stats = processes.filter_map(|entry| std::fs::read_to_string(entry.path().join("stat")).ok());
        // `pid (name) state parent …`; a name is cut after 15 bytes.
        let is_page = |stat: &String| {
            let (head, rest) = stat.rsplit_once(") ").unwrap_or_default();
            let parent = rest.split(' ').nth(1).and_then(|parent| parent.parse().ok());
            head.ends_with("(WebKitWebProces") && !rest.starts_with('Z') && parent == Some(self.pid())
        };
        stats.filter(is_page).count()
    }

    /// What it printed and logged.
    pub fn said(&self) -> String {
        let read = |path: PathBuf| std::fs::read_to_string(path).unwrap_or_default();
        let log = Home::at(self.home()).desktop_log();
        format!("{}{}", read(self.home().join("output")), read(log))
    }

    fn log(&self) -> std::fs::File {
        let mut options = std::fs::OpenOptions::new();
        options.create(true).append(true).open(self.home().join("output")).expect("a log can be made")
    }
}

impl Default for App {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for App {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        if std::thread::panicking() {
            eprintln!("the app said:\n{}", self.said());
        }
    }
}
