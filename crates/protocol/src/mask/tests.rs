//! A corpus of secrets and of what only looks like one. The secrets are made up, and put together here, so that no
//! scanner takes this file for a leak.

use std::fmt::Write;

use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::corpus::{Case, cases, letters};
use super::*;

/// Letters and digits enough for any secret.
const FILL: &str = "Zk3vX9qLm2Tt7Rw5Yb8Nc4Hd6Jf1Gs0PaQeUiOxVy";

/// A secret with this prefix and length.
fn secret(prefix: &str, length: usize) -> String {
    format!("{prefix}{}", &FILL.repeat(3)[..length])
}

fn masked(value: &Value) -> String {
    let raw = RawValue::from_string(value.to_string()).expect("JSON");
    super::json(&raw).map_or_else(|| raw.get().to_owned(), |masked| masked.get().to_owned())
}

#[test]
fn secrets_are_known_by_their_form_wherever_they_stand() {
    let upper = "Q7XK2M9PLT4WZB8N";
    let hex = "0123456789abcdef0123456789abcdef";
    let secrets = [
        secret("ghp_", 36),
        secret("gho_", 36),
        secret("github_pat_", 40),
        secret("glpat-", 20),
        secret("npm_", 36),
        secret("pypi-", 60),
        secret("sk-ant-api03-", 40),
        secret("sk-proj-", 40),
        secret("sk-", 40),
        secret("hf_", 34),
        secret("gsk_", 40),
        format!("AKIA{upper}"),
        secret("AIza", 35),
        secret("ya29.", 40),
        format!("dop_v1_{hex}"),
        format!("dapi{hex}"),
        secret("hvs.", 24),
        secret("sk_live_", 24),
        secret("rk_test_", 24),
        secret("whsec_", 32),
        format!("shpat_{hex}"),
        format!("SG.{}.{}", secret("", 22), secret("", 40)),
        secret("xoxb-1234567890-", 24),
        format!("123456789:AA{}", secret("", 33)),
        secret("lin_api_", 40),
        secret("glsa_", 32),
        format!("eyJ{}.eyJ{}.{}", secret("", 20), secret("", 30), secret("", 40)),
        format!("AGE-SECRET-KEY-1{upper}{upper}"),
        secret("dckr_pat_", 27),
        secret("xai-", 40),
    ];
    for secret in &secrets {
        for around in ["{}", "key {} here", "\"{}\"", "x={},", "cut {}\u{2026}", "(\n{}\n)"] {
            let given = around.replace("{}", secret);
            let kept = text(&given).into_owned();
            assert!(!kept.contains(&secret[..secret.len() - 2]), "{given} became {kept}");
            assert!(kept.contains(MASKED), "{given} became {kept}");
        }
        let short = &secret[..secret.len().min(24)];
        assert!(
            !masked(&json!({ "out": [{ "a": short }] })).contains(&short[..short.len() - 2]),
            "cut: {short}"
        );
    }
}

#[test]
fn a_private_key_goes_as_a_whole_also_when_its_end_is_missing() {
    let body = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7\nabc+/=\n";
    for kind in ["", "RSA ", "EC ", "OPENSSH ", "ENCRYPTED ", "DSA "] {
        let key = format!("-----BEGIN {kind}PRIVATE KEY-----\n{body}-----END {kind}PRIVATE KEY-----");
        assert_eq!(text(&format!("cat id\n{key}\ndone")), format!("cat id\n{MASKED}\ndone"));
        assert_eq!(text(&key[..60]), MASKED);
    }
    let public = "-----BEGIN PUBLIC KEY-----\nMIIB\n-----END PUBLIC KEY-----";
    assert_eq!(text(public), public);
}

#[test]
fn secrets_are_known_by_what_stands_before_them() {
    let word = "correct-horse_7battery";
    let places = [
        "export DB_PASSWORD={}",
        "DB_PASSWORD='{}' ./run",
        "password: {}",
        "\"password\": \"{}\"",
        r#"\"client_secret\":\"{}\""#,
        r#"\\\"api_key\\\": \\\"{}\\\""#,
        "apiKey = '{}';",
        "API-KEY => {}",
        "x-api-key: {}",
        "token={}&page=2",
        "https://h/p?access_token={}&page=2",
        "--password {}",
        "login --api-token={} -v",
        "login --token \"{}\"",
        "postgres://app:{}@db/prod",
        "https://u:{}@h.example/x",
        "Authorization: Basic {}",
        "Authorization: {}",
        "-H 'authorization: Bearer {}'",
        "Bearer {}",
        "curl -u admin:{} https://h",
        "sshpass -p {} ssh h",
        "Set-Cookie: {}",
        "key: DB_SECRET={}",
        "AccountKey={}",
        "_authToken={}",
        "secret := \"{}\"",
        "passphrase `{}`: no",
    ];
    let mut failed = String::new();
    for place in places.iter().filter(|place| !place.contains("`")) {
        let given = place.replace("{}", word);
        let expected = place.replace("{}", MASKED);
        let kept = text(&given);
        if kept != expected {
            let _ = writeln!(failed, "{given}\n  became   {kept}\n  and not  {expected}");
        }
    }
    assert!(failed.is_empty(), "{failed}");
}

#[test]
fn what_only_looks_like_a_secret_stays() {
    let texts = [
        "max_tokens: 4096",
        "input_tokens=120, output_tokens=7",
        "token: string",
        "password: str = None",
        "const token = getToken()",
        "secret = os.environ[\"S\"]",
        "TOKEN=$TOKEN",
        "--password ${PW}",
        "password=<your password>",
        "the token was refused",
        "Bearer of bad news",
        "basic understanding",
        "14 passed; 0 failed",
        "pass: 14 fail: 0",
        "tests/secrets.rs: 3 matches",
        "git@github.com:a/b.git",
        "https://host:8080/path@1",
        "sk-learn",
        "key: value",
        "c97a9d6 Leave chores alone",
        "author: Jane Doe",
        "0198f9a0-0000-7000-8000-000000000001",
        "toolu_01A09q90qw90lq917835lq9",
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5",
        "Edit  src/password.rs  +3 \u{2212}1",
        "assert!(token.is_none())",
        "monkey: banana-split-deluxe",
    ];
    for given in texts {
        assert_eq!(text(given), given);
    }
}

#[test]
fn in_json_whatever_stands_under_a_secret_s_name_goes_and_all_else_stays_byte_for_byte() {
    let cases = [
        (r#"{"password": "x", "n": 1.00}"#, r#"{"password": "[masked]", "n": 1.00}"#),
        (r#"{"password": 1234, "token": 1234}"#, r#"{"password": "[masked]", "token": 1234}"#),
        (
            r#"{"password": null, "secret": "", "pwd": true}"#,
            r#"{"password": null, "secret": "", "pwd": true}"#,
        ),
        (
            r#"{"credentials":{"user":"u","keys":["a b"]}}"#,
            r#"{"credentials":{"user":"[masked]","keys":["[masked]"]}}"#,
        ),
        (
            r#"{"env":[{"name":"DB_PASS","value":"x y"},{"name":"A","value":"b"}]}"#,
            r#"{"env":[{"name":"DB_PASS","value":"[masked]"},{"name":"A","value":"b"}]}"#,
        ),
        (
            r#"{"out":"{\"api_key\": \"a\\\"b\", \"n\": 1}"}"#,
            r#"{"out":"{\"api_key\": \"[masked]\", \"n\": 1}"}"#,
        ),
        (r#"{"pass\u0077ord":"x"}"#, r#"{"pass\u0077ord":"[masked]"}"#),
        (r#"[true , "a\"b", -1e9,{}, [ ] ]"#, r#"[true , "a\"b", -1e9,{}, [ ] ]"#),
        (r#""lone \ud83d TOKEN=abcdef""#, "\"lone \u{fffd}\u{fffd}\u{fffd} TOKEN=[masked]\""),
    ];
    for (given, expected) in cases {
        let raw = RawValue::from_string(given.to_owned()).expect("JSON");
        let kept = super::json(&raw).map_or_else(|| given.to_owned(), |masked| masked.get().to_owned());
        assert_eq!(kept, expected, "{given}");
        assert_eq!(super::json(&raw).is_none(), given == expected, "untouched is told: {given}");
    }
    let token = secret("ghp_", 36);
    assert_eq!(masked(&json!({ token: 1 })), r#"{"[masked]":1}"#);
}

#[test]
fn json_that_is_too_deep_to_follow_is_masked_as_a_whole() {
    let deep = format!("{}\"ghp\"{}", "[".repeat(5000), "]".repeat(5000));
    let raw = RawValue::from_string(deep).expect("JSON");
    assert_eq!(super::json(&raw).map(|masked| masked.get().to_owned()).as_deref(), Some("\"[masked]\""));
}

#[test]
fn masking_twice_changes_nothing_more() {
    let given = json!({ "password": "x", "cmd": format!("export A_TOKEN={FILL} && curl -u a:{FILL} h") });
    let once = RawValue::from_string(masked(&given)).expect("JSON");
    assert!(!once.get().contains(FILL));
    let twice = super::json(&once).map_or_else(|| once.get().to_owned(), |masked| masked.get().to_owned());
    assert_eq!(twice, once.get());
    for case in cases("secrets.txt") {
        assert_eq!(text(&case.expected), case.expected, "{}", case.given);
        let once = RawValue::from_string(masked(&json!({ "out": case.given }))).expect("JSON");
        assert_eq!(super::json(&once).map(|masked| masked.get().to_owned()), None, "{once}");
    }
}

/// What became of the cases that did not become what was expected.
fn failures(cases: &[Case]) -> Vec<String> {
    let became = |case: &Case| {
        let kept = text(&case.given);
        (kept != case.expected)
            .then(|| format!("{:?}\n  became   {kept:?}\n  and not  {:?}", case.given, case.expected))
    };
    cases.iter().filter_map(became).collect()
}

#[test]
fn secrets_are_masked_where_they_usually_stand_and_nothing_around_them() {
    let cases = cases("secrets.txt");
    assert!(cases.len() >= 200, "{}", cases.len());
    let failures = failures(&cases);
    assert!(failures.is_empty(), "{} of {}:\n{}", failures.len(), cases.len(), failures.join("\n"));
}

#[test]
fn look_alikes_in_their_usual_places_stay_as_they_are() {
    let cases = cases("look-alikes.txt");
    assert!(cases.len() >= 200, "{}", cases.len());
    let failures = failures(&cases);
    assert!(failures.is_empty(), "{} of {}:\n{}", failures.len(), cases.len(), failures.join("\n"));
}

#[test]
fn secrets_are_masked_in_the_line_of_an_event_and_in_json_at_any_depth() {
    // Fewer letters may be a part of something else.
    const LETTERS_MIN: usize = 6;
    let mut seen = Vec::new();
    for case in cases("secrets.txt") {
        let given = case.given.as_str();
        let hook = |more: Value| {
            let mut hook = json!({ "hook_event_name": "PreToolUse", "tool_name": "Bash", "session_id": "s" });
            hook.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
            RawValue::from_string(hook.to_string()).expect("JSON")
        };
        let line =
            |hook: Box<RawValue>| crate::ingest::parse(&hook, crate::Source::Hook).expect("an event").summary;
        let inner = json!({ "stdout": given, "list": [1, given] }).to_string();
        let shown = [
            ("line", line(hook(json!({ "tool_input": { "command": given } })))),
            ("prompt", line(hook(json!({ "hook_event_name": "UserPromptSubmit", "prompt": given })))),
            ("JSON", masked(&json!({ "a": [{ "b": given }] }))),
            ("JSON in JSON", masked(&json!({ "out": inner }))),
            ("JSON in a text in JSON", masked(&json!({ "out": format!("it said: {inner}") }))),
        ];
        let secrets = case.secrets.iter().filter(|secret| secret.len() >= LETTERS_MIN);
        for secret in secrets {
            let places = shown.iter().filter(|(_, text)| letters(text).contains(secret.as_str()));
            seen.extend(places.map(|(place, text)| format!("{given:?}\n  in a {place}: {text}")));
        }
    }
    assert!(seen.is_empty(), "{} are seen:\n{}", seen.len(), seen.join("\n"));
}

#[test]
fn ids_stay_apart_and_the_same_when_their_secrets_are_masked() {
    let [first, second] = [secret("ghp_", 36), secret("gho_", 36)];
    assert_ne!(id(&first), id(&second), "two sessions are two");
    assert!(id(&first).starts_with(MASKED) && !id(&first).contains(&first[8..16]), "{}", id(&first));
    assert_eq!(id(&id(&first)), id(&first), "once masked it stays");
    for ordinary in
        ["3f0c2b9e-6d1a-4c57-9b0e-2a7d5e8f1c44", "toolu_01A09q90qw90lq917835lq9", "agent-a4d2", "s-1"]
    {
        assert_eq!(id(ordinary), ordinary);
    }
}

/// What texts are made of that could lead a reader of them astray.
const PIECES: &[&str] = &[
    "password",
    "PASSWORD",
    "--password",
    "token",
    "密码",
    "пароль",
    ":",
    "=",
    "\u{ff1a}",
    " ",
    "   ",
    "\n",
    "|",
    ">-",
    "\"",
    "\\",
    "'",
    "`",
    "<",
    ">",
    "</",
    "<![CDATA[",
    "mysql",
    " -p",
    "-p",
    "curl",
    " -u ",
    "bob:",
    "echo ",
    " | ",
    "://",
    "@",
    "/",
    "é",
    "\u{1b}[",
    "\u{1b}]",
    "\u{1b}",
    "m",
    "\\u00",
    "\\u001b[",
    "\\x1b[",
    "\\x1",
    "\\033",
    "\\n",
    "\\\\n",
    "\\e[",
    "[masked]",
    "ghp_abcdefghij0",
    "eyJ",
    "-----BEGIN PRIVATE KEY-----",
    "<<<",
    "--password-stdin",
    "docker login",
    "X",
    "\u{200b}",
    "\u{201c}",
    "{",
    "}",
    "[",
    "]",
    "(",
    ")",
    ",",
    ";",
    "&",
    "$",
    "%",
    "#",
    "hunter2",
    "1234",
    "Basic Ym9iOng=",
    "Authorization",
    "Cookie",
    "identified by",
    "value=",
    "name=",
    "config set",
    "login",
    "auth",
    "😀",
    "\r\n",
    "\t",
];

proptest::proptest! {
    #[test]
    fn any_text_can_be_masked_and_json_stays_json(
        pieces in proptest::collection::vec(proptest::sample::select(PIECES), 0..24)
    ) {
        let given = pieces.concat();
        proptest::prop_assert!(text(&given).len() <= given.len() + given.len() * MASKED.len());
        let json = masked(&json!({ "a": &given, &given: [&given] }));
        proptest::prop_assert!(serde_json::from_str::<Value>(&json).is_ok(), "{}", json);
    }
}
