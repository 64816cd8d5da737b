//! Which messages a client wants: `*`, `session.*`, `memory:*`, exact types, or a hook in any spelling.

use protocol::derived::{hook_type, kinds};
use protocol::names::CHANNEL_BYTES_MAX;
use protocol::{Kind, Refusal};

/// Channels of one subscription; claude-mpm's API has about twenty.
const CHANNELS_MAX: usize = 200;

/// A client's choice. `Default` wants everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Channels {
    prefixes: Vec<String>,
    types: Vec<String>,
}

impl Channels {
    /// Reads what a client wrote; nothing, or `*` among others, is everything.
    pub(super) fn parse(names: &[String]) -> Result<Self, Refusal> {
        if names.len() > CHANNELS_MAX {
            let message = format!("at most {CHANNELS_MAX} channels, not {}", names.len());
            return Err(Refusal { code: "too_many_channels", message });
        }
        if names.iter().any(|name| name.len() > CHANNEL_BYTES_MAX) {
            let message = format!("a channel has at most {CHANNEL_BYTES_MAX} bytes");
            return Err(Refusal { code: "too_long_channel", message });
        }
        let mut channels = Self::default();
        for name in names {
            match name.strip_suffix('*') {
                Some("") => return Ok(Self::default()),
                Some(prefix) if prefix.ends_with(['.', ':']) => channels.prefixes.push(prefix.to_owned()),
                _ => channels.types.push(as_type(name)),
            }
        }
        Ok(channels)
    }

    pub(super) fn wants(&self, r#type: &str) -> bool {
        self.is_everything()
            || self.types.iter().any(|wanted| wanted == r#type)
            || self.prefixes.iter().any(|prefix| r#type.starts_with(prefix))
    }

    /// The kinds of events that can give a wanted message; empty for all.
    pub(super) fn kinds(&self) -> Vec<String> {
        let known: Option<Vec<Vec<Kind>>> = self.types.iter().map(|wanted| kinds(wanted)).collect();
        match known {
            Some(known) if self.prefixes.is_empty() => {
                known.iter().flatten().map(|kind| kind.as_str().to_owned()).collect()
            }
            _ => Vec::new(),
        }
    }

    fn is_everything(&self) -> bool {
        self.prefixes.is_empty() && self.types.is_empty()
    }
}

/// `PreToolUse` and `hook.pre_tool_use` mean `hook.pre_tool`.
fn as_type(name: &str) -> String {
    match Kind::from_name(name) {
        Kind::Other(_) => name.to_owned(),
        kind => hook_type(&kind),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn channels(names: &[&str]) -> Channels {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        Channels::parse(&names).expect("these are few")
    }

    #[test]
    fn channels_choose_by_everything_group_type_and_hook() {
        let cases: &[(&[&str], &[&str], &[&str])] = &[
            (&[], &["session.start", "hook.stop", "memory:loaded"], &[]),
            (&["session.end", "*"], &["session.start", "hook.stop"], &[]),
            (&["session.*"], &["session.start", "session.end"], &["sessions.x", "claude.status"]),
            (&["memory:*"], &["memory:loaded"], &["memory.loaded"]),
            (&["agent.delegation"], &["agent.delegation"], &["agent.status", "agent.delegations"]),
            (&["PreToolUse"], &["hook.pre_tool"], &["hook.post_tool", "agent.delegation"]),
            (&["hook.pre_tool_use", "stop"], &["hook.pre_tool", "hook.stop"], &["claude.output"]),
            (&["hook.setup"], &["hook.setup"], &["hook.stop"]),
            (&["session*", ""], &[], &["session.start", "hook.stop"]),
        ];
        for (names, wanted, unwanted) in cases {
            let channels = channels(names);
            assert!(wanted.iter().all(|name| channels.wants(name)), "{names:?} want {wanted:?}");
            assert!(!unwanted.iter().any(|name| channels.wants(name)), "{names:?} leave out {unwanted:?}");
        }
    }

    #[test]
    fn only_exact_types_narrow_a_search() {
        assert_eq!(channels(&["claude.output"]).kinds(), ["Stop", "claude.output"]);
        assert_eq!(channels(&["PreToolUse", "hook.stop"]).kinds(), ["PreToolUse", "Stop"]);
        for all in [&[][..], &["session.*", "hook.stop"], &["hook.somebody_s_own"]] {
            assert_eq!(channels(all).kinds(), [""; 0], "{all:?}");
        }
    }

    #[test]
    fn too_many_and_too_long_channels_are_refused() {
        let many = vec!["a".to_owned(); CHANNELS_MAX + 1];
        assert_eq!(Channels::parse(&many).map_err(|refusal| refusal.code), Err("too_many_channels"));
        let long = vec!["a".repeat(CHANNEL_BYTES_MAX + 1)];
        assert_eq!(Channels::parse(&long).map_err(|refusal| refusal.code), Err("too_long_channel"));
    }
}
