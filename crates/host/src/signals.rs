//! Signals to a process that serves: which ones end it well, and which ones it outlives, so that none ends it as a crash
//! would.

use std::io;

#[cfg(unix)]
pub use unix::Signals;

#[cfg(not(unix))]
pub use elsewhere::Signals;

/// What a closed terminal means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hangup {
    /// The end, unless whoever started the process had it ignored, as `nohup` does.
    Ends,
    /// Nothing: the process has left the terminal.
    IsIgnored,
}

#[cfg(unix)]
mod unix {
    use std::future::poll_fn;
    use std::task::Poll;

    use rustix::process::Signal as Number;
    use tokio::signal::unix::{Signal, SignalKind, signal};

    use super::{Hangup, io};

    /// Requests to end: Ctrl-C, Ctrl-\ and what `kill` sends.
    const ENDING: [Number; 3] = [Number::INT, Number::TERM, Number::QUIT];

    /// What would end a process that does not know them. At its size limit, a file is an error of the write. The
    /// system leaves others alone by itself, and Rust that of a pipe which nobody reads.
    const OUTLIVED: [Number; 7] =
        [Number::XFSZ, Number::USR1, Number::USR2, Number::ALARM, Number::VTALARM, Number::PROF, Number::IO];

    /// Listens from when it is made until the process ends.
    #[derive(Debug)]
    pub struct Signals {
        ending: Vec<Signal>,
        /// Held, but never asked. Programs that are started do not inherit it, as they would what is ignored.
        _outlived: Vec<Signal>,
    }

    impl Signals {
        /// Listens from now on.
        ///
        /// # Errors
        /// When the system does not let us.
        pub fn new(hangup: Hangup) -> io::Result<Self> {
            let listen = |number: Number| signal(SignalKind::from_raw(number.as_raw()));
            let mut ending: Vec<_> = ENDING.into_iter().map(listen).collect::<io::Result<_>>()?;
            let mut outlived: Vec<_> = OUTLIVED.into_iter().map(listen).collect::<io::Result<_>>()?;
            match hangup {
                Hangup::Ends if is_ignored(Number::HUP) => {}
                Hangup::Ends => ending.push(listen(Number::HUP)?),
                Hangup::IsIgnored => outlived.push(listen(Number::HUP)?),
            }
            Ok(Self { ending, _outlived: outlived })
        }

        /// Waits for the next request to end.
        pub async fn next(&mut self) {
            poll_fn(|context| {
                let came = self.ending.iter_mut().any(|signal| signal.poll_recv(context).is_ready());
                if came { Poll::Ready(()) } else { Poll::Pending }
            })
            .await;
        }
    }

    /// Whether whoever started this process had a signal ignored in it, as far as the system tells.
    fn is_ignored(number: Number) -> bool {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
        let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
        mask.is_some_and(|mask| mask >> (number.as_raw() - 1) & 1 == 1)
    }
}

#[cfg(not(unix))]
mod elsewhere {
    use super::{Hangup, io};

    /// Ctrl-C.
    #[derive(Debug)]
    pub struct Signals;

    impl Signals {
        /// Listens from now on.
        ///
        /// # Errors
        /// When the system does not let us.
        pub fn new(_: Hangup) -> io::Result<Self> {
            Ok(Self)
        }

        /// Waits for the next request to end.
        pub async fn next(&mut self) {
            if tokio::signal::ctrl_c().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }
}
