//! Events as a table for spreadsheets: one row each, without payloads.

use std::borrow::Cow;
use std::io::{self, Write};

use protocol::{AgentId, Entry, Row, SessionId, ToolUseId};

use super::Sheet;

const COLUMNS: [&str; 16] = [
    "seq",
    "id",
    "received_at",
    "occurred_at",
    "source",
    "kind",
    "session_id",
    "agent_id",
    "agent_type",
    "project",
    "tool_use_id",
    "tool_name",
    "prompt_id",
    "duration_ms",
    "is_error",
    "summary",
];

/// A table whose head is written.
pub(super) struct Table;

impl Table {
    pub(super) fn begin(out: &mut dyn Write) -> io::Result<Self> {
        write(&COLUMNS, out)?;
        Ok(Self)
    }
}

impl Sheet for Table {
    fn event(&mut self, event: &Entry, out: &mut dyn Write) -> io::Result<()> {
        write(&cells(&event.row), out)
    }

    fn end(&mut self, _: &mut dyn Write) -> io::Result<()> {
        Ok(())
    }
}

fn write(cells: &[impl AsRef<[u8]>], out: &mut dyn Write) -> io::Result<()> {
    let mut writer = csv::Writer::from_writer(out);
    writer.write_record(cells)?;
    writer.flush()
}

fn cells(row: &Row) -> [String; 16] {
    let text = |text: Option<&str>| harmless(text.unwrap_or_default()).into_owned();
    [
        row.seq.to_string(),
        row.id.0.to_string(),
        row.received_at.rfc3339(),
        row.occurred_at.rfc3339(),
        row.source.as_str().to_owned(),
        text(Some(row.kind.as_str())),
        text(row.session_id.as_ref().map(SessionId::as_str)),
        text(row.agent_id.as_ref().map(AgentId::as_str)),
        text(row.agent_type.as_deref()),
        text(row.project.as_deref()),
        text(row.tool_use_id.as_ref().map(ToolUseId::as_str)),
        text(row.tool_name.as_deref()),
        text(row.prompt_id.as_deref()),
        row.duration_ms.map(|ms| ms.to_string()).unwrap_or_default(),
        row.is_error.to_string(),
        text(Some(&row.summary)),
    ]
}

/// A text that no spreadsheet takes for a formula: an apostrophe before it says that it is text.
fn harmless(text: &str) -> Cow<'_, str> {
    if text.trim_start().starts_with(['=', '+', '-', '@', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}'])
        || text.starts_with(['\t', '\r', '\n'])
    {
        return Cow::Owned(format!("'{text}"));
    }
    Cow::Borrowed(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_begins_like_a_formula_is_marked_as_text() {
        for text in ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", " =1", "\r=1", "\n=1", "＝1"] {
            assert_eq!(harmless(text), format!("'{text}"));
        }
        for text in ["Bash  ls", "", "a=b", "1-2"] {
            assert_eq!(harmless(text), text);
        }
    }
}
