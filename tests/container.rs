//! Claims about the container image, as far as they can be proved without an engine: the Dockerfile is sound, and what
//! it starts serves in a root folder that holds nothing but the program and its libraries, as a user without rights.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use e2e::{output, program, raw, repository};
use protocol::paths::Home;

/// The user of the runtime image.
const NONROOT: u32 = 65_532;

/// Reached only when something is broken.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the last stage of the Dockerfile says.
struct Image {
    environment: BTreeMap<String, String>,
    entrypoint: Vec<String>,
    command: Vec<String>,
    healthcheck: Vec<String>,
}

impl Image {
    fn read() -> Self {
        let text = fs::read_to_string(repository().join("Dockerfile")).expect("there is a Dockerfile");
        let text = text.replace("\\\n", " ");
        let last = text.rsplit("\nFROM ").next().expect("it has stages");
        let line = |start: &str| last.lines().find_map(|line| line.strip_prefix(start)).expect(start);
        let list = |text: &str| serde_json::from_str(&text[text.find('[').expect("a list")..]).expect("JSON");
        let pairs = line("ENV ").split_whitespace().map(|pair| pair.split_once('=').expect("NAME=value"));
        Self {
            environment: pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
            entrypoint: list(line("ENTRYPOINT ")),
            command: list(line("CMD ")),
            healthcheck: list(line("HEALTHCHECK ")),
        }
    }
}

/// A folder with what the image holds: the program and the libraries that it loads.
struct Root(tempfile::TempDir);

impl Root {
    fn new(exe: &str, home: &str) -> Self {
        let root = tempfile::tempdir().expect("a temporary folder can be made");
        fs::set_permissions(root.path(), fs::Permissions::from_mode(0o755)).expect("it is ours");
        let root = Self(root);
        let built = program("claude-mpm-monitor");
        root.copy(&built, exe);
        let loaded = output(Command::new("ldd").arg(&built), b"");
        let loaded = String::from_utf8(loaded.stdout).expect("text");
        for library in loaded.split_whitespace().filter(|word| word.starts_with('/')) {
            root.copy(Path::new(library), library);
        }
        // Names of this machine, and a home that only the image's user can read.
        root.copy(Path::new("/etc/hosts"), "/etc/hosts");
        let home = root.inside(home);
        fs::create_dir_all(&home).expect("a folder can be made");
        fs::set_permissions(&home, fs::Permissions::from_mode(0o700)).expect("it is ours");
        fs::write(Home::at(&home).config(), r#"{ "require_token": true }"#).expect("it is ours");
        chown(&home, Some(NONROOT), Some(NONROOT)).expect("this test must run as root, as chroot does");
        root
    }

    fn inside(&self, path: &str) -> std::path::PathBuf {
        self.0.path().join(path.trim_start_matches('/'))
    }

    fn copy(&self, from: &Path, to: &str) {
        let to = self.inside(to);
        fs::create_dir_all(to.parent().expect("it lies in a folder")).expect("a folder can be made");
        fs::copy(from, &to).unwrap_or_else(|cause| panic!("could not copy {}: {cause}", from.display()));
    }

    /// A command inside, as the image's user with the image's environment and nothing else; on loopback, for without
    /// an engine the network is that of this machine, which a test does not open to others. There as beyond it
    /// everybody needs the token when the configuration says so.
    fn command(&self, image: &Image, port: u16, words: &[String]) -> Command {
        let mut command = Command::new("/usr/sbin/chroot");
        command.arg(format!("--userspec={NONROOT}:{NONROOT}")).arg(self.0.path()).args(words);
        command.env_clear().envs(&image.environment).env("CLAUDE_MPM_SOCKETIO_PORT", port.to_string());
        command.env("CLAUDE_MPM_SOCKETIO_HOST", "localhost");
        command
    }
}

/// The status of an answer to a program outside.
fn status(port: u16, path: &str, headers: &str) -> u16 {
    let request = format!("GET {path} HTTP/1.1\r\n{headers}connection: close\r\n\r\n");
    raw(port, request).unwrap_or_else(|| panic!("no answer to {path}")).status
}

/// A started container; it ends with the value.
struct Container(Child);

impl Drop for Container {
    fn drop(&mut self) {
        // A test that failed may have left it.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn hadolint_finds_nothing_to_say_about_the_dockerfile() {
    let hadolint = repository().join(".venv/bin/hadolint");
    let ran = output(Command::new(hadolint).arg(repository().join("Dockerfile")), b"");
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stdout));
}

#[test]
fn what_the_image_starts_passes_its_own_health_check_and_stops_when_told() {
    let image = Image::read();
    let root = Root::new(&image.entrypoint[0], &image.environment["CLAUDE_MPM_HOME"]);
    let port = {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("there is a free port");
        listener.local_addr().expect("it is bound").port()
    };
    let health = || output(&mut root.command(&image, port, &image.healthcheck), b"");
    assert!(!health().status.success(), "nothing runs yet");
    let words = [image.entrypoint.clone(), image.command.clone()].concat();
    let log = fs::File::create(root.0.path().join("log")).expect("a file can be made");
    let mut command = root.command(&image, port, &words);
    let command =
        command.stdin(Stdio::null()).stdout(log.try_clone().expect("a file can be shared")).stderr(log);
    let mut container = Container(command.spawn().expect("chroot starts"));
    let said = || fs::read_to_string(root.0.path().join("log")).unwrap_or_default();
    let started = Instant::now();
    while !health().status.success() {
        let ended = container.0.try_wait().expect("it is ours");
        assert!(ended.is_none() && started.elapsed() < PATIENCE, "{ended:?}: {}\n{:?}", said(), health());
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(said().contains("profile=\"docker\""), "its log goes to where the engine reads it: {}", said());
    // Everybody else shows the token, with this profile as with any; the health check found it.
    let home = Home::at(root.inside(&image.environment["CLAUDE_MPM_HOME"]));
    let token = fs::read_to_string(home.token()).expect("it was made");
    let bearer = format!("host: localhost\r\nauthorization: Bearer {}\r\n", token.trim());
    for path in ["/api/events", "/stats"] {
        assert_eq!(status(port, path, "host: localhost\r\n"), 401, "{path}: {}", said());
        assert_eq!(status(port, path, &bearer), 200, "{path}: {}", said());
    }
    let rebound = bearer.replace("localhost", "evil.example");
    assert_eq!(status(port, "/api/events", &rebound), 403, "only under its own names");
    assert!(said().contains("This link logs one browser in"), "its log shows the way in: {}", said());
    let pid = container.0.id().to_string();
    assert!(output(Command::new("kill").args(["-TERM", &pid]), b"").status.success());
    assert!(container.0.wait().expect("it is ours").success(), "{}", said());
    assert!(!health().status.success(), "it has gone");
}
