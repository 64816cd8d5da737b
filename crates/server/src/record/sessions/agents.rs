//! The subagents of a session. Hooks name no parent: the edge comes from the result of the call that started
//! an agent. Agents that nothing told of before they did something get a place all the same.

use protocol::detail::{Agent, AgentStatus, Parent};
use protocol::ingest::facts::Background;
use protocol::session::AgentCount;
use protocol::{AgentId, Timestamp};
use serde::{Deserialize, Serialize};

use super::Step;

/// Agents remembered; those that ended first are forgotten first.
const AGENTS_MAX: usize = 100;

/// The subagents, in the order in which they were first heard of.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Agents(Vec<Agent>);

/// What the result of a starting call tells.
pub(super) struct Launch<'a> {
    pub agent_type: &'a Option<String>,
    pub description: &'a Option<String>,
    pub is_background: bool,
}

impl Agents {
    /// `SubagentStart`.
    pub(super) fn start(&mut self, step: &Step<'_>, description: Option<&String>) {
        let Some(id) = step.lane else { return };
        let agent = self.heard(id, step);
        agent.started_at = agent.started_at.min(step.at);
        describe(agent, None, description);
    }

    /// An agent does something: it runs, also when it had ended before.
    pub(super) fn heard(&mut self, id: &AgentId, step: &Step<'_>) -> &mut Agent {
        let agent = self.placeholder(id, step);
        if agent.status.ended_at().is_some_and(|ended| ended < step.at) {
            agent.status = AgentStatus::Running;
        }
        agent
    }

    /// An agent did something: it exists.
    pub(super) fn placeholder(&mut self, id: &AgentId, step: &Step<'_>) -> &mut Agent {
        let agent = self.get_or_new(id, step.at);
        if step.lane == Some(id) {
            describe(agent, step.row.agent_type.as_ref(), None);
        }
        agent
    }

    /// The result of the call that started an agent.
    pub(super) fn launched(&mut self, id: &AgentId, step: &Step<'_>, launch: &Launch<'_>) {
        let parent = match step.lane {
            None => Parent::Main,
            Some(parent) if self.descends(parent, id) => Parent::Unknown,
            Some(parent) => Parent::Agent { agent_id: parent.clone() },
        };
        let agent = self.get_or_new(id, step.at);
        if agent.parent == Parent::Unknown {
            agent.parent = parent;
        }
        describe(agent, launch.agent_type.as_ref(), launch.description.as_ref());
        agent.is_background |= launch.is_background;
        if !launch.is_background && agent.status.ended_at().is_none() {
            agent.status = AgentStatus::Ended { at: step.at };
        }
    }

    /// `SubagentStop`. It has been seen with ids of no agent: then the transcript tells which one stopped, or
    /// none did.
    pub(super) fn stop(
        &mut self,
        step: &Step<'_>,
        transcript: Option<&AgentId>,
        message: Option<&String>,
    ) -> Option<AgentId> {
        let is_known = |id: &&AgentId| self.0.iter().any(|agent| agent.agent_id == **id);
        let named = step.lane.filter(is_known).or_else(|| transcript.filter(is_known));
        // A stop that knows its type is of an agent whose start was lost.
        let has_type = step.row.agent_type.as_ref().is_some_and(|agent_type| !agent_type.is_empty());
        let id = named.or_else(|| step.lane.filter(|_| has_type))?.clone();
        let agent = self.placeholder(&id, step);
        let is_certain = matches!(agent.status, AgentStatus::Ended { at } if at >= step.at);
        if !is_certain {
            agent.status = AgentStatus::Ended { at: step.at };
        }
        if message.is_some() {
            agent.last_message = message.cloned();
        }
        Some(id)
    }

    /// Claude Code lists these as running in the background.
    pub(super) fn listed<'a>(
        &mut self,
        agents: impl Iterator<Item = &'a (AgentId, Option<String>)>,
        step: &Step<'_>,
    ) {
        for (id, agent_type) in agents {
            let agent = self.get_or_new(id, step.at);
            describe(agent, agent_type.as_ref(), None);
            agent.is_background = true;
        }
    }

    /// At the end of a turn only background agents and what they started go on. Ends the others and returns
    /// them: each stopped somehow, but nothing told.
    pub(super) fn end_unlisted(&mut self, at: Timestamp, background: Option<&Background>) -> Vec<AgentId> {
        let goes_on = |agent: &Agent| match background {
            Some(listed) => listed.agents.iter().any(|(id, _)| *id == agent.agent_id),
            None => agent.is_background,
        };
        let kept: Vec<AgentId> =
            self.0.iter().filter(|a| goes_on(a)).map(|agent| agent.agent_id.clone()).collect();
        let ended = self.0.iter().filter(|agent| {
            agent.status.is_running()
                && agent.started_at <= at
                && !kept.iter().any(|kept| self.descends(&agent.agent_id, kept))
        });
        let ended: Vec<AgentId> = ended.map(|agent| agent.agent_id.clone()).collect();
        for agent in self.0.iter_mut().filter(|agent| ended.contains(&agent.agent_id)) {
            agent.status = AgentStatus::EndUnknown { at };
        }
        ended
    }

    /// None can run any more.
    pub(super) fn end_all(&mut self, at: Timestamp) {
        for agent in self.0.iter_mut().filter(|agent| agent.status.is_running()) {
            agent.status = AgentStatus::EndUnknown { at };
        }
    }

    pub(super) fn count_call(&mut self, id: &AgentId) {
        if let Some(agent) = self.0.iter_mut().find(|agent| agent.agent_id == *id) {
            agent.tool_calls += 1;
        }
    }

    pub(super) fn count(&self) -> AgentCount {
        let running = self.0.iter().filter(|agent| agent.status.is_running()).count();
        AgentCount { total: self.0.len() as u64, running: running as u64 }
    }

    pub(super) fn to_vec(&self) -> Vec<Agent> {
        self.0.clone()
    }

    /// Whether `id` is `ancestor` or was started below it.
    fn descends(&self, id: &AgentId, ancestor: &AgentId) -> bool {
        let mut at = id;
        // More steps than agents would be a circle.
        for _ in 0..=self.0.len() {
            if at == ancestor {
                return true;
            }
            match self.0.iter().find(|agent| agent.agent_id == *at).map(|agent| &agent.parent) {
                Some(Parent::Agent { agent_id }) => at = agent_id,
                _ => return false,
            }
        }
        false
    }

    fn get_or_new(&mut self, id: &AgentId, at: Timestamp) -> &mut Agent {
        let place = self.0.iter().position(|agent| agent.agent_id == *id).unwrap_or_else(|| {
            if self.0.len() >= AGENTS_MAX {
                let oldest = self.0.iter().position(|agent| !agent.status.is_running()).unwrap_or(0);
                self.0.remove(oldest);
            }
            self.0.push(new(id, at));
            self.0.len() - 1
        });
        &mut self.0[place]
    }
}

fn new(id: &AgentId, at: Timestamp) -> Agent {
    Agent {
        agent_id: id.clone(),
        agent_type: None,
        description: None,
        parent: Parent::Unknown,
        is_background: false,
        status: AgentStatus::Running,
        started_at: at,
        tool_calls: 0,
        last_message: None,
    }
}

/// The first description stays: later ones were seen to be wrong.
fn describe(agent: &mut Agent, agent_type: Option<&String>, description: Option<&String>) {
    if agent.agent_type.is_none() {
        agent.agent_type = agent_type.cloned();
    }
    if agent.description.is_none() {
        agent.description = description.cloned();
    }
}
