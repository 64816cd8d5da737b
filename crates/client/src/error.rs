//! Why a monitor could not be talked to.

/// What was asked of whom, and what came of it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nobody answered in time.
    #[error("no answer from {url}: {reason}")]
    Unreachable {
        /// What was asked.
        url: String,
        /// The transport's reason.
        reason: String,
    },
    /// It answered, but not with success.
    #[error("{url} refused with {status}: {message}")]
    Refused {
        /// What was asked.
        url: String,
        /// HTTP status.
        status: u16,
        /// The answer's own words.
        message: String,
    },
    /// It answered with something that is not the promised shape.
    #[error("{url} answered with something else than expected: {reason}")]
    Malformed {
        /// What was asked.
        url: String,
        /// What was wrong with the answer.
        reason: String,
    },
}
