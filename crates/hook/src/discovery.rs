//! Reads what this user's servers and configuration left on disk. Whatever is missing or broken says nothing.

use std::fs::{self, OpenOptions};
use std::io::Read;
use std::path::{Path, PathBuf};

use protocol::paths::Home;
use protocol::{Runfile, config_file};
use serde::Deserialize;

/// The longest configuration that is read. Its own sample, which explains each key, has a tenth of it.
const CONFIG_BYTES_MAX: u64 = 256 * 1024;

#[derive(Deserialize)]
struct Config {
    port: Option<Port>,
}

/// A port as the server takes it, too.
#[derive(Deserialize)]
#[serde(untagged)]
enum Port {
    Number(u16),
    Text(String),
}

/// The runfiles of this user's servers that may be alive, in order of port.
pub fn runfiles(home: &Home) -> Vec<Runfile> {
    let Ok(entries) = fs::read_dir(home.run()) else { return Vec::new() };
    let paths = entries.flatten().map(|entry| entry.path());
    let runfiles = paths.filter(|path| path.extension().is_some_and(|extension| extension == "json"));
    let mut runfiles: Vec<Runfile> = runfiles
        .filter_map(|path| serde_json::from_slice(&private::read(&path).ok()?).ok())
        .filter(may_be_alive)
        .collect();
    runfiles.sort_by_key(|runfile| runfile.port);
    runfiles
}

/// `port` of the user's configuration file, else of the system's.
pub fn configured_port(home: &Home) -> Option<u16> {
    port_in(&[home.config(), config_file::SYSTEM.into()])
}

/// The first port in these files.
fn port_in(files: &[PathBuf]) -> Option<u16> {
    let port = |path: &PathBuf| {
        let Config { port } = config_file::parse(&text(path)?).ok()?;
        match port? {
            Port::Number(port) => Some(port),
            Port::Text(text) => text.trim().parse().ok(),
        }
    };
    files.iter().find_map(port).filter(|port| *port > 0)
}

/// The text of a configuration file, wherever a link leads to it. Whatever else stands in its place is neither waited
/// for, as a pipe would be, nor read without end, as a device would.
fn text(path: &Path) -> Option<String> {
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(
        &mut options,
        rustix::fs::OFlags::NONBLOCK.bits().cast_signed(),
    );
    let file = options.open(path).ok()?;
    let length = file.metadata().ok().filter(fs::Metadata::is_file)?.len();
    let mut text = String::new();
    (length <= CONFIG_BYTES_MAX).then_some(())?;
    file.take(CONFIG_BYTES_MAX).read_to_string(&mut text).ok()?;
    Some(text)
}

/// The secret for servers beyond loopback.
pub fn token(home: &Home) -> Option<String> {
    let token = String::from_utf8(private::read(&home.token()).ok()?).ok()?;
    Some(token.trim().to_owned())
}

/// A crashed server leaves its runfile behind, and its port to whoever takes it: with no process of ours under
/// that pid, or with another that was given the same pid since, nothing may be sent there. The server's lock would say
/// more, but testing it would take it.
#[cfg(unix)]
fn may_be_alive(runfile: &Runfile) -> bool {
    let pid = i32::try_from(runfile.pid).ok().and_then(rustix::process::Pid::from_raw);
    if pid.is_none_or(|pid| rustix::process::test_kill_process(pid).is_err()) {
        return false;
    }
    let Some(expected) = runfile.process_start_ticks else { return true };
    // A system that told them to the server tells them of this user's processes to the hook.
    let stat = fs::read_to_string(format!("/proc/{}/stat", runfile.pid)).unwrap_or_default();
    protocol::runfile::start_ticks(&stat) == Some(expected)
}

#[cfg(not(unix))]
fn may_be_alive(_: &Runfile) -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_user_s_port_goes_before_the_system_s_and_what_is_broken_says_nothing() {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let files = [folder.path().join("user.json"), folder.path().join("system.json")];
        let cases = [
            ("", "", None),
            ("", r#"{"port": 9001}"#, Some(9001)),
            (r#"{"port": 9000}"#, r#"{"port": 9001}"#, Some(9000)),
            ("{\n// mine\n\"port\": \"9000\",\n}", r#"{"port": 9001}"#, Some(9000)),
            (r#"{"host": "::1"}"#, r#"{"port": 9001}"#, Some(9001)),
            (r#"{"port": nine}"#, r#"{"port": 9001}"#, Some(9001)),
            (r#"{"port": 70000}"#, "[]", None),
        ];
        for (user, system, expected) in cases {
            for (path, text) in files.iter().zip([user, system]) {
                fs::write(path, text).expect("a file can be written");
            }
            assert_eq!(port_in(&files), expected, "{user:?} {system:?}");
        }
    }
}
