//! The programs that are given secrets, each with its rows of the table.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::LazyLock;

use memchr::memmem::Finder;

use super::table::{COMMANDS, FLAGS, WORDED};

/// What may stand for another in one place of a row.
pub(super) const OR: char = '|';

/// What stands for the name of a secret in a row; the value follows.
pub(super) const NAME: &str = "NAME";

/// A row of the table.
pub(super) struct Row {
    /// What must follow the program, in this order.
    pub parts: Vec<&'static str>,
    /// Whether the secret is what is printed into it.
    pub is_piped: bool,
    /// A text without which there is none of it, so that most lines need not be taken apart.
    sign: Option<Finder<'static>>,
}

impl Row {
    /// Whether a line may be one of this row.
    pub(super) fn may_fit(&self, line: &str) -> bool {
        self.sign.as_ref().is_none_or(|sign| sign.find(line.as_bytes()).is_some())
    }
}

/// What the table knows of a program.
pub(super) struct Rows {
    program: &'static str,
    pub rows: Vec<Row>,
    pub letters: Letters,
}

/// What stands in a word behind one dash.
#[derive(Clone, Copy)]
pub(super) enum Letters {
    /// The name of one option.
    Word,
    /// Options of one letter; these take no value, and the last one may have its own in the same word.
    Flags(&'static str),
    /// Not known.
    Unknown,
}

impl Letters {
    fn of(program: &str) -> Self {
        let flags = FLAGS.iter().find(|(programs, _)| programs.split(OR).any(|one| one == program));
        match flags {
            _ if WORDED.contains(&program) => Self::Word,
            Some((_, flags)) => Self::Flags(flags),
            None => Self::Unknown,
        }
    }
}

static ROWS: LazyLock<Vec<Rows>> = LazyLock::new(|| {
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
    rows.into_iter().map(|(program, rows)| Rows { program, rows, letters: Letters::of(program) }).collect()
});

/// Whether this is an option of one letter.
pub(super) fn is_letter(option: &str) -> bool {
    option.len() == 2 && option.starts_with('-')
}

/// The longest text that a command of this row must have.
fn sign_of(parts: &[&'static str]) -> Option<&'static str> {
    let is_plain = |part: &&&str| !part.contains(['X', '*', OR]) && **part != NAME;
    let plain = parts.iter().filter(is_plain).copied();
    let within =
        parts.iter().filter(|part| part.contains('X')).filter_map(|part| part.split(['X', '*']).next());
    // An option of one letter may be one of several.
    let signs = plain.chain(within).map(|sign| if is_letter(sign) { &sign[..1] } else { sign });
    signs.max_by_key(|sign| sign.len()).filter(|sign| !sign.is_empty())
}

/// The names of all programs in the table; [`rows`] are found by their order.
pub(super) fn programs() -> impl Iterator<Item = &'static str> {
    ROWS.iter().map(|rows| rows.program)
}

/// What the table knows of one of [`programs`].
pub(super) fn rows(index: usize) -> Option<&'static Rows> {
    ROWS.get(index)
}

/// The name of a program in a text.
pub(super) struct Program {
    pub range: Range<usize>,
    /// Which of [`programs`].
    pub index: usize,
}
