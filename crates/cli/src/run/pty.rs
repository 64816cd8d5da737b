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
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, kill_process_group, waitid};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{self, OptionalActions, Termios};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGWINCH};
use signal_hook::iterator::Signals;

use super::outbox::{Outbox, Stream};
use super::program::{Launch, READ_BYTES, wait};

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
    outbox.resized(size.ws_col, size.ws_row);
    let mut child = launch.spawn(&mut within(launch, &slave)?)?;
    drop(slave);
    let pid = child.id();
    running(pid);
    forward_signals(pid, Some(Window { terminal: master.try_clone()?, outbox: outbox.clone() }))?;
    let mut raw = Raw::set(modes.clone())?;
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
    let program = Pid::from_raw(pid.cast_signed()).context("the program has no pid")?;
    let master = File::from(master);
    let passed = loop {
        let (changed, tell_change) = io::pipe()?;
        let waiter = thread::spawn(move || {
            let change = next_change(program);
            drop(tell_change);
            change
        });
        let passed = pass(&master, &changed.into(), outbox);
        match waiter.join().map_err(|_| anyhow::anyhow!("could not wait for the program"))? {
            Change::Ended => break passed,
            Change::Stopped => {
                drop(raw);
                stop_like(program, &master, outbox);
                raw = Raw::set(modes.clone())?;
            }
        }
    };
    drop(raw);
    outbox.over();
    let status = wait(&mut child)?;
    passed.context("could not pass on what the program shows")?;
    Ok((pid, status))
}

/// What became of the program.
enum Change {
    /// It has ended, or cannot be waited for, which whoever asks for its result learns.
    Ended,
    /// It has stopped itself, as Claude Code does at Ctrl-Z.
    Stopped,
}

/// Waits until the program ends or stops. Its result stays to be asked for.
fn next_change(program: Pid) -> Change {
    let either = WaitIdOptions::EXITED | WaitIdOptions::STOPPED;
    loop {
        match waitid(WaitId::Pid(program), either | WaitIdOptions::NOWAIT) {
            Err(rustix::io::Errno::INTR) => {}
            Ok(Some(status)) if status.stopped() => {
                // Told once: it would be found again.
                let _ = waitid(WaitId::Pid(program), WaitIdOptions::STOPPED | WaitIdOptions::NOHANG);
                return Change::Stopped;
            }
            _ => return Change::Ended,
        }
    }
}

/// Stops this process as the program stopped, for the shell that waits for us; when the shell continues us, so does the
/// program.
fn stop_like(program: Pid, terminal: &File, outbox: &Outbox) {
    // What cannot be signalled has gone meanwhile.
    let _ = kill_process(rustix::process::getpid(), Signal::STOP);
    let _ = resize(terminal, outbox);
    let _ = kill_process_group(program, Signal::CONT);
}

/// Passes on what the program shows, until its state has changed and all of it is shown. Whoever it left behind in its
/// terminal is not waited for, as a shell would not.
fn pass(mut master: &File, changed: &OwnedFd, outbox: &Outbox) -> io::Result<()> {
    let mut buffer = vec![0; READ_BYTES];
    let mut out = io::stdout();
    let mut is_over = false;
    loop {
        let mut ready = vec![PollFd::new(&master, PollFlags::IN)];
        if !is_over {
            ready.push(PollFd::new(changed, PollFlags::IN));
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
                outbox.output(Stream::Terminal, &buffer[..length]);
            }
        }
    }
}

/// The program with that terminal as its own. A new session must be led by the program's own process, so this
/// executable starts it: see [`become_leader`].
fn within(launch: &Launch, slave: &File) -> anyhow::Result<Command> {
    let mut command = Command::new(std::env::current_exe().context("could not find this executable")?);
    command.arg("in-terminal").arg(&launch.program).args(&launch.command);
    launch.lead(&mut command);
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
/// of its own the program is in our group, and what the user's terminal sends reaches it without us.
pub(super) fn forward_signals(pid: u32, window: Option<Window>) -> anyhow::Result<()> {
    let all = [SIGINT, SIGQUIT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2, SIGWINCH];
    let mut signals = Signals::new(all).context("could not listen for signals")?;
    let program = Pid::from_raw(pid.cast_signed()).context("the program has no pid")?;
    thread::spawn(move || {
        for signal in signals.forever() {
            // A program that has ended gets no more signals.
            let _ = match (signal, &window) {
                (SIGWINCH, Some(window)) => resize(&window.terminal, &window.outbox),
                (SIGINT | SIGQUIT | SIGWINCH, None) => Ok(()),
                _ => Signal::from_named_raw(signal).map_or(Ok(()), |signal| kill_process(program, signal)),
            };
        }
    });
    Ok(())
}

/// A program's terminal, and who is told of its size.
pub(super) struct Window {
    terminal: OwnedFd,
    outbox: Outbox,
}

fn resize(terminal: impl AsFd, outbox: &Outbox) -> rustix::io::Result<()> {
    let size = termios::tcgetwinsize(io::stdin())?;
    outbox.resized(size.ws_col, size.ws_row);
    termios::tcsetwinsize(terminal, size)
}
