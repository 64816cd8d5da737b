//! `config`: the settings that apply, who chose them, and a file that explains each key.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use client::runfiles;
use host::{Setting, Settings};
use serde_json::Value;

use crate::Exit;
use crate::args::{Config, ConfigVerb, Listen, PortChoice};
use crate::context::Context;

pub(crate) fn run(config: &Config, context: &mut Context<'_, '_>) -> anyhow::Result<Exit> {
    match &config.verb {
        None => show(config.json, &config.listen, context),
        Some(ConfigVerb::Path) => {
            context.terminal.say(context.home.config().display());
            Ok(Exit::Done)
        }
        Some(ConfigVerb::Init { force }) => init(*force, context),
    }
}

fn show(json: bool, listen: &Listen, context: &mut Context<'_, '_>) -> anyhow::Result<Exit> {
    let port = match listen.port {
        Some(PortChoice::Exact(port)) => Some(port),
        Some(PortChoice::Auto) | None => None,
    };
    let settings = context.settings(&listen.flags(port))?.all();
    if json {
        let settings: Vec<_> = settings.iter().map(Setting::told).collect();
        context.terminal.answer(&settings);
    } else {
        context.terminal.say(table(&settings).trim_end());
    }
    Ok(Exit::Done)
}

/// Key, value and origin in columns.
fn table(settings: &[Setting]) -> String {
    let values: Vec<_> = settings.iter().map(|setting| text(&setting.value)).collect();
    let name_width = settings.iter().map(|setting| setting.name.len()).max().unwrap_or(0);
    let value_width = values.iter().map(|value| value.chars().count()).max().unwrap_or(0);
    let line = |(setting, value): (&Setting, &String)| {
        format!("{:name_width$}  {value:value_width$}  {}\n", setting.name, setting.origin)
    };
    settings.iter().zip(&values).map(line).collect()
}

/// A value without the marks of JSON where they say nothing.
fn text(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(list) if list.is_empty() => "-".to_owned(),
        Value::Array(list) => list.iter().map(text).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

fn init(force: bool, context: &mut Context<'_, '_>) -> anyhow::Result<Exit> {
    let path = context.home.config();
    if path.exists() && !force {
        let way_out = "use --force to put a new one in its place; the old one is kept beside it";
        context.terminal.error(format_args!("{} exists already", path.display()), Some(way_out));
        return Ok(Exit::Failed);
    }
    runfiles::make_folders(&context.home).with_context(|| format!("could not write {}", path.display()))?;
    if path.exists() {
        let kept = kept_beside(&path);
        fs::rename(&path, &kept).with_context(|| format!("could not keep {}", path.display()))?;
        context.terminal.say(format_args!("The old file is now {}", kept.display()));
    }
    private::replace(&path, sample().as_bytes())
        .with_context(|| format!("could not write {}", path.display()))?;
    context
        .terminal
        .say(format_args!("Wrote {}: remove the // before what you want to change.", path.display()));
    Ok(Exit::Done)
}

/// A name that is free.
fn kept_beside(path: &Path) -> PathBuf {
    let name = |number: usize| path.with_extension(format!("json.old{number}"));
    (1..).map(name).find(|name| !name.exists()).unwrap_or_else(|| name(0))
}

/// The configuration file with every key explained and none set.
pub(crate) fn sample() -> String {
    let keys: String = Settings::default().all().iter().map(explained).collect();
    format!(
        "// Settings of the Claude MPM monitor. Comments are allowed. Flags and environment variables go before this\n\
         // file; `claude-mpm-monitor config` shows what applies.\n{{\n{keys}}}\n"
    )
}

fn explained(setting: &Setting) -> String {
    let Setting { name, about, expected, environment, value, .. } = setting;
    let environment = match environment {
        [] => String::new(),
        names => format!("  // Environment: {}\n", names.join(", ")),
    };
    format!("\n  // {about}.\n  // Expects {expected}.\n{environment}  // \"{name}\": {value},\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::config_file;
    use serde_json::Map;

    #[test]
    fn the_sample_sets_nothing_and_each_of_its_lines_can_be_used() {
        let sample = sample();
        let read = |text: &str| config_file::parse::<Map<String, Value>>(text);
        assert_eq!(read(&sample), Ok(Map::new()), "{sample}");
        let use_key = |text: String, setting: &Setting| {
            text.replace(&format!("// \"{}\":", setting.name), &format!("\"{}\":", setting.name))
        };
        let used = read(&Settings::default().all().iter().fold(sample.clone(), use_key)).unwrap();
        for setting in Settings::default().all() {
            assert_eq!(used.get(setting.name), Some(&setting.value), "{} in {sample}", setting.name);
        }
    }
}
