//! Runs the real Claude Code offline: a stand-in answers for the API, a control hook keeps what every hook was given,
//! and a real monitor with its real hook is held against both.

mod answer;
mod api;
mod control;
mod known;
mod ledger;
mod print;
mod request;
mod script;
mod stage;
mod terminal;
mod truth;

pub use api::{Api, COMPACTION, TITLE};
pub use control::{Control, Kept};
pub use e2e::{Stored, eventually, program};
pub use ledger::{Progress, Purpose, Told, Usage};
pub use print::{Begin, Print, Printed, Printing};
pub use stage::{Stage, built};
pub use terminal::Terminal;
pub use truth::{at_least, containing, in_any_order, without};
