//! A private home, a free port and the real executable, cleaned up at the end of each test.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use client::{Probe, Running};
use protocol::paths::Home;

/// How long anything may take before the test gives up. Only reached when something is broken.
const LIMIT: Duration = Duration::from_secs(60);

/// One user's home and the port that is configured in it.
pub(crate) struct Desk {
    folder: tempfile::TempDir,
    pub(crate) home: Home,
    pub(crate) port: u16,
}

impl Desk {
    pub(crate) fn new() -> Self {
        Self::at(free_port())
    }

    /// A desk on which this port is configured.
    pub(crate) fn at(port: u16) -> Self {
        let folder = tempfile::tempdir().expect("temporary folder");
        let home = Home::at(folder.path().join("home"));
        Self { folder, home, port }
    }

    /// Writes the user's configuration file.
    pub(crate) fn configure(&self, text: &str) {
        std::fs::create_dir_all(self.home.folder()).expect("a home");
        std::fs::write(self.home.config(), text).expect("a configuration");
    }

    /// A file or folder beside the home.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The executable with the desk's port configured, no display, and nothing of the caller's settings.
    pub(crate) fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_claude-mpm-monitor"));
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("CLAUDE_MPM") {
                command.env_remove(name);
            }
        }
        command
            .args(line.split_whitespace())
            .env("CLAUDE_MPM_HOME", self.home.folder())
            .env("HOME", self.folder.path())
            .env("CLAUDE_MPM_SOCKETIO_PORT", self.port.to_string())
            // What the tests count are the events that they send.
            .env("CLAUDE_MPM_OWN_EVENTS", "false")
            .env_remove("DISPLAY")
            .env_remove("WAYLAND_DISPLAY")
            .current_dir(self.folder.path())
            .stdin(Stdio::null());
        command
    }

    /// Runs a command to its end.
    pub(crate) fn run(&self, line: &str) -> Ran {
        Ran::from(self.command(line).output().expect("the executable starts"))
    }

    /// Starts a command that serves in the foreground and waits until it answers.
    pub(crate) fn serve(&self, line: &str, port: u16) -> (Foreground, Box<Running>) {
        let child = self.command(line).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let foreground = Foreground(Some(child.expect("the executable starts")));
        (foreground, self.wait_for_ours(port))
    }

    pub(crate) fn wait_for_ours(&self, port: u16) -> Box<Running> {
        let found = wait_for(|| match client::probe(&self.home, port) {
            Probe::Ours(running) => Some(running),
            _ => None,
        });
        found.unwrap_or_else(|| panic!("no monitor answers on port {port}"))
    }

    pub(crate) fn is_free(&self, port: u16) -> bool {
        matches!(client::probe(&self.home, port), Probe::Free)
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        for runfile in client::runfiles::list(&self.home).unwrap_or_default() {
            // A test that failed may have left a server; one that passed has none.
            let _ = client::stop(&self.home, runfile.port, true);
        }
        // One whose home is gone takes a longer look.
        let strays = if std::thread::panicking() { client::strays(&self.home) } else { Vec::new() };
        for stray in strays {
            let _ = client::stop(&self.home, stray.port, true);
        }
    }
}

/// What a command printed and returned.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
        Self { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }
}

/// A server in the foreground; killed when the test fails before it ended.
pub(crate) struct Foreground(Option<Child>);

impl Foreground {
    /// A command as somebody starts it in a terminal: whoever runs the tests in a shell's background, or to outlive a
    /// terminal, makes them ignore signals, and what they start as well.
    pub(crate) fn in_terminal(command: &Command) -> Self {
        let mut own = if cfg!(target_os = "linux") {
            let mut env = Command::new("env");
            env.arg("--default-signal=HUP,INT,QUIT").arg(command.get_program());
            env
        } else {
            Command::new(command.get_program())
        };
        own.args(command.get_args()).stdout(Stdio::piped()).stderr(Stdio::piped());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => own.env(name, value),
                None => own.env_remove(name),
            };
        }
        if let Some(folder) = command.get_current_dir() {
            own.current_dir(folder);
        }
        Self(Some(own.spawn().expect("the executable starts")))
    }

    /// A command with its outputs piped.
    pub(crate) fn of(child: Child) -> Self {
        Self(Some(child))
    }

    pub(crate) fn pid(&self) -> u32 {
        self.0.as_ref().expect("it was started").id()
    }

    /// Sends SIGINT, SIGTERM …
    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_raw(self.pid().cast_signed()).expect("a pid");
        rustix::process::kill_process(pid, signal).expect("the child is ours");
    }

    /// Waits until it has ended by itself.
    pub(crate) fn ended(mut self) -> Ran {
        let mut child = self.0.take().expect("it was started");
        let ended = wait_for(|| child.try_wait().expect("the child is ours"));
        let Some(status) = ended else {
            child.kill().expect("the child is ours");
            panic!("it did not end");
        };
        let mut ran = Ran { code: status.code(), out: String::new(), err: String::new() };
        child.stdout.take().expect("piped").read_to_string(&mut ran.out).expect("text");
        child.stderr.take().expect("piped").read_to_string(&mut ran.err).expect("text");
        ran
    }
}

impl Drop for Foreground {
    fn drop(&mut self) {
        if let Some(mut child) = self.0.take() {
            // The test has failed already; there is nothing better to do about a child that cannot be killed.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Builds the hook, which the executable under test expects beside itself.
pub(crate) fn hook() {
    static BUILT: Once = Once::new();
    BUILT.call_once(|| {
        let folder =
            Path::new(env!("CARGO_BIN_EXE_claude-mpm-monitor")).parent().expect("it lies in a folder");
        let target = folder.parent().expect("the profile's folder lies in the target folder");
        let profile = match folder.file_name().and_then(|name| name.to_str()) {
            Some("debug") | None => "dev",
            Some(profile) => profile,
        };
        let mut build = Command::new(env!("CARGO"));
        build.args(["build", "--quiet", "--package", "hook", "--bins", "--profile", profile, "--target-dir"]);
        let built = build.arg(target).current_dir(env!("CARGO_MANIFEST_DIR")).status().expect("cargo starts");
        assert!(built.success(), "the hook cannot be built");
    });
}

/// A port that is free and stays so while its server is stopped and started: below those that the system gives
/// to connections, and another one with each call.
pub(crate) fn free_port() -> u16 {
    static CALLS: AtomicU32 = AtomicU32::new(0);
    let mut ports = std::iter::repeat_with(|| {
        let call = std::process::id().wrapping_mul(101).wrapping_add(CALLS.fetch_add(1, Ordering::Relaxed));
        u16::try_from(10_000 + call % 20_000).expect("below 30000")
    });
    ports.find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok()).expect("a free port")
}

/// The whole answer to `GET path`, asked under that host name.
pub(crate) fn request(port: u16, path: &str, host: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("somebody listens");
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").expect("it reads");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("it answers");
    String::from_utf8_lossy(&answer).into_owned()
}

/// Asks until there is an answer; `None` when there is none for too long.
pub(crate) fn wait_for<T>(mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    let started = Instant::now();
    while started.elapsed() < LIMIT {
        if let Some(answer) = ask() {
            return Some(answer);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    None
}
