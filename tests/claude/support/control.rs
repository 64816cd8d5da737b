//! What Claude Code really gave to its hooks, as the control hook kept it, and how what is stored differs from it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use e2e::eventually;
use serde_json::{Map, Value, json};

/// The folder that the control hook fills.
pub struct Control {
    folder: PathBuf,
}

/// One hook's input.
#[derive(Clone, Debug)]
pub struct Kept {
    /// The event, as it was registered.
    pub event: String,
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

    /// Writes settings that call the control hook for every event that those of the user call a hook for, and for these
    /// besides. Claude Code halts at its start to ask about a name that it does not know.
    pub(crate) fn write_settings(&self, hook: &Path, user: &Path, besides: &[&str], to: &Path) {
        let user = std::fs::read_to_string(user).expect("the hooks are installed");
        let user: Value = serde_json::from_str(&user).expect("settings are JSON");
        let asked = user["hooks"].as_object().expect("hooks by event").keys().map(String::as_str);
        let call = |event: &str| {
            let command = format!("'{}' '{}' {event}", hook.display(), self.folder.display());
            json!([{ "hooks": [{ "type": "command", "timeout": 10, "command": command }] }])
        };
        let events = asked.chain(besides.iter().copied());
        let hooks: Map<String, Value> = events.map(|event| (event.to_owned(), call(event))).collect();
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

    /// Waits until an event has come so often in a session.
    #[track_caller]
    pub fn wait_for(&self, session: &str, event: &str, times: usize) {
        let what = format!("{event} of {session}, {times} times");
        eventually(&what, || (self.of(session, event).len() >= times).then_some(()));
    }

    /// Waits for a session that began from that source, such as `clear`, and gives its id.
    #[track_caller]
    pub fn session_from(&self, source: &str) -> String {
        eventually(&format!("a session from {source}"), || {
            let begun = |kept: &Kept| kept.event == "SessionStart" && kept.input["source"] == source;
            let start = self.kept().into_iter().find(begun)?;
            start.input["session_id"].as_str().map(str::to_owned)
        })
    }
}

fn read(path: &Path) -> Kept {
    let name = path.file_stem().and_then(|name| name.to_str()).expect("the control hook names its files");
    let event = name.splitn(3, '-').nth(2).expect("it follows time and process");
    let raw = std::fs::read_to_string(path).expect("an input is text").trim_end().to_owned();
    let input = serde_json::from_str(&raw).unwrap_or_else(|cause| panic!("{cause} in {raw}"));
    Kept { event: event.to_owned(), raw, input }
}

/// How what was stored differs from what the hooks were given, by event: how many inputs are missing, and how many are
/// there that were never given, or not so often. An event without a difference is null.
pub(crate) fn unlike(given: &[(String, String)], stored: &[(String, String)]) -> Value {
    let mut counts: BTreeMap<(&str, &str), i64> = BTreeMap::new();
    for (event, raw) in given {
        *counts.entry((event, raw)).or_default() += 1;
    }
    for (event, raw) in stored {
        *counts.entry((event, raw)).or_default() -= 1;
    }
    let mut unlike = json!({});
    for ((event, _), count) in counts {
        let kind = match count {
            0 => continue,
            1.. => "missing",
            _ => "beyond",
        };
        let so_far = unlike[event][kind].as_i64().unwrap_or(0);
        unlike[event][kind] = json!(so_far + count.abs());
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
        let given = pairs(&[("Stop", "{1}"), ("Stop", "{2}"), ("PreToolUse", "{3}")]);
        assert_eq!(unlike(&given, &given), json!({}));
        assert_eq!(unlike(&given, &given[1..]), json!({ "Stop": { "missing": 1 } }));
        let doubled = [&given[..], &given[..1]].concat();
        assert_eq!(unlike(&given, &doubled), json!({ "Stop": { "beyond": 1 } }));
        let changed = pairs(&[("Stop", "{1}"), ("Stop", "{2}"), ("PreToolUse", "{ 3}")]);
        assert_eq!(unlike(&given, &changed), json!({ "PreToolUse": { "missing": 1, "beyond": 1 } }));
        let renamed = pairs(&[("Stop", "{1}"), ("Stop", "{2}"), ("Other", "{3}")]);
        let expected = json!({ "PreToolUse": { "missing": 1 }, "Other": { "beyond": 1 } });
        assert_eq!(unlike(&given, &renamed), expected);
    }
}
