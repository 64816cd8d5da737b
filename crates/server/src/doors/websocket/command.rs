//! What a client can ask for, parsed; anything else is refused with a reason and the connection goes on.

use protocol::Refusal;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::channels::Channels;

/// How many messages `get_history` answers when nobody says.
const HISTORY_DEFAULT: usize = 100;

/// How much of an unknown command is repeated to its sender.
const NAME_CHARS_SHOWN: usize = 100;

/// A command, and the instance that shall carry it out; none is the one that was asked.
#[derive(Debug)]
pub(super) struct Request<'a> {
    pub instance: Option<u16>,
    pub command: Command<'a>,
}

#[derive(Debug)]
pub(super) enum Command<'a> {
    /// From now on only these messages; `named` is how the client wrote them.
    Subscribe {
        channels: Channels,
        named: Vec<String>,
    },
    GetStatus,
    /// The newest messages of these channels.
    GetHistory {
        channels: Channels,
        limit: usize,
    },
    /// Store an event.
    Publish(&'a RawValue),
}

impl Command<'_> {
    /// The types that can answer it.
    pub(super) fn answers(&self) -> &'static [&'static str] {
        match self {
            Self::Subscribe { .. } => &["subscribed", "error"],
            Self::GetStatus => &["system.status", "error"],
            Self::GetHistory { .. } => &["history", "error"],
            Self::Publish(_) => &["published", "error"],
        }
    }
}

#[derive(Deserialize)]
struct Fields<'a> {
    command: String,
    instance: Option<u16>,
    channels: Option<Names>,
    #[serde(borrow)]
    event: Option<&'a RawValue>,
    #[serde(borrow)]
    params: Option<Params<'a>>,
}

#[derive(Default, Deserialize)]
struct Params<'a> {
    channels: Option<Names>,
    event_types: Option<Names>,
    limit: Option<usize>,
    #[serde(borrow)]
    event: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Names {
    One(String),
    Many(Vec<String>),
}

impl From<Names> for Vec<String> {
    fn from(names: Names) -> Self {
        match names {
            Names::One(name) => vec![name],
            Names::Many(names) => names,
        }
    }
}

/// Reads one text frame.
pub(super) fn parse(text: &str) -> Result<Request<'_>, Refusal> {
    let refuse = |code, message: String| Refusal { code, message };
    let raw: &RawValue = serde_json::from_str(text)
        .map_err(|error| refuse("invalid_json", format!("Invalid JSON: {error}")))?;
    let fields: Fields<'_> = serde_json::from_str(raw.get()).map_err(|error| {
        refuse("invalid_command", format!("expected an object like {{\"command\":\"get_status\"}}: {error}"))
    })?;
    let Fields { command, instance, channels, event, params } = fields;
    let params = params.unwrap_or_default();
    let command = match command.as_str() {
        "subscribe" => {
            let named = channels.or(params.channels).map_or_else(|| vec!["*".to_owned()], Vec::from);
            Command::Subscribe { channels: Channels::parse(&named)?, named }
        }
        "get_status" => Command::GetStatus,
        "get_history" => {
            let types = params.event_types.map(Vec::from).unwrap_or_default();
            let limit = params.limit.unwrap_or(HISTORY_DEFAULT);
            Command::GetHistory { channels: Channels::parse(&types)?, limit }
        }
        "publish" => {
            let event = event.or(params.event);
            let missing = || refuse("invalid_command", "publish needs an `event`".to_owned());
            Command::Publish(event.ok_or_else(missing)?)
        }
        other => {
            let name: String = other.chars().take(NAME_CHARS_SHOWN).collect();
            let known = "subscribe, get_status, get_history or publish";
            return Err(refuse("unknown_command", format!("there is no command {name:?}; use {known}")));
        }
    };
    Ok(Request { instance, command })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_mistake_has_its_code() {
        let cases = [
            ("{", "invalid_json"),
            ("", "invalid_json"),
            ("[]", "invalid_command"),
            ("7", "invalid_command"),
            ("{}", "invalid_command"),
            (r#"{"command":7}"#, "invalid_command"),
            (r#"{"command":"dance"}"#, "unknown_command"),
            (r#"{"command":"subscribe","channels":7}"#, "invalid_command"),
            (r#"{"command":"subscribe","channels":[1]}"#, "invalid_command"),
            (r#"{"command":"get_history","params":{"limit":-1}}"#, "invalid_command"),
            (r#"{"command":"get_history","params":[1]}"#, "invalid_command"),
            (r#"{"command":"publish"}"#, "invalid_command"),
            (r#"{"command":"get_status","instance":"here"}"#, "invalid_command"),
        ];
        for (text, code) in cases {
            assert_eq!(parse(text).map_err(|refusal| refusal.code).err(), Some(code), "{text}");
        }
    }

    #[test]
    fn what_is_left_out_has_its_default() {
        let Ok(Request { command: Command::GetHistory { channels, limit }, instance: None }) =
            parse(r#"{"command":"get_history"}"#)
        else {
            panic!("it is a request for history")
        };
        assert_eq!((channels, limit), (Channels::default(), HISTORY_DEFAULT));
        let Ok(Request { command: Command::Subscribe { named, .. }, instance: Some(8766) }) =
            parse(r#"{"command":"subscribe","instance":8766,"channels":"session.*"}"#)
        else {
            panic!("it is a subscription elsewhere")
        };
        assert_eq!(named, ["session.*"]);
    }
}
