//! Rules about the sources themselves, so that `cargo test` is the whole check.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use e2e::{Imports, output, repository};
use serde::Deserialize;

/// Which of our crates each crate may depend on. `hook` runs inside Claude Code's time and `server` and `client`
/// talk only over the wire, so none of them may know more than what crosses a process boundary.
const MAY_USE: &[(&str, &[&str])] = &[
    ("private", &[]),
    ("protocol", &[]),
    ("server", &["private", "protocol"]),
    ("client", &["private", "protocol"]),
    ("hook", &["private", "protocol"]),
    ("host", &["private", "protocol", "claude", "server", "client"]),
    ("claude-mpm-monitor-desktop", &["private", "protocol", "claude", "client", "host", "cli"]),
    ("claude", &["private", "protocol"]),
    ("cli", &["private", "protocol", "claude", "client", "host"]),
    ("e2e", &["protocol"]),
    ("desktop-e2e", &["protocol", "e2e"]),
    ("claude-e2e", &["e2e"]),
    ("faults", &[]),
    ("bench", &["protocol"]),
];

/// The wings of the server, and which others each may know. What stands beside them, such as its settings, serves all.
const WINGS: &[(&str, &[&str])] =
    &[("doors", &["gate", "intake", "record"]), ("gate", &[]), ("intake", &["record"]), ("record", &[])];

/// Folders that hold nothing of ours.
const NOT_OURS: &[&str] = &["target", "node_modules", "dist", "gen"];

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|cause| panic!("{}: {cause}", path.display()))
}

/// Folders and files of a folder, without hidden ones and those that hold nothing of ours.
fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("a folder of the repository can be read");
    let ours = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        !name.starts_with('.') && !NOT_OURS.contains(&name.as_ref())
    };
    entries.map(|entry| entry.expect("an entry can be read").path()).filter(ours).collect()
}

fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for path in entries(folder) {
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn every_rust_file_opens_by_saying_what_it_owns() {
    let mut files = Vec::new();
    rust_files(repository(), &mut files);
    assert!(files.len() > 20, "the sources were found: {files:?}");
    let silent: Vec<_> = files.iter().filter(|path| !read(path).starts_with("//! ")).collect();
    assert!(silent.is_empty(), "these do not open with `//!`: {silent:#?}");
}

/// Files that read in another way than `private` does, and why they may.
const READS_BY_ITSELF: &[(&str, &str)] = &[
    ("crates/private/src/", "it is the way"),
    ("crates/cli/src/import.rs", "what its user names may be a pipe, and as large as it likes"),
    ("crates/hook/src/discovery.rs", "it runs inside Claude Code's time"),
    ("crates/protocol/src/mask/corpus.rs", "a test"),
    ("crates/protocol/src/typescript.rs", "a test"),
];

#[test]
fn what_somebody_else_could_have_placed_is_read_in_the_one_way_that_neither_waits_nor_runs_full() {
    const READING: [&str; 4] = ["fs::read(", "fs::read_to_string(", "File::open(", "File::options("];
    let mut files = Vec::new();
    for folder in entries(&repository().join("crates")) {
        rust_files(&folder.join("src"), &mut files);
    }
    rust_files(&repository().join("src-tauri/src"), &mut files);
    assert!(files.len() > 100, "the sources were found: {files:?}");
    let is_test = |path: &Path| path.ends_with("tests.rs") || path.ends_with("fuzz.rs");
    let mut found = Vec::new();
    for path in files.iter().filter(|path| !is_test(path)) {
        let name = path.strip_prefix(repository()).expect("it lies in the repository").display().to_string();
        if READS_BY_ITSELF.iter().any(|(file, _)| name.starts_with(file)) {
            continue;
        }
        let text = read(path);
        let product = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        // The system's own account of its processes is no file that anybody places.
        let reads = |line: &&str| {
            let ours = line.replace("LogFile::open(", "");
            READING.iter().any(|reading| ours.contains(reading)) && !ours.contains("\"/proc/")
        };
        found.extend(product.lines().filter(reads).map(|line| format!("{name}: {}", line.trim())));
    }
    assert!(found.is_empty(), "open these with `private::look`, `peek` or `follow`: {found:#?}");
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    kind: Option<String>,
}

#[test]
fn crates_depend_on_each_other_in_one_direction_only() {
    let mut metadata = Command::new(env!("CARGO"));
    metadata.current_dir(repository()).args(["metadata", "--no-deps", "--offline", "--format-version", "1"]);
    let metadata: Metadata =
        serde_json::from_slice(&output(&mut metadata, b"").stdout).expect("cargo's metadata");
    let allowed: BTreeMap<_, _> = MAY_USE.iter().copied().collect();
    let ours: BTreeSet<&str> = metadata.packages.iter().map(|package| package.name.as_str()).collect();
    for package in &metadata.packages {
        let Some(allowed) = allowed.get(package.name.as_str()) else { continue };
        for dependency in &package.dependencies {
            let name = dependency.name.as_str();
            // What only tests use does not reach the product.
            if dependency.kind.as_deref() != Some("dev") && ours.contains(name) {
                assert!(allowed.contains(&name), "{} must not depend on {name}", package.name);
            }
        }
    }
    for name in allowed.keys() {
        assert!(ours.contains(name), "{name} has a rule but is no crate any more");
    }
    for path in entries(&repository().join("crates")) {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        assert!(allowed.contains_key(name.as_str()), "crates/{name} needs a rule in {}", file!());
    }
}

#[test]
fn no_two_files_import_each_other() {
    let crates = entries(&repository().join("crates"));
    let sources = crates.iter().map(|path| path.join("src"));
    let sources = sources.chain(["bench/src", "src-tauri/src"].map(|path| repository().join(path)));
    for sources in sources {
        let imports = Imports::below(&sources);
        assert!(
            imports.pairs().next().is_some() || sources.ends_with("private/src"),
            "{}",
            sources.display()
        );
        let circles: Vec<Vec<_>> = imports.circles();
        assert!(circles.is_empty(), "{}: {circles:?}", sources.display());
    }
}

#[test]
fn the_wings_of_the_server_know_each_other_in_one_direction_only() {
    let sources = repository().join("crates/server/src");
    let wing = |file: &Path| {
        let first = file.iter().next().unwrap_or_default();
        WINGS.iter().find(|(wing, _)| first == *wing)
    };
    for (wing, _) in WINGS {
        assert!(sources.join(wing).is_dir(), "{wing} has a rule but is no wing any more");
    }
    for (file, named) in Imports::below(&sources).pairs() {
        let (Some((from, may_use)), Some((to, _))) = (wing(file), wing(named)) else { continue };
        let is_allowed = from == to || may_use.contains(to);
        assert!(is_allowed, "{} must not import {}", file.display(), named.display());
    }
}

#[test]
fn every_dependency_says_what_it_is_for() {
    let manifest = read(&repository().join("Cargo.toml"));
    let section = manifest.split("[workspace.dependencies]").nth(1).expect("the section exists");
    let lines = section.lines().take_while(|line| !line.starts_with('['));
    for line in lines.filter(|line| line.contains(" = ")) {
        let comment = line.rsplit_once(" # ").map_or("", |(_, comment)| comment);
        assert!(!comment.trim().is_empty(), "what is this dependency for? {line}");
    }
}

/// Paths that a text names from this folder: what begins with one of its folders. Others are relative to something
/// that the text speaks of, or no paths.
fn paths_in<'a>(text: &'a str, folder: &Path) -> impl Iterator<Item = &'a str> {
    text.split('`').skip(1).step_by(2).filter(move |word| {
        let first = word.split('/').next().unwrap_or_default();
        word.contains('/') && !first.is_empty() && folder.join(first).is_dir()
    })
}

#[test]
fn documents_for_developers_name_only_files_that_exist() {
    for (document, least) in [("ARCHITECTURE.md", 20), ("ui/README.md", 5)] {
        let path = repository().join(document);
        let folder = path.parent().expect("a file lies in a folder");
        let text = read(&path);
        let is_ours = |path: &&str| !NOT_OURS.iter().any(|other| path.starts_with(&format!("{other}/")));
        let named: BTreeSet<&str> = paths_in(&text, folder).filter(is_ours).collect();
        assert!(named.len() >= least, "the paths of {document} were found: {named:?}");
        let gone: Vec<_> = named.iter().filter(|path| !folder.join(path).exists()).collect();
        assert!(gone.is_empty(), "{document} names what does not exist: {gone:?}");
    }
}

#[test]
fn the_code_map_names_every_crate_and_folder_and_nothing_else() {
    let text = read(&repository().join("ARCHITECTURE.md"));
    let map = text.split("\n## Code map\n").nth(1).expect("ARCHITECTURE.md has a section `## Code map`");
    let map = map.split("\n## ").next().unwrap_or_default();
    let heads = map.lines().filter_map(|line| line.strip_prefix("- `")?.split('`').next());
    let inside = paths_in(map, repository());
    let named: BTreeSet<&str> = heads.chain(inside).map(|path| path.trim_end_matches('/')).collect();
    for path in &named {
        assert!(repository().join(path).exists(), "the code map names {path}, which does not exist");
    }
    let folders = [entries(repository()), entries(&repository().join("crates"))].concat();
    for folder in folders.iter().filter(|path| path.is_dir()) {
        let path =
            folder.strip_prefix(repository()).expect("it lies in the repository").display().to_string();
        let below = format!("{path}/");
        let said = named.contains(path.as_str()) || named.iter().any(|name| name.starts_with(&below));
        assert!(said, "the code map does not name {path}");
    }
}
