//! What the hook wants to know of a payload: that it is JSON, and its working directory. The rest is the
//! server's business.

use std::borrow::Cow;
use std::path::PathBuf;

use serde::Deserialize;
use serde::de::IgnoredAny;

/// A payload that is JSON.
#[derive(Debug, PartialEq, Eq)]
pub struct Facts {
    /// The session's working directory, when the payload names one.
    pub cwd: Option<PathBuf>,
}

#[derive(Deserialize)]
struct WithCwd<'a> {
    #[serde(borrow, default)]
    cwd: Option<Cow<'a, str>>,
}

/// Reads a payload once; `None` when it is no JSON.
pub fn facts(bytes: &[u8]) -> Option<Facts> {
    // JSON is UTF-8, which a parser that skips strings does not notice.
    let text = std::str::from_utf8(bytes).ok()?;
    if let Ok(WithCwd { cwd }) = serde_json::from_str(text) {
        return Some(Facts { cwd: cwd.map(|cwd| PathBuf::from(cwd.into_owned())) });
    }
    // Any other shape, or a `cwd` that is no text: strange, but not for us to refuse.
    serde_json::from_str::<IgnoredAny>(text).ok().map(|_| Facts { cwd: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_of_any_shape_passes_and_a_cwd_is_found_in_it() {
        let cases: &[(&[u8], Option<Option<&str>>)] = &[
            (br#"{"cwd":"/home/dev/shop","x":[1]}"#, Some(Some("/home/dev/shop"))),
            (br#"{"x":{"cwd":"/inner"},"cwd":"/a \"b\""}"#, Some(Some("/a \"b\""))),
            (br#"{"x":1}"#, Some(None)),
            (br#"{"cwd":null}"#, Some(None)),
            (br#"{"cwd":7}"#, Some(None)),
            (br#"{"cwd":"/a","cwd":"/b"}"#, Some(None)),
            (b"[1,2]", Some(None)),
            (b"\"text\"", Some(None)),
            (b"42", Some(None)),
            (b"{a:1}", None),
            (b"[}", None),
            (b"hello", None),
            (b"{\"a\":\"\xFF\"}", None),
        ];
        for (bytes, expected) in cases {
            let found = facts(bytes).map(|facts| facts.cwd);
            let expected = expected.map(|cwd| cwd.map(PathBuf::from));
            assert_eq!(found, expected, "{}", String::from_utf8_lossy(bytes));
        }
    }

    #[test]
    fn deep_nesting_is_still_json() {
        let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
        assert!(facts(deep.as_bytes()).is_some(), "the server decides how deep is too deep");
    }
}
