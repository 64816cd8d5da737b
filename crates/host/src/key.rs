//! The configuration keys, one row each: name, what it is for, environment variables, what a value may be, what
//! it sets, and how it reads.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};
use server::{Durability, EventNames};

use crate::profile::Profile;
use crate::settings::{DeploymentMode, LogFormat, LogLevel, Settings};

/// A key of `socketio_config.json`.
pub(crate) struct Key {
    /// Its name in the file.
    pub(crate) name: &'static str,
    /// What it decides, for the file that `config init` writes.
    pub(crate) about: &'static str,
    /// The environment variables that set it, the strongest first.
    pub(crate) environment: &'static [&'static str],
    /// What it may be, for the error of a bad value.
    pub(crate) expected: &'static str,
    /// Puts a value in its place; `None` when it is not what is expected. Environment variables are text, so
    /// text that reads as a number or as true or false is one.
    pub(crate) apply: fn(&Value, &mut Settings) -> Option<()>,
    /// The value in place, as a file would say it.
    pub(crate) show: fn(&Settings) -> Value,
}

/// Every key that does something. The profile is the first, for it decides the defaults of others.
pub(crate) const KEYS: &[Key] = &[
    Key {
        name: "profile",
        about: "Defaults for where the server runs; found out when nobody says it",
        environment: &["CLAUDE_MPM_MONITOR_PROFILE"],
        expected: "\"development\", \"production\" or \"docker\"",
        apply: |value, settings| set(Profile::named(value.as_str()?), &mut settings.profile),
        show: |settings| json!(settings.profile.name()),
    },
    Key {
        name: "host",
        about: "Address to listen on; beyond loopback everybody needs the access token",
        environment: &["CLAUDE_MPM_SOCKETIO_HOST", "CLAUDE_MPM_SERVER_HOST", "CLAUDE_MPM_DEFAULT_HOST"],
        expected: "a host name or an address",
        apply: |value, settings| set(text(value), &mut settings.config.host),
        show: |settings| json!(settings.config.host),
    },
    Key {
        name: "port",
        about: "Port to serve",
        environment: &["CLAUDE_MPM_MONITOR_PORT", "CLAUDE_MPM_SOCKETIO_PORT", "CLAUDE_MPM_SERVER_PORT"],
        expected: "a port from 1 to 65535",
        apply: |value, settings| set(positive(value), &mut settings.config.port),
        show: |settings| json!(settings.config.port),
    },
    Key {
        name: "dashboard",
        about: "Whether the dashboard is served; events are taken and given in any case",
        environment: &["CLAUDE_MPM_MONITOR_DASHBOARD"],
        expected: "true or false",
        apply: |value, settings| set(truth(value), &mut settings.config.dashboard),
        show: |settings| json!(settings.config.dashboard),
    },
    Key {
        name: "dashboard_port",
        about: "Another port that shows the dashboard as well",
        environment: &["CLAUDE_MPM_DASHBOARD_PORT"],
        expected: "a port from 1 to 65535",
        apply: |value, settings| {
            settings.config.dashboard_port = Some(positive(value)?);
            Some(())
        },
        show: |settings| json!(settings.config.dashboard_port),
    },
    Key {
        name: "deployment_mode",
        about: "\"client\" keeps a server from being started here: this machine's events go to one elsewhere",
        environment: &["CLAUDE_MPM_SOCKETIO_MODE"],
        expected: "\"auto\", \"standalone\", \"embedded\" or \"client\"",
        apply: |value, settings| set(DeploymentMode::named(value.as_str()?), &mut settings.deployment_mode),
        show: |settings| json!(settings.deployment_mode.name()),
    },
    Key {
        name: "auto_start",
        about: "Whether a program that needs a monitor, such as 'run', may start one when none runs",
        environment: &["CLAUDE_MPM_SOCKETIO_AUTO_START"],
        expected: "true or false",
        apply: |value, settings| set(truth(value), &mut settings.auto_start),
        show: |settings| json!(settings.auto_start),
    },
    Key {
        name: "persistent",
        about: "Whether a server in the background outlives the terminal session that it was started from",
        environment: &["CLAUDE_MPM_SOCKETIO_PERSISTENT"],
        expected: "true or false",
        apply: |value, settings| set(truth(value), &mut settings.persistent),
        show: |settings| json!(settings.persistent),
    },
    Key {
        name: "health_check_interval",
        about: "Seconds between two looks whether a server in the background still answers, 0 for none; one that is silent three times is replaced",
        environment: &[],
        expected: "a number of seconds, 0 for none",
        apply: |value, settings| {
            let seconds: u32 = number(value)?;
            settings.health_check_interval = (seconds > 0).then(|| Duration::from_secs(seconds.into()));
            Some(())
        },
        show: |settings| json!(settings.health_check_interval.unwrap_or_default().as_secs()),
    },
    Key {
        name: "max_connection_attempts",
        about: "How often a client such as 'tail' looks for a monitor that is gone before it gives up, 0 for ever",
        environment: &[],
        expected: "a number of attempts, 0 for ever",
        apply: |value, settings| {
            let attempts: u32 = number(value)?;
            settings.reconnection.attempts_max = (attempts > 0).then_some(attempts);
            Some(())
        },
        show: |settings| json!(settings.reconnection.attempts_max.unwrap_or_default()),
    },
    Key {
        name: "reconnection_delay",
        about: "The longest pause between two such looks in seconds",
        environment: &[],
        expected: "a number of seconds above 0",
        apply: |value, settings| {
            let seconds: u32 = positive(value)?;
            settings.reconnection.delay_max = Duration::from_secs(seconds.into());
            Some(())
        },
        show: |settings| json!(settings.reconnection.delay_max.as_secs()),
    },
    Key {
        name: "server_id",
        about: "What the server's identity begins with; a random part follows",
        environment: &["CLAUDE_MPM_SOCKETIO_SERVER_ID"],
        expected: "up to 64 letters, digits, - or _",
        apply: |value, settings| set(text(value).filter(|name| is_name(name)), &mut settings.config.name),
        show: |settings| json!(settings.config.name),
    },
    Key {
        name: "cors_allowed_origins",
        about: "Pages of other origins that may use this server; loopback ones always may",
        environment: &["CLAUDE_MPM_SOCKETIO_CORS"],
        expected: "an origin, origins separated by commas, a list of origins, or *",
        apply: |value, settings| set(texts(value), &mut settings.config.cors_allowed_origins),
        show: |settings| json!(settings.config.cors_allowed_origins),
    },
    Key {
        name: "allowed_hosts",
        about: "Names besides localhost and the host under which this server may be asked",
        environment: &[],
        expected: "a host name or a list of host names",
        apply: |value, settings| set(texts(value), &mut settings.config.allowed_hosts),
        show: |settings| json!(settings.config.allowed_hosts),
    },
    Key {
        name: "require_token",
        about: "Whether programs of this machine need the access token, too",
        environment: &[],
        expected: "true or false",
        apply: |value, settings| set(truth(value), &mut settings.config.require_token),
        show: |settings| json!(settings.config.require_token),
    },
    Key {
        name: "tls",
        about: "Whether to serve HTTPS with a certificate that the monitor signs itself",
        environment: &[],
        expected: "true or false",
        apply: |value, settings| set(truth(value), &mut settings.tls),
        show: |settings| json!(settings.tls),
    },
    Key {
        name: "tls_cert",
        about: "The certificate to serve HTTPS with, as PEM; needs tls_key",
        environment: &[],
        expected: "the path of a PEM file",
        apply: |value, settings| set(text(value).map(|path| Some(path.into())), &mut settings.tls_cert),
        show: |settings| json!(settings.tls_cert),
    },
    Key {
        name: "tls_key",
        about: "The key of that certificate, as PEM",
        environment: &[],
        expected: "the path of a PEM file",
        apply: |value, settings| set(text(value).map(|path| Some(path.into())), &mut settings.tls_key),
        show: |settings| json!(settings.tls_key),
    },
    Key {
        name: "request_timeout",
        about: "Seconds that a request may take to come, and that a connection may be idle",
        environment: &[],
        expected: "a number of seconds above 0",
        apply: |value, settings| set(positive(value), &mut settings.config.request_timeout_s),
        show: |settings| json!(settings.config.request_timeout_s),
    },
    Key {
        name: "max_http_buffer_size",
        about: "The largest request or message in bytes",
        environment: &[],
        expected: "a number of bytes above 0",
        apply: |value, settings| set(positive(value), &mut settings.config.body_bytes_max),
        show: |settings| json!(settings.config.body_bytes_max),
    },
    Key {
        name: "max_history_size",
        about: "How many events claude-mpm's clients get as history at most",
        environment: &["CLAUDE_MPM_SOCKETIO_HISTORY_SIZE"],
        expected: "a number of events",
        apply: |value, settings| set(number(value), &mut settings.config.history_max),
        show: |settings| json!(settings.config.history_max),
    },
    Key {
        name: "min_client_version",
        about: "Clients of an older version get a warning; nobody is refused",
        environment: &[],
        expected: "a version such as 0.7.0",
        apply: |value, settings| {
            set(text(value).filter(|text| is_version(text)), &mut settings.config.client_version_min)
        },
        show: |settings| json!(settings.config.client_version_min),
    },
    Key {
        name: "socketio_event_names",
        about: "Names of Socket.IO broadcasts: \"claude_event\" for all, or \"category\": tool_event, hook_event ...",
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
        show: |settings| match settings.config.event_names {
            EventNames::ClaudeEvent => json!("claude_event"),
            EventNames::Category => json!("category"),
        },
    },
    Key {
        name: "ping_interval",
        about: "Seconds between Socket.IO pings",
        environment: &["CLAUDE_MPM_SOCKETIO_PING_INTERVAL"],
        expected: "a number of seconds above 0",
        apply: |value, settings| set(positive(value), &mut settings.config.ping_interval_s),
        show: |settings| json!(settings.config.ping_interval_s),
    },
    Key {
        name: "ping_timeout",
        about: "Seconds that a Socket.IO client may stay silent after a ping",
        environment: &["CLAUDE_MPM_SOCKETIO_PING_TIMEOUT"],
        expected: "a number of seconds above 0",
        apply: |value, settings| set(positive(value), &mut settings.config.ping_timeout_s),
        show: |settings| json!(settings.config.ping_timeout_s),
    },
    Key {
        name: "connection_timeout",
        about: "Seconds in which a new Socket.IO connection must say what it wants",
        environment: &[],
        expected: "a number of seconds above 0",
        apply: |value, settings| set(positive(value), &mut settings.config.connect_timeout_s),
        show: |settings| json!(settings.config.connect_timeout_s),
    },
    Key {
        name: "retention_days",
        about: "Days that events are kept, 0 for ever",
        environment: &[],
        expected: "a number of days, 0 for ever",
        apply: |value, settings| set(number(value), &mut settings.config.retention_days),
        show: |settings| json!(settings.config.retention_days),
    },
    Key {
        name: "retention_mib",
        about: "MiB that the store may take, 0 for no limit; the oldest events go first",
        environment: &[],
        expected: "a number of MiB, 0 for no limit",
        apply: |value, settings| set(number(value), &mut settings.config.retention_mib),
        show: |settings| json!(settings.config.retention_mib),
    },
    Key {
        name: "own_events",
        about: "Whether the monitor's own events are kept: its start and stop, and who connects and leaves",
        environment: &["CLAUDE_MPM_OWN_EVENTS"],
        expected: "true or false",
        apply: |value, settings| set(truth(value), &mut settings.config.own_events),
        show: |settings| json!(settings.config.own_events),
    },
    Key {
        name: "durability",
        about: "What an acknowledged event survives: a \"crash\" of the server, or the loss of \"power\" too (slower)",
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
        show: |settings| match settings.config.durability {
            Durability::Crash => json!("crash"),
            Durability::Power => json!("power"),
        },
    },
    Key {
        name: "log_level",
        about: "How much is logged: DEBUG, INFO, WARNING or ERROR; without it INFO in the background, WARNING in a terminal",
        environment: &["CLAUDE_MPM_SOCKETIO_LOG_LEVEL"],
        expected: "DEBUG, INFO, WARNING or ERROR",
        apply: |value, settings| {
            settings.log_level = Some(LogLevel::named(value.as_str()?)?);
            Some(())
        },
        show: |settings| json!(settings.log_level.map(LogLevel::name)),
    },
    Key {
        name: "log_format",
        about: "How the log is written: \"text\" for people, \"json\" for programs, an object a line",
        environment: &["CLAUDE_MPM_MONITOR_LOG_FORMAT"],
        expected: "\"text\" or \"json\"",
        apply: |value, settings| set(LogFormat::named(value.as_str()?), &mut settings.log_format),
        show: |settings| json!(settings.log_format.name()),
    },
    Key {
        name: "log_to_file",
        about: "Whether a server in a terminal logs to a file too; one in the background always does",
        environment: &["CLAUDE_MPM_MONITOR_LOG_TO_FILE"],
        expected: "true or false",
        apply: |value, settings| set(truth(value), &mut settings.log_to_file),
        show: |settings| json!(settings.log_to_file),
    },
    Key {
        name: "log_file_path",
        about: "The log file; without it ~/.claude-mpm/monitor/logs/monitor-PORT.log",
        environment: &[],
        expected: "the absolute path of a file",
        apply: |value, settings| {
            settings.log_file_path = Some(text(value).map(PathBuf::from).filter(|path| path.is_absolute())?);
            Some(())
        },
        show: |settings| json!(settings.log_file_path),
    },
    Key {
        name: "log_file_kib",
        about: "KiB of one log file; then it gets a number and a new one begins",
        environment: &[],
        expected: "a number of KiB above 0",
        apply: |value, settings| {
            let kib: u32 = positive(value)?;
            settings.log_limits.file_bytes_max = u64::from(kib) * 1024;
            Some(())
        },
        show: |settings| json!(settings.log_limits.file_bytes_max / 1024),
    },
    Key {
        name: "log_files",
        about: "How many log files are kept",
        environment: &[],
        expected: "a number from 1 to 1000",
        apply: |value, settings| {
            let files = positive(value).filter(|files| *files <= 1000);
            set(files, &mut settings.log_limits.files_max)
        },
        show: |settings| json!(settings.log_limits.files_max),
    },
];

fn set<T>(value: Option<T>, place: &mut T) -> Option<()> {
    *place = value?;
    Some(())
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

fn truth(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(truth) => Some(*truth),
        Value::String(text) => match text.trim().to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "on" => Some(true),
            "false" | "0" | "no" | "off" => Some(false),
            _ => None,
        },
        _ => None,
    }
}

fn is_name(name: &str) -> bool {
    name.len() <= 64 && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

fn is_version(text: &str) -> bool {
    let numbers: Vec<_> = text.split('.').collect();
    numbers.len() <= 3 && numbers.iter().all(|number| number.parse::<u32>().is_ok())
}
