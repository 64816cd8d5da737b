//! What each session is doing: a pure fold over its events. No clock and no IO; the store feeds it, keeps the
//! result, and can compute it anew from the events at any time.
//!
//! Events may come late, twice, in another order, or not at all. Each part therefore takes every event as a
//! statement about one moment: what is older than what is known changes the record, never the present.

mod agents;
mod calls;
mod files;
mod recent;
mod status;
mod todos;
mod turns;
mod view;

use protocol::detail::{BackgroundTask, Failure, Outcome, Plan};
use protocol::ingest::facts::{Background, Facts, Told, Usage};
use protocol::session::Tokens;
use protocol::{AgentId, HookEvent, Kind, Row, Seq, SessionId, Source, Timestamp};
use serde::{Deserialize, Serialize};

use agents::Agents;
use calls::{Calls, Ended};
use files::Files;
use recent::Recent;
use status::Life;
use todos::Todos;
use turns::Turns;

/// Changes whenever the fold or its state does: states of other versions are computed anew from the events.
pub(crate) const VERSION: u32 = 4;

/// Errors remembered of one session.
const FAILURES_MAX: usize = 30;

/// Everything that is known of one session.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct SessionState {
    session_id: SessionId,
    project: Option<String>,
    branch: Option<String>,
    title: Option<String>,
    model: Option<String>,
    permission_mode: Option<String>,
    started_at: Timestamp,
    last_event_at: Timestamp,
    last_seq: Seq,
    events: u64,
    errors: u64,
    tool_calls: u64,
    last_summary: String,
    /// The `agent_id` of the main thread itself, in sessions that were started as an agent.
    main_agent: Option<AgentId>,
    life: Life,
    calls: Calls,
    agents: Agents,
    todos: Todos,
    plan: Option<Plan>,
    files: Files,
    failures: Recent<Failure, FAILURES_MAX>,
    background: Vec<BackgroundTask>,
    schedules: u64,
    turns: Turns,
    tokens: Tokens,
    /// Up to where somebody has seen it. No event tells it, so it is kept beside the fold.
    #[serde(skip)]
    read: Seq,
}

/// One event on its way into the state.
struct Step<'a> {
    row: &'a Row,
    facts: &'a Facts,
    /// When it happened, but never in the future: a wrong clock must not outrun all that follows.
    at: Timestamp,
    /// The subagent it is about; none for the main thread.
    lane: Option<&'a AgentId>,
}

impl SessionState {
    /// A session of which nothing was told yet.
    pub(crate) fn new(session_id: SessionId) -> Self {
        Self {
            session_id,
            project: None,
            branch: None,
            title: None,
            model: None,
            permission_mode: None,
            started_at: Timestamp(0),
            last_event_at: Timestamp(0),
            last_seq: Seq(0),
            events: 0,
            errors: 0,
            tool_calls: 0,
            last_summary: String::new(),
            main_agent: None,
            life: Life::new(Timestamp(0)),
            calls: Calls::default(),
            agents: Agents::default(),
            todos: Todos::default(),
            plan: None,
            files: Files::default(),
            failures: Recent::default(),
            background: Vec::new(),
            schedules: 0,
            turns: Turns::default(),
            tokens: Tokens::default(),
            read: Seq(0),
        }
    }

    /// Folds one event in.
    pub(crate) fn apply(&mut self, row: &Row, facts: &Facts) {
        if is_of_main_thread(&facts.told) && row.agent_id.is_some() {
            self.main_agent.clone_from(&row.agent_id);
        }
        let lane = row.agent_id.clone().filter(|id| self.main_agent.as_ref() != Some(id));
        let step = Step { row, facts, at: row.occurred_at.min(row.received_at), lane: lane.as_ref() };
        self.note(&step);
        match &facts.told {
            Told::Nothing => {}
            Told::Start { source } => self.start(&step, source.as_deref()),
            Told::End { reason } => self.end(&step, reason.as_ref()),
            Told::Prompt { text } => self.prompt(&step, text),
            Told::Notice => self.notice(&step),
            Told::Call { input, usage } => self.call(&step, *input, usage),
            Told::Permission { input, usage, summary } => {
                self.heard(&step);
                self.calls.permission(&step, *input, usage, summary);
            }
            Told::Result { usage } => self.result(&step, usage),
            Told::Failure { is_interrupt } => self.failure(&step, *is_interrupt),
            Told::Denied => self.ended(&step, Outcome::Denied, &Usage::Other),
            Told::Batch { calls } => self.calls.batch(&step, calls),
            Told::Notification { about, message } => self.notification(&step, about.as_deref(), message),
            Told::AgentStart { description } => self.agents.start(&step, description.as_ref()),
            Told::AgentStop { transcript, message, background } => {
                self.agent_stop(&step, transcript.as_ref(), message.as_ref(), background.as_ref());
            }
            Told::Task(task) => self.todos.task(task),
            Told::Stop { background } => self.stop(&step, background.as_ref()),
            Told::StopFailure { error, message } => {
                if self.life.fail(&step, error, message.clone()) {
                    self.settle(&step, Outcome::Failed);
                }
            }
            Told::Elicitation { server, message } => self.calls.elicitation(&step, server.as_ref(), message),
            Told::ElicitationResult { server } => self.calls.answered(&step, server.as_ref()),
            Told::Compacting => self.life.compacting(step.at),
            Told::Compacted => self.life.compacted(),
            Told::Todos(todos) => self.todos.replace(&step, todos),
            Told::Interrupted => self.interrupted(&step),
            Told::Response { tokens } => self.tokens.add(tokens),
            Told::Lost => {
                if self.life.lose(step.at) {
                    self.leave(&step);
                }
            }
        }
    }

    /// Somebody has seen the session as it is now.
    pub(crate) fn mark_read(&mut self) {
        self.read = self.last_seq;
    }

    /// Up to where it was seen.
    pub(crate) fn read(&self) -> Seq {
        self.read
    }

    /// The same state, seen up to this position.
    #[must_use]
    pub(crate) fn read_up_to(mut self, read: Seq) -> Self {
        self.read = read;
        self
    }

    /// The position of its newest event.
    pub(crate) fn last_seq(&self) -> Seq {
        self.last_seq
    }

    /// Whether nothing more is expected of it.
    pub(crate) fn is_over(&self) -> bool {
        self.life.is_over()
    }

    /// What every event tells.
    fn note(&mut self, step: &Step<'_>) {
        let Step { row, facts, .. } = step;
        if self.events == 0 {
            self.started_at = step.at;
            self.last_event_at = step.at;
            self.life = Life::new(step.at);
        }
        self.events += 1;
        self.errors += u64::from(row.is_error);
        self.started_at = self.started_at.min(step.at);
        self.last_event_at = self.last_event_at.max(step.at);
        self.last_seq = row.seq;
        // What a response used is no answer to what the session is about, and settings change for every session.
        let is_aside =
            matches!(facts.told, Told::Response { .. }) || row.kind == Kind::Hook(HookEvent::ConfigChange);
        if !is_aside || self.last_summary.is_empty() {
            self.last_summary.clone_from(&row.summary);
        }
        // Lines of a transcript tell where its commands are.
        if row.source != Source::Transcript || self.project.is_none() {
            replace(&mut self.project, &row.project);
        }
        replace(&mut self.title, &facts.title);
        replace(&mut self.model, &facts.model);
        replace(&mut self.branch, &facts.branch);
        replace(&mut self.permission_mode, &facts.permission_mode);
        if row.is_error {
            self.failures.push(Failure {
                seq: row.seq,
                at: step.at,
                tool: row.tool_name.clone(),
                agent_id: step.lane.cloned(),
                text: row.summary.clone(),
            });
        }
    }

    /// A subagent that does something exists, whoever forgot to tell of its start.
    fn heard(&mut self, step: &Step<'_>) {
        if let Some(id) = step.lane {
            self.agents.heard(id, step);
        }
    }

    fn start(&mut self, step: &Step<'_>, source: Option<&str>) {
        if source == Some("compact") {
            self.life.compacted();
        } else if self.life.start(step.at) {
            self.leave(step);
        }
    }

    fn end(&mut self, step: &Step<'_>, reason: Option<&String>) {
        if self.life.close(step.at, reason.cloned()) {
            self.leave(step);
        }
    }

    /// Nothing that went on before goes on.
    fn leave(&mut self, step: &Step<'_>) {
        self.calls.end_all(step.at, Outcome::Unknown);
        self.agents.end_all(step.at);
        self.turns.end(step.at, Outcome::Unknown);
        self.background.clear();
        self.schedules = 0;
    }

    fn prompt(&mut self, step: &Step<'_>, text: &str) {
        // Typed while Claude works: it waits in the queue, and its hook names the turn that goes on.
        if self.life.is_working_before(step.at) && self.turns.is_of(step.row.prompt_id.as_ref()) {
            return;
        }
        if !self.life.begin(step.at) {
            return self.turns.name(step.at, text);
        }
        // Esc fires no hook: a prompt tells that the user stopped what still ran.
        let stopped = self.calls.end_lane(None, step.at, Outcome::Interrupted);
        self.turns.end(step.at, if stopped { Outcome::Interrupted } else { Outcome::Unknown });
        self.turns.begin(step, Some(text));
    }

    /// Claude Code wakes itself: nobody has asked anything, so work that goes on is not interrupted.
    fn notice(&mut self, step: &Step<'_>) {
        if !self.life.is_working_before(step.at) && self.life.begin(step.at) {
            self.turns.work(step);
        }
    }

    fn call(&mut self, step: &Step<'_>, input: u64, usage: &Usage) {
        self.heard(step);
        let is_present = step.lane.is_some() || self.life.work(step.at);
        if step.lane.is_none() && is_present {
            self.turns.work(step);
        }
        if self.calls.begin(step, input, usage, is_present) {
            self.count_call(step);
        }
        self.used_early(step, usage);
    }

    fn result(&mut self, step: &Step<'_>, usage: &Usage) {
        if step.lane.is_none() {
            self.life.was_working(step.at);
        }
        let outcome = if step.row.is_error { Outcome::Failed } else { Outcome::Ok };
        self.ended(step, outcome, usage);
    }

    fn failure(&mut self, step: &Step<'_>, is_interrupt: bool) {
        if !is_interrupt {
            return self.ended(step, Outcome::Failed, &Usage::Other);
        }
        self.ended(step, Outcome::Interrupted, &Usage::Other);
        if step.lane.is_none() {
            self.interrupted(step);
        }
    }

    fn ended(&mut self, step: &Step<'_>, outcome: Outcome, usage: &Usage) {
        match self.calls.end(step, outcome) {
            Ended::Before => return,
            Ended::Now { usage: begun, is_new } => {
                if is_new {
                    self.count_call(step);
                }
                let usage = if *usage == Usage::Other { &begun } else { usage };
                if outcome == Outcome::Ok {
                    self.used(step, usage);
                }
            }
        }
        // Only now may a subagent be new: the call that ended may have been its very first sign.
        if let Some(id) = step.lane {
            self.agents.placeholder(id, step);
        }
    }

    fn count_call(&mut self, step: &Step<'_>) {
        self.tool_calls += 1;
        self.turns.count_call();
        if let Some(id) = step.lane {
            self.agents.count_call(id);
        }
    }

    /// What a call tells before it has ended.
    fn used_early(&mut self, step: &Step<'_>, usage: &Usage) {
        match usage {
            Usage::Todos(todos) => self.todos.replace(step, todos),
            Usage::Plan { text, path } => self.plan_proposed(step, text, path.as_ref()),
            _ => {}
        }
    }

    /// What a call tells that succeeded.
    fn used(&mut self, step: &Step<'_>, usage: &Usage) {
        match usage {
            Usage::Other | Usage::Question { .. } => {}
            Usage::File { path, how } => self.files.touch(step, path, *how),
            Usage::Todos(todos) => self.todos.replace(step, todos),
            Usage::Task(task) => self.todos.task(task),
            Usage::Agent { agent_type, description, started, is_background } => {
                if let Some(id) = started {
                    let launch = agents::Launch { agent_type, description, is_background: *is_background };
                    self.agents.launched(id, step, &launch);
                }
            }
            Usage::Plan { text, path } => {
                self.plan_proposed(step, text, path.as_ref());
                if let Some(plan) = self.plan.as_mut().filter(|plan| plan.at <= step.at) {
                    plan.is_approved = true;
                }
            }
        }
    }

    fn plan_proposed(&mut self, step: &Step<'_>, text: &str, path: Option<&String>) {
        let is_newer = |plan: &Plan| plan.at <= step.at && (plan.text != text || plan.is_approved);
        if !text.is_empty() && self.plan.as_ref().is_none_or(is_newer) {
            self.plan = Some(Plan {
                text: text.to_owned(),
                path: path.cloned(),
                seq: step.row.seq,
                at: step.at,
                is_approved: false,
            });
        }
    }

    fn notification(&mut self, step: &Step<'_>, about: Option<&str>, message: &str) {
        match about {
            // Late and without the tool: it tells only what nothing told before.
            Some("permission_prompt" | "worker_permission_prompt" | "agent_needs_input")
                if !self.calls.is_asking() && !self.life.is_over() =>
            {
                self.calls.notified(step, message);
            }
            Some("elicitation_dialog" | "elicitation_url_dialog") if !self.calls.is_asking() => {
                self.calls.elicitation(step, None, message);
            }
            Some("elicitation_complete" | "elicitation_response") => self.calls.answered(step, None),
            Some("idle_prompt") => self.idle(step),
            _ => {}
        }
    }

    /// Claude waits for a prompt: if its turn seemed to go on, its end was lost.
    fn idle(&mut self, step: &Step<'_>) {
        let seems_busy = self.life.is_working_before(step.at) && !self.calls.is_asking();
        if seems_busy && self.life.finish(step) {
            self.settle(step, Outcome::Unknown);
        }
    }

    fn agent_stop(
        &mut self,
        step: &Step<'_>,
        transcript: Option<&AgentId>,
        message: Option<&String>,
        background: Option<&Background>,
    ) {
        let stopped = self.agents.stop(step, transcript, message);
        if let Some(id) = &stopped {
            self.calls.end_lane(Some(id), step.at, Outcome::Unknown);
        }
        if let Some(background) = background {
            let others = background.agents.iter().filter(|(id, _)| Some(id) != stopped.as_ref());
            self.agents.listed(others, step);
            self.background.clone_from(&background.tasks);
            self.schedules = background.schedules;
        }
    }

    fn stop(&mut self, step: &Step<'_>, background: Option<&Background>) {
        if !self.life.finish(step) {
            return self.turns.end(step.at, Outcome::Ok);
        }
        if let Some(background) = background {
            self.agents.listed(background.agents.iter(), step);
            self.background.clone_from(&background.tasks);
            self.schedules = background.schedules;
        }
        for id in self.agents.end_unlisted(step.at, background) {
            self.calls.end_lane(Some(&id), step.at, Outcome::Unknown);
        }
        self.settle(step, Outcome::Ok);
    }

    /// The main thread's turn is over.
    fn settle(&mut self, step: &Step<'_>, outcome: Outcome) {
        self.calls.end_lane(None, step.at, Outcome::Unknown);
        self.turns.end(step.at, outcome);
    }

    fn interrupted(&mut self, step: &Step<'_>) {
        if self.life.interrupt(step.at) {
            self.calls.end_lane(None, step.at, Outcome::Interrupted);
            self.turns.end(step.at, Outcome::Interrupted);
        }
    }
}

/// Claude Code fires these on the main thread only, so an agent they name is the main thread itself.
fn is_of_main_thread(told: &Told) -> bool {
    matches!(
        told,
        Told::Start { .. }
            | Told::End { .. }
            | Told::Prompt { .. }
            | Told::Stop { .. }
            | Told::StopFailure { .. }
    )
}

/// The newer value counts where there is one.
fn replace(known: &mut Option<String>, told: &Option<String>) {
    if told.is_some() && known != told {
        known.clone_from(told);
    }
}

#[cfg(test)]
mod tests;
