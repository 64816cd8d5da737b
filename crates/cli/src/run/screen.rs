//! What a program's terminal shows, drawn as a terminal draws it. Told is what is left standing or scrolls away, once,
//! and not each picture on the way there: a spinner is a hundred pictures and tells nothing.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};

use avt::observer::{Observation, Observer};
use avt::parser::{EdScope, Function};
use avt::{Line, Operation, ScreenKind, Terminal};

/// At how many looks in a row a line must have stood to be told.
const STEADY_LOOKS: u32 = 6;

/// At how many looks in a row a line must have been away to be told again when it comes back. A program that draws its
/// screen again erases it first.
const FORGET_LOOKS: u32 = 8;

/// The largest terminal that is drawn; a larger one is drawn as this one.
const COLUMNS_MAX: usize = 1000;
const ROWS_MAX: usize = 500;

/// The most of a line that is told: one without an end would fill the memory.
const LINE_BYTES_MAX: usize = 16 * 1024;

/// How many of the last lines are known again when a program draws its whole history once more, as Claude Code does when
/// the window changes its size.
const HISTORY_LINES: usize = 5000;

/// A terminal that nobody sees, fed with what the real one gets.
pub(super) struct Screen {
    terminal: Terminal,
    scrolled: Scrolled,
    primary: Standing,
    alternate: Standing,
    history: History,
}

impl Screen {
    /// An empty one.
    pub(super) fn new(columns: u16, rows: u16) -> Self {
        let (columns, rows) = bounded(columns, rows);
        let terminal = Terminal::new(columns, rows).expect("at least one row and column");
        Self {
            terminal,
            scrolled: Scrolled::default(),
            primary: Standing::default(),
            alternate: Standing::default(),
            history: History::default(),
        }
    }

    /// Takes over the size of the real one.
    pub(super) fn resize(&mut self, columns: u16, rows: u16) {
        let (columns, rows) = bounded(columns, rows);
        self.terminal.resize_with(columns, rows, &mut self.scrolled);
    }

    /// Draws what the program writes.
    pub(super) fn feed(&mut self, text: &str) {
        self.terminal.feed_with(text, &mut self.scrolled);
    }

    /// How much has scrolled away since the last look, in bytes.
    pub(super) fn scrolled_bytes(&self) -> usize {
        self.scrolled.bytes
    }

    /// Whether another look would see lines that do not stand long enough yet.
    pub(super) fn is_moving(&self) -> bool {
        match self.terminal.active_screen_kind() {
            ScreenKind::Primary => self.primary.is_moving(),
            ScreenKind::Alternate => self.alternate.is_moving(),
        }
    }

    /// The lines to be told now: those that scrolled away, and those that have stood for a while. To be called at equal
    /// pauses.
    pub(super) fn look(&mut self) -> String {
        self.told(STEADY_LOOKS)
    }

    /// Everything that is left and was not told.
    pub(super) fn last_look(&mut self) -> String {
        self.told(0)
    }

    fn told(&mut self, steady_looks: u32) -> String {
        let mut told = Told::default();
        if std::mem::take(&mut self.scrolled.is_erased) {
            self.history.is_drawn_again();
        }
        self.scrolled.bytes = 0;
        for line in std::mem::take(&mut self.scrolled.lines) {
            let is_news = !line.is_empty() && !self.primary.has_told(&line) && self.history.is_news(&line);
            told.line(&line, is_news);
        }
        let lines = self.lines();
        let standing = match self.terminal.active_screen_kind() {
            ScreenKind::Primary => &mut self.primary,
            ScreenKind::Alternate => &mut self.alternate,
        };
        for (line, is_steady) in standing.look(&lines, steady_looks) {
            told.line(line, is_steady && self.history.is_news(line));
        }
        told.text
    }

    /// What stands, without the rows that belong together being apart.
    fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        let mut begun = match self.terminal.active_screen_kind() {
            ScreenKind::Primary => self.scrolled.begun.clone(),
            ScreenKind::Alternate => String::new(),
        };
        for row in self.terminal.screen().visible_lines() {
            lines.extend(join(&mut begun, row));
        }
        lines
    }
}

fn bounded(columns: u16, rows: u16) -> (usize, usize) {
    (usize::from(columns).clamp(1, COLUMNS_MAX), usize::from(rows).clamp(1, ROWS_MAX))
}

/// Adds a row to what has `begun`; gives the line when that was its last row.
fn join(begun: &mut String, row: &Line) -> Option<String> {
    for c in row.chars() {
        if begun.len() < LINE_BYTES_MAX {
            begun.push(c);
        }
    }
    if row.is_wrapped() {
        return None;
    }
    let line = begun.trim_end();
    // A frame is no text.
    let is_frame = line.chars().all(|c| c.is_whitespace() || ('\u{2500}'..='\u{259f}').contains(&c));
    let line = if is_frame { String::new() } else { line.to_owned() };
    begun.clear();
    Some(line)
}

/// Lines on their way out.
#[derive(Default)]
struct Told {
    text: String,
    /// Whether the line before was told, and an empty one stood since.
    after: Option<bool>,
}

impl Told {
    fn line(&mut self, line: &str, is_told: bool) {
        match self.after {
            Some(_) if line.is_empty() => self.after = Some(true),
            _ if !is_told => self.after = None,
            after => {
                if after == Some(true) {
                    self.text.push('\n');
                }
                self.text.push_str(line);
                self.text.push('\n');
                self.after = Some(false);
            }
        }
    }
}

/// What has left the screen at its upper edge.
#[derive(Default)]
struct Scrolled {
    /// The beginning of a line whose end still stands.
    begun: String,
    lines: Vec<String>,
    bytes: usize,
    /// The program has erased what the terminal kept of it.
    is_erased: bool,
}

impl Observer for Scrolled {
    type Output = ();

    fn before(&mut self, _: &mut Observation<'_>, operation: &Operation) {
        self.is_erased |= matches!(operation, Operation::Function(Function::Ed(EdScope::SavedLines)));
    }

    fn evicted(&mut self, _: &mut Observation<'_>, row: &Line) {
        if let Some(line) = join(&mut self.begun, row) {
            self.bytes += line.len() + 1;
            self.lines.push(line);
        }
    }

    fn end(&mut self, _: &mut Observation<'_>) {}
}

/// The lines of one screen, by what they say: how long they stand, and how many of them were told.
#[derive(Default)]
struct Standing(HashMap<String, Stood>);

#[derive(Default)]
struct Stood {
    told: usize,
    /// At how many looks in a row more of them stood than were told.
    steady: u32,
    /// At how many looks in a row none stood.
    away: u32,
}

impl Standing {
    /// The lines in their order, and which of them are to be told now.
    fn look<'a>(&mut self, lines: &'a [String], steady_looks: u32) -> Vec<(&'a str, bool)> {
        let mut counts: HashMap<&str, usize> = HashMap::new();
        for line in lines.iter().filter(|line| !line.is_empty()) {
            *counts.entry(line).or_default() += 1;
            if !self.0.contains_key(line) {
                self.0.insert(line.clone(), Stood::default());
            }
        }
        // How many of each are not to be told again.
        let mut passed: HashMap<&str, usize> = HashMap::new();
        self.0.retain(|line, stood| {
            let count = counts.get_key_value(line.as_str());
            stood.away = if count.is_some() { 0 } else { stood.away + 1 };
            if let Some((line, count)) = count {
                passed.insert(line, *count);
                stood.steady = if *count > stood.told { stood.steady + 1 } else { 0 };
                if *count > stood.told && stood.steady >= steady_looks {
                    passed.insert(line, stood.told);
                    stood.told = *count;
                    stood.steady = 0;
                }
            } else {
                stood.steady = 0;
            }
            stood.away < FORGET_LOOKS
        });
        let told = lines.iter().map(|line| match passed.get_mut(line.as_str()) {
            Some(0) => (line.as_str(), true),
            Some(rest) => {
                *rest -= 1;
                (line.as_str(), false)
            }
            None => (line.as_str(), false),
        });
        told.collect()
    }

    /// Whether this line, which has gone, was told while it stood.
    fn has_told(&mut self, line: &str) -> bool {
        let Some(stood) = self.0.get_mut(line).filter(|stood| stood.told > 0) else { return false };
        stood.told -= 1;
        true
    }

    fn is_moving(&self) -> bool {
        self.0.values().any(|stood| stood.steady > 0 || stood.away > 0)
    }
}

/// The last lines that were told, by their hashes.
#[derive(Default)]
struct History {
    hasher: RandomState,
    lines: VecDeque<u64>,
    /// Those that a program which began anew is expected to draw again.
    again: HashMap<u64, usize>,
}

impl History {
    fn is_drawn_again(&mut self) {
        self.again.clear();
        for line in &self.lines {
            *self.again.entry(*line).or_default() += 1;
        }
    }

    /// Whether a line is to be told: it is no repetition.
    fn is_news(&mut self, line: &str) -> bool {
        let hash = self.hasher.hash_one(line);
        if let Some(rest) = self.again.get_mut(&hash) {
            *rest -= 1;
            if *rest == 0 {
                self.again.remove(&hash);
            }
            return false;
        }
        if self.lines.len() == HISTORY_LINES {
            self.lines.pop_front();
        }
        self.lines.push_back(hash);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settled(screen: &mut Screen) -> String {
        let mut told = screen.look();
        while screen.is_moving() {
            told.push_str(&screen.look());
        }
        told
    }

    #[test]
    fn a_line_that_is_drawn_over_is_told_as_it_is_left() {
        let mut screen = Screen::new(40, 10);
        screen.feed("Reading\r\n\r\na file\r\n");
        let mut told = String::new();
        for second in 0..100 {
            screen.feed(&format!("\x1b[2K\r* Thinking ({second}s)"));
            told.push_str(&screen.look());
        }
        screen.feed("\x1b[2K\rDone");
        told.push_str(&settled(&mut screen));
        assert_eq!(told, "Reading\n\na file\nDone\n");
        assert_eq!(screen.last_look(), "");
    }

    #[test]
    fn what_scrolls_away_is_told_once_and_whole_however_long_it_stood() {
        let mut screen = Screen::new(10, 3);
        screen.feed("one\r\ntwo is a line of more than one row\r\n");
        let mut told = settled(&mut screen);
        screen.feed("three\r\nfour\r\nfour\r\n");
        told.push_str(&settled(&mut screen));
        screen.feed("four");
        told.push_str(&screen.last_look());
        assert_eq!(told, "one\ntwo is a line of more than one row\nthree\nfour\nfour\nfour\n");
    }

    #[test]
    fn a_history_that_is_drawn_again_is_not_told_again() {
        let mut screen = Screen::new(20, 4);
        let history: String = (0..50).map(|line| format!("line {line}\r\n")).collect();
        screen.feed(&history);
        let first = settled(&mut screen);
        assert_eq!(first.lines().count(), 50);
        screen.resize(30, 5);
        screen.feed("\x1b[2J\x1b[3J\x1b[H");
        screen.feed(&history);
        screen.feed("line 50\r\n");
        assert_eq!(settled(&mut screen), "line 50\n");
    }

    #[test]
    fn another_screen_is_left_for_the_one_before_without_telling_that_again() {
        let mut screen = Screen::new(20, 5);
        screen.feed("before");
        assert_eq!(settled(&mut screen), "before\n");
        screen.feed("\x1b[?1049h\x1b[Hwithin");
        assert_eq!(settled(&mut screen), "within\n");
        screen.feed("\x1b[?1049l");
        assert_eq!(settled(&mut screen), "");
    }

    #[test]
    fn a_line_without_end_and_a_terminal_without_size_stay_small() {
        let mut screen = Screen::new(0, 0);
        screen.resize(u16::MAX, u16::MAX);
        screen.resize(80, 24);
        for _ in 0..1000 {
            screen.feed(&"x".repeat(1024));
        }
        screen.feed("\r\n");
        assert!(screen.last_look().len() <= 2 * LINE_BYTES_MAX);
    }
}
