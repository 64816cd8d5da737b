//! Where a command writes. A closed pipe is no reason to stop a server, so errors of lines are passed over.

use std::fmt::Display;
use std::io::{self, Write};

use serde::Serialize;

/// Standard output and standard error, or what stands for them in a test.
pub struct Terminal<'a> {
    /// Whether somebody watches, so that a line may be written over.
    pub live: bool,
    /// How wide it is; none for a file.
    pub columns: Option<usize>,
    out: &'a mut dyn Write,
    err: &'a mut dyn Write,
    closed: bool,
    is_json: bool,
}

impl<'a> Terminal<'a> {
    /// A terminal that writes to these two.
    pub fn new(out: &'a mut dyn Write, err: &'a mut dyn Write) -> Self {
        Self { live: false, columns: None, out, err, closed: false, is_json: false }
    }

    /// From now on a program reads: standard output is one JSON document, and lines for people are passed over.
    pub(crate) fn speak_json(&mut self) {
        self.is_json = true;
    }

    /// Whether a program reads.
    pub(crate) fn speaks_json(&self) -> bool {
        self.is_json
    }

    /// The JSON document of a verb that was asked for one.
    pub(crate) fn answer(&mut self, document: &impl Serialize) {
        let text = serde_json::to_string_pretty(document).expect("what verbs answer has text as keys");
        self.write_line(&text);
    }

    /// A line of output.
    pub(crate) fn say(&mut self, line: impl Display) {
        if !self.is_json {
            self.write_line(&line);
        }
    }

    fn write_line(&mut self, line: &dyn Display) {
        // See the module: who reads no more shall not stop us.
        self.closed = writeln!(self.out, "{line}").and_then(|()| self.out.flush()).is_err();
    }

    /// Whether the last line found a reader, for commands that only write.
    pub(crate) fn is_read(&self) -> bool {
        !self.closed
    }

    /// Output of a verb that ends when nobody reads it any more.
    pub(crate) fn write(&mut self, text: &str) -> io::Result<()> {
        self.out.write_all(text.as_bytes()).and_then(|()| self.out.flush())
    }

    /// A line that the next one is written over, for who watches.
    pub(crate) fn progress(&mut self, line: impl Display) {
        if self.live && !self.is_json {
            // As above.
            let _ = write!(self.out, "{line}\r").and_then(|()| self.out.flush());
        }
    }

    /// A line about what is wrong.
    pub(crate) fn complain(&mut self, line: impl Display) {
        // A background server's log may be on a full disk.
        let _ = writeln!(self.err, "{line}");
    }

    /// What went wrong, and the way out where there is one.
    pub(crate) fn error(&mut self, error: impl Display, suggestion: Option<&str>) {
        self.complain(format_args!("Error: {error}"));
        if let Some(suggestion) = suggestion {
            self.complain(format_args!("Suggestion: {suggestion}"));
        }
    }
}
