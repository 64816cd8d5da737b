//! The corpus of secrets and look-alikes (`tests/fixtures/masking`), put together here, so that no scanner takes the
//! files for leaks.

/// Letters and digits enough for any secret.
const LETTERS: &str = "Zk3vX9qLm2Tt7Rw5Yb8Nc4Hd6Jf1Gs0PaQeUiOxVy";

/// A case: what is given, and what must become of it.
pub(super) struct Case {
    pub given: String,
    pub expected: String,
    /// The letters and digits of what must not be seen any more, however it is written.
    pub secrets: Vec<String>,
}

/// The cases of one of the files; what stands between marks is expected to be masked.
pub(super) fn cases(file: &str) -> Vec<Case> {
    let path = format!("{}/../../tests/fixtures/masking/{file}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    lines
        .map(|line| {
            let case = filled(line);
            let (mut expected, mut secrets) = (case.clone(), Vec::new());
            while let Some((before, rest)) = expected.split_once('«') {
                let (secret, after) = rest.split_once('»').unwrap_or_else(|| panic!("no end: {line}"));
                secrets.push(letters(secret));
                expected = format!("{before}{}{after}", super::MASKED);
            }
            Case { given: case.replace(['«', '»'], ""), expected, secrets }
        })
        .collect()
}

/// The letters and digits of a text.
pub(super) fn letters(text: &str) -> String {
    text.chars().filter(char::is_ascii_alphanumeric).collect()
}

/// A line with its signs replaced.
fn filled(line: &str) -> String {
    let mut out = String::new();
    let mut rest = line;
    while let Some((before, sign)) = rest.split_once('{') {
        out.push_str(before);
        let made = sign.split_once('}').and_then(|(sign, after)| Some((made(sign)?, after)));
        rest = match made {
            Some((made, after)) => {
                out.push_str(&made);
                after
            }
            None => {
                out.push('{');
                sign
            }
        };
    }
    out.push_str(rest);
    out.replace('␤', "\n").replace('␛', "\u{1b}")
}

fn made(sign: &str) -> Option<String> {
    if let Some(code) = sign.strip_prefix("U+") {
        return Some(char::from_u32(u32::from_str_radix(code, 16).ok()?)?.to_string());
    }
    let (kind, length) = sign.split_at_checked(1)?;
    let length: usize = length.parse().ok()?;
    let is_of = |c: &char| match kind {
        "A" => true,
        "h" => c.is_ascii_digit() || ('a'..='f').contains(c),
        "U" => c.is_ascii_uppercase() || c.is_ascii_digit(),
        "l" => c.is_ascii_lowercase() || c.is_ascii_digit(),
        "d" => c.is_ascii_digit(),
        _ => false,
    };
    let letters: Vec<char> = LETTERS.chars().filter(is_of).collect();
    (!letters.is_empty()).then(|| letters.iter().cycle().take(length).collect())
}
