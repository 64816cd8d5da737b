//! What a process is to claude-mpm, by its command line: a pure function, so that who may be signalled can be
//! read off a table.

use std::path::{Component, Path};

use crate::process::Process;

/// What a process is to claude-mpm. Only the first two are ever stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A script that somebody tries something out with: stopped gently when it holds a port that is wanted.
    DebugScript,
    /// A monitor or daemon of claude-mpm: stopped when the user says so.
    Daemon,
    /// A claude-mpm session with a server inside. Ending it would end somebody's work.
    Session,
    /// Anything else.
    Other,
}

/// Programs that run a script given as their first argument.
const INTERPRETERS: &[&str] = &["python", "pypy", "node", "bash", "sh", "zsh"];

/// How the name of a debug script begins.
const DEBUG_PREFIXES: &[&str] =
    &["test_", "debug_", "demo_", "validate_", "socketio_debug", "run_socketio_debug"];

/// Scripts and modules that serve.
const DAEMONS: &[&str] = &[
    "socketio_daemon",
    "socketio_daemon_hardened",
    "socketio_daemon_wrapper",
    "standalone_socketio_server",
    "claude-mpm-socketio",
    "launch_monitor",
    "claude-mpm-monitor",
];

/// How claude-mpm's own command is called.
const COMMANDS: &[&str] = &["claude-mpm", "claude_mpm", "cli", "__main__"];

/// Verbs of that command which serve.
const SERVING_VERBS: &[&str] = &["monitor", "dashboard"];

/// Interpreter options that take a value of their own.
const OPTIONS_WITH_VALUE: &[&str] = &["-X", "-W", "--require", "-r", "--import"];

impl Role {
    /// What a process is. Its owner must be looked at beside.
    pub fn of(process: &Process) -> Self {
        Self::of_command(&process.arguments, process.folder.as_deref())
    }

    fn of_command(arguments: &[String], folder: Option<&Path>) -> Self {
        let Some(entry) = Entry::of(arguments) else { return Self::Other };
        let Some(name) = entry.product_name(folder) else { return Self::Other };
        let is_debug = DEBUG_PREFIXES.iter().any(|prefix| name.starts_with(prefix));
        let verb = entry.rest().iter().find(|argument| !argument.starts_with('-'));
        if is_debug && (!name.contains("daemon") || name.contains("debug")) {
            Self::DebugScript
        } else if DAEMONS.contains(&name.as_str())
            || (COMMANDS.contains(&name.as_str())
                && verb.is_some_and(|verb| SERVING_VERBS.contains(&verb.as_str())))
        {
            Self::Daemon
        } else if COMMANDS.contains(&name.as_str()) {
            Self::Session
        } else {
            Self::Other
        }
    }
}

/// What an interpreter runs, and with which arguments.
enum Entry<'a> {
    Module(&'a str, &'a [String]),
    Script(&'a str, &'a [String]),
}

impl<'a> Entry<'a> {
    fn of(arguments: &'a [String]) -> Option<Self> {
        let (program, mut rest) = arguments.split_first()?;
        let program = Path::new(program).file_name()?.to_str()?;
        INTERPRETERS.iter().find(|name| is_interpreter(program, name))?;
        while let Some((first, after)) = rest.split_first() {
            match first.as_str() {
                "-m" => return after.split_first().map(|(module, rest)| Self::Module(module, rest)),
                // A program in the command line has no name to judge it by.
                "-c" | "-e" => return None,
                option if OPTIONS_WITH_VALUE.contains(&option) => rest = after.get(1..)?,
                option if option.starts_with('-') => rest = after,
                script => return Some(Self::Script(script, after)),
            }
        }
        None
    }

    fn rest(&self) -> &'a [String] {
        match self {
            Self::Module(_, rest) | Self::Script(_, rest) => rest,
        }
    }

    /// The last part of its name, if it belongs to claude-mpm or to this product.
    fn product_name(&self, folder: Option<&Path>) -> Option<String> {
        match self {
            Self::Module(module, _) => {
                let is_product = *module == "claude_mpm" || module.starts_with("claude_mpm.");
                is_product.then(|| module.rsplit('.').next().unwrap_or(module).to_owned())
            }
            Self::Script(script, _) => {
                let path = folder.unwrap_or(Path::new("")).join(script);
                let is_product = path.components().any(|part| match part {
                    Component::Normal(part) => is_product_folder(&part.to_string_lossy()),
                    _ => false,
                });
                is_product.then(|| path.file_stem().unwrap_or_default().to_string_lossy().into_owned())
            }
        }
    }
}

/// `python3.11` is `python`; `pythonista` is not.
fn is_interpreter(program: &str, name: &str) -> bool {
    let program = program.strip_suffix(".exe").unwrap_or(program);
    let version = program.strip_prefix(name);
    version.is_some_and(|version| version.chars().all(|c| c.is_ascii_digit() || c == '.'))
}

/// `claude-mpm`, `claude_mpm`, and what begins like that: checkouts, console scripts.
fn is_product_folder(name: &str) -> bool {
    ["claude-mpm", "claude_mpm"].iter().any(|product| {
        let rest = name.strip_prefix(product);
        rest.is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphanumeric()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_named_programs_of_claude_mpm_have_a_role() {
        let cases = [
            ("python3.11 -m claude_mpm.cli monitor start --background --port 8765", "/", Role::Daemon),
            ("/venv/bin/python /venv/bin/claude-mpm monitor start", "/", Role::Daemon),
            ("/venv/bin/python3 /venv/bin/claude-mpm --debug monitor", "/", Role::Daemon),
            (
                "python -u -X dev /opt/claude-mpm/src/claude_mpm/scripts/socketio_daemon.py start",
                "/",
                Role::Daemon,
            ),
            ("python -m claude_mpm.services.standalone_socketio_server --port 8765", "/", Role::Daemon),
            ("python /venv/bin/claude-mpm-monitor", "/", Role::Daemon),
            ("python /venv/bin/claude-mpm run --monitor", "/", Role::Session),
            ("python -m claude_mpm", "/", Role::Session),
            ("python scripts/test_socketio.py", "/home/dev/claude-mpm", Role::DebugScript),
            ("python test_hooks.py", "/home/dev/claude-mpm-monitor/scripts", Role::DebugScript),
            ("python -m claude_mpm.tools.socketio_debug", "/", Role::DebugScript),
            ("node /home/dev/claude_mpm/debug_events.js", "/", Role::DebugScript),
            ("python scripts/debug_socketio_daemon.py", "/home/dev/claude-mpm", Role::DebugScript),
            ("python scripts/test_daemon.py", "/home/dev/claude-mpm", Role::Other),
            ("python manage.py runserver 8765", "/home/dev/claude-mpm", Role::Other),
            ("python scripts/test_socketio.py", "/home/dev/shop", Role::Other),
            ("python -m http.server 8765", "/home/dev/claude-mpm", Role::Other),
            ("python -c serve()", "/home/dev/claude-mpm", Role::Other),
            ("vim /home/dev/claude-mpm/test_socketio.py", "/", Role::Other),
            ("pythonista /home/dev/claude-mpm/test_socketio.py", "/", Role::Other),
            ("/usr/bin/claude-mpm-monitor start --foreground", "/", Role::Other),
            ("python /home/dev/claude-mpmx/test_socketio.py", "/", Role::Other),
        ];
        for (line, folder, expected) in cases {
            let arguments: Vec<_> = line.split(' ').map(str::to_owned).collect();
            assert_eq!(Role::of_command(&arguments, Some(Path::new(folder))), expected, "{line} in {folder}");
        }
        assert_eq!(Role::of_command(&[], None), Role::Other, "a process that hides its command line");
    }
}
