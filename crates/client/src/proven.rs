//! Connections that are made first and proven then: a server that lives after one was made had its port when it was, so
//! whoever took the port between a look at its runfile and the connection is told nothing.

use std::io;

use ureq::Agent;
use ureq::config::Config;
use ureq::unversioned::resolver::DefaultResolver;
use ureq::unversioned::transport::{ConnectionDetails, Connector, TcpConnector, Transport};

use crate::runfiles::Proof;

/// An agent that connects to the server that is meant, and to nobody else.
pub(crate) fn agent(config: Config, proof: Proof) -> Agent {
    let connector = ().chain(TcpConnector::default()).chain(Proven(proof));
    Agent::with_parts(config, connector, DefaultResolver::default())
}

/// Lets a connection through while the server is there.
#[derive(Debug)]
struct Proven(Proof);

impl<T: Transport> Connector<T> for Proven {
    type Out = T;

    fn connect(&self, _: &ConnectionDetails<'_>, made: Option<T>) -> Result<Option<T>, ureq::Error> {
        if self.0.holds() {
            return Ok(made);
        }
        let reason = "it has ended, and another program may have its port";
        Err(ureq::Error::Io(io::Error::new(io::ErrorKind::ConnectionAborted, reason)))
    }
}
