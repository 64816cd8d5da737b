//! What the server tells of itself to Prometheus: `GET /metrics`, in the text format of OpenMetrics.

use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use protocol::{Health, Timestamp};

use crate::doors::clients::Clients;
use crate::gate::audit::Audit;
use crate::record::store::Store;

/// What the answer is, as scrapers want it named.
pub(crate) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Every name begins with it but those that all programs share.
const PREFIX: &str = "claude_mpm_monitor";

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByTransport {
    transport: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByCode {
    code: &'static str,
}

/// What is told of.
pub(crate) struct Sources<'a> {
    pub health: Health,
    pub clients: &'a Clients,
    pub audit: &'a Audit,
    pub store: &'a Store,
    /// The store's size, which only who may block can find out.
    pub store_bytes: Option<u64>,
    pub process_started_at: Timestamp,
}

/// Everything as it is now.
pub(crate) fn text(sources: &Sources<'_>) -> String {
    let mut registry = Registry::with_prefix(PREFIX);
    events(&mut registry, sources);
    store(&mut registry, sources);
    connections(&mut registry, sources.clients);
    registry.register(
        "build",
        "Which version this is",
        Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]),
    );
    let mut process = Registry::with_prefix("process");
    self::process(&mut process, sources.process_started_at);
    let mut answer = String::with_capacity(8 * 1024);
    for registry in [&registry, &process] {
        text::encode_registry(&mut answer, registry).expect("a String takes every text");
    }
    text::encode_eof(&mut answer).expect("a String takes every text");
    answer
}

fn events(registry: &mut Registry, Sources { health, clients, audit, .. }: &Sources<'_>) {
    let (events, spool) = (&health.health_stats, &health.spool);
    let mut count =
        |name: &str, help: &str, value: u64| registry.register(name, help, ConstCounter::new(value));
    count("events_stored", "Events stored since the start", events.events_processed);
    count("events_refused", "Events refused since the start, for what their senders sent", events.errors);
    count(
        "broadcasts_not_delivered",
        "Broadcasts that slow clients missed and can ask for",
        clients.not_delivered(),
    );
    count("spool_refused", "Events that hooks could not keep, and lost", spool.refused);
    count("spool_rejected", "Spooled files that were no event", spool.rejected);
    gauge(registry, "spool_waiting", "Spooled events that wait to be stored", spool.waiting);
    gauge(
        registry,
        "capture_paused",
        "1 while the user has paused the capture",
        health.capture.paused.into(),
    );
    let requests = Family::<ByCode, Counter>::default();
    for (code, count) in audit.counts() {
        requests.get_or_create(&ByCode { code }).inc_by(count);
    }
    registry.register(
        "requests_refused",
        "Requests and connections refused, by the code of the reason",
        requests,
    );
}

fn store(registry: &mut Registry, Sources { store, store_bytes, .. }: &Sources<'_>) {
    let costs = store.costs();
    let seconds = |registry: &mut Registry, name: &str, help: &str, histogram: &Histogram| {
        registry.register_with_unit(name, help, Unit::Seconds, histogram.clone());
    };
    seconds(registry, "append_duration", "From the queue to the commit, for each body", &costs.append);
    seconds(registry, "commit_duration", "One commit of the event store", &costs.commit);
    registry.register("commit_events", "Events in one commit", costs.group.clone());
    gauge(registry, "store_last_position", "Position of the newest stored event", store.last_seq().0);
    gauge(registry, "store_ok", "1 while events can be stored", u64::from(store.state() == "ok"));
    if let Some(bytes) = *store_bytes {
        registry.register_with_unit("store_size", "The event store on disk", Unit::Bytes, unsigned(bytes));
    }
}

fn connections(registry: &mut Registry, clients: &Clients) {
    let by_transport = Family::<ByTransport, Gauge>::default();
    for (_, client) in clients.all() {
        by_transport.get_or_create(&ByTransport { transport: client.transport.name() }).inc();
    }
    registry.register("clients", "Clients that are connected, by transport", by_transport);
    let served = ConstCounter::new(clients.served());
    registry.register("clients_served", "Clients that connected since the start", served);
}

/// What Prometheus expects of every program, as far as this system tells it.
fn process(registry: &mut Registry, started: Timestamp) {
    let started = ConstGauge::new(started.0 as f64 / 1000.0);
    registry.register_with_unit(
        "start_time",
        "When the process started, since the epoch",
        Unit::Seconds,
        started,
    );
    #[cfg(unix)]
    {
        let used = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
        let used = ConstCounter::new(used.tv_sec as f64 + used.tv_nsec as f64 / 1e9);
        registry.register_with_unit("cpu", "CPU time of the process", Unit::Seconds, used);
    }
    #[cfg(target_os = "linux")]
    {
        if let Some(bytes) = resident_bytes() {
            registry.register_with_unit("resident_memory", "Memory in use", Unit::Bytes, unsigned(bytes));
        }
        if let Ok(open) = std::fs::read_dir("/proc/self/fd") {
            // Without the one that reads them.
            gauge(registry, "open_fds", "Open files and sockets", (open.count() as u64).saturating_sub(1));
        }
        if let Some(max) = rustix::process::getrlimit(rustix::process::Resource::Nofile).current {
            gauge(registry, "max_fds", "Most files and sockets that may be open", max);
        }
    }
}

#[cfg(target_os = "linux")]
fn resident_bytes() -> Option<u64> {
    let pages = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = pages.split_whitespace().nth(1)?.parse().ok()?;
    Some(pages * rustix::param::page_size() as u64)
}

fn gauge(registry: &mut Registry, name: &str, help: &str, value: u64) {
    registry.register(name, help, unsigned(value));
}

fn unsigned(value: u64) -> ConstGauge<i64> {
    ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX))
}
