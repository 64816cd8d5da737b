//! What the stand-in answers: `scripts.json` holds scripts by name, a script is a list of steps, a step the parts of
//! one response. In any text of them `$DIR` is the folder that the session works in, `$PLAN` the file that Claude Code has
//! named for a plan, and `$MUCH` a text of 320 kB.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

const SCRIPTS: &str = include_str!("../scripts.json");

/// What stands for a text that is long.
const MUCH: &str = "$MUCH";

/// Scripts by name.
pub(crate) type Scripts = BTreeMap<String, Vec<Vec<Part>>>;

/// A part of a response.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Part {
    /// Text for the user.
    Text(String),
    /// What the model thinks before.
    Thinking(String),
    /// A tool call.
    Tool {
        /// The tool.
        name: String,
        /// Its input.
        input: Value,
    },
    /// Nothing more is said until the test opens the gate of this name.
    Hold(String),
    /// Why the response ends, where it is not by itself.
    Stop(String),
    /// An error instead of all that; it stands first in its step.
    Error(Refusal),
}

/// An error of the API.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) message: String,
    /// How often it is given before the rest of the step counts; without it always.
    pub(crate) times: Option<usize>,
    /// After how many seconds to try again, as the API says.
    pub(crate) retry_after: Option<u64>,
}

/// All scripts there are.
pub(crate) fn all() -> Scripts {
    serde_json::from_str(SCRIPTS).expect("scripts.json holds scripts")
}

/// The same with what its variables stand for.
pub(crate) fn filled(part: &Part, folder: &str, plan: &str) -> Part {
    let fill = |text: &str| {
        let text = text.replace("$DIR", folder).replace("$PLAN", plan);
        if text.contains(MUCH) { text.replace(MUCH, &"0123456789abcde\n".repeat(20_000)) } else { text }
    };
    match part {
        Part::Text(text) => Part::Text(fill(text)),
        Part::Tool { name, input } => Part::Tool { name: name.clone(), input: filled_value(input, &fill) },
        other => other.clone(),
    }
}

fn filled_value(value: &Value, fill: &impl Fn(&str) -> String) -> Value {
    match value {
        Value::String(text) => Value::String(fill(text)),
        Value::Array(values) => values.iter().map(|value| filled_value(value, fill)).collect(),
        Value::Object(fields) => {
            fields.iter().map(|(name, value)| (name.clone(), filled_value(value, fill))).collect()
        }
        other => other.clone(),
    }
}
