//! Claims about which server gets an event: this user's, the one of the project, and never anybody else's.

use std::fs;
use std::io::ErrorKind;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use e2e::{Monitor, PATIENCE, hook, spooled};
use protocol::paths::Home;
use serde_json::json;
use tempfile::TempDir;

/// How often a hook is run again that a busy machine kept from posting in its time.
const TRIES: usize = 20;

fn home() -> Arc<TempDir> {
    Arc::new(TempDir::new().expect("a temporary folder can be made"))
}

/// A folder below the home, by its true name.
fn folder(home: &TempDir, name: &str) -> PathBuf {
    let path = home.path().join(name);
    fs::create_dir_all(&path).expect("a folder can be made");
    path.canonicalize().expect("it exists")
}

fn text(path: &Path) -> &str {
    path.to_str().expect("its path is text")
}

/// A prompt of that session in that folder.
fn prompt_in(session: &str, cwd: &Path) -> String {
    let payload =
        json!({"session_id": session, "cwd": cwd, "hook_event_name": "UserPromptSubmit", "prompt": "x"});
    payload.to_string()
}

/// Runs the hook until it could post in its time; one that could not keeps the event in the spool.
fn posted(home: &Path, variables: &[(&str, &str)], payload: &str) {
    for _ in 0..TRIES {
        hook(home, variables, payload);
        let kept = spooled(home);
        if kept.is_empty() {
            return;
        }
        kept.iter().for_each(|path| fs::remove_file(path).expect("a file can be removed"));
    }
    panic!("no server took {payload}");
}

/// The sessions that a monitor knows.
fn sessions(monitor: &Monitor) -> Vec<String> {
    let mut sessions = monitor.events("limit=1000").sessions();
    sessions.sort();
    sessions.dedup();
    sessions
}

/// Waits until a monitor has seen exactly these sessions.
#[track_caller]
fn wait_for_sessions(monitor: &Monitor, expected: &[&str]) {
    let start = Instant::now();
    while sessions(monitor) != expected {
        assert!(start.elapsed() < PATIENCE, "expected {expected:?}, not {:?}", sessions(monitor));
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

/// How many events the monitor says wait in the spool.
fn waiting(monitor: &Monitor) -> u64 {
    monitor.assert_healthy()["spool"]["waiting"].as_u64().expect("a number")
}

#[test]
fn the_server_of_the_innermost_project_gets_the_event() {
    let home = home();
    let (dev, shop) = (folder(&home, "dev"), folder(&home, "dev/shop"));
    let general = Monitor::start_with(&home, &[]);
    let of_dev = Monitor::start_with(&home, &["--project", text(&dev)]);
    let of_shop = Monitor::start_with(&home, &["--project", text(&shop)]);
    fs::write(Home::at(home.path()).config(), json!({"port": general.port()}).to_string()).expect("written");
    let events = [
        ("shop", shop.clone()),
        ("shop-below", shop.join("src/deep")),
        ("dev", dev.clone()),
        ("dev-beside", dev.join("shopping")),
        ("elsewhere", home.path().join("developer")),
    ];
    for (session, cwd) in &events {
        hook(home.path(), &[], &prompt_in(session, cwd));
    }
    hook(home.path(), &[], r#"{"session_id":"nowhere","hook_event_name":"Stop"}"#);
    wait_for_sessions(&of_shop, &["shop", "shop-below"]);
    wait_for_sessions(&of_dev, &["dev", "dev-beside"]);
    wait_for_sessions(&general, &["elsewhere", "nowhere"]);
}

#[test]
fn a_server_tells_its_project() {
    let home = home();
    let shop = folder(&home, "shop");
    // Wherever it is started from, and however it is spelled.
    let monitor = Monitor::start_with(&home, &["--project", "shop/../shop"]);
    let status = monitor.cli(&["status", "--json"]);
    let status: serde_json::Value = serde_json::from_slice(&status.stdout).expect("JSON");
    assert_eq!(status[0]["project"], text(&shop), "{status}");
    let page = monitor.cli(&["status", "--verbose"]);
    let page = String::from_utf8_lossy(&page.stdout).into_owned();
    assert!(page.contains(&format!("- Project: {}", text(&shop))), "{page}");
    assert_eq!(monitor.get("/api/instances").json()[0]["project"], text(&shop));
}

#[test]
fn variables_decide_in_their_order_before_any_runfile() {
    let (first, second, third) = (Monitor::start(), Monitor::start(), Monitor::start());
    let [a, b, c] = [&first, &second, &third].map(|monitor| monitor.port().to_string());
    let url = third.url();
    let (by_url, by_port) = ("CLAUDE_MPM_MONITOR_URL", "CLAUDE_MPM_MONITOR_PORT");
    let (by_socketio, by_server) = ("CLAUDE_MPM_SOCKETIO_PORT", "CLAUDE_MPM_SERVER_PORT");
    type Variables<'a> = &'a [(&'a str, &'a str)];
    let cases: [(&str, Variables<'_>, &Monitor); 5] = [
        ("url", &[(by_url, &url), (by_port, &a), (by_socketio, &b)], &third),
        ("port", &[(by_port, &a), (by_socketio, &b), (by_server, &c)], &first),
        ("socketio", &[(by_server, &c), (by_socketio, &b)], &second),
        ("server", &[(by_server, &c)], &third),
        ("not-a-port", &[(by_port, "auto"), (by_server, &b)], &second),
    ];
    // A home of which all of them are, whose configuration would say otherwise, and whose spool nobody drains.
    let home = home();
    fs::create_dir_all(Home::at(home.path()).run()).expect("a folder can be made");
    for monitor in [&first, &second, &third] {
        let runfile = |folder: &Path| Home::at(folder).runfile(monitor.port());
        fs::copy(runfile(monitor.home()), runfile(home.path())).expect("a file can be copied");
    }
    let config = json!({"port": first.port()}).to_string();
    fs::write(Home::at(home.path()).config(), config).expect("a file can be written");
    for (session, variables, expected) in cases {
        posted(home.path(), variables, &prompt_in(session, Path::new("/srv")));
        assert!(sessions(expected).contains(&session.to_owned()), "{session}");
    }
    assert_eq!(sessions(&first), ["port"]);
    assert_eq!(sessions(&second), ["not-a-port", "socketio"]);
    assert_eq!(sessions(&third), ["server", "url"]);
}

#[test]
fn a_subagent_s_events_go_where_all_others_go() {
    let monitor = Monitor::start();
    hook(monitor.home(), &[("CLAUDE_MPM_SUB_AGENT", "1")], &prompt_in("sub", Path::new("/srv")));
    wait_for_sessions(&monitor, &["sub"]);
}

#[test]
fn nobody_knocks_at_a_port_that_no_server_of_this_user_has() {
    let home = home();
    let stranger = TcpListener::bind(("127.0.0.1", 0)).expect("some port is free");
    stranger.set_nonblocking(true).expect("a socket can be asked without waiting");
    let port = stranger.local_addr().expect("it is bound").port();
    fs::write(Home::at(home.path()).config(), json!({"port": port}).to_string()).expect("written");
    hook(home.path(), &[], &prompt_in("s-1", Path::new("/srv")));
    let knock = stranger.accept().expect_err("nobody connected");
    assert_eq!(knock.kind(), ErrorKind::WouldBlock, "{knock}");
    assert_eq!(spooled(home.path()).len(), 1, "it waits for a server of this user");
}

#[test]
fn another_user_s_monitor_gets_nothing() {
    let theirs = Monitor::start();
    let home = home();
    let config = json!({"port": theirs.port()}).to_string();
    fs::write(Home::at(home.path()).config(), config).expect("written");
    hook(home.path(), &[], &prompt_in("private", Path::new("/srv")));
    assert_eq!(spooled(home.path()).len(), 1);
    let ours = Monitor::start_with(&home, &[]);
    wait_for_sessions(&ours, &["private"]);
    assert!(sessions(&theirs).is_empty(), "{:?}", sessions(&theirs));
}

#[test]
fn a_crashed_server_s_port_is_nobody_s() {
    let monitor = Monitor::start();
    let port = monitor.port();
    let crashed = monitor.crash();
    let stranger = TcpListener::bind(("127.0.0.1", port)).expect("the port is free again");
    stranger.set_nonblocking(true).expect("a socket can be asked without waiting");
    hook(crashed.home(), &[], &prompt_in("s-1", Path::new("/srv")));
    let knock = stranger.accept().expect_err("nobody connected");
    assert_eq!(knock.kind(), ErrorKind::WouldBlock, "{knock}");
    drop(stranger);
    wait_for_sessions(&crashed.restart(), &["s-1"]);
}

#[test]
fn what_a_hook_keeps_because_it_was_led_to_nobody_is_taken_by_who_runs() {
    let home = home();
    let shop = folder(&home, "shop");
    let of_shop = Monitor::start_with(&home, &["--project", text(&shop)]);
    let general = Monitor::start_with(&home, &[]);
    let dead = e2e::free_port().to_string();
    let url = format!("http://localhost:{dead}");
    let cases = [
        ("CLAUDE_MPM_MONITOR_PORT", &dead),
        ("CLAUDE_MPM_MONITOR_URL", &url),
        ("CLAUDE_MPM_SERVER_PORT", &dead),
    ];
    for (variable, value) in cases {
        hook(home.path(), &[(variable, value)], &prompt_in(&format!("shop {variable}"), &shop));
        hook(home.path(), &[(variable, value)], &prompt_in(&format!("else {variable}"), home.path()));
    }
    let expected = |place: &str| cases.map(|(variable, _)| format!("{place} {variable}"));
    for (server, sessions) in [(&of_shop, expected("shop")), (&general, expected("else"))] {
        let sessions: Vec<_> = sessions.iter().map(String::as_str).collect();
        wait_for_sessions(server, &sessions);
    }
    general.wait_for_spool();
}

#[test]
fn what_was_spooled_while_all_were_down_reaches_the_right_server() {
    let home = home();
    let shop = folder(&home, "shop");
    let of_shop = Monitor::start_with(&home, &["--project", text(&shop)]).stop();
    let general = Monitor::start_with(&home, &[]).stop();
    hook(home.path(), &[], &prompt_in("shop-1", &shop));
    hook(home.path(), &[], &prompt_in("elsewhere", home.path()));
    hook(home.path(), &[], &prompt_in("shop-2", &shop.join("src")));
    assert_eq!(spooled(home.path()).len(), 3);

    let of_shop = of_shop.restart();
    wait_for_sessions(&of_shop, &["shop-1", "shop-2"]);
    assert_eq!(of_shop.events("").sessions(), ["shop-1", "shop-2"], "in order");
    assert_eq!(waiting(&of_shop), 1, "it is told");
    assert_eq!(spooled(home.path()).len(), 1);
    let general = general.restart();
    wait_for_sessions(&general, &["elsewhere"]);
    assert_eq!(sessions(&of_shop), ["shop-1", "shop-2"]);
    assert!(spooled(home.path()).is_empty());
}
