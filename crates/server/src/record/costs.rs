//! What storing costs, as it is measured where it happens.

use std::time::Duration;

use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};

/// What storing costs; clones share it. Only the writer observes, so nobody waits for anybody.
#[derive(Clone, Debug)]
pub(crate) struct Costs {
    /// From joining the queue to the commit, for each body.
    pub(crate) append: Histogram,
    /// One commit.
    pub(crate) commit: Histogram,
    /// Events in one commit.
    pub(crate) group: Histogram,
}

impl Default for Costs {
    fn default() -> Self {
        Self {
            append: Histogram::new(exponential_buckets(0.0001, 2.0, 16)),
            commit: Histogram::new(exponential_buckets(0.0001, 2.0, 16)),
            group: Histogram::new(exponential_buckets(1.0, 4.0, 7)),
        }
    }
}

impl Costs {
    pub(crate) fn appended(&self, waited: Duration) {
        self.append.observe(waited.as_secs_f64());
    }

    pub(crate) fn committed(&self, events: usize, took: Duration) {
        self.commit.observe(took.as_secs_f64());
        self.group.observe(events as f64);
    }
}
