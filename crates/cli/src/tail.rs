//! `tail`: what was stored last, then what happens, one event a line, across restarts of the monitor.

mod sources;

use std::collections::BTreeSet;
use std::io;
use std::sync::mpsc::{Receiver, sync_channel};

use anyhow::Context as _;
use client::Update;
use host::Flags;
use jiff::tz::TimeZone;
use protocol::{Entry, mask};

use crate::args::{Colour, Tail};
use crate::context::Context;
use crate::line::Look;
use crate::{Exit, interrupt, which};
use sources::{Followed, Sources};

/// Updates that may wait for a slow terminal; the monitor keeps the rest.
const WAITING_MAX: usize = 4;

/// What the printing thread is told.
enum Message {
    Update {
        /// Of whom, whatever his address is.
        id: usize,
        url: String,
        update: Result<Update, client::Error>,
    },
    Interrupted,
}

pub(crate) fn run(tail: &Tail, context: &mut Context<'_, '_>) -> anyhow::Result<Exit> {
    let choice = "choose one with --port, or follow all with --all";
    let running = match tail.all {
        true => which::all(context)?,
        false => which::one_of(tail.which.port, choice, context)?.map(|one| vec![one]),
    };
    let running = match running {
        Ok(running) => running,
        Err(exit) => return Ok(exit),
    };
    let (messages, told) = sync_channel(WAITING_MAX);
    let interrupted = messages.clone();
    // Whoever is gone already need not be told.
    interrupt::on_interrupt(move || drop(interrupted.send(Message::Interrupted)))
        .context("could not wait for Ctrl-C")?;
    let reconnection = context.settings(&Flags::default())?.reconnection;
    let followed = Followed::default();
    let sources = Sources { home: context.home.clone(), reconnection, messages, followed };
    for running in &running {
        sources.follow(running, tail)?;
    }
    let printer = Printer::new(tail, &sources.followed, look(tail, context));
    if tail.all && !tail.no_follow {
        sources.follow_new(tail.clone());
    } else {
        drop(sources);
    }
    print(&told, printer, context)
}

/// Prints what is told until that is over.
fn print(
    told: &Receiver<Message>,
    mut printer: Printer<'_>,
    context: &mut Context<'_, '_>,
) -> anyhow::Result<Exit> {
    for message in told {
        let Message::Update { id, url, update } = message else { return Ok(Exit::Done) };
        let update = match update {
            Ok(update) => update,
            // Of several, one that followed well may end.
            Err(error) if printer.tail.all && !printer.early_from.contains(&id) => {
                context.terminal.complain(format_args!("{error}"));
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        match printer.show(id, &url, update, context) {
            // Whoever reads, such as `head`, has enough.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(Exit::Done),
            shown => shown.context("could not write")?,
        }
        if printer.tail.no_follow && printer.early_from.is_empty() {
            return Ok(Exit::Done);
        }
    }
    Ok(Exit::Done)
}

fn look(tail: &Tail, context: &Context<'_, '_>) -> Look {
    let set = |name: &str| (context.var)(name).is_some_and(|value| !value.is_empty());
    let is_dumb = (context.var)("TERM").is_some_and(|term| term == "dumb");
    let is_coloured = match tail.color {
        Colour::Always => true,
        Colour::Never => false,
        Colour::Auto => context.terminal.live && !set("NO_COLOR") && !is_dumb,
    };
    Look { columns: context.terminal.columns, is_coloured, zone: TimeZone::system() }
}

struct Printer<'a> {
    tail: &'a Tail,
    look: Look,
    /// The day of the last line.
    day: Option<jiff::civil::Date>,
    /// Who has not told everything yet that was stored when the following began.
    early_from: BTreeSet<usize>,
    /// What several told of that: it is shown in the order of time.
    early: Vec<(u16, Entry)>,
}

impl<'a> Printer<'a> {
    fn new(tail: &'a Tail, followed: &Followed, look: Look) -> Self {
        let look = if tail.all { look.beside_instance() } else { look };
        Self { tail, look, day: None, early_from: followed.ids().into_iter().collect(), early: Vec::new() }
    }

    fn show(
        &mut self,
        id: usize,
        url: &str,
        update: Update,
        context: &mut Context<'_, '_>,
    ) -> io::Result<()> {
        let is_early = self.early_from.contains(&id);
        match update {
            Update::Events(events) => {
                let port = port_of(url);
                let events = events.into_iter().map(|event| (port, event));
                if self.tail.all && is_early {
                    self.early.extend(events);
                    return Ok(());
                }
                return self.write_all(events, context);
            }
            Update::CaughtUp => return self.caught_up(id, context),
            Update::Lost { url, .. } => {
                context
                    .terminal
                    .complain(format_args!("The monitor at {url} is gone; waiting until it is back"));
                // The others are not held up by it.
                if self.tail.all {
                    return self.caught_up(id, context);
                }
            }
            Update::Back { url } => {
                context.terminal.complain(format_args!("The monitor is back at {url}"));
            }
            Update::StartedOver => {
                context.terminal.complain("It has another store now; this is its history from the beginning");
            }
        }
        Ok(())
    }

    fn caught_up(&mut self, id: usize, context: &mut Context<'_, '_>) -> io::Result<()> {
        self.early_from.remove(&id);
        if !self.early_from.is_empty() {
            return Ok(());
        }
        let mut early = std::mem::take(&mut self.early);
        early.sort_by_key(|(_, event)| event.row.received_at);
        self.write_all(early, context)
    }

    fn write_all(
        &mut self,
        events: impl IntoIterator<Item = (u16, Entry)>,
        context: &mut Context<'_, '_>,
    ) -> io::Result<()> {
        let mut text = String::new();
        for (port, event) in events {
            self.write(port, event, &mut text)?;
        }
        context.terminal.write(&text)
    }

    fn write(&mut self, port: u16, mut event: Entry, text: &mut String) -> io::Result<()> {
        if !self.tail.raw {
            mask::entry(&mut event);
        }
        if self.tail.json {
            *text += &match self.tail.all {
                true => crate::jsonl::line_of(port, &event)?,
                false => crate::jsonl::line(&event)?,
            };
            return Ok(());
        }
        let day = self.look.date(event.row.occurred_at);
        if self.day.replace(day) != Some(day) {
            *text += &(self.look.day(event.row.occurred_at) + "\n");
        }
        if self.tail.all {
            *text += &self.look.instance(port);
        }
        *text += &(self.look.line(&event.row) + "\n");
        Ok(())
    }
}

/// The port of a monitor's address, which always has one.
fn port_of(url: &str) -> u16 {
    url.rsplit(':').next().and_then(|port| port.parse().ok()).unwrap_or_default()
}
