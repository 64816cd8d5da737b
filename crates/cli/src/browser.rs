//! Opening the dashboard, where there is a screen to show it on.

use crate::context::Context;

/// Opens a page in the user's browser and returns at once; false when there is no display or no browser.
pub(crate) fn open(url: &str, context: &Context<'_, '_>) -> bool {
    has_display(context) && ::open::that_detached(url).is_ok()
}

/// Whether a page is going to be opened: known before, so that the line about it stands first.
pub(crate) fn has_display(context: &Context<'_, '_>) -> bool {
    let set = |name: &str| (context.var)(name).is_some_and(|value| !value.is_empty());
    cfg!(any(target_os = "macos", windows)) || set("DISPLAY") || set("WAYLAND_DISPLAY")
}
