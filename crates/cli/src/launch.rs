//! Where a monitor is to be served, who is there already, and what may be ended to get the port: common to the
//! bare command, `start`, `restart` and `port`.

use std::time::Duration;

use client::legacy::Step;
use client::{Legacy, Lock, Owner, Probe, Reclaimed};
use host::{Config, DeploymentMode, Settings, StartError};
use protocol::names;

use crate::args::{Listen, PortChoice, Reclaim};
use crate::context::Context;

/// How long a monitor of this user that holds the port's lock may take until it answers or ends.
const SETTLE_LIMIT: Duration = Duration::from_secs(5);

/// A port with its settings, and who holds it.
pub(crate) struct Target {
    pub(crate) settings: Settings,
    pub(crate) found: Probe,
}

impl Target {
    /// Chooses the port: the named one, the first free one for `auto`, else the configured one. Never another.
    pub(crate) fn find(listen: &Listen, context: &mut Context<'_, '_>) -> anyhow::Result<Self> {
        let port = match listen.port {
            Some(PortChoice::Exact(port)) => Some(port),
            Some(PortChoice::Auto) => Some(first_free(context)?),
            None => None,
        };
        let mut settings = context.settings(&listen.flags(port))?;
        if settings.deployment_mode == DeploymentMode::Client {
            let origin = settings.origin("deployment_mode");
            anyhow::bail!("deployment_mode is \"client\" ({origin}): no server is started on this machine");
        }
        settings.config.working_directory = std::env::current_dir().unwrap_or_default();
        let found = match listen.port {
            // It has just been looked at; whoever takes it from now on is met when it is bound.
            Some(PortChoice::Auto) => Probe::Free,
            _ => settled(settings.config.port, context)?,
        };
        Ok(Self { settings, found })
    }

    /// Frees the port where that is allowed, and looks again.
    pub(crate) fn reclaimed(self, reclaim: Reclaim, context: &mut Context<'_, '_>) -> anyhow::Result<Self> {
        let port = self.settings.config.port;
        let freed = match &self.found {
            Probe::Foreign { .. } if reclaim.force && Lock::is_held(&context.home, port) => {
                context
                    .terminal
                    .say(format_args!("Stopping the monitor on port {port}, which does not answer"));
                client::stop(&context.home, port, true)?;
                true
            }
            Probe::Stray(_) if reclaim.force => {
                context.terminal.say(format_args!("Stopping the monitor on port {port}, whose home is gone"));
                client::stop(&context.home, port, true)?;
                true
            }
            Probe::Foreign { owner: Some(owner) } if !reclaim.no_reclaim && owner.is_debug_script() => {
                end_debug_script(owner, port, reclaim.force, context)
            }
            Probe::Legacy(legacy) if reclaim.force => {
                let stopped = stop_legacy(port, legacy, false, context);
                stopped.is_some()
            }
            _ => false,
        };
        let found = if freed { client::probe(&context.home, port) } else { self.found };
        Ok(Self { found, ..self })
    }
}

/// Who holds a port, after a monitor of this user that is just starting or stopping there has done so.
fn settled(port: u16, context: &Context<'_, '_>) -> anyhow::Result<Probe> {
    let home = &context.home;
    let found = client::probe(home, port);
    if matches!(found, Probe::Ours(_)) || !Lock::is_held(home, port) {
        return Ok(found);
    }
    let ours = client::wait_for_ours(home, port, SETTLE_LIMIT.min(context.start_limit()?));
    Ok(ours.map_or_else(|| client::probe(home, port), Probe::Ours))
}

fn first_free(context: &Context<'_, '_>) -> anyhow::Result<u16> {
    let (first, last) = (names::PORT_RANGE.start(), names::PORT_RANGE.end());
    let free = names::PORT_RANGE.into_iter().find(|port| {
        matches!(client::probe(&context.home, *port), Probe::Free) && !Lock::is_held(&context.home, *port)
    });
    free.ok_or_else(|| anyhow::anyhow!("no port from {first} to {last} is free; choose another with --port"))
}

/// Where the dashboard of a server with that configuration is; `None` when it is switched off.
pub(crate) fn dashboard_port(config: &Config) -> Option<u16> {
    config.dashboard.then(|| config.dashboard_port.unwrap_or(config.port))
}

fn end_debug_script(owner: &Owner, port: u16, force: bool, context: &mut Context<'_, '_>) -> bool {
    context.terminal.say(format_args!("Stopping the debug script on port {port}: {owner}"));
    match client::reclaim_debug_script(owner, force) {
        Reclaimed::Ended => true,
        Reclaimed::Stubborn => {
            context.terminal.complain("It does not end when asked; --force ends it.");
            false
        }
        Reclaimed::LeftAlone => false,
    }
}

/// Stops one of claude-mpm's servers and tells how it goes.
pub(crate) fn stop_legacy(
    port: u16,
    legacy: &Legacy,
    force: bool,
    context: &mut Context<'_, '_>,
) -> Option<client::Stopped> {
    let terminal = &mut *context.terminal;
    terminal.say(format_args!("Stopping {} on port {port}...\n", legacy.name()));
    let mut tell = |step: &Step| match step {
        Step::Http(Some(pid)) => terminal.say(format_args!("  Asked over HTTP: it is process {pid}")),
        Step::Http(None) => terminal.say("  Asked over HTTP: it does not name its process"),
        Step::File(file) => {
            terminal.say(format_args!("  Looked into {}: process {}", file.path.display(), file.pid));
        }
        Step::NoFile(paths) => {
            let paths: Vec<_> = paths.iter().map(|path| path.display().to_string()).collect();
            terminal.say(format_args!("  ✗ No PID file found (looked for {})", paths.join(", ")));
        }
        Step::LeftAlone(pid, reason) => {
            terminal.say(format_args!("  ✗ Process {pid} was left alone: {reason}"));
        }
        Step::Asked(pid) => terminal.say(format_args!("  Asked process {pid} to end")),
        Step::Killed(pid) => {
            terminal.say(format_args!("  Process {pid} did not end when asked and was killed"));
        }
    };
    client::legacy::stop(&context.home, port, legacy, force, &mut tell)
}

/// What to say of one of claude-mpm's servers, and the way out.
pub(crate) fn legacy(port: u16, legacy: &Legacy) -> (String, String) {
    let pid = legacy.pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default();
    (
        format!("Port {port} is served by {}{pid}.", legacy.name()),
        format!(
            "To replace it, stop it with 'claude-mpm-monitor stop --port {port}'; \
             or choose another port with --port."
        ),
    )
}

/// The way out when a monitor of this user holds the port's lock but does not answer.
pub(crate) fn hung(port: u16, context: &Context<'_, '_>) -> Option<String> {
    Lock::is_held(&context.home, port).then(|| {
        format!("stop the monitor that does not answer with 'claude-mpm-monitor stop --port {port}'")
    })
}

/// The way out of a failed start.
pub(crate) fn suggestion(error: &StartError) -> Option<&'static str> {
    match error {
        // Who has the server's own port is reported where the port was chosen.
        StartError::PortTaken { .. } => Some("choose another port with --dashboard-port"),
        StartError::Forbidden { .. } => Some("choose a port above 1024"),
        StartError::NoAddress(_) => Some(
            "bring this machine's loopback interface up, with 'ip link set lo up' on Linux; or name an address \
             that this machine has with --host",
        ),
        StartError::Token(_) => {
            Some("make a new one with 'claude-mpm-monitor token rotate', or use --host localhost")
        }
        _ => None,
    }
}
