//! Follows the transcripts of live sessions for what no hook tells: model, tokens and cost, titles, and that the user
//! pressed Esc. Read only, and only files that hooks of this user on this machine name: wherever Claude Code keeps them,
//! but no other machine decides what is read here. What is found goes through the one way in.

mod prices;
mod record;
mod tail;
mod titles;
mod told;

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use protocol::ingest::Object;
use protocol::{Event, HookEvent, Kind, Source};
use tokio::task::JoinHandle;

use crate::intake::ingest::{Ingest, Sender};
use crate::record::hub::Subscriber;
use prices::Prices;
pub use prices::check_prices;
use tail::Tail;
use told::{Origin, Teller};

/// How often the files of live sessions are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// A file in which nothing happened for that long is left alone until a hook names it again.
const QUIET_MAX: Duration = Duration::from_secs(30 * 60);

/// A session that ended writes its last lines within this.
const ENDED_MAX: Duration = Duration::from_secs(30);

/// Files followed at once: each is looked at every second. For one more, the one that was quiet for longest gives way.
const FILES_MAX: usize = 512;

/// Files that gave way and of which is known how far they were read, so that nothing is read twice when they are named
/// again.
const PARKED_MAX: usize = 4096;

/// Events taken from the hub at once.
const EVENTS_MAX: usize = 512;

/// Events handed to the way in at once.
const BODY_EVENTS_MAX: usize = 256;

/// What transcripts tell is told of files that are read already.
const TRANSCRIPT: Sender = Sender { door: Source::Transcript, is_own: false };

/// Follows transcripts until this is ended.
pub(crate) struct Following(JoinHandle<()>);

impl Following {
    /// Begins with the sessions that are heard of in `news`; the file of prices stands in for the shipped one.
    pub(crate) fn start(news: Subscriber, ingest: Ingest, prices: Option<&Path>) -> Self {
        Self(tokio::spawn(follow(news, ingest, Prices::load(prices))))
    }

    /// Ends it. What was not read yet is read when the session is heard of again.
    pub(crate) fn end(self) {
        self.0.abort();
    }
}

async fn follow(mut news: Subscriber, ingest: Ingest, prices: Prices) {
    let mut desk = Desk::new(prices.clone());
    let mut tick = tokio::time::interval(LOOK_EVERY);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            delivery = news.next(EVENTS_MAX) => {
                let Some(delivery) = delivery else { return };
                for event in &delivery.events {
                    desk.hear(event, Instant::now());
                }
            }
            _ = tick.tick(), if desk.has_work() => {
                let looking = tokio::task::spawn_blocking(move || {
                    let events = desk.look(Instant::now());
                    (desk, events)
                });
                let (looked, events) = match looking.await {
                    Ok(looked) => looked,
                    // Whatever a file made of us, others are followed on, when hooks name them again.
                    Err(error) if error.is_panic() => {
                        tracing::error!("reading transcripts panicked: {error}");
                        (Desk::new(prices.clone()), Vec::new())
                    }
                    // The server ends.
                    Err(_) => return,
                };
                desk = looked;
                for group in events.chunks(BODY_EVENTS_MAX) {
                    if let Err(error) = ingest.take(group.join("\n").into(), TRANSCRIPT).await {
                        tracing::warn!("could not keep what a transcript tells: {error:?}");
                    }
                }
            }
        }
    }
}

/// The files that are followed.
struct Desk {
    teller: Teller,
    /// By session, for every event of one asks for its own.
    files: HashMap<String, Vec<Followed>>,
    /// How far files that gave way were read.
    parked: HashMap<PathBuf, Tail>,
    /// How many files were followed so far.
    named: u64,
}

struct Followed {
    /// Which of all files that were ever followed it is.
    number: u64,
    tail: Tail,
    origin: Origin,
    /// Until when it is followed without news.
    until: Instant,
    /// The folder of its subagents' files, for a main thread's file.
    subagents: Option<PathBuf>,
}

impl Desk {
    fn new(prices: Prices) -> Self {
        Self { teller: Teller::new(prices), files: HashMap::new(), parked: HashMap::new(), named: 0 }
    }

    fn has_work(&self) -> bool {
        !self.files.is_empty() || self.teller.waits()
    }

    /// Notes the files that a hook names.
    fn hear(&mut self, event: &Event, now: Instant) {
        if !event.is_own {
            return;
        }
        let (Kind::Hook(kind), Source::Hook | Source::MpmHook | Source::Http) =
            (&event.row.kind, event.row.source)
        else {
            return;
        };
        let Some(session) = event.row.session_id.as_ref() else { return };
        let patience = if *kind == HookEvent::SessionEnd { ENDED_MAX } else { QUIET_MAX };
        let known = self.files.get_mut(session.as_str());
        let is_known = known.is_some();
        known.into_iter().flatten().for_each(|file| file.until = now + patience);
        // The path of a session may change when it is resumed; every other event only repeats it.
        if is_known
            && !matches!(
                kind,
                HookEvent::SessionStart | HookEvent::UserPromptSubmit | HookEvent::SubagentStop
            )
        {
            return;
        }
        let Some(payload) = Object::of(&event.payload) else { return };
        let named = |name: &str| payload.text(name).map(|path| PathBuf::from(path.as_ref()));
        if let Some(path) = named("transcript_path") {
            let origin = Origin { session: session.0.clone(), agent: None };
            self.follow(path, origin, now + patience);
        }
        if let Some(path) = named("agent_transcript_path") {
            let agent = event.row.agent_id.as_ref().map(|agent| agent.0.clone());
            self.follow(path, Origin { session: session.0.clone(), agent }, now + patience);
        }
    }

    fn follow(&mut self, path: PathBuf, origin: Origin, until: Instant) {
        let is_transcript = path.is_absolute() && path.extension() == Some(OsStr::new("jsonl"));
        let followed = || self.files.values().flatten();
        let is_known = || followed().any(|file| file.tail.path() == path);
        if !is_transcript
            || is_known()
            || (followed().count() >= FILES_MAX && self.make_room(until).is_none())
        {
            return;
        }
        let subagents = origin.agent.is_none().then(|| path.with_extension("").join("subagents"));
        let session = self.files.entry(origin.session.clone()).or_default();
        let tail = self.parked.remove(&path).unwrap_or_else(|| Tail::new(path));
        session.push(Followed { number: self.named, tail, origin, until, subagents });
        self.named += 1;
    }

    /// Lets the file give way that was quiet for longest; `None` when all were heard of later than what wants its place.
    fn make_room(&mut self, until: Instant) -> Option<()> {
        let all = self.files.iter().flat_map(|(session, files)| {
            files.iter().enumerate().map(move |(at, file)| (file.until, session, at))
        });
        let quietest = all.min_by_key(|(quiet, ..)| *quiet).filter(|(quiet, ..)| *quiet < until);
        let (session, at) = quietest.map(|(_, session, at)| (session.clone(), at))?;
        let files = self.files.get_mut(&session)?;
        let Followed { tail, .. } = files.swap_remove(at);
        if files.is_empty() {
            self.files.remove(&session);
        }
        if self.parked.len() >= PARKED_MAX {
            self.parked.clear();
        }
        self.parked.insert(tail.path().to_owned(), tail);
        Some(())
    }

    /// Reads what is new in all files; gives the events that it tells.
    fn look(&mut self, now: Instant) -> Vec<String> {
        self.find_subagents();
        let mut events = Vec::new();
        // Subagents last: what they repeat of the main thread is the main thread's. And what a fork repeats is of the
        // session that was there before it.
        let mut files: Vec<&mut Followed> = self.files.values_mut().flatten().collect();
        files.sort_by_key(|file| (file.origin.agent.is_some(), file.number));
        for file in files {
            let mut is_read = false;
            let looked = file.tail.look(|line| {
                is_read = true;
                if let Some(record) = record::read(line) {
                    events.extend(self.teller.take(record, &file.origin, now));
                }
            });
            match looked {
                Ok(_) if is_read => file.until = file.until.max(now + ENDED_MAX),
                // Claude Code names it before it writes it.
                Ok(_) => {}
                Err(error) => tracing::debug!("could not read {}: {error}", file.tail.path().display()),
            }
        }
        events.extend(self.teller.overdue(now));
        self.files.retain(|_, files| {
            files.retain(|file| file.until > now);
            !files.is_empty()
        });
        events
    }

    /// The files of subagents that no hook has named yet.
    fn find_subagents(&mut self) {
        let folders: Vec<(PathBuf, String, Instant)> = self
            .files
            .values()
            .flatten()
            .filter_map(|file| Some((file.subagents.clone()?, file.origin.session.clone(), file.until)))
            .collect();
        for (folder, session, until) in folders {
            let Ok(entries) = fs::read_dir(&folder) else { continue };
            for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
                if let Some(agent) = agent_of(&path) {
                    self.follow(path, Origin { session: session.clone(), agent: Some(agent) }, until);
                }
            }
        }
    }
}

/// The agent that a file is of: `agent-<id>.jsonl`.
fn agent_of(path: &Path) -> Option<String> {
    Some(path.file_stem()?.to_str()?.strip_prefix("agent-")?.to_owned())
}

#[cfg(test)]
mod fuzz;

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    /// Reads the recorded transcripts and gives the events.
    fn told() -> Vec<Value> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../../tests/fixtures/transcripts")
            .canonicalize()
            .unwrap();
        let mut desk = Desk::new(Prices::load(None));
        let now = Instant::now();
        let until = now + QUIET_MAX;
        let mut events = Vec::new();
        // The resumed session holds copies of the first one's lines.
        for session in ["first", "resumed"] {
            let path = folder.join(format!("{session}.jsonl"));
            desk.follow(path, Origin { session: session.to_owned(), agent: None }, until);
            events.extend(desk.look(now));
        }
        events.extend(desk.look(now + COMPLETE));
        events.extend(desk.look(now + COMPLETE));
        events.iter().map(|event| serde_json::from_str(event).unwrap()).collect()
    }

    const COMPLETE: Duration = Duration::from_secs(120);

    fn of<'a>(told: &'a [Value], kind: &str) -> Vec<&'a Value> {
        told.iter().filter(|event| event["kind"] == kind).collect()
    }

    #[test]
    fn tokens_and_cost_of_the_recorded_transcripts_are_those_counted_by_hand() {
        let told = told();
        let mut counted: Vec<_> = of(&told, "transcript.response")
            .iter()
            .map(|event| {
                let data = &event["payload"];
                let tokens = ["input", "output", "cache_write_5m", "cache_write_1h", "cache_read"]
                    .map(|name| data["tokens"][name].as_u64().unwrap());
                let session = event["session_id"].as_str().unwrap().to_owned();
                let message = data["message_id"].as_str().unwrap().to_owned();
                (message, session, tokens, data["cost_usd_micros"].as_u64())
            })
            .collect();
        counted.sort();
        let row = |message: &str, session: &str, tokens, cost| {
            (message.to_owned(), session.to_owned(), tokens, cost)
        };
        assert_eq!(
            counted,
            [
                // Three lines, the last with the true output: 10·3 + 200·15 + 1000·3.75 + 500·0.3.
                row("msg_1", "first", [10, 200, 1000, 0, 500], Some(6930)),
                // With a cache for an hour, of another model: 5·5 + 50·25 + 100·6.25 + 300·10 + 2000·0.5.
                row("msg_2", "first", [5, 50, 100, 300, 2000], Some(5900)),
                // A model without a price: counted, but without cost.
                row("msg_3", "first", [7, 70, 0, 0, 0], None),
                // The subagent's, once though its file repeats the parent's last: 20·1 + 40·5.
                row("msg_4", "first", [20, 40, 0, 0, 0], Some(220)),
                // After the resume; the copies before it are not counted again: 1·3 + 2·15.
                row("msg_5", "resumed", [1, 2, 0, 0, 0], Some(33)),
            ]
        );
        let agents: Vec<_> =
            of(&told, "transcript.response").iter().filter_map(|event| event["agent_id"].as_str()).collect();
        assert_eq!(agents, ["a1"], "of the subagent only its own");
    }

    #[test]
    fn what_forks_repeat_is_of_the_session_that_was_there_before_them() {
        let folder = tempfile::tempdir().unwrap();
        let response = json!({"type": "assistant", "uuid": "u1", "requestId": "r1",
            "timestamp": "2026-08-22T10:00:00.000Z", "message": {"id": "msg_1", "model": "m", "stop_reason": "end_turn",
            "usage": {"input_tokens": 3, "output_tokens": 5}}});
        let mut desk = Desk::new(Prices::load(None));
        let now = Instant::now();
        for session in ["first", "a", "b", "c", "d", "e", "f", "g"] {
            let path = folder.path().join(format!("{session}.jsonl"));
            fs::write(&path, format!("{response}\n")).unwrap();
            desk.follow(path, Origin { session: session.to_owned(), agent: None }, now + QUIET_MAX);
        }
        let mut told = desk.look(now);
        told.extend(desk.look(now + COMPLETE));
        let told: Vec<Value> = told.iter().map(|event| serde_json::from_str(event).unwrap()).collect();
        let used: Vec<_> = of(&told, "transcript.response").iter().map(|told| &told["session_id"]).collect();
        assert_eq!(used, ["first"]);
    }

    #[test]
    fn titles_interruptions_and_compactions_are_told_and_the_unknown_is_passed_over() {
        let told = told();
        assert_eq!(of(&told, "transcript.title")[0]["payload"]["session_title"], "Fix the tax");
        assert_eq!(of(&told, "transcript.compacted")[0]["payload"]["tokens_before"], 155_000);
        let interrupted = of(&told, "session.interrupted");
        assert_eq!(interrupted.len(), 1);
        assert_eq!(interrupted[0]["occurred_at"], 1_787_393_480_000_u64);
    }
}
