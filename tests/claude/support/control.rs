//! What Claude Code really gave to its hooks, as the control hook kept it, and how what a monitor stored differs from it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

/// Events that fire although no monitor asks for them yet; what is missing of them is seen.
const UNASKED: &[&str] = &["PostModelSwitch"];

/// The folder that the control hook fills.
pub struct Control {
    folder: PathBuf,
}

/// One hook's input.
#[derive(Clone, Debug)]
pub struct Kept {
    /// The event, as it was registered.
    pub event: String,
    /// When it came, in milliseconds since 1970.
    pub at_ms: u64,
    /// The input, byte for byte.
    pub raw: String,
    /// The same, read.
    pub input: Value,
}

impl Control {
    pub(crate) fn in_folder(folder: PathBuf) -> Self {
        std::fs::create_dir_all(&folder).expect("a folder can be made");
        Self { folder }
    }

    /// Writes settings that call the control hook for every event that those of the user call a hook for.
    pub(crate) fn write_settings(&self, hook: &Path, user: &Path, to: &Path) {
        let user = std::fs::read_to_string(user).expect("the hooks are installed");
        let user: Value = serde_json::from_str(&user).expect("settings are JSON");
        let asked = user["hooks"].as_object().expect("hooks by event").keys().map(String::as_str);
        let call = |event: &str| {
            let command = format!("'{}' '{}' {event}", hook.display(), self.folder.display());
            json!([{ "hooks": [{ "type": "command", "timeout": 10, "command": command }] }])
        };
        let hooks: Map<String, Value> =
            asked.chain(UNASKED.iter().copied()).map(|event| (event.to_owned(), call(event))).collect();
        std::fs::write(to, json!({ "hooks": hooks }).to_string()).expect("a file can be written");
    }

    /// Everything so far, in the order in which it came.
    pub fn kept(&self) -> Vec<Kept> {
        let entries = std::fs::read_dir(&self.folder).expect("the folder can be read");
        let paths = entries.map(|entry| entry.expect("an entry can be read").path());
        let mut paths: Vec<_> =
            paths.filter(|path| path.extension().is_some_and(|extension| extension == "json")).collect();
        paths.sort();
        paths.iter().map(|path| read(path)).collect()
    }

    /// Those of one event in one session.
    pub fn of(&self, session: &str, event: &str) -> Vec<Kept> {
        let of = |kept: &Kept| kept.event == event && kept.input["session_id"] == session;
        self.kept().into_iter().filter(of).collect()
    }
}

fn read(path: &Path) -> Kept {
    let name = path.file_stem().and_then(|name| name.to_str()).expect("the control hook names its files");
    let (nanos, rest) = name.split_once('-').expect("a time stands first");
    let (_, event) = rest.split_once('-').expect("a process stands second");
    let raw = std::fs::read_to_string(path).expect("an input is text").trim_end().to_owned();
    let input = serde_json::from_str(&raw).unwrap_or_else(|cause| panic!("{cause} in {raw}"));
    let nanos: u64 = nanos.parse().expect("a time is a number");
    Kept { event: event.to_owned(), at_ms: nanos / 1_000_000, raw, input }
}

/// What differs between the inputs that were kept and the payloads that were stored, by event: how many are missing, and
/// how many are there that were never given, or not so often. Nothing differs when that is empty.
pub(crate) fn unlike(kept: &[(String, String)], stored: &[(String, String)]) -> Value {
    let mut counts: BTreeMap<(&str, &str), i64> = BTreeMap::new();
    for (event, raw) in kept {
        *counts.entry((event, raw)).or_default() += 1;
    }
    for (event, raw) in stored {
        *counts.entry((event, raw)).or_default() -= 1;
    }
    let mut unlike = json!({});
    for ((event, _), count) in counts.into_iter().filter(|(_, count)| *count != 0) {
        let kind = if count > 0 { "missing" } else { "beyond" };
        let so_far = unlike[kind][event].as_i64().unwrap_or(0);
        unlike[kind][event] = json!(so_far + count.abs());
    }
    unlike
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(event, raw)| ((*event).to_owned(), (*raw).to_owned())).collect()
    }

    #[test]
    fn what_is_missing_doubled_or_changed_is_told_by_its_event() {
        let kept = pairs(&[("Stop", "{1}"), ("Stop", "{2}"), ("PreToolUse", "{3}")]);
        assert_eq!(unlike(&kept, &kept), json!({}));
        assert_eq!(unlike(&kept, &kept[1..]), json!({ "missing": { "Stop": 1 } }));
        let doubled = [&kept[..], &kept[..1]].concat();
        assert_eq!(unlike(&kept, &doubled), json!({ "beyond": { "Stop": 1 } }));
        let changed = pairs(&[("Stop", "{1}"), ("Stop", "{2}"), ("PreToolUse", "{ 3}")]);
        let expected = json!({ "missing": { "PreToolUse": 1 }, "beyond": { "PreToolUse": 1 } });
        assert_eq!(unlike(&kept, &changed), expected);
    }
}
