//! What stands where a secret would: whether it is one, or says where one is, of which type, or that there is none.

use super::names::Named;
use super::table::{MASKED, NO_SECRETS, TERMS};

/// Beginnings of what names a place for a secret in code and in templates.
const REFERENCES: &[&str] = &[
    "process.env",
    "import.meta.env",
    "os.environ",
    "os.getenv",
    "getenv(",
    "env.",
    "env(",
    "ENV[",
    "secrets.",
    "vault:",
    "secretref:",
    "self.",
    "this.",
    "!",
    "<",
    "{",
    "op://",
    "keyring:",
    "file://",
    "form.",
    "props.",
    "params.",
    "req.",
    "request.",
    "id=",
    "type=",
];

/// The shortest word of a sentence that is taken for a secret by its digits.
const RANDOM_CHARS_MIN: usize = 6;

/// The shortest that is taken for one by its capitals: names in code have some too.
const MIXED_CHARS_MIN: usize = 20;

/// The shortest text that is taken for a secret. A password may be shorter.
const CHARS_MIN: usize = 3;

/// Whether this stands for a secret under that name. `is_quoted` says that all of it is text and none of it code.
pub(super) fn is_secret(value: &str, named: Named, is_quoted: bool) -> bool {
    let value = value.trim();
    let is_password = named == Named::Password;
    let chars_min = if is_password { 1 } else { CHARS_MIN };
    if value.len() < chars_min || !value.chars().any(char::is_alphanumeric) || is_reference(value) {
        return false;
    }
    // A header that a program fills in.
    let filled = value
        .split_once(' ')
        .filter(|(scheme, _)| is_word(scheme))
        .is_some_and(|(_, rest)| is_reference(rest));
    if filled || is_word(value) || !is_quoted && is_code(value) {
        return false;
    }
    match named {
        Named::Anything | Named::Command => false,
        Named::Basic => is_basic(value),
        Named::Secret => value.parse::<f64>().is_err(),
        Named::Password => true,
    }
}

/// Whether it says what stands there, and is none of it: `required`, also as the first of several rules.
pub(super) fn is_word(value: &str) -> bool {
    let first = value.split('|').next().unwrap_or(value);
    NO_SECRETS.contains(&first.to_lowercase().as_str())
}

/// `$TOKEN`, `${TOKEN}`, `process.env.TOKEN`, `<your token>`, `****`: where a secret is, or was, not what it is.
pub(super) fn is_reference(value: &str) -> bool {
    let is_name = |rest: &str| rest.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    let variable = |rest: &str| rest.starts_with(['{', '(', '$', '[']) || !rest.is_empty() && is_name(rest);
    value.starts_with(MASKED)
        || value.strip_prefix('$').is_some_and(variable)
        || value.strip_prefix('%').is_some_and(|rest| {
            rest.starts_with('(') || rest.trim_end_matches('%').len() < 2 || rest.ends_with('%')
        })
        || value.trim_matches(['*', 'x', 'X', '.', '\u{2022}', '\u{2026}', '-', '_', '?']).is_empty()
            && value.len() > 1
        || REFERENCES.iter().any(|start| value.starts_with(start))
}

/// `get_token(…)`, `env["TOKEN"]`, `request.token`: what a program computes.
fn is_code(value: &str) -> bool {
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | ':' | '?' | '>' | '-' | '&');
    let name = value.trim_start_matches(['&', '*']).trim_start_matches(is_name);
    // A macro is called with a mark.
    let name = name.strip_prefix('!').unwrap_or(name);
    let last = value.rsplit(['.', ':', '>']).next().unwrap_or(value);
    let is_path = name.is_empty() && last.len() < value.len() && Named::by(last) >= Named::Secret;
    is_path || value.starts_with(['(', '[', '{', '<', ':', '|']) || name.starts_with(['(', '[', '{', '<'])
}

/// Whether it is no word: it has digits, or capitals within.
pub(super) fn is_mixed(text: &str) -> bool {
    text.bytes().any(|byte| byte.is_ascii_digit())
        || text.bytes().skip(1).any(|byte| byte.is_ascii_uppercase())
            && text.bytes().any(|byte| byte.is_ascii_lowercase())
}

/// Whether a word of a sentence is none of the language: neither a term, a version, a measure nor a name in code.
pub(super) fn is_random(word: &str) -> bool {
    let word = word.trim_end_matches(['.', ',', ';', ':', '!', '?', ')', '/']);
    let first = word.split(['-', '_', '.', ':', '/', '+']).next().unwrap_or_default().to_lowercase();
    let is_term = TERMS.contains(&first.as_str()) || NO_SECRETS.contains(&first.as_str());
    let has_digit = word.bytes().any(|byte| byte.is_ascii_digit());
    let letters = word.bytes().filter(u8::is_ascii_alphabetic).count();
    let is_measure = word.trim_start_matches(|c: char| c.is_ascii_digit() || ".,:x-".contains(c)).len() <= 3;
    let is_version =
        word.strip_prefix('v').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    match has_digit {
        true => word.len() >= RANDOM_CHARS_MIN && letters >= 2 && !is_term && !is_measure && !is_version,
        false => {
            let is_long = word.len() >= MIXED_CHARS_MIN && is_mixed(word) && !is_term;
            is_long
                && word.bytes().all(|byte| byte.is_ascii_alphanumeric())
                && Named::by(word) == Named::Anything
        }
    }
}

/// Whether this is `user:password` in base64, as Basic authentication has it.
pub(super) fn is_basic(value: &str) -> bool {
    let Some(bytes) = base64(value) else { return false };
    let Ok(text) = std::str::from_utf8(&bytes) else { return false };
    let is_shown = !text.chars().any(char::is_control);
    is_shown && text.split_once(':').is_some_and(|(_, password)| !password.is_empty())
}

fn base64(text: &str) -> Option<Vec<u8>> {
    use data_encoding::{BASE64_NOPAD, BASE64URL_NOPAD};
    let text = text.trim_end_matches('=').as_bytes();
    // A line may be cut within a group.
    let text = &text[..text.len() - usize::from(text.len() % 4 == 1)];
    BASE64_NOPAD.decode(text).or_else(|_| BASE64URL_NOPAD.decode(text)).ok()
}
