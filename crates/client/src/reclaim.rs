//! Freeing a port from a debug script: the only foreign programs that are ever ended, and gently.

use std::time::Duration;

use crate::{Owner, Process, Role, process};

/// How long a debug script may take to obey SIGTERM.
const GRACE: Duration = Duration::from_secs(5);

/// How long a killed process may take to vanish.
const KILL_LIMIT: Duration = Duration::from_secs(5);

/// What became of the program that holds a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reclaimed {
    /// It was a debug script of this user and has ended.
    Ended,
    /// It is one, and did not obey.
    Stubborn,
    /// It is none, or another user's: it was left alone.
    LeftAlone,
}

impl Owner {
    /// Whether it is a debug script of claude-mpm or this product, of this user.
    pub fn is_debug_script(&self) -> bool {
        self.debug_script().is_some()
    }

    fn debug_script(&self) -> Option<Process> {
        Process::find(self.pid).filter(|process| process.is_mine && Role::of(process) == Role::DebugScript)
    }
}

/// Asks a debug script to end; kills one that does not obey only with `force`.
pub fn reclaim_debug_script(owner: &Owner, force: bool) -> Reclaimed {
    let Some(script) = owner.debug_script() else { return Reclaimed::LeftAlone };
    process::terminate(script.identity());
    let killed = || force && process::kill(script.identity()) && script.ended_within(KILL_LIMIT);
    if script.ended_within(GRACE) || killed() {
        return Reclaimed::Ended;
    }
    Reclaimed::Stubborn
}
