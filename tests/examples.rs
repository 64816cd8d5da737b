//! The examples in `docs/examples/` do what they say.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use e2e::{Monitor, prompt, repository};
use protocol::paths::Home;

/// A running example; killed at the end of the test.
struct Example(Child);

impl Drop for Example {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn the_python_client_finds_the_monitor_and_follows_it_over_a_crash() {
    let monitor = Monitor::start();
    let python = repository().join(".venv/bin/python");
    assert!(python.exists(), "{} is missing: `scripts/setup test` installs it", python.display());
    monitor.event(prompt("s", "one"));
    let mut command = Command::new(python);
    command.arg("-u").arg(repository().join("docs/examples/follow.py"));
    command.env("CLAUDE_MPM_HOME", Home::at(monitor.home()).folder()).env_remove("CLAUDE_MPM_MONITOR_URL");
    let mut child = Example(command.stdout(Stdio::piped()).spawn().expect("Python starts"));
    let mut lines = BufReader::new(child.0.stdout.take().expect("piped")).lines().map_while(Result::ok);
    assert_eq!(lines.next().as_deref(), Some("1\tUserPromptSubmit\ts\tPrompt  one"));
    monitor.event(prompt("s", "two"));
    assert_eq!(lines.next().as_deref(), Some("2\tUserPromptSubmit\ts\tPrompt  two"));
    let monitor = monitor.crash().restart();
    monitor.event(prompt("s", "three"));
    assert_eq!(lines.next().as_deref(), Some("3\tUserPromptSubmit\ts\tPrompt  three"));
}
