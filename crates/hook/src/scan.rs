//! Finds the end of the first JSON value in bytes that arrive piece by piece. Looks at structure only;
//! whether the value is valid JSON is for `payload` to say.

use std::ops::Range;

/// Some Windows programs write it in front of UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// Where the search stands. Each byte is looked at once.
#[derive(Debug, Default)]
pub struct Scanner {
    /// The next byte to look at; one past the end after a backslash that ends the bytes so far.
    at: usize,
    /// Where the value begins, once it has.
    start: Option<usize>,
    /// Open braces and brackets.
    depth: usize,
    in_string: bool,
}

impl Scanner {
    /// Goes on in `bytes`, which are all bytes so far; answers where the value lies once it is complete.
    pub fn scan(&mut self, bytes: &[u8]) -> Option<Range<usize>> {
        if self.start.is_none() {
            self.start = self.find_start(bytes);
        }
        let start = self.start?;
        let ended = match bytes[start] {
            b'{' | b'[' | b'"' => self.find_end_of_nesting(bytes),
            _ => self.find_whitespace(bytes),
        };
        ended.then_some(start..self.at)
    }

    /// The value when no more bytes will come: a number or word needs nothing behind it to be complete.
    pub fn finish(&self, bytes: &[u8]) -> Option<Range<usize>> {
        let start = self.start?;
        let is_open = matches!(bytes[start], b'{' | b'[' | b'"');
        (!is_open).then_some(start..bytes.len())
    }

    /// Whether anything but whitespace came.
    pub fn has_begun(&self) -> bool {
        self.start.is_some()
    }

    fn find_start(&mut self, bytes: &[u8]) -> Option<usize> {
        if self.at == 0 {
            let so_far = &bytes[..bytes.len().min(BYTE_ORDER_MARK.len())];
            if so_far == BYTE_ORDER_MARK {
                self.at = BYTE_ORDER_MARK.len();
            } else if BYTE_ORDER_MARK.starts_with(so_far) {
                return None;
            }
        }
        let blank = bytes[self.at..].iter().take_while(|byte| is_whitespace(**byte)).count();
        self.at += blank;
        (self.at < bytes.len()).then_some(self.at)
    }

    fn find_end_of_nesting(&mut self, bytes: &[u8]) -> bool {
        while self.at < bytes.len() {
            if self.in_string {
                self.through_string(bytes);
            } else {
                self.through_structure(bytes);
            }
            if self.depth == 0 && !self.in_string {
                return true;
            }
        }
        false
    }

    fn through_string(&mut self, bytes: &[u8]) {
        let Some(skip) = find_quote_or_backslash(&bytes[self.at..]) else {
            self.at = bytes.len();
            return;
        };
        self.at += skip;
        if bytes[self.at] == b'"' {
            self.in_string = false;
            self.at += 1;
        } else {
            self.at += 2; // whatever follows a backslash ends no string
        }
    }

    /// Up to the next string or the end of all nesting.
    fn through_structure(&mut self, bytes: &[u8]) {
        for (skip, byte) in bytes[self.at..].iter().enumerate() {
            match byte {
                b'"' => self.in_string = true,
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' => self.depth -= 1,
                _ => continue,
            }
            if self.in_string || self.depth == 0 {
                self.at += skip + 1;
                return;
            }
        }
        self.at = bytes.len();
    }

    fn find_whitespace(&mut self, bytes: &[u8]) -> bool {
        let rest = bytes[self.at..].iter().position(|byte| is_whitespace(*byte));
        self.at = rest.map_or(bytes.len(), |length| self.at + length);
        rest.is_some()
    }
}

/// Eight bytes at a time, as payloads are mostly text: a byte of `word ^ pattern` is zero where the word holds
/// the wanted byte, and subtracting one from each byte borrows into the high bit there. The lowest high bit is
/// always a true one.
fn find_quote_or_backslash(bytes: &[u8]) -> Option<usize> {
    const EACH: u64 = u64::from_le_bytes([1; 8]);
    const HIGH: u64 = u64::from_le_bytes([0x80; 8]);
    const QUOTES: u64 = u64::from_le_bytes([b'"'; 8]);
    const BACKSLASHES: u64 = u64::from_le_bytes([b'\\'; 8]);
    let zeros = |word: u64| word.wrapping_sub(EACH) & !word & HIGH;

    let (words, rest) = bytes.as_chunks();
    for (index, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let found = zeros(word ^ QUOTES) | zeros(word ^ BACKSLASHES);
        if found != 0 {
            return Some(index * 8 + found.trailing_zeros() as usize / 8);
        }
    }
    let found = rest.iter().position(|byte| matches!(byte, b'"' | b'\\'));
    found.map(|index| words.len() * 8 + index)
}

fn is_whitespace(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Input, and the value in it.
    const CASES: &[(&str, Option<&str>)] = &[
        ("", None),
        (" \r\n\t", None),
        ("\u{feff}", None),
        ("{}", Some("{}")),
        ("\u{feff} {}\n", Some("{}")),
        (" \n[1,[2],{\"a\":[]}]", Some("[1,[2],{\"a\":[]}]")),
        (r#"{"a":"}{][\"}"}"#, Some(r#"{"a":"}{][\"}"}"#)),
        (r#"{"a":"\\"}"#, Some(r#"{"a":"\\"}"#)),
        (r#"{"a":"\\\""}"#, Some(r#"{"a":"\\\""}"#)),
        (r#"{"ü":"\u00fc }","日本":"語{"}"#, Some(r#"{"ü":"\u00fc }","日本":"語{"}"#)),
        (r#"{"a":1}{"b":2}"#, Some(r#"{"a":1}"#)),
        ("{\"a\":1}\nnoise", Some(r#"{"a":1}"#)),
        (r#""text" "more""#, Some(r#""text""#)),
        (r#"""{}"#, Some(r#""""#)),
        ("42 43", Some("42")),
        ("42", Some("42")),
        ("null\n", Some("null")),
        ("hello world", Some("hello")),
        ("}", Some("}")),
        (r#"{"a":"#, None),
        (r#"{"a":"x"#, None),
        ("{\"a\":\"x\\", None),
        (r#""open"#, None),
    ];

    /// Feeds the pieces that the cuts make, then the end.
    fn value_of(text: &str, cuts: impl Iterator<Item = usize>) -> Option<&str> {
        let mut scanner = Scanner::default();
        let found = cuts.chain([text.len()]).find_map(|cut| scanner.scan(&text.as_bytes()[..cut]));
        found.or_else(|| scanner.finish(text.as_bytes())).map(|range| &text[range])
    }

    #[test]
    fn the_first_complete_value_is_found_and_what_follows_is_ignored() {
        for (text, expected) in CASES {
            assert_eq!(value_of(text, std::iter::empty()), *expected, "{text:?}");
        }
    }

    #[test]
    fn a_split_at_any_byte_changes_nothing() {
        for (text, expected) in CASES {
            for cut in 0..=text.len() {
                assert_eq!(value_of(text, [cut].into_iter()), *expected, "{text:?} cut at {cut}");
            }
            assert_eq!(value_of(text, 0..text.len()), *expected, "{text:?} byte by byte");
        }
    }

    #[test]
    fn a_quote_or_backslash_is_found_at_every_place_behind_every_byte() {
        for filler in 0..=255_u8 {
            for at in 0..20 {
                let mut bytes = [filler; 20];
                bytes[at] = b'"';
                let expected = if matches!(filler, b'"' | b'\\') { 0 } else { at };
                assert_eq!(find_quote_or_backslash(&bytes), Some(expected), "at {at} behind {filler}");
            }
        }
        assert_eq!(find_quote_or_backslash(&[b'#'; 20]), None);
    }

    #[test]
    fn a_value_is_complete_with_its_last_byte_even_when_nothing_follows() {
        for text in ["{}", r#"[{"a":"]"}]"#, r#""x""#] {
            let mut scanner = Scanner::default();
            assert_eq!(scanner.scan(&text.as_bytes()[..text.len() - 1]), None, "{text}");
            assert_eq!(scanner.scan(text.as_bytes()), Some(0..text.len()), "{text}");
        }
    }
}
