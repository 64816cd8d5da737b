//! What crosses a process boundary: the event, its kinds and ids, the shapes of every answer, and the names
//! of routes and events. Pure data and pure functions; no IO, no clock, no runtime.

pub mod address;
pub mod config_file;
pub mod configuration;
pub mod derived;
pub mod detail;
pub mod error;
pub mod event;
pub mod figures;
pub mod health;
pub mod hooks;
pub mod ingest;
pub mod instance;
pub mod kind;
pub mod legacy;
pub mod mask;
pub mod names;
pub mod page;
pub mod paths;
pub mod project;
mod raw;
pub mod runfile;
pub mod session;
pub mod spool;
pub mod stream;
pub mod timestamp;
#[cfg(test)]
mod typescript;

pub use address::Address;
pub use detail::SessionDetail;
pub use error::ErrorBody;
pub use event::{AgentId, Caller, Event, EventId, Row, Seq, SessionId, Source, ToolUseId};
pub use health::Health;
pub use ingest::{Incoming, Refusal};
pub use kind::{HookEvent, Kind};
pub use page::{Entry, Page};
pub use runfile::Runfile;
pub use session::Session;
pub use timestamp::Timestamp;
