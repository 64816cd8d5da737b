//! What a server is told at start: addresses, limits, files. Plain values; where they come from (flags,
//! environment, file) is the business of `host`.

use std::net::IpAddr;
use std::path::PathBuf;

use protocol::configuration::Configuration;
use protocol::instance::InstanceInfo;
use protocol::{Timestamp, names};

use crate::claim::Claim;
use crate::gate::tls::Certificate;
use crate::intake::capture::Capture;

/// Everything a server needs to know. `Default` is what a user gets without any setting.
#[derive(Clone, Debug)]
pub struct Config {
    /// `localhost` (both loopback addresses), an address, or a host name.
    pub host: String,
    /// The port; 0 takes any free one (tests).
    pub port: u16,
    /// Serves dashboard and API on this port as well.
    pub dashboard_port: Option<u16>,
    /// Whether the dashboard is served; the API always is.
    pub dashboard: bool,
    /// What the server's identity begins with; a random part follows.
    pub name: String,
    /// The profile whose values apply, for `/health`.
    pub profile: String,
    /// The event store; its folder is made when missing.
    pub database: PathBuf,
    /// The right to the place of the store, should its files vanish.
    pub claim: Claim,
    /// Where hooks leave events that no server could take; none leaves them there.
    pub spool: Option<PathBuf>,
    /// The user's own prices of models, used when the file exists.
    pub prices: Option<PathBuf>,
    /// Where claude-mpm's viewers find the working directory; the process's own.
    pub working_directory: PathBuf,
    /// How the process was started: `foreground`, `background` or `desktop`.
    pub mode: String,
    /// When the process started, for `/metrics`; it outlives a restart of the server in it. Without it, when the
    /// server did.
    pub process_started_at: Option<Timestamp>,
    /// Origins besides loopback ones that browsers may call from; `*` allows all.
    pub cors_allowed_origins: Vec<String>,
    /// Host names besides loopback ones and `host` that requests may be addressed to.
    pub allowed_hosts: Vec<String>,
    /// Whether everybody needs a token, also who is on this machine. A host that others can reach should.
    pub require_token: bool,
    /// The token of this user's servers. It is read again whenever it changes; none knows no token.
    pub token_file: Option<PathBuf>,
    /// Serves HTTPS with this; this machine may go on without.
    pub tls: Option<Certificate>,
    /// Seconds that a request's head may take, and then its body; a connection may be idle as long.
    pub request_timeout_s: u64,
    /// The largest request body in bytes.
    pub body_bytes_max: usize,
    /// How many events the legacy history answers return at most.
    pub history_max: usize,
    /// Names of the legacy Socket.IO broadcasts.
    pub event_names: EventNames,
    /// Seconds between Engine.IO pings.
    pub ping_interval_s: u64,
    /// Seconds a client may stay silent after a ping.
    pub ping_timeout_s: u64,
    /// Seconds in which a connection must join a Socket.IO namespace.
    pub connect_timeout_s: u64,
    /// Clients of an older version get a warning; nobody is refused.
    pub client_version_min: String,
    /// Events older than this many days are deleted; 0 keeps them for ever.
    pub retention_days: u32,
    /// The store is kept below this size by deleting the oldest events; 0 sets no limit.
    pub retention_mib: u64,
    /// What an acknowledged event survives.
    pub durability: Durability,
    /// Whether the monitor's own events are kept: its start and stop, and who connects and leaves. Whoever embeds a
    /// server asks for them.
    pub own_events: bool,
    /// Whether events are kept; the same switch over all restarts.
    pub capture: Capture,
    /// What `GET /api/settings` answers; nothing else looks at it.
    pub configuration: Configuration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            host: "localhost".to_owned(),
            port: names::DEFAULT_PORT,
            dashboard_port: None,
            dashboard: true,
            name: "monitor".to_owned(),
            profile: String::new(),
            database: PathBuf::from("events.db"),
            claim: Claim::default(),
            spool: None,
            prices: None,
            working_directory: PathBuf::from("."),
            mode: "foreground".to_owned(),
            process_started_at: None,
            cors_allowed_origins: Vec::new(),
            allowed_hosts: Vec::new(),
            require_token: false,
            token_file: None,
            tls: None,
            request_timeout_s: 30,
            body_bytes_max: names::BODY_BYTES_MAX,
            history_max: 1000,
            event_names: EventNames::ClaudeEvent,
            ping_interval_s: 30,
            ping_timeout_s: 60,
            connect_timeout_s: 45,
            client_version_min: "0.7.0".to_owned(),
            retention_days: 30,
            retention_mib: 2048,
            durability: Durability::Crash,
            own_events: false,
            capture: Capture::default(),
            configuration: Configuration::default(),
        }
    }
}

impl Config {
    /// Whether only this machine can reach the server. A name other than `localhost` may mean any address.
    pub fn is_loopback(&self) -> bool {
        self.host == "localhost" || self.host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    }

    /// Whether everybody needs a token.
    pub fn needs_token(&self) -> bool {
        self.require_token || !self.is_loopback()
    }

    /// The port beside the main one, when it is another one.
    pub(crate) fn extra_port(&self) -> Option<u16> {
        self.dashboard_port.filter(|port| *port != self.port)
    }

    /// The server as the raw WebSocket door names it, once its port is known.
    pub(crate) fn instance_info(&self, port: u16) -> InstanceInfo {
        let working_dir = Some(self.working_directory.display().to_string());
        InstanceInfo { port, host: self.host.clone(), working_dir }
    }
}

/// Under which name the namespace `/` broadcasts events. Never under both: a client that listens to both
/// would count twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventNames {
    /// `claude_event`, which every known client listens to.
    ClaudeEvent,
    /// The newest reference's names: `tool_event`, `hook_event`, `session_event` …
    Category,
}

/// What an acknowledged event survives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// A crash or `kill -9` of the server.
    Crash,
    /// Power loss too, at the price of one fsync per group of events.
    Power,
}
