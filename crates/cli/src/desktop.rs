//! The desktop app, where it is installed and there is a display for it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use client::{Probe, Running};

use crate::browser;
use crate::context::Context;

/// The app's executable.
const NAME: &str = "claude-mpm-monitor-desktop";

/// How often the parent looks whether the app answers.
const POLL: Duration = Duration::from_millis(50);

/// The app beside this executable, else on the `PATH`, when it has a display to show itself on.
pub(crate) fn installed(context: &Context<'_, '_>) -> Option<PathBuf> {
    if !browser::has_display(context) {
        return None;
    }
    // Of the same installation, so of the same version.
    let own = std::env::current_exe().and_then(std::fs::canonicalize).ok();
    let beside = own.as_deref().and_then(Path::parent).map(Path::to_owned);
    let path = (context.var)("PATH").unwrap_or_default();
    let name = format!("{NAME}{}", std::env::consts::EXE_SUFFIX);
    let folders = beside.into_iter().chain(std::env::split_paths(&path));
    folders.map(|folder| folder.join(&name)).find(|app| app.is_file())
}

/// Starts the app, which outlives this process, and waits until it serves; `None` when it ends instead.
pub(crate) fn start(
    app: &Path,
    port: u16,
    context: &Context<'_, '_>,
) -> anyhow::Result<Option<Box<Running>>> {
    let mut command = Command::new(app);
    command.args(["--port", &port.to_string()]).env("CLAUDE_MPM_HOME", context.home.folder());
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    // Ctrl-C in this terminal is not meant for it.
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    let mut child = command.spawn().with_context(|| format!("could not start {}", app.display()))?;
    let (started, limit) = (Instant::now(), context.start_limit()?);
    while started.elapsed() < limit {
        if let Probe::Ours(running) = client::probe(&context.home, port) {
            return Ok(Some(running));
        }
        // An app that runs already takes the port over, and this start ends well.
        if child.try_wait()?.is_some_and(|status| !status.success()) {
            return Ok(None);
        }
        thread::sleep(POLL);
    }
    Ok(None)
}
