//! The files of a database: what lies beside it, and how they are made, moved aside and marked as damaged.

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use protocol::Timestamp;

/// The files that SQLite keeps beside a database: its log of changes, who reads it, and what it goes back to without a
/// log.
const SIDES: [&str; 3] = ["wal", "shm", "journal"];

/// A file that SQLite keeps beside a database.
pub(super) fn beside(path: &Path, side: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!("-{side}"));
    name.into()
}

/// Makes the folder of a database when it is missing.
pub(super) fn make_folder(path: &Path) -> io::Result<()> {
    match path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        Some(folder) => private::make(folder),
        None => Ok(()),
    }
}

/// Bytes of the database, 0 when there is none. Who may read it is mended, and its log of changes likewise: SQLite makes
/// that with the rights of the database, but leaves one that is there as it is.
pub(super) fn length(path: &Path) -> io::Result<u64> {
    let length = |path: &Path| match private::open(path, OpenOptions::new().append(true)) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok::<_, io::Error>(0),
        opened => Ok(opened?.metadata()?.len()),
    };
    length(&beside(path, "wal"))?;
    length(path)
}

/// Whether there is a database without content beside a log of changes to it: somebody emptied it while it was in use.
pub(super) fn is_emptied(path: &Path) -> bool {
    let length = |path: &Path| fs::symlink_metadata(path).map(|file| file.len());
    length(path).is_ok_and(|bytes| bytes == 0) && length(&beside(path, "wal")).is_ok_and(|bytes| bytes > 0)
}

/// Puts a database where there is none: whole or not at all.
pub(super) fn make(path: &Path, content: &[u8]) -> io::Result<()> {
    remove_sides(path)?;
    private::replace(path, content)
}

/// Removes what another database left beside the place of one: it would be taken for changes of the next one there.
pub(super) fn remove_sides(path: &Path) -> io::Result<()> {
    SIDES.iter().try_for_each(|side| remove(&beside(path, side)))
}

/// Moves a database and what lies beside it out of the way, under a name that says why; answers where it is now.
pub(super) fn set_aside(path: &Path, why: &str) -> io::Result<PathBuf> {
    let now = Timestamp::from_system(SystemTime::now());
    let target = path.with_extension(format!("{why}-{}.db", now.0));
    fs::rename(path, &target)?;
    for side in SIDES {
        match fs::rename(beside(path, side), beside(&target, side)) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(target)
}

/// Marks a database in which damage was found while it was in use; the next start sets it aside.
pub(super) fn mark_damaged(path: &Path) {
    let marked = private::open(&damage_mark(path), OpenOptions::new().create(true).append(true));
    if let Err(error) = marked {
        tracing::warn!(%error, "could not mark the damaged event store");
    }
}

/// Whether a database was marked.
pub(super) fn is_marked_damaged(path: &Path) -> bool {
    damage_mark(path).exists()
}

/// Takes the mark away.
pub(super) fn unmark_damaged(path: &Path) -> io::Result<()> {
    remove(&damage_mark(path))
}

fn damage_mark(path: &Path) -> PathBuf {
    path.with_extension("db.damaged")
}

/// Removes a file; that there is none is fine.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
