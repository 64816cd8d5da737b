//! Processes by pid and start time: a pid alone proves nothing, because pids are used again.

use protocol::{Runfile, Timestamp};
use sysinfo::{Pid, ProcessRefreshKind, ProcessStatus, ProcessesToUpdate, Signal, System};

/// How far two readings of one process's start time may lie apart: the system derives it from its boot time,
/// which moves when the clock is corrected.
const START_DRIFT_MS: i64 = 2000;

/// When a process started; `None` when there is none of that pid.
pub fn started_at(pid: u32) -> Option<Timestamp> {
    let system = look(pid)?;
    let process = system.process(Pid::from_u32(pid))?;
    Some(Timestamp(i64::try_from(process.start_time()).ok()?.saturating_mul(1000)))
}

/// Whether the process that wrote the runfile still runs.
pub(crate) fn is_alive(runfile: &Runfile) -> bool {
    with_proven(runfile, |process| process.status() != ProcessStatus::Zombie).unwrap_or(false)
}

/// Asks the process that wrote the runfile to end; false when it is gone, or its pid belongs to another now.
pub(crate) fn terminate(runfile: &Runfile) -> bool {
    with_proven(runfile, |process| process.kill_with(Signal::Term).unwrap_or_else(|| process.kill()))
        .unwrap_or(false)
}

/// Ends the process that wrote the runfile; false when it is gone, or its pid belongs to another now.
pub(crate) fn kill(runfile: &Runfile) -> bool {
    with_proven(runfile, sysinfo::Process::kill).unwrap_or(false)
}

/// The one gate to a foreign pid: `act` sees the process only if it has the pid and the start time of the
/// runfile.
fn with_proven<T>(runfile: &Runfile, act: impl FnOnce(&sysinfo::Process) -> T) -> Option<T> {
    let system = look(runfile.pid)?;
    let process = system.process(Pid::from_u32(runfile.pid))?;
    let started_ms = i64::try_from(process.start_time()).ok()?.saturating_mul(1000);
    let drift = started_ms.saturating_sub(runfile.process_started_at.0).saturating_abs();
    (drift <= START_DRIFT_MS).then(|| act(process))
}

/// The system with that one process read; `None` where processes cannot be read.
fn look(pid: u32) -> Option<System> {
    let mut system = System::new().ok()?;
    let pids = [Pid::from_u32(pid)];
    system.refresh_processes_specifics(ProcessesToUpdate::Some(&pids), true, ProcessRefreshKind::nothing());
    Some(system)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runfile(pid: u32, process_started_at: Timestamp) -> Runfile {
        Runfile {
            pid,
            process_started_at,
            version: String::new(),
            host: String::new(),
            port: 9000,
            server_id: String::new(),
            control_token: String::new(),
            project: None,
            mode: String::new(),
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_process_is_only_signalled_when_its_start_time_is_that_of_the_runfile() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let started = started_at(child.id()).expect("it runs");
        let reused = runfile(child.id(), Timestamp(started.0 - 60_000));
        assert!(!is_alive(&reused) && !terminate(&reused) && !kill(&reused), "another process by that pid");
        assert!(child.try_wait().unwrap().is_none(), "it was left alone");
        let own = runfile(child.id(), started);
        assert!(is_alive(&own) && terminate(&own));
        assert!(!child.wait().unwrap().success(), "ended by the signal");
        assert!(!is_alive(&own));
    }
}
