//! Where a session stands: open with a turn in some state, or over. Every method answers whether it changed
//! the present; an event older than the present does not.

use protocol::session::{Ask, State, Status};
use protocol::{AgentId, Seq, Timestamp};
use serde::{Deserialize, Serialize};

use super::{SessionState, Step};

/// The life of a session.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Life {
    phase: Phase,
    since: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Phase {
    Open { turn: Turn, compacting: Option<Timestamp> },
    Closed { reason: Option<String> },
    Lost,
}

/// The main thread of an open session.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Turn {
    Idle,
    Working,
    /// With the position of the event that ended it.
    Done(Seq),
    Failed {
        error: String,
        message: Option<String>,
    },
    RateLimited {
        message: Option<String>,
    },
    Interrupted,
}

impl Life {
    pub(super) fn new(at: Timestamp) -> Self {
        Self { phase: open(Turn::Idle), since: at }
    }

    pub(super) fn is_over(&self) -> bool {
        !matches!(self.phase, Phase::Open { .. })
    }

    /// When it closed, if it did.
    pub(super) fn closed_at(&self) -> Option<Timestamp> {
        matches!(self.phase, Phase::Closed { .. }).then_some(self.since)
    }

    /// A session starts, or starts again.
    pub(super) fn start(&mut self, at: Timestamp) -> bool {
        self.enter(open(Turn::Idle), at)
    }

    /// A turn begins.
    pub(super) fn begin(&mut self, at: Timestamp) -> bool {
        self.enter(open(Turn::Working), at)
    }

    /// Work goes on, or begins without a prompt; whatever was thought before, the session is alive.
    pub(super) fn work(&mut self, at: Timestamp) -> bool {
        if let Phase::Open { turn: Turn::Working, compacting } = &mut self.phase {
            compacting.take_if(|since| *since <= at);
            return true;
        }
        self.enter(open(Turn::Working), at)
    }

    /// Work had gone on: tells something only of a session of which nothing else is known.
    pub(super) fn was_working(&mut self, at: Timestamp) {
        if matches!(&self.phase, Phase::Open { turn: Turn::Idle, .. }) {
            self.enter(open(Turn::Working), at);
        }
    }

    pub(super) fn is_working_before(&self, at: Timestamp) -> bool {
        matches!(&self.phase, Phase::Open { turn: Turn::Working, .. }) && self.since <= at
    }

    /// A turn ends.
    pub(super) fn finish(&mut self, step: &Step<'_>) -> bool {
        !self.is_over() && self.enter(open(Turn::Done(step.row.seq)), step.at)
    }

    /// A turn ends with an error of the API.
    pub(super) fn fail(&mut self, step: &Step<'_>, error: &str, message: Option<String>) -> bool {
        let turn = match error {
            "rate_limit" => Turn::RateLimited { message },
            _ => Turn::Failed { error: error.to_owned(), message },
        };
        !self.is_over() && self.enter(open(turn), step.at)
    }

    pub(super) fn interrupt(&mut self, at: Timestamp) -> bool {
        !self.is_over() && self.enter(open(Turn::Interrupted), at)
    }

    pub(super) fn close(&mut self, at: Timestamp, reason: Option<String>) -> bool {
        // Its own last word may come after the process was missed.
        if self.phase == Phase::Lost {
            *self = Self { phase: Phase::Closed { reason }, since: at };
            return true;
        }
        self.enter(Phase::Closed { reason }, at)
    }

    pub(super) fn lose(&mut self, at: Timestamp) -> bool {
        !self.is_over() && self.enter(Phase::Lost, at)
    }

    pub(super) fn compacting(&mut self, at: Timestamp) {
        if let Phase::Open { compacting, .. } = &mut self.phase
            && at >= self.since
        {
            *compacting = Some(at);
        }
    }

    pub(super) fn compacted(&mut self) {
        if let Phase::Open { compacting, .. } = &mut self.phase {
            *compacting = None;
        }
    }

    fn enter(&mut self, phase: Phase, at: Timestamp) -> bool {
        let is_present = at >= self.since;
        if is_present {
            *self = Self { phase, since: at };
        }
        is_present
    }
}

fn open(turn: Turn) -> Phase {
    Phase::Open { turn, compacting: None }
}

/// A question that waits for its answer.
pub(super) struct Waiting<'a> {
    pub ask: &'a Ask,
    pub since: Timestamp,
    pub lane: Option<&'a AgentId>,
}

impl SessionState {
    /// What the session is doing: what needs somebody comes before what goes on.
    pub(super) fn status(&self) -> Status {
        let at = |since, state| Status { since, state };
        let since = self.life.since;
        match &self.life.phase {
            Phase::Closed { reason } => at(since, State::Closed { reason: reason.clone() }),
            Phase::Lost => at(since, State::Lost),
            Phase::Open { turn, compacting } => {
                if let Some((oldest, open)) = self.calls.oldest_ask() {
                    let Waiting { ask, since, lane } = oldest;
                    return at(since, State::NeedsYou { ask: ask.clone(), agent_id: lane.cloned(), open });
                }
                match compacting {
                    Some(since) => at(*since, State::Compacting),
                    None => at(since, self.turn(turn)),
                }
            }
        }
    }

    fn turn(&self, turn: &Turn) -> State {
        match turn {
            Turn::Working => State::Working { tool: self.calls.newest_tool() },
            Turn::Idle => self.behind().unwrap_or(State::Idle),
            Turn::Done(seq) => self.behind().unwrap_or(State::Done { unread: *seq > self.read }),
            Turn::Failed { error, message } => {
                State::Failed { error: error.clone(), message: message.clone() }
            }
            Turn::RateLimited { message } => State::RateLimited { message: message.clone() },
            Turn::Interrupted => State::Interrupted,
        }
    }

    /// What goes on behind a turn that is over.
    fn behind(&self) -> Option<State> {
        let tasks = self.agents.count().running + self.background.len() as u64;
        match (tasks, self.schedules) {
            (0, 0) => None,
            (0, schedules) => Some(State::Scheduled { schedules }),
            (tasks, _) => Some(State::Background { tasks }),
        }
    }
}
