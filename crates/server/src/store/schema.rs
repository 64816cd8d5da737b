//! The database file: how it is opened, its tables, and how an older one becomes a current one.

use std::fs::OpenOptions;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use protocol::Timestamp;
use rusqlite::{Connection, ErrorCode, OpenFlags};

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
    // were written with each event.
    "INSERT INTO meta (name, value) SELECT 'sessions', coalesce(max(seq), 0) FROM events;",
    // 4. The identity, which versions before gave at their start to a database without one.
    "INSERT OR IGNORE INTO meta (name, value) VALUES ('epoch', lower(hex(randomblob(16))));",
];

/// Each commit writes every page that it touches, and a single event touches four or more, so pages are small; much
/// smaller ones make large groups dear.
const PAGE_BYTES: u32 = 8192;

/// The files that SQLite keeps beside a database: its log of changes, who reads it, and what it goes back to without a
/// log.
const SIDES: [&str; 3] = ["wal", "shm", "journal"];

/// Where a database's file says that changes go into a log beside it: 2 in both, by SQLite's file format. Without that, the
/// first connection would write it, with a journal and three syncs.
const LOG_VERSIONS: Range<usize> = 18..20;

/// The database for its writer, and what the user should know of it.
pub(super) struct Opened {
    pub connection: Connection,
    /// Where a damaged database was put, when there was one.
    pub set_aside: Option<PathBuf>,
}

/// Opens the database for its writer, making and migrating it as needed. A damaged one is set aside, never
/// deleted, and a new one begun: a monitor that does not start helps nobody. The error is a sentence.
pub(super) fn open(path: &Path, durability: Durability) -> Result<Opened, String> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        private::make(folder).map_err(|e| format!("could not make its folder: {e}"))?;
    }
    let marked = damage_mark(path).exists();
    match if marked { Err(Unopened::Damaged) } else { try_open(path, durability) } {
        Ok(connection) => Ok(Opened { connection, set_aside: None }),
        Err(Unopened::Damaged) => {
            let set_aside =
                set_aside(path).map_err(|e| format!("it is damaged and could not be set aside: {e}"))?;
            tracing::error!(path = %set_aside.display(), "the event store was damaged and set aside");
            let connection = try_open(path, durability).map_err(|e| e.to_string())?;
            Ok(Opened { connection, set_aside: Some(set_aside) })
        }
        Err(Unopened::Otherwise(reason)) => Err(reason),
    }
}

/// Why a database could not be opened.
#[derive(Debug, thiserror::Error)]
enum Unopened {
    /// It is no database, or a broken one.
    #[error("the database is damaged")]
    Damaged,
    /// Anything that waiting or another version may solve.
    #[error("{0}")]
    Otherwise(String),
}

impl From<rusqlite::Error> for Unopened {
    fn from(error: rusqlite::Error) -> Self {
        if is_damage(&error) { Self::Damaged } else { Self::Otherwise(error.to_string()) }
    }
}

/// Whether an error says that the file itself is broken.
pub(super) fn is_damage(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt))
}

/// Marks a database in which damage was found while it was in use; the next start sets it aside.
pub(super) fn mark_damaged(path: &Path) {
    let marked = private::open(&damage_mark(path), OpenOptions::new().create(true).append(true));
    if let Err(error) = marked {
        tracing::warn!(%error, "could not mark the damaged event store");
    }
}

fn damage_mark(path: &Path) -> PathBuf {
    path.with_extension("db.damaged")
}

fn set_aside(path: &Path) -> io::Result<PathBuf> {
    let now = Timestamp::from_system(SystemTime::now());
    let target = path.with_extension(format!("damaged-{}.db", now.0));
    std::fs::rename(path, &target)?;
    for side in SIDES {
        let file = beside(path, side);
        if file.exists() {
            std::fs::rename(file, beside(&target, side))?;
        }
    }
    match std::fs::remove_file(damage_mark(path)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(target),
    }
}

fn try_open(path: &Path, durability: Durability) -> Result<Connection, Unopened> {
    let length = length(path).map_err(|e| Unopened::Otherwise(format!("could not open the file: {e}")))?;
    if length == 0 {
        let new = new_database()?;
        make(path, &new).map_err(|e| Unopened::Otherwise(format!("could not make the file: {e}")))?;
    }
    let mut connection = Connection::open(path)?;
    configure(&connection, durability)?;
    migrate(&mut connection)?;
    Ok(connection)
}

/// Bytes of the database, 0 when there is none. Who may read it is mended, and its log of changes likewise: SQLite makes
/// that with the rights of the database, but leaves one that is there as it is.
fn length(path: &Path) -> io::Result<u64> {
    let length = |path: &Path| match private::open(path, OpenOptions::new().append(true)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok::<_, io::Error>(0),
        opened => Ok(opened?.metadata()?.len()),
    };
    length(&beside(path, "wal"))?;
    length(path)
}

/// Puts a database where there is none: whole or not at all.
fn make(path: &Path, content: &[u8]) -> io::Result<()> {
    // What another database left there would be taken for changes of this one.
    for side in SIDES {
        match std::fs::remove_file(beside(path, side)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    private::replace(path, content)
}

/// A file that SQLite keeps beside a database.
fn beside(path: &Path, side: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!("-{side}"));
    name.into()
}

/// A database without events, as the bytes of its file. Made in memory, it costs one write; [`sync`] is still due.
fn new_database() -> Result<Vec<u8>, Unopened> {
    let mut memory = Connection::open_in_memory()?;
    memory.pragma_update(None, "page_size", PAGE_BYTES)?;
    memory.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    migrate(&mut memory)?;
    memory.execute("INSERT INTO meta (name, value) VALUES ('unsynced', 0)", [])?;
    let mut file = memory.serialize("main")?.to_vec();
    file[LOG_VERSIONS].fill(2);
    Ok(file)
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

/// Opens a second connection that can only read.
pub(super) fn open_reader(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(std::time::Duration::from_secs(5))?;
    connection.pragma_update(None, "cache_size", -4 * 1024)?; // KiB
    Ok(connection)
}

fn migrate(connection: &mut Connection) -> Result<(), Unopened> {
    let version: usize = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
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
    let change = connection.transaction()?;
    for step in &MIGRATIONS[version..] {
        change.execute_batch(step)?;
    }
    change.pragma_update(None, "user_version", MIGRATIONS.len())?;
    change.commit()?;
    Ok(())
}

/// Identity of this database, made with it.
pub(super) fn epoch(connection: &Connection) -> rusqlite::Result<String> {
    connection.query_row("SELECT value FROM meta WHERE name = 'epoch'", [], |row| row.get(0))
}
