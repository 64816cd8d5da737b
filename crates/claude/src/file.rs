//! A settings file on disk: read with bounds, replaced whole, its links and its mode kept.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use protocol::paths::Home;

use crate::Error;

/// More than any settings file has, which people write by hand; a larger file is not read. A few copies of it are in memory
/// while it is changed.
pub(crate) const BYTES_MAX: u64 = 4 * 1024 * 1024;

/// More than the file has in which Claude Code keeps what it knows of projects, which grows with them.
const STATE_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// More than a file of ours has, which may hold what several settings files were.
const OWN_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// More than any program of ours has, with all that a debugger wants to know.
const PROGRAM_BYTES_MAX: u64 = 512 * 1024 * 1024;

/// How many links may lead to a file.
const LINKS_MAX: usize = 16;

/// The text of a file of the user's, where his links lead to; `None` when there is no file. A link to /dev/null would
/// read as empty, and replacing what it leads to would be a disaster: it is refused.
pub(crate) fn read(path: &Path) -> Result<Option<String>, Error> {
    text(path, private::follow, BYTES_MAX)
}

/// The text of Claude Code's own state, as [`read`].
pub(crate) fn read_state(path: &Path) -> Result<Option<String>, Error> {
    text(path, private::follow, STATE_BYTES_MAX)
}

/// The text of a file of ours in the home, as [`read`]; a link is not followed.
pub(crate) fn read_own(path: &Path) -> Result<Option<String>, Error> {
    text(path, private::look, OWN_BYTES_MAX)
}

fn text(path: &Path, open: fn(&Path) -> io::Result<File>, bytes_max: u64) -> Result<Option<String>, Error> {
    match open(path).and_then(|file| private::text(file, bytes_max)) {
        Ok(text) => Ok(Some(text)),
        Err(error) if is_absent(&error) => Ok(None),
        Err(error) => Err(match error.kind() {
            ErrorKind::FileTooLarge => Error::TooLarge(path.to_owned(), bytes_max),
            ErrorKind::InvalidData => Error::NotText(path.to_owned()),
            _ => Error::io("read", path)(error),
        }),
    }
}

/// The bytes of a program.
pub(crate) fn program(file: File) -> io::Result<Vec<u8>> {
    private::content(file, PROGRAM_BYTES_MAX)
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

/// The file that a path leads to, through links, whether it exists or not.
pub(crate) fn target(path: &Path) -> PathBuf {
    let mut target = path.to_owned();
    for _ in 0..LINKS_MAX {
        let Ok(next) = fs::read_link(&target) else { break };
        target = target.parent().unwrap_or(Path::new("")).join(next);
    }
    target
}

/// Replaces a file of the user's by this text, or makes it, so that nobody ever sees half of it. Its folder must exist;
/// links to it are followed.
pub(crate) fn write(path: &Path, text: &[u8]) -> Result<(), Error> {
    let target = target(path);
    let existing = fs::metadata(&target).ok();
    if existing.as_ref().is_some_and(|metadata| metadata.permissions().readonly()) {
        return Err(Error::ReadOnly(target));
    }
    sweep_beside(&target);
    let written = private::draft(&target).and_then(|mut draft| {
        draft.write_all(text)?;
        if let Some(metadata) = existing {
            keep_owner(draft.path(), &metadata);
            draft.as_file().set_permissions(metadata.permissions())?;
        }
        draft.as_file().sync_all()?;
        draft.persist(&target).map_err(|error| error.error)
    });
    written.map(drop).map_err(Error::io("write", &target))
}

/// Replaces a file of ours in the home, or makes it; what stands in its place is replaced, and a link not followed.
pub(crate) fn write_own(path: &Path, content: &[u8]) -> Result<(), Error> {
    sweep_beside(path);
    private::replace(path, content).map_err(Error::io("write", path))
}

/// Takes away what a change that was cut off left beside a file.
fn sweep_beside(path: &Path) {
    if let Some(folder) = path.parent() {
        private::sweep(folder);
    }
}

/// Puts a program of ours into the home, as [`write_own`] does.
pub(crate) fn write_program(path: &Path, content: &[u8]) -> Result<(), Error> {
    sweep_beside(path);
    let written = private::draft(path).and_then(|mut draft| {
        draft.write_all(content)?;
        make_executable(draft.as_file())?;
        // Closed first: a program that is open for writing cannot be run.
        draft.into_temp_path().persist(path).map_err(|error| error.error)
    });
    written.map_err(Error::io("write", path))
}

/// Somebody who works as root in another user's home leaves the file that user's. Nobody else can give files away.
#[cfg(unix)]
fn keep_owner(path: &Path, metadata: &fs::Metadata) {
    use std::os::unix::fs::MetadataExt;
    let _ = std::os::unix::fs::chown(path, Some(metadata.uid()), Some(metadata.gid()));
}

#[cfg(not(unix))]
fn keep_owner(_: &Path, _: &fs::Metadata) {}

#[cfg(unix)]
fn make_executable(file: &File) -> io::Result<()> {
    file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o700))
}

#[cfg(not(unix))]
fn make_executable(_: &File) -> io::Result<()> {
    Ok(())
}

/// Removes the file that a path leads to, and the links that then lead nowhere stay.
pub(crate) fn remove(path: &Path) -> Result<(), Error> {
    match fs::remove_file(target(path)) {
        Err(error) if !is_absent(&error) => Err(Error::io("remove", path)(error)),
        _ => Ok(()),
    }
}

/// Removes a file of ours in the home, or a link in its place.
pub(crate) fn remove_own(path: &Path) -> Result<(), Error> {
    match fs::remove_file(path) {
        Err(error) if !is_absent(&error) => Err(Error::io("remove", path)(error)),
        _ => Ok(()),
    }
}

/// Makes a folder of ours in the home, which nobody else can enter.
pub(crate) fn make_own_folder(home: &Home, folder: &Path) -> Result<(), Error> {
    private::home(home.folder()).map_err(Error::io("use", home.folder()))?;
    [&home.monitor(), folder]
        .iter()
        .try_for_each(|path| private::folder(path).map_err(Error::io("use", path)))
}

/// Makes the missing folders above a file of the user's. Returns those that it made, the innermost first.
pub(crate) fn make_folders(path: &Path) -> Result<Vec<PathBuf>, Error> {
    let Some(folder) = path.parent() else { return Ok(Vec::new()) };
    let missing: Vec<PathBuf> = folder
        .ancestors()
        .take_while(|folder| !folder.as_os_str().is_empty() && !folder.exists())
        .map(Path::to_owned)
        .collect();
    fs::create_dir_all(folder).map_err(Error::io("make", folder))?;
    Ok(missing)
}

/// The right to change settings: one of our programs at a time. Held until it is dropped.
pub(crate) fn lock(home: &Home) -> Result<File, Error> {
    make_own_folder(home, &home.monitor())?;
    let path = home.monitor().join("hooks.lock");
    let mut options = OpenOptions::new();
    let file = private::open(&path, options.create(true).read(true).write(true).truncate(false));
    let file = file.map_err(Error::io("open", &path))?;
    file.lock().map_err(Error::io("lock", &path))?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_larger_than_any_are_refused_and_the_state_of_the_same_length_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("settings.json");
        let length = BYTES_MAX + 1;
        File::create(&path).unwrap().set_len(length).unwrap();
        assert!(matches!(read(&path), Err(Error::TooLarge(_, BYTES_MAX))));
        let state = read_state(&path).unwrap().expect("it is there");
        assert_eq!(state.len() as u64, length);
    }
}
