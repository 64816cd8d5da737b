//! What tokens cost: a table with a date, which the user may replace. A model that is not in it has no price, and
//! none is guessed.

use std::path::Path;

use serde::Deserialize;

use super::record::Tokens;

/// The table that comes with the program.
const SHIPPED: &str = include_str!("prices.json");

/// Prices by model.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Prices {
    /// Of which day the prices are.
    pub(super) date: String,
    models: Vec<Price>,
}

#[derive(Clone, Debug, Deserialize)]
struct Price {
    model: String,
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

impl Price {
    fn rates(&self, tokens: &Tokens) -> &Rates {
        let prompt = tokens.input + tokens.cache_write_5m + tokens.cache_write_1h + tokens.cache_read;
        match &self.long_prompt {
            Some(long) if prompt > long.above_tokens => &long.rates,
            _ => &self.rates,
        }
    }
}

impl Prices {
    /// The user's table where there is a good one, else the shipped one.
    pub(super) fn load(own: Option<&Path>) -> Self {
        let text = own.and_then(|path| Some((path, std::fs::read_to_string(path).ok()?)));
        if let Some((path, text)) = text {
            match serde_json::from_str(&text) {
                Ok(prices) => return prices,
                Err(error) => tracing::warn!("could not read the prices in {}: {error}", path.display()),
            }
        }
        serde_json::from_str(SHIPPED).unwrap_or_else(|_| Self { date: String::new(), models: Vec::new() })
    }

    /// What the tokens of one response cost, in millionths of a US dollar; `None` when that is not known.
    pub(super) fn cost_micros(&self, model: &str, tokens: &Tokens) -> Option<u64> {
        let price = self.models.iter().find(|price| is_version_of(model, &price.model))?;
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
        // counting in millionths of that is exact until the one rounding at the end.
        let exact: u128 = parts
            .iter()
            .map(|(count, dollars)| u128::from(*count) * (dollars * times * 1e6).round() as u128)
            .sum();
        u64::try_from((exact + 500_000) / 1_000_000).ok()
    }
}

/// Whether a model is that one, or a dated version of it.
fn is_version_of(model: &str, known: &str) -> bool {
    let Some(rest) = model.strip_prefix(known) else { return false };
    let date = rest.strip_prefix(['-', '@']);
    rest.is_empty()
        || date.is_some_and(|date| {
            date == "latest" || date.len() == 8 && date.bytes().all(|b| b.is_ascii_digit())
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
        assert_eq!(prices.cost_micros("claude-sonnet-4-5-20250929", &tokens), Some(30_600));
        // 5000 + 5000 + 25000 + 1000 + 15000.5, rounded up.
        assert_eq!(prices.cost_micros("claude-opus-4-6", &tokens), Some(51_001));
        let fast = Tokens { is_fast: true, ..tokens };
        assert_eq!(prices.cost_micros("claude-opus-4-6", &fast), Some(306_003));
        assert_eq!(prices.cost_micros("claude-sonnet-4-5", &fast), None, "no price for fast mode");
        // 100 + 100 + 500 + 20 + 300, and all of it at five times that for a prompt of 100 001 tokens.
        assert_eq!(prices.cost_micros("claude-haiku-5-5", &tokens), Some(1020));
        let long = Tokens { input: 65_900, ..tokens };
        assert_eq!(prices.cost_micros("claude-haiku-5-5", &long), Some(37_550));
        for unknown in ["claude-opus-4-99", "claude-sonnet-4-5-turbo", "gpt", ""] {
            assert_eq!(prices.cost_micros(unknown, &tokens), None, "{unknown}");
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
        assert_eq!(Prices::load(Some(&path)).cost_micros("m", &tokens), Some(25));
    }
}
