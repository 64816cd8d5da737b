//! Claims about who gets in: the token that a server asks for which others can reach, logins, HTTPS, and the other
//! users of this machine.

use std::process::Command;
use std::sync::Arc;

use e2e::{
    Client, Library, Monitor, NOBODY, Options, Reply, Socket, WebSocket, has_other_users, hook, output,
    prompt, raw, spooled,
};
use serde_json::{Value, json};
use tempfile::TempDir;

fn home() -> Arc<TempDir> {
    Arc::new(TempDir::new().expect("a temporary folder can be made"))
}

/// A monitor that other machines can reach.
fn open_to_all(more: &[&str]) -> Monitor {
    Monitor::start_with(&home(), &[&["--host", "0.0.0.0"], more].concat())
}

fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

fn with_token(monitor: &Monitor, path: &str) -> Reply {
    monitor.get_with(path, &[("authorization", &bearer(&monitor.token()))])
}

/// What the command line prints.
#[track_caller]
fn printed(monitor: &Monitor, arguments: &[&str]) -> String {
    let output = monitor.cli(arguments);
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).expect("text").trim().to_owned()
}

#[test]
fn without_the_token_there_is_nothing_but_a_word_of_health() {
    let monitor = open_to_all(&[]);
    let health = monitor.get("/health").json();
    let mut fields: Vec<&String> = health.as_object().expect("an object").keys().collect();
    fields.sort();
    assert_eq!(fields, ["service", "status", "version"]);
    let short = &monitor.token()[1..];
    let wrong = [None, Some(bearer(short)), Some(bearer("")), Some(format!("Basic {}", monitor.token()))];
    for path in
        ["/", "/status", "/stats", "/version", "/api/events", "/api/sessions", "/api/instances", "/ws", "/x"]
    {
        for authorization in &wrong[..2] {
            let headers = authorization.iter().map(|value| ("authorization", value.as_str()));
            let reply = monitor.get_with(path, &headers.collect::<Vec<_>>());
            assert_eq!(reply.status, 401, "{path} with {authorization:?}: {reply:?}");
            reply.assert_refused(path);
            assert!(reply.headers.contains("www-authenticate: Bearer"), "{}", reply.headers);
        }
    }
    for authorization in wrong.iter().flatten() {
        let reply = monitor.get_with("/health", &[("authorization", authorization)]);
        assert!(reply.status == 401 || reply.json().get("pid").is_none(), "{authorization}: {reply:?}");
    }
    for path in ["/api/events", "/compatibility", "/api/login-link", "/api/shutdown"] {
        let reply = monitor.post(path, prompt("s-1", "injected"));
        assert_eq!(reply.status, 401, "{path}: {reply:?}");
    }
    let all = with_token(&monitor, "/api/events?duplicates=true");
    assert!(all.page().events.is_empty(), "nothing came in");
    assert_eq!(with_token(&monitor, "/health").json()["port"], monitor.port(), "with it, everything is told");
}

#[test]
fn who_guesses_is_told_to_wait_and_who_knows_is_served() {
    let monitor = open_to_all(&[]);
    let guess = || monitor.get_with("/stats", &[("authorization", "Bearer guessed")]);
    let mut answers = std::iter::repeat_with(guess).take(60);
    let waiting = answers.find(|reply| reply.status == 429).expect("guessing ends");
    waiting.assert_refused("a guess too many");
    let stats = with_token(&monitor, "/stats");
    assert_eq!(stats.status, 200, "{stats:?}");
    let refused = &stats.json()["refused"];
    assert!(refused["counts"]["unauthorized"].as_u64() >= Some(5), "{refused}");
    assert!(refused["counts"]["too_many_mistakes"].as_u64() >= Some(1), "{refused}");
    assert_eq!(refused["latest"][0]["what"], "GET /stats", "{refused}");
}

#[test]
fn socket_io_clients_bring_the_token_as_auth_or_stay_outside() {
    let monitor = open_to_all(&[]);
    let token = monitor.token();
    for library in Library::ALL {
        for (namespace, auth) in [("/", json!({"token": token})), ("/stream", json!({"token": token}))] {
            let options = Options { auth: Some(auth), namespace, ..Options::default() };
            let mut socket = Socket::connect_with(&monitor, library, &options);
            if namespace == "/" {
                socket.event("connection_ack");
                let headers = [("authorization", bearer(&token))];
                let headers = headers.each_ref().map(|(name, value)| (*name, value.as_str()));
                assert_eq!(monitor.post_with("/api/events", &headers, prompt("s-1", "hello")).status, 204);
                socket.event("claude_event");
            }
        }
        for (namespace, auth) in [("/", None), ("/", Some(json!({"token": "guessed"}))), ("/stream", None)] {
            let options = Options { auth, namespace, ..Options::default() };
            let reason = Socket::attempt(&monitor, library, &options).refusal();
            // python-socketio keeps the reason to itself.
            let is_told = library != Library::Node || reason.to_string().contains("unauthorized");
            assert!(is_told, "{library:?} {options:?}: {reason}");
        }
    }
}

#[test]
fn websocket_clients_bring_the_token_as_a_header_and_never_in_the_address() {
    let monitor = open_to_all(&[]);
    let token = monitor.token();
    for path in ["/ws", "/", &format!("/ws?token={token}")] {
        let refusal = WebSocket::attempt(&monitor, path, None).refusal();
        assert_eq!(refusal, 401, "{path}");
    }
    let options = json!({"headers": {"Authorization": bearer(&token)}});
    let mut socket = WebSocket::attempt_with(&monitor, "/ws", &options);
    socket.data("system.status");
    assert_eq!(socket.ask(&json!({"command": "get_status"}), "system.status")["connected_clients"], 1);
}

#[test]
fn a_login_link_logs_one_browser_in_by_a_cookie_that_no_script_and_no_other_site_can_use() {
    let monitor = open_to_all(&[]);
    let page = monitor.get_with("/", &[("accept", "text/html")]);
    assert_eq!(page.status, 401, "{page:?}");
    assert!(page.body.contains("<form method=post action=/login>"), "a person is asked: {page:?}");
    let path = monitor.login_path();
    let login = monitor.get(&path);
    assert_eq!(login.status, 200, "{login:?}");
    for part in ["HttpOnly", "SameSite=Strict", "Path=/"] {
        assert!(login.headers.contains(part), "{part}: {}", login.headers);
    }
    let cookie = login.cookie();
    assert!(!cookie.contains(&monitor.token()), "the token itself stays here");
    let reply = monitor.get_with("/api/events", &[("cookie", &cookie)]);
    assert_eq!(reply.status, 200, "{reply:?}");
    let dashboard = monitor.get_with("/", &[("cookie", &cookie), ("accept", "text/html")]);
    assert_eq!(dashboard.status, 200, "{dashboard:?}");
    assert_eq!(monitor.get(&path).status, 401, "a link is good once");
    assert_eq!(monitor.get("/login?code=guessed").status, 401);
    let mut live = WebSocket::attempt_with(&monitor, "/ws", &json!({"headers": {"Cookie": cookie}}));
    live.data("system.status");
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let typed = monitor.post_with("/login", &form, format!("token={}", monitor.token()));
    assert!(typed.headers.contains("set-cookie: "), "the token can be typed, too: {typed:?}");
    assert_eq!(monitor.post_with("/login", &form, "token=guessed").status, 401);
    let foreign = [form[0], ("origin", "http://evil.example")];
    monitor
        .post_with("/login", &foreign, format!("token={}", monitor.token()))
        .assert_refused("another site");
}

#[test]
fn a_login_link_is_used_up_by_opening_it_and_by_nothing_else() {
    let monitor = open_to_all(&[]);
    let path = monitor.login_path();
    for method in ["HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "TRACE", "QUERY"] {
        let head = format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
        let reply = raw(monitor.port(), head).unwrap_or_else(|| panic!("no answer to {method}"));
        assert!(!reply.headers.contains("set-cookie"), "{method}: {reply:?}");
    }
    let looked = format!("HEAD {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    assert_eq!(raw(monitor.port(), looked).expect("an answer").status, 200, "a look is no mistake");
    assert!(!monitor.get(&path).cookie().is_empty(), "it is still good");
    assert_eq!(monitor.get(&path).status, 401, "and then it is used up");
}

#[test]
fn a_rotation_ends_everything_that_the_old_token_opened() {
    let monitor = open_to_all(&[]);
    let old = monitor.token();
    let login = monitor.get(&monitor.login_path());
    let (cookie, link) = (login.cookie(), monitor.login_path());
    let auth = Some(json!({"token": old}));
    let options = Options { auth, transports: &["websocket"], ..Options::default() };
    let mut viewer = Socket::connect_with(&monitor, Library::Node, &options);
    let mut raw =
        WebSocket::attempt_with(&monitor, "/ws", &json!({"headers": {"Authorization": bearer(&old)}}));
    raw.data("system.status");
    let new = printed(&monitor, &["token", "rotate"]);
    assert_ne!(new, old);
    assert_eq!(printed(&monitor, &["token", "show"]), new);
    assert_eq!(monitor.get_with("/stats", &[("authorization", &bearer(&old))]).status, 401, "the old token");
    assert_eq!(monitor.get_with("/stats", &[("cookie", &cookie)]).status, 401, "the cookie");
    assert_eq!(monitor.get(&link).status, 401, "the link");
    assert_eq!(with_token(&monitor, "/stats").status, 200, "the new token");
    viewer.closed();
    raw.closed();
    assert!(printed(&monitor, &["status"]).contains("Status: Running"), "this user's commands go on");
    monitor.hook(&prompt("s-1", "hello"));
    assert_eq!(with_token(&monitor, "/api/events").page().events.len(), 1, "and the hooks");
}

#[test]
fn a_hook_elsewhere_posts_with_the_token_it_is_given_and_keeps_what_is_refused() {
    let monitor = open_to_all(&[]);
    let (url, token) = (monitor.url(), monitor.token());
    let elsewhere = home();
    let post = |token: &str| {
        let variables = [("CLAUDE_MPM_MONITOR_URL", url.as_str()), ("CLAUDE_MPM_MONITOR_TOKEN", token)];
        hook(elsewhere.path(), &variables, &prompt("s-1", "hello"));
        spooled(elsewhere.path()).len()
    };
    assert_eq!(post("guessed"), 1, "what is refused is kept");
    // On a busy machine the hook may give up in time; then it keeps the event, too.
    let kept =
        (0..20).map(|_| post(&token)).scan(1, |before, now| Some(now == std::mem::replace(before, now)));
    assert!(kept.into_iter().any(|posted| posted), "with the token it arrives");
    assert!(!with_token(&monitor, "/api/events").page().events.is_empty());
}

#[test]
fn no_secret_is_written_down() {
    let monitor = Monitor::start_configured(r#"{"log_level":"DEBUG"}"#, &["--host", "0.0.0.0"]);
    let (token, path) = (monitor.token(), monitor.login_path());
    let login = monitor.get(&path);
    monitor.get(&path);
    with_token(&monitor, "/stats");
    monitor.get(&format!("/api/events?token={token}"));
    let (log, stats) = (monitor.log(), with_token(&monitor, "/stats").body);
    assert!(log.contains("refused"), "refusals are written down: {log}");
    let code = path.rsplit('=').next().expect("a code");
    for secret in [token.as_str(), code, login.cookie().as_str(), &monitor.control_token()] {
        assert!(!log.contains(secret) && !stats.contains(secret), "{secret} is in {log}\n{stats}");
    }
}

#[test]
fn a_server_for_other_machines_answers_to_its_addresses_and_to_no_foreign_name() {
    let monitor = Monitor::start_configured(r#"{"allowed_hosts":"monitor.example"}"#, &["--host", "0.0.0.0"]);
    let ask = |host: &str| {
        let authorization = bearer(&monitor.token());
        let head = format!("GET /version HTTP/1.1\r\nhost: {host}\r\nauthorization: {authorization}\r\n\r\n");
        raw(monitor.port(), head).unwrap_or_else(|| panic!("no answer for {host}")).status
    };
    let machine = output(&mut Command::new("hostname"), b"").stdout;
    let machine = String::from_utf8(machine).expect("text").trim().to_owned();
    for host in ["localhost", "192.0.2.7:8765", "[2001:db8::1]", "monitor.example:80", &machine] {
        assert_eq!(ask(host), 200, "{host}");
    }
    for host in ["evil.example", "192.0.2.7.evil.example", "localhost.evil.example"] {
        assert_eq!(ask(host), 403, "{host}");
    }
    let page = |origin: &str| {
        let authorization = bearer(&monitor.token());
        let headers = [("origin", origin), ("authorization", authorization.as_str())];
        monitor.post_with("/api/events", &headers, prompt("s-1", "hello")).status
    };
    assert_eq!(page(&monitor.url()), 204, "its own page");
    assert_eq!(page("http://192.0.2.9:8765"), 403, "another machine's page");
}

#[test]
fn loopback_needs_no_token_unless_its_user_says_so() {
    let monitor = Monitor::start_configured(r#"{"require_token":true}"#, &[]);
    assert_eq!(monitor.get("/stats").status, 401);
    assert_eq!(with_token(&monitor, "/stats").status, 200);
    monitor.hook(&prompt("s-1", "hello"));
    assert_eq!(with_token(&monitor, "/api/events").page().events.len(), 1, "the hook finds the token");
    let plain = Monitor::start();
    assert_eq!(plain.get("/stats").status, 200);
    assert!(printed(&plain, &["token", "link"]).starts_with("No login is needed"));
}

#[test]
fn another_user_of_this_machine_is_refused() {
    let monitor = Monitor::start();
    let url = format!("{}/api/events", monitor.url());
    let curl = ["--silent", "--include", "--max-time", "30", url.as_str()];
    let ask = |command: &mut Command| {
        let text = output(command.args(curl), b"").stdout;
        let text = String::from_utf8(text).expect("text");
        Reply::parse(&text).unwrap_or_else(|| panic!("no answer to {command:?}: {text}"))
    };
    assert_eq!(ask(&mut Command::new("curl")).status, 200, "its own user is served");
    if has_other_users() {
        let refused = ask(Command::new("setpriv").args(NOBODY).arg("curl"));
        assert_eq!(refused.status, 403, "{refused:?}");
        assert_eq!(refused.json()["code"], "another_user");
        assert_eq!(monitor.get("/stats").json()["refused"]["counts"]["another_user"], 1);
    }
    monitor.assert_healthy();
}

#[test]
fn another_user_gets_in_at_no_door_without_the_token_and_at_each_with_it() {
    if !has_other_users() {
        return;
    }
    let monitor = Monitor::start();
    // Whoever has it was told it by the user.
    let header = format!("Authorization: {}", bearer(&monitor.control_token()));
    for (header, expected) in
        [("X-More: none", "403"), ("Authorization: Bearer guessed", "401"), (&header, "")]
    {
        for (kind, with_token) in [("websocket", "101"), ("engine", "101"), ("handshake", "200")] {
            let arguments = [&monitor.port().to_string(), "1", kind, "/", header];
            let mut nobody = Client::python_as_nobody("connections.py", &arguments);
            let statuses = nobody.take("its status", |line| line["what"] == "open")["statuses"].take();
            let expected = if expected.is_empty() { with_token } else { expected };
            assert_eq!(statuses, json!({expected: 1}), "{kind} with {header}");
        }
        for host in ["127.0.0.1", "[::1]"] {
            let url = format!("http://{host}:{}/api/events", monitor.port());
            let curl =
                ["curl", "--globoff", "--silent", "--include", "--max-time", "30", "--header", header, &url];
            let text = output(Command::new("setpriv").args(NOBODY).args(curl), b"").stdout;
            let reply = Reply::parse(&String::from_utf8_lossy(&text)).expect("an answer");
            let expected = if expected.is_empty() { "200" } else { expected };
            assert_eq!(reply.status.to_string(), expected, "{host} with {header}");
        }
    }
    monitor.assert_healthy();
}

#[test]
fn a_cookie_ends_with_its_time() {
    let monitor = open_to_all(&[]);
    let cookie = |until: u64| {
        let signed = format!("claude_mpm_monitor_{}=user.{until}", monitor.port());
        let token = monitor.token();
        let arguments = ["dgst", "-sha256", "-hmac", &token];
        let signature = output(Command::new("openssl").args(arguments), signed.as_bytes()).stdout;
        let signature = String::from_utf8(signature).expect("text");
        format!("{signed}.{}", signature.trim().rsplit(' ').next().expect("a signature"))
    };
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("it is after 1970");
    let status = |until: u64| monitor.get_with("/stats", &[("cookie", &cookie(until))]).status;
    assert_eq!(status(now.as_secs() + 3600), 200, "one that is still good");
    assert_eq!(status(now.as_secs() - 1), 401);
    assert_eq!(status(0), 401);
}

#[test]
fn https_is_served_with_a_certificate_of_its_own_and_this_machine_may_go_on_without() {
    let monitor = open_to_all(&["--tls"]);
    let certificate = monitor.home().join("monitor/certificate.pem");
    let certificate = certificate.to_str().expect("text");
    let authorization = format!("authorization: {}", bearer(&monitor.token()));
    let ask = |more: &[&str]| {
        let url = format!("https://localhost:{}/version", monitor.port());
        let arguments = ["--silent", "--show-error", "--max-time", "30", "--header", &authorization, &url];
        output(Command::new("curl").args(arguments).args(more), b"")
    };
    let trusted = ask(&["--cacert", certificate]);
    assert!(trusted.status.success(), "its names are right: {trusted:?}");
    assert!(
        serde_json::from_slice::<Value>(&trusted.stdout)
            .is_ok_and(|version| version["server_id"].is_string())
    );
    assert!(!ask(&[]).status.success(), "nobody vouches for it");
    assert_eq!(with_token(&monitor, "/version").status, 200, "plain, on this machine");
    monitor.hook(&prompt("s-1", "hello"));
    assert_eq!(with_token(&monitor, "/api/events").page().events.len(), 1);
    let status = printed(&monitor, &["status"]);
    assert!(status.contains(&format!("https://localhost:{}", monitor.port())), "{status}");
    let shown = ["x509", "-noout", "-fingerprint", "-sha256", "-in", certificate];
    let shown = output(Command::new("openssl").args(shown), b"").stdout;
    let shown = String::from_utf8(shown).expect("text");
    let fingerprint = shown.trim().rsplit('=').next().expect("NAME=AB:CD:…");
    assert!(monitor.log().contains(fingerprint), "{fingerprint} is shown: {}", monitor.log());
}

#[test]
fn https_is_served_with_the_user_s_own_certificate() {
    let folder = home();
    let file = |name: &str| folder.path().join(name).display().to_string();
    let (certificate, key) = (file("cert.pem"), file("key.pem"));
    let arguments = [
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=localhost",
        "-addext",
        "subjectAltName=DNS:localhost",
        "-out",
        &certificate,
        "-keyout",
        &key,
    ];
    let made = output(Command::new("openssl").args(arguments), b"");
    assert!(made.status.success(), "{made:?}");
    let monitor = Monitor::start_with(&home(), &["--tls-cert", &certificate, "--tls-key", &key]);
    let url = format!("https://localhost:{}/version", monitor.port());
    let trusted = output(Command::new("curl").args(["--silent", "--cacert", &certificate, &url]), b"");
    assert!(trusted.status.success(), "{trusted:?}");
    assert!(monitor.cli(&["stop"]).status.success());
    std::fs::write(&key, "no key").expect("a file can be written");
    let port = monitor.port().to_string();
    let refused = monitor.cli(&["start", "--port", &port, "--tls-cert", &certificate, "--tls-key", &key]);
    let reason = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && reason.contains("the key is no PEM key"), "{reason}");
}
