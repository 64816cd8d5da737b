//! What the stand-in has told: one line a request, with the very usage, so that every sum can be made by hand.

use std::sync::Mutex;

use serde_json::{Value, json};

/// What of a session's requests is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A response of the main thread or of a subagent.
    Turn,
    /// The summary that a conversation is replaced by.
    Compaction,
    /// A side job of Claude Code's own, such as a title.
    Side,
}

/// How far an answer came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// It was asked for.
    Asked,
    /// Its beginning was told, with what the prompt cost.
    Begun,
    /// All of it was told.
    Whole,
    /// An error was told instead.
    Refused,
}

/// The tokens of one response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Read, from no cache.
    pub input: u64,
    /// Written.
    pub output: u64,
    /// Put into a cache for five minutes.
    pub cache_write_5m: u64,
    /// Put into a cache for an hour.
    pub cache_write_1h: u64,
    /// Read from a cache.
    pub cache_read: u64,
}

/// A request and what was told.
#[derive(Clone, Debug)]
pub struct Told {
    /// The session that asked.
    pub session: Option<String>,
    /// What for.
    pub purpose: Purpose,
    /// The model that was asked.
    pub model: String,
    /// The script and the number of its step, as `hello 0`.
    pub step: String,
    /// How far the answer came.
    pub progress: Progress,
    pub(crate) usage: Usage,
}

/// Hundredths of a dollar per million tokens of the models that Claude Code asks here: input, output, cache writes for
/// five minutes and for an hour, cache reads. Written down beside the product's table, so that one checks the other.
const CENTS: &[(&str, [u64; 5])] =
    &[("claude-opus-5-5", [400, 2000, 500, 800, 20]), ("claude-opus-4-8", [500, 2500, 625, 1000, 50])];

impl Usage {
    /// Numbers that differ from those of every other response, so that a wrong sum is seen.
    fn of(number: usize) -> Self {
        let number = number as u64 + 1;
        Self {
            input: 10 + number,
            output: 50 + number,
            cache_write_5m: 600 + 3 * number,
            cache_write_1h: 400 + 4 * number,
            cache_read: 20_000 + 11 * number,
        }
    }

    /// As the API tells it.
    pub(crate) fn as_told(&self) -> Value {
        json!({
            "input_tokens": self.input,
            "output_tokens": self.output,
            "cache_creation_input_tokens": self.cache_write_5m + self.cache_write_1h,
            "cache_read_input_tokens": self.cache_read,
            "cache_creation": {
                "ephemeral_5m_input_tokens": self.cache_write_5m,
                "ephemeral_1h_input_tokens": self.cache_write_1h,
            },
            "service_tier": "standard",
        })
    }

    /// As the beginning of a response tells it: the prompt is counted, the answer is not.
    pub(crate) fn at_its_beginning(self) -> Self {
        Self { output: 1, ..self }
    }

    /// What it costs with a model, in millionths of a dollar.
    fn cost_usd_micros(&self, model: &str) -> u64 {
        let known = CENTS.iter().find(|(name, _)| model.starts_with(name));
        let (_, rates) = known.unwrap_or_else(|| panic!("{model} has no price: add one to CENTS"));
        let counts = [self.input, self.output, self.cache_write_5m, self.cache_write_1h, self.cache_read];
        let hundredths: u64 = counts.iter().zip(rates).map(|(count, rate)| count * rate).sum();
        (hundredths + 50) / 100
    }
}

impl Told {
    /// The usage as far as it was told; nothing when none was.
    pub fn usage(&self) -> Option<Usage> {
        match self.progress {
            Progress::Asked | Progress::Refused => None,
            Progress::Begun => Some(self.usage.at_its_beginning()),
            Progress::Whole => Some(self.usage),
        }
    }
}

/// All that was told, in the order of the requests.
#[derive(Default)]
pub(crate) struct Ledger(Mutex<Vec<Told>>);

impl Ledger {
    /// Takes a request down; gives the number of its line and the usage that is to be told.
    pub(crate) fn note(&self, told: impl FnOnce(Usage) -> Told) -> (usize, Usage) {
        let mut all = self.0.lock().expect("nobody panics with the ledger");
        let (number, usage) = (all.len(), Usage::of(all.len()));
        all.push(told(usage));
        (number, usage)
    }

    /// Says how far an answer came.
    pub(crate) fn progress(&self, number: usize, progress: Progress) {
        self.0.lock().expect("nobody panics with the ledger")[number].progress = progress;
    }

    /// All lines.
    pub(crate) fn lines(&self) -> Vec<Told> {
        self.0.lock().expect("nobody panics with the ledger").clone()
    }
}

/// The sums that a monitor should show for responses; nothing when none was told.
pub(crate) fn sum<'a>(told: impl IntoIterator<Item = &'a Told>) -> Option<Value> {
    let (mut responses, mut sum, mut cost) = (0_u64, [0_u64; 4], 0_u64);
    for told in told {
        let Some(usage) = told.usage() else { continue };
        responses += 1;
        cost += usage.cost_usd_micros(&told.model);
        let cache_write = usage.cache_write_5m + usage.cache_write_1h;
        for (sum, part) in sum.iter_mut().zip([usage.input, usage.output, cache_write, usage.cache_read]) {
            *sum += part;
        }
    }
    let [input, output, cache_write, cache_read] = sum;
    (responses > 0).then(|| {
        json!({
            "responses": responses,
            "input": input,
            "output": output,
            "cache_write": cache_write,
            "cache_read": cache_read,
            "cost_usd_micros": cost,
            "unpriced": 0,
        })
    })
}
