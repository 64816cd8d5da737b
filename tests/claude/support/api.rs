//! The stand-in for the Messages API: answers by script, holds an answer until the test lets it go on, and keeps a
//! ledger of what it told. Whatever else is asked for does not exist.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, Mutex};

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use e2e::eventually;
use futures_util::stream::{self, Stream, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::watch;

use crate::answer::{Answer, Frame};
use crate::ledger::{Ledger, Progress, Purpose, Told, sum};
use crate::request::Request;
use crate::script::{self, Part, Refusal, Scripts};

/// The most bytes of a request. A conversation of the tests has a few hundred thousand.
const REQUEST_BYTES_MAX: usize = 32 << 20;

/// The title that a session gets when Claude Code asks for one.
pub const TITLE: &str = "A session by script";

/// The gate that every compaction waits at.
pub const COMPACTION: &str = "compaction";

/// A running stand-in; it ends with the value.
pub struct Api {
    shared: Arc<Shared>,
    address: SocketAddr,
    runtime: Option<Runtime>,
}

struct Shared {
    scripts: Scripts,
    /// The folder that the sessions work in.
    folder: String,
    ledger: Ledger,
    /// How often each error was given already, by script and step.
    refused: Mutex<BTreeMap<(String, usize), usize>>,
    /// The gates that are open.
    open: watch::Sender<Vec<String>>,
}

impl Api {
    /// Starts one on a free port.
    pub(crate) fn start(folder: &Path) -> Self {
        let shared = Arc::new(Shared {
            scripts: script::all(),
            folder: folder.display().to_string(),
            ledger: Ledger::default(),
            refused: Mutex::default(),
            open: watch::Sender::default(),
        });
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let runtime = builder.worker_threads(1).enable_all().build().expect("a runtime can be made");
        let listener = runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)));
        let listener = listener.expect("a port of loopback can be had");
        let address = listener.local_addr().expect("a listener has an address");
        let router = router(shared.clone());
        runtime.spawn(async move { axum::serve(listener, router).await });
        Self { shared, address, runtime: Some(runtime) }
    }

    /// Where it listens.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Lets answers go on that wait at this gate, now and later.
    pub fn open(&self, gate: &str) {
        self.shared.open.send_modify(|open| open.push(gate.to_owned()));
    }

    /// All that was told.
    pub fn told(&self) -> Vec<Told> {
        self.shared.ledger.lines()
    }

    /// Waits until this step of a script was asked for.
    #[track_caller]
    pub fn wait_for(&self, step: &str) {
        eventually(&format!("a request for {step} among {:#?}", self.told()), || {
            self.told().iter().any(|told| told.step == step).then_some(())
        });
    }

    /// The sums of what was told to a session and its subagents, as far as it counts; nothing when nothing was.
    pub fn used(&self, session: &str, counts: impl Fn(&Told) -> bool) -> Option<Value> {
        let told = self.told();
        sum(told.iter().filter(|told| told.session.as_deref() == Some(session) && counts(told)))
    }
}

impl Drop for Api {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background(); // answers may be held for ever
        }
    }
}

fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/v1/messages", post(messages))
        .route("/v1/messages/count_tokens", post(count))
        .fallback(nothing)
        .layer(DefaultBodyLimit::max(REQUEST_BYTES_MAX))
        .with_state(shared)
}

async fn nothing(method: Method) -> Response {
    // Claude Code asks this way whether there is anybody.
    if method == Method::HEAD {
        return StatusCode::OK.into_response();
    }
    error(StatusCode::NOT_FOUND, "not_found_error", "there is no such thing here")
}

async fn count(body: Bytes) -> Json<Value> {
    Json(json!({ "input_tokens": body.len() / 4 + 1 }))
}

async fn messages(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Response {
    let Some(request) = Request::read(&headers, &body) else {
        return error(StatusCode::BAD_REQUEST, "invalid_request_error", "this is no JSON");
    };
    let mut parts = shared.parts(&request);
    let step = format!("{} {}", request.script.as_deref().unwrap_or("-"), request.step);
    let refusal = shared.refusal(&request, &mut parts);
    let (number, usage) = shared.ledger.note(|usage| Told {
        session: request.session.clone(),
        purpose: request.purpose,
        model: request.model.clone(),
        step,
        progress: if refusal.is_some() { Progress::Refused } else { Progress::Asked },
        usage,
    });
    if let Some(refusal) = refusal {
        return refuse(&refusal);
    }
    let id = format!("msg_script{number:06}");
    let answer = Answer { id, model: request.model, usage, parts };
    if request.is_stream {
        return Sse::new(stream(shared, number, answer.frames())).into_response();
    }
    for gate in answer.holds() {
        shared.wait_for(gate).await;
    }
    shared.ledger.progress(number, Progress::Whole);
    Json(answer.message()).into_response()
}

/// Tells frame after frame. Whoever hangs up ends it where it is.
fn stream(
    shared: Arc<Shared>,
    number: usize,
    frames: Vec<Frame>,
) -> impl Stream<Item = Result<Event, Infallible>> {
    stream::iter(frames).filter_map(move |frame| {
        let shared = shared.clone();
        async move {
            match frame {
                Frame::Tell(name, mut data) => {
                    data["type"] = json!(name);
                    Some(Ok(Event::default().event(name).data(data.to_string())))
                }
                Frame::Hold(gate) => {
                    shared.wait_for(&gate).await;
                    None
                }
                Frame::Reached(progress) => {
                    shared.ledger.progress(number, progress);
                    None
                }
            }
        }
    })
}

impl Shared {
    /// What is answered to a request.
    fn parts(&self, request: &Request) -> Vec<Part> {
        let script = request.script.as_deref();
        let say = |text: String| vec![Part::Text(text)];
        match (request.purpose, script) {
            // The mark stays in the summary, so that the script goes on behind it.
            (Purpose::Compaction, Some(script)) => vec![
                Part::Hold(COMPACTION.to_owned()),
                Part::Text(format!("<summary>The user asked for SCRIPT:{script} and all is well.</summary>")),
            ],
            (Purpose::Turn, Some(script)) => {
                let steps = self.scripts.get(script).map_or(&[][..], Vec::as_slice);
                let Some(step) = steps.get(request.step) else {
                    return say(format!("SCRIPT {script} says nothing about step {}.", request.step));
                };
                let plan = request.plan.as_deref().unwrap_or_default();
                step.iter().map(|part| script::filled(part, &self.folder, plan)).collect()
            }
            _ if request.system.to_lowercase().contains("title") => {
                say(json!({ "title": TITLE }).to_string())
            }
            _ => say("<summary>All is well.</summary>".to_owned()),
        }
    }

    /// The error that comes first, as often as the script says; then the rest of the step counts.
    fn refusal(&self, request: &Request, parts: &mut Vec<Part>) -> Option<Refusal> {
        let Some(Part::Error(refusal)) = parts.first() else { return None };
        let refusal = refusal.clone();
        let step = (request.script.clone().unwrap_or_default(), request.step);
        let mut refused = self.refused.lock().expect("nobody panics with the errors");
        let times = refused.entry(step).or_default();
        *times += 1;
        if refusal.times.is_some_and(|enough| *times > enough) {
            parts.remove(0);
            return None;
        }
        Some(refusal)
    }

    async fn wait_for(&self, gate: &str) {
        let mut open = self.open.subscribe();
        let is_open = |open: &Vec<String>| open.iter().any(|name| name == gate);
        // The stand-in ends: nobody is there to hear the rest.
        let _ = open.wait_for(is_open).await;
    }
}

fn refuse(refusal: &Refusal) -> Response {
    let status = StatusCode::from_u16(refusal.status).expect("a script names a status");
    let mut response = error(status, &refusal.kind, &refusal.message);
    if let Some(seconds) = refusal.retry_after {
        response.headers_mut().insert("retry-after", seconds.into());
    }
    response
}

fn error(status: StatusCode, kind: &str, message: &str) -> Response {
    let body = json!({ "type": "error", "error": { "type": kind, "message": message } });
    (status, Json(body)).into_response()
}
