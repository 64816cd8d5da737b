//! Secrets out of what people pass on: keys, tokens, passwords and private keys, in texts and in JSON. Errs on the
//! side of masking; what a program cannot recognise as a secret stays.

mod assigned;
mod code;
mod commands;
mod json;
mod look;
mod names;
mod places;
mod plain;
mod printed;
mod programs;
mod shapes;
mod shell;
mod table;
mod text;
mod value;

use std::borrow::Cow;

pub use json::json;
pub use table::MASKED;
pub use text::text;

use crate::{Entry, Kind, Row};

/// The shortest name or id that is looked at: shorter ones, such as those of most tools, have no room for a secret.
const NAME_BYTES_MIN: usize = 8;

/// An id with its secrets masked. It stays another one than those of other secrets: by a number that follows from it and
/// is far too short to lead back.
pub fn id(text: &str) -> Cow<'_, str> {
    // Nearly all ids are UUIDs.
    if text.len() < NAME_BYTES_MIN || is_uuid(text) {
        return Cow::Borrowed(text);
    }
    match self::text::text(text) {
        Cow::Borrowed(_) => Cow::Borrowed(text),
        Cow::Owned(masked) => Cow::Owned(format!("{masked}-{:06x}", fingerprint(text) & 0xff_ffff)),
    }
}

fn is_uuid(text: &str) -> bool {
    text.len() == 36 && text.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit())
}

/// FNV-1a, which stays the same from version to version: ids are stored.
fn fingerprint(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

/// Masks a text where it stands.
pub fn in_place(text: &mut String) {
    if let Cow::Owned(masked) = self::text::text(text) {
        *text = masked;
    }
}

/// Masks an id where it stands.
pub fn id_in_place(text: &mut String) {
    if let Cow::Owned(masked) = id(text) {
        *text = masked;
    }
}

/// Masks a name where it stands.
pub fn name_in_place(name: &mut String) {
    if name.len() >= NAME_BYTES_MIN {
        in_place(name);
    }
}

/// Masks the name of a kind that only its sender knows.
pub fn kind(kind: &mut Kind) {
    if let Kind::Other(name) = kind {
        name_in_place(name);
    }
}

/// Masks what a row says. New rows are masked before they are stored.
pub fn row(row: &mut Row) {
    let Row {
        seq: _,
        id: _,
        received_at: _,
        occurred_at: _,
        source: _,
        kind,
        session_id,
        agent_id,
        agent_type,
        project,
        tool_use_id,
        tool_name,
        prompt_id,
        duration_ms: _,
        is_error: _,
        summary,
        duplicate_of: _,
    } = row;
    self::kind(kind);
    in_place(summary);
    [agent_type, project, tool_name].into_iter().flatten().for_each(name_in_place);
    session_id.iter_mut().for_each(|id| id_in_place(&mut id.0));
    agent_id.iter_mut().for_each(|id| id_in_place(&mut id.0));
    tool_use_id.iter_mut().for_each(|id| id_in_place(&mut id.0));
    prompt_id.iter_mut().for_each(id_in_place);
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
mod corpus;
#[cfg(test)]
mod tests;
