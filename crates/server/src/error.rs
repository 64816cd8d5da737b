//! Why a server could not start or run.

use std::io;
use std::path::PathBuf;

/// What went wrong, where, and what caused it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address could not be bound; `source` says whether it is in use or forbidden.
    #[error("could not listen on {address}: {source}")]
    Listen {
        /// Host and port.
        address: String,
        /// The port alone.
        port: u16,
        /// The operating system's reason.
        source: io::Error,
    },
    /// The event store could not be opened.
    #[error("could not open the event store {}: {reason}", path.display())]
    Store {
        /// The database file.
        path: PathBuf,
        /// Why, and the way out where there is one.
        reason: String,
    },
    /// Certificate or key cannot be used.
    #[error("could not serve HTTPS: {0}")]
    Tls(String),
    /// Serving failed after a good start.
    #[error("the server stopped: {0}")]
    Serve(io::Error),
}
