//! One line of a transcript, as far as it tells something that no hook does. Its format is Claude Code's own and
//! changes: whatever is not understood tells nothing.

use protocol::Timestamp;
use protocol::ingest::Object;
use serde_json::value::RawValue;

use super::titles::Namer;

/// How an interruption by Esc begins.
const INTERRUPTED: &str = "[Request interrupted by user";

/// How it is told that a compaction was stopped.
const COMPACTION_STOPPED: &str = "<local-command-stderr>Error: Compaction canceled";

/// The model of messages that Claude Code made up itself.
const SYNTHETIC: &str = "<synthetic>";

/// A line that tells something.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Record {
    pub(super) session: Option<String>,
    pub(super) folder: Option<String>,
    pub(super) agent: Option<String>,
    pub(super) at: Option<Timestamp>,
    /// Claude Code's id of the line.
    pub(super) id: Option<String>,
    pub(super) tells: Tells,
}

/// What it tells.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Tells {
    /// A response of the API, or one block of it: the counts are those of the whole response so far.
    Response { message: String, model: String, tokens: Tokens, is_sidechain: bool, is_final: bool },
    /// The session's title, and who gave it.
    Title(Namer, String),
    /// The user pressed Esc.
    Interrupted,
    /// The user stopped a compaction.
    CompactionStopped,
    /// The context was compacted.
    Compacted { trigger: Option<String>, tokens: Option<u64> },
}

/// Tokens of one response.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tokens {
    pub(super) input: u64,
    pub(super) output: u64,
    pub(super) cache_write_5m: u64,
    pub(super) cache_write_1h: u64,
    pub(super) cache_read: u64,
    pub(super) is_fast: bool,
}

impl Tokens {
    pub(super) fn total(&self) -> u64 {
        self.prompt().saturating_add(self.output)
    }

    /// What was sent, the cached parts included.
    pub(super) fn prompt(&self) -> u64 {
        let parts = [self.input, self.cache_write_5m, self.cache_write_1h, self.cache_read];
        parts.iter().fold(0, |sum, part| sum.saturating_add(*part))
    }

    fn of(usage: &Object<'_>) -> Self {
        let count =
            |object: &Object<'_>, name: &str| object.number(name).map_or(0, |number| number.max(0.0) as u64);
        let written = count(usage, "cache_creation_input_tokens");
        let split = usage.object("cache_creation");
        let long = split.as_ref().map_or(0, |split| count(split, "ephemeral_1h_input_tokens"));
        let short = split.as_ref().map_or(0, |split| count(split, "ephemeral_5m_input_tokens"));
        Self {
            input: count(usage, "input_tokens"),
            output: count(usage, "output_tokens"),
            // Older versions tell the sum only; short is what nobody asked to be long.
            cache_write_5m: short.max(written.saturating_sub(long)),
            cache_write_1h: long,
            cache_read: count(usage, "cache_read_input_tokens"),
            is_fast: usage.text("speed").as_deref() == Some("fast"),
        }
    }
}

/// Reads one line; `None` when it tells nothing.
pub(super) fn read(line: &[u8]) -> Option<Record> {
    let raw: &RawValue = serde_json::from_slice(line).ok()?;
    let record = Object::of(raw)?;
    let tells = match record.text("type")?.as_ref() {
        "assistant" => response(&record)?,
        "user" if says(&record, INTERRUPTED) => Tells::Interrupted,
        "user" | "system" if says(&record, COMPACTION_STOPPED) => Tells::CompactionStopped,
        "system" if record.text("subtype").as_deref() == Some("compact_boundary") => {
            let compaction = record.object("compactMetadata");
            let tokens = compaction.as_ref().and_then(|compaction| compaction.number("preTokens"));
            Tells::Compacted {
                trigger: compaction.and_then(|compaction| compaction.string("trigger")),
                tokens: tokens.map(|tokens| tokens.max(0.0) as u64),
            }
        }
        kind @ ("ai-title" | "agent-name" | "custom-title") => {
            let (namer, names) = match kind {
                "custom-title" => (Namer::User, ["customTitle", "title"]),
                "agent-name" => (Namer::Agent, ["agentName", "name"]),
                _ => (Namer::Model, ["aiTitle", "title"]),
            };
            Tells::Title(namer, record.first_text(&names).map(std::borrow::Cow::into_owned)?)
        }
        _ => return None,
    };
    Some(Record {
        session: record.string("sessionId"),
        folder: record.string("cwd"),
        agent: record.string("agentId"),
        at: record.text("timestamp").and_then(|text| Timestamp::parse(&text)),
        id: record.string("uuid"),
        tells,
    })
}

fn response(record: &Object<'_>) -> Option<Tells> {
    let message = record.object("message")?;
    let model = message.string("model").filter(|model| model != SYNTHETIC)?;
    if record.is_true("isApiErrorMessage") {
        return None;
    }
    let id = message.string("id").or_else(|| record.string("requestId"))?;
    Some(Tells::Response {
        message: id,
        model,
        tokens: Tokens::of(&message.object("usage")?),
        is_sidechain: record.is_true("isSidechain"),
        is_final: message.text("stop_reason").is_some(),
    })
}

/// Whether a text in it begins so.
fn says(record: &Object<'_>, beginning: &str) -> bool {
    let says = |text: &str| text.trim_start().starts_with(beginning);
    let Some(message) = record.object("message") else {
        return record.text("content").is_some_and(|text| says(&text));
    };
    message.text("content").is_some_and(|text| says(&text))
        || message
            .array("content")
            .into_iter()
            .filter_map(Object::of)
            .any(|block| block.text("text").is_some_and(|text| says(&text)))
}
