//! The OS file lock that a server holds while it lives. Who holds it is alive; a crash releases it.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use protocol::paths::Home;

use crate::runfiles;

/// How often a waiter looks again.
const POLL: Duration = Duration::from_millis(20);

/// The right to serve a port and to write its runfile; released by dropping it. The file itself stays: if it
/// were removed, two processes could hold locks on two files of the same name.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock of a port, or `None` when another process holds it.
    ///
    /// # Errors
    /// When the lock file cannot be made or locked.
    pub fn try_take(home: &Home, port: u16) -> io::Result<Option<Self>> {
        runfiles::make_folders(home)?;
        Self::try_take_file(&home.lock(port))
    }

    /// Takes the lock that a file stands for, or `None` when another process holds it. Its folder must exist.
    ///
    /// # Errors
    /// When the lock file cannot be made or locked.
    pub fn try_take_file(path: &Path) -> io::Result<Option<Self>> {
        let file =
            private::open(path, OpenOptions::new().create(true).read(true).write(true).truncate(false))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { _file: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// Takes the lock as soon as it is free, or `None` when it is still held after `limit`.
    ///
    /// # Errors
    /// When the lock file cannot be made or locked.
    pub fn take_within(home: &Home, port: u16, limit: Duration) -> io::Result<Option<Self>> {
        let started = Instant::now();
        loop {
            if let Some(lock) = Self::try_take(home, port)? {
                return Ok(Some(lock));
            }
            if started.elapsed() >= limit {
                return Ok(None);
            }
            std::thread::sleep(POLL);
        }
    }

    /// Whether a living server holds the lock of a port. Looks through a shared lock, so that two who look do
    /// not take each other for a server.
    pub fn is_held(home: &Home, port: u16) -> bool {
        let Ok(file) = private::look(&home.lock(port)) else { return false };
        matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The longest wait; reached only when something is broken.
    const PATIENCE: Duration = Duration::from_secs(20);

    #[test]
    fn only_one_holds_the_lock_of_a_port_and_dropping_frees_it() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path());
        assert!(!Lock::is_held(&home, 9000), "nobody ever locked it");
        let lock = Lock::try_take(&home, 9000).unwrap().expect("free");
        assert!(Lock::try_take(&home, 9000).unwrap().is_none(), "held");
        assert!(Lock::is_held(&home, 9000));
        assert!(Lock::try_take(&home, 9001).unwrap().is_some(), "another port is another lock");
        drop(lock);
        // A child that another test starts in this moment has the file open until it runs its program.
        let freed = Lock::take_within(&home, 9000, PATIENCE).unwrap();
        assert!(freed.is_some(), "free again");
        drop(freed);
        let started = Instant::now();
        while Lock::is_held(&home, 9000) {
            assert!(started.elapsed() < PATIENCE, "nobody holds it any more");
            std::thread::sleep(POLL);
        }
    }
}
