//! Claims about the store at its own surface.

use std::path::Path;
use std::sync::mpsc;

use protocol::{Row, Source, ingest};
use serde_json::value::RawValue;

use super::*;
use crate::config::Durability;

fn config(folder: &Path) -> Config {
    Config { database: folder.join("deep/events.db"), ..Config::default() }
}

fn open(config: &Config) -> (Store, mpsc::Receiver<Committed>) {
    let (sender, published) = mpsc::channel();
    let publish = move |publication| {
        if let Publication::Committed(group) = publication {
            drop(sender.send(group));
        }
    };
    let store = Store::open(config, Box::new(publish)).expect("the store opens");
    (store, published)
}

#[test]
fn durability_decides_whether_a_commit_waits_for_the_disk() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    // As SQLite counts: 1 leaves it to the system when the log reaches the disk, 2 waits for that.
    for (durability, expected) in [(Durability::Crash, 1), (Durability::Power, 2)] {
        let opened = schema::open(&folder.path().join("events.db"), durability).expect("the store opens");
        let synchronous: i64 = opened
            .connection
            .pragma_query_value(None, "synchronous", |row| row.get(0))
            .expect("SQLite knows the pragma");
        assert_eq!(synchronous, expected, "{durability:?}");
    }
}

fn event(json: &str) -> Incoming {
    let raw = RawValue::from_string(json.to_owned()).expect("the sample is JSON");
    ingest::parse(&raw, Source::Http).expect("the sample is an event")
}

fn hook(name: &str, rest: &str) -> Incoming {
    event(&format!(r#"{{"hook_event_name":"{name}","session_id":"s","cwd":"/w/shop"{rest}}}"#))
}

async fn append(store: &Store, events: Vec<Incoming>) -> Appended {
    store.append(events, Timestamp(1_000_000)).await.expect("the events are stored")
}

fn found(store: &Store, query: Query) -> Vec<u64> {
    let page = store.page(&Query { limit: 100, ..query }).expect("the query runs");
    page.events.iter().map(|(Row { seq, .. }, _)| seq.0).collect()
}

#[tokio::test]
async fn what_is_stored_comes_back_unchanged_and_in_order_also_after_a_restart() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = config(folder.path());
    let (store, published) = open(&config);
    let sent = r#"{"hook_event_name":"Stop",  "session_id":"s","x":"\u00e9"}"#;
    let appended = append(&store, vec![event(sent), hook("SessionEnd", "")]).await;
    assert_eq!(appended, Appended { seqs: vec![Seq(1), Seq(2)], stored: 2, duplicates: 0 });
    assert_eq!(published.recv().expect("the group is published").events.len(), 2);
    let epoch = store.epoch().to_owned();
    store.close();

    let (store, _published) = open(&config);
    let kept = store.event(Seq(1)).expect("the store reads").expect("the event is there");
    assert_eq!(kept.payload.get(), sent, "byte for byte");
    assert_eq!((store.last_seq(), store.epoch()), (Seq(2), epoch.as_str()));
    assert_eq!(append(&store, vec![hook("Stop", "")]).await.seqs, [Seq(3)], "positions go on");
}

#[tokio::test]
async fn an_event_sent_again_under_its_id_changes_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let (store, published) = open(&config(folder.path()));
    let same = r#"{"id":"01932b5e-7d4c-7b3a-8f00-0123456789ab","kind":"x","payload":{}}"#;
    append(&store, vec![event(same)]).await;
    let again = append(&store, vec![event(same), event(r#"{"kind":"y","payload":1}"#), event(same)]).await;
    assert_eq!(again, Appended { seqs: vec![Seq(1), Seq(2), Seq(1)], stored: 1, duplicates: 2 });
    let groups: Vec<usize> = published.try_iter().map(|group| group.events.len()).collect();
    assert_eq!(groups, [1, 1], "nothing is published twice");
}

#[tokio::test]
async fn every_filter_finds_its_events_and_no_others() {
    let folder = tempfile::tempdir().expect("a folder");
    let (store, _published) = open(&config(folder.path()));
    append(
        &store,
        vec![
            hook("SessionStart", r#","model":"m""#),
            hook("PreToolUse", r#","tool_name":"Bash","tool_input":{"command":"cargo test"}"#),
            hook("PostToolUseFailure", r#","tool_name":"Bash","error":"no such file, alas""#),
            hook("PreToolUse", r#","tool_name":"Read","agent_id":"a1","agent_type":"Explore""#),
            event(r#"{"kind":"deploy","session_id":"t","project":"/w/shopping","occurred_at":5000000000000,"payload":{"to":"staging"}}"#),
        ],
    )
    .await;
    store.indexed().await.expect("the index catches up");
    let text = |value: &str| Some(value.to_owned());
    let terms = |text: &str| Query { terms: Terms::parse(text), ..Query::default() };
    let cases = [
        (Query::default(), vec![1, 2, 3, 4, 5]),
        (Query { after: Some(Seq(2)), ..Query::default() }, vec![3, 4, 5]),
        (Query { before: Some(Seq(3)), ..Query::default() }, vec![1, 2]),
        (Query { after: Some(Seq(1)), before: Some(Seq(4)), ..Query::default() }, vec![2, 3]),
        (Query { session: text("t"), ..Query::default() }, vec![5]),
        (Query { project: text("/w/shop/"), ..Query::default() }, vec![1, 2, 3, 4]),
        (Query { project: text("/w"), ..Query::default() }, vec![1, 2, 3, 4, 5]),
        (
            Query { kinds: vec!["pre_tool".to_owned(), "deploy".to_owned()], ..Query::default() },
            vec![2, 4, 5],
        ),
        (Query { tool: text("Bash"), ..Query::default() }, vec![2, 3]),
        (Query { agent: text("Explore"), ..Query::default() }, vec![4]),
        (Query { error: Some(true), ..Query::default() }, vec![3]),
        (Query { error: Some(false), session: text("s"), ..Query::default() }, vec![1, 2, 4]),
        (Query { from: Some(Timestamp(2_000_000)), ..Query::default() }, vec![5]),
        (Query { to: Some(Timestamp(2_000_000)), ..Query::default() }, vec![1, 2, 3, 4]),
        (Query { text: text("cargo te"), ..Query::default() }, vec![2]),
        (Query { text: text("STAGING"), ..Query::default() }, vec![5]),
        (Query { text: text("tool_name"), ..Query::default() }, vec![]),
        (terms("tool:bash"), vec![2, 3]),
        (terms("tool:ba*,read"), vec![2, 3, 4]),
        (terms("-tool:bash"), vec![1, 4, 5]),
        (terms("status:error"), vec![3]),
        (terms("-status:error kind:pre_tool"), vec![2, 4]),
        (terms("agent:explore"), vec![4]),
        (terms("agent:main tool:bash"), vec![2, 3]),
        (terms("project:shop"), vec![1, 2, 3, 4]),
        (terms("project:/w"), vec![1, 2, 3, 4, 5]),
        (terms("session:t"), vec![5]),
        (terms("dur:>1s"), vec![]),
        (terms("status:nonsense"), vec![1, 2, 3, 4, 5]),
        (terms("tool:bash cargo"), vec![2]),
    ];
    for (query, expected) in cases {
        assert_eq!(found(&store, query.clone()), expected, "{query:?}");
    }
}

#[tokio::test]
async fn pages_meet_without_gap_or_overlap_in_both_directions() {
    let folder = tempfile::tempdir().expect("a folder");
    let (store, _published) = open(&config(folder.path()));
    append(&store, (0..25).map(|_| hook("Stop", "")).collect()).await;
    let (mut forward, mut backward) = (Vec::new(), Vec::new());
    let mut at = Seq(0);
    loop {
        let page = store.page(&Query { after: Some(at), limit: 10, ..Query::default() }).expect("a page");
        forward.extend(page.events.iter().map(|(row, _)| row.seq.0));
        at = Seq(*forward.last().expect("a page is not empty"));
        if !page.has_more {
            break;
        }
    }
    let mut before = None;
    loop {
        let page = store.page(&Query { before, limit: 10, ..Query::default() }).expect("a page");
        let seqs: Vec<u64> = page.events.iter().map(|(row, _)| row.seq.0).collect();
        before = seqs.first().copied().map(Seq);
        backward.splice(0..0, seqs);
        if !page.has_more {
            break;
        }
    }
    let all: Vec<u64> = (1..=25).collect();
    assert_eq!((forward, backward), (all.clone(), all));
}

#[tokio::test]
async fn the_poorer_delivery_of_a_hook_is_kept_but_hidden_whichever_comes_first() {
    let folder = tempfile::tempdir().expect("a folder");
    let (store, _published) = open(&config(folder.path()));
    let payload = |tool_use: &str| {
        format!(
            r#"{{"hook_event_name":"PreToolUse","session_id":"s","tool_name":"Bash","tool_use_id":"{tool_use}","tool_input":{{}}}}"#
        )
    };
    let ours = |id: &str| event(&format!(r#"{{"source":"hook","payload":{}}}"#, payload(id)));
    let bash = |id: &str| {
        event(&format!(
            r#"{{"event":"claude_event","data":{{"type":"hook","source":"fast_hook","hook_event_name":"PreToolUse","data":{}}}}}"#,
            payload(id)
        ))
    };
    let python = || {
        event(
            r#"{"event":"claude_event","data":{"event":"mpm_event","type":"hook","subtype":"pre_tool","session_id":"s","data":{"tool_name":"Bash"}}}"#,
        )
    };
    let report = || {
        event(
            r#"{"event":"claude_event","data":{"event":"mpm_event","type":"hook","subtype":"hook_execution","session_id":"s","data":{"tool_name":"Bash","hook_name":"PreToolUse"}}}"#,
        )
    };
    append(&store, vec![python(), report(), ours("t1"), bash("t2"), ours("t2"), bash("t1")]).await;
    assert_eq!(found(&store, Query::default()), [3, 5], "one of each hook is shown");
    let all = store.page(&Query { duplicates: true, limit: 10, ..Query::default() }).expect("a page");
    let links: Vec<Option<u64>> =
        all.events.iter().map(|(row, _)| row.duplicate_of.map(|seq| seq.0)).collect();
    assert_eq!(
        links,
        [Some(3), Some(1), None, Some(5), None, Some(3)],
        "a report points to what it reports on"
    );
    let session = store.session("s").expect("the store reads").expect("the session is known").session();
    assert_eq!(session.events, 2, "a hook counts once");

    append(&store, vec![ours("t3"), ours("t4")]).await;
    assert_eq!(found(&store, Query::default()), [3, 5, 7, 8], "two events of the same sender are two events");
}

#[tokio::test]
async fn a_session_sums_up_its_events() {
    let folder = tempfile::tempdir().expect("a folder");
    let (store, _published) = open(&config(folder.path()));
    append(
        &store,
        vec![
            hook("SessionStart", r#","model":"sonnet","session_title":"tax""#),
            hook("PreToolUse", r#","tool_name":"Bash""#),
            hook("PostToolUseFailure", r#","tool_name":"Bash","error":"x""#),
        ],
    )
    .await;
    append(&store, vec![hook("SessionEnd", r#","reason":"other""#)]).await;
    let session = store.session("s").expect("the store reads").expect("the session is known").session();
    assert_eq!((session.events, session.errors, session.tool_calls), (4, 1, 1));
    assert_eq!((session.title.as_deref(), session.model.as_deref()), (Some("tax"), Some("sonnet")));
    assert_eq!(session.project.as_deref(), Some("/w/shop"));
    assert_eq!(session.ended_at, Some(Timestamp(1_000_000)));
    assert_eq!(store.sessions(10, &[]).expect("the store reads"), [session]);
}

#[tokio::test]
async fn sessions_that_another_version_wrote_are_computed_anew() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = config(folder.path());
    let (store, _published) = open(&config);
    append(&store, vec![hook("UserPromptSubmit", r#","prompt":"go""#), hook("Stop", "")]).await;
    assert!(store.mark_read(SessionId("s".to_owned())).await.expect("the mark is stored"));
    let before = store.session("s").expect("the store reads").expect("the session is known");
    for woken_at_once in [false, true] {
        store.close();
        let opened = schema::open(&config.database, config.durability).expect("the database opens");
        let other = "UPDATE sessions SET version = 0, view = '', state = ''";
        opened.connection.execute(other, []).expect("the state can be spoiled");
        drop(opened);
        let (store, published) = open(&config);
        if woken_at_once {
            append(&store, vec![hook("UserPromptSubmit", r#","prompt":"go""#)]).await;
            append(&store, vec![hook("Stop", "")]).await;
            let session =
                store.session("s").expect("the store reads").expect("the session is known").session();
            assert_eq!((session.events, session.status.state.name()), (4, "done"));
        } else {
            let renewed = published.recv().expect("the session is published");
            assert_eq!(renewed.sessions, [before.session()], "with the mark that it was read");
            assert_eq!(store.session("s").expect("the store reads").as_ref(), Some(&before));
        }
        store.close();
    }
}

#[tokio::test]
async fn sessions_of_another_version_are_computed_the_newest_first() {
    const SESSIONS: usize = 300;
    let folder = tempfile::tempdir().expect("a folder");
    let config = config(folder.path());
    let (store, _published) = open(&config);
    // By name and by the order of their rows the last ones would come last.
    let one = |number| {
        event(&format!(r#"{{"hook_event_name":"Stop","session_id":"s-{number:03}","cwd":"/w/shop"}}"#))
    };
    append(&store, (0..SESSIONS).map(one).collect()).await;
    store.close();
    let opened = schema::open(&config.database, config.durability).expect("the database opens");
    opened.connection.execute("UPDATE sessions SET version = 0", []).expect("the version can be set");
    drop(opened);

    let (store, published) = open(&config);
    let mut renewed = Vec::new();
    while renewed.len() < SESSIONS {
        let group = published.recv_timeout(Duration::from_secs(60)).expect("they are published");
        renewed.extend(group.sessions.into_iter().map(|session| session.session_id.0));
    }
    let expected: Vec<String> = (0..SESSIONS).rev().map(|number| format!("s-{number:03}")).collect();
    assert_eq!(renewed, expected);
    store.close();
}

#[tokio::test]
async fn a_database_of_the_first_version_becomes_a_current_one_with_all_it_holds() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = config(folder.path());
    let (store, _published) = open(&config);
    append(&store, vec![hook("UserPromptSubmit", r#","prompt":"go""#), hook("Stop", "")]).await;
    let (epoch, before) = (store.epoch().to_owned(), store.session("s").expect("the store reads"));
    store.close();
    let opened = schema::open(&config.database, config.durability).expect("the database opens");
    let older = "DROP TABLE sessions;
        CREATE TABLE sessions (session_id TEXT PRIMARY KEY, last_seq INTEGER NOT NULL, state TEXT NOT NULL) WITHOUT ROWID;
        CREATE INDEX sessions_last ON sessions (last_seq);
        INSERT INTO sessions VALUES ('s', 2, '{}');
        DELETE FROM meta WHERE name = 'sessions';
        PRAGMA user_version = 1;";
    opened.connection.execute_batch(older).expect("it can be made older");
    drop(opened);

    let (store, published) = open(&config);
    let renewed = published.recv().expect("the session is published");
    assert_eq!(renewed.sessions.len(), 1, "computed from its events");
    assert_eq!(store.session("s").expect("the store reads"), before);
    assert_eq!((store.last_seq(), store.epoch()), (Seq(2), epoch.as_str()));
    store.close();
}

#[tokio::test]
async fn what_a_deleted_database_left_beside_it_is_not_taken_into_the_new_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = config(folder.path());
    let log = config.database.with_extension("db-wal");
    let (store, _published) = open(&config);
    append(&store, vec![hook("Stop", "")]).await;
    let left = std::fs::read(&log).expect("changes are in the log");
    let epoch = store.epoch().to_owned();
    store.close();
    std::fs::remove_file(&config.database).expect("it is closed");
    std::fs::write(&log, &left).expect("it can be written");

    let (store, _published) = open(&config);
    assert_eq!((store.last_seq(), store.state().as_str()), (Seq(0), "ok"));
    assert_ne!(store.epoch(), epoch, "another database");
    assert_eq!(append(&store, vec![hook("Stop", "")]).await.seqs, [Seq(1)]);
    store.close();
}

#[tokio::test]
async fn events_beyond_their_age_go_and_the_newest_stays() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = Config { retention_days: 1, ..config(folder.path()) };
    let (store, _published) = open(&config);
    append(&store, (0..1200).map(|_| hook("Stop", "")).collect()).await;
    store.close();
    let opened = schema::open(&config.database, config.durability).expect("the database opens");
    let mut connection = opened.connection;
    let limits = retention::Limits::of(&config);
    let untold = retention::delete_some(&mut connection, &limits, None);
    assert!(untold.expect("deleting works").is_none(), "nothing is old by a clock that cannot be trusted");
    let today = Some(Timestamp::from_system(std::time::SystemTime::now()));
    while retention::delete_some(&mut connection, &limits, today).expect("deleting works").is_some() {}
    let left: Vec<u64> = connection
        .prepare("SELECT seq FROM events")
        .and_then(|mut all| all.query_map([], |row| row.get(0))?.collect())
        .expect("the database reads");
    assert_eq!(left, [1200], "received in 1970, so all but the newest go");
}

#[tokio::test]
async fn what_neither_fits_into_the_queue_nor_may_wait_is_sent_away_and_the_rest_stored() {
    const EVENT_KIB: usize = 4 * 1024;
    let folder = tempfile::tempdir().expect("a folder");
    // The writer stands still in its first publication, as it would for a disk.
    let (release, held) = mpsc::channel::<()>();
    let publish = Box::new(move |_| {
        let _ = held.recv();
    });
    let store = Store::open(&config(folder.path()), publish).expect("the store opens");
    let first = store.append(vec![hook("Stop", "")], Timestamp(0));
    while store.last_seq() == Seq(0) {
        tokio::task::yield_now().await;
    }
    let large = hook("Stop", &format!(r#","text":"{}""#, "x".repeat(EVENT_KIB * 1024)));
    let send = || store.append(vec![large.clone()], Timestamp(0));
    // An event counts a little more than its payload.
    let fit = (QUEUE_KIB_MAX - 1) / (EVENT_KIB + 1) + (WAITING_KIB_MAX / (EVENT_KIB + 1));
    let taken: Vec<_> = (0..fit).map(|_| send()).collect();
    for _ in 0..3 {
        let refused = send().await.expect_err("there is no place");
        assert!(matches!(refused, StoreError::Busy), "{refused:?}");
    }
    drop(release);
    first.await.expect("it is stored");
    for waiting in taken {
        waiting.await.expect("it had a place");
    }
    send().await.expect("there are places again");
    assert_eq!(store.last_seq(), Seq(fit as u64 + 2));
    store.close();
}

#[test]
fn a_database_of_a_newer_version_is_left_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = config(folder.path());
    let opened = schema::open(&config.database, config.durability).expect("the database opens");
    opened.connection.pragma_update(None, "user_version", 99).expect("the version can be set");
    drop(opened);
    let error = Store::open(&config, Box::new(drop)).err().expect("it must not open").to_string();
    assert!(error.contains("schema version 99") && error.contains("newer monitor"), "{error}");
}

#[cfg(unix)]
#[test]
fn only_the_user_can_read_the_database() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().expect("a folder");
    let config = config(folder.path());
    let (store, _published) = open(&config);
    let mode = |path: &Path| std::fs::metadata(path).expect("it exists").permissions().mode() & 0o777;
    assert_eq!(mode(&config.database), 0o600);
    assert_eq!(mode(config.database.parent().expect("it has a folder")), 0o700);
    store.close();
}

#[tokio::test]
async fn a_store_beyond_its_size_shrinks_to_it_and_keeps_the_newest() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = Config { retention_mib: 1, retention_days: 0, ..config(folder.path()) };
    let (store, _published) = open(&config);
    let text = "x".repeat(1000);
    for _ in 0..5 {
        append(&store, (0..1000).map(|_| hook("Stop", &format!(r#","text":"{text}""#))).collect()).await;
    }
    store.close();
    let mut connection =
        schema::open(&config.database, config.durability).expect("the database opens").connection;
    let limits = retention::Limits::of(&config);
    while retention::delete_some(&mut connection, &limits, None).expect("deleting works").is_some() {}
    let (count, newest): (u64, u64) = connection
        .query_row("SELECT count(*), max(seq) FROM events", [], |row| Ok((row.get(0)?, row.get(1)?)))
        .expect("the database reads");
    assert!((100..1000).contains(&count), "about a MiB of events of about 1.5 KiB is left: {count}");
    assert_eq!(newest, 5000);
}

#[tokio::test]
async fn a_damaged_database_is_set_aside_and_a_new_one_begun() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = config(folder.path());
    std::fs::create_dir_all(config.database.parent().expect("it has a folder")).expect("the folder is made");
    let damaged = "this is no database ".repeat(500);
    std::fs::write(&config.database, &damaged).expect("the file is written");
    let (store, _published) = open(&config);
    assert_eq!(append(&store, vec![hook("Stop", "")]).await.stored, 1);
    assert!(store.state().starts_with("degraded: the database was damaged"), "{}", store.state());
    store.close();
    let files =
        std::fs::read_dir(config.database.parent().expect("it has a folder")).expect("the folder reads");
    let names: Vec<_> = files.map(|file| file.expect("a file").path()).collect();
    let aside =
        names.iter().find(|path| path.to_string_lossy().contains("damaged-")).expect("nothing is deleted");
    assert_eq!(std::fs::read_to_string(aside).expect("it reads"), damaged);
    let (store, _published) = open(&config);
    assert_eq!(store.state(), "ok", "the next start has nothing to tell");
    store.close();
}

#[tokio::test]
async fn a_steady_stream_of_events_does_not_keep_them_from_being_found() {
    let folder = tempfile::tempdir().expect("a folder");
    let (store, _published) = open(&config(folder.path()));
    append(&store, vec![hook("Stop", r#","text":"needle""#)]).await;
    let search = async {
        while found(&store, Query { text: Some("needle".to_owned()), ..Query::default() }).is_empty() {
            append(&store, vec![hook("Stop", "")]).await;
        }
    };
    let searched = tokio::time::timeout(std::time::Duration::from_secs(30), search).await;
    assert!(searched.is_ok(), "it is indexed although there is never a quiet moment");
}
