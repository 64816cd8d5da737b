//! What the user's desktop offers: a place for tray icons, and notifications that can be clicked.

#[cfg(target_os = "linux")]
mod linux;
#[cfg(not(target_os = "linux"))]
mod other;

#[cfg(target_os = "linux")]
pub(crate) use linux::Desktop;
#[cfg(not(target_os = "linux"))]
pub(crate) use other::Desktop;

/// What the desktop tells.
#[derive(Debug)]
pub(crate) enum Told {
    /// Whether somebody shows tray icons.
    TrayHost(bool),
    /// A notification was clicked; it had this key.
    Clicked(String),
}
