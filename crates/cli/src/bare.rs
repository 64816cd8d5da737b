//! The command without a verb: one monitor per port, in this terminal, with its dashboard in the browser.

use client::{Probe, near_url, page_on};
use host::{Origin, Settings};
use protocol::{Runfile, names};

use crate::args::{Bare, PortChoice};
use crate::context::Context;
use crate::launch::{self, Target, dashboard_port};
use crate::serve::{Place, serve};
use crate::start::Outcome;
use crate::trouble::Trouble;
use crate::{Exit, browser, desktop, start, token};

pub(crate) fn run(bare: &Bare, context: &mut Context<'_, '_>) -> anyhow::Result<Exit> {
    let Target { settings, found } = Target::find(&bare.listen, context)?;
    let (port, origin) = (settings.config.port, settings.origin("port"));
    if !matches!(found, Probe::Free) {
        return already(found, port, &origin, bare, context);
    }
    if bare.background {
        return in_background(bare, &settings, context);
    }
    context.terminal.say(format_args!("Starting Claude MPM monitor on {}:{port}", settings.config.host));
    if let Some(app) = desktop::installed(context).filter(|_| bare.is_plain()) {
        if let Some(running) = desktop::start(&app, port, context)? {
            context.terminal.say(format_args!("Monitor running on port {port}"));
            context.terminal.say(format_args!("Opening the desktop app; in a browser: {}", running.url()));
            return Ok(Exit::Done);
        }
        context.terminal.complain("The desktop app could not start; serving in this terminal.");
    }
    let dashboard = dashboard_port(&settings.config);
    let found = serve(settings, bare.listen.project.clone(), context, |place, context| match place {
        Place::First(runfile) => {
            context.terminal.say(format_args!("Monitor running on port {port}"));
            context.terminal.say(format_args!("Send a first event: {}", first_event(runfile)));
            token::report(runfile, context);
            if let Some(port) = dashboard {
                let page = login(runfile, port, context);
                show(&page, "Opening browser to", bare, context);
            }
        }
        Place::Moved(runfile) => context.terminal.say(format_args!("Monitor moved to port {}", runfile.port)),
    })?;
    if found.is_none() {
        context.terminal.say("Monitor stopped");
    }
    match found {
        None => Ok(Exit::Done),
        // Another program was quicker: the next free port, then.
        Some(_) if bare.listen.port == Some(PortChoice::Auto) => run(bare, context),
        Some(found) => already(found, port, &origin, bare, context),
    }
}

/// Serves in the background; no browser is opened.
fn in_background(bare: &Bare, settings: &Settings, context: &mut Context<'_, '_>) -> anyhow::Result<Exit> {
    let port = settings.config.port;
    match start::in_background(&bare.listen, settings, context)? {
        Outcome::Served(running) => {
            context.terminal.say(format_args!("Monitor daemon started in background on port {port}"));
            if let Some(url) = running.dashboard_url() {
                context.terminal.say(format_args!("Open {url} in your browser to view the dashboard."));
            }
            Ok(Exit::Done)
        }
        Outcome::Ended(exit) => Ok(exit),
        Outcome::Taken(_) if bare.listen.port == Some(PortChoice::Auto) => run(bare, context),
        Outcome::Taken(found) => already(found, port, &settings.origin("port"), bare, context),
    }
}

/// Reports who has the port.
fn already(
    found: Probe,
    port: u16,
    origin: &Origin,
    bare: &Bare,
    context: &mut Context<'_, '_>,
) -> anyhow::Result<Exit> {
    match found {
        Probe::Ours(running) => {
            let url = running.url();
            context.terminal.say(format_args!("Monitor already running at {url}"));
            if let Some(port) = running.health.dashboard_port {
                let page = login(&running.runfile, port, context);
                show(&page, "Opening browser to existing instance:", bare, context);
            }
            return Ok(Exit::Done);
        }
        Probe::Stray(stray) => {
            let Trouble { what, way_out } = Trouble::of_stray(&stray);
            context.terminal.complain(format_args!("Port {port} is served by your monitor, but {what}."));
            context.terminal.complain(format_args!("To free it, {way_out}."));
        }
        Probe::Legacy(legacy) => {
            let (text, way_out) = launch::legacy(port, &legacy);
            context.terminal.complain(text);
            context.terminal.complain(way_out);
        }
        Probe::Foreign { owner } => {
            let holder = client::holder(owner.as_ref());
            let (start, way_out) = match origin {
                Origin::Flag(_) => ("Port", "Choose a different port."),
                _ => ("Default port", "Stop that program or choose another port with --port."),
            };
            context.terminal.complain(format_args!("{start} {port} is already in use by {holder}."));
            let hung = launch::hung(port, context).map(|way_out| format!("To free it, {way_out}."));
            context.terminal.complain(hung.as_deref().unwrap_or(way_out));
        }
        Probe::Free => anyhow::bail!("who had port {port} ended while this monitor started; try again"),
    }
    Ok(Exit::Failed)
}

/// The page to open: where a login is needed, the one that does it.
fn login(runfile: &Runfile, dashboard_port: u16, context: &Context<'_, '_>) -> String {
    let page = page_on(runfile, dashboard_port);
    let login = if runfile.access.token { token::login_path(&context.home, runfile).ok() } else { None };
    login.map_or_else(|| page.clone(), |path| format!("{page}{path}"))
}

/// Opens the dashboard, or says where it is.
fn show(url: &str, opening: &str, bare: &Bare, context: &mut Context<'_, '_>) {
    if !bare.no_browser && browser::has_display(context) {
        context.terminal.say(format_args!("{opening} {url}"));
        if browser::open(url, context) {
            return;
        }
    }
    context.terminal.say(format_args!("Open {url} in your browser to view the dashboard."));
}

/// The command that sends a first event, to be copied.
fn first_event(runfile: &Runfile) -> String {
    let token = if runfile.access.token {
        r#" -H "Authorization: Bearer $(claude-mpm-monitor token show)""#
    } else {
        ""
    };
    let url = near_url(runfile);
    let event = r#"{"hook_event_name":"UserPromptSubmit","session_id":"try","prompt":"hello"}"#;
    format!("curl {url}{}{token} -d '{event}'", names::EVENTS)
}
