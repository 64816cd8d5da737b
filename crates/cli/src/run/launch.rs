//! Starting the program: in a terminal of its own when somebody sits at ours, else with its outputs passed through. Its
//! bytes, its signals and its result are those that it would have without us.

use std::io::{self, IsTerminal, Read, Write};
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use anyhow::Context as _;
use serde_json::{Value, json};

use super::outbox::{Outbox, Stream};
use super::program::{Launch, READ_BYTES, wait};
use super::tell::{Session, Status};
use crate::Exit;

impl Launch {
    /// Announces the program and becomes it. Returns only when that fails.
    pub(super) fn replace_this_process(&self, session: &Session) -> anyhow::Error {
        // A monitor that has just gone is no reason not to run the program.
        let tell = |event: String| session.tell(&event).is_ok();
        tell(session.start());
        tell(session.status(Status::Starting, "Starting"));
        tell(session.status(Status::Running(std::process::id()), "Running in place of the launcher"));
        let error = self.become_it();
        tell(session.status(Status::Error, &error.to_string()));
        tell(session.end(&json!({ "error": error.to_string() })));
        anyhow::Error::new(error).context(format!("could not run {}", self.program.display()))
    }

    #[cfg(unix)]
    fn become_it(&self) -> io::Error {
        std::os::unix::process::CommandExt::exec(&mut self.command())
    }

    #[cfg(not(unix))]
    fn become_it(&self) -> io::Error {
        io::Error::new(
            io::ErrorKind::Unsupported,
            "this system cannot replace a process; use --launch-method subprocess",
        )
    }

    /// Runs the program to its end and ends as it did.
    pub(super) fn watch(&self, session: Session) -> anyhow::Result<Exit> {
        let session = Arc::new(session);
        let (outbox, sender) = Outbox::open(session.clone());
        outbox.event(session.start());
        outbox.event(session.status(Status::Starting, "Starting"));
        let running = |pid: u32| outbox.event(session.status(Status::Running(pid), "Running"));
        let ended = self.run(&outbox, running);
        match &ended {
            Ok((pid, status)) => {
                outbox.event(session.status(Status::Stopped(*pid), &format!("Stopped with {status}")));
                outbox.event(session.end(&result(*status)));
            }
            Err(error) => {
                outbox.event(session.status(Status::Error, &format!("{error:#}")));
                outbox.event(session.end(&json!({ "error": format!("{error:#}") })));
            }
        }
        sender.close();
        let (_, status) = ended?;
        end_like(status)
    }

    fn run(&self, outbox: &Outbox, running: impl FnOnce(u32)) -> anyhow::Result<(u32, ExitStatus)> {
        #[cfg(unix)]
        if io::stdin().is_terminal() && io::stdout().is_terminal() {
            return super::pty::run(self, outbox, running);
        }
        let mut command = self.command();
        // A terminal is left to the program: it would notice a pipe in its place.
        let pipe = |is_terminal: bool| if is_terminal { Stdio::inherit() } else { Stdio::piped() };
        command.stdout(pipe(io::stdout().is_terminal())).stderr(pipe(io::stderr().is_terminal()));
        let mut child = self.spawn(&mut command)?;
        running(child.id());
        #[cfg(unix)]
        super::pty::forward_signals(child.id(), None)?;
        let out = child.stdout.take().map(|from| pass(from, io::stdout(), Stream::Out, outbox));
        let err = child.stderr.take().map(|from| pass(from, io::stderr(), Stream::Error, outbox));
        let status = wait(&mut child)?;
        for thread in [out, err].into_iter().flatten() {
            // A thread of ours that failed has passed what it could.
            let _ = thread.join();
        }
        Ok((child.id(), status))
    }
}

/// Passes one output on, byte for byte, and tells it.
fn pass(
    mut from: impl Read + Send + 'static,
    mut to: impl Write + Send + 'static,
    stream: Stream,
    outbox: &Outbox,
) -> JoinHandle<()> {
    let outbox = outbox.clone();
    thread::spawn(move || {
        let mut buffer = vec![0; READ_BYTES];
        while let Ok(length @ 1..) = from.read(&mut buffer) {
            // When nobody reads our output any more, the program must learn it: its pipe closes with ours.
            if to.write_all(&buffer[..length]).and_then(|()| to.flush()).is_err() {
                return;
            }
            outbox.output(stream, &buffer[..length]);
        }
    })
}

/// How the program ended, for its last event.
fn result(status: ExitStatus) -> Value {
    #[cfg(unix)]
    if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
        return json!({ "signal": signal });
    }
    json!({ "code": status.code() })
}

/// Ends this process as the program ended: with its code, or by its signal.
fn end_like(status: ExitStatus) -> anyhow::Result<Exit> {
    #[cfg(unix)]
    if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
        signal_hook::low_level::emulate_default_handler(signal)
            .context("could not end by the program's signal")?;
    }
    std::process::exit(status.code().unwrap_or(1))
}
