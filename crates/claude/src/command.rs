//! The command line that stands in the settings: how it is written, and how it is known again.

use std::path::{Path, PathBuf};

/// The hook's file name, by which an entry of ours is known.
const NAME: &str = "claude-mpm-hook";

/// What Claude Code runs for each event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HookCommand {
    /// The hook's executable.
    pub binary: PathBuf,
    /// Our home, when it is not where the hook looks by itself.
    pub home: Option<PathBuf>,
}

impl HookCommand {
    /// The command line. A shell looks first whether the hook is there, for a hook that is gone would be reported
    /// in every session at every event. It becomes the hook, so this costs no second process.
    pub fn line(&self) -> String {
        if cfg!(windows) {
            return format!("\"{}\"", self.binary.display());
        }
        let binary = quoted(&self.binary);
        let home = self.home.as_deref().map(|home| format!("CLAUDE_MPM_HOME={} ", quoted(home)));
        format!("[ ! -x {binary} ] || {}exec {binary}", home.unwrap_or_default())
    }

    /// The one that a command line stands for; `None` when the line is not ours. A line that does more than run
    /// our hook is its author's.
    pub fn parse(line: &str) -> Option<Self> {
        let line = line.trim();
        let (rest, home) = match line.strip_prefix("[ ! -x ").and_then(word) {
            Some((_, rest)) => {
                let rest = rest.strip_prefix("] || ")?;
                match rest.strip_prefix("CLAUDE_MPM_HOME=") {
                    Some(home) => word(home).map(|(home, rest)| (rest, Some(home)))?,
                    None => (rest, None),
                }
            }
            None => (line, None),
        };
        let (binary, rest) = word(rest.strip_prefix("exec ").unwrap_or(rest))?;
        let ours = rest.is_empty() && is_hook(&binary);
        ours.then(|| Self { binary: binary.into(), home: home.map(PathBuf::from) })
    }
}

fn is_hook(path: &str) -> bool {
    let name = path.rsplit(['/', '\\']).next().unwrap_or_default();
    name.strip_suffix(".exe").unwrap_or(name) == NAME
}

/// A path as one word of the shell.
fn quoted(path: &Path) -> String {
    format!("'{}'", path.to_string_lossy().replace('\'', r"'\''"))
}

/// The first word of a command line, unquoted, and what follows it.
fn word(line: &str) -> Option<(String, &str)> {
    let mut word = String::new();
    let mut rest = line;
    loop {
        let mut chars = rest.chars();
        match chars.next() {
            None => break,
            Some(c) if c.is_whitespace() => {
                rest = rest.trim_start();
                break;
            }
            Some(quote @ ('\'' | '"')) => {
                let (inside, after) = chars.as_str().split_once(quote)?;
                word.push_str(inside);
                rest = after;
            }
            // A backslash separates folders on one system and escapes a character on the others.
            Some('\\') if !cfg!(windows) => {
                word.push(chars.next()?);
                rest = chars.as_str();
            }
            Some(';' | '&' | '|' | '<' | '>' | '$' | '`' | '(' | ')') => return None,
            Some(c) => {
                word.push(c);
                rest = chars.as_str();
            }
        }
    }
    (!word.is_empty()).then_some((word, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(binary: &str, home: Option<&str>) -> HookCommand {
        HookCommand { binary: binary.into(), home: home.map(PathBuf::from) }
    }

    #[cfg(unix)]
    #[test]
    fn every_line_that_we_write_is_known_again() {
        for folder in ["/home/dev/.claude-mpm/monitor/bin", "/with space/it's \"here\" $HOME", "/ü/`x`;&"] {
            let binary = format!("{folder}/claude-mpm-hook");
            for home in [None, Some("/a home/it's")] {
                let command = command(&binary, home);
                assert_eq!(HookCommand::parse(&command.line()), Some(command.clone()), "{}", command.line());
            }
        }
    }

    #[test]
    fn a_hook_that_somebody_wrote_by_hand_is_ours_too() {
        for line in [
            "/x/claude-mpm-hook",
            "'/x/claude-mpm-hook'",
            "\"/x/claude-mpm-hook\"",
            " exec /x/claude-mpm-hook ",
        ] {
            assert_eq!(HookCommand::parse(line), Some(command("/x/claude-mpm-hook", None)), "{line}");
        }
        assert!(HookCommand::parse("claude-mpm-hook.exe").is_some());
    }

    #[test]
    fn what_does_more_than_run_our_hook_is_its_author_s() {
        for line in [
            "",
            "claude-hook",
            "/x/claude-mpm-hook-fast.sh",
            "/x/my-claude-mpm-hook",
            "tee /tmp/log | /x/claude-mpm-hook",
            "/x/claude-mpm-hook --flag",
            "/x/claude-mpm-hook && say done",
            "echo /x/claude-mpm-hook",
            "[ ! -x /x ] || rm /x/claude-mpm-hook",
            "'/x/claude-mpm-hook",
        ] {
            assert_eq!(HookCommand::parse(line), None, "{line}");
        }
    }
}
