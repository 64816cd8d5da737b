//! What an installation wrote, so that it can be taken away exactly.

use std::fs;
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

/// Every file of an installation.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Manifest {
    pub(crate) files: Vec<Written>,
}

/// One file as it was written.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Written {
    pub(crate) path: PathBuf,
    pub(crate) content: String,
    #[serde(default)]
    pub(crate) executable: bool,
}

/// What a file is now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    AsWritten,
    Changed,
    Missing,
}

impl Found {
    pub(crate) fn words(&self) -> &'static str {
        match self {
            Self::AsWritten => "as installed",
            Self::Changed => "changed since",
            Self::Missing => "missing",
        }
    }
}

impl Written {
    pub(crate) fn found(&self) -> Found {
        let most = self.content.len() as u64;
        match private::follow(&self.path).and_then(|file| private::content(file, most)) {
            Ok(content) if content == self.content.as_bytes() => Found::AsWritten,
            Err(error) if error.kind() == ErrorKind::NotFound => Found::Missing,
            _ => Found::Changed,
        }
    }

    /// Puts the file in place, whole or not at all.
    pub(crate) fn write(&self) -> anyhow::Result<()> {
        self.put().with_context(|| format!("could not write {}", self.path.display()))
    }

    fn put(&self) -> io::Result<()> {
        let folder = self.path.parent().unwrap_or(Path::new("/"));
        fs::create_dir_all(folder)?;
        let mut draft = tempfile::Builder::new();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            draft.permissions(fs::Permissions::from_mode(if self.executable { 0o755 } else { 0o644 }));
        }
        let mut draft = draft.tempfile_in(folder)?;
        draft.write_all(self.content.as_bytes())?;
        draft.persist(&self.path)?;
        Ok(())
    }
}

impl Manifest {
    /// The manifest that an installation left; `None` when nothing is installed.
    pub(crate) fn read(path: &Path) -> anyhow::Result<Option<Self>> {
        let text = match private::read(path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).with_context(|| format!("could not read {}", path.display())),
        };
        let manifest = serde_json::from_slice(&text);
        manifest.map(Some).with_context(|| format!("could not read {}", path.display()))
    }

    pub(crate) fn write(&self, path: &Path) -> anyhow::Result<()> {
        let content = serde_json::to_string_pretty(self)?;
        Written { path: path.to_owned(), content, executable: false }.write()
    }
}
