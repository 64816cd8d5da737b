//! A terminal between the program and the user's: what is typed and shown passes through as it is, the size follows,
//! and Ctrl-C is the program's own.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::process::{Command, ExitStatus};
use std::thread;

use anyhow::Context as _;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{self, OptionalActions, Termios};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGWINCH};
use signal_hook::iterator::Signals;

use super::launch::{Launch, READ_BYTES, wait};
use super::outbox::{Outbox, Stream};

/// Runs a program in a terminal of its own until it ends.
pub(super) fn run(
    launch: &Launch,
    outbox: &Outbox,
    running: impl FnOnce(u32),
) -> anyhow::Result<(u32, ExitStatus)> {
    let (master, slave) = open().context("could not open a terminal for the program")?;
    let stdin = io::stdin();
    let modes = termios::tcgetattr(&stdin).context("could not read the terminal's modes")?;
    let size = termios::tcgetwinsize(&stdin).context("could not read the terminal's size")?;
    termios::tcsetattr(&slave, OptionalActions::Now, &modes)
        .context("could not set the program's terminal")?;
    termios::tcsetwinsize(&slave, size).context("could not set the size of the program's terminal")?;
    let mut child = launch.spawn(&mut within(launch, &slave)?)?;
    drop(slave);
    let pid = child.id();
    running(pid);
    forward_signals(pid, Some(master.try_clone()?))?;
    let raw = Raw::set(modes)?;
    let mut typed = File::from(master.try_clone()?);
    thread::spawn(move || {
        // It ends with the process: a read from the terminal cannot be called off.
        let mut buffer = vec![0; READ_BYTES];
        while let Ok(length @ 1..) = io::stdin().read(&mut buffer) {
            if typed.write_all(&buffer[..length]).is_err() {
                return;
            }
        }
    });
    let (ended, tell_end) = io::pipe()?;
    let waiter = thread::spawn(move || {
        let status = wait(&mut child);
        drop(tell_end);
        status
    });
    let passed = pass(&File::from(master), &ended.into(), outbox);
    drop(raw);
    let status = waiter.join().map_err(|_| anyhow::anyhow!("could not wait for the program"))??;
    passed.context("could not pass on what the program shows")?;
    Ok((pid, status))
}

/// Passes on what the program shows, until it has ended and all of it is shown. Whoever it left behind in its
/// terminal is not waited for, as a shell would not.
fn pass(mut master: &File, ended: &OwnedFd, outbox: &Outbox) -> io::Result<()> {
    let mut buffer = vec![0; READ_BYTES];
    let mut out = io::stdout();
    let mut is_over = false;
    loop {
        let mut ready = vec![PollFd::new(&master, PollFlags::IN)];
        if !is_over {
            ready.push(PollFd::new(ended, PollFlags::IN));
        }
        let at_once = rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 };
        match poll(&mut ready, is_over.then_some(&at_once)) {
            Err(rustix::io::Errno::INTR) => continue,
            waited => waited?,
        };
        if ready[0].revents().is_empty() {
            if is_over {
                return Ok(());
            }
            is_over = true;
            continue;
        }
        match master.read(&mut buffer) {
            // Nobody has the program's terminal open any more.
            Ok(0) | Err(_) => return Ok(()),
            Ok(length) => {
                out.write_all(&buffer[..length])?;
                out.flush()?;
                outbox.output(Stream::Out, &buffer[..length]);
            }
        }
    }
}

/// The program with that terminal as its own. A new session must be led by the program's own process, so this
/// executable starts it: see [`become_leader`].
fn within(launch: &Launch, slave: &File) -> anyhow::Result<Command> {
    let mut command = Command::new(std::env::current_exe().context("could not find this executable")?);
    command.arg("in-terminal").arg(&launch.program).args(&launch.command);
    command.envs(launch.variables.iter().map(|(name, value)| (name, value)));
    command.stdin(slave.try_clone()?).stdout(slave.try_clone()?).stderr(slave.try_clone()?);
    Ok(command)
}

/// Makes standard input the terminal of a new session of this process, and becomes the program. The words are the
/// executable, and the name and arguments that it is given.
pub(crate) fn become_leader(words: &[std::ffi::OsString]) -> anyhow::Result<crate::Exit> {
    rustix::process::setsid().context("could not begin a session")?;
    rustix::process::ioctl_tiocsctty(io::stdin()).context("could not take the terminal")?;
    let [program, name, arguments @ ..] = words else { anyhow::bail!("there is no program to run") };
    let mut command = Command::new(program);
    std::os::unix::process::CommandExt::arg0(&mut command, name);
    let error = std::os::unix::process::CommandExt::exec(command.args(arguments));
    Err(anyhow::Error::new(error).context(format!("could not run {}", program.to_string_lossy())))
}

/// Both ends of a new terminal.
fn open() -> io::Result<(OwnedFd, File)> {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
    grantpt(&master)?;
    unlockpt(&master)?;
    let name = ptsname(&master, Vec::new())?;
    let path = std::path::Path::new(std::ffi::OsStr::from_bytes(name.to_bytes()));
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    std::os::unix::fs::OpenOptionsExt::custom_flags(
        &mut options,
        rustix::fs::OFlags::NOCTTY.bits().cast_signed(),
    );
    Ok((master, options.open(path)?))
}

/// The user's terminal, passing every byte as it is until this is dropped.
struct Raw(Termios);

impl Raw {
    fn set(modes: Termios) -> anyhow::Result<Self> {
        let mut raw = modes.clone();
        raw.make_raw();
        termios::tcsetattr(io::stdin(), OptionalActions::Now, &raw).context("could not set the terminal")?;
        Ok(Self(modes))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // A terminal that is gone has no modes.
        let _ = termios::tcsetattr(io::stdin(), OptionalActions::Drain, &self.0);
    }
}

/// Hands on to the program what is sent to this process, and to its terminal the size of ours. Without a terminal
/// of its own the program is in our group and gets Ctrl-C itself.
pub(super) fn forward_signals(pid: u32, terminal: Option<OwnedFd>) -> anyhow::Result<()> {
    let mut signals =
        Signals::new([SIGINT, SIGTERM, SIGHUP, SIGWINCH]).context("could not listen for signals")?;
    let program = Pid::from_raw(pid.cast_signed()).context("the program has no pid")?;
    thread::spawn(move || {
        for signal in signals.forever() {
            // A program that has ended gets no more signals.
            let _ = match (signal, &terminal) {
                (SIGWINCH, Some(terminal)) => resize(terminal),
                (SIGINT, Some(_)) => kill_process(program, Signal::INT),
                (SIGTERM, _) => kill_process(program, Signal::TERM),
                (SIGHUP, _) => kill_process(program, Signal::HUP),
                _ => Ok(()),
            };
        }
    });
    Ok(())
}

fn resize(terminal: impl AsFd) -> rustix::io::Result<()> {
    termios::tcsetwinsize(terminal, termios::tcgetwinsize(io::stdin())?)
}
