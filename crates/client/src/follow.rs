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

/// The first pause before a lost monitor is looked for.
const PAUSE: Duration = Duration::from_millis(50);

/// How a monitor that is gone is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reconnection {
    /// The longest pause between two looks; the first ones are shorter.
    pub delay_max: Duration,
    /// After how many looks in vain the following ends; `None` is never.
    pub attempts_max: Option<u32>,
}

impl Default for Reconnection {
    fn default() -> Self {
        Self { delay_max: Duration::from_secs(1), attempts_max: None }
    }
}

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

/// A follower of one monitor: an iterator that waits, and ends only when it has looked for a lost monitor as often
/// as it may. An error is a refusal that trying again does not change, and whoever goes on after it asks again; or it
/// is that end.
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
    reconnection: Reconnection,
    state: State,
    updates: VecDeque<Update>,
}

/// Whether the monitor is there.
#[derive(Clone, Copy, Debug)]
enum State {
    Connected,
    /// It is looked for, again after this pause.
    Lost {
        pause: Duration,
        looks: u32,
    },
    /// It was looked for as often as may be.
    GaveUp,
}

/// A position has a meaning only in the store that it is of.
#[derive(Clone, Debug)]
struct Place {
    epoch: String,
    position: Seq,
}

impl Follow {
    /// Follows a monitor. When it is gone, it is looked for in the home where it was found; one that the caller named
    /// by its address, at that and at the one that it named itself.
    pub fn new(monitor: Monitor, query: Query, start: Start) -> Self {
        let home = monitor.home().cloned();
        Self {
            monitor,
            home,
            query,
            start,
            place: None,
            is_caught_up: false,
            has_answered: false,
            reconnection: Reconnection::default(),
            state: State::Connected,
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

    /// Looks for a monitor that is gone as often and as long as this says.
    #[must_use]
    pub fn reconnecting(mut self, reconnection: Reconnection) -> Self {
        self.reconnection = reconnection;
        self
    }

    /// The monitor that is followed; while it is gone, where it was.
    pub fn monitor(&self) -> &Monitor {
        &self.monitor
    }

    /// The store that is followed, once it has answered.
    pub fn epoch(&self) -> Option<&str> {
        self.place.as_ref().map(|place| place.epoch.as_str())
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
        self.state = State::Lost { pause: PAUSE, looks: 0 };
        self.has_answered = false;
        self.updates.push_back(Update::Lost { url: self.monitor.url().to_owned(), reason });
    }

    /// Looks for the lost monitor once, after a pause.
    fn look(&mut self, pause: Duration, looks: u32) -> Result<(), Error> {
        thread::sleep(pause.min(self.reconnection.delay_max));
        let looks = looks.saturating_add(1);
        if let Some(monitor) = self.living() {
            self.updates.push_back(Update::Back { url: monitor.url().to_owned() });
            self.monitor = monitor;
            self.state = State::Connected;
        } else if self.reconnection.attempts_max.is_some_and(|most| looks >= most) {
            self.state = State::GaveUp;
            let reason = format!("it is gone, and was looked for in vain {looks} times");
            return Err(Error::Unreachable { url: self.monitor.url().to_owned(), reason });
        } else {
            let pause = (pause * 2).min(self.reconnection.delay_max);
            self.state = State::Lost { pause, looks };
        }
        Ok(())
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
            let done = match self.state {
                State::Connected => self.ask(),
                State::Lost { pause, looks } => self.look(pause, looks),
                State::GaveUp => return None,
            };
            if let Err(error) = done {
                return Some(Err(error));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pauses_between_looks_grow_up_to_the_longest() {
        // Nobody listens on port 1.
        let follow = Follow::new(Monitor::at("127.0.0.1", 1), Query::default(), Start::Newest(0));
        let delay_max = Duration::from_millis(120);
        let mut follow = follow.reconnecting(Reconnection { delay_max, attempts_max: None });
        assert!(matches!(follow.next(), Some(Ok(Update::Lost { .. }))));
        let mut pauses = Vec::new();
        while let State::Lost { pause, looks } = follow.state
            && looks < 4
        {
            pauses.push(pause.as_millis());
            follow.look(pause, looks).unwrap();
        }
        assert_eq!(pauses, [50, 100, 120, 120]);
    }
}
