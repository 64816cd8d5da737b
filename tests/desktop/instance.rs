//! One app, whoever starts it and however often; and what it does about others on its port.

use std::io::Read;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use desktop_e2e::{App, Driver, TrayHost, eventually};
use e2e::Monitor;
use protocol::paths::Home;

/// How many starts at once.
const STARTS: usize = 50;

#[test]
fn a_second_start_ends_well_and_its_arguments_reach_the_first() {
    let (mut app, _host, tray) = App::serving();
    let other = e2e::free_port();
    let second = app.command().args(["--hidden", "--port", &other.to_string()]).status().expect("it starts");
    assert!(second.success(), "{second}");
    tray.wait_for_status("the port of the second start", |status| status.ends_with(&other.to_string()));
    app.wait_for_server(other);
    app.wait_for_silence(app.port());
    assert!(app.runs());
}

#[test]
fn fifty_starts_at_once_make_one_app() {
    let app = App::new();
    let port = app.port().to_string();
    let start = |_| app.command().args(["--hidden", "--port", &port]).spawn().expect("it starts");
    let mut starts: Vec<_> = (0..STARTS).map(start).collect();
    let mut living = Vec::new();
    eventually("one that is left", || {
        living = starts
            .iter_mut()
            .filter_map(|child| child.try_wait().ok()?.is_none().then(|| child.id()))
            .collect();
        (living.len() == 1).then_some(())
    });
    let ended = starts.iter_mut().filter(|child| child.id() != living[0]);
    for child in ended {
        let status = child.wait().expect("it has ended");
        assert!(status.success(), "every other start ends well: {status}\n{}", app.said());
    }
    let health = app.wait_for_server(app.port());
    assert_eq!(health["pid"], living[0]);
    for mut child in starts {
        let _ = child.kill();
        let _ = child.wait();
    }
}

#[test]
fn without_a_session_bus_the_port_decides() {
    let mut app = App::without_bus();
    app.start(&["--hidden"]);
    app.wait_for_server(app.port());
    let port = app.port().to_string();
    let mut second = app.command();
    second.args(["--hidden", "--port", &port]).stdout(Stdio::piped());
    let mut second = second.spawn().expect("it starts");
    let mut said = String::new();
    second.stdout.take().expect("it is piped").read_to_string(&mut said).expect("text");
    assert!(second.wait().expect("it ends").success());
    assert_eq!(said, format!("Monitor already running at http://localhost:{port}\n"));
    assert!(app.runs());
    app.terminate();
    assert!(app.wait_for_end().success(), "SIGTERM ends it well");
    app.wait_for_silence(app.port());
}

#[test]
fn without_a_display_it_says_so_and_serves() {
    let mut app = App::new();
    let port = app.port().to_string();
    let mut command = app.command();
    command.env("DISPLAY", ":9999").args(["--port", &port]);
    let mut child = command.spawn().expect("it starts");
    app.wait_for_server(app.port());
    eventually("its word", || app.said().contains("There is no display").then_some(()));
    let status = Command::new("kill").arg(child.id().to_string()).status().expect("kill");
    assert!(status.success());
    assert!(child.wait().expect("it ends").success());
    assert!(!app.runs());
}

#[test]
fn a_monitor_that_runs_already_is_shown_and_survives_the_app() {
    let home = std::sync::Arc::new(tempfile::TempDir::new().expect("a folder"));
    let monitor = Monitor::start_with(&home, &[]);
    let mut app = App::in_home(home, monitor.port());
    let host = TrayHost::start(app.bus());
    app.start(&["--hidden"]);
    let tray = host.tray();
    let attached = format!("Attached to the monitor on localhost:{}", monitor.port());
    tray.wait_for_status("the attaching", |status| status.starts_with(&attached));
    monitor.event(e2e::prompt("s1", "go"));
    tray.wait_for_status("one at work", |status| status.ends_with("· 1 working"));
    tray.click("Quit (the server goes on)");
    assert!(app.wait_for_end().success());
    monitor.assert_healthy();
}

#[test]
fn the_bare_command_starts_the_app_that_is_installed_and_returns_when_it_serves() {
    let executable = |app: &App| PathBuf::from(app.command().get_program());
    // On the path of a command line that lies elsewhere, and beside the command line where no path leads to it.
    for is_beside in [false, true] {
        let app = App::new();
        let bin = app.home().join("bin");
        std::fs::create_dir(&bin).expect("a folder can be made");
        let line = bin.join("claude-mpm-monitor");
        std::fs::copy(e2e::program("claude-mpm-monitor"), &line).expect("a program can be copied");
        let mut command = Command::new(line);
        app.settle(&mut command);
        if is_beside {
            let app_there = bin.join(executable(&app).file_name().expect("a file"));
            std::os::unix::fs::symlink(executable(&app), app_there).expect("a link can be made");
            command.env("PATH", "");
        } else {
            command.env("PATH", executable(&app).parent().expect("a folder"));
        }
        command.args(["--port", &app.port().to_string()]).stdout(Stdio::piped());
        let ran = command.output().expect("it starts");
        let said = String::from_utf8_lossy(&ran.stdout).into_owned();
        assert!(ran.status.success() && said.contains("Opening the desktop app"), "{said}");
        let health = app.wait_for_server(app.port());
        assert_eq!(health["mode"], "desktop");
        eventually("the app's own log", || {
            let mut logs = Command::new(e2e::program("claude-mpm-monitor"));
            app.settle(&mut logs);
            logs.args(["logs", "--port", &app.port().to_string()]).stdout(Stdio::piped());
            let logs = logs.output().expect("it runs");
            String::from_utf8_lossy(&logs.stdout).contains("serving").then_some(())
        });
        let ended = Command::new("kill").arg(health["pid"].to_string()).status().expect("kill");
        assert!(ended.success());
        app.wait_for_silence(app.port());
    }
}

#[test]
fn a_foreign_program_on_the_port_is_named_left_alone_and_another_port_offered() {
    let app = App::new();
    let host = TrayHost::start(app.bus());
    // A process of its own: for a moment every child of this one has whatever it has.
    let listener = TcpListener::bind(("127.0.0.1", app.port())).expect("the port is free");
    let holding = Command::new("sleep").arg("600").stdin(OwnedFd::from(listener)).spawn();
    let mut foreign = holding.expect("sleep can be started");
    let driver = Driver::start(&app, &[]);
    let tray = host.tray();
    let holder = format!("sleep (pid {})", foreign.id());
    let reason = format!("port {} is already in use by {holder}", app.port());
    tray.wait_for_status("the holder", |status| status.contains(&reason));
    driver.wait_for_text(&format!("The monitor cannot serve port {}", app.port()));
    driver.wait_for_text(&holder);
    driver.wait_for_text("Serve another port");
    driver.screenshot(&picture("trouble.png"));
    assert_eq!(foreign.try_wait().expect("a child can be asked"), None, "nobody ended it");
    foreign.kill().and_then(|()| foreign.wait()).expect("it can be ended");
    // A click on a page that is just being drawn anew goes nowhere.
    eventually("the server", || {
        driver.script("document.querySelector('a.main')?.click()");
        app.health_at(app.port())
    });
    let dashboard = format!("http://127.0.0.1:{}/", app.port());
    eventually("the dashboard", || driver.address().starts_with(&dashboard).then_some(()));
    assert!(Home::at(app.home()).runfile(app.port()).exists());
    driver.end();
}

fn picture(name: &str) -> PathBuf {
    desktop_e2e::pictures().join(name)
}
