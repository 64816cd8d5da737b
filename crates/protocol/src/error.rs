//! The one shape in which every door reports an error.

use serde::{Deserialize, Serialize};

/// `{"code","message"}`. Clients branch on `code`; `message` is for people and may change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct ErrorBody {
    /// Stable, snake_case.
    pub code: String,
    /// What was wrong, where, and the way out.
    pub message: String,
}

impl ErrorBody {
    /// An error body from anything that reads as text.
    pub fn new(code: &str, message: impl Into<String>) -> Self {
        Self { code: code.to_owned(), message: message.into() }
    }
}
