//! Which changes of a session its user wants to be told of. Pure: the caller shows them.

use std::collections::HashMap;

use protocol::session::State;
use protocol::{Session, SessionId, Timestamp};

use crate::sessions::{asked, name};

/// One thing to tell. A later notice of the same session takes its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Notice {
    pub(crate) session: String,
    pub(crate) title: String,
    pub(crate) body: String,
    /// Whether the session stands still until somebody acts.
    pub(crate) is_urgent: bool,
}

/// What a change of a session means for its notice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Tell(Notice),
    /// What was told is no longer so.
    Withdraw {
        session: String,
    },
}

/// What was last known of each session.
#[derive(Debug, Default)]
pub(crate) struct Notices {
    known: HashMap<SessionId, Known>,
}

#[derive(Debug)]
struct Known {
    state: State,
    /// When the state began.
    since: Timestamp,
    /// When the turn began; none between turns.
    turn_since: Option<Timestamp>,
}

impl Notices {
    /// Takes the state of a session. One that was not known is only noted: its news is old. `long_turn_s` is
    /// how long a turn must have taken for its end to be told.
    pub(crate) fn change(&mut self, session: &Session, long_turn_s: u64) -> Option<Change> {
        let (state, since) = (&session.status.state, session.status.since);
        let before = self.known.remove(&session.session_id);
        if matches!(state, State::Closed { .. } | State::Lost) {
            return before.filter(|before| is_told(&before.state)).map(|_| withdraw(session));
        }
        let turn_since = before.as_ref().and_then(|before| before.turn_since);
        let now = Known {
            state: state.clone(),
            since,
            turn_since: is_in_turn(state).then(|| turn_since.unwrap_or(since)),
        };
        self.known.insert(session.session_id.clone(), now);
        let before = before?;
        if before.state == *state && before.since == since {
            return None;
        }
        let took_s = turn_since.map(|started| since.0.saturating_sub(started.0) / 1000);
        let is_long = took_s.is_some_and(|took| took.unsigned_abs() >= long_turn_s);
        match tell(session, is_long, took_s.unwrap_or(0)) {
            Some(notice) => Some(Change::Tell(notice)),
            None => is_told(&before.state).then(|| withdraw(session)),
        }
    }
}

/// What to tell of the state that a session has just come into.
fn tell(session: &Session, is_long_turn: bool, took_s: i64) -> Option<Notice> {
    let name = name(session);
    let (title, body, is_urgent) = match &session.status.state {
        State::NeedsYou { ask, .. } => (format!("{name} needs you"), asked(ask), true),
        State::Failed { error, message } => {
            (format!("{name} failed"), message.clone().unwrap_or_else(|| error.clone()), false)
        }
        State::RateLimited { message } => {
            (format!("{name} is rate limited"), message.clone().unwrap_or_default(), false)
        }
        State::Done { .. } if is_long_turn => {
            let title = format!("{name} is done after {}", duration(took_s));
            (title, session.last_summary.clone(), false)
        }
        _ => return None,
    };
    Some(Notice { session: session.session_id.as_str().to_owned(), title, body, is_urgent })
}

/// Whether a notice of that state is untrue once the state is left.
fn is_told(state: &State) -> bool {
    matches!(state, State::NeedsYou { .. })
}

fn is_in_turn(state: &State) -> bool {
    matches!(state, State::Working { .. } | State::NeedsYou { .. } | State::Compacting)
}

fn withdraw(session: &Session) -> Change {
    Change::Withdraw { session: session.session_id.as_str().to_owned() }
}

fn duration(seconds: i64) -> String {
    if seconds < 60 { format!("{seconds} s") } else { format!("{} min", seconds / 60) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sessions::tests::{asks, session};
    use serde_json::{Value, json};

    /// The changes told when a session goes through these states, each from its time in seconds on.
    fn told(states: &[(i64, Value)]) -> Vec<Option<String>> {
        let mut notices = Notices::default();
        let steps = states.iter().map(|(at, state)| {
            let session = session("a", "/home/dev/shop", at * 1000, state.clone());
            notices.change(&session, 60).map(|change| match change {
                Change::Tell(notice) => format!("{}: {}", notice.title, notice.body),
                Change::Withdraw { session } => format!("withdraw {session}"),
            })
        });
        steps.collect()
    }

    #[test]
    fn what_needs_somebody_is_told_once_and_withdrawn_when_it_is_answered() {
        let working = || json!({"state": "working"});
        let needs = || asks("Bash", "git push");
        let steps = [(0, working()), (5, needs()), (5, needs()), (9, working()), (12, asks("Edit", "a.rs"))];
        let expected = [
            None,
            Some("shop needs you: Bash: git push"),
            None,
            Some("withdraw a"),
            Some("shop needs you: Edit: a.rs"),
        ];
        assert_eq!(told(&steps), expected.map(|text| text.map(str::to_owned)));
        let closed = [(0, needs()), (1, json!({"state": "closed"}))];
        assert_eq!(told(&closed)[1].as_deref(), Some("withdraw a"));
    }

    #[test]
    fn what_was_so_before_the_app_looked_is_no_news() {
        assert_eq!(told(&[(0, asks("Bash", "ls"))]), [None]);
        assert_eq!(told(&[(0, json!({"state": "failed", "error": "x"}))]), [None]);
    }

    #[test]
    fn a_failure_is_told_and_an_end_only_after_a_long_turn() {
        let working = || json!({"state": "working"});
        let done = || json!({"state": "done", "unread": true});
        let failed = json!({"state": "failed", "error": "overloaded", "message": "API overloaded"});
        assert_eq!(told(&[(0, working()), (5, failed)])[1].as_deref(), Some("shop failed: API overloaded"));
        assert_eq!(told(&[(0, working()), (59, done())])[1], None, "a short turn");
        let long = told(&[(0, working()), (30, json!({"state": "compacting"})), (150, done())]);
        assert_eq!(long[2].as_deref(), Some("shop is done after 2 min: "), "its parts count together");
        let limited = json!({"state": "rate_limited", "message": "until 5pm"});
        assert_eq!(
            told(&[(0, working()), (1, limited)])[1].as_deref(),
            Some("shop is rate limited: until 5pm")
        );
    }
}
