//! Connecting Claude Code: at the real executable, with the real hook, in a home that is the user's own.

use std::fs;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use claude::HookCommand;
use client::{Part, Query, Running};
use protocol::{HookEvent, names};
use serde_json::{Value, json};

use crate::run::Terminal;
use crate::support::{Desk, Ran, hook, wait_for};

const SETTINGS: &str = "{\n  \"model\": \"opus\",\n  \"hooks\": {\n    \"Stop\": [{ \"hooks\": [{ \"type\": \"command\", \"command\": \"say done\" }] }]\n  }\n}\n";

/// Every recorded payload, one a line.
const SAMPLES: &str = include_str!("../../../../tests/fixtures/hook-samples.jsonl");

/// All events at once.
const EXTRAS: &str = "--with Setup --with MessageDisplay --with PostToolBatch --with FileChanged=.envrc";

/// A desk with Claude Code on it.
struct Claude {
    desk: Desk,
}

impl Claude {
    /// Claude Code of this version, with these settings if any.
    fn new(version: &str, settings: Option<&str>) -> Self {
        hook();
        let claude = Self { desk: Desk::new() };
        let program = claude.desk.path("bin/claude");
        fs::create_dir_all(program.parent().unwrap()).unwrap();
        fs::write(&program, format!("#!/bin/sh\necho '{version} (Claude Code)'\n")).unwrap();
        fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        fs::create_dir_all(claude.settings().parent().unwrap()).unwrap();
        if let Some(settings) = settings {
            fs::write(claude.settings(), settings).unwrap();
        }
        claude
    }

    fn settings(&self) -> PathBuf {
        self.desk.path("claude/settings.json")
    }

    fn text(&self) -> Option<String> {
        fs::read_to_string(self.settings()).ok()
    }

    fn run(&self, line: &str) -> Ran {
        let mut command = self.desk.command(line);
        command
            .env("PATH", format!("{}:/usr/bin:/bin", self.desk.path("bin").display()))
            .env("CLAUDE_CONFIG_DIR", self.desk.path("claude"))
            .env("HOME", self.desk.path("user"));
        Ran::from(command.output().unwrap())
    }

    #[track_caller]
    fn ok(&self, line: &str) -> String {
        let ran = self.run(line);
        assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""), "{ran:?}");
        ran.out
    }

    /// The command lines that the settings hold for our hook, by event.
    fn installed(&self) -> Vec<(String, String)> {
        let settings: Value = serde_json::from_str(&self.text().unwrap()).unwrap();
        let mut installed = Vec::new();
        for (event, groups) in settings["hooks"].as_object().unwrap() {
            for handler in
                groups.as_array().unwrap().iter().flat_map(|group| group["hooks"].as_array().unwrap())
            {
                let line = handler["command"].as_str().unwrap_or_default();
                if HookCommand::parse(line).is_some() {
                    installed.push((event.clone(), line.to_owned()));
                }
            }
        }
        installed
    }

    /// Starts the installed command as Claude Code does, with nothing of the caller's environment.
    fn start_hook(&self) -> Child {
        let line = &self.installed()[0].1;
        let mut command = Command::new("sh");
        command
            .args(["-c", line])
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", self.desk.path("user"));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    fn stored(&self, running: &Running) -> Vec<Value> {
        let page =
            running.monitor().history(&Query { payload: true, ..Query::default() }, Part::Newest, 1000);
        page.unwrap().events.iter().map(|event| serde_json::to_value(event).unwrap()).collect()
    }
}

/// Waits for the end of a hook, which nobody may notice.
#[track_caller]
fn assert_silent(hook: Child) {
    let output = hook.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!((output.stdout.as_slice(), output.stderr.as_slice()), (&b""[..], &b""[..]));
}

#[test]
fn hooks_come_and_go_without_a_trace_in_the_settings() {
    let claude = Claude::new("2.1.240", Some(SETTINGS));
    let diff = claude.ok("hooks install --dry-run");
    assert!(diff.contains("+    \"SessionStart\": ["), "{diff}");
    assert_eq!(claude.text().as_deref(), Some(SETTINGS), "a dry run writes nothing");
    assert!(!claude.desk.home.monitor().join("bin").exists());

    let out = claude.ok("hooks install");
    assert!(out.starts_with("✓ 26 hook events of Claude Code 2.1.240 installed in "), "{out}");
    let installed = claude.text().unwrap();
    assert_eq!(claude.installed().len(), 26);
    assert!(claude.ok("hooks install").starts_with("✓ Hooks are installed already in "));
    assert_eq!(claude.text().unwrap(), installed);

    assert!(claude.ok("hooks uninstall --dry-run").contains("-    \"SessionStart\": ["));
    assert_eq!(claude.text().unwrap(), installed);
    assert!(claude.ok("hooks uninstall").starts_with("✓ Hooks removed from "));
    assert_eq!(claude.text().as_deref(), Some(SETTINGS));
    assert!(!claude.desk.home.monitor().join("bin").exists(), "nothing needs the hook any more");
    assert!(claude.ok("hooks uninstall").starts_with("No hooks of the monitor in "));
}

#[test]
fn what_an_old_claude_code_does_not_know_is_never_written() {
    let claude = Claude::new("2.0.40", None);
    claude.ok("hooks install");
    let events: Vec<String> = claude.installed().into_iter().map(|(event, _)| event).collect();
    let known = [
        "SessionStart",
        "UserPromptSubmit",
        "PreToolUse",
        "PostToolUse",
        "Notification",
        "SubagentStop",
        "Stop",
        "PreCompact",
        "SessionEnd",
    ];
    assert_eq!(events.len(), known.len());
    assert!(known.iter().all(|name| events.iter().any(|event| event == name)), "{events:?}");
    claude.ok("hooks install --claude-version 2.1.240");
    assert_eq!(claude.installed().len(), 26, "the user knows better");
    let ran = claude.run("hooks status");
    assert_eq!(ran.code, Some(1));
    assert!(ran.out.contains("Claude Code 2.0.40 ignores the whole settings file because of "), "{ran:?}");
    claude.ok("hooks uninstall");
    assert_eq!(claude.text(), None, "we made the file");
}

#[test]
fn what_is_wrong_is_said_with_the_way_out_and_nothing_is_written() {
    let claude = Claude::new("2.1.240", Some("{\n  \"a\": 1,\n}\n"));
    let ran = claude.run("hooks install");
    let path = claude.settings();
    assert_eq!(ran.code, Some(1));
    let expected = format!(
        "Error: {} line 3, column 1: no valid JSON: key must be a string\nSuggestion: correct the file; nothing was changed\n",
        path.display()
    );
    assert_eq!(ran.err, expected);
    fs::remove_file(claude.desk.path("bin/claude")).unwrap();
    let ran = claude.run("hooks install");
    assert_eq!(ran.code, Some(1));
    assert!(
        ran.err.contains("claude is not on your PATH\nSuggestion: ") && ran.err.contains("--claude-version"),
        "{ran:?}"
    );
    let ran = claude.run("hooks install --with WorktreeCreate");
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert_eq!(claude.run("hooks install --claude-version 1.0.30").code, Some(1));
}

#[test]
fn without_claude_on_the_path_its_version_can_be_named_and_what_is_installed_says_that_it_is_not_known() {
    let claude = Claude::new("2.1.240", None);
    let program = claude.desk.path("bin/claude");
    let elsewhere = claude.desk.path("user/.volta/bin");
    fs::create_dir_all(&elsewhere).unwrap();
    fs::rename(&program, elsewhere.join("claude")).unwrap();
    assert!(
        claude.ok("hooks install --dry-run").contains("claude-mpm-hook"),
        "it is found where it usually is"
    );
    fs::remove_file(elsewhere.join("claude")).unwrap();
    for line in ["hooks install --dry-run", "hooks install"] {
        let ran = claude.run(line);
        assert_eq!((ran.code, ran.out.as_str()), (Some(1), ""), "{ran:?}");
        assert!(
            ran.err.contains("claude is not on your PATH") && ran.err.contains("--claude-version"),
            "{ran:?}"
        );
    }
    assert!(claude.text().is_none(), "nothing was written");
    assert!(claude.ok("hooks install --dry-run --claude-version 2.1.240").contains("claude-mpm-hook"));
    claude.ok("hooks install --claude-version 2.1.240");
    let status = claude.ok("hooks status");
    let unknown =
        "  - Claude Code: version not known: claude is not on your PATH; name it with --claude-version\n";
    assert!(status.starts_with(&format!("Hooks are installed\n{unknown}")), "{status}");
    assert!(claude.ok("hooks status --claude-version 2.1.240").contains("  - Claude Code: 2.1.240\n"));
}

#[test]
fn a_project_can_have_hooks_of_its_own_and_an_uninstall_finds_them() {
    let claude = Claude::new("2.1.240", None);
    let project = claude.desk.path("shop");
    fs::create_dir_all(&project).unwrap();
    claude.ok("hooks install --project shop");
    let local = project.join(".claude/settings.local.json");
    assert!(local.exists() && claude.text().is_none());
    claude.ok("hooks status --project shop");
    assert_eq!(claude.run("hooks status").code, Some(1), "elsewhere there are none");
    claude.ok("hooks install");
    claude.ok("hooks uninstall");
    assert!(!project.join(".claude").exists() && claude.text().is_none());
}

#[test]
fn status_names_everything_that_keeps_hooks_from_running() {
    let settings = json!({ "disableAllHooks": true, "enabledPlugins": { "mpm@market": true, "off@market": false },
        "hooks": { "Stop": [{ "hooks": [{ "type": "command", "command": "/opt/claude-mpm-hook" }] }] } });
    let claude = Claude::new("2.1.240", Some(&settings.to_string()));
    let plugin = claude.desk.path("plugin");
    fs::create_dir_all(plugin.join("hooks")).unwrap();
    let entry = json!({ "hooks": { "Stop": [{ "hooks": [
        { "type": "command", "command": "/p/claude-mpm-hook" },
        { "type": "command", "command": "python3 ${CLAUDE_PLUGIN_ROOT}/hooks/mpm_hook_handler.py Stop" },
    ] }] } });
    fs::write(plugin.join("hooks/hooks.json"), entry.to_string()).unwrap();
    fs::create_dir_all(claude.desk.path("claude/plugins")).unwrap();
    let plugins =
        json!({ "version": 2, "plugins": { "mpm@market": [{ "installPath": plugin }], "off@market": [] } });
    fs::write(claude.desk.path("claude/plugins/installed_plugins.json"), plugins.to_string()).unwrap();
    let ran = claude.run("hooks status --json");
    assert_eq!(ran.code, Some(1));
    let report: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(report["is_working"], false);
    assert_eq!(report["claude_version"], "2.1.240");
    let texts: Vec<&str> =
        report["problems"].as_array().unwrap().iter().map(|p| p["text"].as_str().unwrap()).collect();
    for expected in [
        "\"disableAllHooks\" is true in ",
        "The hook /opt/claude-mpm-hook is missing.",
        "Stop come twice: our hook is registered in ",
        "claude-mpm's own hooks are registered too (the plugin mpm@market)",
        "Not registered: SessionStart, ",
    ] {
        assert!(texts.iter().any(|text| text.starts_with(expected)), "{expected}: {texts:#?}");
    }
}

#[test]
fn a_test_event_takes_the_way_of_a_real_one_and_comes_back() {
    let claude = Claude::new("2.1.240", None);
    assert_eq!(claude.run("hooks test").code, Some(1), "nothing is installed");
    claude.ok("hooks install");
    let ran = claude.run("hooks test");
    assert_eq!(ran.code, Some(3), "{ran:?}");
    assert!(ran.err.contains("claude-mpm-monitor start"), "it starts none: {ran:?}");
    let (_server, running) = claude.desk.serve("", claude.desk.port);
    let out = claude.ok("hooks test");
    assert!(out.starts_with(&format!("✓ Both test events came back from {}", running.url())), "{out}");
    assert_eq!(claude.stored(&running).len(), 2);
    fs::remove_file(claude.desk.home.monitor().join("bin/claude-mpm-hook")).unwrap();
    fs::write(claude.desk.home.monitor().join("bin/claude-mpm-hook"), "#!/bin/sh\necho hello\n").unwrap();
    let program = claude.desk.home.monitor().join("bin/claude-mpm-hook");
    fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let ran = claude.run("hooks test");
    assert_eq!(ran.code, Some(1));
    assert!(ran.err.contains("the hook is not silent: it wrote \"hello\" to standard output"), "{ran:?}");
}

#[test]
fn every_event_passes_the_installed_command_in_silence_and_is_stored() {
    let claude = Claude::new("2.1.240", None);
    claude.ok(&format!("hooks install {EXTRAS}"));
    assert_eq!(claude.installed().len(), 30);
    let (_server, running) = claude.desk.serve("", claude.desk.port);
    for sample in SAMPLES.lines() {
        let mut hook = claude.start_hook();
        hook.stdin.take().unwrap().write_all(sample.as_bytes()).unwrap();
        assert_silent(hook);
    }
    let stored = claude.stored(&running);
    assert_eq!(stored.len(), SAMPLES.lines().count());
    for event in HookEvent::ALL {
        assert!(stored.iter().any(|stored| stored["kind"] == event.as_str()), "{event:?}");
    }
}

#[test]
fn whatever_comes_on_standard_input_the_installed_command_is_silent_and_it_is_counted() {
    let claude = Claude::new("2.1.240", None);
    claude.ok("hooks install");
    let (_server, running) = claude.desk.serve("", claude.desk.port);
    let payload = |size: usize| {
        json!({ "session_id": "s", "hook_event_name": "UserPromptSubmit", "prompt": "x".repeat(size) })
            .to_string()
    };
    let largest = payload(names::BODY_BYTES_MAX - 2048);
    let too_large = payload(names::BODY_BYTES_MAX);
    let whole: [(&[u8], &str); 6] = [
        (b"", "empty"),
        (b"\n", "empty"),
        (b"{\"session_id\":", "truncated"),
        (b"no JSON at all {", "not_json"),
        (too_large.as_bytes(), "too_large"),
        (largest.as_bytes(), "UserPromptSubmit"),
    ];
    let mut expected = Vec::new();
    for (input, outcome) in whole {
        let mut hook = claude.start_hook();
        // The hook may leave before it has read everything.
        let _ = hook.stdin.take().unwrap().write_all(input);
        assert_silent(hook);
        expected.push(outcome);
    }
    // A value that comes in small pieces, and an end that never comes.
    let mut hook = claude.start_hook();
    let mut stdin = hook.stdin.take().unwrap();
    for piece in payload(100).as_bytes().chunks(7) {
        stdin.write_all(piece).unwrap();
        thread::sleep(Duration::from_micros(200));
    }
    let mut out = String::new();
    hook.stdout.take().unwrap().read_to_string(&mut out).unwrap();
    assert_eq!((out.as_str(), hook.wait().unwrap().code()), ("", Some(0)), "it did not wait for the end");
    drop(stdin);
    expected.push("UserPromptSubmit");
    expected.sort_unstable();
    let outcome = |event: &Value| match event["kind"].as_str().unwrap() {
        "hook_input_invalid" => event["payload"]["reason"].as_str().unwrap().to_owned(),
        kind => kind.to_owned(),
    };
    let mut outcomes = Vec::new();
    // A large one may go by the spool, when the server is not quick enough for the hook.
    wait_for(|| {
        outcomes = claude.stored(&running).iter().map(outcome).collect::<Vec<String>>();
        outcomes.sort();
        (outcomes.len() >= expected.len()).then_some(())
    });
    assert_eq!(outcomes, expected);
}

#[test]
fn with_a_terminal_as_standard_input_the_installed_command_does_not_wait_for_a_person() {
    let claude = Claude::new("2.1.240", None);
    claude.ok("hooks install");
    let (_server, running) = claude.desk.serve("", claude.desk.port);
    let line = claude.installed()[0].1.clone();
    let mut terminal = Terminal::start(&claude.desk, &["/bin/sh", "-c", &line]);
    assert_eq!(terminal.ended().code(), Some(0));
    assert_eq!(terminal.shown_whole(), "");
    assert_eq!(claude.stored(&running)[0]["payload"]["reason"], "empty");
}

#[test]
fn without_the_product_the_command_in_the_settings_does_nothing_in_silence() {
    let claude = Claude::new("2.1.240", None);
    claude.ok("hooks install");
    let mut spooling = claude.start_hook();
    spooling.stdin.take().unwrap().write_all(SAMPLES.lines().next().unwrap().as_bytes()).unwrap();
    assert_silent(spooling);
    let spooled = wait_for(|| fs::read_dir(claude.desk.home.spool()).ok()?.next());
    assert!(spooled.is_some(), "without a monitor the event is kept");
    fs::remove_dir_all(claude.desk.home.folder()).unwrap();
    let mut hook = claude.start_hook();
    // Nobody reads it any more.
    let _ = hook.stdin.take().unwrap().write_all(b"{}");
    assert_silent(hook);
    assert!(!claude.desk.home.folder().exists());
}

#[test]
fn the_slash_command_prints_what_the_command_line_says() {
    let claude = Claude::new("2.1.240", None);
    claude.ok("hooks install --slash-command");
    let path = claude.desk.path("claude/commands/mpm-monitor.md");
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains("claude-mpm-monitor slash $ARGUMENTS`"), "{text}");
    assert!(text.starts_with("---\ndescription: "), "{text}");
    assert_eq!(claude.ok("slash").lines().next(), Some("Monitor is not running"));
    let out = claude.ok("slash stop --port 1");
    assert!(out.starts_with("Error: Server on port 1 is not running"), "{out}");
    for line in ["slash start --foreground", "slash --port 9000"] {
        assert_eq!(claude.ok(line).lines().count(), 1, "{line} would not come back");
    }
    claude.ok("hooks uninstall");
    assert!(!path.exists());
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, "the user's own").unwrap();
    let ran = claude.run("hooks install --slash-command");
    assert_eq!(ran.code, Some(1), "{ran:?}");
    claude.ok("hooks uninstall");
    assert_eq!(fs::read_to_string(&path).unwrap(), "the user's own");
}

#[test]
fn what_was_asked_for_once_stays_until_an_uninstall() {
    let claude = Claude::new("2.1.240", None);
    claude.ok("hooks install --with PostToolBatch --with FileChanged=.envrc");
    let before = claude.text();
    assert!(claude.ok("hooks install").starts_with("✓ Hooks are installed already in "));
    assert_eq!(claude.text(), before);
    claude.ok("hooks install --with FileChanged=Makefile");
    let settings: Value = serde_json::from_str(&claude.text().unwrap()).unwrap();
    assert_eq!(
        settings["hooks"]["FileChanged"][0]["matcher"], "Makefile",
        "what is asked for now goes first"
    );
    assert_eq!(claude.installed().len(), 28);
    claude.ok("hooks install --claude-version 2.1.100");
    assert!(
        claude.installed().iter().all(|(event, _)| event != "PostToolBatch"),
        "it does not know that one"
    );
    claude.ok("hooks uninstall");
    claude.ok("hooks install");
    assert_eq!(claude.installed().len(), 26);
}

#[test]
fn a_mark_that_an_editor_put_in_front_is_no_trouble() {
    let claude = Claude::new("2.1.240", Some("\u{feff}{\"model\": \"opus\"}\n"));
    claude.ok("hooks install");
    assert!(claude.ok("hooks status").starts_with("Hooks are installed\n"));
    claude.ok("hooks uninstall");
    assert_eq!(claude.text().as_deref(), Some("\u{feff}{\"model\": \"opus\"}\n"));
}
