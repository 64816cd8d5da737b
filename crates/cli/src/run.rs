//! `run`: starts a program, usually Claude Code, and tells the monitor what it does: when it starts and ends, and what
//! it shows. The program must not notice.

mod detect;
mod launch;
mod outbox;
mod program;
#[cfg(unix)]
mod pty;
mod screen;
mod tell;
mod teller;

use std::ffi::OsString;
use std::path::PathBuf;

use client::{Probe, Running};

use crate::Exit;
use crate::args::{LaunchMethod, Listen, Run};
use crate::context::Context;
use crate::launch::Target;
use crate::start::{self, Outcome};
use crate::trouble::Trouble;
use program::Launch;
use tell::Session;

/// The other half of a program's terminal, in the program's own process.
#[cfg(unix)]
pub(crate) use pty::become_leader;

/// Terminals of programs are made on Unix only.
#[cfg(not(unix))]
pub(crate) fn become_leader(_: &[OsString]) -> anyhow::Result<Exit> {
    anyhow::bail!("this system has no such terminals")
}

/// What a shell returns for a command that it does not find.
const NOT_FOUND: i32 = 127;

pub(crate) fn run(run: &Run, context: &mut Context<'_, '_>) -> anyhow::Result<Exit> {
    let command: Vec<OsString> = match run.command.as_slice() {
        [] => vec!["claude".into()],
        words => words.to_vec(),
    };
    let Some(program) = find(&command[0], context) else {
        let program = command[0].to_string_lossy();
        let way_out = format!("install it, or name another program: claude-mpm-monitor run -- {program}");
        context.terminal.error(format_args!("there is no program {program} on your PATH"), Some(&way_out));
        std::process::exit(NOT_FOUND);
    };
    let Some(running) = monitor(run, context)? else { return Ok(Exit::Failed) };
    let session = Session::new(&running, run.launch_method, &command);
    let launch = Launch { program, command, variables: variables(&running) };
    match run.launch_method {
        LaunchMethod::Exec => Err(launch.replace_this_process(&session)),
        LaunchMethod::Subprocess => launch.watch(session),
    }
}

/// The monitor that is told: the one on that port, or a new one in the background.
fn monitor(run: &Run, context: &mut Context<'_, '_>) -> anyhow::Result<Option<Box<Running>>> {
    let listen = Listen { port: run.port, ..Listen::default() };
    let Target { settings, found } = Target::find(&listen, context)?;
    let port = settings.config.port;
    let found = match found {
        Probe::Free if !settings.auto_start => {
            let origin = settings.origin("auto_start");
            let error = format!(
                "no monitor runs on port {port}, and none is to be started: auto_start is off ({origin})"
            );
            let way_out = format!("start it with 'claude-mpm-monitor start --port {port}'");
            context.terminal.error(error, Some(&way_out));
            return Ok(None);
        }
        Probe::Free => match start::in_background(&listen, &settings, context)? {
            Outcome::Served(running) => return Ok(Some(running)),
            Outcome::Ended(_) => return Ok(None),
            Outcome::Taken(found) => found,
        },
        found => found,
    };
    match found {
        Probe::Ours(running) => Ok(Some(running)),
        Probe::Stray(stray) => {
            let Trouble { what, way_out } = Trouble::of_stray(&stray);
            context
                .terminal
                .error(format_args!("your monitor serves port {port}, but {what}"), Some(&way_out));
            Ok(None)
        }
        _ => {
            let way_out = "use --port auto for a free one, or stop what is there";
            context.terminal.error(format_args!("port {port} is in use by another program"), Some(way_out));
            Ok(None)
        }
    }
}

/// What leads the hooks of the program, ours and claude-mpm's, to this very monitor: by plain HTTP, which it takes
/// from its own machine also when it encrypts for others. Our hook follows it as long as the runfile proves that it is
/// there.
fn variables(running: &Running) -> Vec<(&'static str, String)> {
    let port = running.runfile.port.to_string();
    vec![
        ("CLAUDE_MPM_MONITOR_URL", running.monitor().url().to_owned()),
        ("CLAUDE_MPM_SERVER_PORT", port.clone()),
        ("CLAUDE_MPM_SOCKETIO_PORT", port),
    ]
}

/// The executable that a shell would run for this word.
fn find(word: &std::ffi::OsStr, context: &Context<'_, '_>) -> Option<PathBuf> {
    let named = PathBuf::from(word);
    if named.components().count() > 1 {
        return named.is_file().then_some(named);
    }
    let path = (context.var)("PATH").unwrap_or_default();
    let mut files = std::env::split_paths(&path)
        .flat_map(|folder| [folder.join(word), folder.join(word).with_extension("exe")]);
    files.find(|file| is_executable(file))
}

fn is_executable(file: &std::path::Path) -> bool {
    let Ok(metadata) = file.metadata() else { return false };
    #[cfg(unix)]
    let may_run = std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o111 != 0;
    #[cfg(not(unix))]
    let may_run = true;
    metadata.is_file() && may_run
}
