//! What a server runs with: each setting with who chose it, and where its files lie.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The answer of `GET /api/settings`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(optional_fields))]
pub struct Configuration {
    /// Every key, in the order in which they are documented. Empty where a program set the server up by itself.
    pub settings: Vec<Setting>,
    /// Its files and folders.
    pub paths: Vec<Place>,
}

/// A key with what applies.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(optional_fields))]
pub struct Setting {
    /// The key of the configuration file.
    pub key: String,
    /// What applies.
    #[cfg_attr(test, ts(type = "unknown"))]
    pub value: Value,
    /// What kind of source said so: `flag`, `environment`, `file`, `profile`, `detected`, `default`.
    pub from: String,
    /// Which one: the flag, the variable, the file.
    pub by: Option<String>,
    /// The environment variables that set it, the strongest first.
    pub environment: Vec<String>,
    /// What it decides.
    pub about: String,
}

/// A file or folder of a server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Place {
    /// What it is: `configuration`, `store`, `spool`, `log`, `runfile`, `prices`, `token`.
    pub name: String,
    /// Where it is.
    pub path: String,
}
