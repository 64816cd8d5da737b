//! What Claude Code tells itself as if it were a prompt: that a background task has ended, or what a watch saw.

/// How such a prompt begins.
const BEGINS: &str = "<task-notification>";

/// The parts that people read, the most telling first.
const TELLING: [&str; 3] = ["event", "summary", "status"];

/// What it tells, when this prompt is one of Claude Code's own.
pub(super) fn told(prompt: &str) -> Option<&str> {
    let prompt = prompt.trim_start();
    if !prompt.starts_with(BEGINS) {
        return None;
    }
    Some(TELLING.iter().find_map(|name| part(prompt, name)).unwrap_or("A background task"))
}

fn part<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let begins = format!("<{name}>");
    let from = text.find(&begins)? + begins.len();
    let length = text[from..].find(&format!("</{name}>"))?;
    Some(text[from..from + length].trim()).filter(|part| !part.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notice_is_told_by_what_people_read_in_it() {
        let ended = "<task-notification>\n<task-id>a1</task-id>\n<status>completed</status>\n\
            <summary>Agent \"Find callers\" completed</summary>\n</task-notification>";
        assert_eq!(told(ended), Some("Agent \"Find callers\" completed"));
        let seen = "<task-notification><summary>Monitor</summary><event>tick 3</event></task-notification>";
        assert_eq!(told(seen), Some("tick 3"));
        assert_eq!(told("<task-notification><summary>cut"), Some("A background task"));
        assert_eq!(told("what does <task-notification> mean?"), None);
    }
}
