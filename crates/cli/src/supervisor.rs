//! The supervisor of a background server: a small process of the same executable, detached from the terminal.

use std::ffi::OsString;
use std::process::ExitStatus;
use std::time::Duration;
use std::{io, thread};

use anyhow::Context as _;
use client::Process;
use host::{Hangup, SupervisionEnd, Supervisor};
use tokio::sync::oneshot;

use crate::Exit;
use crate::args::{PortChoice, Start};
use crate::context::Context;
use crate::serve::signals;

/// How often a server that is not persistent looks whether its terminal session still is.
const POLL: Duration = Duration::from_secs(1);

/// Keeps a server alive until it ends well or is ordered to. The parent reads on standard error why the server
/// never came to serve.
pub(crate) fn run(start: &Start, context: &mut Context<'_, '_>) -> anyhow::Result<Exit> {
    let starter = session();
    detach();
    let port = match start.listen.port {
        Some(PortChoice::Exact(port)) => Some(port),
        Some(PortChoice::Auto) | None => None,
    };
    let settings = context.settings(&start.listen.flags(port))?;
    let port = settings.config.port;
    let host = settings.config.host.clone();
    let log = settings.open_log(&context.home, port);
    let log = log.with_context(|| {
        format!("could not open the log {}", settings.log_path(&context.home, port).display())
    })?;
    let exe = std::env::current_exe().context("could not find this executable")?;
    let arguments = |port| {
        let role = ["start", "--foreground", "--role=server"].map(OsString::from);
        role.into_iter().chain(start.listen.arguments(&host, port)).collect()
    };
    let home = context.home.clone();
    let supervisor = Supervisor {
        exe: &exe,
        arguments: &arguments,
        is_port_taken: &is_port_taken,
        home: &home,
        port,
        log,
        log_format: settings.log_format,
        health_check_interval: settings.health_check_interval,
    };
    let starter = starter.filter(|_| !settings.persistent);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.context("could not start the runtime")?;
    let ended = runtime.block_on(async {
        let (order, _) = signals(Hangup::IsIgnored).context("could not listen for signals")?;
        let order = async {
            tokio::select! {
                () = order => {}
                () = ended(starter) => {}
            }
        };
        supervisor.run(order, abandoned()).await.context("could not supervise the server")
    });
    // A health check may still wait for its answer.
    runtime.shutdown_background();
    Ok(match ended? {
        SupervisionEnd::Stopped => Exit::Done,
        SupervisionEnd::GaveUp => Exit::Failed,
        SupervisionEnd::NeverServed { status, output } => {
            context.terminal.complain(reason(&output, &status.to_string()));
            // Who had the port is for the parent to find out.
            if status.code() == Some(Exit::PortTaken as i32) { Exit::PortTaken } else { Exit::Failed }
        }
    })
}

/// Whether a server ended because somebody else has one of its ports.
fn is_port_taken(status: ExitStatus) -> bool {
    let taken = [Exit::PortTaken, Exit::DashboardPortTaken];
    taken.into_iter().any(|exit| status.code() == Some(exit as i32))
}

/// A server's own words when it failed: from its `Error:` line on, else all that it wrote.
fn reason(output: &str, status: &str) -> String {
    match output.find("Error: ") {
        Some(at) => output[at..].to_owned(),
        None => {
            format!("Error: the monitor ended during its start ({status})\n{output}").trim_end().to_owned()
        }
    }
}

/// The process that leads the session in which this server was started, usually the shell of a terminal; none when
/// that is the very command that started it.
fn session() -> Option<Process> {
    let leader = Process::session_leader()?;
    #[cfg(unix)]
    if leader.pid == std::os::unix::process::parent_id() {
        return None;
    }
    Some(leader)
}

/// Completes when that process has ended.
async fn ended(process: Option<Process>) {
    let Some(process) = process else { return std::future::pending().await };
    while process.is_alive() {
        tokio::time::sleep(POLL).await;
    }
}

/// Completes when the command that started this one has ended: it holds the other end of our standard input, and never
/// writes.
async fn abandoned() {
    let (ended, end) = oneshot::channel::<()>();
    let reading = thread::Builder::new().name("starter".to_owned()).spawn(|| {
        // However the reading ends, nobody is there.
        let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
        drop(ended);
    });
    match reading {
        Ok(_) => drop(end.await),
        // A system without another thread: then a start that is cut off is not noticed.
        Err(_) => std::future::pending().await,
    }
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
    fn a_failed_server_is_quoted_from_its_error_on() {
        let output = "INFO starting\nError: permission denied on port 1\nSuggestion: x";
        assert_eq!(reason(output, "exit status: 1"), "Error: permission denied on port 1\nSuggestion: x");
        assert_eq!(
            reason("panicked", "exit status: 101"),
            "Error: the monitor ended during its start (exit status: 101)\npanicked"
        );
    }
}
