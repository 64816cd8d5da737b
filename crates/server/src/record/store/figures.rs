//! Figures over stored events: one pass over the newest that match, and everything counted on the way.

use std::collections::HashMap;

use protocol::Timestamp;
use protocol::figures::{Bucket, Figures, Share, Spread};
use rusqlite::{Connection, params_from_iter};

use super::query::{self, Conditions, Query};
use super::{StoreError, retention};

/// Events looked at for one answer: about a third of a second. Beyond them the answer says that it is not complete.
const EVENTS_MAX: usize = 250_000;

/// Buckets of time, whatever the stretch.
const BUCKETS: i64 = 120;

/// Values listed by kind, tool, session …
const SHARES_MAX: usize = 200;

/// The kinds that end a tool call.
const CALL_ENDS: [&str; 2] = ["PostToolUse", "PostToolUseFailure"];

/// What is counted of one event.
struct Fact {
    at: i64,
    is_error: bool,
    /// How long a tool call ran, when the event ends one.
    ran: Option<u64>,
}

pub(super) fn figures(connection: &Connection, query: &Query) -> Result<Figures, StoreError> {
    let conditions = query::conditions(query)?;
    let Conditions { source, position, .. } = conditions;
    let sql = format!(
        "SELECT e.occurred_at, e.received_at, e.is_error, e.duration_ms, e.kind, e.tool_name, e.session_id, \
         e.project, e.agent_id, e.agent_type, e.source FROM {source} {} ORDER BY {position} DESC LIMIT {}",
        conditions.filter(),
        EVENTS_MAX + 1
    );
    let mut find = connection.prepare_cached(&sql)?;
    let mut rows = find.query(params_from_iter(conditions.values.iter()))?;
    let mut count = Count::default();
    while let Some(row) = rows.next()? {
        if count.facts.len() == EVENTS_MAX {
            count.is_cut = true;
            break;
        }
        let text = |column| row.get_ref(column).ok().and_then(|value| value.as_str().ok());
        let (at, received): (i64, i64) = (row.get(0)?, row.get(1)?);
        let kind = text(4).unwrap_or_default();
        let duration: Option<u64> = row.get(3)?;
        let fact = Fact { at, is_error: row.get(2)?, ran: duration.filter(|_| CALL_ENDS.contains(&kind)) };
        count.kinds.add(kind, &fact);
        count.tools.add_some(text(5), &fact);
        if let Some(session) = text(6) {
            count.sessions.add(session, &fact);
            if let Some(project) = text(7) {
                count.sessions.project(session, project);
            }
        }
        count.projects.add_some(text(7).map(base_name), &fact);
        count.agents.add(text(9).or(text(8)).unwrap_or("main"), &fact);
        let source = text(10).unwrap_or_default();
        count.sources.add(source, &fact);
        if source == "hook" {
            count.delivery.push(received.saturating_sub(at).try_into().unwrap_or(0));
        }
        count.facts.push(fact);
    }
    let mut figures = count.into_figures(query);
    figures.store_bytes = retention::bytes(connection)?;
    Ok(figures)
}

#[derive(Default)]
struct Count {
    facts: Vec<Fact>,
    is_cut: bool,
    kinds: Shares,
    tools: Shares,
    sessions: Shares,
    projects: Shares,
    agents: Shares,
    sources: Shares,
    delivery: Vec<u64>,
}

impl Count {
    fn into_figures(self, query: &Query) -> Figures {
        let first = self.facts.iter().map(|fact| fact.at).min().unwrap_or(0);
        let last = self.facts.iter().map(|fact| fact.at).max().unwrap_or(0);
        // The wanted stretch of time is shown whole, also where nothing happened in it.
        let from = query.from.map_or(first, |from| if self.is_cut { first } else { from.0 });
        let to = query.to.map_or(last, |to| to.0).max(from);
        let bucket_ms = width(to - from);
        let from = from.div_euclid(bucket_ms) * bucket_ms;
        let buckets = buckets(&self.facts, from, to, bucket_ms);
        Figures {
            events: self.facts.len() as u64,
            errors: self.facts.iter().filter(|fact| fact.is_error).count() as u64,
            is_complete: !self.is_cut,
            from: Timestamp(from),
            bucket_ms,
            buckets,
            calls: spread(self.facts.iter().filter_map(|fact| fact.ran).collect()),
            delivery: spread(self.delivery),
            tools: self.tools.sorted(),
            kinds: self.kinds.sorted(),
            sessions: self.sessions.sorted(),
            projects: self.projects.sorted(),
            agents: self.agents.sorted(),
            sources: self.sources.sorted(),
            store_bytes: 0,
        }
    }
}

/// A round width of which about [`BUCKETS`] cover the stretch.
fn width(stretch: i64) -> i64 {
    const ROUND_S: [i64; 16] =
        [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21_600, 43_200, 86_400];
    let round = ROUND_S.iter().map(|seconds| seconds * 1000).find(|width| stretch / width <= BUCKETS);
    round.unwrap_or_else(|| (stretch / BUCKETS / 86_400_000 + 1) * 86_400_000)
}

fn buckets(facts: &[Fact], from: i64, to: i64, width: i64) -> Vec<Bucket> {
    if facts.is_empty() {
        return Vec::new();
    }
    let count = usize::try_from((to - from) / width + 1).unwrap_or(1);
    let mut buckets = vec![(Bucket::default(), Vec::new()); count];
    for fact in facts {
        let at = usize::try_from((fact.at - from) / width).ok().and_then(|at| buckets.get_mut(at));
        if let Some((bucket, ran)) = at {
            bucket.events += 1;
            bucket.errors += u64::from(fact.is_error);
            ran.extend(fact.ran);
        }
    }
    buckets.into_iter().map(|(bucket, ran)| Bucket { calls: spread(ran), ..bucket }).collect()
}

fn spread(mut values: Vec<u64>) -> Spread {
    values.sort_unstable();
    let at = |percent: usize| values.get((values.len() * percent / 100).min(values.len().saturating_sub(1)));
    Spread {
        count: values.len() as u64,
        p50_ms: at(50).copied().unwrap_or(0),
        p95_ms: at(95).copied().unwrap_or(0),
        max_ms: values.last().copied().unwrap_or(0),
    }
}

/// Events by the value of one column.
#[derive(Default)]
struct Shares(HashMap<String, Part>);

#[derive(Default)]
struct Part {
    events: u64,
    errors: u64,
    ran: Vec<u64>,
    last_at: i64,
    project: Option<String>,
}

impl Shares {
    fn add(&mut self, name: &str, fact: &Fact) {
        let part = match self.0.get_mut(name) {
            Some(part) => part,
            None => self.0.entry(name.to_owned()).or_default(),
        };
        part.events += 1;
        part.errors += u64::from(fact.is_error);
        part.ran.extend(fact.ran);
        part.last_at = part.last_at.max(fact.at);
    }

    fn add_some(&mut self, name: Option<&str>, fact: &Fact) {
        if let Some(name) = name {
            self.add(name, fact);
        }
    }

    /// Events come the newest first, so the first one tells where the session is now.
    fn project(&mut self, name: &str, project: &str) {
        if let Some(part) = self.0.get_mut(name).filter(|part| part.project.is_none()) {
            part.project = Some(project.to_owned());
        }
    }

    fn sorted(self) -> Vec<Share> {
        let mut all: Vec<_> = self.0.into_iter().collect();
        all.sort_by(|(a, left), (b, right)| right.events.cmp(&left.events).then_with(|| a.cmp(b)));
        let shares = all.into_iter().take(SHARES_MAX).map(|(name, part)| Share {
            name,
            events: part.events,
            errors: part.errors,
            calls: spread(part.ran),
            last_at: Timestamp(part.last_at),
            project: part.project,
        });
        shares.collect()
    }
}

fn base_name(path: &str) -> &str {
    let path = path.trim_end_matches(['/', '\\']);
    path.rsplit(['/', '\\']).next().unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_of_none_one_and_many() {
        assert_eq!(spread(vec![]), Spread::default());
        assert_eq!(spread(vec![7]), Spread { count: 1, p50_ms: 7, p95_ms: 7, max_ms: 7 });
        let many = spread((1..=100).rev().collect());
        assert_eq!(many, Spread { count: 100, p50_ms: 51, p95_ms: 96, max_ms: 100 });
    }

    #[test]
    fn buckets_have_a_round_width_and_are_never_too_many() {
        assert_eq!(width(0), 1000);
        assert_eq!(width(3_600_000), 30_000);
        for stretch in [1, 90_000, 86_400_000, 30 * 86_400_000, 4000 * 86_400_000] {
            assert!(stretch / width(stretch) <= BUCKETS, "{stretch}");
        }
    }
}
