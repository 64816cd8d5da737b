//! Secrets that are known by what stands around them: in URLs, headers, statements and sentences.

use std::ops::Range;
use std::sync::{LazyLock, OnceLock};

use regex::Regex;

use super::names::Named;
use super::table::{PLACES, compiled};
use super::value::{is_basic, is_mixed, is_random, is_reference, is_secret};

/// The shortest that is taken for a token where a URL names a user.
const TOKEN_CHARS_MIN: usize = 20;

/// Each is made when it is first needed: most texts need none.
static PATTERNS: [OnceLock<Regex>; PLACES.len()] = [const { OnceLock::new() }; PLACES.len()];

static BASIC: LazyLock<Regex> =
    LazyLock::new(|| compiled(r"(?i)(?-u:\b)basic\s+(?P<s>[A-Za-z0-9_+/-]{6,}=*)"));

/// Finds those of these places.
pub(super) fn find(text: &str, places: u128, secrets: &mut Vec<Range<usize>>) {
    for (place, pattern) in PATTERNS.iter().enumerate().filter(|(place, _)| places >> place & 1 == 1) {
        let pattern = pattern.get_or_init(|| compiled(PLACES[place].1));
        for found in pattern.captures_iter(text) {
            let named = found.name("name").map_or(Named::Secret, |name| Named::by(name.as_str()));
            let word = found.name("word").filter(|word| is_random(word.as_str()));
            let mixed = found.name("mixed").filter(|token| is_mixed(token.as_str()));
            let called = |text_behind: &str| text_behind.starts_with(['(', '[']);
            let secret = found.name("s").filter(|secret| !called(&text[secret.end()..])).or(word).or(mixed);
            let secret = secret.filter(|secret| is_secret(secret.as_str(), named, true));
            secrets.extend(secret.or(found.name("digits")).map(|secret| secret.range()));
        }
    }
}

/// Finds users with passwords as Basic authentication sends them.
pub(super) fn find_basic(text: &str, secrets: &mut Vec<Range<usize>>) {
    let found = BASIC.captures_iter(text).filter_map(|found| found.name("s"));
    secrets.extend(found.filter(|secret| is_basic(secret.as_str())).map(|secret| secret.range()));
}

/// Finds `://user:password@host`, and tokens in place of a user.
pub(super) fn find_in_urls(text: &str, secrets: &mut Vec<Range<usize>>) {
    for (at, separator) in text.match_indices("://") {
        let start = at + separator.len();
        let rest = &text[start..];
        let end = rest.find(|c: char| c.is_whitespace() || "\"'<>`".contains(c)).unwrap_or(rest.len());
        let Some(secret) = userinfo(&rest[..end]) else { continue };
        if !is_reference(&rest[secret.clone()]) {
            secrets.push(start + secret.start..start + secret.end);
        }
    }
}

/// Where the password or the token is in the rest of a URL.
fn userinfo(url: &str) -> Option<Range<usize>> {
    // An `@` after a slash is that of a path, unless it is the only one.
    let mut ends = url.match_indices('@').map(|(at, _)| at).rev();
    let end = ends.clone().find(|at| !url[..*at].ends_with('/')).or_else(|| ends.next())?;
    let before = &url[..end];
    let colon = before.find(':').filter(|colon| !before[..*colon].contains(['/', '?', '#']));
    let Some(colon) = colon else {
        let is_token =
            before.len() >= TOKEN_CHARS_MIN && !before.contains(['/', '?', '#']) && is_mixed(before);
        return is_token.then_some(0..end);
    };
    let password = &before[colon + 1..];
    let digits = password.len() - password.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let is_port = digits > 0 && password[digits..].starts_with(['/', '?', '#']);
    (!is_port && !password.is_empty()).then_some(colon + 1..end)
}
