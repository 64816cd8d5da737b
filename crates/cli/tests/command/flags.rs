//! No flag without a test: each one that a help shows is typed by some test of the real program.

use std::fs;
use std::path::Path;

use crate::support::Desk;

/// The verbs that a help lists below a heading such as `Commands:`, two spaces before each.
fn verbs(help: &str) -> Vec<String> {
    let own = help.split("Examples:").next().unwrap_or_default();
    let named = own.lines().filter_map(|line| line.strip_prefix("  ")?.split_once(' '));
    let is_verb =
        |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
    named.map(|(word, _)| word.to_owned()).filter(|word| is_verb(word) && !word.starts_with('-')).collect()
}

/// The long flags that a help shows.
fn flags(help: &str) -> Vec<String> {
    let lines = help.lines().map(str::trim).filter(|line| line.starts_with('-'));
    let word = |line: &str| line.split_whitespace().find(|word| word.starts_with("--")).map(str::to_owned);
    lines.filter_map(word).collect()
}

/// Every verb with its own verbs, each as a command line, and the bare command.
fn lines(desk: &Desk, line: &str, found: &mut Vec<(String, String)>) {
    let help = desk.run(&format!("{line} --help")).out;
    for verb in verbs(&help).into_iter().filter(|verb| verb != "help") {
        // A verb that has no help of its own is a word of a text.
        let next = format!("{line} {verb}").trim().to_owned();
        if desk.run(&format!("{next} --help")).code == Some(0)
            && !found.iter().any(|(known, _)| *known == next)
        {
            lines(desk, &next, found);
        }
    }
    found.push((line.to_owned(), help));
}

#[test]
fn every_flag_is_typed_by_a_test() {
    let desk = Desk::new();
    let mut helps = Vec::new();
    lines(&desk, "", &mut helps);
    assert!(helps.iter().any(|(line, _)| line == "service install"), "verbs of verbs were found: {helps:?}");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folders = [folder.join("tests/command"), folder.join("../../tests")];
    let files =
        folders.iter().flat_map(|folder| fs::read_dir(folder).unwrap()).map(|entry| entry.unwrap().path());
    let tests =
        files.filter(|path| path.extension().is_some_and(|end| end == "rs") && !path.ends_with("flags.rs"));
    let tests: String = tests.map(|path| fs::read_to_string(path).unwrap()).collect();
    let is_typed = |flag: &str| {
        let ends = |rest: &str| !rest.starts_with(|next: char| next.is_ascii_lowercase() || next == '-');
        tests.split(flag).skip(1).any(ends)
    };
    for (line, help) in &helps {
        for flag in flags(help) {
            assert!(is_typed(&flag), "no test types {flag} of '{line}'");
        }
    }
}
