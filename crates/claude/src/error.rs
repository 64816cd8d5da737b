//! Why settings were not read or not changed. Each text names the file and, where there is one, the place in it.

use std::io;
use std::path::{Path, PathBuf};

/// What was in the way. The file is as it was.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The operating system refused.
    #[error("could not {what} {}: {source}", path.display())]
    Io {
        /// What was tried, such as `read`.
        what: &'static str,
        /// With which file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The file is not what Claude Code could read, or not shaped as its settings are.
    #[error("{} line {line}, column {column}: {reason}", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// Line of the fault, from 1.
        line: usize,
        /// Column of the fault in characters, from 1.
        column: usize,
        /// What is wrong there.
        reason: String,
    },
    /// The file is not text.
    #[error("{} is not UTF-8 text", .0.display())]
    NotText(PathBuf),
    /// The file is larger than any settings.
    #[error("{} has more than {} bytes, the most that such a file can hold", .0.display(), .1)]
    TooLarge(PathBuf, u64),
    /// Its owner marked the file as not to be changed.
    #[error("{} is read-only", .0.display())]
    ReadOnly(PathBuf),
    /// Other programs keep writing the file.
    #[error("{} was changed by another program again and again; try again", .0.display())]
    Busy(PathBuf),
    /// There is no hook to install.
    #[error("there is no hook at {}", .0.display())]
    NoBinary(PathBuf),
    /// A file of that name exists that we did not write.
    #[error("{} exists and is not ours", .0.display())]
    Foreign(PathBuf),
    /// Claude Code could not be asked for its version.
    #[error("could not learn the version of Claude Code: {0}")]
    NoVersion(String),
    /// It has no hooks yet.
    #[error("Claude Code {0} has no hooks; the first version with hooks is 1.0.38")]
    TooOld(crate::Version),
}

impl Error {
    /// What the user can do about it.
    pub fn way_out(&self) -> Option<&'static str> {
        Some(match self {
            Self::NoVersion(_) => {
                "install Claude Code or put it on your PATH, or name its version, which 'claude --version' prints: claude-mpm-monitor hooks install --claude-version 2.1.240"
            }
            Self::TooOld(_) => "update Claude Code",
            Self::Invalid { .. } | Self::NotText(_) => "correct the file; nothing was changed",
            Self::ReadOnly(_) => {
                "make the file writable, or install for one project: claude-mpm-monitor hooks install --project ."
            }
            Self::Foreign(_) => "rename that file",
            Self::NoBinary(_) => "put claude-mpm-hook beside claude-mpm-monitor",
            Self::Io { .. } | Self::TooLarge(..) | Self::Busy(_) => return None,
        })
    }

    /// For `map_err`.
    pub(crate) fn io(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { what, path, source }
    }
}
