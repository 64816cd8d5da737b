//! What the tray shows, and what a click on it does, seen from outside.

use desktop_e2e::{App, Notification, Tray, TrayHost, eventually};
use protocol::paths::Home;
use serde_json::{Value, json};

fn hook(session: &str, event: &str, rest: &Value) -> String {
    let mut body = json!({"session_id": session, "cwd": "/home/dev/shop", "hook_event_name": event});
    body.as_object_mut().expect("an object").extend(rest.as_object().expect("an object").clone());
    body.to_string()
}

fn permission(session: &str, command: &str) -> String {
    let input = json!({"tool_name": "Bash", "tool_input": {"command": command}});
    hook(session, "PermissionRequest", &input)
}

/// A listed port of the menu that is free, as the menu says.
fn free_ports(tray: &Tray) -> Vec<u16> {
    let labels = tray.labels();
    labels.iter().filter_map(|label| label.strip_suffix(" (free)")?.parse().ok()).collect()
}

/// Chooses a free port of the menu. Another program may take it first; then the next one is chosen.
fn move_to_a_free_port(app: &App, tray: &Tray) -> u16 {
    let ports =
        eventually("free ports in the menu", || Some(free_ports(tray)).filter(|ports| !ports.is_empty()));
    for port in ports {
        let before = tray.status();
        tray.click(&port.to_string());
        tray.wait_for_status("an answer", |status| {
            status != before || tray.menu()[1].label.starts_with("Port")
        });
        if tray.status().contains(&port.to_string()) {
            app.wait_for_server(port);
            return port;
        }
    }
    panic!("no port could be had: {:?}", tray.labels());
}

#[test]
fn the_app_serves_and_shows_it_in_the_tray_until_it_is_quit() {
    let (mut app, _host, tray) = App::serving();
    assert_eq!(app.wait_for_server(app.port())["mode"], "desktop");
    assert_eq!(tray.status(), format!("Running on localhost:{}", app.port()));
    for label in
        ["Open dashboard", "Copy URL", "Pause capture", "Hooks: not installed yet…", "Open logs", "About"]
    {
        assert!(tray.find(label).is_some(), "{label} is in the menu: {:?}", tray.labels());
    }
    assert!(!tray.find("Start server").expect("an entry").enabled, "it runs already");
    tray.click("Quit");
    assert!(app.wait_for_end().success());
    app.wait_for_silence(app.port());
    assert!(!Home::at(app.home()).runfile(app.port()).exists(), "it leaves nothing that is not true");
}

#[test]
fn stop_start_and_restart_do_what_they_say() {
    let (app, _host, tray) = App::serving();
    let first = app.wait_for_server(app.port());
    tray.click("Restart server");
    let second = app.wait_for_another(app.port(), &first["server_id"]);
    tray.click("Stop server");
    app.wait_for_silence(app.port());
    tray.wait_for_status("the end", |status| status == "Stopped");
    assert!(!tray.find("Restart server").expect("an entry").enabled);
    tray.click("Start server");
    let third = app.wait_for_another(app.port(), &second["server_id"]);
    assert_eq!(third["pid"], first["pid"], "all in one process");
}

/// What a process holds: open files, threads, and memory in KiB.
fn held(pid: &Value) -> (usize, usize, usize) {
    let count = |what: &str| std::fs::read_dir(format!("/proc/{pid}/{what}")).expect("it runs").count();
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let memory =
        status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB")?.parse().ok());
    (count("fd"), count("task"), memory.expect("its memory"))
}

#[test]
fn restarts_and_moves_leak_nothing() {
    let rounds = std::env::var("DESKTOP_RESTARTS").ok().and_then(|text| text.parse().ok()).unwrap_or(200);
    let (app, _host, tray) = App::serving();
    let (mut port, mut health) = (app.port(), app.wait_for_server(app.port()));
    let mut warm = None;
    for round in 0..rounds {
        if round % 10 == 9 {
            port = move_to_a_free_port(&app, &tray);
        } else {
            tray.click("Restart server");
        }
        health = app.wait_for_another(port, &health["server_id"]);
        if round == 50 {
            warm = Some(held(&health["pid"]));
        }
    }
    let (files, threads, memory) = warm.expect("more rounds than the warming up takes");
    let (files_now, threads_now, memory_now) = held(&health["pid"]);
    println!(
        "{files} files, {threads} threads, {memory} KiB; then {files_now}, {threads_now}, {memory_now} KiB"
    );
    assert!(files_now <= files + 10, "open files: {files}, then {files_now}");
    assert!(threads_now <= threads + 10, "threads: {threads}, then {threads_now}");
    // A server that was left behind with its viewer has 45 KiB.
    assert!(memory_now <= memory + 3 * 1024, "KiB of memory: {memory}, then {memory_now}");
}

#[test]
fn a_port_is_chosen_from_the_menu_and_a_taken_one_is_refused_with_its_holder() {
    let (app, _host, tray) = App::serving();
    let port = move_to_a_free_port(&app, &tray);
    app.wait_for_silence(app.port());
    let current = eventually("the mark", || {
        tray.find(&format!("{port} (current)")).filter(|e| e.checked == Some(true))
    });
    assert!(current.enabled);
    // Another program takes one of the others.
    let (other, _listener) = free_ports(&tray)
        .into_iter()
        .find_map(|port| Some((port, std::net::TcpListener::bind(("127.0.0.1", port)).ok()?)))
        .expect("a free port");
    tray.click(&other.to_string());
    let told = eventually("a refusal", || Some(tray.menu()[1].label.clone()).filter(|text| !text.is_empty()));
    let holder = format!("(pid {})", std::process::id());
    assert!(told.starts_with(&format!("Port {other} is in use by")) && told.contains(&holder), "{told}");
    assert_eq!(tray.status(), format!("Running on localhost:{port}"), "the old one keeps serving");
    let entry = tray.find(&other.to_string()).expect("an entry");
    assert_eq!(entry.checked, Some(false), "a refused port is not marked");
    app.wait_for_server(port);
}

#[test]
fn sessions_that_work_and_wait_are_counted_and_named() {
    let (app, _host, tray) = App::serving();
    assert!(tray.icon().contains("tray-icon"), "{}", tray.icon());
    app.post(app.port(), &hook("s1", "UserPromptSubmit", &json!({"prompt": "go"})));
    tray.wait_for_status("one at work", |status| status.ends_with("· 1 working"));
    app.post(app.port(), &permission("s1", "git push --force_with_lease && echo"));
    tray.wait_for_status("one that waits", |status| status.ends_with("· 1 needs you"));
    let label = "shop — Bash: git push --force_with_lease && echo";
    assert!(tray.find(label).is_some(), "{:?}", tray.labels());
    app.post(app.port(), &hook("s1", "Stop", &json!({})));
    tray.wait_for_status("nobody", |status| !status.contains("needs you"));
    assert!(tray.find("Needs you").is_none());
}

#[test]
fn what_happens_while_capture_is_paused_is_not_kept() {
    let (app, _host, tray) = App::serving();
    assert_eq!(app.post(app.port(), &hook("s1", "UserPromptSubmit", &json!({"prompt": "kept"}))), 204);
    tray.click("Until resumed");
    tray.wait_for_status("the pause", |status| status.contains("capture paused"));
    assert_eq!(app.post(app.port(), &hook("s1", "UserPromptSubmit", &json!({"prompt": "secret"}))), 202);
    let first = app.wait_for_server(app.port());
    tray.click("Restart server");
    let second = app.wait_for_another(app.port(), &first["server_id"]);
    assert_eq!(
        second["capture"],
        json!({"paused": true, "until": null, "skipped": 1}),
        "a restart resumes nothing"
    );
    tray.click("Resume capture");
    tray.wait_for_status("the end of the pause", |status| !status.contains("paused"));
    assert_eq!(app.post(app.port(), &hook("s1", "UserPromptSubmit", &json!({"prompt": "kept too"}))), 204);
    assert_eq!(app.wait_for_server(app.port())["last_seq"], 2);
    tray.click("For 30 minutes");
    tray.wait_for_status("the minutes", |status| status.contains("capture paused, 30 min left"));
}

#[test]
fn start_at_login_is_off_and_a_click_turns_it_on_and_off() {
    let (app, _host, tray) = App::serving();
    let file = app.home().join(".config/autostart/Claude MPM Monitor.desktop");
    assert!(!file.exists() && tray.find("Start at login").expect("an entry").checked == Some(false));
    tray.click("Start at login");
    let text =
        eventually("the file", || std::fs::read_to_string(&file).ok().filter(|text| text.contains("Exec=")));
    assert!(text.lines().any(|line| line.starts_with("Exec=") && line.ends_with("--hidden")), "{text}");
    eventually("the mark", || tray.find("Start at login").filter(|entry| entry.checked == Some(true)));
    tray.click("Start at login");
    eventually("the file's end", || (!file.exists()).then_some(()));
}

#[test]
fn a_session_that_needs_somebody_is_told_once_and_withdrawn_when_it_goes_on() {
    let (app, host, tray) = App::serving();
    app.post(app.port(), &hook("s1", "UserPromptSubmit", &json!({"prompt": "go"})));
    tray.wait_for_status("one at work", |status| status.ends_with("· 1 working"));
    app.post(app.port(), &permission("s1", "git push"));
    let Notification::Shown { id, replaces: 0, title, body } = host.notification() else {
        panic!("a new one")
    };
    assert_eq!((title.as_str(), body.as_str()), ("shop needs you", "Bash: git push"));
    host.click(id);
    app.post(app.port(), &hook("s1", "Stop", &json!({})));
    assert_eq!(host.notification(), Notification::Closed(id));
    tray.click("Notifications");
    eventually("the mark", || tray.find("Notifications").filter(|entry| entry.checked == Some(false)));
    app.post(app.port(), &hook("s1", "UserPromptSubmit", &json!({"prompt": "more"})));
    app.post(app.port(), &permission("s1", "git push"));
    tray.wait_for_status("one that waits", |status| status.contains("1 needs you"));
    assert_eq!(host.notifications_so_far(), [], "the user wants none");
}

#[test]
fn a_tray_that_appears_later_gets_the_icon() {
    let mut app = App::new();
    app.start(&["--hidden"]);
    app.wait_for_server(app.port());
    let host = TrayHost::start(app.bus());
    let tray = host.tray();
    tray.wait_for_status("serving", |status| status == format!("Running on localhost:{}", app.port()));
}

#[test]
fn a_server_that_cannot_start_says_why_and_starts_when_the_reason_is_gone() {
    let (app, _host, tray) = App::serving();
    tray.click("Stop server");
    tray.wait_for_status("the end", |status| status == "Stopped");
    let settings = Home::at(app.home()).config();
    std::fs::write(&settings, r#"{"ping_interval": "often"}"#).expect("a file can be written");
    tray.click("Start server");
    tray.wait_for_status("the reason", |status| {
        status.starts_with("Not running: ") && status.contains("ping_interval")
    });
    std::fs::remove_file(&settings).expect("it can be removed");
    tray.click("Start server");
    app.wait_for_server(app.port());
    tray.wait_for_status("serving", |status| status == format!("Running on localhost:{}", app.port()));
}

#[test]
fn a_port_that_was_chosen_is_served_again_after_the_app_was_quit() {
    let (mut app, host, tray) = App::serving();
    // None of the menu's: other tests choose among those.
    let port = e2e::free_port();
    let second = app.command().args(["--hidden", "--port", &port.to_string()]).status().expect("it starts");
    assert!(second.success(), "{second}");
    tray.wait_for_status("the move", |status| status == format!("Running on localhost:{port}"));
    tray.click("Quit");
    assert!(app.wait_for_end().success());
    app.start_with(&["--hidden"]);
    let tray = host.tray();
    tray.wait_for_status("serving", |status| status == format!("Running on localhost:{port}"));
    app.wait_for_server(port);
}

#[test]
fn the_menu_says_what_keeps_hooks_from_running() {
    let mut app = App::new();
    let settings = app.home().join(".claude/settings.json");
    std::fs::create_dir_all(settings.parent().expect("a folder")).expect("a folder can be made");
    let hook = json!([{"hooks": [{"type": "command", "command": "/gone/claude-mpm-hook"}]}]);
    std::fs::write(&settings, json!({"hooks": {"Stop": hook}}).to_string()).expect("a file can be written");
    let host = TrayHost::start(app.bus());
    app.start(&["--hidden"]);
    let tray = host.tray();
    eventually("the reason", || tray.find("Hooks: The hook /gone/claude-mpm-hook is missing."));
}
