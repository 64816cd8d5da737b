//! What a request of Claude Code asks for: which script its conversation is in, and at which step of it.

use axum::http::HeaderMap;
use serde_json::Value;

use crate::ledger::Purpose;

/// What stands in a prompt before the name of its script.
const MARK: &str = "SCRIPT:";

/// The header that names the session; subagents name that of their parent.
const SESSION: &str = "x-claude-code-session-id";

/// What Claude Code says when it wants a conversation summed up.
const COMPACTION: &[&str] =
    &["create a detailed summary", "summary of the conversation", "detailed summary of"];

/// A request, as far as the stand-in looks at it.
pub(crate) struct Request {
    pub(crate) model: String,
    pub(crate) is_stream: bool,
    pub(crate) purpose: Purpose,
    /// The script that the newest prompt with a mark names.
    pub(crate) script: Option<String>,
    /// How many answers that prompt has had.
    pub(crate) step: usize,
    pub(crate) session: Option<String>,
    /// The file that a plan belongs into, when Claude Code names one.
    pub(crate) plan: Option<String>,
    /// What it says as the system.
    pub(crate) system: String,
}

impl Request {
    /// Reads one; nothing when it is no JSON.
    pub(crate) fn read(headers: &HeaderMap, body: &[u8]) -> Option<Self> {
        let value: Value = serde_json::from_slice(body).ok()?;
        let messages = value["messages"].as_array().map_or(&[][..], Vec::as_slice);
        let (script, step) = place(messages);
        let has_tools = value["tools"].as_array().is_some_and(|tools| !tools.is_empty());
        let purpose = if is_compaction(messages) {
            Purpose::Compaction
        } else if script.is_none() || !has_tools {
            Purpose::Side
        } else {
            Purpose::Turn
        };
        Some(Self {
            model: value["model"].as_str().unwrap_or_default().to_owned(),
            is_stream: value["stream"] == true,
            purpose,
            script,
            step,
            session: headers.get(SESSION).and_then(|id| id.to_str().ok()).map(str::to_owned),
            plan: plan(&String::from_utf8_lossy(body)),
            system: text(&value["system"]),
        })
    }
}

/// The script of the newest prompt that names one, and how many answers there are behind it.
fn place(messages: &[Value]) -> (Option<String>, usize) {
    let mut answers = 0;
    for message in messages.iter().rev() {
        if message["role"] == "assistant" {
            answers += 1;
        } else if let Some((_, rest)) = text(&message["content"]).rsplit_once(MARK) {
            let name = rest.split(|c: char| !c.is_ascii_alphanumeric() && c != '-').next();
            return (name.map(str::to_owned), answers);
        }
    }
    (None, 0)
}

fn is_compaction(messages: &[Value]) -> bool {
    let last = messages.iter().rev().find(|message| message["role"] == "user");
    let said = last.map(|message| text(&message["content"]).to_lowercase()).unwrap_or_default();
    COMPACTION.iter().any(|words| said.contains(words))
}

/// The text of a content, which is a text or a list of blocks.
fn text(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(blocks) => {
            let texts = blocks.iter().filter_map(|block| block["text"].as_str());
            texts.collect::<Vec<_>>().join("\n")
        }
        _ => String::new(),
    }
}

/// The newest path of a plan that is named anywhere.
fn plan(body: &str) -> Option<String> {
    let is_end = |c: char| c.is_whitespace() || "\"'`\\()".contains(c);
    let words = body.rsplit(is_end);
    let mut plans = words.filter(|word| word.contains("/plans/") && word.ends_with(".md"));
    plans.next().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(body: &Value) -> Request {
        Request::read(&HeaderMap::new(), body.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn the_newest_mark_names_the_script_and_the_answers_behind_it_are_its_steps() {
        let request = read(&json!({"tools": [{}], "messages": [
            {"role": "user", "content": "SCRIPT:first"},
            {"role": "assistant", "content": "yes"},
            {"role": "user", "content": [{"type": "text", "text": "now SCRIPT:second-one, please"}]},
            {"role": "assistant", "content": [{"type": "tool_use"}]},
            {"role": "user", "content": [{"type": "tool_result", "content": "fine"}]},
        ]}));
        assert_eq!((request.script.as_deref(), request.step), (Some("second-one"), 1));
        assert_eq!(request.purpose, Purpose::Turn);
    }

    #[test]
    fn what_has_no_tools_is_a_side_job_and_a_summary_is_compaction() {
        let title = read(&json!({"messages": [{"role": "user", "content": "SCRIPT:hello"}]}));
        assert_eq!(title.purpose, Purpose::Side);
        let summary = read(&json!({"tools": [{}], "messages": [
            {"role": "user", "content": "SCRIPT:hello"},
            {"role": "user", "content": "Your task is to create a detailed summary of it."},
        ]}));
        assert_eq!(summary.purpose, Purpose::Compaction);
    }

    #[test]
    fn the_file_of_a_plan_is_found_wherever_it_is_named() {
        let request = read(&json!({"system": "Write it to \"/home/x/.claude/plans/calm-sea.md\".\n"}));
        assert_eq!(request.plan.as_deref(), Some("/home/x/.claude/plans/calm-sea.md"));
    }
}
