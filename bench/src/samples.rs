//! What is sent: recorded hook payloads, spread over many sessions.

use std::iter;

use anyhow::{Context, Result};
use protocol::names;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::load;

/// A recorded session with several agents.
const DEMO: &str = include_str!("../../crates/cli/assets/demo.jsonl");

/// One payload of every hook event.
const SAMPLES: &str = include_str!("../../tests/fixtures/hook-samples.jsonl");

/// The sessions that the recorded ones are spread over.
const SESSIONS: usize = 200;

/// A body of many events is about this long.
const BODY_BYTES: usize = 1024 * 1024;

#[derive(Deserialize)]
struct DemoLine<'a> {
    #[serde(borrow)]
    payload: &'a RawValue,
}

/// Recorded payloads, each with a place for a session of its own.
pub(crate) struct Samples {
    /// Around the characters that are replaced.
    parts: Vec<(String, String)>,
}

impl Samples {
    pub(crate) fn load() -> Result<Self> {
        let demo = DEMO.lines().map(|line| Ok(serde_json::from_str::<DemoLine<'_>>(line)?.payload.get()));
        let payloads: Vec<&str> = demo.chain(SAMPLES.lines().map(Ok)).collect::<Result<_>>()?;
        let parts = payloads.iter().map(|payload| around_session(payload)).collect::<Result<_>>()?;
        Ok(Self { parts })
    }

    /// Payloads without end, no two equal.
    pub(crate) fn payloads(&self) -> impl Iterator<Item = String> {
        let numbered = iter::successors(Some(0usize), |n| Some(n + 1)).zip(self.parts.iter().cycle());
        numbered.map(|(number, (before, after))| {
            let session = number / self.parts.len() % SESSIONS;
            // The number is a word that occurs once, and a field that nobody knows.
            format!(r#"{before}{session:012x}","run":"n{number}{after}"#)
        })
    }

    pub(crate) fn mean_bytes(&self) -> usize {
        let count = 10 * self.parts.len();
        self.payloads().take(count).map(|payload| payload.len()).sum::<usize>() / count
    }

    /// Requests of one event each.
    pub(crate) fn single_events(&self) -> Vec<Vec<u8>> {
        self.payloads().take(2048).map(|payload| load::request(names::EVENTS, Some(&payload))).collect()
    }

    /// Bodies of many events, one a line, with how many each has.
    pub(crate) fn bodies(&self) -> impl Iterator<Item = (Vec<u8>, usize)> {
        let mut payloads = self.payloads();
        iter::from_fn(move || {
            let mut body = String::with_capacity(BODY_BYTES + 64 * 1024);
            let mut count = 0;
            while body.len() < BODY_BYTES {
                body.push_str(&payloads.next()?);
                body.push('\n');
                count += 1;
            }
            Some((load::request(names::EVENTS, Some(&body)), count))
        })
    }
}

/// The text before and after the last twelve characters of a payload's session id, a UUID.
fn around_session(payload: &str) -> Result<(String, String)> {
    let start = payload.find("\"session_id\"").context("a sample without a session")?;
    let value = payload[start..].split('"').nth(3).context("a session id that is no text")?;
    let end = start + payload[start..].find(value).context("the session id")? + value.len();
    Ok((payload[..end - 12].to_owned(), payload[end..].to_owned()))
}
