//! A page of history that waits until there is something on it: a live feed for any program that speaks HTTP,
//! without a gap, because each answer says from where to ask on.

use std::time::Duration;

use protocol::page::Ending;
use protocol::{Entry, Page, Seq};
use tokio::time::{Instant, sleep, sleep_until};

use crate::ended::Ended;
use crate::record::store::{Query, StoreError};
use crate::state::AppState;

/// Before new events are read: a burst becomes one page, and a filter that nothing passes is tried at most twenty
/// times a second.
const COALESCE: Duration = Duration::from_millis(50);

/// Answers when an event matches, `wait` is over or the server ends; at once without a `wait`.
pub(super) async fn page(app: &AppState, mut query: Query, wait: Duration) -> Result<Page, StoreError> {
    let deadline = Instant::now() + wait;
    let mut ended = app.ended.subscribe();
    loop {
        // Known before the page is read: what is stored meanwhile may be on the page, but need not be.
        let latest = app.hub.latest();
        let ending = *ended.borrow_and_update();
        let found = app.page(query.clone()).await?;
        let position = position(&query, latest, &found);
        if !found.events.is_empty() || ending.is_some() || Instant::now() >= deadline {
            let events = found.events.into_iter().map(|(row, payload)| Entry { row, payload }).collect();
            let ending = ending.map(|ended| describe(ended, app));
            let epoch = app.store.epoch().to_owned();
            return Ok(Page { events, has_more: found.has_more, position, epoch, ending });
        }
        query.after = Some(position);
        tokio::select! {
            () = news(app, position) => {}
            () = async { drop(ended.wait_for(Option::is_some).await) } => {}
            () = sleep_until(deadline) => {}
        }
    }
}

async fn news(app: &AppState, position: Seq) {
    app.hub.newer_than(position).await;
    sleep(COALESCE).await;
}

/// Up to where a page is complete.
fn position(query: &Query, latest: Seq, page: &crate::record::store::Page) -> Seq {
    let last = page.events.last().map(|(row, _)| row.seq);
    match (query.after, query.before) {
        (Some(after), _) if page.has_more => last.unwrap_or(after),
        (Some(after), Some(before)) => after.max(latest.min(Seq(before.0.saturating_sub(1)))),
        (after, None) => latest.max(last.unwrap_or_default()).max(after.unwrap_or_default()),
        (None, Some(before)) => latest.min(Seq(before.0.saturating_sub(1))),
    }
}

fn describe(ended: Ended, app: &AppState) -> Ending {
    match ended {
        Ended::Restart { port } | Ended::Replaced { port } => {
            Ending { reason: "restart".to_owned(), url: Some(app.url_at(port)) }
        }
        Ended::Asked | Ended::Caller => Ending { reason: "shutdown".to_owned(), url: None },
    }
}
