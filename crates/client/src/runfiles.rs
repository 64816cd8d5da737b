//! Runfiles on disk: written whole or not at all, readable by this user only.

use std::fs;
use std::io;
use std::path::Path;

use protocol::Runfile;
use protocol::paths::Home;

use crate::Lock;

/// The runfile of a port; `None` when there is none that can be read.
pub fn read(home: &Home, port: u16) -> Option<Runfile> {
    read_file(&home.runfile(port))
}

/// Every readable runfile, by port. Stale ones too: who needs a living server asks its lock.
///
/// # Errors
/// When there is a folder of runfiles that cannot be read: then nobody knows what runs.
pub fn list(home: &Home) -> io::Result<Vec<Runfile>> {
    let entries = match fs::read_dir(home.run()) {
        Ok(entries) => entries,
        // A file may stand where our folder was: who serves without it is found by its port.
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(Vec::new());
        }
        // Why the folder above is not to be used tells more, and the way out.
        Err(error) => return Err(private::check_folder(&home.monitor()).err().unwrap_or(error)),
    };
    let paths = entries.filter_map(Result::ok).map(|entry| entry.path());
    let mut runfiles: Vec<_> = paths
        .filter(|path| path.extension().is_some_and(|e| e == "json"))
        .filter_map(|p| read_file(&p))
        .collect();
    runfiles.sort_by_key(|runfile| runfile.port);
    Ok(runfiles)
}

/// The runfiles of servers that live, by port: those whose lock is held.
///
/// # Errors
/// As [`list`].
pub fn living(home: &Home) -> io::Result<Vec<Runfile>> {
    let mut runfiles = list(home)?;
    runfiles.retain(|runfile| Lock::is_held(home, runfile.port));
    Ok(runfiles)
}

/// Puts a runfile in place of any former one of its port; readers see the old or the new one, never a half.
///
/// # Errors
/// When the folder or the file cannot be written.
pub fn write(home: &Home, runfile: &Runfile) -> io::Result<()> {
    make_folders(home)?;
    private::replace(&home.runfile(runfile.port), &serde_json::to_vec_pretty(runfile)?)
}

/// Removes the runfile of a port; that there is none is fine.
pub fn remove(home: &Home, port: u16) {
    // Whoever finds a leftover takes it for stale, because nobody holds its lock.
    let _ = fs::remove_file(home.runfile(port));
}

/// Makes the home, our folder in it, and those of runfiles and logs, for this user only; closes those that are there
/// to others.
///
/// # Errors
/// When a folder cannot be made, or others left it there.
pub fn make_folders(home: &Home) -> io::Result<()> {
    private::folders(home.folder(), &[&home.monitor(), &home.run(), &home.logs()])
}

/// Knows whether the server of a runfile has its port at the addresses that it noted: as long as its runfile lies there and its lock is held. It takes
/// the runfile away before it gives up the port, and a crash frees the lock.
#[derive(Clone, Debug)]
pub(crate) struct Proof {
    home: Home,
    port: u16,
    server_id: String,
}

impl Proof {
    pub(crate) fn new(home: &Home, runfile: &Runfile) -> Self {
        Self { home: home.clone(), port: runfile.port, server_id: runfile.server_id.clone() }
    }

    pub(crate) fn home(&self) -> &Home {
        &self.home
    }

    pub(crate) fn holds(&self) -> bool {
        // Of an older server that may listen nowhere else than where others may, nothing is known.
        let is_same = |runfile: Runfile| runfile.server_id == self.server_id && runfile.is_reachable();
        Lock::is_held(&self.home, self.port) && read(&self.home, self.port).is_some_and(is_same)
    }
}

fn read_file(path: &Path) -> Option<Runfile> {
    serde_json::from_slice(&private::read(path).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::Timestamp;

    fn runfile(port: u16) -> Runfile {
        Runfile {
            pid: 1,
            process_started_at: Timestamp(1),
            process_start_ticks: None,
            version: "0.1.0".to_owned(),
            host: "localhost".to_owned(),
            port,
            addresses: Vec::new(),
            server_id: "monitor-1".to_owned(),
            control_token: "secret".to_owned(),
            project: None,
            mode: "background".to_owned(),
            access: Default::default(),
        }
    }

    #[test]
    fn a_runfile_is_read_as_it_was_written_and_listed_by_port() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path());
        assert_eq!(list(&home).unwrap(), [], "no folder, no runfile");
        write(&home, &runfile(9001)).unwrap();
        write(&home, &runfile(9000)).unwrap();
        fs::write(home.run().join("9002.json"), "half a runf").unwrap();
        assert_eq!(read(&home, 9001), Some(runfile(9001)));
        assert_eq!(read(&home, 9002), None, "what cannot be read is no runfile");
        assert_eq!(list(&home).unwrap(), [runfile(9000), runfile(9001)]);
        remove(&home, 9001);
        remove(&home, 9001);
        assert_eq!(list(&home).unwrap(), [runfile(9000)]);
    }

    #[cfg(unix)]
    #[test]
    fn only_this_user_can_read_a_runfile() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path().join("home"));
        write(&home, &runfile(9000)).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&home.runfile(9000)), 0o600);
        assert_eq!(mode(&home.monitor()), 0o700);
        assert_eq!(mode(&home.run()), 0o700);
    }
}
