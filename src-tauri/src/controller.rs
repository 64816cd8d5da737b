//! Decides what the app does: takes everything that happens, one thing after the other, and brings tray and window
//! up to date.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use client::Monitor;
use protocol::paths::Home;
use protocol::{Health, Runfile, Timestamp};
use tauri::{AppHandle, Url};
use tauri_plugin_autostart::ManagerExt;
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use crate::args::{Args, Link};
use crate::desktop::{Desktop, Told};
use crate::hooks::HooksState;
use crate::menu::{Action, Pause, TrayView};
use crate::notices::{Change, Notice, Notices};
use crate::ports::PortUse;
use crate::preferences::Preferences;
use crate::server::{Order, Server, Serving};
use crate::sessions::Sessions;
use crate::stream::{self, News};
use crate::tray::Tray;
use crate::window::Window;
use crate::{hooks, page, ports};

/// How often is looked at what nobody tells of: ports, the server's health, hooks.
const LOOK: Duration = Duration::from_secs(30);

/// Before a lost connection to the server is made again.
const RECONNECT: Duration = Duration::from_millis(500);

/// The key of the notification about closing the window. No session has it.
const CLOSED_KEY: &str = "";

/// What happens.
#[derive(Debug)]
pub(crate) enum Event {
    /// Another start was told to leave it to this one.
    SecondStart(Args),
    /// The system has links for the app.
    #[cfg_attr(not(target_os = "macos"), expect(dead_code, reason = "elsewhere links are arguments"))]
    Opened(Vec<Url>),
    /// An entry of the menu was clicked.
    MenuClicked(String),
    /// A link of an own page was clicked.
    PageClicked(Url),
    CloseRequested,
    Desktop(Told),
    /// The sessions of that server.
    Sessions {
        server_id: String,
        news: News,
    },
    /// The connection to that server ended.
    Disconnected {
        server_id: String,
    },
    Looked(Box<Looked>),
    Quit,
}

/// What was found where nobody tells of changes.
#[derive(Debug)]
pub(crate) struct Looked {
    /// Later looks have greater numbers.
    number: u64,
    ports: Vec<(u16, PortUse)>,
    health: Option<Health>,
    hooks: HooksState,
}

pub(crate) struct Controller {
    app: AppHandle,
    args: Args,
    home: Home,
    events: mpsc::UnboundedSender<Event>,
    server: Server,
    desktop: Desktop,
    window: Window,
    /// None until it is made on the main thread, and where none can be.
    tray: Arc<Mutex<Option<Tray>>>,
    has_tray_host: bool,
    preferences: Preferences,
    /// The port that was chosen last, until it is served.
    chosen_port: Option<u16>,
    sessions: Sessions,
    notices: Notices,
    clipboard: Option<arboard::Clipboard>,
    /// The listening to the server that is shown.
    listening: Option<Listening>,
    /// What the tray shows; own pages are made of it.
    view: TrayView,
    shown: Arc<Mutex<TrayView>>,
    /// How many looks were begun.
    looks: u64,
    /// Looks begun before this one say nothing new.
    first_look: u64,
    /// When the window was hidden.
    hidden_since: Option<Instant>,
    is_quitting: bool,
}

struct Listening {
    server_id: String,
    version: Option<String>,
    task: JoinHandle<()>,
}

impl Controller {
    pub(crate) fn new(
        app: &AppHandle,
        args: Args,
        home: Home,
        shown: Arc<Mutex<TrayView>>,
        events: mpsc::UnboundedSender<Event>,
    ) -> Self {
        let (clicks, told) = (events.clone(), events.clone());
        // A receiver that is gone means that the app ends.
        let window = Window::new(app, move |url| drop(clicks.send(Event::PageClicked(url))));
        let desktop = Desktop::connect(move |news| drop(told.send(Event::Desktop(news))));
        let preferences = Preferences::load(&home);
        let view = TrayView {
            notifications: preferences.notifications,
            starts_at_login: app.autolaunch().is_enabled().unwrap_or(false),
            ..TrayView::default()
        };
        Self {
            app: app.clone(),
            server: Server::start(home.clone(), args.port.or(preferences.port)),
            args,
            home,
            events,
            desktop,
            window,
            tray: Arc::default(),
            has_tray_host: false,
            preferences,
            chosen_port: None,
            sessions: Sessions::default(),
            notices: Notices::default(),
            clipboard: None,
            listening: None,
            view,
            shown,
            looks: 0,
            first_look: 0,
            hidden_since: None,
            is_quitting: false,
        }
    }

    /// Runs until the app is quit.
    pub(crate) async fn run(mut self, mut inbox: mpsc::UnboundedReceiver<Event>) {
        self.make_tray();
        let mut server = self.server.view();
        // Either it serves soon, or it says why it cannot.
        if server.wait_for(|view| view.serving != Serving::Starting).await.is_err() {
            return self.app.exit(1);
        }
        let first = server.borrow_and_update().clone();
        self.server_changed(first);
        self.first_window();
        let mut look = interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !self.is_quitting {
            let free_at = self.hidden_since.map(|since| since + self.free_after());
            tokio::select! {
                Some(event) = inbox.recv() => self.handle(event).await,
                Ok(()) = server.changed() => {
                    let view = server.borrow_and_update().clone();
                    self.server_changed(view);
                }
                _ = look.tick() => self.look(),
                () = sleep_until(free_at.unwrap_or_else(Instant::now)), if free_at.is_some() => {
                    self.hidden_since = None;
                    or_log("free the window", self.window.free());
                }
                else => break,
            }
            self.show();
        }
        self.server.end().await;
        self.app.exit(0);
    }

    /// What the first start was called for.
    fn first_window(&mut self) {
        if let Serving::AnotherApp(runfile) = &self.view.server.serving {
            let url = client::near_url(runfile);
            println!("Monitor already running at {url}");
            if !self.args.hidden {
                or_log("open the browser", open::that_detached(url));
            }
            self.is_quitting = true;
            return;
        }
        if !self.args.hidden || self.args.link.is_some() {
            self.open(self.args.link.clone().unwrap_or(Link::Dashboard));
        }
    }

    async fn handle(&mut self, event: Event) {
        match event {
            Event::SecondStart(args) => {
                if let Some(port) = args.port {
                    self.choose_port(port);
                }
                if let Some(link) = args.link {
                    self.open(link);
                } else if !args.hidden {
                    self.open_window();
                }
            }
            Event::Opened(urls) => {
                urls.iter().filter_map(|url| url.as_str().parse().ok()).for_each(|link| self.open(link));
            }
            Event::MenuClicked(id) => {
                let action = self.lock_tray().as_ref().and_then(|tray| tray.action(&id));
                if let Some(action) = action {
                    self.act(action).await;
                }
                // A click on a mark has changed it; the truth is shown again.
                self.update_tray();
            }
            Event::PageClicked(url) => {
                if let Some(action) = page::action(&url) {
                    self.act(action).await;
                }
            }
            Event::CloseRequested => self.close_window(),
            Event::Desktop(Told::TrayHost(is_there)) => self.has_tray_host = is_there,
            Event::Desktop(Told::Clicked(key)) if key == CLOSED_KEY => self.open_window(),
            Event::Desktop(Told::Clicked(key)) => self.open(Link::Session(key)),
            Event::Sessions { server_id, news } => self.news(&server_id, news),
            Event::Disconnected { server_id } => self.disconnected(&server_id),
            Event::Looked(looked) => self.looked(*looked),
            Event::Quit => self.is_quitting = true,
        }
    }

    async fn act(&mut self, action: Action) {
        match action {
            Action::OpenDashboard => self.open(Link::Dashboard),
            Action::OpenSettings => self.open(Link::Settings),
            Action::OpenSession(session) => self.open(Link::Session(session)),
            Action::OpenInBrowser => {
                if let Some(url) = self.public_url() {
                    or_log("open the browser", open::that_detached(url));
                }
            }
            Action::CopyUrl => self.copy_url(),
            Action::Start => self.server.order(Order::Start),
            Action::Stop => self.server.order(Order::Stop),
            Action::Restart => self.server.order(Order::Restart),
            Action::Port(port) => self.choose_port(port),
            Action::Pause { minutes } => self.capture(true, minutes).await,
            Action::Resume => self.capture(false, None).await,
            Action::ToggleNotifications => {
                self.preferences.notifications = !self.preferences.notifications;
                self.save_preferences();
            }
            Action::ToggleStartAtLogin => self.toggle_start_at_login(),
            Action::OpenLogs => or_log("open the logs", open::that_detached(self.home.logs())),
            Action::OpenData => or_log("open the data folder", open::that_detached(self.home.monitor())),
            Action::About => or_log("show About", self.window.show_about()),
            Action::Quit => self.is_quitting = true,
        }
    }

    // --- The server --------------------------------------------------------------------------------------

    fn choose_port(&mut self, port: u16) {
        self.chosen_port = Some(port);
        self.server.order(Order::Port(port));
    }

    /// A port that was chosen and could be had is the one to serve next time, too.
    fn remember_port(&mut self, served: u16) {
        if self.chosen_port.take_if(|chosen| *chosen == served).is_some()
            && self.preferences.port.replace(served) != Some(served)
        {
            self.save_preferences();
        }
    }

    fn server_changed(&mut self, server: crate::server::View) {
        let before = std::mem::replace(&mut self.view.server, server);
        let (old, new) = (before.serving.runfile().cloned(), self.view.server.serving.runfile().cloned());
        if let Some(new) = &new {
            self.remember_port(new.port);
            let has_moved = old.as_ref().is_none_or(|old| (old.port, &old.host) != (new.port, &new.host));
            if has_moved || before.serving == Serving::Starting {
                or_log("follow the server", self.window.move_to(dashboard(new)));
            }
        } else {
            self.view.degraded = None;
            self.view.pause = None;
        }
        if old.as_ref().map(|old| &old.server_id) != new.as_ref().map(|new| &new.server_id) {
            self.listen(new);
        }
        self.show();
        if self.view.server.serving.runfile().is_none() {
            or_log("show the trouble", self.window.go_to(page::trouble_url()));
        }
        // What is being looked at is the server before this one.
        self.first_look = self.looks + 1;
        self.look();
    }

    /// Listens to the sessions of a server in place of an earlier one.
    fn listen(&mut self, runfile: Option<Runfile>) {
        let before = self.listening.take();
        if let Some(before) = &before {
            before.task.abort();
        }
        let Some(runfile) = runfile else {
            self.sessions = Sessions::default();
            return;
        };
        let (server_id, events) = (runfile.server_id.clone(), self.events.clone());
        let monitor = Monitor::of(&self.home, &runfile);
        let task = tokio::spawn(async move {
            let server_id = runfile.server_id;
            let tell = |news| drop(events.send(Event::Sessions { server_id: server_id.clone(), news }));
            let reason = stream::listen(&monitor, tell).await;
            tracing::info!(%reason, "no longer connected to the server");
            tokio::time::sleep(RECONNECT).await;
            // As above.
            let _ = events.send(Event::Disconnected { server_id });
        });
        let version = before.and_then(|before| before.version);
        self.listening = Some(Listening { server_id, version, task });
    }

    fn news(&mut self, server_id: &str, news: News) {
        let Some(listening) = self.listening.as_mut().filter(|listening| listening.server_id == server_id)
        else {
            return;
        };
        let changed = match news {
            News::All { sessions, version } => {
                if listening.version.replace(version.clone()).is_some_and(|before| before != version) {
                    or_log("reload the dashboard", self.window.reload());
                }
                self.sessions.replace(sessions.clone());
                sessions
            }
            News::Changed(changed) => {
                self.sessions.change(changed.clone());
                changed
            }
        };
        for session in &changed {
            match self.notices.change(session, self.preferences.long_turn_s) {
                Some(Change::Tell(notice)) => self.tell(&notice),
                Some(Change::Withdraw { session }) => self.desktop.withdraw(&session),
                None => {}
            }
        }
    }

    fn disconnected(&mut self, server_id: &str) {
        if self.listening.as_ref().is_none_or(|listening| listening.server_id != server_id) {
            return;
        }
        match self.view.server.serving.clone() {
            Serving::Elsewhere(runfile) => {
                self.server.order(Order::Lost);
                self.listen(Some(runfile));
            }
            Serving::Here(runfile) => self.listen(Some(runfile)),
            _ => {}
        }
    }

    /// Pauses or resumes the keeping of events.
    async fn capture(&mut self, pause: bool, minutes: Option<u64>) {
        let Some(runfile) = self.view.server.serving.runfile().cloned() else { return };
        let monitor = Monitor::of(&self.home, &runfile);
        let ordered = spawn_blocking(move || {
            if pause {
                monitor.pause(&runfile.control_token, minutes)
            } else {
                monitor.resume(&runfile.control_token)
            }
        });
        match ordered.await {
            Ok(Ok(())) => self.look(),
            Ok(Err(error)) => self.view.server.refused = Some(error.to_string()),
            Err(crash) => self.view.server.refused = Some(crash.to_string()),
        }
    }

    /// Looks, beside everything else, at what nobody tells of.
    fn look(&mut self) {
        self.looks += 1;
        let number = self.looks;
        let (home, events) = (self.home.clone(), self.events.clone());
        let runfile = self.view.server.serving.runfile().cloned();
        spawn_blocking(move || {
            let health = runfile.and_then(|runfile| Monitor::of(&home, &runfile).health().ok());
            let hooks = hooks::look(&home, &|name| std::env::var_os(name));
            let looked = Looked { number, ports: ports::look(&home), health, hooks };
            // As above.
            let _ = events.send(Event::Looked(Box::new(looked)));
        });
    }

    fn looked(&mut self, looked: Looked) {
        // Whoever holds a port and does not answer makes a look slow: meanwhile another one may have seen more.
        if looked.number < self.first_look {
            return;
        }
        self.first_look = looked.number;
        self.view.ports = looked.ports;
        self.view.hooks = looked.hooks;
        if let Some(health) = looked.health {
            self.view.degraded = health.store.strip_prefix("degraded: ").map(str::to_owned);
            self.view.pause = health
                .capture
                .paused
                .then(|| Pause { minutes_left: health.capture.until.map(minutes_until) });
        }
    }

    // --- What is shown -----------------------------------------------------------------------------------

    /// Brings the tray up to date, and the own page.
    fn show(&mut self) {
        self.view.working = self.sessions.working();
        self.view.waiting = self.sessions.waiting();
        self.view.notifications = self.preferences.notifications;
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        if *shown == self.view {
            return;
        }
        *shown = self.view.clone();
        drop(shown);
        self.update_tray();
        if self.window.address().is_some_and(|address| page::is_own(&address)) {
            or_log("show the trouble", self.window.reload());
        }
    }

    /// Makes the tray icon, unless it is there or cannot be. Where nobody shows icons yet, it waits for somebody.
    fn make_tray(&self) {
        if !Desktop::can_make_tray() {
            return tracing::warn!("there is no tray icon: libayatana-appindicator3 is not installed");
        }
        let (tray, app, view) = (self.tray.clone(), self.app.clone(), self.view.clone());
        let events = self.events.clone();
        self.on_main_thread(move || {
            let clicked = move |id: &str| drop(events.send(Event::MenuClicked(id.to_owned())));
            match Tray::new(&app, &view, clicked) {
                Ok(made) => *tray.lock().unwrap_or_else(PoisonError::into_inner) = Some(made),
                Err(error) => tracing::warn!(%error, "there is no tray icon"),
            }
        });
    }

    fn update_tray(&self) {
        let (tray, view) = (self.tray.clone(), self.view.clone());
        self.on_main_thread(move || {
            if let Some(tray) = tray.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
                or_log("update the tray", tray.update(&view));
            }
        });
    }

    fn on_main_thread(&self, work: impl FnOnce() + Send + 'static) {
        or_log("reach the main thread", self.app.run_on_main_thread(work));
    }

    fn lock_tray(&self) -> std::sync::MutexGuard<'_, Option<Tray>> {
        self.tray.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens the dashboard, or a part of it.
    fn open(&mut self, link: Link) {
        if let Some(runfile) = self.view.server.serving.runfile() {
            let mut target = dashboard(runfile);
            let fragment = match link {
                Link::Dashboard => None,
                Link::Settings => Some("/settings".to_owned()),
                Link::Session(session) => Some(route(&session)),
            };
            if fragment.is_some() {
                target.set_fragment(fragment.as_deref());
                or_log("open a part of the dashboard", self.window.go_to(target));
            }
        }
        self.open_window();
    }

    fn open_window(&mut self) {
        self.hidden_since = None;
        or_log("open the window", self.window.show());
    }

    /// Closing leaves the app in the tray, where there is one.
    fn close_window(&mut self) {
        if !self.has_tray_host || self.lock_tray().is_none() {
            self.is_quitting = true;
            return;
        }
        or_log("hide the window", self.window.hide());
        self.hidden_since = Some(Instant::now());
        if !self.preferences.told_of_tray {
            self.preferences.told_of_tray = true;
            self.save_preferences();
            let notice = Notice {
                session: CLOSED_KEY.to_owned(),
                title: "The monitor goes on in the tray".to_owned(),
                body: "Its icon there opens the dashboard again, and quits.".to_owned(),
                is_urgent: false,
            };
            self.desktop.notify(CLOSED_KEY, &notice);
        }
    }

    /// Shows a notice, unless its user does not want it or looks at the session anyway.
    fn tell(&self, notice: &Notice) {
        if self.preferences.notifications && !self.is_on_screen(&notice.session) {
            self.desktop.notify(&notice.session, notice);
        }
    }

    fn is_on_screen(&self, session: &str) -> bool {
        let address = self.window.address().filter(|_| self.window.is_looked_at());
        let fragment = address.as_ref().and_then(Url::fragment).unwrap_or_default().to_owned();
        fragment.split('?').next() == Some(&route(session))
    }

    fn copy_url(&mut self) {
        let Some(url) = self.public_url() else { return };
        // Kept: on some systems the text is gone with its owner.
        if self.clipboard.is_none() {
            self.clipboard = arboard::Clipboard::new()
                .inspect_err(|error| tracing::warn!(%error, "there is no clipboard"))
                .ok();
        }
        if let Some(clipboard) = &mut self.clipboard {
            or_log("copy", clipboard.set_text(url));
        }
    }

    fn toggle_start_at_login(&mut self) {
        let autolaunch = self.app.autolaunch();
        let toggled = if self.view.starts_at_login { autolaunch.disable() } else { autolaunch.enable() };
        or_log("change the start at login", toggled);
        self.view.starts_at_login = autolaunch.is_enabled().unwrap_or(false);
    }

    fn save_preferences(&self) {
        or_log("remember that", self.preferences.save(&self.home));
    }

    /// The address for people: by the name that they know.
    fn public_url(&self) -> Option<String> {
        let runfile = self.view.server.serving.runfile()?;
        Some(client::near_url(runfile))
    }

    fn free_after(&self) -> Duration {
        Duration::from_secs(self.preferences.free_window_after_s)
    }
}

/// The address for the window: a name would be looked up, and may mean two addresses.
fn dashboard(runfile: &Runfile) -> Url {
    let text = client::url(&runfile.address().host, runfile.port);
    text.parse().unwrap_or_else(|_| page::trouble_url())
}

/// The dashboard's route to a session.
fn route(session: &str) -> String {
    let mut url = page::about_url();
    if let Ok(mut path) = url.path_segments_mut() {
        path.clear().extend(["session", session]);
    }
    url.path().to_owned()
}

/// Whole minutes until then, rounded up.
fn minutes_until(until: Timestamp) -> u64 {
    let now = Timestamp::from_system(std::time::SystemTime::now());
    (until.0.saturating_sub(now.0).max(0).unsigned_abs()).div_ceil(60_000)
}

/// Failures of the desktop are no reason to end: they go to the log.
fn or_log<T, E: std::fmt::Display>(what: &str, result: Result<T, E>) {
    if let Err(error) = result {
        tracing::warn!(%error, "could not {what}");
    }
}
