//! A virtual X screen, and its windows as a window manager sees them.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use x11rb::connection::Connection;
use x11rb::protocol::xproto::{
    AtomEnum, ClientMessageEvent, ConnectionExt, EventMask, InputFocus, MapState, Window,
};
use x11rb::rust_connection::RustConnection;

use crate::eventually;

/// The most bytes of a title that are read, in units of four.
const TITLE_MAX: u32 = 64;

/// A screen that goes with the value.
pub struct Screen {
    server: Child,
    display: String,
}

impl Screen {
    /// Starts one; it picks its number itself.
    pub fn start() -> Self {
        let mut server = Command::new("Xvfb")
            .args(["-displayfd", "1", "-screen", "0", "1280x900x24", "-nolisten", "tcp"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("Xvfb can be started: `scripts/setup test` installs it");
        let mut number = String::new();
        let out = server.stdout.take().expect("standard output is piped");
        BufReader::new(out).read_line(&mut number).expect("Xvfb says its number");
        Self { server, display: format!(":{}", number.trim()) }
    }

    /// Its name, for `DISPLAY`.
    pub fn display(&self) -> &str {
        &self.display
    }

    /// Whether a window of that title is to be seen.
    pub fn shows(&self, title: &str) -> bool {
        let (x, root) = self.connect();
        visible(&x, root, title).is_some()
    }

    /// Waits until a window of that title is to be seen.
    #[track_caller]
    pub fn wait_for(&self, title: &str) {
        eventually(&format!("the window {title:?}"), || self.shows(title).then_some(()));
    }

    /// Waits until no window of that title is to be seen.
    #[track_caller]
    pub fn wait_without(&self, title: &str) {
        eventually(&format!("the end of the window {title:?}"), || (!self.shows(title)).then_some(()));
    }

    /// Closes a window as its frame's button does.
    #[track_caller]
    pub fn close(&self, title: &str) {
        let (x, root) = self.connect();
        let window = visible(&x, root, title).expect("the window is to be seen");
        let atom = |name: &[u8]| x.intern_atom(false, name).ok()?.reply().ok().map(|reply| reply.atom);
        let protocols = atom(b"WM_PROTOCOLS").expect("the screen answers");
        let delete = atom(b"WM_DELETE_WINDOW").expect("the screen answers");
        let message = ClientMessageEvent::new(32, window, protocols, [delete, 0, 0, 0, 0]);
        let sent = x.send_event(false, window, EventMask::NO_EVENT, message).expect("the screen answers");
        sent.check().expect("a message can be sent");
    }

    /// Gives a window the keyboard.
    #[track_caller]
    pub fn focus(&self, title: &str) {
        let (x, root) = self.connect();
        let window = visible(&x, root, title).expect("the window is to be seen");
        let set = x.set_input_focus(InputFocus::PARENT, window, x11rb::CURRENT_TIME);
        set.expect("the screen answers").check().expect("the focus can be set");
    }

    fn connect(&self) -> (RustConnection, Window) {
        let (x, number) = x11rb::connect(Some(&self.display)).expect("the screen can be reached");
        let root = x.setup().roots[number].root;
        (x, root)
    }
}

/// The window of that title, when it is to be seen. Without a window manager all lie below the root.
fn visible(x: &RustConnection, root: Window, title: &str) -> Option<Window> {
    let windows = x.query_tree(root).ok()?.reply().ok()?.children;
    windows.into_iter().find(|&window| {
        // Any of them may go meanwhile.
        let named = || {
            let name = x.get_property(false, window, AtomEnum::WM_NAME, AtomEnum::ANY, 0, TITLE_MAX);
            Some(name.ok()?.reply().ok()?.value == title.as_bytes())
        };
        let seen = || {
            let attributes = x.get_window_attributes(window).ok()?.reply().ok()?;
            Some(attributes.map_state == MapState::VIEWABLE)
        };
        named() == Some(true) && seen() == Some(true)
    })
}

impl Drop for Screen {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}
