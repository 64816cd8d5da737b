//! Tool calls, paired by `tool_use_id`; by claude-mpm's correlation or by order where there is none. A call
//! that is asked about holds the question, so a question ends with its call.

use protocol::detail::{CallEnd, Outcome, ToolCall};
use protocol::ingest::facts::Usage;
use protocol::session::{Ask, CurrentCall};
use protocol::{AgentId, Timestamp, ToolUseId};
use serde::{Deserialize, Serialize};

use super::Step;
use super::recent::Recent;
use super::status::Waiting;

/// Calls that may be open at once; real sessions have a few per agent.
const OPEN_MAX: usize = 100;

/// Ended calls remembered: enough to recognise what comes late or twice, and to show the newest.
const RECENT_MAX: usize = 60;

/// Open calls shown in lists.
const CURRENT_MAX: usize = 5;

/// The tool calls of a session.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Calls {
    open: Vec<Open>,
    recent: Recent<ToolCall, RECENT_MAX>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Open {
    call: ToolCall,
    input: u64,
    correlation: Option<String>,
    /// Kept where the end of the call may not tell it again.
    usage: Usage,
    /// What it waits for.
    ask: Option<(Timestamp, Ask)>,
    /// A question told of it before its start did.
    is_implied: bool,
}

/// What an end did.
pub(super) enum Ended {
    /// Nothing: it had ended before.
    Before,
    /// It ended the call.
    Now {
        /// What the call was used for, as far as its start told.
        usage: Usage,
        /// Whether nothing had told of the call before.
        is_new: bool,
    },
}

impl Calls {
    /// A call starts; false when it is known already. The start of a call in a turn that is over is a late
    /// one, and the call has ended somehow.
    pub(super) fn begin(&mut self, step: &Step<'_>, input: u64, usage: &Usage, is_present: bool) -> bool {
        if self.amend_start(step) {
            return false;
        }
        let asked_before = |open: &Open| {
            open.is_implied
                && open.is_in(step.lane)
                && open.has_tool_of(step)
                && open.input == input
                && open.ask.as_ref().is_some_and(|(since, _)| step.at <= *since)
        };
        let asked = self.open.iter().position(asked_before).map(|place| self.open.remove(place));
        self.forget_asks(step.lane, step.at);
        if let Some(mut open) = asked {
            open.adopt(step);
            self.push(open);
            return true;
        }
        let mut open = Open::new(step, step.row.summary.clone(), input);
        open.usage = usage.clone();
        open.ask = asked_by(usage).map(|ask| (step.at, ask));
        if is_present {
            self.push(open);
        } else {
            self.recent.push(open.ended(step.at, Outcome::Unknown, None));
        }
        true
    }

    /// The start of a call that is known already, because it came twice or after its end.
    fn amend_start(&mut self, step: &Step<'_>) -> bool {
        let Some(id) = &step.row.tool_use_id else { return false };
        if let Some(open) = self.open.iter_mut().find(|open| open.call.tool_use_id.as_ref() == Some(id)) {
            open.call.started_at = open.call.started_at.min(step.at);
            return true;
        }
        let Some(call) = self.ended_mut(id) else { return false };
        if step.at < call.started_at || call.end.is_some_and(|end| end.wait_ms.is_none()) {
            call.started_at = call.started_at.min(step.at);
            if let Some(end) = &mut call.end {
                end.wait_ms = wait(call.started_at, end.at, end.execution_ms);
            }
        }
        true
    }

    /// The user is asked whether a call may run. The request names no id: it is the newest call of that agent
    /// with that tool and that input.
    pub(super) fn permission(&mut self, step: &Step<'_>, input: u64, usage: &Usage, summary: &str) {
        if self.was_asked_in_time(step) {
            return;
        }
        let of_tool = |open: &Open| open.is_in(step.lane) && open.has_tool_of(step);
        let place = self
            .open
            .iter()
            .rposition(|open| of_tool(open) && open.input == input)
            .or_else(|| self.open.iter().rposition(|open| of_tool(open) && open.ask.is_none()));
        let open = match place {
            Some(place) => &mut self.open[place],
            None => self.imply(step, summary.to_owned(), input),
        };
        open.call.asked_at.get_or_insert(step.at);
        let permission = || Ask::Permission { tool: step.row.tool_name.clone(), summary: summary.to_owned() };
        open.ask.get_or_insert_with(|| (step.at, asked_by(usage).unwrap_or_else(permission)));
    }

    /// A request that comes after the end of its call.
    fn was_asked_in_time(&mut self, step: &Step<'_>) -> bool {
        let during = |call: &&mut ToolCall| {
            call.agent_id.as_ref() == step.lane
                && call.tool == step.row.tool_name
                && call.asked_at.is_none()
                && call.started_at <= step.at
                && call.end.is_some_and(|end| step.at < end.at)
        };
        let Some(call) = self.recent.iter_mut().rev().find(during) else { return false };
        call.asked_at = Some(step.at);
        true
    }

    /// A notification tells that the user is asked something, but not what: the only open call if there is but
    /// one.
    pub(super) fn notified(&mut self, step: &Step<'_>, message: &str) {
        let open = match &mut self.open[..] {
            [only] => only,
            _ => self.imply(step, message.to_owned(), 0),
        };
        let ask = Ask::Permission { tool: open.call.tool.clone(), summary: open.call.summary.clone() };
        open.call.asked_at.get_or_insert(step.at);
        open.ask = Some((step.at, ask));
    }

    /// An MCP server asks the user, in the course of a call of one of its tools if any is open.
    pub(super) fn elicitation(&mut self, step: &Step<'_>, server: Option<&String>, message: &str) {
        let tools = server.map(|server| format!("mcp__{server}__"));
        let is_of_server = |open: &Open| {
            let tool = open.call.tool.as_deref().unwrap_or_default();
            open.is_in(step.lane) && tools.as_deref().is_some_and(|tools| tool.starts_with(tools))
        };
        let place = self.open.iter().rposition(is_of_server);
        let open = match place {
            Some(place) => &mut self.open[place],
            None => self.imply(step, message.to_owned(), 0),
        };
        open.ask = Some((step.at, Ask::Elicitation { server: server.cloned(), message: message.to_owned() }));
    }

    /// The user answered an MCP server.
    pub(super) fn answered(&mut self, step: &Step<'_>, server: Option<&String>) {
        let is_answered = |open: &Open| match &open.ask {
            Some((since, Ask::Elicitation { server: asking, .. })) => {
                *since <= step.at && (server.is_none() || asking.is_none() || asking.as_ref() == server)
            }
            _ => false,
        };
        self.open.retain(|open| !(open.is_implied && is_answered(open)));
        if let Some(open) = self.open.iter_mut().find(|open| is_answered(open)) {
            open.ask = None;
        }
    }

    /// A call ends.
    pub(super) fn end(&mut self, step: &Step<'_>, outcome: Outcome) -> Ended {
        let execution = step.row.duration_ms;
        if let Some(place) = self.place_of(step) {
            let mut open = self.open.remove(place);
            let is_new = open.is_implied;
            open.adopt(step);
            let usage = std::mem::take(&mut open.usage);
            self.recent.push(open.ended(step.at, outcome, execution));
            return Ended::Now { usage, is_new };
        }
        if let Some(known) = step.row.tool_use_id.as_ref().and_then(|id| self.ended_mut(id)) {
            return amend_end(known, step, outcome);
        }
        let mut open = Open::new(step, step.row.summary.clone(), 0);
        let ran = i64::try_from(execution.unwrap_or(0)).unwrap_or(i64::MAX);
        open.call.started_at = Timestamp(step.at.0.saturating_sub(ran));
        let mut call = open.ended(step.at, outcome, execution);
        // Its start is not known, so neither is what it waited.
        if let Some(end) = &mut call.end {
            end.wait_ms = None;
        }
        self.recent.push(call);
        Ended::Now { usage: Usage::Other, is_new: true }
    }

    /// The open call that an event ends.
    fn place_of(&self, step: &Step<'_>) -> Option<usize> {
        let of_tool = |open: &Open| open.is_in(step.lane) && open.has_tool_of(step);
        if let Some(id) = &step.row.tool_use_id {
            let by_id = self.open.iter().position(|open| open.call.tool_use_id.as_ref() == Some(id));
            // Its start may have come from a sender that tells no ids.
            let nameless = || self.open.iter().position(|o| of_tool(o) && o.call.tool_use_id.is_none());
            let is_known = self.recent.iter().any(|call| call.tool_use_id.as_ref() == Some(id));
            return by_id.or_else(|| if is_known { None } else { nameless() });
        }
        let correlation = step.facts.correlation.as_ref();
        let correlated = |open: &Open| correlation.is_some() && open.correlation.as_ref() == correlation;
        self.open
            .iter()
            .position(|open| correlated(open) && open.has_tool_of(step))
            .or_else(|| self.open.iter().position(|open| of_tool(open) && open.call.tool_use_id.is_none()))
            .or_else(|| self.open.iter().position(of_tool))
    }

    /// The end of a batch tells that its calls ended, but not how.
    pub(super) fn batch(&mut self, step: &Step<'_>, calls: &[ToolUseId]) {
        let is_in = |open: &Open| open.call.tool_use_id.as_ref().is_some_and(|id| calls.contains(id));
        self.end_where(step.at, Outcome::Unknown, is_in);
    }

    /// Everything of one agent ends that began before; true when something did.
    pub(super) fn end_lane(&mut self, lane: Option<&AgentId>, at: Timestamp, outcome: Outcome) -> bool {
        self.end_where(at, outcome, |open| open.is_in(lane) && open.call.started_at <= at)
    }

    /// Everything ends.
    pub(super) fn end_all(&mut self, at: Timestamp, outcome: Outcome) {
        self.end_where(at, outcome, |_| true);
    }

    fn end_where(&mut self, at: Timestamp, outcome: Outcome, ends: impl Fn(&Open) -> bool) -> bool {
        let before = self.open.len();
        for open in self.open.extract_if(.., |open| ends(open)) {
            if open.call.tool.is_some() {
                self.recent.push(open.ended(at, outcome, None));
            }
        }
        self.open.len() < before
    }

    /// An agent that goes on has its answers.
    fn forget_asks(&mut self, lane: Option<&AgentId>, at: Timestamp) {
        let is_answered =
            |open: &Open| open.is_in(lane) && open.ask.as_ref().is_some_and(|(since, _)| *since <= at);
        self.open.retain(|open| !(open.is_implied && is_answered(open)));
        for open in self.open.iter_mut().filter(|open| is_answered(open)) {
            open.ask = None;
        }
    }

    pub(super) fn is_asking(&self) -> bool {
        self.open.iter().any(|open| open.ask.is_some())
    }

    /// The question that waits longest, and how many wait.
    pub(super) fn oldest_ask(&self) -> Option<(Waiting<'_>, u64)> {
        let waiting = self.open.iter().filter_map(|open| {
            let (since, ask) = open.ask.as_ref()?;
            Some(Waiting { ask, since: *since, lane: open.call.agent_id.as_ref() })
        });
        let count = waiting.clone().count() as u64;
        Some((waiting.min_by_key(|waiting| waiting.since)?, count))
    }

    pub(super) fn newest_tool(&self) -> Option<String> {
        self.open.last()?.call.tool.clone()
    }

    /// The newest open calls, newest first.
    pub(super) fn current(&self) -> Vec<CurrentCall> {
        let newest = self.open.iter().rev().take(CURRENT_MAX).map(|Open { call, .. }| CurrentCall {
            tool: call.tool.clone(),
            summary: call.summary.clone(),
            agent_id: call.agent_id.clone(),
            since: call.started_at,
        });
        newest.collect()
    }

    /// Open calls, oldest first.
    pub(super) fn open(&self) -> Vec<ToolCall> {
        self.open.iter().map(|open| open.call.clone()).collect()
    }

    /// Ended calls, oldest first.
    pub(super) fn recent(&self) -> Vec<ToolCall> {
        self.recent.to_vec()
    }

    fn ended_mut(&mut self, id: &ToolUseId) -> Option<&mut ToolCall> {
        self.recent.iter_mut().rev().find(|call| call.tool_use_id.as_ref() == Some(id))
    }

    fn imply(&mut self, step: &Step<'_>, summary: String, input: u64) -> &mut Open {
        let mut open = Open::new(step, summary, input);
        open.is_implied = true;
        self.push(open);
        self.open.last_mut().expect("it was pushed just now")
    }

    fn push(&mut self, open: Open) {
        if self.open.len() >= OPEN_MAX {
            let oldest = self.open.remove(0);
            let at = oldest.call.started_at;
            self.recent.push(oldest.ended(at, Outcome::Unknown, None));
        }
        self.open.push(open);
    }
}

/// The end of a call that had ended: it tells more when nothing had told how.
fn amend_end(known: &mut ToolCall, step: &Step<'_>, outcome: Outcome) -> Ended {
    let is_certain = |outcome| !matches!(outcome, Outcome::Unknown | Outcome::Interrupted);
    if known.end.is_some_and(|end| is_certain(end.outcome)) || !is_certain(outcome) {
        return Ended::Before;
    }
    let execution_ms = step.row.duration_ms;
    let wait_ms = wait(known.started_at, step.at, execution_ms);
    known.end = Some(CallEnd { at: step.at, outcome, execution_ms, wait_ms });
    Ended::Now { usage: Usage::Other, is_new: false }
}

/// Tools that are questions themselves.
fn asked_by(usage: &Usage) -> Option<Ask> {
    match usage {
        Usage::Question { text } => Some(Ask::Question { text: text.clone() }),
        Usage::Plan { .. } => Some(Ask::Plan),
        _ => None,
    }
}

/// What a call waited for before it ran.
fn wait(started: Timestamp, ended: Timestamp, execution_ms: Option<u64>) -> Option<u64> {
    let wall = u64::try_from(ended.0.saturating_sub(started.0)).unwrap_or(0);
    execution_ms.map(|execution| wall.saturating_sub(execution))
}

impl Open {
    fn new(step: &Step<'_>, summary: String, input: u64) -> Self {
        let call = ToolCall {
            tool_use_id: step.row.tool_use_id.clone(),
            tool: step.row.tool_name.clone(),
            summary,
            agent_id: step.lane.cloned(),
            seq: step.row.seq,
            started_at: step.at,
            asked_at: None,
            end: None,
        };
        let correlation = step.facts.correlation.clone();
        Self { call, input, correlation, usage: Usage::Other, ask: None, is_implied: false }
    }

    fn is_in(&self, lane: Option<&AgentId>) -> bool {
        self.call.agent_id.as_ref() == lane
    }

    fn has_tool_of(&self, step: &Step<'_>) -> bool {
        self.call.tool == step.row.tool_name
    }

    /// Becomes the call that this event is about.
    fn adopt(&mut self, step: &Step<'_>) {
        if self.call.tool_use_id.is_none() {
            self.call.tool_use_id.clone_from(&step.row.tool_use_id);
        }
        self.call.started_at = self.call.started_at.min(step.at);
        self.is_implied = false;
    }

    fn ended(self, at: Timestamp, outcome: Outcome, execution_ms: Option<u64>) -> ToolCall {
        let wait_ms = wait(self.call.started_at, at, execution_ms);
        ToolCall { end: Some(CallEnd { at, outcome, execution_ms, wait_ms }), ..self.call }
    }
}
