//! Secrets out of one text: the one look at it, what that calls for, and what is found put together.

use std::borrow::Cow;
use std::ops::Range;

use super::plain::Plain;
use super::table::MASKED;
use super::{assigned, commands, look, places, printed, shapes};

/// A text with its secrets masked.
pub fn text(text: &str) -> Cow<'_, str> {
    let plain = Plain::of(text);
    let secrets = secrets(&plain.text);
    if secrets.is_empty() {
        return Cow::Borrowed(text);
    }
    Cow::Owned(without(text, &plain, secrets))
}

/// A command with what it prints masked; `None` when it prints nothing that it was given.
pub(super) fn printed(command: &str) -> Option<String> {
    let plain = Plain::of(command);
    let printed = apart(printed::instead(&plain.text, &(0..plain.text.len())), &plain.text);
    (!printed.is_empty()).then(|| without(command, &plain, printed))
}

fn without(text: &str, plain: &Plain<'_>, secrets: Vec<Range<usize>>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut copied = 0;
    for secret in secrets {
        let original = plain.original(&secret);
        out.push_str(&text[copied..original.start]);
        out.push_str(MASKED);
        copied = original.end;
    }
    out.push_str(&text[copied..]);
    out
}

/// Where the secrets of a text are, in order and apart.
fn secrets(text: &str) -> Vec<Range<usize>> {
    let look = look::at(text);
    let mut secrets = Vec::new();
    if look.is_empty() {
        return secrets;
    }
    if look.shape {
        shapes::find(text, &mut secrets);
    }
    if look.shape_anywhere {
        shapes::find_anywhere(text, &mut secrets);
    }
    if look.url {
        places::find_in_urls(text, &mut secrets);
    }
    if look.basic {
        places::find_basic(text, &mut secrets);
    }
    places::find(text, look.places, &mut secrets);
    assigned::find(text, &look.names, &mut secrets);
    commands::find(text, &look.programs, &mut secrets);
    apart(secrets, text)
}

/// Ranges that touch or overlap become one; what is masked already stays as it is.
fn apart(mut ranges: Vec<Range<usize>>, text: &str) -> Vec<Range<usize>> {
    ranges.retain(|range| !range.is_empty() && &text[range.clone()] != MASKED);
    ranges.sort_unstable_by_key(|range| range.start);
    let mut apart: Vec<Range<usize>> = Vec::with_capacity(ranges.len());
    for range in ranges {
        match apart.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => apart.push(range),
        }
    }
    apart
}
