//! The OS file lock that a server holds while it lives. Who holds it is alive; a crash releases it.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use protocol::paths::Home;

use crate::runfiles;

/// How often a waiter looks again.
const POLL: Duration = Duration::from_millis(20);

/// The right to serve a port and to write its runfile; released by dropping it. The file itself stays: if it
/// were removed, two processes could hold locks on two files of the same name. Where somebody removed it nevertheless,
/// [`Lock::renew`] takes the lock again.
#[derive(Debug)]
pub struct Lock {
    path: PathBuf,
    file: Mutex<File>,
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
        let file = try_lock(path)?;
        Ok(file.map(|file| Self { path: path.to_owned(), file: Mutex::new(file) }))
    }

    /// Whether its file is still where others look for it. When it is not, they do not see that it is held.
    pub fn is_seen(&self) -> bool {
        let held = private::identity_of(&self.held());
        held.is_ok_and(|held| !private::has_left(&self.path, held))
    }

    /// Takes it again when its file is gone. Its folder must exist.
    ///
    /// # Errors
    /// When another process was faster, or the file cannot be made; then it is as it was.
    pub fn renew(&self) -> io::Result<()> {
        if self.is_seen() {
            return Ok(());
        }
        let taken = try_lock(&self.path)?.ok_or_else(|| {
            let path = self.path.display();
            io::Error::other(format!("{path} was removed and another monitor holds it now; stop one of them"))
        })?;
        *self.held() = taken;
        Ok(())
    }

    fn held(&self) -> MutexGuard<'_, File> {
        self.file.lock().unwrap_or_else(PoisonError::into_inner)
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

    /// Does something to a port's files while no server can write them; nothing where one lives. Nobody who looks takes
    /// the caller for a server, as [`Lock::is_held`] does not.
    pub fn while_free(home: &Home, port: u16, deed: impl FnOnce()) {
        if let Ok(file) = open(&home.lock(port))
            && file.try_lock_shared().is_ok()
        {
            deed();
        }
    }

    /// Whether a living server holds the lock of a port. Looks through a shared lock, so that two who look do
    /// not take each other for a server.
    pub fn is_held(home: &Home, port: u16) -> bool {
        let Ok(file) = private::look(&home.lock(port)) else { return false };
        matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock))
    }
}

fn open(path: &Path) -> io::Result<File> {
    private::open(path, OpenOptions::new().create(true).read(true).write(true).truncate(false))
}

/// The file, locked; none when another process has locked it.
fn try_lock(path: &Path) -> io::Result<Option<File>> {
    let file = open(path)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
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
