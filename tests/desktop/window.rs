//! The real window: it shows the dashboard, and follows the server wherever it goes.

use desktop_e2e::{App, Driver, TrayHost};

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
    desktop_e2e::eventually("the session's address", || {
        let address = driver.address();
        address.ends_with("#/session/s%201").then_some(())
    });
    driver.end();
}
