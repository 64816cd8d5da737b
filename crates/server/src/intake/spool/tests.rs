//! Claims about the drain, each look made by the test, on a real store.

use std::sync::Mutex;

use protocol::instance::LegacyServer;
use protocol::spool::{blocks, file_name, unfinished_name};
use protocol::{EventId, Timestamp};
use tempfile::TempDir;
use uuid::Uuid;

use super::*;
use crate::record::store::Query;
use crate::state::AppState;
use crate::{Answer, Call, CallError, Config, Instances};

type Servers = Arc<Mutex<Vec<Instance>>>;

/// The user's servers as the test says.
struct Known(Servers);

impl Instances for Known {
    fn list(&self) -> Vec<Instance> {
        self.0.lock().expect("nobody panicked").clone()
    }

    fn legacy(&self) -> Vec<LegacyServer> {
        Vec::new()
    }

    fn call(&self, _: u16, _: Call) -> Result<Answer, CallError> {
        Err(CallError::Unknown)
    }
}

/// A server that does not run, and the drain of its spool.
struct Bench {
    state: AppState,
    drain: Drain,
    servers: Servers,
    _ended: mpsc::Sender<()>,
    ended: Receiver<()>,
    _home: TempDir,
}

impl Bench {
    async fn new() -> Self {
        Self::with(|_| ()).await
    }

    async fn with(set: impl FnOnce(&mut Config)) -> Self {
        let home = tempfile::tempdir().expect("a temporary folder can be made");
        let folder = home.path().join("spool");
        fs::create_dir(&folder).expect("a folder can be made");
        let mut config = Config { port: 0, database: home.path().join("events.db"), ..Config::default() };
        config.spool = Some(folder.clone());
        set(&mut config);
        let servers: Servers = Arc::default();
        let known = servers.clone();
        let server = crate::Server::bind(config).await.expect("a free port can be bound");
        let server = server.with_instances(Known(known));
        let state = AppState::from(server.state);
        let drain = Drain {
            folder,
            server: crate::spooler(&state),
            runtime: Handle::current(),
            seen: None,
            servers: Vec::new(),
            left: BTreeSet::new(),
        };
        let (end, ended) = mpsc::channel();
        Self { state, drain, servers, _ended: end, ended, _home: home }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.drain.folder.join(name)
    }

    /// Spools this content as the event of that time and number.
    fn put(&self, ms: i64, id: u128, content: impl AsRef<[u8]>) -> String {
        let name = file_name(Timestamp(ms), EventId(Uuid::from_u128(id)));
        fs::write(self.path(&name), &content).expect("a file can be written");
        let mut usage =
            OpenOptions::new().create(true).append(true).open(self.path(spool::USAGE)).expect("a counter");
        let marks = blocks(content.as_ref().len() as u64);
        usage.write_all(&vec![b'.'; marks as usize]).expect("a counter can be written");
        name
    }

    /// Spools a hook's event in a session and a folder.
    fn hook(&self, ms: i64, id: u128, session: &str, cwd: &str) -> String {
        let payload = format!(r#"{{"session_id":"{session}","cwd":"{cwd}","hook_event_name":"Stop"}}"#);
        let id_text = Uuid::from_u128(id);
        let body = format!(r#"{{"id":"{id_text}","occurred_at":{ms},"source":"hook","payload":{payload}}}"#);
        self.put(ms, id, body)
    }

    /// Looks as the thread does.
    fn look(&mut self) -> Result<(), Trouble> {
        let Self { drain, ended, .. } = self;
        tokio::task::block_in_place(|| drain.look(ended))
    }

    /// The stored sessions with the times of their events, in order of position.
    fn stored(&self) -> Vec<(String, i64)> {
        let query = Query { limit: 1000, ..Query::default() };
        let page = self.state.store.page(&query).expect("the store can be read");
        let row = |row: protocol::Row| {
            (row.session_id.map(|id| id.as_str().to_owned()).unwrap_or_default(), row.occurred_at.0)
        };
        page.events.into_iter().map(|(event, _)| row(event)).collect()
    }

    fn sessions(&self) -> Vec<String> {
        self.stored().into_iter().map(|(session, _)| session).collect()
    }

    /// The events that still lie in the spool.
    fn waiting(&self) -> Vec<String> {
        list(&self.drain.folder).expect("the folder can be listed")
    }

    fn health(&self) -> SpoolHealth {
        self.state.spool.health(Some(&self.drain.folder))
    }

    fn usage(&self) -> u64 {
        fs::metadata(self.path(spool::USAGE)).map_or(0, |file| file.len())
    }

    /// These servers run, each with its port and project; the one drained into has this port.
    fn run(&mut self, own: u16, servers: &[(u16, Option<&str>)]) {
        let instance = |(port, project): &(u16, Option<&str>)| Instance {
            port: *port,
            url: String::new(),
            pid: 1,
            server_id: if *port == own { self.state.id.to_string() } else { format!("other-{port}") },
            version: String::new(),
            project: project.map(str::to_owned),
            status: "running".to_owned(),
        };
        *self.servers.lock().expect("nobody panicked") = servers.iter().map(instance).collect();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn spooled_events_are_stored_in_order_with_their_own_time_and_leave_the_spool() {
    let mut bench = Bench::new().await;
    bench.hook(2000, 2, "second", "/p");
    bench.hook(3000, 3, "third", "/p");
    bench.hook(1000, 1, "first", "/p");
    bench.look().expect("nothing is wrong");
    let expected = [("first", 1000), ("second", 2000), ("third", 3000)];
    assert_eq!(bench.stored(), expected.map(|(session, at)| (session.to_owned(), at)));
    assert!(bench.waiting().is_empty(), "{:?}", bench.waiting());
    assert_eq!((bench.usage(), bench.health()), (0, SpoolHealth::default()));

    bench.hook(500, 4, "late", "/p");
    bench.look().expect("nothing is wrong");
    assert_eq!(bench.stored().last(), Some(&("late".to_owned(), 500)), "what comes late comes last");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_a_crash_left_behind_is_not_stored_again() {
    let mut bench = Bench::new().await;
    let name = bench.hook(1000, 1, "once", "/p");
    let content = fs::read(bench.path(&name)).expect("it can be read");
    bench.look().expect("nothing is wrong");
    fs::write(bench.path(&name), content).expect("it comes back");
    // Even an event without an id of its own is known by the name of its file.
    let bare = r#"{"session_id":"bare","hook_event_name":"Stop"}"#;
    for _ in 0..2 {
        bench.put(2000, 2, bare);
        bench.look().expect("nothing is wrong");
    }
    assert_eq!(bench.sessions(), ["once", "bare"]);
    assert_eq!(bench.stored()[1].1, 2000);
    assert!(bench.waiting().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn more_than_one_group_keeps_its_order() {
    let mut bench = Bench::new().await;
    let count = BATCH_FILES_MAX + 44;
    for number in 0..count {
        bench.hook(1000 + number as i64, number as u128, &format!("s-{number}"), "/p");
    }
    bench.look().expect("nothing is wrong");
    let expected: Vec<_> = (0..count).map(|number| format!("s-{number}")).collect();
    assert_eq!(bench.sessions(), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_is_bounded_in_bytes_too() {
    let mut bench = Bench::new().await;
    let text = "x".repeat(BATCH_BYTES_MAX / 2);
    for number in 0..3_u8 {
        let body = format!(r#"{{"session_id":"s-{number}","hook_event_name":"Stop","text":"{text}"}}"#);
        bench.put(i64::from(number), number.into(), body);
    }
    bench.drain.meet(bench.state.all_instances());
    let mut queue = VecDeque::from(bench.waiting());
    assert_eq!(bench.drain.read_group(&mut queue).len(), 1);
    assert_eq!(queue.len(), 2, "the file that did not fit is read again");
    bench.look().expect("nothing is wrong");
    assert_eq!(bench.sessions(), ["s-0", "s-1", "s-2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_event_is_moved_aside_and_counted() {
    let mut bench = Bench::with(|config| config.body_bytes_max = 1000).await;
    let bad = [
        bench.put(1, 1, "not json"),
        bench.put(2, 2, ""),
        bench.put(3, 3, r#"[{"hook_event_name":"Stop"},{"hook_event_name":"Stop"}]"#),
        bench.put(4, 4, vec![b' '; 1001]),
    ];
    bench.hook(5, 5, "good", "/p");
    bench.look().expect("nothing is wrong");
    assert_eq!(bench.sessions(), ["good"], "nothing else suffers");
    assert_eq!(bench.health(), SpoolHealth { rejected: 4, ..SpoolHealth::default() });
    assert_eq!(list(&bench.path(spool::REJECTED)).expect("it can be listed"), bad);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_newest_rejected_files_are_kept() {
    let bench = Bench::new().await;
    let rejected = bench.path(spool::REJECTED);
    fs::create_dir(&rejected).expect("a folder can be made");
    for number in 0..REJECTED_FILES_MAX + 3 {
        fs::write(rejected.join(format!("{number:04}")), "x").expect("a file can be written");
    }
    prune_rejected(&rejected);
    assert!(!rejected.join("0002").exists() && rejected.join("0003").exists());
    let large = File::create(rejected.join("9999")).expect("a file can be made");
    large.set_len(REJECTED_BYTES_MAX).expect("a file can be long");
    prune_rejected(&rejected);
    assert_eq!(fs::read_dir(&rejected).expect("it can be listed").count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_stays_and_holds_nothing_up() {
    let mut bench = Bench::new().await;
    let folder = file_name(Timestamp(1), EventId(Uuid::from_u128(1)));
    fs::create_dir(bench.path(&folder)).expect("a folder can be made");
    bench.hook(2, 2, "good", "/p");
    bench.look().expect("nothing is wrong");
    assert_eq!(bench.sessions(), ["good"]);
    assert_eq!(bench.waiting(), [folder]);
    assert_eq!((bench.health().waiting, bench.usage()), (1, 1), "it still takes its place");
}

#[tokio::test(flavor = "multi_thread")]
async fn when_the_store_takes_nothing_the_files_stay_and_still_count() {
    let mut bench = Bench::new().await;
    for number in 0..3_u8 {
        bench.hook(number.into(), number.into(), "kept", "/p");
    }
    let store = bench.state.store.clone();
    tokio::task::block_in_place(|| store.close());
    let trouble = bench.look().expect_err("the store is closed");
    assert!(matches!(trouble, Trouble::Store(_)), "{trouble}");
    assert_eq!(bench.waiting().len(), 3);
    assert_eq!((bench.health().waiting, bench.usage()), (3, 3), "or the spool would grow past its limit");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_abandoned_file_is_swept_and_one_being_written_is_not() {
    let mut bench = Bench::new().await;
    let unfinished = |id: u128| unfinished_name(&file_name(Timestamp(1), EventId(Uuid::from_u128(id))));
    let (old, new) = (bench.path(&unfinished(1)), bench.path(&unfinished(2)));
    let long_ago = SystemTime::now() - 2 * UNFINISHED_AGE_MAX;
    File::create(&old).and_then(|file| file.set_modified(long_ago)).expect("a file can be old");
    File::create(&new).expect("a file can be made");
    bench.look().expect("nothing is wrong");
    assert!(!old.exists() && new.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn only_one_server_drains_at_a_time() {
    let mut bench = Bench::new().await;
    bench.hook(1, 1, "mine", "/p");
    let other = lock(&bench.drain.folder).expect("it can be locked").expect("it is free");
    bench.look().expect("that is no trouble");
    assert_eq!(bench.waiting().len(), 1);
    drop(other);
    bench.look().expect("nothing is wrong");
    assert_eq!(bench.sessions(), ["mine"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_server_takes_its_project_s_events_and_leaves_the_others() {
    let mut bench = Bench::new().await;
    bench.hook(1, 1, "shop", "/home/dev/shop/src");
    bench.hook(2, 2, "elsewhere", "/srv");
    bench.run(9000, &[(9000, Some("/home/dev/shop")), (9001, Some("/home/dev"))]);
    bench.look().expect("nothing is wrong");
    assert_eq!(bench.sessions(), ["shop"]);
    assert_eq!((bench.health().waiting, bench.usage()), (1, 1), "nobody is there for the other one");

    bench.hook(3, 3, "dev", "/home/dev");
    bench.hook(4, 4, "unnamed", "");
    bench.run(9000, &[(9000, None), (9001, Some("/home/dev"))]);
    bench.look().expect("nothing is wrong");
    assert_eq!(bench.sessions(), ["shop", "elsewhere", "unnamed"]);
    assert_eq!(bench.drain.left.len(), 1);

    bench.run(9000, &[(9000, None)]);
    bench.look().expect("nothing is wrong");
    assert_eq!(bench.sessions().last().map(String::as_str), Some("dev"), "its server is gone");
    assert!(bench.waiting().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unchanged_folder_is_not_read_again() {
    let mut bench = Bench::new().await;
    let long_ago = SystemTime::now() - Duration::from_secs(3600);
    let unchanged = |bench: &Bench| {
        let folder = File::open(&bench.drain.folder).expect("a folder can be opened");
        folder.set_modified(long_ago).expect("a folder can be old");
    };
    bench.look().expect("nothing is wrong");
    unchanged(&bench);
    bench.look().expect("nothing is wrong");
    bench.hook(1, 1, "unseen", "/p");
    unchanged(&bench);
    bench.look().expect("nothing is wrong");
    assert!(bench.sessions().is_empty(), "the folder's time said that nothing had changed");
    bench.hook(2, 2, "seen", "/p");
    bench.look().expect("nothing is wrong");
    assert_eq!(bench.sessions(), ["unseen", "seen"]);
}

#[tokio::test]
async fn refused_events_are_told() {
    let bench = Bench::new().await;
    fs::write(bench.path(spool::REFUSED), "...").expect("a counter can be written");
    assert_eq!(bench.health().refused, 3);
    assert_eq!(bench.state.health().spool.refused, 3);
}
