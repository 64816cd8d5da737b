//! Copies SQLite's log of changes into the database file, most of it in a thread of its own: the writer then hardly
//! waits for the disk.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use rusqlite::Connection;
use rusqlite::hooks::Wal;

use super::content::Content;
use super::schema;

/// Copied whenever the log has grown by so many pages (8 MiB): the later, the fewer times a page is copied.
const COPY_PAGES: i32 = 1024;

/// A log of so many pages (32 MiB) starts over: the later, the more is to read after a crash. Only who writes can see
/// to that; what is left to copy then is little.
const START_OVER_PAGES: i32 = 4096;

/// The thread, for as long as the writer's connection has its hook.
pub(super) struct Checkpoints {
    thread: JoinHandle<()>,
}

impl Checkpoints {
    /// Takes over from SQLite, which copies when a commit makes the log too long, and lets the commit wait.
    pub(super) fn start(
        writer: &mut Connection,
        database: &Path,
        content: &Arc<Content>,
    ) -> rusqlite::Result<Self> {
        let (wake, awake) = sync_channel(1);
        let (path, written) = (database.to_owned(), content.clone());
        let thread = std::thread::spawn(move || copy(&path, &awake, &written));
        writer.wal_hook(Some(hook(wake, content.clone())))?;
        Ok(Self { thread })
    }

    /// Ends the thread, so that the writer's connection is the last to leave and tidies up.
    pub(super) fn end(self, writer: &mut Connection) {
        let unhooked = writer.wal_hook(None::<fn(&mut Wal, i32) -> rusqlite::Result<()>>);
        if unhooked.is_err() || self.thread.join().is_err() {
            tracing::warn!("could not end the thread that copies the log of changes");
        }
    }
}

/// Called after each commit with the length of the log. The commit is done: nothing here may make it fail. Only one can
/// copy at a time.
fn hook(wake: SyncSender<()>, content: Arc<Content>) -> impl FnMut(&mut Wal, i32) -> rusqlite::Result<()> {
    let mut copied = 0;
    move |wal, pages| {
        if pages < copied {
            copied = 0;
        }
        if pages >= START_OVER_PAGES
            && let Some(done) = content.write_at_once(|| wal.checkpoint())
        {
            if let Err(error) = done {
                tracing::warn!(%error, "could not copy the log of changes into the event store");
            }
        } else if pages - copied >= COPY_PAGES {
            copied = pages;
            // If it is awake already, it goes on to this.
            let _ = wake.try_send(());
        }
        Ok(())
    }
}

fn copy(database: &Path, awake: &Receiver<()>, content: &Content) {
    let mut connection = None;
    while awake.recv().is_ok() {
        if let Some(Err(error)) = content.write(|| copy_once(&mut connection, database)) {
            tracing::warn!(%error, "could not copy the log of changes into the event store");
        }
    }
}

/// The connection is opened when it is first needed: a start has no time for it.
fn copy_once(connection: &mut Option<Connection>, database: &Path) -> rusqlite::Result<()> {
    let connection = match connection {
        Some(connection) => connection,
        None => connection.insert(schema::open_beside(database)?),
    };
    connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))
}
