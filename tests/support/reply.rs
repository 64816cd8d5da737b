//! What came back over HTTP, and the shapes that tests read from it.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::value::RawValue;

/// An answer, whatever its status.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// The header block, as `name: value` lines with names in lower case.
    pub headers: String,
    /// The body as text.
    pub body: String,
}

impl Reply {
    /// Reads an answer as it came over the wire; `None` when there is no complete head.
    pub fn parse(text: &str) -> Option<Self> {
        let (head, body) = text.split_once("\r\n\r\n")?;
        let (first, headers) = head.split_once("\r\n").unwrap_or((head, ""));
        let status = first.split(' ').nth(1)?.parse().ok()?;
        Some(Self { status, headers: headers.to_lowercase(), body: body.to_owned() })
    }

    /// Whether everything that its head announces is here. An answer of unknown length ends with its connection.
    pub fn is_whole(&self) -> bool {
        let length = self.headers.lines().find_map(|line| line.strip_prefix("content-length: "));
        self.status == 101 || length.and_then(|length| length.parse().ok()) == Some(self.body.len())
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        self.parsed()
    }

    /// The body as a page of events.
    pub fn page(&self) -> Page {
        self.parsed()
    }

    /// The body in a known shape.
    pub fn parsed<T: DeserializeOwned>(&self) -> T {
        serde_json::from_str(&self.body).unwrap_or_else(|cause| panic!("{cause} in {self:?}"))
    }

    /// The `name=value` of the one cookie that it sets.
    #[track_caller]
    pub fn cookie(&self) -> String {
        let set = self.headers.lines().find_map(|line| line.strip_prefix("set-cookie: "));
        let set = set.unwrap_or_else(|| panic!("no cookie: {self:?}"));
        set.split(';').next().expect("it begins with its value").to_owned()
    }

    /// Claims that this is a 4xx in the one shape of errors.
    #[track_caller]
    pub fn assert_refused(&self, what: &str) {
        assert!((400..500).contains(&self.status), "{what}: expected 4xx, got {self:?}");
        let error: Result<protocol::ErrorBody, _> = serde_json::from_str(&self.body);
        let error = error.unwrap_or_else(|cause| panic!("{what}: not {{code,message}}: {cause} in {self:?}"));
        assert!(!error.code.is_empty() && !error.message.is_empty(), "{what}: {error:?}");
    }
}

/// One page of `GET /api/events`.
#[derive(Debug, Deserialize)]
pub struct Page {
    /// Oldest first.
    pub events: Vec<Stored>,
    /// Whether there are more in the direction of paging.
    pub has_more: bool,
}

impl Page {
    /// The positions, in the order of the answer.
    pub fn seqs(&self) -> Vec<u64> {
        self.events.iter().map(|event| event.seq).collect()
    }

    /// The sessions, in the order of the answer.
    pub fn sessions(&self) -> Vec<String> {
        self.events.iter().filter_map(|event| event.session_id.clone()).collect()
    }
}

/// One event of a page. Its payload keeps the bytes of the answer.
#[derive(Debug, Deserialize)]
pub struct Stored {
    /// Position in the log.
    pub seq: u64,
    /// Identity across deliveries.
    pub id: String,
    /// When it happened, in milliseconds since 1970.
    pub occurred_at: i64,
    /// When the server took it in, in milliseconds since 1970.
    pub received_at: i64,
    /// What happened.
    pub kind: String,
    /// Who sent it.
    pub source: String,
    /// The session, if any.
    pub session_id: Option<String>,
    /// The tool, if any.
    pub tool_name: Option<String>,
    /// One line for people.
    pub summary: String,
    /// The event that this one repeats.
    pub duplicate_of: Option<u64>,
    /// Only with `payload=true`.
    pub payload: Option<Box<RawValue>>,
}

impl Stored {
    /// The payload, byte for byte.
    pub fn payload(&self) -> &str {
        self.payload.as_ref().expect("asked for with payload=true").get()
    }
}
