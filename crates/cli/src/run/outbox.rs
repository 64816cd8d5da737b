//! What is to be told, on its way to the monitor. The program never waits for it: output that comes faster than it
//! can be stored is left out, and how much that was is told.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, mpsc};
use std::thread;
use std::time::Duration;

use super::detect::Detector;
use super::tell::Session;

/// The most output in one event.
const CHUNK_BYTES: usize = 64 * 1024;

/// The most output that waits; beyond it, output is skipped.
const WAITING_BYTES_MAX: usize = 1024 * 1024;

/// How long output is gathered before it is sent, so that a screen is a few events and not thousands.
const GATHER: Duration = Duration::from_millis(50);

/// How long the end of a program may be delayed by what is still to be told.
const FLUSH_LIMIT: Duration = Duration::from_secs(5);

/// How often the start, a status or the end is sent before it is given up.
const TRIES: usize = 3;

/// The pause between two tries.
const PAUSE: Duration = Duration::from_millis(200);

/// Which of its outputs a program wrote to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stream {
    Out,
    Error,
}

enum Item {
    Event(String),
    Output { stream: Stream, bytes: Vec<u8>, skipped: u64 },
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
        self.waiting.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// The next thing to tell; output only after it has been gathered for a while. `None` at the end.
    fn next(&self) -> Option<Item> {
        let mut waiting = self.lock();
        loop {
            match waiting.items.front() {
                Some(Item::Event(_)) => break,
                Some(Item::Output { .. }) if waiting.is_closed || waiting.items.len() > 1 => break,
                Some(Item::Output { .. }) => {
                    drop(waiting);
                    thread::sleep(GATHER);
                    waiting = self.lock();
                    break;
                }
                None if waiting.is_closed => return None,
                None => {
                    let woken = self.changed.wait(waiting);
                    waiting = woken.unwrap_or_else(std::sync::PoisonError::into_inner);
                }
            }
        }
        let item = waiting.items.pop_front();
        if let Some(Item::Output { bytes, .. }) = &item {
            waiting.bytes -= bytes.len();
        }
        item
    }
}

fn send_all(shared: &Shared, session: &Session) {
    let mut texts = [Text::default(), Text::default()];
    let mut detector = Detector::default();
    let mut lost = 0;
    while let Some(item) = shared.next() {
        match item {
            Item::Event(event) => {
                let sent = (0..TRIES).any(|at| {
                    if at > 0 {
                        thread::sleep(PAUSE);
                    }
                    session.tell(&event).is_ok()
                });
                lost += u64::from(!sent);
            }
            Item::Output { stream, bytes, skipped } => {
                let length = bytes.len() as u64;
                let content = texts[stream as usize].push(bytes);
                let plain = strip_ansi_escapes::strip_str(&content);
                let name = if stream == Stream::Out { "stdout" } else { "stderr" };
                let event = session.output(&content, &plain, name, lost + skipped);
                // One request for what was shown and what it means.
                let events: Vec<String> = std::iter::once(event)
                    .chain(
                        detector
                            .read(&plain)
                            .into_iter()
                            .map(|(kind, data, line)| session.event(kind, data, &line)),
                    )
                    .collect();
                lost = match session.tell(&events.join("\n")) {
                    Ok(()) => 0,
                    Err(_) => lost + skipped + length,
                };
            }
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
