//! `/mpm-monitor` within Claude Code: a command file that passes its arguments to our command line.

use std::path::{Path, PathBuf};

use crate::{Change, Configuration, Error, file};

/// By this line a file is known as ours.
const MARK: &str = "<!-- written by `claude-mpm-monitor hooks install --slash-command` -->";

/// The command file of one user.
#[derive(Clone, Debug)]
pub struct SlashCommand {
    path: PathBuf,
}

impl SlashCommand {
    /// That of this configuration folder.
    pub fn of(configuration: &Configuration) -> Self {
        Self { path: configuration.commands().join("mpm-monitor.md") }
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether our command is there.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn is_installed(&self) -> Result<bool, Error> {
        Ok(file::read(&self.path)?.is_some_and(|text| text.contains(MARK)))
    }

    /// Writes the file; `program` is how a shell finds the command line.
    ///
    /// # Errors
    /// When a file of that name is not ours, or it cannot be written.
    pub fn install(&self, program: &str) -> Result<(), Error> {
        if file::read(&self.path)?.is_some_and(|text| !text.contains(MARK)) {
            return Err(Error::Foreign(self.path.clone()));
        }
        file::make_folders(&self.path)?;
        file::write(&self.path, text(program).as_bytes())
    }

    /// What an uninstall would change: the file goes if it is ours. Nothing is written.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn plan_uninstall(&self) -> Result<Change, Error> {
        let before = file::read(&self.path)?.filter(|text| text.contains(MARK));
        Ok(Change { path: self.path.clone(), before, after: None, backup: None })
    }

    /// Removes the file if it is ours.
    ///
    /// # Errors
    /// When it cannot be read or removed.
    pub fn uninstall(&self) -> Result<Change, Error> {
        let change = self.plan_uninstall()?;
        if !change.is_nothing() {
            file::remove(&self.path)?;
            // Only an empty folder goes.
            let _ = self.path.parent().map(std::fs::remove_dir);
        }
        Ok(change)
    }
}

/// The command's text. Claude Code runs the line with `!` and puts what it prints in its place.
fn text(program: &str) -> String {
    format!(
        "---\n\
         description: Start, stop and look at the Claude MPM monitor\n\
         argument-hint: start | stop | restart | status | port [options]\n\
         allowed-tools: Bash({program} slash:*)\n\
         ---\n\
         {MARK}\n\
         The monitor's command line answered:\n\
         \n\
         !`{program} slash $ARGUMENTS`\n\
         \n\
         Show the user this answer as it is. Do nothing else.\n"
    )
}
