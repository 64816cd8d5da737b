//! The events of one launched program, in the words of the WebSocket API.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use client::{Monitor, Running};
use protocol::paths::Home;
use protocol::{EventId, Source, Timestamp};
use serde_json::{Value, json};

use crate::args::LaunchMethod;

/// How much of an output stands in its summary; the server shortens it further.
const SUMMARY_CHARS: usize = 200;

/// The way to the monitor that is told: the one that the program was started beside; when that has ended, the one of
/// this user's in its place.
struct Line {
    home: Home,
    /// The port that the first one served.
    port: u16,
    folder: PathBuf,
    monitor: Mutex<Monitor>,
}

impl Line {
    /// Tells whoever is proven to be this user's monitor now, and nobody else.
    fn tell(&self, events: &str) -> Result<(), client::Error> {
        let mut monitor = self.monitor.lock().unwrap_or_else(PoisonError::into_inner);
        if monitor.prove(monitor.url()).is_err() {
            let ours = client::ours(&self.home);
            let same_port = ours.iter().find(|found| found.health.port == self.port);
            if let Some(found) = same_port.or_else(|| client::best(&ours, &self.folder)) {
                *monitor = found.monitor.clone();
            }
        }
        monitor.post_event(events)
    }
}

/// One run of a program.
pub(super) struct Session {
    line: Line,
    id: String,
    folder: String,
    started_at: Timestamp,
    launch_method: &'static str,
    command: Vec<String>,
    instance: Value,
    port: u16,
}

/// What a program is doing, as `claude.status` says it.
#[derive(Clone, Copy)]
pub(super) enum Status {
    Starting,
    Running(u32),
    Stopped(u32),
    Error,
}

impl Session {
    pub(super) fn new(running: &Running, method: LaunchMethod, command: &[OsString]) -> Self {
        let current = std::env::current_dir().unwrap_or_default();
        let folder = current.to_string_lossy().into_owned();
        let runfile = &running.runfile;
        let monitor = Mutex::new(running.monitor());
        Self {
            line: Line { home: running.home.clone(), port: runfile.port, folder: current, monitor },
            id: EventId::new(now()).0.to_string(),
            started_at: now(),
            launch_method: match method {
                LaunchMethod::Exec => "exec",
                LaunchMethod::Subprocess => "subprocess",
            },
            command: command.iter().map(|word| word.to_string_lossy().into_owned()).collect(),
            instance: json!({ "port": runfile.port, "host": runfile.host, "working_dir": folder }),
            port: runfile.port,
            folder,
        }
    }

    /// Tells an event, or several, one a line. Success means that they are stored.
    pub(super) fn tell(&self, events: &str) -> Result<(), client::Error> {
        self.line.tell(events)
    }

    pub(super) fn start(&self) -> String {
        let data = json!({
            "start_time": self.started_at.rfc3339(),
            "launch_method": self.launch_method,
            "working_directory": self.folder,
            "websocket_port": self.port,
            "command": self.command,
        });
        self.event("session.start", data, &format!("Started {}", self.command.join(" ")))
    }

    /// The end of the program, which returned `status`.
    pub(super) fn end(&self, status: &Value) -> String {
        let end = now();
        let data = json!({
            "end_time": end.rfc3339(),
            "duration_seconds": (end.0 - self.started_at.0).max(0) as f64 / 1000.0,
            "reason": "ended",
            "result": status,
        });
        self.event("session.end", data, "Session ended")
    }

    pub(super) fn status(&self, status: Status, message: &str) -> String {
        let (name, pid) = match status {
            Status::Starting => ("starting", None),
            Status::Running(pid) => ("running", Some(pid)),
            Status::Stopped(pid) => ("stopped", Some(pid)),
            Status::Error => ("error", None),
        };
        self.event("claude.status", json!({ "status": name, "pid": pid, "message": message }), message)
    }

    /// Something that the program wrote, escape sequences and all. `skipped` bytes before it are not told.
    pub(super) fn output(&self, content: &str, plain: &str, stream: &str, skipped: u64) -> String {
        let mut data = json!({ "content": content, "stream": stream });
        if skipped > 0 {
            data["skipped_bytes"] = skipped.into();
        }
        let line: String = plain.split_whitespace().collect::<Vec<_>>().join(" ");
        let summary: String = line.chars().take(SUMMARY_CHARS).collect();
        self.event("claude.output", data, if summary.is_empty() { "claude.output" } else { &summary })
    }

    /// An event of any other kind.
    pub(super) fn event(&self, kind: &str, mut data: Value, summary: &str) -> String {
        data["session_id"] = self.id.clone().into();
        data["cwd"] = self.folder.clone().into();
        data["instance_info"] = self.instance.clone();
        json!({
            "id": EventId::new(now()),
            "occurred_at": now().0,
            "source": Source::Run.as_str(),
            "kind": kind,
            "session_id": self.id,
            "project": self.folder,
            "summary": summary,
            "is_error": data["status"] == "error",
            "payload": data,
        })
        .to_string()
    }
}

fn now() -> Timestamp {
    Timestamp::from_system(SystemTime::now())
}
