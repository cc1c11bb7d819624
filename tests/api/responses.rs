//! OpenAI's Responses API: what becomes of a request at Bedrock, and how the answer looks, whole
//! and in events.

mod answer;
mod reasoning;
mod request;

use crate::{
    bedrock::{emulator, host, sent_bodies},
    support::TestHost,
};
use bedrock_emulator::{ANY, ModelAnswer, Script};
use serde_json::{Value, json};

const NOVA: &str = "bedrock_models.amazon.nova-lite-v1:0";
const CLAUDE: &str = "bedrock_models.us.anthropic.claude-sonnet-4-5-20250929-v1:0";

/// A request for this model with these fields.
fn request_of(model: &str, mut fields: Value) -> Value {
    let mut request = json!({"model": model, "input": "hi"});
    request.as_object_mut().unwrap().append(fields.as_object_mut().unwrap());
    request
}

async fn respond(host: &TestHost, model: &str, fields: Value) -> Value {
    let answered = host.post("/responses", &request_of(model, fields)).await;
    assert_eq!(answered.status, 200, "{}", answered.text);
    answered.json
}

/// Returns the request that Bedrock gets for one with these fields.
async fn converted(model: &str, fields: Value) -> Value {
    let emulator = emulator();
    let host = host(&emulator).await;
    host.update_valves("bedrock_models", &json!({"prompt_caching": "off"})).await;
    emulator.script(ANY, Script::answer(ModelAnswer::with_text(["ok"])));
    respond(&host, model, fields).await;
    sent_bodies(&emulator).pop().unwrap()
}

fn look_tool() -> Value {
    json!({"type": "function", "name": "look", "description": "Looks.", "strict": true,
           "parameters": {"type": "object", "properties": {"z": {"type": "integer"}, "a": {"type": "integer"}}}})
}
