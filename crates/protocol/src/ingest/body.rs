//! One request body into its events: a single JSON value, an array of them, or one a line (NDJSON).

use serde_json::value::RawValue;

use super::Refusal;
use crate::names::JSON_DEPTH_MAX;
use crate::raw;

/// What a body holds.
#[derive(Debug)]
pub enum Body<'a> {
    /// One event.
    One(&'a RawValue),
    /// Several; a line that is no JSON is refused alone.
    Many(Vec<Result<&'a RawValue, Refusal>>),
}

/// Splits a body. Every limit and every syntax error of the body as a whole is found here.
///
/// # Errors
/// A [`Refusal`] when nothing in the body can be read.
pub fn split(bytes: &[u8]) -> Result<Body<'_>, Refusal> {
    let text = std::str::from_utf8(bytes)
        .map_err(|error| Refusal::new("invalid_utf8", format!("the body is not UTF-8: {error}")))?;
    let text = text.trim_start_matches('\u{feff}').trim();
    if text.is_empty() {
        return Err(Refusal::new("empty_body", "the body is empty; send an event as JSON"));
    }
    if text.starts_with('[') {
        check_depth(text)?;
        let elements: Vec<&RawValue> = serde_json::from_str(text).map_err(|e| invalid(&e))?;
        return Ok(Body::Many(elements.into_iter().map(Ok).collect()));
    }
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<&RawValue>();
    let first = values.next().unwrap_or_else(|| serde_json::from_str(text));
    let first = first.map_err(|e| invalid(&e))?;
    let rest = &text[values.byte_offset()..];
    if rest.trim_start().is_empty() {
        return shallow(first).map(Body::One);
    }
    if !rest.trim_start_matches([' ', '\t', '\r']).starts_with('\n') {
        return Err(Refusal::new("invalid_json", "the body goes on after the end of its JSON value"));
    }
    let lines = rest.lines().map(str::trim).filter(|line| !line.is_empty());
    let others = lines.map(|line| serde_json::from_str(line).map_err(|e| invalid(&e)).and_then(shallow));
    Ok(Body::Many(std::iter::once(shallow(first)).chain(others).collect()))
}

fn shallow(value: &RawValue) -> Result<&RawValue, Refusal> {
    check_depth(value.get()).map(|()| value)
}

fn invalid(error: &serde_json::Error) -> Refusal {
    Refusal::new("invalid_json", format!("not JSON: {error}"))
}

/// Refuses nesting that the readers of a payload could not follow.
fn check_depth(text: &str) -> Result<(), Refusal> {
    if raw::is_too_deep(text) {
        let message = format!("the JSON is nested deeper than {JSON_DEPTH_MAX} levels");
        return Err(Refusal::new("too_deep", message));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(body: &str) -> Result<(usize, usize), &'static str> {
        match split(body.as_bytes()) {
            Ok(Body::One(_)) => Ok((1, 0)),
            Ok(Body::Many(all)) => {
                Ok((all.iter().filter(|e| e.is_ok()).count(), all.iter().filter(|e| e.is_err()).count()))
            }
            Err(refusal) => Err(refusal.code),
        }
    }

    #[test]
    fn a_body_is_one_value_an_array_or_lines() {
        let cases = [
            (r#"{"a":1}"#, Ok((1, 0))),
            ("\u{feff} {\n \"a\": 1\n}\n", Ok((1, 0))),
            (r#"[{"a":1},{"b":[]}]"#, Ok((2, 0))),
            ("[]", Ok((0, 0))),
            ("{\"a\":1}\n{\"b\":2}\r\n\n{\"c\":3}", Ok((3, 0))),
            ("{\"a\":1}\nnonsense\n{\"c\":3}\n", Ok((2, 1))),
            ("{\"a\":1} {\"b\":2}", Err("invalid_json")),
            ("{\"a\":", Err("invalid_json")),
            ("[{\"a\":1}", Err("invalid_json")),
            ("nonsense", Err("invalid_json")),
            ("  \n", Err("empty_body")),
        ];
        for (body, expected) in cases {
            assert_eq!(count(body), expected, "{body:?}");
        }
        assert_eq!(split(b"{\"a\":\"\xff\"}").err().map(|r| r.code), Some("invalid_utf8"));
    }

    #[test]
    fn only_real_nesting_counts_as_depth() {
        let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
        assert_eq!(count(&deep), Err("too_deep"));
        let deep_line =
            format!("{{\"a\":1}}\n{{\"a\":{}{}}}\n{{\"a\":1}}", "[".repeat(10_000), "]".repeat(10_000));
        assert_eq!(count(&deep_line), Ok((2, 1)), "a line is refused alone");
        let brackets_in_text = format!(r#"{{"a":"{}\"{}"}}"#, "[".repeat(500), "{".repeat(500));
        assert_eq!(count(&brackets_in_text), Ok((1, 0)));
    }
}
