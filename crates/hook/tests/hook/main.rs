//! The real executable, as Claude Code runs it.
#![allow(clippy::unwrap_used, reason = "in a test's support, too, a panic is the report")]

mod delivery;
mod spool;
mod support;
