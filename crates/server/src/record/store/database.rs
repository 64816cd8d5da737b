//! The writer's connection with everything that goes with it, kept in its place: when its files vanish, it is put back
//! there with all that was in it, and opened anew.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use protocol::Seq;
use rusqlite::Connection;
use rusqlite::config::DbConfig;

use super::checkpoint::Checkpoints;
use super::condition::Condition;
use super::content::Content;
use super::place::Place;
use super::read::Readers;
use super::{StoreError, files, schema};
use crate::claim::Claim;
use crate::config::{Config, Durability};

/// How long a database that could not be put back is left alone: each try copies all of it.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// The database as the writer has it open.
pub(super) struct Database {
    pub connection: Connection,
    checkpoints: Checkpoints,
    path: PathBuf,
    durability: Durability,
    place: Place,
    content: Arc<Content>,
    claim: Claim,
    readers: Arc<Readers>,
    condition: Arc<Condition>,
    displaced: Option<Displaced>,
}

/// Why the files are not in their place, and when that is to be tried again.
struct Displaced {
    why: StoreError,
    retry_at: Instant,
}

impl Database {
    /// Of a connection that has read already.
    pub(super) fn new(
        mut connection: Connection,
        config: &Config,
        readers: Arc<Readers>,
        condition: Arc<Condition>,
    ) -> rusqlite::Result<Self> {
        let content = Arc::new(Content::of(&config.database));
        let checkpoints = Checkpoints::start(&mut connection, &config.database, &content)?;
        Ok(Self {
            connection,
            checkpoints,
            path: config.database.clone(),
            durability: config.durability,
            place: Place::of(&config.database),
            content,
            claim: config.claim.clone(),
            readers,
            condition,
            displaced: None,
        })
    }

    /// Whether events can be written to it: its files were neither gone at the last look, without coming back, nor
    /// written into since.
    pub(super) fn take_events(&mut self, newest: Seq) -> Result<(), StoreError> {
        if self.displaced.is_none() && self.content.is_ours() { Ok(()) } else { self.stay_in_place(newest) }
    }

    /// Sees to it that what was just committed is where it is looked for, before it is acknowledged.
    pub(super) fn keep_events(&mut self, newest: Seq) -> Result<(), StoreError> {
        if self.place.keeps_events() && self.content.is_ours() { Ok(()) } else { self.stay_in_place(newest) }
    }

    /// Sees to it that a new database is on the disk.
    pub(super) fn sync(&self) -> rusqlite::Result<()> {
        self.content.write(|| schema::sync(&self.connection)).unwrap_or_else(|| {
            let busy = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_BUSY);
            Err(rusqlite::Error::SqliteFailure(busy, Some("another program writes into its file".to_owned())))
        })
    }

    /// Sees to it that all files are in their place, with what we wrote into them up to the newest event.
    pub(super) fn stay_in_place(&mut self, newest: Seq) -> Result<(), StoreError> {
        if self.place.is_kept() && self.content.is_ours() {
            self.displaced = None;
            return Ok(());
        }
        let now = Instant::now();
        if let Some(Displaced { why, retry_at }) = &self.displaced
            && now < *retry_at
        {
            return Err(why.clone());
        }
        let returned = if self.place.keeps_database() && !self.content.is_ours() {
            self.look_into_content(newest)
        } else {
            self.return_to_place().map_err(StoreError::Displaced)
        };
        self.displaced =
            returned.as_ref().err().map(|why| Displaced { why: why.clone(), retry_at: now + RETRY_AFTER });
        returned.inspect_err(|error| {
            tracing::error!("{error}");
            self.condition.fails(error.to_string());
        })
    }

    /// Finds out whether what somebody wrote into the file left it whole, as a tool that goes by SQLite's rules does.
    fn look_into_content(&self, newest: Seq) -> Result<(), StoreError> {
        tracing::warn!(path = %self.path.display(), "another program wrote into the event store; checking it");
        // Neither this connection nor those that read would look at what they have in memory. The log of an empty file would
        // be removed by whoever opens that.
        self.readers.renew();
        let is_whole = || self.readers.with(|reader| Ok(schema::is_whole(reader, newest)?));
        if self.place.keeps_events() && !self.content.is_gone() && matches!(is_whole(), Ok(true)) {
            self.content.accept();
            return Ok(());
        }
        files::mark_damaged(&self.path);
        Err(StoreError::Overwritten)
    }

    fn return_to_place(&mut self) -> Result<(), String> {
        tracing::error!(path = %self.path.display(), "the files of the event store are gone; putting them back");
        let aside = self.place.restore(&self.connection, &self.claim)?;
        let mut connection = schema::connect(&self.path, self.durability).map_err(|e| e.to_string())?;
        let content = Arc::new(Content::of(&self.path));
        let checkpoints =
            Checkpoints::start(&mut connection, &self.path, &content).map_err(|e| e.to_string())?;
        let mut old = std::mem::replace(&mut self.connection, connection);
        std::mem::replace(&mut self.checkpoints, checkpoints).end(&mut old);
        self.readers.renew();
        self.place = Place::of(&self.path);
        self.content = content;
        let path = self.path.display();
        let notice = match aside {
            None => {
                format!("its files were removed while it was in use; all that was in them is back in {path}")
            }
            Some(aside) => format!(
                "its files were replaced while it was in use; all that was in them is back in {path}, and what \
                 stood there is {}",
                aside.display()
            ),
        };
        tracing::warn!("the event store: {notice}");
        self.condition.note(format!("{notice}; stop the monitor before you remove or restore them"));
        Ok(())
    }

    /// Notes that damage was found in it; the next start sets it aside.
    pub(super) fn mark_damaged(&self) {
        files::mark_damaged(&self.path);
    }

    /// Closes it, in its place.
    pub(super) fn close(mut self, newest: Seq) {
        // Why not, if so, is logged.
        self.displaced = None;
        if matches!(self.stay_in_place(newest), Err(StoreError::Overwritten)) {
            // What is set aside stays as it was left.
            let _ = self.connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true);
        }
        self.checkpoints.end(&mut self.connection);
        if let Err((_, error)) = self.connection.close() {
            tracing::warn!(%error, "could not close the event store");
        }
    }
}
