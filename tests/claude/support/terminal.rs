//! An interactive session: Claude Code in a terminal that tmux keeps, its screen read and its keys pressed as a user does.

use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use e2e::{eventually, output};
use uuid::Uuid;

use crate::{Begin, Stage};

/// How large the terminal is: wide enough that no line of the tests is broken.
const SIZE: [&str; 4] = ["-x", "180", "-y", "50"];

/// What tmux is told: a program that has ended leaves its screen, and Escape is a key and not the beginning of others.
const SETTINGS: &str = "set -g remain-on-exit on\nset -s escape-time 0\n";

/// What stands before the line that is being typed.
const INPUT: &str = "❯";

/// When a user presses a key again that did nothing.
const TRY_AGAIN: Duration = Duration::from_secs(1);

/// How long to rest between two looks.
const POLL: Duration = Duration::from_millis(20);

/// A terminal with a program in it; both end with the value.
pub struct Terminal {
    /// The id of the session that it began with.
    pub session: String,
    socket: PathBuf,
    pid: u32,
}

impl Stage {
    /// Starts a session in a terminal and returns when it takes a prompt.
    #[track_caller]
    pub fn open(&self, begin: Begin<'_>, arguments: &[&str]) -> Terminal {
        self.open_as(&["claude"], begin, arguments)
    }

    /// The same, with these words for `claude`, such as those of a program that runs it.
    #[track_caller]
    pub fn open_as(&self, claude: &[&str], begin: Begin<'_>, arguments: &[&str]) -> Terminal {
        let (session, begin) = begin.arguments();
        let settings = self.settings().display().to_string();
        let mut words: Vec<&str> = claude.to_vec();
        words.extend(["--permission-mode", "default", "--settings", &settings]);
        words.extend(begin.iter().map(String::as_str).chain(arguments.iter().copied()));
        let terminal = self.run(session, &words);
        terminal.wait_for(INPUT);
        self.control.wait_for(&terminal.session, "SessionStart", 1);
        terminal
    }

    /// Runs a program in a terminal.
    fn run(&self, session: String, words: &[&str]) -> Terminal {
        let settings = self.home().join("tmux.conf");
        std::fs::write(&settings, SETTINGS).expect("a file can be written");
        let socket = self.home().join(format!("{}.tmux", Uuid::new_v4()));
        let mut tmux = Command::new("tmux");
        tmux.env_clear().envs(self.environment()).arg("-S").arg(&socket).arg("-f").arg(&settings);
        tmux.args(["new-session", "-d", "-c"]).arg(self.project()).args(SIZE).arg("--").args(words);
        let started = output(&mut tmux, b"");
        assert!(started.status.success(), "tmux starts: {started:?}");
        let mut terminal = Terminal { session, socket, pid: 0 };
        terminal.pid = terminal.told("#{pane_pid}").parse().expect("tmux tells the process");
        terminal
    }
}

impl Terminal {
    /// Types a prompt and enters it.
    #[track_caller]
    pub fn prompt(&self, text: &str) {
        self.tmux(&["send-keys", "-l", text]);
        self.wait_for(text);
        self.press("Enter");
    }

    /// Leaves as users do, by Ctrl-C twice. While something goes on, the first one may have another meaning.
    #[track_caller]
    pub fn leave(&self) {
        eventually("that it asks for a second Ctrl-C", || {
            self.press("C-c");
            soon(|| self.screen().contains("again to exit")).then_some(())
        });
        self.press("C-c");
        self.wait_for_end();
    }

    /// Answers a dialog that shows these words. It may be seen before it takes keys.
    #[track_caller]
    pub fn answer(&self, words: &str, key: &str) {
        eventually(&format!("an answer to {words:?}"), || {
            self.press(key);
            soon(|| !self.screen().contains(words)).then_some(())
        });
    }

    /// Closes the terminal, as when a user closes its window.
    pub fn hang_up(&self) {
        self.tmux(&["kill-server"]);
    }

    /// Kills its process, which gets no chance to say anything.
    #[track_caller]
    pub fn kill(&self) {
        let killed = output(Command::new("kill").args(["-KILL", &self.pid.to_string()]), b"");
        assert!(killed.status.success(), "{killed:?}");
        self.wait_for_end();
    }

    /// Presses a key, by tmux's name of it.
    pub fn press(&self, key: &str) {
        self.tmux(&["send-keys", key]);
    }

    /// What it shows.
    pub fn screen(&self) -> String {
        String::from_utf8_lossy(&self.tmux(&["capture-pane", "-p"]).stdout).into_owned()
    }

    /// Waits until it shows this.
    #[track_caller]
    pub fn wait_for(&self, words: &str) {
        eventually(&format!("{words:?} on the screen"), || self.screen().contains(words).then_some(()));
    }

    /// Waits until its program has ended.
    #[track_caller]
    pub fn wait_for_end(&self) {
        eventually("the end of the program", || (self.told("#{pane_dead}") == "1").then_some(()));
    }

    fn told(&self, format: &str) -> String {
        let told = self.tmux(&["display-message", "-p", format]);
        String::from_utf8_lossy(&told.stdout).trim().to_owned()
    }

    fn tmux(&self, arguments: &[&str]) -> Output {
        output(Command::new("tmux").arg("-S").arg(&self.socket).args(arguments), b"")
    }
}

/// Whether that comes about before a user would try again.
fn soon(look: impl Fn() -> bool) -> bool {
    let started = Instant::now();
    while started.elapsed() < TRY_AGAIN {
        if look() {
            return true;
        }
        std::thread::sleep(POLL);
    }
    false
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the terminal shows:\n{}", self.screen());
        }
        self.hang_up();
    }
}
