//! A manifold: one pipe with many models. Each answers through another model of the host, and
//! changes what it says.
//!
//! `cargo run --example shout_manifold -- --port 0` starts a host that serves it beside the usual
//! pipes.

use clap::Parser;
use futures_util::StreamExt;
use pipe_sdk::{Call, Chunk, ChunkStream, Model, Pipe, PipeError, Result, Serves, Valves};
use pipewright::{app::App, cli::Cli, pipes::PIPES, slot::Registration, valves::Pins};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The settings that an admin edits.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(default)]
struct ShoutValves {
    /// The model that answers, by the id that this host lists it by.
    #[schemars(title = "Model")]
    model: String,
}

impl Default for ShoutValves {
    fn default() -> Self {
        Self { model: "bedrock_models.amazon.nova-lite-v1:0".into() }
    }
}

impl Valves for ShoutValves {}

struct Shout(ShoutValves);

impl Pipe for Shout {
    const ID: &'static str = "shout";
    type Valves = ShoutValves;

    async fn on_startup(valves: ShoutValves) -> Result<Self> {
        Ok(Self(valves))
    }

    fn serves(&self) -> Serves {
        Serves::manifold([Model::new("upper", "Shouted"), Model::new("lower", "Whispered")])
    }

    async fn pipe(self: Arc<Self>, call: Call) -> Result<ChunkStream> {
        let change: fn(String) -> String = match call.model.as_str() {
            "upper" => |text| text.to_uppercase(),
            "lower" => |text| text.to_lowercase(),
            _ => return Err(PipeError::ModelNotFound(call.model)),
        };
        let mut body = call.body;
        body.model.clone_from(&self.0.model);
        let answer = call.host.pipe(body).await?;
        Ok(ChunkStream::new(answer.map(move |chunk| {
            chunk.map(|chunk| match chunk {
                Chunk::Content(text) => Chunk::Content(change(text)),
                other => other,
            })
        })))
    }
}

#[actix_web::main]
async fn main() -> anyhow::Result<()> {
    let pipes: Vec<_> = PIPES.iter().copied().chain([Registration::for_pipe::<Shout>()]).collect();
    let settings = Cli::parse().settings;
    let sources = settings.config_sources(Pins::default());
    App::build(&settings, sources, &pipes).await?.run_until_stopped().await
}
