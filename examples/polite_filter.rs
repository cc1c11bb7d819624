//! A filter: it changes chats before they go to their model, or refuses them.
//!
//! `cargo run --example polite_filter -- --port 0` starts a host that serves it.

use clap::Parser;
use pipe_sdk::{FilterBody, FilterCall, Pipe, PipeError, Result, Serves, Valves};
use pipewright::{app::App, cli::Cli, slot::Registration, valves::Pins};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The settings that an admin edits.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
struct PoliteValves {
    /// The models that are filtered, by the ids that Open WebUI shows; `*` alone for all.
    #[schemars(title = "Models")]
    pipelines: Vec<String>,
    /// Filters run in ascending order, for example 0 before 10.
    #[schemars(title = "Priority")]
    priority: i64,
    /// A word that no message may hold, for example `stupid`.
    #[schemars(title = "Refused word")]
    word: String,
}

impl Default for PoliteValves {
    fn default() -> Self {
        Self { pipelines: vec!["*".into()], priority: 0, word: "stupid".into() }
    }
}

impl Valves for PoliteValves {}

struct Polite(PoliteValves);

impl Pipe for Polite {
    const ID: &'static str = "polite";
    type Valves = PoliteValves;

    async fn on_startup(valves: PoliteValves) -> Result<Self> {
        Ok(Self(valves))
    }

    fn serves(&self) -> Serves {
        let PoliteValves { pipelines, priority, .. } = self.0.clone();
        Serves::Filter { pipelines, priority }
    }

    async fn inlet(&self, call: FilterCall) -> Result<FilterBody> {
        let texts = call.body.messages().iter().filter_map(|message| message["content"].as_str());
        match texts.into_iter().any(|text| text.contains(&self.0.word)) {
            true => Err(PipeError::against_policy("please say it more politely")),
            false => Ok(call.body),
        }
    }
}

#[actix_web::main]
async fn main() -> anyhow::Result<()> {
    let settings = Cli::parse().settings;
    let sources = settings.config_sources(Pins::default());
    App::build(&settings, sources, &[Registration::for_pipe::<Polite>()])
        .await?
        .run_until_stopped()
        .await
}
