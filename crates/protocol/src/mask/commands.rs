//! Secrets on command lines, by the table of them: `mysql -pX`, `curl -u user:X`, `echo X | docker login
//! --password-stdin`.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::LazyLock;

use memchr::memmem::Finder;

use super::table::COMMANDS;
use super::value::is_reference;

/// How far behind a program its arguments are looked for, and before it what is given to it: a long line is no
/// command any more, and who repeats a program's name a thousand times has each looked at no further.
const LINE_BYTES_MAX: usize = 4096;

/// More letters behind one dash are the name of one option.
const LETTERS_MAX: usize = 4;

/// What may stand for the name of a program, in one row.
const OR: char = '|';

/// A row of the table.
struct Row {
    /// What must follow the program, in this order.
    parts: Vec<&'static str>,
    /// Whether the secret is what `echo` prints into it.
    is_piped: bool,
    /// A text without which there is none of it, so that most lines need not be taken apart.
    sign: Option<Finder<'static>>,
}

/// The programs of the table, and the rows of each.
static ROWS: LazyLock<Vec<(&'static str, Vec<Row>)>> = LazyLock::new(|| {
    let mut rows: BTreeMap<&str, Vec<Row>> = BTreeMap::new();
    for line in COMMANDS {
        let (is_piped, command) = line.strip_prefix("X | ").map_or((false, *line), |command| (true, command));
        let mut parts = command.split(' ');
        let programs = parts.next().unwrap_or_default();
        for program in programs.split(OR) {
            let parts: Vec<&str> = parts.clone().collect();
            let sign = sign_of(&parts).map(Finder::new);
            rows.entry(program).or_default().push(Row { parts, is_piped, sign });
        }
    }
    rows.into_iter().collect()
});

/// The longest text that a command of this row must have.
fn sign_of(parts: &[&'static str]) -> Option<&'static str> {
    let plain = parts.iter().filter(|part| !part.contains(['X', '*', OR])).map(|part| match part.len() {
        // It may be one letter of several.
        2 if part.starts_with('-') => "-",
        _ => part,
    });
    let within =
        parts.iter().filter(|part| part.contains('X')).filter_map(|part| part.split(['X', '*']).next());
    plain.chain(within).max_by_key(|sign| sign.len()).filter(|sign| !sign.is_empty())
}

/// The names of all programs in the table; [`find`] is told which by their order.
pub(super) fn programs() -> impl Iterator<Item = &'static str> {
    ROWS.iter().map(|(program, _)| *program)
}

/// The name of a program in a text.
pub(super) struct Program {
    pub range: Range<usize>,
    /// Which of [`programs`].
    pub index: usize,
}

/// Finds the secrets of the programs whose names stand at these places.
pub(super) fn find(text: &str, programs: &[Program], secrets: &mut Vec<Range<usize>>) {
    for Program { range, index } in programs {
        let Some((_, rows)) = ROWS.get(*index) else { continue };
        let end = range.end + text[range.end..].find(char::is_whitespace).unwrap_or(0);
        let line = &text[end..text.floor_char_boundary(end.saturating_add(LINE_BYTES_MAX))];
        let is_possible =
            |row: &&Row| row.sign.as_ref().is_none_or(|sign| sign.find(line.as_bytes()).is_some());
        let mut rows = rows.iter().filter(is_possible).peekable();
        if rows.peek().is_some() {
            let quote = text[..range.start].chars().next_back().filter(|c| matches!(c, '"' | '\'' | '`'));
            let words = words(text, end, quote);
            rows.for_each(|row| row.find(text, range.start, &words, secrets));
        }
    }
}

impl Row {
    fn find(&self, text: &str, program: usize, words: &[Range<usize>], secrets: &mut Vec<Range<usize>>) {
        let mut found = Vec::new();
        let mut next = 0;
        let mut parts = self.parts.iter();
        while let Some(part) = parts.next() {
            if part.contains('X') && (part.starts_with(['-', '/']) && part.len() > 2) {
                // A secret within the word, as often as there is one.
                found.extend(words[next..].iter().filter_map(|word| within(text, word, part)));
            } else if let Some(form) = next_form(part, &parts) {
                parts.next();
                found.extend(option(text, &words[next..], part, form));
            } else if part.contains('X') {
                found.extend(words.get(next).and_then(|word| within(text, word, part)));
            } else {
                let Some(at) = words[next..].iter().position(|word| is_word(&text[word.clone()], part))
                else {
                    return;
                };
                next += at + 1;
            }
        }
        if self.is_piped {
            found.extend(printed(text, program));
            let here = words.iter().enumerate().filter_map(|(at, word)| match &text[word.clone()] {
                "<<<" => words.get(at + 1).cloned(),
                glued if glued.starts_with("<<<") => Some(unquoted(text, word.start + 3..word.end)),
                _ => None,
            });
            found.extend(here);
        }
        secrets.extend(found.into_iter().filter(|secret| is_given(&text[secret.clone()])));
    }
}

/// The part behind an option, when the secret is in it.
fn next_form(option: &str, parts: &std::slice::Iter<'_, &'static str>) -> Option<&'static str> {
    let form = parts.as_slice().first().filter(|form| form.contains('X'))?;
    option.starts_with('-').then_some(*form)
}

/// Whether a word is this part of a row.
fn is_word(word: &str, part: &str) -> bool {
    match part.strip_prefix('*') {
        Some("") => !word.starts_with('-'),
        Some(end) => word.to_ascii_lowercase().ends_with(&end.to_ascii_lowercase()),
        None if part.len() == 2 && part.starts_with('-') => is_among(word, part),
        None => part.split(OR).any(|part| word.eq_ignore_ascii_case(part)),
    }
}

/// Whether an option of one letter is among those that a word has, as `-b` is in `-bc`.
fn is_among(word: &str, option: &str) -> bool {
    let letters = word.strip_prefix('-').unwrap_or_default();
    word == option
        || letters.len() <= LETTERS_MAX
            && letters.contains(&option[1..])
            && letters.bytes().all(|byte| byte.is_ascii_alphabetic())
}

/// The values of an option: the next word, or the rest of this one.
fn option(text: &str, words: &[Range<usize>], option: &str, form: &str) -> Vec<Range<usize>> {
    let is_letter = option.len() == 2;
    let mut found = Vec::new();
    for (at, word) in words.iter().enumerate() {
        let given = &text[word.clone()];
        // Of several options of one letter the last may have a value.
        let is_last = is_letter && is_among(given, option) && given.ends_with(&option[1..]);
        let value = if given == option || is_last {
            words.get(at + 1).cloned()
        } else if let Some(rest) = given.strip_prefix(option) {
            let skipped = usize::from(rest.starts_with('='));
            (is_letter || skipped == 1).then(|| word.start + option.len() + skipped..word.end)
        } else {
            None
        };
        found.extend(value.and_then(|value| within(text, &value, form)));
    }
    found
}

/// The part of a word that stands where a form has its `X`.
fn within(text: &str, word: &Range<usize>, form: &str) -> Option<Range<usize>> {
    let (before, after) = form.rsplit_once('X')?;
    let given = &text[word.clone()];
    let start = prefix(given, before)?;
    let length = match after.strip_prefix('@') {
        // Up to a host, where one is named.
        Some(_) => given[start..].rfind('@').unwrap_or(given.len() - start),
        None => given.len() - start,
    };
    let range = word.start + start..word.start + start + length;
    Some(unquoted(text, range))
}

/// How much of a word a form with `*` for anything takes.
fn prefix(word: &str, form: &str) -> Option<usize> {
    let mut at = 0;
    for (index, part) in form.split('*').enumerate() {
        let rest = word.get(at..)?;
        at += if index == 0 {
            rest.get(..part.len()).filter(|start| start.eq_ignore_ascii_case(part))?.len()
        } else {
            // The least that fits, and at least one letter.
            rest.char_indices().skip(1).find(|(at, _)| rest[*at..].starts_with(part))?.0 + part.len()
        };
    }
    Some(at)
}

/// Without quotes around all of it.
fn unquoted(text: &str, word: Range<usize>) -> Range<usize> {
    let given = &text[word.clone()];
    let inside = ["\\\"", "\"", "\\'", "'"].iter().find_map(|quote| {
        let inside = given.strip_prefix(*quote)?;
        Some((quote.len(), inside.strip_suffix(*quote).unwrap_or(inside).len()))
    });
    inside.map_or(word.clone(), |(skipped, length)| word.start + skipped..word.start + skipped + length)
}

/// Whether a value is given, and neither left out nor named.
fn is_given(value: &str) -> bool {
    !value.is_empty() && !value.starts_with(['-', '|', '>', '<', '&', ';', '/', '@']) && !is_reference(value)
        || value.starts_with('/') && value.len() > 1 && !value[1..].contains('/')
}

/// The words behind a place up to the end of the command.
fn words(text: &str, start: usize, quote: Option<char>) -> Vec<Range<usize>> {
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

/// How long the word is that begins here.
fn word(rest: &str, outer: Option<char>) -> usize {
    let mut open: Option<char> = None;
    let mut is_escaped = false;
    for (at, letter) in rest.char_indices() {
        match (open, letter) {
            (_, '\n') if !is_escaped => return at,
            (None, _) if Some(letter) == outer && !is_escaped => return at,
            (None, '|' | ';' | ')') if !is_escaped => return at.max(1),
            (None, _) if letter.is_whitespace() && !is_escaped => return at,
            (None, '"' | '\'' | '\\') if at > 0 && closes(&rest[at..]) => return at,
            (None, '"' | '\'') => open = Some(letter),
            (Some(quote), _) if quote == letter => open = None,
            _ => {}
        }
        is_escaped = letter == '\\' && !is_escaped;
    }
    rest.len()
}

/// Whether a text in quotes ends here that the command stands in, as a value of JSON does.
fn closes(rest: &str) -> bool {
    let quote = rest.trim_start_matches('\\');
    quote.strip_prefix(['"', '\'']).is_some_and(|after| after.starts_with([',', ']', '}', ':']))
}

/// What `echo` or `printf` prints into the program at this place.
fn printed(text: &str, program: usize) -> Vec<Range<usize>> {
    let from = text.floor_char_boundary(program.saturating_sub(LINE_BYTES_MAX));
    let Some(pipe) = text[from..program].rfind('|').map(|at| from + at) else { return Vec::new() };
    let before = &text[from..pipe];
    let start = ["echo ", "printf ", "Write-Output "].iter().filter_map(|verb| {
        let at = before.rfind(verb)?;
        let is_alone = !before[..at].ends_with(|c: char| c.is_alphanumeric() || matches!(c, '-' | '_'));
        is_alone.then_some(from + at + verb.len())
    });
    let Some(start) = start.max() else { return Vec::new() };
    // What ends before the pipe is another command's.
    let words: Vec<_> = words(text, start, None).into_iter().filter(|word| word.end <= pipe).collect();
    let is_format = |word: &&Range<usize>| text[(*word).clone()].contains('%') && words.len() > 1;
    words.iter().filter(|word| !is_format(word)).cloned().collect()
}
