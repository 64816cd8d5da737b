//! Builds our own programs once per test process, so that a test never meets a stale one, and runs programs.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

/// The repository's root folder.
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the repository")
}

/// The desktop app, which the other programs are built without.
pub const DESKTOP: &str = "claude-mpm-monitor-desktop";

/// Names the folder in which `scripts/test` has built all programs: two packages that are built apart get their common
/// dependencies twice, each with the features that it asks for.
const BUILT: &str = "TEST_PROGRAMS";

/// The path of one of our programs, freshly built in the profile of the running test.
pub fn program(name: &str) -> PathBuf {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    static APP_FOLDER: OnceLock<PathBuf> = OnceLock::new();
    let built = |what: &[&str]| std::env::var_os(BUILT).map_or_else(|| build(what), PathBuf::from);
    let folder = match name {
        DESKTOP => APP_FOLDER.get_or_init(|| built(&["--workspace"])),
        _ => FOLDER.get_or_init(|| built(&[])),
    };
    folder.join(format!("{name}{}", std::env::consts::EXE_SUFFIX))
}

/// Builds into the folder that the running test lies in: `<target>/<profile>/deps/<test>`.
fn build(what: &[&str]) -> PathBuf {
    let test = std::env::current_exe().expect("the running test has a path");
    let folder = test.ancestors().nth(2).expect("a test lies two folders below the profile's");
    let target = folder.parent().expect("the profile's folder lies in the target folder");
    let profile = match folder.file_name().and_then(|name| name.to_str()) {
        Some("debug") | None => "dev",
        Some(profile) => profile,
    };
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| env!("CARGO").into());
    let mut build = Command::new(cargo);
    build.current_dir(repository()).args(["build", "--quiet"]).args(what);
    build.args(["--profile", profile, "--target-dir"]).arg(target);
    let built = output(&mut build, b"");
    assert!(built.status.success(), "could not build: {}", String::from_utf8_lossy(&built.stderr));
    folder.to_owned()
}

/// The arguments of `setpriv` that make a program another user's.
pub const NOBODY: [&str; 3] = ["--reuid=65534", "--regid=65534", "--clear-groups"];

/// Whether programs can be run as another user: only root can, and only Linux tells whose a connection is.
pub fn has_other_users() -> bool {
    cfg!(target_os = "linux") && output(Command::new("id").arg("-u"), b"").stdout == b"0\n"
}

/// Runs a program to its end with this on its standard input.
pub fn output(command: &mut Command, stdin: &[u8]) -> Output {
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = piped.spawn().unwrap_or_else(|cause| panic!("could not start {command:?}: {cause}"));
    let mut input = child.stdin.take().expect("standard input is piped");
    let stdin = stdin.to_vec();
    // Beside the reading, so that neither side waits for a full pipe. A program need not read its input.
    let writer = std::thread::spawn(move || std::io::Write::write_all(&mut input, &stdin));
    let output = child.wait_with_output().expect("a started program can be waited for");
    let _ = writer.join();
    output
}
