//! Watches the processes of Claude Code that call hooks. One that is killed says nothing, so its end is told here: as
//! `session.lost`, through the one way in. Only processes of this machine and pid namespace that are provably those that
//! called, and only where the system tells the end of any process, which is Linux.

use std::collections::HashMap;
use std::time::Duration;

use protocol::{Caller, Event, HookEvent, Kind};
use serde_json::json;
use tokio::task::{JoinHandle, JoinSet};

use crate::intake::ingest::Ingest;
use crate::intake::own::MONITOR;
use crate::record::hub::Subscriber;

/// How long a process that has ended may still have its last hook on the way: what it said itself counts more.
const GRACE: Duration = Duration::from_millis(700);

/// Processes watched at once; each takes an open file.
const WATCHED_MAX: usize = 512;

/// Events taken from the hub at once.
const EVENTS_MAX: usize = 512;

/// Watches until this is ended.
pub(crate) struct Watching(JoinHandle<()>);

impl Watching {
    /// Begins with the processes that are heard of in `news`.
    pub(crate) fn start(news: Subscriber, ingest: Ingest) -> Self {
        Self(tokio::spawn(watch(news, ingest)))
    }

    /// Ends it. Processes are heard of again by their next hook.
    pub(crate) fn end(self) {
        self.0.abort();
    }
}

async fn watch(mut news: Subscriber, ingest: Ingest) {
    let Some(namespace) = system::namespace() else { return };
    let mut desk = Desk { namespace, sessions: HashMap::new() };
    let mut ends = JoinSet::new();
    loop {
        tokio::select! {
            delivery = news.next(EVENTS_MAX) => {
                let Some(delivery) = delivery else { return };
                for event in &delivery.events {
                    let has_room = ends.len() < WATCHED_MAX;
                    let Some((session, caller)) = desk.hear(event, has_room) else { continue };
                    let project = event.row.project.clone();
                    ends.spawn(async move {
                        let has_ended = system::end(caller).await;
                        tokio::time::sleep(GRACE).await;
                        (session, project, caller, has_ended)
                    });
                }
            }
            Some(Ok((session, project, caller, has_ended))) = ends.join_next() => {
                if desk.forget(&session, caller) && has_ended {
                    tell(&session, project.as_deref(), caller, &ingest).await;
                }
            }
        }
    }
}

async fn tell(session: &str, project: Option<&str>, caller: Caller, ingest: &Ingest) {
    let event = json!({
        "kind": "session.lost",
        "session_id": session,
        "project": project,
        "summary": "Claude Code has gone without a word",
        "payload": { "session_id": session, "pid": caller.pid },
    });
    if let Err(error) = ingest.take(event.to_string().into(), MONITOR).await {
        tracing::warn!("could not keep that a session is lost: {error:?}");
    }
}

/// Which processes run which sessions.
struct Desk {
    namespace: u64,
    sessions: HashMap<String, HashMap<Caller, Word>>,
}

/// What a process has said last of a session.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Word {
    Running,
    Ended,
}

impl Desk {
    /// Notes who called; gives a process that is to be watched from now on, where there is room for one.
    fn hear(&mut self, event: &Event, has_room: bool) -> Option<(String, Caller)> {
        let caller = event.caller.filter(|caller| event.is_own && caller.namespace == self.namespace)?;
        let session = event.row.session_id.as_ref()?;
        let known = self.sessions.get_mut(session.as_str()).and_then(|callers| callers.get_mut(&caller));
        match (&event.row.kind, known) {
            (Kind::Hook(HookEvent::SessionEnd), Some(word)) => *word = Word::Ended,
            (Kind::Hook(HookEvent::SessionStart), Some(word)) => *word = Word::Running,
            (_, Some(_)) | (Kind::Hook(HookEvent::SessionEnd), None) => {}
            (_, None) if !has_room => {}
            (_, None) => {
                self.sessions.entry(session.0.clone()).or_default().insert(caller, Word::Running);
                return Some((session.0.clone(), caller));
            }
        }
        None
    }

    /// Forgets a process; true when it never said that the session ended, and no other one runs it.
    fn forget(&mut self, session: &str, caller: Caller) -> bool {
        let Some(callers) = self.sessions.get_mut(session) else { return false };
        let word = callers.remove(&caller);
        let goes_on = callers.values().any(|word| *word == Word::Running);
        if callers.is_empty() {
            self.sessions.remove(session);
        }
        word == Some(Word::Running) && !goes_on
    }
}

#[cfg(target_os = "linux")]
mod system {
    use std::os::fd::OwnedFd;
    use std::os::unix::fs::MetadataExt;

    use protocol::Caller;
    use protocol::runfile::start_ticks;
    use rustix::process::{Pid, PidfdFlags, pidfd_open};
    use tokio::net::unix::pipe::Receiver;

    /// The pid namespace of this process.
    pub(super) fn namespace() -> Option<u64> {
        std::fs::metadata("/proc/self/ns/pid").ok().map(|namespace| namespace.ino())
    }

    /// Waits for the end of a process. False when nothing can be said of it.
    pub(super) async fn end(caller: Caller) -> bool {
        let Some(process) = open(caller) else { return !is_there(caller) };
        // All that is asked of a pipe is when it can be read, and a process can be when it has ended.
        let Ok(process) = Receiver::from_owned_fd_unchecked(process) else { return false };
        process.readable().await.is_ok()
    }

    /// The process itself: whoever gets its pid later is another one.
    fn open(caller: Caller) -> Option<OwnedFd> {
        let pid = Pid::from_raw(caller.pid.cast_signed())?;
        let process = pidfd_open(pid, PidfdFlags::NONBLOCK).ok()?;
        is_there(caller).then_some(process)
    }

    fn is_there(caller: Caller) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", caller.pid));
        stat.is_ok_and(|stat| start_ticks(&stat) == Some(caller.started))
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    use protocol::Caller;

    /// Nothing is watched here.
    pub(super) fn namespace() -> Option<u64> {
        None
    }

    /// Never asked for.
    pub(super) async fn end(_: Caller) -> bool {
        false
    }
}
