//! Numbers that look random and come again with the same seed, and numbers that the environment sets.

use std::time::{SystemTime, UNIX_EPOCH};

/// A number from the environment.
pub fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok().filter(|text| !text.is_empty())?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} is no number: {text}")))
}

/// `SOAK_SEED`, or another one each time.
pub fn seed() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970");
    number("SOAK_SEED").unwrap_or(now.as_nanos() as u64)
}

/// A row of numbers (xorshift64).
pub struct Random(u64);

impl Random {
    /// The row that belongs to a seed.
    pub fn of(seed: u64) -> Self {
        Self(seed.max(1))
    }

    /// The next one, below a limit.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }

    /// One of these.
    pub fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len() as u64) as usize]
    }
}
