//! Points in time as people write them: `2026-11-21`, `2026-11-21 10:30`, `10:30`, `2h` (ago), RFC 3339.

use jiff::civil::{Date, DateTime, Time};
use jiff::{Span, Timestamp, Zoned};

/// Which end of a day a date without a time means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Edge {
    /// `--from`: its first moment.
    Start,
    /// `--to`: its last.
    End,
}

/// Reads a time, in the zone and by the clock of `now`.
pub(crate) fn parse(text: &str, edge: Edge, now: &Zoned) -> anyhow::Result<protocol::Timestamp> {
    let text = text.trim();
    let zone = now.time_zone();
    let found = if let Ok(at) = text.parse::<Timestamp>() {
        Some(at)
    } else if let Some(at) = protocol::Timestamp::parse(text).filter(|_| text.len() > 9 && is_number(text)) {
        Some(Timestamp::from_millisecond(at.0)?)
    } else if let Ok(time) = text.parse::<Time>() {
        Some(now.date().to_datetime(time).to_zoned(zone.clone())?.timestamp())
    } else if is_date(text) {
        let date = text.parse::<Date>().map_err(|error| unclear(text, &error.to_string()))?;
        let day = match edge {
            Edge::Start => date.to_zoned(zone.clone())?,
            Edge::End => date.tomorrow()?.to_zoned(zone.clone())?.checked_sub(Span::new().milliseconds(1))?,
        };
        Some(day.timestamp())
    } else if let Ok(at) = text.parse::<DateTime>() {
        Some(at.to_zoned(zone.clone())?.timestamp())
    } else {
        let span = text.trim_end_matches(" ago").parse::<Span>().ok();
        span.map(|span| now.checked_sub(span.abs())).transpose()?.map(|at| at.timestamp())
    };
    let at = found.ok_or_else(|| unclear(text, "it is no time"))?;
    Ok(protocol::Timestamp(at.as_millisecond()))
}

fn is_number(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

/// `2026-11-21`: a date without a time.
fn is_date(text: &str) -> bool {
    text.len() == 10 && text.bytes().filter(|byte| *byte == b'-').count() == 2
}

fn unclear(text: &str, why: &str) -> anyhow::Error {
    anyhow::anyhow!(
        "could not read the time {text:?}: {why}; write it as 2026-11-21, \"2026-11-21 10:30\", 10:30, or 2h for two hours ago"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_write_a_time_is_read_in_the_user_s_zone() {
        let zone = jiff::tz::TimeZone::fixed(jiff::tz::offset(1));
        let noon: DateTime = "2026-11-21T12:00:00".parse().expect("a time");
        let now = noon.to_zoned(zone).expect("it exists there");
        let cases = [
            ("2026-11-21T10:30:00Z", "2026-11-21T10:30:00.000Z"),
            ("2026-11-21T10:30:00+02:00", "2026-11-21T08:30:00.000Z"),
            ("2026-11-21 10:30", "2026-11-21T09:30:00.000Z"),
            ("2026-11-21T10:30:15.5", "2026-11-21T09:30:15.500Z"),
            ("10:30", "2026-11-21T09:30:00.000Z"),
            ("2026-11-20", "2026-11-19T23:00:00.000Z"),
            ("2h", "2026-11-21T09:00:00.000Z"),
            ("90 minutes ago", "2026-11-21T09:30:00.000Z"),
            ("3d", "2026-11-18T11:00:00.000Z"),
            ("1795225603281", "2026-11-21T01:46:43.281Z"),
        ];
        for (text, expected) in cases {
            assert_eq!(
                parse(text, Edge::Start, &now).map(protocol::Timestamp::rfc3339).ok().as_deref(),
                Some(expected),
                "{text}"
            );
        }
        let end = parse("2026-11-20", Edge::End, &now).map(protocol::Timestamp::rfc3339);
        assert_eq!(end.ok().as_deref(), Some("2026-11-20T22:59:59.999Z"));
        for text in ["", "soon", "2026-13-01", "25:00", "2x"] {
            let error = parse(text, Edge::Start, &now).map_err(|error| error.to_string());
            assert!(error.is_err_and(|error| error.contains("write it as")), "{text}");
        }
    }
}
