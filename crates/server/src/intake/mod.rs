//! What comes in, by whomever: one way to the store, and those who use it without being asked.

pub(crate) mod capture;
pub(crate) mod ingest;
pub(crate) mod own;
pub(crate) mod spool;
pub(crate) mod trace;
pub(crate) mod witness;
