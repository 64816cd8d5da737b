//! The sessions as the tray counts and names them.

use std::collections::BTreeMap;
use std::path::Path;

use protocol::session::{Ask, State};
use protocol::{Session, SessionId, Timestamp};

/// The longest name in the menu, in characters: it is narrow.
const LABEL_CHARS_MAX: usize = 60;

/// The sessions of the server that is shown.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Sessions(BTreeMap<SessionId, Session>);

/// A session that needs an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Waiting {
    pub(crate) session: String,
    /// Its project and what it asks, in one short line.
    pub(crate) label: String,
    pub(crate) since: Timestamp,
}

impl Sessions {
    /// Takes a snapshot in place of everything known.
    pub(crate) fn replace(&mut self, all: Vec<Session>) {
        self.0.clear();
        self.change(all);
    }

    /// Takes what changed; sessions that ended are forgotten.
    pub(crate) fn change(&mut self, changed: Vec<Session>) {
        for session in changed {
            if matches!(session.status.state, State::Closed { .. } | State::Lost) {
                self.0.remove(&session.session_id);
            } else {
                self.0.insert(session.session_id.clone(), session);
            }
        }
    }

    /// How many work without anybody's help.
    pub(crate) fn working(&self) -> usize {
        let works =
            |session: &&Session| matches!(session.status.state, State::Working { .. } | State::Compacting);
        self.0.values().filter(works).count()
    }

    /// Those that need an answer, the longest waiting first.
    pub(crate) fn waiting(&self) -> Vec<Waiting> {
        let waiting = |session: &Session| match &session.status.state {
            State::NeedsYou { ask, .. } => Some(Waiting {
                session: session.session_id.as_str().to_owned(),
                label: shortened(&format!("{} — {}", name(session), asked(ask))),
                since: session.status.since,
            }),
            _ => None,
        };
        let mut all: Vec<_> = self.0.values().filter_map(waiting).collect();
        all.sort_by_key(|waiting| waiting.since);
        all
    }
}

/// How a person calls a session: by its project's folder, else by its title, else by its id.
pub(crate) fn name(session: &Session) -> String {
    let folder = session.project.as_deref().and_then(|project| Path::new(project).file_name());
    let folder = folder.map(|name| name.to_string_lossy().into_owned());
    let id = || session.session_id.as_str().chars().take(8).collect();
    folder.or_else(|| session.title.clone()).unwrap_or_else(id)
}

/// What is asked, in one line.
pub(crate) fn asked(ask: &Ask) -> String {
    match ask {
        Ask::Permission { tool: Some(tool), summary } => {
            // A summary may begin with its tool.
            let what = summary.strip_prefix(tool.as_str()).unwrap_or(summary).trim_start();
            if what.is_empty() { tool.clone() } else { format!("{tool}: {what}") }
        }
        Ask::Permission { tool: None, summary } if !summary.is_empty() => summary.clone(),
        Ask::Permission { tool: None, .. } => "permission".to_owned(),
        Ask::Question { text } => text.clone(),
        Ask::Plan => "plan to approve".to_owned(),
        Ask::Elicitation { message, .. } => message.clone(),
    }
}

/// A text in one line that fits into a menu.
pub(crate) fn shortened(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= LABEL_CHARS_MAX {
        return line;
    }
    let kept: String = line.chars().take(LABEL_CHARS_MAX - 1).collect();
    format!("{}…", kept.trim_end())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use serde_json::{Value, json};

    /// A session in a state that began at `since`.
    pub(crate) fn session(id: &str, project: &str, since: i64, state: Value) -> Session {
        let mut status = state;
        status["since"] = json!(since);
        let value = json!({
            "session_id": id, "project": project, "started_at": 1, "last_event_at": since, "last_seq": 1,
            "events": 1, "errors": 0, "tool_calls": 0, "last_summary": "", "status": status, "current": [],
            "agents": {"total": 0, "running": 0},
        });
        serde_json::from_value(value).unwrap()
    }

    /// A state in which somebody must allow a tool.
    pub(crate) fn asks(tool: &str, summary: &str) -> Value {
        let ask = json!({"what": "permission", "tool": tool, "summary": summary});
        json!({"state": "needs_you", "ask": ask, "open": 1})
    }

    #[test]
    fn sessions_are_counted_by_what_they_do_and_forgotten_when_they_end() {
        let mut sessions = Sessions::default();
        sessions.replace(vec![
            session("a", "/home/dev/shop", 5, json!({"state": "working"})),
            session("b", "/home/dev/tax", 6, json!({"state": "compacting"})),
            session("c", "/home/dev/tax", 9, asks("Bash", "Bash  git push origin main")),
            session(
                "d",
                "/home/dev/blog",
                7,
                json!({"state": "needs_you", "ask": {"what": "plan"}, "open": 1}),
            ),
            session("e", "/x", 8, json!({"state": "done", "unread": true})),
        ]);
        assert_eq!(sessions.working(), 2);
        let labels: Vec<_> = sessions.waiting().into_iter().map(|waiting| waiting.label).collect();
        assert_eq!(labels, ["blog — plan to approve", "tax — Bash: git push origin main"]);
        sessions.change(vec![
            session("a", "/home/dev/shop", 10, json!({"state": "closed"})),
            session("d", "/home/dev/blog", 11, json!({"state": "working"})),
        ]);
        assert_eq!((sessions.working(), sessions.waiting().len()), (2, 1));
        sessions.replace(Vec::new());
        assert_eq!((sessions.working(), sessions.waiting().len()), (0, 0));
    }

    #[test]
    fn a_label_is_one_short_line() {
        let mut sessions = Sessions::default();
        let command = format!("printf 'a\nb' {}", "x".repeat(200));
        sessions.replace(vec![session("a", "/home/dev/shop", 1, asks("Bash", &command))]);
        let label = &sessions.waiting()[0].label;
        assert!(label.starts_with("shop — Bash: printf 'a b' xxx") && label.ends_with('…'), "{label}");
        assert_eq!(label.chars().count(), LABEL_CHARS_MAX);
    }
}
