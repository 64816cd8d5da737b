//! What viewers see of a session's state: the line of a list, and everything.

use protocol::SessionDetail;
use protocol::session::Session;

use super::SessionState;

impl SessionState {
    /// As lists show it.
    pub(crate) fn session(&self) -> Session {
        Session {
            session_id: self.session_id.clone(),
            project: self.project.clone(),
            title: self.title.clone(),
            model: self.model.clone(),
            started_at: self.started_at,
            last_event_at: self.last_event_at,
            last_seq: self.last_seq,
            events: self.events,
            errors: self.errors,
            tool_calls: self.tool_calls,
            last_summary: self.last_summary.clone(),
            ended_at: self.life.closed_at(),
            status: self.status(),
            current: self.calls.current(),
            agents: self.agents.count(),
            todos: self.todos.progress(),
            permission_mode: self.permission_mode.clone(),
            tokens: (self.tokens.responses > 0).then_some(self.tokens),
            branch: self.branch.clone(),
        }
    }

    /// As a whole.
    pub(crate) fn detail(&self) -> SessionDetail {
        SessionDetail {
            session: self.session(),
            agent_tree: self.agents.to_vec(),
            open_calls: self.calls.open(),
            recent_calls: self.calls.recent(),
            todo_list: self.todos.to_vec(),
            plan: self.plan.clone(),
            files: self.files.to_vec(),
            recent_errors: self.failures.to_vec(),
            background: self.background.clone(),
            recent_turns: self.turns.to_vec(),
        }
    }
}
