//! A host with Bedrock behind it, and what a client makes of its answers.

use crate::{
    bedrock,
    support::{Builder, TestHost, TestResponse, chat},
};
use bedrock_emulator::{
    ANY, Catalogue, Emulator, EmulatorOptions, ModelAnswer, Operation, RecordedRequest, Script,
};
use reqwest::Method;
use serde_json::{Map, Value, json};

pub const PIPE: &str = "bedrock_models";
pub const LITE: &str = "amazon.nova-lite-v1:0";
pub const MICRO: &str = "amazon.nova-micro-v1:0";
/// A Claude that takes signed reasoning back.
pub const THINKER: &str = "us.anthropic.claude-haiku-4-5-20251001-v1:0";

/// A host and the Bedrock that it talks to.
pub struct Rig {
    pub bedrock: Emulator,
    pub host: TestHost,
}

/// Under these valves, beside the usual ones.
pub async fn rig(valves: Value) -> Rig {
    rig_of(Catalogue::default(), valves).await
}

/// Starts a host with these valves and without fallbacks.
pub async fn rig_without_fallbacks(valves: Value) -> Rig {
    rig(without_fallbacks(valves)).await
}

/// The same valves, under which nobody answers in place of the model that is asked.
pub fn without_fallbacks(mut valves: Value) -> Value {
    valves["fallback_regions"] = false.into();
    valves["fallback_profiles"] = false.into();
    valves
}

/// Starts a host that sends every text to its model, known or not.
pub async fn rig_without_cache(valves: Value) -> Rig {
    let builder = Builder::new().flag("--embedding-cache-mib", "0");
    start_rig(builder, Catalogue::default(), valves).await
}

/// Starts a host that is started with this flag too.
pub async fn rig_with_flag(flag: &str, value: &str, valves: Value) -> Rig {
    start_rig(Builder::new().flag(flag, value), Catalogue::default(), valves).await
}

/// With these models in place of the usual ones.
pub async fn rig_of(catalogue: Catalogue, valves: Value) -> Rig {
    start_rig(Builder::new(), catalogue, valves).await
}

async fn start_rig(builder: Builder, catalogue: Catalogue, mut valves: Value) -> Rig {
    if valves["prompt_caching"].is_null() {
        // The same chat costs the same, however often it is asked.
        valves["prompt_caching"] = "off".into();
    }
    let bedrock =
        Emulator::start(EmulatorOptions { catalogue, ..EmulatorOptions::default() }).unwrap();
    let host = bedrock::host_of(builder, &bedrock, &[]).await;
    let turned = host.update_valves(PIPE, &valves).await;
    assert_eq!(turned.status, 200, "{}", turned.text);
    // Until all regions are listed, whichever came first has the models.
    host.get("/models").await;
    Rig { bedrock, host }
}

/// The id that clients know a model of Bedrock's by.
pub fn model_id(model: &str) -> String {
    format!("{PIPE}.{model}")
}

/// A chat of one question, with these fields beside it.
pub fn chat_body(model: &str, more: &Value) -> Value {
    let mut body = chat(&model_id(model), "hi");
    for (name, value) in more.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

/// The same chat, streamed or plain.
pub fn with_stream(mut body: Value, streamed: bool) -> Value {
    body["stream"] = streamed.into();
    if streamed && body["stream_options"].is_null() {
        body["stream_options"] = json!({"include_usage": true});
    }
    body
}

pub fn tool(name: &str) -> Value {
    json!({"type": "function", "function": {"name": name, "parameters": {"type": "object", "properties": {}}}})
}

impl Rig {
    /// The answer to this chat, whatever it is.
    pub async fn post(&self, body: &Value) -> TestResponse {
        self.host.post("/chat/completions", body).await
    }

    /// The answer to this chat with a header.
    pub async fn post_with(&self, header: (&str, &str), body: &Value) -> TestResponse {
        let request = self.host.request(Method::POST, "/chat/completions");
        let (name, value) = header;
        TestResponse::read(request.header(name, value).json(body).send().await.unwrap()).await
    }

    /// Returns the answer that the client reads when the model answers this, streamed and plain: it
    /// must be the same.
    pub async fn client_answer(&self, answer: ModelAnswer, body: Value) -> ClientAnswer {
        self.bedrock.script(ANY, Script::answer(answer).times(2));
        let streamed = ClientAnswer::read(&self.post(&with_stream(body.clone(), true)).await);
        let plain = ClientAnswer::read(&self.post(&with_stream(body, false)).await);
        assert_eq!(streamed, plain, "streamed on the left, plain on the right");
        plain
    }

    /// Returns the requests of models so far.
    pub fn model_requests(&self) -> Vec<RecordedRequest> {
        let chats = [Some(Operation::ConverseStream), Some(Operation::Converse)];
        let is_chat = |request: &RecordedRequest| chats.contains(&request.operation);
        self.bedrock.requests().into_iter().filter(is_chat).collect()
    }

    /// Returns their targets in order: the region and the id.
    pub fn targets(&self) -> Vec<(String, String)> {
        self.model_requests()
            .into_iter()
            .map(|asked| (asked.region, asked.target.unwrap()))
            .collect()
    }
}

/// The chunks of a streamed answer, `[DONE]` checked and taken away.
pub fn chunks(answered: &TestResponse) -> Vec<Value> {
    assert_eq!(answered.status, 200, "{}", answered.text);
    let mut frames: Vec<_> = answered.text.split("\n\n").filter(|f| !f.is_empty()).collect();
    assert_eq!(frames.pop(), Some("data: [DONE]"), "{}", answered.text);
    let chunk = |frame: &&str| serde_json::from_str(frame.strip_prefix("data: ").unwrap()).unwrap();
    frames.iter().map(chunk).collect()
}

/// The answer that a client has read to its end.
#[derive(Debug, Default, PartialEq)]
pub struct ClientAnswer {
    pub content: String,
    pub reasoning: String,
    pub reasoning_details: Vec<Value>,
    pub thinking_blocks: Vec<Value>,
    pub annotations: Vec<Value>,
    /// Each as its id, its name and its arguments.
    pub calls: Vec<[String; 3]>,
    pub finish: Option<String>,
    /// The fields beside the choices, such as the usage.
    pub other_fields: Map<String, Value>,
    /// The error that a stream has ended in.
    pub error: Value,
}

impl ClientAnswer {
    /// Reads an answer in either of the two forms.
    pub fn read(answered: &TestResponse) -> Self {
        if answered.json.is_null() {
            Self::from_stream(answered)
        } else {
            Self::from_json(answered)
        }
    }

    fn from_json(answered: &TestResponse) -> Self {
        assert_eq!(answered.status, 200, "{}", answered.text);
        let choice = &answered.json["choices"][0];
        let mut told = Self::default();
        told.add(&choice["message"]);
        told.finish = to_text(&choice["finish_reason"]);
        told.add_other_fields(&answered.json);
        told
    }

    fn from_stream(answered: &TestResponse) -> Self {
        let mut told = Self::default();
        for chunk in chunks(answered) {
            assert!(told.error.is_null(), "nothing comes after an error: {}", answered.text);
            told.error = chunk["error"].clone();
            let choice = &chunk["choices"][0];
            if !choice.is_null() {
                assert!(told.finish.is_none(), "nothing is said after the end: {}", answered.text);
                told.add(&choice["delta"]);
                told.finish = to_text(&choice["finish_reason"]);
            } else if told.error.is_null() {
                told.add_other_fields(&chunk);
            }
        }
        told
    }

    /// Adds a message, or a piece of one.
    fn add(&mut self, message: &Value) {
        self.content += message["content"].as_str().unwrap_or_default();
        self.reasoning += message["reasoning_content"].as_str().unwrap_or_default();
        self.reasoning_details.extend(to_list(&message["reasoning_details"]));
        for (field, blocks) in
            [("thinking_blocks", &mut self.thinking_blocks), ("annotations", &mut self.annotations)]
        {
            for mut block in to_list(&message[field]) {
                // Only what comes in pieces is numbered.
                let number = block.as_object_mut().unwrap().remove("index");
                assert!(number.is_none_or(|number| number == blocks.len()), "{message}");
                blocks.push(block);
            }
        }
        for (place, call) in to_list(&message["tool_calls"]).into_iter().enumerate() {
            self.add_call(call["index"].as_u64().map_or(place, |index| index as usize), &call);
        }
    }

    fn add_call(&mut self, index: usize, call: &Value) {
        let function = &call["function"];
        if index == self.calls.len() {
            self.calls.push(Default::default());
            assert_eq!(call["type"], "function", "{call}");
        }
        let [id, name, arguments] = &mut self.calls[index];
        for (whole, piece) in
            [(id, &call["id"]), (name, &function["name"]), (arguments, &function["arguments"])]
        {
            *whole += piece.as_str().unwrap_or_default();
        }
    }

    /// Keeps what stands beside the choices. Each of it may come once.
    fn add_other_fields(&mut self, body: &Value) {
        for (name, fact) in body.as_object().unwrap() {
            if !["id", "object", "created", "model", "choices"].contains(&name.as_str()) {
                let before = self.other_fields.insert(name.clone(), fact.clone());
                assert_eq!(before, None, "{name} came twice");
            }
        }
    }
}

fn to_list(list: &Value) -> Vec<Value> {
    list.as_array().cloned().unwrap_or_default()
}

fn to_text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}
