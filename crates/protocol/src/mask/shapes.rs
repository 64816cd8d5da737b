//! Secrets that are known by their own form.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use super::table::{SHAPES, SHAPES_ANYWHERE, compiled};

static ALONE: LazyLock<Regex> = LazyLock::new(|| {
    let shapes = SHAPES.iter().map(|(start, rest)| format!("{}{rest}", regex::escape(start)));
    compiled(&format!("(?-u){}", shapes.collect::<Vec<_>>().join("|")))
});

static ANYWHERE: LazyLock<Regex> = LazyLock::new(|| {
    let shapes: Vec<&str> = SHAPES_ANYWHERE.iter().map(|(_, pattern)| *pattern).collect();
    compiled(&format!("(?-u){}", shapes.join("|")))
});

/// Finds those that stand alone.
pub(super) fn find(text: &str, secrets: &mut Vec<Range<usize>>) {
    let mut at = 0;
    while let Some(found) = ALONE.find_at(text, at) {
        let before = found.start().checked_sub(1).map(|before| text.as_bytes()[before]);
        if before.is_some_and(|before| before.is_ascii_alphanumeric()) || !is_mixed(found.as_str()) {
            // The next may begin within this one.
            at = found.start() + 1;
        } else {
            secrets.push(found.range());
            at = found.end();
        }
    }
}

/// Finds those that nothing in front of them makes another thing.
pub(super) fn find_anywhere(text: &str, secrets: &mut Vec<Range<usize>>) {
    secrets.extend(ANYWHERE.find_iter(text).map(|found| found.range()));
}

/// Whether what follows the beginning of a shape is no word.
fn is_mixed(found: &str) -> bool {
    let starts = SHAPES.iter().filter_map(|(start, _)| found.strip_prefix(start));
    let rest = starts.min_by_key(|rest| rest.len()).unwrap_or(found).as_bytes();
    rest.iter().any(u8::is_ascii_digit)
        || rest.iter().any(u8::is_ascii_uppercase) && rest.iter().any(u8::is_ascii_lowercase)
}
