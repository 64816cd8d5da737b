//! How configuration files are read: JSON in which comments and trailing commas are allowed.

use jsonc_parser::{ParseOptions, parse_to_serde_value};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// Where the system's administrator configures every user's server.
pub const SYSTEM: &str = "/etc/claude-mpm/socketio_config.json";

/// Reads the text of a configuration file; one without any value is an empty object.
///
/// # Errors
/// A sentence with the place, when the text is not of the form, or its values not of the type.
pub fn parse<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    let text = text.trim_start_matches('\u{feff}');
    let value: Option<Value> = parse_to_serde_value(text, &OPTIONS).map_err(|error| error.to_string())?;
    let value = value.unwrap_or_else(|| Value::Object(Map::new()));
    T::deserialize(value).map_err(|error| error.to_string())
}

/// Comments and trailing commas, as editors take them in such files, and no other liberty.
const OPTIONS: ParseOptions = ParseOptions {
    allow_comments: true,
    allow_trailing_commas: true,
    allow_loose_object_property_names: false,
    allow_missing_commas: false,
    allow_single_quoted_strings: false,
    allow_hexadecimal_numbers: false,
    allow_unary_plus_numbers: false,
    allow_bare_decimal_point_numbers: false,
    allow_non_finite_numbers: false,
    allow_extended_string_escapes: false,
};

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn comments_and_trailing_commas_are_allowed_and_errors_name_the_place() {
        let read = parse::<Map<String, Value>>;
        let text =
            "\u{feff}{\n  // the port\n  \"port\": 9000, /* and */ \"max_http_buffer_size\": 1e8,\n}\n";
        let expected = json!({ "port": 9000, "max_http_buffer_size": 1e8 });
        assert_eq!(read(text).map(Value::Object), Ok(expected));
        for nothing in ["{}", "", "// all by default\n"] {
            assert_eq!(read(nothing).map(Value::Object), Ok(json!({})), "{nothing:?}");
        }
        assert!(read("{\"port\":").unwrap_err().contains("line 1"));
        for text in ["[]", "{'port': 1}", "{port: 1}"] {
            assert!(read(text).is_err(), "{text:?}");
        }
    }
}
