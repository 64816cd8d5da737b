//! Claims about a store whose files, or whose whole home, vanish while the monitor serves: nothing is acknowledged that is
//! not found after a restart, and what happened is told.
#![cfg(unix)]

use std::fs;
use std::io::Write;
use std::os::unix::fs::{chown, symlink};
use std::path::{Path, PathBuf};

use e2e::{Monitor, free_port, hook, prompt, wait_until};
use protocol::names;
use protocol::paths::Home;
use rusqlite::Connection;

/// A user who is not the one of these tests.
const SOMEBODY: u32 = 54_321;

fn database(monitor: &Monitor) -> PathBuf {
    Home::at(monitor.home()).database()
}

fn remove(path: &Path) {
    fs::remove_file(path).unwrap_or_else(|cause| panic!("{}: {cause}", path.display()));
}

fn side(monitor: &Monitor, side: &str) -> PathBuf {
    PathBuf::from(format!("{}-{side}", database(monitor).display()))
}

fn store(monitor: &Monitor) -> String {
    monitor.assert_healthy()["store"].as_str().expect("text").to_owned()
}

/// Lets something happen to the files of a monitor that holds events and gets more right after, then crashes it. Nothing
/// is missing.
#[track_caller]
fn check(what: &str, happen: impl Fn(&Monitor)) {
    let monitor = Monitor::start();
    let sessions: Vec<String> = (0..10).map(|number| format!("s-{number}")).collect();
    let (before, after) = sessions.split_at(3);
    before.iter().for_each(|session| monitor.event(prompt(session, "before")));
    // A reader that is open goes on with the files that it has.
    assert_eq!(monitor.events("").sessions(), before, "{what}");
    let epoch = epoch(&monitor);
    happen(&monitor);
    after.iter().for_each(|session| monitor.event(prompt(session, "after")));
    assert_eq!(monitor.events("").sessions(), sessions, "{what}: as it is read");
    // The index of the log is looked at only when nobody waits.
    wait_until(&format!("it says that {what}"), || store(&monitor) != "ok");
    let told = store(&monitor);
    assert!(told.starts_with("degraded: its files were") && told.contains("is back in"), "{what}: {told}");
    assert!(told.ends_with("told until the next start"), "how that ends: {told}");
    let monitor = monitor.crash().restart();
    assert_eq!(monitor.events("").sessions(), sessions, "{what}: after a restart");
    assert_eq!((store(&monitor).as_str(), self::epoch(&monitor)), ("ok", epoch), "{what}");
    // Positions go on, and the log of changes that is written now is the one that is read.
    monitor.event(prompt("s-10", "at last"));
    assert_eq!(monitor.events("").events.last().expect("events").seq, 11, "{what}");
    monitor.stop();
}

fn epoch(monitor: &Monitor) -> String {
    let connection = Connection::open(database(monitor)).expect("there is a database");
    let epoch = connection.query_row("SELECT value FROM meta WHERE name = 'epoch'", [], |row| row.get(0));
    epoch.expect("it has an epoch")
}

#[test]
fn nothing_is_lost_with_the_files_of_the_database() {
    check("the database was removed", |monitor| remove(&database(monitor)));
    let elsewhere = tempfile::tempdir().expect("a temporary folder can be made");
    check("a link was put in its place", |monitor| {
        let target = elsewhere.path().join("events.db");
        fs::copy(database(monitor), &target).expect("it can be copied");
        remove(&database(monitor));
        symlink(&target, database(monitor)).expect("a link can be made");
    });
    check("it was moved away and linked to", |monitor| {
        let target = monitor.home().join("moved.db");
        fs::rename(database(monitor), &target).expect("it can be moved");
        symlink(&target, database(monitor)).expect("a link can be made");
    });
    check("its log was removed", |monitor| remove(&side(monitor, "wal")));
    check("the index of its log was removed", |monitor| remove(&side(monitor, "shm")));
    check("everything of it was removed", |monitor| {
        [database(monitor), side(monitor, "wal"), side(monitor, "shm")].iter().for_each(|path| remove(path));
    });
    check("its folder was removed", |monitor| {
        fs::remove_dir_all(Home::at(monitor.home()).monitor()).expect("it can be removed");
    });
}

#[test]
fn nothing_is_lost_with_the_home() {
    check("it was removed", |monitor| fs::remove_dir_all(monitor.home()).expect("it can be removed"));
    let elsewhere = tempfile::tempdir().expect("a temporary folder can be made");
    check("it was moved away", |monitor| {
        fs::rename(monitor.home(), elsewhere.path().join("home")).expect("it can be moved");
    });
}

#[test]
fn another_database_in_its_place_is_kept_beside_it() {
    let name = "events.replaced-";
    let monitor = Monitor::start();
    monitor.event(prompt("s-1", "in the backup"));
    let backup = monitor.home().join("backup.db");
    let connection = Connection::open(database(&monitor)).expect("there is a database");
    connection.execute("VACUUM INTO ?1", [backup.to_str().expect("text")]).expect("a backup can be made");
    drop(connection);
    monitor.event(prompt("s-2", "after it"));
    fs::rename(&backup, database(&monitor)).expect("it can be restored");
    monitor.event(prompt("s-3", "into the store that is served"));
    let told = store(&monitor);
    assert!(told.contains("replaced") && told.contains(name), "{told}");
    let monitor = monitor.crash().restart();
    assert_eq!(monitor.events("").sessions(), ["s-1", "s-2", "s-3"]);
    let folder = fs::read_dir(Home::at(monitor.home()).monitor()).expect("our folder");
    let mut paths = folder.map(|entry| entry.expect("an entry").path());
    let aside = paths.find(|path| path.to_string_lossy().contains(name)).expect("it is kept");
    let aside = Connection::open(aside).expect("a database");
    let count: u64 =
        aside.query_row("SELECT count(*) FROM events", [], |row| row.get(0)).expect("a whole one");
    assert_eq!(count, 1, "as it was when it was put there");
}

/// Writes into the file of the database that a monitor has open, as `cp` and `: >` do.
fn overwrite(path: &Path, content: &[u8]) {
    let file = fs::OpenOptions::new().write(true).truncate(true).open(path);
    file.and_then(|mut file| file.write_all(content)).expect("it can be written");
}

#[test]
fn nothing_is_acknowledged_into_a_database_that_was_overwritten_and_the_next_start_tells_where_it_is() {
    let backup = |monitor: &Monitor| {
        let copy = monitor.home().join("backup.db");
        let connection = Connection::open(database(monitor)).expect("there is a database");
        connection.execute("VACUUM INTO ?1", [copy.to_str().expect("text")]).expect("a backup can be made");
        fs::read(copy).expect("it can be read")
    };
    type Content<'c> = &'c dyn Fn(&Monitor) -> Vec<u8>;
    let contents: [(&str, Content<'_>); 4] = [
        ("a backup", &|monitor| {
            let content = backup(monitor);
            monitor.event(prompt("s-1", "after the backup"));
            let copied = Connection::open(database(monitor)).expect("there is a database").query_row(
                "PRAGMA wal_checkpoint(PASSIVE)",
                [],
                |row| Ok((row.get::<_, i64>(1)?, row.get::<_, i64>(2)?)),
            );
            assert!(copied.is_ok_and(|(all, copied)| all == copied), "all is in the file");
            content
        }),
        ("nothing", &|_| Vec::new()),
        ("no database", &|_| b"no database ".repeat(5000)),
        ("half of it", &|monitor| {
            let mut half = backup(monitor);
            half.truncate(half.len() / 2);
            half
        }),
    ];
    for (what, content) in contents {
        let monitor = Monitor::start();
        monitor.event(prompt("s-1", "before"));
        let content = content(&monitor);
        overwrite(&database(&monitor), &content);
        for number in 0..3 {
            let refused = monitor.post(names::EVENTS, prompt("s-2", &format!("refused {number}")));
            assert_eq!(refused.status, 503, "{what}: {refused:?}");
            let message = refused.json()["message"].as_str().expect("text").to_owned();
            assert!(message.contains("another program wrote into"), "{what}: {message}");
            assert!(message.contains("claude-mpm-monitor restart"), "the way out: {message}");
        }
        assert!(store(&monitor).contains("another program wrote into"), "{what}: {}", store(&monitor));
        let status = String::from_utf8_lossy(&monitor.cli(&["status"]).stdout).into_owned();
        assert!(status.contains("another program wrote into"), "{what}: {status}");

        let monitor = monitor.crash().restart();
        let told = store(&monitor);
        assert!(told.contains("set aside as") && told.contains("events.damaged-"), "{what}: {told}");
        let status = String::from_utf8_lossy(&monitor.cli(&["status"]).stdout).into_owned();
        assert!(status.contains("events.damaged-"), "{what}: {status}");
        monitor.event(prompt("s-3", "after"));
        let monitor = monitor.stop().restart();
        assert_eq!(
            (monitor.events("").sessions(), store(&monitor)),
            (vec!["s-3".to_owned()], "ok".to_owned())
        );
        monitor.stop();
    }
}

#[test]
fn a_monitor_that_crashed_right_after_its_database_was_emptied_tells_it() {
    let monitor = Monitor::start();
    monitor.event(prompt("s-1", "before"));
    let path = database(&monitor);
    let crashed = monitor.crash();
    overwrite(&path, b"");
    let told = store(&crashed.restart());
    assert!(told.contains("set aside as") && told.contains("events.damaged-"), "{told}");
}

#[test]
fn a_database_into_which_others_write_by_its_rules_is_served_on() {
    let monitor = Monitor::start();
    monitor.event(prompt("s-1", "before"));
    let connection = Connection::open(database(&monitor)).expect("there is a database");
    let copied: (i64, i64) = connection
        .query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| Ok((row.get(1)?, row.get(2)?)))
        .expect("its log can be copied into it");
    assert!(copied.1 > 0, "something was to be copied");
    monitor.event(prompt("s-2", "after"));
    let now = fs::File::options().write(true).open(database(&monitor)).expect("it can be opened");
    now.set_modified(std::time::SystemTime::UNIX_EPOCH).expect("it can be touched");
    monitor.event(prompt("s-3", "at last"));
    assert_eq!(store(&monitor), "ok");
    assert_eq!(monitor.crash().restart().events("").sessions(), ["s-1", "s-2", "s-3"]);
}

#[test]
fn nothing_is_acknowledged_while_the_home_is_another_users() {
    let elsewhere = tempfile::tempdir().expect("a temporary folder can be made");
    let theirs = elsewhere.path().join("theirs");
    fs::create_dir(&theirs).expect("a folder can be made");
    chown(&theirs, Some(SOMEBODY), Some(SOMEBODY))
        .expect("this test must run as root, who can give files away");
    let monitor = Monitor::start();
    monitor.event(prompt("s-1", "before"));
    let kept = elsewhere.path().join("kept");
    fs::rename(monitor.home(), &kept).expect("it can be moved");
    symlink(&theirs, monitor.home()).expect("a link can be made");

    for number in 0..3 {
        let refused = monitor.post(names::EVENTS, prompt("s-1", &format!("refused {number}")));
        assert_eq!(refused.status, 503, "{refused:?}");
        let error = refused.json();
        let message = error["message"].as_str().expect("text");
        assert_eq!(error["code"], "store_failed");
        assert!(
            message.contains("no longer where it belongs") && message.contains("another user"),
            "{message}"
        );
    }
    assert!(store(&monitor).contains("no longer where it belongs"), "{}", store(&monitor));
    assert_eq!(fs::read_dir(&theirs).expect("a folder").count(), 0, "nothing of ours is put there");

    fs::remove_file(monitor.home()).expect("the link is ours");
    fs::rename(&kept, monitor.home()).expect("it can be moved back");
    monitor.event(prompt("s-2", "after"));
    assert_eq!(store(&monitor), "ok", "nothing had to be put back");
    let sessions = monitor.crash().restart().events("").sessions();
    assert_eq!(
        (sessions.first().map(String::as_str), sessions.last().map(String::as_str)),
        (Some("s-1"), Some("s-2"))
    );
}

#[test]
fn a_link_in_place_of_its_folder_is_refused_until_the_folder_is_back() {
    let elsewhere = tempfile::tempdir().expect("a temporary folder can be made");
    let moved = elsewhere.path().join("moved");
    let monitor = Monitor::start();
    monitor.event(prompt("s-1", "before"));
    let folder = Home::at(monitor.home()).monitor();
    fs::rename(&folder, &moved).expect("it can be moved");
    symlink(&moved, &folder).expect("a link can be made");
    let refused = monitor.post(names::EVENTS, prompt("s-2", "refused"));
    assert_eq!(refused.status, 503, "{refused:?}");
    let link = format!("{} is a link to {}", folder.display(), moved.display());
    for told in [refused.json()["message"].as_str().expect("text").to_owned(), store(&monitor)] {
        assert!(told.contains(&link) && told.contains("CLAUDE_MPM_HOME"), "{told}");
    }
    let port = free_port().to_string();
    let start = monitor.cli(&["start", "--foreground", "--port", &port]);
    let said = String::from_utf8_lossy(&start.stderr);
    assert!(!start.status.success() && said.contains(&link), "{start:?}");
    assert!(said.contains("put what it leads to in its place"), "the way out: {said}");

    remove(&folder);
    fs::rename(&moved, &folder).expect("it can be moved back");
    monitor.event(prompt("s-3", "after"));
    assert_eq!(store(&monitor), "ok", "nothing had to be put back");
    let sessions = monitor.crash().restart().events("").sessions();
    assert!(["s-1", "s-3"].iter().all(|kept| sessions.iter().any(|session| session == kept)), "{sessions:?}");
}

#[test]
fn a_monitor_that_nobody_writes_to_notices_it_too() {
    let monitor = Monitor::start();
    monitor.event(prompt("s-1", "before"));
    remove(&database(&monitor));
    wait_until("it is back", || database(&monitor).exists());
    wait_until("it is told", || store(&monitor).contains("is back in"));
    assert_eq!(monitor.crash().restart().events("").sessions(), ["s-1"]);
}

#[test]
fn a_monitor_that_stops_leaves_its_store_where_it_belongs() {
    let monitor = Monitor::start();
    monitor.event(prompt("s-1", "before"));
    remove(&database(&monitor));
    assert_eq!(monitor.stop().restart().events("").sessions(), ["s-1"]);
}

#[test]
fn whoever_looks_for_the_monitor_finds_it_again_after_the_home_was_removed() {
    let monitor = Monitor::start();
    let home = Home::at(monitor.home());
    let runfile = fs::read(home.runfile(monitor.port())).expect("a serving monitor has a runfile");
    fs::remove_dir_all(home.folder()).expect("it can be removed");
    wait_until("the runfile is back", || {
        fs::read(home.runfile(monitor.port())).is_ok_and(|now| now == runfile)
    });
    hook(monitor.home(), &[], &prompt("s-1", "through the hook").to_string());
    monitor.wait_for_spool();
    assert_eq!(monitor.events("").sessions(), ["s-1"]);
    let again = monitor.cli(&["start", "--foreground", "--port", &monitor.port().to_string()]);
    let said = String::from_utf8_lossy(&again.stdout);
    assert!(said.contains("already running") && said.contains(&monitor.pid().to_string()), "{again:?}");
    let port = free_port().to_string();
    assert!(monitor.cli(&["start", "--port", &port]).status.success(), "another one can run beside it");
    let own = home.monitor().join(format!("events-{port}.db"));
    assert!(own.exists(), "with a store of its own: the lock of the first one's is seen");
    assert!(monitor.cli(&["stop", "--port", &port]).status.success());
    monitor.stop();
}
