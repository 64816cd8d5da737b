//! What stands in code, and in names of tasks, where a secret would stand elsewhere: types, variables, patterns, verbs.

use std::ops::Range;

use super::look::may_be_secret;
use super::names::{Named, words};
use super::shell::LINE_BYTES_MAX;
use super::table::{ABOUT, DECLARES, RUNNERS};

/// Whether what stands behind a name is neither a text nor given to it.
pub(super) fn is_no_value(text: &str, name: &Range<usize>, value: &Range<usize>) -> bool {
    let between = &text[name.end..value.start];
    let (name_text, value_text) = (&text[name.clone()], &text[value.clone()]);
    is_folder(name_text, value_text)
        || is_declared(&text[..name.start], name_text, between)
        || is_task(&text[..name.start], between, value_text)
        || is_pattern(&text[..name.start], between)
        || is_renamed(between, &text[value.end..])
        || is_compared(name_text, between, value_text)
        || is_path(between, value_text)
        || is_variable(name_text, between, value_text, &text[value.end..])
        || is_called(value_text, &text[value.end..])
        || is_namesake(name_text, between, value_text)
        || is_computed(between, &text[value.end..])
        || is_sentence(name_text, between, value_text, &text[value.end..])
}

/// Whether this is the shell's own folder, whose name is that of a password elsewhere.
fn is_folder(name: &str, value: &str) -> bool {
    matches!(name, "PWD" | "OLDPWD" | "pwd") && value.starts_with(['/', '~', '.'])
}

/// The word before a place, without options between them.
fn word_before(before: &str) -> &str {
    let words = before.rsplit([' ', '\t']).skip_while(|word| word.is_empty() || word.starts_with('-'));
    let word = words.take(1).next().unwrap_or_default();
    word.rsplit(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default()
}

/// `type Token = …`, `class Token: …`, `lambda token: …`: a name that is being made.
fn is_declared(before: &str, name: &str, between: &str) -> bool {
    if word_before(before) == "lambda" {
        return true;
    }
    let is_new = between.trim_start().starts_with('=') || name.starts_with(|c: char| c.is_ascii_uppercase());
    is_new && before.ends_with([' ', '\t']) && DECLARES.contains(&word_before(before))
}

/// `npm run token:generate`, `password:reset`: one name of two words.
fn is_task(before: &str, between: &str, value: &str) -> bool {
    let verb = value.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
    between == ":"
        && (ABOUT.contains(&verb) || before.ends_with(' ') && RUNNERS.contains(&word_before(before)))
}

/// `const { password } = …`, `Some(token) = …`, `(password) => …`, `user, password = …`: what is taken out of what follows. An entry of a table,
/// `config[password] = …`, is given it.
fn is_pattern(before: &str, between: &str) -> bool {
    let line = before.rsplit('\n').next().unwrap_or_default();
    if is_spaced(between) && line.trim_end().ends_with(',') && !line.contains(['=', ':']) {
        return true;
    }
    let Some(after) = between.trim_start().strip_prefix(['}', ')', ']']) else { return false };
    let is_index = before
        .trim_end_matches([':', '$'])
        .strip_suffix('[')
        .is_some_and(|table| table.ends_with(|c: char| c.is_alphanumeric() || matches!(c, '_' | ']' | ')')));
    after.trim_start().starts_with('=') && !is_index
}

/// `const { password: pw } = …`: the name that what is taken out is given.
fn is_renamed(between: &str, after: &str) -> bool {
    let pattern = after.trim_start().strip_prefix('}');
    between.starts_with(':') && pattern.is_some_and(|after| after.trim_start().starts_with('='))
}

/// `token == Kind::End`, `password === confirmPassword`.
fn is_compared(name: &str, between: &str, value: &str) -> bool {
    let is_name = || words(value).len() > 1 && Named::by(value) >= Named::Secret;
    between.trim_start().starts_with("==") && (value.contains('.') || is_own(name) || is_name())
}

/// `token = module.login.result`, `token = *tokens`, `Token::Word`, `token: Types.String`.
fn is_path(between: &str, value: &str) -> bool {
    let is_name = |part: &str| part.len() > 1 && part.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    let is_type = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphabetic());
    let is_type = || value.starts_with(|c: char| c.is_ascii_uppercase()) && value.split('.').all(is_type);
    value.contains("::")
        || between.starts_with(": ") && value.contains('.') && is_type()
        || between.ends_with(' ') && value.starts_with('*')
        || is_spaced(between) && value.contains('.') && value.split('.').all(is_name)
}

/// Whether the quotes that seem to open behind a name are those around it that close: `"Password: "`.
pub(super) fn is_prompt(text: &str, name: &Range<usize>, value: &Range<usize>) -> bool {
    let between = &text[name.end..value.start];
    let Some(quote) = between.chars().next_back().filter(|quote| matches!(quote, '"' | '\'')) else {
        return false;
    };
    let line = text[..name.start].rfind('\n').map_or(0, |line| line + 1);
    let line = text.ceil_char_boundary(line.max(name.start.saturating_sub(LINE_BYTES_MAX)));
    let before = &text[line..name.start];
    let within = |at: usize| {
        let is_letter = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
        is_letter(before[..at].chars().next_back()) && is_letter(before[at + 1..].chars().next())
    };
    let opened = before.match_indices(quote).filter(|(at, _)| !within(*at)).count();
    let goes_on = text[value.clone()].starts_with(|c: char| c.is_whitespace() || ",;)+".contains(c));
    between.starts_with([':', '=']) && between.matches(quote).count() == 1 && goes_on && opened % 2 == 1
}

/// Whether a shell puts in place of it what a command prints.
pub(super) fn is_substituted(text: &str, name: &Range<usize>, value: &Range<usize>) -> bool {
    &text[name.end..value.start] == "=`" && text[value.clone()].contains(' ')
}

/// `password: hashedPassword,`, `this.password = value`: a name, with what code has before or behind it.
fn is_variable(name: &str, between: &str, value: &str, after: &str) -> bool {
    if !value.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
        return false;
    }
    let is_tight = between == "=";
    let is_same = name.rsplit(['.', '>']).next().is_some_and(|name| name.eq_ignore_ascii_case(value));
    if is_same && !is_tight && between.contains('=') || is_spaced(between) && is_own(name) {
        return true;
    }
    let is_code = match is_tight {
        true => after.starts_with(')') || after.starts_with(", ") || is_same && after.starts_with(','),
        false => after.starts_with([',', ';', ')']) || after.starts_with(" }"),
    };
    let is_several = words(value).len() > 1;
    let is_type = is_several && value.starts_with(|c: char| c.is_ascii_uppercase()) && may_be_secret(value);
    // A token has digits; a password may have letters only.
    let is_word = !may_be_words(name) && !is_tight && value.bytes().all(|byte| byte.is_ascii_alphabetic());
    is_code && (is_word || is_type || (is_several || is_same) && Named::by(value) >= Named::Secret)
}

/// Whether it is a field of what a method belongs to.
fn is_own(name: &str) -> bool {
    ["self.", "this.", "super.", "cls."].iter().any(|own| name.starts_with(own))
}

/// Whether what has this name may be made of words.
fn may_be_words(name: &str) -> bool {
    let words = words(name);
    words.last().is_some_and(|last| last.contains("pass") || last.contains("pw") || last.contains("secret"))
        || Named::by(name) == Named::Password
}

/// `name = value`, as code has it and a shell has not.
fn is_spaced(between: &str) -> bool {
    between.len() > 1 && between.trim() == "="
}

/// `token: CancellationToken`, `token = access_token`: a type or variable that has its last word from the name.
fn is_namesake(name: &str, between: &str, value: &str) -> bool {
    let is_name = value.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b'_');
    if between == "=" || !is_name || may_be_words(name) {
        return false;
    }
    let (name, value) = (words(name), words(value));
    value.len() > 1 && name.last() == value.last()
}

/// `token = Word + Number`, `user = password = other`: what is computed.
fn is_computed(between: &str, after: &str) -> bool {
    is_spaced(between) && [" + ", " | ", " || ", " ?? ", " = "].iter().any(|sign| after.starts_with(sign))
}

/// `has a token: who shows it, may come in`. A password may be such a word.
fn is_sentence(name: &str, between: &str, value: &str, after: &str) -> bool {
    let goes_on = after.trim_start_matches([',', '.']).strip_prefix(' ');
    between.trim_start_matches(['`', '*']) == ": "
        && value.bytes().all(|byte| byte.is_ascii_lowercase())
        && goes_on.is_some_and(|next| next.starts_with(|c: char| c.is_ascii_lowercase() || c == '`'))
        && Named::by(name) < Named::Password
}

/// `$token = Read-Token -Name x`: a command of PowerShell with what it is given.
fn is_called(value: &str, after: &str) -> bool {
    let is_part = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_uppercase()) && part.bytes().all(|b| b.is_ascii_alphabetic())
    };
    value.contains('-') && value.split('-').all(is_part) && after.starts_with([' ', ')'])
}
