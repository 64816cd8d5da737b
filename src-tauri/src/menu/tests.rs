//! The menu as a table: what is on it in which state.

use protocol::{Runfile, Timestamp};

use super::*;

fn runfile(port: u16) -> Runfile {
    Runfile {
        pid: 4242,
        process_started_at: Timestamp(1),
        process_start_ticks: None,
        version: "0.1.0".to_owned(),
        host: "localhost".to_owned(),
        port,
        addresses: vec![([127, 0, 0, 1], port).into(), (std::net::Ipv6Addr::LOCALHOST, port).into()],
        server_id: "monitor-1".to_owned(),
        control_token: "secret".to_owned(),
        project: None,
        mode: "desktop".to_owned(),
        access: Default::default(),
    }
}

fn view(serving: Serving) -> TrayView {
    let ports = vec![(8765, PortUse::Free), (8766, PortUse::Used("node (pid 7)".to_owned()))];
    TrayView { server: View { serving, refused: None }, ports, notifications: true, ..TrayView::default() }
}

fn waiting(label: &str) -> Waiting {
    Waiting { session: format!("id of {label}"), label: label.to_owned(), since: Timestamp(1) }
}

fn failed(retry_in: Option<Duration>) -> Serving {
    let reason = "port 8765 is already in use by node (pid 7)".to_owned();
    Serving::Failed { port: 8765, reason, retry_in }
}

/// The menu as lines: `(…)` cannot be clicked, `[x]` is checked, `>` begins a submenu.
fn lines(items: &[Item]) -> Vec<String> {
    let mut lines = Vec::new();
    for item in items {
        match item {
            Item::Separator => lines.push("---".to_owned()),
            Item::Text(text) => lines.push(format!("({text})")),
            Item::Button { label, enabled: true, .. } => lines.push(label.clone()),
            Item::Button { label, enabled: false, .. } => lines.push(format!("({label})")),
            Item::Check { label, checked, .. } => {
                lines.push(format!("[{}] {label}", if *checked { "x" } else { " " }));
            }
            Item::Submenu { label, items } => {
                lines.push(format!("> {label}"));
                lines.extend(self::lines(items).into_iter().map(|line| format!("  {line}")));
            }
        }
    }
    lines
}

/// The lines of the menu that are not there in the plain menu of a serving app.
fn differing(view: &TrayView) -> Vec<String> {
    let plain = lines(&menu(&self::view(Serving::Here(runfile(8765)))));
    lines(&menu(view)).into_iter().filter(|line| !plain.contains(line)).collect()
}

#[test]
fn the_whole_menu_of_an_app_that_serves() {
    let view = view(Serving::Here(runfile(8765)));
    let expected = [
        "(Running on localhost:8765)",
        "---",
        "Open dashboard",
        "Open in browser",
        "Copy URL",
        "---",
        "(Start server)",
        "Stop server",
        "Restart server",
        "> Port 8765",
        "  [x] 8765 (current)",
        "  [ ] 8766 (used by node (pid 7))",
        "> Pause capture",
        "  (Events are not kept meanwhile)",
        "  For 30 minutes",
        "  Until resumed",
        "---",
        "[x] Notifications",
        "Hooks: not installed yet…",
        "[ ] Start at login",
        "---",
        "Open logs",
        "Open data folder",
        concat!("About version ", env!("CARGO_PKG_VERSION")),
        "---",
        "Quit (stops the server)",
    ];
    assert_eq!(lines(&menu(&view)), expected);
    assert_eq!(icon(&view), Icon::Serving);
}

#[test]
fn each_state_shows_in_icon_status_and_menu() {
    let here = || view(Serving::Here(runfile(8765)));
    let off = ["(Open in browser)", "(Copy URL)", "Start server", "(Stop server)", "(Restart server)"];
    let ports_free = ["> Port", "  [ ] 8765 (free)", "  (For 30 minutes)", "  (Until resumed)"];
    let stopped = [&off[..], &ports_free, &["Quit"]].concat();
    let refused = "Port 8766 is in use by node (pid 7)";
    let cases: Vec<(TrayView, Icon, &str, Vec<&str>)> = vec![
        (TrayView { working: 3, ..here() }, Icon::Working, "Running on localhost:8765 · 3 working", vec![]),
        (
            TrayView { working: 3, waiting: vec![waiting("shop — Bash: git push")], ..here() },
            Icon::NeedsYou,
            "Running on localhost:8765 · 3 working · 1 needs you",
            vec!["> Needs you (1)", "  shop — Bash: git push"],
        ),
        (
            TrayView { waiting: vec![waiting("a"), waiting("b")], ..here() },
            Icon::NeedsYou,
            "Running on localhost:8765 · 2 need you",
            vec!["> Needs you (2)", "  a", "  b"],
        ),
        (
            TrayView { pause: Some(Pause { minutes_left: Some(28) }), working: 1, ..here() },
            Icon::Paused,
            "Running on localhost:8765 · capture paused, 28 min left · 1 working",
            vec!["Resume capture"],
        ),
        (
            TrayView { pause: Some(Pause { minutes_left: None }), ..here() },
            Icon::Paused,
            "Running on localhost:8765 · capture paused",
            vec!["Resume capture"],
        ),
        (
            TrayView { degraded: Some("the disk is full".to_owned()), waiting: vec![waiting("a")], ..here() },
            Icon::Warning,
            "Running on localhost:8765 · the disk is full · 1 needs you",
            vec!["> Needs you (1)", "  a"],
        ),
        (
            TrayView { hooks: HooksState::Installed, starts_at_login: true, notifications: false, ..here() },
            Icon::Serving,
            "Running on localhost:8765",
            vec!["[ ] Notifications", "Hooks: installed", "[x] Start at login"],
        ),
        (
            TrayView { hooks: HooksState::Broken("The hook /x is missing.".to_owned()), ..here() },
            Icon::Serving,
            "Running on localhost:8765",
            vec!["Hooks: The hook /x is missing."],
        ),
        (
            TrayView {
                server: View { serving: Serving::Here(runfile(8765)), refused: Some(refused.to_owned()) },
                ..here()
            },
            Icon::Serving,
            "Running on localhost:8765",
            vec!["(Port 8766 is in use by node (pid 7))"],
        ),
        (
            view(Serving::Here(runfile(9000))),
            Icon::Serving,
            "Running on localhost:9000",
            vec!["> Port 9000", "  [x] 9000 (current)", "  [ ] 8765 (free)"],
        ),
        (
            view(Serving::Elsewhere(runfile(8765))),
            Icon::Serving,
            "Attached to the monitor on localhost:8765 (pid 4242)",
            vec!["Quit (the server goes on)"],
        ),
        (view(Serving::Stopped { port: 8765 }), Icon::Stopped, "Stopped", stopped.clone()),
        (
            view(failed(None)),
            Icon::Warning,
            "Not running: port 8765 is already in use by node (pid 7)",
            stopped,
        ),
        (
            view(failed(Some(Duration::from_secs(4)))),
            Icon::Warning,
            "Starting again in 4 s: port 8765 is already in use by node (pid 7)",
            [&off[..3], &off[4..], &ports_free, &["Quit"]].concat(),
        ),
    ];
    for (view, expected_icon, expected_status, expected_lines) in cases {
        assert_eq!(icon(&view), expected_icon, "{expected_status}");
        assert_eq!(status(&view), expected_status);
        let lines = differing(&view);
        let lines: Vec<_> = lines.iter().filter(|line| **line != format!("({expected_status})")).collect();
        assert_eq!(lines, expected_lines, "{expected_status}");
    }
}

#[test]
fn nobody_is_said_to_wait_or_work_when_nobody_serves() {
    let view = TrayView { working: 1, waiting: vec![waiting("a")], ..view(Serving::Stopped { port: 8765 }) };
    assert_eq!(status(&view), "Stopped");
    assert!(!lines(&menu(&view)).iter().any(|line| line.contains("Needs you")));
}

#[test]
fn a_long_queue_ends_in_the_number_of_the_rest() {
    let waiting = (0..13).map(|number| waiting(&number.to_string())).collect();
    let view = TrayView { waiting, ..view(Serving::Here(runfile(8765))) };
    let lines = differing(&view);
    assert_eq!(lines[1], "> Needs you (13)");
    assert_eq!(
        lines[2..],
        ["  0", "  1", "  2", "  3", "  4", "  5", "  6", "  7", "  8", "  9", "  3 more…"]
    );
}
