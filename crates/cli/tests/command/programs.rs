//! Programs that hold ports: claude-mpm's servers and scripts, as stand-ins in Python, and plain ones.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use crate::support::wait_for;

/// A program that runs; killed when the test ends before it did.
pub(crate) struct Program(Child);

impl Program {
    /// Starts a program and waits until it says that it is ready.
    fn start(command: &mut Command) -> Self {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("it starts");
        let mut line = String::new();
        let out = child.stdout.take().expect("piped");
        BufReader::new(out).read_line(&mut line).expect("it says something");
        let program = Self(child);
        assert_eq!(line.trim(), "ready");
        program
    }

    pub(crate) fn pid(&self) -> u32 {
        self.0.id()
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.0.try_wait().expect("the child is ours").is_none()
    }

    /// Waits until it has ended.
    pub(crate) fn ended(&mut self) -> ExitStatus {
        wait_for(|| self.0.try_wait().expect("the child is ours")).expect("it ends")
    }

    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_raw(self.pid().cast_signed()).expect("a pid");
        rustix::process::kill_process(pid, signal).expect("the child is ours");
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It has ended, or it is ended now; there is nothing else to do about it.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The folder of the stand-ins.
fn stand_ins() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/clients/python")
        .canonicalize()
        .expect("it exists")
}

fn python(folder: &Path) -> Command {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.venv/bin/python");
    let mut command = Command::new(if own.exists() { own } else { "python3".into() });
    command.env("PYTHONPATH", stand_ins()).env("PYTHONDONTWRITEBYTECODE", "1").current_dir(folder);
    command
}

/// `claude-mpm monitor`, with more arguments.
pub(crate) fn python_monitor(folder: &Path, port: u16, more: &[&str]) -> Program {
    let line = ["-m", "claude_mpm.cli", "monitor", "start", "--port"];
    Program::start(python(folder).args(line).arg(port.to_string()).args(more))
}

/// A claude-mpm session with a server inside.
pub(crate) fn python_session(folder: &Path, port: u16) -> Program {
    Program::start(python(folder).args(["-m", "claude_mpm.cli", "run", "--port"]).arg(port.to_string()))
}

/// The old daemon, with more arguments.
pub(crate) fn python_daemon(folder: &Path, port: u16, more: &[&str]) -> Program {
    let script = stand_ins().join("claude_mpm/socketio_daemon.py");
    Program::start(python(folder).arg(script).arg("--port").arg(port.to_string()).args(more))
}

/// A debug script of claude-mpm, with more arguments.
pub(crate) fn debug_script(port: u16, more: &[&str]) -> Program {
    let script = stand_ins().join("claude_mpm/debug_listener.py");
    Program::start(python(Path::new("/")).arg(script).arg(port.to_string()).args(more))
}

/// A Python program that has nothing to do with claude-mpm.
pub(crate) fn other_program(port: u16) -> Program {
    let code = format!(
        "import socket\ns = socket.create_server(('127.0.0.1', {port}))\nprint('ready', flush=True)\n\
         while True: s.accept()"
    );
    Program::start(python(Path::new("/")).args(["-c", &code]))
}
