//! The spool: how events that no server could take lie on disk. Names and limits only; the hook writes, the
//! server takes. One file per event, holding the body that would have been posted.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{EventId, Timestamp};

/// How an event's file ends.
pub const EXTENSION: &str = "json";

/// Beside the events: one byte per [`BLOCK_BYTES`] spooled, so that its length says in one look how full the
/// spool is. Who empties the spool truncates it before listing the folder.
pub const USAGE: &str = "usage";

/// Beside the events: one byte per event that was refused because the spool was full or the disk was, as long as there
/// is room for that byte.
pub const REFUSED: &str = "refused";

/// Beside the spool: [`LOST_BYTES`] long, and a byte shorter for each event that could be neither kept nor counted within
/// the spool. To get shorter, a file needs neither room on the disk nor the right to grow, nor the spool itself.
const LOST: &str = "lost";

/// How long that file is when it is made; it takes no room. More events than that are not told apart.
pub const LOST_BYTES: u64 = 1024 * 1024;

/// Beside the events: held by the one server that takes events from the spool.
pub const LOCK: &str = ".lock";

/// Beside the events: the folder of files that turned out to be no event.
pub const REJECTED: &str = "rejected";

/// How the spool fares, in `/health`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[cfg_attr(test, derive(ts_rs::TS), ts(optional_fields))]
pub struct SpoolHealth {
    /// Events that lie in the spool.
    #[cfg_attr(test, ts(type = "number"))]
    pub waiting: u64,
    /// Events that hooks could not keep, because the spool or the disk was full, or the spool was not to be used: lost.
    /// Ever.
    #[cfg_attr(test, ts(type = "number"))]
    pub refused: u64,
    /// Spooled files that were no event; moved aside. Since the server's start.
    #[cfg_attr(test, ts(type = "number"))]
    pub rejected: u64,
    /// Why the spool is not to be used now, and the way out. Events are lost while no server answers their hooks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// Where events are counted that the spool could neither keep nor count.
pub fn lost(spool: &Path) -> PathBuf {
    spool.with_file_name(LOST)
}

/// How many events hooks could not keep, by the lengths of the files that count them.
pub fn refused(within_spool: Option<u64>, beside_spool: Option<u64>) -> u64 {
    let beside = beside_spool.map_or(0, |length| LOST_BYTES.saturating_sub(length));
    within_spool.unwrap_or(0) + beside
}

/// What a file system gives to a small file; counting in blocks bounds bytes and files by one number.
pub const BLOCK_BYTES: u64 = 4096;

/// The most that the spool holds: 256 MiB, hence at most 65,536 files. Days of work without a monitor.
pub const BLOCKS_MAX: u64 = 256 * 1024 * 1024 / BLOCK_BYTES;

/// Digits of the time in a file name, enough for the next two centuries: names sort as times do.
const TIME_DIGITS: usize = 13;

/// The blocks that an event of this size counts as: at least one.
pub fn blocks(bytes: u64) -> u64 {
    bytes.div_ceil(BLOCK_BYTES).max(1)
}

/// `1795225603281-<uuid>.json`.
pub fn file_name(occurred_at: Timestamp, id: EventId) -> String {
    let ms = occurred_at.0.max(0);
    format!("{ms:0TIME_DIGITS$}-{}.{EXTENSION}", id.0)
}

/// The name under which that file is written before it is renamed; never taken for an event.
pub fn unfinished_name(file_name: &str) -> String {
    format!(".{file_name}.tmp")
}

/// Whether a file is one that some hook has not finished, or never will.
pub fn is_unfinished(name: &str) -> bool {
    let inner = name.strip_prefix('.').and_then(|name| name.strip_suffix(".tmp"));
    inner.is_some_and(|name| parse_file_name(name).is_some())
}

/// When the event of that file happened, and its id; `None` for anything that is no event's file.
pub fn parse_file_name(name: &str) -> Option<(Timestamp, EventId)> {
    let stem = name.strip_suffix(EXTENSION)?.strip_suffix('.')?;
    let (ms, id) = stem.split_once('-')?;
    let is_time = ms.len() >= TIME_DIGITS && ms.bytes().all(|byte| byte.is_ascii_digit());
    let ms = is_time.then(|| ms.parse().ok()).flatten()?;
    Some((Timestamp(ms), EventId(Uuid::parse_str(id).ok()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: EventId = EventId(Uuid::from_u128(0x0199_0000_0000_7000_8000_0000_0000_0001));

    #[test]
    fn a_file_name_leads_back_to_its_event() {
        for ms in [0, 1_795_225_603_281, 10_000_000_000_000] {
            let name = file_name(Timestamp(ms), ID);
            assert_eq!(parse_file_name(&name), Some((Timestamp(ms), ID)), "{name}");
        }
    }

    #[test]
    fn names_sort_as_times_do() {
        let names = [0, 7, 999_999_999_999, 1_795_225_603_281].map(|ms| file_name(Timestamp(ms), ID));
        assert!(names.is_sorted(), "{names:?}");
    }

    #[test]
    fn only_finished_events_have_an_event_s_name() {
        let finished = file_name(Timestamp(1_795_225_603_281), ID);
        let others = ["", "usage", "refused", ".json", "12-34.json", "179522560328x-a.json"];
        for other in others.map(str::to_owned).into_iter().chain([unfinished_name(&finished)]) {
            assert_eq!(parse_file_name(&other), None, "{other:?}");
            assert_eq!(is_unfinished(&other), other == unfinished_name(&finished), "{other:?}");
        }
        assert!(!is_unfinished(&finished));
    }

    #[test]
    fn what_is_lost_is_counted_by_a_file_that_grows_and_one_that_gets_shorter() {
        let cases = [
            (None, None, 0),
            (Some(3), None, 3),
            (Some(3), Some(LOST_BYTES), 3),
            (Some(3), Some(LOST_BYTES - 2), 5),
            (None, Some(0), LOST_BYTES),
            (None, Some(LOST_BYTES + 9), 0),
        ];
        for (within, beside, expected) in cases {
            assert_eq!(refused(within, beside), expected, "{within:?} and {beside:?}");
        }
    }

    #[test]
    fn even_an_empty_event_takes_a_block() {
        let cases = [(0, 1), (1, 1), (4096, 1), (4097, 2), (16 * 1024 * 1024, 4096)];
        for (bytes, expected) in cases {
            assert_eq!(blocks(bytes), expected, "{bytes}");
        }
    }
}
