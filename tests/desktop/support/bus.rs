//! A private D-Bus, and the test as that part of the desktop which shows tray icons and notifications.

use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};

use e2e::PATIENCE;
use zbus::blocking::{Connection, connection};
use zbus::message::Header;
use zbus::zvariant::OwnedValue;
use zbus::{interface, object_server::SignalEmitter};

use crate::Tray;

const WATCHER: &str = "org.kde.StatusNotifierWatcher";
const NOTIFICATIONS: &str = "org.freedesktop.Notifications";
const NOTIFICATIONS_PATH: &str = "/org/freedesktop/Notifications";

/// A bus that goes with the value.
pub struct Bus {
    daemon: Child,
    address: String,
}

impl Bus {
    /// Starts one.
    pub fn start() -> Self {
        let mut daemon = Command::new("dbus-daemon")
            .args(["--session", "--nofork", "--print-address=1"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("dbus-daemon can be started: `scripts/setup test` installs it");
        let mut address = String::new();
        let out = daemon.stdout.take().expect("standard output is piped");
        BufReader::new(out).read_line(&mut address).expect("the bus says its address");
        Self { daemon, address: address.trim().to_owned() }
    }

    /// Its address, for `DBUS_SESSION_BUS_ADDRESS`.
    pub fn address(&self) -> &str {
        &self.address
    }

    fn connection(&self) -> connection::Builder<'_> {
        connection::Builder::address(self.address.as_str()).expect("the bus has an address")
    }
}

impl Drop for Bus {
    fn drop(&mut self) {
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
}

/// The desktop's tray and its notifications.
pub struct TrayHost {
    connection: Connection,
    items: Receiver<(String, String)>,
    notifications: Receiver<Notification>,
}

/// What was asked to be shown or taken away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notification {
    /// A notification; `replaces` is 0 for a new one.
    Shown {
        /// Its number.
        id: u32,
        /// The one whose place it takes.
        replaces: u32,
        /// Its first line.
        title: String,
        /// Its text.
        body: String,
    },
    /// It was taken away.
    Closed(u32),
}

impl TrayHost {
    /// Is there from now on.
    pub fn start(bus: &Bus) -> Self {
        let (told, items) = channel();
        let (shows, notifications) = channel();
        let connection = bus
            .connection()
            .serve_at("/StatusNotifierWatcher", Watcher(told))
            .and_then(|builder| builder.serve_at(NOTIFICATIONS_PATH, Notifications { shows, last: 0 }))
            .and_then(|builder| builder.name(WATCHER))
            .and_then(|builder| builder.name(NOTIFICATIONS))
            .and_then(connection::Builder::build)
            .expect("the bus takes us");
        Self { connection, items, notifications }
    }

    /// The next tray icon.
    #[track_caller]
    pub fn tray(&self) -> Tray {
        let (sender, path) = self.items.recv_timeout(PATIENCE).expect("the app shows a tray icon");
        Tray::new(&self.connection, &sender, &path)
    }

    /// What is shown or taken away next.
    #[track_caller]
    pub fn notification(&self) -> Notification {
        self.notifications.recv_timeout(PATIENCE).expect("a notification")
    }

    /// What came so far and was not taken.
    pub fn notifications_so_far(&self) -> Vec<Notification> {
        self.notifications.try_iter().collect()
    }

    /// Clicks on a notification.
    pub fn click(&self, id: u32) {
        let destination: Option<&str> = None;
        self.connection
            .emit_signal(destination, NOTIFICATIONS_PATH, NOTIFICATIONS, "ActionInvoked", &(id, "default"))
            .expect("a signal can be sent");
    }
}

struct Watcher(Sender<(String, String)>);

#[interface(name = "org.kde.StatusNotifierWatcher")]
#[allow(clippy::needless_pass_by_value, reason = "the interface hands headers over by value")]
impl Watcher {
    fn register_status_notifier_item(&self, item: &str, #[zbus(header)] header: Header<'_>) {
        let sender = header.sender().map(ToString::to_string).unwrap_or_default();
        // Nobody listens after the test.
        let _ = self.0.send((sender, item.to_owned()));
    }

    fn register_status_notifier_host(&self, _host: &str) {}

    #[zbus(property)]
    fn is_status_notifier_host_registered(&self) -> bool {
        true
    }

    #[zbus(property)]
    fn protocol_version(&self) -> i32 {
        0
    }

    #[zbus(property)]
    fn registered_status_notifier_items(&self) -> Vec<String> {
        Vec::new()
    }

    #[zbus(signal)]
    async fn status_notifier_host_registered(emitter: &SignalEmitter<'_>) -> zbus::Result<()>;
}

struct Notifications {
    shows: Sender<Notification>,
    last: u32,
}

#[interface(name = "org.freedesktop.Notifications")]
impl Notifications {
    #[expect(clippy::too_many_arguments, reason = "the interface has them")]
    fn notify(
        &mut self,
        _app: &str,
        replaces: u32,
        _icon: &str,
        title: String,
        body: String,
        _actions: Vec<String>,
        _hints: HashMap<String, OwnedValue>,
        _timeout: i32,
    ) -> u32 {
        let id = if replaces == 0 { self.last + 1 } else { replaces };
        self.last = self.last.max(id);
        // As above.
        let _ = self.shows.send(Notification::Shown { id, replaces, title, body });
        id
    }

    fn close_notification(&self, id: u32) {
        // As above.
        let _ = self.shows.send(Notification::Closed(id));
    }
}
