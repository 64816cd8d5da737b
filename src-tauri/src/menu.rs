//! What the tray shows, as pure functions of one value: icon, status line and menu.

use std::time::Duration;

use protocol::names;

use crate::ports::PortUse;
use crate::server::{Serving, View};
use crate::sessions::Waiting;

/// So many waiting sessions are named in the menu.
const WAITING_MAX: usize = 10;

/// How long a pause lasts that ends by itself.
pub(crate) const PAUSE_MINUTES: u64 = 30;

/// Everything that the tray shows.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct TrayView {
    pub(crate) server: View,
    /// How many sessions work.
    pub(crate) working: usize,
    /// The sessions that need an answer.
    pub(crate) waiting: Vec<Waiting>,
    /// What is wrong with the store of a server that serves.
    pub(crate) degraded: Option<String>,
    pub(crate) pause: Option<Pause>,
    /// Who uses which port of the range.
    pub(crate) ports: Vec<(u16, PortUse)>,
    pub(crate) notifications: bool,
    pub(crate) hooks_installed: bool,
    pub(crate) starts_at_login: bool,
}

/// Events are not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pause {
    /// For how much longer; none until somebody ends it.
    pub(crate) minutes_left: Option<u64>,
}

/// One per status; `icons/tray/` has the drawings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Icon {
    Serving,
    Working,
    NeedsYou,
    Warning,
    Paused,
    Stopped,
}

/// A line of the menu.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Item {
    Separator,
    /// Only to be read.
    Text(String),
    Button {
        label: String,
        action: Action,
        enabled: bool,
    },
    Check {
        label: String,
        action: Action,
        checked: bool,
    },
    Submenu {
        label: String,
        items: Vec<Item>,
    },
}

/// What a click does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    OpenDashboard,
    OpenSettings,
    OpenSession(String),
    OpenInBrowser,
    CopyUrl,
    Start,
    Stop,
    Restart,
    Port(u16),
    Pause { minutes: Option<u64> },
    Resume,
    ToggleNotifications,
    ToggleStartAtLogin,
    OpenLogs,
    OpenData,
    About,
    Quit,
}

/// The icon: what is wrong goes before what needs an answer.
pub(crate) fn icon(view: &TrayView) -> Icon {
    match &view.server.serving {
        Serving::Failed { .. } => Icon::Warning,
        Serving::Starting | Serving::Stopped { .. } | Serving::AnotherApp(_) => Icon::Stopped,
        Serving::Here(_) | Serving::Elsewhere(_) if view.degraded.is_some() => Icon::Warning,
        Serving::Here(_) | Serving::Elsewhere(_) if view.pause.is_some() => Icon::Paused,
        Serving::Here(_) | Serving::Elsewhere(_) if !view.waiting.is_empty() => Icon::NeedsYou,
        Serving::Here(_) | Serving::Elsewhere(_) if view.working > 0 => Icon::Working,
        Serving::Here(_) | Serving::Elsewhere(_) => Icon::Serving,
    }
}

/// What the server does and what the sessions do, in one line.
pub(crate) fn status(view: &TrayView) -> String {
    let mut parts = vec![server_status(&view.server.serving)];
    if view.server.serving.runfile().is_some() {
        if let Some(degraded) = &view.degraded {
            parts.push(degraded.clone());
        }
        match view.pause {
            Some(Pause { minutes_left: Some(minutes) }) => {
                parts.push(format!("capture paused, {minutes} min left"));
            }
            Some(Pause { minutes_left: None }) => parts.push("capture paused".to_owned()),
            None => {}
        }
        if view.working > 0 {
            parts.push(format!("{} working", view.working));
        }
        match view.waiting.len() {
            0 => {}
            1 => parts.push("1 needs you".to_owned()),
            count => parts.push(format!("{count} need you")),
        }
    }
    parts.join(" · ")
}

fn server_status(serving: &Serving) -> String {
    match serving {
        Serving::Starting => "Starting…".to_owned(),
        Serving::Here(runfile) => format!("Running on localhost:{}", runfile.port),
        Serving::Elsewhere(runfile) => {
            format!("Attached to the monitor on localhost:{} (pid {})", runfile.port, runfile.pid)
        }
        Serving::AnotherApp(runfile) => format!("Another app serves localhost:{}", runfile.port),
        Serving::Stopped { .. } => "Stopped".to_owned(),
        Serving::Failed { reason, retry_in: None, .. } => format!("Not running: {reason}"),
        Serving::Failed { reason, retry_in: Some(rest), .. } => {
            format!("Starting again in {}: {reason}", seconds(*rest))
        }
    }
}

fn seconds(rest: Duration) -> String {
    format!("{} s", rest.as_secs().max(1))
}

/// The whole menu.
pub(crate) fn menu(view: &TrayView) -> Vec<Item> {
    let mut items = vec![Item::Text(status(view))];
    items.extend(view.server.refused.clone().map(Item::Text));
    items.push(Item::Separator);
    items.extend(needs_you(view));
    items.extend(dashboard(view));
    items.push(Item::Separator);
    items.extend(server(view));
    items.push(ports(view));
    items.push(capture(view));
    items.push(Item::Separator);
    items.push(Item::check("Notifications", Action::ToggleNotifications, view.notifications));
    items.push(hooks(view));
    items.push(Item::check("Start at login", Action::ToggleStartAtLogin, view.starts_at_login));
    items.push(Item::Separator);
    items.push(Item::button("Open logs", Action::OpenLogs));
    items.push(Item::button("Open data folder", Action::OpenData));
    items.push(Item::button(concat!("About version ", env!("CARGO_PKG_VERSION")), Action::About));
    items.push(Item::Separator);
    items.push(Item::button(quit(&view.server.serving), Action::Quit));
    items
}

fn needs_you(view: &TrayView) -> Option<Item> {
    if view.waiting.is_empty() || view.server.serving.runfile().is_none() {
        return None;
    }
    let named = view.waiting.iter().take(WAITING_MAX);
    let mut items: Vec<_> = named
        .map(|waiting| Item::button(&waiting.label, Action::OpenSession(waiting.session.clone())))
        .collect();
    let more = view.waiting.len().saturating_sub(WAITING_MAX);
    if more > 0 {
        items.push(Item::button(&format!("{more} more…"), Action::OpenDashboard));
    }
    Some(Item::Submenu { label: format!("Needs you ({})", view.waiting.len()), items })
}

fn dashboard(view: &TrayView) -> [Item; 3] {
    let serves = view.server.serving.runfile().is_some();
    [
        // Without a server the window says why, and offers what can be done.
        Item::button("Open dashboard", Action::OpenDashboard),
        Item::button_if(serves, "Open in browser", Action::OpenInBrowser),
        Item::button_if(serves, "Copy URL", Action::CopyUrl),
    ]
}

fn server(view: &TrayView) -> [Item; 3] {
    let serving = &view.server.serving;
    let serves = serving.runfile().is_some();
    let is_off = matches!(serving, Serving::Stopped { .. } | Serving::Failed { .. });
    let is_resting = matches!(serving, Serving::Failed { retry_in: Some(_), .. });
    [
        Item::button_if(is_off, "Start server", Action::Start),
        Item::button_if(serves || is_resting, "Stop server", Action::Stop),
        Item::button_if(serves, "Restart server", Action::Restart),
    ]
}

/// Every port of the range, and the current one when it lies elsewhere. Taken ones can be chosen too: the server
/// then says who has it and stays where it is.
fn ports(view: &TrayView) -> Item {
    let current = view.server.serving.runfile().map(|runfile| runfile.port);
    let outside = current.filter(|port| !names::PORT_RANGE.contains(port));
    let uses = view.ports.iter().map(|(port, r#use)| (*port, Some(r#use)));
    let items = outside.map(|port| (port, None)).into_iter().chain(uses).map(|(port, r#use)| {
        let label = match r#use {
            _ if current == Some(port) => format!("{port} (current)"),
            Some(PortUse::Free) => format!("{port} (free)"),
            Some(PortUse::Used(by)) => format!("{port} (used by {by})"),
            None => port.to_string(),
        };
        Item::check(&label, Action::Port(port), current == Some(port))
    });
    let label = current.map_or_else(|| "Port".to_owned(), |port| format!("Port {port}"));
    Item::Submenu { label, items: items.collect() }
}

fn capture(view: &TrayView) -> Item {
    if view.pause.is_some() {
        return Item::button("Resume capture", Action::Resume);
    }
    let serves = view.server.serving.runfile().is_some();
    let minutes = Action::Pause { minutes: Some(PAUSE_MINUTES) };
    let items = vec![
        Item::Text("Events are not kept meanwhile".to_owned()),
        Item::button_if(serves, &format!("For {PAUSE_MINUTES} minutes"), minutes),
        Item::button_if(serves, "Until resumed", Action::Pause { minutes: None }),
    ];
    Item::Submenu { label: "Pause capture".to_owned(), items }
}

fn hooks(view: &TrayView) -> Item {
    let label = if view.hooks_installed { "Hooks: installed" } else { "Hooks: not installed yet…" };
    Item::button(label, Action::OpenSettings)
}

fn quit(serving: &Serving) -> &'static str {
    match serving {
        Serving::Here(_) => "Quit (stops the server)",
        Serving::Elsewhere(_) => "Quit (the server goes on)",
        _ => "Quit",
    }
}

impl Item {
    fn button(label: &str, action: Action) -> Self {
        Self::button_if(true, label, action)
    }

    fn button_if(enabled: bool, label: &str, action: Action) -> Self {
        Self::Button { label: label.to_owned(), action, enabled }
    }

    fn check(label: &str, action: Action, checked: bool) -> Self {
        Self::Check { label: label.to_owned(), action, checked }
    }
}

#[cfg(test)]
#[path = "menu/tests.rs"]
mod tests;
