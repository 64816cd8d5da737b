//! Where an export goes: standard output, or a file that appears whole or not at all and is readable by its user
//! only, because it holds what the user's sessions hold.

use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use tempfile::NamedTempFile;

/// A place that may be written to.
pub(super) enum Target {
    Standard,
    File { path: PathBuf, may_replace: bool },
}

/// A target that is being written.
pub(super) enum Open {
    Standard(BufWriter<io::Stdout>),
    File { draft: BufWriter<NamedTempFile>, path: PathBuf, may_replace: bool },
}

impl Target {
    /// `-` is standard output. A file that exists is refused at once, before any work, unless it may be replaced.
    pub(super) fn of(path: &Path, may_replace: bool) -> anyhow::Result<Self> {
        if path == Path::new("-") {
            return Ok(Self::Standard);
        }
        anyhow::ensure!(!path.is_dir(), "{} is a folder; name a file in it", path.display());
        // A link that leads nowhere is something, too.
        let exists = path.symlink_metadata().is_ok();
        anyhow::ensure!(may_replace || !exists, "{} exists; --force replaces it", path.display());
        Ok(Self::File { path: path.to_owned(), may_replace })
    }

    pub(super) fn open(self) -> anyhow::Result<Open> {
        let Self::File { path, may_replace } = self else {
            return Ok(Open::Standard(BufWriter::new(io::stdout())));
        };
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let draft = tempfile::Builder::new().prefix(".export-").tempfile_in(folder);
        let draft = draft.with_context(|| format!("could not write to {}", folder.display()))?;
        Ok(Open::File { draft: BufWriter::new(draft), path, may_replace })
    }
}

impl Open {
    /// Puts the whole file in its place; returns where, if it is a file.
    pub(super) fn finish(self) -> anyhow::Result<Option<PathBuf>> {
        let Self::File { draft, path, may_replace } = self else { return Ok(None) };
        let failed = || format!("could not write {}", path.display());
        let draft = draft.into_inner().map_err(io::IntoInnerError::into_error).with_context(failed)?;
        let put = if may_replace { draft.persist(&path) } else { draft.persist_noclobber(&path) };
        put.map_err(|error| error.error).with_context(failed)?;
        Ok(Some(path))
    }
}

impl Write for Open {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Standard(out) => out.write(bytes),
            Self::File { draft, .. } => draft.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Standard(out) => out.flush(),
            Self::File { draft, .. } => draft.flush(),
        }
    }
}
