//! Reads what this user's servers and configuration left on disk. Whatever is missing or broken says nothing.

use std::fs;

use protocol::Runfile;
use protocol::paths::Home;
use serde::Deserialize;

#[derive(Deserialize)]
struct Config {
    port: Option<u16>,
}

/// The runfiles of this user's servers that may be alive, in order of port.
pub fn runfiles(home: &Home) -> Vec<Runfile> {
    let Ok(entries) = fs::read_dir(home.run()) else { return Vec::new() };
    let paths = entries.flatten().map(|entry| entry.path());
    let runfiles = paths.filter(|path| path.extension().is_some_and(|extension| extension == "json"));
    let mut runfiles: Vec<Runfile> = runfiles
        .filter_map(|path| serde_json::from_slice(&fs::read(path).ok()?).ok())
        .filter(|runfile: &Runfile| may_be_alive(runfile.pid))
        .collect();
    runfiles.sort_by_key(|runfile| runfile.port);
    runfiles
}

/// `port` of the configuration file.
pub fn configured_port(home: &Home) -> Option<u16> {
    serde_json::from_slice::<Config>(&fs::read(home.config()).ok()?).ok()?.port
}

/// The secret for servers beyond loopback.
pub fn token(home: &Home) -> Option<String> {
    Some(fs::read_to_string(home.token()).ok()?.trim().to_owned())
}

/// A crashed server leaves its runfile behind, and its port to whoever takes it: with no process of ours under
/// that pid, nothing may be sent there. The server's lock would say more, but testing it would take it.
#[cfg(unix)]
fn may_be_alive(pid: u32) -> bool {
    let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw);
    pid.is_some_and(|pid| rustix::process::test_kill_process(pid).is_ok())
}

#[cfg(not(unix))]
fn may_be_alive(_pid: u32) -> bool {
    true
}
