//! The process of Claude Code that called the hook, and the folder that its session is for. Of the environment nothing
//! but these two variables is handed on: others hold secrets.

use std::ffi::OsString;

use protocol::Caller;
use serde_json::json;

/// The pid of the process that called the hook.
const PID: &str = "CLAUDE_PID";

/// The folder in which the session began.
const PROJECT: &str = "CLAUDE_PROJECT_DIR";

/// One that takes more as JSON is left out: the envelope has its limit, and the payload names the working directory.
const PROJECT_BYTES_MAX: usize = 512;

/// What is known of who called.
#[derive(Debug, Default)]
pub struct Called {
    /// The process, where the system proves which one it is.
    pub by: Option<Caller>,
    /// The folder of the session, whatever folder its commands went to since.
    pub project: Option<String>,
}

impl Called {
    /// Looks at the environment.
    pub fn from_env(var: impl Fn(&str) -> Option<OsString>) -> Self {
        let text = |name: &str| var(name)?.into_string().ok().filter(|text| !text.is_empty());
        let project = text(PROJECT).filter(|project| json!(project).to_string().len() <= PROJECT_BYTES_MAX);
        Self { by: text(PID).and_then(|pid| process(pid.parse().ok()?)), project }
    }
}

/// That process, as this system has it now.
#[cfg(target_os = "linux")]
fn process(pid: u32) -> Option<Caller> {
    use protocol::runfile::start_ticks;
    use std::os::unix::fs::MetadataExt;

    let namespace = std::fs::metadata("/proc/self/ns/pid").ok()?.ino();
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    Some(Caller { pid, started: start_ticks(&stat)?, namespace })
}

/// Elsewhere nothing proves it without more than a hook may cost.
#[cfg(not(target_os = "linux"))]
fn process(_: u32) -> Option<Caller> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn called(vars: &[(&str, &str)]) -> Called {
        Called::from_env(|name| {
            vars.iter().find(|(known, _)| *known == name).map(|(_, value)| OsString::from(*value))
        })
    }

    #[test]
    fn only_a_process_that_is_there_is_named_and_a_folder_that_fits() {
        let own = std::process::id().to_string();
        let named = called(&[("CLAUDE_PID", &own), ("CLAUDE_PROJECT_DIR", "/home/dev/shop")]);
        assert_eq!(named.by.is_some(), cfg!(target_os = "linux"));
        assert_eq!(named.project.as_deref(), Some("/home/dev/shop"));
        for pid in ["0", "-1", "4294967295", "x", ""] {
            assert!(called(&[("CLAUDE_PID", pid)]).by.is_none(), "{pid}");
        }
        assert!(called(&[("CLAUDE_PROJECT_DIR", &"x".repeat(PROJECT_BYTES_MAX))]).project.is_none());
    }
}
