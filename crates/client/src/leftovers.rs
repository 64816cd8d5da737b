//! What servers and starts that were cut off left in the home: the next start takes it away, as far as nobody needs it.

use std::fs;

use protocol::paths::Home;

use crate::{Lock, Supervision, runfiles};

/// Files of the folder of runfiles that are looked at. Each port that ever served has three.
const FILES_MAX: usize = 4096;

/// Takes away half-written files, runfiles that no server stands behind, and what supervisors noted that are gone. Locks
/// stay, which is what tells the living from the dead. `own` is the port whose lock the caller holds.
pub fn clear(home: &Home, own: u16) {
    for folder in [home.folder(), &home.monitor(), &home.run(), &home.logs()] {
        private::sweep(folder);
    }
    let Ok(entries) = fs::read_dir(home.run()) else { return };
    for entry in entries.take(FILES_MAX).filter_map(Result::ok) {
        let name = entry.file_name();
        let Some((port, kind)) = name.to_str().and_then(|name| name.split_once('.')) else { continue };
        let Ok(port) = port.parse::<u16>() else { continue };
        match kind {
            "json" if port != own => Lock::while_free(home, port, || runfiles::remove(home, port)),
            "supervisor" if port == own => forget(home, port),
            "supervisor" => Lock::while_free(home, port, || forget(home, port)),
            _ => {}
        }
    }
}

/// One that gave up is still asked why, and one that lives has a server to start.
fn forget(home: &Home, port: u16) {
    if Supervision::read(home, port).is_none() {
        Supervision::remove(home, port);
    }
}
