//! Keeps an event on disk until a server takes it. What cannot be kept is counted.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use protocol::paths::Home;
use protocol::spool::{BLOCKS_MAX, LOST_BYTES, REFUSED, USAGE, blocks, file_name, lost, unfinished_name};

use crate::delivery::Delivery;

/// How long other hooks that count a loss at the same moment are waited for; each needs microseconds.
const LOCK_LIMIT: Duration = Duration::from_millis(50);

/// The pause between two looks at whether they have done so.
const LOCK_POLL: Duration = Duration::from_millis(1);

/// Writes the event into the spool, or counts it as lost: there, or else beside it. Nothing is left to do when that
/// fails as well, or when another user could read along.
pub fn keep(home: &Home, delivery: &Delivery) {
    let spool = home.spool();
    outlive_limits();
    let kept = private::folders(home.folder(), &[&home.monitor(), &spool])
        .and_then(|()| keep_within(BLOCKS_MAX, &spool, delivery));
    if kept.is_err() {
        let _ = private::folders(home.folder(), &[&home.monitor()]).and_then(|()| count_lost(&lost(&spool)));
    }
}

/// Where no file may grow (`ulimit -f`), writing becomes an error instead of the end of this process.
fn outlive_limits() {
    #[cfg(unix)]
    // Without it, the hook would end as it did before.
    let _ = signal_hook::flag::register(rustix::process::Signal::XFSZ.as_raw(), std::sync::Arc::default());
}

/// An error means that the event is neither kept nor counted.
fn keep_within(blocks_max: u64, folder: &Path, delivery: &Delivery) -> io::Result<()> {
    let kept = reserve(blocks_max, folder, delivery).and_then(|()| write(folder, delivery));
    kept.or_else(|_| open_counter(folder, REFUSED)?.write_all(b"."))
}

/// Cuts a byte off the file that is shorter for each event that is lost.
fn count_lost(path: &Path) -> io::Result<()> {
    let open = || private::open(path, OpenOptions::new().write(true));
    let file = open().or_else(|error| match error.kind() {
        // Of two hooks that make it at once, the second takes that of the first.
        io::ErrorKind::NotFound => {
            let _ = private::create_zeros(path, LOST_BYTES);
            open()
        }
        _ => Err(error),
    })?;
    let started = Instant::now();
    while matches!(file.try_lock(), Err(TryLockError::WouldBlock)) && started.elapsed() < LOCK_LIMIT {
        thread::sleep(LOCK_POLL);
    }
    file.set_len(file.metadata()?.len().saturating_sub(1))
}

/// Claims the event's blocks by appending a byte for each. Appending needs no lock and looking at the length
/// no listing, so an event costs the same however full the spool is; hooks that run at the same moment may
/// pass the limit by an event each.
fn reserve(blocks_max: u64, folder: &Path, delivery: &Delivery) -> io::Result<()> {
    let mut usage = open_counter(folder, USAGE)?;
    let wanted = blocks(delivery.length() as u64);
    if usage.metadata()?.len() + wanted > blocks_max {
        return Err(io::ErrorKind::QuotaExceeded.into());
    }
    usage.write_all(&vec![b'.'; wanted as usize])
}

/// A file with the event's name is always a whole event.
fn write(folder: &Path, delivery: &Delivery) -> io::Result<()> {
    let name = file_name(delivery.occurred_at, delivery.id);
    let unfinished = folder.join(unfinished_name(&name));
    let written =
        write_parts(&unfinished, delivery).and_then(|()| fs::rename(&unfinished, folder.join(&name)));
    if written.is_err() {
        let _ = fs::remove_file(&unfinished);
    }
    written
}

fn write_parts(path: &Path, delivery: &Delivery) -> io::Result<()> {
    let mut file = private::open(path, OpenOptions::new().write(true).create_new(true))?;
    delivery.parts().iter().try_for_each(|part| file.write_all(part))
}

/// A file whose length is a count.
fn open_counter(folder: &Path, name: &str) -> io::Result<File> {
    private::open(&folder.join(name), OpenOptions::new().append(true).create(true))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use protocol::spool::{BLOCK_BYTES, parse_file_name};

    use super::*;
    use crate::caller::Called;
    use crate::payload::Facts;
    use crate::stdin::Input;

    fn delivery(bytes: usize, at_ms: u64) -> Delivery {
        let input = Input::Json { bytes: vec![b'1'; bytes], facts: Facts { cwd: None } };
        Delivery::new(input, &Called::default(), UNIX_EPOCH + Duration::from_millis(at_ms))
    }

    fn events(folder: &Path) -> Vec<String> {
        let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
        let mut names: Vec<String> = names.map(|name| name.into_string().unwrap()).collect();
        names.retain(|name| parse_file_name(name).is_some());
        names.sort();
        names
    }

    fn count(folder: &Path, counter: &str) -> u64 {
        fs::metadata(folder.join(counter)).map_or(0, |file| file.len())
    }

    #[test]
    fn an_event_is_one_whole_file_and_files_sort_in_order_of_time() {
        let folder = tempfile::tempdir().unwrap();
        let deliveries = [3, 1, 2].map(|at_ms| delivery(10, at_ms));
        for delivery in &deliveries {
            keep_within(BLOCKS_MAX, folder.path(), delivery).unwrap();
        }
        let names = events(folder.path());
        let times: Vec<i64> = names.iter().filter_map(|name| Some(parse_file_name(name)?.0.0)).collect();
        assert_eq!(times, [1, 2, 3]);
        let first = fs::read(folder.path().join(&names[0])).unwrap();
        assert_eq!(first, deliveries[1].parts().concat(), "the file is the body");
        assert_eq!(
            fs::read_dir(folder.path()).unwrap().count(),
            4,
            "three events, their count, no leftovers"
        );
    }

    #[test]
    fn a_full_spool_refuses_and_counts() {
        let folder = tempfile::tempdir().unwrap();
        let two_blocks = BLOCK_BYTES as usize + 1;
        for at_ms in 0..4 {
            keep_within(5, folder.path(), &delivery(two_blocks, at_ms)).unwrap();
        }
        assert_eq!(events(folder.path()).len(), 2);
        assert_eq!(count(folder.path(), USAGE), 4);
        assert_eq!(count(folder.path(), REFUSED), 2);

        keep_within(5, folder.path(), &delivery(1, 9)).unwrap();
        assert_eq!(events(folder.path()).len(), 3, "a small event still fits");
    }

    #[test]
    fn an_event_that_cannot_be_written_is_counted_and_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let delivery = delivery(10, 1);
        let name = file_name(delivery.occurred_at, delivery.id);
        fs::create_dir(folder.path().join(&name)).unwrap(); // in the way of the rename
        keep_within(BLOCKS_MAX, folder.path(), &delivery).unwrap();
        assert_eq!(count(folder.path(), REFUSED), 1);
        assert!(!folder.path().join(unfinished_name(&name)).exists());
    }

    #[cfg(unix)]
    #[test]
    fn folders_and_files_are_this_user_s_alone() {
        use std::os::unix::fs::PermissionsExt;
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("monitor").join("spool");
        keep(&Home::at(home.path()), &delivery(10, 1));

        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&home.path().join("monitor")), 0o700);
        assert_eq!(mode(&folder), 0o700);
        for entry in fs::read_dir(&folder).unwrap() {
            assert_eq!(mode(&entry.unwrap().path()), 0o600);
        }
    }
}
