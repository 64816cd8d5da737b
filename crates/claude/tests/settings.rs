//! Settings files of every shape: what an install adds, an uninstall takes away to the byte, and nothing else is
//! touched.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use claude::{Binary, Error, Hooks, Registration, Setup, Version, registrations};
use proptest::prelude::*;
use protocol::paths::Home;
use serde_json::{Value, json};
use tempfile::TempDir;

/// A home with a settings file to be.
struct Desk {
    _folder: TempDir,
    home: Home,
    hooks: Hooks,
    settings: PathBuf,
}

impl Desk {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path().join("mpm"));
        let settings = folder.path().join("claude/settings.json");
        Self { hooks: Hooks::of(&home, true), home, settings, _folder: folder }
    }

    fn with(text: &str) -> Self {
        let desk = Self::new();
        fs::create_dir_all(desk.settings.parent().unwrap()).unwrap();
        fs::write(&desk.settings, text).unwrap();
        desk
    }

    fn text(&self) -> Option<String> {
        fs::read_to_string(&self.settings).ok()
    }

    fn install(&self) -> Result<claude::Change, Error> {
        self.hooks.install(&self.settings, &all())
    }

    /// How everything fares, as every user of this crate asks.
    fn look(&self) -> claude::Look {
        let folder = self.settings.parent().unwrap();
        let var = |name: &str| (name == "CLAUDE_CONFIG_DIR").then(|| folder.into());
        let setup = Setup::from_env(&self.home, &var).unwrap();
        setup.look(std::path::Path::new("/home/dev/shop"), Some(Version(2, 1, 240)))
    }

    fn uninstall(&self) -> Result<claude::Change, Error> {
        self.hooks.uninstall(&self.settings)
    }
}

fn all() -> Vec<Registration> {
    registrations(Version(2, 1, 240), &[]).unwrap()
}

/// The settings without the handlers of this command line, and without what is empty without them.
fn without(mut settings: Value, line: &str) -> Value {
    let Some(hooks) = settings.get_mut("hooks").and_then(Value::as_object_mut) else { return settings };
    for groups in hooks.values_mut().filter_map(Value::as_array_mut) {
        for group in &mut *groups {
            if let Some(handlers) = group.get_mut("hooks").and_then(Value::as_array_mut) {
                handlers.retain(|handler| handler["command"] != line);
            }
        }
        groups.retain(|group| group["hooks"] != json!([]));
    }
    hooks.retain(|_, groups| *groups != json!([]));
    if hooks.is_empty() {
        settings.as_object_mut().unwrap().remove("hooks");
    }
    settings
}

/// Settings as people and programs write them.
const TEXTS: &[&str] = &[
    "",
    " \n",
    "{}",
    "{}\n",
    "{\n}\n",
    "{ }",
    r#"{"model":"opus"}"#,
    r#"{"model": "opus", "env": {}}"#,
    "{\n  \"model\": \"opus\"\n}",
    "{\n  \"model\": \"opus\"\n}\n\n",
    "{\n\t\"model\": \"opus\",\n\t\"hooks\": {}\n}\n",
    "{\n    \"hooks\": {\n    },\n    \"model\": \"opus\"\n}\n",
    "{\r\n  \"model\": \"opus\",\r\n  \"permissions\": {\r\n    \"allow\": []\r\n  }\r\n}\r\n",
    "\u{feff}{\n  \"model\": \"opus\"\n}\n",
    r#"{"hooks":{"PreToolUse":[]}}"#,
    r#"{"hooks":{"PreToolUse":[{"matcher":"Bash","hooks":[]}],"Stop":[ ]}}"#,
    r#"{"hooks": {"PreToolUse": [{"matcher": "Bash", "hooks": [{"type": "command", "command": "lint"}]}]}, "z": 1}"#,
    "{\n  \"hooks\": {\n    \"Stop\": [\n      {\n        \"hooks\": [\n          { \"type\": \"command\", \"command\": \"say done\" }\n        ]\n      }\n    ],\n    \"FutureEvent\": [ { \"hooks\": [ { \"type\": \"http\", \"url\": \"http://x\" } ] } ]\n  }\n}\n",
    "{\n      \"a\": 1\n   , \"hooks\"  :  { \"Stop\" : [ {\n\"hooks\":[{\"type\":\"prompt\",\"prompt\":\"ü \\u00fc \\\" {\"}] }\n]\n} }",
    r#"{"hooks":{"Stop":[null,7,"odd",{},{"hooks":null},{"hooks":"lint"},{"hooks":[null,"lint",{}]}],"Odd":{"a":1}}}"#,
    "{ \"hooks\": { \"PreToolUse\": [ { \"hooks\": [ { \"type\": \"agent\", \"prompt\": \"look\", \"timeout\": 60 } ] } ] },\n\n\n \"a\": \"\\ud83d\\ude00 😀\" }",
    "{\"a\":[1,2,\n3],\"hooks\":{\"Notification\":[{\"hooks\":[{\"type\":\"mcp_tool\",\"server\":\"s\",\"tool\":\"t\"}]}]}}\n",
];

#[test]
fn an_uninstall_gives_back_the_very_bytes() {
    for text in TEXTS {
        let desk = Desk::with(text);
        let installed = desk.install().unwrap_or_else(|error| panic!("{text:?}: {error}"));
        let bare = text.trim_start_matches('\u{feff}');
        let after = desk.text().unwrap();
        let settings: Value = serde_json::from_str(after.trim_start_matches('\u{feff}')).unwrap();
        for registration in all() {
            let groups = settings["hooks"][registration.event.as_str()].as_array().unwrap();
            let ours = json!({ "hooks": [{
                "type": "command", "command": desk.hooks.command().line(), "timeout": 5,
            }] });
            assert_eq!(groups.last(), Some(&ours), "{text:?}");
        }
        if let Ok(before) = serde_json::from_str::<Value>(bare) {
            let line = desk.hooks.command().line();
            assert_eq!(without(settings, &line), without(before, &line), "nothing else changed: {after}");
        }
        let (lines, crlf_lines) = (after.matches('\n').count(), after.matches("\r\n").count());
        assert_eq!(
            crlf_lines,
            if text.contains("\r\n") { lines } else { 0 },
            "one kind of line ends: {after:?}"
        );
        assert!(installed.diff().contains("claude-mpm-hook"));
        assert_eq!(fs::read_to_string(installed.backup.unwrap()).unwrap(), *text, "a copy is kept");
        assert!(desk.install().unwrap().is_nothing(), "a second install changes nothing: {text:?}");
        assert_eq!(desk.text().unwrap(), after);
        desk.uninstall().unwrap();
        assert_eq!(desk.text().as_deref(), Some(*text));
        assert!(desk.uninstall().unwrap().is_nothing());
    }
}

#[test]
fn a_file_that_we_made_is_gone_after_an_uninstall_with_its_folder() {
    let desk = Desk::new();
    desk.install().unwrap();
    assert!(desk.text().unwrap().ends_with("}\n"));
    let change = desk.uninstall().unwrap();
    assert_eq!((change.after, desk.text()), (None, None));
    assert!(!desk.settings.parent().unwrap().exists());
}

#[test]
fn what_others_changed_since_the_install_stays_after_the_uninstall() {
    let text = "{\n  \"model\": \"opus\",\n  \"hooks\": {}\n}\n";
    for (from, to) in [
        ("\"opus\"", "\"sonnet\""),
        ("  \"model\"", "  \"new\": [\n    1\n  ],\n  \"model\""),
        ("  }\n}\n", "  },\n  \"last\": true\n}"),
    ] {
        let desk = Desk::with(text);
        desk.install().unwrap();
        let installed = desk.text().unwrap();
        assert!(installed.contains(from), "{installed}");
        fs::write(&desk.settings, installed.replace(from, to)).unwrap();
        desk.uninstall().unwrap();
        let expected = text.replace("{}\n}\n", "{  }\n}\n").replace(from, to).replace("{  }", "{}");
        let expected = if from.starts_with("  }") {
            "{\n  \"model\": \"opus\",\n  \"hooks\": {},\n  \"last\": true\n}".to_owned()
        } else {
            expected
        };
        assert_eq!(desk.text().unwrap(), expected);
    }
}

#[test]
fn a_foreign_hook_that_joined_our_group_or_list_stays() {
    let desk = Desk::new();
    desk.install().unwrap();
    let mut settings: Value = serde_json::from_str(&desk.text().unwrap()).unwrap();
    let foreign = json!({ "type": "command", "command": "lint" });
    settings["hooks"]["Stop"][0]["hooks"].as_array_mut().unwrap().insert(0, foreign.clone());
    settings["hooks"]["PreToolUse"].as_array_mut().unwrap().insert(0, json!({ "hooks": [foreign] }));
    fs::write(&desk.settings, settings.to_string()).unwrap();
    desk.uninstall().unwrap();
    let left: Value = serde_json::from_str(&desk.text().unwrap()).unwrap();
    let group = json!([{ "hooks": [foreign] }]);
    assert_eq!(left, json!({ "hooks": { "Stop": group, "PreToolUse": group } }));
}

#[test]
fn entries_of_ours_from_before_are_replaced_and_never_left_behind() {
    let old = r#"{"type":"command","command":"/old/place/claude-mpm-hook","timeout":5}"#;
    let exec = r#"{"type":"command","command":"/with space/claude-mpm-hook","args":[]}"#;
    let foreign = r#"{"type":"command","command":"tee log | /old/place/claude-mpm-hook"}"#;
    let text = format!(
        r#"{{"hooks":{{"Stop":[{{"hooks":[{old},{foreign},{exec}]}}],"WorktreeCreate":[{{"hooks":[{old}]}}]}}}}"#
    );
    let desk = Desk::with(&text);
    desk.install().unwrap();
    let installed = desk.text().unwrap();
    assert!(!installed.contains("/with space/") && !installed.contains("WorktreeCreate"), "{installed}");
    desk.uninstall().unwrap();
    assert_eq!(desk.text().unwrap(), format!(r#"{{"hooks":{{"Stop":[{{"hooks":[{foreign}]}}]}}}}"#));
}

#[test]
fn settings_that_cannot_be_understood_are_refused_with_the_place_and_left_alone() {
    for (text, place) in [
        ("{\n  \"a\": 1,\n  \"b\": }\n", "line 3, column 8: no valid JSON: expected value"),
        ("{\"a\": 1,}", "line 1, column 9: no valid JSON: key must be a string"),
        ("{\n  // why\n  \"a\": 1\n}", "line 2, column 3: no valid JSON: key must be a string"),
        ("{\"a\"", "line 1, column 4: no valid JSON: EOF while parsing an object"),
        ("[]", "line 1, column 1: expected an object of settings"),
        ("{\"ü\": 0, \"hooks\": []}", "line 1, column 19: expected an object: \"hooks\" of settings"),
        ("{\"hooks\": {\n\"Stop\": {}}}", "line 2, column 9: expected an array: the hooks of Stop"),
        ("{\"hooks\": {}, \"hooks\": {}}", "line 1, column 15: \"hooks\" stands here a second time"),
    ] {
        let desk = Desk::with(text);
        let error = desk.install().unwrap_err().to_string();
        assert!(error.ends_with(place) && error.contains("settings.json"), "{text}: {error}");
        assert_eq!(desk.text().unwrap(), text);
    }
    let desk = Desk::new();
    fs::create_dir_all(desk.settings.parent().unwrap()).unwrap();
    fs::write(&desk.settings, b"{\"a\":\"\xff\"}").unwrap();
    assert!(matches!(desk.install(), Err(Error::NotText(_))));
}

#[test]
fn settings_nested_without_end_are_refused_like_others() {
    for deep in ["[", "{\"hooks\":", "{\"hooks\":{\"Stop\":["] {
        let text = format!("{{\"a\": {}", deep.repeat(100_000));
        let desk = Desk::with(&text);
        assert!(desk.install().is_err() && desk.uninstall().is_err(), "{deep}");
        assert_eq!(desk.text().unwrap(), text);
    }
    let closed = format!("{{\"a\": {}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    let desk = Desk::with(&closed);
    assert!(desk.install().is_err() && desk.uninstall().is_err());
}

#[test]
fn an_uninstall_copes_with_comments_that_came_later() {
    let desk = Desk::with("{\n  \"model\": \"opus\"\n}\n");
    desk.install().unwrap();
    let text = desk.text().unwrap().replace("  \"model\"", "  // mine\n  \"model\"");
    fs::write(&desk.settings, text).unwrap();
    desk.uninstall().unwrap();
    assert_eq!(desk.text().unwrap(), "{\n  // mine\n  \"model\": \"opus\"\n}\n");
}

#[test]
fn a_file_that_is_read_only_is_refused() {
    let desk = Desk::with("{}");
    let mut permissions = fs::metadata(&desk.settings).unwrap().permissions();
    permissions.set_readonly(true);
    fs::set_permissions(&desk.settings, permissions).unwrap();
    assert!(matches!(desk.install(), Err(Error::ReadOnly(_))));
    assert_eq!(desk.text().unwrap(), "{}");
    assert!(desk.hooks.plan_install(&desk.settings, &all()).is_ok(), "looking is allowed");
}

#[cfg(unix)]
#[test]
fn a_link_to_what_is_no_file_is_refused() {
    let desk = Desk::with("{}");
    fs::remove_file(&desk.settings).unwrap();
    let device = desk.settings.with_file_name("device");
    std::os::unix::net::UnixListener::bind(&device).unwrap();
    let pipe = desk.settings.with_file_name("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let cases = [
        (device.as_path(), "a socket"),
        (pipe.as_path(), "a pipe"),
        (std::path::Path::new("/dev/null"), "a device"),
        (std::path::Path::new("/dev/zero"), "a device"),
        (desk.settings.parent().unwrap(), "a folder"),
    ];
    for (target, kind) in cases {
        std::os::unix::fs::symlink(target, &desk.settings).unwrap();
        let error = desk.install().unwrap_err().to_string();
        let expected = format!("settings.json: it is {kind}, no regular file");
        assert!(error.ends_with(&expected), "{target:?}: {error}");
        assert_eq!(fs::read_link(&desk.settings).unwrap(), target);
        assert!(!fs::metadata(&desk.settings).unwrap().is_file());
        fs::remove_file(&desk.settings).unwrap();
    }
}

#[cfg(unix)]
#[test]
fn links_and_the_mode_of_the_file_are_kept() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let desk = Desk::new();
    let folder = desk.settings.parent().unwrap().to_owned();
    fs::create_dir_all(folder.join("dotfiles")).unwrap();
    let real = folder.join("dotfiles/claude.json");
    fs::write(&real, "{}\n").unwrap();
    fs::set_permissions(&real, fs::Permissions::from_mode(0o640)).unwrap();
    symlink("dotfiles/claude.json", &desk.settings).unwrap();
    desk.install().unwrap();
    assert!(fs::symlink_metadata(&desk.settings).unwrap().is_symlink());
    assert!(fs::read_to_string(&real).unwrap().contains("claude-mpm-hook"));
    assert_eq!(fs::metadata(&real).unwrap().permissions().mode() & 0o777, 0o640);
    desk.uninstall().unwrap();
    assert_eq!(fs::read_to_string(&real).unwrap(), "{}\n");
    assert!(fs::symlink_metadata(&desk.settings).unwrap().is_symlink());
    // A link to a file that is not there yet.
    fs::remove_file(&real).unwrap();
    desk.install().unwrap();
    assert!(real.exists() && fs::symlink_metadata(&desk.settings).unwrap().is_symlink());
    desk.uninstall().unwrap();
    assert!(!real.exists() && fs::symlink_metadata(&desk.settings).unwrap().is_symlink());
}

#[test]
fn many_writers_at_once_leave_one_install_and_lose_nothing() {
    let desk = Desk::with("{\n  \"model\": \"opus\"\n}\n");
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..5 {
                    desk.uninstall().unwrap();
                    desk.install().unwrap();
                }
            });
        }
    });
    let text = desk.text().unwrap();
    assert_eq!(text.matches("exec '").count(), all().len(), "{text}");
    desk.uninstall().unwrap();
    assert_eq!(desk.text().unwrap(), "{\n  \"model\": \"opus\"\n}\n");
}

#[test]
fn whoever_reads_meanwhile_never_sees_half_a_file() {
    let rules: Vec<String> = (0..5_000).map(|at| format!("\"Bash(command {at}:*)\"")).collect();
    let desk = Desk::with(&json!({ "permissions": { "allow": rules } }).to_string());
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut read = 0;
            while !is_over.load(Ordering::Relaxed) {
                let settings: Value = serde_json::from_str(&desk.text().unwrap()).unwrap();
                assert_eq!(settings["permissions"]["allow"].as_array().unwrap().len(), 5_000);
                read += 1;
            }
            read
        });
        for _ in 0..20 {
            desk.install().unwrap();
            desk.uninstall().unwrap();
        }
        is_over.store(true, Ordering::Relaxed);
        assert!(reader.join().unwrap() > 0);
    });
}

#[test]
fn a_file_of_megabytes_is_edited_too() {
    let rules: Vec<String> = (0..100_000).map(|at| format!("    \"Bash(command {at}:*)\"")).collect();
    let text = format!("{{\n  \"permissions\": [\n{}\n  ]\n}}\n", rules.join(",\n"));
    let desk = Desk::with(&text);
    desk.install().unwrap();
    desk.uninstall().unwrap();
    assert_eq!(desk.text().unwrap(), text);
}

#[test]
fn without_a_record_what_is_ours_is_found_by_looking() {
    let desk = Desk::with("{\n  \"model\": \"opus\"\n}\n");
    desk.install().unwrap();
    let installed = desk.text().unwrap();
    let other = Desk::with(&installed);
    other.uninstall().unwrap();
    assert_eq!(other.text().unwrap(), "{\n  \"model\": \"opus\"\n}\n");
}

#[test]
fn the_hook_is_copied_once_and_replaced_by_another_version() {
    let folder = tempfile::tempdir().unwrap();
    let (old, new) = (folder.path().join("old"), folder.path().join("new"));
    fs::write(&old, "old").unwrap();
    fs::write(&new, "new").unwrap();
    let binary = Binary::of(&Home::at(folder.path().join("mpm")));
    assert!(!binary.is_ready());
    for shipped in [&old, &old, &new] {
        binary.install(shipped).unwrap();
        assert!(binary.is_ready() && binary.is_like(shipped));
    }
    binary.uninstall().unwrap();
    assert!(!binary.is_ready() && !binary.path().parent().unwrap().exists());
}

/// Settings of any content and layout.
fn any_settings() -> impl Strategy<Value = String> {
    let handler = prop_oneof![
        Just(json!({ "type": "command", "command": "lint --fix" })),
        Just(json!({ "type": "http", "url": "http://localhost:1/x", "timeout": 3 })),
    ];
    let group = (prop::option::of("[A-Z*|]{0,6}"), prop::collection::vec(handler, 0..3)).prop_map(
        |(matcher, hooks)| {
            let mut group = json!({ "hooks": hooks });
            if let Some(matcher) = matcher {
                group["matcher"] = matcher.into();
            }
            group
        },
    );
    let event = prop::sample::select(vec!["PreToolUse", "Stop", "SessionEnd", "Unknown"]);
    let hooks = prop::collection::btree_map(event, prop::collection::vec(group, 0..3), 0..4);
    let others = prop::collection::btree_map("[a-hi-z\"\\\\{ü]{1,5}", any::<i32>(), 0..4);
    (prop::option::of(hooks), others, 0..5_usize, any::<bool>()).prop_map(
        |(hooks, others, layout, newline)| {
            let mut settings = json!(others);
            if let Some(hooks) = hooks {
                settings["hooks"] = json!(hooks);
            }
            let pretty = serde_json::to_string_pretty(&settings).unwrap();
            let text = match layout {
                0 => settings.to_string(),
                1 => pretty,
                2 => pretty.replace("  ", "\t"),
                3 => pretty.replace('\n', "\r\n"),
                _ => pretty.replace('\n', " "),
            };
            if newline { text + "\n" } else { text }
        },
    )
}

/// How many are tried; `FUZZ_CASES` sets another number. Each writes a dozen files to disk.
fn cases() -> u32 {
    std::env::var("FUZZ_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(48)
}

/// Any JSON, with names in it that mean something here.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        prop::sample::select(vec!["command", "lint", "*", "Bash", "é\n\"", "http"]).prop_map(Value::from),
    ];
    let names = vec!["hooks", "PreToolUse", "Stop", "matcher", "type", "command", "args", "a", "\u{1f600}"];
    leaf.prop_recursive(6, 40, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(prop::sample::select(names.clone()), inner, 0..5)
                .prop_map(|map| json!(map)),
        ]
    })
}

/// What is found in settings files, an install of ours among it, with pieces replaced; or no JSON at all.
fn any_text() -> impl Strategy<Value = String> {
    let desk = Desk::with(SETTINGS_OF_OTHERS);
    desk.install().unwrap();
    let installed = desk.text().unwrap();
    let known = TEXTS.iter().map(|text| (*text).to_owned()).chain([installed]).collect::<Vec<_>>();
    let splinters =
        ["", "{", "}", "[", "]", "\"", ",", ":", "// x\n", "\r\n", "\u{feff}", "\"hooks\":{}", "[[[[", "\\"];
    let damage = prop::collection::vec(
        (any::<prop::sample::Index>(), 0..12_usize, prop::sample::select(splinters.to_vec())),
        0..3,
    );
    let damaged = (prop::sample::select(known), damage).prop_map(|(text, damages)| {
        let mut letters: Vec<char> = text.chars().collect();
        for (at, length, splinter) in damages {
            let at = at.index(letters.len() + 1);
            let end = (at + length).min(letters.len());
            letters.splice(at..end, splinter.chars());
        }
        letters.into_iter().collect()
    });
    prop_oneof![4 => damaged, 2 => any_json().prop_map(|value| value.to_string()), 1 => ".{0,40}"]
}

const SETTINGS_OF_OTHERS: &str =
    "{\n  \"model\": \"opus\",\n  \"hooks\": {\n    \"Stop\": [{ \"hooks\": [] }]\n  }\n}\n";

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), ..ProptestConfig::default() })]
    #[test]
    fn any_text_is_refused_and_left_alone_or_comes_back_to_the_byte(text in any_text()) {
        let desk = Desk::with(&text);
        let is_installed = desk.look().report.is_installed;
        prop_assert!(!is_installed || text.contains("claude-mpm-hook"));
        match desk.install() {
            Err(error) => {
                prop_assert!(error.to_string().contains("settings.json"), "{}", error);
                prop_assert_eq!(desk.text().unwrap(), text.clone());
                // Taking out may be possible where adding is not.
                if desk.uninstall().is_err() {
                    prop_assert_eq!(desk.text().unwrap(), text);
                }
            }
            Ok(_) => {
                let installed = desk.text().unwrap();
                let settings: Value = serde_json::from_str(installed.trim_start_matches('\u{feff}')).unwrap();
                prop_assert!(all().iter().all(|one| settings["hooks"][one.event.as_str()].is_array()));
                let seen = desk.look().report;
                prop_assert!(seen.is_installed && seen.files[0].events.len() >= all().len(), "{:?}", seen);
                prop_assert!(desk.install().unwrap().is_nothing(), "{}", installed);
                desk.uninstall().unwrap();
                let left = desk.text().unwrap();
                // Entries of ours that were there before go, too.
                if !text.contains("claude-mpm-hook") {
                    prop_assert_eq!(left, text);
                } else {
                    let line = desk.hooks.command().line();
                    prop_assert!(!left.contains(&json!(line).to_string()), "{}", left);
                }
            }
        }
    }

    /// As when Claude Code writes its settings anew: in its own layout, with something changed.
    #[test]
    fn what_another_program_writes_anew_is_kept_but_for_our_hooks(text in any_settings(), added in any_json(), at in 0..4_usize) {
        let desk = Desk::with(&text);
        desk.install().unwrap();
        let line = desk.hooks.command().line();
        let change = |mut settings: Value| {
            match at {
                0 => settings["added"] = added.clone(),
                1 => settings["hooks"]["Notification"] = json!([{ "hooks": [{ "type": "command", "command": "say" }] }]),
                2 => {
                    // Somebody takes all other hooks out.
                    let events = settings.get_mut("hooks").and_then(Value::as_object_mut);
                    for groups in events.into_iter().flat_map(|events| events.values_mut()) {
                        let is_ours = |group: &Value| group["hooks"][0]["command"] == line.as_str();
                        groups.as_array_mut().unwrap().retain(is_ours);
                    }
                }
                _ => {}
            }
            settings
        };
        let installed: Value = serde_json::from_str(&desk.text().unwrap()).unwrap();
        let mut rewritten = change(installed.clone());
        if at == 1 {
            // It joins our list.
            rewritten["hooks"]["Notification"].as_array_mut().unwrap().extend(
                installed["hooks"]["Notification"].as_array().unwrap().iter().cloned()
            );
        }
        fs::write(&desk.settings, serde_json::to_string_pretty(&rewritten).unwrap()).unwrap();
        desk.uninstall().unwrap();
        let left: Value = serde_json::from_str(&desk.text().unwrap()).unwrap();
        prop_assert_eq!(without(left, &line), without(change(serde_json::from_str(&text).unwrap()), &line));
    }

    #[test]
    fn install_and_uninstall_cancel_out(text in any_settings()) {
        let desk = Desk::with(&text);
        desk.install().unwrap();
        let installed = desk.text().unwrap();
        let settings: Value = serde_json::from_str(&installed).unwrap();
        prop_assert!(!settings["hooks"]["Stop"].as_array().unwrap().is_empty());
        desk.uninstall().unwrap();
        prop_assert_eq!(desk.text().unwrap(), text.clone());
        // And without knowing what was there, the same settings, if not the same white space.
        let other = Desk::with(&installed);
        other.uninstall().unwrap();
        let line = desk.hooks.command().line();
        let left: Value = serde_json::from_str(&other.text().unwrap()).unwrap();
        prop_assert_eq!(without(left, &line), without(serde_json::from_str(&text).unwrap(), &line));
    }
}
