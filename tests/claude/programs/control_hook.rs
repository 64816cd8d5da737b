//! The control hook: keeps what Claude Code gave to a hook as a file of its own, named by the time it came. Whatever a
//! monitor stores is held against these files.
//!
//! Usage: `control-hook FOLDER EVENT`, the hook's input on standard input.

use std::io::Read;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

fn main() -> std::io::Result<()> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, event] = &arguments[..] else {
        return Err(std::io::Error::other("usage: control-hook FOLDER EVENT"));
    };
    let mut input = Vec::new();
    std::io::stdin().read_to_end(&mut input)?;
    let name = format!("{:020}-{}-{event}", since.as_nanos(), std::process::id());
    let part = Path::new(folder).join(format!("{name}.part"));
    std::fs::write(&part, input)?;
    // It appears whole or not at all.
    std::fs::rename(&part, part.with_extension("json"))
}
