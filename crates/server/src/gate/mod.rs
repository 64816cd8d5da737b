//! Who may come in: from a listener to a request that has passed the guard.

pub(crate) mod accept;
pub(crate) mod allowed;
pub(crate) mod audit;
pub(crate) mod bodies;
pub(crate) mod budget;
pub(crate) mod connections;
pub(crate) mod dispatch;
pub(crate) mod error;
pub(crate) mod guard;
pub(crate) mod listen;
pub(crate) mod peer;
pub(crate) mod place;
pub(crate) mod rate;
pub(crate) mod tls;
pub(crate) mod token;
