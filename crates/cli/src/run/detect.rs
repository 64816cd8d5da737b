//! What the screen of Claude Code tells about delegations and todos, for sessions whose hooks are not installed. A
//! guess from what is shown, so it says `detected`.

use std::time::SystemTime;

use protocol::Timestamp;
use serde_json::{Value, json};

/// What stands before a line that announces something.
const BULLETS: [char; 4] = ['⏺', '●', '•', '◆'];

/// Marks of todo entries and what they mean.
const MARKS: [(char, &str); 8] = [
    ('☐', "pending"),
    ('◻', "pending"),
    ('☒', "completed"),
    ('☑', "completed"),
    ('✔', "completed"),
    ('✓', "completed"),
    ('◼', "in_progress"),
    ('▶', "in_progress"),
];

/// A line longer than this is no announcement.
const LINE_BYTES_MAX: usize = 1000;

/// Reads output as it comes; a screen that is drawn again tells nothing new.
#[derive(Default)]
pub(super) struct Detector {
    line: String,
    delegation: String,
    todos: Vec<(String, &'static str)>,
    told: Vec<(String, &'static str)>,
}

impl Detector {
    /// The events that a piece of plain text tells: kind, data and summary.
    pub(super) fn read(&mut self, plain: &str) -> Vec<(&'static str, Value, String)> {
        let mut told = Vec::new();
        for c in plain.chars() {
            match c {
                '\n' | '\r' => {
                    let line = std::mem::take(&mut self.line);
                    if c == '\n' || !line.is_empty() {
                        self.line_ended(line.trim(), &mut told);
                    }
                }
                _ if self.line.len() < LINE_BYTES_MAX => self.line.push(c),
                _ => {}
            }
        }
        told
    }

    fn line_ended(&mut self, line: &str, told: &mut Vec<(&'static str, Value, String)>) {
        let bare = line.trim_start_matches(['⎿', '│', ' ']);
        if let Some((mark, text)) = bare.chars().next().map(|mark| (mark, bare[mark.len_utf8()..].trim()))
            && let Some((_, status)) = MARKS.iter().find(|(known, _)| *known == mark)
            && !text.is_empty()
        {
            self.todos.push((text.trim_end_matches(['│', ' ']).to_owned(), status));
            return;
        }
        let todos = std::mem::take(&mut self.todos);
        // A single mark is more often the tick of a tool's own output.
        if todos.len() > 1 && todos != self.told {
            told.push(list(&todos));
            self.told = todos;
        }
        let Some(call) = line.strip_prefix(BULLETS).map(str::trim) else { return };
        let task = ["Task(", "Agent("].iter().find_map(|tool| call.strip_prefix(tool)?.strip_suffix(')'));
        if let Some(task) = task.filter(|task| *task != self.delegation) {
            task.clone_into(&mut self.delegation);
            let at = Timestamp::from_system(SystemTime::now()).rfc3339();
            let data = json!({ "agent": null, "task": task, "status": "detected", "timestamp": at });
            told.push(("agent.delegation", data, format!("Delegation  {task}")));
        }
    }
}

fn list(todos: &[(String, &'static str)]) -> (&'static str, Value, String) {
    let count = |status: &str| todos.iter().filter(|(_, known)| *known == status).count();
    let entries: Vec<Value> =
        todos.iter().map(|(text, status)| json!({ "content": text, "status": status })).collect();
    let data = json!({
        "todos": entries,
        "status": "detected",
        "stats": {
            "total": todos.len(),
            "completed": count("completed"),
            "in_progress": count("in_progress"),
            "pending": count("pending"),
        },
    });
    ("todo.update", data, format!("{} of {} todos done", count("completed"), todos.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delegation_is_told_once_however_often_it_is_drawn() {
        let mut detector = Detector::default();
        let mut told = detector.read("● Task(Find the ");
        told.extend(detector.read("tax bug)\r\n● Task(Find the tax bug)\n● Read(src/tax.rs)\nTask(x)\n"));
        let told: Vec<_> =
            told.iter().map(|(kind, data, _)| (*kind, data["task"].as_str().unwrap())).collect();
        assert_eq!(told, [("agent.delegation", "Find the tax bug")]);
    }

    #[test]
    fn a_list_of_todos_is_told_when_it_changes() {
        let mut detector = Detector::default();
        let first = "  ⎿  ☒ Read\n     ☐ Write\n\n";
        assert_eq!(detector.read(first)[0].1["stats"]["completed"], 1);
        assert!(detector.read(first).is_empty());
        let told = detector.read("  ⎿  ☒ Read\n     ☒ Write\n\n✔ built\nDone\n");
        assert_eq!(told.len(), 1, "one tick is no list: {told:?}");
        assert_eq!(told[0].1["stats"]["completed"], 2);
    }
}
