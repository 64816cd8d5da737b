//! A log on disk that never outgrows its limits: when a file is full, it gets a number behind its name, and
//! the oldest one goes; and logs of ports that nobody serves any more go when they are many.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use client::{Lock, Supervision, runfiles};
use protocol::paths::Home;

/// How much log is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogLimits {
    /// The most bytes of one file.
    pub file_bytes_max: u64,
    /// The most files, the one being written among them.
    pub files_max: usize,
}

/// A log that is being written, for this user only.
#[derive(Debug)]
pub struct LogFile {
    path: PathBuf,
    limits: LogLimits,
    file: File,
    written: u64,
    in_line: bool,
}

impl LogFile {
    /// Opens the log and goes on where it ends; its folder is made when missing. Files that are too many by
    /// these limits go.
    ///
    /// # Errors
    /// When the folder or the file cannot be made.
    pub fn open(path: &Path, limits: LogLimits) -> io::Result<Self> {
        if let Some(folder) = path.parent() {
            private::make(folder)?;
        }
        let mut number = limits.files_max.max(1);
        while fs::remove_file(part(path, number)).is_ok() {
            number += 1;
        }
        let file = open(path)?;
        let written = file.metadata()?.len();
        Ok(Self { path: path.to_owned(), limits, file, written, in_line: false })
    }

    /// The file being written.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Starts a new file.
    fn rotate(&mut self) -> io::Result<()> {
        for number in (1..self.limits.files_max).rev() {
            let older = part(&self.path, number);
            match fs::rename(part(&self.path, number - 1), older) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        if self.limits.files_max <= 1 {
            self.file.set_len(0)?;
        } else {
            self.file = open(&self.path)?;
        }
        self.written = 0;
        Ok(())
    }
}

impl Write for LogFile {
    /// Writes to one file; a line is not spread over two unless it is longer than one.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = usize::try_from(self.limits.file_bytes_max.saturating_sub(self.written));
        let room = room.unwrap_or(usize::MAX);
        if bytes.len() > room && self.written > 0 {
            let end_of_line = bytes[..room].iter().position(|byte| *byte == b'\n').filter(|_| self.in_line);
            let rest = end_of_line.map_or(0, |at| at + 1);
            self.file.write_all(&bytes[..rest])?;
            self.rotate()?;
            self.in_line = false;
            if rest > 0 {
                return Ok(rest);
            }
        }
        let most = usize::try_from(self.limits.file_bytes_max).unwrap_or(usize::MAX);
        let written = self.file.write(&bytes[..bytes.len().min(most)])?;
        self.written += written as u64;
        self.in_line = bytes[..written].last().is_some_and(|byte| *byte != b'\n');
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// How many ports' logs are kept, the one that is opened among them; those of monitors that run are kept in any case.
const PORTS_KEPT: usize = 10;

/// Opens the log of a server on a port in its user's home. Logs of other ports go when there are too many of them, those
/// that were written longest ago first.
///
/// # Errors
/// As [`LogFile::open`].
pub(crate) fn open_of_port(home: &Home, port: u16, limits: LogLimits) -> io::Result<LogFile> {
    let path = home.log(port);
    runfiles::make_folders(home)?;
    let log = LogFile::open(&path, limits)?;
    let mut others = other_ports(&path, home);
    others.sort();
    others.reverse();
    // A server that has moved writes on where it began.
    let supervised: Vec<_> = Supervision::list(home).into_iter().map(|(_, record)| record.log).collect();
    let is_written = |port| Lock::is_held(home, port) || supervised.contains(&home.log(port));
    for (_, other) in others.into_iter().skip(PORTS_KEPT - 1).filter(|(_, other)| !is_written(*other)) {
        for part in log_parts(&home.log(other)) {
            // Whoever removed it before us, or keeps it from us, will be there the next time.
            let _ = fs::remove_file(part);
        }
    }
    Ok(log)
}

/// The ports that have a log beside this one, and when each was written.
fn other_ports(path: &Path, home: &Home) -> Vec<(SystemTime, u16)> {
    let Some(Ok(entries)) = path.parent().map(fs::read_dir) else { return Vec::new() };
    let port = |path: &Path| {
        let name = path.file_name()?.to_str()?;
        let port: u16 = name.strip_prefix("monitor-")?.strip_suffix(".log")?.parse().ok()?;
        Some((fs::metadata(home.log(port)).ok()?.modified().ok()?, port))
    };
    let others = entries.filter_map(Result::ok).map(|entry| entry.path()).filter(|other| other != path);
    others.filter_map(|other| port(&other)).collect()
}

/// The files of a log that exist, the oldest first.
pub fn log_parts(path: &Path) -> Vec<PathBuf> {
    let numbered = (1..).map(|number| part(path, number)).take_while(|part| part.exists());
    let mut parts: Vec<_> = numbered.collect();
    parts.reverse();
    parts.extend(path.exists().then(|| path.to_owned()));
    parts
}

/// `NAME.number`; 0 is the one being written.
fn part(path: &Path, number: usize) -> PathBuf {
    if number == 0 {
        return path.to_owned();
    }
    let mut name = OsString::from(path);
    name.push(format!(".{number}"));
    name.into()
}

fn open(path: &Path) -> io::Result<File> {
    private::open(path, OpenOptions::new().create(true).append(true))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: LogLimits = LogLimits { file_bytes_max: 20, files_max: 3 };

    fn texts(path: &Path) -> Vec<String> {
        log_parts(path).iter().map(|part| fs::read_to_string(part).unwrap()).collect()
    }

    #[test]
    fn the_newest_lines_are_kept_whole_and_under_the_limits() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("logs/monitor.log");
        let mut log = LogFile::open(&path, SMALL).unwrap();
        for number in 1..=9 {
            writeln!(log, "line {number}..").unwrap();
        }
        assert_eq!(texts(&path), ["line 5..\nline 6..\n", "line 7..\nline 8..\n", "line 9..\n"]);
        drop(log);
        let mut log = LogFile::open(&path, SMALL).unwrap();
        writeln!(log, "after a restart").unwrap();
        assert_eq!(texts(&path), ["line 7..\nline 8..\n", "line 9..\n", "after a restart\n"]);
        drop(log);
        LogFile::open(&path, LogLimits { files_max: 1, ..SMALL }).unwrap();
        assert_eq!(texts(&path), ["after a restart\n"], "fewer files from now on");
    }

    #[test]
    fn a_line_that_comes_in_pieces_stays_in_one_file_and_one_that_is_too_long_is_cut() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("monitor.log");
        let mut log = LogFile::open(&path, SMALL).unwrap();
        log.write_all(b"one two").unwrap();
        log.write_all(b" three\nfour and five\n").unwrap();
        assert_eq!(texts(&path), ["one two three\n", "four and five\n"]);
        log.write_all(&[b'x'; 45]).unwrap();
        assert!(texts(&path).iter().all(|text| text.len() <= 20), "{:?}", texts(&path));
        assert_eq!(log_parts(&path).len(), 3);
    }

    #[test]
    fn one_file_is_emptied_when_it_is_full() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("monitor.log");
        let mut log = LogFile::open(&path, LogLimits { file_bytes_max: 10, files_max: 1 }).unwrap();
        for number in 1..=3 {
            writeln!(log, "line {number}").unwrap();
        }
        assert_eq!(texts(&path), ["line 3\n"]);
    }

    #[test]
    fn logs_of_ports_that_nobody_serves_any_more_are_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path());
        let served = Lock::take_within(&home, 9000, std::time::Duration::ZERO).unwrap().unwrap();
        for port in 9000..9020 {
            let mut log = open_of_port(&home, port, SMALL).unwrap();
            log.write_all(&[b'x'; 45]).unwrap();
            // Files of one moment would have no order.
            let at = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(port.into());
            File::options().append(true).open(home.log(port)).unwrap().set_modified(at).unwrap();
        }
        let kept: Vec<_> = (9000..9020).filter(|port| !log_parts(&home.log(*port)).is_empty()).collect();
        assert_eq!(kept.first(), Some(&9000), "its monitor runs");
        assert_eq!(kept[1..], (9010..9020).collect::<Vec<_>>(), "the newest");
        assert_eq!(fs::read_dir(home.log(9000).parent().unwrap()).unwrap().count(), 3 * kept.len());
        drop(served);
    }

    #[cfg(unix)]
    #[test]
    fn only_this_user_can_read_a_log() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("logs/monitor.log");
        let mut log = LogFile::open(&path, SMALL).unwrap();
        log.write_all(&[b'x'; 45]).unwrap();
        for part in log_parts(&path) {
            assert_eq!(fs::metadata(part).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }
}
