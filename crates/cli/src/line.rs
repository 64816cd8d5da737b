//! One event as one line in the terminal: when, which session, what; as wide as the terminal and no wider.

use std::fmt::Write;

use anstyle::{AnsiColor, Color, Style};
use jiff::tz::TimeZone;
use protocol::kind::{HookEvent, MpmEvent};
use protocol::{Kind, Row, Timestamp};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Terminals as wide as this show milliseconds and the project, too.
const WIDE: usize = 110;

/// Columns of a session's short id.
const SESSION_COLUMNS: usize = 8;

/// Columns of a port.
const INSTANCE_COLUMNS: usize = 5;

/// Columns of a project's name.
const PROJECT_COLUMNS: usize = 14;

/// Colours of sessions: none that means something else here.
const SESSION_COLOURS: [AnsiColor; 6] = [
    AnsiColor::Cyan,
    AnsiColor::Magenta,
    AnsiColor::Blue,
    AnsiColor::BrightCyan,
    AnsiColor::BrightMagenta,
    AnsiColor::BrightBlue,
];

/// How lines look.
#[derive(Clone, Debug)]
pub(crate) struct Look {
    /// Columns of the terminal; none for a file, where nothing is cut.
    pub(crate) columns: Option<usize>,
    pub(crate) is_coloured: bool,
    pub(crate) zone: TimeZone,
}

impl Look {
    /// The line of an event, without a line end.
    pub(crate) fn line(&self, row: &Row) -> String {
        let mut line = Line { is_coloured: self.is_coloured, left: self.columns, text: String::new() };
        let is_wide = self.columns.is_none_or(|columns| columns >= WIDE);
        line.push(&self.time(row.occurred_at, is_wide), DIM);
        line.push("  ", Style::new());
        if is_wide {
            let project = row.project.as_deref().map(base_name).unwrap_or_default();
            line.push(&padded(&plain(project), PROJECT_COLUMNS), DIM);
            line.push("  ", Style::new());
        }
        let session = row.session_id.as_ref().map_or("-", |id| id.as_str());
        line.push(&padded(&plain(session), SESSION_COLUMNS), session_style(session));
        line.push("  ", Style::new());
        let (glyph, tone) = glyph(row);
        line.push(glyph, tone);
        line.push("  ", Style::new());
        if let Some(agent) = row.agent_type.as_deref().filter(|agent| !row.summary.starts_with(agent)) {
            line.push(&format!("{}  ", plain(agent)), AGENT);
        }
        let summary = plain(&row.summary);
        // The parts of a summary are separated by two spaces; the first says what it is.
        let (first, rest) = summary.split_at(summary.find("  ").unwrap_or(0));
        line.push(first, if row.is_error { tone } else { Style::new().bold() });
        line.push(rest, if row.is_error { tone } else { text_style(row) });
        line.text
    }

    /// What stands before a line where several monitors tell: the port of the one that told it.
    pub(crate) fn instance(&self, port: u16) -> String {
        let mut line = Line { is_coloured: self.is_coloured, left: None, text: String::new() };
        line.push(&padded(&port.to_string(), INSTANCE_COLUMNS), DIM);
        line.push("  ", Style::new());
        line.text
    }

    /// The same look beside [`Look::instance`].
    pub(crate) fn beside_instance(self) -> Self {
        Self { columns: self.columns.map(|columns| columns.saturating_sub(INSTANCE_COLUMNS + 2)), ..self }
    }

    /// The line before the first event of a day.
    pub(crate) fn day(&self, at: Timestamp) -> String {
        let mut line = Line { is_coloured: self.is_coloured, left: self.columns, text: String::new() };
        line.push(&self.zoned(at).strftime("── %A %-d %B %Y ──").to_string(), DIM);
        line.text
    }

    /// The day of an event, to see where another one begins.
    pub(crate) fn date(&self, at: Timestamp) -> jiff::civil::Date {
        self.zoned(at).date()
    }

    fn time(&self, at: Timestamp, is_exact: bool) -> String {
        let form = if is_exact { "%H:%M:%S%.3f" } else { "%H:%M:%S" };
        self.zoned(at).strftime(form).to_string()
    }

    fn zoned(&self, at: Timestamp) -> jiff::Zoned {
        // What lies beyond year 9999 is no time that a person would look for.
        jiff::Timestamp::from_millisecond(at.0)
            .unwrap_or(jiff::Timestamp::UNIX_EPOCH)
            .to_zoned(self.zone.clone())
    }
}

const DIM: Style = Style::new().dimmed();
const AGENT: Style = coloured(AnsiColor::Cyan);

const fn coloured(colour: AnsiColor) -> Style {
    Style::new().fg_color(Some(Color::Ansi(colour)))
}

/// A sign and a colour for a kind; the summary says the same in words.
pub(crate) fn glyph(row: &Row) -> (&'static str, Style) {
    if row.is_error {
        return ("✗", coloured(AnsiColor::Red));
    }
    let (glyph, colour) = match &row.kind {
        _ if row.is_notice() => ("!", AnsiColor::BrightBlack),
        Kind::Hook(event) => match event {
            HookEvent::SessionStart => ("●", AnsiColor::Green),
            HookEvent::SessionEnd => ("○", AnsiColor::BrightBlack),
            HookEvent::UserPromptSubmit | HookEvent::UserPromptExpansion => ("❯", AnsiColor::Yellow),
            HookEvent::PreToolUse => ("▸", AnsiColor::Blue),
            HookEvent::PostToolUse | HookEvent::PostToolBatch | HookEvent::TaskCompleted => {
                ("✓", AnsiColor::Green)
            }
            HookEvent::PostToolUseFailure | HookEvent::PermissionDenied | HookEvent::StopFailure => {
                ("✗", AnsiColor::Red)
            }
            HookEvent::PermissionRequest | HookEvent::Elicitation => ("?", AnsiColor::Yellow),
            HookEvent::Notification => ("!", AnsiColor::Yellow),
            HookEvent::SubagentStart => ("┌", AnsiColor::Cyan),
            HookEvent::SubagentStop => ("└", AnsiColor::Cyan),
            HookEvent::Stop => ("■", AnsiColor::Green),
            HookEvent::MessageDisplay => ("“", AnsiColor::White),
            HookEvent::TaskCreated => ("+", AnsiColor::White),
            HookEvent::PreCompact | HookEvent::PostCompact => ("≈", AnsiColor::Magenta),
            _ => ("·", AnsiColor::BrightBlack),
        },
        Kind::Mpm(MpmEvent::AssistantResponse) => ("“", AnsiColor::White),
        Kind::Mpm(_) | Kind::Other(_) => ("·", AnsiColor::BrightBlack),
    };
    (glyph, coloured(colour))
}

/// What a person said stands out; what only runs along does not.
fn text_style(row: &Row) -> Style {
    match &row.kind {
        _ if row.is_notice() => Style::new(),
        Kind::Hook(HookEvent::UserPromptSubmit) => Style::new().bold(),
        Kind::Mpm(_) | Kind::Other(_) => DIM,
        Kind::Hook(_) => Style::new(),
    }
}

/// The same colour for a session each time.
fn session_style(id: &str) -> Style {
    let sum = id.bytes().fold(0usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(usize::from(byte)));
    coloured(SESSION_COLOURS[sum % SESSION_COLOURS.len()])
}

/// A line that is being written and knows how many columns are left.
struct Line {
    is_coloured: bool,
    left: Option<usize>,
    text: String,
}

impl Line {
    fn push(&mut self, text: &str, style: Style) {
        let text = match self.left {
            None => text.to_owned(),
            Some(left) => {
                let text = cut(text, left);
                self.left = Some(left - text.width());
                text
            }
        };
        if text.is_empty() {
            return;
        }
        let written = if self.is_coloured && style != Style::new() {
            write!(self.text, "{style}{text}{style:#}")
        } else {
            write!(self.text, "{text}")
        };
        written.expect("a string can always be written to");
    }
}

/// A text in so many columns; what is cut ends in `…`.
fn cut(text: &str, columns: usize) -> String {
    if text.width() <= columns {
        return text.to_owned();
    }
    let mut out = String::new();
    let mut used = 0;
    for letter in text.chars() {
        let width = letter.width().unwrap_or(0);
        if used + width + 1 > columns {
            break;
        }
        used += width;
        out.push(letter);
    }
    if columns > 0 {
        out.push('…');
    }
    out
}

/// Cut and filled to exactly so many columns.
fn padded(text: &str, columns: usize) -> String {
    // Ids are told apart by their beginning, and are copied: no `…` at their end.
    let text: String =
        if text.width() == text.len() { text.chars().take(columns).collect() } else { cut(text, columns) };
    let missing = columns.saturating_sub(text.width());
    text + &" ".repeat(missing)
}

/// Without what a terminal would obey: control characters and changes of the writing direction.
pub(crate) fn plain(text: &str) -> String {
    let is_order = |letter: char| {
        letter.is_control()
            || matches!(letter, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().map(|letter| if is_order(letter) { '\u{fffd}' } else { letter }).collect()
}

pub(crate) fn base_name(path: &str) -> &str {
    path.trim_end_matches(['/', '\\']).rsplit(['/', '\\']).next().unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::{EventId, Seq, SessionId, Source};

    fn row(kind: &str, summary: &str) -> Row {
        Row {
            seq: Seq(1),
            id: EventId(uuid::Uuid::nil()),
            received_at: Timestamp(0),
            occurred_at: Timestamp(1_795_225_603_281),
            source: Source::Hook,
            kind: Kind::from_name(kind),
            session_id: Some(SessionId("0123456789abcdef".to_owned())),
            agent_id: None,
            agent_type: None,
            project: Some("/home/dev/shop".to_owned()),
            tool_use_id: None,
            tool_name: None,
            prompt_id: None,
            duration_ms: None,
            is_error: false,
            summary: summary.to_owned(),
            duplicate_of: None,
        }
    }

    fn look(columns: Option<usize>, is_coloured: bool) -> Look {
        Look { columns, is_coloured, zone: TimeZone::UTC }
    }

    #[test]
    fn a_line_says_when_where_and_what() {
        let bash = row("PreToolUse", "Bash  cargo test");
        let file = "01:46:43.281  shop            01234567  ▸  Bash  cargo test";
        assert_eq!(look(None, false).line(&bash), file);
        assert_eq!(look(Some(160), false).line(&bash), file);
        assert_eq!(look(Some(80), false).line(&bash), "01:46:43  01234567  ▸  Bash  cargo test");
        let agent = Row { agent_type: Some("Explore".to_owned()), is_error: true, ..bash };
        assert_eq!(look(Some(80), false).line(&agent), "01:46:43  01234567  ✗  Explore  Bash  cargo test");
        assert_eq!(look(None, false).day(agent.occurred_at), "── Saturday 21 November 2026 ──");
    }

    #[test]
    fn what_claude_code_tells_itself_is_no_prompt() {
        let notice = row("UserPromptSubmit", "Notice  Agent \"Find callers\" completed");
        let prompt = row("UserPromptSubmit", "Prompt  Notice  this");
        assert_eq!((glyph(&notice).0, glyph(&prompt).0), ("!", "❯"));
        assert_ne!(text_style(&notice), text_style(&prompt));
    }

    #[test]
    fn no_line_is_wider_than_the_terminal_whatever_the_letters() {
        for summary in ["a long line ".repeat(40), "漢字".repeat(90), "👩‍👩‍👧 e\u{301}".repeat(60)]
        {
            for columns in 1..200 {
                let line = look(Some(columns), false).line(&row("Stop", &summary));
                assert!(line.width() <= columns, "{columns}: {line}");
                assert!(columns < 30 || line.ends_with('…'), "{columns}: {line}");
            }
        }
    }

    #[test]
    fn colours_change_nothing_but_colours_and_a_session_keeps_its_own() {
        let coloured = look(Some(100), true).line(&row("Stop", "Done  all"));
        let bare: String = coloured
            .split('\u{1b}')
            .map(|part| part.split_once('m').map_or(part, |(_, rest)| rest))
            .collect();
        assert_ne!(coloured, bare);
        assert_eq!(bare, look(Some(100), false).line(&row("Stop", "Done  all")));
        assert_eq!(session_style("a"), session_style("a"));
    }

    #[test]
    fn what_a_terminal_would_obey_is_not_passed_on() {
        let line = look(None, false).line(&row("Stop", "a\u{1b}[2Jb\u{202e}c\r\nd"));
        assert!(line.ends_with("a\u{fffd}[2Jb\u{fffd}c\u{fffd}\u{fffd}d"), "{line:?}");
    }
}
