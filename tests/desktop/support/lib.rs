//! Starts the real desktop app on a desktop of its own: a virtual screen, a private D-Bus, and a tray that is the
//! test itself.

mod app;
mod bus;
mod driver;
mod menu;
mod screen;

pub use app::App;
pub use bus::{Bus, Notification, TrayHost};
pub use driver::Driver;
pub use e2e::{PATIENCE, eventually};
pub use menu::{Entry, Tray};
pub use screen::Screen;

/// The title of the app's window.
pub const TITLE: &str = "Claude MPM monitor";

/// Where pictures of windows are left, to be looked at.
pub fn pictures() -> std::path::PathBuf {
    let folder = e2e::repository().join("target/desktop");
    std::fs::create_dir_all(&folder).expect("a folder can be made");
    folder
}
