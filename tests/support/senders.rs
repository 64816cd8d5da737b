//! Programs that post events one after the other, each again until it is acknowledged, whatever happens meanwhile.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::{Monitor, PATIENCE, Stored};

/// How long a sender rests between two events: the load is heavy, not a denial of service.
const REST: Duration = Duration::from_millis(2);

/// Running senders; they end with the value.
pub struct Senders {
    ended: Arc<AtomicBool>,
    acknowledged: Arc<AtomicU64>,
    threads: Vec<JoinHandle<Vec<String>>>,
}

impl Senders {
    /// Starts so many, whose events have so many bytes each.
    pub fn start(url: &str, count: u64, bytes: usize) -> Self {
        let (ended, acknowledged) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let sender = |number| {
            let (ended, acknowledged, url) = (ended.clone(), acknowledged.clone(), url.to_owned());
            std::thread::spawn(move || post_until(&ended, &acknowledged, &url, number, bytes))
        };
        let threads = (0..count).map(sender).collect();
        Self { ended, acknowledged, threads }
    }

    /// How many events were acknowledged so far.
    pub fn acknowledged(&self) -> u64 {
        self.acknowledged.load(Ordering::Relaxed)
    }

    /// Waits until so many more are acknowledged.
    #[track_caller]
    pub fn wait_for(&self, more: u64) {
        let (start, before) = (Instant::now(), self.acknowledged());
        while self.acknowledged() < before + more {
            assert!(start.elapsed() < PATIENCE, "{} of {more} acknowledged", self.acknowledged() - before);
            std::thread::sleep(REST);
        }
    }

    /// Ends them; answers the ids, which are the sessions too, of what they sent: all of it is acknowledged.
    pub fn end(mut self) -> Vec<String> {
        self.ended.store(true, Ordering::Relaxed);
        self.threads.drain(..).flat_map(|sender| sender.join().expect("a sender ends well")).collect()
    }
}

impl Drop for Senders {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
    }
}

/// Each event has an id and a session of its own. Returns the ids.
fn post_until(
    ended: &AtomicBool,
    acknowledged: &AtomicU64,
    url: &str,
    sender: u64,
    bytes: usize,
) -> Vec<String> {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(PATIENCE))
        .build()
        .into();
    let text = "x".repeat(bytes);
    let mut ids = Vec::new();
    while !ended.load(Ordering::Relaxed) {
        let id = format!("{sender:08x}-0000-7000-8000-{:012x}", ids.len());
        let payload = json!({"number": ids.len(), "text": text});
        let body = json!({"id": id, "kind": "load", "session_id": id, "payload": payload}).to_string();
        let start = Instant::now();
        loop {
            match agent.post(format!("{url}/api/events")).send(body.as_bytes()) {
                Ok(answer) if answer.status() == 204 => break,
                // It may have been stored although its sender did not hear of it: then it is a duplicate.
                Ok(answer) if answer.status().is_client_error() => panic!("refused: {answer:?}"),
                _ => std::thread::sleep(REST),
            }
            assert!(start.elapsed() < 2 * PATIENCE, "{id} is never acknowledged");
        }
        ids.push(id);
        acknowledged.fetch_add(1, Ordering::Relaxed);
        std::thread::sleep(REST);
    }
    ids
}

impl Monitor {
    /// Everything stored, page by page.
    pub fn everything(&self) -> Vec<Stored> {
        let (mut all, mut after) = (Vec::new(), 0);
        loop {
            let page = self.events(&format!("after={after}&limit=1000&duplicates=true"));
            after = page.events.last().map_or(after, |event| event.seq);
            all.extend(page.events);
            if !page.has_more {
                return all;
            }
        }
    }

    /// Claims that the event of each of these sessions is stored once, that nothing else is, and that positions have no
    /// gap.
    #[track_caller]
    pub fn assert_stored_once(&self, sessions: &[String]) {
        let stored = self.everything();
        let seqs: Vec<u64> = stored.iter().map(|event| event.seq).collect();
        assert!(seqs.iter().copied().eq(1..=seqs.len() as u64), "positions have no gap: {seqs:?}");
        let mut times: BTreeMap<&str, usize> = BTreeMap::new();
        for event in &stored {
            *times.entry(event.session_id.as_deref().expect("every event has a session")).or_default() += 1;
        }
        for sent in sessions {
            let times = times.remove(sent.as_str()).unwrap_or(0);
            assert_eq!(times, 1, "{sent} was handed over once, and must be stored once");
        }
        assert!(times.is_empty(), "nobody sent these: {times:?}");
        for event in stored.iter().filter(|event| event.kind == "load") {
            assert_eq!(event.session_id.as_ref(), Some(&event.id), "an event keeps its id");
        }
    }
}
