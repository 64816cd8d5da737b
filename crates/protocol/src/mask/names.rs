//! Which names are those of secrets: `DB_PASSWORD`, `apiKey`, `x-auth-token`, but neither `max_tokens` nor
//! `password_file`.

/// Words that make a secret of whatever they name.
const SECRETS: &[&str] = &[
    "password",
    "passwords",
    "passwd",
    "passphrase",
    "passcode",
    "pwd",
    "secret",
    "secrets",
    "credential",
    "credentials",
    "apikey",
    "apisecret",
    "authtoken",
    "accesstoken",
    "authorization",
    "cookie",
    "cookies",
];

/// Words that make one as the last word.
const LAST: &[&str] = &["token", "pass", "pat", "jwt"];

/// Words that make one before `key`.
const BEFORE_KEY: &[&str] = &[
    "api",
    "access",
    "private",
    "secret",
    "auth",
    "encryption",
    "signing",
    "service",
    "account",
    "master",
    "deploy",
    "ssh",
    "license",
    "shared",
    "storage",
    "app",
    "admin",
    "write",
    "read",
    "ingest",
];

/// Last words that speak about a secret and are none.
const ABOUT: &[&str] = &[
    "count",
    "counts",
    "type",
    "types",
    "file",
    "files",
    "path",
    "dir",
    "name",
    "names",
    "id",
    "ids",
    "length",
    "policy",
    "expires",
    "expiry",
    "expiration",
    "hint",
    "field",
    "label",
    "ttl",
    "at",
    "in",
    "location",
    "algorithm",
    "enabled",
    "required",
    "manager",
    "usage",
    "limit",
    "max",
    "min",
    "version",
    "url",
    "uri",
    "endpoint",
    "store",
    "provider",
    "env",
    "var",
    "scanner",
    "scanning",
    "rotation",
    "reset",
];

/// Whether a field, variable, header or option of that name holds a secret.
pub(super) fn is_secret(name: &str) -> bool {
    let words = words(name);
    let Some(last) = words.last() else { return false };
    let is = |word: &String, list: &[&str]| list.contains(&word.as_str());
    if is(last, ABOUT) {
        return false;
    }
    let before_last = words.len().checked_sub(2).map(|at| &words[at]);
    words.iter().any(|word| is(word, SECRETS))
        || is(last, LAST)
        || (last == "key" && before_last.is_some_and(|word| is(word, BEFORE_KEY)))
}

/// Whether even a number under that name is a secret: counts of tokens are none.
pub(super) fn is_password(name: &str) -> bool {
    is_secret(name)
        && words(name).iter().any(|word| word.starts_with("pass") && word != "pass" || word == "pwd")
}

/// `dbPassword`, `DB_PASSWORD` and `db-password` are `db`, `password`.
fn words(name: &str) -> Vec<String> {
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
            "_authToken",
            "credentials",
            "SECRET",
        ];
        let others = [
            "max_tokens",
            "input_tokens",
            "tokens",
            "tokenizer",
            "token_count",
            "token_type",
            "password_file",
            "secret_name",
            "key",
            "public_key",
            "keyboard",
            "passed",
            "monkey",
            "author",
            "cookie_path",
            "",
            "primary_key",
            "session_id",
            "tool_use_id",
            "AWS_ACCESS_KEY_ID",
        ];
        for name in secrets {
            assert!(is_secret(name), "{name}");
        }
        for name in others {
            assert!(!is_secret(name), "{name}");
        }
        assert!(is_password("DB_PASSWORD") && !is_password("api_token"));
    }
}
