//! JSON text with the place of each part, and new parts written in the text's own style.

use std::path::Path;

use jsonc_parser::ast::{Object, Value};
use jsonc_parser::common::Ranged;
use jsonc_parser::{CollectOptions, ParseOptions, parse_to_ast};
use serde::de::IgnoredAny;

use crate::Error;

/// What some editors put in front of a text.
pub(crate) const MARK: char = '\u{feff}';

/// Reads a whole text.
pub(crate) fn value(text: &str) -> serde_json::Result<serde_json::Value> {
    serde_json::from_str(text.trim_start_matches(MARK))
}

/// What may stand in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Grammar {
    /// JSON, as Claude Code reads it.
    Strict,
    /// Comments too: enough to take out what is ours.
    Comments,
}

/// The object that a text is; `None` for a text of nothing but white space. A text from a file of `path`.
pub(crate) fn parse<'a>(text: &'a str, grammar: Grammar, path: &Path) -> Result<Option<Object<'a>>, Error> {
    let invalid = |line: usize, column: usize, reason: String| Error::Invalid {
        path: path.to_owned(),
        line,
        column: column.max(1),
        reason,
    };
    if text.trim().is_empty() {
        return Ok(None);
    }
    if grammar == Grammar::Strict
        && let Err(error) = serde_json::from_str::<IgnoredAny>(text)
    {
        let reason = error.to_string();
        let reason = reason.rsplit_once(" at line ").map_or(reason.as_str(), |(reason, _)| reason);
        return Err(invalid(error.line(), error.column(), format!("no valid JSON: {reason}")));
    }
    let options = ParseOptions {
        allow_comments: true,
        allow_loose_object_property_names: false,
        allow_trailing_commas: false,
        allow_missing_commas: false,
        allow_single_quoted_strings: false,
        allow_hexadecimal_numbers: false,
        allow_unary_plus_numbers: false,
        allow_bare_decimal_point_numbers: false,
        allow_non_finite_numbers: false,
        allow_extended_string_escapes: false,
    };
    let parsed = parse_to_ast(text, &CollectOptions::default(), &options).map_err(|error| {
        invalid(error.line_display(), error.column_display(), format!("no valid JSON: {}", error.kind()))
    })?;
    match parsed.value {
        Some(Value::Object(root)) => Ok(Some(root)),
        None => Ok(None),
        Some(other) => {
            let (line, column) = place(text, other.start());
            Err(invalid(line, column, "expected an object of settings".to_owned()))
        }
    }
}

/// Line and column of an offset, from 1, in characters.
pub(crate) fn place(text: &str, offset: usize) -> (usize, usize) {
    let before = &text[..offset];
    let line = before.matches('\n').count() + 1;
    let column = before[before.rfind('\n').map_or(0, |at| at + 1)..].chars().count() + 1;
    (line, column)
}

/// A part to be written.
pub(crate) enum New {
    /// A value that needs no layout, as JSON.
    Text(String),
    /// An array.
    List(Vec<New>),
    /// An object.
    Map(Vec<(&'static str, New)>),
}

impl New {
    /// A string.
    pub(crate) fn string(text: &str) -> Self {
        Self::Text(serde_json::Value::from(text).to_string())
    }
}

/// How a text is laid out.
#[derive(Clone, Debug)]
pub(crate) enum Style {
    /// Everything in one line.
    Inline {
        /// Whether a space follows each colon and comma.
        is_spaced: bool,
    },
    /// One member a line.
    Lines {
        /// What ends a line.
        newline: &'static str,
        /// One step of indentation.
        unit: String,
    },
}

impl Style {
    /// That of a text with this root.
    pub(crate) fn of(text: &str, root: &Object<'_>) -> Self {
        let inside = &text[root.start()..root.end()];
        let newline =
            if text.split_once('\n').is_some_and(|(line, _)| line.ends_with('\r')) { "\r\n" } else { "\n" };
        match root.properties.first() {
            Some(first) if !inside.contains('\n') => {
                let after_colon = &text[first.name_end()..first.value.start()];
                Self::Inline { is_spaced: after_colon.ends_with(' ') }
            }
            Some(first) => {
                let (own, outer) = (indentation(text, first.start()), indentation(text, root.start()));
                let unit = own.strip_prefix(outer).filter(|unit| !unit.is_empty());
                Self::Lines { newline, unit: unit.unwrap_or("  ").to_owned() }
            }
            None => Self::Lines { newline, unit: "  ".to_owned() },
        }
    }

    /// What stands between two members that begin with this indentation.
    pub(crate) fn separator(&self, indent: &str) -> String {
        match self {
            Self::Inline { is_spaced } => if *is_spaced { ", " } else { "," }.to_owned(),
            Self::Lines { newline, .. } => format!(",{newline}{indent}"),
        }
    }

    /// The inside of an empty container whose own line has this indentation.
    pub(crate) fn inside(&self, indent: &str, members: &[String]) -> String {
        match self {
            Self::Inline { .. } => members.join(&self.separator(indent)),
            Self::Lines { newline, unit } => {
                let inner = format!("{indent}{unit}");
                format!("{newline}{inner}{}{newline}{indent}", members.join(&self.separator(&inner)))
            }
        }
    }

    /// One member of an object.
    pub(crate) fn member(&self, indent: &str, key: &str, value: &New) -> String {
        let colon = if matches!(self, Self::Inline { is_spaced: false }) { ":" } else { ": " };
        format!("\"{key}\"{colon}{}", self.value(indent, value))
    }

    /// A value that begins in a line of this indentation.
    pub(crate) fn value(&self, indent: &str, value: &New) -> String {
        let inner = match self {
            Self::Inline { .. } => String::new(),
            Self::Lines { unit, .. } => format!("{indent}{unit}"),
        };
        match value {
            New::Text(text) => text.clone(),
            New::List(items) => {
                let items: Vec<String> = items.iter().map(|item| self.value(&inner, item)).collect();
                format!("[{}]", self.inside(indent, &items))
            }
            New::Map(members) => {
                let members: Vec<String> =
                    members.iter().map(|(key, value)| self.member(&inner, key, value)).collect();
                format!("{{{}}}", self.inside(indent, &members))
            }
        }
    }
}

/// Where the name of a property ends.
trait NameEnd {
    fn name_end(&self) -> usize;
}

impl NameEnd for jsonc_parser::ast::ObjectProp<'_> {
    fn name_end(&self) -> usize {
        match &self.name {
            jsonc_parser::ast::ObjectPropName::String(name) => name.range.end,
            jsonc_parser::ast::ObjectPropName::Word(name) => name.range.end,
        }
    }
}

/// The white space at the beginning of the line that this offset is in.
pub(crate) fn indentation(text: &str, offset: usize) -> &str {
    let start = text[..offset].rfind('\n').map_or(0, |at| at + 1);
    let line = &text[start..offset];
    &line[..line.len() - line.trim_start_matches([' ', '\t']).len()]
}
