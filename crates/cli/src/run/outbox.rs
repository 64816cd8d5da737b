//! What is to be told, on its way to the monitor. The program never waits for it: output that comes faster than it
//! can be stored, or for which no monitor comes back in time, is left out, and how much that was is told.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use super::screen::Screen;
use super::tell::Session;
use super::teller::Teller;

/// The most output in one event.
const CHUNK_BYTES: usize = 64 * 1024;

/// The most output that waits; beyond it, output is skipped.
const WAITING_BYTES_MAX: usize = 1024 * 1024;

/// How long output is gathered before it is sent, so that a screen is a few events and not thousands.
const GATHER: Duration = Duration::from_millis(50);

/// The pause between two looks at a terminal's screen: a line is told when it has stood for a second and a half.
const LOOK: Duration = Duration::from_millis(250);

/// How long the end of a program may be delayed by what is still to be told.
const FLUSH_LIMIT: Duration = Duration::from_secs(5);

/// Which of its outputs a program wrote to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stream {
    Out,
    Error,
    /// Its terminal, of which is told what is left standing.
    Terminal,
}

enum Item {
    Event(String),
    Output {
        stream: Stream,
        bytes: Vec<u8>,
        skipped: u64,
    },
    /// The size of its terminal.
    Size {
        columns: u16,
        rows: u16,
    },
    /// The terminal has shown all that it will.
    Over,
}

/// What the sending thread does next.
enum Next {
    Send(Item),
    /// It is time to look at the screen.
    Look,
    End,
}

#[derive(Default)]
struct Waiting {
    items: VecDeque<Item>,
    bytes: usize,
    /// Output that found no room since the last that did.
    skipped: u64,
    is_closed: bool,
}

#[derive(Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

/// The sending side. Cheap to clone; one for each output.
#[derive(Clone)]
pub(super) struct Outbox {
    shared: Arc<Shared>,
}

/// The thread that sends.
pub(super) struct Sender {
    shared: Arc<Shared>,
    ended: mpsc::Receiver<()>,
}

impl Outbox {
    /// Starts sending.
    pub(super) fn open(session: Arc<Session>) -> (Self, Sender) {
        let shared = Arc::new(Shared::default());
        let (end, ended) = mpsc::channel();
        let theirs = shared.clone();
        thread::spawn(move || {
            send_all(&theirs, &session);
            // Nobody listens when it took too long.
            let _ = end.send(());
        });
        (Self { shared: shared.clone() }, Sender { shared, ended })
    }

    /// Tells an event.
    pub(super) fn event(&self, event: String) {
        self.shared.lock().items.push_back(Item::Event(event));
        self.shared.changed.notify_one();
    }

    /// Tells how large the program's terminal is.
    pub(super) fn resized(&self, columns: u16, rows: u16) {
        self.shared.lock().items.push_back(Item::Size { columns, rows });
        self.shared.changed.notify_one();
    }

    /// Tells what is left on the screen.
    pub(super) fn over(&self) {
        self.shared.lock().items.push_back(Item::Over);
        self.shared.changed.notify_one();
    }

    /// Tells output. Never waits.
    pub(super) fn output(&self, stream: Stream, bytes: &[u8]) {
        let mut waiting = self.shared.lock();
        if waiting.bytes + bytes.len() > WAITING_BYTES_MAX {
            waiting.skipped += bytes.len() as u64;
            return;
        }
        waiting.bytes += bytes.len();
        let skipped = std::mem::take(&mut waiting.skipped);
        match waiting.items.back_mut() {
            Some(Item::Output { stream: last, bytes: gathered, .. })
                if *last == stream && skipped == 0 && gathered.len() + bytes.len() <= CHUNK_BYTES =>
            {
                gathered.extend_from_slice(bytes);
            }
            _ => waiting.items.push_back(Item::Output { stream, bytes: bytes.to_vec(), skipped }),
        }
        self.shared.changed.notify_one();
    }
}

impl Sender {
    /// Sends what waits and ends, or gives up when the monitor takes too long.
    pub(super) fn close(self) {
        self.shared.lock().is_closed = true;
        self.shared.changed.notify_one();
        // Giving up is what the limit is for.
        let _ = self.ended.recv_timeout(FLUSH_LIMIT);
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next thing to tell, or to look at when it is `due`; output only after it has been gathered for a while.
    fn next(&self, due: Option<Instant>) -> Next {
        let mut waiting = self.lock();
        loop {
            if due.is_some_and(|due| due <= Instant::now()) {
                return Next::Look;
            }
            match waiting.items.front() {
                Some(Item::Event(_) | Item::Size { .. } | Item::Over) => break,
                Some(Item::Output { .. }) if waiting.is_closed || waiting.items.len() > 1 => break,
                Some(Item::Output { .. }) => {
                    drop(waiting);
                    thread::sleep(GATHER);
                    waiting = self.lock();
                    break;
                }
                None if waiting.is_closed => return Next::End,
                None => waiting = self.wait(waiting, due),
            }
        }
        let Some(item) = waiting.items.pop_front() else { return Next::End };
        if let Item::Output { bytes, .. } = &item {
            waiting.bytes -= bytes.len();
        }
        Next::Send(item)
    }

    fn wait<'a>(&self, waiting: MutexGuard<'a, Waiting>, due: Option<Instant>) -> MutexGuard<'a, Waiting> {
        let Some(due) = due else {
            return self.changed.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        };
        let pause = due.saturating_duration_since(Instant::now());
        self.changed.wait_timeout(waiting, pause).unwrap_or_else(PoisonError::into_inner).0
    }
}

fn send_all(shared: &Shared, session: &Session) {
    let mut teller = Teller::of(session);
    let mut texts = [Text::default(), Text::default(), Text::default()];
    let mut screen = None;
    let mut due = None;
    loop {
        match shared.next(due.into_iter().chain(teller.next_try()).min()) {
            Next::Send(Item::Event(event)) => teller.event(event),
            Next::Send(Item::Size { columns, rows }) => {
                screen.get_or_insert_with(|| Screen::new(columns, rows)).resize(columns, rows);
            }
            Next::Send(Item::Output { stream, bytes, skipped }) => {
                teller.skip(skipped);
                let length = bytes.len() as u64;
                let content = texts[stream as usize].push(bytes);
                match (stream, &mut screen) {
                    (Stream::Terminal, Some(screen)) => {
                        screen.feed(&content);
                        if screen.scrolled_bytes() >= CHUNK_BYTES {
                            teller.screen(&screen.look());
                        }
                    }
                    (Stream::Error, _) => teller.output("stderr", &content, length),
                    (Stream::Out | Stream::Terminal, _) => teller.output("stdout", &content, length),
                }
                due = due.or_else(|| screen.is_some().then(|| Instant::now() + LOOK));
            }
            Next::Look => {
                teller.send();
                if due.is_some_and(|due| due <= Instant::now()) {
                    due = screen.as_mut().and_then(|screen| {
                        teller.screen(&screen.look());
                        screen.is_moving().then(|| Instant::now() + LOOK)
                    });
                }
            }
            Next::Send(Item::Over) => {
                if let Some(mut screen) = screen.take() {
                    teller.screen(&screen.last_look());
                }
            }
            Next::End => return teller.end(),
        }
    }
}

/// Text out of bytes that may be cut within a character.
#[derive(Default)]
struct Text {
    rest: Vec<u8>,
}

impl Text {
    fn push(&mut self, bytes: Vec<u8>) -> String {
        let mut all = std::mem::take(&mut self.rest);
        all.extend(bytes);
        let cut = match std::str::from_utf8(&all) {
            Err(error) if error.error_len().is_none() => error.valid_up_to(),
            _ => all.len(),
        };
        self.rest = all.split_off(cut);
        String::from_utf8_lossy(&all).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_character_that_is_cut_comes_whole_with_the_next_piece() {
        let mut text = Text::default();
        let bytes = "aü€b".as_bytes();
        let pieces: String = bytes.chunks(1).map(|piece| text.push(piece.to_vec())).collect();
        assert_eq!(pieces, "aü€b");
        assert_eq!(text.push(b"\xff.".to_vec()), "\u{fffd}.");
    }

    #[test]
    fn output_that_finds_no_room_is_counted_and_the_rest_is_gathered() {
        let outbox = Outbox { shared: Arc::default() };
        for _ in 0..2 * WAITING_BYTES_MAX / 1024 {
            outbox.output(Stream::Out, &[b'x'; 1024]);
        }
        let mut told = 0;
        while let Some(Item::Output { bytes, .. }) = { outbox.shared.lock().items.pop_front() } {
            assert_eq!(bytes.len(), CHUNK_BYTES);
            told += bytes.len();
        }
        assert_eq!((told, outbox.shared.lock().skipped), (WAITING_BYTES_MAX, WAITING_BYTES_MAX as u64));
    }
}
