//! Profiles: sets of defaults for the surroundings of a server. None touches the address, the origins or any
//! other thing that keeps others out.

use std::ffi::OsString;
use std::fmt;
use std::io::IsTerminal;
use std::path::Path;
use std::str::FromStr;

/// Where a server runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Profile {
    /// At somebody's terminal.
    Development,
    /// As a service, or from a script.
    #[default]
    Production,
    /// In a container.
    Docker,
}

/// A profile that nobody chose, and what speaks for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Detected {
    /// The profile.
    pub profile: Profile,
    /// What was seen.
    pub because: &'static str,
}

impl Profile {
    /// Every profile.
    pub const ALL: [Self; 3] = [Self::Development, Self::Production, Self::Docker];

    /// Its name in flags, variables and files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Development => "development",
            Self::Production => "production",
            Self::Docker => "docker",
        }
    }

    /// The profile of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|profile| profile.name() == name)
    }

    /// Looks where this process runs.
    pub fn detect(var: impl Fn(&str) -> Option<OsString>) -> Detected {
        let marks = ["/.dockerenv", "/run/.containerenv"];
        let in_container = marks.iter().any(|mark| Path::new(mark).exists());
        Self::of(var, in_container, std::io::stdin().is_terminal())
    }

    fn of(var: impl Fn(&str) -> Option<OsString>, in_container: bool, at_terminal: bool) -> Detected {
        let set = |name: &str| var(name).is_some_and(|value| !value.is_empty() && value != "false");
        let (profile, because) = if in_container || set("container") || set("KUBERNETES_SERVICE_HOST") {
            (Self::Docker, "this is a container")
        } else if set("CI") {
            (Self::Production, "CI is set")
        } else if at_terminal {
            (Self::Development, "this is a terminal")
        } else {
            (Self::Production, "there is no terminal")
        };
        Detected { profile, because }
    }

    /// Its defaults, by key. One that was only detected decides no more than how much is logged, so that the
    /// same command serves clients alike wherever it runs.
    pub(crate) fn value(self, key: &str, is_chosen: bool) -> Option<&'static str> {
        let chosen = match self {
            Self::Development => {
                [("ping_interval", "10"), ("ping_timeout", "30"), ("max_history_size", "5000")]
            }
            Self::Production => {
                [("ping_interval", "30"), ("ping_timeout", "120"), ("max_history_size", "20000")]
            }
            Self::Docker => [("ping_interval", "25"), ("ping_timeout", "90"), ("max_history_size", "15000")],
        };
        let logged = match (self, is_chosen) {
            (Self::Development, true) => Some(("log_level", "DEBUG")),
            (Self::Docker, _) | (Self::Production, true) => Some(("log_level", "INFO")),
            (Self::Development | Self::Production, false) => None,
        };
        let chosen = chosen.into_iter().filter(|_| is_chosen);
        chosen.chain(logged).find(|(known, _)| *known == key).map(|(_, value)| value)
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// As flags name it.
impl FromStr for Profile {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::named(text).ok_or_else(|| "expected development, production or docker".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::KEYS;

    #[test]
    fn the_surroundings_decide_the_profile() {
        type Variables = &'static [(&'static str, &'static str)];
        let cases: [(Variables, bool, bool, &str); 8] = [
            (&[], true, true, "docker: this is a container"),
            (&[("container", "podman")], false, true, "docker: this is a container"),
            (&[("KUBERNETES_SERVICE_HOST", "10.0.0.1")], false, false, "docker: this is a container"),
            (&[("CI", "true")], true, false, "docker: this is a container"),
            (&[("CI", "true")], false, true, "production: CI is set"),
            (&[("CI", "false")], false, true, "development: this is a terminal"),
            (&[], false, true, "development: this is a terminal"),
            (&[], false, false, "production: there is no terminal"),
        ];
        for (variables, in_container, at_terminal, expected) in cases {
            let var = |name: &str| {
                variables.iter().find(|(known, _)| *known == name).map(|(_, value)| OsString::from(value))
            };
            let Detected { profile, because } = Profile::of(var, in_container, at_terminal);
            assert_eq!(
                format!("{profile}: {because}"),
                expected,
                "{variables:?} {in_container} {at_terminal}"
            );
        }
    }

    #[test]
    fn no_profile_opens_the_server_to_anybody() {
        for key in KEYS {
            for profile in Profile::ALL {
                let changes = [true, false].map(|is_chosen| profile.value(key.name, is_chosen).is_some());
                let harmless = ["ping_interval", "ping_timeout", "max_history_size", "log_level"];
                assert!(harmless.contains(&key.name) || changes == [false, false], "{profile} {}", key.name);
            }
        }
    }
}
