//! Waiting with a deadline, so that Claude Code never waits for longer.

use std::io;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, Timespec};
use rustix::io::Errno;

/// Waits until something happens on the descriptor; `TimedOut` when nothing did before the deadline.
pub(crate) fn wait_for(descriptor: PollFd<'_>, deadline: Instant) -> io::Result<()> {
    let mut descriptors = [descriptor];
    loop {
        let left = time_left(deadline)?;
        let timeout = Timespec::try_from(left).map_err(io::Error::other)?;
        match rustix::event::poll(&mut descriptors, Some(&timeout)) {
            Ok(0) => return Err(io::ErrorKind::TimedOut.into()),
            Ok(_) => return Ok(()),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// What is left until the deadline; `TimedOut` when nothing is.
pub(crate) fn time_left(deadline: Instant) -> io::Result<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(left) }
}
