//! Over the session's D-Bus; without one there is neither.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use zbus::MatchRule;
use zbus::blocking::{Connection, MessageIterator, Proxy, fdo::DBusProxy};
use zbus::message::Type;
use zbus::zvariant::Value;

use super::Told;
use crate::notices::Notice;

/// Whoever collects tray icons has this name.
const WATCHER: &str = "org.kde.StatusNotifierWatcher";

/// Whoever shows notifications has this name.
const NOTIFICATIONS: &str = "org.freedesktop.Notifications";
const NOTIFICATIONS_PATH: &str = "/org/freedesktop/Notifications";

/// So many notifications are remembered; of older ones a click is not understood.
const SHOWN_MAX: usize = 100;

/// The connection to the desktop.
#[derive(Clone, Debug)]
pub(crate) struct Desktop {
    bus: Option<Connection>,
    shown: Arc<Mutex<Shown>>,
}

/// The notifications on screen: their number on the bus by their key.
#[derive(Debug, Default)]
struct Shown(HashMap<String, u32>);

impl Desktop {
    /// Connects, and tells from now on.
    pub(crate) fn connect(tell: impl Fn(Told) + Send + Clone + 'static) -> Self {
        let bus = Connection::session().inspect_err(|error| tracing::info!(%error, "no session bus")).ok();
        let desktop = Self { bus, shown: Arc::default() };
        if let Some(bus) = desktop.bus.clone() {
            let listening = desktop.listen(&bus, tell);
            if let Err(error) = listening {
                tracing::warn!(%error, "the desktop cannot be listened to");
            }
        }
        desktop
    }

    /// Whether the library is there that tray icons need: without it, making one ends the process.
    pub(crate) fn can_make_tray() -> bool {
        let names = ["libayatana-appindicator3.so.1", "libappindicator3.so.1", "libayatana-appindicator3.so"];
        names.iter().any(|name| {
            // SAFETY: the tray loads the same libraries; their initialisers need nothing prepared.
            #[expect(unsafe_code, reason = "there is no other way to ask whether a library can be loaded")]
            let loaded = unsafe { libloading::Library::new(name) };
            loaded.is_ok()
        })
    }

    /// Shows a notice in place of an earlier one with the same key.
    pub(crate) fn notify(&self, key: &str, notice: &Notice) {
        let Some(bus) = &self.bus else { return };
        if let Err(error) = self.try_notify(bus, key, notice) {
            tracing::info!(%error, "no notification could be shown");
        }
    }

    /// Takes a notification away.
    pub(crate) fn withdraw(&self, key: &str) {
        let id = self.shown().0.remove(key);
        if let (Some(bus), Some(id)) = (&self.bus, id) {
            // It may be gone already.
            let _ = notifications(bus).and_then(|proxy| proxy.call_method("CloseNotification", &(id)));
        }
    }

    fn try_notify(&self, bus: &Connection, key: &str, notice: &Notice) -> zbus::Result<()> {
        let replaces = self.shown().0.get(key).copied().unwrap_or(0);
        let urgency: u8 = if notice.is_urgent { 2 } else { 1 };
        let hints = HashMap::from([
            ("urgency", Value::from(urgency)),
            ("desktop-entry", Value::from("Claude MPM Monitor")),
        ]);
        // A key of "default" means a click on the notification itself.
        let actions = ["default", "Open"];
        let body = markup(&notice.body);
        let content = ("Claude MPM monitor", replaces, "claude-mpm-monitor-desktop", &notice.title, body);
        let (app, replaces, icon, title, body) = content;
        let answer = notifications(bus)?
            .call_method("Notify", &(app, replaces, icon, title, body, &actions[..], hints, -1_i32))?;
        let id: u32 = answer.body().deserialize()?;
        let mut shown = self.shown();
        if shown.0.len() >= SHOWN_MAX {
            shown.0.clear();
        }
        shown.0.insert(key.to_owned(), id);
        Ok(())
    }

    /// Asks who is there, and listens in a thread of its own.
    fn listen(&self, bus: &Connection, tell: impl Fn(Told) + Send + Clone + 'static) -> zbus::Result<()> {
        let dbus = DBusProxy::new(bus)?;
        let owners = MatchRule::builder()
            .msg_type(Type::Signal)
            .interface("org.freedesktop.DBus")?
            .member("NameOwnerChanged")?
            .arg(0, WATCHER)?
            .build();
        let clicks = MatchRule::builder()
            .msg_type(Type::Signal)
            .interface(NOTIFICATIONS)?
            .member("ActionInvoked")?
            .build();
        let owners = MessageIterator::for_match_rule(owners, bus, None)?;
        let clicks = MessageIterator::for_match_rule(clicks, bus, None)?;
        let is_there = dbus.name_has_owner(WATCHER.try_into()?)?;
        tell(Told::TrayHost(is_there));
        let tell_owner = tell.clone();
        spawn("tray host", move || {
            for message in owners.flatten() {
                if let Ok((_, _, new)) = message.body().deserialize::<(String, String, String)>() {
                    tell_owner(Told::TrayHost(!new.is_empty()));
                }
            }
        });
        let shown = self.shown.clone();
        spawn("notifications", move || {
            for message in clicks.flatten() {
                let Ok((id, _)) = message.body().deserialize::<(u32, String)>() else { continue };
                let shown = shown.lock().unwrap_or_else(PoisonError::into_inner);
                let key = shown.0.iter().find(|(_, shown)| **shown == id).map(|(key, _)| key.clone());
                if let Some(key) = key {
                    tell(Told::Clicked(key));
                }
            }
        });
        Ok(())
    }

    fn shown(&self) -> std::sync::MutexGuard<'_, Shown> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn notifications(bus: &Connection) -> zbus::Result<Proxy<'static>> {
    Proxy::new(bus, NOTIFICATIONS, NOTIFICATIONS_PATH, NOTIFICATIONS)
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) {
    if let Err(error) = std::thread::Builder::new().name(name.to_owned()).spawn(work) {
        tracing::warn!(%error, "the desktop cannot be listened to");
    }
}

/// Bodies may hold markup, which an event's text is not.
fn markup(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
