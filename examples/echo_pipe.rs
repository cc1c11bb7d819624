//! A pipe with one model, which repeats what the user said.
//!
//! `cargo run --example echo_pipe -- --port 0` starts a host that serves it.

use clap::Parser;
use pipe_sdk::{Call, Chunk, ChunkStream, FinishReason, Model, Pipe, Result, Serves, Valves};
use pipewright::{app::App, cli::Cli, slot::Registration, valves::Pins};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The settings that an admin edits. Doc comments become the help texts of the form.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(default)]
struct EchoValves {
    /// The text before every answer, for example `You said: `.
    #[schemars(title = "Prefix")]
    prefix: String,
}

impl Default for EchoValves {
    fn default() -> Self {
        Self { prefix: "echo: ".into() }
    }
}

impl Valves for EchoValves {}

struct Echo(EchoValves);

impl Pipe for Echo {
    const ID: &'static str = "echo";
    const NAME: &'static str = "Echo";
    type Valves = EchoValves;

    async fn on_startup(valves: EchoValves) -> Result<Self> {
        Ok(Self(valves))
    }

    fn serves(&self) -> Serves {
        Serves::Model(Model::new(Self::ID, Self::NAME))
    }

    async fn pipe(self: Arc<Self>, call: Call) -> Result<ChunkStream> {
        let text = call.body.last_user_text().unwrap_or_default();
        let answer = Chunk::Content(format!("{}{text}", self.0.prefix));
        Ok(ChunkStream::from_chunks([answer, Chunk::Finish(FinishReason::Stop)]))
    }
}

#[actix_web::main]
async fn main() -> anyhow::Result<()> {
    let settings = Cli::parse().settings;
    let sources = settings.config_sources(Pins::default());
    App::build(&settings, sources, &[Registration::for_pipe::<Echo>()])
        .await?
        .run_until_stopped()
        .await
}
