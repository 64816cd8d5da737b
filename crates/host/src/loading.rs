//! Where settings come from: flag, else environment, else file, else default. The working directory's file is never
//! read: a cloned project must not configure a server.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use protocol::config_file;
use protocol::paths::Home;
use serde_json::{Map, Value};

use crate::key::{KEYS, Key};
use crate::profile::{Detected, Profile};
use crate::settings::{Flags, Origin, Setting, Settings, SettingsError};

/// The most that a configuration file has: each key explained is some 20 KiB.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// A configuration file that was read.
struct File {
    path: PathBuf,
    values: Map<String, Value>,
}

impl Settings {
    /// Reads the settings of this user: `~/.claude-mpm/socketio_config.json` goes before the system's file.
    ///
    /// # Errors
    /// When a file cannot be read, or a value is not of its key's kind.
    pub fn load(
        flags: &Flags,
        var: impl Fn(&str) -> Option<OsString>,
        home: &Home,
    ) -> Result<Self, SettingsError> {
        let detected = Profile::detect(&var);
        Self::from_files(flags, var, detected, &[home.config(), PathBuf::from(config_file::SYSTEM)])
    }

    fn from_files(
        flags: &Flags,
        var: impl Fn(&str) -> Option<OsString>,
        detected: Detected,
        paths: &[PathBuf],
    ) -> Result<Self, SettingsError> {
        let mut files = Vec::new();
        for path in paths {
            files.extend(read(path)?);
        }
        let mut settings = Self { warnings: warnings(&files), profile: detected.profile, ..Self::default() };
        settings.origins.insert("profile", Origin::Detected(detected.because));
        for key in KEYS {
            let of_profile = || settings.of_profile(key.name);
            let Some((origin, value)) = chosen(key, flags, &var, &files).or_else(of_profile) else {
                continue;
            };
            (key.apply)(&value, &mut settings).ok_or_else(|| SettingsError::BadValue {
                origin: origin.clone(),
                key: key.name,
                expected: key.expected,
                value: value.to_string(),
            })?;
            settings.origins.insert(key.name, origin);
        }
        settings.config.profile = settings.profile.name().to_owned();
        settings.config.configuration.settings = settings.all().iter().map(Setting::told).collect();
        Ok(settings)
    }

    /// The profile's default of a key.
    fn of_profile(&self, key: &str) -> Option<(Origin, Value)> {
        let is_chosen = !matches!(self.origin("profile"), Origin::Detected(_));
        let value = self.profile.value(key, is_chosen)?;
        Some((Origin::Profile(self.profile), value.into()))
    }

    /// Every key with what applies, in the order in which they are documented.
    pub fn all(&self) -> Vec<Setting> {
        let setting = |key: &Key| Setting {
            name: key.name,
            about: key.about,
            expected: key.expected,
            environment: key.environment,
            value: (key.show)(self),
            origin: self.origin(key.name),
        };
        KEYS.iter().map(setting).collect()
    }
}

/// The value of a key, and who said so; `None` leaves the default.
fn chosen(
    key: &Key,
    flags: &Flags,
    var: impl Fn(&str) -> Option<OsString>,
    files: &[File],
) -> Option<(Origin, Value)> {
    let flag = flags.value(key.name).map(|(flag, value)| (Origin::Flag(flag), value));
    let environment = || {
        let set = |name: &&'static str| {
            let value = var(name).filter(|value| !value.is_empty())?;
            Some((Origin::Environment(name), Value::from(value.to_string_lossy().into_owned())))
        };
        key.environment.iter().find_map(set)
    };
    let file = || {
        let set = |file: &File| {
            let value = file.values.get(key.name).filter(|value| !value.is_null())?;
            Some((Origin::File(file.path.clone()), value.clone()))
        };
        files.iter().find_map(set)
    };
    flag.or_else(environment).or_else(file)
}

/// A configuration file; `None` when there is none.
fn read(path: &Path) -> Result<Option<File>, SettingsError> {
    let text = match private::follow(path).and_then(|file| private::text(file, FILE_BYTES_MAX)) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(SettingsError::Unreadable { path: path.to_owned(), source }),
    };
    match config_file::parse(&text) {
        Ok(values) => Ok(Some(File { path: path.to_owned(), values })),
        Err(reason) => Err(SettingsError::Malformed { path: path.to_owned(), reason }),
    }
}

/// One sentence for each key that nobody knows, with the nearest one that somebody does.
fn warnings(files: &[File]) -> Vec<String> {
    let known = || KEYS.iter().map(|key| key.name);
    let mut warnings = Vec::new();
    for file in files {
        for name in file.values.keys().filter(|name| !known().any(|known| known == name.as_str())) {
            let nearest = known().min_by_key(|known| distance(known, name)).unwrap_or_default();
            warnings
                .push(format!("{}: unknown key {name:?}; did you mean {nearest:?}?", file.path.display()));
        }
    }
    warnings
}

/// How many letters must be inserted, removed or replaced to turn one word into the other.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, letter) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, other) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(letter != *other);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::Duration;

    use super::*;
    use crate::settings::{DeploymentMode, LogFormat, LogLevel};
    use serde_json::json;
    use server::{Config, Durability, EventNames};

    const DETECTED: Detected = Detected { profile: Profile::Production, because: "it is a test" };
    const MONITOR_PORT: &str = "CLAUDE_MPM_MONITOR_PORT";
    const SOCKETIO_PORT: &str = "CLAUDE_MPM_SOCKETIO_PORT";
    const SERVER_PORT: &str = "CLAUDE_MPM_SERVER_PORT";

    /// Settings from flags, variables, the user's file and the system's file; an empty text is no file.
    fn load(
        flags: &Flags,
        variables: &[(&str, &str)],
        user: &str,
        system: &str,
    ) -> Result<Settings, SettingsError> {
        let folder = tempfile::tempdir().unwrap();
        let paths = [folder.path().join("user.json"), folder.path().join("system.json")];
        for (path, text) in paths.iter().zip([user, system]).filter(|(_, text)| !text.is_empty()) {
            fs::write(path, text).unwrap();
        }
        let var = |name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| OsString::from(value))
        };
        Settings::from_files(flags, var, DETECTED, &paths)
    }

    #[test]
    fn a_flag_goes_before_the_environment_before_the_user_s_file_before_the_system_s_file() {
        let flag = Flags { port: Some(1), ..Flags::default() };
        let none = Flags::default();
        let file = |port: u16| json!({ "port": port }).to_string();
        let variables = [(SERVER_PORT, "4"), (SOCKETIO_PORT, "3"), (MONITOR_PORT, "2")];
        let cases = [
            (&flag, &variables[..], file(5), file(6), 1),
            (&none, &variables[..], file(5), file(6), 2),
            (&none, &variables[..2], file(5), file(6), 3),
            (&none, &variables[..1], file(5), file(6), 4),
            (&none, &[(MONITOR_PORT, "")][..], file(5), file(6), 5),
            (&none, &[][..], file(5), file(6), 5),
            (&none, &[][..], r#"{"port":null}"#.to_owned(), file(6), 6),
            (&none, &[][..], String::new(), file(6), 6),
            (&none, &[][..], String::new(), String::new(), 8765),
        ];
        for (flags, variables, user, system, expected) in cases {
            let settings = load(flags, variables, &user, &system).unwrap();
            assert_eq!(settings.config.port, expected, "{flags:?} {variables:?} {user:?} {system:?}");
        }
    }

    #[test]
    fn the_origin_of_the_port_is_known() {
        let flags = Flags { port: Some(1), ..Flags::default() };
        assert_eq!(load(&flags, &[], "", "").unwrap().origin("port"), Origin::Flag("port"));
        let none = Flags::default();
        let environment = load(&none, &[(SOCKETIO_PORT, "3")], "", "").unwrap().origin("port");
        assert_eq!(environment, Origin::Environment(SOCKETIO_PORT));
        assert!(matches!(load(&none, &[], r#"{"port":5}"#, "").unwrap().origin("port"), Origin::File(_)));
        assert_eq!(load(&none, &[], r#"{"host":"::1"}"#, "").unwrap().origin("port"), Origin::Default);
    }

    #[test]
    fn no_key_is_ignored() {
        type Check = fn(&Settings) -> bool;
        let cases: [(Value, Check); 45] = [
            (json!({"host": "::1"}), |s| s.config.host == "::1"),
            (json!({"port": 9000}), |s| s.config.port == 9000),
            (json!({"cors_allowed_origins": "*"}), |s| s.config.cors_allowed_origins == ["*"]),
            (json!({"cors_allowed_origins": "http://a, http://b"}), |s| {
                s.config.cors_allowed_origins == ["http://a", "http://b"]
            }),
            (json!({"cors_allowed_origins": ["http://a"]}), |s| {
                s.config.cors_allowed_origins == ["http://a"]
            }),
            (json!({"allowed_hosts": ["box.lan"]}), |s| s.config.allowed_hosts == ["box.lan"]),
            (json!({"require_token": true}), |s| s.config.needs_token()),
            (json!({"tls": true}), |s| s.tls),
            (json!({"tls_cert": "/c.pem"}), |s| s.tls_cert == Some("/c.pem".into())),
            (json!({"tls_key": "/k.pem"}), |s| s.tls_key == Some("/k.pem".into())),
            (json!({"request_timeout": 7}), |s| s.config.request_timeout_s == 7),
            (json!({"max_http_buffer_size": 1e8}), |s| s.config.body_bytes_max == 100_000_000),
            (json!({"max_history_size": 7}), |s| s.config.history_max == 7),
            (json!({"socketio_event_names": "category"}), |s| s.config.event_names == EventNames::Category),
            (json!({"ping_interval": 25}), |s| s.config.ping_interval_s == 25),
            (json!({"ping_timeout": 20}), |s| s.config.ping_timeout_s == 20),
            (json!({"retention_days": 0}), |s| s.config.retention_days == 0),
            (json!({"retention_mib": 5}), |s| s.config.retention_mib == 5),
            (json!({"own_events": false}), |s| !s.config.own_events),
            (json!({"durability": "power"}), |s| s.config.durability == Durability::Power),
            (json!({"log_level": "DEBUG"}), |s| s.log_level == Some(LogLevel::Debug)),
            (json!({"log_level": "WARNING"}), |s| s.log_level == Some(LogLevel::Warn)),
            (json!({"log_format": "json"}), |s| s.log_format == LogFormat::Json),
            (json!({"profile": "docker"}), |s| s.profile == Profile::Docker && s.config.profile == "docker"),
            (json!({"dashboard": false}), |s| !s.config.dashboard),
            (json!({"dashboard_port": 9001}), |s| s.config.dashboard_port == Some(9001)),
            (json!({"deployment_mode": "client"}), |s| s.deployment_mode == DeploymentMode::Client),
            (json!({"deployment_mode": "standalone"}), |s| s.deployment_mode == DeploymentMode::Standalone),
            (json!({"auto_start": false}), |s| !s.auto_start),
            (json!({"persistent": false}), |s| !s.persistent),
            (json!({"health_check_interval": 5}), |s| {
                s.health_check_interval == Some(Duration::from_secs(5))
            }),
            (json!({"health_check_interval": 0}), |s| s.health_check_interval.is_none()),
            (json!({"max_connection_attempts": 7}), |s| s.reconnection.attempts_max == Some(7)),
            (json!({"reconnection_delay": 3}), |s| s.reconnection.delay_max == Duration::from_secs(3)),
            (json!({"server_id": "office"}), |s| s.config.name == "office"),
            (json!({"min_client_version": "1.2"}), |s| s.config.client_version_min == "1.2"),
            (json!({"connection_timeout": 10}), |s| s.config.connect_timeout_s == 10),
            (json!({"log_to_file": true}), |s| s.log_to_file),
            (json!({"log_to_file": "yes"}), |s| s.log_to_file),
            (json!({"log_file_path": "/var/log/monitor.log"}), |s| {
                s.log_path(&Home::at("/h"), 1) == Path::new("/var/log/monitor.log")
            }),
            (json!({"port": "9000"}), |s| s.log_path(&Home::at("/h"), 1).ends_with("monitor-1.log")),
            (json!({"log_file_kib": 64}), |s| s.log_limits.file_bytes_max == 65_536),
            (json!({"log_files": 2}), |s| s.log_limits.files_max == 2),
            (json!({"max_history_size": null}), |s| s.origin("max_history_size") == Origin::Default),
            (json!({"retention_days": 0}), |s| matches!(s.origin("retention_days"), Origin::File(_))),
        ];
        for (file, check) in &cases {
            let settings = load(&Flags::default(), &[], &file.to_string(), "").unwrap();
            assert!(check(&settings), "{file} is ignored");
            assert!(settings.warnings.is_empty(), "{file} is known");
        }
        for key in KEYS {
            assert!(cases.iter().any(|(file, _)| !file[key.name].is_null()), "{} has no case", key.name);
        }
    }

    #[test]
    fn no_environment_variable_is_ignored() {
        type Check = fn(&Settings) -> bool;
        let cases: [(&str, &str, Check); 21] = [
            ("CLAUDE_MPM_SOCKETIO_HOST", "::1", |s| s.config.host == "::1"),
            ("CLAUDE_MPM_SERVER_HOST", "127.0.0.1", |s| s.config.host == "127.0.0.1"),
            ("CLAUDE_MPM_SOCKETIO_CORS", "http://a,http://b", |s| s.config.cors_allowed_origins.len() == 2),
            ("CLAUDE_MPM_SOCKETIO_PING_TIMEOUT", "9", |s| s.config.ping_timeout_s == 9),
            ("CLAUDE_MPM_SOCKETIO_PING_INTERVAL", "8", |s| s.config.ping_interval_s == 8),
            ("CLAUDE_MPM_SOCKETIO_LOG_LEVEL", "error", |s| s.log_level == Some(LogLevel::Error)),
            ("CLAUDE_MPM_MONITOR_LOG_FORMAT", "json", |s| s.log_format == LogFormat::Json),
            ("CLAUDE_MPM_SOCKETIO_HISTORY_SIZE", "77", |s| s.config.history_max == 77),
            ("CLAUDE_MPM_MONITOR_PROFILE", "development", |s| s.profile == Profile::Development),
            ("CLAUDE_MPM_DEFAULT_HOST", "127.0.0.1", |s| s.config.host == "127.0.0.1"),
            ("CLAUDE_MPM_MONITOR_LOG_TO_FILE", "1", |s| s.log_to_file),
            ("CLAUDE_MPM_MONITOR_DASHBOARD", "off", |s| !s.config.dashboard),
            ("CLAUDE_MPM_OWN_EVENTS", "off", |s| !s.config.own_events),
            ("CLAUDE_MPM_DASHBOARD_PORT", "9001", |s| s.config.dashboard_port == Some(9001)),
            ("CLAUDE_MPM_SOCKETIO_MODE", "client", |s| s.deployment_mode == DeploymentMode::Client),
            ("CLAUDE_MPM_SOCKETIO_AUTO_START", "false", |s| !s.auto_start),
            ("CLAUDE_MPM_SOCKETIO_PERSISTENT", "0", |s| !s.persistent),
            ("CLAUDE_MPM_SOCKETIO_SERVER_ID", "office", |s| s.config.name == "office"),
            (MONITOR_PORT, "9000", |s| s.config.port == 9000),
            (SOCKETIO_PORT, "9000", |s| s.config.port == 9000),
            (SERVER_PORT, "9000", |s| s.config.port == 9000),
        ];
        for (name, value, check) in cases {
            let settings = load(&Flags::default(), &[(name, value)], "", "").unwrap();
            assert!(check(&settings), "{name}={value} is ignored");
        }
        for name in KEYS.iter().flat_map(|key| key.environment) {
            assert!(cases.iter().any(|(known, ..)| known == name), "{name} has no case");
        }
    }

    #[test]
    fn a_bad_value_is_an_error_that_names_who_said_it_the_key_and_the_value() {
        let cases = [
            (vec![(SOCKETIO_PORT, "high")], "", [SOCKETIO_PORT, "port", "high"]),
            (vec![], r#"{"port":70000}"#, ["user.json", "port", "70000"]),
            (vec![], r#"{"port":0}"#, ["user.json", "port", "0"]),
            (vec![], r#"{"durability":"maybe"}"#, ["user.json", "durability", "maybe"]),
            (vec![], r#"{"cors_allowed_origins":[1]}"#, ["user.json", "cors_allowed_origins", "[1]"]),
            (vec![], r#"{"ping_interval":-1}"#, ["user.json", "ping_interval", "-1"]),
            (vec![], r#"{"profile":"staging"}"#, ["user.json", "profile", "staging"]),
            (vec![], r#"{"dashboard":"maybe"}"#, ["user.json", "dashboard", "maybe"]),
            (vec![], r#"{"dashboard_port":0}"#, ["user.json", "dashboard_port", "0"]),
            (vec![], r#"{"deployment_mode":"cluster"}"#, ["user.json", "deployment_mode", "cluster"]),
            (vec![], r#"{"server_id":"my box"}"#, ["user.json", "server_id", "my box"]),
            (vec![], r#"{"min_client_version":"new"}"#, ["user.json", "min_client_version", "new"]),
            (vec![], r#"{"log_file_path":"monitor.log"}"#, ["user.json", "absolute path", "monitor.log"]),
            (vec![], r#"{"log_format":"xml"}"#, ["user.json", "log_format", "xml"]),
            (vec![], r#"{"log_files":0}"#, ["user.json", "log_files", "0"]),
            (vec![], r#"{"port":"#, ["user.json", "JSON", "line 1"]),
            (vec![], r#"[]"#, ["user.json", "JSON object", "sequence"]),
        ];
        for (variables, user, parts) in cases {
            let error = load(&Flags::default(), &variables, user, "").unwrap_err().to_string();
            assert!(parts.iter().all(|part| error.contains(part)), "{error:?} lacks one of {parts:?}");
        }
    }

    #[test]
    fn an_unknown_key_is_a_warning_that_names_the_nearest_known_one() {
        let file = r#"{"prot": 9000, "auto_start": true, "reconnection_delay": 1}"#;
        let settings = load(&Flags::default(), &[], file, "").unwrap();
        assert_eq!(settings.warnings.len(), 1, "{:?}", settings.warnings);
        assert!(settings.warnings[0].ends_with(r#"unknown key "prot"; did you mean "port"?"#));
        assert_eq!(settings.config.port, 8765, "an unknown key changes nothing");
    }

    #[test]
    fn no_flag_is_ignored() {
        type Check = fn(&Settings) -> bool;
        let opposite = r#"{"host":"::1","port":9000,"dashboard":false,"dashboard_port":9001,"profile":"docker",
                "log_level":"ERROR","log_format":"text"}"#;
        let cases: [(&str, Flags, Check); 7] = [
            ("log_level", Flags { log_level: Some(LogLevel::Debug), ..Flags::default() }, |s| {
                s.log_level == Some(LogLevel::Debug)
            }),
            ("log_format", Flags { log_format: Some(LogFormat::Json), ..Flags::default() }, |s| {
                s.log_format == LogFormat::Json
            }),
            ("host", Flags { host: Some("127.0.0.1".to_owned()), ..Flags::default() }, |s| {
                s.config.host == "127.0.0.1"
            }),
            ("port", Flags { port: Some(1), ..Flags::default() }, |s| s.config.port == 1),
            ("dashboard", Flags { dashboard: true, ..Flags::default() }, |s| s.config.dashboard),
            ("dashboard_port", Flags { dashboard_port: Some(2), ..Flags::default() }, |s| {
                s.config.dashboard_port == Some(2)
            }),
            ("profile", Flags { profile: Some(Profile::Production), ..Flags::default() }, |s| {
                s.profile == Profile::Production
            }),
        ];
        for (key, flags, check) in cases {
            let without = load(&Flags::default(), &[], opposite, "").unwrap();
            assert!(!check(&without), "the file says the opposite of {key}");
            let settings = load(&flags, &[], opposite, "").unwrap();
            assert!(check(&settings), "the flag of {key} is ignored");
            assert!(matches!(settings.origin(key), Origin::Flag(_)), "{key}");
        }
    }

    #[test]
    fn a_profile_that_was_chosen_sets_defaults_and_one_that_was_seen_only_how_much_is_logged() {
        let said = |file: &str| {
            let settings = load(&Flags::default(), &[], file, "").unwrap();
            let Config { ping_interval_s, ping_timeout_s, history_max, .. } = settings.config;
            (settings.log_level, ping_interval_s, ping_timeout_s, history_max)
        };
        assert_eq!(said("{}"), (None, 30, 60, 1000));
        assert_eq!(said(r#"{"profile":"development"}"#), (Some(LogLevel::Debug), 10, 30, 5000));
        assert_eq!(said(r#"{"profile":"production"}"#), (Some(LogLevel::Info), 30, 120, 20_000));
        assert_eq!(said(r#"{"profile":"docker"}"#), (Some(LogLevel::Info), 25, 90, 15_000));
        assert_eq!(
            said(r#"{"profile":"docker","ping_timeout":7,"log_level":"ERROR"}"#),
            (Some(LogLevel::Error), 25, 7, 15_000),
            "what the user says goes before the profile"
        );
        let seen = Detected { profile: Profile::Docker, because: "this is a container" };
        let settings = Settings::from_files(&Flags::default(), |_| None, seen, &[]).unwrap();
        assert_eq!((settings.log_level, settings.config.ping_timeout_s), (Some(LogLevel::Info), 60));
        assert_eq!(settings.origin("log_level"), Origin::Profile(Profile::Docker));
        assert_eq!(settings.origin("profile"), Origin::Detected("this is a container"));
    }

    #[test]
    fn every_key_can_be_shown_and_what_is_shown_can_be_said_in_a_file() {
        let settings = load(&Flags::default(), &[], r#"{"profile":"docker","port":9000}"#, "").unwrap();
        let shown: Map<String, Value> =
            settings.all().into_iter().map(|setting| (setting.name.to_owned(), setting.value)).collect();
        assert_eq!((&shown["port"], &shown["ping_timeout"]), (&json!(9000), &json!(90)));
        let again = load(&Flags::default(), &[], &Value::Object(shown.clone()).to_string(), "").unwrap();
        let again: Map<String, Value> =
            again.all().into_iter().map(|setting| (setting.name.to_owned(), setting.value)).collect();
        assert_eq!(again, shown);
    }
}
