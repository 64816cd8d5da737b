//! Runs the real hook in a home of its own, against a server that only listens.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use protocol::paths::Home;
use protocol::spool::parse_file_name;
use protocol::{Runfile, Timestamp};
use serde::Deserialize;
use serde_json::value::RawValue;
use tempfile::TempDir;

/// Only a hang takes this long.
const HANG: Duration = Duration::from_secs(60);

/// What the hook sends.
#[derive(Deserialize)]
pub(crate) struct Body {
    pub(crate) id: String,
    pub(crate) occurred_at: i64,
    pub(crate) source: String,
    pub(crate) kind: Option<String>,
    pub(crate) payload: Box<RawValue>,
}

impl Body {
    pub(crate) fn parse(bytes: &[u8]) -> Self {
        serde_json::from_slice(bytes).expect("a body is JSON")
    }

    /// Why the input was no event.
    pub(crate) fn reason(&self) -> String {
        assert_eq!(self.kind.as_deref(), Some("hook_input_invalid"));
        let payload: serde_json::Value = serde_json::from_str(self.payload.get()).unwrap();
        payload["reason"].as_str().unwrap().to_owned()
    }
}

/// A user's home, with the hook in it.
pub(crate) struct User {
    folder: TempDir,
    variables: Vec<(String, String)>,
}

impl User {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), variables: Vec::new() }
    }

    pub(crate) fn home(&self) -> Home {
        Home::at(self.folder.path())
    }

    pub(crate) fn with(mut self, variable: &str, value: impl Into<String>) -> Self {
        self.variables.push((variable.to_owned(), value.into()));
        self
    }

    /// Leaves the home's own token.
    pub(crate) fn with_token(self) -> Self {
        fs::create_dir_all(self.home().monitor()).unwrap();
        fs::write(self.home().token(), "the home's own token, which nobody else gets").unwrap();
        self
    }

    /// Leaves a runfile as a server of this user does.
    pub(crate) fn with_runfile(self, port: u16, project: Option<&str>) -> Self {
        self.with_runfile_of(std::process::id(), None, port, project)
    }

    /// That of a process which started at these ticks.
    pub(crate) fn with_runfile_of(
        self,
        pid: u32,
        ticks: Option<u64>,
        port: u16,
        project: Option<&str>,
    ) -> Self {
        let runfile = Runfile {
            pid,
            process_started_at: Timestamp(0),
            process_start_ticks: ticks,
            version: "0.1.0".to_owned(),
            host: "127.0.0.1".to_owned(),
            port,
            addresses: Vec::new(),
            server_id: "id".to_owned(),
            control_token: "secret".to_owned(),
            project: project.map(str::to_owned),
            mode: "background".to_owned(),
            access: Default::default(),
        };
        fs::create_dir_all(self.home().run()).unwrap();
        fs::write(self.home().runfile(port), serde_json::to_vec(&runfile).unwrap()).unwrap();
        self
    }

    pub(crate) fn start(&self) -> Child {
        Command::new(env!("CARGO_BIN_EXE_claude-mpm-hook"))
            .env_clear()
            .env("CLAUDE_MPM_HOME", self.folder.path())
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    /// One run with this on standard input, closed behind it.
    pub(crate) fn run(&self, input: &[u8]) {
        let mut hook = self.start();
        let mut stdin = hook.stdin.take().unwrap();
        let _ = stdin.write_all(input); // the hook may leave before it has read everything
        drop(stdin);
        assert_invisible(hook);
    }

    /// The spooled bodies in the order of their names.
    pub(crate) fn spooled(&self) -> Vec<Body> {
        spooled_files(&self.home().spool()).iter().map(|path| Body::parse(&fs::read(path).unwrap())).collect()
    }
}

pub(crate) fn spooled_files(spool: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(spool) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| parse_file_name(path.file_name().unwrap().to_str().unwrap()).is_some());
    paths.sort();
    paths
}

/// Waits for the end of a run, which nobody must have noticed.
pub(crate) fn assert_invisible(mut hook: Child) {
    let started = Instant::now();
    while hook.try_wait().unwrap().is_none() {
        assert!(started.elapsed() < HANG, "the hook hangs");
        thread::sleep(Duration::from_millis(1));
    }
    let Output { status, stdout, stderr } = hook.wait_with_output().unwrap();
    assert_eq!(status.code(), Some(0), "Claude Code reports any other exit code");
    assert!(stdout.is_empty(), "stdout goes into Claude's context: {}", String::from_utf8_lossy(&stdout));
    assert!(stderr.is_empty(), "stderr is shown to the user: {}", String::from_utf8_lossy(&stderr));
}

/// A server on a free port that takes one request per connection.
pub(crate) struct Server {
    pub(crate) port: u16,
    requests: Receiver<Request>,
    knocks: Arc<AtomicUsize>,
}

struct Request {
    authorization: Option<String>,
    body: Vec<u8>,
}

impl Server {
    /// Reads each request and gives this answer; an empty one is silence until the client leaves.
    pub(crate) fn answering(answer: &'static str) -> Self {
        // At every address of this machine, as far as it has them.
        let listener = TcpListener::bind("[::]:0").or_else(|_| TcpListener::bind("0.0.0.0:0")).unwrap();
        let port = listener.local_addr().unwrap().port();
        let (sender, requests) = mpsc::channel();
        let knocks = Arc::new(AtomicUsize::new(0));
        let theirs = knocks.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                theirs.fetch_add(1, Ordering::SeqCst);
                let Some(request) = read_request(&mut stream) else { continue };
                let _ = sender.send(request);
                if answer.is_empty() {
                    let _ = stream.read(&mut [0]);
                } else {
                    let _ = stream.write_all(answer.as_bytes());
                }
            }
        });
        Self { port, requests, knocks }
    }

    pub(crate) fn up() -> Self {
        Self::answering("HTTP/1.1 204 No Content\r\n\r\n")
    }

    pub(crate) fn next(&self) -> Body {
        Body::parse(&self.next_bytes())
    }

    pub(crate) fn next_bytes(&self) -> Vec<u8> {
        self.requests.recv_timeout(HANG).expect("a body arrives").body
    }

    /// What proves to it who posts.
    pub(crate) fn next_authorization(&self) -> Option<String> {
        self.requests.recv_timeout(HANG).expect("a body arrives").authorization
    }

    pub(crate) fn got_nothing(&self) -> bool {
        self.requests.try_recv().is_err()
    }

    /// Whether anybody ever connected: a connection of our own comes after all of theirs.
    pub(crate) fn was_knocked_at(&self) -> bool {
        drop(TcpStream::connect(("127.0.0.1", self.port)).unwrap());
        let started = Instant::now();
        while self.knocks.load(Ordering::SeqCst) == 0 {
            assert!(started.elapsed() < HANG, "it takes no connections");
            thread::sleep(Duration::from_millis(1));
        }
        self.knocks.load(Ordering::SeqCst) > 1
    }
}

/// A request; `None` when the client left before it was complete.
fn read_request(stream: &mut TcpStream) -> Option<Request> {
    let mut reader = BufReader::new(stream);
    let (mut length, mut authorization) = (None, None);
    for line in reader.by_ref().lines() {
        let line = line.ok()?;
        if line.is_empty() {
            break;
        }
        length = length.or_else(|| line.strip_prefix("Content-Length: ")?.parse().ok());
        authorization = authorization.or_else(|| Some(line.strip_prefix("Authorization: ")?.to_owned()));
    }
    let mut body = vec![0; length?];
    reader.read_exact(&mut body).ok()?;
    Some(Request { authorization, body })
}
