//! What each settings file was before our hooks came, and what we made of it, so that an uninstall gives back the
//! very bytes, and a file that was not there is gone again.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::{Error, file};

/// One file's past.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// Its text without our hooks; nothing when there was no file.
    pub(crate) before: Option<String>,
    /// Its text as we left it. Whoever finds another one has to look what changed.
    pub(crate) after: String,
    /// The folders that were made for it, the innermost first.
    #[serde(default)]
    pub(crate) folders: Vec<PathBuf>,
}

/// The records of all files, by path.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Records(BTreeMap<PathBuf, Record>);

impl Records {
    /// Reads them. An unreadable file is as good as none: then what is ours is found by looking.
    pub(crate) fn read(path: &Path) -> Self {
        let text = file::read_own(path).ok().flatten();
        text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default()
    }

    pub(crate) fn write(&self, path: &Path) -> Result<(), Error> {
        if self.0.is_empty() {
            return file::remove_own(path);
        }
        let text = serde_json::to_vec(self).map_err(|error| Error::io("write", path)(error.into()))?;
        file::write_own(path, &text)
    }

    pub(crate) fn get(&self, settings: &Path) -> Option<&Record> {
        self.0.get(settings)
    }

    pub(crate) fn set(&mut self, settings: &Path, record: Option<Record>) {
        match record {
            Some(record) => self.0.insert(settings.to_owned(), record),
            None => self.0.remove(settings),
        };
    }

    pub(crate) fn paths(&self) -> Vec<PathBuf> {
        self.0.keys().cloned().collect()
    }
}
