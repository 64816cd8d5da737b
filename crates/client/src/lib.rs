//! The other side of a monitor: who holds a port, talking to the one that is ours, starting it detached and
//! stopping it. Blocking and small; serving is the business of `server` and `host`.

mod detached;
mod error;
mod follow;
mod history;
pub mod hooks;
pub mod legacy;
mod lock;
mod monitor;
pub mod ports;
mod probe;
mod process;
mod reclaim;
mod role;
pub mod runfiles;
mod stop;
mod supervision;

pub use detached::{Detached, DetachedError, start_detached};
pub use error::Error;
pub use follow::{Follow, Start, Update};
pub use history::{Pages, Part, Query};
pub use legacy::Legacy;
pub use lock::Lock;
pub use monitor::{Monitor, Refused, Taken, url};
pub use ports::{Owner, holder, owner};
pub use probe::{Probe, Running, probe, running, wait_for_ours};
pub use process::{Process, started_at};
pub use reclaim::{Reclaimed, reclaim_debug_script};
pub use role::Role;
pub use stop::{StopError, Stopped, replace, stop};
pub use supervision::{Crash, Supervised, Supervision};
