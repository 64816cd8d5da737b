//! What is given to a name: `NAME = value`, `"name": "value"` with any number of backslashes before the quotes,
//! `--name value`, `<name>value</name>`, and a value on the next line.

use std::ops::Range;

use super::names::Named;
use super::value::{is_mixed, is_secret};
use super::{code, printed};

/// Finds the secrets among the values of the names that have these words.
pub(super) fn find(text: &str, words: &[(usize, usize)], secrets: &mut Vec<Range<usize>>) {
    let mut done = 0..0;
    for &(start, end) in words {
        let name = name_at(text, start, end);
        // One word may be a part of another.
        if name.end < done.end || name.end == done.end && name.start >= done.start {
            continue;
        }
        done = name.clone();
        let named = Named::by(text[name.clone()].trim_matches(['-', '.']));
        if named == Named::Anything {
            continue;
        }
        let Some(value) = value_of(text, &name) else { continue };
        let is_given = match value.is_quoted {
            true => {
                !code::is_prompt(text, &name, &value.range)
                    && !code::is_substituted(text, &name, &value.range)
            }
            false => !code::is_no_value(text, &name, &value.range),
        };
        if is_given && is_secret(&text[value.range.clone()], named, value.is_literal) {
            secrets.push(value.range);
        } else if named > Named::Basic {
            secrets.extend(printed::instead(text, &value.range));
        }
    }
}

/// The whole name that has this word.
fn name_at(text: &str, start: usize, end: usize) -> Range<usize> {
    let is_name = |c: &char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
    let before: usize = text[..start].chars().rev().take_while(is_name).map(char::len_utf8).sum();
    let after: usize = text[end..].chars().take_while(is_name).map(char::len_utf8).sum();
    start - before..end + after
}

/// A value and whether all of it is text and none of it code.
struct Value {
    range: Range<usize>,
    is_quoted: bool,
    is_literal: bool,
}

/// What stands between a name and its value.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Between {
    /// `=` with nothing around it, as a shell has it.
    Tight,
    Equals,
    Colon,
    /// White space after an option.
    Option,
}

fn value_of(text: &str, name: &Range<usize>) -> Option<Value> {
    let rest = &text[name.end..];
    // Also in a namespace.
    let prefix = |c: char| c.is_alphanumeric() || matches!(c, ':' | '_' | '-');
    if let Some(before) = text[..name.start].trim_end_matches(prefix).strip_suffix('<') {
        // Behind a letter it is a type of one: `Vec<Token>`.
        let is_type = before.ends_with(|c: char| c.is_alphanumeric() || c == ':');
        return element(text, name.end).filter(|value| !is_type || text[value.range.end..].starts_with("</"));
    }
    let quote = closing_quote(rest);
    let spaced = rest[quote..].trim_start();
    if let Some(argument) = spaced.strip_prefix(',').filter(|_| quote > 0 && is_first_argument(text, name)) {
        return argument_at(text, text.len() - argument.trim_start().len());
    }
    let bare = spaced.strip_prefix([']', ')', '}']).map_or(spaced, str::trim_start);
    let after = |rest: &str| text.len() - rest.len();
    let separators = [":=", "=>", "===", "==", "=", ":", "\u{ff1d}", "\u{ff1a}"];
    if let Some(separator) = separators.iter().find(|separator| bare.starts_with(**separator)) {
        let value = &bare[separator.len()..];
        let between = match *separator {
            ":" | "\u{ff1a}" => Between::Colon,
            "=" if quote == 0 && rest.len() == bare.len() && !value.starts_with([' ', '\t']) => {
                Between::Tight
            }
            _ => Between::Equals,
        };
        return value_at(text, after(value), between);
    }
    if !text[name.clone()].starts_with('-') {
        return None;
    }
    // In a list of arguments the next one may have quotes of its own.
    let value = spaced.strip_prefix(',').map_or(spaced, str::trim_start);
    let value =
        value.strip_prefix('\\').filter(|rest| rest.starts_with(char::is_whitespace)).unwrap_or(value);
    let is_apart = value.len() < rest.len() - quote;
    let value = value.trim_start();
    (is_apart && !value.starts_with('-')).then(|| value_at(text, after(value), Between::Option))?
}

/// Whether this is the first of what a function is called with.
fn is_first_argument(text: &str, name: &Range<usize>) -> bool {
    let before = text[..name.start].strip_suffix(['"', '\'', '`']).unwrap_or_default();
    before.trim_end_matches('\\').ends_with('(')
}

/// What a function is called with beside a name: `setItem("token", "…")`. Words are texts for people.
fn argument_at(text: &str, at: usize) -> Option<Value> {
    let range = quoted(text, at)?;
    let given = &text[range.clone()];
    let is_word = given.contains(char::is_whitespace) || !is_mixed(given) || Named::by(given) > Named::Basic;
    (!is_word).then_some(Value { range, is_quoted: true, is_literal: true })
}

/// The length of a quote, with backslashes before it.
fn closing_quote(rest: &str) -> usize {
    let backslashes = rest.len() - rest.trim_start_matches('\\').len();
    match rest[backslashes..].starts_with(['"', '\'', '`']) {
        true => backslashes + 1,
        false => 0,
    }
}

/// What is in an element of XML whose name ends here.
fn element(text: &str, at: usize) -> Option<Value> {
    let rest = &text[at..];
    let head =
        rest.find('>').filter(|end| !rest[..*end].contains(['<', '\n']) && !rest[..*end].ends_with('/'))?;
    let attributes = rest[..head].trim();
    if !rest.starts_with(['>', ' ', '\t']) || !attributes.is_empty() && !attributes.contains('=') {
        return None;
    }
    let inside = rest[head + 1..].trim_start();
    let (inside, end) = match inside.strip_prefix("<![CDATA[") {
        Some(inside) => (inside, inside.find("]]>")),
        None => (inside, inside.find(['<', '\n'])),
    };
    let value = inside[..end.unwrap_or(inside.len())].trim_end();
    let start = text.len() - inside.len();
    Some(Value { range: start..start + value.len(), is_quoted: true, is_literal: true })
}

fn value_at(text: &str, at: usize, between: Between) -> Option<Value> {
    let line = text[at..].trim_start_matches([' ', '\t']);
    let rest = match between {
        // The next line is another name's.
        Between::Tight | Between::Equals => line,
        Between::Colon | Between::Option => line.trim_start(),
    };
    let at = text.len() - rest.len();
    if between == Between::Colon {
        if let Some(block) = block(text, at) {
            return Some(block);
        }
        if let Some(typed) = typed(rest) {
            return value_at(text, at + typed, Between::Equals);
        }
    }
    Some(match quoted(text, at) {
        Some(range) => Value { range, is_quoted: true, is_literal: true },
        None => {
            let is_literal = between == Between::Tight && !looks_called(rest);
            Value { range: word(text, at)?, is_quoted: false, is_literal }
        }
    })
}

/// Whether a shell, too, would take this for more than a text.
fn looks_called(rest: &str) -> bool {
    let name = rest.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | ':'));
    name.starts_with(['(', '[']) && name.contains([')', ']']) || rest.starts_with(['(', '[', '{', '<', '|'])
}

/// `|` or `>` and the lines below, as YAML has them.
fn block(text: &str, at: usize) -> Option<Value> {
    let rest = text[at..].strip_prefix(['|', '>'])?;
    let rest = rest.strip_prefix(['-', '+']).unwrap_or(rest);
    let body = rest.strip_prefix(|c: char| c.is_whitespace())?;
    let body = body.trim_start_matches('\n');
    let indent = body.len() - body.trim_start_matches(' ').len();
    let start = text.len() - body.len() + indent;
    if indent == 0 {
        return Some(Value { range: word(text, start)?, is_quoted: false, is_literal: true });
    }
    let lines = body.split_inclusive('\n').take_while(|line| {
        line.trim().is_empty() || line.len() - line.trim_start_matches(' ').len() >= indent
    });
    let length: usize = lines.map(str::len).sum();
    let end = start - indent + body[..length].trim_end().len();
    Some(Value { range: start..end.max(start), is_quoted: true, is_literal: true })
}

/// How long a type is that stands before the `=` of a value: `password: &str = "…"`.
fn typed(rest: &str) -> Option<usize> {
    let name = rest.find(|c: char| !c.is_alphanumeric() && !"_&'<>[]. |*?:".contains(c))?;
    let is_type = rest[..name].trim_end().len() <= 40 && rest[..name].ends_with(' ');
    let value = rest[name..].strip_prefix('=').filter(|value| !value.starts_with(['=', '>']));
    (is_type && value.is_some()).then_some(name + 1)
}

/// What is in the quotes that open here, perhaps after the mark of a kind of text (`r"…"`).
fn quoted(text: &str, at: usize) -> Option<Range<usize>> {
    let rest = &text[at..];
    let marks =
        rest.len() - rest.trim_start_matches(['r', 'b', 'u', 'f', 'R', 'B', 'U', 'F', '$', '@', '#']).len();
    let opening = if marks <= 3 { marks } else { 0 };
    let rest = &rest[opening..];
    let backslashes = rest.len() - rest.trim_start_matches('\\').len();
    let quote = rest[backslashes..]
        .chars()
        .next()
        .filter(|c| matches!(c, '"' | '\'' | '`' | '\u{201c}' | '\u{ff02}'))?;
    let inside = &rest[backslashes + quote.len_utf8()..];
    // Three of them are one.
    let double: String = [quote, quote].iter().collect();
    let inside = inside.strip_prefix(&double).filter(|inside| !inside.is_empty()).unwrap_or(inside);
    let start = text.len() - inside.len();
    let closing = if quote == '\u{201c}' { '\u{201d}' } else { quote };
    let end =
        closing_at(inside, closing, backslashes).unwrap_or_else(|| inside.find('\n').unwrap_or(inside.len()));
    Some(start..start + end)
}

/// Where quotes close that opened with so many backslashes: with no more of them, for that would be one inside.
fn closing_at(inside: &str, quote: char, backslashes: usize) -> Option<usize> {
    inside.match_indices(quote).find_map(|(at, _)| {
        let before = at - inside[..at].trim_end_matches('\\').len();
        let is_closing = if backslashes == 0 { before.is_multiple_of(2) } else { before <= backslashes };
        is_closing.then_some(at - if backslashes == 0 { 0 } else { before })
    })
}

/// A value without quotes: up to white space or the next parameter of a URL, and without what closes around it.
fn word(text: &str, at: usize) -> Option<Range<usize>> {
    let rest = &text[at..];
    let mut end = rest.len();
    let mut letters = rest.char_indices().peekable();
    while let Some((at, letter)) = letters.next() {
        let next = letters.peek().map(|(_, next)| *next);
        let goes_on = next.is_some_and(char::is_alphanumeric);
        let is_end = match letter {
            _ if letter.is_whitespace() => true,
            '&' => true,
            // Within a word it is a part of it; around one it is not.
            '"' | '\'' | '`' => at == 0 || !goes_on,
            '\\' => next
                .is_none_or(|next| next.is_alphanumeric() || next.is_whitespace() || "\"'`\\".contains(next)),
            _ => false,
        };
        if is_end {
            end = at;
            break;
        }
    }
    let value = rest[..end].strip_suffix("):").unwrap_or(&rest[..end]);
    let mut value = value.trim_end_matches([',', ';', ')', '}', ']', '>', '.']);
    // Arguments of a call, or entries of a list.
    if let Some((first, next)) = value.split_once([',', ';'])
        && next.contains('=')
    {
        value = first;
    }
    // Another name, whose value follows.
    let is_name = value.ends_with(':')
        && value.len() > 1
        && value[..value.len() - 1].chars().all(|c| c.is_alphanumeric() || "_-.".contains(c));
    (!value.is_empty() && !is_name).then(|| at..at + value.len())
}
