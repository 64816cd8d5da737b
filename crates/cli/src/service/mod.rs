//! `service`: the monitor as a service of the system, installed, taken away exactly, and shown.

pub(crate) mod args;
mod definition;
mod manifest;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::Context as _;
use client::Probe;
use host::Flags;
use protocol::config_file;
use serde_json::json;

use crate::Exit;
use crate::config;
use crate::context::Context;
use args::{Install, Platform, ServiceMode, ServiceVerb, Where};
use definition::{Definition, WRAPPER, wrapper_script};
use manifest::{Found, Manifest, Written};

/// Where a system service keeps its home: the folder that systemd makes for it.
const SYSTEM_HOME: &str = "/var/lib/claude-mpm";

pub(crate) fn run(verb: &ServiceVerb, context: &mut Context<'_, '_>) -> anyhow::Result<Exit> {
    match verb {
        ServiceVerb::Install(install) => self::install(install, context),
        ServiceVerb::Uninstall(place) => uninstall(place, context),
        ServiceVerb::Status { place, json } => {
            if *json {
                context.terminal.speak_json();
            }
            status(place, context)
        }
    }
}

/// The folders of one installation.
struct Places {
    root: Option<PathBuf>,
    user_home: PathBuf,
    config: PathBuf,
    manifest: PathBuf,
}

impl Places {
    fn new(place: &Where, context: &Context<'_, '_>) -> anyhow::Result<Self> {
        let set = |name: &str| (context.var)(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let user_home =
            set("HOME").or_else(|| set("USERPROFILE")).context("could not find your home folder")?;
        let config = set("XDG_CONFIG_HOME").unwrap_or_else(|| user_home.join(".config"));
        let manifest = match place.mode {
            ServiceMode::User => context.home.monitor().join("service.json"),
            ServiceMode::System => PathBuf::from("/etc/claude-mpm/service.json"),
        };
        let root = place.root.clone();
        let places = Self { root, user_home, config, manifest: PathBuf::new() };
        Ok(Self { manifest: places.below_root(&manifest), ..places })
    }

    /// A path of the system that is installed into.
    fn below_root(&self, path: &Path) -> PathBuf {
        match &self.root {
            Some(root) => root.join(path.strip_prefix("/").unwrap_or(path)),
            None => path.to_owned(),
        }
    }
}

fn install(install: &Install, context: &mut Context<'_, '_>) -> anyhow::Result<Exit> {
    let place = &install.place;
    let exe = std::env::current_exe().context("could not find this executable")?;
    let custom_home = (context.var)("CLAUDE_MPM_HOME").filter(|home| !home.is_empty()).map(PathBuf::from);
    let home = match place.mode {
        ServiceMode::User => custom_home,
        ServiceMode::System => Some(PathBuf::from(SYSTEM_HOME)),
    };
    let definition = Definition {
        platform: install.platform.unwrap_or(Platform::HERE),
        mode: place.mode,
        profile: install.environment,
        exe: &exe,
        home: home.as_deref(),
        wrapper: install.wrapper,
    };
    if install.print {
        context.terminal.say(definition.text().trim_end());
        return Ok(Exit::Done);
    }
    let places = Places::new(place, context)?;
    let files = files(install, &definition, &places, context);
    let problems = problems(&files, &places, install, context)?;
    if install.test_only || !problems.is_empty() {
        return Ok(report(&files, &problems, context));
    }
    for file in &files {
        file.write()?;
        context.terminal.say(format_args!("✓ Wrote {}", file.path.display()));
    }
    Manifest { files }.write(&places.manifest)?;
    if !install.no_service && place.root.is_none() {
        let path = definition.path(&places.user_home, &places.config);
        start(&definition, &path, context);
    }
    if place.mode == ServiceMode::System {
        context
            .terminal
            .say("Sessions of other users reach it with CLAUDE_MPM_MONITOR_URL and CLAUDE_MPM_MONITOR_TOKEN in their environment.");
    }
    Ok(Exit::Done)
}

/// What is to be written. A configuration that exists stays as it is.
fn files(
    install: &Install,
    definition: &Definition<'_>,
    places: &Places,
    context: &Context<'_, '_>,
) -> Vec<Written> {
    let config = match install.place.mode {
        ServiceMode::User => context.home.config(),
        ServiceMode::System => PathBuf::from(config_file::SYSTEM),
    };
    let bin = match install.place.mode {
        ServiceMode::User => places.user_home.join(".local/bin"),
        ServiceMode::System => PathBuf::from("/usr/local/bin"),
    };
    let unit = definition.path(&places.user_home, &places.config);
    let wanted = [
        (
            places.below_root(&config),
            Some(config::sample()).filter(|_| !places.below_root(&config).exists()),
            false,
        ),
        (
            places.below_root(&bin.join(WRAPPER)),
            install.wrapper.then(|| wrapper_script(definition.exe)),
            true,
        ),
        (places.below_root(&unit), (!install.no_service).then(|| definition.text()), false),
    ];
    let written = wanted
        .into_iter()
        .filter_map(|(path, content, executable)| Some(Written { path, content: content?, executable }));
    written.collect()
}

/// Why the installation would not work, one sentence each.
fn problems(
    files: &[Written],
    places: &Places,
    install: &Install,
    context: &mut Context<'_, '_>,
) -> anyhow::Result<Vec<String>> {
    let mut problems = Vec::new();
    if Manifest::read(&places.manifest)?.is_some() {
        problems.push(format!(
            "it is installed already; take it away first with 'claude-mpm-monitor service uninstall --mode {}'",
            install.place.mode
        ));
    }
    for file in files {
        if file.path.exists() {
            problems.push(format!("{} exists and is not ours", file.path.display()));
        }
        let folder = file.path.ancestors().skip(1).find(|folder| folder.is_dir());
        if folder.is_some_and(|folder| tempfile::tempfile_in(folder).is_err()) {
            let sudo = if install.place.mode == ServiceMode::System { "; run it with sudo" } else { "" };
            problems.push(format!("{} cannot be written{sudo}", file.path.display()));
        }
    }
    if !install.no_service && places.root.is_none() {
        let port = context.settings(&Flags::default())?.config.port;
        match client::probe(&context.home, port) {
            Probe::Free => {}
            Probe::Ours(_) | Probe::Stray(_) => problems.push(format!(
                "a monitor serves port {port} already; stop it first with 'claude-mpm-monitor stop --port {port}'"
            )),
            Probe::Legacy { .. } | Probe::Foreign { .. } => {
                problems.push(format!("port {port} is in use by another program"));
            }
        }
    }
    Ok(problems)
}

/// Tells what would be written, and what is in the way.
fn report(files: &[Written], problems: &[String], context: &mut Context<'_, '_>) -> Exit {
    for problem in problems {
        context.terminal.error(problem, None);
    }
    if !problems.is_empty() {
        return Exit::Failed;
    }
    for file in files {
        context.terminal.say(format_args!("✓ {} can be written", file.path.display()));
    }
    context.terminal.say("Nothing was changed.");
    Exit::Done
}

/// Makes the system know the service and start it; where that is not possible, says how.
fn start(definition: &Definition<'_>, path: &Path, context: &mut Context<'_, '_>) {
    let commands = definition.enable(path);
    match commands.iter().find_map(|command| failed(command).err()) {
        None => context.terminal.say("✓ The service is enabled and started"),
        Some(reason) => {
            context.terminal.complain(format_args!("Warning: the service could not be started: {reason}"));
            let commands: Vec<_> = commands.iter().map(|command| command.join(" ")).collect();
            context.terminal.complain(format_args!("Start it with: {}", commands.join(" && ")));
        }
    }
}

/// Runs a command of the system; its own words when it does not succeed.
fn failed(command: &[String]) -> Result<String, String> {
    let (program, arguments) = command.split_first().ok_or("there is no command")?;
    let ran = Command::new(program).args(arguments).stdin(Stdio::null()).output();
    let ran = ran.map_err(|error| format!("{program}: {error}"))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if ran.status.success() {
        Ok(text(&ran.stdout))
    } else {
        Err(format!("{program}: {}", text(&ran.stderr)))
    }
}

fn here(mode: ServiceMode) -> Definition<'static> {
    let (profile, exe, home, wrapper) = (host::Profile::Production, Path::new(""), None, false);
    Definition { platform: Platform::HERE, mode, profile, exe, home, wrapper }
}

fn uninstall(place: &Where, context: &mut Context<'_, '_>) -> anyhow::Result<Exit> {
    let places = Places::new(place, context)?;
    let Some(manifest) = Manifest::read(&places.manifest)? else {
        context.terminal.say("The service is not installed");
        return Ok(Exit::Done);
    };
    let definition = here(place.mode);
    let unit = places.below_root(&definition.path(&places.user_home, &places.config));
    if place.root.is_none() && manifest.files.iter().any(|file| file.path == unit) {
        for command in definition.disable(&unit) {
            if let Err(reason) = failed(&command) {
                context.terminal.complain(format_args!("Warning: {reason}"));
            }
        }
    }
    for file in &manifest.files {
        match file.found() {
            Found::AsWritten => {
                std::fs::remove_file(&file.path)
                    .with_context(|| format!("could not remove {}", file.path.display()))?;
                context.terminal.say(format_args!("✓ Removed {}", file.path.display()));
            }
            Found::Changed => {
                context.terminal.say(format_args!("{} was changed since and is kept", file.path.display()));
            }
            Found::Missing => {}
        }
    }
    std::fs::remove_file(&places.manifest)
        .with_context(|| format!("could not remove {}", places.manifest.display()))?;
    Ok(Exit::Done)
}

fn status(place: &Where, context: &mut Context<'_, '_>) -> anyhow::Result<Exit> {
    let places = Places::new(place, context)?;
    let manifest = Manifest::read(&places.manifest)?;
    let (is_installed, files) = (manifest.is_some(), manifest.map(|manifest| manifest.files));
    let files: Vec<_> = files.into_iter().flatten().map(|file| (file.found(), file.path)).collect();
    let asks = is_installed && place.root.is_none();
    let said =
        asks.then(|| failed(&here(place.mode).ask()).unwrap_or_else(|why| format!("not known ({why})")));
    if !is_installed {
        context.terminal.say("The service is not installed");
    }
    for (found, path) in &files {
        context.terminal.say(format_args!("{}: {}", path.display(), found.words()));
    }
    if let Some(said) = &said {
        context.terminal.say(format_args!("The system says: {said}"));
    }
    if context.terminal.speaks_json() {
        let file = |(found, path): &(Found, PathBuf)| json!({ "path": path, "state": found.words() });
        let files: Vec<_> = files.iter().map(file).collect();
        let mode = place.mode.to_string();
        let status = json!({ "installed": is_installed, "mode": mode, "files": files, "system": said });
        context.terminal.answer(&status);
    }
    Ok(if is_installed { Exit::Done } else { Exit::NotRunning })
}
