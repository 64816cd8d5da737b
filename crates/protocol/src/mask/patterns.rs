//! Secrets in running text: by the form that their issuers gave them, and by what stands before them.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::{Captures, Regex};

use super::MASKED;
use super::names::{is_password, is_secret};

/// Secrets that are known by their own form. A summary may be cut in the middle of one, so the shortest match is
/// much shorter than the whole.
const FORMS: &[&str] = &[
    // A private key, or the beginning of one.
    r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----(?su:.*?)(?:-----END [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----|\z)",
    r"\bAGE-SECRET-KEY-1[A-Z0-9]{4,}",
    // JSON Web Tokens.
    r"\beyJ[\w-]{14,}(?:\.[\w-]*){0,2}",
    // Code hosts and package registries.
    r"\bgh[opusr]_[A-Za-z0-9]{10,}",
    r"\bgithub_pat_\w{10,}",
    r"\bgl(?:pat|oas|dt|rt|cbt|ptt|ft|soat|imt|agent)-[\w-]{10,}",
    r"\bATATT3[\w=-]{10,}",
    r"\bnpm_[A-Za-z0-9]{10,}",
    r"\bpypi-[\w-]{16,}",
    r"\brubygems_[0-9a-f]{10,}",
    r"\bcio[A-Za-z0-9]{32}\b",
    r"\bdckr_[op]at_[\w-]{10,}",
    // Models.
    r"\bsk-ant-[\w-]{8,}",
    r"\bsk-(?:proj-|svcacct-|admin-|or-v1-)?\w[\w-]{15,}",
    r"\bhf_[A-Za-z0-9]{10,}",
    r"\bgsk_[A-Za-z0-9]{10,}",
    r"\br8_[A-Za-z0-9]{10,}",
    r"\bpplx-[A-Za-z0-9]{10,}",
    r"\bxai-[A-Za-z0-9]{10,}",
    // Clouds.
    r"\b(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{12,}\b",
    r"\bAIza[\w-]{16,}",
    r"\bya29\.[\w-]{10,}",
    r"\bGOCSPX-[\w-]{10,}",
    r"\bdo[opr]_v1_[0-9a-f]{10,}",
    r"\bdapi[0-9a-f]{16,}",
    r"\bhv[bsr]\.[\w-]{10,}",
    r"\bsbp_[0-9a-f]{10,}",
    r"\bnfp_[A-Za-z0-9]{10,}",
    r"\bdp\.(?:pt|st|ct|sa|scim|audit)\.[\w.]{10,}",
    // Money, mail, chat and watching.
    r"\b[rs]k_(?:live|test)_[A-Za-z0-9]{8,}",
    r"\bwhsec_[\w+/=]{8,}",
    r"\bsq0[a-z]{3}-[\w-]{10,}",
    r"\bshp(?:at|ca|pa|ss)_[0-9a-fA-F]{10,}",
    r"\bSG\.[\w-]{10,}(?:\.[\w-]*)?",
    r"\bxox[abeoprs]-[\w-]{8,}",
    r"\bxapp-[\w-]{10,}",
    r"hooks\.slack\.com/services/[\w/]{10,}",
    r"\b\d{8,10}:AA[\w-]{10,}",
    r"\blin_api_[A-Za-z0-9]{10,}",
    r"\bntn_[A-Za-z0-9]{10,}",
    r"\bfigd_[\w-]{10,}",
    r"\bPMAK-[0-9a-f-]{10,}",
    r"\bglsa_[\w]{10,}",
    r"\bNRAK-[A-Z0-9]{10,}",
    r"\bsntry[su]_[\w=+/-]{10,}",
];

static BY_FORM: LazyLock<Regex> = LazyLock::new(|| compiled(&format!("(?-u){}", FORMS.join("|"))));

/// What stands before a secret that has no form of its own, as group 1, and the secret as group 2.
const PLACES: &[&str] = &[
    // https://user:password@host
    r#"(://[^\s/:@"']*:)([^\s/@"']+)@"#,
    // Authorization: Basic …
    r#"(?i)(\bauthorization\\*["']?\s*[:=]\s*\\*["']?(?:(?:bearer|basic|digest|token|apikey)\s+)?)([^\s"'\\,;]{4,})"#,
    r"(\b[Bb]earer\s+)([\w.~+/=-]{12,})",
    // curl -u user:password
    r#"((?:^|\s)(?:-u|--user)[\s=]+["']?[^\s:"']+:)([^\s"']+)"#,
    r#"(\bsshpass\s+-p\s*["']?)([^\s"']+)"#,
];

static BY_PLACE: LazyLock<Vec<Regex>> =
    LazyLock::new(|| PLACES.iter().map(|place| compiled(place)).collect());

/// `NAME = value`, `"name": "value"` with any number of backslashes before the quotes, and `--name value`.
static ASSIGNED: LazyLock<[Regex; 2]> = LazyLock::new(|| {
    let name = r"(?P<name>[\w.-]*(?i:pass|pwd|secret|credential|token|key|auth|cookie|jwt|pat)[\w.-]*)";
    let value = r#"(?P<quote>\\*["'`])?(?P<value>[^\s"'`\\]+)"#;
    [
        compiled(&format!(r#"{name}(?P<between>\\*["'`]?\s*(?::=|=>|=|:)\s*){value}"#)),
        compiled(&format!(r"(?:^|\s)--?{name}(?P<between>[ \t]+){value}")),
    ]
});

/// Part of every match of [`PLACES`] and [`ASSIGNED`]: most lines have none, and one look tells.
static HINT: LazyLock<Regex> = LazyLock::new(|| {
    let name = "(?:pass|pwd|secret|credential|token|key|auth|cookie|jwt|pat)";
    compiled(&format!(
        r#"(?i)://|authorization|bearer\s|(?:^|\s)-u|--user|sshpass|{name}[\w.-]*\\*["'`]?\s*[:=]|(?:^|\s)--?[\w.-]*{name}"#
    ))
});

/// Words that stand where a secret would and are none: types and emptiness in code.
const NO_SECRETS: &[&str] = &[
    "basic",
    "bearer",
    "digest",
    "true",
    "false",
    "null",
    "none",
    "nil",
    "undefined",
    "string",
    "str",
    "string;",
    "number",
    "bool",
    "boolean",
    "int",
    "bytes",
    "required",
    "optional",
    "any",
    "self",
    "redacted",
    "hidden",
    "empty",
    "missing",
    "unset",
];

/// The patterns are constants, so a test that uses them proves that they compile.
fn compiled(pattern: &str) -> Regex {
    Regex::new(pattern).expect("a constant pattern that the tests use")
}

/// A text with its secrets masked.
pub fn text(text: &str) -> Cow<'_, str> {
    let mut masked = replaced(&BY_FORM, Cow::Borrowed(text), |_| Some(MASKED.to_owned()));
    if !HINT.is_match(&masked) {
        return masked;
    }
    for place in BY_PLACE.iter() {
        masked = replaced(place, masked, |found| {
            let rest = &found[0][found[1].len() + found[2].len()..];
            (!is_reference(&found[2])).then(|| format!("{}{MASKED}{rest}", &found[1]))
        });
    }
    ASSIGNED.iter().fold(masked, |masked, pattern| replaced(pattern, masked, assigned))
}

/// What stands for `name = value`; `None` when it is no secret.
fn assigned(found: &Captures<'_>) -> Option<String> {
    let (name, value) = (&found["name"], &found["value"]);
    let is_quoted = found.name("quote").is_some();
    let value = if is_quoted { value } else { bare(value) };
    let is_number = value.parse::<f64>().is_ok();
    let is_code = !is_quoted && value.contains(['(', '[', '{', '<']);
    let is_word = NO_SECRETS.contains(&value.to_lowercase().as_str());
    let is_nothing = value.len() < 3 || is_reference(value) || is_word || is_code;
    if is_nothing || !is_secret(name) || (is_number && !is_password(name)) {
        return None;
    }
    let all = found.get(0)?;
    let at = found.name("value")?.start() - all.start();
    let (before, after) = (&all.as_str()[..at], &all.as_str()[at + value.len()..]);
    Some(format!("{before}{MASKED}{after}"))
}

/// A value without quotes, up to the next parameter of a URL, and without what closes around it.
fn bare(value: &str) -> &str {
    let value = value.split('&').next().unwrap_or(value);
    value.trim_end_matches([',', ';', ')', '}', ']', '>', '.'])
}

/// `$TOKEN`, `${TOKEN}`, `process.env.TOKEN`, `<your token>`: where a secret is, not what it is.
fn is_reference(value: &str) -> bool {
    value.starts_with(['$', '<', '%', '*', '{'])
        || value.starts_with(MASKED)
        || ["process.env", "os.environ", "env.", "secrets.", "vault:", "self."]
            .iter()
            .any(|at| value.starts_with(at))
}

/// Replaces every match for which there is something to replace it by. Where there is nothing, the next match may
/// begin within this one: in `key: TOKEN=…` behind its name.
fn replaced<'a>(
    pattern: &Regex,
    text: Cow<'a, str>,
    by: impl Fn(&Captures<'_>) -> Option<String>,
) -> Cow<'a, str> {
    // Nearly always there is none, and that much is known without its groups.
    if !pattern.is_match(&text) {
        return text;
    }
    let mut out = String::new();
    let (mut copied, mut at) = (0, 0);
    while let Some(found) = pattern.captures_at(&text, at) {
        let Some(all) = found.get(0) else { break };
        if let Some(masked) = by(&found) {
            out.push_str(&text[copied..all.start()]);
            out.push_str(&masked);
            (copied, at) = (all.end(), all.end());
        } else {
            at = found.name("name").map_or(all.end(), |name| name.end());
        }
    }
    if copied == 0 {
        return text;
    }
    out.push_str(&text[copied..]);
    Cow::Owned(out)
}
