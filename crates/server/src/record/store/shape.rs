//! Whether a database has the tables that this version works with. What can be computed from the events, or is only a
//! mark of how far something came, is made anew when it is missing; without the events themselves it is none of ours.

use std::collections::HashSet;

use rusqlite::{Connection, OptionalExtension, Transaction};

use super::unopened::Unopened;

/// Tables from which all others can be computed.
const KEPT: [&str; 2] = ["events", "payloads"];

/// The table of the search index; those whose names begin like this are parts of it.
const SEARCH: &str = "search";

/// One table or index.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Object {
    kind: String,
    name: String,
    /// The table itself, or that of the index.
    table: String,
    sql: String,
}

impl Object {
    /// Whether it comes and goes with the search index.
    fn is_part_of_search(&self) -> bool {
        self.name.strip_prefix(SEARCH).is_some_and(|rest| rest.starts_with('_'))
    }
}

/// Whether a database has no tables at all.
pub(super) fn is_empty(connection: &Connection) -> rusqlite::Result<bool> {
    connection.query_row("SELECT NOT EXISTS (SELECT 1 FROM sqlite_schema)", [], |row| row.get(0))
}

/// Makes anew what is missing or unlike that of a database as it should be, all or nothing.
pub(super) fn mend(connection: &mut Connection, expected: &Connection) -> Result<(), Unopened> {
    let missing = missing(connection, expected).map_err(|e| Unopened::unlike_ours(&e))?;
    let is_kept = |object: &&Object| KEPT.contains(&object.name.as_str());
    if let Some(Object { name, .. }) = missing.iter().find(is_kept) {
        return Err(Unopened::Useless(format!(
            "the database was no event store of this monitor (its table {name} is missing, or another one)"
        )));
    }
    mend_rest(connection, &missing).map_err(|e| Unopened::unlike_ours(&e))
}

fn mend_rest(connection: &mut Connection, missing: &[Object]) -> rusqlite::Result<()> {
    let is_missing = |name: &str| missing.iter().any(|object| object.name == name);
    let searches_anew = is_missing(SEARCH) || is_missing("meta");
    let change = connection.transaction()?;
    for object in missing {
        make(&change, object)?;
    }
    if is_missing("sessions") {
        change.execute("DELETE FROM meta WHERE name = 'sessions'", [])?;
    }
    mend_marks(&change, searches_anew)?;
    change.commit()
}

/// What of `expected` a database lacks, or has otherwise; in the order in which it is made.
fn missing(connection: &Connection, expected: &Connection) -> rusqlite::Result<Vec<Object>> {
    let there: HashSet<Object> = objects(connection)?.into_iter().collect();
    let all = objects(expected)?;
    let lacks = |object: &Object| !there.contains(object);
    let lacks_search = all.iter().any(|object| object.is_part_of_search() && lacks(object));
    let tables: Vec<String> = all.iter().filter(|o| lacks(o)).map(|object| object.table.clone()).collect();
    let is_due = |object: &Object| match object.kind.as_str() {
        // It goes with its table.
        "index" => lacks(object) || tables.contains(&object.table),
        _ => lacks(object) || (object.name == SEARCH && lacks_search),
    };
    Ok(all.into_iter().filter(|object| !object.is_part_of_search() && is_due(object)).collect())
}

fn objects(connection: &Connection) -> rusqlite::Result<Vec<Object>> {
    let mut all = connection.prepare(
        "SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY rowid",
    )?;
    let objects = all.query_map([], |row| {
        Ok(Object { kind: row.get(0)?, name: row.get(1)?, table: row.get(2)?, sql: row.get(3)? })
    })?;
    objects.collect()
}

fn make(change: &Transaction<'_>, Object { kind, name, sql, .. }: &Object) -> rusqlite::Result<()> {
    change.execute_batch(&format!("DROP {kind} IF EXISTS {name}"))?;
    change.execute_batch(sql)
}

/// Brings the marks in `meta` in order; writes only when one is not.
fn mend_marks(change: &Transaction<'_>, searches_anew: bool) -> rusqlite::Result<()> {
    if mark_type(change, "epoch")?.as_deref() != Some("text") {
        let epoch = "INSERT OR REPLACE INTO meta (name, value) VALUES ('epoch', lower(hex(randomblob(16))))";
        change.execute(epoch, [])?;
    }
    if mark_type(change, "sessions")?.as_deref() != Some("integer") {
        // Every session is then compared with the log.
        change.execute("INSERT OR REPLACE INTO meta (name, value) VALUES ('sessions', 0)", [])?;
    }
    let indexed = mark_type(change, "indexed")?;
    if searches_anew || indexed.is_some_and(|kind| kind != "integer") {
        change.execute("DELETE FROM meta WHERE name = 'indexed'", [])?;
        change.execute("INSERT INTO search (search) VALUES ('delete-all')", [])?;
    }
    Ok(())
}

/// What kind of value a mark has; none when it is not there.
fn mark_type(change: &Transaction<'_>, name: &str) -> rusqlite::Result<Option<String>> {
    let find = "SELECT typeof(value) FROM meta WHERE name = ?1";
    change.query_row(find, [name], |row| row.get(0)).optional()
}
