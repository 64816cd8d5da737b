//! The summary line: what a person wants to read of an event, by kind and by tool.
//!
//! Parts are separated by two spaces: what it is about, then the telling detail, then the outcome. Secrets are masked.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::notice;
use super::object::Object;
use crate::kind::{HookEvent, MpmEvent};
use crate::names::{NOTICE, SUMMARY_BYTES_MAX};
use crate::raw::text;
use crate::{Kind, mask};

/// The summary of an event whose details lie in `data`.
pub(super) fn summarise(kind: &Kind, data: &Object<'_>, tool: Option<&str>, project: Option<&str>) -> String {
    let mut line = Line::new();
    match kind {
        Kind::Hook(event) => hook(&mut line, *event, data, tool, project),
        Kind::Mpm(event) => mpm(&mut line, *event, data, tool),
        Kind::Other(name) => other(&mut line, name, data),
    }
    line.finish()
}

/// Any text as one line of at most [`SUMMARY_BYTES_MAX`] bytes, without control characters.
pub(crate) fn one_line(text: &str) -> String {
    let mut line = Line::new();
    line.push(text);
    line.finish()
}

/// A summary that its sender wrote: one line too, but two spaces between its parts stay.
pub(super) fn given(text: &str) -> String {
    let mut line = Line::new();
    for part in text.split("  ") {
        line.push(part);
    }
    line.finish()
}

/// A tool call in one line.
pub(super) fn call_line(data: &Object<'_>) -> String {
    let mut line = Line::new();
    call(&mut line, data, data.text("tool_name").as_deref(), data.text("cwd").as_deref());
    line.finish()
}

fn hook(line: &mut Line, event: HookEvent, data: &Object<'_>, tool: Option<&str>, project: Option<&str>) {
    use HookEvent as H;
    match event {
        H::SessionStart => {
            line.push(match data.text("source").as_deref() {
                Some("resume") => "Session resumed",
                Some("clear") => "Session cleared",
                Some("compact") => "Session continued after compaction",
                Some("fork") => "Session forked",
                _ => "Session started",
            });
            line.fields(data, &["model", "session_title"])
        }
        H::Setup => line.push("Setup").fields(data, &["trigger"]),
        H::InstructionsLoaded => {
            line.push("Loaded").path(data, "file_path", project).fields(data, &["memory_type"])
        }
        H::UserPromptSubmit => {
            let prompt = data.first_text(&["prompt", "prompt_text"]);
            match prompt.as_deref().and_then(notice::told) {
                Some(told) => line.push(NOTICE).push(told),
                None => line.push("Prompt").push(&prompt.unwrap_or_default()),
            }
        }
        H::UserPromptExpansion => line
            .push(&format!("/{}", data.text("command_name").unwrap_or_default()))
            .fields(data, &["command_args"]),
        H::MessageDisplay => line.fields(data, &["delta"]),
        H::PreToolUse => call(line, data, tool, project),
        H::PermissionRequest => {
            line.push("Needs permission");
            call(line, data, tool, project)
        }
        H::PermissionDenied => {
            line.push("Denied");
            call(line, data, tool, project);
            line.fields(data, &["reason"])
        }
        H::PostToolUse => {
            call(line, data, tool, project);
            outcome(line, data, tool)
        }
        H::PostToolUseFailure => {
            call(line, data, tool, project);
            line.push_marked("✗ ", &failure(&data.text("error").unwrap_or(Cow::Borrowed("failed"))))
        }
        H::PostToolBatch => batch(line, data),
        H::Notification => line.first(data, &["message", "title", "notification_type"]),
        H::SubagentStart => line.push(&agent(data)).push("started").fields(data, &["description"]),
        H::SubagentStop => line.push(&agent(data)).push("finished").fields(data, &["last_assistant_message"]),
        H::TaskCreated => task(line, data, "created"),
        H::TaskCompleted => task(line, data, "done"),
        H::Stop => {
            line.push("Turn ended").fields(data, &["last_assistant_message"]);
            match data.array("background_tasks").len() {
                0 => line,
                1 => line.push("1 background task"),
                many => line.push(&format!("{many} background tasks")),
            }
        }
        H::StopFailure => {
            line.push("Turn failed");
            // Of what it has no name for, only the last message tells something.
            line.push(data.text("error").filter(|error| error != "unknown").as_deref().unwrap_or_default());
            line.first(data, &["error_details", "last_assistant_message"])
        }
        H::TeammateIdle => {
            line.push(&data.text("teammate_name").unwrap_or(Cow::Borrowed("Teammate"))).push("is idle")
        }
        H::ConfigChange => {
            line.push("Configuration changed").fields(data, &["source"]).path(data, "file_path", project)
        }
        H::CwdChanged => line.push("Moved to").path(data, "new_cwd", None),
        H::DirectoryAdded => line.push("Directory added").path(data, "directory", None),
        H::FileChanged => line.push("File changed").path(data, "file_path", project).fields(data, &["event"]),
        H::WorktreeCreate => line.push("Worktree created").fields(data, &["name"]),
        H::WorktreeRemove => line.push("Worktree removed").path(data, "worktree_path", project),
        H::PreCompact => line.push("Compacting").fields(data, &["trigger", "custom_instructions"]),
        H::PostCompact => line.push("Compacted").fields(data, &["trigger", "compact_summary"]),
        H::Elicitation => line
            .push(&data.text("mcp_server_name").unwrap_or(Cow::Borrowed("MCP server")))
            .push("asks")
            .fields(data, &["message"]),
        H::ElicitationResult => line.push("Answered").fields(data, &["mcp_server_name", "action"]),
        H::SessionEnd => {
            // `other` is no reason.
            let reason = data.text("reason").filter(|reason| reason != "other");
            line.push("Session ended").push(&reason.unwrap_or_default())
        }
    };
}

fn mpm(line: &mut Line, event: MpmEvent, data: &Object<'_>, tool: Option<&str>) {
    match event {
        MpmEvent::TodoUpdated => {
            line.push("Todos");
            todos(line, &data.array("todos"));
        }
        MpmEvent::TokenUsageUpdated => {
            line.push("Tokens");
            for (name, label) in [
                ("input_tokens", "in"),
                ("output_tokens", "out"),
                ("cache_read_tokens", "cache read"),
                ("cache_creation_tokens", "cache written"),
            ] {
                if let Some(count) = data.number(name) {
                    line.push(&format!("{label} {count:.0}"));
                }
            }
        }
        MpmEvent::HookExecution => {
            line.push("Hook ran").fields(data, &["hook_name"]).push(tool.unwrap_or_default());
            line.push(&data.number("duration_ms").map(|ms| format!("{ms:.0} ms")).unwrap_or_default());
        }
        MpmEvent::CommandAcknowledged => {
            line.push("Received").fields(data, &["prompt_preview"]);
        }
        MpmEvent::AssistantResponse => {
            line.push("Response").first(data, &["response_text", "response", "response_preview"]);
        }
    }
}

/// An event of an unknown kind: its name and the first thing in it that reads as text.
fn other(line: &mut Line, name: &str, data: &Object<'_>) {
    const TELLING: &[&str] = &[
        "message",
        "content",
        "summary",
        "text",
        "prompt",
        "title",
        "task",
        "description",
        "status",
        "error",
        "reason",
    ];
    line.push(name).first(data, TELLING);
    if !data.array("todos").is_empty() {
        todos(line, &data.array("todos"));
    }
}

/// A tool call as `Tool  what it works on`.
fn call<'l>(
    line: &'l mut Line,
    data: &Object<'_>,
    tool: Option<&str>,
    project: Option<&str>,
) -> &'l mut Line {
    let tool = tool.unwrap_or("Tool");
    line.push(&tool_label(tool));
    let Some(input) = data.object("tool_input").or_else(|| data.object("tool_parameters")) else {
        return line.fields(data, &["tool_input_preview"]);
    };
    match tool {
        "Bash" | "PowerShell" => line.fields(&input, &["command"]),
        "Read" => line.path(&input, "file_path", project).push(&span(&input)),
        "Write" => {
            line.path(&input, "file_path", project);
            line.push(
                &input.text("content").map(|content| plural(lines(&content), "line")).unwrap_or_default(),
            )
        }
        "Edit" | "MultiEdit" | "NotebookEdit" => {
            line.path(
                &input,
                if input.raw("file_path").is_some() { "file_path" } else { "notebook_path" },
                project,
            );
            line.push(&change(&input))
        }
        "Grep" | "Glob" => {
            line.fields(&input, &["pattern"]).path(&input, "path", project).fields(&input, &["glob"])
        }
        "WebFetch" => line.fields(&input, &["url"]),
        "WebSearch" | "ToolSearch" => line.fields(&input, &["query"]),
        "Agent" | "Task" => line.fields(&input, &["subagent_type"]).first(&input, &["description", "prompt"]),
        "Skill" => line.first(&input, &["skill", "command"]).fields(&input, &["args"]),
        "TodoWrite" => todos(line, &input.array("todos")),
        "TaskCreate" => line.fields(&input, &["subject"]),
        "TaskUpdate" => {
            line.push_marked("#", &scalar(&input, "taskId")).fields(&input, &["status", "subject"])
        }
        "TaskGet" | "TaskStop" | "TaskOutput" => line.push_marked("#", &scalar(&input, "taskId")),
        "AskUserQuestion" => line.push(&questions(&input)),
        "ExitPlanMode" => line.push(input.text("plan").unwrap_or_default().trim_start_matches(['#', ' '])),
        "CronCreate" => line.fields(&input, &["cron", "prompt"]),
        _ => line.first(
            &input,
            &[
                "description",
                "title",
                "query",
                "command",
                "url",
                "file_path",
                "path",
                "prompt",
                "message",
                "name",
                "pattern",
                "subject",
                "id",
            ],
        ),
    }
}

/// `mcp__tracker__create_issue` reads as `tracker create_issue`.
fn tool_label(tool: &str) -> Cow<'_, str> {
    match tool.strip_prefix("mcp__").and_then(|rest| rest.split_once("__")) {
        Some((server, name)) => Cow::Owned(format!("{server} {name}")),
        None => Cow::Borrowed(tool),
    }
}

/// What came of a tool call, where the response tells it in a word.
fn outcome<'l>(line: &'l mut Line, data: &Object<'_>, tool: Option<&str>) -> &'l mut Line {
    let Some(response) = data.object("tool_response") else {
        // claude-mpm's Python hook tells only whether it worked.
        return match data.text("status").as_deref() {
            Some("error" | "blocked") => line.push("✗"),
            _ => line,
        };
    };
    let count = |name: &str| response.number(name).filter(|n| *n >= 0.0).map(|n| n as usize);
    let result = match tool.unwrap_or_default() {
        "Bash" | "PowerShell" => last_line(&response),
        "Read" => {
            response.object("file").and_then(|f| f.number("numLines")).map(|n| plural(n as usize, "line"))
        }
        "Edit" | "MultiEdit" | "Write" => return line,
        "Grep" => count("numMatches")
            .map(|n| plural(n, "match"))
            .or_else(|| count("numFiles").map(|n| plural(n, "file"))),
        "Glob" => count("numFiles").map(|n| plural(n, "file")),
        "WebFetch" => count("code").map(|code| code.to_string()),
        "WebSearch" => Some(plural(response.array("results").len(), "result")),
        "Agent" | "Task" => response.text("status").map(|status| match status.as_ref() {
            "async_launched" | "remote_launched" => "running in the background".to_owned(),
            other => other.to_owned(),
        }),
        "TaskCreate" => response.object("task").map(|task| format!("#{}", scalar(&task, "id"))),
        "AskUserQuestion" => response.raw("answers").map(|answers| answers.get().to_owned()),
        _ => None,
    };
    line.push_marked("→ ", &result.unwrap_or_default())
}

/// The first line of an error, which names it, and the last, which often says what failed.
fn failure(error: &str) -> String {
    let mut lines = error.lines().map(str::trim).filter(|line| !line.is_empty());
    match (lines.next(), lines.next_back()) {
        (Some(first), Some(last)) => format!("{first}  {last}"),
        (only, _) => only.unwrap_or_default().to_owned(),
    }
}

/// The last line a command printed: test results and errors stand there.
fn last_line(response: &Object<'_>) -> Option<String> {
    if response.is_true("interrupted") {
        return Some("interrupted".to_owned());
    }
    if response.text("backgroundTaskId").is_some() {
        return Some("running in the background".to_owned());
    }
    let printed = response.text("stdout").or_else(|| response.text("stderr"))?;
    printed.lines().rev().map(str::trim).find(|line| !line.is_empty()).map(str::to_owned)
}

/// `+3 −1`: lines added and removed by an edit.
fn change(input: &Object<'_>) -> String {
    let edits = input.array("edits");
    let (mut removed, mut added) = (0, 0);
    let mut count = |edit: &Object<'_>| {
        if let (Some(old), Some(new)) =
            (edit.raw("old_string").and_then(text), edit.raw("new_string").and_then(text))
        {
            let (minus, plus) = changed_lines(&old, &new);
            removed += minus;
            added += plus;
        }
    };
    count(input);
    for edit in edits.iter().filter_map(|raw| Object::of(raw)) {
        count(&edit);
    }
    if removed + added == 0 { String::new() } else { format!("+{added} −{removed}") }
}

/// Lines removed and added, without the lines that both texts begin and end with.
fn changed_lines(old: &str, new: &str) -> (usize, usize) {
    let (old, new): (Vec<&str>, Vec<&str>) = (old.lines().collect(), new.lines().collect());
    let head = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
    let tail = old[head..].iter().rev().zip(new[head..].iter().rev()).take_while(|(a, b)| a == b).count();
    (old.len() - head - tail, new.len() - head - tail)
}

fn span(input: &Object<'_>) -> String {
    match (input.number("offset"), input.number("limit")) {
        (Some(from), Some(count)) => format!("{from:.0}–{:.0}", from + count - 1.0),
        (Some(from), None) => format!("from {from:.0}"),
        (None, Some(count)) => format!("1–{count:.0}"),
        (None, None) => String::new(),
    }
}

fn todos<'l>(line: &'l mut Line, todos: &[&RawValue]) -> &'l mut Line {
    let todos: Vec<Object<'_>> = todos.iter().filter_map(|raw| Object::of(raw)).collect();
    let is = |todo: &Object<'_>, status: &str| todo.text("status").as_deref() == Some(status);
    let done = todos.iter().filter(|todo| is(todo, "completed")).count();
    line.push(&format!("{done}/{} done", todos.len()));
    match todos.iter().find(|todo| is(todo, "in_progress")) {
        Some(current) => line.first(current, &["activeForm", "content"]),
        None => line,
    }
}

fn questions(input: &Object<'_>) -> String {
    let asked = input.array("questions");
    let questions: Vec<String> =
        asked.iter().filter_map(|raw| Object::of(raw)).filter_map(|one| one.string("question")).collect();
    questions.join(" · ")
}

fn batch<'l>(line: &'l mut Line, data: &Object<'_>) -> &'l mut Line {
    let calls = data.array("tool_calls");
    let tools: Vec<String> =
        calls.iter().filter_map(|raw| Object::of(raw)).filter_map(|one| one.string("tool_name")).collect();
    line.push(&plural(calls.len(), "tool call")).push(&tools.join(", "))
}

fn task<'l>(line: &'l mut Line, data: &Object<'_>, state: &str) -> &'l mut Line {
    line.push(&format!("Task {} {state}", scalar(data, "task_id")))
        .first(data, &["task_subject", "task_title"])
}

fn agent(data: &Object<'_>) -> String {
    data.string("agent_type").unwrap_or_else(|| "Subagent".to_owned())
}

/// A text or a number as it would be written.
fn scalar(data: &Object<'_>, name: &str) -> String {
    data.string(name).or_else(|| data.number(name).map(|n| n.to_string())).unwrap_or_default()
}

fn lines(text: &str) -> usize {
    text.lines().count()
}

fn plural(count: usize, noun: &str) -> String {
    match (count, noun) {
        (1, _) => format!("1 {noun}"),
        (_, "match") => format!("{count} matches"),
        _ => format!("{count} {noun}s"),
    }
}

/// Ends a summary that was cut.
const ELLIPSIS: char = '…';

/// A summary under construction. Pushing an empty part changes nothing, and nothing is added past the limit.
struct Line {
    text: String,
    full: bool,
}

impl Line {
    /// With room for most lines.
    fn new() -> Self {
        Self { text: String::with_capacity(SUMMARY_BYTES_MAX / 3), full: false }
    }

    fn push(&mut self, part: &str) -> &mut Self {
        self.push_marked("", part)
    }

    /// A part with a mark before it, such as `→ `; nothing when the part is empty.
    fn push_marked(&mut self, mark: &str, part: &str) -> &mut Self {
        let before = self.text.len();
        if before > 0 {
            self.text.push_str("  ");
        }
        self.text.push_str(mark);
        let start = self.text.len();
        self.append(part);
        if self.text.len() == start {
            self.text.truncate(before);
        }
        self
    }

    fn fields(&mut self, data: &Object<'_>, names: &[&str]) -> &mut Self {
        for name in names {
            if let Some(part) = data.text(name) {
                self.push(&part);
            }
        }
        self
    }

    fn first(&mut self, data: &Object<'_>, names: &[&str]) -> &mut Self {
        self.push(&data.first_text(names).unwrap_or_default())
    }

    /// A path, relative to the project where it lies in it; the project itself goes without saying.
    fn path(&mut self, data: &Object<'_>, name: &str, project: Option<&str>) -> &mut Self {
        let path = data.text(name).unwrap_or_default();
        let inside = project.and_then(|project| path.strip_prefix(project.trim_end_matches(['/', '\\'])));
        if inside.is_some_and(|rest| rest.trim_matches(['/', '\\']).is_empty()) {
            return self;
        }
        self.push(inside.and_then(|rest| rest.strip_prefix(['/', '\\'])).unwrap_or(&path))
    }

    /// Adds text with white space folded, terminal sequences and control characters left out.
    fn append(&mut self, part: &str) {
        let mut rest = part;
        let mut pending_space = false;
        let start = self.text.len();
        while !self.full {
            // Most text is words that can be taken as they are.
            let word = rest.bytes().take_while(u8::is_ascii_graphic).count();
            if word > 0 {
                if std::mem::take(&mut pending_space) {
                    self.put(' ');
                }
                self.put_word(&rest[..word]);
                rest = &rest[word..];
            }
            let mut chars = rest.chars();
            let Some(c) = chars.next() else { return };
            if c == '\u{1b}' {
                skip_terminal_sequence(&mut chars);
            } else if c.is_whitespace() {
                pending_space = self.text.len() > start;
            } else if !c.is_control() && !is_invisible(c) {
                if std::mem::take(&mut pending_space) {
                    self.put(' ');
                }
                self.put(c);
            }
            rest = chars.as_str();
        }
    }

    /// Several ASCII characters, all at once where there is room for them.
    fn put_word(&mut self, word: &str) {
        if self.text.len() + word.len() + ELLIPSIS.len_utf8() <= SUMMARY_BYTES_MAX {
            self.text.push_str(word);
        } else {
            word.chars().for_each(|c| self.put(c));
        }
    }

    fn put(&mut self, c: char) {
        if self.text.len() + c.len_utf8() + ELLIPSIS.len_utf8() <= SUMMARY_BYTES_MAX {
            self.text.push(c);
        } else if !self.full {
            self.text.push(ELLIPSIS);
            self.full = true;
        }
    }

    /// Without secrets: lines are shown where nobody asked for them, on screens that others see too. What was sent is in
    /// the payload.
    fn finish(self) -> String {
        match mask::text(&self.text) {
            Cow::Borrowed(_) => self.text,
            Cow::Owned(mut masked) => {
                masked.truncate(masked.floor_char_boundary(SUMMARY_BYTES_MAX));
                masked
            }
        }
    }
}

/// Marks that reorder or hide text; in one line among others they could disguise it.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// After an escape character: `[ … letter` or a single character.
fn skip_terminal_sequence(chars: &mut std::str::Chars<'_>) {
    if chars.next() == Some('[') {
        for c in chars.by_ref() {
            if ('@'..='~').contains(&c) {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_is_one_clean_line_within_its_limit() {
        assert_eq!(one_line("a\n\tb  \u{1b}[31mred\u{1b}[0m\u{0}\u{202e}"), "a b red");
        let long = one_line(&"ü".repeat(400));
        assert!(
            long.len() <= SUMMARY_BYTES_MAX && long.ends_with('…'),
            "cut at a character, with a mark: {long}"
        );
        assert_eq!(one_line(" \n "), "");
        for summary in ["Bash  make  → 3\u{a0}passed", "Prompt  a b", &long, ""] {
            assert_eq!(
                given(summary),
                given(&given(summary)),
                "a summary that was exported is imported as it was"
            );
        }
        assert_eq!(given("Bash  a\n b   c"), "Bash  a b  c");
    }

    #[test]
    fn an_edit_counts_only_the_lines_that_change() {
        assert_eq!(changed_lines("a\nb\nc", "a\nx\ny\nc"), (1, 2));
        assert_eq!(changed_lines("a", "a"), (0, 0));
        assert_eq!(changed_lines("", "a\nb"), (0, 2));
    }
}
