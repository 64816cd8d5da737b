//! Following a real monitor: history, then live, across restarts, moves and a new store, with nothing lost and
//! nothing twice.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use client::{Error, Follow, Monitor, Part, Query, Reconnection, Start, Update};
use host::{Config, Host};
use protocol::Seq;
use protocol::paths::Home;
use protocol::stream::Filter;

/// Only reached when something is broken.
const LIMIT: Duration = Duration::from_secs(60);

/// What a follower said, in short.
#[derive(Debug, PartialEq)]
enum Said {
    Event(u64, String),
    CaughtUp,
    Lost,
    Back(String),
    StartedOver,
}

struct Follower(Receiver<Said>);

impl Follower {
    fn start(follow: Follow) -> Self {
        let (sender, said) = channel();
        std::thread::spawn(move || {
            for update in follow {
                let said = match update.unwrap() {
                    Update::Events(events) => events
                        .into_iter()
                        .map(|event| Said::Event(event.row.seq.0, event.row.summary))
                        .collect(),
                    Update::CaughtUp => vec![Said::CaughtUp],
                    Update::Lost { .. } => vec![Said::Lost],
                    Update::Back { url } => vec![Said::Back(url)],
                    Update::StartedOver => vec![Said::StartedOver],
                };
                if said.into_iter().any(|said| sender.send(said).is_err()) {
                    return;
                }
            }
        });
        Self(said)
    }

    #[track_caller]
    fn hears(&self, expected: &[Said]) {
        for expected in expected {
            assert_eq!(&self.0.recv_timeout(LIMIT).unwrap(), expected);
        }
    }
}

fn event(seq: u64, text: &str) -> Said {
    Said::Event(seq, format!("Prompt  {text}"))
}

fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}

async fn start(home: &Home, port: u16) -> Host {
    let config = Config { host: "127.0.0.1".to_owned(), port, ..Config::default() };
    Host::start(config, home.clone(), None).await.unwrap()
}

/// Asks a blocking question beside the server.
async fn blocking<T: Send + 'static>(ask: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(ask).await.unwrap()
}

async fn post(port: u16, texts: &'static [&'static str]) {
    blocking(move || {
        for text in texts {
            let event = format!(
                r#"{{"hook_event_name":"UserPromptSubmit","session_id":"{}","prompt":"{text}"}}"#,
                if text.starts_with("other") { "other" } else { "s" }
            );
            Monitor::at("127.0.0.1", port).post_event(&event).unwrap();
        }
    })
    .await;
}

async fn hears(follower: Follower, expected: Vec<Said>) -> Follower {
    blocking(move || {
        follower.hears(&expected);
        follower
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_misses_nothing_over_a_stop_and_a_start_on_another_port() {
    let folder = tempfile::tempdir().unwrap();
    let home = Home::at(folder.path());
    let (first, second) = (free_port(), free_port());
    let host = start(&home, first).await;
    post(first, &["one", "two", "three"]).await;
    let follow =
        Follow::new(Monitor::at("127.0.0.1", first), Query::default(), Start::Newest(2)).in_home(&home);
    let follower = Follower::start(follow);
    let follower = hears(follower, vec![event(2, "two"), event(3, "three"), Said::CaughtUp]).await;
    post(first, &["four"]).await;
    let follower = hears(follower, vec![event(4, "four")]).await;
    host.stop().await.unwrap();
    let follower = hears(follower, vec![Said::Lost]).await;
    let host = start(&home, second).await;
    post(second, &["five"]).await;
    let back = Said::Back(format!("http://127.0.0.1:{second}"));
    hears(follower, vec![back, event(5, "five")]).await;
    host.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_that_may_look_three_times_ends_after_that() {
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let host = start(&Home::at(folder.path()), port).await;
    post(port, &["one"]).await;
    let reconnection = Reconnection { delay_max: Duration::from_millis(10), attempts_max: Some(3) };
    let follow = Follow::new(Monitor::at("127.0.0.1", port), Query::default(), Start::Newest(1));
    let mut follow = follow.reconnecting(reconnection);
    let mut follow = blocking(move || {
        assert!(matches!(follow.next(), Some(Ok(Update::Events(events))) if events.len() == 1));
        assert!(matches!(follow.next(), Some(Ok(Update::CaughtUp))));
        follow
    })
    .await;
    host.stop().await.unwrap();
    blocking(move || {
        assert!(matches!(follow.next(), Some(Ok(Update::Lost { .. }))));
        let Some(Err(Error::Unreachable { reason, .. })) = follow.next() else { panic!("it gives up") };
        assert!(reason.ends_with("in vain 3 times"), "{reason}");
        assert!(follow.next().is_none(), "it has ended");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_that_finds_the_runfile_shows_the_token_after_a_restart_too() {
    let folder = tempfile::tempdir().unwrap();
    let home = Home::at(folder.path());
    let (first, second) = (free_port(), free_port());
    let start = async |port| {
        let config = Config { host: "127.0.0.1".to_owned(), port, require_token: true, ..Config::default() };
        Host::start(config, home.clone(), None).await.unwrap()
    };
    let host = start(first).await;
    let stranger =
        blocking(move || Monitor::at("127.0.0.1", first).history(&Query::default(), Part::Newest, 1));
    assert!(matches!(stranger.await, Err(Error::Refused { status: 401, .. })), "the token is asked for");
    let found = {
        let home = home.clone();
        blocking(move || client::discover(&home, |_| None)).await
    };
    let monitor = client::best(&found, folder.path()).unwrap().monitor.clone();
    let sender = monitor.clone();
    blocking(move || sender.post_event(&prompt("one")).unwrap()).await;
    let follow = Follow::new(monitor, Query::default(), Start::Newest(1)).in_home(&home);
    let follower = hears(Follower::start(follow), vec![event(1, "one"), Said::CaughtUp]).await;
    host.stop().await.unwrap();
    let follower = hears(follower, vec![Said::Lost]).await;
    let host = start(second).await;
    let follower = hears(follower, vec![Said::Back(format!("http://127.0.0.1:{second}"))]).await;
    let sender = host.monitor();
    blocking(move || sender.post_event(&prompt("two")).unwrap()).await;
    hears(follower, vec![event(2, "two")]).await;
    host.stop().await.unwrap();
}

fn prompt(text: &str) -> String {
    format!(r#"{{"hook_event_name":"UserPromptSubmit","session_id":"s","prompt":"{text}"}}"#)
}

/// A monitor that answers one question: that it moves.
fn moving(to: &str, epoch: &str) -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let ending = format!(r#"{{"reason":"restart","url":"{to}"}}"#);
    let page =
        format!(r#"{{"events":[],"has_more":false,"position":0,"epoch":"{epoch}","ending":{ending}}}"#);
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        BufReader::new(stream.try_clone().unwrap()).lines().find(|line| line.as_ref().unwrap().is_empty());
        write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{page}", page.len()).unwrap();
    });
    port
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_without_a_home_goes_where_the_restarting_monitor_says() {
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let host = start(&Home::at(folder.path()), port).await;
    post(port, &["one"]).await;
    let ask = move || Monitor::at("127.0.0.1", port).history(&Query::default(), Part::Newest, 1).unwrap();
    let epoch = blocking(ask).await.epoch;
    let url = format!("http://127.0.0.1:{port}");
    let monitor = Monitor::at("127.0.0.1", moving(&url, &epoch));
    let follower = Follower::start(Follow::new(monitor, Query::default(), Start::After(Seq(0))));
    hears(follower, vec![Said::CaughtUp, Said::Lost, Said::Back(url), event(1, "one")]).await;
    host.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_store_starts_the_following_over() {
    let (folder, another) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let port = free_port();
    let host = start(&Home::at(folder.path()), port).await;
    post(port, &["one", "two"]).await;
    let follow = Follow::new(Monitor::at("127.0.0.1", port), Query::default(), Start::Newest(0));
    let follower = hears(Follower::start(follow), vec![Said::CaughtUp]).await;
    host.stop().await.unwrap();
    let host = start(&Home::at(another.path()), port).await;
    post(port, &["new"]).await;
    let url = format!("http://127.0.0.1:{port}");
    let follower = hears(follower, vec![Said::Lost, Said::Back(url), Said::StartedOver]).await;
    // It may be back before the event is there.
    let rest =
        blocking(move || [follower.0.recv_timeout(LIMIT).unwrap(), follower.0.recv_timeout(LIMIT).unwrap()]);
    let rest = rest.await;
    assert!(rest.contains(&event(1, "new")) && rest.contains(&Said::CaughtUp), "{rest:?}");
    host.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_holds_for_history_and_for_what_comes() {
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let host = start(&Home::at(folder.path()), port).await;
    post(port, &["other one", "two", "other three"]).await;
    let filter = Filter { session: Some("s".to_owned()), ..Filter::default() };
    let query = Query { filter, ..Query::default() };
    let follow = Follow::new(Monitor::at("127.0.0.1", port), query, Start::Newest(5));
    let follower = hears(Follower::start(follow), vec![event(2, "two"), Said::CaughtUp]).await;
    post(port, &["other four", "five"]).await;
    hears(follower, vec![event(5, "five")]).await;
    host.stop().await.unwrap();
}
