//! This user's servers by their runfiles, and calls to them, for the server that shows them.

use std::time::Duration;

use client::{Monitor, Probe, runfiles};
use protocol::instance::{Instance, LegacyServer};
use protocol::page::WAIT_S_MAX;
use protocol::paths::Home;
use protocol::{Runfile, names};
use server::{Answer, Call, CallError, Instances};

/// How long another server may take: as long as it may wait for news, and some more.
const ANSWER_LIMIT: Duration = Duration::from_secs(WAIT_S_MAX + 10);

/// Finds servers in this home. A runfile whose lock nobody holds is left over from a crash.
pub(crate) struct Neighbours {
    pub home: Home,
}

impl Neighbours {
    fn runfile(&self, port: u16) -> Option<Runfile> {
        runfiles::living(&self.home).ok()?.into_iter().find(|runfile| runfile.port == port)
    }
}

impl Instances for Neighbours {
    fn list(&self) -> Vec<Instance> {
        let instance = |runfile: Runfile| Instance {
            url: client::page(&runfile),
            port: runfile.port,
            pid: runfile.pid,
            server_id: runfile.server_id,
            version: runfile.version,
            project: runfile.project,
            status: "running".to_owned(),
        };
        runfiles::living(&self.home).unwrap_or_default().into_iter().map(instance).collect()
    }

    fn legacy(&self) -> Vec<LegacyServer> {
        let ours: Vec<u16> = self.list().iter().map(|instance| instance.port).collect();
        let ports: Vec<u16> = names::PORT_RANGE.filter(|port| !ours.contains(port)).collect();
        let legacy = |(port, probe)| match probe {
            Probe::Legacy(found) => {
                Some(LegacyServer { port, name: found.name(), pid: found.pid, version: found.version })
            }
            _ => None,
        };
        client::probe_all(&self.home, &ports).into_iter().filter_map(legacy).collect()
    }

    fn call(&self, port: u16, call: Call) -> Result<Answer, CallError> {
        let runfile = self.runfile(port).ok_or(CallError::Unknown)?;
        let monitor = Monitor::of(&self.home, &runfile);
        let answer = |(status, body)| Answer { status, body };
        let done = |()| Answer { status: 200, body: Vec::new() };
        match call {
            Call::Read(route) => monitor.answer(&route, ANSWER_LIMIT).map(answer).map_err(failed),
            Call::Tell(route) => monitor.post(&route).map(answer).map_err(failed),
            Call::Stop => client::stop(&self.home, port, false).map(drop).map(done).map_err(failed),
            Call::Restart => monitor.restart(&runfile.control_token, port).map(done).map_err(failed),
        }
    }
}

fn failed(error: impl std::error::Error) -> CallError {
    CallError::Failed(error.to_string())
}
