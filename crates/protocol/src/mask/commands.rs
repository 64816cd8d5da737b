//! Secrets on command lines, by the table of them: `mysql -pX`, `curl -u user:X`, `echo X | docker login
//! --password-stdin`.

use std::ops::Range;

use super::names::Named;
use super::printed;
use super::programs::{Letters, NAME, OR, Program, Row, is_letter, rows};
use super::shell::{LINE_BYTES_MAX, unquoted, words};
use super::value::{is_reference, is_secret};

/// More letters behind one dash are the name of one option, unless each is known to be one of its own.
const LETTERS_MAX: usize = 4;

/// Finds the secrets of the programs whose names stand at these places.
pub(super) fn find(text: &str, programs: &[Program], secrets: &mut Vec<Range<usize>>) {
    for Program { range, index } in programs {
        let Some(known) = rows(*index) else { continue };
        let end = range.end + text[range.end..].find(char::is_whitespace).unwrap_or(0);
        let line = &text[end..text.floor_char_boundary(end.saturating_add(LINE_BYTES_MAX))];
        let mut rows = known.rows.iter().filter(|row| row.may_fit(line)).peekable();
        if rows.peek().is_some() {
            let quote = text[..range.start].chars().next_back().filter(|c| matches!(c, '"' | '\'' | '`'));
            let words = words(text, end, quote);
            let call = Call { text, program: range.start, words: &words, letters: known.letters };
            rows.for_each(|row| call.find(row, secrets));
        }
    }
}

/// A program with what it is given.
struct Call<'a> {
    text: &'a str,
    /// Where its name begins.
    program: usize,
    words: &'a [Range<usize>],
    /// What stands in its words behind one dash.
    letters: Letters,
}

impl Call<'_> {
    /// Finds the secrets of a row.
    fn find(&self, row: &Row, secrets: &mut Vec<Range<usize>>) {
        let mut found = Vec::new();
        let mut rest = self.words;
        let mut parts = row.parts.iter();
        while let Some(part) = parts.next() {
            if let Some(option) = part.strip_suffix('X').filter(|option| is_letter(option)) {
                found.extend(rest.iter().filter_map(|word| self.glued(word, option)));
            } else if part.contains('X') && (part.starts_with(['-', '/']) && part.len() > 2) {
                // A secret within the word, as often as there is one.
                found.extend(rest.iter().filter_map(|word| within(self.text, word, part)));
            } else if *part == NAME {
                parts.next();
                found.extend(self.named(rest));
            } else if let Some(form) = next_form(part, &parts) {
                parts.next();
                found.extend(self.option(rest, part, form));
            } else if part.contains('X') {
                // What has a form of its own is known among options.
                let is_it =
                    |word: &&Range<usize>| *part == "X" || !self.text[(*word).clone()].starts_with('-');
                found.extend(rest.iter().find(is_it).and_then(|word| within(self.text, word, part)));
            } else {
                let Some(at) = rest.iter().position(|word| self.is_word(word, part)) else { return };
                rest = &rest[at + 1..];
            }
        }
        for secret in found {
            match is_given(&self.text[secret.clone()]) {
                true => secrets.push(secret),
                false => secrets.extend(printed::instead(self.text, &secret)),
            }
        }
        if row.is_piped {
            secrets.extend(printed::into(self.text, self.program, self.words));
        }
    }

    /// Whether a word is this part of a row.
    fn is_word(&self, word: &Range<usize>, part: &str) -> bool {
        let word = &self.text[word.clone()];
        match part.strip_prefix('*') {
            Some("") => !word.starts_with('-'),
            Some(end) => word.to_ascii_lowercase().ends_with(&end.to_ascii_lowercase()),
            None if is_letter(part) => {
                let letters = word.strip_prefix('-').unwrap_or_default();
                word == part || letters.contains(&part[1..]) && are_letters(letters)
            }
            None => part.split(OR).any(|part| word.eq_ignore_ascii_case(part)),
        }
    }

    /// How much of a word there is up to this option of one letter and with it: `-sSu` of `-sSubob`.
    fn letter(&self, word: &str, option: &str) -> Option<usize> {
        let letters = word.strip_prefix('-').filter(|letters| !letters.starts_with('-'))?;
        let at = letters.find(&option[1..])?;
        let is_it = match self.letters {
            Letters::Word => word == option,
            Letters::Flags(flags) => letters[..at].chars().all(|letter| flags.contains(letter)),
            Letters::Unknown => at == 0 || at + 1 == letters.len() && are_letters(letters),
        };
        is_it.then_some(at + 2)
    }

    /// The rest of a word behind an option of one letter.
    fn glued(&self, word: &Range<usize>, option: &str) -> Option<Range<usize>> {
        let taken = self.letter(&self.text[word.clone()], option)?;
        Some(unquoted(self.text, word.start + taken..word.end))
    }

    /// The values of an option: the next word, or the rest of this one.
    fn option(&self, words: &[Range<usize>], option: &str, form: &str) -> Vec<Range<usize>> {
        let mut found = Vec::new();
        for (at, word) in words.iter().enumerate() {
            let given = &self.text[word.clone()];
            let taken = match is_letter(option) {
                true => self.letter(given, option),
                false => given.starts_with(option).then_some(option.len()),
            };
            let Some(taken) = taken else { continue };
            let rest = &given[taken..];
            let skipped = usize::from(rest.starts_with('='));
            let value = if rest.is_empty() {
                words.get(at + 1).cloned()
            } else {
                (is_letter(option) || skipped == 1).then(|| word.start + taken + skipped..word.end)
            };
            found.extend(value.and_then(|value| within(self.text, &value, form)));
        }
        found
    }

    /// What follows the names of secrets.
    fn named(&self, words: &[Range<usize>]) -> Vec<Range<usize>> {
        let text = |word: &Range<usize>| &self.text[word.clone()];
        let mut found = Vec::new();
        for pair in words.windows(2) {
            let [name, value] = pair else { continue };
            let named = Named::by(text(name));
            // A name may be a value, and be followed by the next name.
            if is_secret(text(value), named, true) && Named::by(text(value)) == Named::Anything {
                found.push(value.clone());
            } else if named > Named::Basic {
                found.extend(printed::instead(self.text, value));
            }
        }
        found
    }
}

/// Whether these are taken for options of one letter each, where nothing is known of the program's.
fn are_letters(letters: &str) -> bool {
    letters.len() <= LETTERS_MAX && letters.bytes().all(|byte| byte.is_ascii_alphabetic())
}

/// The part behind an option, when the secret is in it.
fn next_form(option: &str, parts: &std::slice::Iter<'_, &'static str>) -> Option<&'static str> {
    let form = parts.as_slice().first().filter(|form| form.contains('X'))?;
    option.starts_with(['-', '/']).then_some(*form)
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

/// Whether a value is given, and neither left out nor named.
fn is_given(value: &str) -> bool {
    !value.is_empty() && !value.starts_with(['-', '|', '>', '<', '&', ';', '/', '@']) && !is_reference(value)
        || value.starts_with('/') && value.len() > 1 && !value[1..].contains('/')
}
