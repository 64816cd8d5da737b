//! The words of a command as a shell takes it apart, also where the command stands within quotes.

use std::ops::Range;

/// How far a command is read: a longer line is no command any more, and who repeats a program's name a thousand times
/// has each looked at no further.
pub(super) const LINE_BYTES_MAX: usize = 4096;

/// The words behind a place up to the end of the command, or of the quotes around it.
pub(super) fn words(text: &str, start: usize, quote: Option<char>) -> Vec<Range<usize>> {
    let mut words = Vec::new();
    let limit = text.floor_char_boundary(start.saturating_add(LINE_BYTES_MAX));
    let mut at = start;
    while at < limit {
        let rest = &text[at..limit];
        let Some(letter) = rest.chars().next() else { break };
        match letter {
            '\n' | '|' | ';' | ')' => break,
            '&' if rest.starts_with("&&") || rest.starts_with("& ") => break,
            _ if Some(letter) == quote || closes(rest) => break,
            '\\' if rest[1..].starts_with(['\n', ' ']) => at += 1,
            _ if letter.is_whitespace() => at += letter.len_utf8(),
            _ => {
                let end = at + word(rest, quote);
                words.push(unquoted(text, at..end));
                at = end;
            }
        }
    }
    words
}

/// How long the word is that begins here; a command that stands for what it prints is a part of its word.
fn word(rest: &str, outer: Option<char>) -> usize {
    let mut open: Option<char> = None;
    let mut is_escaped = false;
    let mut depth = 0_usize;
    let mut before = ' ';
    for (at, letter) in rest.char_indices() {
        match (open, letter) {
            (Some(quote), '\n') if !is_escaped && is_closed(rest, at, quote) => {}
            (_, '\n') if !is_escaped => return at,
            (None, _) if Some(letter) == outer && !is_escaped => return at,
            (None, '(') if matches!(before, '<' | '>' | '$') => depth += 1,
            (None, ')') if depth > 0 => depth -= 1,
            (None, _) if depth > 0 && !matches!(letter, '"' | '\'') => {}
            (None, '|' | ';' | ')') if !is_escaped => return at.max(1),
            (None, _) if letter.is_whitespace() && !is_escaped => return at,
            (None, '"' | '\'' | '\\') if at > 0 && closes(&rest[at..]) => return at,
            (None, '"' | '\'') => open = Some(letter),
            (Some(quote), _) if quote == letter => open = None,
            _ => {}
        }
        is_escaped = letter == '\\' && !is_escaped;
        before = letter;
    }
    rest.len()
}

/// Whether what opened with the word goes on behind a line break and is closed as a word is.
fn is_closed(rest: &str, line: usize, quote: char) -> bool {
    let is_end =
        |after: &str| after.is_empty() || after.starts_with(|c: char| c.is_whitespace() || "|;)".contains(c));
    rest.trim_start_matches('\\').starts_with(quote)
        && rest[line..].find(quote).is_some_and(|end| is_end(&rest[line + end + quote.len_utf8()..]))
}

/// Whether a text in quotes ends here that the command stands in, as a value of JSON does.
fn closes(rest: &str) -> bool {
    let quote = rest.trim_start_matches('\\');
    quote.strip_prefix(['"', '\'']).is_some_and(|after| after.starts_with([',', ']', '}', ':']))
}

/// Without quotes around all of it.
pub(super) fn unquoted(text: &str, word: Range<usize>) -> Range<usize> {
    let given = &text[word.clone()];
    let inside = ["\\\"", "\"", "\\'", "'"].iter().find_map(|quote| {
        let inside = given.strip_prefix(*quote)?;
        Some((quote.len(), inside.strip_suffix(*quote).unwrap_or(inside).len()))
    });
    inside.map_or(word.clone(), |(skipped, length)| word.start + skipped..word.start + skipped + length)
}
