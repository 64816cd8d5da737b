//! This user's other servers, as the host makes them reachable: the server itself calls nobody.

use protocol::instance::{Instance, LegacyServer};

/// Knows this user's servers and talks to them. Everything here may block.
pub trait Instances: Send + Sync + 'static {
    /// All that run.
    fn list(&self) -> Vec<Instance>;

    /// claude-mpm's own servers on this machine, on the ports where they are looked for.
    fn legacy(&self) -> Vec<LegacyServer>;

    /// Carries a call out at the server on that port.
    ///
    /// # Errors
    /// When this user has no server there, or it does not do what it was asked.
    fn call(&self, port: u16, call: Call) -> Result<Answer, CallError>;
}

/// What can be asked of another server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    /// `GET` of this route with its query.
    Read(String),
    /// `POST` of this route without a body.
    Tell(String),
    /// To stop.
    Stop,
    /// To start again on its port.
    Restart,
}

/// What it answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status; its refusals are answers, too.
    pub status: u16,
    /// JSON; empty after an order.
    pub body: Vec<u8>,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallError {
    /// This user has no server on the port.
    Unknown,
    /// It did not answer, or refused; one sentence.
    Failed(String),
}

/// Of a server without a host, which is alone.
pub(crate) struct Alone;

impl Instances for Alone {
    fn list(&self) -> Vec<Instance> {
        Vec::new()
    }

    fn legacy(&self) -> Vec<LegacyServer> {
        Vec::new()
    }

    fn call(&self, _: u16, _: Call) -> Result<Answer, CallError> {
        Err(CallError::Unknown)
    }
}
