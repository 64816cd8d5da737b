//! Names that both sides of a connection must spell alike: service, routes, namespaces, limits.

/// `service` in `/health`: by this text every launcher knows a monitor.
pub const SERVICE: &str = "claude-mpm-monitor";

/// The port without configuration.
pub const DEFAULT_PORT: u16 = 8765;

/// Where `--port auto` looks, inclusive.
pub const PORT_RANGE: std::ops::RangeInclusive<u16> = 8765..=8785;

/// Who is serving.
pub const HEALTH: &str = "/health";

/// Who is serving, and who is connected.
pub const STATUS: &str = "/status";

/// For Prometheus: what the server tells of itself.
pub const METRICS: &str = "/metrics";

/// Events in (POST) and history out (GET).
pub const EVENTS: &str = "/api/events";

/// Sessions, newest first.
pub const SESSIONS: &str = "/api/sessions";

/// Stops the server; the runfile's control token is required.
pub const SHUTDOWN: &str = "/api/shutdown";

/// Starts the server again, on another port when asked; the runfile's control token is required.
pub const RESTART: &str = "/api/restart";

/// Pauses and resumes the keeping of events; the runfile's control token is required.
pub const CAPTURE: &str = "/api/capture";

/// Our hooks in Claude Code's settings: how they fare (GET), install and uninstall (POST).
pub const HOOKS: &str = "/api/hooks";

/// Where a browser logs in: with a code from [`LOGIN_LINK`], or by its user with the token.
pub const LOGIN: &str = "/login";

/// Makes a link that logs a browser in once.
pub const LOGIN_LINK: &str = "/api/login-link";

/// Our dashboard's Socket.IO namespace.
pub const STREAM: &str = "/stream";

/// The largest body of `POST /api/events`, and the most that the hook reads from standard input. Claude
/// Code's Write and Read payloads reach megabytes.
pub const BODY_BYTES_MAX: usize = 16 * 1024 * 1024;

/// The deepest nesting of a JSON body. Real payloads stay below 20; parsers give up at 128.
pub const JSON_DEPTH_MAX: usize = 100;

/// The longest name of a channel that a viewer subscribes to; no kind has a longer one.
pub const CHANNEL_BYTES_MAX: usize = 200;

/// What the summary of a prompt begins with that Claude Code wrote to itself.
pub const NOTICE: &str = "Notice";

/// The longest summary of a row.
pub const SUMMARY_BYTES_MAX: usize = 300;

/// The most events in one page of history.
pub const PAGE_MAX: usize = 1000;
