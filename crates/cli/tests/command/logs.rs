//! The log of a background server: bounded, followed across its rotation, and quoted when a start fails.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::Stdio;

use crate::support::{Desk, Ran, request, wait_for};

/// A desk whose servers log every refused request, to files of 4 KiB, three of them.
fn chatty() -> Desk {
    let desk = Desk::new();
    desk.configure(r#"{ "log_level": "DEBUG", "log_file_kib": 4, "log_files": 3 }"#);
    desk
}

/// Has one line logged that names this path.
fn log_line(desk: &Desk, path: &str) {
    let answer = request(desk.port, path, "another.example");
    assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
}

/// The log's files, the oldest first, as text.
fn files(desk: &Desk) -> Vec<String> {
    host::log_parts(&desk.home.log(desk.port)).iter().map(|part| fs::read_to_string(part).unwrap()).collect()
}

#[test]
fn a_log_stays_under_its_cap_and_its_end_is_shown() {
    let desk = chatty();
    assert_eq!(desk.run("start").code, Some(0));
    for number in 1..=200 {
        log_line(&desk, &format!("/line/{number}"));
    }
    wait_for(|| files(&desk).last()?.contains("/line/200").then_some(())).expect("it is logged");
    let files = files(&desk);
    assert_eq!(files.len(), 3, "it was rotated");
    assert!(files.iter().all(|file| file.len() <= 4096 && file.ends_with('\n')), "{files:?}");
    let logs = desk.run("logs --lines 40");
    assert_eq!((logs.code, logs.out.lines().count()), (Some(0), 40), "{logs:?}");
    let numbers: Vec<_> = (161..=200).map(|number| format!("/line/{number}\"")).collect();
    assert!(logs.out.lines().zip(&numbers).all(|(line, path)| line.contains(path.as_str())), "{logs:?}");
    let all = desk.run(&format!("logs --port {} -n 1000", desk.port));
    assert_eq!(all.out, files.concat());
    assert_eq!(desk.run("stop").code, Some(0));
}

#[test]
fn a_follower_sees_every_line_across_rotation_and_a_restart() {
    let desk = chatty();
    assert_eq!(desk.run("start").code, Some(0));
    let mut follower = desk.command("logs --follow --lines 0").stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(follower.stdout.take().unwrap()).lines();
    let mut seen = Vec::new();
    let mut see = |path: &str| {
        loop {
            let line = lines.next().expect("the follower goes on").unwrap();
            let at = line.find("/line/").and_then(|at| line[at..].split('"').next()).map(str::to_owned);
            seen.extend(at.clone());
            if at.as_deref() == Some(path) {
                return;
            }
        }
    };
    // It shows none of the old lines, so it must have begun before the first new one.
    wait_for(|| {
        let started = fs::read_dir(format!("/proc/{}/fd", follower.id())).ok()?.filter_map(|fd| {
            fs::read_link(fd.ok()?.path()).ok().filter(|file| *file == desk.home.log(desk.port))
        });
        started.count().checked_sub(1)
    })
    .expect("it has the log open");
    for number in 1..=100 {
        log_line(&desk, &format!("/line/{number}"));
    }
    see("/line/100");
    assert_eq!(desk.run("stop").code, Some(0));
    assert_eq!(desk.run("start").code, Some(0));
    log_line(&desk, "/line/101");
    see("/line/101");
    assert_eq!(seen, (1..=101).map(|number| format!("/line/{number}")).collect::<Vec<_>>());
    follower.kill().unwrap();
    follower.wait().unwrap();
    assert_eq!(desk.run("stop").code, Some(0));
}

#[test]
fn a_log_goes_where_the_user_wants_it() {
    let desk = Desk::new();
    let path = desk.path("elsewhere/my.log");
    desk.configure(&format!(r#"{{ "log_file_path": {path:?} }}"#));
    assert_eq!(desk.run("start").code, Some(0));
    assert!(desk.run("logs").out.contains("serving"), "a background server logs what it does");
    assert!(path.exists() && !desk.home.log(desk.port).exists());
    assert_eq!(desk.run("stop").code, Some(0));
}

#[test]
fn a_server_in_a_terminal_logs_to_a_file_when_the_user_wants_it() {
    let desk = Desk::new();
    let none = desk.run("logs");
    assert_eq!(none.code, Some(1), "{none:?}");
    assert!(none.err.contains("there is no log") && none.err.contains("log_to_file"), "{none:?}");
    desk.configure(r#"{ "log_to_file": true, "log_level": "INFO" }"#);
    let (server, _) = desk.serve("", desk.port);
    assert!(desk.run("logs").out.contains("serving"));
    server.signal(rustix::process::Signal::TERM);
    assert!(server.ended().err.contains("serving"), "and to standard error as ever");
}

#[test]
fn how_much_is_logged_and_for_whom_can_be_said_at_the_start() {
    let desk = Desk::new();
    assert_eq!(desk.run("start --log-level DEBUG --log-format json").code, Some(0));
    // The first refusal of a minute is a warning, the others are for who wants to know everything.
    log_line(&desk, "/first");
    log_line(&desk, "/asked/for");
    let said = || files(&desk).concat().lines().find(|line| line.contains("/asked/for")).map(str::to_owned);
    let line = wait_for(said).expect("it is logged");
    let line: serde_json::Value = serde_json::from_str(&line).expect("each line is JSON");
    assert_eq!(line["level"], "DEBUG", "{line}");
    assert_eq!(desk.run("stop").code, Some(0));
    let wrong = desk.run("start --log-format xml");
    assert_eq!(wrong.code, Some(2), "{wrong:?}");
}

#[test]
fn a_start_that_fails_tells_the_last_lines_of_the_log() {
    let desk = Desk::new();
    // A folder where the database should be.
    fs::create_dir_all(desk.home.database()).unwrap();
    let start = desk.run("start");
    assert_eq!(start.code, Some(1), "{start:?}");
    assert!(start.err.contains("could not open the event store"), "{start:?}");
    let logs = desk.run("logs");
    assert!(logs.out.contains("could not open the event store"), "it is in the log too: {logs:?}");
}

#[test]
fn a_log_that_cannot_be_written_is_an_error_of_the_start() {
    let desk = Desk::new();
    let folder = desk.path("a folder");
    fs::create_dir_all(&folder).unwrap();
    desk.configure(&format!(r#"{{ "log_file_path": {folder:?} }}"#));
    let start = desk.command("start").output().map(Ran::from).unwrap();
    assert_eq!(start.code, Some(1), "{start:?}");
    assert!(start.err.contains("could not open the log"), "{start:?}");
}
