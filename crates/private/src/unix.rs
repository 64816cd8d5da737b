//! Owners, modes and links, as Unix has them.

use std::fs::{self, File, FileType, Metadata, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use rustix::fs::OFlags;
use rustix::io::Errno;

use crate::refusal;

/// Rights of others than the owner.
const OTHERS: u32 = 0o077;

/// Rights of the owner.
const OWN: u32 = 0o700;

/// Rights of others to write.
const OTHERS_WRITE: u32 = 0o022;

/// The right of everybody to write.
const ALL_WRITE: u32 = 0o002;

/// In a folder with this bit, nobody can move what is another's.
const STICKY: u32 = 0o1000;

const ROOT: u32 = 0;

const OTHER_HOME: &str = "name a folder of your own with CLAUDE_MPM_HOME";

pub(crate) fn close_home(path: &Path) -> io::Result<()> {
    // Followed: who moves the home elsewhere leaves a link.
    let home = fs::metadata(path)?;
    let (owner, mode) = (home.uid(), home.mode());
    if owner == own() {
        if mode & OTHERS_WRITE == 0 {
            return Ok(());
        }
        let closed = fs::set_permissions(path, Permissions::from_mode(mode & 0o7777 & !OTHERS_WRITE));
        return closed.map_err(|error| stays_open(path, &error));
    }
    if owner != ROOT {
        return Err(refusal(path, &belongs(owner), &format!("run this as that user, or {OTHER_HOME}")));
    }
    // The system's: its group is the administrator's choice, as in a container's volume.
    if mode & ALL_WRITE != 0 && mode & STICKY == 0 {
        return Err(refusal(path, "can be written by everybody", OTHER_HOME));
    }
    Ok(())
}

pub(crate) fn close_folder(path: &Path) -> io::Result<()> {
    let (folder, metadata) = own_folder(path)?;
    if is_open(&metadata) { close(path, &folder, 0o700) } else { Ok(()) }
}

pub(crate) fn check_folder(path: &Path) -> io::Result<()> {
    own_folder(path).map(drop)
}

/// A folder that is this user's, and that he can use.
fn own_folder(path: &Path) -> io::Result<(File, Metadata)> {
    let mut options = OpenOptions::new();
    options.read(true).custom_flags((OFlags::NOFOLLOW | OFlags::DIRECTORY).bits().cast_signed());
    let folder = options.open(path).map_err(|error| match errno(&error) {
        Some(Errno::LOOP | Errno::NOTDIR) if path.is_symlink() => link(path),
        Some(Errno::LOOP | Errno::NOTDIR) => refusal(path, "is a link or a file, no folder", "move it away"),
        Some(Errno::ACCESS) => fs::symlink_metadata(path).map_or(error, |found| unusable(path, &found)),
        _ => error,
    })?;
    let metadata = folder.metadata()?;
    // Root needs no rights.
    let lacks_rights = metadata.mode() & OWN != OWN && own() != ROOT;
    if metadata.uid() != own() || lacks_rights {
        return Err(unusable(path, &metadata));
    }
    Ok((folder, metadata))
}

/// Why this user has no use of a folder.
fn unusable(path: &Path, folder: &Metadata) -> io::Error {
    if folder.uid() != own() {
        return refusal(path, &belongs(folder.uid()), "move it away, or run this as that user");
    }
    let mode = folder.mode() & 0o777;
    let way_out = format!("give back the rights with 'chmod 700 {}'", path.display());
    refusal(path, &format!("is closed even to its own user (mode {mode:03o})"), &way_out)
}

/// Neither waits for whoever is at the other end of a pipe, nor makes a terminal this process's own.
const AT_ONCE: OFlags = OFlags::NONBLOCK.union(OFlags::NOCTTY);

/// Opens a file without following a link and without waiting.
pub(crate) fn open(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    options.mode(0o600).custom_flags((AT_ONCE | OFlags::NOFOLLOW).bits().cast_signed());
    let file = options.open(path).map_err(|error| match errno(&error) {
        Some(Errno::LOOP) => link(path),
        // A pipe that nobody reads, or a socket.
        Some(Errno::NXIO) => no_file(path, fs::symlink_metadata(path).ok()),
        _ => error,
    })?;
    let metadata = file.metadata()?;
    if metadata.is_file() { Ok(file) } else { Err(no_file(path, Some(metadata))) }
}

/// Opens a file to read it, through links and without waiting.
pub(crate) fn open_followed(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).custom_flags(AT_ONCE.bits().cast_signed()).open(path)
}

/// Why a link is not followed. What it leads to may be the user's store: only to move it away would hide that.
fn link(path: &Path) -> io::Error {
    let target = fs::read_link(path).unwrap_or_default();
    let what = format!("is a link to {}, which is not followed there", target.display());
    let way_out = "put what it leads to in its place, or name a home elsewhere with CLAUDE_MPM_HOME, and move it away only \
                   when that is nothing of yours";
    refusal(path, &what, way_out)
}

fn no_file(path: &Path, found: Option<Metadata>) -> io::Error {
    let kind = found.map_or("something else", |found| kind(found.file_type()));
    refusal(path, &format!("is {kind}, no file"), "move it away")
}

/// What something is that is no regular file, as it reads in a sentence.
pub(crate) fn kind(found: FileType) -> &'static str {
    match found {
        found if found.is_dir() => "a folder",
        found if found.is_fifo() => "a pipe",
        found if found.is_socket() => "a socket",
        found if found.is_char_device() || found.is_block_device() => "a device",
        found if found.is_symlink() => "a link",
        _ => "something else",
    }
}

/// The file, closed to others, when it is this user's.
pub(crate) fn close_file(path: &Path, file: File) -> io::Result<File> {
    let metadata = file.metadata()?;
    if metadata.uid() != own() {
        return Err(refusal(path, &belongs(metadata.uid()), "move it away"));
    }
    if is_open(&metadata) {
        close(path, &file, 0o600)?;
    }
    Ok(file)
}

/// The file, when no other user can have put it there. Root may read what is anybody's.
pub(crate) fn trusted(path: &Path, file: File) -> io::Result<File> {
    let owner = file.metadata()?.uid();
    let is_trusted = owner == own() || owner == ROOT || own() == ROOT;
    if is_trusted { Ok(file) } else { Err(refusal(path, &belongs(owner), "move it away")) }
}

/// Device and number: no other file has them for as long as somebody has this one open.
pub(crate) type Identity = (u64, u64);

pub(crate) fn identity(metadata: &Metadata) -> Identity {
    (metadata.dev(), metadata.ino())
}

pub(crate) fn is_open(metadata: &Metadata) -> bool {
    metadata.mode() & OTHERS != 0
}

fn close(path: &Path, opened: &File, mode: u32) -> io::Result<()> {
    opened.set_permissions(Permissions::from_mode(mode)).map_err(|error| stays_open(path, &error))
}

/// Some file systems know no owners.
fn stays_open(path: &Path, error: &io::Error) -> io::Error {
    refusal(path, &format!("is open to other users and could not be closed to them ({error})"), OTHER_HOME)
}

fn belongs(owner: u32) -> String {
    format!("belongs to another user (uid {owner})")
}

fn own() -> u32 {
    rustix::process::geteuid().as_raw()
}

fn errno(error: &io::Error) -> Option<Errno> {
    error.raw_os_error().map(Errno::from_raw_os_error)
}
