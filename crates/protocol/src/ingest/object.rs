//! A tolerant view of one JSON object: fields by name, each kept raw until asked for, so that a field of an
//! unexpected type is an absent field and never an error.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::raw::text;

/// Fields after this many are kept in the payload but not looked at. Real payloads have about twenty.
const FIELDS_MAX: usize = 1000;

/// The fields of an object, borrowed from its text.
#[derive(Clone, Debug, Default)]
pub struct Object<'a> {
    fields: Vec<(Cow<'a, str>, &'a RawValue)>,
}

impl<'a> Object<'a> {
    /// Reads an object; `None` for any other JSON value.
    pub fn of(raw: &'a RawValue) -> Option<Self> {
        if !raw.get().starts_with('{') {
            return None;
        }
        serde_json::from_str(raw.get()).ok()
    }

    /// The raw value of a field that is present and not null. The last of equal names counts.
    pub fn raw(&self, name: &str) -> Option<&'a RawValue> {
        let (_, raw) = self.fields.iter().rev().find(|(key, _)| key == name)?;
        (raw.get() != "null").then_some(*raw)
    }

    /// A text that is not empty.
    pub fn text(&self, name: &str) -> Option<Cow<'a, str>> {
        text(self.raw(name)?).filter(|text| !text.is_empty())
    }

    /// The first of several spellings that holds a text.
    pub fn first_text(&self, names: &[&str]) -> Option<Cow<'a, str>> {
        names.iter().find_map(|name| self.text(name))
    }

    /// A text that is not empty, as an owned string.
    pub fn string(&self, name: &str) -> Option<String> {
        self.text(name).map(Cow::into_owned)
    }

    /// A number.
    pub fn number(&self, name: &str) -> Option<f64> {
        serde_json::from_str(self.raw(name)?.get()).ok()
    }

    /// Whether a field is `true`.
    pub fn is_true(&self, name: &str) -> bool {
        self.raw(name).is_some_and(|raw| raw.get() == "true")
    }

    /// Whether a field is `false`.
    pub fn is_false(&self, name: &str) -> bool {
        self.raw(name).is_some_and(|raw| raw.get() == "false")
    }

    /// A field that is an object.
    pub fn object(&self, name: &str) -> Option<Object<'a>> {
        Object::of(self.raw(name)?)
    }

    /// The elements of a field that is an array; empty when it is none.
    pub fn array(&self, name: &str) -> Vec<&'a RawValue> {
        self.raw(name).and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default()
    }

    /// A field as a JSON value.
    pub fn value(&self, name: &str) -> Option<Value> {
        serde_json::from_str(self.raw(name)?.get()).ok()
    }
}

/// A field name, borrowed where it has no escapes.
struct Key<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Name;
        impl<'de> Visitor<'de> for Name {
            type Value = Key<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a field name")
            }

            fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Borrowed(name)))
            }

            fn visit_str<E>(self, name: &str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Owned(name.to_owned())))
            }
        }
        deserializer.deserialize_str(Name)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Object<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = Object<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Object<'de>, M::Error> {
                let mut fields = Vec::with_capacity(16);
                while let Some(Key(name)) = map.next_key()? {
                    if fields.len() < FIELDS_MAX {
                        fields.push((name, map.next_value()?));
                    } else {
                        map.next_value::<IgnoredAny>()?;
                    }
                }
                Ok(Object { fields })
            }
        }
        deserializer.deserialize_map(Fields)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(json: &str) -> Box<RawValue> {
        RawValue::from_string(json.to_owned()).expect("the sample is JSON")
    }

    #[test]
    fn a_field_of_the_wrong_type_is_an_absent_field() {
        let raw = raw(r#"{"session_id":7,"cwd":null,"tool_name":"","prompt":"hi","duration_ms":"5"}"#);
        let object = Object::of(&raw).expect("it is an object");
        assert_eq!(object.text("session_id"), None);
        assert_eq!(object.text("cwd"), None);
        assert_eq!(object.text("tool_name"), None);
        assert_eq!(object.number("duration_ms"), None);
        assert_eq!(object.text("prompt").as_deref(), Some("hi"));
    }

    #[test]
    fn half_a_surrogate_pair_does_not_lose_the_text() {
        let raw = raw(r#"{"prompt":"cut \ud83d"}"#);
        let object = Object::of(&raw).expect("it is an object");
        assert!(object.text("prompt").is_some_and(|text| text.starts_with("cut ")));
    }

    #[test]
    fn the_last_of_equal_names_counts() {
        let raw = raw(r#"{"a":"1","a":"2"}"#);
        assert_eq!(Object::of(&raw).and_then(|o| o.string("a")).as_deref(), Some("2"));
    }
}
