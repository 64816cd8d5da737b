//! Which of the accepted shapes a JSON object has, and where in it the fields of the event lie.

use std::borrow::Cow;

use serde_json::value::RawValue;
use uuid::Uuid;

use super::{Deliverer, DuplicateKey, Facts, Incoming, Object, Refusal, summary};
use crate::kind::{HookEvent, MpmEvent};
use crate::{AgentId, Caller, EventId, Kind, SessionId, Source, Timestamp, ToolUseId, mask};

/// Longest text kept in a field beside the payload; ids and paths are far shorter.
const FIELD_BYTES_MAX: usize = 1024;

pub(super) fn parse(raw: &RawValue, door: Source) -> Result<Incoming, Refusal> {
    let mut incoming = read(raw, door)?;
    mask_fields(&mut incoming);
    Ok(incoming)
}

/// Takes the secrets out of the fields beside the payload: lists, logs and addresses show them. The summary and the facts
/// are without any already.
fn mask_fields(incoming: &mut Incoming) {
    let Incoming {
        kind, session_id, agent_id, agent_type, project, tool_use_id, tool_name, prompt_id, ..
    } = incoming;
    mask::kind(kind);
    [agent_type, project, tool_name].into_iter().flatten().for_each(mask::name_in_place);
    let ids = [
        session_id.as_mut().map(|id| &mut id.0),
        agent_id.as_mut().map(|id| &mut id.0),
        tool_use_id.as_mut().map(|id| &mut id.0),
        prompt_id.as_mut(),
    ];
    ids.into_iter().flatten().for_each(mask::id_in_place);
}

fn read(raw: &RawValue, door: Source) -> Result<Incoming, Refusal> {
    let Some(body) = Object::of(raw) else {
        return Err(Refusal::new("not_an_object", "an event is a JSON object"));
    };
    if body.raw("payload").is_some() && body.text("hook_event_name").is_none() {
        return own(&body, door);
    }
    let is_message = ["hook_event_name", "type", "event", "data"].iter().any(|name| body.raw(name).is_some());
    if body.text("kind").is_some() && !is_message {
        return Err(Refusal::new("missing_payload", "an event with `kind` needs a `payload`"));
    }
    Ok(foreign(raw, &body, door))
}

/// Our own event: `payload` with normalised fields beside it, which win over what the payload says.
fn own(body: &Object<'_>, door: Source) -> Result<Incoming, Refusal> {
    let payload = body.raw("payload").unwrap_or(RawValue::NULL);
    let named = body.text("source").and_then(|name| Source::from_name(&name));
    let source = named.unwrap_or(door);
    let mut incoming = match Object::of(payload) {
        Some(inner) => foreign(payload, &inner, source),
        None => blank(payload, source),
    };
    match (body.text("kind"), &incoming.kind) {
        (Some(name), _) => {
            let kind = Kind::from_name(&name);
            if kind != incoming.kind {
                *incoming.facts = facts(&kind, payload);
                incoming.kind = kind;
            }
        }
        // What Claude Code gave to our hook is kept even when it names no event.
        (None, Kind::Other(name)) if name == "unknown" && source != Source::Hook => {
            let message = "an event needs a `kind`, or a payload that names its event";
            return Err(Refusal::new("missing_kind", message));
        }
        (None, _) => {}
    }
    if let Some(id) = body.raw("id") {
        incoming.id = Some(event_id(id)?);
    }
    // A payload can tell by its own shape who sent it.
    incoming.source = named.unwrap_or(incoming.source);
    incoming.occurred_at = time(body, "occurred_at").or(incoming.occurred_at);
    incoming.session_id = field(body, &["session_id"]).map(SessionId).or(incoming.session_id);
    incoming.agent_id = field(body, &["agent_id"]).map(AgentId).or(incoming.agent_id);
    incoming.agent_type = field(body, &["agent_type"]).or(incoming.agent_type);
    incoming.project = field(body, &["project"]).or(incoming.project);
    incoming.tool_use_id = field(body, &["tool_use_id"]).map(ToolUseId).or(incoming.tool_use_id);
    incoming.tool_name = field(body, &["tool_name"]).or(incoming.tool_name);
    incoming.prompt_id = field(body, &["prompt_id"]).or(incoming.prompt_id);
    incoming.duration_ms = milliseconds(body, "duration_ms").or(incoming.duration_ms);
    incoming.is_error |= body.is_true("is_error");
    incoming.caller = body.object("caller").as_ref().and_then(caller);
    if let Some(text) = body.text("summary") {
        incoming.summary = summary::given(&text);
    }
    Ok(incoming)
}

fn caller(told: &Object<'_>) -> Option<Caller> {
    let count = |name: &str| told.number(name).filter(|number| *number >= 1.0).map(|number| number as u64);
    let pid = u32::try_from(count("pid")?).ok()?;
    Some(Caller { pid, started: count("started")?, namespace: count("namespace")? })
}

fn event_id(raw: &RawValue) -> Result<EventId, Refusal> {
    let text = crate::raw::text(raw).unwrap_or_default();
    let id = Uuid::try_parse(&text);
    id.map(EventId).map_err(|_| Refusal::new("invalid_id", format!("`id` is no UUID: {}", raw.get())))
}

/// Any shape but our own, by what it holds, never by where it came from.
fn foreign(raw: &RawValue, body: &Object<'_>, door: Source) -> Incoming {
    match shape(body) {
        Shape::Hook { payload, name, deliverer } => {
            let source = if deliverer.is_some() { Source::MpmHook } else { door };
            hook(raw, &payload, Kind::from_name(&name), source, deliverer)
        }
        Shape::Message(inner) => message(raw, body, inner.as_ref().unwrap_or(body), door),
    }
}

/// Where in a body the fields of its event lie.
enum Shape<'b, 'a> {
    /// In a hook payload of Claude Code.
    Hook { payload: Cow<'b, Object<'a>>, name: Cow<'a, str>, deliverer: Option<Deliverer> },
    /// In a message `{type, subtype?, data, …}`: this one, or the body itself.
    Message(Option<Object<'a>>),
}

fn shape<'b, 'a>(body: &'b Object<'a>) -> Shape<'b, 'a> {
    // The old in-process server's form: the payload beside its event name.
    if let Some(payload) = body.object("hook_input_data") {
        let name = body.text("hook_event_name").unwrap_or_default();
        return Shape::Hook { payload: Cow::Owned(payload), name, deliverer: None };
    }
    let envelope =
        body.object("data").filter(|_| body.text("event").is_some() && body.text("type").is_none());
    let inner = envelope.as_ref().unwrap_or(body);
    // claude-mpm's bash hook: the raw payload one level deeper.
    if let Some(payload) = inner.object("data")
        && let Some(name) = payload.text("hook_event_name")
        && inner.text("source").as_deref() == Some("fast_hook")
    {
        return Shape::Hook { payload: Cow::Owned(payload), name, deliverer: Some(Deliverer::Bash) };
    }
    if let Some(name) = inner.text("hook_event_name") {
        let payload = envelope.map_or(Cow::Borrowed(body), Cow::Owned);
        return Shape::Hook { payload, name, deliverer: None };
    }
    Shape::Message(envelope)
}

/// What a payload tells, whatever its shape.
pub(super) fn facts(kind: &Kind, payload: &RawValue) -> Facts {
    let Some(body) = Object::of(payload) else {
        return Facts::of(kind, &Object::default(), &Object::default());
    };
    match shape(&body) {
        Shape::Hook { payload, .. } => Facts::of(kind, &payload, &payload),
        Shape::Message(inner) => {
            let inner = inner.as_ref().unwrap_or(&body);
            // Our own events have no object around their details.
            let bare = || matches!(kind, Kind::Other(_)).then(|| inner.clone());
            Facts::of(kind, inner, &inner.object("data").or_else(bare).unwrap_or_default())
        }
    }
}

/// A raw hook payload of Claude Code, wherever it was found.
fn hook(
    raw: &RawValue,
    payload: &Object<'_>,
    kind: Kind,
    source: Source,
    deliverer: Option<Deliverer>,
) -> Incoming {
    let mut incoming = fields(raw, payload, payload, kind, source);
    incoming.is_error |=
        matches!(incoming.kind, Kind::Hook(HookEvent::PostToolUseFailure | HookEvent::StopFailure));
    if incoming.kind == Kind::Hook(HookEvent::CwdChanged) {
        incoming.project = field(payload, &["new_cwd"]).or(incoming.project);
    }
    // A payload that came bare has no deliverer yet; our own event names it.
    incoming.duplicate_key = match (&incoming.kind, deliverer) {
        (Kind::Hook(event), Some(deliverer)) => Some(key(deliverer, *event, payload.string("prompt"))),
        (Kind::Hook(event), None) if source == Source::Hook => {
            Some(key(Deliverer::Hook, *event, payload.string("prompt")))
        }
        _ => None,
    };
    incoming
}

/// A message `{type, subtype?, data, …}`: claude-mpm's Python hook, its normaliser, or anybody's own.
fn message(raw: &RawValue, body: &Object<'_>, inner: &Object<'_>, door: Source) -> Incoming {
    let data = inner.object("data").unwrap_or_default();
    let kind = kind_of_message(body, inner);
    let is_python = inner.text("event").as_deref() == Some("mpm_event");
    let source = if is_python { Source::MpmHook } else { door };
    let mut incoming = fields(raw, inner, &data, kind, source);
    incoming.occurred_at = time(inner, "timestamp").or_else(|| time(&data, "timestamp"));
    incoming.is_error |= is_failure(&incoming.kind, &data);
    incoming.duplicate_key = is_python.then(|| python_key(&incoming.kind, &data)).flatten();
    incoming
}

fn kind_of_message(body: &Object<'_>, inner: &Object<'_>) -> Kind {
    let kind = inner.text("type").filter(|name| name != "hook" && !name.ends_with("_event"));
    match (kind, inner.text("subtype")) {
        (Some(kind), Some(subtype)) if kind != subtype => Kind::from_name(&format!("{kind}.{subtype}")),
        (_, Some(subtype)) => Kind::from_name(&subtype),
        (Some(kind), None) => Kind::from_name(&kind),
        (None, None) => {
            let other = inner.first_text(&["event_type", "event", "hook", "name"]);
            Kind::from_name(&other.or_else(|| body.text("event")).unwrap_or_default())
        }
    }
}

fn is_failure(kind: &Kind, data: &Object<'_>) -> bool {
    let name = kind.as_str();
    data.is_true("is_error")
        || data.is_true("is_error_termination")
        || data.is_false("success")
        || data.text("status").as_deref() == Some("error")
        || name == "error"
        || name.starts_with("error.")
        || name.ends_with(".error")
}

/// claude-mpm reports each hook it handled once more, as `hook_execution`.
fn python_key(kind: &Kind, data: &Object<'_>) -> Option<DuplicateKey> {
    match kind {
        Kind::Hook(event) => Some(key(Deliverer::Python, *event, data.string("prompt_text"))),
        Kind::Mpm(MpmEvent::HookExecution) => {
            let event = HookEvent::from_name(&data.text("hook_name")?)?;
            Some(DuplicateKey { deliverer: Deliverer::Python, event, is_report: true, prompt: None })
        }
        _ => None,
    }
}

fn key(deliverer: Deliverer, event: HookEvent, prompt: Option<String>) -> DuplicateKey {
    DuplicateKey { deliverer, event, is_report: false, prompt }
}

/// The normalised fields, each from the outer object first and from the inner one else.
fn fields(raw: &RawValue, outer: &Object<'_>, inner: &Object<'_>, kind: Kind, source: Source) -> Incoming {
    let is_one = std::ptr::eq(outer, inner);
    let either =
        |names: &[&str]| field(outer, names).or_else(|| if is_one { None } else { field(inner, names) });
    let session_id = either(&["session_id", "sessionId"]).map(SessionId);
    let project = either(&["cwd", "working_directory", "workingDirectory"]);
    let tool_name = either(&["tool_name"]);
    let agent_type = either(&["agent_type"]);
    let summary = summary::summarise(&kind, inner, tool_name.as_deref(), project.as_deref());
    Incoming {
        session_id,
        agent_id: either(&["agent_id"]).map(AgentId),
        agent_type,
        project,
        tool_use_id: either(&["tool_use_id"]).map(ToolUseId),
        tool_name,
        prompt_id: either(&["prompt_id"]),
        duration_ms: milliseconds(inner, "duration_ms"),
        summary,
        facts: Box::new(Facts::of(&kind, outer, inner)),
        kind,
        ..blank(raw, source)
    }
}

fn blank(raw: &RawValue, source: Source) -> Incoming {
    Incoming {
        id: None,
        occurred_at: None,
        source,
        kind: Kind::Other("unknown".to_owned()),
        session_id: None,
        agent_id: None,
        agent_type: None,
        project: None,
        tool_use_id: None,
        tool_name: None,
        prompt_id: None,
        duration_ms: None,
        is_error: false,
        summary: String::new(),
        facts: Box::default(),
        duplicate_key: None,
        is_own: false,
        caller: None,
        payload: raw.to_owned(),
    }
}

fn field(object: &Object<'_>, names: &[&str]) -> Option<String> {
    let text = object.first_text(names)?;
    let mut end = text.len().min(FIELD_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    Some(text[..end].to_owned())
}

fn milliseconds(object: &Object<'_>, name: &str) -> Option<u64> {
    object.number(name).filter(|ms| (0.0..1e15).contains(ms)).map(|ms| ms.round() as u64)
}

fn time(object: &Object<'_>, name: &str) -> Option<Timestamp> {
    match object.text(name) {
        Some(text) => Timestamp::parse(&text),
        None => Timestamp::from_number(object.number(name)?),
    }
}
