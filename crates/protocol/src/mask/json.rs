//! Secrets in JSON: in texts, in keys, and whatever stands under the name of a secret. Everything else stays byte
//! for byte, and what comes out is JSON of the same structure.

use serde_json::value::RawValue;

use super::names::Named;
use super::plain::Plain;
use super::table::MASKED;
use super::text::{printed as mask_printed, text as mask_text};
use super::value;
use crate::raw;

/// JSON within a text within JSON: so many levels are looked into as JSON, deeper ones as text.
const NESTED_MAX: usize = 3;

/// JSON with its secrets masked; `None` when there are none.
pub fn json(raw: &RawValue) -> Option<Box<RawValue>> {
    let masked = masked(raw.get(), NESTED_MAX)?;
    // What is written is JSON as it was read; if ever it were not, nothing is better than a secret.
    Some(RawValue::from_string(masked).unwrap_or_else(|_| RawValue::NULL.to_owned()))
}

/// JSON text with its secrets masked; `None` when there are none.
fn masked(text: &str, nested: usize) -> Option<String> {
    if raw::is_too_deep(text) {
        // Nested too deep to be followed.
        return Some(format!("\"{MASKED}\""));
    }
    let is_kubernetes_secret = is_kubernetes_secret(text);
    let mut walk = Walk { text, at: 0, copied: 0, out: String::new(), nested, is_kubernetes_secret };
    walk.value(Named::Anything);
    if walk.copied == 0 {
        return None;
    }
    walk.out.push_str(&text[walk.copied..]);
    Some(walk.out)
}

/// Whether there is `"kind": "Secret"` in it.
fn is_kubernetes_secret(text: &str) -> bool {
    memchr::memmem::find_iter(text.as_bytes(), "\"Secret\"").any(|at| {
        let colon = text[..at].trim_end().strip_suffix(':');
        colon.is_some_and(|key| key.trim_end().ends_with("\"kind\""))
    })
}

/// A walk through valid JSON that copies all but secrets.
struct Walk<'a> {
    text: &'a str,
    at: usize,
    /// Up to where `out` is written.
    copied: usize,
    out: String,
    nested: usize,
    /// Whether what is called `data` in it is secret, whatever the names there.
    is_kubernetes_secret: bool,
}

impl<'a> Walk<'a> {
    fn value(&mut self, under: Named) {
        match self.peek() {
            Some(b'{') => self.object(under),
            Some(b'[') => self.array(under),
            Some(b'"') => self.string(under),
            Some(_) => self.scalar(under),
            None => {}
        }
    }

    fn object(&mut self, under: Named) {
        self.at += 1;
        // `{"name": "TOKEN", "value": "…"}` is a name and its value as well.
        let mut named = Named::Anything;
        while let Some(b'"') = self.past(b"}") {
            let key = self.key();
            self.past(b":");
            let by_key = Named::by(&Plain::of(&key).text).max(under);
            let below = match key.as_str() {
                "value" => by_key.max(named),
                "data" | "stringData" if self.is_kubernetes_secret => by_key.max(Named::Secret),
                _ => by_key,
            };
            let start = self.at;
            self.value(below);
            if matches!(key.as_str(), "name" | "key" | "header") {
                named = decoded(&self.text[start..self.at]).map_or(named, |name| Named::by(&name));
            }
        }
        self.at += 1;
    }

    fn array(&mut self, under: Named) {
        self.at += 1;
        // In a list of arguments the next one is the value of an option.
        let mut option = Named::Anything;
        while let Some(first) = self.past(b"]") {
            let start = self.at;
            self.value(under.max(option));
            option = Named::Anything;
            if first == b'"'
                && let Some(name) = decoded(&self.text[start..self.at])
                && name.starts_with('-')
                && !name.contains(['=', ' '])
            {
                option = Named::by(name.trim_start_matches('-'));
            }
        }
        self.at += 1;
    }

    /// A key; returns what it says.
    fn key(&mut self) -> String {
        let (start, end) = self.quoted();
        let Some(key) = decoded(&self.text[start..end]) else { return String::new() };
        if let std::borrow::Cow::Owned(masked) = mask_text(&key) {
            self.replace(start, end, &masked);
        }
        key
    }

    fn string(&mut self, under: Named) {
        let (start, end) = self.quoted();
        let text = decoded(&self.text[start..end]);
        if under >= Named::Secret || under == Named::Basic && text.as_deref().is_some_and(value::is_basic) {
            if end - start > 2 && text.as_deref() != Some(MASKED) {
                self.replace(start, end, MASKED);
            }
            return;
        }
        let Some(text) = text else { return };
        if under == Named::Command
            && let Some(masked) = mask_printed(&text)
        {
            return self.replace(start, end, &masked);
        }
        let is_json = self.nested > 0 && text.trim_start().starts_with(['{', '[']);
        if is_json && serde_json::from_str::<&RawValue>(&text).is_ok() {
            if let Some(masked) = masked(&text, self.nested - 1) {
                self.replace(start, end, &masked);
            }
        } else if let std::borrow::Cow::Owned(masked) = mask_text(&text) {
            self.replace(start, end, &masked);
        }
    }

    /// A number, `true`, `false` or `null`.
    fn scalar(&mut self, under: Named) {
        let start = self.at;
        let rest = &self.text.as_bytes()[start..];
        let length =
            rest.iter().position(|byte| matches!(byte, b',' | b'}' | b']' | b' ' | b'\n' | b'\r' | b'\t'));
        self.at = start + length.unwrap_or(rest.len());
        if under == Named::Password
            && !rest.starts_with(b"n")
            && !rest.starts_with(b"t")
            && !rest.starts_with(b"f")
        {
            self.replace(start, self.at, MASKED);
        }
    }

    /// Walks over a text in quotes; returns where it begins and ends.
    fn quoted(&mut self) -> (usize, usize) {
        let start = self.at;
        let bytes = self.text.as_bytes();
        self.at += 1;
        while let Some(byte) = bytes.get(self.at) {
            match byte {
                b'"' => break,
                b'\\' => self.at += 2,
                _ => self.at += 1,
            }
        }
        self.at += 1;
        (start, self.at)
    }

    /// What comes next that is neither white space nor a comma or colon; `None` at the end and before `end`.
    fn past(&mut self, end: &[u8]) -> Option<u8> {
        while let Some(byte) = self.text.as_bytes().get(self.at) {
            match byte {
                b',' | b':' | b' ' | b'\n' | b'\r' | b'\t' => self.at += 1,
                byte if end.contains(byte) => return None,
                byte => return Some(*byte),
            }
        }
        None
    }

    fn peek(&mut self) -> Option<u8> {
        self.past(b"")
    }

    fn replace(&mut self, start: usize, end: usize, by: &str) {
        self.out.push_str(&self.text[self.copied..start]);
        self.out.push_str(&serde_json::Value::from(by).to_string());
        self.copied = end;
    }
}

/// What a JSON text says.
fn decoded(quoted: &str) -> Option<String> {
    let raw: &RawValue = serde_json::from_str(quoted).ok()?;
    raw::text(raw).map(std::borrow::Cow::into_owned)
}
