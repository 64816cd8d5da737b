//! Which hook events are registered. An old Claude Code must never see a name that it does not know: before
//! 2.1.101 one unknown name made it ignore the whole settings file, permissions included.

use std::str::FromStr;

use protocol::HookEvent;

use crate::{Error, Version};

/// The first version with hooks.
const FIRST: Version = Version(1, 0, 38);

/// From here on a name or an entry that Claude Code does not know does no harm. Events whose first version is
/// not known are registered from here on only.
const TOLERANT: Version = Version(2, 1, 122);

/// Whether and from when on an event is registered.
enum Choice {
    /// Always.
    Default,
    /// When the user asks for it, because it costs something.
    OptIn,
    /// A hook there replaces what Claude Code does.
    Never,
}

/// One hook event with what goes into the settings for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// The event.
    pub event: HookEvent,
    /// What it is limited to; nothing means everything.
    pub matcher: Option<String>,
}

/// An event that is registered only when it is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extra(Registration);

impl Extra {
    /// What stands in settings as a registration of ours, if it is one that the user must have asked for.
    pub(crate) fn installed(event: &str, matcher: Option<&str>) -> Option<Self> {
        match matcher {
            Some(files) if event == HookEvent::FileChanged.as_str() => {
                format!("{event}={files}").parse().ok()
            }
            _ => event.parse().ok(),
        }
    }
}

impl FromStr for Extra {
    type Err = String;

    /// Reads `PostToolBatch`, or `FileChanged=.envrc|Makefile`: which files to watch.
    fn from_str(text: &str) -> Result<Self, String> {
        let (name, matcher) = text.split_once('=').map_or((text, None), |(name, files)| (name, Some(files)));
        let event = HookEvent::from_name(name).ok_or_else(|| format!("there is no hook event {name:?}"))?;
        match (choice(event), matcher) {
            (Choice::Never, _) => {
                Err(format!("{name} cannot be watched: a hook there replaces what Claude Code does"))
            }
            (Choice::Default, _) => Err(format!("{name} is registered anyway")),
            (Choice::OptIn, None | Some("")) if event == HookEvent::FileChanged => {
                Err("FileChanged needs the names of the files to watch: FileChanged=.envrc|Makefile"
                    .to_owned())
            }
            (Choice::OptIn, Some(_)) if event != HookEvent::FileChanged => {
                Err(format!("{name} takes no names of files"))
            }
            (Choice::OptIn, matcher) => Ok(Self(Registration { event, matcher: matcher.map(str::to_owned) })),
        }
    }
}

/// The events that are registered without being asked for, whatever the version.
pub fn defaults() -> impl Iterator<Item = HookEvent> {
    HookEvent::ALL.iter().copied().filter(|event| matches!(choice(*event), Choice::Default))
}

/// What to register for a version: everything that it understands, and of each extra event the first that is named.
///
/// # Errors
/// When that version has no hooks.
pub fn registrations(version: Version, extras: &[Extra]) -> Result<Vec<Registration>, Error> {
    if version < FIRST {
        return Err(Error::TooOld(version));
    }
    let usual = defaults().map(|event| Registration { event, matcher: None });
    let asked = extras.iter().map(|extra| extra.0.clone());
    let mut all: Vec<Registration> = usual.chain(asked).collect();
    all.retain(|registration| is_known_to(version, registration.event));
    all.sort_by_key(|registration| registration.event);
    all.dedup_by_key(|registration| registration.event);
    Ok(all)
}

/// Whether a version is proven to know an event.
pub(crate) fn is_known_to(version: Version, event: HookEvent) -> bool {
    version >= since(event)
}

fn choice(event: HookEvent) -> Choice {
    use HookEvent as H;
    match event {
        // Claude Code would no longer make worktrees itself.
        H::WorktreeCreate => Choice::Never,
        // It holds text back until the hook returns; repeats every tool call; fires in set-up runs only; needs a
        // list of files.
        H::MessageDisplay | H::PostToolBatch | H::Setup | H::FileChanged => Choice::OptIn,
        _ => Choice::Default,
    }
}

/// The first version that is proven to know an event.
fn since(event: HookEvent) -> Version {
    use HookEvent as H;
    match event {
        H::PreToolUse | H::PostToolUse | H::Stop => FIRST,
        H::SubagentStop => Version(1, 0, 41),
        H::PreCompact => Version(1, 0, 48),
        H::UserPromptSubmit => Version(1, 0, 54),
        H::SessionStart => Version(1, 0, 62),
        H::SessionEnd => Version(1, 0, 85),
        H::Notification => Version(2, 0, 37),
        H::SubagentStart => Version(2, 0, 43),
        H::PermissionRequest => Version(2, 0, 45),
        H::Setup => Version(2, 1, 10),
        H::TaskCompleted | H::TeammateIdle => Version(2, 1, 33),
        H::ConfigChange => Version(2, 1, 49),
        H::WorktreeCreate | H::WorktreeRemove => Version(2, 1, 50),
        H::InstructionsLoaded => Version(2, 1, 69),
        H::PostCompact | H::Elicitation | H::ElicitationResult => Version(2, 1, 76),
        H::StopFailure => Version(2, 1, 78),
        H::CwdChanged | H::FileChanged => Version(2, 1, 83),
        H::TaskCreated => Version(2, 1, 84),
        H::PermissionDenied => Version(2, 1, 89),
        H::PostToolUseFailure => Version(2, 1, 119),
        H::MessageDisplay => Version(2, 1, 152),
        H::DirectoryAdded => Version(2, 1, 219),
        H::UserPromptExpansion | H::PostToolBatch => TOLERANT,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    const CATALOGUE: &str = include_str!("../../../tests/fixtures/hook-events.json");

    fn names(version: Version) -> Vec<&'static str> {
        registrations(version, &[]).unwrap().iter().map(|r| r.event.as_str()).collect()
    }

    #[test]
    fn what_is_registered_is_what_the_catalogue_of_events_says() {
        let catalogue: Value = serde_json::from_str(CATALOGUE).unwrap();
        let catalogue = catalogue.as_object().unwrap();
        assert_eq!(catalogue.len(), HookEvent::ALL.len());
        for (name, entry) in catalogue {
            let event = HookEvent::from_name(name).unwrap();
            let expected = match choice(event) {
                Choice::Default => "default",
                Choice::OptIn => "opt-in",
                Choice::Never => "never",
            };
            assert_eq!(entry["register"], expected, "{name}");
            let proven = entry["proven_by"].as_str().map_or(TOLERANT, |text| text.parse().unwrap());
            assert_eq!(since(event), proven, "{name}");
        }
        assert_eq!(names(Version(9, 0, 0)).len(), 26);
    }

    #[test]
    fn an_old_claude_code_never_sees_a_name_that_it_does_not_know() {
        assert_eq!(names(FIRST), ["PreToolUse", "PostToolUse", "Stop"]);
        assert!(!names(Version(2, 1, 100)).contains(&"PostToolUseFailure"));
        assert!(!names(Version(2, 1, 121)).contains(&"UserPromptExpansion"));
        assert!(names(TOLERANT).contains(&"UserPromptExpansion"));
        assert!(matches!(registrations(Version(1, 0, 37), &[]), Err(Error::TooOld(_))));
        for patch in 0..300 {
            assert!(!names(Version(2, 1, patch)).contains(&"WorktreeCreate"));
        }
    }

    #[test]
    fn an_extra_event_is_one_that_costs_something() {
        for refused in ["", "Nothing", "WorktreeCreate", "Stop", "FileChanged", "FileChanged=", "Setup=a"] {
            assert!(refused.parse::<Extra>().is_err(), "{refused}");
        }
        let extras = ["PostToolBatch", "FileChanged=.envrc|Makefile"].map(|text| text.parse().unwrap());
        let all = registrations(Version(9, 0, 0), &extras).unwrap();
        assert_eq!(all.len(), 28);
        let watched = all.iter().find(|r| r.event == HookEvent::FileChanged).unwrap();
        assert_eq!(watched.matcher.as_deref(), Some(".envrc|Makefile"));
    }
}
