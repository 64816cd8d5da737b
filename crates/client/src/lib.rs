//! The other side of a monitor: who holds a port, talking to the one that is ours, starting it detached and
//! stopping it. Blocking and small; serving is the business of `server` and `host`.

mod detached;
mod error;
mod follow;
mod history;
mod lock;
mod monitor;
mod probe;
mod process;
pub mod runfiles;
mod stop;
mod supervision;
pub mod token;

pub use detached::{Detached, DetachedError, start_detached};
pub use error::Error;
pub use follow::{Follow, Start, Update};
pub use history::{Pages, Part, Query};
pub use lock::Lock;
pub use monitor::{Monitor, page, page_on, url};
pub use probe::{Owner, Probe, Running, holder, owner, probe, wait_for_ours};
pub use process::{machine_names, started_at};
pub use stop::{StopError, Stopped, stop};
pub use supervision::{Crash, Supervised, Supervision};
