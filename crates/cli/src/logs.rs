//! `logs`: the end of a server's log, and what is added to it, across its rotation.

use std::fs::{self, File};
use std::io::{self, BufReader, ErrorKind, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use client::Supervision;
use host::{Flags, Settings, log_parts};

use crate::Exit;
use crate::args::Logs;
use crate::context::Context;

/// What is read of a file at most, from its end: far more lines than anybody looks at, whatever the log may grow to.
const READ_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// How often a follower looks for more.
const POLL: Duration = Duration::from_millis(100);

pub(crate) fn run(logs: &Logs, context: &mut Context<'_, '_>) -> anyhow::Result<Exit> {
    let settings = context.settings(&Flags { port: logs.port, ..Flags::default() })?;
    let port = logs.port.unwrap_or(the_only_one(settings.config.port, context)?);
    let path = path(port, &settings, context)?;
    let parts = log_parts(&path);
    if parts.is_empty() && !logs.follow {
        let way_out =
            "a server in the background logs there; one in a terminal does with \"log_to_file\": true";
        context.terminal.error(format_args!("there is no log {}", path.display()), Some(way_out));
        return Ok(Exit::Failed);
    }
    // Opened before the older parts are read, so that nothing falls between them and it.
    let failed = || format!("could not read the log {}", path.display());
    let mut follower = Follower::new(&path).with_context(failed)?;
    let older = parts.into_iter().filter(|part| *part != path).collect::<Vec<_>>();
    for line in last_lines(&older, &mut follower, logs.lines).with_context(failed)? {
        context.terminal.say(line);
    }
    while logs.follow && context.terminal.is_read() {
        follower.copy(context).with_context(failed)?;
        std::thread::sleep(POLL);
    }
    Ok(Exit::Done)
}

/// Where the server of a port logs, or would.
fn path(port: u16, settings: &Settings, context: &Context<'_, '_>) -> anyhow::Result<PathBuf> {
    let running = context.living()?.into_iter().find(|runfile| runfile.port == port);
    if running.is_some_and(|runfile| runfile.is_in_desktop_app()) {
        return Ok(context.home.desktop_log());
    }
    // A server that has moved writes on where it began.
    let supervised = Supervision::read(&context.home, port).map(|record| record.log);
    Ok(supervised.unwrap_or_else(|| settings.log_path(&context.home, port)))
}

/// The configured port; when no monitor runs there and just one runs elsewhere, that one's.
fn the_only_one(configured: u16, context: &Context<'_, '_>) -> anyhow::Result<u16> {
    let living = context.living()?;
    Ok(match living.as_slice() {
        [only] => only.port,
        _ => configured,
    })
}

/// The last lines of a log, the oldest first. Reads older parts only when the newest one has too few.
fn last_lines(older: &[PathBuf], newest: &mut Follower, count: usize) -> io::Result<Vec<String>> {
    let mut last = newest.rest()?;
    for part in older.iter().rev() {
        if last.len() >= count {
            break;
        }
        let mut bytes = Vec::new();
        open(part)?.take(READ_BYTES_MAX).read_to_end(&mut bytes)?;
        let mut lines: Vec<_> = String::from_utf8_lossy(&bytes).lines().map(str::to_owned).collect();
        lines.append(&mut last);
        last = lines;
    }
    Ok(last.split_off(last.len().saturating_sub(count)))
}

/// Opens a part of a log at its end, no further before it than is read. Its folder may be one where others write.
fn open(path: &Path) -> io::Result<File> {
    let mut file = private::peek(path)?;
    let unread = file.metadata()?.len().saturating_sub(READ_BYTES_MAX);
    file.seek(SeekFrom::Start(unread))?;
    Ok(file)
}

/// Reads a file that is being written, and goes on with its successor when it was rotated away.
struct Follower {
    path: PathBuf,
    file: Option<BufReader<File>>,
    /// A line whose end is not written yet.
    open_line: Vec<u8>,
}

impl Follower {
    fn new(path: &Path) -> io::Result<Self> {
        let file = match open(path) {
            Ok(file) => Some(BufReader::new(file)),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        Ok(Self { path: path.to_owned(), file, open_line: Vec::new() })
    }

    /// The whole lines that were not read yet.
    fn rest(&mut self) -> io::Result<Vec<String>> {
        let Some(file) = &mut self.file else { return Ok(Vec::new()) };
        let mut bytes = std::mem::take(&mut self.open_line);
        file.take(READ_BYTES_MAX).read_to_end(&mut bytes)?;
        let end = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        self.open_line = bytes.split_off(end);
        Ok(String::from_utf8_lossy(&bytes).lines().map(str::to_owned).collect())
    }

    /// Prints what is new, in the files that came after this one too.
    fn copy(&mut self, context: &mut Context<'_, '_>) -> io::Result<()> {
        let successors = self.successors()?;
        for line in self.rest()? {
            context.terminal.say(line);
        }
        for successor in successors {
            if !self.open_line.is_empty() {
                context.terminal.say(String::from_utf8_lossy(&std::mem::take(&mut self.open_line)));
            }
            // Rotated away again meanwhile.
            self.file = open(&successor).ok().map(BufReader::new);
            for line in self.rest()? {
                context.terminal.say(line);
            }
        }
        Ok(())
    }

    /// The files that are newer than the open one, the oldest first; all of them when it is gone.
    fn successors(&self) -> io::Result<Vec<PathBuf>> {
        let mut parts = log_parts(&self.path);
        let Some(file) = &self.file else { return Ok(parts) };
        let open = file.get_ref().metadata()?;
        for at in (0..parts.len()).rev() {
            if fs::metadata(&parts[at]).is_ok_and(|named| is_same(&open, &named)) {
                return Ok(parts.split_off(at + 1));
            }
        }
        Ok(parts)
    }
}

#[cfg(unix)]
fn is_same(open: &fs::Metadata, named: &fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    (open.dev(), open.ino()) == (named.dev(), named.ino())
}

/// A system without inodes tells files apart by when they were made.
#[cfg(not(unix))]
fn is_same(open: &fs::Metadata, named: &fs::Metadata) -> bool {
    open.created().ok() == named.created().ok()
}
