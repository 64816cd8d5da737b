//! The turns of a session: from a prompt to the end of the work on it.

use protocol::Timestamp;
use protocol::detail::{Outcome, Turn, TurnEnd};
use serde::{Deserialize, Serialize};

use super::Step;
use super::recent::Recent;

/// Turns remembered.
const TURNS_MAX: usize = 30;

/// The newest turns, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Turns {
    known: Recent<Turn, TURNS_MAX>,
    /// Claude Code's id of the prompt that the newest began with.
    prompt_id: Option<String>,
}

impl Turns {
    pub(super) fn begin(&mut self, step: &Step<'_>, prompt: Option<&str>) {
        self.prompt_id.clone_from(&step.row.prompt_id);
        self.known.push(Turn {
            seq: step.row.seq,
            prompt: prompt.map(str::to_owned),
            started_at: step.at,
            tool_calls: 0,
            end: None,
        });
    }

    /// Whether the newest turn began with this prompt.
    pub(super) fn is_of(&self, prompt_id: Option<&String>) -> bool {
        prompt_id.is_some() && self.prompt_id.as_ref() == prompt_id
    }

    /// Work goes on in a turn, which began without a prompt if none runs.
    pub(super) fn work(&mut self, step: &Step<'_>) {
        if self.known.newest_mut().is_none_or(|turn| turn.end.is_some()) {
            self.begin(step, None);
        }
    }

    /// The prompt of a turn whose work was told first.
    pub(super) fn name(&mut self, at: Timestamp, prompt: &str) {
        if let Some(turn) =
            self.known.newest_mut().filter(|turn| turn.prompt.is_none() && turn.started_at >= at)
        {
            turn.prompt = Some(prompt.to_owned());
            turn.started_at = at;
        }
    }

    /// The turn that ran at this time ended; a later word of it counts when the first was that nobody knows.
    pub(super) fn end(&mut self, at: Timestamp, outcome: Outcome) {
        let running = self.known.iter_mut().rev().find(|turn| turn.started_at <= at);
        let is_open = |turn: &&mut Turn| match turn.end {
            None => true,
            Some(end) => end.outcome == Outcome::Unknown && outcome != Outcome::Unknown && end.at >= at,
        };
        if let Some(turn) = running.filter(is_open) {
            turn.end = Some(TurnEnd { at, outcome });
        }
    }

    pub(super) fn count_call(&mut self) {
        if let Some(turn) = self.known.newest_mut() {
            turn.tool_calls += 1;
        }
    }

    pub(super) fn to_vec(&self) -> Vec<Turn> {
        self.known.to_vec()
    }
}
