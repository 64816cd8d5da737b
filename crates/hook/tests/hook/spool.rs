//! The hook without a server that takes its event: nothing is lost and nobody waits.

use std::fs;
use std::io::Write;
use std::net::TcpListener;
use std::process::Command;

use crate::support::{Server, User, assert_invisible};
use protocol::spool::{BLOCKS_MAX, LOST_BYTES, REFUSED, USAGE};

/// A port that refuses connections.
fn closed_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[test]
fn without_a_server_events_lie_in_the_spool_in_order() {
    let user = User::new().with_runfile(closed_port(), None);
    let payloads = ["{\"n\":1}", "{\"n\":2}", "{\"n\":3}"];
    for payload in payloads {
        user.run(payload.as_bytes());
    }
    let spooled = user.spooled();
    let kept: Vec<&str> = spooled.iter().map(|body| body.payload.get()).collect();
    assert_eq!(kept, payloads);
}

#[test]
fn nothing_is_posted_to_a_port_that_this_user_named_nowhere() {
    let stranger = Server::up();
    let user = User::new();
    fs::write(user.home().config(), format!(r#"{{"port":{}}}"#, stranger.port)).unwrap();
    user.run(b"{}");
    assert_eq!(user.spooled().len(), 1);
    assert!(stranger.got_nothing(), "a configured port says nothing about who listens there");
}

#[cfg(unix)]
#[test]
fn nothing_is_posted_to_the_port_of_a_crashed_server() {
    let stranger = Server::up();
    let mut crashed = Command::new("true").spawn().unwrap();
    crashed.wait().unwrap();
    let user = User::new().with_runfile_of(crashed.id(), None, stranger.port, None);
    user.run(b"{}");
    assert_eq!(user.spooled().len(), 1);
    assert!(stranger.got_nothing(), "another user may have taken the port");
}

#[cfg(target_os = "linux")]
#[test]
fn the_runfile_of_a_server_that_ended_leads_nowhere_before_its_parent_has_asked_how() {
    let stranger = Server::up();
    let mut ended = Command::new("true").spawn().unwrap();
    let pid = rustix::process::Pid::from_child(&ended);
    let is_over = rustix::process::WaitIdOptions::EXITED | rustix::process::WaitIdOptions::NOWAIT;
    rustix::process::waitid(rustix::process::WaitId::Pid(pid), is_over).unwrap();
    let stat = fs::read_to_string(format!("/proc/{}/stat", ended.id())).unwrap();
    let ticks = stat.rsplit(' ').nth(stat.split(' ').count() - 22).unwrap().parse().unwrap();
    let user = User::new().with_runfile_of(ended.id(), Some(ticks), stranger.port, None);
    user.run(b"{}");
    assert_eq!(user.spooled().len(), 1);
    assert!(stranger.got_nothing(), "its port is another's by now");
    ended.wait().unwrap();
}

#[cfg(unix)]
#[test]
fn whatever_stands_in_place_of_the_configuration_is_not_waited_for() {
    let server = Server::up();
    for plant in ["mkfifo", "ln -s /dev/zero", "mkdir"] {
        let user = User::new().with_runfile(server.port, None);
        let words = format!("{plant} {}", user.home().config().display());
        assert!(Command::new("sh").args(["-c", &words]).status().unwrap().success());
        user.run(b"{}");
        assert_eq!(server.next().payload.get(), "{}", "{plant}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn the_runfile_of_a_crashed_server_leads_nowhere_when_another_process_has_its_pid() {
    let (stranger, server) = (Server::up(), Server::up());
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let ticks = protocol::runfile::start_ticks(&stat).unwrap();
    let pid = std::process::id();
    let user = User::new().with_runfile_of(pid, Some(ticks - 1), stranger.port, None);
    user.run(b"{}");
    assert_eq!(user.spooled().len(), 1);
    assert!(stranger.got_nothing(), "another user may have taken the port");
    let user = user.with_runfile_of(pid, Some(ticks), server.port, None);
    user.run(b"{}");
    server.next();
}

#[test]
fn a_server_that_never_answers_is_given_up_and_the_same_event_is_spooled() {
    let server = Server::answering("");
    let user = User::new().with_runfile(server.port, None);
    user.run(b"{}");
    let [spooled] = &user.spooled()[..] else { panic!("one event is spooled") };
    assert_eq!(spooled.id, server.next().id, "so that the server can tell that it has it already");
}

#[test]
fn a_server_that_never_accepts_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap(); // connections wait in its queue
    let user = User::new().with_runfile(listener.local_addr().unwrap().port(), None);
    user.run(b"{}");
    assert_eq!(user.spooled().len(), 1);
}

#[test]
fn an_event_that_the_server_refuses_is_spooled() {
    for answer in ["HTTP/1.1 500 Oh\r\n\r\n", "HTTP/1.1 401 Unauthorized\r\n\r\n", "nonsense, at length"] {
        let server = Server::answering(answer);
        let user = User::new().with_runfile(server.port, None);
        user.run(b"{}");
        assert_eq!(user.spooled().len(), 1, "{answer:?}");
    }
}

#[test]
fn an_address_that_cannot_be_posted_to_means_the_spool_and_no_other_server() {
    let server = Server::up();
    let user = User::new().with_runfile(server.port, None).with("CLAUDE_MPM_MONITOR_URL", "https://box:8765");
    user.run(b"{}");
    assert_eq!(user.spooled().len(), 1);
    assert!(server.got_nothing());
}

#[test]
fn a_full_spool_counts_what_it_refuses() {
    let user = User::new();
    let spool = user.home().spool();
    fs::create_dir_all(&spool).unwrap();
    fs::write(spool.join(USAGE), vec![b'.'; BLOCKS_MAX as usize]).unwrap();
    user.run(b"{}");
    user.run(b"{}");
    assert!(user.spooled().is_empty());
    assert_eq!(fs::metadata(spool.join(REFUSED)).unwrap().len(), 2);
}

#[test]
fn what_hooks_lose_at_the_same_moment_is_all_counted() {
    const AT_ONCE: u64 = 16;
    let user = User::new();
    fs::create_dir_all(user.home().monitor()).unwrap();
    fs::write(user.home().spool(), "a file where a folder should be").unwrap();
    let hooks: Vec<_> = (0..AT_ONCE).map(|_| user.start()).collect();
    for mut hook in hooks {
        hook.stdin.take().unwrap().write_all(b"{}").unwrap();
        assert_invisible(hook);
    }
    let counted = fs::metadata(protocol::spool::lost(&user.home().spool())).unwrap().len();
    assert_eq!(counted, LOST_BYTES - AT_ONCE);
}

#[test]
fn a_home_that_cannot_be_written_is_nobody_s_trouble() {
    let user = User::new();
    fs::write(user.home().monitor(), "a file where a folder should be").unwrap();
    user.run(b"{}");
}
