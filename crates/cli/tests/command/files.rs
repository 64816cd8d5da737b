//! Files that others can place, or whose links lead elsewhere: nobody waits for a pipe, reads what has no end, or reads
//! more than a file of its kind can hold.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::programs::python_monitor;
use crate::support::{Desk, Foreground, Ran, request};

/// More memory than any verb needs, and less than harms the machine when one reads on and on.
const MEMORY_KIB: u32 = 4 * 1024 * 1024;

/// Larger than any file that is read.
const HUGE_BYTES: u64 = 8 * 1024 * 1024 * 1024;

/// What is said of a file that is larger.
const HUGE: &str = "the most that such a file can hold";

/// Puts something in a file's place.
type Plant = fn(&Path);

/// What may stand there, and what it is called where it is refused.
const PLANTS: [(&str, Plant); 5] = [
    ("a pipe", |path| {
        assert!(Command::new("mkfifo").args(["-m", "666"]).arg(path).status().unwrap().success());
    }),
    ("a device", |path| symlink("/dev/zero", path).unwrap()),
    ("a folder", |path| fs::create_dir(path).unwrap()),
    ("a socket", |path| drop(UnixListener::bind(path).unwrap())),
    // A hole takes no room on the disk.
    (HUGE, |path| File::create(path).unwrap().set_len(HUGE_BYTES).unwrap()),
];

/// Something in a file's place; what was there is back at the end.
struct Planted {
    path: PathBuf,
    before: Option<Vec<u8>>,
}

impl Planted {
    fn at(path: &Path, plant: Plant) -> Self {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let before = fs::read(path).ok();
        let _ = fs::remove_file(path);
        plant(path);
        Self { path: path.to_owned(), before }
    }
}

impl Drop for Planted {
    fn drop(&mut self) {
        // A start may have put its own in place.
        let _ = fs::remove_file(&self.path).or_else(|_| fs::remove_dir_all(&self.path));
        if let Some(before) = &self.before {
            fs::write(&self.path, before).unwrap();
        }
    }
}

/// Runs a command to its end, which comes, with a limit on its memory.
fn ran(desk: &Desk, line: &str) -> Ran {
    let command = desk.command(line);
    let mut limited = Command::new("sh");
    limited.args(["-c", &format!("ulimit -v {MEMORY_KIB} && exec \"$@\""), "sh"]);
    limited.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => limited.env(name, value),
            None => limited.env_remove(name),
        };
    }
    limited.current_dir(desk.path("")).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    Foreground::of(limited.spawn().unwrap()).ended()
}

#[test]
fn whatever_others_leave_in_the_place_of_a_pid_file_holds_no_verb_up() {
    for (what, plant) in PLANTS {
        let desk = Desk::new();
        let port = desk.port;
        let in_project = desk.path(&format!(".claude-mpm/monitor-daemon-{port}.pid"));
        let _in_project = Planted::at(&in_project, plant);
        let for_all = PathBuf::from(format!("/tmp/claude_mpm_socketio_{port}.pid"));
        let _for_all = Planted::at(&for_all, plant);
        let diagnose = ran(&desk, "diagnose");
        assert_eq!(diagnose.code, Some(0), "{what}: {diagnose:?}");
        let _monitor = python_monitor(&desk.path(""), port, &[]);
        let stop = ran(&desk, &format!("stop --port {port}"));
        assert_eq!(stop.code, Some(0), "{what}: {stop:?}");
        let _monitor = python_monitor(&desk.path(""), port, &[]);
        let start = ran(&desk, "start --force");
        assert_eq!(start.code, Some(0), "{what}: {start:?}");
        assert_eq!(desk.run("stop").code, Some(0));
    }
}

#[test]
fn what_stands_in_the_place_of_a_file_that_is_read_is_refused_at_once_and_called_what_it_is() {
    let desk = Desk::new();
    let port = desk.port;
    fs::create_dir(desk.path(".claude")).unwrap();
    let start = desk.run("start");
    assert_eq!(start.code, Some(0), "{start:?}");
    assert_eq!(desk.run("stop").code, Some(0));
    let certificate = desk.path("certificate.pem");
    let tls = format!("start --tls-cert {} --tls-key {}", certificate.display(), certificate.display());
    let cases = [
        (desk.home.config(), "status", Some(1)),
        (desk.home.prices(), "diagnose", Some(0)),
        (desk.path(".claude/settings.json"), "hooks status", Some(1)),
        (desk.path(".claude/settings.local.json"), "hooks status", Some(1)),
        (desk.home.token(), "token show", Some(1)),
        (desk.home.log(port), "logs", Some(1)),
        (desk.home.monitor().join("service.json"), "service status", Some(1)),
        (certificate, &tls, Some(2)),
    ];
    for (path, line, code) in &cases {
        for (what, plant) in PLANTS {
            let planted = Planted::at(path, plant);
            let ran = ran(&desk, line);
            drop(planted);
            if *line == "logs" && what == HUGE {
                // Of a log that has grown, the end is shown.
                assert_eq!(ran.code, Some(0), "{ran:?}");
                continue;
            }
            let said = format!("{}{}", ran.out, ran.err);
            // How large it is, is seen when it is used.
            let code = if what == HUGE && *line == tls { Some(1) } else { *code };
            assert_eq!(ran.code, code, "{line} with {what} at {}: {ran:?}", path.display());
            // Ours are opened without following a link, so what it leads to does not matter.
            let names = said.contains(what) || what == "a device" && said.contains("is a link");
            assert!(names, "{line} with {what} at {}: {said}", path.display());
        }
    }
}

#[test]
fn what_stands_in_the_place_of_a_file_of_ours_is_as_good_as_none_and_replaced() {
    let desk = Desk::new();
    let places = [
        desk.home.runfile(desk.port),
        desk.home.supervisor(desk.port),
        desk.home.certificate(),
        desk.home.monitor().join("hooks.json"),
    ];
    for (what, plant) in PLANTS {
        // Nothing is put in place of a folder or what is in it.
        if what == "a folder" {
            continue;
        }
        let planted: Vec<_> = places.iter().map(|path| Planted::at(path, plant)).collect();
        for line in ["status", "list", "health", "stop", "diagnose", "hooks status", "start --tls", "stop"] {
            let ran = ran(&desk, line);
            let expected = match line {
                "status" | "health" => 3,
                // Not installed.
                "hooks status" => 1,
                _ => 0,
            };
            assert_eq!(ran.code, Some(expected), "{line} with {what}: {ran:?}");
        }
        drop(planted);
    }
}

#[test]
fn a_server_is_not_held_up_by_what_stands_where_it_reads() {
    for (what, plant) in PLANTS {
        let desk = Desk::new();
        let _prices = Planted::at(&desk.home.prices(), plant);
        let _branch = Planted::at(&desk.path(".git/HEAD"), plant);
        let (_server, running) = desk.serve("start --foreground", desk.port);
        let answer = request(desk.port, "/api/config", "localhost");
        assert!(answer.contains(r#""gitBranch":"Unknown""#), "{what}: {answer}");
        assert!(running.monitor().health().is_ok(), "{what}");
        assert_eq!(desk.run("stop").code, Some(0), "{what}");
    }
}
