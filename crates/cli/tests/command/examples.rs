//! The commands, variables and files that claude-mpm's documents show, typed as they stand there but for the ports.

use serde_json::Value;

use crate::support::{Desk, Ran, free_port};

#[test]
fn the_commands_of_the_slash_command_s_document_work_as_written() {
    let desk = Desk::new();
    let [port, next, third, fourth, apart, other] =
        [desk.port, free_port(), free_port(), free_port(), free_port(), free_port()];
    let lines = [
        ("start".to_owned(), "✓ Server started successfully"),
        (format!("start --port {port}"), "Monitor already running at"),
        ("status".to_owned(), "Active Servers: 1"),
        ("status --verbose".to_owned(), "Running (Healthy)"),
        ("status --show-ports".to_owned(), "Port Status (8765-8785):"),
        ("restart".to_owned(), "✓ Server started successfully"),
        (format!("restart --port {next}"), "✓ Server started successfully"),
        (format!("restart --port {next} --host 0.0.0.0"), "This link logs one browser in"),
        (format!("port {next}"), "This link logs one browser in"),
        (format!("port {next} --host localhost --force"), "✓ Server started successfully"),
        (format!("stop --port {next}"), "Monitoring server stopped."),
        (format!("port {third} --host 0.0.0.0"), "This link logs one browser in"),
        ("stop --force".to_owned(), "Monitoring server stopped."),
        (
            format!("start --port {fourth} --dashboard --dashboard-port {apart}"),
            "Dashboard URL: http://localhost:",
        ),
        (format!("restart --dashboard-port {other}"), "Dashboard URL: http://localhost:"),
        (format!("port {fourth} --no-reclaim"), "✓ Server started successfully"),
        ("stop".to_owned(), "Monitoring server stopped."),
        (format!("start --force --port {port}"), "✓ Server started successfully"),
        (format!("start --background --port {port}"), "Monitor already running at"),
        ("stop".to_owned(), "Monitoring server stopped."),
    ];
    for (line, said) in lines {
        let ran = desk.run(&line);
        assert_eq!(ran.code, Some(0), "{line}: {ran:?}");
        assert!(ran.out.contains(said), "{line}: {said:?} in {ran:?}");
    }
}

#[test]
fn the_variables_and_the_file_of_the_standalone_server_s_document_apply() {
    let desk = Desk::new();
    let variables = [("HOST", "0.0.0.0"), ("PORT", "8765"), ("MODE", "standalone"), ("LOG_LEVEL", "INFO")];
    let mut command = desk.command("config --json");
    let command = command.envs(variables.map(|(name, value)| (format!("CLAUDE_MPM_SOCKETIO_{name}"), value)));
    let ran = Ran::from(command.output().unwrap());
    let settings: Vec<Value> = serde_json::from_str(&ran.out).unwrap();
    let value = |settings: &[Value], key: &str| {
        settings.iter().find(|setting| setting["key"] == key).expect("the key")["value"].clone()
    };
    for (key, expected) in [("host", "0.0.0.0"), ("deployment_mode", "standalone"), ("log_level", "INFO")] {
        assert_eq!(value(&settings, key), expected, "{ran:?}");
    }
    assert_eq!(value(&settings, "port"), 8765);
    desk.configure(
        r#"{
  "host": "localhost",
  "port": 8765,
  "deployment_mode": "auto",
  "persistent": true,
  "cors_allowed_origins": "*",
  "log_level": "INFO",
  "max_history_size": 10000
}"#,
    );
    let ran = desk.run("config --json");
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""), "each key is known");
    let settings: Vec<Value> = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(value(&settings, "max_history_size"), 10_000);
    assert_eq!(value(&settings, "persistent"), true);
    let lines = [("start", 0), ("status -v", 0), ("health", 0), ("stop", 0), ("health", 3)];
    for (line, code) in lines {
        let ran = desk.run(line);
        assert_eq!(ran.code, Some(code), "{line}: {ran:?}");
    }
}
