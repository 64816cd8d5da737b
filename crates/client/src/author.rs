//! The process behind a runfile: whoever is to be signalled must be proven to be it.

use protocol::Runfile;

use crate::{Process, ports, process};

/// The process that wrote a runfile, proven by its start time; or by listening on the runfile's port, for when
/// the clock was changed since. `None` when it is gone, or when its pid belongs to another one now.
pub(crate) fn of_runfile(runfile: &Runfile) -> Option<Process> {
    let process = Process::find(runfile.pid)?;
    let listens = || ports::owners(runfile.port).iter().any(|owner| owner.pid == process.pid);
    (process::is_same(process.started_at, runfile.process_started_at) || listens()).then_some(process)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use protocol::Timestamp;

    use super::*;
    #[cfg(unix)]
    use crate::process::{Identity, is_running, kill, terminate};
    use crate::started_at;

    fn runfile(pid: u32, process_started_at: Timestamp, port: u16) -> Runfile {
        Runfile {
            pid,
            process_started_at,
            process_start_ticks: None,
            version: String::new(),
            host: String::new(),
            port,
            addresses: Vec::new(),
            server_id: String::new(),
            control_token: String::new(),
            project: None,
            mode: String::new(),
            access: Default::default(),
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_process_is_only_signalled_when_it_started_when_it_should_have() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let started = started_at(child.id()).expect("it runs");
        let reused = Timestamp(started.0 - 60_000);
        assert_eq!(of_runfile(&runfile(child.id(), reused, 1)), None, "another process by that pid");
        let own = of_runfile(&runfile(child.id(), started, 1)).expect("the same start time");
        let own = own.identity();
        let earlier = Identity { started_at: reused, ..own };
        assert!(!is_running(earlier) && !terminate(earlier) && !kill(earlier));
        assert!(child.try_wait().unwrap().is_none(), "it was left alone");
        assert!(is_running(own) && terminate(own));
        assert!(!child.wait().unwrap().success(), "ended by the signal");
        assert!(!is_running(own));
    }

    #[test]
    fn a_process_that_serves_the_port_is_the_one_even_if_the_clock_went_back_since() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let before_the_change = Timestamp(started_at(std::process::id()).unwrap().0 + 3_600_000);
        assert!(of_runfile(&runfile(std::process::id(), before_the_change, port)).is_some());
        drop(listener);
        assert!(of_runfile(&runfile(std::process::id(), before_the_change, port)).is_none());
    }
}
