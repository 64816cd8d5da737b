//! Puts our hooks into the text of settings and takes them out again, leaving every other byte as it is.

use std::ops::Range;
use std::path::Path;

use jsonc_parser::ast::{Array, Object, ObjectProp, Value};
use jsonc_parser::common::Ranged;

use crate::json::{Grammar, MARK, New, Style, indentation, parse, place};
use crate::{Error, HookCommand, Registration};

/// How long Claude Code may wait for the hook, in seconds; it needs milliseconds.
const TIMEOUT_S: u32 = 5;

/// A piece of the text and what takes its place.
type Edit = (Range<usize>, String);

/// Makes sure that a text is one that Claude Code reads.
pub(crate) fn check(text: &str, path: &Path) -> Result<(), Error> {
    parse(text.trim_start_matches(MARK), Grammar::Strict, path).map(drop)
}

/// The text with these registrations added at the end of each list.
pub(crate) fn insert(
    text: &str,
    path: &Path,
    registrations: &[Registration],
    command: &HookCommand,
) -> Result<String, Error> {
    let line = command.line();
    if let Some(text) = text.strip_prefix(MARK) {
        return Ok(format!("{MARK}{}", insert(text, path, registrations, command)?));
    }
    let Some(root) = parse(text, Grammar::Strict, path)? else {
        let style = Style::Lines { newline: "\n", unit: "  ".to_owned() };
        let hooks: Vec<(&str, New)> = registrations
            .iter()
            .map(|one| (one.event.as_str(), New::List(vec![group(one, &line)])))
            .collect();
        return Ok(style.value("", &New::Map(vec![("hooks", New::Map(hooks))])) + "\n");
    };
    let hooks = hooks(text, path, &root)?;
    let style = Style::of(text, &root);
    let mut edits = Vec::new();
    let mut members = Vec::new();
    for registration in registrations {
        let (event, group) = (registration.event.as_str(), group(registration, &line));
        match hooks.and_then(|hooks| hooks.get(event)) {
            Some(event) => {
                let groups = groups(text, path, event)?;
                let items: Vec<Range<usize>> = groups.elements.iter().map(Ranged::range).map(span).collect();
                edits.push(append(text, &style, span(groups.range), &items, |indent| {
                    vec![style.value(indent, &group)]
                }));
            }
            None => members.push((event, New::List(vec![group]))),
        }
    }
    if !members.is_empty() {
        let render = |indent: &str, members: &[(&'static str, New)]| -> Vec<String> {
            members.iter().map(|(key, value)| style.member(indent, key, value)).collect()
        };
        edits.push(match hooks {
            Some(hooks) => {
                append(text, &style, span(hooks.range), &spans(hooks), |indent| render(indent, &members))
            }
            None => {
                let members = [("hooks", New::Map(members))];
                append(text, &style, span(root.range), &spans(&root), |indent| render(indent, &members))
            }
        });
    }
    Ok(apply(text, edits))
}

/// A text without our hooks.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Removed {
    pub(crate) text: String,
    /// How many handlers of ours were in it.
    pub(crate) handlers: usize,
}

/// The text without our hooks, and without the lists that they leave empty, but for those that were empty in
/// `original` too: what the file was before we came. Whatever else was in it then and is not now, somebody took out.
pub(crate) fn remove(text: &str, path: &Path, original: Option<&str>) -> Result<Removed, Error> {
    if let Some(text) = text.strip_prefix(MARK) {
        let original = original.map(|text| text.trim_start_matches(MARK));
        let rest = remove(text, path, original)?;
        return Ok(Removed { text: format!("{MARK}{}", rest.text), ..rest });
    }
    let unchanged = || Removed { text: text.to_owned(), handlers: 0 };
    let Some(root) = parse(text, Grammar::Comments, path)? else { return Ok(unchanged()) };
    let Some(hooks_at) = root.properties.iter().position(|member| member.name.as_str() == "hooks") else {
        return Ok(unchanged());
    };
    let Some(hooks) = root.properties[hooks_at].value.as_object() else { return Ok(unchanged()) };
    let original_root = original.and_then(|text| Some((text, parse(text, Grammar::Comments, path).ok()??)));
    let original_hooks =
        original_root.as_ref().and_then(|(text, root)| Some((*text, root.get_object("hooks")?)));
    let mut edits = Vec::new();
    let mut handlers = 0;
    let mut gone = vec![false; hooks.properties.len()];
    for (event, gone) in hooks.properties.iter().zip(&mut gone) {
        let Some(groups) = event.value.as_array() else { continue };
        let before = original_hooks.and_then(|(text, hooks)| {
            let groups = hooks.get_array(event.name.as_str())?;
            Some(if groups.elements.is_empty() { &text[groups.range.start..groups.range.end] } else { "[]" })
        });
        let (removed, emptied) = remove_from_groups(groups, &mut edits);
        handlers += removed;
        match (emptied, before) {
            (true, Some(before)) => edits.push((span(groups.range), before.to_owned())),
            (true, None) => *gone = true,
            (false, _) => {}
        }
    }
    if handlers == 0 {
        return Ok(unchanged());
    }
    if gone.iter().all(|gone| *gone) {
        edits.clear();
        match original_hooks {
            Some((text, before)) if before.properties.is_empty() => {
                edits.push((span(hooks.range), text[before.range.start..before.range.end].to_owned()));
            }
            Some(_) => edits.push((span(hooks.range), "{}".to_owned())),
            None => {
                let gone: Vec<bool> = (0..root.properties.len()).map(|at| at == hooks_at).collect();
                edits.extend(delete(span(root.range), &spans(&root), &gone));
            }
        }
    } else {
        edits.extend(delete(span(hooks.range), &spans(hooks), &gone));
    }
    Ok(Removed { text: apply(text, edits), handlers })
}

/// Takes our handlers out of one event's groups. Returns how many there were, and whether no group is left; then
/// what is to be done with the list is up to the caller.
fn remove_from_groups(groups: &Array<'_>, edits: &mut Vec<Edit>) -> (usize, bool) {
    let mut removed = 0;
    let mut inner = Vec::new();
    let gone: Vec<bool> = groups
        .elements
        .iter()
        .map(|group| {
            let Some(handlers) = group.as_object().and_then(|group| group.get_array("hooks")) else {
                return false;
            };
            let ours: Vec<bool> =
                handlers.elements.iter().map(|handler| command(handler).is_some()).collect();
            let count = ours.iter().filter(|ours| **ours).count();
            removed += count;
            let all = count > 0 && count == ours.len();
            if count > 0 && !all {
                let items: Vec<Range<usize>> =
                    handlers.elements.iter().map(Ranged::range).map(span).collect();
                inner.extend(delete(span(handlers.range), &items, &ours));
            }
            all
        })
        .collect();
    let emptied = removed > 0 && gone.iter().all(|gone| *gone);
    if !emptied {
        let items: Vec<Range<usize>> = groups.elements.iter().map(Ranged::range).map(span).collect();
        edits.extend(inner);
        edits.extend(delete(span(groups.range), &items, &gone));
    }
    (removed, emptied)
}

/// What one handler runs, if it is one of ours.
fn command(handler: &Value<'_>) -> Option<HookCommand> {
    let handler = handler.as_object()?;
    let line = handler.get_string("command")?;
    match handler.get_array("args") {
        // Without a shell the command is a path, whatever is in it.
        Some(args) if args.elements.is_empty() => HookCommand::parse(&format!("\"{}\"", line.value)),
        Some(_) => None,
        None => HookCommand::parse(&line.value),
    }
}

fn group(registration: &Registration, line: &str) -> New {
    let handler = New::Map(vec![
        ("type", New::string("command")),
        ("command", New::string(line)),
        ("timeout", New::Text(TIMEOUT_S.to_string())),
    ]);
    let matcher = registration.matcher.as_deref().map(|matcher| ("matcher", New::string(matcher)));
    New::Map(matcher.into_iter().chain([("hooks", New::List(vec![handler]))]).collect())
}

/// The `hooks` of settings, if there are any.
fn hooks<'a, 'b>(text: &str, path: &Path, root: &'b Object<'a>) -> Result<Option<&'b Object<'a>>, Error> {
    let mut found = root.properties.iter().filter(|member| member.name.as_str() == "hooks");
    let (first, second) = (found.next(), found.next());
    if let Some(second) = second {
        return Err(shape(text, path, second.start(), "\"hooks\" stands here a second time"));
    }
    match first.map(|member| &member.value) {
        None => Ok(None),
        Some(Value::Object(hooks)) => Ok(Some(hooks)),
        Some(other) => Err(shape(text, path, other.start(), "expected an object: \"hooks\" of settings")),
    }
}

fn groups<'a, 'b>(text: &str, path: &Path, event: &'b ObjectProp<'a>) -> Result<&'b Array<'a>, Error> {
    let reason = format!("expected an array: the hooks of {}", event.name.as_str());
    event.value.as_array().ok_or_else(|| shape(text, path, event.value.start(), &reason))
}

fn shape(text: &str, path: &Path, offset: usize, reason: &str) -> Error {
    let (line, column) = place(text, offset);
    Error::Invalid { path: path.to_owned(), line, column, reason: reason.to_owned() }
}

fn spans(object: &Object<'_>) -> Vec<Range<usize>> {
    object.properties.iter().map(|member| span(member.range)).collect()
}

fn span(range: jsonc_parser::common::Range) -> Range<usize> {
    range.start..range.end
}

/// New members behind the last one of a container. `members` writes them for the indentation of their line.
fn append(
    text: &str,
    style: &Style,
    container: Range<usize>,
    items: &[Range<usize>],
    members: impl Fn(&str) -> Vec<String>,
) -> Edit {
    let Some(last) = items.last() else {
        let indent = indentation(text, container.start);
        let inner = match style {
            Style::Inline { .. } => String::new(),
            Style::Lines { unit, .. } => format!("{indent}{unit}"),
        };
        let inside = style.inside(indent, &members(&inner));
        return (container.start + 1..container.end - 1, inside);
    };
    // A container in one line stays in one line, within a text of many lines too.
    let own = match style {
        Style::Lines { .. } if !text[container].contains('\n') => Style::Inline { is_spaced: true },
        _ => style.clone(),
    };
    let indent = indentation(text, last.start);
    let separator = own.separator(indent);
    let added: String = members(indent).iter().map(|member| format!("{separator}{member}")).collect();
    (last.end..last.end, added)
}

/// The pieces to cut so that the members that are `gone` are gone, with one comma each.
fn delete(container: Range<usize>, items: &[Range<usize>], gone: &[bool]) -> Vec<Edit> {
    let Some(first_kept) = gone.iter().position(|gone| !gone) else {
        return vec![(container.start + 1..container.end - 1, String::new())];
    };
    let mut edits = Vec::new();
    if first_kept > 0 {
        edits.push((items[0].start..items[first_kept].start, String::new()));
    }
    for at in first_kept + 1..items.len() {
        if gone[at] {
            edits.push((items[at - 1].end..items[at].end, String::new()));
        }
    }
    edits
}

fn apply(text: &str, mut edits: Vec<Edit>) -> String {
    edits.sort_by_key(|(range, _)| range.start);
    let mut out = String::with_capacity(text.len() + edits.iter().map(|(_, new)| new.len()).sum::<usize>());
    let mut at = 0;
    for (range, new) in edits {
        out.push_str(&text[at..range.start]);
        out.push_str(&new);
        at = range.end;
    }
    out.push_str(&text[at..]);
    out
}

/// A handler of ours in settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ours {
    pub(crate) event: String,
    pub(crate) matcher: Option<String>,
    pub(crate) command: HookCommand,
}

/// Our handlers in a text. What cannot be read has none.
pub(crate) fn ours(text: &str) -> Vec<Ours> {
    let Ok(Some(root)) = parse(text.trim_start_matches(MARK), Grammar::Comments, Path::new("")) else {
        return Vec::new();
    };
    let Some(hooks) = root.get_object("hooks") else { return Vec::new() };
    let mut found = Vec::new();
    for event in &hooks.properties {
        let groups = event.value.as_array().into_iter().flat_map(|groups| &groups.elements);
        for group in groups.filter_map(Value::as_object) {
            let handlers = group.get_array("hooks").into_iter().flat_map(|handlers| &handlers.elements);
            found.extend(handlers.filter_map(command).map(|command| Ours {
                event: event.name.as_str().to_owned(),
                matcher: group.get_string("matcher").map(|matcher| matcher.value.clone().into_owned()),
                command,
            }));
        }
    }
    found
}
