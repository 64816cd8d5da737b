//! What others speak: each door translates between its own words and ours, and decides nothing.

pub(crate) mod clients;
pub(crate) mod compatibility;
pub(crate) mod http;
pub(crate) mod socketio;
pub(crate) mod websocket;
