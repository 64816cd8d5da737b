//! `export`: events out of a running monitor into a file, a page at a time, so that a million of them take no more
//! memory than a thousand.

mod csv;
mod html;
mod target;

use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context as _;
use client::{Monitor, Part, Query};
use indicatif::{HumanBytes, HumanCount, ProgressBar, ProgressStyle};
use protocol::{Entry, Seq, mask};

use crate::args::{Export, Format};
use crate::context::Context;
use crate::when::{self, Edge};
use crate::{Exit, interrupt, jsonl, which};
use target::Target;

/// Events of a report when nobody says: a browser shows so many at once without effort.
const REPORT_EVENTS: usize = 10_000;

/// Where the events go, in one of the formats.
trait Sheet {
    /// Writes one event.
    fn event(&mut self, event: &Entry, out: &mut dyn Write) -> io::Result<()>;
    /// Writes what comes after the last.
    fn end(&mut self, out: &mut dyn Write) -> io::Result<()>;
}

/// Which events an export takes, as positions that are not part of it.
struct Range {
    after: Seq,
    before: Seq,
}

pub(crate) fn run(export: &Export, context: &mut Context<'_, '_>) -> anyhow::Result<Exit> {
    let Some(format) = export.format.or_else(|| format_of(&export.output)) else {
        let error = format!("could not tell the format of {} by its name", export.output.display());
        context.terminal.error(error, Some("say --format jsonl, csv or html"));
        return Ok(Exit::Usage);
    };
    let target = Target::of(&export.output, export.force)?;
    let query = query(export, format)?;
    let running = match which::monitor(export.which.port, context)? {
        Ok(running) => running,
        Err(exit) => return Ok(exit),
    };
    let monitor = running.monitor();
    let Query { filter, id, .. } = export.wanted.query(&monitor)?;
    let query = Query { filter, id, ..query };
    let range = range(&monitor, &query, format, export, context)?;
    let work = Work { monitor: &monitor, query: &query, range, raw: export.raw };
    let mut counted = Counted { out: target.open()?, bytes: 0 };
    let events = match work.write(format, &mut counted) {
        // Whoever reads, such as `head`, has enough.
        Err(error) if is_broken_pipe(&error) => return Ok(Exit::Done),
        written => written?,
    };
    let bytes = counted.bytes;
    if let Some(path) = counted.out.finish()? {
        let masked = if export.raw { "secrets not masked" } else { "secrets masked" };
        let (count, size) = (HumanCount(events), HumanBytes(bytes));
        let noun = if events == 1 { "event" } else { "events" };
        context
            .terminal
            .say(format_args!("Exported {count} {noun} to {} ({size}, {masked})", path.display()));
    }
    Ok(Exit::Done)
}

/// The format that a file of that name has; standard output takes lines.
fn format_of(path: &Path) -> Option<Format> {
    if path == Path::new("-") {
        return Some(Format::Jsonl);
    }
    match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
        "jsonl" | "ndjson" => Some(Format::Jsonl),
        "csv" => Some(Format::Csv),
        "html" | "htm" => Some(Format::Html),
        _ => None,
    }
}

/// Everything but the filter, which needs a monitor to be read.
fn query(export: &Export, format: Format) -> anyhow::Result<Query> {
    let now = jiff::Zoned::now();
    let time =
        |text: &Option<String>, edge| text.as_deref().map(|text| when::parse(text, edge, &now)).transpose();
    Ok(Query {
        from: time(&export.from, Edge::Start)?,
        to: time(&export.to, Edge::End)?,
        text: export.query.clone(),
        payload: format != Format::Csv,
        ..Query::default()
    })
}

/// What is stored now, or the newest of it.
fn range(
    monitor: &Monitor,
    query: &Query,
    format: Format,
    export: &Export,
    context: &mut Context<'_, '_>,
) -> anyhow::Result<Range> {
    let newest = Query { payload: false, ..query.clone() };
    let before = Seq(monitor.history(&newest, Part::Newest, 1)?.position.0 + 1);
    let limit = export.limit.or((format == Format::Html).then_some(REPORT_EVENTS));
    let Some(limit) = limit else { return Ok(Range { after: Seq(0), before }) };
    let after = monitor.position_of_newest(&newest, before, limit)?;
    if export.limit.is_none() && after > Seq(0) {
        context.terminal.complain(format_args!(
            "The report shows the newest {} events; --limit shows more, and a JSONL export has all",
            HumanCount(limit as u64)
        ));
    }
    Ok(Range { after, before })
}

/// The reading and writing of one export.
struct Work<'a> {
    monitor: &'a Monitor,
    query: &'a Query,
    range: Range,
    raw: bool,
}

impl Work<'_> {
    /// Writes all events; returns how many.
    fn write(&self, format: Format, out: &mut dyn Write) -> anyhow::Result<u64> {
        let interrupted = Arc::new(AtomicBool::new(false));
        let told = interrupted.clone();
        interrupt::on_interrupt(move || told.store(true, Ordering::Relaxed))
            .context("could not wait for Ctrl-C")?;
        let mut sheet = self.sheet(format, out)?;
        let bar = bar(self.range.before.0.saturating_sub(self.range.after.0 + 1));
        let mut events = 0;
        for page in self.monitor.pages(self.query, self.range.after, self.range.before) {
            for mut event in page? {
                bar.set_position(event.row.seq.0 - self.range.after.0);
                if !self.raw {
                    mask::entry(&mut event);
                }
                sheet.event(&event, out)?;
                events += 1;
            }
            bar.set_message(HumanCount(events).to_string());
            anyhow::ensure!(!interrupted.load(Ordering::Relaxed), "interrupted; no file was written");
        }
        sheet.end(out)?;
        out.flush()?;
        bar.finish_and_clear();
        Ok(events)
    }

    fn sheet(&self, format: Format, out: &mut dyn Write) -> anyhow::Result<Box<dyn Sheet>> {
        Ok(match format {
            Format::Jsonl => Box::new(Lines),
            Format::Csv => Box::new(csv::Table::begin(out)?),
            Format::Html => Box::new(html::Report::begin(&self.overview()?, out)?),
        })
    }

    /// What a report says before its events: read first, without the payloads.
    fn overview(&self) -> anyhow::Result<html::Overview> {
        let mut overview = html::Overview::new(self.raw);
        let query = Query { payload: false, ..self.query.clone() };
        for page in self.monitor.pages(&query, self.range.after, self.range.before) {
            page?.iter().for_each(|event| overview.count(&event.row));
        }
        Ok(overview)
    }
}

/// JSONL.
struct Lines;

impl Sheet for Lines {
    fn event(&mut self, event: &Entry, out: &mut dyn Write) -> io::Result<()> {
        out.write_all(jsonl::line(event)?.as_bytes())
    }

    fn end(&mut self, _: &mut dyn Write) -> io::Result<()> {
        Ok(())
    }
}

/// Counts what is written.
struct Counted {
    out: target::Open,
    bytes: u64,
}

impl Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// How far the work is, on standard error and only if that is a terminal.
pub(crate) fn bar(length: u64) -> ProgressBar {
    let style = "{bar:30.cyan/blue} {percent:>3}%  {msg} events  {elapsed}, {eta} to go";
    let bar = ProgressBar::new(length);
    bar.set_style(ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
