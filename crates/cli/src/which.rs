//! Which monitor a verb talks to, and which events it is about: common to all verbs that read or write events.

use std::path::Path;

use anyhow::Context as _;
use client::{Monitor, Probe, Query, Running};
use protocol::stream::Filter;

use crate::Exit;
use crate::args::Wanted;
use crate::context::Context;

/// Claude Code's ids are UUIDs; what is as long is no beginning of one.
const WHOLE_ID_CHARS: usize = 36;

/// The monitor on the named port. Without a name, the one on the configured port, else the only one that runs.
/// Where there is none, the way out was printed.
pub(crate) fn monitor(
    port: Option<u16>,
    context: &mut Context<'_, '_>,
) -> anyhow::Result<Result<Running, Exit>> {
    one_of(port, "choose one with --port", context)
}

/// Same, with what to do where several run.
pub(crate) fn one_of(
    port: Option<u16>,
    choice: &str,
    context: &mut Context<'_, '_>,
) -> anyhow::Result<Result<Running, Exit>> {
    let wanted = context.port(port)?;
    if let Probe::Ours(running) = client::probe(&context.home, wanted) {
        return Ok(Ok(*running));
    }
    let mut others = if port.is_some() { Vec::new() } else { client::running(&context.home) };
    Ok(match others.len() {
        0 => Err(none_on(wanted, context)),
        1 => Ok(others.remove(0)),
        _ => {
            let ports: Vec<_> = others.iter().map(|other| other.runfile.port.to_string()).collect();
            let error = format!("Several monitors run, on ports {}", ports.join(", "));
            context.terminal.error(error, Some(choice));
            Err(Exit::Usage)
        }
    })
}

/// This user's monitors that answer. Where there is none, the way out was printed.
pub(crate) fn all(context: &mut Context<'_, '_>) -> anyhow::Result<Result<Vec<Running>, Exit>> {
    let running = client::running(&context.home);
    if running.is_empty() {
        let port = context.port(None)?;
        return Ok(Err(none_on(port, context)));
    }
    Ok(Ok(running))
}

fn none_on(port: u16, context: &mut Context<'_, '_>) -> Exit {
    let way_out = format!("use 'claude-mpm-monitor start --port {port}' to start it");
    context.terminal.error(format_args!("Monitor is not running on port {port}"), Some(&way_out));
    Exit::NotRunning
}

impl Wanted {
    /// As a query; a session may be named by the beginning of its id.
    pub(crate) fn query(&self, monitor: &Monitor) -> anyhow::Result<Query> {
        let session = self.session.as_deref().map(|session| session_id(session, monitor)).transpose()?;
        let filter = Filter {
            session,
            project: self.project.as_deref().map(folder).transpose()?,
            kinds: self.kind.clone(),
            tool: self.tool.clone(),
            agent: self.agent.clone(),
            error: self.errors.then_some(true),
        };
        Ok(Query { filter, id: self.id, ..Query::default() })
    }
}

/// The whole id of the session that begins so. What no known session begins with may come yet.
pub(crate) fn session_id(text: &str, monitor: &Monitor) -> anyhow::Result<String> {
    if text.chars().count() >= WHOLE_ID_CHARS {
        return Ok(text.to_owned());
    }
    let sessions = monitor.sessions()?;
    let ids: Vec<&str> = sessions.iter().map(|session| session.session_id.as_str()).collect();
    let beginning: Vec<&str> = ids.iter().copied().filter(|id| id.starts_with(text)).collect();
    match beginning[..] {
        _ if ids.contains(&text) => Ok(text.to_owned()),
        [] => Ok(text.to_owned()),
        [only] => Ok(only.to_owned()),
        _ => anyhow::bail!("several sessions begin with {text}: {}", beginning.join(", ")),
    }
}

/// A folder as Claude Code names it: absolute and without links. One that is gone was named so, too.
fn folder(text: &str) -> anyhow::Result<String> {
    let path = std::fs::canonicalize(text).or_else(|_| std::path::absolute(Path::new(text)));
    let path = path.with_context(|| format!("could not find the folder {text}"))?;
    Ok(path.to_string_lossy().into_owned())
}
