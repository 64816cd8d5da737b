//! A monitor that is about to be attacked: what it uses before and after, and a viewer who must not notice.

use serde_json::json;

use crate::{Monitor, WebSocket, prompt};

/// What an attack may leave in memory: the allocator keeps what as many connections took as there may be.
#[cfg(target_os = "linux")]
const BYTES_MORE_MAX: u64 = 96 * 1024 * 1024;

/// Open files and threads that come and go in ordinary use.
#[cfg(target_os = "linux")]
const FILES_MORE_MAX: u64 = 24;
#[cfg(target_os = "linux")]
const THREADS_MORE_MAX: u64 = 24;

/// A monitor that was well when the value was made.
pub struct Guarded<'a> {
    monitor: &'a Monitor,
    witness: WebSocket,
    events: usize,
    #[cfg(target_os = "linux")]
    before: Usage,
}

impl<'a> Guarded<'a> {
    /// Lets a viewer watch and notes what the monitor uses.
    #[track_caller]
    pub fn watch(monitor: &'a Monitor) -> Self {
        let headers = json!({"headers": {"Authorization": authorization(monitor)}});
        let mut witness = WebSocket::attempt_with(monitor, "/ws", &headers);
        witness.data("system.status");
        let mut guarded = Self {
            monitor,
            witness,
            events: 0,
            #[cfg(target_os = "linux")]
            before: Usage::of(monitor),
        };
        // Whatever is made at the first use exists now.
        guarded.assert_serving();
        #[cfg(target_os = "linux")]
        {
            guarded.before = Usage::of(monitor);
        }
        guarded
    }

    /// Claims that the monitor does for this user what it is there for: it takes an event, the viewer who was there
    /// before sees it, and another one gets in.
    #[track_caller]
    pub fn assert_serving(&mut self) {
        self.events += 1;
        let session = format!("witness-{}", self.events);
        let authorization = authorization(self.monitor);
        let headers = [("authorization", authorization.as_str())];
        let posted = self.monitor.post_with("/api/events", &headers, prompt(&session, "hello"));
        assert_eq!(posted.status, 204, "{posted:?}");
        self.witness.matching(&session, |message| message.to_string().contains(&session));
        let headers = json!({"headers": {"Authorization": authorization}});
        WebSocket::attempt_with(self.monitor, "/ws", &headers).data("system.status");
    }

    /// The same, and that the monitor comes back to what it used before.
    #[track_caller]
    pub fn assert_unharmed(mut self) {
        self.assert_serving();
        #[cfg(target_os = "linux")]
        {
            let start = std::time::Instant::now();
            loop {
                let now = Usage::of(self.monitor);
                if now.is_like(&self.before) {
                    break;
                }
                assert!(start.elapsed() < crate::PATIENCE, "{now:?} after {:?}", self.before);
                std::thread::sleep(std::time::Duration::from_millis(50));
            }
        }
    }
}

/// Who has the runfile may do everything, also where a token is asked for.
fn authorization(monitor: &Monitor) -> String {
    format!("Bearer {}", monitor.control_token())
}

/// What a process holds.
#[cfg(target_os = "linux")]
#[derive(Debug)]
struct Usage {
    bytes: u64,
    files: u64,
    threads: u64,
}

#[cfg(target_os = "linux")]
impl Usage {
    fn of(monitor: &Monitor) -> Self {
        Self { bytes: monitor.memory(), files: monitor.open_files(), threads: monitor.status("Threads") }
    }

    fn is_like(&self, before: &Self) -> bool {
        self.bytes <= before.bytes + BYTES_MORE_MAX
            && self.files <= before.files + FILES_MORE_MAX
            && self.threads <= before.threads + THREADS_MORE_MAX
    }
}

#[cfg(target_os = "linux")]
impl Monitor {
    /// Bytes that its process has in memory.
    pub fn memory(&self) -> u64 {
        self.status("VmRSS") * 1024
    }

    /// Bytes that its process had in memory at most.
    pub fn peak(&self) -> u64 {
        self.status("VmHWM") * 1024
    }

    /// Files that its process has open, connections among them.
    pub fn open_files(&self) -> u64 {
        let files = std::fs::read_dir(format!("/proc/{}/fd", self.pid())).expect("its files are listed");
        files.count() as u64
    }

    /// A figure of `/proc/PID/status`.
    fn status(&self, name: &str) -> u64 {
        let path = format!("/proc/{}/status", self.pid());
        let text = std::fs::read_to_string(path).expect("the monitor runs");
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        let figure = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
        figure.unwrap_or_else(|| panic!("no {name} in {text}"))
    }
}
