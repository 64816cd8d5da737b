//! A response of the API: one message, or the events that a stream tells of it, with rests where the script holds.

use serde_json::{Value, json};

use crate::ledger::{Progress, Usage};
use crate::script::Part;

/// A response before it is told.
pub(crate) struct Answer {
    pub(crate) id: String,
    pub(crate) model: String,
    pub(crate) usage: Usage,
    pub(crate) parts: Vec<Part>,
}

/// One step of telling a response as a stream.
pub(crate) enum Frame {
    /// An event with its data.
    Tell(&'static str, Value),
    /// A rest until the gate of this name is open.
    Hold(String),
    /// The ledger learns how far it came.
    Reached(Progress),
}

impl Answer {
    /// The gates that hold it, in order.
    pub(crate) fn holds(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Hold(gate) => Some(gate.as_str()),
            _ => None,
        })
    }

    /// It as one message.
    pub(crate) fn message(&self) -> Value {
        let blocks: Vec<Value> = self.blocks().map(|(_, block)| block).collect();
        self.envelope(&json!(blocks), &json!(self.stop()), self.usage)
    }

    /// It as a stream. What holds it before its first word holds its very beginning: the model has not answered yet.
    pub(crate) fn frames(&self) -> Vec<Frame> {
        let first = self.parts.iter().take_while(|part| matches!(part, Part::Hold(_))).count();
        let hold = |part: &Part| match part {
            Part::Hold(gate) => Some(Frame::Hold(gate.clone())),
            _ => None,
        };
        let mut frames: Vec<Frame> = self.parts[..first].iter().filter_map(hold).collect();
        let beginning = self.envelope(&json!([]), &Value::Null, self.usage.at_its_beginning());
        frames.push(Frame::Tell("message_start", json!({ "message": beginning })));
        frames.push(Frame::Reached(Progress::Begun));
        let mut index = 0;
        for (place, part) in self.parts.iter().enumerate().skip(first) {
            if let Some(frame) = hold(part) {
                frames.push(frame);
            } else if let Some(block) = self.block(place) {
                frames.extend(told(index, &block));
                index += 1;
            }
        }
        let delta = json!({ "stop_reason": self.stop(), "stop_sequence": null });
        // Before the last bytes, so that whoever has read them finds it in the ledger.
        frames.push(Frame::Reached(Progress::Whole));
        let usage = self.usage.as_told();
        frames.push(Frame::Tell("message_delta", json!({ "delta": delta, "usage": usage })));
        frames.push(Frame::Tell("message_stop", json!({})));
        frames
    }

    fn envelope(&self, content: &Value, stop: &Value, usage: Usage) -> Value {
        json!({
            "id": self.id,
            "type": "message",
            "role": "assistant",
            "model": self.model,
            "content": content,
            "stop_reason": stop,
            "stop_sequence": null,
            "usage": usage.as_told(),
        })
    }

    fn stop(&self) -> &str {
        let said = self.parts.iter().find_map(|part| match part {
            Part::Stop(reason) => Some(reason.as_str()),
            _ => None,
        });
        let calls = self.parts.iter().any(|part| matches!(part, Part::Tool { .. }));
        said.unwrap_or(if calls { "tool_use" } else { "end_turn" })
    }

    fn blocks(&self) -> impl Iterator<Item = (usize, Value)> {
        (0..self.parts.len()).filter_map(|place| Some((place, self.block(place)?)))
    }

    /// What a part is in a message, if it is something there.
    fn block(&self, place: usize) -> Option<Value> {
        Some(match &self.parts[place] {
            Part::Text(text) => json!({ "type": "text", "text": text }),
            Part::Thinking(text) => {
                json!({ "type": "thinking", "thinking": text, "signature": "c2lnbmF0dXJl" })
            }
            Part::Tool { name, input } => {
                let id = format!("toolu_{}{place}", self.id.trim_start_matches("msg_"));
                json!({ "type": "tool_use", "id": id, "name": name, "input": input })
            }
            Part::Hold(_) | Part::Stop(_) | Part::Error(_) => return None,
        })
    }
}

/// The events that tell a block.
fn told(index: usize, block: &Value) -> Vec<Frame> {
    let (empty, deltas) = match block["type"].as_str() {
        Some("text") => (
            json!({ "type": "text", "text": "" }),
            vec![json!({ "type": "text_delta", "text": block["text"] })],
        ),
        Some("thinking") => (
            json!({ "type": "thinking", "thinking": "", "signature": "" }),
            vec![
                json!({ "type": "thinking_delta", "thinking": block["thinking"] }),
                json!({ "type": "signature_delta", "signature": block["signature"] }),
            ],
        ),
        _ => {
            let mut empty = block.clone();
            empty["input"] = json!({});
            let input = block["input"].to_string();
            (empty, vec![json!({ "type": "input_json_delta", "partial_json": input })])
        }
    };
    let start = Frame::Tell("content_block_start", json!({ "index": index, "content_block": empty }));
    let delta = |delta| Frame::Tell("content_block_delta", json!({ "index": index, "delta": delta }));
    let stop = Frame::Tell("content_block_stop", json!({ "index": index }));
    [start].into_iter().chain(deltas.into_iter().map(delta)).chain([stop]).collect()
}
