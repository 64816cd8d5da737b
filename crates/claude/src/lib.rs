//! Claude Code on this machine: where its settings lie, which version it is, and our hooks in its settings. Knows
//! nothing of servers; whoever shows or changes the installation (command line, dashboard, tray) does it by this.

mod binary;
mod command;
mod configuration;
mod edit;
mod error;
mod events;
mod file;
mod install;
mod json;
mod record;
mod slash;
mod status;
mod version;

pub use binary::Binary;
pub use command::HookCommand;
pub use configuration::{Configuration, Scope};
pub use error::Error;
pub use events::{Extra, Registration, defaults, registrations};
pub use install::{Change, Hooks};
pub use slash::SlashCommand;
pub use status::{FileReport, Problem, Report};
pub use version::{Version, find, installed};
