//! The configuration keys, one row each: name, environment variables, what a value may be, what it sets.

use serde_json::Value;
use server::{Durability, EventNames};

use crate::settings::{LogLevel, Settings};

/// A key of `socketio_config.json`.
pub(crate) struct Key {
    /// Its name in the file.
    pub(crate) name: &'static str,
    /// The environment variables that set it, the strongest first.
    pub(crate) environment: &'static [&'static str],
    /// What it may be, for the error of a bad value.
    pub(crate) expected: &'static str,
    /// Puts a value in its place; `None` when it is not what is expected. Environment variables are text, so
    /// text that reads as a number is one.
    pub(crate) apply: fn(&Value, &mut Settings) -> Option<()>,
}

/// Every key that does something.
pub(crate) const KEYS: &[Key] = &[
    Key {
        name: "host",
        environment: &["CLAUDE_MPM_SOCKETIO_HOST", "CLAUDE_MPM_SERVER_HOST"],
        expected: "a host name or an address",
        apply: |value, settings| set(text(value), &mut settings.config.host),
    },
    Key {
        name: "port",
        environment: &["CLAUDE_MPM_MONITOR_PORT", "CLAUDE_MPM_SOCKETIO_PORT", "CLAUDE_MPM_SERVER_PORT"],
        expected: "a port from 1 to 65535",
        apply: |value, settings| set(number(value).filter(|port| *port > 0), &mut settings.config.port),
    },
    Key {
        name: "cors_allowed_origins",
        environment: &["CLAUDE_MPM_SOCKETIO_CORS"],
        expected: "an origin, origins separated by commas, a list of origins, or *",
        apply: |value, settings| set(texts(value), &mut settings.config.cors_allowed_origins),
    },
    Key {
        name: "allowed_hosts",
        environment: &[],
        expected: "a host name or a list of host names",
        apply: |value, settings| set(texts(value), &mut settings.config.allowed_hosts),
    },
    Key {
        name: "require_token",
        environment: &[],
        expected: "true or false",
        apply: |value, settings| set(boolean(value), &mut settings.config.require_token),
    },
    Key {
        name: "tls",
        environment: &[],
        expected: "true or false",
        apply: |value, settings| set(boolean(value), &mut settings.tls),
    },
    Key {
        name: "tls_cert",
        environment: &[],
        expected: "the path of a PEM file",
        apply: |value, settings| set(text(value).map(|path| Some(path.into())), &mut settings.tls_cert),
    },
    Key {
        name: "tls_key",
        environment: &[],
        expected: "the path of a PEM file",
        apply: |value, settings| set(text(value).map(|path| Some(path.into())), &mut settings.tls_key),
    },
    Key {
        name: "request_timeout",
        environment: &[],
        expected: "a number of seconds above 0",
        apply: |value, settings| set(positive(value), &mut settings.config.request_timeout_s),
    },
    Key {
        name: "max_http_buffer_size",
        environment: &[],
        expected: "a number of bytes above 0",
        apply: |value, settings| set(positive(value), &mut settings.config.body_bytes_max),
    },
    Key {
        name: "max_history_size",
        environment: &["CLAUDE_MPM_SOCKETIO_HISTORY_SIZE"],
        expected: "a number of events",
        apply: |value, settings| set(number(value), &mut settings.config.history_max),
    },
    Key {
        name: "socketio_event_names",
        environment: &[],
        expected: "\"claude_event\" or \"category\"",
        apply: |value, settings| {
            let names = match value.as_str()? {
                "claude_event" => EventNames::ClaudeEvent,
                "category" => EventNames::Category,
                _ => return None,
            };
            set(Some(names), &mut settings.config.event_names)
        },
    },
    Key {
        name: "ping_interval",
        environment: &["CLAUDE_MPM_SOCKETIO_PING_INTERVAL"],
        expected: "a number of seconds above 0",
        apply: |value, settings| set(positive(value), &mut settings.config.ping_interval_s),
    },
    Key {
        name: "ping_timeout",
        environment: &["CLAUDE_MPM_SOCKETIO_PING_TIMEOUT"],
        expected: "a number of seconds above 0",
        apply: |value, settings| set(positive(value), &mut settings.config.ping_timeout_s),
    },
    Key {
        name: "retention_days",
        environment: &[],
        expected: "a number of days, 0 for ever",
        apply: |value, settings| set(number(value), &mut settings.config.retention_days),
    },
    Key {
        name: "retention_mib",
        environment: &[],
        expected: "a number of MiB, 0 for no limit",
        apply: |value, settings| set(number(value), &mut settings.config.retention_mib),
    },
    Key {
        name: "durability",
        environment: &[],
        expected: "\"crash\" or \"power\"",
        apply: |value, settings| {
            let durability = match value.as_str()? {
                "crash" => Durability::Crash,
                "power" => Durability::Power,
                _ => return None,
            };
            set(Some(durability), &mut settings.config.durability)
        },
    },
    Key {
        name: "log_level",
        environment: &["CLAUDE_MPM_SOCKETIO_LOG_LEVEL"],
        expected: "DEBUG, INFO, WARNING or ERROR",
        apply: |value, settings| {
            settings.log_level = Some(match value.as_str()?.to_ascii_uppercase().as_str() {
                "DEBUG" => LogLevel::Debug,
                "INFO" => LogLevel::Info,
                "WARNING" | "WARN" => LogLevel::Warn,
                "ERROR" | "CRITICAL" => LogLevel::Error,
                _ => return None,
            });
            Some(())
        },
    },
];

/// Keys of claude-mpm's own servers that mean nothing here. A file that is shared with them may have them.
pub(crate) const UNUSED_KEYS: &[&str] = &[
    "server_id",
    "deployment_mode",
    "auto_start",
    "persistent",
    "min_client_version",
    "log_to_file",
    "log_file_path",
    "health_check_interval",
    "max_connection_attempts",
    "reconnection_delay",
    "connection_timeout",
];

fn set<T>(value: Option<T>, place: &mut T) -> Option<()> {
    *place = value?;
    Some(())
}

fn boolean(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(value) => Some(*value),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned)
}

/// One text, texts separated by commas, or a list of texts.
fn texts(value: &Value) -> Option<Vec<String>> {
    match value {
        Value::String(text) => {
            Some(text.split(',').map(str::trim).filter(|t| !t.is_empty()).map(str::to_owned).collect())
        }
        Value::Array(list) => list.iter().map(text).collect(),
        _ => None,
    }
}

/// A whole number that fits; `1e8` is one too, as Python writes large ones.
fn number<T: TryFrom<u64>>(value: &Value) -> Option<T> {
    let number = match value {
        Value::String(text) => text.trim().parse().ok()?,
        Value::Number(number) => number.as_u64().or_else(|| {
            let number = number.as_f64()?;
            let whole = number.fract() == 0.0 && (0.0..1e15).contains(&number);
            whole.then_some(number as u64)
        })?,
        _ => return None,
    };
    T::try_from(number).ok()
}

fn positive<T: TryFrom<u64>>(value: &Value) -> Option<T> {
    number::<u64>(value).filter(|number| *number > 0)?.try_into().ok()
}
