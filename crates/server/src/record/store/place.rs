//! Where the files of the open database belong, whether they are still there, and how they come back. A deleted file goes
//! on being written by whoever has it open, and is lost when he closes it.

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::time::Duration;

use private::{Draft, Identity};
use rusqlite::Connection;
use rusqlite::backup::Backup;

use super::files;
use crate::claim::Claim;

/// Pages copied at once when a database is put back: all, for nobody writes meanwhile.
const ALL_PAGES: i32 = i32::MAX;

/// The place of an open database, with the files that were there when it was opened.
#[derive(Debug)]
pub(super) struct Place {
    path: PathBuf,
    /// The database, its log of changes and the index of that. SQLite finds neither without the other, and who opens the
    /// database next finds them by name.
    files: Vec<(PathBuf, Identity)>,
    /// Their folder: a link in its place may lead to it, but the next start does not follow that.
    folder: Option<(PathBuf, Identity)>,
}

impl Place {
    /// Of a database that was just opened and read.
    pub(super) fn of(path: &Path) -> Self {
        let names = [path.to_owned(), files::beside(path, "wal"), files::beside(path, "shm")];
        let there = |file: PathBuf| private::identity(&file).ok().map(|identity| (file, identity));
        let files = names.into_iter().filter_map(there).collect();
        let folder = path.parent().map(Path::to_owned).and_then(there);
        Self { path: path.to_owned(), files, folder }
    }

    /// Whether everything is where it was.
    pub(super) fn is_kept(&self) -> bool {
        self.keeps_folder() && !self.files.iter().any(|(file, known)| private::has_left(file, *known))
    }

    /// Whether the database itself is where it was.
    pub(super) fn keeps_database(&self) -> bool {
        self.files.first().is_some_and(|(file, known)| !private::has_left(file, *known))
    }

    /// Whether what is committed now would be found again. Costs a look at two files and their folder, a few microseconds.
    pub(super) fn keeps_events(&self) -> bool {
        self.keeps_folder() && !self.files.iter().take(2).any(|(file, known)| private::has_left(file, *known))
    }

    fn keeps_folder(&self) -> bool {
        !self.folder.iter().any(|(folder, known)| private::has_left(folder, *known))
    }

    /// Puts a copy of the open database in its place. What somebody else put there is kept under another name, which is
    /// answered. The error is a sentence.
    pub(super) fn restore(&self, open: &Connection, claim: &Claim) -> Result<Option<PathBuf>, String> {
        claim.renew().map_err(|e| e.to_string())?;
        files::make_folder(&self.path).map_err(|e| could_not("make its folder", e))?;
        let copy = self.copy(open)?;
        let aside = self.make_room()?;
        copy.persist(&self.path).map_err(|e| could_not("put it there", e.error))?;
        Ok(aside)
    }

    fn copy(&self, open: &Connection) -> Result<Draft, String> {
        let file = private::draft(&self.path).map_err(|e| could_not("make a file", e))?;
        if !cfg!(target_os = "linux") {
            // Elsewhere the draft's lock keeps others who open the file from it, the database library too.
            file.as_file().unlock().map_err(|e| could_not("open it to the copy", e))?;
        }
        let copied = Connection::open(file.path()).and_then(|mut copy| {
            // Nobody finds it before it is whole.
            copy.pragma_update(None, "journal_mode", "OFF")?;
            Backup::new(open, &mut copy)?.run_to_completion(ALL_PAGES, Duration::ZERO, None)
        });
        copied.map_err(|e| could_not("copy it", e))?;
        file.as_file().sync_all().map_err(|e| could_not("bring it to the disk", e))?;
        Ok(file)
    }

    fn make_room(&self) -> Result<Option<PathBuf>, String> {
        // What of ours is still there is in the copy, and would be taken for changes of whatever stands beside it.
        let (database, sides) = self.files.split_first().ok_or("it has no files")?;
        for (side, _) in sides.iter().filter(|(side, known)| !private::has_left(side, *known)) {
            files::remove(side).map_err(|e| could_not("remove its log", e))?;
        }
        if private::identity(&self.path).is_ok_and(|there| there != database.1) {
            let aside = files::set_aside(&self.path, "replaced");
            return aside.map(Some).map_err(|e| could_not("move away what stands there", e));
        }
        files::remove_sides(&self.path).map_err(|e| could_not("remove the log that stands there", e))?;
        Ok(None)
    }
}

fn could_not(what: &str, error: impl Display) -> String {
    format!("could not {what}: {error}")
}
