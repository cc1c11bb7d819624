//! A running pipe, the Bedrock that it talks to, and verbs for both.

use bedrock_emulator::{
    Catalogue, DEMO_KEY, Emulator, EmulatorOptions, Operation, RecordedRequest,
};
use bedrock_models::{BedrockModels, BedrockValves};
use futures_util::{StreamExt, TryStreamExt};
use pipe_sdk::{
    Answer, Body, Call, ChatRef, Chunk, ChunkStream, Hints, Model, ModelKind, Pipe, Result, Serves,
    testing::ScriptedHost,
};
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};

pub const HAIKU: &str = "anthropic.claude-3-haiku-20240307-v1:0";
pub const MICRO: &str = "amazon.nova-micro-v1:0";

/// A pipe whose models are all listed.
pub struct Rig {
    pub bedrock: Emulator,
    pub pipe: Arc<BedrockModels>,
}

pub fn bedrock() -> Emulator {
    Emulator::start(EmulatorOptions::default()).unwrap()
}

/// Returns the usual valves, pointed at this Bedrock.
pub fn valves(bedrock: &Emulator) -> BedrockValves {
    let (id, secret) = DEMO_KEY;
    BedrockValves {
        aws_access_key_id: Some(id.into()),
        aws_secret_access_key: secret.into(),
        endpoint_url: Some(bedrock.endpoint()),
        ..BedrockValves::default()
    }
}

pub async fn started(valves: BedrockValves) -> Arc<BedrockModels> {
    Arc::new(BedrockModels::on_startup(valves).await.unwrap())
}

pub async fn rig() -> Rig {
    rig_with(|_| {}).await
}

pub async fn rig_with(turn: impl FnOnce(&mut BedrockValves)) -> Rig {
    let bedrock = bedrock();
    let mut valves = valves(&bedrock);
    turn(&mut valves);
    let pipe = started(valves).await;
    pipe.wait_until_ready().await;
    Rig { bedrock, pipe }
}

impl Rig {
    /// Asks, and gives the chunks as they come, after the first one, which says who answers.
    pub async fn stream(&self, model: &str, body: Value) -> Result<ChunkStream> {
        let mut chunks = self.ask(call(model, &body)).await?;
        let first = chunks.next().await.unwrap()?;
        assert!(matches!(first, Chunk::Model(_)), "{first:?}");
        Ok(chunks)
    }

    /// Asks, and gives the chunks as they come.
    pub async fn ask(&self, call: Call) -> Result<ChunkStream> {
        Arc::clone(&self.pipe).pipe(call).await
    }

    /// Asks, and gives all chunks.
    pub async fn chunks(&self, model: &str, body: Value) -> Result<Vec<Chunk>> {
        self.stream(model, body).await?.try_collect().await
    }

    /// Asks, and gives the whole answer.
    pub async fn answer(&self, model: &str, body: Value) -> Result<Answer> {
        self.ask(call(model, &body)).await?.fold().await
    }

    /// Returns the requests of models so far.
    pub fn asked(&self) -> Vec<RecordedRequest> {
        let chats = [Some(Operation::ConverseStream), Some(Operation::Converse)];
        let is_chat = |request: &RecordedRequest| chats.contains(&request.operation);
        self.bedrock.requests().into_iter().filter(is_chat).collect()
    }

    /// Returns the body of the last thing asked of a model.
    pub fn last_body(&self) -> Value {
        self.asked().pop().unwrap().json
    }
}

/// Returns the models that are listed, because they chat.
pub fn models(pipe: &BedrockModels) -> Vec<Model> {
    match pipe.serves() {
        Serves::Manifold(models) => {
            models.iter().filter(|model| model.kind == ModelKind::Chat).cloned().collect()
        }
        other => panic!("{other:?}"),
    }
}

pub fn ids(pipe: &BedrockModels) -> Vec<String> {
    models(pipe).into_iter().map(|model| model.id).collect()
}

/// Creates a chat, whose client wants a stream unless the body says otherwise.
pub fn call(model: &str, body: &Value) -> Call {
    let is_streamed = body.get("stream").is_none_or(|stream| *stream == true);
    let mut body: Body = serde_json::from_str(&body.to_string()).unwrap();
    body.stream = is_streamed;
    body.model = model.into();
    let host = ScriptedHost::new().host();
    Call {
        model: model.into(),
        body,
        user: None,
        chat: ChatRef::default().into(),
        hints: Hints::default(),
        host,
    }
}

/// Returns a chat of one question.
pub fn hello() -> Value {
    json!({"messages": [{"role": "user", "content": "Hello"}]})
}

/// Returns the kind of an error and its words.
pub fn told<T: std::fmt::Debug>(result: Result<T>) -> (String, String) {
    let error = result.unwrap_err();
    let kind = format!("{error:?}");
    let kind = kind.split(|c: char| !c.is_alphanumeric()).next().unwrap();
    (kind.into(), error.to_string())
}

/// Lets everything else go on until this is so, for five seconds at most.
pub async fn until(so: impl Fn() -> bool) {
    let waiting = async {
        while !so() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), waiting).await.unwrap();
}

/// Returns the catalogue in this JSON.
pub fn catalogue(json: &Value) -> Catalogue {
    Catalogue::from_json(&json.to_string()).unwrap()
}
