//! Following a monitor: what is stored, then what happens, across restarts and changes of port, each event once
//! and none left out. Every answer says from which position to ask on, so there is nothing to be missed.

use std::collections::VecDeque;
use std::thread;
use std::time::Duration;

use protocol::paths::Home;
use protocol::{Entry, Page, Seq, names};

use crate::history::{Part, Query};
use crate::{Error, Monitor, Running, running};

/// How long a request waits for the next event. A dead connection is noticed after that.
const WAIT: Duration = Duration::from_secs(20);

/// The first pause before a lost monitor is looked for, and the longest.
const PAUSE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));

/// Where to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// With this many of the newest events that match.
    Newest(usize),
    /// After a position.
    After(Seq),
}

/// What a follower learns.
#[derive(Debug)]
pub enum Update {
    /// The next events, oldest first.
    Events(Vec<Entry>),
    /// Everything that was stored when the following began has been given. Told once.
    CaughtUp,
    /// The monitor is gone; it is looked for until it is back.
    Lost {
        /// Where it was.
        url: String,
        /// Why, in words.
        reason: String,
    },
    /// It is back. What was stored meanwhile comes next.
    Back {
        /// Where it is now.
        url: String,
    },
    /// Its store is another one than before: positions start over, and so does the following.
    StartedOver,
}

/// A follower of one monitor: an iterator that waits and never ends by itself. An error is a refusal that trying
/// again does not change; whoever goes on after it asks again.
///
/// ```no_run
/// use client::{Follow, Monitor, Query, Start, Update};
///
/// # fn main() -> Result<(), client::Error> {
/// for update in Follow::new(Monitor::at("localhost", 8765), Query::default(), Start::Newest(10)) {
///     if let Update::Events(events) = update? {
///         events.iter().for_each(|event| println!("{} {}", event.row.seq, event.row.summary));
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Follow {
    monitor: Monitor,
    home: Option<Home>,
    query: Query,
    start: Start,
    /// Where to go on; unknown before the first answer.
    place: Option<Place>,
    is_caught_up: bool,
    /// Whether it has answered since it was found: who has another store is not waited for.
    has_answered: bool,
    /// The pause before the next look, while the monitor is lost.
    lost: Option<Duration>,
    updates: VecDeque<Update>,
}

/// A position has a meaning only in the store that it is of.
#[derive(Clone, Debug)]
struct Place {
    epoch: String,
    position: Seq,
}

impl Follow {
    /// Follows a monitor. When it is gone, it is looked for at its address and at the one that it named.
    pub fn new(monitor: Monitor, query: Query, start: Start) -> Self {
        Self {
            monitor,
            home: None,
            query,
            start,
            place: None,
            is_caught_up: false,
            has_answered: false,
            lost: None,
            updates: VecDeque::new(),
        }
    }

    /// Looks for a monitor that is gone among the runfiles of this home, too: it is found on whatever port it
    /// comes back, and nobody else is taken for it.
    #[must_use]
    pub fn in_home(mut self, home: &Home) -> Self {
        self.home = Some(home.clone());
        self
    }

    /// Asks for what comes next.
    fn ask(&mut self) -> Result<(), Error> {
        let wait = if self.is_caught_up && self.has_answered { WAIT } else { Duration::ZERO };
        let page = match &self.place {
            Some(place) => self.monitor.news(&self.query, place.position, wait),
            None => self.first(),
        };
        match page {
            Ok(page) => self.take(page),
            // It has started again, and only its new runfile says what it wants to hear.
            Err(error @ Error::Refused { status: 401, .. }) if self.home.is_some() => {
                self.lose(error.to_string());
            }
            Err(error @ Error::Refused { status: 400..500, .. }) => return Err(error),
            Err(error) => self.lose(error.to_string()),
        }
        Ok(())
    }

    /// The page at which to begin.
    fn first(&self) -> Result<Page, Error> {
        let after = match self.start {
            Start::After(after) => after,
            Start::Newest(count) => {
                let newest = self.monitor.history(&self.query, Part::Newest, 1)?;
                let end = Seq(newest.position.0 + 1);
                self.monitor.position_of_newest(&self.query, end, count)?
            }
        };
        self.monitor.history(&self.query, Part::After(after), names::PAGE_MAX)
    }

    fn take(&mut self, page: Page) {
        self.has_answered = true;
        if self.place.as_ref().is_some_and(|place| place.epoch != page.epoch) {
            self.place = Some(Place { epoch: page.epoch, position: Seq(0) });
            self.is_caught_up = false;
            self.updates.push_back(Update::StartedOver);
            return;
        }
        self.place = Some(Place { epoch: page.epoch, position: page.position });
        if !page.events.is_empty() {
            self.updates.push_back(Update::Events(page.events));
        }
        if !page.has_more && !self.is_caught_up {
            self.is_caught_up = true;
            self.updates.push_back(Update::CaughtUp);
        }
        if let Some(ending) = page.ending {
            self.lose(format!("it ends ({})", ending.reason));
            if let Some(url) = ending.url {
                self.monitor = self.monitor.moved_to(&url);
            }
        }
    }

    fn lose(&mut self, reason: String) {
        self.lost = Some(PAUSE.0);
        self.has_answered = false;
        self.updates.push_back(Update::Lost { url: self.monitor.url().to_owned(), reason });
    }

    /// Looks for the lost monitor once, after a pause.
    fn look(&mut self, pause: Duration) {
        thread::sleep(pause);
        if let Some(monitor) = self.living() {
            self.updates.push_back(Update::Back { url: monitor.url().to_owned() });
            self.monitor = monitor;
            self.lost = None;
        } else {
            self.lost = Some((pause * 2).min(PAUSE.1));
        }
    }

    /// Whoever has the store that was followed; else whoever is where it was, with a new store.
    fn living(&self) -> Option<Monitor> {
        let candidates = match &self.home {
            Some(home) => running(home).iter().map(Running::monitor).collect(),
            None => vec![self.monitor.clone()],
        };
        let epoch_of = |monitor: &Monitor| {
            let page = monitor.history(&Query::default(), Part::Newest, 1).ok()?;
            page.ending.is_none().then_some(page.epoch)
        };
        let found: Vec<_> =
            candidates.into_iter().filter_map(|monitor| Some((epoch_of(&monitor)?, monitor))).collect();
        let wanted = self.place.as_ref().map(|place| place.epoch.as_str());
        let same = found.iter().find(|(epoch, _)| wanted.is_none_or(|wanted| wanted == epoch));
        let chosen = same.or_else(|| found.iter().find(|(_, monitor)| monitor.url() == self.monitor.url()));
        chosen.map(|(_, monitor)| monitor.clone())
    }
}

impl Iterator for Follow {
    type Item = Result<Update, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(update) = self.updates.pop_front() {
                return Some(Ok(update));
            }
            match self.lost {
                Some(pause) => self.look(pause),
                None => {
                    if let Err(error) = self.ask() {
                        return Some(Err(error));
                    }
                }
            }
        }
    }
}
