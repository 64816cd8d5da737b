//! Holds what a monitor says against a pattern of the truth: fields that the pattern does not name are not looked at.

use serde_json::{Value, json};

const AT_LEAST: &str = "at least";
const IN_ANY_ORDER: &str = "in any order";
const CONTAINING: &str = "containing";
const WITHOUT: &str = "without";
const NOTHING: &str = "nothing";

/// A number that is this or more.
pub fn at_least(number: u64) -> Value {
    json!({ AT_LEAST: number })
}

/// A list of these, whichever comes first.
pub fn in_any_order(patterns: &[Value]) -> Value {
    json!({ IN_ANY_ORDER: patterns })
}

/// A text that has these words in it, or something with such a text in it.
pub fn containing(words: &str) -> Value {
    json!({ CONTAINING: words })
}

/// Whatever has these words nowhere in it.
pub fn without(words: &str) -> Value {
    json!({ WITHOUT: words })
}

/// An object without a field.
pub(crate) fn nothing() -> Value {
    json!({ NOTHING: true })
}

/// Where what is said is not the truth.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Difference {
    /// The way to it, as `recent_calls[0].end.outcome`.
    pub(crate) path: String,
    pub(crate) truth: Value,
    pub(crate) said: Value,
}

/// All places in which what is said differs from the truth.
pub(crate) fn differences(truth: &Value, said: &Value) -> Vec<Difference> {
    let mut found = Vec::new();
    compare(String::new(), truth, said, &mut found);
    found
}

fn compare(path: String, truth: &Value, said: &Value, found: &mut Vec<Difference>) {
    let agrees = match truth {
        Value::Object(fields) if fields.contains_key(AT_LEAST) => {
            said.as_u64().is_some_and(|said| Some(said) >= fields[AT_LEAST].as_u64())
        }
        Value::Object(fields) if fields.contains_key(IN_ANY_ORDER) => {
            is_permutation(&fields[IN_ANY_ORDER], said)
        }
        Value::Object(fields) if fields.contains_key(CONTAINING) => has(said, &fields[CONTAINING]),
        Value::Object(fields) if fields.contains_key(WITHOUT) => !has(said, &fields[WITHOUT]),
        Value::Object(fields) if fields.contains_key(NOTHING) => {
            for (name, said) in said.as_object().into_iter().flatten() {
                compare(name.clone(), &Value::Null, said, found);
            }
            true
        }
        Value::Object(fields) if said.is_object() => {
            for (name, truth) in fields {
                let dot = if path.is_empty() { "" } else { "." };
                compare(format!("{path}{dot}{name}"), truth, &said[name], found);
            }
            true
        }
        Value::Array(truths) if said.is_array() => {
            let all = said.as_array().map_or(&[][..], Vec::as_slice);
            if truths.len() != all.len() {
                let (truth, said) = (json!(truths.len()), json!(all.len()));
                found.push(Difference { path: format!("{path}.length"), truth, said });
            }
            for (index, (truth, said)) in truths.iter().zip(all).enumerate() {
                compare(format!("{path}[{index}]"), truth, said, found);
            }
            true
        }
        _ => truth == said,
    };
    if !agrees {
        found.push(Difference { path, truth: truth.clone(), said: said.clone() });
    }
}

fn has(said: &Value, words: &Value) -> bool {
    said.to_string().contains(words.as_str().expect("words are a text"))
}

fn is_permutation(truths: &Value, said: &Value) -> bool {
    let (Some(truths), Some(all)) = (truths.as_array(), said.as_array()) else { return false };
    let mut left: Vec<&Value> = all.iter().collect();
    let takes_one = |truth: &Value| {
        let place = left.iter().position(|said| differences(truth, said).is_empty());
        place.map(|place| left.remove(place)).is_some()
    };
    truths.len() == all.len() && truths.iter().all(takes_one)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(truth: &Value, said: &Value) -> Vec<String> {
        differences(truth, said).into_iter().map(|difference| difference.path).collect()
    }

    #[test]
    fn each_place_that_differs_is_named() {
        let said = json!({ "status": { "state": "done", "since": 7 }, "calls": [{ "tool": "Bash" }] });
        assert!(paths(&json!({ "status": { "state": "done" } }), &said).is_empty());
        assert_eq!(paths(&json!({ "status": { "state": "lost" } }), &said), ["status.state"]);
        assert_eq!(paths(&json!({ "title": "x", "model": null }), &said), ["title"]);
        assert_eq!(paths(&json!({ "calls": [{ "tool": "Read" }] }), &said), ["calls[0].tool"]);
        assert_eq!(paths(&json!({ "calls": [] }), &said), ["calls.length"]);
        assert_eq!(paths(&json!({ "status": ["done"] }), &said), ["status"]);
    }

    #[test]
    fn bounds_and_orders_are_as_wide_as_they_say() {
        let said = json!({ "wait": 2000, "all": [{ "n": 1 }, { "n": 2 }] });
        assert!(paths(&json!({ "wait": at_least(2000) }), &said).is_empty());
        assert_eq!(paths(&json!({ "wait": at_least(2001) }), &said), ["wait"]);
        let (one, two) = (json!({ "n": 1 }), json!({ "n": 2 }));
        assert!(paths(&json!({ "all": in_any_order(&[two.clone(), one.clone()]) }), &said).is_empty());
        assert_eq!(paths(&json!({ "all": in_any_order(&[two.clone(), two]) }), &said), ["all"]);
        assert_eq!(paths(&json!({ "all": in_any_order(&[one]) }), &said), ["all"]);
        let said = json!({ "turns": [{ "prompt": "do this" }] });
        assert!(paths(&json!({ "turns": containing("this") }), &said).is_empty());
        assert_eq!(paths(&json!({ "turns": without("this") }), &said), ["turns"]);
        assert_eq!(paths(&nothing(), &said), ["turns"]);
        assert!(paths(&nothing(), &json!({})).is_empty());
        assert!(paths(&json!({ "turns": without("that"), "none": without("that") }), &said).is_empty());
    }
}
