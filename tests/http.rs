//! Claims about the HTTP door: identity, statistics, history, sessions.

use e2e::{Library, Monitor, Options, Reply, Socket, prompt, stop, tool_end, tool_start};
use protocol::names;
use serde_json::{Value, json};

#[track_caller]
fn assert_fields(value: &Value, fields: &[&str]) {
    for field in fields {
        assert!(value.get(field).is_some(), "no {field} in {value}");
    }
}

#[test]
fn health_says_what_every_launcher_asks_for() {
    let monitor = Monitor::start();
    let health = monitor.assert_healthy();
    assert_eq!(health["service"], "claude-mpm-monitor", "by this text every launcher knows a monitor");
    assert_eq!(health["port"], monitor.port());
    assert!(health["uptime"].is_u64(), "whole seconds: {health}");
    assert!(health["pid"].is_u64(), "{health}");
    assert_eq!(health["store"], "ok");
    let shape: protocol::Health = serde_json::from_value(health.clone()).expect("the shape of the protocol");
    assert_eq!((shape.version.as_str(), shape.mode.as_str()), (shape.server_version.as_str(), "foreground"));
    let more = ["version", "server_version", "server_id", "uptime_seconds", "start_time", "timestamp"];
    assert_fields(&health, &more);
    assert_fields(&health, &["clients_connected", "client_versions", "health_stats", "host", "dependencies"]);
}

#[test]
fn health_counts_what_was_stored_and_what_was_refused() {
    let monitor = Monitor::start();
    monitor.event(prompt("s-1", "hello"));
    monitor.post("/api/events", "not json").assert_refused("not json");
    let health = monitor.assert_healthy();
    assert_eq!(health["health_stats"]["events_processed"], 1, "{health}");
    assert_eq!(health["health_stats"]["errors"], 1, "{health}");
    assert_eq!(health["last_seq"], 1, "{health}");
}

#[test]
fn status_and_health_agree() {
    let monitor = Monitor::start();
    let (health, status) = (monitor.assert_healthy(), monitor.get("/status").json());
    for (field, value) in health.as_object().expect("an object") {
        assert!(status.get(field).is_some(), "/status lacks {field}");
        if !["uptime", "uptime_seconds", "timestamp"].contains(&field.as_str()) {
            assert_eq!(&status[field], value, "{field}");
        }
    }
}

#[test]
fn versions_are_told_in_both_forms() {
    let monitor = Monitor::start();
    let version = monitor.get("/version").json();
    assert_fields(&version, &["server_version", "server_id", "socketio_version", "compatibility_matrix"]);
    assert_fields(&version, &["supported_client_versions", "features"]);
    let build = monitor.get("/version.json").json();
    assert_fields(&build, &["version", "build", "formatted_build", "full_version", "service"]);
    assert_eq!(build["version"], version["server_version"]);
}

#[test]
fn stats_count() {
    let monitor = Monitor::start();
    monitor.event(prompt("s-1", "hello"));
    let stats = monitor.get("/stats").json();
    assert_fields(&stats["server_info"], &["version", "id", "uptime"]);
    assert_fields(&stats["connections"], &["current_clients", "total_served", "client_versions"]);
    assert_fields(&stats["events"], &["total_processed", "history_size", "last_activity"]);
    assert_eq!(stats["events"]["total_processed"], 1, "{stats}");
    assert!(stats["errors"].is_number(), "{stats}");
}

#[test]
fn compatibility_compares_versions_and_not_texts() {
    let monitor = Monitor::start();
    for (version, compatible) in [
        ("0.6.0", false),
        ("0.7.0", true),
        ("0.10.0", true),
        ("0.100", true),
        ("6.5.83", true),
        ("unknown", true),
    ] {
        // As the mission's own example does: curl, without saying that it is JSON.
        let body = json!({"client_version": version}).to_string();
        let reply = monitor.curl("/compatibility", &["--data", &body]);
        assert_eq!(reply.status, 200, "{reply:?}");
        let answer = reply.json();
        assert_eq!(answer["compatible"], compatible, "{version}: {answer}");
        assert_eq!(answer["client_version"], version, "{answer}");
        assert_fields(&answer, &["server_version", "warnings", "supported_features", "requirements"]);
        let warned = answer["warnings"].as_array().is_some_and(|warnings| !warnings.is_empty());
        assert_eq!(warned, !compatible || version == "unknown", "{version}: {answer}");
    }
}

#[test]
fn the_viewers_of_the_reference_find_the_working_directory() {
    let monitor = Monitor::start();
    let config = monitor.get("/api/config").json();
    assert_fields(&config, &["workingDirectory", "gitBranch", "serverTime", "service"]);
    let directory = monitor.get("/api/working-directory").json();
    assert_eq!(directory["success"], true, "{directory}");
    assert_eq!(directory["working_directory"], config["workingDirectory"]);
}

#[test]
fn curl_posts_an_event_with_and_without_a_content_type() {
    let monitor = Monitor::start();
    let body = prompt("s-1", "hello");
    let as_json = ["--data", &body, "--header", "content-type: application/json"];
    for arguments in
        [&as_json[..], &["--data", &body], &["--data", &body, "--header", "content-type: text/plain"]]
    {
        let reply = monitor.curl("/api/events", arguments);
        assert_eq!((reply.status, reply.body.as_str()), (204, ""), "{arguments:?}");
    }
    assert_eq!(monitor.events("duplicates=true").events.len(), 3);
}

#[test]
fn many_events_in_one_body_are_counted_and_a_bad_one_is_refused_alone() {
    let monitor = Monitor::start();
    let good = [prompt("s-1", "one"), prompt("s-2", "two")];
    let array = format!("[{},7,{}]", good[0], good[1]);
    let lines = format!("{}\n7\n\n{}\n", good[0], good[1]);
    for (body, number) in [(array, 1), (lines, 2)] {
        let reply = monitor.post("/api/events", &body);
        assert_eq!(reply.status, 200, "{body}: {reply:?}");
        let answer = reply.json();
        assert_eq!((&answer["stored"], &answer["duplicates"]), (&json!(2), &json!(0)), "{body}: {answer}");
        let refused = answer["refused"].as_array().expect("a list");
        assert_eq!(refused.len(), 1, "{body}: {answer}");
        assert_eq!(refused[0]["index"], 1, "{body}: {answer}");
        assert_fields(&refused[0], &["code", "message"]);
        assert_eq!(monitor.events("duplicates=true").events.len(), 2 * number, "{body}");
    }
}

#[test]
fn an_event_that_is_sent_again_under_its_id_is_stored_once() {
    let monitor = Monitor::start();
    let id = "01938f5e-0000-7000-8000-000000000001";
    let event = json!({"id": id, "kind": "Notification", "session_id": "s-1", "payload": {"message": "hi"}})
        .to_string();
    monitor.event(&event);
    monitor.event(&event);
    let answer = monitor.post("/api/events", format!("[{event}]")).json();
    assert_eq!((&answer["stored"], &answer["duplicates"]), (&json!(0), &json!(1)), "{answer}");
    assert_eq!(monitor.events("duplicates=true").events.len(), 1);
}

#[test]
fn history_is_paged_both_ways() {
    let monitor = Monitor::start();
    (1..=10).for_each(|number| monitor.event(prompt(&format!("s-{number}"), "go")));
    let cases = [
        ("limit=3", vec![8, 9, 10], true),
        ("before=8&limit=3", vec![5, 6, 7], true),
        ("before=3&limit=3", vec![1, 2], false),
        ("after=0&limit=4", vec![1, 2, 3, 4], true),
        ("after=4&limit=4", vec![5, 6, 7, 8], true),
        ("after=8&limit=4", vec![9, 10], false),
        ("after=10", vec![], false),
        ("after=2&before=6", vec![3, 4, 5], false),
    ];
    for (query, seqs, has_more) in cases {
        let page = monitor.events(query);
        assert_eq!((page.seqs(), page.has_more), (seqs, has_more), "{query}");
    }
}

#[test]
fn history_is_filtered_by_each_field_and_by_all_together() {
    let monitor = Monitor::start();
    monitor.event(prompt("s-1", "why does checkout round the tax twice"));
    monitor.event(tool_start("s-1", "toolu_1"));
    monitor.event(tool_end("s-2", "toolu_1"));
    monitor.event(stop("s-2"));
    monitor.event(
        json!({
            "session_id": "s-3", "cwd": "/home/dev/other", "hook_event_name": "PostToolUseFailure", "tool_name": "Read",
            "tool_input": {"file_path": "/x"}, "tool_use_id": "toolu_2", "error": "no such file",
            "agent_id": "a-1", "agent_type": "Explore",
        })
        .to_string(),
    );
    let cases = [
        ("session=s-1", vec![1, 2]),
        ("kind=Stop", vec![4]),
        ("kind=pre_tool", vec![2]),
        ("tool=Bash", vec![2, 3]),
        ("agent=Explore", vec![5]),
        ("agent=a-1", vec![5]),
        ("error=true", vec![5]),
        ("error=false", vec![1, 2, 3, 4]),
        ("project=/home/dev/shop", vec![1, 2, 3, 4]),
        ("project=/home/dev", vec![1, 2, 3, 4, 5]),
        ("project=/home/dev/sh", vec![]),
        ("q=checkout", vec![1]),
        ("q=tax%20checkout", vec![1]),
        ("q=npm", vec![2, 3]),
        ("q=nothing-of-that-kind", vec![]),
        ("session=s-2&tool=Bash", vec![3]),
        ("session=s-1&q=npm", vec![2]),
        ("from=2000-01-01T00:00:00Z", vec![1, 2, 3, 4, 5]),
        ("to=2000-01-01T00:00:00Z", vec![]),
    ];
    for (query, seqs) in cases {
        // The full text is indexed behind the log, so what was just stored is found a moment later.
        let page = if query.contains("q=") {
            monitor.wait_for_events(query, seqs.len())
        } else {
            monitor.events(query)
        };
        assert_eq!(page.seqs(), seqs, "{query}");
    }
}

#[test]
fn a_page_waits_for_news_and_says_from_where_to_ask_on() {
    let monitor = Monitor::start();
    let position = |reply: &Reply| reply.json()["position"].as_u64().expect("a page has a position");
    assert_eq!(position(&monitor.get("/api/events")), 0);
    let (asked, answer) = std::thread::scope(|scope| {
        let waiting = scope.spawn(|| monitor.get("/api/events?after=0&wait=60&session=b"));
        // Whether they come before or after the question is all the same.
        monitor.event(prompt("a", "not for me"));
        monitor.event(prompt("b", "for me"));
        ("b", waiting.join().expect("it is answered"))
    });
    assert_eq!(answer.page().sessions(), [asked]);
    assert_eq!(position(&answer), 2, "from there on");
    let nothing = monitor.get("/api/events?after=0&session=nobody&wait=1");
    assert_eq!(
        (nothing.page().events.len(), position(&nothing)),
        (0, 2),
        "what does not match is looked at once"
    );
    let part = monitor.get("/api/events?after=0&limit=1");
    assert_eq!((position(&part), part.page().has_more), (1, true));
    for senseless in ["wait=5", "after=1&before=2&wait=5", "after=1&wait=61", "after=1&wait=soon"] {
        monitor.get(&format!("/api/events?{senseless}")).assert_refused(senseless);
    }
}

#[test]
fn who_waits_for_news_is_told_that_the_monitor_ends_and_where_it_goes_on() {
    let mut monitor = Monitor::start();
    // A question that comes just too late meets no server, or already the next one, and waits there in vain.
    let told = |_| {
        std::thread::scope(|scope| {
            let url = format!("{}/api/events?after=0&wait=3", monitor.url());
            let waiting = scope.spawn(move || ureq::get(url).call().ok()?.body_mut().read_to_string().ok());
            monitor.move_away();
            let page: Value = serde_json::from_str(&waiting.join().expect("no panic")?).expect("a page");
            page["ending"].is_object().then(|| page["ending"].clone())
        })
    };
    let ending = (0..20).find_map(told).expect("some question came in time");
    assert_eq!(ending["reason"], "restart");
    let url = ending["url"].as_str().expect("where it goes on");
    assert!(url.ends_with(&format!(":{}", monitor.port())), "{url}");
}

#[test]
fn a_query_that_makes_no_sense_is_refused() {
    let monitor = Monitor::start();
    for query in ["limit=many", "after=-1", "before=x", "error=perhaps", "from=yesterday"] {
        monitor.get(&format!("/api/events?{query}")).assert_refused(query);
    }
    // Characters that mean something to a full-text engine mean nothing here.
    for text in ["%22", "*", "a%22%20OR%20b", "(", "NEAR(", "-", "'", "%00", "AND"] {
        let reply = monitor.get(&format!("/api/events?q={text}"));
        assert!(reply.status < 500, "q={text}: {reply:?}");
    }
}

#[test]
fn a_query_for_more_than_the_database_can_look_for_is_the_asker_s_mistake() {
    let monitor = Monitor::start();
    monitor.event(prompt("s-1", "hello"));
    let queries = [
        format!("query=tool:{}", "a,".repeat(1_001)),
        format!("query={}", "tool:a%20".repeat(1_001)),
        format!("query=tool:{}", "a".repeat(51_000)),
        format!("kind={}", "Stop,".repeat(5_000)),
        format!("q={}", "word%20".repeat(1_001)),
    ];
    for query in &queries {
        for path in ["events", "figures"] {
            let refused = monitor.get(&format!("/api/{path}?{query}"));
            refused.assert_refused(path);
            assert_eq!(refused.json()["code"], "query_too_long", "{refused:?}");
        }
    }
    let kinds = vec!["Stop"; 40_000];
    let mut stream = Socket::connect_with(
        &monitor,
        Library::Python,
        &Options { namespace: names::STREAM, ..Options::default() },
    );
    let refused = stream.ask("subscribe", &json!({ "filter": { "kinds": kinds } }));
    assert_eq!(refused["error"]["code"], "query_too_long", "{refused}");
    let mut socket = Socket::connect(&monitor, Library::Python);
    let refused = socket.ask("get_history", &json!({ "event_types": kinds }));
    assert_eq!(refused["error"]["code"], "query_too_long", "{refused}");
    let page = monitor.get(&format!("/api/events?query=tool:{}", "a,".repeat(199))).page();
    assert!(page.events.is_empty(), "up to the limit it is a query like any other");
}

#[test]
fn a_page_of_large_events_is_cut_and_the_next_one_goes_on() {
    let monitor = Monitor::start();
    let sizes = [6, 6, 6, 1, 14];
    for size in sizes {
        monitor.event(prompt("s-1", &"x".repeat(size * 1024 * 1024)));
    }
    let page = |path: &str| monitor.get(&format!("/api/events?payload=true&{path}")).page();
    let pages = [("after=0", vec![1, 2], true), ("after=2", vec![3, 4], true), ("after=4", vec![5], false)];
    for (query, seqs, has_more) in pages {
        let page = page(query);
        assert_eq!((page.seqs(), page.has_more), (seqs, has_more), "{query}");
    }
    assert_eq!((page("limit=10").seqs(), page("before=5").seqs()), (vec![4, 5], vec![2, 3, 4]));
    assert_eq!(monitor.get("/api/events").page().seqs(), [1, 2, 3, 4, 5], "rows alone are small");
}

#[test]
fn rows_come_without_payload_and_one_event_with_it() {
    let monitor = Monitor::start();
    let body = tool_start("s-1", "toolu_1");
    monitor.event(&body);
    assert!(monitor.events("").events[0].payload.is_none(), "lists stay small");
    assert_eq!(monitor.events("payload=true").events[0].payload(), body);
    let one: e2e::Stored = monitor.get("/api/events/1").parsed();
    assert_eq!((one.seq, one.payload()), (1, body.as_str()));
    monitor.get("/api/events/2").assert_refused("an event that is not there");
    monitor.get("/api/events/first").assert_refused("no number");
}

#[test]
fn sessions_are_summed_up() {
    let monitor = Monitor::start();
    monitor.event(prompt("s-1", "hello"));
    monitor.event(tool_start("s-1", "toolu_1"));
    monitor.event(tool_end("s-1", "toolu_1"));
    monitor.event(prompt("s-2", "hello"));
    let answer = monitor.get("/api/sessions").json();
    let sessions: Vec<protocol::Session> = serde_json::from_value(answer["sessions"].clone())
        .unwrap_or_else(|cause| panic!("no sessions: {cause} in {answer}"));
    let ids: Vec<&str> = sessions.iter().map(|session| session.session_id.as_str()).collect();
    assert_eq!(ids, ["s-2", "s-1"], "the most recently active first");
    assert_eq!((sessions[1].events, sessions[1].tool_calls, sessions[1].last_seq.0), (3, 1, 3));
    let one: protocol::Session = monitor.get("/api/sessions/s-1").parsed();
    assert_eq!(one, sessions[1]);
    monitor.get("/api/sessions/nobody").assert_refused("a session that is not there");
}

#[test]
fn a_monitor_lists_itself_among_this_user_s_instances() {
    let monitor = Monitor::start();
    let instances = monitor.get("/api/instances").json();
    assert_eq!(instances.as_array().map(Vec::len), Some(1), "only those of this home: {instances}");
    assert_eq!(instances[0]["port"], monitor.port(), "{instances}");
    assert_eq!(instances[0]["server_id"], monitor.assert_healthy()["server_id"], "{instances}");
}

#[test]
fn the_dashboard_is_served() {
    let monitor = Monitor::start();
    let page = monitor.get("/");
    assert_eq!(page.status, 200, "{page:?}");
    assert!(page.headers.contains("content-type: text/html"), "{}", page.headers);
}

#[test]
fn only_who_can_read_the_runfile_can_stop_the_server() {
    let monitor = Monitor::start();
    monitor.post("/api/shutdown", "").assert_refused("without a token");
    let wrong = [("authorization", "Bearer guessed")];
    monitor.post_with("/api/shutdown", &wrong, "").assert_refused("with a wrong token");
    monitor.assert_healthy();
}

#[test]
fn the_query_language_finds_and_the_figures_count_the_same() {
    let monitor = Monitor::start();
    monitor.event(prompt("s-1", "why does checkout round the tax twice"));
    monitor.event(tool_start("s-1", "toolu_1"));
    monitor.event(tool_end("s-1", "toolu_1"));
    monitor.event(prompt("s-2", "paint the fence"));
    for (query, events) in [
        ("tax", 1),
        ("npm%20test", 2),
        ("session:s-1", 3),
        ("session:s-1%20-tool:Bash", 1),
        ("tool:bash", 2),
        ("kind:UserPromptSubmit%20fence", 1),
        ("status:error", 0),
    ] {
        let page = monitor.get(&format!("/api/events?query={query}")).json();
        assert_eq!(page["events"].as_array().expect("events").len(), events, "{query}");
        let figures = monitor.get(&format!("/api/figures?query={query}")).json();
        let shape: protocol::figures::Figures =
            serde_json::from_value(figures).expect("the protocol's shape");
        assert_eq!(shape.events, events as u64, "{query}");
        assert!(shape.is_complete, "{query}");
        assert_eq!(shape.buckets.iter().map(|bucket| bucket.events).sum::<u64>(), shape.events, "{query}");
    }
    let figures = monitor.get("/api/figures").json();
    assert_eq!(figures["tools"][0]["name"], "Bash");
    assert_eq!(figures["sessions"][0]["name"], "s-1", "the busiest first: {figures}");
    assert!(figures["store_bytes"].as_u64().is_some_and(|bytes| bytes > 0), "{figures}");
    monitor.get("/api/figures?colour=red").assert_refused("colour");
}

#[test]
fn nobody_is_listed_while_nobody_is_connected() {
    let monitor = Monitor::start();
    assert_eq!(monitor.get("/status").json()["clients"], json!([]));
}
