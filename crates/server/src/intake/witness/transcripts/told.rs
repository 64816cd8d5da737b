//! What transcripts tell, as events. A response of the API stands in several lines, in replays, and in the copies that
//! a resumed session makes of an older one; it becomes one event, whose id follows from the response's own.

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::{Duration, Instant};

use protocol::Source;
use serde_json::{Value, json};
use uuid::Uuid;

use super::prices::Prices;
use super::record::{Record, Tells, Tokens};
use super::titles::Titles;

/// How long a response is waited for that does not say that it is complete.
const COMPLETE_AFTER: Duration = Duration::from_secs(60);

/// Responses remembered as told. Older ones are known by the store, which takes an id once.
const TOLD_MAX: usize = 50_000;

/// Which file a line stood in, in the words of the hooks that named the file.
#[derive(Clone, Debug)]
pub(super) struct Origin {
    pub(super) session: String,
    pub(super) agent: Option<String>,
}

struct Pending {
    origin: Origin,
    record: Record,
    model: String,
    tokens: Tokens,
    is_sidechain: bool,
    since: Instant,
}

/// Turns records into events, each response once.
pub(super) struct Teller {
    prices: Prices,
    titles: Titles,
    pending: HashMap<String, Pending>,
    told: HashSet<String>,
    order: VecDeque<String>,
}

impl Teller {
    pub(super) fn new(prices: Prices) -> Self {
        Self {
            prices,
            titles: Titles::default(),
            pending: HashMap::new(),
            told: HashSet::new(),
            order: VecDeque::new(),
        }
    }

    /// Takes one record; gives the events that are complete by it.
    pub(super) fn take(&mut self, record: Record, origin: &Origin, now: Instant) -> Vec<String> {
        let session = record.session.clone().unwrap_or_else(|| origin.session.clone());
        let agent = record.agent.clone().or_else(|| origin.agent.clone());
        let origin = Origin { session, agent };
        match record.tells.clone() {
            Tells::Response { message, model, tokens, is_sidechain, is_final } => {
                // Another response in the same place: the one before is complete.
                let mut events = self.complete(
                    |pending| {
                        pending.origin.session == origin.session && pending.origin.agent == origin.agent
                    },
                    Some(&message),
                );
                if self.told.contains(&message) {
                    return events;
                }
                let pending = Pending { origin, record, model, tokens, is_sidechain, since: now };
                self.merge(message.clone(), pending);
                if is_final {
                    events.extend(self.finish(&message));
                }
                events
            }
            Tells::Title(namer, title) => {
                let Some(change) = self.titles.take(&origin.session, namer, &title) else {
                    return Vec::new();
                };
                let key = format!("{} {change} {title}", origin.session);
                let data = json!({ "session_title": title });
                vec![event(
                    "transcript.title",
                    &origin,
                    &record,
                    Some(&key),
                    data,
                    &format!("Title  {title}"),
                )]
            }
            Tells::CompactionStopped => {
                let summary = "Compaction stopped by the user";
                vec![event("transcript.compaction_stopped", &origin, &record, None, json!({}), summary)]
            }
            // A subagent that is interrupted has a parent that is.
            Tells::Interrupted if origin.agent.is_some() => Vec::new(),
            Tells::Interrupted => {
                vec![event(
                    "session.interrupted",
                    &origin,
                    &record,
                    None,
                    json!({}),
                    "Interrupted by the user",
                )]
            }
            Tells::Compacted { trigger, tokens } => {
                let data = json!({ "trigger": trigger, "tokens_before": tokens });
                let before = tokens.map(|tokens| format!("  from {tokens} tokens")).unwrap_or_default();
                let summary = format!("Compacted{before}");
                vec![event("transcript.compacted", &origin, &record, None, data, &summary)]
            }
        }
    }

    /// The responses that nothing more has been heard of for a while.
    pub(super) fn overdue(&mut self, now: Instant) -> Vec<String> {
        self.complete(|pending| now.duration_since(pending.since) >= COMPLETE_AFTER, None)
    }

    /// Whether something waits to be complete.
    pub(super) fn waits(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Of two accounts of one response the larger counts, and one of the main thread rather than a replay.
    fn merge(&mut self, message: String, new: Pending) {
        match self.pending.get_mut(&message) {
            None => {
                self.pending.insert(message, new);
            }
            Some(known) => {
                if new.tokens.total() >= known.tokens.total() {
                    known.tokens = new.tokens;
                }
                if known.is_sidechain && !new.is_sidechain {
                    (known.origin, known.record, known.is_sidechain) = (new.origin, new.record, false);
                }
                known.since = new.since;
            }
        }
    }

    fn complete(&mut self, is_complete: impl Fn(&Pending) -> bool, but: Option<&String>) -> Vec<String> {
        let ready: Vec<String> = self
            .pending
            .iter()
            .filter(|(message, pending)| Some(*message) != but && is_complete(pending))
            .map(|(message, _)| message.clone())
            .collect();
        ready.iter().filter_map(|message| self.finish(message)).collect()
    }

    fn finish(&mut self, message: &str) -> Option<String> {
        let pending = self.pending.remove(message)?;
        self.told.insert(message.to_owned());
        self.order.push_back(message.to_owned());
        if self.order.len() > TOLD_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.told.remove(&oldest);
        }
        let Pending { origin, record, model, tokens, .. } = pending;
        let cost = self.prices.cost_micros(&model, &tokens, record.at);
        let data = json!({
            "model": model,
            "message_id": message,
            "tokens": {
                "input": tokens.input,
                "output": tokens.output,
                "cache_write_5m": tokens.cache_write_5m,
                "cache_write_1h": tokens.cache_write_1h,
                "cache_read": tokens.cache_read,
            },
            "cost_usd_micros": cost,
            // Where the cost comes from, for whoever shows it.
            "provenance": "computed",
            "prices_of": self.prices.date,
        });
        let dollars = cost.map(|micros| format!("  ${:.4}", micros as f64 / 1e6)).unwrap_or_default();
        let summary = format!("{model}  {} tokens{dollars}", tokens.total());
        Some(event("transcript.response", &origin, &record, Some(message), data, &summary))
    }
}

fn event(
    kind: &str,
    origin: &Origin,
    record: &Record,
    key: Option<&str>,
    mut data: Value,
    summary: &str,
) -> String {
    if let Some(agent) = &origin.agent {
        data["agent_id"] = agent.clone().into();
    }
    let key = key.or(record.id.as_deref());
    let mut event = json!({
        "source": Source::Transcript.as_str(),
        "kind": kind,
        "session_id": origin.session,
        "summary": summary,
        "payload": data,
    });
    let optional = [
        ("id", key.map(|key| id_of(&[kind, key]).to_string().into())),
        ("occurred_at", record.at.map(|at| at.0.into())),
        ("agent_id", origin.agent.clone().map(Value::from)),
        ("project", record.folder.clone().map(Value::from)),
    ];
    for (name, value) in optional {
        if let Some(value) = value {
            event[name] = value;
        }
    }
    event.to_string()
}

/// An id that is the same whenever and wherever the same thing is read: FNV-1a of its names, in the form of a
/// random UUID.
fn id_of(names: &[&str]) -> Uuid {
    const OFFSET: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    let bytes = names.iter().flat_map(|name| name.bytes().chain([0]));
    let hash = bytes.fold(OFFSET, |hash, byte| (hash ^ u128::from(byte)).wrapping_mul(PRIME));
    uuid::Builder::from_random_bytes(hash.to_be_bytes()).into_uuid()
}
