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
mod senders;
mod setup;
mod slash;
mod status;
mod version;

pub use binary::Binary;
pub use command::HookCommand;
pub use configuration::Configuration;
pub use error::Error;
pub use events::{Extra, Registration, defaults, registrations};
pub use install::{Change, Hooks};
pub use senders::{Handler, Handlers, Sender, local_port};
pub use setup::Setup;
pub use slash::SlashCommand;
pub use status::Look;
pub use version::{Version, find, installed};
