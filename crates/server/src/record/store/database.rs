//! The writer's connection with everything that goes with it, kept in its place: when its files vanish, it is put back
//! there with all that was in it, and opened anew.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rusqlite::Connection;

use super::checkpoint::Checkpoints;
use super::condition::Condition;
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
    claim: Claim,
    readers: Arc<Readers>,
    condition: Arc<Condition>,
    displaced: Option<Displaced>,
}

/// Why the files are not in their place, and when that is to be tried again.
struct Displaced {
    why: String,
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
        let checkpoints = Checkpoints::start(&mut connection, &config.database)?;
        Ok(Self {
            connection,
            checkpoints,
            path: config.database.clone(),
            durability: config.durability,
            place: Place::of(&config.database),
            claim: config.claim.clone(),
            readers,
            condition,
            displaced: None,
        })
    }

    /// Whether its files were gone at the last look, and could not be put back.
    pub(super) fn is_displaced(&self) -> bool {
        self.displaced.is_some()
    }

    /// Sees to it that what was just committed is where it is looked for, before it is acknowledged.
    pub(super) fn keep_events(&mut self) -> Result<(), StoreError> {
        if self.place.keeps_events() { Ok(()) } else { self.stay_in_place() }
    }

    /// Sees to it that all files are in their place.
    pub(super) fn stay_in_place(&mut self) -> Result<(), StoreError> {
        if self.place.is_kept() {
            self.displaced = None;
            return Ok(());
        }
        let now = Instant::now();
        if let Some(Displaced { why, retry_at }) = &self.displaced
            && now < *retry_at
        {
            return Err(StoreError::Displaced(why.clone()));
        }
        let returned = self.return_to_place();
        self.displaced =
            returned.as_ref().err().map(|why| Displaced { why: why.clone(), retry_at: now + RETRY_AFTER });
        returned.map_err(|why| {
            let error = StoreError::Displaced(why);
            tracing::error!("{error}");
            self.condition.fails(error.to_string());
            error
        })
    }

    fn return_to_place(&mut self) -> Result<(), String> {
        tracing::error!(path = %self.path.display(), "the files of the event store are gone; putting them back");
        let aside = self.place.restore(&self.connection, &self.claim)?;
        let mut connection = schema::connect(&self.path, self.durability).map_err(|e| e.to_string())?;
        let checkpoints = Checkpoints::start(&mut connection, &self.path).map_err(|e| e.to_string())?;
        let mut old = std::mem::replace(&mut self.connection, connection);
        std::mem::replace(&mut self.checkpoints, checkpoints).end(&mut old);
        self.readers.renew();
        self.place = Place::of(&self.path);
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
    pub(super) fn close(mut self) {
        // Why not, if so, is logged.
        self.displaced = None;
        let _ = self.stay_in_place();
        self.checkpoints.end(&mut self.connection);
        if let Err((_, error)) = self.connection.close() {
            tracing::warn!(%error, "could not close the event store");
        }
    }
}
