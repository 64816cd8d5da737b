//! `import`: events from lines of JSON into a running monitor, in groups, each event once however often it is
//! imported.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use anyhow::Context as _;
use client::{Error, Monitor, Taken};
use indicatif::HumanCount;
use protocol::ingest::{self, Body, Object};
use protocol::names::BODY_BYTES_MAX;
use serde_json::json;
use uuid::Uuid;

use crate::args::Import;
use crate::context::Context;
use crate::{Exit, export, which};

/// Lines sent at once: large enough that a commit costs little, small enough that progress is seen.
const GROUP_LINES_MAX: usize = 500;

/// Bytes sent at once, unless one line has more.
const GROUP_BYTES_MAX: usize = 1024 * 1024;

/// Refused lines that are told with their reason; the rest is counted.
const REASONS_MAX: usize = 20;

/// The space of ids that follow from what an event says and how often it was said before.
const IDS: Uuid = Uuid::from_u128(0x7d0f_2d6c_9a53_4c0e_8a35_f1c5_2b8e_4411);

/// A line of the input that holds an event.
struct Line {
    number: u64,
    json: String,
}

/// What became of the lines.
#[derive(Default)]
struct Tally {
    stored: u64,
    duplicates: u64,
    refused: u64,
}

pub(crate) fn run(import: &Import, context: &mut Context<'_, '_>) -> anyhow::Result<Exit> {
    if import.json {
        context.terminal.speak_json();
    }
    let (input, length) = open(&import.input)?;
    let running = match which::monitor(import.which.port, context)? {
        Ok(running) => running,
        Err(exit) => return Ok(exit),
    };
    let bar = export::bar(length);
    let mut importer = Importer { monitor: running.monitor(), tally: Tally::default(), context };
    let ended = importer.run(Lines::of(bar.wrap_read(input)), &bar);
    bar.finish_and_clear();
    let Tally { stored, duplicates, refused } = importer.tally;
    let counts = [(stored, "stored"), (duplicates, "stored before"), (refused, "refused")];
    let counts = counts.map(|(count, what)| format!("{} {what}", HumanCount(count)));
    context.terminal.say(format_args!("Imported: {}", counts.join(", ")));
    if import.json {
        let tally = json!({ "stored": stored, "duplicates": duplicates, "refused": refused });
        context.terminal.answer(&tally);
    }
    ended?;
    Ok(if refused > 0 { Exit::Failed } else { Exit::Done })
}

/// The input and how long it is; 0 when nobody knows.
fn open(path: &Path) -> anyhow::Result<(Box<dyn Read>, u64)> {
    if path == Path::new("-") {
        return Ok((Box::new(io::stdin()), 0));
    }
    let failed = || format!("could not read {}", path.display());
    let file = File::open(path).with_context(failed)?;
    let metadata = file.metadata().with_context(failed)?;
    anyhow::ensure!(!metadata.is_dir(), "{} is a folder; name a file in it", path.display());
    Ok((Box::new(file), metadata.len()))
}

struct Importer<'a, 'c, 't> {
    monitor: Monitor,
    tally: Tally,
    context: &'a mut Context<'c, 't>,
}

impl Importer<'_, '_, '_> {
    fn run(
        &mut self,
        lines: impl Iterator<Item = io::Result<Result<Line, Bad>>>,
        bar: &indicatif::ProgressBar,
    ) -> anyhow::Result<()> {
        let mut group: Vec<Line> = Vec::new();
        let mut bytes = 0;
        for line in lines {
            match line.context("could not read on")? {
                Ok(line) => {
                    bytes += line.json.len();
                    group.push(line);
                }
                Err(Bad { number, reason }) => self.refuse(number, &reason),
            }
            if group.len() >= GROUP_LINES_MAX || bytes >= GROUP_BYTES_MAX {
                self.send(&group)?;
                bar.set_message(HumanCount(self.tally.stored + self.tally.duplicates).to_string());
                group.clear();
                bytes = 0;
            }
        }
        self.send(&group)
    }

    /// Sends a group; one that is larger than this monitor takes, in halves.
    fn send(&mut self, group: &[Line]) -> anyhow::Result<()> {
        let (Some(first), Some(last)) = (group.first(), group.last()) else { return Ok(()) };
        let lines: Vec<&str> = group.iter().map(|line| line.json.as_str()).collect();
        match self.monitor.post_events(&lines) {
            Ok(Taken { stored, duplicates, refused }) => {
                self.tally.stored += stored;
                self.tally.duplicates += duplicates;
                for refused in refused {
                    if let Some(line) = group.get(refused.index) {
                        self.refuse(line.number, &refused.message);
                    }
                }
                Ok(())
            }
            Err(Error::Refused { status: 413, message, .. }) => {
                if group.len() == 1 {
                    self.refuse(first.number, &message);
                    return Ok(());
                }
                let (first, second) = group.split_at(group.len() / 2);
                self.send(first).and_then(|()| self.send(second))
            }
            Err(error) => Err(error).with_context(|| {
                format!(
                    "lines {} to {} were not imported; run the import again, nothing is stored twice",
                    first.number, last.number
                )
            }),
        }
    }

    fn refuse(&mut self, number: u64, reason: &str) {
        self.tally.refused += 1;
        if self.tally.refused <= REASONS_MAX as u64 {
            self.context.terminal.complain(format_args!("line {number}: {reason}"));
        } else if self.tally.refused == REASONS_MAX as u64 + 1 {
            self.context.terminal.complain("and more; only counted from here on");
        }
    }
}

/// A line that holds no event.
struct Bad {
    number: u64,
    reason: String,
}

/// The lines of an input, one in memory at a time.
struct Lines<R> {
    input: BufReader<R>,
    number: u64,
    /// How often each event without an id was met: equal ones are different events of one file, and the same ones
    /// when it is imported again.
    met: HashMap<Uuid, u32>,
}

impl<R: Read> Lines<R> {
    fn of(input: R) -> Self {
        Self { input: BufReader::new(input), number: 0, met: HashMap::new() }
    }

    /// The next line; `None` at the end. Of a line that is too long only its beginning is kept.
    fn read(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut line = Vec::new();
        let limit = BODY_BYTES_MAX as u64 + 1;
        if self.input.by_ref().take(limit).read_until(b'\n', &mut line)? == 0 {
            return Ok(None);
        }
        if line.len() > BODY_BYTES_MAX && !line.ends_with(b"\n") {
            self.input.skip_until(b'\n')?;
        }
        self.number += 1;
        Ok(Some(line))
    }

    fn parse(&mut self, line: &[u8]) -> Result<Line, String> {
        if line.len() > BODY_BYTES_MAX {
            return Err(format!("longer than {BODY_BYTES_MAX} bytes"));
        }
        let raw = match ingest::split(line) {
            Ok(Body::One(raw)) => raw,
            Ok(Body::Many(_)) => {
                return Err("an array; one event a line is expected (jq -c '.[]' makes them)".to_owned());
            }
            Err(refusal) => return Err(refusal.message),
        };
        let object = Object::of(raw).ok_or("an event is a JSON object")?;
        // On one line, whatever white space there was.
        let json = raw.get().replace(['\n', '\r'], " ");
        let has_id = object.raw("id").is_some() && object.raw("payload").is_some();
        let json = if has_id { json } else { self.with_id(&object, &json) };
        Ok(Line { number: self.number, json })
    }

    /// An event that has no id gets one that it has again next time.
    fn with_id(&mut self, object: &Object<'_>, json: &str) -> String {
        let same = Uuid::new_v5(&IDS, json.as_bytes());
        let met = self.met.entry(same).or_default();
        *met += 1;
        let id = Uuid::new_v5(&same, &met.to_be_bytes());
        if object.raw("payload").is_some() && object.text("hook_event_name").is_none() {
            // Our own form already: the id goes into it.
            return json.replacen('{', &format!("{{\"id\":\"{id}\","), 1);
        }
        format!("{{\"id\":\"{id}\",\"payload\":{json}}}")
    }
}

impl<R: Read> Iterator for Lines<R> {
    type Item = io::Result<Result<Line, Bad>>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let line = match self.read() {
                Ok(line) => line?,
                Err(error) => return Some(Err(error)),
            };
            if !line.trim_ascii().is_empty() {
                let number = self.number;
                return Some(Ok(self.parse(&line).map_err(|reason| Bad { number, reason })));
            }
        }
    }
}
