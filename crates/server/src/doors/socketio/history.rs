//! Stored events in the shapes in which claude-mpm's clients ask for them.

use serde::Deserialize;
use serde_json::{Value, json};
use socketioxide::extract::{SocketRef, State};

use super::args::Args;
use super::reply::Ack;
use super::turns;
use crate::doors::clients::short;
use crate::record::store::Query;
use crate::state::AppState;

/// How many events `get_history` answers when nobody says.
const HISTORY_DEFAULT: usize = 100;

/// `{limit=100, event_types?, type?, session_id?}`
#[derive(Default, Deserialize)]
#[serde(default)]
struct HistoryRequest {
    limit: Option<usize>,
    event_types: Vec<String>,
    r#type: Option<String>,
    session_id: Option<String>,
}

impl HistoryRequest {
    fn query(&self, app: &AppState) -> Query {
        let limit = self.limit.unwrap_or(HISTORY_DEFAULT).min(app.config.history_max);
        let kinds = self.event_types.iter().chain(&self.r#type).cloned().collect();
        Query { limit, kinds, session: self.session_id.clone(), ..Query::default() }
    }
}

pub(super) async fn get_history(socket: SocketRef, args: Args, ack: Ack, State(app): State<AppState>) {
    let Some(mut turn) = turns::take_large(&socket, &ack).await else { return };
    let request: HistoryRequest = args.parsed();
    let history = read(&app, request.query(&app)).await;
    turn.answer(&["event_history", "history"], &ack, &history).await;
}

/// The same in the shape of the reference's newest monitor.
pub(super) async fn hook_history(socket: SocketRef, args: Args, ack: Ack, State(app): State<AppState>) {
    let Some(mut turn) = turns::take_large(&socket, &ack).await else { return };
    let request: HistoryRequest = args.parsed();
    let query = request.query(&app);
    let (kind, session) = (request.r#type.as_deref().map(short), request.session_id.as_deref().map(short));
    let filters = json!({ "type": kind, "session_id": session, "limit": query.limit });
    let history = read(&app, query).await;
    let response = json!({ "events": history["events"], "total": history["count"], "filters": filters });
    turn.answer(&["hook:history:response"], &ack, &response).await;
}

/// Both generations' shape of a history answer.
pub(super) async fn read(app: &AppState, query: Query) -> Value {
    let page = app.page(Query { payload: true, ..query }).await;
    let (events, error) = match page {
        Ok(page) => (page.into_events(), None),
        Err(error) => {
            if !error.is_askers() {
                tracing::warn!(%error, "could not read the history");
            }
            (Vec::new(), Some(error))
        }
    };
    let count = events.len();
    let events: Vec<Value> = events.iter().map(protocol::legacy::message).collect();
    let mut history =
        json!({ "events": events, "count": count, "returned": count, "total_available": app.hub.latest() });
    if let Some(error) = error {
        history["error"] = json!({ "code": error.code(), "message": error.to_string() });
    }
    history
}
