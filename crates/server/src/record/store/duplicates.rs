//! The same hook delivered by several senders: remembers what came in the last two seconds and links the
//! poorer delivery to the richer one.

use std::collections::{HashMap, VecDeque};

use protocol::ingest::{Deliverer, DuplicateKey};
use protocol::kind::HookEvent;
use protocol::{AgentId, Row, Seq, SessionId, Timestamp, ToolUseId};

/// How far apart two deliveries of the same hook can arrive.
pub(super) const WINDOW_MS: u64 = 2000;

/// Deliveries remembered for one session and event; more within the window come only from a flood.
pub(super) const REMEMBERED_MAX: usize = 64;

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
    prompt_id: Option<String>,
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
        while recent.front().is_some_and(|old| !old.is_recent(row.received_at))
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
            prompt_id: row.prompt_id.clone(),
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
            self.recent.retain(|_, deliveries| deliveries.back().is_some_and(|last| last.is_recent(now)));
        }
    }
}

impl Delivery {
    /// Also when the clock was set back since: what is ahead of it came long ago.
    fn is_recent(&self, now: Timestamp) -> bool {
        now.0.abs_diff(self.at.0) <= WINDOW_MS
    }

    fn link_to(&mut self, recent: &mut VecDeque<Self>) -> Link {
        if let Some(first) = recent.iter().find(|first| first.is_twice(self)) {
            self.richer = Some(first.seq);
            return Link::To(first.seq);
        }
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

    /// Whether this is the same call of our hook, which settings and a plugin both asked for. What has no id may well
    /// happen twice.
    fn is_twice(&self, other: &Self) -> bool {
        let is_ours = |delivery: &Self| delivery.deliverer == Deliverer::Hook && !delivery.is_report;
        let is_same = self.tool_use_id.is_some() && self.tool_use_id == other.tool_use_id
            || self.prompt_id.is_some() && self.prompt.is_some() && self.prompt_id == other.prompt_id;
        is_ours(self) && is_ours(other) && is_same && self.agent == other.agent && self.prompt == other.prompt
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

#[cfg(test)]
mod tests {
    use protocol::{EventId, Source, ingest};
    use serde_json::value::RawValue;

    use super::*;

    /// One delivery of a prompt in a session.
    fn link(duplicates: &mut Duplicates, session: &str, seq: u64, at: i64, deliverer: Deliverer) -> Link {
        let json = format!(r#"{{"kind":"UserPromptSubmit","session_id":"{session}","payload":0}}"#);
        let raw = RawValue::from_string(json).expect("it is JSON");
        let incoming = ingest::parse(&raw, Source::Http).expect("it is an event");
        let row = Row::of(incoming, Seq(seq), EventId(uuid::Uuid::nil()), Timestamp(at));
        let event = HookEvent::UserPromptSubmit;
        duplicates.link(&row, &DuplicateKey { deliverer, event, is_report: false, prompt: None })
    }

    #[test]
    fn deliveries_are_linked_within_the_window_whatever_the_clock_did_before() {
        let mut duplicates = Duplicates::default();
        let mut link = |seq, at, deliverer| link(&mut duplicates, "s", seq, at, deliverer);
        assert_eq!(link(1, 10_000_000, Deliverer::Hook), Link::None);
        assert_eq!(link(2, 10_002_000, Deliverer::Bash), Link::To(Seq(1)), "the window's last moment");
        assert_eq!(link(3, 10_010_000, Deliverer::Hook), Link::None);
        // The clock is set back by an hour: the third delivery is long ago, not to come.
        assert_eq!(link(4, 6_420_000, Deliverer::Bash), Link::None);
        assert_eq!(link(5, 6_421_000, Deliverer::Hook), Link::From(vec![Seq(4)]));
    }

    #[test]
    fn a_clock_that_is_set_back_does_not_keep_old_deliveries_in_memory() {
        let mut duplicates = Duplicates::default();
        for at in [10_000_000, 6_000_000, 2_000_000] {
            for number in 0..KEYS_MAX {
                link(&mut duplicates, &format!("{at}-{number}"), 1, at, Deliverer::Hook);
            }
            assert_eq!(duplicates.recent.len(), KEYS_MAX);
        }
    }
}
