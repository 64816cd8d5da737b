//! Windows and macOS: the tray is always there, and notifications are shown without telling of clicks.

use super::Told;
use crate::notices::Notice;

/// The connection to the desktop.
#[derive(Clone, Debug)]
pub(crate) struct Desktop;

impl Desktop {
    /// Connects, and tells from now on.
    pub(crate) fn connect(tell: impl Fn(Told) + Send + Clone + 'static) -> Self {
        tell(Told::TrayHost(true));
        Self
    }

    /// Whether tray icons can be made.
    pub(crate) fn can_make_tray() -> bool {
        true
    }

    /// Shows a notice.
    pub(crate) fn notify(&self, _key: &str, notice: &Notice) {
        let shown = notify_rust::Notification::new().summary(&notice.title).body(&notice.body).show();
        if let Err(error) = shown {
            tracing::info!(%error, "no notification could be shown");
        }
    }

    /// Here a notification stays until its user takes it away.
    pub(crate) fn withdraw(&self, _key: &str) {}
}
