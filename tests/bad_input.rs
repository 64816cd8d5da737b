//! Claims about hostile and broken input at every door: a 4xx that says why, and the next request works.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use e2e::{Guarded, Monitor, PATIENCE, Reply, prompt, raw};
use protocol::names;

fn post(body: &[u8]) -> Vec<u8> {
    let head =
        "POST /api/events HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\nconnection: close";
    [format!("{head}\r\ncontent-length: {}\r\n\r\n", body.len()).as_bytes(), body].concat()
}

fn request(line: &str, headers: &str) -> String {
    format!("{line} HTTP/1.1\r\n{headers}connection: close\r\n\r\n")
}

#[track_caller]
fn answer(monitor: &Monitor, request: impl AsRef<[u8]>, what: &str) -> Reply {
    let reply = raw(monitor.port(), request);
    monitor.assert_healthy();
    reply.unwrap_or_else(|| panic!("{what}: no answer at all"))
}

#[test]
fn a_body_that_is_no_event_is_refused() {
    let monitor = Monitor::start();
    let nested = |depth: usize| "{\"a\":".repeat(depth) + "1" + &"}".repeat(depth);
    let bodies: [(&str, Vec<u8>); 13] = [
        ("no body", b"".to_vec()),
        ("blanks", b" \n ".to_vec()),
        ("not JSON", b"hello".to_vec()),
        ("cut off", br#"{"hook_event_name":"Stop","session_id":"#.to_vec()),
        ("cut off in a text", br#"{"hook_event_name":"St"#.to_vec()),
        ("something behind it", br#"{"hook_event_name":"Stop"} x"#.to_vec()),
        ("a number", b"7".to_vec()),
        ("a text", br#""Stop""#.to_vec()),
        ("null", b"null".to_vec()),
        ("not UTF-8", b"{\"hook_event_name\":\"\xff\xfe\"}".to_vec()),
        ("objects 10,000 deep", nested(10_000).into_bytes()),
        ("an object deeper than the limit", nested(names::JSON_DEPTH_MAX + 1).into_bytes()),
        ("a zero byte", b"{\"hook_event_name\":\"Stop\x00\"}".to_vec()),
    ];
    for (what, body) in bodies {
        answer(&monitor, post(&body), what).assert_refused(what);
    }
    let arrays = post(("[".repeat(10_000) + &"]".repeat(10_000)).as_bytes());
    let reply = answer(&monitor, arrays, "arrays 10,000 deep");
    assert!(reply.status < 500, "{reply:?}");
    monitor.event(prompt("s-1", "a good one"));
    assert_eq!(monitor.events("duplicates=true").sessions(), ["s-1"], "only the good one is stored");
}

#[test]
fn a_packed_body_is_refused_and_never_unpacked() {
    let monitor = Monitor::start();
    for encoding in ["gzip", "deflate", "br", "zstd", "gzip, identity"] {
        let headers = [("content-type", "application/json"), ("content-encoding", encoding)];
        let reply = monitor.post_with("/api/events", &headers, prompt("s-1", "packed, it says"));
        assert_eq!(
            (reply.status, reply.json()["code"].as_str()),
            (415, Some("unsupported_encoding")),
            "{encoding}"
        );
    }
    let headers = [("content-type", "application/json"), ("content-encoding", "identity")];
    assert_eq!(monitor.post_with("/api/events", &headers, prompt("s-1", "as it is")).status, 204);
    assert_eq!(monitor.events("").events.len(), 1);
}

#[test]
fn no_path_leads_out_of_the_dashboard() {
    let monitor = Monitor::start();
    for path in [
        "/../../../../etc/passwd",
        "/assets/../../../../etc/passwd",
        "/assets/..%2f..%2f..%2fetc/passwd",
        "/assets/%2e%2e/%2e%2e/etc/passwd",
        "/assets//etc/passwd",
        "/..%5c..%5cetc%5cpasswd",
        "/api/events/..%2f..%2fevents.db",
        "/assets/index.html%00.js",
    ] {
        let reply = answer(&monitor, request(&format!("GET {path}"), "host: localhost\r\n"), path);
        assert!((400..500).contains(&reply.status), "{path}: {reply:?}");
        assert!(!reply.body.contains("root:"), "{path}: {reply:?}");
    }
}

#[test]
fn nothing_that_is_written_can_be_read_by_others() {
    let monitor = Monitor::start();
    monitor.event(prompt("s-1", "a secret plan"));
    let mut folders = vec![monitor.home().join("monitor")];
    let mut files = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("our own folder").flatten() {
            let about = entry.metadata().expect("it is there");
            let mode = about.permissions().mode() & 0o777;
            assert_eq!(mode & 0o077, 0, "{} has mode {mode:o}", entry.path().display());
            if about.is_dir() { folders.push(entry.path()) } else { files += 1 }
        }
    }
    assert!(files >= 4, "store, runfile and locks were looked at: {files}");
}

#[test]
fn a_body_over_the_limit_is_refused_and_one_at_the_limit_is_taken() {
    let monitor = Monitor::start();
    let body = |bytes: usize| {
        let (start, end) = (r#"{"hook_event_name":"Stop","session_id":"s-1","x":""#, r#""}"#);
        format!("{start}{}{end}", "x".repeat(bytes - start.len() - end.len()))
    };
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let send = |bytes: usize, more: &[&str]| {
        let file = folder.path().join("body");
        std::fs::write(&file, body(bytes)).expect("a file can be written");
        let data = format!("@{}", file.display());
        monitor.curl("/api/events", &[more, &["--data-binary", &data]].concat())
    };
    assert_eq!(send(names::BODY_BYTES_MAX, &[]).status, 204);
    let chunked = ["--header", "transfer-encoding: chunked"];
    for more in [&[][..], &chunked] {
        let reply = send(names::BODY_BYTES_MAX + 1, more);
        assert_eq!(reply.status, 413, "{more:?}: {reply:?}");
        reply.assert_refused("too long a body");
        monitor.assert_healthy();
    }
    assert_eq!(monitor.events("duplicates=true").events.len(), 1);
}

#[test]
fn a_wrong_method_or_route_is_refused() {
    let monitor = Monitor::start();
    for line in [
        "PUT /api/events",
        "DELETE /api/events",
        "DELETE /health",
        "POST /health",
        "GET /api/shutdown",
        "GET /compatibility",
        "GET /api/nothing",
        "GET /api",
        "POST /nothing",
        "GET /api/events/1/2",
        "GET /../../etc/passwd",
        "GET /assets/..%2f..%2fetc%2fpasswd",
        "GET /%ff",
    ] {
        let reply = answer(&monitor, request(line, "host: localhost\r\n"), line);
        if line.starts_with("GET /%ff") || line.contains("passwd") {
            assert!(reply.status < 500 && !reply.body.contains("root:"), "{line}: {reply:?}");
        } else {
            reply.assert_refused(line);
        }
    }
}

#[test]
fn a_request_to_another_host_name_is_refused() {
    let monitor = Monitor::start();
    let port = monitor.port();
    for host in
        ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "evil.example:8765", "[::2]", ""]
    {
        for line in ["GET /health", "GET /", "GET /api/events", "GET /socket.io/?EIO=4&transport=polling"] {
            let what = format!("{line} to {host:?}");
            answer(&monitor, request(line, &format!("host: {host}\r\n")), &what).assert_refused(&what);
        }
    }
    for host in
        ["localhost", "127.0.0.1", "[::1]", &format!("localhost:{port}"), &format!("127.0.0.1:{port}")]
    {
        let reply = answer(&monitor, request("GET /health", &format!("host: {host}\r\n")), host);
        assert_eq!(reply.status, 200, "{host}: {reply:?}");
    }
}

#[test]
fn a_request_whose_host_can_be_read_in_two_ways_is_refused() {
    let monitor = Monitor::start();
    let port = monitor.port();
    let local = "host: localhost\r\n";
    for host in [
        "[::1].evil.example",
        "[::1]evil.example",
        "[::1",
        "::1",
        "[localhost]",
        "localhost@evil.example",
        "evil.example@localhost",
        "localhost,evil.example",
        "localhost/evil.example",
        "localhost#.evil.example",
        "localhost:80:80",
        "localhost:x",
        "localhost:",
        "localhost:99999",
        "127.0.0.1\\@evil.example",
    ] {
        let reply = answer(&monitor, request("GET /health", &format!("host: {host}\r\n")), host);
        reply.assert_refused(host);
    }
    for other in ["evil.example", "localhost", "127.0.0.1"] {
        let twice = format!("{local}host: {other}\r\n");
        answer(&monitor, request("GET /health", &twice), other).assert_refused(&twice);
    }
    for line in [
        "GET http://evil.example/health",
        "GET http://127.0.0.1/health",
        "GET http://localhost:1/health",
        "GET http://user@localhost/health",
        "GET http://[::1].evil.example/health",
    ] {
        answer(&monitor, request(line, local), line).assert_refused(line);
    }
    let whole = format!("GET http://localhost:{port}/health");
    for host in [format!("host: localhost:{port}\r\n"), format!("host: LOCALHOST:{port}\r\n")] {
        let reply = answer(&monitor, request(&whole, &host), &whole);
        assert_eq!(reply.status, 200, "both name one place, as by a proxy: {reply:?}");
    }
    let refused = &monitor.get("/stats").json()["refused"]["counts"]["ambiguous_host"];
    assert_eq!(refused.as_u64(), Some(8), "each is noted");
}

#[test]
fn only_pages_of_the_web_have_an_origin_and_it_is_written_in_one_way() {
    let monitor = Monitor::start();
    let event = prompt("evil", "injected");
    let port = monitor.port();
    for origin in [
        "tauri://localhost",
        "app://localhost",
        "file://localhost",
        "javascript://localhost",
        "data://127.0.0.1",
        "ws://localhost",
        "chrome-extension://localhost",
        "://localhost",
        "http://user@localhost",
        "http://user:word@127.0.0.1",
        "http://localhost@evil.example",
        "http://localhost/",
        "http://localhost/path",
        "http://localhost?",
        "http://localhost#",
        "http://localhost:",
        "http://localhost:80:80",
        "http://[::1].evil.example",
        "http://[::1",
        "http://localhost, http://evil.example",
        "localhost",
        "",
    ] {
        let headers = [("origin", origin), ("content-type", "text/plain")];
        monitor.post_with("/api/events", &headers, &event).assert_refused(origin);
        let twice =
            format!("host: localhost:{port}\r\norigin: http://localhost:{port}\r\norigin: {origin}\r\n");
        answer(&monitor, request("GET /api/events", &twice), origin).assert_refused("two origins");
    }
    for origin in [&format!("tauri://localhost:{port}"), &format!("app://localhost:{port}")] {
        let headers = [("origin", origin.as_str())];
        monitor.post_with("/api/capture", &headers, r#"{"paused":true}"#).assert_refused(origin);
    }
    assert!(monitor.events("duplicates=true").events.is_empty(), "nothing was stored");
    let headers = [("origin", "HTTPS://LocalHost:1")];
    assert_eq!(monitor.post_with("/api/events", &headers, &event).status, 204, "the case does not matter");
}

#[test]
fn a_page_of_another_origin_can_change_and_see_nothing() {
    let monitor = Monitor::start();
    let event = prompt("evil", "injected");
    for origin in
        ["http://evil.example", "https://localhost.evil.example", "null", "http://127.0.0.1.evil.example:80"]
    {
        let headers = [("origin", origin), ("content-type", "text/plain")];
        monitor.post_with("/api/events", &headers, &event).assert_refused(origin);
        monitor.post_with("/api/shutdown", &headers, "").assert_refused(origin);
        let polling = "GET /socket.io/?EIO=4&transport=polling";
        let host = format!("host: localhost\r\norigin: {origin}\r\n");
        answer(&monitor, request(polling, &host), polling).assert_refused(&format!("polling from {origin}"));
        let upgrade = format!(
            "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\n{host}connection: upgrade\r\nupgrade: websocket\r\n\
             sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        answer(&monitor, upgrade, "upgrade").assert_refused(&format!("upgrade from {origin}"));
        let page = answer(&monitor, request("GET /api/events", &host), "reading");
        let open = page.headers.lines().find(|line| line.starts_with("access-control-allow-origin"));
        assert_eq!(open, None, "a page of {origin} must not read the answer");
    }
    assert!(monitor.events("duplicates=true").events.is_empty(), "nothing was stored");
}

#[test]
fn what_another_site_makes_a_browser_ask_is_refused_and_a_link_to_us_works() {
    let monitor = Monitor::start();
    let asked = |path: &str, headers: &[(&str, &str)]| monitor.get_with(path, headers);
    let sub = [("sec-fetch-mode", "no-cors"), ("sec-fetch-dest", "image")];
    let frame = [("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "iframe")];
    let visit = [("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")];
    for path in [
        "/",
        "/health",
        "/api/events?q=secret",
        "/api/figures?query=project:*a*a*a*",
        "/api/sessions",
        "/api/hooks",
        "/api/legacy",
        "/api/instances",
        "/instances/1/health",
        "/metrics",
        "/login",
    ] {
        for site in [("sec-fetch-site", "cross-site"), ("sec-fetch-site", "same-site")] {
            for how in [sub, frame] {
                let refused = asked(path, &[[site].as_slice(), &how].concat());
                assert_eq!(refused.status, 403, "{path} {how:?}: {refused:?}");
                assert_eq!(refused.json()["code"], "cross_site", "{path}");
            }
            let ahead = [[site].as_slice(), &visit, &[("sec-purpose", "prefetch;prerender")]].concat();
            assert_eq!(asked(path, &ahead).status, 403, "{path} ahead of its user");
        }
        let foreign = [("origin", "http://evil.example"), ("sec-fetch-site", "cross-site")];
        assert_eq!(asked(path, &foreign).status, 403, "{path} with an origin");
    }
    for site in ["cross-site", "same-site", "same-origin", "none"] {
        let visited = asked("/", &[[("sec-fetch-site", site)].as_slice(), &visit].concat());
        assert_eq!(visited.status, 200, "{site}: {visited:?}");
    }
    for site in ["same-origin", "none"] {
        assert_eq!(asked("/api/events", &[("sec-fetch-site", site), sub[0], sub[1]]).status, 200, "{site}");
    }
    let page = [("sec-fetch-site", "cross-site"), ("origin", "http://localhost:5173")];
    assert_eq!(asked("/api/events", &page).status, 200, "a page of this machine");
    let refused = &monitor.get("/stats").json()["refused"]["counts"]["cross_site"];
    assert!(refused.as_u64() >= Some(66), "{refused}");
}

#[test]
fn a_page_of_this_machine_is_welcome() {
    let monitor = Monitor::start();
    for origin in
        [monitor.url(), format!("http://localhost:{}", monitor.port()), "http://localhost:5173".to_owned()]
    {
        let headers = [("origin", origin.as_str()), ("content-type", "application/json")];
        let reply = monitor.post_with("/api/events", &headers, prompt("s-1", "hello"));
        assert_eq!(reply.status, 204, "{origin}: {reply:?}");
    }
}

#[test]
fn a_head_that_is_too_large_or_broken_is_refused() {
    let monitor = Monitor::start();
    let huge = format!("host: localhost\r\nx-huge: {}\r\n", "x".repeat(1024 * 1024));
    let many =
        (0..1000).fold("host: localhost\r\n".to_owned(), |head, number| head + &format!("x-{number}: 1\r\n"));
    for (what, request) in [
        ("a huge header", request("GET /health", &huge)),
        ("a thousand headers", request("GET /health", &many)),
        ("a huge path", request(&format!("GET /{}", "x".repeat(1024 * 1024)), "host: localhost\r\n")),
        ("no HTTP", "hello\r\n\r\n".to_owned()),
        (
            "a wrong length",
            "POST /api/events HTTP/1.1\r\nhost: localhost\r\ncontent-length: many\r\n\r\n".to_owned(),
        ),
    ] {
        // The server may give up on such a caller without a word, but never with a 5xx.
        if let Some(reply) = raw(monitor.port(), request) {
            assert!((400..500).contains(&reply.status), "{what}: {reply:?}");
        }
        monitor.assert_healthy();
    }
}

/// A frame of a WebSocket client, masked with zeros. Its length may be another one than it says.
fn frame(first: u8, length: usize, payload: &[u8]) -> Vec<u8> {
    let length = (length as u64).to_be_bytes();
    [&[first, 0x80 | 127][..], &length, &[0; 4], payload].concat()
}

/// What comes back when a client upgrades, with this header, and sends these bytes, until the server closes.
#[track_caller]
fn upgraded(monitor: &Monitor, path: &str, header: &str, sent: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, monitor.port())).expect("the monitor listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
    let head = format!(
        "GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\nupgrade: websocket\r\n{header}\
         sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    stream.write_all(&[head.as_bytes(), sent].concat()).expect("it is read");
    let mut received = Vec::new();
    stream.read_to_end(&mut received).expect("the server closes");
    assert!(received.starts_with(b"HTTP/1.1 101 "), "{path}: {}", String::from_utf8_lossy(&received));
    received
}

const ENGINE: &str = "/socket.io/?EIO=4&transport=websocket";

#[test]
fn a_message_over_the_limit_ends_its_own_connection_with_the_reason() {
    let monitor = Monitor::start_configured(r#"{"max_http_buffer_size": 100000}"#, &[]);
    let mut guarded = Guarded::watch(&monitor);
    let half = vec![b'x'; 60_000];
    let fragments = [frame(0x01, half.len(), &half), frame(0x80, half.len(), &half)].concat();
    let many = frame(0x02, 1 << 62, b"");
    for (what, sent) in [
        ("one frame", frame(0x81, 100_001, b"{")),
        ("fragments", fragments.clone()),
        ("an endless one", many.clone()),
    ] {
        let received = upgraded(&monitor, "/ws", "", &sent);
        // A close frame: its length, 1009, and a reason.
        let close = received.windows(4).any(|bytes| bytes[0] == 0x88 && bytes[2..] == 1009u16.to_be_bytes());
        assert!(close, "{what}: {}", String::from_utf8_lossy(&received));
        guarded.assert_serving();
    }
    let connect = frame(0x81, 2, b"40");
    let announced = frame(0x81, 40, br#"451-["x",{"_placeholder":true,"num":0}]."#);
    for (what, sent) in [
        ("one frame", frame(0x81, 100_001, b"42[")),
        ("fragments", fragments),
        ("an attachment", [announced, frame(0x82, 100_001, b"x")].concat()),
        ("an endless one", many),
    ] {
        upgraded(&monitor, ENGINE, "", &[connect.clone(), sent].concat());
        println!("{what} was closed");
        guarded.assert_serving();
    }
    let open =
        answer(&monitor, request("GET /socket.io/?EIO=4&transport=polling", "host: localhost\r\n"), "open");
    let sid = open.body.split('"').nth(3).expect("0{\"sid\":\"…\"").to_owned();
    let large = monitor.post(&format!("/socket.io/?EIO=4&transport=polling&sid={sid}"), vec![b'4'; 100_001]);
    assert_eq!(large.status, 413, "{large:?}");
    guarded.assert_unharmed();
}

#[test]
fn packed_messages_are_neither_offered_nor_taken() {
    let monitor = Monitor::start();
    let mut guarded = Guarded::watch(&monitor);
    for path in ["/ws", "/", ENGINE] {
        let offer = "sec-websocket-extensions: permessage-deflate; client_max_window_bits\r\n";
        // A text frame with the bit that says it is packed.
        let received = upgraded(&monitor, path, offer, &frame(0xc1, 2, b"40"));
        let text = String::from_utf8_lossy(&received).to_lowercase();
        assert!(!text.contains("sec-websocket-extensions"), "{path}: {text}");
        guarded.assert_serving();
    }
    guarded.assert_unharmed();
}

/// What nobody who means well sends: a request line and headers, then a body.
fn hostile_requests() -> Vec<(String, &'static str, &'static str)> {
    let mut all = Vec::new();
    for path in [
        "/api/events?limit=1000000000000000000",
        "/api/events?limit=-1",
        "/api/events?limit=1e9",
        "/api/events?after=99999999999999999999",
        "/api/events?after=-5",
        "/api/events?before=x",
        "/api/events?after=5&before=1",
        "/api/events?wait=1000000",
        "/api/events?wait=1",
        "/api/events?from=yesterday",
        "/api/events?from=99999999999999999999",
        "/api/events?to=2026-99-99T99:99:99Z",
        "/api/events?error=perhaps",
        "/api/events?payload=2",
        "/api/events?q=%00",
        "/api/events?q=%22",
        "/api/events?q=%22%22%22",
        "/api/events?q=NEAR(",
        "/api/events?q=a*b*c*",
        "/api/events?q=';DROP%20TABLE%20events;--",
        "/api/events?q=%ff%fe",
        "/api/events?query=project:*a*a*a*a*a*a*a*a*",
        "/api/events?query=((((((((((",
        "/api/events?query=tool:",
        "/api/events?query=-",
        "/api/events?session=%27%20OR%201=1",
        "/api/events?kind=,,,,,,",
        "/api/events?nobody=knows",
        "/api/events?limit=1&limit=2&limit=x",
        "/api/events/0",
        "/api/events/-1",
        "/api/events/99999999999999999999",
        "/api/events/1%2f..%2f..",
        "/api/events/NaN?masked=maybe",
        "/api/figures?bucket=0",
        "/api/figures?from=2&to=1",
        "/api/sessions?limit=x",
        "/api/sessions/..%2f..%2fetc%2fpasswd",
        "/api/sessions/%00",
        "/api/sessions/x%0d%0aset-cookie:a=b",
        "/api/sessions/a?nobody=1",
        "/instances/0/health",
        "/instances/99999/health",
        "/instances/-1/health",
        "/instances/x/health",
        "/instances/1/api/events/../hooks",
        "/instances/1/api/events/%2e%2e/hooks",
        "/instances/1/api/events/..%2fhooks",
        "/instances/1//api/hooks",
        "/instances/1/./api/hooks",
        "/instances/1/health/../../api/login-link",
        "/instances/1/http://evil.example/",
        "/instances/1/@evil.example/health",
        "/login?code=",
        "/login?code=%00",
        "/login?code=1&code=2",
        "/assets/..%5c..%5cevents.db",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/..;/..;/etc/passwd",
        "/index.html%00",
        "/.git/config",
        "/monitor/token",
        "//evil.example/%2e%2e",
        "/socket.io/?EIO=4&transport=polling&sid=../../etc",
        "/socket.io/?EIO=99&transport=polling",
        "/socket.io/?EIO=4&transport=polling&transport=websocket&sid=",
        "/socket.io/../api/hooks",
        "/socket.iox?EIO=4&transport=polling",
    ] {
        all.push((format!("GET {path}"), "", ""));
    }
    for (line, headers, body) in [
        ("GET http://evil.example/health", "", ""),
        ("GET /health", "range: bytes=0-0,0-1,0-2\r\n", ""),
        ("GET /health", "if-none-match: *\r\nif-modified-since: never\r\n", ""),
        ("GET /", "accept-encoding: gzip;q=99, *;q=-1\r\n", ""),
        ("GET /health", "cookie: claude_mpm_monitor=;;;=\r\n", ""),
        ("GET /health", "authorization: Basic !!!\r\n", ""),
        ("GET /health", "authorization: Bearer \u{e9}\r\n", ""),
        ("GET /ws", "upgrade: websocket\r\n", ""),
        ("GET /ws", "connection: upgrade\r\nupgrade: h2c\r\n", ""),
        ("OPTIONS /api/events", "origin: null\r\n", ""),
        ("TRACE /", "", ""),
        ("CONNECT evil.example:443", "", ""),
        ("PROPFIND /api/events", "", ""),
        ("POST /api/sessions/x/read", "content-length: 1\r\n", "{"),
        ("POST /api/sessions/..%2fx/read", "content-length: 0\r\n", ""),
        ("POST /instances/1/api/hooks", "content-length: 0\r\n", ""),
        ("POST /instances/1/api/sessions/%2e%2e/read", "content-length: 0\r\n", ""),
        ("POST /api/instances/0/stop", "content-length: 0\r\n", ""),
        ("POST /api/instances/x/restart", "content-length: 0\r\n", ""),
        ("POST /api/shutdown", "content-length: 2\r\n", "{}"),
        ("POST /api/restart", "content-length: 11\r\n", "{\"port\":-1}"),
        ("POST /api/capture", "content-length: 4\r\n", "null"),
        ("POST /api/hooks", "content-length: 2\r\n", "[]"),
        ("POST /compatibility", "content-length: 1\r\n", "{"),
        ("POST /compatibility", "content-encoding: gzip\r\ncontent-length: 4\r\n", "\u{1f}\u{b}\u{8}\u{0}"),
        ("POST /login", "content-encoding: gzip\r\ncontent-length: 4\r\n", "\u{1f}\u{b}\u{8}\u{0}"),
        ("POST /login", "content-type: application/json\r\ncontent-length: 2\r\n", "{}"),
        ("POST /login", "content-type: multipart/form-data\r\ncontent-length: 0\r\n", ""),
        ("POST /api/events", "transfer-encoding: chunked\r\n", "zz\r\n"),
        ("POST /api/events", "transfer-encoding: chunked\r\n", "ffffffffffffffff1\r\n"),
        ("POST /api/events", "transfer-encoding: gzip\r\n", ""),
        ("POST /api/events", "content-length: 5\r\ncontent-length: 6\r\n", "{}"),
        ("POST /api/events", "content-length: -1\r\n", ""),
        ("POST /api/events", "content-length: 99999999999999999999\r\n", "{"),
        ("POST /api/events", "content-length: 3\r\ntransfer-encoding: chunked\r\n", "0\r\n\r\n"),
    ] {
        all.push((line.to_owned(), headers, body));
    }
    all
}

#[test]
fn no_hostile_request_is_answered_with_a_server_s_error_or_another_server_s_secret() {
    let monitor = Monitor::start();
    monitor.event(prompt("s-1", "hello"));
    let guarded = Guarded::watch(&monitor);
    let all = hostile_requests();
    assert!(all.len() >= 100, "{} requests", all.len());
    for (line, headers, body) in &all {
        let head = format!("{line} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{headers}\r\n{body}");
        // The server may give up on such a caller without a word.
        if let Some(reply) = raw(monitor.port(), head) {
            assert!(reply.status < 500, "{line} {headers:?}: {reply:?}");
            assert!(!reply.body.contains("root:") && !reply.headers.contains("a=b"), "{line}: {reply:?}");
            assert!(!reply.body.contains(&monitor.control_token()), "{line}: {reply:?}");
            if line.starts_with("GET /instances/") {
                assert!((400..500).contains(&reply.status), "{line}: {reply:?}");
            }
        }
    }
    monitor.assert_healthy();
    let stored = monitor.events("duplicates=true&session=s-1");
    assert_eq!(stored.events.len(), 1, "nothing came in and nothing went");
    guarded.assert_unharmed();
}

#[test]
fn the_way_to_another_server_leads_to_nothing_but_what_is_shown_of_it() {
    let home = Arc::new(tempfile::tempdir().expect("a temporary folder can be made"));
    let (here, there) = (Monitor::start_with(&home, &[]), Monitor::start_with(&home, &[]));
    let path = |route: &str| format!("GET /instances/{}/{route}", there.port());
    let ask = |route: &str| answer(&here, request(&path(route), "host: localhost\r\n"), route);
    assert_eq!(ask("health").json()["port"], there.port(), "it is reached");
    for route in [
        "api/hooks",
        "api/events/../hooks",
        "api/events/./../hooks",
        "api/events/%2e%2e/hooks",
        "api/events/..%2fhooks",
        "api/events/%2e%2e%2fhooks",
        "api/events/..;/hooks",
        "api/events/..%5chooks",
        "health/../api/hooks",
        "api/settings/../login-link",
        "metrics",
        "",
    ] {
        let reply = ask(route);
        assert!((400..500).contains(&reply.status), "{route}: {reply:?}");
        assert!(!reply.body.contains("is_installed"), "{route}: {reply:?}");
    }
}

#[test]
fn malformed_engine_io_is_refused() {
    let monitor = Monitor::start();
    let open =
        answer(&monitor, request("GET /socket.io/?EIO=4&transport=polling", "host: localhost\r\n"), "open");
    assert_eq!(open.status, 200, "{open:?}");
    let sid = open.body.split('"').nth(3).expect("0{\"sid\":\"…\"").to_owned();
    let poll = format!("/socket.io/?EIO=4&transport=polling&sid={sid}");
    let body = |text: &str| {
        format!("host: localhost\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{text}", text.len())
    };
    let cases = [
        request("GET /socket.io/?EIO=3&transport=polling", "host: localhost\r\n"),
        request("GET /socket.io/?EIO=4&transport=pigeon", "host: localhost\r\n"),
        request("GET /socket.io/?EIO=4", "host: localhost\r\n"),
        request("GET /socket.io/?transport=polling", "host: localhost\r\n"),
        request("GET /socket.io/", "host: localhost\r\n"),
        request("GET /socket.io/?EIO=4&transport=polling&sid=nobody", "host: localhost\r\n"),
        request("GET /socket.io/?EIO=4&transport=websocket", "host: localhost\r\n"),
        request("DELETE /socket.io/?EIO=4&transport=polling", "host: localhost\r\n"),
        format!("POST /socket.io/?EIO=4&transport=polling&sid=nobody HTTP/1.1\r\n{}", body("40")),
        format!("POST {poll} HTTP/1.1\r\n{}", body("x-nonsense")),
    ];
    for case in cases {
        let what = case.lines().next().expect("a first line").to_owned();
        let reply = answer(&monitor, &case, &what);
        assert!((400..500).contains(&reply.status), "{what}: {reply:?}");
    }
    // What is no packet inside a good request may be ignored or refused.
    for packet in
        ["", "4", "49", "42", "42[", "42{}", "42[7]", "42/nowhere,[\"x\"]", "451-[\"x\"]", "b!!!", "40{"]
    {
        let reply = raw(monitor.port(), format!("POST {poll} HTTP/1.1\r\n{}", body(packet)));
        assert!(reply.is_none_or(|reply| reply.status < 500), "{packet}");
        monitor.assert_healthy();
    }
}
