//! History: which events, which part of them, and one page after the other.

use std::time::Duration;

use protocol::page::WAIT_S_MAX;
use protocol::stream::Filter;
use protocol::{Entry, EventId, Page, Seq, Timestamp, names};

use crate::monitor::{ANSWER_LIMIT, answer_within};
use crate::{Error, Monitor};

/// Which events. The default is every one, without its payload.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Query {
    /// Session, project, kinds, tool, agent, failures: each given field must match.
    pub filter: Filter,
    /// The event with this id, also where it is the poorer delivery of a hook.
    pub id: Option<EventId>,
    /// Happened at or after.
    pub from: Option<Timestamp>,
    /// Happened before or at.
    pub to: Option<Timestamp>,
    /// Words that must all occur in an event.
    pub text: Option<String>,
    /// With payloads.
    pub payload: bool,
    /// Also poorer deliveries of the same hook.
    pub duplicates: bool,
}

/// Which part of what matches, as positions that are not part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The newest.
    Newest,
    /// The first after a position.
    After(Seq),
    /// The last before a position.
    Before(Seq),
    /// The first after one position, none of another or later.
    Between(Seq, Seq),
}

impl Query {
    /// As the parameters of `GET /api/events`.
    fn parameters(&self) -> Vec<(&'static str, String)> {
        let filter = &self.filter;
        let set = |name, value: Option<String>| value.map(|value| (name, value));
        let time = |at: Option<Timestamp>| at.map(Timestamp::rfc3339);
        let flag = |name, is_set: bool| is_set.then(|| (name, "true".to_owned()));
        let kinds = filter.kinds.iter().map(|kind| ("kind", kind.clone()));
        let others = [
            set("session", filter.session.clone()),
            set("project", filter.project.clone()),
            set("tool", filter.tool.clone()),
            set("agent", filter.agent.clone()),
            set("error", filter.error.map(|error| error.to_string())),
            set("from", time(self.from)),
            set("to", time(self.to)),
            set("q", self.text.clone()),
            flag("payload", self.payload),
            set("query", self.id.map(|id| format!("id:{}", id.0))),
            flag("duplicates", self.duplicates || self.id.is_some()),
        ];
        kinds.chain(others.into_iter().flatten()).collect()
    }
}

impl Part {
    fn parameters(self) -> Vec<(&'static str, String)> {
        match self {
            Self::Newest => vec![],
            Self::After(after) => vec![("after", after.to_string())],
            Self::Before(before) => vec![("before", before.to_string())],
            Self::Between(after, before) => {
                vec![("after", after.to_string()), ("before", before.to_string())]
            }
        }
    }
}

impl Monitor {
    /// A page of history with at most `limit` events ([`names::PAGE_MAX`] at most), oldest first.
    ///
    /// # Errors
    /// When it does not answer, or refuses the query.
    pub fn history(&self, query: &Query, part: Part, limit: usize) -> Result<Page, Error> {
        self.page(query, part, limit, Duration::ZERO)
    }

    /// The next page after a position, as soon as there is one; an empty page when nothing matched within `wait`
    /// (whole seconds, [`WAIT_S_MAX`] at most). Ask on from its `position`.
    ///
    /// # Errors
    /// When it does not answer, or refuses the query.
    pub fn news(&self, query: &Query, after: Seq, wait: Duration) -> Result<Page, Error> {
        self.page(query, Part::After(after), names::PAGE_MAX, wait)
    }

    /// Every matching event of a part, page by page: one page in memory at a time.
    pub fn pages(&self, query: &Query, after: Seq, before: Seq) -> Pages<'_> {
        Pages { monitor: self, query: query.clone(), after, before, is_done: false }
    }

    /// The position before the `count` newest matching events before `before`: after it they begin. Asks for one
    /// page after the other, so it is quick for thousands and not for millions.
    ///
    /// # Errors
    /// When it does not answer, or refuses the query.
    pub fn position_of_newest(&self, query: &Query, before: Seq, count: usize) -> Result<Seq, Error> {
        let query = Query { payload: false, ..query.clone() };
        let (mut before, mut missing) = (before, count);
        while missing > 0 {
            let page = self.history(&query, Part::Before(before), missing.min(names::PAGE_MAX))?;
            missing -= page.events.len().min(missing);
            let Some(first) = page.events.first().filter(|_| page.has_more) else { return Ok(Seq(0)) };
            before = first.row.seq;
        }
        Ok(Seq(before.0.saturating_sub(1)))
    }

    fn page(&self, query: &Query, part: Part, limit: usize, wait: Duration) -> Result<Page, Error> {
        let wait = wait.min(Duration::from_secs(WAIT_S_MAX));
        let mut parameters = query.parameters();
        parameters.extend(part.parameters());
        parameters.push(("limit", limit.to_string()));
        if !wait.is_zero() {
            parameters.push(("wait", wait.as_secs().to_string()));
        }
        let url = format!("{}{}", self.url(), names::EVENTS);
        let request = self.getting(&url)?.query_pairs(parameters);
        answer_within(&url, request, wait + ANSWER_LIMIT)
    }
}

/// The pages of a part of the history. Ends after the first error.
#[derive(Debug)]
pub struct Pages<'a> {
    monitor: &'a Monitor,
    query: Query,
    after: Seq,
    before: Seq,
    is_done: bool,
}

impl Iterator for Pages<'_> {
    type Item = Result<Vec<Entry>, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_done {
            return None;
        }
        // With payloads a page of the usual size may be too much: they reach megabytes.
        let limit = if self.query.payload { PAYLOADS_PER_PAGE } else { names::PAGE_MAX };
        let page = self.monitor.history(&self.query, Part::Between(self.after, self.before), limit);
        self.is_done = page.as_ref().map_or(true, |page| !page.has_more);
        Some(page.map(|page| {
            self.after = page.position;
            page.events
        }))
    }
}

/// Payloads have a few KiB each, and 16 MiB at worst.
const PAYLOADS_PER_PAGE: usize = 250;
