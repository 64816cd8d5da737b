//! Keeps a background server alive: starts it, writes its log, starts it again when it crashes, and gives up
//! when it crashes too often in a row. It knows its server by the child's exit and two pipes: on standard
//! output the server says where it serves, everything on standard error is the log.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::future::Future;
use std::io::{self, Write};
use std::path::Path;
use std::pin::Pin;
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, SystemTime};

use client::{Crash, Supervised, Supervision};
use protocol::Timestamp;
use protocol::paths::Home;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::LogFormat;
use crate::log_file::LogFile;

/// How many crashes in a row end the supervision: what fails three times fails for a reason that a fourth
/// start does not remove.
const CRASHES_MAX: u32 = 3;

/// How long a server must have served for its next crash to be the first of a row.
const STEADY: Duration = Duration::from_secs(60);

/// How long to rest after the first crash of a row; twice as long after each further one.
const REST: Duration = Duration::from_millis(500);

/// The longest rest while somebody else has the port. A try is one short process, and so soon it is noticed that the port
/// is free again.
const PORT_REST_MAX: Duration = Duration::from_secs(15);

/// How long a server may take to say goodbye to its clients after the order to end.
const GRACE: Duration = Duration::from_secs(10);

/// The same for one that never served: it has nobody to say goodbye to.
const START_GRACE: Duration = Duration::from_secs(1);

/// How many health checks in a row a server may leave without an answer.
const SILENCES_MAX: u32 = 3;

/// How long the answer to a health check may take, and no longer than until the next one.
const HEALTH_LIMIT: Duration = Duration::from_secs(10);

/// How long the pipes of an ended server are read: a program that it started may hold them open.
const DRAIN: Duration = Duration::from_millis(500);

/// How many of the last lines are kept to tell why a server ended.
const LINES_KEPT: usize = 10;

/// The most of a line that is kept.
const LINE_BYTES_MAX: usize = 500;

/// What a supervised server says on its standard output, one JSON object a line: where it serves, at its start
/// and after each move.
#[derive(Debug, Serialize, Deserialize)]
pub struct Serves {
    /// The port.
    pub serving: u16,
}

/// A server to keep alive.
pub struct Supervisor<'a> {
    /// The executable.
    pub exe: &'a Path,
    /// Its arguments, which make it serve that port.
    pub arguments: &'a dyn Fn(u16) -> Vec<OsString>,
    /// Whether an end says that only a port was missing, which somebody else has. That is no crash, however often.
    pub is_port_taken: &'a dyn Fn(ExitStatus) -> bool,
    /// Where the record is left.
    pub home: &'a Home,
    /// The port to begin with.
    pub port: u16,
    /// Where the log goes.
    pub log: LogFile,
    /// How its own lines in it are written.
    pub log_format: LogFormat,
    /// How often to ask whether the server still answers; `None` is never.
    pub health_check_interval: Option<Duration>,
}

/// Why a supervision ended.
#[derive(Debug)]
pub enum SupervisionEnd {
    /// The server ended well, by whosever order.
    Stopped,
    /// The server ended before it had ever served.
    NeverServed {
        /// How.
        status: ExitStatus,
        /// The last lines that it wrote.
        output: String,
    },
    /// The server crashed too often in a row. The record of its port says so.
    GaveUp,
}

impl Supervisor<'_> {
    /// Serves until `order` completes or the server ends for good; or until `abandoned` completes before the server has
    /// ever served: then whoever started it is gone, and nobody would know of it. Its own log lines never fail: a full
    /// disk is no reason to end a server.
    ///
    /// # Errors
    /// When the executable cannot be started or the record cannot be written.
    pub async fn run(
        self,
        order: impl Future<Output = ()>,
        abandoned: impl Future<Output = ()>,
    ) -> io::Result<SupervisionEnd> {
        let mut watch = Watch {
            record: record(self.log.path(), &(self.arguments)(self.port))?,
            port: self.port,
            served: watch::Sender::new(false),
            serving_since: None,
            serving: watch::Sender::new(None),
            last_lines: LastLines::default(),
            supervisor: self,
        };
        let served = watch.served.subscribe();
        let order = async {
            tokio::select! {
                () = order => {}
                () = unserved(abandoned, served) => {}
            }
        };
        let mut order = std::pin::pin!(order);
        let ended = watch.keep_alive(order.as_mut()).await;
        if !matches!(ended, Ok(SupervisionEnd::GaveUp)) {
            watch.remove_record();
        }
        ended
    }
}

/// A supervision under way.
struct Watch<'a> {
    supervisor: Supervisor<'a>,
    record: Supervision,
    /// Where the server serves; it may have moved.
    port: u16,
    /// Whether it ever served.
    served: watch::Sender<bool>,
    serving_since: Option<Instant>,
    /// The port, while it serves; for who asks whether it answers.
    serving: watch::Sender<Option<u16>>,
    last_lines: LastLines,
}

/// How one run of the server ended.
enum RunEnd {
    /// After our order.
    Ordered,
    /// By itself.
    Exited(ExitStatus),
    /// Because we ended it: it did not answer any more.
    Hung,
}

impl Watch<'_> {
    async fn keep_alive(
        &mut self,
        mut order: Pin<&mut impl Future<Output = ()>>,
    ) -> io::Result<SupervisionEnd> {
        let (mut crashes, mut waits) = (0, 0);
        loop {
            let reason = match self.run_once(order.as_mut()).await? {
                RunEnd::Ordered => return Ok(SupervisionEnd::Stopped),
                RunEnd::Exited(status) if status.success() => return Ok(SupervisionEnd::Stopped),
                RunEnd::Exited(status) if !self.has_served() => {
                    return Ok(SupervisionEnd::NeverServed { status, output: self.last_lines.text() });
                }
                RunEnd::Exited(status) if (self.supervisor.is_port_taken)(status) => {
                    self.note_wait(waits)?;
                    tokio::select! {
                        () = tokio::time::sleep(PORT_REST_MAX.min(REST * 2_u32.saturating_pow(waits))) => {}
                        () = order.as_mut() => return Ok(SupervisionEnd::Stopped),
                    }
                    waits += 1;
                    continue;
                }
                RunEnd::Exited(status) => status.to_string(),
                RunEnd::Hung => format!("{SILENCES_MAX} health checks without an answer"),
            };
            let was_steady = self.serving_since.is_some_and(|since| since.elapsed() >= STEADY);
            crashes = if was_steady { 1 } else { crashes + 1 };
            waits = 0;
            self.note_crash(reason, crashes)?;
            if crashes == CRASHES_MAX {
                return Ok(SupervisionEnd::GaveUp);
            }
            tokio::select! {
                () = tokio::time::sleep(REST * 2_u32.pow(crashes - 1)) => {}
                () = order.as_mut() => return Ok(SupervisionEnd::Stopped),
            }
            self.record.restarts += 1;
        }
    }

    /// Writes down that the server crashed, for the log and for `status`.
    fn note_crash(&mut self, reason: String, crashes: u32) -> io::Result<()> {
        let gave_up = crashes == CRASHES_MAX;
        let then = if gave_up { "it is not started again" } else { "starting it again" };
        self.say(
            "ERROR",
            format_args!("the server ended: {reason}; crash {crashes} of {CRASHES_MAX} in a row, {then}"),
        );
        let output = self.last_lines.text();
        self.record.last_crash = Some(Crash { at: now(), reason, output });
        self.record.state = if gave_up { Supervised::GaveUp } else { Supervised::Restarting };
        self.record.write(self.supervisor.home, self.port)
    }

    /// Writes down that somebody else has the port.
    fn note_wait(&mut self, waits: u32) -> io::Result<()> {
        if waits == 0 {
            self.say("WARN", format_args!("another program has the port; the server waits until it is free"));
        }
        self.record.state = Supervised::Waiting;
        self.record.write(self.supervisor.home, self.port)
    }

    /// Takes the record away, unless there is none or it is that of another supervisor that was started since.
    fn remove_record(&self) {
        let (home, port) = (self.supervisor.home, self.port);
        if Supervision::read(home, port).is_some_and(|record| record.pid == self.record.pid) {
            Supervision::remove(home, port);
        }
    }

    /// Starts the server and stays with it until it has ended and all that it wrote is in the log.
    async fn run_once(&mut self, mut order: Pin<&mut impl Future<Output = ()>>) -> io::Result<RunEnd> {
        self.serving_since = None;
        self.serving.send_replace(None);
        self.last_lines = LastLines::default();
        let Supervisor { home, health_check_interval, .. } = &self.supervisor;
        let silence = silence((*home).clone(), self.serving.subscribe(), *health_check_interval);
        let mut silence = std::pin::pin!(silence);
        let mut hung = false;
        let mut child = self.spawn()?;
        let pipe_missing = || io::Error::other("a child with pipes has them");
        let mut notices = BufReader::new(child.stdout.take().ok_or_else(pipe_missing)?).lines();
        let mut log = child.stderr.take().ok_or_else(pipe_missing)?;
        let mut bytes = vec![0; 8 * 1024];
        let (mut log_open, mut notices_open) = (true, true);
        let mut deadline = None;
        let status = loop {
            let out_of_grace = async {
                match deadline {
                    Some(deadline) => tokio::time::sleep_until(deadline).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                read = log.read(&mut bytes), if log_open => match read {
                    Ok(0) | Err(_) => log_open = false,
                    Ok(count) => self.log(&bytes[..count]),
                },
                line = notices.next_line(), if notices_open => match line {
                    Ok(Some(line)) => self.take_notice(&line)?,
                    Ok(None) | Err(_) => notices_open = false,
                },
                status = child.wait() => break status?,
                () = order.as_mut(), if deadline.is_none() => {
                    terminate(&mut child)?;
                    let grace = if self.has_served() { GRACE } else { START_GRACE };
                    deadline = Some(Instant::now() + grace);
                }
                () = silence.as_mut(), if !hung && deadline.is_none() => {
                    hung = true;
                    child.start_kill()?;
                }
                () = out_of_grace => {
                    child.start_kill()?;
                    deadline = Some(Instant::now() + GRACE);
                }
            }
        };
        let drain = async {
            while let Ok(count) = log.read(&mut bytes).await
                && count > 0
            {
                self.log(&bytes[..count]);
            }
        };
        // What is still held open by somebody else is none of the server's words.
        let _ = tokio::time::timeout(DRAIN, drain).await;
        Ok(match deadline {
            Some(_) => RunEnd::Ordered,
            None if hung => RunEnd::Hung,
            None => RunEnd::Exited(status),
        })
    }

    fn spawn(&self) -> io::Result<Child> {
        let Supervisor { exe, arguments, .. } = &self.supervisor;
        let mut command = Command::new(exe);
        command.args(arguments(self.port)).stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()
    }

    /// The server says where it serves: from now on there is something to keep alive, and to find.
    fn take_notice(&mut self, line: &str) -> io::Result<()> {
        let Ok(Serves { serving }) = serde_json::from_str(line) else { return Ok(()) };
        if serving != self.port {
            self.remove_record();
        }
        self.port = serving;
        self.served.send_replace(true);
        self.serving_since.get_or_insert_with(Instant::now);
        self.serving.send_replace(Some(serving));
        self.record.state = Supervised::Serving;
        self.record.write(self.supervisor.home, serving)
    }

    fn has_served(&self) -> bool {
        *self.served.borrow()
    }

    fn log(&mut self, bytes: &[u8]) {
        self.last_lines.push(bytes);
        // See `run`: the server goes on without its log.
        let _ = self.supervisor.log.write_all(bytes);
    }

    fn say(&mut self, level: &str, message: std::fmt::Arguments<'_>) {
        let (time, target) = (now().rfc3339(), "supervisor");
        let line = match self.supervisor.log_format {
            LogFormat::Text => format!("{time} {level:>5} {target}: {message}"),
            LogFormat::Json => {
                let message = message.to_string();
                json!({"timestamp": time, "level": level, "message": message, "target": target}).to_string()
            }
        };
        // As above.
        let _ = writeln!(self.supervisor.log, "{line}");
    }
}

/// Completes when `abandoned` does, unless the server has served by then.
async fn unserved(abandoned: impl Future<Output = ()>, served: watch::Receiver<bool>) {
    abandoned.await;
    if *served.borrow() {
        std::future::pending::<()>().await;
    }
}

/// Completes when the server that serves on that port has left several health checks in a row without an answer.
async fn silence(home: Home, port: watch::Receiver<Option<u16>>, interval: Option<Duration>) {
    let Some(interval) = interval else { return std::future::pending().await };
    let limit = interval.min(HEALTH_LIMIT);
    let mut silences = 0;
    while silences < SILENCES_MAX {
        tokio::time::sleep(interval).await;
        let Some(port) = *port.borrow() else { continue };
        let home = home.clone();
        let answers = tokio::task::spawn_blocking(move || answers(&home, port, limit)).await;
        silences = if answers.unwrap_or(true) { 0 } else { silences + 1 };
    }
}

/// Whether the server of a port's runfile answers. Between two servers there is no runfile, and nobody to ask.
fn answers(home: &Home, port: u16, limit: Duration) -> bool {
    client::runfiles::read(home, port)
        .is_none_or(|runfile| client::Monitor::of_with_limit(home, &runfile, limit).health().is_ok())
}

/// This process's record.
fn record(log: &Path, arguments: &[OsString]) -> io::Result<Supervision> {
    let pid = std::process::id();
    let process_started_at = client::started_at(pid)
        .ok_or_else(|| io::Error::other("the system does not tell when this process started"))?;
    Ok(Supervision {
        pid,
        process_started_at,
        state: Supervised::Serving,
        restarts: 0,
        last_crash: None,
        log: log.to_owned(),
        arguments: arguments.iter().map(|argument| argument.to_string_lossy().into_owned()).collect(),
    })
}

/// Asks a server to end well.
#[cfg(unix)]
fn terminate(child: &mut Child) -> io::Result<()> {
    let pid = child.id().and_then(|pid| rustix::process::Pid::from_raw(pid.cast_signed()));
    let Some(pid) = pid else { return Ok(()) };
    Ok(rustix::process::kill_process(pid, rustix::process::Signal::TERM)?)
}

/// A system without such a request ends it.
#[cfg(not(unix))]
fn terminate(child: &mut Child) -> io::Result<()> {
    child.start_kill()
}

fn now() -> Timestamp {
    Timestamp::from_system(SystemTime::now())
}

/// The end of what a server wrote.
#[derive(Debug, Default)]
struct LastLines {
    lines: VecDeque<String>,
    open: bool,
}

impl LastLines {
    fn push(&mut self, bytes: &[u8]) {
        for piece in String::from_utf8_lossy(bytes).split_inclusive('\n') {
            if !self.open {
                self.lines.push_back(String::new());
            }
            if let Some(line) = self.lines.back_mut().filter(|line| line.len() < LINE_BYTES_MAX) {
                line.extend(piece.trim_end_matches('\n').chars().take(LINE_BYTES_MAX));
            }
            self.open = !piece.ends_with('\n');
            if self.lines.len() > LINES_KEPT {
                self.lines.pop_front();
            }
        }
    }

    fn text(&self) -> String {
        self.lines.iter().map(String::as_str).collect::<Vec<_>>().join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_kept_however_they_come() {
        let mut last = LastLines::default();
        last.push(b"one\ntw");
        last.push(b"o\n");
        assert_eq!(last.text(), "one\ntwo");
        for number in 0..20 {
            last.push(format!("line {number}\n").as_bytes());
        }
        assert!(
            last.text().starts_with("line 10\n") && last.text().ends_with("\nline 19"),
            "{}",
            last.text()
        );
        last.push(&[b'x'; 100_000]);
        assert!(last.text().len() < 2 * LINE_BYTES_MAX, "a long line is cut");
    }
}
