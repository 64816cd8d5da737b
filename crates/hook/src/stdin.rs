//! Reads the one JSON value that Claude Code writes to standard input, and not a byte longer: the other end
//! may never be closed.

use std::borrow::Cow;
use std::io;
use std::time::{Duration, Instant};

use protocol::names::BODY_BYTES_MAX;

use crate::payload::{self, Facts};
use crate::scan::Scanner;

/// The most of a body that is ours and not the payload's; `delivery` stays far below.
pub const ENVELOPE_BYTES_MAX: usize = 1024;

/// The longest payload: with our envelope around it, it is still a body that the server takes.
const PAYLOAD_BYTES_MAX: usize = BODY_BYTES_MAX - ENVELOPE_BYTES_MAX;

/// How long the writer may take. Claude Code writes at once; slow machines were seen to take a second.
const LIMIT: Duration = Duration::from_secs(2);

/// Room for most payloads, and one full pipe, in the first read.
const CHUNK_BYTES: usize = 64 * 1024;

/// What standard input held.
#[derive(Debug, PartialEq, Eq)]
pub enum Input {
    /// One JSON value, byte for byte; what in it is no UTF-8 is replaced by `U+FFFD`.
    Json {
        /// Its bytes, without what stood around it.
        bytes: Vec<u8>,
        /// What we read out of it.
        facts: Facts,
    },
    /// Anything else.
    Invalid {
        /// What is wrong with it.
        reason: Reason,
        /// What was read of it.
        bytes: Vec<u8>,
    },
}

/// Why an input is no event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Nothing but whitespace, or a terminal.
    Empty,
    /// It ended within a value.
    Truncated,
    /// A complete something that is not JSON.
    NotJson,
    /// More than the server would take.
    TooLarge,
    /// No complete value within the limit.
    Timeout,
}

impl Reason {
    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::Truncated => "truncated",
            Self::NotJson => "not_json",
            Self::TooLarge => "too_large",
            Self::Timeout => "timeout",
        }
    }
}

/// Where bytes come from: standard input, or a test.
pub trait Source {
    /// Appends at least one byte to `bytes`; 0 at the end; `TimedOut` when nothing came until the deadline.
    fn read(&mut self, bytes: &mut Vec<u8>, deadline: Instant) -> io::Result<usize>;
}

/// Reads this process's standard input.
pub fn read() -> Input {
    match platform::Stdin::open() {
        Some(mut stdin) => read_from(&mut stdin, Instant::now() + LIMIT, PAYLOAD_BYTES_MAX),
        None => Input::Invalid { reason: Reason::Empty, bytes: Vec::new() },
    }
}

fn read_from(source: &mut impl Source, deadline: Instant, bytes_max: usize) -> Input {
    let mut bytes = Vec::with_capacity(CHUNK_BYTES);
    let mut scanner = Scanner::default();
    let value = loop {
        match source.read(&mut bytes, deadline) {
            Ok(1..) => {}
            Err(error) if error.kind() == io::ErrorKind::TimedOut => break Err(Reason::Timeout),
            // A source that cannot be read any more has ended.
            Ok(0) | Err(_) => break scanner.finish(&bytes).ok_or(ended(&scanner)),
        }
        match scanner.scan(&bytes) {
            Some(value) if value.len() <= bytes_max => break Ok(value),
            None if bytes.len() <= bytes_max => {}
            _ => break Err(Reason::TooLarge),
        }
    };
    let checked = value.and_then(|value| {
        if let Some(facts) = payload::facts(&bytes[value.clone()]) {
            return Ok((value, facts));
        }
        // A wrapper may hand it on in another encoding: the event counts more than some of its letters.
        let Cow::Owned(text) = String::from_utf8_lossy(&bytes[value]) else { return Err(Reason::NotJson) };
        let facts = payload::facts(text.as_bytes()).ok_or(Reason::NotJson)?;
        if text.len() > bytes_max {
            return Err(Reason::TooLarge);
        }
        bytes = text.into_bytes();
        Ok((0..bytes.len(), facts))
    });
    match checked {
        Ok((value, facts)) => {
            bytes.truncate(value.end);
            bytes.drain(..value.start);
            Input::Json { bytes, facts }
        }
        Err(reason) => Input::Invalid { reason, bytes },
    }
}

fn ended(scanner: &Scanner) -> Reason {
    if scanner.has_begun() { Reason::Truncated } else { Reason::Empty }
}

#[cfg(unix)]
mod platform {
    use std::io::{self, IsTerminal};
    use std::time::Instant;

    use rustix::buffer::spare_capacity;
    use rustix::event::{PollFd, PollFlags};
    use rustix::io::Errno;

    use super::{CHUNK_BYTES, Source};
    use crate::wait::wait_for;

    /// Standard input, never read before something is there.
    pub(super) struct Stdin(io::Stdin);

    impl Stdin {
        /// `None` when a person sits at the other end.
        pub(super) fn open() -> Option<Self> {
            let stdin = io::stdin();
            (!stdin.is_terminal()).then_some(Self(stdin))
        }
    }

    impl Source for Stdin {
        fn read(&mut self, bytes: &mut Vec<u8>, deadline: Instant) -> io::Result<usize> {
            bytes.reserve(CHUNK_BYTES);
            loop {
                wait_for(PollFd::new(&self.0, PollFlags::IN), deadline)?;
                match rustix::io::read(&self.0, spare_capacity(bytes)) {
                    // The other end may have made the shared pipe non-blocking, or have been faster.
                    Err(Errno::AGAIN | Errno::INTR) => {}
                    read => return Ok(read?),
                }
            }
        }
    }
}

#[cfg(not(unix))]
mod platform {
    use std::io::{self, IsTerminal, Read};
    use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
    use std::thread;
    use std::time::Instant;

    use super::{CHUNK_BYTES, Source};

    /// Standard input, read by a thread that dies with the process: a pipe cannot be polled here.
    pub(super) struct Stdin(Receiver<Vec<u8>>);

    impl Stdin {
        /// `None` when a person sits at the other end.
        pub(super) fn open() -> Option<Self> {
            let mut stdin = io::stdin();
            if stdin.is_terminal() {
                return None;
            }
            let (sender, receiver) = mpsc::channel();
            let mut buffer = vec![0; CHUNK_BYTES];
            let pump = move || {
                while let Ok(length @ 1..) = stdin.read(&mut buffer)
                    && sender.send(buffer[..length].to_vec()).is_ok()
                {}
            };
            thread::Builder::new().spawn(pump).ok()?;
            Some(Self(receiver))
        }
    }

    impl Source for Stdin {
        fn read(&mut self, bytes: &mut Vec<u8>, deadline: Instant) -> io::Result<usize> {
            match self.0.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(chunk) => {
                    bytes.extend_from_slice(&chunk);
                    Ok(chunk.len())
                }
                Err(RecvTimeoutError::Disconnected) => Ok(0),
                Err(RecvTimeoutError::Timeout) => Err(io::ErrorKind::TimedOut.into()),
            }
        }
    }
}

#[cfg(test)]
mod fuzz;

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives its pieces one by one, then what it says: the end, or silence.
    pub(super) struct Pieces<'a> {
        pub(super) pieces: Vec<&'a [u8]>,
        pub(super) then: io::Result<usize>,
    }

    impl Source for Pieces<'_> {
        fn read(&mut self, bytes: &mut Vec<u8>, _: Instant) -> io::Result<usize> {
            if self.pieces.is_empty() {
                return std::mem::replace(&mut self.then, Ok(0));
            }
            let piece = self.pieces.remove(0);
            bytes.extend_from_slice(piece);
            Ok(piece.len())
        }
    }

    const BYTES_MAX: usize = 20;

    fn input(text: &str, then: io::Result<usize>) -> Input {
        let pieces = text.as_bytes().chunks(3).collect();
        read_from(&mut Pieces { pieces, then }, Instant::now(), BYTES_MAX)
    }

    #[test]
    fn only_a_complete_value_that_is_json_is_an_event() {
        let cases = [
            ("", Reason::Empty),
            (" \n ", Reason::Empty),
            ("{\"a\":", Reason::Truncated),
            ("\"a", Reason::Truncated),
            ("{a:1}", Reason::NotJson),
            ("hello world", Reason::NotJson),
            ("[1,2,3,4,5,6,7,8,9,10]", Reason::TooLarge),
            ("[1,2,3,4,5,6,7,8,9,10", Reason::TooLarge),
        ];
        for (text, expected) in cases {
            match input(text, Ok(0)) {
                Input::Invalid { reason, bytes } => {
                    assert_eq!(reason, expected, "{text:?}");
                    assert!(text.as_bytes().starts_with(&bytes), "what was read is kept");
                }
                Input::Json { .. } => panic!("{text:?} is no event"),
            }
        }
    }

    #[test]
    fn the_value_is_kept_byte_for_byte_without_what_stands_around_it() {
        let cases = [
            ("{ \"a\" : 1.0e1 }", "{ \"a\" : 1.0e1 }"),
            (" \n[1, 2]\n\n", "[1, 2]"),
            ("\u{feff}{} {}", "{}"),
            ("17", "17"),
        ];
        for (text, expected) in cases {
            let expected = Input::Json { bytes: expected.into(), facts: Facts { cwd: None } };
            assert_eq!(input(text, Ok(0)), expected, "{text:?}");
        }
    }

    #[test]
    fn letters_of_another_encoding_are_replaced_and_the_event_is_kept() {
        let of = |bytes: &[u8]| {
            let mut source = Pieces { pieces: vec![bytes], then: Ok(0) };
            read_from(&mut source, Instant::now(), BYTES_MAX)
        };
        let Input::Json { bytes, .. } = of(b" {\"a\":\"\xd6\xd0\"}") else { panic!("it is an event") };
        assert_eq!(bytes, "{\"a\":\"\u{fffd}\u{fffd}\"}".as_bytes());
        let reason = |input| match input {
            Input::Invalid { reason, .. } => reason,
            Input::Json { .. } => panic!("it is no event"),
        };
        assert_eq!(reason(of(b"{\xd6}")), Reason::NotJson);
        assert_eq!(reason(of(b"[\"\xd6\xd6\xd6\xd6\xd6\xd6\"]")), Reason::TooLarge, "it has grown");
    }

    #[test]
    fn silence_within_a_value_is_a_timeout_and_silence_behind_it_is_not_waited_for() {
        let silence = || Err(io::ErrorKind::TimedOut.into());
        let half = Input::Invalid { reason: Reason::Timeout, bytes: b"{\"a\"".to_vec() };
        assert_eq!(input("{\"a\"", silence()), half);
        assert!(matches!(input("{\"a\":1}", silence()), Input::Json { .. }));
    }
}
