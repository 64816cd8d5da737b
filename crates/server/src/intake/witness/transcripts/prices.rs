//! What tokens cost: a table with a date, which the user may replace. A model that is not in it has no price, and
//! none is guessed.

use std::io::ErrorKind;
use std::path::Path;

use protocol::Timestamp;
use serde::{Deserialize, Deserializer};

use super::record::Tokens;

/// The table that comes with the program.
const SHIPPED: &str = include_str!("prices.json");

/// The most that a table of the user's own has: some hundred times the shipped one.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// Prices by model.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Prices {
    /// Of which day the prices are.
    pub(super) date: String,
    /// Of what was later priced otherwise, the earlier price stands first.
    models: Vec<Price>,
}

#[derive(Clone, Debug, Deserialize)]
struct Price {
    model: String,
    /// From this day on (`2026-10-07`, UTC) it has another price, further down.
    #[serde(default, deserialize_with = "day")]
    until: Option<Timestamp>,
    #[serde(flatten)]
    rates: Rates,
    /// What a response to a longer prompt costs, where that is another price.
    long_prompt: Option<LongPrompt>,
    /// How many times that in fast mode; without it fast mode has no price.
    fast_times: Option<f64>,
}

/// US dollars per million tokens.
#[derive(Clone, Debug, Deserialize)]
struct Rates {
    input: f64,
    output: f64,
    cache_write_5m: f64,
    cache_write_1h: f64,
    cache_read: f64,
}

/// All tokens of a response cost this when its prompt, cached parts included, has more tokens.
#[derive(Clone, Debug, Deserialize)]
struct LongPrompt {
    above_tokens: u64,
    #[serde(flatten)]
    rates: Rates,
}

fn day<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    let day = String::deserialize(deserializer)?;
    let midnight = Timestamp::parse(&format!("{day}T00:00:00Z"));
    midnight.map(Some).ok_or_else(|| serde::de::Error::custom(format!("{day:?} is no day like 2026-10-07")))
}

impl Price {
    /// Whether it holds for what happened then; what does not say when has the price of today.
    fn holds_at(&self, at: Option<Timestamp>) -> bool {
        self.until.is_none_or(|until| at.is_some_and(|at| at < until))
    }

    fn rates(&self, tokens: &Tokens) -> &Rates {
        match &self.long_prompt {
            Some(long) if tokens.prompt() > long.above_tokens => &long.rates,
            _ => &self.rates,
        }
    }
}

impl Prices {
    /// The user's table where there is a good one, else the shipped one.
    pub(super) fn load(own: Option<&Path>) -> Self {
        match own.map(read).transpose() {
            Ok(Some(Some(prices))) => return prices,
            Ok(None | Some(None)) => {}
            Err(reason) => tracing::warn!("{reason}; the shipped prices apply"),
        }
        serde_json::from_str(SHIPPED).unwrap_or_else(|_| Self { date: String::new(), models: Vec::new() })
    }

    /// What the tokens of a response of that time cost, in millionths of a US dollar; `None` when that is not known.
    pub(super) fn cost_micros(&self, model: &str, tokens: &Tokens, at: Option<Timestamp>) -> Option<u64> {
        let model = own_name(model);
        let mut prices = self.models.iter().filter(|price| is_version_of(&model, &price.model));
        let price = prices.find(|price| price.holds_at(at))?;
        let times = if tokens.is_fast { price.fast_times? } else { 1.0 };
        let rates = price.rates(tokens);
        let parts = [
            (tokens.input, rates.input),
            (tokens.output, rates.output),
            (tokens.cache_write_5m, rates.cache_write_5m),
            (tokens.cache_write_1h, rates.cache_write_1h),
            (tokens.cache_read, rates.cache_read),
        ];
        // Dollars per million tokens are millionths of a dollar per token. Prices have at most six digits, so
        // counting in millionths of that is exact until the one rounding at the end. What no number holds has no
        // price, whoever made it up.
        let exact = parts.iter().try_fold(500_000_u128, |sum, (count, dollars)| {
            let rate = (dollars * times * 1e6).round() as u128;
            sum.checked_add(u128::from(*count).checked_mul(rate)?)
        });
        u64::try_from(exact? / 1_000_000).ok()
    }
}

/// The user's table; nothing when there is no file.
fn read(path: &Path) -> Result<Option<Prices>, String> {
    let failed = |reason: String| format!("could not read the prices in {}: {reason}", path.display());
    match private::follow(path).and_then(|file| private::text(file, FILE_BYTES_MAX)) {
        Ok(text) => serde_json::from_str(&text).map(Some).map_err(|error| failed(error.to_string())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed(error.to_string())),
    }
}

/// Looks whether the user's own table of prices can be read, if there is one.
///
/// # Errors
/// A sentence with the file, the place and what is wrong.
pub fn check_prices(path: &Path) -> Result<(), String> {
    read(path).map(drop)
}

/// A model as its maker calls it, whichever provider's name it is: `us.anthropic.claude-sonnet-4-5-20250929-v1:0`,
/// `anthropic/claude-sonnet-4.5`, `vertex_ai/claude-haiku-4-5`. How much it may read at once (`[1m]`) is another matter.
fn own_name(model: &str) -> String {
    let model = model.strip_suffix("[1m]").unwrap_or(model);
    let model = model.rsplit('/').next().unwrap_or(model);
    let model = model.rsplit_once("anthropic.").map_or(model, |(_, name)| name);
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit() || b == b':');
    let version = model.rsplit_once("-v").filter(|(_, version)| is_number(version));
    version.map_or(model, |(name, _)| name).replace('.', "-")
}

/// Whether a model is that one, or a dated version of it.
fn is_version_of(model: &str, known: &str) -> bool {
    let Some(rest) = model.strip_prefix(known) else { return false };
    let date = rest.strip_prefix(['-', '@']);
    rest.is_empty()
        || date.is_some_and(|date| {
            matches!(date, "latest" | "default")
                || date.len() == 8 && date.bytes().all(|b| b.is_ascii_digit())
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_cost_what_the_table_says_and_nothing_is_guessed() {
        let prices = Prices::load(None);
        assert!(!prices.date.is_empty());
        let tokens = Tokens {
            input: 1000,
            output: 200,
            cache_write_5m: 4000,
            cache_write_1h: 100,
            cache_read: 30_001,
            is_fast: false,
        };
        // 3000 + 3000 + 15000 + 600 + 9000.3, by hand.
        assert_eq!(prices.cost_micros("claude-sonnet-4-5-20250929", &tokens, None), Some(30_600));
        // 5000 + 5000 + 25000 + 1000 + 15000.5, rounded up.
        assert_eq!(prices.cost_micros("claude-opus-4-6", &tokens, None), Some(51_001));
        let fast = Tokens { is_fast: true, ..tokens };
        assert_eq!(prices.cost_micros("claude-opus-4-6", &fast, None), Some(306_003));
        assert_eq!(prices.cost_micros("claude-sonnet-4-5", &fast, None), None, "no price for fast mode");
        // 100 + 100 + 500 + 20 + 300, and all of it at five times that for a prompt of 100 001 tokens.
        assert_eq!(prices.cost_micros("claude-haiku-5-5", &tokens, None), Some(1020));
        let long = Tokens { input: 65_900, ..tokens };
        assert_eq!(prices.cost_micros("claude-haiku-5-5", &long, None), Some(37_550));
        for named in [
            "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
            "anthropic.claude-sonnet-4-5-v2:0",
            "anthropic/claude-sonnet-4.5",
            "vertex_ai/claude-sonnet-4-5@20250929",
            "bedrock/eu.anthropic.claude-sonnet-4-5-20250929-v1:0",
            "claude-sonnet-4-5@default",
        ] {
            assert_eq!(prices.cost_micros(named, &tokens, None), Some(30_600), "{named}");
        }
        for unknown in
            ["claude-opus-4-99", "claude-sonnet-4-5-turbo", "gpt", "", "anthropic/gpt", "x-v1:0", "/"]
        {
            assert_eq!(prices.cost_micros(unknown, &tokens, None), None, "{unknown}");
        }
    }

    #[test]
    fn what_was_cheaper_or_dearer_at_the_time_is_priced_as_it_was() {
        let prices = Prices::load(None);
        let read = Tokens { cache_read: 1_000_000, ..Tokens::default() };
        let at = |time: &str| prices.cost_micros("claude-sonnet-5-5", &read, Timestamp::parse(time));
        assert_eq!(at("2026-10-06T23:59:59Z"), Some(200_000));
        assert_eq!(at("2026-10-07T00:00:00Z"), Some(100_000));
        assert_eq!(prices.cost_micros("claude-sonnet-5-5[1m]", &read, None), Some(100_000), "as today");
    }

    #[test]
    fn every_price_of_the_table_can_be_reached_and_follows_the_rules_of_caches() {
        let prices = Prices::load(None);
        for (at, price) in prices.models.iter().enumerate() {
            let before = &prices.models[..at];
            assert!(
                before.iter().all(|earlier| earlier.model != price.model || earlier.until.is_some()),
                "{} is hidden",
                price.model
            );
            for rates in
                [Some(&price.rates), price.long_prompt.as_ref().map(|long| &long.rates)].into_iter().flatten()
            {
                assert_eq!(rates.cache_write_5m, rates.input * 1.25, "{}", price.model);
                assert_eq!(rates.cache_write_1h, rates.input * 2.0, "{}", price.model);
            }
        }
    }

    #[test]
    fn the_user_s_own_table_goes_first_and_a_broken_one_is_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("prices.json");
        let shipped = Prices::load(Some(&path)).date;
        std::fs::write(&path, "{").unwrap();
        assert_eq!(Prices::load(Some(&path)).date, shipped);
        let own = r#"{"date":"2030-01-01","models":[{"model":"m","input":1,"output":2,"cache_write_5m":0,"cache_write_1h":0,"cache_read":0}]}"#;
        std::fs::write(&path, own).unwrap();
        let tokens = Tokens { input: 5, output: 10, ..Tokens::default() };
        assert_eq!(Prices::load(Some(&path)).cost_micros("m", &tokens, None), Some(25));
    }
}
