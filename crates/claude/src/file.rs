//! A settings file on disk: read with bounds, replaced whole, its links and its mode kept.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::Error;

/// More than any settings file has; a larger file is not read.
pub(crate) const BYTES_MAX: u64 = 64 * 1024 * 1024;

/// How many links may lead to a file.
const LINKS_MAX: usize = 16;

/// The text of a file; `None` when there is no file.
pub(crate) fn read(path: &Path) -> Result<Option<String>, Error> {
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if is_absent(&error) => return Ok(None),
        Err(error) => return Err(Error::io("read", path)(error)),
    };
    // A link to /dev/null reads as empty, and replacing what it leads to would be a disaster.
    if !metadata.is_file() {
        let error = io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file");
        return Err(Error::io("read", path)(error));
    }
    if metadata.len() > BYTES_MAX {
        return Err(Error::TooLarge { path: path.to_owned(), bytes: metadata.len() });
    }
    let bytes = fs::read(path).map_err(Error::io("read", path))?;
    String::from_utf8(bytes).map(Some).map_err(|_| Error::NotText(path.to_owned()))
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
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

/// Replaces a file by this text, or makes it, so that nobody ever sees half of it. Its folder must exist.
pub(crate) fn write(path: &Path, text: &[u8], mode: u32) -> Result<(), Error> {
    let target = target(path);
    let existing = fs::metadata(&target).ok();
    if existing.as_ref().is_some_and(|metadata| metadata.permissions().readonly()) {
        return Err(Error::ReadOnly(target));
    }
    let name = target.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let temporary = target.with_file_name(format!(".{name}.{}.tmp", std::process::id()));
    let written = write_new(&temporary, text, mode).and_then(|()| {
        if let Some(metadata) = existing {
            keep_owner(&temporary, &metadata);
            fs::set_permissions(&temporary, metadata.permissions())?;
        }
        fs::rename(&temporary, &target)
    });
    if written.is_err() {
        // The reason that is told is that of the write.
        let _ = fs::remove_file(&temporary);
    }
    written.map_err(Error::io("write", &target))
}

/// Somebody who works as root in another user's home leaves the file that user's. Nobody else can give files away.
#[cfg(unix)]
fn keep_owner(path: &Path, metadata: &fs::Metadata) {
    use std::os::unix::fs::MetadataExt;
    let _ = std::os::unix::fs::chown(path, Some(metadata.uid()), Some(metadata.gid()));
}

#[cfg(not(unix))]
fn keep_owner(_: &Path, _: &fs::Metadata) {}

fn write_new(path: &Path, text: &[u8], mode: u32) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
    #[cfg(not(unix))]
    let _ = mode;
    let mut file = options.open(path)?;
    file.write_all(text)?;
    file.sync_all()
}

/// Removes the file that a path leads to, and the links that then lead nowhere stay.
pub(crate) fn remove(path: &Path) -> Result<(), Error> {
    match fs::remove_file(target(path)) {
        Err(error) if !is_absent(&error) => Err(Error::io("remove", path)(error)),
        _ => Ok(()),
    }
}

/// Makes the missing folders above a file. Returns those that it made, the innermost first.
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
pub(crate) fn lock(path: &Path) -> Result<File, Error> {
    make_folders(path)?;
    let mut options = OpenOptions::new();
    options.create(true).read(true).write(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(path).map_err(Error::io("open", path))?;
    file.lock().map_err(Error::io("lock", path))?;
    Ok(file)
}
