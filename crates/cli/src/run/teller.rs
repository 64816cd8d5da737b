//! Tells the monitor, in order, keeps for a while what no monitor takes, and counts what was left out.

use std::collections::VecDeque;
use std::thread;
use std::time::{Duration, Instant};

use client::Error;

use super::detect::Detector;
use super::tell::Session;

/// The most that waits for a monitor that is gone, in bytes of events; beyond it, output is left out.
const WAITING_BYTES_MAX: usize = 4 * 1024 * 1024;

/// What the program's start, states and end may take beyond that: they say more than any output, and are small.
const RESERVE_BYTES: usize = 256 * 1024;

/// The pause between two looks for a monitor that is gone.
const PAUSE: Duration = Duration::from_secs(1);

/// How often what still waits is sent when the program has ended.
const LAST_TRIES: usize = 3;

/// The pause between those: the program's user waits for them.
const LAST_PAUSE: Duration = Duration::from_millis(200);

/// Events that are sent together.
struct Group {
    events: String,
    /// How many bytes of output they tell.
    output: u64,
}

pub(super) struct Teller<'a> {
    session: &'a Session,
    detector: Detector,
    /// Bytes of output, or events, that are left out since the last output that was told or waits.
    lost: u64,
    waiting: VecDeque<Group>,
    waiting_bytes: usize,
    /// When the monitor is looked for again.
    next_try: Option<Instant>,
}

impl<'a> Teller<'a> {
    pub(super) fn of(session: &'a Session) -> Self {
        let detector = Detector::default();
        Self { session, detector, lost: 0, waiting: VecDeque::new(), waiting_bytes: 0, next_try: None }
    }

    /// When to [`Teller::send`] again, if anything waits.
    pub(super) fn next_try(&self) -> Option<Instant> {
        self.next_try
    }

    /// Output that found no room on its way here.
    pub(super) fn skip(&mut self, bytes: u64) {
        self.lost += bytes;
    }

    pub(super) fn event(&mut self, event: String) {
        if !self.keep(Group { events: event, output: 0 }, WAITING_BYTES_MAX + RESERVE_BYTES) {
            self.lost += 1;
        }
        self.send();
    }

    /// Tells lines that a screen showed.
    pub(super) fn screen(&mut self, text: &str) {
        if !text.is_empty() {
            self.output("stdout", text, text.len() as u64);
        }
    }

    /// Tells output that took this many bytes.
    pub(super) fn output(&mut self, stream: &str, content: &str, length: u64) {
        let plain = strip_ansi_escapes::strip_str(content);
        let event = self.session.output(content, &plain, stream, self.lost);
        let meant = self.detector.read(&plain);
        // One request for what was shown and what it means.
        let events: Vec<String> = std::iter::once(event)
            .chain(meant.into_iter().map(|(kind, data, line)| self.session.event(kind, data, &line)))
            .collect();
        let group = Group { events: events.join("\n"), output: length };
        self.lost = if self.keep(group, WAITING_BYTES_MAX) { 0 } else { self.lost + length };
        self.send();
    }

    /// Sends what waits, as far as a monitor takes it.
    pub(super) fn send(&mut self) {
        if self.next_try.is_some_and(|next| next > Instant::now()) {
            return;
        }
        self.next_try = None;
        while let Some(group) = self.waiting.front() {
            let told = self.session.tell(&group.events);
            if told.as_ref().is_err_and(passes) {
                self.next_try = Some(Instant::now() + PAUSE);
                return;
            }
            let Some(group) = self.waiting.pop_front() else { return };
            self.waiting_bytes -= group.events.len();
            if told.is_err() {
                self.lost += group.output.max(1);
            }
        }
    }

    /// Sends what waits for the last time; the rest is left out.
    pub(super) fn end(mut self) {
        for at in 0..LAST_TRIES {
            if at > 0 {
                thread::sleep(LAST_PAUSE);
            }
            self.next_try = None;
            self.send();
            if self.waiting.is_empty() {
                return;
            }
        }
    }

    /// Puts events behind those that wait; false when they find no room.
    fn keep(&mut self, group: Group, bytes_max: usize) -> bool {
        let has_room = self.waiting_bytes + group.events.len() <= bytes_max;
        if has_room {
            self.waiting_bytes += group.events.len();
            self.waiting.push_back(group);
        }
        has_room
    }
}

/// Whether the same may be told later: nobody is there, or it cannot be stored just now.
fn passes(error: &Error) -> bool {
    match error {
        Error::Unreachable { .. } => true,
        Error::Refused { status, .. } => *status == 429 || *status >= 500,
        Error::Malformed { .. } => false,
    }
}
