//! Pages of history: filters and full text, by position in both directions.

use protocol::{Event, Kind, Row, Seq, Timestamp, names};
use rusqlite::types::ToSql;
use rusqlite::{Connection, params_from_iter};
use serde_json::value::RawValue;

use super::{StoreError, Terms, read, search};

/// Values and words of one query: SQLite nests what they are joined to, and takes no more than 1000.
pub(super) const VALUES_MAX: usize = 200;

/// Bytes of all of them together; SQLite's patterns may have 50,000.
pub(super) const VALUE_BYTES_MAX: usize = 16 * 1024;

/// Payloads of one page, whatever its events are: a page with less than was asked for says that there are more.
const PAGE_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Which events, and how many.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Query {
    /// Only later positions; the page then starts right behind it.
    pub after: Option<Seq>,
    /// Only earlier positions; the page then ends right before it.
    pub before: Option<Seq>,
    /// At most so many events; [`names::PAGE_MAX`] at most.
    pub limit: usize,
    /// Exactly this session.
    pub session: Option<String>,
    /// This folder or one below it.
    pub project: Option<String>,
    /// One of these kinds, in any spelling.
    pub kinds: Vec<String>,
    /// Exactly this tool.
    pub tool: Option<String>,
    /// This agent's id or type.
    pub agent: Option<String>,
    /// Only failures, or only the rest.
    pub error: Option<bool>,
    /// Happened at or after.
    pub from: Option<Timestamp>,
    /// Happened before or at.
    pub to: Option<Timestamp>,
    /// Words that must all occur.
    pub text: Option<String>,
    /// Conditions and words in the query language.
    pub terms: Terms,
    /// Also poorer deliveries of the same hook.
    pub duplicates: bool,
    /// With payloads.
    pub payload: bool,
}

impl Query {
    /// Whether it asks for no more than the database can look for.
    fn check(&self) -> Result<(), StoreError> {
        let one = [&self.session, &self.project, &self.tool, &self.agent];
        let words =
            [&self.text, &self.terms.words].into_iter().flatten().flat_map(|text| text.split_whitespace());
        let given = one.into_iter().flatten().chain(&self.kinds).map(String::as_str);
        let values = given.chain(words).chain(self.terms.values());
        let (count, bytes) = values.fold((0, 0), |(count, bytes), value| (count + 1, bytes + value.len()));
        if count > VALUES_MAX || bytes > VALUE_BYTES_MAX {
            return Err(StoreError::LargeQuery);
        }
        Ok(())
    }

    /// Whether it looks for words, which only indexed events have.
    pub(crate) fn searches(&self) -> bool {
        self.text.is_some() || self.terms.words.is_some()
    }
}

/// A part of the history, oldest first.
#[derive(Debug)]
pub(crate) struct Page {
    /// The events; payloads only where asked for.
    pub events: Vec<(Row, Option<Box<RawValue>>)>,
    /// Whether more events match in the direction of the page.
    pub has_more: bool,
}

impl Page {
    /// The events of a page that was asked for with payloads.
    pub(crate) fn into_events(self) -> Vec<Event> {
        self.events
            .into_iter()
            .filter_map(|(row, payload)| Some(Event { row, payload: payload?, is_own: false, caller: None }))
            .collect()
    }
}

/// Where events are read from, and conditions with their values, in step.
pub(super) struct Conditions {
    /// For `FROM`.
    pub source: &'static str,
    /// The column to order by.
    pub position: &'static str,
    sql: Vec<String>,
    pub values: Vec<Box<dyn ToSql>>,
}

impl Conditions {
    /// None yet. Who searches reads the index in order and stops when a page is full: a common word would else be
    /// looked up everywhere first.
    fn new(searches: bool) -> Self {
        let (source, position) = if searches {
            ("search CROSS JOIN events e ON e.seq = search.rowid", "search.rowid")
        } else {
            ("events e", "e.seq")
        };
        Self { source, position, sql: Vec::new(), values: Vec::new() }
    }

    /// Adds a condition; each `?` in it takes one of the values.
    fn add<const N: usize>(&mut self, sql: &str, values: [Box<dyn ToSql>; N]) {
        self.sql.push(sql.to_owned());
        self.values.extend(values);
    }

    /// The conditions as a `WHERE` clause.
    pub(super) fn filter(&self) -> String {
        if self.sql.is_empty() { String::new() } else { format!("WHERE {}", self.sql.join(" AND ")) }
    }

    fn equal(&mut self, column: &str, value: Option<&String>) {
        if let Some(value) = value {
            self.add(&format!("{column} = ?"), [Box::new(value.clone())]);
        }
    }
}

pub(super) fn page(connection: &Connection, query: &Query) -> Result<Page, StoreError> {
    let limit = query.limit.clamp(1, names::PAGE_MAX);
    let ascending = query.after.is_some();
    let conditions = conditions(query)?;
    let (columns, join) = if query.payload {
        (format!("{}, p.payload", read::COLUMNS), "JOIN payloads p ON p.seq = e.seq")
    } else {
        (read::COLUMNS.to_owned(), "")
    };
    let Conditions { source, position, .. } = conditions;
    let filter = conditions.filter();
    let order = if ascending { "ASC" } else { "DESC" };
    let sql = format!(
        "SELECT {columns} FROM {source} {join} {filter} ORDER BY {position} {order} LIMIT {}",
        limit + 1
    );
    let mut find = connection.prepare_cached(&sql)?;
    let mut rows = find.query(params_from_iter(conditions.values.iter()))?;
    let (mut events, mut bytes, mut has_more) = (Vec::new(), 0, false);
    while let Some(found) = rows.next()? {
        let payload = if query.payload { Some(read::payload(found, 17)?) } else { None };
        bytes += payload.as_ref().map_or(0, |payload| payload.get().len());
        has_more = events.len() == limit || (bytes > PAGE_BYTES_MAX && !events.is_empty());
        if has_more {
            break;
        }
        events.push((read::row(found)?, payload));
    }
    if !ascending {
        events.reverse();
    }
    Ok(Page { events, has_more })
}

pub(super) fn conditions(query: &Query) -> Result<Conditions, StoreError> {
    query.check()?;
    let mut all = Conditions::new(query.searches());
    let position = all.position;
    if let Some(after) = query.after {
        all.add(&format!("{position} > ?"), [Box::new(after.0)]);
    }
    if let Some(before) = query.before {
        all.add(&format!("{position} < ?"), [Box::new(before.0)]);
    }
    all.equal("e.session_id", query.session.as_ref());
    all.equal("e.tool_name", query.tool.as_ref());
    if let Some(project) = &query.project {
        let folder = project.trim_end_matches(['/', '\\']).to_owned();
        let below = folder.chars().count() + 1;
        all.add(
            &format!("(e.project = ? OR substr(e.project, 1, {below}) IN (? || '/', ? || '\\'))"),
            [Box::new(folder.clone()), Box::new(folder.clone()), Box::new(folder)],
        );
    }
    if !query.kinds.is_empty() {
        let places = vec!["?"; query.kinds.len()].join(", ");
        all.sql.push(format!("e.kind IN ({places})"));
        for kind in &query.kinds {
            all.values.push(Box::new(Kind::from_name(kind).as_str().to_owned()));
        }
    }
    if let Some(agent) = &query.agent {
        all.add("(e.agent_id = ? OR e.agent_type = ?)", [Box::new(agent.clone()), Box::new(agent.clone())]);
    }
    match query.error {
        Some(true) => all.add("e.is_error", []),
        Some(false) => all.add("NOT e.is_error", []),
        None => {}
    }
    if let Some(from) = query.from {
        all.add("e.occurred_at >= ?", [Box::new(from.0)]);
    }
    if let Some(to) = query.to {
        all.add("e.occurred_at <= ?", [Box::new(to.0)]);
    }
    if !query.duplicates {
        all.add("e.duplicate_of IS NULL", []);
    }
    for (sql, values) in query.terms.sql() {
        all.sql.push(sql);
        all.values.extend(values);
    }
    let texts = query.text.iter().chain(&query.terms.words);
    let words = texts.map(|text| search::expression(text).ok_or(StoreError::EmptySearch));
    let words: Vec<String> = words.collect::<Result<_, _>>()?;
    if !words.is_empty() {
        all.add("search MATCH ?", [Box::new(words.join(" "))]);
    }
    Ok(all)
}
