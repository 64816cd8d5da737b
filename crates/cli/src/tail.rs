//! `tail`: what was stored last, then what happens, one event a line, across restarts of the monitor.

use std::io;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;

use anyhow::Context as _;
use client::{Follow, Query, Start, Update};
use host::Flags;
use jiff::tz::TimeZone;
use protocol::{Entry, mask};

use crate::args::{Colour, Tail};
use crate::context::Context;
use crate::line::Look;
use crate::{Exit, interrupt, which};

/// Updates that may wait for a slow terminal; the monitor keeps the rest.
const WAITING_MAX: usize = 4;

/// What the printing thread is told.
enum Message {
    Update(Result<Update, client::Error>),
    Interrupted,
}

pub(crate) fn run(tail: &Tail, context: &mut Context<'_, '_>) -> anyhow::Result<Exit> {
    let running = match which::monitor(tail.which.port, context)? {
        Ok(running) => running,
        Err(exit) => return Ok(exit),
    };
    let monitor = running.monitor();
    let query = Query { payload: tail.payload, ..tail.wanted.query(&monitor)? };
    let follow = Follow::new(monitor, query, Start::Newest(tail.lines)).in_home(&context.home);
    let follow = follow.reconnecting(context.settings(&Flags::default())?.reconnection);
    let (sender, messages) = sync_channel(WAITING_MAX);
    let interrupted = sender.clone();
    // Whoever is gone already need not be told.
    interrupt::on_interrupt(move || drop(interrupted.send(Message::Interrupted)))
        .context("could not wait for Ctrl-C")?;
    thread::spawn(move || pass_on(follow, &sender));
    let mut printer = Printer { tail, look: look(tail, context), day: None };
    for message in messages {
        let update = match message {
            Message::Update(update) => update?,
            Message::Interrupted => return Ok(Exit::Done),
        };
        match update {
            Update::CaughtUp if tail.no_follow => return Ok(Exit::Done),
            update => match printer.show(update, context) {
                // Whoever reads, such as `head`, has enough.
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(Exit::Done),
                shown => shown.context("could not write")?,
            },
        }
    }
    Ok(Exit::Done)
}

/// Follows until nobody listens.
fn pass_on(follow: Follow, sender: &SyncSender<Message>) {
    for update in follow {
        if sender.send(Message::Update(update)).is_err() {
            return;
        }
    }
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
}

impl Printer<'_> {
    fn show(&mut self, update: Update, context: &mut Context<'_, '_>) -> io::Result<()> {
        match update {
            Update::Events(events) => {
                let mut text = String::new();
                for event in events {
                    self.write(event, &mut text)?;
                }
                return context.terminal.write(&text);
            }
            Update::CaughtUp => {}
            Update::Lost { url, .. } => {
                context
                    .terminal
                    .complain(format_args!("The monitor at {url} is gone; waiting until it is back"));
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

    fn write(&mut self, mut event: Entry, text: &mut String) -> io::Result<()> {
        if !self.tail.raw {
            mask::entry(&mut event);
        }
        if self.tail.json {
            *text += &crate::jsonl::line(&event)?;
            return Ok(());
        }
        let day = self.look.date(event.row.occurred_at);
        if self.day.replace(day) != Some(day) {
            *text += &(self.look.day(event.row.occurred_at) + "\n");
        }
        *text += &(self.look.line(&event.row) + "\n");
        Ok(())
    }
}
