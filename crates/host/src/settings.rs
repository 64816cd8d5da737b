//! What a server is told, who told it, and the words in which it can be told.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use client::Reconnection;
use protocol::configuration;
use protocol::paths::Home;
use serde_json::Value;
use server::Config;

use crate::log_file::{self, LogFile, LogLimits};
use crate::profile::Profile;
use crate::{Tls, TlsError};

/// How often a supervisor asks its server when nobody says otherwise: a server that hangs is replaced within two
/// minutes, and asking costs nothing that could be noticed.
const HEALTH_CHECK_INTERVAL: Duration = Duration::from_secs(30);

/// What the command line says.
#[derive(Clone, Debug, Default)]
pub struct Flags {
    /// `--host`.
    pub host: Option<String>,
    /// `--port`.
    pub port: Option<u16>,
    /// `--dashboard`.
    pub dashboard: bool,
    /// `--dashboard-port`.
    pub dashboard_port: Option<u16>,
    /// `--profile`.
    pub profile: Option<Profile>,
    /// `--tls`.
    pub tls: bool,
    /// `--tls-cert`.
    pub tls_cert: Option<String>,
    /// `--tls-key`.
    pub tls_key: Option<String>,
    /// `--log-level`.
    pub log_level: Option<LogLevel>,
    /// `--log-format`.
    pub log_format: Option<LogFormat>,
}

impl Flags {
    /// What the flag of a key says, with the flag's name.
    pub(crate) fn value(&self, key: &str) -> Option<(&'static str, Value)> {
        match key {
            "host" => Some(("host", self.host.clone()?.into())),
            "port" => Some(("port", self.port?.into())),
            "dashboard" => self.dashboard.then(|| ("dashboard", true.into())),
            "dashboard_port" => Some(("dashboard-port", self.dashboard_port?.into())),
            "tls" => self.tls.then(|| ("tls", true.into())),
            "tls_cert" => Some(("tls-cert", self.tls_cert.clone()?.into())),
            "tls_key" => Some(("tls-key", self.tls_key.clone()?.into())),
            "profile" => Some(("profile", self.profile?.name().into())),
            "log_level" => Some(("log-level", self.log_level?.name().into())),
            "log_format" => Some(("log-format", self.log_format?.name().into())),
            _ => None,
        }
    }
}

/// The settings of one server, and what the user should know about them.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What the server is told.
    pub config: Config,
    /// The defaults that apply.
    pub profile: Profile,
    /// Whether a server may be started here.
    pub deployment_mode: DeploymentMode,
    /// Whether who needs a monitor may start one.
    pub auto_start: bool,
    /// Whether a server in the background outlives the terminal session that it was started from.
    pub persistent: bool,
    /// How often a supervisor asks whether its server still answers; `None` is never.
    pub health_check_interval: Option<Duration>,
    /// How a client looks for a monitor that is gone.
    pub reconnection: Reconnection,
    /// Whether to serve HTTPS with a certificate of its own, unless files are named.
    pub tls: bool,
    /// The certificate to serve HTTPS with.
    pub tls_cert: Option<PathBuf>,
    /// Its key.
    pub tls_key: Option<PathBuf>,
    /// How much goes to the log; `None` leaves it to the mode.
    pub log_level: Option<LogLevel>,
    /// How a line of the log is written.
    pub log_format: LogFormat,
    /// Whether a foreground server logs to a file too.
    pub log_to_file: bool,
    /// The log file; `None` is the one of the port in the user's home.
    pub log_file_path: Option<PathBuf>,
    /// How much log is kept.
    pub log_limits: LogLimits,
    /// Keys that nobody knows, one sentence each.
    pub warnings: Vec<String>,
    /// Who chose a key's value; a key that is missing has its default.
    pub(crate) origins: BTreeMap<&'static str, Origin>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            config: Config { own_events: true, ..Config::default() },
            tls: false,
            tls_cert: None,
            tls_key: None,
            profile: Profile::default(),
            deployment_mode: DeploymentMode::Auto,
            auto_start: true,
            persistent: true,
            health_check_interval: Some(HEALTH_CHECK_INTERVAL),
            reconnection: Reconnection::default(),
            log_level: None,
            log_format: LogFormat::default(),
            log_to_file: false,
            log_file_path: None,
            log_limits: LogLimits { file_bytes_max: 2 * 1024 * 1024, files_max: 5 },
            warnings: Vec::new(),
            origins: BTreeMap::new(),
        }
    }
}

/// A key with its value, for people and programs that want to know.
#[derive(Clone, Debug)]
pub struct Setting {
    /// The key.
    pub name: &'static str,
    /// What it decides.
    pub about: &'static str,
    /// What it may be.
    pub expected: &'static str,
    /// The environment variables that set it, the strongest first.
    pub environment: &'static [&'static str],
    /// What applies.
    pub value: Value,
    /// Who said so.
    pub origin: Origin,
}

impl Setting {
    /// As programs and pages read it.
    pub fn told(&self) -> configuration::Setting {
        let (from, by) = match &self.origin {
            Origin::Flag(flag) => ("flag", Some(format!("--{flag}"))),
            Origin::Environment(name) => ("environment", Some((*name).to_owned())),
            Origin::File(path) => ("file", Some(path.display().to_string())),
            Origin::Profile(profile) => ("profile", Some(profile.to_string())),
            Origin::Detected(because) => ("detected", Some((*because).to_owned())),
            Origin::Default => ("default", None),
        };
        configuration::Setting {
            key: self.name.to_owned(),
            value: self.value.clone(),
            from: from.to_owned(),
            by,
            environment: self.environment.iter().map(|&name| name.to_owned()).collect(),
            about: self.about.to_owned(),
        }
    }
}

/// claude-mpm's ways to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeploymentMode {
    /// Whatever fits.
    Auto,
    /// A server of its own.
    Standalone,
    /// A server inside another program.
    Embedded,
    /// No server here, only clients of one elsewhere.
    Client,
}

impl DeploymentMode {
    const ALL: [(Self, &'static str); 4] = [
        (Self::Auto, "auto"),
        (Self::Standalone, "standalone"),
        (Self::Embedded, "embedded"),
        (Self::Client, "client"),
    ];

    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, known)| *known == name).map(|(mode, _)| *mode)
    }

    pub(crate) fn name(self) -> &'static str {
        Self::ALL.iter().find(|(mode, _)| *mode == self).map_or("auto", |(_, name)| name)
    }
}

/// How much goes to the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLevel {
    /// Everything.
    Debug,
    /// What the server does.
    Info,
    /// What may be wrong.
    Warn,
    /// What is wrong.
    Error,
}

impl LogLevel {
    /// By the names that Python's logging has.
    pub fn named(name: &str) -> Option<Self> {
        Some(match name.trim().to_ascii_uppercase().as_str() {
            "DEBUG" => Self::Debug,
            "INFO" => Self::Info,
            "WARNING" | "WARN" => Self::Warn,
            "ERROR" | "CRITICAL" => Self::Error,
            _ => return None,
        })
    }

    /// The name that Python's logging has.
    pub fn name(self) -> &'static str {
        match self {
            Self::Debug => "DEBUG",
            Self::Info => "INFO",
            Self::Warn => "WARNING",
            Self::Error => "ERROR",
        }
    }
}

/// How a line of the log is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people: time, level, origin, what happened.
    #[default]
    Text,
    /// For programs: one JSON object, its fields beside `timestamp`, `level`, `target` and `message`.
    Json,
}

impl LogFormat {
    /// Every format.
    pub const ALL: [Self; 2] = [Self::Text, Self::Json];

    /// Its name in flags, variables and files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Json => "json",
        }
    }

    /// The format of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.name() == name)
    }
}

/// Who said so.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Origin {
    /// An argument of the command line, such as `--port`.
    Flag(&'static str),
    /// An environment variable.
    Environment(&'static str),
    /// A configuration file.
    File(PathBuf),
    /// The profile.
    Profile(Profile),
    /// What was seen of the surroundings.
    Detected(&'static str),
    /// Nobody.
    #[default]
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(name) => write!(f, "--{name}"),
            Self::Environment(name) => write!(f, "environment variable {name}"),
            Self::File(path) => path.display().fmt(f),
            Self::Profile(profile) => write!(f, "profile {profile}"),
            Self::Detected(because) => write!(f, "detected: {because}"),
            Self::Default => f.write_str("default"),
        }
    }
}

/// Why there are no settings.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// A file exists but cannot be read.
    #[error("could not read {}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The operating system's reason.
        source: io::Error,
    },
    /// A file is no JSON object.
    #[error("could not read {} as a JSON object: {reason}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        reason: String,
    },
    /// A value is not of its key's kind.
    #[error("{origin}: {key} must be {expected}, not {value}")]
    BadValue {
        /// Who said so.
        origin: Origin,
        /// The key of the configuration file.
        key: &'static str,
        /// What it may be.
        expected: &'static str,
        /// What it is.
        value: String,
    },
}

impl Settings {
    /// Reads or makes the certificate that the server is to serve HTTPS with, if it is.
    ///
    /// # Errors
    /// When only one of certificate and key is named, or they cannot be read or made.
    pub fn load_certificate(&mut self, home: &Home) -> Result<(), TlsError> {
        let tls = match (&self.tls_cert, &self.tls_key) {
            (Some(certificate), Some(key)) => {
                Tls::Files { certificate: certificate.clone(), key: key.clone() }
            }
            (None, None) if self.tls => Tls::SelfSigned,
            (None, None) => Tls::Off,
            (Some(_), None) => return Err(TlsError::Half { given: "tls_cert", missing: "tls_key" }),
            (None, Some(_)) => return Err(TlsError::Half { given: "tls_key", missing: "tls_cert" }),
        };
        let named = [self.config.host.clone()].into_iter().chain(self.config.allowed_hosts.clone());
        let local = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
        let mut names: Vec<String> = local.into_iter().chain(client::machine_names()).chain(named).collect();
        // A wildcard is no name.
        names.retain(|name| !name.parse::<IpAddr>().is_ok_and(|address| address.is_unspecified()));
        names.sort();
        names.dedup();
        self.config.tls = tls.certificate(home, &names)?;
        Ok(())
    }

    /// Who chose the value of a key.
    pub fn origin(&self, key: &str) -> Origin {
        self.origins.get(key).cloned().unwrap_or_default()
    }

    /// Opens the log of a server on that port.
    ///
    /// # Errors
    /// When the folder or the file cannot be made.
    pub fn open_log(&self, home: &Home, port: u16) -> io::Result<LogFile> {
        match &self.log_file_path {
            Some(path) => LogFile::open(path, self.log_limits),
            None => log_file::open_of_port(home, port, self.log_limits),
        }
    }

    /// The log file of a server on that port.
    pub fn log_path(&self, home: &Home, port: u16) -> PathBuf {
        self.log_file_path.clone().unwrap_or_else(|| home.log(port))
    }
}
