//! Whether the database's file has what we wrote into it. Whoever writes into it without SQLite goes unnoticed by that: it
//! goes on with what it has in memory and in its log of changes, and finds neither again.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, TryLockError};
use std::time::SystemTime;

use super::lock;

/// How a write leaves a file: its length, and when that was. Nothing for a file that cannot be looked at.
type Mark = Option<(u64, SystemTime)>;

/// The content of the database's file. Only who writes into it holds its lock, one at a time.
#[derive(Debug)]
pub(super) struct Content {
    path: PathBuf,
    left: Mutex<Mark>,
}

impl Content {
    /// Of a file as it is now.
    pub(super) fn of(path: &Path) -> Self {
        Self { path: path.to_owned(), left: Mutex::new(mark(path)) }
    }

    /// Whether it is as our last write left it; or is just being written by us, who look before that.
    pub(super) fn is_ours(&self) -> bool {
        match self.left.try_lock() {
            Ok(left) => *left == mark(&self.path),
            Err(TryLockError::WouldBlock) => true,
            Err(TryLockError::Poisoned(left)) => **left.get_ref() == mark(&self.path),
        }
    }

    /// Whether nothing is left of it.
    pub(super) fn is_gone(&self) -> bool {
        mark(&self.path).is_none_or(|(bytes, _)| bytes == 0)
    }

    /// Takes it for ours as it is now: it was found to be whole.
    pub(super) fn accept(&self) {
        *lock(&self.left) = mark(&self.path);
    }

    /// Writes into it when nobody of us does, after a wait. None when somebody else did: that is looked into first.
    pub(super) fn write<T>(&self, write: impl FnOnce() -> T) -> Option<T> {
        self.write_with(&mut lock(&self.left), write)
    }

    /// The same without a wait.
    pub(super) fn write_at_once<T>(&self, write: impl FnOnce() -> T) -> Option<T> {
        self.write_with(&mut *self.left.try_lock().ok()?, write)
    }

    fn write_with<T>(&self, left: &mut Mark, write: impl FnOnce() -> T) -> Option<T> {
        if *left != mark(&self.path) {
            return None;
        }
        let done = write();
        *left = mark(&self.path);
        Some(done)
    }
}

fn mark(path: &Path) -> Mark {
    let file = fs::symlink_metadata(path).ok()?;
    Some((file.len(), file.modified().ok()?))
}
