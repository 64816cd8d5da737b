//! What a program is given on its standard input, and what a command prints in place of a value: `echo X | program`,
//! `program <<< X`, here documents, `<(echo X)`, `$(echo X)`, `--password-command 'echo X'`.

use std::ops::Range;

use super::shell::{LINE_BYTES_MAX, unquoted, words};
use super::value::{is_reference, is_word};

/// Commands that print what they are given.
const PRINTERS: &[&str] = &["echo ", "printf ", "Write-Output ", "yes "];

/// What a program reads from its standard input: by a pipe, or as its own words say.
pub(super) fn into(text: &str, program: usize, given: &[Range<usize>]) -> Vec<Range<usize>> {
    let mut found = piped(text, program);
    for (at, word) in given.iter().enumerate() {
        found.extend(redirected(text, word, given.get(at + 1), None));
    }
    found.retain(|range| is_text(&text[range.clone()]));
    found
}

/// What a command prints that stands in place of a value.
pub(super) fn instead(text: &str, value: &Range<usize>) -> Vec<Range<usize>> {
    let limit = text.floor_char_boundary(value.start.saturating_add(LINE_BYTES_MAX));
    let source = text[value.start..limit].trim_start_matches(['"', '\'', '\\', '`', ' ']);
    let source = source.strip_prefix("file:").unwrap_or(source);
    let inside = source.strip_prefix("<(").or_else(|| source.strip_prefix("$("));
    // The words end where the command does.
    let end = if inside.is_some() { limit } else { value.end };
    let start = limit - inside.unwrap_or(source).trim_start().len();
    let Some(printer) = PRINTERS.iter().find(|printer| text[start..].starts_with(**printer)) else {
        return Vec::new();
    };
    let mut found = arguments(text, start + printer.len(), end);
    found.retain(|range| is_text(&text[range.clone()]));
    found
}

/// What is given by `<<<`, `<<` or `< <(…)`. A body that does not follow at once begins behind `from`.
fn redirected(
    text: &str,
    word: &Range<usize>,
    next: Option<&Range<usize>>,
    from: Option<usize>,
) -> Vec<Range<usize>> {
    // The number of what it is given on may stand before it.
    let given = text[word.clone()].trim_start_matches(|c: char| c.is_ascii_digit());
    let word = &(word.end - given.len()..word.end);
    let operator = given.len() - given.trim_start_matches('<').len();
    let value = match (operator, operator == given.len()) {
        (2 | 3, true) => next.cloned(),
        (2 | 3, false) => Some(unquoted(text, word.start + operator..word.end)),
        (1, false) if given.starts_with("<(") => return instead(text, word),
        _ => None,
    };
    match value {
        Some(value) if operator == 3 => vec![value],
        Some(delimiter) => document(text, &delimiter, from).into_iter().collect(),
        None => Vec::new(),
    }
}

/// The body of a here document, also when its lines became one.
fn document(text: &str, delimiter: &Range<usize>, from: Option<usize>) -> Option<Range<usize>> {
    let name = text[delimiter.clone()].trim_start_matches('-').trim_matches(['"', '\'', '\\']);
    if name.is_empty() {
        return None;
    }
    let start = from.unwrap_or(delimiter.end);
    let rest = &text[start..text.floor_char_boundary(start.saturating_add(LINE_BYTES_MAX))];
    let is_end = |at: usize| {
        let (before, after) = (&rest[..at], &rest[at + name.len()..]);
        before.ends_with(char::is_whitespace) && !after.starts_with(|c: char| c.is_alphanumeric() || c == '_')
    };
    let end = rest.match_indices(name).map(|(at, _)| at).find(|at| is_end(*at)).unwrap_or(rest.len());
    let body = &rest[..end];
    let skipped = match (body.find('\n'), from) {
        (Some(line), _) => line,
        (None, None) => 0,
        // What is left of the command stands before it.
        (None, Some(_)) => body.trim_end().rfind(char::is_whitespace)?,
    };
    let body = body[skipped..].trim_start();
    let start = start + end - body.len();
    Some(start..start + body.trim_end().len())
}

/// What is printed into the program at this place.
fn piped(text: &str, program: usize) -> Vec<Range<usize>> {
    let from = text.floor_char_boundary(program.saturating_sub(LINE_BYTES_MAX));
    let Some(pipe) = text[from..program].rfind('|').map(|at| from + at) else { return Vec::new() };
    let between = text[pipe + 1..program].trim_start_matches('&').trim_start();
    let before = text[from..pipe].trim_end();
    if between.contains([';', '\n']) || between.contains("&&") || before.ends_with('|') {
        return Vec::new();
    }
    let end = from + before.len();
    let group = before.strip_suffix([')', '}']).and_then(|group| group.rfind(['(', '{']));
    if let Some(group) = group {
        let printers = printers(text, from + group..end);
        return printers.flat_map(|start| arguments(text, start, end)).collect();
    }
    if let Some(printer) = printers(text, from..end).last() {
        let given = arguments(text, printer, pipe);
        let last = given.last().map_or(printer, |word| word.end);
        let after = text[last..pipe].trim_start_matches([' ', '\t', '"', '\'', '\\']);
        // What ends before the pipe is another command's.
        let is_other = after.starts_with([';', '\n']) || after.starts_with("&&");
        return if is_other { Vec::new() } else { given };
    }
    if let Some(operator) = before.rfind("<<") {
        let operator = from + operator - usize::from(before[..operator].ends_with('<'));
        let given = words(&text[..end], operator, None);
        return given
            .first()
            .map_or_else(Vec::new, |word| redirected(text, word, given.get(1), Some(program)));
    }
    literal(text, from..end).into_iter().collect()
}

/// A text in quotes that is a command by itself, as PowerShell has it.
fn literal(text: &str, before: Range<usize>) -> Option<Range<usize>> {
    let command = &text[before.clone()];
    let quote = command.chars().next_back().filter(|c| matches!(c, '"' | '\''))?;
    let inside = &command[..command.len() - 1];
    let open = inside.rfind(quote)?;
    let lead = &inside[..open];
    // In a line of several parts two spaces stand between them.
    let is_first = lead.trim().is_empty()
        || lead.ends_with("  ")
        || lead.trim_end_matches(' ').ends_with(['\n', ';', '(', '"']);
    is_first.then_some(before.start + open + 1..before.start + inside.len())
}

/// Where what is printed begins, for each command that prints.
fn printers(text: &str, within: Range<usize>) -> impl Iterator<Item = usize> {
    let line = &text[within.clone()];
    let is_alone =
        |at: usize| !line[..at].ends_with(|c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.'));
    let mut starts: Vec<usize> = PRINTERS
        .iter()
        .flat_map(|printer| line.match_indices(printer))
        .filter(|(at, _)| is_alone(*at))
        .map(|(at, printer)| within.start + at + printer.len())
        .collect();
    starts.sort_unstable();
    starts.into_iter()
}

/// What a command prints whose words begin here, without the form in which it does.
fn arguments(text: &str, start: usize, end: usize) -> Vec<Range<usize>> {
    let words = words(&text[..end], start, None);
    let is_form = |word: &Range<usize>| text[word.clone()].contains('%') && words.len() > 1;
    words.iter().filter(|word| !is_form(word)).cloned().collect()
}

/// Whether it is neither left out nor named, and no option of what prints it.
fn is_text(value: &str) -> bool {
    let is_option = value.starts_with('-') && value.len() <= 3;
    !value.is_empty()
        && !is_option
        && !value.starts_with(['>', '<'])
        && !is_word(value)
        && !is_reference(value)
}
