//! Claims about what the server does with our hooks in Claude Code's settings: for whom, and that it keeps what the
//! user chose before.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use e2e::{Monitor, Reply, our, output};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A home with a Claude Code in it that says its version.
fn home() -> TempDir {
    let home = TempDir::new().expect("a temporary folder can be made");
    let bin = home.path().join(".local/bin");
    std::fs::create_dir_all(&bin).expect("a folder can be made");
    let claude = bin.join("claude");
    std::fs::write(&claude, "#!/bin/sh\necho '2.1.240 (Claude Code)'\n").expect("a file can be written");
    std::fs::set_permissions(&claude, PermissionsExt::from_mode(0o755)).expect("a file can be made to run");
    home
}

fn settings(home: &Path) -> Option<String> {
    std::fs::read_to_string(home.join(".claude/settings.json")).ok()
}

/// Orders the change that is shown.
fn order(monitor: &Monitor, action: &str, headers: &[(&str, &str)]) -> Reply {
    let shown = monitor.get("/api/hooks").json();
    let order = json!({ "action": action, "diff": shown[action]["diff"] });
    monitor.post_with("/api/hooks", headers, order.to_string())
}

#[test]
fn only_the_user_s_own_page_and_programs_may_change_the_settings() {
    let monitor = Monitor::start_in(home());
    let url = monitor.url();
    for headers in [
        &[][..],
        &[("origin", "null")],
        &[("origin", "http://localhost:3000")],
        &[("origin", "https://evil.example")],
        &[("authorization", "Bearer guessed")],
    ] {
        let refused = order(&monitor, "install", headers);
        assert_eq!(refused.status, 403, "{headers:?}: {refused:?}");
        refused.assert_refused("an order of a stranger");
        assert_eq!(settings(monitor.home()), None, "{headers:?}");
    }
    let installed = order(&monitor, "install", &[("origin", &url)]);
    assert_eq!(installed.status, 200, "{installed:?}");
    assert_eq!(installed.json()["report"]["is_working"], true, "{installed:?}");
    assert!(settings(monitor.home()).is_some_and(|text| text.contains("claude-mpm-hook")));
    let control = format!("Bearer {}", monitor.control_token());
    let uninstalled = order(&monitor, "uninstall", &[("authorization", &control)]);
    assert_eq!((uninstalled.status, settings(monitor.home())), (200, None), "{uninstalled:?}");
}

#[test]
fn who_has_the_token_and_no_login_is_not_yet_the_user() {
    let monitor = Monitor::start_with(&Arc::new(home()), &["--host", "0.0.0.0"]);
    let (url, token) = (monitor.url(), format!("Bearer {}", monitor.token()));
    let order = json!({ "action": "install", "diff": "" }).to_string();
    let refused = monitor.post_with("/api/hooks", &[("origin", &url), ("authorization", &token)], order);
    assert_eq!((refused.status, refused.json()["code"].as_str()), (403, Some("user_not_proven")));
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let typed = monitor.post_with("/login", &form, format!("token={}", monitor.token()));
    let link = |token: &str| {
        let asked =
            monitor.post_with("/api/login-link", &[("authorization", &format!("Bearer {token}"))], "");
        monitor.get(asked.json()["path"].as_str().expect("a path"))
    };
    let by_token = link(&monitor.token());
    for login in [&typed, &by_token] {
        let cookie = login.cookie();
        assert_eq!(monitor.get_with("/stats", &[("cookie", &cookie)]).status, 200, "it may read");
        for path in ["/api/hooks", "/api/capture", "/api/instances/1/stop"] {
            let refused =
                monitor.post_with(path, &[("origin", &url), ("cookie", &cookie)], "{\"paused\":true}");
            assert_eq!(
                (refused.status, refused.json()["code"].as_str()),
                (403, Some("user_not_proven")),
                "{path}"
            );
        }
        let raised = cookie.replacen("=token.", "=user.", 1);
        assert_ne!(raised, cookie);
        assert_eq!(monitor.get_with("/stats", &[("cookie", &raised)]).status, 401, "it is signed");
    }
    let user = link(&monitor.control_token()).cookie();
    let paused =
        monitor.post_with("/api/capture", &[("origin", &url), ("cookie", &user)], "{\"paused\":false}");
    assert_eq!(paused.status, 200, "who could read the runfile is the user: {paused:?}");
    let told =
        |authorization: &str| monitor.get_with("/api/hooks", &[("authorization", authorization)]).json();
    let shown = told(&token);
    assert_eq!(
        (&shown["install"]["diff"], &shown["report"]["is_installed"]),
        (&json!(""), &json!(false)),
        "{shown}"
    );
    assert!(shown["install"]["problem"].as_str().is_some_and(|problem| problem.contains("token link")));
    let shown = told(&format!("Bearer {}", monitor.control_token()));
    assert!(shown["install"]["diff"].as_str().is_some_and(|diff| diff.contains("SessionStart")), "{shown}");
    assert_eq!(settings(monitor.home()), None);
}

#[test]
fn an_install_from_the_page_keeps_the_events_that_were_chosen_on_the_command_line() {
    let monitor = Monitor::start_in(home());
    let mut install = our(monitor.home(), "claude-mpm-monitor");
    install.args(["hooks", "install", "--claude-version", "2.1.100"]);
    install.args(["--with", "FileChanged=.envrc|Makefile", "--with", "Setup"]);
    let installed = output(&mut install, b"");
    assert!(installed.status.success(), "{installed:?}");
    let reply = order(&monitor, "install", &[("origin", &monitor.url())]);
    assert_eq!(reply.status, 200, "{reply:?}");
    let text = settings(monitor.home()).expect("they are installed");
    let settings: Value = serde_json::from_str(&text).expect("settings are JSON");
    let events = settings["hooks"].as_object().expect("hooks by event");
    assert_eq!(events.len(), 28, "those of the newer version, and both that were asked for: {text}");
    assert_eq!(events["FileChanged"][0]["matcher"], ".envrc|Makefile");
    assert!(events.contains_key("Setup"));
}
