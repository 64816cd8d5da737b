//! Which names are those of secrets: `DB_PASSWORD`, `apiKey`, `x-auth-token`, `密码`, but neither `max_tokens` nor
//! `password_file`.

use super::look::may_be_secret;
use super::table::{ABOUT, ABOUT_FIRST, ABROAD, COMMANDS_OF, LAST_WORDS, PAIRS, WHOLE_WORDS, WORDS};

/// What stands under a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Named {
    /// Anything.
    Anything,
    /// A secret if it is a user and a password in base64.
    Basic,
    /// A command that prints a secret, or a file that has one.
    Command,
    /// A secret if it is a text.
    Secret,
    /// A secret, whatever it is: counts of tokens are none, but numbers are passwords.
    Password,
}

impl Named {
    /// What a field, variable, header or option of that name holds.
    pub(super) fn by(name: &str) -> Self {
        if !may_be_secret(name) {
            return Self::Anything;
        }
        if is_abroad(name) {
            return Self::Password;
        }
        let words = words(name);
        let Some(last) = words.last().map(String::as_str) else { return Self::Anything };
        if last == "auth" && words.len() == 1 {
            return if name.starts_with('_') { Self::Secret } else { Self::Basic };
        }
        if let Some(printed) = COMMANDS_OF.iter().find_map(|end| name_of_printed(name, end))
            && (Self::by(printed) >= Self::Secret || printed.to_ascii_lowercase().ends_with("key"))
        {
            return Self::Command;
        }
        if ABOUT.contains(&last) || words.len() > 1 && ABOUT_FIRST.contains(&words[0].as_str()) {
            return Self::Anything;
        }
        let before_last = words.len().checked_sub(2).map_or("", |at| &words[at]);
        let is_secret = words.iter().any(|word| is_word(word))
            || LAST_WORDS.contains(&last) && (last != "pat" || words.len() > 1 || name == "PAT")
            || PAIRS.contains(&(before_last, last));
        match is_secret {
            false => Self::Anything,
            true if words.iter().any(|word| is_password(word)) => Self::Password,
            true => Self::Secret,
        }
    }
}

/// The name of what is printed by what has this name: `password` of `password-command`.
fn name_of_printed<'a>(name: &'a str, end: &str) -> Option<&'a str> {
    let length = name.len().checked_sub(end.len())?;
    let is_end = name.get(length..).is_some_and(|last| last.eq_ignore_ascii_case(end));
    is_end.then(|| name[..length].trim_end_matches(['-', '_', '.', ' ']))
}

fn is_word(word: &str) -> bool {
    WHOLE_WORDS.contains(&word) || WORDS.iter().any(|end| word.ends_with(end))
}

fn is_password(word: &str) -> bool {
    word == "pwd"
        || word == "pw"
        || word.contains("passw")
        || word.contains("passphrase")
        || word.contains("passcode")
}

fn is_abroad(name: &str) -> bool {
    // Most names are ASCII, as few of these words are.
    if !name.is_ascii() {
        let name = name.to_lowercase();
        return ABROAD.iter().any(|word| name.contains(word));
    }
    let lower = name.to_ascii_lowercase();
    let mut known = ABROAD.iter().filter(|word| lower.contains(**word));
    known.any(|known| {
        let is_word = |word: &String| word.starts_with(known) || word.ends_with(known);
        known.contains(['_', ' ', '-']) || words(name).iter().any(is_word)
    })
}

/// `dbPassword`, `DB_PASSWORD` and `db-password` are `db`, `password`.
pub(super) fn words(name: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut was_lower = false;
    let mut is_open = false;
    for letter in name.chars() {
        if !letter.is_alphanumeric() {
            (is_open, was_lower) = (false, false);
            continue;
        }
        if !is_open || (letter.is_uppercase() && was_lower) {
            words.push(String::new());
        }
        is_open = true;
        was_lower = letter.is_lowercase() || letter.is_numeric();
        if let Some(word) = words.last_mut() {
            word.extend(letter.to_lowercase());
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_secrets_are_known_in_every_spelling_and_names_about_secrets_are_none() {
        let secrets = [
            "password",
            "DB_PASSWORD",
            "dbPassword",
            "user-password",
            "DB_PASS",
            "PGPASSWORD",
            "client_secret",
            "AWS_SECRET_ACCESS_KEY",
            "apiKey",
            "API_KEY",
            "api-key",
            "apikey",
            "X-Api-Key",
            "access_token",
            "accessToken",
            "GITHUB_TOKEN",
            "token",
            "Authorization",
            "Set-Cookie",
            "privateKey",
            "client-key-data",
            "REDISCLI_AUTH",
            "_authToken",
            "_auth",
            "credentials",
            "SECRET",
            "我的密码",
            "Contraseña",
            "ПАРОЛЬ",
        ];
        let others = [
            "max_tokens",
            "input_tokens",
            "tokens",
            "tokenizer",
            "token_count",
            "token_type",
            "secret_name",
            "key",
            "public_key",
            "keyboard",
            "passed",
            "bypass",
            "monkey",
            "author",
            "cookie_path",
            "",
            "primary_key",
            "session_id",
            "tool_use_id",
            "AWS_ACCESS_KEY_ID",
            "secretary",
            "passwordless",
        ];
        for name in secrets {
            assert!(Named::by(name) >= Named::Secret, "{name}");
        }
        for name in others {
            assert_eq!(Named::by(name), Named::Anything, "{name}");
        }
        for name in
            ["password-command", "RESTIC_PASSWORD_COMMAND", "BORG_PASSCOMMAND", "password_file", "PassCmd"]
        {
            assert_eq!(Named::by(name), Named::Command, "{name}");
        }
        assert_eq!(Named::by("auth"), Named::Basic);
        assert_eq!((Named::by("DB_PASSWORD"), Named::by("api_token")), (Named::Password, Named::Secret));
    }
}
