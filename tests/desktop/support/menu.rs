//! A tray icon as the desktop sees it: its state and its menu, read and clicked over D-Bus.

use std::collections::HashMap;

use zbus::blocking::{Connection, Proxy};
use zbus::zvariant::{OwnedValue, Structure, Value};

use crate::eventually;

/// A tray icon.
#[derive(Clone)]
pub struct Tray {
    connection: Connection,
    owner: String,
    path: String,
}

/// An entry of its menu.
#[derive(Clone, Debug)]
pub struct Entry {
    id: i32,
    /// What it reads; empty for a separator.
    pub label: String,
    /// Whether it can be clicked.
    pub enabled: bool,
    /// Whether it has a mark; none when it can have none.
    pub checked: Option<bool>,
    /// The entries of a submenu.
    pub entries: Vec<Entry>,
}

type Node = (i32, HashMap<String, OwnedValue>, Vec<OwnedValue>);

impl Tray {
    pub(crate) fn new(connection: &Connection, owner: &str, path: &str) -> Self {
        Self { connection: connection.clone(), owner: owner.to_owned(), path: path.to_owned() }
    }

    /// The name of the icon's file.
    pub fn icon(&self) -> String {
        let item = self.proxy(&self.path, "org.kde.StatusNotifierItem");
        item.get_property::<String>("IconName").expect("a tray icon has an icon")
    }

    /// The menu's entries.
    pub fn menu(&self) -> Vec<Entry> {
        let names: &[&str] = &[];
        // An icon is announced a moment before its menu is there.
        let layout = || self.dbusmenu().call_method("GetLayout", &(0_i32, -1_i32, names)).ok();
        let answer = eventually("a menu", layout);
        let (_, root): (u32, Node) = answer.body().deserialize().expect("the layout of a menu");
        Entry::of(root).entries
    }

    /// All labels, those of submenus too, in order.
    pub fn labels(&self) -> Vec<String> {
        let mut labels = Vec::new();
        collect(&self.menu(), &mut labels);
        labels
    }

    /// The first line, which says how things are.
    pub fn status(&self) -> String {
        self.menu().first().map(|entry| entry.label.clone()).unwrap_or_default()
    }

    /// Waits until the first line is as wanted, and returns it.
    #[track_caller]
    pub fn wait_for_status(&self, what: &str, wanted: impl Fn(&str) -> bool) -> String {
        eventually(&format!("{what}; at first it read {:?}", self.status()), || {
            Some(self.status()).filter(|s| wanted(s))
        })
    }

    /// The entry whose label begins so.
    pub fn find(&self, label: &str) -> Option<Entry> {
        find(&self.menu(), label)
    }

    /// Waits for an entry that begins so and can be clicked, and clicks it.
    #[track_caller]
    pub fn click(&self, label: &str) {
        let found = || self.find(label).filter(|entry| entry.enabled);
        let entry = eventually(&format!("{label:?} among {:?}", self.labels()), found);
        self.dbusmenu()
            .call_method("Event", &(entry.id, "clicked", Value::from(0_i32), 0_u32))
            .expect("an entry can be clicked");
    }

    fn dbusmenu(&self) -> Proxy<'_> {
        self.proxy(&format!("{}/Menu", self.path), "com.canonical.dbusmenu")
    }

    fn proxy(&self, path: &str, interface: &'static str) -> Proxy<'_> {
        Proxy::new(&self.connection, self.owner.clone(), path.to_owned(), interface).expect("valid names")
    }
}

impl Entry {
    fn of((id, properties, children): Node) -> Self {
        let text = |name: &str| {
            properties
                .get(name)
                .and_then(|value| value.downcast_ref::<&str>().ok())
                .unwrap_or_default()
                .to_owned()
        };
        let enabled = properties.get("enabled").and_then(|value| value.downcast_ref::<bool>().ok());
        let state = properties.get("toggle-state").and_then(|value| value.downcast_ref::<i32>().ok());
        let checked = (text("toggle-type") == "checkmark").then(|| state == Some(1));
        // An underscore marks a shortcut; two are one.
        let label = text("label").replace("__", "\u{0}").replace('_', "").replace('\u{0}', "_");
        let entries = children.into_iter().filter_map(node).map(Self::of).collect();
        Self { id, label, enabled: enabled.unwrap_or(true), checked, entries }
    }
}

fn node(value: OwnedValue) -> Option<Node> {
    let structure: Structure<'_> = Value::from(value).downcast().ok()?;
    structure.try_into().ok()
}

fn find(entries: &[Entry], label: &str) -> Option<Entry> {
    let here = entries.iter().find(|entry| entry.label.starts_with(label)).cloned();
    here.or_else(|| entries.iter().find_map(|entry| find(&entry.entries, label)))
}

fn collect(entries: &[Entry], labels: &mut Vec<String>) {
    for entry in entries {
        labels.push(entry.label.clone());
        collect(&entry.entries, labels);
    }
}
