//! Reads what was added to a file since the last look, line by line, never the whole file at once. A file that was
//! replaced or cut short is read from its beginning.

use std::fs::Metadata;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// The longest line that is read; a longer one (a picture, a snapshot of files) is passed over.
const LINE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// What one look reads at most, so that a file of gigabytes does not hold up the others.
pub(super) const LOOK_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// One file and how far it was read.
#[derive(Debug)]
pub(super) struct Tail {
    path: PathBuf,
    /// Everything before this was read; it is the beginning of a line, or within one that is too long.
    offset: u64,
    identity: Option<u64>,
    /// Whether the rest of a line that is too long comes next.
    is_skipping: bool,
}

impl Tail {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, offset: 0, identity: None, is_skipping: false }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Gives each whole new line to `each`. Returns whether there is more to read at once.
    pub(super) fn look(&mut self, mut each: impl FnMut(&[u8])) -> io::Result<bool> {
        // Opening a pipe would wait for a writer, and everybody behind us with it.
        let mut file = private::follow(&self.path)?;
        let metadata = file.metadata()?;
        let identity = identity(&metadata);
        if self.identity.is_some_and(|known| known != identity) || metadata.len() < self.offset {
            (self.offset, self.is_skipping) = (0, false);
        }
        self.identity = Some(identity);
        if metadata.len() == self.offset {
            return Ok(false);
        }
        file.seek(SeekFrom::Start(self.offset))?;
        let end = metadata.len().min(self.offset + LOOK_BYTES_MAX);
        let mut reader = BufReader::with_capacity(64 * 1024, file);
        let mut line = Vec::new();
        while self.offset < end {
            line.clear();
            let limit = LINE_BYTES_MAX as u64 + 1;
            let length = reader.by_ref().take(limit).read_until(b'\n', &mut line)? as u64;
            let is_whole = line.last() == Some(&b'\n');
            if !is_whole && length < limit {
                // Claude Code is still writing it, or it has ended without one: next time. A part of a long line
                // is known to be of no use.
                if self.is_skipping {
                    self.offset += length;
                }
                return Ok(false);
            }
            self.offset += length;
            if is_whole && !self.is_skipping {
                each(&line[..line.len() - 1]);
            }
            self.is_skipping = !is_whole;
        }
        Ok(self.offset < metadata.len())
    }
}

/// What stays the same while a file is written, and differs when another takes its place.
#[cfg(unix)]
fn identity(metadata: &Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::ino(metadata)
}

/// Only the length tells here.
#[cfg(not(unix))]
fn identity(_: &Metadata) -> u64 {
    0
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, File};
    use std::io::Write;

    fn look(tail: &mut Tail) -> Vec<String> {
        let mut lines = Vec::new();
        while tail.look(|line| lines.push(String::from_utf8_lossy(line).chars().take(9).collect())).unwrap() {
        }
        lines
    }

    #[test]
    fn each_line_is_read_once_and_only_when_it_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.jsonl");
        let mut file = File::create(&path).unwrap();
        let mut tail = Tail::new(path.clone());
        assert!(look(&mut tail).is_empty());
        write!(file, "one\ntw").unwrap();
        assert_eq!(look(&mut tail), ["one"]);
        assert!(look(&mut tail).is_empty());
        write!(file, "o\n\nthree\n").unwrap();
        assert_eq!(look(&mut tail), ["two", "", "three"]);
        fs::write(&path, "cut\n").unwrap();
        assert_eq!(look(&mut tail), ["cut"], "cut short");
        fs::write(folder.path().join("new"), "another file\n").unwrap();
        fs::rename(folder.path().join("new"), &path).unwrap();
        assert_eq!(look(&mut tail), ["another f"], "replaced");
        fs::remove_file(&path).unwrap();
        assert!(tail.look(|_| {}).is_err());
    }

    #[test]
    fn a_line_that_is_too_long_is_passed_over_and_a_large_file_takes_several_looks() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.jsonl");
        let long = "x".repeat(2 * LINE_BYTES_MAX + 5);
        let filler = format!("{}\n", "y".repeat(999_999)).repeat(20);
        fs::write(&path, format!("before\n{long}\nafter\n{filler}{long}")).unwrap();
        let mut tail = Tail::new(path.clone());
        let mut lines = 0;
        assert!(tail.look(|_| lines += 1).unwrap(), "there is more");
        assert!(lines < 22);
        while tail.look(|_| lines += 1).unwrap() {}
        assert_eq!(lines, 22);
        let mut file = fs::OpenOptions::new().append(true).open(&path).unwrap();
        write!(file, "end\nlast\n").unwrap();
        assert_eq!(look(&mut tail), ["last"], "the end of the long line is no line");
    }

    #[test]
    fn a_file_of_gigabytes_is_read_a_piece_at_a_look() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.jsonl");
        let mut file = File::create(&path).unwrap();
        writeln!(file, "first").unwrap();
        // A hole takes no room on the disk, and is a line far too long.
        file.seek(SeekFrom::Start(2 * 1024 * 1024 * 1024)).unwrap();
        writeln!(file, "\nlast").unwrap();
        let mut tail = Tail::new(path);
        let (mut lines, mut looks) = (Vec::new(), 1);
        while tail.look(|line| lines.push(String::from_utf8_lossy(line).into_owned())).unwrap() {
            looks += 1;
            // The largest piece that was read, and a little for the line that crosses its end.
            assert!(tail.offset <= looks * (LOOK_BYTES_MAX + LINE_BYTES_MAX as u64 + 1), "{looks} looks");
        }
        assert_eq!(lines, ["first", "last"]);
        assert!(looks >= 100, "{looks} looks");
    }

    #[cfg(unix)]
    #[test]
    fn a_pipe_is_no_transcript_and_holds_nobody_up() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.jsonl");
        let made = std::process::Command::new("mkfifo").arg(&path).status().unwrap();
        assert!(made.success());
        assert!(Tail::new(path).look(|_| {}).is_err());
        assert!(Tail::new(folder.path().to_owned()).look(|_| {}).is_err());
    }
}
