//! Puts the menu into the desktop's tray. What changed is changed in place, so that an open menu stays open.

use std::collections::HashMap;

use tauri::image::Image;
use tauri::menu::{CheckMenuItem, IsMenuItem, Menu, MenuItem, PredefinedMenuItem, Submenu};
use tauri::tray::{TrayIcon, TrayIconBuilder};
use tauri::{AppHandle, Wry, include_image};

use crate::menu::{Action, Icon, Item, TrayView, icon, menu};

/// The tray icon with its menu. Only to be used on the main thread, as all of the toolkit.
pub(crate) struct Tray {
    tray: TrayIcon,
    icon: Icon,
    /// Always the same one: a desktop does not take another for it.
    menu: Menu<Wry>,
    shown: Vec<(Item, Entry)>,
    maker: Maker,
}

/// The toolkit's side of an [`Item`].
enum Entry {
    Separator(PredefinedMenuItem<Wry>),
    Text(MenuItem<Wry>),
    Check(CheckMenuItem<Wry>),
    Submenu(Submenu<Wry>, Vec<(Item, Entry)>),
}

/// Makes entries, and knows what a click on each means.
struct Maker {
    app: AppHandle,
    actions: HashMap<String, Action>,
    /// So that no two entries ever had the same id.
    made: usize,
}

/// What entries can be put into.
trait Container {
    fn put(&self, entry: &dyn IsMenuItem<Wry>, at: usize) -> tauri::Result<()>;
    fn take(&self, at: usize) -> tauri::Result<()>;
}

impl Container for Menu<Wry> {
    fn put(&self, entry: &dyn IsMenuItem<Wry>, at: usize) -> tauri::Result<()> {
        self.insert(entry, at)
    }

    fn take(&self, at: usize) -> tauri::Result<()> {
        self.remove_at(at).map(drop)
    }
}

impl Container for Submenu<Wry> {
    fn put(&self, entry: &dyn IsMenuItem<Wry>, at: usize) -> tauri::Result<()> {
        self.insert(entry, at)
    }

    fn take(&self, at: usize) -> tauri::Result<()> {
        self.remove_at(at).map(drop)
    }
}

impl Tray {
    /// Shows it. `clicked` gets the id of an entry, for [`Tray::action`].
    pub(crate) fn new(
        app: &AppHandle,
        view: &TrayView,
        clicked: impl Fn(&str) + Send + Sync + 'static,
    ) -> tauri::Result<Self> {
        let icon = icon(view);
        let mut maker = Maker { app: app.clone(), actions: HashMap::new(), made: 0 };
        let (container, mut shown) = (Menu::new(app)?, Vec::new());
        maker.change(&container, &mut shown, menu(view))?;
        let builder = TrayIconBuilder::with_id("main").icon(image(icon)).menu(&container);
        let builder = builder.on_menu_event(move |_, event| clicked(&event.id().0));
        let tray = builder.build(app)?;
        Ok(Self { tray, icon, menu: container, shown, maker })
    }

    /// What a click on the entry of that id means; none for one that is no longer there.
    pub(crate) fn action(&self, id: &str) -> Option<Action> {
        self.maker.actions.get(id).cloned()
    }

    /// Shows another view.
    pub(crate) fn update(&mut self, view: &TrayView) -> tauri::Result<()> {
        let icon = icon(view);
        if icon != self.icon {
            self.tray.set_icon(Some(image(icon)))?;
            self.icon = icon;
        }
        #[cfg(not(target_os = "linux"))]
        self.tray.set_tooltip(Some(crate::menu::status(view)))?;
        self.maker.change(&self.menu, &mut self.shown, menu(view))
    }
}

impl Maker {
    /// Makes the entries of a container those of `items`. What lies between the first and the last difference is
    /// made anew; the rest stays and gets its new texts and marks.
    fn change(
        &mut self,
        container: &dyn Container,
        shown: &mut Vec<(Item, Entry)>,
        items: Vec<Item>,
    ) -> tauri::Result<()> {
        let is_kept = |((old, _), new): (&(Item, Entry), &Item)| can_become(old, new);
        let head = shown.iter().zip(&items).take_while(|pair| is_kept(*pair)).count();
        let (old_rest, new_rest) = (&shown[head..], &items[head..]);
        let tail = old_rest.iter().rev().zip(new_rest.iter().rev()).take_while(|pair| is_kept(*pair)).count();
        let (old_end, new_end) = (shown.len() - tail, items.len() - tail);
        for (item, entry) in shown.drain(head..old_end) {
            container.take(head)?;
            self.forget(&item, &entry);
        }
        for (at, item) in items.iter().enumerate().take(new_end).skip(head) {
            let entry = self.entry(item)?;
            container.put(entry.as_menu_item(), at)?;
            shown.insert(at, (item.clone(), entry));
        }
        for ((old, entry), new) in shown.iter_mut().zip(items) {
            self.refresh(entry, old, &new)?;
            *old = new;
        }
        Ok(())
    }

    /// Changes what differs.
    fn refresh(&mut self, entry: &mut Entry, old: &Item, new: &Item) -> tauri::Result<()> {
        match (entry, old, new) {
            (Entry::Text(entry), Item::Text(old), Item::Text(new)) if old != new => {
                entry.set_text(literal(new))
            }
            (
                Entry::Text(entry),
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
            (Entry::Check(entry), Item::Check { label: old, .. }, Item::Check { label, checked, .. }) => {
                if old != label {
                    entry.set_text(literal(label))?;
                }
                // Always: a click has changed the mark already, also when nothing came of it.
                entry.set_checked(*checked)
            }
            (Entry::Submenu(entry, shown), _, Item::Submenu { items, .. }) => {
                let container = entry.clone();
                self.change(&container, shown, items.clone())
            }
            _ => Ok(()),
        }
    }

    fn forget(&mut self, item: &Item, entry: &Entry) {
        match (item, entry) {
            (Item::Submenu { .. }, Entry::Submenu(_, shown)) => {
                for (item, entry) in shown {
                    self.forget(item, entry);
                }
            }
            (_, Entry::Text(entry)) => drop(self.actions.remove(&entry.id().0)),
            (_, Entry::Check(entry)) => drop(self.actions.remove(&entry.id().0)),
            _ => {}
        }
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
                let submenu = Submenu::new(&self.app, literal(label), true)?;
                let mut shown = Vec::new();
                self.change(&submenu, &mut shown, items.clone())?;
                Entry::Submenu(submenu, shown)
            }
        })
    }

    fn id(&mut self, action: &Action) -> String {
        self.made += 1;
        // The toolkit gives plain numbers to entries without an action.
        let id = format!("action-{}", self.made);
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
}

/// Whether an entry can be kept and only gets another text or mark.
fn can_become(old: &Item, new: &Item) -> bool {
    match (old, new) {
        (Item::Separator, Item::Separator) | (Item::Text(_), Item::Text(_)) => true,
        // A submenu keeps its first label for ever.
        (Item::Submenu { label: old, .. }, Item::Submenu { label: new, .. }) => old == new,
        (Item::Button { action: old, .. }, Item::Button { action: new, .. })
        | (Item::Check { action: old, .. }, Item::Check { action: new, .. }) => old == new,
        _ => false,
    }
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
