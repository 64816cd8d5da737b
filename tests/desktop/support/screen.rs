//! A virtual X screen.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

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
}

impl Drop for Screen {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}
