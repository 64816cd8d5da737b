//! Which Claude Code is installed. Its version decides which hooks it understands.

use std::ffi::OsString;
use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::str::FromStr;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use serde::{Serialize, Serializer};

use crate::Error;

/// How long `claude --version` may take; a cold start on a slow disk takes seconds.
const ANSWER_LIMIT: Duration = Duration::from_secs(15);

/// A version of Claude Code: three numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub u32, pub u32, pub u32);

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.0, self.1, self.2)
    }
}

impl Serialize for Version {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl FromStr for Version {
    type Err = String;

    /// Reads `2.1.240` and what `claude --version` prints: `2.1.240 (Claude Code)`.
    fn from_str(text: &str) -> Result<Self, String> {
        let number = text.split_whitespace().next().unwrap_or_default();
        // A pre-release counts as the version it leads to: it has that version's hooks.
        let core = number.split(['-', '+']).next().unwrap_or_default();
        let mut parts = core.trim_start_matches('v').split('.').map(str::parse);
        match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some(Ok(major)), Some(Ok(minor)), Some(Ok(patch)), None) => Ok(Self(major, minor, patch)),
            _ => Err(format!("expected a version such as 2.1.240, not {:?}", text.trim())),
        }
    }
}

/// Folders of a user's home where installers and package managers put `claude`. A program that no shell has started
/// often has a path without them.
const USUAL: &[&str] = &[
    ".local/bin",
    ".claude/local",
    ".npm-global/bin",
    ".bun/bin",
    ".volta/bin",
    ".asdf/shims",
    ".local/share/mise/shims",
];

/// The `claude` executable: on the path, else where its installers put it.
pub fn find(var: &dyn Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let path = var("PATH").unwrap_or_default();
    let home = var("HOME").or_else(|| var("USERPROFILE")).map(PathBuf::from);
    let usual = home.into_iter().flat_map(|home| USUAL.iter().map(move |folder| home.join(folder)));
    let names: &[&str] = if cfg!(windows) { &["claude.exe", "claude.cmd"] } else { &["claude"] };
    let folders = std::env::split_paths(&path).chain(usual);
    folders
        .flat_map(|folder| names.iter().map(move |name| folder.join(name)))
        .find(|file| is_executable(file))
}

/// Asks an executable for its version.
///
/// # Errors
/// When it does not run, does not answer in time, or answers with something else.
pub fn installed(claude: &Path) -> Result<Version, Error> {
    let failed = |reason: String| Error::NoVersion(format!("{} --version {reason}", claude.display()));
    let mut command = Command::new(claude);
    command.arg("--version").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().map_err(|error| failed(format!("did not start: {error}")))?;
    let (answered, answer) = mpsc::channel();
    let stdout = child.stdout.take();
    thread::spawn(move || {
        let mut text = String::new();
        // More than a line is no version; an unreadable answer is an empty one.
        let _ = stdout.map(|stdout| stdout.take(1024).read_to_string(&mut text));
        // Nobody listens any more when it took too long.
        let _ = answered.send(text);
    });
    let text = answer.recv_timeout(ANSWER_LIMIT);
    // It has said what we wanted; whether it ends by itself is not ours to wait for.
    let _ = child.kill();
    let _ = child.wait();
    let text = text.map_err(|_| failed(format!("did not answer within {} s", ANSWER_LIMIT.as_secs())))?;
    text.parse().map_err(|reason: String| failed(format!("answered with something else: {reason}")))
}

/// Whether a file can be run.
pub(crate) fn is_executable(file: &Path) -> bool {
    let Ok(metadata) = file.metadata() else { return false };
    #[cfg(unix)]
    let may_run = std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o111 != 0;
    #[cfg(not(unix))]
    let may_run = true;
    metadata.is_file() && may_run
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_read_as_claude_prints_it() {
        for text in ["2.1.240 (Claude Code)\n", "2.1.240", "v2.1.240", "2.1.240-beta.1"] {
            assert_eq!(text.parse(), Ok(Version(2, 1, 240)), "{text:?}");
        }
        for text in ["", "2.1", "2.1.x", "2.1.2.3", "claude: not found"] {
            assert!(text.parse::<Version>().is_err(), "{text:?}");
        }
        assert!(Version(2, 1, 99) < Version(2, 1, 101));
    }
}
