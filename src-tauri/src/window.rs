//! The window: made when it is needed, hidden by closing it, freed when it was hidden for long. It shows the
//! dashboard of the server, or the app's own page when there is none. No page can call into the app.

use std::sync::{Arc, Mutex, PoisonError};

use tauri::webview::NewWindowResponse;
use tauri::{AppHandle, Manager, Url, WebviewUrl, WebviewWindow, WebviewWindowBuilder};

use crate::page::{self, Way};

const LABEL: &str = "main";
const TITLE: &str = "Claude MPM monitor";

/// Size of the first window ever, in points; later ones are as their user left them.
const SIZE: (f64, f64) = (1180.0, 760.0);
const SIZE_MIN: (f64, f64) = (420.0, 320.0);

/// The window, which need not exist.
#[derive(Clone)]
pub(crate) struct Window {
    app: AppHandle,
    /// The page that it is meant to show.
    page: Arc<Mutex<Url>>,
    clicked: Arc<dyn Fn(Url) + Send + Sync>,
}

impl Window {
    /// No window yet. `clicked` gets the links of the app's own pages.
    pub(crate) fn new(app: &AppHandle, clicked: impl Fn(Url) + Send + Sync + 'static) -> Self {
        let page = Arc::new(Mutex::new(page::trouble_url()));
        Self { app: app.clone(), page, clicked: Arc::new(clicked) }
    }

    fn existing(&self) -> Option<WebviewWindow> {
        self.app.get_webview_window(LABEL)
    }

    /// Brings it forward with its page.
    pub(crate) fn show(&self) -> tauri::Result<()> {
        let window = match self.existing() {
            Some(window) => window,
            None => self.make()?,
        };
        window.show()?;
        window.unminimize()?;
        window.set_focus()
    }

    pub(crate) fn hide(&self) -> tauri::Result<()> {
        self.existing().map_or(Ok(()), |window| window.hide())
    }

    /// Frees the page's memory; the next showing loads it anew.
    pub(crate) fn free(&self) -> tauri::Result<()> {
        self.existing().map_or(Ok(()), |window| window.destroy())
    }

    /// From now on this is its page, whether it exists or not.
    pub(crate) fn go_to(&self, page: Url) -> tauri::Result<()> {
        self.set_page(page.clone());
        self.existing().map_or(Ok(()), |window| window.navigate(page))
    }

    /// Follows the dashboard to another address; what it shows there stays the same.
    pub(crate) fn move_to(&self, dashboard: Url) -> tauri::Result<()> {
        let shown = self.address().filter(|shown| !page::is_own(shown));
        let mut target = dashboard;
        target.set_fragment(shown.as_ref().and_then(Url::fragment));
        self.go_to(target)
    }

    pub(crate) fn reload(&self) -> tauri::Result<()> {
        self.existing().map_or(Ok(()), |window| window.reload())
    }

    /// The address that it shows, with everything after `#`.
    pub(crate) fn address(&self) -> Option<Url> {
        self.existing()?.url().ok()
    }

    /// Whether its user looks at it.
    pub(crate) fn is_looked_at(&self) -> bool {
        let Some(window) = self.existing() else { return false };
        window.is_visible().unwrap_or(false) && window.is_focused().unwrap_or(false)
    }

    /// A small window of its own.
    pub(crate) fn show_about(&self) -> tauri::Result<()> {
        if let Some(about) = self.app.get_webview_window("about") {
            return about.set_focus();
        }
        let address = WebviewUrl::CustomProtocol(page::about_url());
        let about = WebviewWindowBuilder::new(&self.app, "about", address);
        about.title("About Claude MPM monitor").inner_size(460.0, 280.0).resizable(false).center().build()?;
        Ok(())
    }

    fn make(&self) -> tauri::Result<WebviewWindow> {
        let page = self.page();
        let address =
            if page::is_own(&page) { WebviewUrl::CustomProtocol(page) } else { WebviewUrl::External(page) };
        let this = self.clone();
        WebviewWindowBuilder::new(&self.app, LABEL, address)
            .title(TITLE)
            .inner_size(SIZE.0, SIZE.1)
            .min_inner_size(SIZE_MIN.0, SIZE_MIN.1)
            .on_navigation(move |url| this.may_go_to(url))
            .on_new_window(|url, _| {
                open_elsewhere(&url);
                NewWindowResponse::Deny
            })
            .build()
    }

    /// Own pages and the dashboard stay here; links elsewhere open in the browser.
    fn may_go_to(&self, url: &Url) -> bool {
        let way = page::way(&self.page(), url);
        match way {
            Way::Button => (self.clicked)(url.clone()),
            Way::Elsewhere => open_elsewhere(url),
            Way::Here | Way::Nowhere => {}
        }
        way == Way::Here
    }

    fn page(&self) -> Url {
        self.page.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_page(&self, page: Url) {
        *self.page.lock().unwrap_or_else(PoisonError::into_inner) = page;
    }
}

/// Whether an event of that window is about the main one.
pub(crate) fn is_main(label: &str) -> bool {
    label == LABEL
}

fn open_elsewhere(url: &Url) {
    if matches!(url.scheme(), "http" | "https")
        && let Err(error) = open::that_detached(url.as_str())
    {
        tracing::warn!(%error, "no browser could be opened");
    }
}
