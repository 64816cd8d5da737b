//! What is kept, what follows from it, and what is handed on live.

pub(crate) mod costs;
pub(crate) mod hub;
pub(crate) mod sessions;
pub(crate) mod store;
