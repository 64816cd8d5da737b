//! The database file: how it is opened, its tables, and how an older one becomes a current one.

use std::path::Path;

use rusqlite::{Connection, OpenFlags, OptionalExtension};
use uuid::Uuid;

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
    // read. Those known before have version 0, which is none: they are computed anew.
    "ALTER TABLE sessions RENAME TO sessions_1;
     DROP INDEX sessions_last;
     CREATE TABLE sessions (
         session_id TEXT PRIMARY KEY,
         last_seq INTEGER NOT NULL,
         read_seq INTEGER NOT NULL,
         version INTEGER NOT NULL,
         view TEXT NOT NULL,
         state TEXT NOT NULL
     );
     INSERT INTO sessions SELECT session_id, last_seq, 0, 0, '', '' FROM sessions_1;
     DROP TABLE sessions_1;
     CREATE INDEX sessions_last ON sessions (last_seq);",
];

/// Rows and payloads of about a kilobyte fit a page of this size with little waste.
const PAGE_BYTES: u32 = 8192;

/// Opens the database for its writer, making and migrating it as needed. The error is a sentence.
pub(super) fn open(path: &Path, durability: Durability) -> Result<Connection, String> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        super::private_folder(folder).map_err(|e| format!("could not make its folder: {e}"))?;
    }
    create_private(path).map_err(|e| format!("could not make the file: {e}"))?;
    let mut connection = Connection::open(path).map_err(|e| e.to_string())?;
    configure(&connection, durability).map_err(|e| e.to_string())?;
    migrate(&mut connection)?;
    Ok(connection)
}

/// SQLite would make the file readable for everybody whom the umask lets in.
fn create_private(path: &Path) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(drop)
}

fn configure(connection: &Connection, durability: Durability) -> rusqlite::Result<()> {
    connection.pragma_update(None, "page_size", PAGE_BYTES)?;
    connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    let synchronous = match durability {
        Durability::Crash => "NORMAL",
        Durability::Power => "FULL",
    };
    connection.pragma_update(None, "synchronous", synchronous)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.pragma_update(None, "cache_size", -8 * 1024)?; // KiB
    connection.pragma_update(None, "wal_autocheckpoint", 2000)?; // pages: 16 MiB
    connection.pragma_update(None, "journal_size_limit", 64 * 1024 * 1024)?; // bytes
    connection.busy_timeout(std::time::Duration::from_secs(5))?;
    connection.set_prepared_statement_cache_capacity(32);
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

fn migrate(connection: &mut Connection) -> Result<(), String> {
    let version: usize =
        connection.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(|e| e.to_string())?;
    if version > MIGRATIONS.len() {
        let known = MIGRATIONS.len();
        return Err(format!(
            "it has schema version {version} but this version knows only {known}; install a newer monitor or \
             move the file away"
        ));
    }
    for (done, step) in MIGRATIONS.iter().enumerate().skip(version) {
        let migrate = || -> rusqlite::Result<()> {
            let change = connection.transaction()?;
            change.execute_batch(step)?;
            change.pragma_update(None, "user_version", done + 1)?;
            change.commit()
        };
        let mut migrate = migrate;
        migrate().map_err(|e| format!("could not bring it to schema version {}: {e}", done + 1))?;
    }
    Ok(())
}

/// Identity of this database, made with it.
pub(super) fn epoch(connection: &Connection) -> rusqlite::Result<String> {
    let known = connection
        .query_row("SELECT value FROM meta WHERE name = 'epoch'", [], |row| row.get(0))
        .optional()?;
    if let Some(epoch) = known {
        return Ok(epoch);
    }
    let epoch = Uuid::now_v7().simple().to_string();
    connection.execute("INSERT INTO meta (name, value) VALUES ('epoch', ?1)", [&epoch])?;
    Ok(epoch)
}
