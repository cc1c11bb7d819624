//! Pipes made for these tests, each with one thing to show.

use futures_util::{StreamExt, stream};
use pipe_sdk::{
    Body, Call, Chunk, ChunkStream, Event, FilterBody, FilterCall, FinishReason, Model,
    ModelResolution, Pipe, PipeError, Result, Secret, Serves, ToolCallDelta, Usage, ValveError,
    Valves,
};
use pipewright::slot::Registration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{
    sync::{Arc, LazyLock},
    time::Duration,
};
use tokio::sync::watch;

pub const PIPES: &[Registration] = &[
    Registration::for_pipe::<Typed>(),
    Registration::for_pipe::<Script>(),
    Registration::for_pipe::<Polite>(),
    Registration::for_pipe::<Relay>(),
    Registration::for_pipe::<Unwell>(),
];

/// A manifold, and another that has one of its models.
pub const TWINS: &[Registration] =
    &[Registration::for_pipe::<Script>(), Registration::for_pipe::<Twin>()];

/// One valve of every kind that the form knows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct TypedValves {
    /// The prefix of every answer.
    pub prefix: String,
    /// A text that may be missing.
    pub suffix: Option<String>,
    /// The address that gets the key.
    pub api_base: Option<String>,
    /// A key.
    #[schemars(title = "API key", extend("x-origin" = "api_base"))]
    pub api_key: Shown,
    /// Seconds.
    #[schemars(range(min = 5, max = 120))]
    pub timeout: u32,
    /// May be missing.
    pub most: Option<i64>,
    /// Between 0 and 1.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub share: f64,
    /// Yes or no.
    pub loud: bool,
    /// One of three.
    pub level: Level,
    /// Several.
    pub regions: Vec<String>,
    /// Several, at first none.
    pub tags: Vec<String>,
}

/// A secret that can be compared, for the tests alone.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline, transparent)]
pub struct Shown(pub Secret);

impl PartialEq for Shown {
    fn eq(&self, other: &Self) -> bool {
        self.0.expose() == other.0.expose()
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Little.
    Low,
    /// Some.
    #[default]
    Medium,
    /// Much.
    High,
}

impl Default for TypedValves {
    fn default() -> Self {
        Self {
            prefix: "typed: ".into(),
            suffix: None,
            api_base: None,
            api_key: Shown::default(),
            timeout: 30,
            most: None,
            share: 0.5,
            loud: false,
            level: Level::default(),
            regions: vec!["us-east-1".into(), "us-west-2".into()],
            tags: Vec::new(),
        }
    }
}

impl Valves for TypedValves {
    fn validate(&self) -> Vec<ValveError> {
        let doubled = self
            .regions
            .first()
            .is_some_and(|first| self.regions.iter().skip(1).any(|region| region == first));
        if doubled {
            vec![ValveError::new("regions", "must differ from each other")]
        } else {
            Vec::new()
        }
    }
}

/// Answers with its valves around the question.
pub struct Typed(TypedValves);

impl Pipe for Typed {
    const ID: &'static str = "typed";
    const NAME: &'static str = "Typed valves";
    type Valves = TypedValves;

    async fn on_startup(valves: TypedValves) -> Result<Self> {
        if valves.prefix == "unbuildable" {
            return Err(PipeError::BadValves(vec![ValveError::new("prefix", "must be buildable")]));
        }
        Ok(Self(valves))
    }

    fn serves(&self) -> Serves {
        Serves::Model(
            Model::new(Self::ID, "Typed")
                .with_capability("builtin_tools", false)
                .with_description("Echoes"),
        )
    }

    async fn pipe(self: Arc<Self>, call: Call) -> Result<ChunkStream> {
        let TypedValves { prefix, suffix, api_key, timeout, .. } = &self.0;
        let key = api_key.0.expose().map_or(0, str::len);
        let text = call.body.last_user_text().unwrap_or_default();
        let (user, chat) = (call.user.unwrap_or_default(), call.chat);
        let text = match text.as_str() {
            "who" => format!(
                "{}|{}|{}",
                user.id,
                chat.chat_id.clone().unwrap_or_default(),
                chat.task.clone().unwrap_or_default()
            ),
            "rest" => call.body.rest.keys().cloned().collect::<Vec<_>>().join(","),
            "valves" => format!("{prefix}|{key}|{timeout}"),
            text => format!("{prefix}{text}{}", suffix.as_deref().unwrap_or_default()),
        };
        Ok(ChunkStream::from_chunks([Chunk::Content(text), Chunk::Finish(FinishReason::Stop)]))
    }
}

/// Valves of a pipe that has none.
#[derive(Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct NoValves {}

impl Valves for NoValves {}

/// A manifold whose models do what their names say.
pub struct Script;

impl Pipe for Script {
    const ID: &'static str = "script";
    type Valves = NoValves;

    async fn on_startup(_: NoValves) -> Result<Self> {
        Ok(Self)
    }

    fn serves(&self) -> Serves {
        Serves::manifold(vec![
            Model::new("whole", "Script: whole"),
            Model::new("org/model-v1:0", "Script: slashes"),
        ])
    }

    /// Those that misbehave are not listed.
    fn resolve_model(&self, id: &str) -> Option<ModelResolution> {
        const NAMES: [&str; 8] = [
            "whole",
            "org/model-v1:0",
            "throttled",
            "first-error",
            "late-error",
            "empty",
            "panics",
            "hangs",
        ];
        NAMES.contains(&id).then(|| ModelResolution::Available(Model::new(id, id).into()))
    }

    async fn pipe(self: Arc<Self>, call: Call) -> Result<ChunkStream> {
        let usage = Usage {
            prompt_tokens: 115,
            completion_tokens: 7,
            cached_tokens: Some(100),
            ..Usage::default()
        };
        let text = |text: &str| Chunk::Content(text.into());
        let hang = stream::pending::<Result<Chunk>>();
        Ok(match call.model.as_str() {
            "whole" | "org/model-v1:0" => ChunkStream::from_chunks([
                Chunk::Role,
                Chunk::Event(Event::status("thinking", true)),
                Chunk::Reasoning("hm".into()),
                text("Hello "),
                text("\"wörld\"\n"),
                Chunk::ToolCall(ToolCallDelta {
                    index: 0,
                    id: Some("t1".into()),
                    name: Some("f".into()),
                    arguments: String::new(),
                }),
                Chunk::ToolCall(ToolCallDelta {
                    index: 0,
                    arguments: "{\"a\":1}".into(),
                    ..ToolCallDelta::default()
                }),
                Chunk::Finish(FinishReason::ToolCalls),
                Chunk::Usage(usage),
            ]),
            "throttled" => {
                let retry_after = Some(Duration::from_millis(6100));
                return Err(PipeError::Throttled { message: "slow down".into(), retry_after });
            }
            "first-error" => {
                ChunkStream::new(stream::iter([Err(PipeError::Timeout("too late".into()))]))
            }
            "late-error" => ChunkStream::new(stream::iter([
                Ok(text("half")),
                Err(PipeError::Upstream("broke".into())),
            ])),
            "unfinished" => ChunkStream::from_chunks([text("half")]),
            "empty" => ChunkStream::from_chunks([]),
            "panics" => panic!("as asked"),
            "panics-late" => ChunkStream::new(
                stream::iter([Ok(text("half"))]).chain(stream::once(async { panic!("as asked") })),
            ),
            "internal" => return Err(PipeError::internal("the cause is hidden")),
            "hangs" => ChunkStream::new(Watched::new(hang)),
            "hangs-late" => {
                ChunkStream::new(Watched::new(stream::iter([Ok(text("begun"))]).chain(hang)))
            }
            _ => return Err(PipeError::ModelNotFound(call.model)),
        })
    }
}

/// A manifold that has a model of the same id as another, and one of its own.
pub struct Twin;

impl Pipe for Twin {
    const ID: &'static str = "twin";
    type Valves = NoValves;

    async fn on_startup(_: NoValves) -> Result<Self> {
        Ok(Self)
    }

    fn serves(&self) -> Serves {
        Serves::manifold(vec![
            Model::new("whole", "Twin: whole"),
            Model::new("own.v1", "Twin: own"),
            Model::new("slashes", "script: Slashes"),
        ])
    }

    async fn pipe(self: Arc<Self>, call: Call) -> Result<ChunkStream> {
        Ok(ChunkStream::from_chunks([
            Chunk::Content(call.model),
            Chunk::Finish(FinishReason::Stop),
        ]))
    }
}

/// Counts the answers that are open, and those that were opened.
pub static OPEN: LazyLock<watch::Sender<usize>> = LazyLock::new(|| watch::Sender::new(0));

/// A stream that counts itself as open until it is dropped.
struct Watched<S>(S);

impl<S> Watched<S> {
    fn new(inner: S) -> Self {
        OPEN.send_modify(|open| *open += 1);
        Self(inner)
    }
}

impl<S> Drop for Watched<S> {
    fn drop(&mut self) {
        OPEN.send_modify(|open| *open -= 1);
    }
}

impl<S: futures_util::Stream + Unpin> futures_util::Stream for Watched<S> {
    type Item = S::Item;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<S::Item>> {
        std::pin::Pin::new(&mut self.0).poll_next(cx)
    }
}

/// A filter that adds a word and refuses rudeness.
pub struct Polite;

impl Pipe for Polite {
    const ID: &'static str = "polite";
    type Valves = NoValves;

    async fn on_startup(_: NoValves) -> Result<Self> {
        Ok(Self)
    }

    fn serves(&self) -> Serves {
        Serves::Filter { pipelines: vec!["*".into()], priority: 3 }
    }

    async fn inlet(&self, call: FilterCall) -> Result<FilterBody> {
        let FilterCall { mut body, user, .. } = call;
        if body.messages().iter().any(|message| message["content"] == "rude") {
            let message = format!(
                "No, {}: ask\r\npolitely",
                user.and_then(|user| user.name.clone()).unwrap_or_default()
            );
            return Err(PipeError::Refused {
                status: 429,
                message,
                retry_after: Some(Duration::from_secs(9)),
            });
        }
        body.0.insert("polite".into(), true.into());
        Ok(body)
    }
}

/// Answers through the model that its chat names in its only message.
pub struct Relay;

impl Pipe for Relay {
    const ID: &'static str = "relay";
    type Valves = NoValves;

    async fn on_startup(_: NoValves) -> Result<Self> {
        Ok(Self)
    }

    fn serves(&self) -> Serves {
        Serves::Model(Model::new(Self::ID, "Relay"))
    }

    async fn pipe(self: Arc<Self>, call: Call) -> Result<ChunkStream> {
        let next = call.body.last_user_text().unwrap_or_default();
        call.host.pipe(Body { model: next, ..call.body }).await
    }
}

/// Valves that keep their pipe from starting, until they are turned.
#[derive(Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct UnwellValves {
    well: bool,
}

impl Valves for UnwellValves {}

/// A pipe that does not start at first.
pub struct Unwell;

impl Pipe for Unwell {
    const ID: &'static str = "unwell";
    type Valves = UnwellValves;

    async fn on_startup(valves: UnwellValves) -> Result<Self> {
        if valves.well { Ok(Self) } else { Err(PipeError::bad_request("it is not well")) }
    }

    fn serves(&self) -> Serves {
        Serves::Model(Model::new(Self::ID, "Well again"))
    }

    async fn pipe(self: Arc<Self>, _: Call) -> Result<ChunkStream> {
        Ok(ChunkStream::from_chunks([
            Chunk::Content("well".into()),
            Chunk::Finish(FinishReason::Stop),
        ]))
    }
}
