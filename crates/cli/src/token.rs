//! `token`: the secret of a monitor that other machines can reach, and links that log a browser in.

use client::{Monitor, page};
use protocol::Runfile;
use protocol::paths::Home;
use serde_json::json;

use crate::Exit;
use crate::args::TokenOrder;
use crate::context::Context;

pub(crate) fn run(order: &TokenOrder, json: bool, context: &mut Context<'_, '_>) -> anyhow::Result<Exit> {
    if json {
        context.terminal.speak_json();
    }
    match order {
        TokenOrder::Show => tell(&client::token::ensure(&context.home)?, context),
        TokenOrder::Rotate => {
            let token = client::token::rotate(&context.home)?;
            tell(&token, context);
            let news =
                "The old token, all logins and all login links are void; your own hooks and commands go on.";
            context.terminal.complain(news);
        }
        TokenOrder::Link { port } => return link(*port, context),
    }
    Ok(Exit::Done)
}

fn tell(token: &str, context: &mut Context<'_, '_>) {
    context.terminal.say(token);
    if context.terminal.speaks_json() {
        context.terminal.answer(&json!({ "token": token }));
    }
}

/// A link to each monitor that asks for the token.
fn link(port: Option<u16>, context: &mut Context<'_, '_>) -> anyhow::Result<Exit> {
    let of_port = |runfile: &Runfile| port.is_none_or(|port| port == runfile.port);
    let running: Vec<_> = context.living()?.into_iter().filter(of_port).collect();
    if running.is_empty() {
        context.terminal.error("Monitor is not running", Some("start it with 'claude-mpm-monitor start'"));
        return Ok(Exit::NotRunning);
    }
    if context.terminal.speaks_json() {
        let links = running.iter().map(|runfile| {
            Ok(json!({ "port": runfile.port, "url": page(runfile), "login_url": login_url(&context.home, runfile)? }))
        });
        context.terminal.answer(&links.collect::<Result<Vec<_>, client::Error>>()?);
        return Ok(Exit::Done);
    }
    let asking: Vec<_> = running.iter().filter(|runfile| runfile.access.token).collect();
    for runfile in &asking {
        let link = login_link(&context.home, runfile)?;
        context.terminal.say(link);
    }
    if let Some(runfile) = asking.iter().find(|runfile| !runfile.is_for_this_machine()) {
        context.terminal.complain(elsewhere(runfile));
    }
    if asking.is_empty() {
        let urls: Vec<_> = running.iter().map(page).collect();
        context.terminal.say(format_args!("No login is needed: open {}", urls.join(" or ")));
    }
    Ok(Exit::Done)
}

/// What a link lacks for another machine.
fn elsewhere(runfile: &Runfile) -> String {
    let here = runfile.near_host(runfile.port);
    format!("From another machine, use this one's name in place of {here}.")
}

/// A link that logs one browser in, where that needs one.
pub(crate) fn login_url(home: &Home, runfile: &Runfile) -> Result<Option<String>, client::Error> {
    runfile.access.token.then(|| login_link(home, runfile)).transpose()
}

/// A link that logs one browser in; for a monitor that asks for no token, its page.
pub(crate) fn login_link(home: &Home, runfile: &Runfile) -> Result<String, client::Error> {
    let url = page(runfile);
    if !runfile.access.token {
        return Ok(url);
    }
    Ok(format!("{url}{}", login_path(home, runfile)?))
}

/// What follows the address in such a link.
pub(crate) fn login_path(home: &Home, runfile: &Runfile) -> Result<String, client::Error> {
    Monitor::of(home, runfile).login_path(&runfile.control_token)
}

/// Tells how to get into a monitor that has just been started, where that needs more than its address.
pub(crate) fn report(runfile: &Runfile, context: &mut Context<'_, '_>) {
    let access = &runfile.access;
    if let Some(fingerprint) = &access.tls_fingerprint {
        context.terminal.say(format_args!("\nCertificate (SHA-256): {fingerprint}"));
    }
    if !access.token {
        return;
    }
    match login_link(&context.home, runfile) {
        Ok(link) => {
            let is_near = runfile.is_for_this_machine();
            let elsewhere = if is_near { String::new() } else { elsewhere(runfile) + " " };
            context.terminal.say(format_args!(
                "\nEverybody needs the token of this monitor. This link logs one browser in, within ten minutes:\n  \
                 {link}\n{elsewhere}More links: claude-mpm-monitor token link"
            ));
        }
        Err(error) => {
            context.terminal.complain(format_args!("Warning: no login link could be made: {error}"));
        }
    }
    if access.tls_fingerprint.is_none() && !runfile.is_for_this_machine() {
        context.terminal.complain(
            "Warning: connections from other machines are not encrypted; --tls does it, and so does a proxy in front.",
        );
    }
}
