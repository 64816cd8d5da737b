//! The app's own pages: what the window shows when no server can, and "About". Plain HTML without scripts; a click
//! on a link is seen by the window as a navigation.

use std::fmt::Write as _;

use tauri::Url;

use crate::menu::{Action, TrayView};
use crate::ports::PortUse;
use crate::server::Serving;

/// The scheme of the app's own pages.
pub(crate) const SCHEME: &str = "monitor";

/// So many free ports are offered.
const PORTS_OFFERED: usize = 6;

/// The address of the page that says why there is no dashboard.
pub(crate) fn trouble_url() -> Url {
    url("trouble")
}

/// The address of "About".
pub(crate) fn about_url() -> Url {
    url("about")
}

fn url(name: &str) -> Url {
    let text = format!("{SCHEME}://localhost/{name}");
    text.parse().expect("a constant of this file is an address")
}

/// Whether an address is one of the app's own. Windows serves own schemes over HTTP under a reserved name; with a port,
/// or elsewhere, that name is whoever's that listens there.
pub(crate) fn is_own(url: &Url) -> bool {
    let (host, port) = (url.host_str().unwrap_or_default(), url.port());
    let is_reserved = || url.scheme() == "http" && host == format!("{SCHEME}.localhost");
    port.is_none() && (url.scheme() == SCHEME && host == "localhost" || cfg!(windows) && is_reserved())
}

/// What becomes of an address that a page leads to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// The window shows it.
    Here,
    /// It is a button of an own page.
    Button,
    /// The user's browser shows it.
    Elsewhere,
    /// Nothing does: only own pages have buttons, and only they and the browser lead out of the dashboard.
    Nowhere,
}

/// Where a link leads from the page that the window is meant to show.
pub(crate) fn way(page: &Url, link: &Url) -> Way {
    match (is_own(page), is_own(link)) {
        (true, true) if action(link).is_some() => Way::Button,
        (true, true) => Way::Here,
        (false, true) => Way::Nowhere,
        (false, false) if link.origin() == page.origin() => Way::Here,
        _ if matches!(link.scheme(), "http" | "https") => Way::Elsewhere,
        _ => Way::Nowhere,
    }
}

/// The action that a link of an own page stands for.
pub(crate) fn action(url: &Url) -> Option<Action> {
    let path: Vec<&str> = url.path().split('/').filter(|part| !part.is_empty()).collect();
    match (is_own(url), path.as_slice()) {
        (true, ["do", "start"]) => Some(Action::Start),
        (true, ["do", "logs"]) => Some(Action::OpenLogs),
        (true, ["do", "quit"]) => Some(Action::Quit),
        (true, ["do", "port", port]) => port.parse().ok().map(Action::Port),
        _ => None,
    }
}

/// The page at an own address.
pub(crate) fn html(path: &str, view: &TrayView) -> String {
    if path.trim_matches('/') == "about" { about(view) } else { trouble(view) }
}

fn trouble(view: &TrayView) -> String {
    let (title, text) = match &view.server.serving {
        Serving::Failed { port, reason, retry_in: None } => {
            (format!("The monitor cannot serve port {port}"), sentence(reason))
        }
        Serving::Failed { reason, retry_in: Some(rest), .. } => (
            "The monitor failed".to_owned(),
            format!("{} It starts again in {} s.", sentence(reason), rest.as_secs().max(1)),
        ),
        Serving::Stopped { .. } => (
            "The monitor is stopped".to_owned(),
            "Events that hooks send meanwhile wait on disk and come in with the next start.".to_owned(),
        ),
        _ => ("The monitor is starting".to_owned(), "The dashboard comes in a moment.".to_owned()),
    };
    let mut body = format!("<h1>{}</h1><p>{}</p>", escaped(&title), escaped(&text));
    if matches!(view.server.serving, Serving::Failed { retry_in: None, .. }) {
        body += "<p class=hint>Nothing is lost meanwhile: what hooks send waits on disk.</p>";
    }
    if let Some(refused) = &view.server.refused {
        let _ = write!(body, "<p class=refused>{}</p>", escaped(&sentence(refused)));
    }
    if matches!(view.server.serving, Serving::Failed { .. } | Serving::Stopped { .. }) {
        body += &actions(view);
    }
    document(&title, &body)
}

/// Buttons: try again, another port, the log.
fn actions(view: &TrayView) -> String {
    let start = if matches!(view.server.serving, Serving::Stopped { .. }) { "Start" } else { "Try again" };
    let mut html = format!("<nav>{}", button("do/start", start, true));
    html += &button("do/logs", "Open logs", false);
    html += &button("do/quit", "Quit", false);
    html += "</nav>";
    let free = view.ports.iter().filter(|(_, r#use)| *r#use == PortUse::Free);
    let free: String = free
        .take(PORTS_OFFERED)
        .map(|(port, _)| button(&format!("do/port/{port}"), &port.to_string(), false))
        .collect();
    if !free.is_empty() {
        let _ = write!(html, "<h2>Serve another port</h2><nav>{free}</nav>");
    }
    let used = view.ports.iter().filter_map(|(port, r#use)| match r#use {
        PortUse::Used(by) => Some(format!("<li>{port}: {}</li>", escaped(by))),
        PortUse::Free => None,
    });
    let used: String = used.collect();
    if !used.is_empty() {
        let _ = write!(html, "<h2>In use</h2><ul>{used}</ul>");
    }
    html
}

fn about(view: &TrayView) -> String {
    let version = env!("CARGO_PKG_VERSION");
    let body = format!(
        "<h1>Claude MPM monitor {version}</h1><p>See what Claude Code does while it does it. Nothing leaves this \
         machine.</p><p>{}</p><p>{} licence</p>",
        escaped(&crate::menu::status(view)),
        env!("CARGO_PKG_LICENSE"),
    );
    document("About Claude MPM monitor", &body)
}

fn button(target: &str, label: &str, is_main: bool) -> String {
    let class = if is_main { " class=main" } else { "" };
    format!("<a{class} href=\"/{target}\">{}</a>", escaped(label))
}

fn document(title: &str, body: &str) -> String {
    const STYLE: &str = include_str!("page.css");
    const MARK: &str = include_str!("../../icons/app.svg");
    format!(
        "<!doctype html><html lang=en><meta charset=utf-8><title>{}</title><style>{STYLE}</style><main>{MARK}{body}</main>",
        escaped(title)
    )
}

/// A reason as a sentence of its own.
fn sentence(reason: &str) -> String {
    let mut letters = reason.chars();
    let first = letters.next().map(|letter| letter.to_uppercase().to_string()).unwrap_or_default();
    let end = if reason.ends_with(['.', '!', '?']) { "" } else { "." };
    format!("{first}{}{end}", letters.as_str())
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::View;

    fn page(serving: Serving) -> String {
        let ports = vec![(8765, PortUse::Used("<evil> (pid 7)".to_owned())), (8766, PortUse::Free)];
        let server = View { serving, refused: Some("port 8767 is in use".to_owned()) };
        html("/trouble", &TrayView { server, ports, ..TrayView::default() })
    }

    #[test]
    fn who_holds_the_port_is_said_and_free_ports_are_offered() {
        let reason = "port 8765 is already in use by <evil> (pid 7)".to_owned();
        let page = page(Serving::Failed { port: 8765, reason, retry_in: None });
        for part in [
            "<h1>The monitor cannot serve port 8765</h1>",
            "<p>Port 8765 is already in use by &lt;evil&gt; (pid 7).</p>",
            "<p class=refused>Port 8767 is in use.</p>",
            "<a class=main href=\"/do/start\">Try again</a>",
            "<a href=\"/do/port/8766\">8766</a>",
            "<li>8765: &lt;evil&gt; (pid 7)</li>",
        ] {
            assert!(page.contains(part), "{part} is missing: {page}");
        }
        assert!(!page.contains("<evil>") && !page.contains("<script"), "{page}");
    }

    #[test]
    fn a_page_that_only_waits_offers_nothing() {
        let starting = page(Serving::Starting);
        assert!(starting.contains("starting") && !starting.contains("href"), "{starting}");
        assert!(page(Serving::Stopped { port: 1 }).contains(">Start</a>"));
    }

    #[test]
    fn only_links_of_own_pages_are_actions() {
        let action = |url: &str| action(&url.parse().unwrap());
        assert_eq!(action("monitor://localhost/do/start"), Some(Action::Start));
        assert_eq!(action("monitor://localhost/do/port/8766"), Some(Action::Port(8766)));
        let reserved = action("http://monitor.localhost/do/start");
        assert_eq!(reserved, cfg!(windows).then_some(Action::Start), "where it is reserved");
        for foreign in ["http://monitor.localhost:8080", "monitor://elsewhere", "https://monitor.localhost"] {
            assert_eq!(action(&format!("{foreign}/do/start")), None, "{foreign}");
        }
        assert_eq!(action("monitor://localhost/do/port/high"), None);
        assert_eq!(action("http://127.0.0.1:8765/do/quit"), None);
        assert_eq!(action(trouble_url().as_str()), None);
    }

    #[test]
    fn no_page_but_the_shown_one_gets_into_the_window_and_the_dashboard_reaches_no_button() {
        let (own, dashboard) = ("monitor://localhost/trouble", "http://127.0.0.1:8765/");
        let cases = [
            (own, "monitor://localhost/do/start", Way::Button),
            (own, "monitor://localhost/trouble", Way::Here),
            (own, dashboard, Way::Elsewhere),
            (own, "http://monitor.localhost:8080/trouble", Way::Elsewhere),
            (dashboard, "http://127.0.0.1:8765/#/session/1", Way::Here),
            (dashboard, "http://127.0.0.1:8766/", Way::Elsewhere),
            (dashboard, "http://localhost:8765/", Way::Elsewhere),
            (dashboard, "https://127.0.0.1:8765/", Way::Elsewhere),
            (dashboard, "https://evil.example/", Way::Elsewhere),
            (dashboard, "monitor://localhost/do/quit", Way::Nowhere),
            (dashboard, "monitor://localhost/trouble", Way::Nowhere),
            (dashboard, "file:///etc/passwd", Way::Nowhere),
            (dashboard, "javascript:alert(1)", Way::Nowhere),
            (dashboard, "data:text/html,x", Way::Nowhere),
            (dashboard, "about:blank", Way::Nowhere),
        ];
        for (page, link, expected) in cases {
            assert_eq!(way(&page.parse().unwrap(), &link.parse().unwrap()), expected, "{page} to {link}");
        }
    }
}
