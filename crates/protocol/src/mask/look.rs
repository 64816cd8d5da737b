//! The one look at a text that says where secrets could be: most texts have no such place, and it costs them little.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};

use super::programs::{Program, programs};
use super::table::{ABROAD, LAST_WORDS, PAIRS, PLACES, SHAPES, SHAPES_ANYWHERE, WHOLE_WORDS, WORDS};

/// What was seen of a text.
#[derive(Default)]
pub(super) struct Look {
    /// The beginning of a shape.
    pub shape: bool,
    /// A part of a shape that may stand anywhere.
    pub shape_anywhere: bool,
    /// `://`.
    pub url: bool,
    /// The form of Basic authentication.
    pub basic: bool,
    /// Which of [`PLACES`], as bits.
    pub places: u128,
    /// Words of names that something may stand under: where each begins and ends.
    pub names: Vec<(usize, usize)>,
    /// Names of programs.
    pub programs: Vec<Program>,
}

impl Look {
    pub(super) fn is_empty(&self) -> bool {
        !self.shape
            && !self.shape_anywhere
            && !self.url
            && !self.basic
            && self.places == 0
            && self.names.is_empty()
            && self.programs.is_empty()
    }
}

/// What a text that is looked for says.
#[derive(Clone, Copy)]
enum Sign {
    Shape,
    ShapeAnywhere,
    Url,
    Basic,
    Place(usize),
    Name,
    Program(usize),
}

struct Signs {
    texts: Vec<String>,
    signs: Vec<Sign>,
    finder: AhoCorasick,
}

static SIGNS: LazyLock<Signs> = LazyLock::new(|| {
    let mut all: Vec<(String, Sign)> = vec![("://".to_owned(), Sign::Url), ("basic".to_owned(), Sign::Basic)];
    all.extend(SHAPES.iter().map(|(start, _)| ((*start).to_owned(), Sign::Shape)));
    all.extend(SHAPES_ANYWHERE.iter().map(|(part, _)| ((*part).to_owned(), Sign::ShapeAnywhere)));
    all.extend(stems().into_iter().map(|stem| (stem, Sign::Name)));
    all.extend(programs().enumerate().map(|(index, program)| (program.to_owned(), Sign::Program(index))));
    for (place, (parts, _)) in PLACES.iter().enumerate() {
        all.extend(parts.split('|').map(|part| (part.to_owned(), Sign::Place(place))));
    }
    let (texts, signs): (Vec<String>, Vec<Sign>) = all.into_iter().unzip();
    let finder = AhoCorasick::builder()
        .kind(Some(AhoCorasickKind::DFA))
        .match_kind(MatchKind::Standard)
        .ascii_case_insensitive(true)
        .build(&texts)
        .expect("a constant table that the tests use");
    Signs { texts, signs, finder }
});

/// The shortest texts one of which is part of every name of a secret.
fn stems() -> Vec<String> {
    let words = [WORDS, WHOLE_WORDS, LAST_WORDS, &["auth"]].concat();
    let pairs = PAIRS.iter().map(|(_, last)| *last);
    let words: BTreeSet<&str> = words.into_iter().chain(pairs).collect();
    let is_stem = |word: &&&str| !words.iter().any(|other| other != *word && word.contains(other));
    let mut stems: Vec<String> = words.iter().filter(is_stem).map(|word| (*word).to_owned()).collect();
    // The finder knows the cases of ASCII only.
    for word in ABROAD {
        let first = word.chars().next().map_or(0, char::len_utf8);
        let variants =
            [(*word).to_owned(), word[..first].to_uppercase() + &word[first..], word.to_uppercase()];
        stems.extend(BTreeSet::from(variants));
    }
    stems
}

/// Looks at a text.
pub(super) fn at(text: &str) -> Look {
    let mut look = Look::default();
    let bytes = text.as_bytes();
    let Signs { texts, signs, finder } = &*SIGNS;
    for found in finder.find_overlapping_iter(text) {
        let (start, end, id) = (found.start(), found.end(), found.pattern().as_usize());
        match signs[id] {
            Sign::Shape => {
                look.shape |= bytes[start..end] == *texts[id].as_bytes()
                    && !start.checked_sub(1).is_some_and(|before| bytes[before].is_ascii_alphanumeric());
            }
            Sign::ShapeAnywhere => look.shape_anywhere |= bytes[start..end] == *texts[id].as_bytes(),
            Sign::Url => look.url = true,
            Sign::Basic => look.basic |= bytes.get(end).is_some_and(u8::is_ascii_whitespace),
            Sign::Place(place) => look.places |= 1 << place,
            Sign::Name if may_name(bytes, start, end) => look.names.push((start, end)),
            Sign::Program(index) if is_program(bytes, start, end) => {
                look.programs.push(Program { range: start..end, index });
            }
            Sign::Name | Sign::Program(_) => {}
        }
    }
    look
}

/// Whether a name has a word that one of a secret has.
pub(super) fn may_be_secret(name: &str) -> bool {
    let Signs { signs, finder, .. } = &*SIGNS;
    finder.find_overlapping_iter(name).any(|found| matches!(signs[found.pattern().as_usize()], Sign::Name))
}

/// Whether something may stand under a name with this in it: quickly, and rather once too often.
fn may_name(bytes: &[u8], start: usize, end: usize) -> bool {
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    let rest = &bytes[end..];
    let length = rest.iter().take_while(|byte| is_name(byte)).count();
    let rest = &rest[length..];
    match rest.first() {
        None => return false,
        // Other letters, or a wide colon.
        Some(byte) if !byte.is_ascii() => return true,
        Some(_) => {}
    }
    let is_between = |byte: &u8| {
        matches!(byte, b'\\' | b'"' | b'\'' | b'`' | b']' | b')' | b'}') || byte.is_ascii_whitespace()
    };
    let after = rest.iter().find(|byte| !is_between(byte));
    if after.is_some_and(|byte| matches!(byte, b':' | b'=' | b'>' | 0xef)) {
        return true;
    }
    let length = bytes[..start].iter().rev().take_while(|byte| is_name(byte)).count();
    let first = start - length;
    // What a function is called with.
    if after == Some(&b',') && rest[0] != b' ' {
        let before = bytes[..first].iter().rev().find(|byte| !matches!(byte, b'\\' | b'"' | b'\'' | b'`'));
        return before == Some(&b'(') || bytes[first..end].starts_with(b"-");
    }
    // An option, or a tag.
    bytes[first..end].starts_with(b"-") || first > 0 && matches!(bytes[first - 1], b'<' | b':')
}

/// Whether this stands alone, as a program does that something is given to.
fn is_program(bytes: &[u8], start: usize, end: usize) -> bool {
    let before = start.checked_sub(1).map(|before| bytes[before]);
    let is_first =
        before.is_none_or(|byte| !byte.is_ascii_alphanumeric() && !matches!(byte, b'-' | b'_' | b'.'));
    let rest = &bytes[end..];
    let rest = rest.strip_prefix(b".exe").unwrap_or(rest);
    is_first && rest.first().is_none_or(|byte| byte.is_ascii_whitespace() || b";|)'\"`".contains(byte))
}
