//! The real window: it shows the dashboard, and follows the server wherever it goes.

use desktop_e2e::{App, Driver, Notification, TITLE, Tray, TrayHost, eventually};
use serde_json::json;

#[test]
fn the_dashboard_is_shown_live_and_follows_a_restart_and_a_change_of_port() {
    let app = App::new();
    let host = TrayHost::start(app.bus());
    let driver = Driver::start(&app, &[]);
    let tray = host.tray();
    let first = app.wait_for_server(app.port());
    tray.wait_for_status("serving", |status| status.starts_with("Running on"));
    for post in e2e::hook_posts() {
        assert!(app.post(app.port(), &post.body) < 300, "a recorded event is taken");
    }
    app.post(app.port(), &e2e::prompt("s1", "an event that the window shows"));
    driver.wait_for_text("an event that the window shows");
    driver.screenshot(&desktop_e2e::pictures().join("window.png"));

    tray.click("Restart server");
    app.wait_for_another(app.port(), &first["server_id"]);
    app.post(app.port(), &e2e::prompt("s1", "after the restart"));
    driver.wait_for_text("after the restart");

    let other = e2e::free_port();
    let second = app.command().args(["--port", &other.to_string()]).status().expect("it starts");
    assert!(second.success());
    app.wait_for_server(other);
    app.post(other, &e2e::prompt("s1", "after the move"));
    driver.wait_for_text("after the move");
    for elsewhere in ["monitor://localhost/do/quit", "monitor://localhost/trouble", "file:///etc/passwd"] {
        driver.script(&format!("location.href = '{elsewhere}'; return null"));
    }
    app.post(other, &e2e::prompt("s1", "after links that lead nowhere"));
    driver.wait_for_text("after links that lead nowhere");
    assert!(driver.address().starts_with(&format!("http://127.0.0.1:{other}/")), "{}", driver.address());
    let reached = driver.script("return typeof window.__TAURI__");
    assert_eq!(reached, "undefined", "the page has no way into the app");
    driver.end();
}

#[test]
fn a_link_to_a_session_opens_it_in_the_window() {
    let app = App::new();
    let _host = TrayHost::start(app.bus());
    let driver = Driver::start(&app, &[]);
    app.wait_for_server(app.port());
    let second = app.command().arg("claude-mpm://session/s%201").status().expect("it starts");
    assert!(second.success());
    eventually("the session's address", || {
        let address = driver.address();
        address.ends_with("#/session/s%201").then_some(())
    });
    driver.end();
}

/// An app with its window, and without what it tells its user only once.
fn with_window(preferences: &serde_json::Value) -> (App, TrayHost, Tray) {
    let mut app = App::new();
    app.prefers(preferences);
    let host = TrayHost::start(app.bus());
    app.start(&[]);
    let tray = host.tray();
    app.wait_for_server(app.port());
    app.screen().wait_for(TITLE);
    (app, host, tray)
}

#[test]
fn closing_the_window_leaves_the_app_in_the_tray_and_says_so_once() {
    let (mut app, host, tray) = with_window(&json!({}));
    app.screen().close(TITLE);
    app.screen().wait_without(TITLE);
    let Notification::Shown { title, .. } = host.notification() else { panic!("a new one") };
    assert_eq!(title, "The monitor goes on in the tray");
    tray.click("Open dashboard");
    app.screen().wait_for(TITLE);
    app.screen().close(TITLE);
    app.screen().wait_without(TITLE);
    app.wait_for_server(app.port());
    assert_eq!(host.notifications_so_far(), [], "its user knows");
    tray.click("Quit");
    assert!(app.wait_for_end().success());
}

#[test]
fn without_a_tray_closing_the_window_quits() {
    let mut app = App::new();
    app.start(&[]);
    app.wait_for_server(app.port());
    app.screen().wait_for(TITLE);
    eventually("the page's process", || (app.pages() == 1).then_some(()));
    app.screen().close(TITLE);
    assert!(app.wait_for_end().success());
    app.wait_for_silence(app.port());
}

#[test]
fn the_page_of_a_window_that_was_hidden_for_long_is_freed_and_comes_back() {
    let (app, _host, tray) = with_window(&json!({"free_window_after_s": 1, "told_of_tray": true}));
    eventually("the page's process", || (app.pages() == 1).then_some(()));
    app.screen().close(TITLE);
    app.screen().wait_without(TITLE);
    eventually("the end of the page's process", || (app.pages() == 0).then_some(()));
    app.wait_for_server(app.port());
    tray.click("Open dashboard");
    app.screen().wait_for(TITLE);
    eventually("the page's process", || (app.pages() == 1).then_some(()));
}

#[test]
fn a_click_on_a_notification_opens_its_session_which_is_not_told_while_it_is_on_screen() {
    let hook = |session: &str, event: &str, command: &str| {
        let tool = json!({"command": command});
        json!({"session_id": session, "cwd": format!("/home/dev/{session}"), "hook_event_name": event,
            "prompt": "go", "tool_name": "Bash", "tool_input": tool})
        .to_string()
    };
    let app = App::new();
    let host = TrayHost::start(app.bus());
    let driver = Driver::start(&app, &[]);
    let tray = host.tray();
    app.wait_for_server(app.port());
    tray.wait_for_status("serving", |status| status.starts_with("Running on"));
    let post = |session, event, command| app.post(app.port(), &hook(session, event, command));
    for session in ["shop", "tax"] {
        post(session, "UserPromptSubmit", "");
    }
    tray.wait_for_status("two at work", |status| status.ends_with("· 2 working"));
    post("shop", "PermissionRequest", "git push");
    let Notification::Shown { id, .. } = host.notification() else { panic!("a new one") };
    eventually("the session's address", || {
        // The app may not have heard yet which number its notification got.
        host.click(id);
        driver.address().ends_with("#/session/shop").then_some(())
    });

    eventually("the keyboard", || {
        // Without a window manager, whatever else shows itself meanwhile may take the keyboard away again.
        app.screen().focus(TITLE);
        (driver.script("return document.hasFocus()") == json!(true)).then_some(())
    });
    post("shop", "PostToolUse", "git push");
    assert_eq!(host.notification(), Notification::Closed(id), "it was answered");
    post("shop", "PermissionRequest", "git push --tags");
    tray.wait_for_status("one that waits", |status| status.contains("1 needs you"));
    post("tax", "PermissionRequest", "rm -r build");
    let Notification::Shown { id: other, replaces: 0, title, .. } = host.notification() else {
        panic!("nothing of the session on screen")
    };
    assert_eq!(title, "tax needs you");
    post("tax", "PermissionRequest", "rm -r dist");
    let Notification::Shown { replaces, .. } = host.notification() else { panic!("another one") };
    assert_eq!(replaces, other, "a session has one notification");
    driver.end();
}
