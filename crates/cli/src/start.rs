//! `start`: a monitor in the background, reported as started when it answers; or in this terminal.

use std::ffi::{OsStr, OsString};

use anyhow::Context as _;
use client::{Detached, DetachedError, Probe, Running, page, start_detached};
use host::Settings;
use protocol::Runfile;

use crate::Exit;
use crate::args::{Mode, PortChoice, Start};
use crate::context::Context;
use crate::launch::{self, Target};
use crate::serve::serve;
use crate::token;

pub(crate) fn run(start: &Start, context: &mut Context<'_, '_>) -> anyhow::Result<Exit> {
    if start.mode == Mode::Background {
        detach();
        return attempt(start, context);
    }
    let exit = attempt(start, context)?;
    Ok(if exit == Exit::PortTaken { Exit::Failed } else { exit })
}

fn attempt(start: &Start, context: &mut Context<'_, '_>) -> anyhow::Result<Exit> {
    let Target { settings, found } = Target::find(&start.listen, context)?;
    let port = settings.config.port;
    if !matches!(found, Probe::Free) {
        return already(found, port, context);
    }
    context.terminal.say("Starting Socket.IO monitoring server...\n");
    let outcome = if start.foreground {
        in_foreground(start, settings, context)?
    } else {
        in_background(&settings, start.listen.project.as_deref(), context)?
    };
    match outcome {
        Outcome::Ended(exit) => Ok(exit),
        // Another program was quicker: the next free port, then.
        Outcome::Taken(_) if start.listen.port == Some(PortChoice::Auto) => attempt(start, context),
        Outcome::Taken(found) => already(found, port, context),
    }
}

/// What became of a start.
enum Outcome {
    /// It served, or it failed and said why.
    Ended(Exit),
    /// Somebody else took the port after we had looked.
    Taken(Probe),
}

fn in_foreground(
    start: &Start,
    mut settings: Settings,
    context: &mut Context<'_, '_>,
) -> anyhow::Result<Outcome> {
    if start.mode == Mode::Background {
        settings.config.mode = "background".to_owned();
    }
    let is_logged = start.mode == Mode::Background;
    let taken = serve(settings, start.listen.project.clone(), context, |runfile, context| {
        report(runfile, context);
        // A login link has no business in a log; the command that started this process prints one.
        if !is_logged {
            token::report(runfile, context);
        }
    })?;
    Ok(taken.map_or(Outcome::Ended(Exit::Done), Outcome::Taken))
}

/// How a child ends when another monitor of this user, or anybody else, was quicker.
const CHILD_WAS_LATE: [Option<i32>; 2] = [Some(Exit::Done as i32), Some(Exit::PortTaken as i32)];

fn in_background(
    settings: &Settings,
    project: Option<&str>,
    context: &mut Context<'_, '_>,
) -> anyhow::Result<Outcome> {
    let port = settings.config.port;
    let exe = std::env::current_exe().context("could not find this executable")?;
    let (port_text, host) = (port.to_string(), settings.config.host.as_str());
    let args =
        ["start", "--foreground", "--mode", "background", "--port", port_text.as_str(), "--host", host];
    let tls = tls_flags(settings);
    let args = args.into_iter().chain(tls.iter().map(String::as_str));
    let project = project.into_iter().flat_map(|project| ["--project", project]);
    let args: Vec<OsString> = args.chain(project).map(OsString::from).collect();
    let args: Vec<&OsStr> = args.iter().map(OsString::as_os_str).collect();
    let home = context.home.clone();
    let detached = Detached { exe: &exe, args: &args, home: &home, port, limit: context.start_limit()? };
    match start_detached(&detached) {
        Ok(running) => {
            report(&running.runfile, context);
            token::report(&running.runfile, context);
            Ok(Outcome::Ended(Exit::Done))
        }
        Err(DetachedError::Ended { status, .. }) if CHILD_WAS_LATE.contains(&status.code()) => {
            Ok(Outcome::Taken(client::probe(&home, port)))
        }
        Err(DetachedError::Ended { status, output }) => {
            context.terminal.complain(failure(&output, &status.to_string()));
            Ok(Outcome::Ended(Exit::Failed))
        }
        Err(error) => Err(error.into()),
    }
}

/// The child gets what this command decided, whatever its own settings would say.
fn tls_flags(settings: &Settings) -> Vec<String> {
    let path = |flag: &str, path: &std::path::Path| [flag.to_owned(), path.display().to_string()];
    let files = settings.tls_cert.iter().flat_map(|file| path("--tls-cert", file));
    let files = files.chain(settings.tls_key.iter().flat_map(|file| path("--tls-key", file)));
    settings.tls.then(|| "--tls".to_owned()).into_iter().chain(files).collect()
}

/// A background server's own words when it failed: from its `Error:` line on, else all that it wrote.
fn failure(output: &str, status: &str) -> String {
    match output.find("Error: ") {
        Some(at) => output[at..].to_owned(),
        None => {
            format!("Error: the monitor ended during its start ({status})\n{output}").trim_end().to_owned()
        }
    }
}

/// Tells of a server that has just been started.
fn report(runfile: &Runfile, context: &mut Context<'_, '_>) {
    let url = page(runfile);
    let Runfile { pid, mode, .. } = runfile;
    context.terminal.say(format_args!(
        "✓ Server started successfully\n  \
           - Server URL: {url}\n  \
           - Dashboard URL: {url}\n  \
           - Process ID: {pid}\n  \
           - Mode: {mode}\n\n\
         Monitoring server is ready for connections.\n\
         Open {url} in your browser to view the dashboard."
    ));
}

/// Reports who has the port.
fn already(found: Probe, port: u16, context: &mut Context<'_, '_>) -> anyhow::Result<Exit> {
    match found {
        Probe::Ours(running) => {
            let (url, Running { runfile, .. }) = (running.url(), *running);
            context.terminal.say(format_args!("Monitor already running at {url} (pid {})", runfile.pid));
            return Ok(Exit::Done);
        }
        Probe::Legacy { pid, version } => {
            let (text, way_out) = launch::legacy(port, pid, version.as_deref());
            context.terminal.error(text, Some(&way_out));
        }
        Probe::Foreign { owner } => {
            let holder = client::holder(owner.as_ref());
            let way_out = launch::hung(port, context);
            let way_out = way_out.as_deref().unwrap_or("use --port to choose another port");
            context.terminal.error(format_args!("Port {port} is already in use by {holder}"), Some(way_out));
        }
        Probe::Free => anyhow::bail!("who had port {port} ended while this monitor started; try again"),
    }
    Ok(Exit::PortTaken)
}

/// Leaves the terminal's session, so that closing the terminal does not end the server.
fn detach() {
    // It fails only for a process that leads a group already: then it is detached.
    #[cfg(unix)]
    let _ = rustix::process::setsid();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_background_server_is_quoted_from_its_error_on() {
        let output =
            "Starting Socket.IO monitoring server...\n\nError: permission denied on port 1\nSuggestion: x";
        assert_eq!(failure(output, "exit status: 1"), "Error: permission denied on port 1\nSuggestion: x");
        assert_eq!(
            failure("panicked", "exit status: 101"),
            "Error: the monitor ended during its start (exit status: 101)\npanicked"
        );
    }
}
