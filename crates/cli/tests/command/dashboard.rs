//! Where the dashboard is: beside the server, on a port of its own, or nowhere.

use std::net::TcpListener;

use crate::support::{Desk, free_port, request, wait_for};

#[test]
fn a_port_of_its_own_shows_dashboard_and_api_as_well_and_follows_a_restart_and_a_move() {
    let desk = Desk::new();
    let dashboard = free_port();
    let start = desk.run(&format!("start --dashboard-port {dashboard}"));
    assert_eq!(start.code, Some(0), "{start:?}");
    let url = format!("http://localhost:{dashboard}");
    assert!(start.out.contains(&format!("  - Dashboard URL: {url}\n")), "{start:?}");
    assert!(start.out.contains(&format!("Open {url} in your browser")), "{start:?}");
    let status = desk.run("status --verbose");
    for said in [
        format!("  - Dashboard: {url}\n"),
        format!("  - Dashboard Port: {dashboard}\n"),
        format!("Dashboard accessible at: {url}\n"),
    ] {
        assert!(status.out.contains(&said), "{said:?} in {status:?}");
    }
    let mut port = desk.port;
    for next in [desk.port, free_port(), dashboard] {
        let running = desk.wait_for_ours(port);
        let own = format!("\"server_id\":\"{}\"", running.runfile.server_id);
        for at in [port, dashboard] {
            assert!(request(at, "/", "localhost").starts_with("HTTP/1.1 200"), "dashboard on {at}");
            assert!(request(at, "/health", "localhost").contains(&own), "the same server on {at}");
        }
        running.monitor().restart(&running.runfile.control_token, next).unwrap();
        let restarted = wait_for(|| {
            let found = desk.wait_for_ours(next);
            (found.runfile.server_id != running.runfile.server_id).then_some(())
        });
        assert!(restarted.is_some(), "it serves on {next}");
        port = next;
    }
    assert_eq!(desk.run("stop").code, Some(0));
    assert!(TcpListener::bind(("127.0.0.1", dashboard)).is_ok(), "both ports are free again");
}

#[test]
fn a_dashboard_port_that_is_taken_is_named() {
    let desk = Desk::new();
    let taken = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let dashboard = taken.local_addr().unwrap().port();
    for line in ["start", "start --foreground", ""] {
        let ran = desk.run(&format!("{line} --dashboard-port {dashboard}"));
        assert_eq!(ran.code, Some(1), "{line}: {ran:?}");
        assert!(
            ran.err.contains(&format!("Error: port {dashboard} is already in use by ")),
            "{line}: {ran:?}"
        );
        assert!(ran.err.contains("--dashboard-port"), "the way out: {ran:?}");
    }
    assert!(desk.is_free(desk.port), "nothing is left half started");
}

#[test]
fn a_dashboard_that_is_switched_off_is_not_served_until_the_flag_says_otherwise() {
    let desk = Desk::new();
    desk.configure(r#"{ "dashboard": false }"#);
    let start = desk.run("start");
    assert!(start.out.contains("  - Dashboard URL: switched off\n"), "{start:?}");
    assert!(request(desk.port, "/", "localhost").contains("\"code\":\"no_dashboard\""));
    assert!(request(desk.port, "/api/events", "localhost").starts_with("HTTP/1.1 200"));
    let status = desk.run("status");
    assert!(status.out.contains("  - Dashboard: switched off\n"), "{status:?}");
    assert!(!status.out.contains("accessible at"), "{status:?}");
    assert_eq!(desk.run("stop").code, Some(0));
    assert_eq!(desk.run("start --dashboard").code, Some(0));
    assert!(request(desk.port, "/", "localhost").starts_with("HTTP/1.1 200"));
    assert_eq!(desk.run("stop").code, Some(0));
}
