//! What the monitor tells of itself: that it started and stops, and who connects to it and leaves. These are events
//! like any other and take the one way in; telling never waits, and a client that comes and goes in a loop is told a
//! few times a minute.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use protocol::Health;
use protocol::health::ClientInfo;
use protocol::{Source, Timestamp};
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::ended::Ended;
use crate::intake::ingest::{Ingest, Sender};

/// Events that wait to be stored. A storm of connections beyond that is counted in the next event that is told.
const WAITING_MAX: usize = 1024;

/// How often in a minute clients of one kind from one place are told to come or go. More is one that connects in a
/// loop, whose rows would push those of sessions out of the store.
const TOLD_A_MINUTE: u32 = 20;

const MINUTE: Duration = Duration::from_secs(60);

/// Kinds of clients and places that are told apart at once; any beyond are counted together.
const ALIKE_MAX: usize = 256;

/// How long the end of a server waits for them.
const FLUSH_LIMIT: Duration = Duration::from_secs(2);

/// A way to tell; clones share it. The default tells nobody.
#[derive(Clone, Default)]
pub(crate) struct OwnEvents {
    waiting: Option<mpsc::Sender<Item>>,
    skipped: Arc<AtomicU64>,
    frequent: Arc<Mutex<Frequent>>,
}

enum Item {
    Event(String),
    /// Answered when everything before it is stored.
    Flush(oneshot::Sender<()>),
}

/// What was told and is not stored yet.
pub(crate) struct Told(mpsc::Receiver<Item>);

impl OwnEvents {
    pub(crate) fn new() -> (Self, Told) {
        let (waiting, told) = mpsc::channel(WAITING_MAX);
        (Self { waiting: Some(waiting), ..Self::default() }, Told(told))
    }

    pub(crate) fn started(&self, health: &Health) {
        let payload = json!({
            "version": health.version, "host": health.host, "port": health.port, "pid": health.pid,
            "mode": health.mode, "server_id": health.server_id,
        });
        let summary = format!("Monitor started  {} on port {}", health.version, health.port);
        self.tell("system.started", false, summary, payload);
    }

    /// Tells that the server stops, and waits until that is stored.
    pub(crate) async fn stopped(&self, ended: Ended) {
        let reason = match ended {
            Ended::Caller => "its program ends it".to_owned(),
            Ended::Asked => "it was asked to".to_owned(),
            Ended::Replaced { port } => format!("another one takes over on port {port}"),
            Ended::Restart { port } => format!("it starts again on port {port}"),
        };
        self.skipped.fetch_add(self.frequent().take_skipped(), Ordering::Relaxed);
        self.tell("system.stopped", false, format!("Monitor stopped  {reason}"), json!({ "reason": reason }));
        let Some(waiting) = &self.waiting else { return };
        let (stored, is_stored) = oneshot::channel();
        let flush = async { waiting.send(Item::Flush(stored)).await.is_ok() && is_stored.await.is_ok() };
        if tokio::time::timeout(FLUSH_LIMIT, flush).await != Ok(true) {
            tracing::warn!("the monitor's own last events could not be stored");
        }
    }

    pub(crate) fn connected(&self, client: &ClientInfo) {
        let summary = format!("{} connected  {}  {}", client.kind, client.transport, client.address);
        self.tell_of(client, "client.connected", false, summary, json!(client));
    }

    /// `trouble` is why it was disconnected, when it did not simply go.
    pub(crate) fn disconnected(&self, client: &ClientInfo, trouble: Option<&str>) {
        let mut payload = json!(client);
        payload["error"] = json!(trouble);
        let trouble = trouble.map(|trouble| format!("  {trouble}"));
        let is_error = trouble.is_some();
        let summary = format!("{} left  {}{}", client.kind, client.address, trouble.unwrap_or_default());
        self.tell_of(client, "client.disconnected", is_error, summary, payload);
    }

    fn tell_of(&self, client: &ClientInfo, kind: &str, is_error: bool, summary: String, payload: Value) {
        let place = client.address.parse::<SocketAddr>().ok().map(|address| address.ip());
        let alike = Alike {
            place,
            transport: client.transport.clone(),
            namespace: client.namespace.clone(),
            kind: client.kind.clone(),
        };
        let before = match self.frequent().take(alike, Instant::now()) {
            Turn::Tell { skipped } => skipped,
            Turn::Skip => return,
        };
        self.skipped.fetch_add(before, Ordering::Relaxed);
        self.tell(kind, is_error, summary, payload);
    }

    fn frequent(&self) -> MutexGuard<'_, Frequent> {
        self.frequent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, kind: &str, is_error: bool, mut summary: String, mut payload: Value) {
        let Some(waiting) = &self.waiting else { return };
        match self.skipped.swap(0, Ordering::Relaxed) {
            0 => {}
            skipped => {
                payload["skipped_events"] = skipped.into();
                summary += &format!("  {skipped} like it before were skipped");
            }
        }
        let event = json!({
            "source": Source::Monitor.as_str(),
            "kind": kind,
            "occurred_at": Timestamp::from_system(SystemTime::now()),
            "is_error": is_error,
            "summary": summary,
            "payload": payload,
        });
        if waiting.try_send(Item::Event(event.to_string())).is_err() {
            let before = payload["skipped_events"].as_u64().unwrap_or(0);
            self.skipped.fetch_add(before + 1, Ordering::Relaxed);
        }
    }
}

/// Clients that are told of together: the same kind of program from the same place.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Alike {
    place: Option<IpAddr>,
    transport: String,
    namespace: Option<String>,
    kind: String,
}

/// How often clients that are alike came and went in their present minute.
#[derive(Debug)]
struct Minute {
    since: Instant,
    told: u32,
    skipped: u64,
}

/// Whether a client is told of.
#[derive(Debug, PartialEq, Eq)]
enum Turn {
    /// With how many were skipped since the last.
    Tell {
        skipped: u64,
    },
    Skip,
}

/// Who comes and goes how often.
#[derive(Debug, Default)]
struct Frequent {
    minutes: HashMap<Alike, Minute>,
}

impl Frequent {
    fn take(&mut self, alike: Alike, now: Instant) -> Turn {
        if self.minutes.len() >= ALIKE_MAX && !self.minutes.contains_key(&alike) {
            // What was skipped stays to be told.
            self.minutes.retain(|_, minute| minute.skipped > 0 || now.duration_since(minute.since) < MINUTE);
        }
        let is_one_too_many = self.minutes.len() >= ALIKE_MAX && !self.minutes.contains_key(&alike);
        let alike = if is_one_too_many { Alike::default() } else { alike };
        let new = || Minute { since: now, told: 0, skipped: 0 };
        let minute = self.minutes.entry(alike).or_insert_with(new);
        if now.duration_since(minute.since) >= MINUTE {
            (minute.since, minute.told) = (now, 0);
        }
        if minute.told >= TOLD_A_MINUTE {
            minute.skipped += 1;
            return Turn::Skip;
        }
        minute.told += 1;
        Turn::Tell { skipped: std::mem::take(&mut minute.skipped) }
    }

    fn take_skipped(&mut self) -> u64 {
        self.minutes.values_mut().map(|minute| std::mem::take(&mut minute.skipped)).sum()
    }
}

/// The monitor itself names no files.
pub(crate) const MONITOR: Sender = Sender { door: Source::Monitor, is_own: false };

/// Stores what is told, until nobody can tell any more.
pub(crate) fn store(Told(mut told): Told, ingest: Ingest) -> JoinHandle<()> {
    tokio::spawn(async move {
        while let Some(item) = told.recv().await {
            match item {
                Item::Event(event) => {
                    if let Err(error) = ingest.take(event.into(), MONITOR).await {
                        tracing::debug!("could not keep what the monitor tells of itself: {error:?}");
                    }
                }
                // Whoever asked may have given up.
                Item::Flush(stored) => drop(stored.send(())),
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(kind: &str) -> Alike {
        Alike { kind: kind.to_owned(), ..Alike::default() }
    }

    #[test]
    fn who_comes_and_goes_in_a_loop_is_told_a_few_times_a_minute_with_the_rest_counted() {
        let mut frequent = Frequent::default();
        let start = Instant::now();
        let mut told = 0;
        for at in 0..1000 {
            let turn = frequent.take(of("Python"), start + Duration::from_millis(at));
            told += u64::from(turn == Turn::Tell { skipped: 0 });
        }
        assert_eq!(told, u64::from(TOLD_A_MINUTE));
        assert_eq!(frequent.take(of("Browser"), start), Turn::Tell { skipped: 0 }, "others are told as ever");
        let skipped = 1000 - told;
        assert_eq!(frequent.take(of("Python"), start + MINUTE), Turn::Tell { skipped }, "in the next minute");
        assert_eq!(frequent.take(of("Python"), start + MINUTE), Turn::Tell { skipped: 0 });
    }

    #[test]
    fn there_may_be_any_number_of_kinds() {
        let mut frequent = Frequent::default();
        let start = Instant::now();
        let storm = |frequent: &mut Frequent, at: Instant| -> usize {
            let turns = (0..10_000).map(|kind| frequent.take(of(&kind.to_string()), at));
            turns.filter(|turn| *turn != Turn::Skip).count()
        };
        assert_eq!(storm(&mut frequent, start), ALIKE_MAX + TOLD_A_MINUTE as usize);
        assert!(frequent.minutes.len() <= ALIKE_MAX + 1);
        assert_eq!(frequent.take_skipped(), 10_000 - (ALIKE_MAX + TOLD_A_MINUTE as usize) as u64);
        assert_eq!(
            storm(&mut frequent, start + MINUTE),
            ALIKE_MAX + TOLD_A_MINUTE as usize,
            "a minute later"
        );
    }
}
