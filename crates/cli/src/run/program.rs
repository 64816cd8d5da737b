//! The program that is started: its words, its variables, and its process.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus};

use anyhow::Context as _;

/// What is read at once: as much as a pipe or a terminal holds.
pub(super) const READ_BYTES: usize = 64 * 1024;

/// The token for a monitor that the user names by its address: with it, a hook takes any address for the user's word.
const TOKEN: &str = "CLAUDE_MPM_MONITOR_TOKEN";

/// A program to be started.
pub(super) struct Launch {
    pub(super) program: PathBuf,
    /// Its name and arguments as the user wrote them.
    pub(super) command: Vec<OsString>,
    pub(super) variables: Vec<(&'static str, String)>,
}

impl Launch {
    pub(super) fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        self.lead(command.args(&self.command[1..]));
        #[cfg(unix)]
        std::os::unix::process::CommandExt::arg0(&mut command, &self.command[0]);
        command
    }

    /// Gives the program's hooks their variables. A token that the user has for another monitor is none of them.
    pub(super) fn lead(&self, command: &mut Command) {
        command.envs(self.variables.iter().map(|(name, value)| (name, value))).env_remove(TOKEN);
    }

    pub(super) fn spawn(&self, command: &mut Command) -> anyhow::Result<Child> {
        command.spawn().with_context(|| format!("could not run {}", self.program.display()))
    }
}

/// Waits for its end.
pub(super) fn wait(child: &mut Child) -> anyhow::Result<ExitStatus> {
    child.wait().context("could not wait for the program")
}
