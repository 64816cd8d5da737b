//! Measures what a hook costs Claude Code: wall time of whole processes, from start to exit, each variant in
//! turn so that whatever else the machine does hits all alike. The installed command is measured as Claude Code runs
//! it, by a shell, beside a shell that becomes the same baseline.
//!
//! `cargo build --release -p hook --bins --examples && target/release/examples/bench [RUNS]`

use std::error::Error;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use claude::HookCommand;
use protocol::paths::Home;
use protocol::{Runfile, Timestamp};

/// Enough for a stable 95th percentile within seconds.
const RUNS: usize = 500;

/// Runs before counting, which fill the file cache.
const WARM_UP: usize = 20;

/// A large Write, for the cost per byte.
const LARGE_BYTES: usize = 1024 * 1024;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// One row of the table.
struct Variant {
    name: &'static str,
    /// The program and its arguments.
    line: Vec<OsString>,
    home: PathBuf,
    input: Vec<u8>,
    times: Vec<Duration>,
}

fn main() -> Result<()> {
    let runs = std::env::args().nth(1).map_or(Ok(RUNS), |runs| runs.parse())?;
    let examples = std::env::current_exe()?.parent().ok_or("no folder")?.to_owned();
    let baseline = examples.join("read_stdin");
    let hook = examples.join("..").join("claude-mpm-hook");

    let folder = tempfile::tempdir()?;
    let (up, down) = (folder.path().join("up"), folder.path().join("down"));
    leave_runfile(&up, serve()?)?;
    leave_runfile(&down, closed_port()?)?;

    let small = br#"{"session_id":"3f0c2b9e","cwd":"/home/dev/shop","hook_event_name":"Stop"}"#.to_vec();
    let line = r"    let answer = compute(the, question);\n";
    let content = line.repeat(LARGE_BYTES / line.len());
    let large = format!(r#"{{"cwd":"/p","content":"{content}"}}"#).into_bytes();
    let variant = |name, line: &[&OsStr], home: &Path, input: &Vec<u8>| Variant {
        name,
        line: line.iter().map(|&word| word.to_owned()).collect(),
        home: home.to_owned(),
        input: input.clone(),
        times: Vec::new(),
    };
    let bare = format!("exec '{}'", baseline.display());
    let installed = HookCommand { binary: hook.canonicalize()?, home: None }.line();
    let (baseline, hook) = ([baseline.as_os_str()], [hook.as_os_str()]);
    let [bare, installed] = [&bare, &installed].map(|line| ["sh", "-c", line].map(OsStr::new));
    let mut variants = [
        variant("reads stdin, does nothing", &baseline, &up, &small),
        variant("hook, server up", &hook, &up, &small),
        variant("hook, server down: spool", &hook, &down, &small),
        variant("reads 1 MiB, does nothing", &baseline, &up, &large),
        variant("hook, 1 MiB, server up", &hook, &up, &large),
        variant("reads stdin, by a shell", &bare, &up, &small),
        variant("installed command, server up", &installed, &up, &small),
        variant("installed command, spool", &installed, &down, &small),
    ];
    for run in 0..WARM_UP + runs {
        for variant in &mut variants {
            let time = time_of_one_run(variant)?;
            if run >= WARM_UP {
                variant.times.push(time);
            }
        }
    }
    print(&mut variants);
    let spooled = fs::read_dir(Home::at(&up).spool()).map_or(0, Iterator::count);
    if spooled > 0 {
        println!("note: {} events were not posted in time", spooled - 1);
    }
    Ok(())
}

fn time_of_one_run(variant: &Variant) -> Result<Duration> {
    let (program, arguments) = variant.line.split_first().ok_or("no program")?;
    let mut command = Command::new(program);
    command.args(arguments).env_clear().env("CLAUDE_MPM_HOME", &variant.home);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    let start = Instant::now();
    let mut child = command.spawn()?;
    let mut stdin = child.stdin.take().ok_or("no stdin")?;
    stdin.write_all(&variant.input)?;
    drop(stdin);
    let status = child.wait()?;
    let time = start.elapsed();
    if status.success() { Ok(time) } else { Err(format!("{}: {status}", variant.name).into()) }
}

fn print(variants: &mut [Variant]) {
    println!("{:<30} {:>9} {:>9} {:>9}  {:>6}", "", "median", "p95", "max", "ratio");
    let mut base = Duration::ZERO;
    for variant in variants {
        variant.times.sort();
        let at = |percent: usize| variant.times[(variant.times.len() - 1) * percent / 100];
        if variant.name.starts_with("reads") {
            base = at(50);
        }
        let ms = |time: Duration| format!("{:.2} ms", time.as_secs_f64() * 1e3);
        let ratio = at(50).as_secs_f64() / base.as_secs_f64();
        println!("{:<30} {:>9} {:>9} {:>9}  {ratio:>6.2}", variant.name, ms(at(50)), ms(at(95)), ms(at(100)));
    }
}

/// Answers every request with 204 as soon as its body is complete.
fn serve() -> Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let port = listener.local_addr()?.port();
    thread::spawn(move || {
        let mut chunk = vec![0; 1 << 20];
        for mut stream in listener.incoming().flatten() {
            let mut last = Vec::new();
            // The hook's body ends in the two braces that no bench payload has inside.
            while let Ok(length @ 1..) = stream.read(&mut chunk) {
                last.extend_from_slice(&chunk[length.saturating_sub(2)..length]);
                if last.ends_with(b"}}") {
                    let _ = stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n");
                    break;
                }
            }
        }
    });
    Ok(port)
}

fn closed_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

fn leave_runfile(folder: &Path, port: u16) -> Result<()> {
    let home = Home::at(folder);
    let runfile = Runfile {
        pid: std::process::id(),
        process_started_at: Timestamp(0),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        host: "127.0.0.1".to_owned(),
        port,
        server_id: "bench".to_owned(),
        control_token: "bench".to_owned(),
        project: None,
        mode: "foreground".to_owned(),
        access: Default::default(),
    };
    fs::create_dir_all(home.run())?;
    Ok(fs::write(home.runfile(port), serde_json::to_vec(&runfile)?)?)
}
