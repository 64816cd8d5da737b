//! Puts the menu into the desktop's tray. What changed is changed in place, so that an open menu stays open.

use std::collections::HashMap;

use tauri::image::Image;
use tauri::menu::{CheckMenuItem, IsMenuItem, Menu, MenuItem, PredefinedMenuItem, Submenu};
use tauri::tray::{TrayIcon, TrayIconBuilder};
use tauri::{AppHandle, Wry, include_image};

use crate::menu::{Action, Icon, Item, TrayView, icon, menu, status};

/// The tray icon with its menu. Only to be used on the main thread, as all of the toolkit.
pub(crate) struct Tray {
    app: AppHandle,
    tray: TrayIcon,
    icon: Icon,
    items: Vec<Item>,
    entries: Vec<Entry>,
    actions: HashMap<String, Action>,
    /// So that no two entries ever had the same id.
    entries_made: usize,
}

/// The toolkit's side of an [`Item`].
enum Entry {
    Separator(PredefinedMenuItem<Wry>),
    Text(MenuItem<Wry>),
    Check(CheckMenuItem<Wry>),
    Submenu(Submenu<Wry>, Vec<Entry>),
}

impl Tray {
    /// Shows it. `clicked` gets the id of an entry, for [`Tray::action`].
    pub(crate) fn new(
        app: &AppHandle,
        view: &TrayView,
        clicked: impl Fn(&str) + Send + Sync + 'static,
    ) -> tauri::Result<Self> {
        let icon = icon(view);
        let builder = TrayIconBuilder::with_id("main").icon(image(icon)).tooltip(status(view));
        let builder = builder.on_menu_event(move |_, event| clicked(&event.id().0));
        // An icon without a menu is not shown everywhere.
        let tray = builder.menu(&Menu::new(app)?).build(app)?;
        let (app, actions) = (app.clone(), HashMap::new());
        let mut this =
            Self { app, tray, icon, items: Vec::new(), entries: Vec::new(), actions, entries_made: 0 };
        this.rebuild(menu(view))?;
        Ok(this)
    }

    /// What a click on the entry of that id means; none for one that is no longer there.
    pub(crate) fn action(&self, id: &str) -> Option<Action> {
        self.actions.get(id).cloned()
    }

    /// Shows another view.
    pub(crate) fn update(&mut self, view: &TrayView) -> tauri::Result<()> {
        let icon = icon(view);
        if icon != self.icon {
            self.tray.set_icon(Some(image(icon)))?;
            self.icon = icon;
        }
        self.tray.set_tooltip(Some(status(view)))?;
        let items = menu(view);
        if !have_same_shape(&self.items, &items) {
            return self.rebuild(items);
        }
        for ((entry, old), new) in self.entries.iter().zip(&self.items).zip(&items) {
            entry.change(old, new)?;
        }
        self.items = items;
        Ok(())
    }

    fn rebuild(&mut self, items: Vec<Item>) -> tauri::Result<()> {
        self.actions.clear();
        let entries = items.iter().map(|item| self.entry(item)).collect::<tauri::Result<Vec<_>>>()?;
        let all: Vec<&dyn IsMenuItem<Wry>> = entries.iter().map(Entry::as_menu_item).collect();
        self.tray.set_menu(Some(Menu::with_items(&self.app, &all)?))?;
        (self.entries, self.items) = (entries, items);
        Ok(())
    }

    fn entry(&mut self, item: &Item) -> tauri::Result<Entry> {
        Ok(match item {
            Item::Separator => Entry::Separator(PredefinedMenuItem::separator(&self.app)?),
            Item::Text(text) => Entry::Text(MenuItem::new(&self.app, literal(text), false, None::<&str>)?),
            Item::Button { label, action, enabled } => {
                let id = self.id(action);
                Entry::Text(MenuItem::with_id(&self.app, id, literal(label), *enabled, None::<&str>)?)
            }
            Item::Check { label, action, checked } => {
                let (id, label) = (self.id(action), literal(label));
                Entry::Check(CheckMenuItem::with_id(&self.app, id, label, true, *checked, None::<&str>)?)
            }
            Item::Submenu { label, items } => {
                let entries = items.iter().map(|item| self.entry(item)).collect::<tauri::Result<Vec<_>>>()?;
                let all: Vec<&dyn IsMenuItem<Wry>> = entries.iter().map(Entry::as_menu_item).collect();
                Entry::Submenu(Submenu::with_items(&self.app, literal(label), true, &all)?, entries)
            }
        })
    }

    fn id(&mut self, action: &Action) -> String {
        self.entries_made += 1;
        let id = self.entries_made.to_string();
        self.actions.insert(id.clone(), action.clone());
        id
    }
}

impl Entry {
    fn as_menu_item(&self) -> &dyn IsMenuItem<Wry> {
        match self {
            Self::Separator(entry) => entry,
            Self::Text(entry) => entry,
            Self::Check(entry) => entry,
            Self::Submenu(entry, _) => entry,
        }
    }

    /// Changes what differs between two items of the same shape.
    fn change(&self, old: &Item, new: &Item) -> tauri::Result<()> {
        match (self, old, new) {
            (Self::Text(entry), Item::Text(old), Item::Text(new)) if old != new => {
                entry.set_text(literal(new))
            }
            (
                Self::Text(entry),
                Item::Button { label: old, enabled: was_enabled, .. },
                Item::Button { label, enabled, .. },
            ) => {
                if old != label {
                    entry.set_text(literal(label))?;
                }
                if was_enabled != enabled {
                    entry.set_enabled(*enabled)?;
                }
                Ok(())
            }
            (Self::Check(entry), Item::Check { label: old, .. }, Item::Check { label, checked, .. }) => {
                if old != label {
                    entry.set_text(literal(label))?;
                }
                // Always: a click has changed the mark already, also when nothing came of it.
                entry.set_checked(*checked)
            }
            (
                Self::Submenu(entry, entries),
                Item::Submenu { label: old, items: olds },
                Item::Submenu { label, items },
            ) => {
                if old != label {
                    entry.set_text(literal(label))?;
                }
                for ((entry, old), new) in entries.iter().zip(olds).zip(items) {
                    entry.change(old, new)?;
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

/// Whether the second menu can be made of the first by changing texts and marks.
fn have_same_shape(a: &[Item], b: &[Item]) -> bool {
    let same = |(a, b): (&Item, &Item)| match (a, b) {
        (Item::Separator, Item::Separator) | (Item::Text(_), Item::Text(_)) => true,
        (Item::Button { action: a, .. }, Item::Button { action: b, .. })
        | (Item::Check { action: a, .. }, Item::Check { action: b, .. }) => a == b,
        (Item::Submenu { items: a, .. }, Item::Submenu { items: b, .. }) => have_same_shape(a, b),
        _ => false,
    };
    a.len() == b.len() && a.iter().zip(b).all(same)
}

/// A text whose `&` marks no shortcut.
fn literal(text: &str) -> String {
    text.replace('&', "&&")
}

fn image(icon: Icon) -> Image<'static> {
    match icon {
        Icon::Serving => include_image!("icons/tray/serving.png"),
        Icon::Working => include_image!("icons/tray/working.png"),
        Icon::NeedsYou => include_image!("icons/tray/needs-you.png"),
        Icon::Warning => include_image!("icons/tray/warning.png"),
        Icon::Paused => include_image!("icons/tray/paused.png"),
        Icon::Stopped => include_image!("icons/tray/stopped.png"),
    }
}
