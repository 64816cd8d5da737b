//! Numbers, times and durations as people read them.

use protocol::Timestamp;

/// `2025-01-08 14:30:15 UTC`.
pub(crate) fn started(at: Timestamp) -> String {
    let text = at.rfc3339();
    format!("{} UTC", text[..19].replace('T', " "))
}

/// `2h 15m 30s`, without leading zeros.
pub(crate) fn duration(seconds: u64) -> String {
    let parts =
        [(seconds / 86_400, "d"), (seconds / 3600 % 24, "h"), (seconds / 60 % 60, "m"), (seconds % 60, "s")];
    let shown = parts.iter().skip_while(|(count, unit)| *count == 0 && *unit != "s");
    shown.map(|(count, unit)| format!("{count}{unit}")).collect::<Vec<_>>().join(" ")
}

/// `2h 10m`; seconds only within the first minute.
pub(crate) fn age(ms: i64) -> String {
    let seconds = u64::try_from(ms / 1000).unwrap_or_default();
    let text = duration(if seconds < 60 { seconds } else { seconds - seconds % 60 });
    if seconds < 60 { text } else { text.trim_end_matches(" 0s").to_owned() }
}

/// `1,247`.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy).collect();
    groups.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_numbers_are_short_and_whole() {
        let cases = [(0, "0s"), (59, "59s"), (60, "1m 0s"), (3600, "1h 0m 0s"), (90_061, "1d 1h 1m 1s")];
        for (seconds, expected) in cases {
            assert_eq!(duration(seconds), expected);
        }
        let cases = [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")];
        for (number, expected) in cases {
            assert_eq!(grouped(number), expected);
        }
    }
}
