//! What the README tells people to type works.

use std::process::Command;

use e2e::{Monitor, our, output, repository};

fn readme() -> String {
    std::fs::read_to_string(repository().join("README.md")).expect("there is a README")
}

/// The commands of the console blocks.
fn examples(readme: &str) -> Vec<&str> {
    let blocks = readme.split("```console\n").skip(1).filter_map(|rest| rest.split("```").next());
    blocks.flat_map(str::lines).filter_map(|line| line.strip_prefix("$ ")).collect()
}

#[test]
fn every_example_works() {
    let readme = readme();
    let makefile = std::fs::read_to_string(repository().join("Makefile")).expect("there is a Makefile");
    let examples = examples(&readme);
    assert!(examples.len() > 2, "the examples were found: {examples:?}");
    for example in examples {
        let (program, arguments) = example.split_once(' ').unwrap_or((example, ""));
        match program {
            "make" => assert!(makefile.contains(&format!("\n{arguments}:")), "no such target: {example}"),
            "curl" => curl(example),
            "claude-mpm-monitor" => {} // the next test
            _ => panic!("how should this example be checked? {example}"),
        }
    }
}

/// Runs an example against a monitor on another port, with what it sends.
fn curl(example: &str) {
    let monitor = Monitor::start();
    let here = example.replace("localhost:8765", &format!("localhost:{}", monitor.port()));
    assert_ne!(here, example, "examples speak to the default port");
    let ended =
        output(Command::new("sh").args(["-c", &here.replacen("curl", "curl --silent --fail", 1)]), b"");
    assert!(ended.status.success(), "{example}: {ended:?}");
    if example.contains("/api/events -d") {
        assert_eq!(monitor.events("").events.len(), 1, "stored by {example}");
    }
}

#[test]
fn every_verb_that_is_named_exists_with_its_flags() {
    let readme = readme();
    let home = tempfile::tempdir().expect("a temporary folder can be made");
    let mut verbs = 0;
    for line in readme.lines().filter(|line| line.contains("claude-mpm-monitor ")) {
        let after = line.split("claude-mpm-monitor ").nth(1).unwrap_or_default();
        let verb = after.split(|c: char| !c.is_ascii_lowercase() && c != '-').next().unwrap_or_default();
        if verb.is_empty() || verb.starts_with('-') {
            continue;
        }
        verbs += 1;
        let help = output(our(home.path(), "claude-mpm-monitor").args([verb, "--help"]), b"");
        let text = String::from_utf8_lossy(&help.stdout);
        assert!(help.status.success(), "the README names the verb {verb}: {line}");
        // What comes after a bare "--" are flags of another program.
        let ours = line.split(" -- ").next().unwrap_or(line);
        for flag in
            ours.split(|c: char| !c.is_ascii_lowercase() && c != '-').filter(|word| word.starts_with("--"))
        {
            assert!(text.contains(flag), "the README says {verb} knows {flag}: {line}");
        }
    }
    assert!(verbs > 3, "the verbs were found");
}
