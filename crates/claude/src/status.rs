//! How our hooks fare: what is registered where, and everything that could keep events from coming or bring them
//! twice. Only looks.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use protocol::HookEvent;
use protocol::hooks::{HooksFile, HooksProblem, HooksReport, Scope};
use serde_json::Value;

use crate::binary;
use crate::edit::Ours;
use crate::{
    Binary, Configuration, Error, Handlers, HookCommand, Hooks, SlashCommand, Version, edit, events, file,
    json,
};

/// Before this version one unknown event name made Claude Code ignore the whole file.
const FORGIVES_NAMES: Version = Version(2, 1, 101);

/// What was seen.
#[derive(Clone, Debug)]
pub struct Look {
    /// For whoever asks.
    pub report: HooksReport,
    /// Our hooks' command lines in the settings, each once.
    pub commands: Vec<HookCommand>,
    /// Whom each settings file calls, ours among them.
    pub handlers: Vec<Handlers>,
}

fn fatal(text: String, way_out: &str) -> HooksProblem {
    HooksProblem { is_fatal: true, text, way_out: Some(way_out.to_owned()) }
}

fn note(text: String, way_out: Option<&str>) -> HooksProblem {
    HooksProblem { is_fatal: false, text, way_out: way_out.map(str::to_owned) }
}

impl Look {
    /// Looks at everything. `project` is the folder that sessions would run in.
    pub fn at(
        hooks: &Hooks,
        configuration: &Configuration,
        project: &Path,
        claude_version: Option<Version>,
    ) -> Self {
        let mut looked = Looked::default();
        for (scope, path) in configuration.settings(project) {
            looked.at_settings(scope, path);
        }
        looked.at_plugins(configuration);
        looked.at_trust(configuration, project);
        looked.at_binary(hooks);
        looked.at_versions(claude_version);
        looked.at_doubles();
        looked.at_http();
        let slash = SlashCommand::of(configuration);
        let slash_command = slash.is_installed().unwrap_or(false).then(|| slash.path().to_owned());
        let Looked { files, mut problems, places, commands, handlers, .. } = looked;
        problems.sort_by_key(|problem| !problem.is_fatal);
        let is_installed = !places.is_empty();
        let report = HooksReport {
            claude_version: claude_version.map(|version| version.to_string()),
            hook: hooks.command().binary.clone(),
            is_installed,
            is_working: is_installed && !problems.iter().any(|problem| problem.is_fatal),
            files,
            slash_command,
            problems,
        };
        Self { report, commands, handlers }
    }
}

/// What was seen so far.
#[derive(Default)]
struct Looked {
    files: Vec<HooksFile>,
    problems: Vec<HooksProblem>,
    commands: Vec<HookCommand>,
    handlers: Vec<Handlers>,
    /// Event → the places that register a hook of ours for it, with the command lines there.
    places: BTreeMap<String, Vec<(String, String)>>,
    /// Places with hooks of claude-mpm itself.
    mpm: BTreeSet<String>,
    enabled_plugins: BTreeSet<String>,
    /// Where hooks of the type `http` may post, and who says so; without it, anywhere.
    http_allowed: Option<(Vec<String>, String)>,
}

impl Looked {
    fn at_settings(&mut self, scope: Scope, path: PathBuf) {
        let text = match file::read(&path) {
            Ok(text) => text,
            Err(error) => {
                self.problems.push(fatal(format!("{error}."), "Make the file readable for Claude Code."));
                None
            }
        };
        let mut ours = Vec::new();
        if let Some(text) = text.as_deref().filter(|text| !text.trim().is_empty()) {
            match json::value(text) {
                Ok(settings) => {
                    self.at_switches(scope, &path, &settings);
                    self.handlers.push(Handlers::of(&path, &settings));
                }
                Err(error) => {
                    let way_out = "Claude Code ignores the file: correct it.";
                    self.problems
                        .push(fatal(format!("{} is no valid JSON: {error}.", path.display()), way_out));
                }
            }
            ours = edit::ours(text);
            if text_names_claude_mpm(text) {
                self.mpm.insert(path.display().to_string());
            }
        }
        self.register(&path.display().to_string(), &ours);
        let mut events: Vec<String> = ours.iter().map(|ours| ours.event.clone()).collect();
        events.dedup();
        for Ours { command, .. } in ours {
            if !self.commands.contains(&command) {
                self.commands.push(command);
            }
        }
        self.files.push(HooksFile { scope, path, exists: text.is_some(), events });
    }

    /// The settings that switch hooks off.
    fn at_switches(&mut self, scope: Scope, path: &Path, settings: &Value) {
        let place = path.display();
        if settings["disableAllHooks"] == true {
            let text = format!("\"disableAllHooks\" is true in {place}: Claude Code runs no hooks.");
            self.problems.push(fatal(text, "Remove that setting."));
        }
        if scope == Scope::Managed && settings["allowManagedHooksOnly"] == true {
            let text =
                format!("\"allowManagedHooksOnly\" is true in {place}: only your organisation's hooks run.");
            self.problems
                .push(fatal(text, "Ask your administrator to add the hook to the managed settings."));
        }
        if let Some(urls) = settings["allowedHttpHookUrls"].as_array() {
            let (allowed, _) = self.http_allowed.get_or_insert_with(|| (Vec::new(), place.to_string()));
            allowed.extend(urls.iter().filter_map(|url| Some(url.as_str()?.to_owned())));
        }
        let plugins = settings["enabledPlugins"].as_object().into_iter().flatten();
        self.enabled_plugins.extend(plugins.filter(|(_, on)| **on == true).map(|(name, _)| name.clone()));
    }

    fn register(&mut self, place: &str, ours: &[Ours]) {
        for Ours { event, command, .. } in ours {
            self.places.entry(event.clone()).or_default().push((place.to_owned(), command.line()));
            if event == HookEvent::WorktreeCreate.as_str() {
                let text = format!(
                    "The hook is registered for WorktreeCreate in {place}: Claude Code makes no worktrees."
                );
                self.problems.push(fatal(text, "Run 'claude-mpm-monitor hooks install', which removes it."));
            }
        }
    }

    /// Plugins bring hooks of their own.
    fn at_plugins(&mut self, configuration: &Configuration) {
        let Ok(Some(text)) = file::read(&configuration.plugins()) else { return };
        let Ok(installed) = json::value(&text) else { return };
        for (name, entries) in installed["plugins"].as_object().into_iter().flatten() {
            let entries = match entries {
                Value::Array(entries) => entries.as_slice(),
                one => std::slice::from_ref(one),
            };
            if !self.enabled_plugins.contains(name) {
                continue;
            }
            for folder in entries.iter().filter_map(|entry| entry["installPath"].as_str()).map(Path::new) {
                let Ok(Some(text)) = file::read(&folder.join("hooks/hooks.json")) else { continue };
                let place = format!("the plugin {name}");
                self.register(&place, &edit::ours(&text));
                if text_names_claude_mpm(&text) {
                    self.mpm.insert(place);
                }
            }
        }
    }

    /// In a folder that the user has not said to trust, project hooks do not run.
    fn at_trust(&mut self, configuration: &Configuration, project: &Path) {
        let Ok(Some(text)) = file::read_state(configuration.state()) else { return };
        let Ok(state) = json::value(&text) else { return };
        let known = &state["projects"][project.to_string_lossy().as_ref()];
        if known["hasTrustDialogAccepted"] == false {
            let text = format!(
                "Claude Code has not been told to trust {}: hooks do not run there.",
                project.display()
            );
            self.problems.push(note(text, Some("Start claude there and accept the folder.")));
        }
    }

    fn at_binary(&mut self, hooks: &Hooks) {
        let install = "Run 'claude-mpm-monitor hooks install'.";
        let named: BTreeSet<PathBuf> = self.commands.iter().map(|command| command.binary.clone()).collect();
        for binary in &named {
            if !crate::version::is_executable(binary) {
                self.problems.push(fatal(format!("The hook {} is missing.", binary.display()), install));
            }
        }
        let own = &hooks.command().binary;
        if let Ok(shipped) = Binary::shipped()
            && named.contains(own)
            && own.exists()
            && !binary::are_alike(own, &shipped)
        {
            let text = format!("The hook {} is of another version than this program.", own.display());
            self.problems.push(note(text, Some(install)));
        }
    }

    /// Events that the installed Claude Code does not know, and those that it knows but that are not registered.
    fn at_versions(&mut self, version: Option<Version>) {
        let install = Some("Run 'claude-mpm-monitor hooks install'.");
        let Some(version) = version else {
            let text = "Claude Code could not be asked for its version.".to_owned();
            self.problems.push(note(text, Some("Install Claude Code, or put claude on your PATH.")));
            return;
        };
        let known = match events::registrations(version, &[]) {
            Ok(known) => known,
            Err(error @ Error::TooOld(_)) => {
                self.problems.push(fatal(format!("{error}."), "Update Claude Code."));
                return;
            }
            Err(_) => return,
        };
        let unknown: Vec<&str> = self
            .places
            .keys()
            .filter(|name| {
                HookEvent::from_name(name).is_none_or(|event| !events::is_known_to(version, event))
            })
            .map(String::as_str)
            .collect();
        if !unknown.is_empty() {
            let names = unknown.join(", ");
            if version < FORGIVES_NAMES {
                let text =
                    format!("Claude Code {version} ignores the whole settings file because of {names}.");
                self.problems
                    .push(fatal(text, "Run 'claude-mpm-monitor hooks install', or update Claude Code."));
            } else {
                let text = format!("Claude Code {version} does not know {names}.");
                self.problems.push(note(text, install));
            }
        }
        let missing: Vec<&str> = known
            .iter()
            .map(|one| one.event.as_str())
            .filter(|name| !self.places.contains_key(*name))
            .collect();
        if !self.places.is_empty() && !missing.is_empty() {
            self.problems.push(note(format!("Not registered: {}.", missing.join(", ")), install));
        }
    }

    /// The same command line runs once wherever it stands; two different ones run both, and so does a plugin's.
    fn at_doubles(&mut self) {
        let mut doubles: BTreeMap<Vec<String>, Vec<&str>> = BTreeMap::new();
        for (event, places) in &self.places {
            let mut lines = BTreeSet::new();
            let differ =
                places.iter().filter(|(place, line)| lines.insert((place.starts_with("the plugin"), line)));
            if differ.count() > 1 {
                let places: BTreeSet<String> = places.iter().map(|(place, _)| place.clone()).collect();
                doubles.entry(places.into_iter().collect()).or_default().push(event);
            }
        }
        for (places, events) in doubles {
            let text = format!(
                "{} come twice: our hook is registered in {}.",
                events.join(", "),
                places.join(" and ")
            );
            self.problems
                .push(note(text, Some("Remove one of them, or run 'claude-mpm-monitor hooks install'.")));
        }
        if !self.mpm.is_empty() {
            let places = self.mpm.iter().cloned().collect::<Vec<_>>().join(", ");
            let text = format!(
                "claude-mpm's own hooks are registered too ({places}); what both report is shown once."
            );
            self.problems.push(note(text, None));
        }
    }

    /// Hooks that somebody wrote to post here themselves; ours are commands, which no list of addresses limits.
    fn at_http(&mut self) {
        let Some((allowed, place)) = &self.http_allowed else { return };
        let handlers = self.handlers.iter().flat_map(|file| &file.handlers);
        let refused: BTreeSet<&str> = handlers
            .filter(|handler| handler.port.is_some() && handler.call.starts_with("http"))
            .map(|handler| handler.call.as_str())
            .filter(|url| !allowed.iter().any(|pattern| matches(pattern, url)))
            .collect();
        for url in refused {
            let text =
                format!("\"allowedHttpHookUrls\" in {place} does not name {url}: no hook posts there.");
            self.problems.push(note(text, Some("Add the address to that list.")));
        }
    }
}

/// Whether an address is one of a pattern in which `*` stands for anything.
fn matches(pattern: &str, url: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| url.strip_prefix(first)) else { return false };
    let parts: Vec<&str> = parts.collect();
    let Some((last, between)) = parts.split_last() else { return rest.is_empty() };
    for part in between {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

/// Whether a text registers one of claude-mpm's hook programs.
fn text_names_claude_mpm(text: &str) -> bool {
    const PROGRAMS: [&str; 6] = [
        "\"claude-hook\"",
        "/claude-hook\"",
        "claude-hook-fast.sh",
        "claude-hook-handler.sh",
        "hook_wrapper.sh",
        "mpm_hook_handler.py",
    ];
    PROGRAMS.iter().any(|program| text.contains(program))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use protocol::paths::Home;
    use serde_json::json;

    use super::*;

    #[test]
    fn what_an_organisation_and_claude_code_itself_switch_off_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let configuration = Configuration::at(&at("claude"), &at("managed"));
        fs::create_dir_all(at("managed/managed-settings.d")).unwrap();
        fs::create_dir_all(at("claude")).unwrap();
        let write = |name: &str, value: &Value| fs::write(at(name), value.to_string()).unwrap();
        write("managed/managed-settings.d/10-hooks.json", &json!({ "allowManagedHooksOnly": true }));
        let shop = at("shop").display().to_string();
        write("claude/.claude.json", &json!({ "projects": { shop: { "hasTrustDialogAccepted": false } } }));
        let http = |url: &str| json!([{ "hooks": [{ "type": "http", "url": url }] }]);
        write(
            "claude/settings.json",
            &json!({
                "allowManagedHooksOnly": true,
                "allowedHttpHookUrls": ["http://localhost:*/api/*"],
                "hooks": {
                    "Stop": http("http://localhost:8765/api/events"),
                    "PreToolUse": http("http://127.0.0.1:8765/api/events"),
                    "PostToolUse": http("https://example.com/"),
                },
            }),
        );
        let hooks = Hooks::of(&Home::at(at("mpm")), true);
        let problems = Look::at(&hooks, &configuration, &at("shop"), None).report.problems;
        let texts: Vec<&str> = problems.iter().map(|problem| problem.text.as_str()).collect();
        let drop_in = at("managed/managed-settings.d/10-hooks.json");
        let only = format!("\"allowManagedHooksOnly\" is true in {}: only", drop_in.display());
        let count = texts.iter().filter(|text| text.contains("allowManagedHooksOnly")).count();
        assert!(texts[0].starts_with(&only) && count == 1, "the user's own does nothing: {texts:#?}");
        assert!(texts.iter().any(|text| text.contains("has not been told to trust ")), "{texts:#?}");
        let refused: Vec<_> = texts.iter().filter(|text| text.contains("allowedHttpHookUrls")).collect();
        assert!(refused.len() == 1 && refused[0].contains("http://127.0.0.1:8765/"), "{texts:#?}");
    }

    #[test]
    fn a_pattern_of_addresses_has_stars() {
        for (pattern, url, expected) in [
            ("http://a/b", "http://a/b", true),
            ("http://a/b", "http://a/bc", false),
            ("http://a/*", "http://a/", true),
            ("*", "", true),
            ("*/api/*s", "http://a/api/events", true),
            ("*/api/*s", "http://a/api/event", false),
            ("", "http://a", false),
        ] {
            assert_eq!(matches(pattern, url), expected, "{pattern} {url}");
        }
    }
}
