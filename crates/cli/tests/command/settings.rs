//! `config`: what applies and who said so, and the file that explains it.

use std::fs;

use serde_json::Value;

use crate::support::{Desk, Ran};

/// What `config --json` says of a key.
fn setting(ran: &Ran, key: &str) -> Value {
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let settings: Value = serde_json::from_str(&ran.out).unwrap();
    settings.as_array().unwrap().iter().find(|setting| setting["key"] == key).expect("the key").clone()
}

#[test]
fn each_value_is_shown_with_who_chose_it() {
    let desk = Desk::new();
    desk.configure("{\n  // comments are fine\n  \"retention_days\": 7,\n  \"prot\": 1,\n}");
    let shown = desk.run("config --dashboard-port 9001");
    assert_eq!(shown.code, Some(0), "{shown:?}");
    assert!(shown.err.contains(r#"unknown key "prot"; did you mean "port"?"#), "{shown:?}");
    let line = |key: &str| {
        let found = shown.out.lines().find(|line| line.split(' ').next() == Some(key));
        found.unwrap().split_whitespace().skip(1).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(line("retention_days"), format!("7 {}", desk.home.config().display()));
    assert_eq!(line("port"), format!("{} environment variable CLAUDE_MPM_SOCKETIO_PORT", desk.port));
    assert_eq!(line("dashboard_port"), "9001 --dashboard-port");
    assert_eq!(line("durability"), "crash default");
    let json = desk.run("config --json --profile production");
    assert_eq!(setting(&json, "ping_timeout")["value"], 120);
    assert_eq!(setting(&json, "ping_timeout")["from"], "profile");
    assert_eq!(setting(&json, "profile")["by"], "--profile");
    assert_eq!(setting(&json, "retention_days")["by"], desk.home.config().to_str().unwrap());
    assert_eq!(setting(&desk.run("config --json"), "profile")["from"], "detected");
}

#[test]
fn the_written_file_changes_nothing_and_an_existing_one_is_kept() {
    let desk = Desk::new();
    let path = desk.run("config path");
    assert_eq!((path.code, path.out), (Some(0), format!("{}\n", desk.home.config().display())));
    assert_eq!(desk.run("config init").code, Some(0));
    let text = fs::read_to_string(desk.home.config()).unwrap();
    assert!(text.contains("  // \"retention_days\": 30,\n"), "{text}");
    let json = desk.run("config --json");
    assert_eq!((json.err.as_str(), setting(&json, "retention_days")["from"].clone()), ("", "default".into()));
    fs::write(desk.home.config(), text.replace("// \"retention_days\": 30", "\"retention_days\": 31"))
        .unwrap();
    assert_eq!(setting(&desk.run("config --json"), "retention_days")["value"], 31);
    let again = desk.run("config init");
    assert_eq!(again.code, Some(1), "{again:?}");
    assert!(again.err.contains("exists already") && again.err.contains("--force"), "{again:?}");
    let forced = desk.run("config init --force");
    assert_eq!(forced.code, Some(0), "{forced:?}");
    assert_eq!(fs::read_to_string(desk.home.config()).unwrap(), text);
    let kept = desk.home.config().with_extension("json.old1");
    assert!(fs::read_to_string(kept).unwrap().contains("\"retention_days\": 31"));
}

#[test]
fn a_machine_that_is_only_a_client_starts_no_server() {
    let desk = Desk::new();
    desk.configure(r#"{ "deployment_mode": "client" }"#);
    for line in ["start", "start --foreground", ""] {
        let ran = desk.run(line);
        assert_eq!(ran.code, Some(1), "{line}: {ran:?}");
        assert!(ran.err.contains("deployment_mode is \"client\""), "{line}: {ran:?}");
    }
}

#[test]
fn run_starts_no_monitor_when_none_is_to_be_started() {
    let desk = Desk::new();
    desk.configure(r#"{ "auto_start": false }"#);
    let refused = desk.run("run -- true");
    assert_eq!(refused.code, Some(1), "{refused:?}");
    let (port, file) = (desk.port, desk.home.config());
    let error = format!(
        "Error: no monitor runs on port {port}, and none is to be started: auto_start is off ({})\n",
        file.display()
    );
    assert!(refused.err.starts_with(&error), "{refused:?}");
    assert!(desk.is_free(port));
    assert_eq!(desk.run("start").code, Some(0), "who asks for a start gets one");
    assert_eq!(desk.run("run -- true").code, Some(0));
    assert_eq!(desk.run("stop").code, Some(0));
}

#[test]
fn the_profile_reaches_the_background_server() {
    let desk = Desk::new();
    assert_eq!(desk.run("start --profile development").code, Some(0));
    assert_eq!(desk.wait_for_ours(desk.port).health.profile, "development");
    let verbose = desk.run("status --verbose");
    assert!(verbose.out.contains("  - Profile: development\n"), "{verbose:?}");
    let log = fs::read_to_string(desk.home.log(desk.port)).unwrap();
    assert!(log.contains(" DEBUG "), "its log level applies: {log}");
    assert_eq!(desk.run("stop").code, Some(0));
}
