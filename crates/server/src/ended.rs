//! How the run of a server ends.

/// Why a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The caller's shutdown completed.
    Caller,
    /// An authorised `POST /api/shutdown` came.
    Asked,
    /// An authorised `POST /api/shutdown` came, for another process to serve on this port instead.
    Replaced {
        /// Where the other one will serve.
        port: u16,
    },
    /// An authorised `POST /api/restart` came: start again, on this port.
    Restart {
        /// The port to serve next.
        port: u16,
    },
}
