//! Events as lines of JSON: the form that `export` writes, `tail --json` prints and `import` reads.

use std::io;

use protocol::Entry;

/// Same, with the port of the monitor that told it in front: `instance`, as its WebSocket commands call it.
pub(crate) fn line_of(instance: u16, event: &Entry) -> io::Result<String> {
    let line = line(event)?;
    Ok(line.replacen('{', &format!("{{\"instance\":{instance},"), 1))
}

/// An event as one line, its end included. A payload that was sent on several lines is put on one; no text can
/// hold a line end, so nothing is changed by that but white space.
pub(crate) fn line(event: &Entry) -> io::Result<String> {
    let mut line = serde_json::to_string(event)?;
    if line.contains(['\n', '\r']) {
        line = line.replace(['\n', '\r'], " ");
    }
    line.push('\n');
    Ok(line)
}
