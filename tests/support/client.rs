//! A client program in another language that takes and prints JSON lines.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Instant;

use serde_json::Value;

use crate::{NOBODY, PATIENCE, repository};

/// A running client program. What it prints waits until a test asks for it.
pub struct Client {
    name: String,
    child: Child,
    stdin: ChildStdin,
    lines: Receiver<Value>,
    waiting: VecDeque<Value>,
}

impl Client {
    /// A script of `tests/clients/python`.
    pub fn python(script: &str, arguments: &[&str]) -> Self {
        let python = installed(repository().join(".venv/bin/python"));
        Self::spawn(Command::new(python).arg("-u").arg(scripts("python").join(script)), arguments)
    }

    /// A script of `tests/clients/python` as the user `nobody`, which only root can be; it needs no library.
    pub fn python_as_nobody(script: &str, arguments: &[&str]) -> Self {
        let text = std::fs::read_to_string(scripts("python").join(script)).expect("a script can be read");
        let mut python = Command::new("setpriv");
        // It may not be allowed to read the repository.
        python.args(NOBODY).args(["/usr/bin/python3", "-u", "-c", &text]).current_dir("/");
        Self::spawn(&mut python, arguments)
    }

    /// A script of `tests/clients/node`.
    pub fn node(script: &str, arguments: &[&str]) -> Self {
        installed(scripts("node").join("node_modules"));
        Self::spawn(Command::new("node").arg(scripts("node").join(script)), arguments)
    }

    fn spawn(command: &mut Command, arguments: &[&str]) -> Self {
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child =
            command.spawn().unwrap_or_else(|cause| panic!("could not start {command:?}: {cause}"));
        let stdin = child.stdin.take().expect("standard input is piped");
        let stdout = BufReader::new(child.stdout.take().expect("standard output is piped"));
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                let line = serde_json::from_str(&line).unwrap_or(Value::String(line));
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Self { name: format!("{command:?}"), child, stdin, lines, waiting: VecDeque::new() }
    }

    /// Gives the client one line.
    pub fn send(&mut self, line: &Value) {
        writeln!(self.stdin, "{line}").unwrap_or_else(|cause| panic!("{} takes no more: {cause}", self.name));
    }

    /// The first line not yet taken that is wanted; others keep waiting in their order.
    #[track_caller]
    pub fn take(&mut self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        if let Some(at) = self.waiting.iter().position(&wanted) {
            return self.waiting.remove(at).expect("it was just found");
        }
        let start = Instant::now();
        loop {
            match self.lines.recv_timeout(PATIENCE.saturating_sub(start.elapsed())) {
                Ok(line) if wanted(&line) => return line,
                Ok(line) => self.waiting.push_back(line),
                Err(RecvTimeoutError::Timeout) => self.give_up("waited in vain for", what),
                Err(RecvTimeoutError::Disconnected) => self.give_up("ended before", what),
            }
        }
    }

    /// Everything printed and not yet taken.
    pub fn rest(&mut self) -> Vec<Value> {
        self.waiting.extend(self.lines.try_iter());
        self.waiting.drain(..).collect()
    }

    #[track_caller]
    fn give_up(&self, why: &str, what: &str) -> ! {
        let lines: Vec<String> = self.waiting.iter().map(ToString::to_string).collect();
        panic!("{} {why} {what}; it printed besides:\n{}", self.name, lines.join("\n"));
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn scripts(language: &str) -> PathBuf {
    repository().join("tests/clients").join(language)
}

/// Claims that set-up was run: nothing is skipped because a client is missing.
fn installed(path: PathBuf) -> PathBuf {
    assert!(path.exists(), "{} is missing: `scripts/setup test` installs it", path.display());
    path
}
