//! The one way in: every door hands its bytes here; only this writes the store.

use std::future::Future;
use std::num::NonZero;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::available_parallelism;
use std::time::SystemTime;

use bytes::Bytes;
use protocol::ingest::{Body, parse, split};
use protocol::{EventId, Incoming, Refusal, Seq, Source, Timestamp};
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::sync::Semaphore;

use crate::intake::capture::Capture;
use crate::intake::trace::{self, Traced};
use crate::record::store::{Appended, Store, StoreError};

/// Bodies larger than this are parsed off the async threads: they would hold up everybody else.
const PARSE_INLINE_BYTES_MAX: usize = 256 * 1024;

/// A handle to the way in; clones share it.
#[derive(Clone)]
pub(crate) struct Ingest {
    store: Store,
    capture: Capture,
    counters: Arc<Counters>,
    /// Turns of parsing large bodies.
    parsing: Arc<Semaphore>,
}

/// Counters since start.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    /// Events stored.
    pub stored: AtomicU64,
    /// Events refused.
    pub refused: AtomicU64,
    /// When the newest event was stored, in ms since the epoch; 0 for none.
    pub last_activity: AtomicU64,
}

/// Who hands a body in.
#[derive(Clone, Copy)]
pub(crate) struct Sender {
    /// By which door.
    pub door: Source,
    /// Whether it is a program of this user on this machine, whose word about files is taken.
    pub is_own: bool,
}

/// What became of a body.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// It was one event.
    One(Seq),
    /// It was several.
    Many(Summary),
    /// Nothing of it was kept, for capture is paused.
    Paused {
        /// How many events it held.
        skipped: usize,
    },
}

/// What became of several events.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Summary {
    /// Stored now.
    pub stored: usize,
    /// Stored before, by their id.
    pub duplicates: usize,
    /// Refused, each for itself.
    pub refused: Vec<Refused>,
}

/// One refused event among several.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Refused {
    /// Its place in the body, from 0.
    pub index: usize,
    /// Why, for programs.
    pub code: &'static str,
    /// Why, for people.
    pub message: String,
}

/// What a hook left in the spool: one event, and what the file's name says of it.
pub(crate) struct Spooled<'a> {
    id: EventId,
    occurred_at: Timestamp,
    body: &'a [u8],
}

impl<'a> Spooled<'a> {
    /// `None` when the name is not an event's.
    pub(crate) fn of(name: &str, body: &'a [u8]) -> Option<Self> {
        let (occurred_at, id) = protocol::spool::parse_file_name(name)?;
        Some(Self { id, occurred_at, body })
    }

    /// An event that names neither id nor time has those of its file: taking it twice is harmless.
    fn parse(&self) -> Result<Incoming, Refusal> {
        match parse_body(self.body, Source::Hook)? {
            Parsed::One(mut event) => {
                event.id.get_or_insert(self.id);
                event.occurred_at.get_or_insert(self.occurred_at);
                // The spool is this user's alone.
                event.is_own = true;
                Ok(*event)
            }
            Parsed::Many { .. } => {
                Err(Refusal { code: "not_one_event", message: "it holds several events".to_owned() })
            }
        }
    }
}

/// Why a body was not taken.
#[derive(Debug)]
pub(crate) enum Rejected {
    /// The sender's mistake.
    Refused(Refusal),
    /// Our trouble.
    Store(StoreError),
}

enum Parsed {
    One(Box<Incoming>),
    Many { events: Vec<Incoming>, refused: Vec<Refused> },
}

impl Ingest {
    pub(crate) fn new(store: Store, capture: Capture) -> Self {
        let cores = available_parallelism().map_or(1, NonZero::get);
        // The one thread that stores them is no quicker than one that parses, and each body that is parsed takes
        // several times its own memory.
        let parsing = Arc::new(Semaphore::new((cores / 2).max(1)));
        Self { store, capture, counters: Arc::default(), parsing }
    }

    pub(crate) fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Takes a body of one or several events; answers when all that is good in it is stored.
    pub(crate) async fn take(&self, body: Bytes, sender: Sender) -> Result<Taken, Rejected> {
        let parsed = if body.len() <= PARSE_INLINE_BYTES_MAX {
            let parsed = parse_body(&body, sender.door);
            // What was parsed may wait for long, and needs it no more.
            drop(body);
            parsed
        } else {
            let closed = || Rejected::Store(StoreError::Closed);
            let turn = self.parsing.clone().acquire_owned().await.map_err(|_| closed())?;
            let parsing = tokio::task::spawn_blocking(move || {
                let _turn = turn;
                parse_body(&body, sender.door)
            });
            parsing.await.map_err(|_| closed())?
        };
        let mut parsed = parsed.inspect_err(|_| self.count_refused(1)).map_err(Rejected::Refused)?;
        if self.capture.is_paused(now()) {
            let skipped = parsed.events();
            self.capture.count_skipped(skipped);
            return Ok(Taken::Paused { skipped });
        }
        parsed.events_mut().iter_mut().for_each(|event| event.is_own = sender.is_own);
        match parsed {
            Parsed::One(event) => {
                let appended = self.append(vec![*event]).await.map_err(Rejected::Store)?;
                Ok(Taken::One(appended.seqs[0]))
            }
            Parsed::Many { events, refused } => {
                self.count_refused(refused.len());
                let appended = self.append(events).await.map_err(Rejected::Store)?;
                let Appended { stored, duplicates, .. } = appended;
                Ok(Taken::Many(Summary { stored, duplicates, refused }))
            }
        }
    }

    /// Takes one event that was already cut out of a message. Calls in order are stored in order.
    pub(crate) fn take_one(
        &self,
        raw: &RawValue,
        door: Source,
    ) -> impl Future<Output = Result<Seq, Rejected>> + Send + use<> {
        // The limits of a body hold here too: a message may have come past them.
        let event = split(raw.get().as_bytes()).and_then(|_| parse_one(raw, door));
        let event = event.and_then(|event| self.unless_paused(event)).map_err(Rejected::Refused);
        let appending = match event {
            Ok(event) => Ok(self.append(vec![event])),
            Err(rejected) => {
                self.count_refused(1);
                Err(rejected)
            }
        };
        async move {
            let appended = appending?.await.map_err(Rejected::Store)?;
            Ok(appended.seqs[0])
        }
    }

    /// Takes spooled events as one group; answers what became of each, in order, when all that is good in it
    /// is stored.
    pub(crate) async fn take_spooled(
        &self,
        spooled: Vec<Spooled<'_>>,
    ) -> Result<Vec<Result<(), Refusal>>, StoreError> {
        let mut events = Vec::with_capacity(spooled.len());
        let parsed = spooled.iter().map(|spooled| {
            let event = spooled.parse()?;
            if self.capture.keeps(event.occurred_at.unwrap_or(spooled.occurred_at)) {
                events.push(event);
            } else {
                self.capture.count_skipped(1);
            }
            Ok(())
        });
        let outcomes: Vec<_> = parsed.collect();
        self.append(events).await?;
        self.count_refused(outcomes.iter().filter(|outcome| outcome.is_err()).count());
        Ok(outcomes)
    }

    fn append(
        &self,
        events: Vec<Incoming>,
    ) -> impl Future<Output = Result<Appended, StoreError>> + Send + use<> {
        let now = now();
        let traced = Traced::received(&events);
        let appending = self.store.append(events, now);
        let counters = self.counters.clone();
        async move {
            let appended = appending.await;
            traced.ended(&appended);
            let appended = appended?;
            if appended.stored > 0 {
                counters.stored.fetch_add(appended.stored as u64, Ordering::Relaxed);
                counters.last_activity.store(now.0.unsigned_abs(), Ordering::Relaxed);
            }
            Ok(appended)
        }
    }

    /// The event, or the refusal that tells its sender why it is not kept.
    fn unless_paused(&self, event: Incoming) -> Result<Incoming, Refusal> {
        if !self.capture.is_paused(now()) {
            return Ok(event);
        }
        self.capture.count_skipped(1);
        let message = "capture is paused: the event was not kept".to_owned();
        Err(Refusal { code: "capture_paused", message })
    }

    fn count_refused(&self, count: usize) {
        self.counters.refused.fetch_add(count as u64, Ordering::Relaxed);
    }
}

impl Parsed {
    fn events_mut(&mut self) -> &mut [Incoming] {
        match self {
            Self::One(event) => std::slice::from_mut(event),
            Self::Many { events, .. } => events,
        }
    }

    /// How many events it holds.
    fn events(&self) -> usize {
        match self {
            Self::One(_) => 1,
            Self::Many { events, .. } => events.len(),
        }
    }
}

fn now() -> Timestamp {
    Timestamp::from_system(SystemTime::now())
}

fn parse_one(raw: &RawValue, door: Source) -> Result<Incoming, Refusal> {
    parse(raw, door).inspect_err(|refusal| trace::refused(raw.get().as_bytes(), refusal))
}

fn parse_body(body: &[u8], door: Source) -> Result<Parsed, Refusal> {
    match split(body).inspect_err(|refusal| trace::refused(body, refusal))? {
        Body::One(raw) => parse_one(raw, door).map(|event| Parsed::One(Box::new(event))),
        Body::Many(all) => {
            let mut events = Vec::with_capacity(all.len());
            let mut refused = Vec::new();
            for (index, raw) in all.into_iter().enumerate() {
                match raw.and_then(|raw| parse_one(raw, door)) {
                    Ok(event) => events.push(event),
                    Err(Refusal { code, message }) => refused.push(Refused { index, code, message }),
                }
            }
            Ok(Parsed::Many { events, refused })
        }
    }
}
