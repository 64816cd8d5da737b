//! Folders and files that are this user's alone: made so, mended where they are open to others, and refused where
//! another user, or a link, stands in their place. What nobody else can write, nobody else can put a link into.
//!
//! And how any file is read that somebody else could have placed: [`look`] for ours, [`peek`] for whoever left it,
//! [`follow`] for what the user keeps where he likes, each without waiting for the other end of a pipe; then
//! [`content`], never more of it than a file of its kind can hold.

use std::ffi::OsStr;
use std::fs::{self, DirBuilder, File, FileType, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::path::Path;

pub use tempfile::NamedTempFile as Draft;

#[cfg(not(unix))]
#[path = "elsewhere.rs"]
mod system;
#[cfg(unix)]
#[path = "unix.rs"]
mod system;

/// The largest of the small files of ours that [`read`] reads: runfile, token, what a supervisor notes. They have a few
/// KiB; the last words of a crash and a long command line are the most that is in one.
const RECORD_BYTES_MAX: u64 = 1024 * 1024;

/// How the name of a draft begins and ends; between stand letters and digits that nobody guesses.
const DRAFT: &str = ".claude-mpm-draft-";
const DRAFT_END: &str = ".tmp";

/// How often a draft is made anew that was swept before it was locked: that takes somebody in the same instant.
const SWEPT_MAX: usize = 8;

/// Entries of a folder that are looked at for drafts: ours have a few, a user's own may have any number.
const SWEEP_ENTRIES_MAX: usize = 4096;

/// Makes the folder above ours when it is missing. One that is there must be this user's or the system's, and what
/// lets others write in it is taken away: who can write there can put a folder of his own in place of ours.
///
/// # Errors
/// When it cannot be made, or is open to others and cannot be closed. The text names it and the way out.
pub fn home(path: &Path) -> io::Result<()> {
    make(path)?;
    system::close_home(path)
}

/// Makes a folder of ours when it is missing; one that is there must be this user's and no link, and is closed to
/// others. The folders above it are made, and else left alone.
///
/// # Errors
/// When it cannot be made, or is not this user's. The text names it.
pub fn folder(path: &Path) -> io::Result<()> {
    make(path)?;
    system::close_folder(path)
}

/// Whether a folder of ours could be used, as [`folder`] would find it. Nothing is made or changed; one that is missing
/// could be made.
///
/// # Errors
/// As [`folder`].
pub fn check_folder(path: &Path) -> io::Result<()> {
    system::check_folder(path).or_else(|error| match error.kind() {
        io::ErrorKind::NotFound => Ok(()),
        _ => Err(error),
    })
}

/// Makes the home, as [`home`] does, and folders of ours in it, as [`folder`] does: the outer ones first.
///
/// # Errors
/// As theirs.
pub fn folders(above: &Path, ours: &[&Path]) -> io::Result<()> {
    home(above)?;
    ours.iter().try_for_each(|path| folder(path))
}

/// Opens a file of ours with these options, for this user only when it is made. One that is there must be this user's
/// and no link, and is closed to others.
///
/// # Errors
/// When it cannot be opened, or is not this user's.
pub fn open(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    system::open(path, options).and_then(|file| system::close_file(path, file))
}

/// Opens a file of ours to read it as it is. It must be a file, no link, and this user's or root's.
///
/// # Errors
/// When it cannot be opened, or another user left it there.
pub fn look(path: &Path) -> io::Result<File> {
    system::open(path, OpenOptions::new().read(true)).and_then(|file| system::trusted(path, file))
}

/// Opens a file to read it, whoever left it there: none of what comes with it is believed. It must be a file and no link.
///
/// # Errors
/// When it cannot be opened, or is something else.
pub fn peek(path: &Path) -> io::Result<File> {
    system::open(path, OpenOptions::new().read(true))
}

/// Opens a file of the user's to read it, where he keeps it: links are followed. What they lead to must be a file.
///
/// # Errors
/// When it cannot be opened, or is something else.
pub fn follow(path: &Path) -> io::Result<File> {
    // Looked at first: to open a device can do something.
    regular(fs::metadata(path)?.file_type())?;
    let file = system::open_followed(path)?;
    regular(file.metadata()?.file_type())?;
    Ok(file)
}

/// What is in an open file, when that is no more than a file of its kind can hold.
///
/// # Errors
/// When it cannot be read; when it is larger, [`io::ErrorKind::FileTooLarge`].
pub fn content(file: File, bytes_max: u64) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    // A large one is not read at all; one that grows meanwhile no further.
    let mut length = file.metadata()?.len();
    if length <= bytes_max {
        file.take(bytes_max.saturating_add(1)).read_to_end(&mut content)?;
        length = content.len() as u64;
    }
    if length > bytes_max {
        let reason = format!("it has more than {bytes_max} bytes, the most that such a file can hold");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, reason));
    }
    Ok(content)
}

/// The same as text.
///
/// # Errors
/// As [`content`], and when it is no UTF-8 text: [`io::ErrorKind::InvalidData`].
pub fn text(file: File, bytes_max: u64) -> io::Result<String> {
    let content = content(file, bytes_max)?;
    String::from_utf8(content).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.utf8_error()))
}

/// The content of a small file of ours, opened by [`look`].
///
/// # Errors
/// As [`look`] and [`content`].
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    look(path).and_then(|file| content(file, RECORD_BYTES_MAX))
}

/// Whether others than its user have any right to a file.
///
/// # Errors
/// When the system does not tell.
pub fn is_open_to_others(file: &File) -> io::Result<bool> {
    file.metadata().map(|metadata| system::is_open(&metadata))
}

/// Which file or folder stands at a path: the same for as long as it is there, another one for what takes its place. Where
/// nothing that is open can be taken away, all are the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity(system::Identity);

/// What stands at a path; a link there is not followed, and is nothing that it leads to. Nothing is opened for it.
///
/// # Errors
/// When nothing is there, or the system does not tell.
pub fn identity(path: &Path) -> io::Result<Identity> {
    fs::symlink_metadata(path).map(|metadata| Identity(system::identity(&metadata)))
}

/// Which file is open.
///
/// # Errors
/// When the system does not tell.
pub fn identity_of(file: &File) -> io::Result<Identity> {
    file.metadata().map(|metadata| Identity(system::identity(&metadata)))
}

/// Whether at a path no longer stands what stood there. Where the system does not tell, it still does: who may not look for
/// a while has lost nothing.
pub fn has_left(path: &Path, known: Identity) -> bool {
    use io::ErrorKind::{NotADirectory, NotFound};
    match identity(path) {
        Ok(there) => there != known,
        Err(error) => matches!(error.kind(), NotFound | NotADirectory),
    }
}

/// Puts a file that only this user can read in place of any former one, or of a link: whole or not at all.
///
/// # Errors
/// When it cannot be written.
pub fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut draft = draft(path)?;
    draft.write_all(content)?;
    draft.persist(path).map_err(|error| error.error)?;
    Ok(())
}

/// Puts a file that only this user can read in a place where nothing is: whole or not at all.
///
/// # Errors
/// When it cannot be written, or something is there: then [`io::ErrorKind::AlreadyExists`].
pub fn create(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut draft = draft(path)?;
    draft.write_all(content)?;
    draft.persist_noclobber(path).map_err(|error| error.error)?;
    Ok(())
}

/// Puts a file of so many zeros in a place where nothing is. It takes no room on the disk.
///
/// # Errors
/// As [`create`].
pub fn create_zeros(path: &Path, bytes: u64) -> io::Result<()> {
    let draft = draft(path)?;
    draft.as_file().set_len(bytes)?;
    draft.persist_noclobber(path).map_err(|error| error.error)?;
    Ok(())
}

/// A file that only this user can read, beside a place that it is meant for, under a name that nobody guesses. It goes
/// with this value, unless it is put in its place before. While it is written its lock is held: one that is not locked
/// was left behind, and [`sweep`] takes it away.
///
/// # Errors
/// When it cannot be made.
pub fn draft(path: &Path) -> io::Result<Draft> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let make = || tempfile::Builder::new().prefix(DRAFT).suffix(DRAFT_END).tempfile_in(folder);
    let is_ours = |draft: &Draft| match draft.as_file().try_lock() {
        // It may have been swept before it was locked.
        Ok(()) => identity_of(draft.as_file()).is_ok_and(|made| !has_left(draft.path(), made)),
        Err(TryLockError::WouldBlock) => false,
        // Where nothing can be locked nothing is swept.
        Err(TryLockError::Error(_)) => true,
    };
    let mut draft = make()?;
    for _ in 0..SWEPT_MAX {
        if is_ours(&draft) {
            break;
        }
        draft = make()?;
    }
    Ok(draft)
}

/// Takes the drafts out of a folder whose writers were cut off. One that is being written stays, and so does whatever
/// else is there.
pub fn sweep(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    let names = entries.take(SWEEP_ENTRIES_MAX).filter_map(|entry| Some(entry.ok()?.file_name()));
    for path in names.filter(|name| is_draft(name)).map(|name| folder.join(name)) {
        // Who cannot be asked, or is somebody else's, is left alone.
        if let Ok(file) = look(&path)
            && file.try_lock().is_ok()
        {
            let _ = fs::remove_file(&path);
        }
    }
}

fn is_draft(name: &OsStr) -> bool {
    let random = name.to_str().and_then(|name| name.strip_prefix(DRAFT)?.strip_suffix(DRAFT_END));
    random.is_some_and(|random| !random.is_empty() && random.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}

/// Makes a folder that is missing and those above it, for this user only. One that is there is left as it is: it may be
/// anywhere, and others' business.
///
/// # Errors
/// When it cannot be made.
pub fn make(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).map_err(|error| match fs::symlink_metadata(path) {
        // "File exists" helps nobody who asked for a folder.
        Ok(_) if error.kind() == io::ErrorKind::AlreadyExists => {
            refusal(path, "is no folder", "move it away")
        }
        _ => error,
    })
}

/// Refuses what is no regular file, and says what it is.
fn regular(found: FileType) -> io::Result<()> {
    if found.is_file() {
        return Ok(());
    }
    let reason = format!("it is {}, no regular file", system::kind(found));
    Err(io::Error::new(io::ErrorKind::InvalidInput, reason))
}

/// Why something is not used, and the way out.
fn refusal(path: &Path, what: &str, way_out: &str) -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, format!("{} {what}; {way_out}", path.display()))
}
