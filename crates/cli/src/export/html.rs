//! Events as one page that needs nothing but a browser: no network, no other file, readable without scripts,
//! searchable with them.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, Write};

use jiff::tz::TimeZone;
use protocol::{Entry, Row, Timestamp, mask};

use super::Sheet;
use crate::line::{base_name, glyph};

const STYLE: &str = include_str!("report.css");
const SCRIPT: &str = include_str!("report.js");

/// More of a payload is left out: a page with whole files in it cannot be scrolled. JSONL has all.
const PAYLOAD_BYTES_MAX: usize = 32 * 1024;

/// Sessions that the head of the page lists; the newest ones.
const SESSIONS_LISTED: usize = 200;

/// What a report says before its events.
pub(super) struct Overview {
    is_raw: bool,
    events: u64,
    errors: u64,
    first: Option<Timestamp>,
    last: Option<Timestamp>,
    sessions: BTreeMap<String, SessionCount>,
}

#[derive(Default)]
struct SessionCount {
    project: String,
    events: u64,
    errors: u64,
    last: i64,
}

impl Overview {
    pub(super) fn new(is_raw: bool) -> Self {
        Self { is_raw, events: 0, errors: 0, first: None, last: None, sessions: BTreeMap::new() }
    }

    pub(super) fn count(&mut self, row: &Row) {
        let at = row.occurred_at;
        self.events += 1;
        self.errors += u64::from(row.is_error);
        self.first = Some(self.first.map_or(at, |first| first.min(at)));
        self.last = Some(self.last.map_or(at, |last| last.max(at)));
        let Some(id) = &row.session_id else { return };
        let session = self.sessions.entry(id.as_str().to_owned()).or_default();
        session.events += 1;
        session.errors += u64::from(row.is_error);
        session.last = session.last.max(at.0);
        if let Some(project) = &row.project {
            session.project.clone_from(project);
        }
    }
}

/// A report whose head is written.
pub(super) struct Report {
    zone: TimeZone,
    /// Only the script of this page runs in it, whatever an event says.
    nonce: String,
}

impl Report {
    pub(super) fn begin(overview: &Overview, out: &mut dyn Write) -> io::Result<Self> {
        let nonce = uuid::Uuid::new_v4().simple().to_string();
        let policy = format!("default-src 'none'; style-src 'unsafe-inline'; script-src 'nonce-{nonce}'");
        let report = Self { zone: TimeZone::system(), nonce };
        write!(
            out,
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"{policy}\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"color-scheme\" content=\"light dark\">\n\
             <title>Claude Code sessions</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<header>\n\
             <h1>Claude Code sessions</h1>\n<p>{}</p>\n{}{}</header>\n<main>\n",
            report.period(overview),
            report.sessions(overview),
            CONTROLS,
        )?;
        Ok(report)
    }

    fn period(&self, overview: &Overview) -> String {
        let Overview { first: Some(first), last: Some(last), .. } = overview else {
            return "No event matches.".to_owned();
        };
        format!(
            "{} events of {} sessions, {} failures, from {} to {} ({}). {}",
            overview.events,
            overview.sessions.len(),
            overview.errors,
            self.time(*first, "%-d %B %Y %H:%M"),
            self.time(*last, "%-d %B %Y %H:%M"),
            escaped(&self.time(*last, "%Z")),
            if overview.is_raw { "Secrets are not masked." } else { "Secrets are masked." },
        )
    }

    fn sessions(&self, overview: &Overview) -> String {
        let mut newest: Vec<_> = overview.sessions.iter().collect();
        newest.sort_by_key(|(_, session)| std::cmp::Reverse(session.last));
        let mut table = String::from(
            "<details class=\"sessions\"><summary>Sessions</summary><table>\n\
             <tr><th>Session<th>Project<th>Last event<th>Events<th>Failures</tr>\n",
        );
        for (id, session) in newest.iter().take(SESSIONS_LISTED) {
            let project =
                if overview.is_raw { session.project.as_str().into() } else { mask::text(&session.project) };
            let _ = writeln!(
                table,
                "<tr><td><code>{}</code><td>{}<td>{}<td>{}<td>{}</tr>",
                escaped(id),
                escaped(&project),
                self.time(Timestamp(session.last), "%Y-%m-%d %H:%M"),
                session.events,
                session.errors,
            );
        }
        if newest.len() > SESSIONS_LISTED {
            let _ = writeln!(
                table,
                "<tr><td colspan=\"5\">and {} older ones</tr>",
                newest.len() - SESSIONS_LISTED
            );
        }
        table + "</table></details>\n"
    }

    fn time(&self, at: Timestamp, form: &str) -> String {
        let at = jiff::Timestamp::from_millisecond(at.0).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        at.to_zoned(self.zone.clone()).strftime(form).to_string()
    }
}

/// Shown by the script, because they do nothing without it.
const CONTROLS: &str = "<form hidden role=\"search\"><input type=\"search\" id=\"words\" placeholder=\"Search ( / )\" \
     aria-label=\"Search\"><label><input type=\"checkbox\" id=\"failures\"> Failures only</label>\
     <output id=\"shown\"></output></form>\n";

impl Sheet for Report {
    fn event(&mut self, event: &Entry, out: &mut dyn Write) -> io::Result<()> {
        let row = &event.row;
        let session = row.session_id.as_ref().map_or("", |id| id.as_str());
        let short: String = session.chars().take(8).collect();
        let hue = session.bytes().fold(0u32, |hue, byte| (hue * 31 + u32::from(byte)) % 360);
        let agent = row.agent_type.as_deref().filter(|agent| !row.summary.starts_with(agent));
        writeln!(
            out,
            "<details class=\"event{}\" id=\"e{}\"><summary><time datetime=\"{}\">{}</time> \
             <span class=\"session\" style=\"--hue:{hue}\" title=\"{} {}\">{} {}</span> <span class=\"sign\">{}</span> \
             {}<span class=\"text\">{}</span></summary>\n<p>{} · {} · {}</p><pre>{}</pre></details>",
            if row.is_error { " failure" } else { "" },
            row.seq,
            row.occurred_at.rfc3339(),
            self.time(row.occurred_at, "%Y-%m-%d %H:%M:%S%.3f"),
            escaped(session),
            escaped(row.project.as_deref().unwrap_or_default()),
            escaped(base_name(row.project.as_deref().unwrap_or_default())),
            escaped(&short),
            glyph(row).0,
            agent
                .map(|agent| format!("<span class=\"agent\">{}</span> ", escaped(agent)))
                .unwrap_or_default(),
            escaped(&row.summary),
            escaped(row.kind.as_str()),
            escaped(session),
            row.id.0,
            payload(event),
        )
    }

    fn end(&mut self, out: &mut dyn Write) -> io::Result<()> {
        // After the events, which it looks for.
        writeln!(out, "</main>\n<script nonce=\"{}\">\n{SCRIPT}</script>\n</body>\n</html>", self.nonce)
    }
}

/// A payload to be read by people, and no more of it than a page can carry.
fn payload(event: &Entry) -> String {
    let pretty = event.payload.as_ref().map(|payload| indented(payload.get())).unwrap_or_default();
    let mut end = pretty.len().min(PAYLOAD_BYTES_MAX);
    while !pretty.is_char_boundary(end) {
        end -= 1;
    }
    let left_out = pretty.len() - end;
    let note = if left_out > 0 {
        format!("\n… {left_out} bytes more are in a JSONL export")
    } else {
        String::new()
    };
    escaped(&pretty[..end]) + &note
}

/// JSON with a line for each value, in the order and spelling in which it came.
fn indented(json: &str) -> String {
    let mut out = String::with_capacity(json.len() * 5 / 4);
    let mut depth = 0usize;
    let mut letters = json.chars().peekable();
    let line = |out: &mut String, depth: usize| {
        out.push('\n');
        out.extend(std::iter::repeat_n("  ", depth));
    };
    while let Some(letter) = letters.next() {
        match letter {
            '"' => {
                out.push(letter);
                while let Some(letter) = letters.next() {
                    out.push(letter);
                    match letter {
                        '"' => break,
                        '\\' => out.extend(letters.next()),
                        _ => {}
                    }
                }
            }
            '{' | '[' => {
                out.push(letter);
                while letters.next_if(char::is_ascii_whitespace).is_some() {}
                if let Some(close) = letters.next_if(|next| matches!(next, '}' | ']')) {
                    out.push(close);
                } else {
                    depth += 1;
                    line(&mut out, depth);
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                line(&mut out, depth);
                out.push(letter);
            }
            ',' => {
                out.push(letter);
                line(&mut out, depth);
            }
            ':' => out.push_str(": "),
            letter if letter.is_ascii_whitespace() => {}
            letter => out.push(letter),
        }
    }
    out
}

/// Text that is nothing but text, in elements and in quoted attributes.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / 8);
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // Changes of the writing direction would show another text than there is.
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => out.push('\u{fffd}'),
            letter => out.push(letter),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indented_json_is_the_same_json_on_more_lines() {
        let given = r#"{"b": [1.0,{ },[ ]],"a":"x, {y}: \"z\" \\"}"#;
        let pretty = indented(given);
        assert_eq!(
            pretty,
            "{\n  \"b\": [\n    1.0,\n    {},\n    []\n  ],\n  \"a\": \"x, {y}: \\\"z\\\" \\\\\"\n}"
        );
        let same: [serde_json::Value; 2] =
            [given, &pretty].map(|text| serde_json::from_str(text).expect("JSON"));
        assert_eq!(same[0], same[1]);
    }

    #[test]
    fn nothing_escapes_from_a_text() {
        assert_eq!(
            escaped("</pre><script>'\"&\u{202e}"),
            "&lt;/pre&gt;&lt;script&gt;&#39;&quot;&amp;\u{fffd}"
        );
    }
}
