//! The end of each verb's help: commands that people type, and what they should know besides.

/// What follows the options of a verb.
pub(crate) struct Examples {
    /// The verb.
    pub(crate) verb: &'static str,
    /// Commands without the program's name, and what each is for; one that has more around it is written whole.
    pub(crate) commands: &'static [(&'static str, &'static str)],
    /// What to know; may be empty.
    pub(crate) notes: &'static str,
}

/// The program's name, as examples begin.
pub(crate) const PROGRAM: &str = "claude-mpm-monitor";

const fn of(
    verb: &'static str,
    commands: &'static [(&'static str, &'static str)],
    notes: &'static str,
) -> Examples {
    Examples { verb, commands, notes }
}

/// For each verb that the help shows.
pub(crate) const EXAMPLES: &[Examples] = &[
    of(
        "start",
        &[
            ("start", "in the background, on port 8765"),
            ("start --port 8770 --dashboard-port 8771", "with the dashboard on a port of its own, too"),
            ("start --port auto", "on the first free port of 8765-8785"),
            ("start --foreground", "in this terminal, until Ctrl-C"),
            ("start --host 0.0.0.0 --tls", "for other machines, too: with a token and encrypted"),
            ("start --project . --port 8766", "a monitor for the sessions in this folder only"),
            ("start --force --port 8765", "in place of claude-mpm's own monitor"),
            ("start --json | jq -r .url", "for programs"),
        ],
        "Returns when the monitor answers. Exit code 0 also when it ran already.",
    ),
    of(
        "stop",
        &[
            ("stop", "all monitors of yours"),
            ("stop --port 8765", "that one; claude-mpm's own, too"),
            ("stop --force", "without waiting for clients, also one that hangs"),
        ],
        "Other people's programs are never ended.",
    ),
    of(
        "restart",
        &[
            ("restart", "the one that runs, as it was"),
            ("restart --port 8770", "on another port; clients are told where to come back"),
            ("restart --port 8765 --host 0.0.0.0", "reachable from other machines from now on"),
            ("restart --dashboard-port 8766", "with the dashboard on this port as well"),
        ],
        "",
    ),
    of(
        "status",
        &[
            ("status", "what runs, and where its dashboard is"),
            ("status --verbose", "with clients, events and health"),
            ("status --show-ports", "who has which port of 8765-8785"),
            ("status --json | jq '.[].port'", "for programs"),
        ],
        "Exit code 3 when none of yours runs.",
    ),
    of(
        "port",
        &[
            ("port 8765", "start it there, or restart it when it is there"),
            ("port 8770 --host 0.0.0.0", "reachable from other machines"),
            ("port 8765 --force", "in place of claude-mpm's own monitor"),
        ],
        "",
    ),
    of(
        "health",
        &[
            ("health", "whether all that run are well"),
            ("health --port 8765 || echo ill", "for scripts: exit code 0, 1 or 3"),
            ("health --json", "with all that they say of themselves"),
        ],
        "",
    ),
    of("list", &[("list", "a line for each"), ("list --json | jq length", "how many run")], ""),
    of(
        "diagnose",
        &[
            ("diagnose", "the configured port"),
            ("diagnose --port 8770", "another one"),
            ("diagnose --json", ""),
        ],
        "",
    ),
    of(
        "logs",
        &[("logs", "the last 50 lines"), ("logs --follow --lines 100", "the last 100, and what comes")],
        "",
    ),
    of(
        "config",
        &[
            ("config", "what applies, and who said so"),
            ("config --port 9000 --json", "what would apply with these flags"),
            ("config init", "write a file that explains each key"),
            ("config path", "where that file is"),
        ],
        "",
    ),
    of(
        "service",
        &[
            ("service install", "start it at login"),
            ("service install --print", "only show the definition"),
            ("sudo claude-mpm-monitor service install --mode system --environment production", ""),
            ("service status --json", "for programs"),
            ("service uninstall", "remove exactly what was written"),
        ],
        "",
    ),
    of(
        "token",
        &[
            ("token show", "for programs: Authorization: Bearer ..."),
            ("token link", "to log a browser in, within ten minutes"),
            ("token rotate", "when somebody has it who should not"),
        ],
        "",
    ),
    of(
        "find-port",
        &[("find-port", "print a free one"), ("find-port 8770", "AVAILABLE or IN USE, exit code 0 or 1")],
        "",
    ),
    of(
        "hooks",
        &[
            ("hooks install --dry-run", "what would change in Claude Code's settings"),
            ("hooks install", "connect Claude Code"),
            ("hooks install --project .", "for the sessions in this folder only"),
            ("hooks test", "prove that events arrive"),
            ("hooks status", "what could keep them from coming"),
            ("hooks uninstall", "give the settings back as they were"),
        ],
        "",
    ),
    of(
        "run",
        &[
            ("run", "Claude Code, watched"),
            ("run -- claude --continue", "with its own flags"),
            ("run --port auto -- claude", "on a monitor of its own"),
        ],
        "",
    ),
    of(
        "open",
        &[
            ("open", "the dashboard"),
            ("open --session 3f0c", "one session in it; the beginning of its id is enough"),
        ],
        "",
    ),
    of(
        "tail",
        &[
            ("tail", "the last 10 events, then what happens"),
            ("tail -n 100 --no-follow", "the last 100, and no more"),
            ("tail --errors", "failures of all sessions"),
            ("tail --tool Bash --project .", "what is run here"),
            ("tail --all", "all of your monitors, each line with its port"),
            ("tail --json | jq .summary", "for programs: one JSON object a line"),
        ],
        "Times are those of your time zone. Secrets are masked. Restarts of the monitor are followed, and nothing is \
         missed.\nCtrl-C ends it.",
    ),
    of("demo", &[("demo", "as fast as it was recorded"), ("demo --speed 10", "ten times as fast")], ""),
    of(
        "export",
        &[
            ("export > events.jsonl", "everything, one JSON object a line"),
            ("export -o report.html --session 3f0c", "a report of one session, to be shown to others"),
            ("export -o failures.csv --errors --from 7d", "for a spreadsheet"),
            ("export --query 'tax rounding' --limit 20", "the last 20 events with these words"),
            ("export --raw -o backup.jsonl", "to be imported elsewhere, as it is"),
        ],
        "Secrets (keys, tokens, passwords, private keys) are masked where they can be recognised; look through what \
         you give\naway all the same. The file appears when it is whole, readable by you alone.",
    ),
    of(
        "import",
        &[
            ("import backup.jsonl", "what `export --raw` wrote"),
            ("import hooks.ndjson", "payloads of Claude Code's hooks, one a line"),
            ("ssh box claude-mpm-monitor export --raw | claude-mpm-monitor import -", ""),
        ],
        "Events keep their ids and times. What is stored already is not stored again, so an import that was interrupted \
         can\nsimply be repeated.",
    ),
    of(
        "completions",
        &[
            ("completions bash > ~/.local/share/bash-completion/completions/claude-mpm-monitor", ""),
            ("completions zsh > \"${fpath[1]}/_claude-mpm-monitor\"", ""),
            ("completions fish > ~/.config/fish/completions/claude-mpm-monitor.fish", ""),
            ("completions powershell >> $PROFILE", ""),
        ],
        "",
    ),
    of("version", &[("version", ""), ("version --json | jq -r .version", "for programs")], ""),
];

impl Examples {
    /// As the help shows them.
    pub(crate) fn text(&self) -> String {
        let whole: Vec<_> = self.commands.iter().map(|(command, about)| (whole(command), about)).collect();
        let explained = whole.iter().filter(|(_, about)| !about.is_empty());
        let width = explained.map(|(command, _)| command.len()).max().unwrap_or_default();
        let line =
            |(command, about): &(String, &&str)| format!("  {command:width$}  {about}").trim_end().to_owned();
        let lines: Vec<_> = whole.iter().map(line).collect();
        let notes = if self.notes.is_empty() { String::new() } else { format!("\n\n{}", self.notes) };
        format!("Examples:\n{}{notes}", lines.join("\n"))
    }
}

/// A command with the program's name.
pub(crate) fn whole(command: &str) -> String {
    if command.contains(PROGRAM) && !command.starts_with("completions") {
        command.to_owned()
    } else {
        format!("{PROGRAM} {command}")
    }
}
