//! Who may be ended to get a port, the dashboard's port, and what `--show-ports` shows.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use crate::programs::{debug_script, other_program};
use crate::support::{Desk, free_port};

/// The status line of an answer.
fn asked(port: u16, path: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nhost: localhost:{port}\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.lines().next().unwrap_or_default().to_owned()
}

#[test]
fn a_debug_script_is_asked_to_end_and_the_port_is_taken() {
    for verb in ["start --port", "port"] {
        let desk = Desk::new();
        let port = desk.port;
        let mut script = debug_script(port, &[]);
        let kept = desk.run(&format!("{verb} {port} --no-reclaim"));
        assert_eq!(kept.code, Some(1), "{kept:?}");
        assert!(kept.err.contains("or leave out --no-reclaim to stop this debug script"), "{kept:?}");
        assert!(script.is_running(), "--no-reclaim leaves it alone");
        let start = desk.run(&format!("{verb} {port}"));
        assert_eq!(start.code, Some(0), "{start:?}");
        let said = format!("Stopping the debug script on port {port}: python");
        assert!(start.out.starts_with(&said), "{start:?}");
        assert!(!script.ended().success(), "it was ended by a signal");
        assert_eq!(desk.run("stop").code, Some(0));
    }
}

#[test]
fn a_debug_script_that_does_not_obey_is_only_killed_by_force() {
    let desk = Desk::new();
    let mut script = debug_script(desk.port, &["--stubborn"]);
    let start = desk.run("start");
    assert_eq!(start.code, Some(1), "{start:?}");
    assert!(start.err.contains("It does not end when asked; --force ends it."), "{start:?}");
    assert!(script.is_running());
    let forced = desk.run("start --force");
    assert_eq!(forced.code, Some(0), "{forced:?}");
    assert!(!script.is_running());
    assert_eq!(desk.run("stop").code, Some(0));
}

#[test]
fn force_never_reaches_another_program() {
    let desk = Desk::new();
    let mut other = other_program(desk.port);
    for verb in ["start --force".to_owned(), format!("port {} --force", desk.port)] {
        let ran = desk.run(&verb);
        assert_eq!(ran.code, Some(1), "{ran:?}");
        let way_out =
            "Suggestion: use --port to choose another port; --force never applies to another program\n";
        assert!(ran.err.contains(&format!("(pid {})\n{way_out}", other.pid())), "{ran:?}");
        assert!(other.is_running());
    }
}

#[test]
fn the_dashboard_is_served_on_a_port_of_its_own_as_well() {
    let desk = Desk::new();
    let (port, apart) = (desk.port, free_port());
    let start = desk.run(&format!("start --dashboard --dashboard-port {apart}"));
    assert_eq!(start.code, Some(0), "{start:?}");
    assert!(start.out.contains(&format!("  - Server URL: http://localhost:{port}\n")), "{start:?}");
    assert!(start.out.contains(&format!("  - Dashboard URL: http://localhost:{apart}\n")), "{start:?}");
    assert!(
        start
            .out
            .ends_with(&format!("Open http://localhost:{apart} in your browser to view the dashboard.\n"))
    );
    assert_eq!((asked(apart, "/"), asked(port, "/")), ("HTTP/1.1 200 OK".into(), "HTTP/1.1 200 OK".into()));
    let status = desk.run("status --verbose");
    assert!(status.out.contains(&format!("  - Dashboard: http://localhost:{apart}\n")), "{status:?}");
    assert!(status.out.contains(&format!("  - Dashboard Port: {apart}\n")), "{status:?}");
    assert!(
        status.out.contains(&format!("Dashboard accessible at: http://localhost:{apart}\n")),
        "{status:?}"
    );
    let other = free_port();
    let taken = desk.run(&format!("start --port {other} --dashboard-port {apart}"));
    assert_eq!(taken.code, Some(1), "{taken:?}");
    assert!(
        taken.err.contains(&format!("port {apart} is already in use by claude-mpm-monitor")),
        "{taken:?}"
    );
    assert!(taken.err.contains("Suggestion: choose another port with --dashboard-port"), "{taken:?}");
    assert!(desk.is_free(other));
    assert_eq!(desk.run("stop").code, Some(0));
}

#[test]
fn the_dashboard_that_the_configuration_switches_off_is_switched_on_by_its_flag() {
    let desk = Desk::new();
    std::fs::create_dir_all(desk.home.folder()).unwrap();
    std::fs::write(desk.home.config(), r#"{"dashboard": false}"#).unwrap();
    let off = desk.run("start");
    assert_eq!(off.code, Some(0), "{off:?}");
    assert!(off.out.contains("  - Dashboard URL: switched off\n"), "{off:?}");
    assert_eq!(asked(desk.port, "/"), "HTTP/1.1 404 Not Found");
    assert!(desk.run("status").out.contains("  - Dashboard: switched off\n"));
    assert_eq!(desk.run("stop").code, Some(0));
    let on = desk.run("start --dashboard");
    assert_eq!(on.code, Some(0), "{on:?}");
    assert_eq!(asked(desk.port, "/"), "HTTP/1.1 200 OK");
    assert_eq!(desk.run("stop").code, Some(0));
}

#[test]
fn a_verbose_start_says_where_everything_is() {
    let desk = Desk::new();
    let start = desk.run("start --verbose");
    assert_eq!(start.code, Some(0), "{start:?}");
    let runfile = desk.wait_for_ours(desk.port).runfile;
    let path = desk.home.runfile(desk.port);
    for line in [
        format!("  - Version: {}", runfile.version),
        "  - Host: localhost".to_owned(),
        "  - Project: all".to_owned(),
        format!("  - Runfile: {}", path.display()),
        format!("  - Log: {}", desk.home.logs().join(format!("monitor-{}.log", desk.port)).display()),
    ] {
        assert!(start.out.lines().any(|said| said == line), "{line} in {start:?}");
    }
    assert!(!desk.run("start").out.contains("Runfile"), "without the flag it is short");
    assert_eq!(desk.run("stop").code, Some(0));
}

#[test]
fn every_port_of_the_range_is_shown_with_who_has_it() {
    let desk = Desk::new();
    let start = desk.run("start --port auto");
    assert_eq!(start.code, Some(0), "this test needs a free port from 8765 to 8785: {start:?}");
    let runfile = &client::runfiles::list(&desk.home).unwrap()[0];
    let (port, pid) = (runfile.port, runfile.pid);
    let taken = (8765..=8785).find_map(|port| TcpListener::bind(("127.0.0.1", port)).ok());
    let taken = taken.expect("this test needs another free port from 8765 to 8785");
    let status = desk.run("status --show-ports");
    assert_eq!(status.code, Some(0), "{status:?}");
    let lines: Vec<_> = status.out.lines().collect();
    assert_eq!(lines[..4], ["Monitoring Server Status", "========================", "", "Active Servers: 1"]);
    assert!(lines.contains(&format!("  {port}: ✓ RUNNING (PID {pid}, 0 clients)").as_str()), "{status:?}");
    let own = std::process::id();
    let in_use = format!("  {}: • IN USE (", taken.local_addr().unwrap().port());
    assert!(
        lines.iter().any(|line| line.starts_with(&in_use) && line.contains(&format!("PID {own})"))),
        "{status:?}"
    );
    assert!(status.out.contains("\nPort Status (8765-8785):\n  8765: "), "{status:?}");
    let shown =
        |mark: &str| lines.iter().filter(|line| line.starts_with("  87") && line.contains(mark)).count();
    assert_eq!(shown(": "), 21, "{status:?}");
    assert!(lines.contains(&format!("Available Ports: {}", shown("○ AVAILABLE")).as_str()), "{status:?}");
    let end = format!(
        "\nLegend:\n  ✓ RUNNING - Monitor server active\n  • IN USE - Used by another process\n  \
         ○ AVAILABLE - Ready for use\n\nDashboard accessible at: http://localhost:{port}\n"
    );
    assert!(status.out.ends_with(&end), "{status:?}");
    assert!(!status.out.contains("Server 1:"), "the ports are the page");
    let json = desk.run("status --show-ports --json");
    let json: serde_json::Value = serde_json::from_str(&json.out).unwrap();
    let ours = json["ports"].as_array().unwrap().iter().find(|shown| shown["port"] == port).unwrap();
    assert_eq!((ours["state"].as_str(), ours["pid"].as_u64()), (Some("running"), Some(pid.into())));
    assert_eq!(json["servers"][0]["port"], port);
    drop(taken);
    assert_eq!(desk.run(&format!("stop --port {port}")).code, Some(0));
}
