//! The hook's executable at a path that stays, whatever becomes of the folder that the product was started from.

use std::env::consts::EXE_SUFFIX;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use protocol::paths::Home;

use crate::{Error, file, version};

/// The copy that the settings name.
#[derive(Clone, Debug)]
pub struct Binary {
    home: Home,
    path: PathBuf,
}

impl Binary {
    /// The copy in this home.
    pub fn of(home: &Home) -> Self {
        Self { home: home.clone(), path: home.monitor().join("bin").join(file_name()) }
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The hook that came with the running program: beside it.
    ///
    /// # Errors
    /// When there is none.
    pub fn shipped() -> Result<PathBuf, Error> {
        let own = std::env::current_exe().and_then(fs::canonicalize).unwrap_or_default();
        let hook = own.with_file_name(file_name());
        if version::is_executable(&hook) { Ok(hook) } else { Err(Error::NoBinary(hook)) }
    }

    /// Puts a copy of that executable here, unless it is here already. A session that runs the old one keeps it.
    ///
    /// # Errors
    /// When it cannot be read or written.
    pub fn install(&self, shipped: &Path) -> Result<(), Error> {
        file::make_own_folder(&self.home, &self.home.monitor().join("bin"))?;
        if self.is_like(shipped) && version::is_executable(&self.path) {
            return Ok(());
        }
        let bytes = private::follow(shipped).and_then(file::program).map_err(Error::io("read", shipped))?;
        file::write_program(&self.path, &bytes)
    }

    /// Removes the copy. The command in the settings of a session that still runs it then does nothing.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn uninstall(&self) -> Result<(), Error> {
        file::remove_own(&self.path)?;
        // Only an empty folder goes.
        let _ = self.path.parent().map(fs::remove_dir);
        Ok(())
    }

    /// Whether it can be run.
    pub fn is_ready(&self) -> bool {
        version::is_executable(&self.path)
    }

    /// Whether it is the same program as that one.
    pub fn is_like(&self, other: &Path) -> bool {
        // What another user left there, or a link to it, is not ours, however alike it is now.
        private::look(&self.path).and_then(|own| is_program(own, other)).unwrap_or(false)
    }
}

/// Whether these are two copies of one program.
pub(crate) fn are_alike(one: &Path, other: &Path) -> bool {
    private::follow(one).and_then(|one| is_program(one, other)).unwrap_or(false)
}

fn is_program(one: File, other: &Path) -> io::Result<bool> {
    let other = private::follow(other)?;
    let are_as_large = one.metadata()?.len() == other.metadata()?.len();
    Ok(are_as_large && file::program(one)? == file::program(other)?)
}

fn file_name() -> String {
    format!("claude-mpm-hook{EXE_SUFFIX}")
}
