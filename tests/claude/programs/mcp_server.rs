//! A small MCP server on standard input and output: its tool `add` answers, its tool `ask` asks the user first.

use std::io::{BufRead, Write};

use serde_json::{Value, json};

/// The id of the one question that it asks.
const QUESTION: &str = "question";

fn main() -> std::io::Result<()> {
    let mut asked_for = Value::Null;
    for line in std::io::stdin().lock().lines() {
        let message: Value = serde_json::from_str(&line?)?;
        let (method, id) = (message["method"].as_str(), &message["id"]);
        match (method, message["params"]["name"].as_str()) {
            (Some("initialize"), _) => send(json!({ "id": id, "result": {
                "protocolVersion": message["params"]["protocolVersion"],
                "capabilities": { "tools": {} },
                "serverInfo": { "name": "script", "version": "1" },
            }}))?,
            (Some("tools/list"), _) => send(json!({ "id": id, "result": { "tools": tools() } }))?,
            (Some("tools/call"), Some("add")) => {
                let numbers = &message["params"]["arguments"];
                let sum = numbers["a"].as_i64().unwrap_or(0) + numbers["b"].as_i64().unwrap_or(0);
                send(said(id, &sum.to_string()))?;
            }
            (Some("tools/call"), _) => {
                asked_for = id.clone();
                send(json!({ "id": QUESTION, "method": "elicitation/create", "params": {
                    "message": "Which project?",
                    "requestedSchema": {
                        "type": "object",
                        "properties": { "project": { "type": "string", "title": "Project" } },
                        "required": ["project"],
                    },
                }}))?;
            }
            (None, _) if id == QUESTION => send(said(&asked_for, &message["result"].to_string()))?,
            _ if !id.is_null() => send(json!({ "id": id, "result": {} }))?,
            _ => {}
        }
    }
    Ok(())
}

fn tools() -> Value {
    let number = json!({ "type": "number" });
    json!([
        { "name": "add", "description": "Add two numbers",
          "inputSchema": { "type": "object", "properties": { "a": number, "b": number } } },
        { "name": "ask", "description": "Ask the user",
          "inputSchema": { "type": "object", "properties": {} } },
    ])
}

fn said(id: &Value, text: &str) -> Value {
    json!({ "id": id, "result": { "content": [{ "type": "text", "text": text }] } })
}

fn send(mut message: Value) -> std::io::Result<()> {
    message["jsonrpc"] = json!("2.0");
    let mut out = std::io::stdout().lock();
    writeln!(out, "{message}")?;
    out.flush()
}
