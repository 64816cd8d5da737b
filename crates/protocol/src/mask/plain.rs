//! A text as people read it: without what is not shown, such as colours and characters of no width, and with escapes
//! that stand for letters; and the way back to where each of it stands.

use std::borrow::Cow;
use std::ops::Range;

/// A text to look for secrets in.
pub(super) struct Plain<'a> {
    pub text: Cow<'a, str>,
    /// What each part of a text that is not as it was stands for, in order.
    parts: Vec<Part>,
}

/// Letters that were taken as they are, or one letter that something else stood for.
struct Part {
    /// Where it begins.
    start: usize,
    length: usize,
    original: Range<usize>,
}

impl Part {
    fn is_as_it_was(&self) -> bool {
        self.length == self.original.len()
    }
}

impl<'a> Plain<'a> {
    pub(super) fn of(text: &'a str) -> Self {
        if !is_disguised(text) {
            return Self { text: Cow::Borrowed(text), parts: Vec::new() };
        }
        let mut plain = Self { text: Cow::Owned(String::with_capacity(text.len())), parts: Vec::new() };
        let mut at = 0;
        while let Some(letter) = text[at..].chars().next() {
            let (shown, length) = read(&text[at..], letter);
            if let Some(shown) = shown {
                plain.push(shown, at..at + length);
            }
            at += length;
        }
        plain
    }

    fn push(&mut self, letter: char, original: Range<usize>) {
        let (start, length) = (self.text.len(), letter.len_utf8());
        self.text.to_mut().push(letter);
        match self.parts.last_mut() {
            Some(last)
                if last.is_as_it_was() && last.original.end == original.start && original.len() == length =>
            {
                last.original.end = original.end;
                last.length += length;
            }
            _ => self.parts.push(Part { start, length, original }),
        }
    }

    /// Where this part of it stands in the text that was given.
    pub(super) fn original(&self, range: &Range<usize>) -> Range<usize> {
        if self.parts.is_empty() || range.is_empty() {
            return range.clone();
        }
        let part = |at: usize| &self.parts[self.parts.partition_point(|part| part.start <= at) - 1];
        let (first, last) = (part(range.start), part(range.end - 1));
        let start = if first.is_as_it_was() { range.start - first.start } else { 0 };
        let end = if last.is_as_it_was() { range.end - last.start } else { last.original.len() };
        first.original.start + start..last.original.start + end
    }
}

/// Marks that reorder, join or hide text, and show nothing themselves.
pub(crate) fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}'
    )
}

fn is_hidden(c: char) -> bool {
    is_invisible(c) || c.is_control() && !matches!(c, '\n' | '\r' | '\t')
}

/// Whether it is not shown as it stands.
fn is_disguised(text: &str) -> bool {
    let bytes = text.as_bytes();
    if memchr::memchr(b'\\', bytes).is_some_and(|first| has_escape(&bytes[first..])) {
        return true;
    }
    let letter = |at: usize| text[at..].chars().next();
    bytes.iter().enumerate().any(|(at, byte)| match byte {
        b' '..=b'~' | b'\n' | b'\r' | b'\t' => false,
        0..=0x7f => true,
        // How those that are hidden begin.
        0xc2 | 0xcd | 0xd8 | 0xe1..=0xe3 | 0xef | 0xf3 => letter(at).is_some_and(is_hidden),
        _ => false,
    })
}

/// Whether a backslash stands before what it makes another letter, or joins two lines.
fn has_escape(bytes: &[u8]) -> bool {
    memchr::memchr_iter(b'\\', bytes).any(|at| {
        matches!(bytes.get(at + 1), Some(b'u' | b'x' | b'0' | b'e' | b'n' | b'r' | b't' | b'\n' | b'\r'))
    })
}

/// What is shown of the next letter, if anything, and how many bytes say so.
fn read(rest: &str, letter: char) -> (Option<char>, usize) {
    match letter {
        '\u{1b}' => (None, sequence(rest, 1)),
        '\\' => escape(rest).unwrap_or((Some(letter), 1)),
        _ if is_hidden(letter) => (None, letter.len_utf8()),
        _ => (Some(letter), letter.len_utf8()),
    }
}

/// An escape that a program would make a letter of, with a backslash more for each text that it is in.
fn escape(rest: &str) -> Option<(Option<char>, usize)> {
    let after = rest.trim_start_matches('\\');
    let backslashes = rest.len() - after.len();
    let code = |from: usize, digits: usize, radix: u32| {
        u32::from_str_radix(after.get(from..from + digits)?, radix).ok().and_then(char::from_u32)
    };
    let (letter, length) = match *after.as_bytes().first()? {
        b'\n' => return Some((None, backslashes + 1)),
        b'\r' if after.starts_with("\r\n") => return Some((None, backslashes + 2)),
        b'n' | b'r' => ('\n', 1),
        b't' => ('\t', 1),
        b'u' => (code(1, 4, 16)?, 5),
        b'x' => (code(1, 2, 16)?, 3),
        b'0' => (code(0, 3, 8)?, 3),
        b'e' if after.starts_with("e[") => ('\u{1b}', 1),
        _ => return None,
    };
    let length = backslashes + length;
    Some(match letter {
        '\u{1b}' => (None, sequence(rest, length)),
        '\n' | '\t' => (Some(letter), length),
        _ if is_hidden(letter) => (None, length),
        // What ends a text in quotes would end it elsewhere.
        _ if letter.is_ascii_alphanumeric() || "_-:=./+@".contains(letter) => (Some(letter), length),
        _ => return None,
    })
}

/// How long a sequence for the terminal is whose escape has this length.
fn sequence(rest: &str, escape: usize) -> usize {
    let bytes = &rest.as_bytes()[escape..];
    let length = match bytes.first() {
        Some(b'[') => {
            let parameters = bytes[1..].iter().take_while(|byte| (b' '..=b'?').contains(byte)).count();
            let last = bytes.get(1 + parameters).filter(|byte| (b'@'..=b'~').contains(byte));
            1 + parameters + usize::from(last.is_some())
        }
        Some(b']') => bytes.iter().position(|byte| matches!(byte, 0x07 | b'\\')).map_or(1, |end| end + 1),
        _ => 0,
    };
    escape + length
}
