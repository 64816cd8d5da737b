//! Secrets out of what people pass on: keys, tokens, passwords and private keys, in texts and in JSON. Errs on the
//! side of masking; what a program cannot recognise as a secret stays.

mod json;
mod names;
mod patterns;

use std::borrow::Cow;

pub use json::json;
pub use patterns::text;

use crate::{Entry, Row};

/// What stands for a secret.
pub const MASKED: &str = "[masked]";

/// Masks what a row says.
pub fn row(row: &mut Row) {
    let fields = [
        row.agent_type.as_mut(),
        row.project.as_mut(),
        row.tool_name.as_mut(),
        row.prompt_id.as_mut(),
        Some(&mut row.summary),
    ];
    for field in fields.into_iter().flatten() {
        if let Cow::Owned(masked) = text(field) {
            *field = masked;
        }
    }
}

/// Masks what an entry says, its payload too.
pub fn entry(entry: &mut Entry) {
    row(&mut entry.row);
    if let Some(payload) = &mut entry.payload
        && let Some(masked) = json(payload)
    {
        *payload = masked;
    }
}

#[cfg(test)]
mod tests;
