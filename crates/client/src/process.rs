//! Processes by pid and start time: a pid alone proves nothing, because pids are used again.

use protocol::{Runfile, Timestamp};
use sysinfo::{Pid, Process, ProcessRefreshKind, ProcessStatus, ProcessesToUpdate, Signal, System};

/// How far two readings of one process's start time may lie apart: the system derives it from its boot time,
/// which moves when the clock is corrected.
const START_DRIFT_MS: i64 = 2000;

/// One process: a pid alone may have been given to another one since.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Identity {
    /// Its pid.
    pub(crate) pid: u32,
    /// When it started.
    pub(crate) started_at: Timestamp,
}

impl Identity {
    /// The process that wrote a runfile.
    pub(crate) fn of(runfile: &Runfile) -> Self {
        Self { pid: runfile.pid, started_at: runfile.process_started_at }
    }
}

/// When a process started; `None` when none runs under that pid.
pub fn started_at(pid: u32) -> Option<Timestamp> {
    with_running(pid, |_, started| started)
}

/// The names under which other machines may know this one.
pub fn machine_names() -> Vec<String> {
    let name = System::host_name().ok().filter(|name| !name.is_empty());
    name.map(|name| vec![format!("{name}.local"), name]).unwrap_or_default()
}

/// Whether the process still runs.
pub(crate) fn is_running(identity: Identity) -> bool {
    with_proven(identity, |_| ()).is_some()
}

/// Asks the process to end; false when it is gone, or its pid belongs to another now.
pub(crate) fn terminate(identity: Identity) -> bool {
    with_proven(identity, |process| process.kill_with(Signal::Term).unwrap_or_else(|| process.kill()))
        .unwrap_or(false)
}

/// Ends the process; false when it is gone, or its pid belongs to another now.
pub(crate) fn kill(identity: Identity) -> bool {
    with_proven(identity, Process::kill).unwrap_or(false)
}

/// The one gate to a foreign pid: `act` sees the process only if it started when it should have.
fn with_proven<T>(identity: Identity, act: impl FnOnce(&Process) -> T) -> Option<T> {
    let proven = |started: Timestamp| {
        started.0.saturating_sub(identity.started_at.0).saturating_abs() <= START_DRIFT_MS
    };
    with_running(identity.pid, |process, started| proven(started).then(|| act(process))).flatten()
}

/// Looks at a process and when it started; `None` when none runs under that pid.
fn with_running<T>(pid: u32, act: impl FnOnce(&Process, Timestamp) -> T) -> Option<T> {
    let pid = Pid::from_u32(pid);
    let mut system = System::new().ok()?;
    let pids = [pid];
    system.refresh_processes_specifics(ProcessesToUpdate::Some(&pids), true, ProcessRefreshKind::nothing());
    // A process that has ended stays visible until its parent has asked for its exit code.
    let process = system.process(pid).filter(|process| process.status() != ProcessStatus::Zombie)?;
    let started_ms = i64::try_from(process.start_time()).ok()?.saturating_mul(1000);
    Some(act(process, Timestamp(started_ms)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn a_process_is_only_signalled_when_it_started_when_it_should_have() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let started = started_at(child.id()).expect("it runs");
        let own = Identity { pid: child.id(), started_at: started };
        let reused = Identity { started_at: Timestamp(started.0 - 60_000), ..own };
        assert!(!is_running(reused) && !terminate(reused) && !kill(reused), "another process by that pid");
        assert!(child.try_wait().unwrap().is_none(), "it was left alone");
        assert!(is_running(own) && terminate(own));
        assert!(!child.wait().unwrap().success(), "ended by the signal");
        assert!(!is_running(own));
    }
}
