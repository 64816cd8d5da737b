//! Who tells of a session besides its hooks.

pub(crate) mod processes;
pub(crate) mod transcripts;
