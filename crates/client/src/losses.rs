//! Events that this user's hooks could neither hand over nor keep, as they counted them on disk.

use std::fs;
use std::path::PathBuf;

use protocol::paths::Home;
use protocol::spool;

/// The files that count them: one that grows, and one that gets shorter.
pub fn counters_of_lost_events(home: &Home) -> [PathBuf; 2] {
    let folder = home.spool();
    [folder.join(spool::REFUSED), spool::lost(&folder)]
}

/// How many there were, ever.
pub fn lost_events(home: &Home) -> u64 {
    let [within, beside] =
        counters_of_lost_events(home).map(|path| fs::symlink_metadata(path).ok().map(|file| file.len()));
    spool::refused(within, beside)
}
