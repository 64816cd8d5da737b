//! The programs under test as child processes: the monitor, and the bare handler that is its limit. What they
//! use is read from `/proc`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use protocol::paths::Home;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::load::{self, Client};

/// How long a program may take to answer or to leave.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server in a process of its own; killed when dropped.
pub(crate) struct Server {
    pub port: u16,
    /// From the start of the process to its first 200.
    pub started_in: Duration,
    child: Child,
    place: Arc<Place>,
}

/// Where a server lives: its home, which outlives it, and its port.
pub(crate) struct Place {
    home: TempDir,
    port: u16,
}

impl Place {
    pub(crate) fn new() -> Result<Arc<Self>> {
        Ok(Arc::new(Self { home: TempDir::new()?, port: free_port()? }))
    }

    /// A place whose configuration file says this.
    pub(crate) fn configured(configuration: &str) -> Result<Arc<Self>> {
        let place = Self::new()?;
        fs::write(Home::at(place.home.path()).config(), configuration)?;
        Ok(place)
    }

    /// What `CLAUDE_MPM_HOME` is for a monitor that lives here.
    pub(crate) fn home(&self) -> PathBuf {
        self.home.path().to_owned()
    }

    /// The event store of a monitor that lived here.
    pub(crate) fn database(&self) -> PathBuf {
        Home::at(self.home.path()).database()
    }
}

/// What to start.
#[derive(Clone, Debug)]
pub(crate) enum Program {
    /// `claude-mpm-monitor` at this path.
    Monitor(PathBuf),
    /// The handler that reads a body and answers 204, in this executable.
    Bare,
}

impl Server {
    /// Starts a program in a new place.
    pub(crate) fn start(program: &Program) -> Result<Self> {
        Self::start_in(program, &Place::new()?)
    }

    /// Starts a program where another one left its files.
    pub(crate) fn start_in(program: &Program, place: &Arc<Place>) -> Result<Self> {
        let port = place.port;
        let mut command = match program {
            Program::Monitor(path) => {
                let mut command = Command::new(path);
                command.args(["start", "--foreground", "--host", "127.0.0.1", "--port", &port.to_string()]);
                // What is counted are the events that the bench sends; what is logged is no part of the report.
                command.env("CLAUDE_MPM_HOME", place.home.path()).env("CLAUDE_MPM_OWN_EVENTS", "false");
                command.env("CLAUDE_MPM_SOCKETIO_LOG_LEVEL", "WARNING");
                command
            }
            Program::Bare => {
                let mut command = Command::new(std::env::current_exe()?);
                command.args(["bare", &port.to_string()]);
                command
            }
        };
        command.stdin(Stdio::null()).stdout(Stdio::null());
        let begin = Instant::now();
        let child = command.spawn().with_context(|| format!("could not start {program:?}"))?;
        let mut server = Self { port, started_in: Duration::ZERO, child, place: place.clone() };
        server.wait_for_health(begin)?;
        server.started_in = begin.elapsed();
        Ok(server)
    }

    fn wait_for_health(&mut self, begin: Instant) -> Result<()> {
        let request = load::request("/health", None);
        while begin.elapsed() < PATIENCE {
            if let Ok(mut client) = Client::connect(self.port) {
                client.send(&request)?;
                client.answer()?;
                return Ok(());
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("the server ended with {status}");
            }
            thread::sleep(Duration::from_micros(200));
        }
        bail!("the server does not answer")
    }

    /// Asks it to end, and says how long it took.
    pub(crate) fn terminate(mut self) -> Result<Duration> {
        let begin = Instant::now();
        kill_process(self.pid(), Signal::TERM)?;
        while begin.elapsed() < PATIENCE {
            if self.child.try_wait()?.is_some() {
                return Ok(begin.elapsed());
            }
            thread::sleep(Duration::from_micros(200));
        }
        bail!("the server does not end")
    }

    /// Freezes it while another one is measured.
    pub(crate) fn pause(&self) -> Result<()> {
        Ok(kill_process(self.pid(), Signal::STOP)?)
    }

    pub(crate) fn resume(&self) -> Result<()> {
        Ok(kill_process(self.pid(), Signal::CONT)?)
    }

    /// Processor time used so far.
    pub(crate) fn cpu(&self) -> Result<Duration> {
        cpu(&self.child.id().to_string())
    }

    /// Processor time used so far by the threads that run, to the nanosecond: for who uses next to nothing.
    pub(crate) fn fine_cpu(&self) -> Result<Duration> {
        let mut used = Duration::ZERO;
        for thread in fs::read_dir(format!("/proc/{}/task", self.child.id()))? {
            let text = fs::read_to_string(thread?.path().join("schedstat"))?;
            let running = text.split(' ').next().context("a strange schedstat")?;
            used += Duration::from_nanos(running.parse()?);
        }
        Ok(used)
    }

    /// A line of `/proc/PID/status` in MiB: `VmRSS` now, `VmHWM` at most so far.
    pub(crate) fn memory_mib(&self, line: &str) -> Result<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let value = status.lines().find_map(|text| text.strip_prefix(line)?.strip_prefix(':'));
        let kib: f64 = value.context("no such line")?.trim().trim_end_matches(" kB").parse()?;
        Ok(kib / 1024.0)
    }

    pub(crate) fn place(&self) -> Arc<Place> {
        self.place.clone()
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Processor time of a process, or of `self`, in all its threads.
pub(crate) fn cpu(pid: &str) -> Result<Duration> {
    let stat = fs::read_to_string(Path::new("/proc").join(pid).join("stat"))?;
    // The name in parentheses may hold spaces; user and system time are the 12th and 13th field after it.
    let (_, fields) = stat.rsplit_once(')').context("a strange /proc/PID/stat")?;
    let ticks = fields.split_whitespace().skip(11).take(2).map(str::parse::<u64>).sum::<Result<u64, _>>()?;
    Ok(Duration::from_secs_f64(ticks as f64 / rustix::param::clock_ticks_per_second() as f64))
}

fn free_port() -> Result<u16> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}
