//! Which file of a crate names which other file of it, read from the paths in the sources: comments, texts and what only
//! tests see do not count.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use petgraph::algo::tarjan_scc;
use petgraph::graphmap::DiGraphMap;
use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// Where a module stands in its crate: `["record", "hub"]`; the crate itself is empty.
type Module = Vec<String>;

/// Files of one crate, by the folder of its sources, and whom each of them names.
pub struct Imports {
    names: BTreeMap<PathBuf, BTreeSet<PathBuf>>,
}

impl Imports {
    /// Reads all sources below the folder that holds `lib.rs` or `main.rs`. A file that names a module around itself
    /// stays within its own house: that is no import.
    ///
    /// # Panics
    /// When a source cannot be read or is no Rust.
    pub fn below(sources: &Path) -> Self {
        let modules: BTreeMap<Module, PathBuf> =
            files(sources).into_iter().map(|file| (module(&file), file)).collect();
        let named_by = |(at, file): (&Module, &PathBuf)| {
            let path = sources.join(file);
            let text =
                std::fs::read_to_string(&path).unwrap_or_else(|cause| panic!("{}: {cause}", path.display()));
            let tokens: TokenStream =
                text.parse().unwrap_or_else(|cause| panic!("{}: {cause}", path.display()));
            let mut paths = Vec::new();
            read(tokens, &[], &mut paths);
            let found = paths.iter().filter_map(|path| resolve(path, at, &modules));
            (
                file.clone(),
                found.filter(|found| !at.starts_with(found)).map(|found| modules[&found].clone()).collect(),
            )
        };
        Self { names: modules.iter().map(named_by).collect() }
    }

    /// Each file with one that it names.
    pub fn pairs(&self) -> impl Iterator<Item = (&Path, &Path)> {
        self.names
            .iter()
            .flat_map(|(file, named)| named.iter().map(|named| (file.as_path(), named.as_path())))
    }

    /// Files that name each other, straight or around.
    pub fn circles(&self) -> Vec<Vec<&str>> {
        let graph: DiGraphMap<&Path, ()> = self.pairs().map(|(file, named)| (file, named, ())).collect();
        let circles = tarjan_scc(&graph).into_iter().filter(|circle| circle.len() > 1);
        circles.map(|circle| circle.into_iter().filter_map(Path::to_str).collect()).collect()
    }
}

/// The sources below a folder, as paths in it; without those that hold tests only.
fn files(sources: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        let entries = std::fs::read_dir(sources.join(&folder)).expect("a folder of sources can be read");
        for entry in entries.map(|entry| entry.expect("an entry can be read")) {
            let path = folder.join(entry.file_name());
            if entry.path().is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found
}

fn module(file: &Path) -> Module {
    let mut module: Module =
        file.with_extension("").iter().map(|part| part.to_string_lossy().into_owned()).collect();
    let is_face = matches!(module.last().map(String::as_str), Some("mod" | "lib" | "main"));
    if is_face {
        module.pop();
    }
    module
}

/// Collects the paths in these tokens, those in braces behind the path in front of them.
fn read(tokens: TokenStream, before: &[String], paths: &mut Vec<Vec<String>>) {
    let mut tokens = tokens.into_iter().peekable();
    let mut path: Vec<String> = Vec::new();
    let mut goes_on = false;
    while let Some(token) = tokens.next() {
        match token {
            TokenTree::Punct(punct) if punct.as_char() == '#' => {
                let is_for_tests =
                    matches!(tokens.next(), Some(TokenTree::Group(group)) if is_for_tests(&group.stream()));
                if is_for_tests {
                    skip_item(&mut tokens);
                }
            }
            TokenTree::Ident(ident) => {
                if !goes_on {
                    end(&mut path, before, paths);
                }
                path.push(ident.to_string());
                goes_on = false;
            }
            TokenTree::Punct(punct) if punct.as_char() == ':' && !path.is_empty() => goes_on = true,
            TokenTree::Group(group) if goes_on && group.delimiter() == Delimiter::Brace => {
                let before: Vec<String> = before.iter().chain(&path).cloned().collect();
                path.clear();
                goes_on = false;
                read(group.stream(), &before, paths);
            }
            TokenTree::Group(group) => {
                end(&mut path, before, paths);
                goes_on = false;
                read(group.stream(), &[], paths);
            }
            _ => {
                end(&mut path, before, paths);
                goes_on = false;
            }
        }
    }
    end(&mut path, before, paths);
}

fn end(path: &mut Vec<String>, before: &[String], paths: &mut Vec<Vec<String>>) {
    if !path.is_empty() {
        paths.push(before.iter().cloned().chain(path.drain(..)).collect());
    }
}

/// Whether an attribute says `cfg(test)`.
fn is_for_tests(attribute: &TokenStream) -> bool {
    let text = attribute.to_string().replace(' ', "");
    text.starts_with("cfg(") && text.contains("test") && !text.contains("not(test")
}

/// Passes over the item that an attribute stands in front of.
fn skip_item(tokens: &mut impl Iterator<Item = TokenTree>) {
    for token in tokens {
        match token {
            TokenTree::Punct(punct) if punct.as_char() == ';' => return,
            TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => return,
            _ => {}
        }
    }
}

/// The module with a file of its own that a path leads to, when it is one of this crate.
fn resolve(path: &[String], at: &Module, modules: &BTreeMap<Module, PathBuf>) -> Option<Module> {
    let (first, mut rest) = path.split_first()?;
    let below = |name: &String| [at.as_slice(), std::slice::from_ref(name)].concat();
    let mut module = match first.as_str() {
        "crate" => Vec::new(),
        "self" => at.clone(),
        "super" => {
            let mut module = at.clone();
            module.pop();
            while let Some(("super", further)) = rest.split_first().map(|(name, rest)| (name.as_str(), rest))
            {
                module.pop();
                rest = further;
            }
            module
        }
        // A child of this module, wherever something of it is named.
        _ if !rest.is_empty() && modules.contains_key(&below(first)) => below(first),
        _ => return None,
    };
    for name in rest {
        module.push(name.clone());
        if !modules.contains_key(&module) {
            module.pop();
            break;
        }
    }
    modules.contains_key(&module).then_some(module)
}
