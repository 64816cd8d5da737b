//! The same hook delivered by several senders: remembers what came in the last two seconds and links the
//! poorer delivery to the richer one.

use std::collections::{HashMap, VecDeque};

use protocol::ingest::{Deliverer, DuplicateKey};
use protocol::kind::HookEvent;
use protocol::{AgentId, Row, Seq, SessionId, Timestamp, ToolUseId};

/// How far apart two deliveries of the same hook can arrive.
pub(super) const WINDOW_MS: i64 = 2000;

/// Deliveries remembered for one session and event; more within the window come only from a flood.
const REMEMBERED_MAX: usize = 64;

/// Sessions and events remembered before old ones are swept out.
const KEYS_MAX: usize = 4096;

/// How a new event is linked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Link {
    /// It stands alone.
    None,
    /// It is the poorer delivery of that one.
    To(Seq),
    /// It is the richer delivery of these.
    From(Vec<Seq>),
}

/// The deliveries of the last two seconds.
#[derive(Default)]
pub(super) struct Duplicates {
    recent: HashMap<(SessionId, HookEvent), VecDeque<Delivery>>,
}

struct Delivery {
    seq: Seq,
    at: Timestamp,
    deliverer: Deliverer,
    is_report: bool,
    tool_use_id: Option<ToolUseId>,
    tool: Option<String>,
    prompt: Option<String>,
    agent: Option<AgentId>,
    /// The richer delivery it is linked to.
    richer: Option<Seq>,
}

impl Duplicates {
    /// Remembers an event and says how it is linked to earlier ones.
    pub(super) fn link(&mut self, row: &Row, key: &DuplicateKey) -> Link {
        let Some(session) = row.session_id.clone() else { return Link::None };
        self.sweep(row.received_at);
        let recent = self.recent.entry((session, key.event)).or_default();
        while recent.front().is_some_and(|old| row.received_at.0 - old.at.0 > WINDOW_MS)
            || recent.len() >= REMEMBERED_MAX
        {
            recent.pop_front();
        }
        let mut new = Delivery {
            seq: row.seq,
            at: row.received_at,
            deliverer: key.deliverer,
            is_report: key.is_report,
            tool_use_id: row.tool_use_id.clone(),
            tool: row.tool_name.clone(),
            prompt: key.prompt.clone(),
            agent: row.agent_id.clone(),
            richer: None,
        };
        let link = new.link_to(recent);
        recent.push_back(new);
        link
    }

    /// After a group that could not be committed: positions remembered from it mean nothing.
    pub(super) fn forget(&mut self) {
        self.recent.clear();
    }

    fn sweep(&mut self, now: Timestamp) {
        if self.recent.len() >= KEYS_MAX {
            self.recent
                .retain(|_, deliveries| deliveries.back().is_some_and(|last| now.0 - last.at.0 <= WINDOW_MS));
        }
    }
}

impl Delivery {
    fn link_to(&mut self, recent: &mut VecDeque<Self>) -> Link {
        // A fact that already has a delivery from this sender is another fact: two equal calls in a row.
        let taken: Vec<Seq> =
            recent.iter().filter(|d| d.rank() == self.rank()).filter_map(|d| d.richer).collect();
        let richer = recent.iter().find(|other| {
            other.rank() > self.rank()
                && other.richer.is_none()
                && !taken.contains(&other.seq)
                && other.is_same_fact(self)
        });
        if let Some(richer) = richer {
            self.richer = Some(richer.seq);
            return Link::To(richer.seq);
        }
        let mut poorer: Vec<Seq> = Vec::new();
        let mut ranks: Vec<(bool, Deliverer)> = Vec::new();
        for other in recent.iter_mut() {
            let is_first_of_rank = !ranks.contains(&other.rank());
            if other.rank() < self.rank()
                && other.richer.is_none()
                && is_first_of_rank
                && other.is_same_fact(self)
            {
                other.richer = Some(self.seq);
                ranks.push(other.rank());
                poorer.push(other.seq);
            }
        }
        if poorer.is_empty() { Link::None } else { Link::From(poorer) }
    }

    /// Reports are poorer than any delivery; among deliveries the fuller sender is richer.
    fn rank(&self) -> (bool, Deliverer) {
        (!self.is_report, self.deliverer)
    }

    fn is_same_fact(&self, other: &Self) -> bool {
        if !agree(self.agent.as_ref(), other.agent.as_ref()) {
            return false;
        }
        if self.is_report || other.is_report {
            return self.tool == other.tool;
        }
        match (&self.tool_use_id, &other.tool_use_id) {
            (Some(a), Some(b)) => a == b,
            _ => self.tool == other.tool && self.prompt == other.prompt,
        }
    }
}

/// Equal where both are known.
fn agree<T: PartialEq>(a: Option<&T>, b: Option<&T>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => a == b,
        _ => true,
    }
}
