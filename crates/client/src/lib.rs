//! The other side of a monitor, for programs that watch Claude Code sessions: finding monitors, reading what is
//! stored, following what happens, sending events. Blocking and small; serving is the business of `server` and
//! `host`.
//!
//! Find one: the one that `CLAUDE_MPM_MONITOR_URL` names, else this user's own.
//!
//! ```no_run
//! use client::{best, discover};
//! use protocol::paths::Home;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let home = Home::from_env(|name| std::env::var_os(name)).ok_or("no home folder")?;
//! let found = discover(&home, |name| std::env::var_os(name));
//! let monitor = &best(&found, &std::env::current_dir()?).ok_or("no monitor runs")?.monitor;
//! for warning in monitor.compatibility("1.2.0")?.warnings {
//!     eprintln!("warning: {warning}");
//! }
//! # Ok(())
//! # }
//! ```
//!
//! Read what is stored, a page in memory at a time:
//!
//! ```no_run
//! use client::{Monitor, Query};
//! use protocol::Seq;
//!
//! # fn main() -> Result<(), client::Error> {
//! let monitor = Monitor::at("localhost", 8765);
//! let query = Query { text: Some("cargo test".to_owned()), payload: true, ..Query::default() };
//! for page in monitor.pages(&query, Seq(0), Seq(u64::from(u32::MAX))) {
//!     page?.iter().for_each(|event| println!("{}", event.row.summary));
//! }
//! # Ok(())
//! # }
//! ```
//!
//! Follow what happens, over restarts and changes of port, each event once: [`Follow`]. Send events:
//! [`Monitor::post_event`]. A program that serves a monitor itself where none runs uses `host::Connected`.

mod author;
mod detached;
mod discovery;
mod error;
mod follow;
mod history;
pub mod leftovers;
pub mod legacy;
mod lock;
mod losses;
mod monitor;
pub mod ports;
mod probe;
mod process;
mod proven;
mod reclaim;
mod role;
pub mod runfiles;
mod stop;
pub mod stray;
mod supervision;
pub mod token;
mod websocket;

pub use detached::{Detached, DetachedError, start_detached};
pub use discovery::{Found, FoundBy, best, discover, ours};
pub use error::Error;
pub use follow::{Follow, Reconnection, Start, Update};
pub use history::{Pages, Part, Query};
pub use legacy::Legacy;
pub use lock::Lock;
pub use losses::{counters_of_lost_events, lost_events};
pub use monitor::{Compatibility, Monitor, Refused, Taken, near_url, page, page_on, url};
pub use ports::{Owner, holder, owner};
pub use probe::{Probe, Running, probe, probe_all, running, strays, wait_for_ours};
pub use process::{Process, machine_names, started_at};
pub use reclaim::{Reclaimed, reclaim_debug_script};
pub use role::Role;
pub use stop::{StopError, Stopped, replace, stop};
pub use stray::Stray;
pub use supervision::{Crash, Supervised, Supervision};
pub use websocket::WebSocketCheck;
