//! By what other processes find a server: the lock of its port and its runfile. They are put back when somebody removes
//! them, and given back when serving ends.

use std::convert::Infallible;
use std::io;
use std::time::Duration;

use client::{Lock, runfiles};
use protocol::Runfile;
use protocol::paths::Home;

/// How often it looks whether its files are still there: two looks at a file each time.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Runfile and lock of a port, given back in this order when serving ends in whatever way.
#[derive(Debug)]
pub(crate) struct Registration {
    home: Home,
    pub runfile: Runfile,
    lock: Option<Lock>,
}

impl Registration {
    pub(crate) fn new(home: Home, runfile: Runfile, lock: Lock) -> Self {
        Self { home, runfile, lock: Some(lock) }
    }

    /// Tells the user's other processes.
    pub(crate) fn write(&self) -> io::Result<()> {
        runfiles::write(&self.home, &self.runfile)
    }

    /// Puts back what vanishes: without it nobody finds the server, and another one could begin beside it.
    pub(crate) async fn keep(&self) -> Infallible {
        let mut looks = tokio::time::interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut is_told = false;
        loop {
            looks.tick().await;
            match self.put_back() {
                Ok(false) => is_told = false,
                Ok(true) => {
                    let runfile = self.home.runfile(self.runfile.port);
                    tracing::warn!(runfile = %runfile.display(), "runfile or lock were gone; they are back");
                    is_told = false;
                }
                // Once, and not each second.
                Err(error) if !std::mem::replace(&mut is_told, true) => {
                    tracing::error!(%error, "runfile or lock are gone and could not be put back");
                }
                Err(_) => {}
            }
        }
    }

    /// Whether something had to be put back.
    fn put_back(&self) -> io::Result<bool> {
        let is_seen = self.lock.as_ref().is_none_or(Lock::is_seen);
        let is_there = self.home.runfile(self.runfile.port).exists();
        if is_seen && is_there {
            return Ok(false);
        }
        runfiles::make_folders(&self.home)?;
        self.lock.as_ref().map_or(Ok(()), Lock::renew)?;
        self.write()?;
        Ok(true)
    }

    /// Takes the runfile away and keeps the port's lock.
    pub(crate) fn into_lock(mut self) -> Lock {
        self.lock.take().expect("only this takes it, and only once")
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        runfiles::remove(&self.home, self.runfile.port);
    }
}
