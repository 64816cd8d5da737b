//! A handle to one running monitor: the questions and orders that HTTP offers. Each is put to the monitor that is meant
//! and to nobody who has its port since.

use std::net::IpAddr;
use std::time::Duration;

use protocol::health::Status;
use protocol::paths::Home;
use protocol::{ErrorBody, Health, Runfile, Session, names};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use ureq::config::Config;
use ureq::http::Response;
use ureq::typestate::{WithBody, WithoutBody};
use ureq::{Agent, Body, RequestBuilder};

use crate::runfiles::Proof;
use crate::{Error, proven};

/// How long an answer may take; a monitor on this machine needs milliseconds.
pub(crate) const ANSWER_LIMIT: Duration = Duration::from_secs(10);

/// The largest answer read, a page of history with payloads.
const ANSWER_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// One monitor, by its address. Cheap to clone; connections are reused.
#[derive(Clone, Debug)]
pub struct Monitor {
    url: String,
    agent: Agent,
    /// What proves to it who asks; none where loopback is proof enough.
    secret: Option<String>,
    /// What proves that it is there: asked before anything is sent. None where the caller named an address.
    proof: Option<Proof>,
}

/// What a monitor thinks of a client's version.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Compatibility {
    /// Whether everything is understood, as far as can be told.
    pub compatible: bool,
    /// The version of the monitor.
    pub server_version: String,
    /// What a person should know.
    pub warnings: Vec<String>,
}

/// What became of several events.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Taken {
    /// Stored now.
    pub stored: u64,
    /// Stored before, by their id.
    pub duplicates: u64,
    /// No events.
    pub refused: Vec<Refused>,
}

/// One of several events that was refused alone.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Refused {
    /// Which one, from 0.
    pub index: usize,
    /// Why, for programs.
    pub code: String,
    /// Why, for people.
    pub message: String,
}

/// The address of a host and a port there.
pub fn url(host: &str, port: u16) -> String {
    match host.parse::<IpAddr>() {
        Ok(IpAddr::V6(ip)) => format!("http://[{ip}]:{port}"),
        _ => format!("http://{host}:{port}"),
    }
}

/// The address under which a program on this machine finds the monitor of a runfile: by plain HTTP, which every monitor
/// takes there.
pub fn near_url(runfile: &Runfile) -> String {
    url(&runfile.near_host(runfile.port), runfile.port)
}

/// The address under which a browser finds the monitor of a runfile.
pub fn page(runfile: &Runfile) -> String {
    page_on(runfile, runfile.port)
}

/// Same, for another port that it serves as well.
pub fn page_on(runfile: &Runfile, port: u16) -> String {
    let url = url(&runfile.near_host(port), port);
    if runfile.access.tls_fingerprint.is_some() { url.replacen("http", "https", 1) } else { url }
}

impl Monitor {
    /// The monitor at this host and port; nothing is sent yet. That it is there is the caller's word: whoever listens
    /// there is asked and told everything.
    pub fn at(host: &str, port: u16) -> Self {
        Self::with_limit(host, port, ANSWER_LIMIT)
    }

    /// The monitor of a runfile in this home, with the right to do there what its user may do. Once it has ended,
    /// nothing is sent any more: its port may be another user's then.
    pub fn of(home: &Home, runfile: &Runfile) -> Self {
        Self::of_with_limit(home, runfile, ANSWER_LIMIT)
    }

    /// Same, with another limit for each answer.
    pub fn of_with_limit(home: &Home, runfile: &Runfile, limit: Duration) -> Self {
        Self::of_at(home, runfile, &runfile.near_host(runfile.port), limit)
    }

    /// Same, at one of the addresses at which it listens.
    pub(crate) fn of_at(home: &Home, runfile: &Runfile, host: &str, limit: Duration) -> Self {
        let secret = runfile.access.token.then(|| runfile.control_token.clone());
        let proof = Proof::new(home, runfile);
        let agent = proven::agent(configuration(limit), proof.clone());
        Self { url: url(host, runfile.port), agent, secret, proof: Some(proof) }
    }

    /// The same monitor, asked with this token.
    #[must_use]
    pub fn with_token(self, token: impl Into<String>) -> Self {
        Self { secret: Some(token.into()), ..self }
    }

    /// Same as [`Monitor::at`], with another limit for each answer.
    pub(crate) fn with_limit(host: &str, port: u16, limit: Duration) -> Self {
        let agent = configuration(limit).new_agent();
        Self { url: url(host, port), agent, secret: None, proof: None }
    }

    /// The monitor at this `http://host:port`; nothing is sent yet.
    pub fn at_url(url: &str) -> Self {
        Self { url: url.trim_end_matches('/').to_owned(), ..Self::at("localhost", 0) }
    }

    /// The same monitor, which has moved to this `http://host:port`.
    pub(crate) fn moved_to(&self, url: &str) -> Self {
        Self { secret: self.secret.clone(), ..Self::at_url(url) }
    }

    /// Its address.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Where its runfile lies, when it was found by that.
    pub(crate) fn home(&self) -> Option<&Home> {
        self.proof.as_ref().map(Proof::home)
    }

    /// Makes sure that it is still there, as far as that can be known without asking it: before each request, and for
    /// programs that connect to its address themselves.
    ///
    /// # Errors
    /// When it was found by its runfile and has ended since; the error names `url`.
    pub fn prove(&self, url: &str) -> Result<(), Error> {
        if self.proof.as_ref().is_none_or(Proof::holds) {
            return Ok(());
        }
        let reason = "it has ended, and another program may have its port".to_owned();
        Err(Error::Unreachable { url: url.to_owned(), reason })
    }

    /// What proves to it who asks.
    pub(crate) fn secret(&self) -> Option<&str> {
        self.secret.as_deref()
    }

    /// Who serves and how it fares.
    ///
    /// # Errors
    /// When it does not answer, or with something else.
    pub fn health(&self) -> Result<Health, Error> {
        self.get(names::HEALTH)
    }

    /// The same, and who is connected to it.
    ///
    /// # Errors
    /// When it does not answer, or with something else.
    pub fn status(&self) -> Result<Status, Error> {
        self.get(names::STATUS)
    }

    /// Sends one event, or an array or lines of events; success means that it is stored.
    ///
    /// # Errors
    /// When it does not answer, or refuses the event.
    pub fn post_event(&self, body: &str) -> Result<(), Error> {
        let url = format!("{}{}", self.url, names::EVENTS);
        let request = self.posting(&url, self.secret.as_deref())?;
        accepted(&url, request.header("content-type", "application/json").send(body)).map(drop)
    }

    /// Sends several events, each a JSON object on one line; what is no event is refused alone.
    ///
    /// # Errors
    /// When it does not answer, or refuses all of them: more bytes than it takes have status 413.
    pub fn post_events(&self, events: &[&str]) -> Result<Taken, Error> {
        let url = format!("{}{}", self.url, names::EVENTS);
        // A single line would be answered as a single event, without counts.
        let body = if let [only] = events { format!("[{only}]") } else { events.join("\n") };
        let request = self.posting(&url, self.secret.as_deref())?;
        let sent = request.header("content-type", "application/x-ndjson").send(&body);
        decode(&url, &mut accepted(&url, sent)?)
    }

    /// Whether it understands a client of that version. It refuses nobody: unknown and old versions get warnings.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn compatibility(&self, client_version: &str) -> Result<Compatibility, Error> {
        let url = format!("{}/compatibility", self.url);
        let body = serde_json::json!({ "client_version": client_version }).to_string();
        let request = self.posting(&url, self.secret.as_deref())?;
        decode(&url, &mut accepted(&url, request.send(&body))?)
    }

    /// What each session is doing, the most recently active first; as many as the monitor lists at once.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn sessions(&self) -> Result<Vec<Session>, Error> {
        #[derive(Deserialize)]
        struct List {
            sessions: Vec<Session>,
        }
        self.get(names::SESSIONS).map(|List { sessions }| sessions)
    }

    /// Orders it to stop; returns how many viewers it was serving. The token is that of its runfile. With a
    /// successor's port, viewers are told to come back there.
    ///
    /// # Errors
    /// When it does not answer, or refuses the token.
    pub fn shutdown(&self, control_token: &str, successor_port: Option<u16>) -> Result<u64, Error> {
        let body = successor_port.map(|port| format!("{{\"successor_port\":{port}}}")).unwrap_or_default();
        let answer = self.order(names::SHUTDOWN, control_token, &body)?;
        Ok(answer["clients"].as_u64().unwrap_or(0))
    }

    /// Orders it to start again on that port. Success means that it will; it answers there a moment later.
    ///
    /// # Errors
    /// When it does not answer, refuses the token, or cannot have the port.
    pub fn restart(&self, control_token: &str, port: u16) -> Result<(), Error> {
        self.order(names::RESTART, control_token, &format!("{{\"port\":{port}}}")).map(drop)
    }

    /// Pauses the keeping of events, for so many minutes or until resumed.
    ///
    /// # Errors
    /// When it does not answer, or refuses the token.
    pub fn pause(&self, control_token: &str, minutes: Option<u64>) -> Result<(), Error> {
        let minutes = minutes.map(|minutes| format!(r#","minutes":{minutes}"#)).unwrap_or_default();
        self.order(names::CAPTURE, control_token, &format!(r#"{{"paused":true{minutes}}}"#)).map(drop)
    }

    /// Resumes the keeping of events.
    ///
    /// # Errors
    /// When it does not answer, or refuses the token.
    pub fn resume(&self, control_token: &str) -> Result<(), Error> {
        self.order(names::CAPTURE, control_token, r#"{"paused":false}"#).map(drop)
    }

    /// A path, valid once and for a few minutes, that logs a browser in. The token is that of its runfile.
    ///
    /// # Errors
    /// When it does not answer, or refuses the token.
    pub fn login_path(&self, control_token: &str) -> Result<String, Error> {
        let answer = self.order(names::LOGIN_LINK, control_token, "")?;
        Ok(answer["path"].as_str().unwrap_or("/").to_owned())
    }

    /// The answer to a route with its query, as it is: the status and up to 64 MiB. Refusals are answers, too.
    ///
    /// # Errors
    /// When it does not answer within `limit`.
    pub fn answer(&self, route: &str, limit: Duration) -> Result<(u16, Vec<u8>), Error> {
        let url = format!("{}{route}", self.url);
        let request = self.getting(&url)?.config().timeout_global(Some(limit)).build();
        bytes(&url, request.call())
    }

    /// The answer to a `POST` without a body, as it is.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn post(&self, route: &str) -> Result<(u16, Vec<u8>), Error> {
        let url = format!("{}{route}", self.url);
        bytes(&url, self.posting(&url, self.secret.as_deref())?.send(""))
    }

    fn order(&self, route: &str, control_token: &str, body: &str) -> Result<serde_json::Value, Error> {
        let url = format!("{}{route}", self.url);
        let request = self.posting(&url, Some(control_token))?;
        decode(&url, &mut accepted(&url, request.send(body))?)
    }

    /// The one way to a `POST`.
    fn posting(&self, url: &str, secret: Option<&str>) -> Result<RequestBuilder<WithBody>, Error> {
        self.prove(url)?;
        let request = self.agent.post(url);
        Ok(match secret {
            Some(secret) => request.header("authorization", format!("Bearer {secret}")),
            None => request,
        })
    }

    /// Reads any route as JSON.
    pub(crate) fn get<T: DeserializeOwned>(&self, route: &str) -> Result<T, Error> {
        let url = format!("{}{route}", self.url);
        decode(&url, &mut accepted(&url, self.getting(&url)?.call())?)
    }

    /// The one way to a `GET`.
    pub(crate) fn getting(&self, url: &str) -> Result<RequestBuilder<WithoutBody>, Error> {
        self.prove(url)?;
        let request = self.agent.get(url);
        Ok(match &self.secret {
            Some(secret) => request.header("authorization", format!("Bearer {secret}")),
            None => request,
        })
    }
}

/// No proxy and no redirects: the answer must come from this very address.
fn configuration(limit: Duration) -> Config {
    Agent::config_builder()
        .proxy(None)
        .max_redirects(0)
        .http_status_as_error(false)
        .timeout_global(Some(limit))
        .build()
}

fn bytes(url: &str, sent: Result<Response<Body>, ureq::Error>) -> Result<(u16, Vec<u8>), Error> {
    let mut response = answered(url, sent)?;
    let status = response.status().as_u16();
    Ok((status, body(url, &mut response)?))
}

fn answered(url: &str, sent: Result<Response<Body>, ureq::Error>) -> Result<Response<Body>, Error> {
    sent.map_err(|error| Error::Unreachable { url: url.to_owned(), reason: error.to_string() })
}

/// The response of a request that was answered with success.
fn accepted(url: &str, sent: Result<Response<Body>, ureq::Error>) -> Result<Response<Body>, Error> {
    let mut response = answered(url, sent)?;
    if response.status().is_success() {
        return Ok(response);
    }
    let status = response.status();
    let text = response.body_mut().with_config().limit(64 * 1024).read_to_string().unwrap_or_default();
    let message = match serde_json::from_str::<ErrorBody>(&text) {
        Ok(error) => error.message,
        Err(_) => status.canonical_reason().unwrap_or("no reason given").to_owned(),
    };
    Err(Error::Refused { url: url.to_owned(), status: status.as_u16(), message })
}

/// Asks with a limit of its own, and reads the answer as JSON.
pub(crate) fn answer_within<T: DeserializeOwned>(
    url: &str,
    request: RequestBuilder<WithoutBody>,
    limit: Duration,
) -> Result<T, Error> {
    let request = request.config().timeout_global(Some(limit)).build();
    decode(url, &mut accepted(url, request.call())?)
}

fn decode<T: DeserializeOwned>(url: &str, response: &mut Response<Body>) -> Result<T, Error> {
    serde_json::from_slice(&body(url, response)?)
        .map_err(|error| Error::Malformed { url: url.to_owned(), reason: error.to_string() })
}

fn body(url: &str, response: &mut Response<Body>) -> Result<Vec<u8>, Error> {
    let body = response.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_vec();
    body.map_err(|error| Error::Malformed { url: url.to_owned(), reason: error.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Query;
    use protocol::stream::Filter;
    use protocol::{Seq, Timestamp};
    use std::io::{BufRead, BufReader, Write};
    use std::net::TcpListener;

    /// A monitor that answers one request with this status and body, and returns the request's first line.
    fn answering(status: &str, body: &str) -> (Monitor, std::thread::JoinHandle<String>) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let monitor = Monitor::at("127.0.0.1", listener.local_addr().unwrap().port());
        let answer = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        let asked = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map(Result::unwrap);
            let first = lines.next().unwrap();
            lines.find(String::is_empty);
            stream.write_all(answer.as_bytes()).unwrap();
            first
        });
        (monitor, asked)
    }

    #[test]
    fn a_page_of_history_is_asked_for_by_its_query() {
        let empty = r#"{"events":[],"has_more":false,"position":412,"epoch":"e"}"#;
        let (monitor, asked) = answering("200 OK", empty);
        let filter = Filter {
            session: Some("s&1".to_owned()),
            project: Some("/a b".to_owned()),
            kinds: vec!["Stop".to_owned(), "x".to_owned()],
            tool: Some("Bash".to_owned()),
            agent: Some("Explore".to_owned()),
            error: Some(true),
        };
        let (from, to) = (Some(Timestamp(0)), Some(Timestamp(1)));
        let text = Some("words".to_owned());
        let id = serde_json::from_str(r#""00000000-0000-0000-0000-000000000000""#).ok();
        let query = Query { filter, id, from, to, text, payload: true, duplicates: true };
        let page = monitor.news(&query, Seq(412), Duration::from_secs(9)).unwrap();
        assert_eq!((page.position, page.has_more), (Seq(412), false));
        let expected = "GET /api/events?kind=Stop&kind=x&session=s%261&project=%2Fa%20b&tool=Bash&agent=Explore\
            &error=true&from=1970-01-01T00%3A00%3A00.000Z&to=1970-01-01T00%3A00%3A00.001Z&q=words&payload=true\
            &query=id%3A00000000-0000-0000-0000-000000000000&duplicates=true&after=412&limit=1000&wait=9 HTTP/1.1";
        assert_eq!(asked.join().unwrap(), expected);
    }

    #[test]
    fn a_refusal_is_told_in_the_monitor_s_own_words() {
        let (monitor, _) = answering("400 Bad Request", r#"{"code":"bad_event","message":"no kind"}"#);
        let error = monitor.post_event("{}").unwrap_err();
        assert!(error.to_string().ends_with("/api/events refused with 400: no kind"), "{error}");
        let (monitor, _) = answering("502 Bad Gateway", "<html>");
        assert!(matches!(monitor.health().unwrap_err(), Error::Refused { status: 502, .. }));
        let (monitor, _) = answering("200 OK", "<html>");
        assert!(matches!(monitor.health().unwrap_err(), Error::Malformed { .. }));
    }

    #[test]
    fn an_address_with_colons_stands_in_brackets() {
        assert_eq!(url("::1", 8765), "http://[::1]:8765");
        assert_eq!(url("localhost", 8765), "http://localhost:8765");
    }
}
