//! Installing our hooks into a settings file and taking them out again: once planned, once done, always reversible.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use protocol::Timestamp;
use protocol::paths::Home;
use similar::TextDiff;

use crate::record::{Record, Records};
use crate::{Binary, Error, HookCommand, Registration, edit, file};

/// How often a change is planned anew because another program wrote the file meanwhile.
const TRIES: usize = 5;

/// How many backups are kept; each is a settings file.
const BACKUPS_MAX: usize = 10;

/// Lines around each difference that a diff shows.
const DIFF_CONTEXT: usize = 3;

/// Our hooks in the settings of one user.
#[derive(Clone, Debug)]
pub struct Hooks {
    home: Home,
    command: HookCommand,
}

/// What becomes of one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The settings file.
    pub path: PathBuf,
    /// Its text before; nothing when there was no file.
    pub before: Option<String>,
    /// Its text afterwards; nothing when there is no file any more.
    pub after: Option<String>,
    /// Where a copy of the file before the change lies, once it was made.
    pub backup: Option<PathBuf>,
}

impl Change {
    /// Whether nothing is to be done.
    pub fn is_nothing(&self) -> bool {
        self.before == self.after
    }

    /// The change as a unified diff.
    pub fn diff(&self) -> String {
        let (before, after) =
            (self.before.as_deref().unwrap_or_default(), self.after.as_deref().unwrap_or_default());
        let named = |text: &Option<String>| match text {
            Some(_) => self.path.display().to_string(),
            None => "/dev/null".to_owned(),
        };
        TextDiff::from_lines(before, after)
            .unified_diff()
            .context_radius(DIFF_CONTEXT)
            .header(&named(&self.before), &named(&self.after))
            .to_string()
    }
}

/// A change with what is to be remembered of it.
struct Plan {
    change: Change,
    record: Option<Record>,
}

impl Hooks {
    /// The hooks of this home. `is_usual` says whether the hook finds this home by itself.
    pub fn of(home: &Home, is_usual: bool) -> Self {
        let binary = Binary::of(home).path().to_owned();
        let command = HookCommand { binary, home: (!is_usual).then(|| home.folder().to_owned()) };
        Self { home: home.clone(), command }
    }

    /// The command that the settings name.
    pub fn command(&self) -> &HookCommand {
        &self.command
    }

    /// The files that hold hooks of ours by our records.
    pub fn recorded(&self) -> Vec<PathBuf> {
        self.records().paths()
    }

    /// What an install would do. Nothing is written.
    ///
    /// # Errors
    /// When the file cannot be read, is no valid JSON, or is not shaped as settings are.
    pub fn plan_install(&self, settings: &Path, registrations: &[Registration]) -> Result<Change, Error> {
        Ok(self.planned_install(settings, registrations)?.change)
    }

    /// Puts the hooks into a settings file, in place of those of an earlier install. Doing it again changes
    /// nothing.
    ///
    /// # Errors
    /// As for planning, and when the file cannot be written. Then it is as it was.
    pub fn install(&self, settings: &Path, registrations: &[Registration]) -> Result<Change, Error> {
        self.apply(|| self.planned_install(settings, registrations))
    }

    /// What an uninstall would do. Nothing is written.
    ///
    /// # Errors
    /// When the file cannot be read or is no valid JSON.
    pub fn plan_uninstall(&self, settings: &Path) -> Result<Change, Error> {
        Ok(self.planned_uninstall(settings)?.change)
    }

    /// Takes our hooks out of a settings file. A file that we made is removed when nothing else is in it.
    ///
    /// # Errors
    /// As for planning, and when the file cannot be written. Then it is as it was.
    pub fn uninstall(&self, settings: &Path) -> Result<Change, Error> {
        self.apply(|| self.planned_uninstall(settings))
    }

    fn planned_install(&self, settings: &Path, registrations: &[Registration]) -> Result<Plan, Error> {
        let current = file::read(settings)?;
        edit::check(current.as_deref().unwrap_or_default(), settings)?;
        let records = self.records();
        let record = records.get(settings);
        let before = without_ours(settings, current.as_deref(), record)?;
        let after =
            edit::insert(before.as_deref().unwrap_or_default(), settings, registrations, &self.command)?;
        let folders = record.map(|record| record.folders.clone()).unwrap_or_default();
        let change = self.change(settings, current, Some(after.clone()));
        Ok(Plan { change, record: Some(Record { before, after, folders }) })
    }

    fn planned_uninstall(&self, settings: &Path) -> Result<Plan, Error> {
        let current = file::read(settings)?;
        let after = without_ours(settings, current.as_deref(), self.records().get(settings))?;
        Ok(Plan { change: self.change(settings, current, after), record: None })
    }

    fn change(&self, settings: &Path, before: Option<String>, after: Option<String>) -> Change {
        Change { path: settings.to_owned(), before, after, backup: None }
    }

    /// Carries out a plan, and plans anew when another program was quicker.
    fn apply(&self, plan: impl Fn() -> Result<Plan, Error>) -> Result<Change, Error> {
        let _lock = file::lock(&self.home)?;
        for _ in 0..TRIES {
            let Plan { mut change, record } = plan()?;
            if change.is_nothing() {
                self.remember(&change.path, record, Vec::new())?;
                return Ok(change);
            }
            change.backup = self.back_up(change.before.as_deref())?;
            let made = match change.after {
                Some(_) => file::make_folders(&file::target(&change.path))?,
                None => Vec::new(),
            };
            let made_before = self.records().get(&change.path).map(|record| record.folders.clone());
            let removal = record.is_none().then(|| made_before.unwrap_or_default());
            if record.is_some() {
                self.remember(&change.path, record, made)?;
            }
            // As late as can be: what another program writes from here on until the next line is lost.
            if file::read(&change.path)? != change.before {
                continue;
            }
            match &change.after {
                Some(text) => file::write(&change.path, text.as_bytes())?,
                None => file::remove(&change.path)?,
            }
            if let Some(folders) = removal {
                self.remember(&change.path, None, Vec::new())?;
                // Only empty ones go.
                folders.iter().all(|folder| fs::remove_dir(folder).is_ok());
            }
            return Ok(change);
        }
        Err(Error::Busy(plan()?.change.path))
    }

    fn records(&self) -> Records {
        Records::read(&self.records_path())
    }

    fn records_path(&self) -> PathBuf {
        self.home.monitor().join("hooks.json")
    }

    fn remember(&self, settings: &Path, record: Option<Record>, made: Vec<PathBuf>) -> Result<(), Error> {
        let mut records = self.records();
        let record = record.map(|mut record| {
            record.folders.extend(made);
            record
        });
        if records.get(settings) == record.as_ref() {
            return Ok(());
        }
        records.set(settings, record);
        records.write(&self.records_path())
    }

    /// Keeps a copy of a file that is about to change, for whoever wants it back by hand.
    fn back_up(&self, text: Option<&str>) -> Result<Option<PathBuf>, Error> {
        let Some(text) = text else { return Ok(None) };
        let folder = self.home.monitor().join("backup");
        let now = Timestamp::from_system(SystemTime::now());
        let path = folder.join(format!("settings-{}.json", now.0));
        file::make_own_folder(&self.home, &folder)?;
        file::write_own(&path, text.as_bytes())?;
        let mut backups: Vec<PathBuf> = fs::read_dir(&folder)
            .map_err(Error::io("read", &folder))?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| {
                path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("settings-"))
            })
            .collect();
        backups.sort();
        let old = backups.len().saturating_sub(BACKUPS_MAX);
        for path in &backups[..old] {
            file::remove_own(path)?;
        }
        Ok(Some(path))
    }
}

/// What a file is without our hooks: the very bytes from before we came when it is as we left it, else what is
/// left when ours are cut out. Nothing when there would be no file without us.
fn without_ours(
    settings: &Path,
    current: Option<&str>,
    record: Option<&Record>,
) -> Result<Option<String>, Error> {
    let Some(current) = current else { return Ok(None) };
    if let Some(record) = record
        && record.after == current
    {
        return Ok(record.before.clone());
    }
    let original = record.and_then(|record| record.before.as_deref());
    let rest = edit::remove(current, settings, original)?;
    let is_ours_alone = record.is_some_and(|record| record.before.is_none());
    let is_empty = rest.text.split_whitespace().collect::<String>() == "{}";
    Ok((!(is_ours_alone && is_empty)).then_some(rest.text))
}
