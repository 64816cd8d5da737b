//! A point in time as it travels: whole milliseconds since the Unix epoch, UTC.

use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Milliseconds since 1970-01-01T00:00:00Z. Serialised as a plain number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
#[cfg_attr(test, derive(ts_rs::TS), ts(type = "number"))]
pub struct Timestamp(pub i64);

/// Numbers below this are taken as seconds: as milliseconds they would lie before March 1973.
const SECONDS_BELOW: f64 = 100_000_000_000.0;

impl Timestamp {
    /// The given system time; times before the epoch become negative.
    pub fn from_system(at: SystemTime) -> Self {
        let ms = match at.duration_since(UNIX_EPOCH) {
            Ok(after) => i64::try_from(after.as_millis()).unwrap_or(i64::MAX),
            Err(before) => -i64::try_from(before.duration().as_millis()).unwrap_or(i64::MAX),
        };
        Self(ms)
    }

    /// Reads what senders write: RFC 3339 (also Python's broken `+00:00Z` and offset-less forms), or a
    /// number of seconds or milliseconds. `None` when it is no wall-clock time, such as a process clock.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if let Ok(number) = text.parse::<f64>() {
            return Self::from_number(number);
        }
        let with_offset = match text.strip_suffix('Z') {
            Some(rest) if has_offset(rest) => rest.to_owned(),
            Some(_) => text.to_owned(),
            None if has_offset(text) => text.to_owned(),
            None => format!("{text}Z"),
        };
        let at = OffsetDateTime::parse(&with_offset.replacen(' ', "T", 1), &Rfc3339).ok()?;
        i64::try_from(at.unix_timestamp_nanos().div_euclid(1_000_000)).ok().map(Self)
    }

    /// A JSON number in seconds or milliseconds; `None` when it is no plausible wall-clock time.
    pub fn from_number(number: f64) -> Option<Self> {
        // A process clock counts from boot and stays below one hundred million seconds (three years).
        if !number.is_finite() || number < 100_000_000.0 {
            return None;
        }
        let ms = if number < SECONDS_BELOW { number * 1000.0 } else { number };
        (ms < 253_402_300_800_000.0).then_some(Self(ms as i64))
    }

    /// `2026-11-21T01:46:43.281Z`, the form of all legacy doors.
    pub fn rfc3339(self) -> String {
        let at = OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.0) * 1_000_000)
            .unwrap_or(OffsetDateTime::UNIX_EPOCH);
        let (date, clock) = (at.date(), at.time());
        format!(
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
            date.year(),
            u8::from(date.month()),
            date.day(),
            clock.hour(),
            clock.minute(),
            clock.second(),
            clock.millisecond(),
        )
    }
}

/// Whether a date-time text ends in `+hh:mm` or `-hh:mm`.
fn has_offset(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() > 16 && matches!(bytes[bytes.len() - 6], b'+' | b'-') && bytes[bytes.len() - 3] == b':'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sender_s_way_to_write_a_time_is_read() {
        let cases = [
            ("2026-11-21T01:46:43.281801+00:00", Some(1_795_225_603_281)),
            ("2026-11-21T01:46:43.281801+00:00Z", Some(1_795_225_603_281)),
            ("2026-11-21T01:46:22.000Z", Some(1_795_225_582_000)),
            ("2026-11-21T01:46:22.000", Some(1_795_225_582_000)),
            ("2026-11-21 01:46:22Z", Some(1_795_225_582_000)),
            ("2026-11-21T03:46:22+02:00", Some(1_795_225_582_000)),
            ("1795225582.7275", Some(1_795_225_582_727)),
            ("1795225582727", Some(1_795_225_582_727)),
            ("1830.52", None),
            ("yesterday", None),
            ("", None),
        ];
        for (text, expected) in cases {
            assert_eq!(Timestamp::parse(text).map(|t| t.0), expected, "{text:?}");
        }
    }

    #[test]
    fn a_time_written_and_read_again_is_the_same() {
        let at = Timestamp(1_795_225_603_281);
        assert_eq!(at.rfc3339(), "2026-11-21T01:46:43.281Z");
        assert_eq!(Timestamp::parse(&at.rfc3339()), Some(at), "the written form is one of the read forms");
    }
}
