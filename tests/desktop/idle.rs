//! What the app costs while nothing happens: its processor time beside that of an idle window of the same toolkit,
//! and its memory with the window shown, hidden, and freed. `IDLE_SECONDS` is how long each state is watched, and
//! `BENCH_REPORT` the file for the figures, in the shape of the report of `make bench`.

use std::collections::HashMap;
use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use desktop_e2e::{App, TITLE, TrayHost, eventually};
use serde_json::{Value, json};

/// How long is watched when nobody says: two of the looks that the app takes at ports and hooks.
const SECONDS: u64 = 60;

/// After a change, before the watching begins.
const SETTLE: Duration = Duration::from_secs(5);

/// The argument with which this program is the idle window.
const WINDOW: &str = "window";

fn main() {
    if std::env::args().nth(1).as_deref() == Some(WINDOW) {
        return window();
    }
    let seconds = std::env::var("IDLE_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(SECONDS);
    let period = Duration::from_secs(seconds);
    let mut app = App::new();
    app.prefers(&json!({"free_window_after_s": seconds + 30, "told_of_tray": true}));
    let host = TrayHost::start(app.bus());
    app.start(&[]);
    let tray = host.tray();
    app.wait_for_server(app.port());
    app.screen().wait_for(TITLE);
    eventually("the page", || (app.pages() == 1).then_some(()));
    let window = Window::start(&app);
    std::thread::sleep(SETTLE);

    let (pid, other) = (app.pid(), window.0.id());
    let mut figures = Vec::new();
    let mut watch = |state: &str| {
        let (app, idle) = std::thread::scope(|scope| {
            let idle = scope.spawn(|| used(other, period));
            (used(pid, period), idle.join().expect("it was watched"))
        });
        figures.push(figure(&format!("CPU of a minute, {state}"), app, "ms", idle));
        figures.push(figure(&format!("memory, {state}"), memory(pid), "MiB", memory(other)));
    };
    watch("its window shown");
    app.screen().close(TITLE);
    app.screen().wait_without(TITLE);
    std::thread::sleep(SETTLE);
    watch("hidden");
    eventually("the end of the page", || (app.pages() == 0).then_some(()));
    std::thread::sleep(SETTLE);
    watch("its page freed");
    tray.click("Quit");
    app.wait_for_end();
    let report =
        json!({"sections": [{"title": "The desktop app while nothing happens", "figures": figures}]});
    match std::env::var_os("BENCH_REPORT") {
        Some(path) => fs::write(path, report.to_string()).expect("the report can be written"),
        None => println!("{report:#}"),
    }
}

/// A figure of the report beside that of the idle window.
fn figure(what: &str, value: f64, unit: &str, idle: f64) -> Value {
    json!({"what": what, "value": value, "unit": unit, "limit": {"what": "an idle window", "value": idle}})
}

/// Milliseconds of processor time a minute that a process and its children use.
fn used(pid: u32, period: Duration) -> f64 {
    let before = times_ms(pid);
    std::thread::sleep(period);
    let spent = |(pid, now): (&u32, &u64)| now.saturating_sub(before.get(pid).copied().unwrap_or(0));
    let ms: u64 = times_ms(pid).iter().map(spent).sum();
    ms as f64 * 60.0 / period.as_secs_f64()
}

/// The processor time so far of each process, in milliseconds; threads that ended count.
fn times_ms(pid: u32) -> HashMap<u32, u64> {
    let of = |pid: u32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let (_, rest) = stat.rsplit_once(") ")?;
        // Fields 14 and 15 of all: in programs and in the kernel, in hundredths of a second.
        let ticks: u64 = rest.split(' ').skip(11).take(2).filter_map(|text| text.parse::<u64>().ok()).sum();
        Some((pid, ticks * 10))
    };
    family(pid).into_iter().filter_map(of).collect()
}

/// The memory in MiB, each shared page divided among those who share it.
fn memory(pid: u32) -> f64 {
    let kib = |pid: u32| {
        let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("Pss:"));
        line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<f64>().ok()).unwrap_or(0.0)
    };
    family(pid).into_iter().map(kib).sum::<f64>() / 1024.0
}

/// A process and all that it started.
fn family(pid: u32) -> Vec<u32> {
    let mut family = vec![pid];
    let mut next = 0;
    while let Some(&parent) = family.get(next) {
        let threads = fs::read_dir(format!("/proc/{parent}/task")).into_iter().flatten().flatten();
        for thread in threads {
            let children = fs::read_to_string(thread.path().join("children")).unwrap_or_default();
            family.extend(children.split_whitespace().filter_map(|pid| pid.parse::<u32>().ok()));
        }
        next += 1;
    }
    family
}

/// The idle window, as a process of its own.
struct Window(Child);

impl Window {
    fn start(app: &App) -> Self {
        let mut command = Command::new(std::env::current_exe().expect("this program has a path"));
        app.settle(&mut command);
        Self(command.arg(WINDOW).stdin(Stdio::null()).spawn().expect("the window can be started"))
    }
}

impl Drop for Window {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn window() {
    use gtk::prelude::*;
    gtk::init().expect("a display");
    let window = gtk::Window::new(gtk::WindowType::Toplevel);
    window.set_title("idle");
    window.show_all();
    gtk::main();
}
