//! The database: how it is opened, its tables, and how an older one becomes a current one.

use std::ops::Range;
use std::path::Path;

use protocol::Seq;
use rusqlite::{Connection, OpenFlags};

use super::unopened::Unopened;
use super::{files, shape};
use crate::config::Durability;

/// Each entry brings the schema one version further. Never edit one that was released: add another.
const MIGRATIONS: &[&str] = &[
    // 1. Rows are narrow and payloads stand apart, so that filtering a long history reads little. Indexes are
    // few: each one costs every insert.
    "CREATE TABLE meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
     CREATE TABLE events (
         seq INTEGER PRIMARY KEY,
         id BLOB NOT NULL,
         received_at INTEGER NOT NULL,
         occurred_at INTEGER NOT NULL,
         source TEXT NOT NULL,
         kind TEXT NOT NULL,
         session_id TEXT,
         agent_id TEXT,
         agent_type TEXT,
         project TEXT,
         tool_use_id TEXT,
         tool_name TEXT,
         prompt_id TEXT,
         duration_ms INTEGER,
         is_error INTEGER NOT NULL,
         summary TEXT NOT NULL,
         duplicate_of INTEGER
     );
     CREATE UNIQUE INDEX events_id ON events (id);
     CREATE INDEX events_session ON events (session_id, seq) WHERE session_id IS NOT NULL;
     CREATE INDEX events_error ON events (seq) WHERE is_error;
     CREATE TABLE payloads (seq INTEGER PRIMARY KEY, payload TEXT NOT NULL);
     CREATE TABLE sessions (
         session_id TEXT PRIMARY KEY,
         last_seq INTEGER NOT NULL,
         state TEXT NOT NULL
     ) WITHOUT ROWID;
     CREATE INDEX sessions_last ON sessions (last_seq);
     CREATE VIRTUAL TABLE search USING fts5 (
         text, content = '', contentless_delete = 1, tokenize = 'unicode61 remove_diacritics 2'
     );",
    // 2. Sessions hold the whole state of the fold beside the line that lists show, and up to where they were
    // read. Those known before have version 0, which is none: they are computed anew. (To rename the table instead would
    // make every start with a new file read the whole schema twice.)
    "CREATE TEMP TABLE known AS SELECT session_id, last_seq FROM sessions;
     DROP TABLE sessions;
     CREATE TABLE sessions (
         session_id TEXT PRIMARY KEY,
         last_seq INTEGER NOT NULL,
         read_seq INTEGER NOT NULL,
         version INTEGER NOT NULL,
         view TEXT NOT NULL,
         state TEXT NOT NULL
     );
     INSERT INTO sessions SELECT session_id, last_seq, 0, 0, '', '' FROM known;
     DROP TABLE known;
     CREATE INDEX sessions_last ON sessions (last_seq);",
    // 3. Sessions are written now and then: the position up to which every one of them knows the log. Until now they
    // were written with each event. Whatever stands there is of no use to what was written without it.
    "INSERT OR REPLACE INTO meta (name, value) SELECT 'sessions', coalesce(max(seq), 0) FROM events;",
    // 4. The identity, which versions before gave at their start to a database without one.
    "INSERT OR IGNORE INTO meta (name, value) VALUES ('epoch', lower(hex(randomblob(16))));",
];

/// Each commit writes every page that it touches, and a single event touches four or more, so pages are small; much
/// smaller ones make large groups dear.
const PAGE_BYTES: u32 = 8192;

/// Where a database's file says that changes go into a log beside it: 2 in both, by SQLite's file format. Without that, the
/// first connection would write it, with a journal and three syncs.
const LOG_VERSIONS: Range<usize> = 18..20;

/// The database for its writer, and what the user should know of it.
pub(super) struct Opened {
    pub connection: Connection,
    /// That another one stood in its place, and where that is now.
    pub notice: Option<String>,
}

/// Opens the database for its writer, making, migrating and mending it as needed. One that is of no use is set aside,
/// never deleted, and a new one begun: a monitor that does not start helps nobody. The error is a sentence.
pub(super) fn open(path: &Path, durability: Durability) -> Result<Opened, String> {
    files::make_folder(path).map_err(|e| format!("could not make its folder: {e}"))?;
    let marked = files::is_marked_damaged(path);
    let is_useless = marked || files::is_emptied(path);
    let why = match if is_useless { Err(Unopened::damaged()) } else { connect(path, durability) } {
        Ok(connection) => return Ok(Opened { connection, notice: None }),
        Err(Unopened::Otherwise(reason)) => return Err(reason),
        Err(Unopened::Useless(why)) => why,
    };
    let aside =
        files::set_aside(path, "damaged").and_then(|aside| files::unmark_damaged(path).map(|()| aside));
    let aside =
        aside.map_err(|e| format!("{why}, and it could not be set aside: {e}"))?.display().to_string();
    tracing::error!(why, aside, "the event store was of no use and set aside");
    let connection = connect(path, durability).map_err(|e| e.to_string())?;
    let notice = format!("{why}; it was set aside as {aside} and a new one begun");
    Ok(Opened { connection, notice: Some(notice) })
}

/// A connection for the writer to the database in this place; it makes one where there is none.
pub(super) fn connect(path: &Path, durability: Durability) -> Result<Connection, Unopened> {
    let length = files::length(path);
    let is_new = length.map_err(|e| Unopened::Otherwise(format!("could not open the file: {e}")))? == 0;
    if is_new {
        let made = files::make(path, &new_database()?);
        made.map_err(|e| Unopened::Otherwise(format!("could not make the file: {e}")))?;
    }
    let mut connection = Connection::open(path)?;
    configure(&connection, durability)?;
    if !is_new {
        migrate(&mut connection)?;
        shape::mend(&mut connection, &empty_database()?)?;
    }
    Ok(connection)
}

/// A database without events, as the bytes of its file. Made in memory, it costs one write; [`sync`] is still due.
fn new_database() -> Result<Vec<u8>, Unopened> {
    let mut memory = empty_database()?;
    memory.execute("INSERT INTO meta (name, value) VALUES ('unsynced', 0)", [])?;
    let mut file = memory.serialize("main")?.to_vec();
    file[LOG_VERSIONS].fill(2);
    Ok(file)
}

/// A database without events, in memory.
fn empty_database() -> Result<Connection, Unopened> {
    let mut memory = Connection::open_in_memory()?;
    memory.pragma_update(None, "page_size", PAGE_BYTES)?;
    memory.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    migrate(&mut memory)?;
    Ok(memory)
}

fn configure(connection: &Connection, durability: Durability) -> rusqlite::Result<()> {
    connection.pragma_update(None, "journal_mode", "WAL")?;
    let synchronous = match durability {
        Durability::Crash => "NORMAL",
        Durability::Power => "FULL",
    };
    connection.pragma_update(None, "synchronous", synchronous)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.pragma_update(None, "cache_size", -4 * 1024)?; // KiB
    connection.pragma_update(None, "journal_size_limit", 64 * 1024 * 1024)?; // bytes
    connection.busy_timeout(std::time::Duration::from_secs(5))?;
    connection.set_prepared_statement_cache_capacity(32);
    Ok(())
}

/// Whether the file may not have reached the disk since it was made.
pub(super) fn is_unsynced(connection: &Connection) -> rusqlite::Result<bool> {
    connection.query_row("SELECT EXISTS (SELECT 1 FROM meta WHERE name = 'unsynced')", [], |row| row.get(0))
}

/// Whether everything in it is there up to the newest event, and fits together.
pub(super) fn is_whole(connection: &Connection, newest: Seq) -> rusqlite::Result<bool> {
    let last: Option<u64> = connection.query_row("SELECT max(seq) FROM events", [], |row| row.get(0))?;
    // Retention may have deleted all.
    if last.is_some_and(|last| last != newest.0) {
        return Ok(false);
    }
    connection.query_row("PRAGMA integrity_check(1)", [], |row| Ok(row.get::<_, String>(0)? == "ok"))
}

/// Waits until a new database is on the disk: a loss of power would else take it with all that its log of changes holds,
/// not only the newest events. Through SQLite, whose locks on a file end when anybody closes it.
pub(super) fn sync(connection: &Connection) -> rusqlite::Result<()> {
    // A copy of the log is synced when there is something to copy.
    let again = "UPDATE meta SET value = value + 1 WHERE name = 'unsynced' RETURNING value > 1";
    if connection.query_row(again, [], |row| row.get(0))? {
        // The system takes pages that it could not write for written: all of them go by the log once more.
        connection.execute_batch("VACUUM")?;
    }
    let is_held_up: bool = connection.query_row("PRAGMA wal_checkpoint(FULL)", [], |row| row.get(0))?;
    if is_held_up {
        let busy = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_BUSY);
        return Err(rusqlite::Error::SqliteFailure(busy, Some("somebody reads the new database".to_owned())));
    }
    connection.execute("DELETE FROM meta WHERE name = 'unsynced'", [])?;
    Ok(())
}

/// Opens a second connection that can write; only where there is a database.
pub(super) fn open_beside(path: &Path) -> rusqlite::Result<Connection> {
    Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)
}

/// Opens a second connection that can only read.
pub(super) fn open_reader(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(std::time::Duration::from_secs(5))?;
    connection.pragma_update(None, "cache_size", -4 * 1024)?; // KiB
    Ok(connection)
}

fn migrate(connection: &mut Connection) -> Result<(), Unopened> {
    let version = connection.pragma_query_value(None, "user_version", |row| row.get::<_, usize>(0));
    let version = version.map_err(|e| Unopened::unlike_ours(&e))?;
    if version > MIGRATIONS.len() {
        let known = MIGRATIONS.len();
        return Err(Unopened::Otherwise(format!(
            "it has schema version {version} but this version knows only {known}; install a newer monitor or \
             move the file away"
        )));
    }
    if version == MIGRATIONS.len() {
        return Ok(());
    }
    if version == 0 && !shape::is_empty(connection)? {
        return Err(Unopened::Useless("the database belonged to another program".to_owned()));
    }
    bring_up_to_date(connection, &MIGRATIONS[version..]).map_err(|e| Unopened::unlike_ours(&e))
}

fn bring_up_to_date(connection: &mut Connection, steps: &[&str]) -> rusqlite::Result<()> {
    let change = connection.transaction()?;
    for step in steps {
        change.execute_batch(step)?;
    }
    change.pragma_update(None, "user_version", MIGRATIONS.len())?;
    change.commit()
}

/// Identity of this database, made with it.
pub(super) fn epoch(connection: &Connection) -> rusqlite::Result<String> {
    connection.query_row("SELECT value FROM meta WHERE name = 'epoch'", [], |row| row.get(0))
}
