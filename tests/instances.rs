//! Claims about this user's several servers as one of them shows them: what is read of another, and who may order it
//! to stop or restart.

use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use e2e::{Monitor, PATIENCE, prompt};
use tempfile::TempDir;

/// Two servers of one user.
fn two() -> (Monitor, Monitor) {
    let home = Arc::new(TempDir::new().expect("a temporary folder can be made"));
    (Monitor::start_with(&home, &[]), Monitor::start_with(&home, &[]))
}

#[test]
fn events_and_sessions_of_another_instance_are_read_through_this_one() {
    let (here, there) = two();
    there.event(prompt("s-there", "hello"));
    let through = |route: &str| here.get(&format!("/instances/{}{route}", there.port()));
    assert_eq!(through("/api/events?session=s-there").page().sessions(), ["s-there"]);
    assert_eq!(through("/api/events/1").json()["seq"], 1);
    assert_eq!(through("/api/sessions").json()["sessions"][0]["session_id"], "s-there");
    assert_eq!(through("/health").json()["port"], there.port());
    assert_eq!(here.events("limit=10").sessions(), Vec::<String>::new(), "they stay where they are");
    through("/api/events/99").assert_refused("99");
    let read = format!("/instances/{}/api/sessions/s-there/read", there.port());
    assert_eq!(here.post(&read, "").status, 204);
}

#[test]
fn nothing_but_what_the_dashboard_shows_is_passed_on() {
    let (here, there) = two();
    for route in ["/api/shutdown", "/api/eventsx", "/login", "/api/login-link"] {
        let reply = here.get(&format!("/instances/{}{route}", there.port()));
        assert_eq!((reply.status, reply.json()["code"].as_str()), (404, Some("not_relayed")), "{route}");
    }
    for route in ["/api/shutdown", "/api/events", "/api/capture", "/api/sessions/a/b/read"] {
        let reply = here.post(&format!("/instances/{}{route}", there.port()), "{}");
        assert_eq!((reply.status, reply.json()["code"].as_str()), (404, Some("not_relayed")), "{route}");
    }
    let nobody = here.get("/instances/1/api/events");
    assert_eq!((nobody.status, nobody.json()["code"].as_str()), (404, Some("unknown_instance")));
    assert_eq!(here.get("/instances/x/api/events").status, 400);
    there.assert_healthy();
}

#[test]
fn only_the_dashboard_s_own_page_may_stop_or_restart_an_instance() {
    let (here, there) = two();
    let order = |what: &str, origin: &str| {
        let headers: &[(&str, &str)] = if origin.is_empty() { &[] } else { &[("Origin", origin)] };
        here.post_with(&format!("/api/instances/{}/{what}", there.port()), headers, "")
    };
    for origin in ["", "null", "http://localhost:3000", "http://evil.example", &there.url()] {
        for what in ["stop", "restart"] {
            assert_eq!(order(what, origin).status, 403, "{what} by {origin:?}");
        }
    }
    let before = there.assert_healthy()["server_id"].clone();
    assert_eq!(order("restart", &here.url()).status, 202);
    let again = || {
        let health = here.get(&format!("/instances/{}/health", there.port())).json();
        health["server_id"].is_string() && health["server_id"] != before
    };
    let ordered = Instant::now();
    while !again() {
        assert!(ordered.elapsed() < PATIENCE, "it is there again");
        sleep(Duration::from_millis(20));
    }
    assert_eq!(order("stop", &here.url()).status, 200);
    assert_eq!(order("stop", &here.url()).json()["code"], "unknown_instance", "it is gone");
    here.assert_healthy();
}

#[test]
fn capture_is_paused_and_resumed_by_the_control_token_or_the_dashboard_s_own_page() {
    let monitor = Monitor::start();
    let order = |paused: bool, name: &str, value: &str| {
        monitor.post_with("/api/capture", &[(name, value)], format!("{{\"paused\":{paused}}}"))
    };
    for origin in ["null", "http://localhost:3000", "http://evil.example"] {
        assert_eq!(order(true, "origin", origin).status, 403, "{origin}");
    }
    assert_eq!(order(true, "accept", "*/*").status, 403, "a program without the token");
    assert_eq!(monitor.get("/health").json()["capture"]["paused"], false);
    let token = format!("Bearer {}", monitor.control_token());
    assert_eq!(order(true, "authorization", &token).json()["paused"], true);
    assert_eq!(monitor.post("/api/events", prompt("s-1", "nobody keeps this")).status, 202);
    assert_eq!(order(false, "origin", &monitor.url()).json()["paused"], false);
    monitor.event(prompt("s-1", "kept"));
}

#[test]
fn settings_say_who_chose_them() {
    let monitor = Monitor::start();
    let answer = monitor.get("/api/settings").json();
    let setting = |key: &str| {
        let all = answer["settings"].as_array().expect("a list");
        all.iter().find(|setting| setting["key"] == key).expect("a known key").clone()
    };
    assert_eq!((&setting("port")["from"], &setting("port")["by"]), (&"flag".into(), &"--port".into()));
    assert_eq!(setting("port")["value"], monitor.port());
    assert_eq!(setting("retention_days")["from"], "default");
    let paths = answer["paths"].as_array().expect("a list");
    let store = paths.iter().find(|path| path["name"] == "store").expect("the store has a path");
    assert!(store["path"].as_str().is_some_and(|path| path.ends_with("events.db")), "{store}");
}

#[test]
fn secrets_are_masked_for_who_asks_for_it() {
    let monitor = Monitor::start();
    monitor.event(prompt("s-1", "export AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY"));
    let text = |query: &str| monitor.get(&format!("/api/events?payload=true{query}")).json().to_string();
    assert!(text("").contains("EXAMPLEKEY"), "kept as it was sent");
    assert!(!text("&masked=true").contains("EXAMPLEKEY"), "{}", text("&masked=true"));
    assert_eq!(monitor.get("/api/events?masked=perhaps").status, 400);
    let one = |query: &str| monitor.get(&format!("/api/events/1{query}"));
    assert!(one("").json().to_string().contains("EXAMPLEKEY"), "kept as it was sent");
    assert!(!one("?masked=true").json().to_string().contains("EXAMPLEKEY"), "row and payload");
    assert_eq!(one("?masked=true").json()["seq"], 1);
    assert_eq!((one("?masked=perhaps").status, one("?mask=true").status), (400, 400));
}
