//! `--demo`: a Bedrock emulator in place of AWS.

use anyhow::Context;
use bedrock_emulator::{DEMO_KEY, Emulator, EmulatorOptions, Relay};
use pipewright::{settings::Settings, valves::Pins};

/// The model that answers from documents.
const GENERATOR: &str = "bedrock_models.amazon.nova-lite-v1:0";

/// A running emulator. It stops when this is dropped.
pub struct DemoEmulator(Emulator);

impl DemoEmulator {
    /// Starts the emulator with these settings.
    pub fn start(settings: &Settings) -> anyhow::Result<Self> {
        let relay = settings
            .demo_relay
            .as_deref()
            .map(|url| build_relay(url, settings.demo_relay_model.clone()));
        let options = EmulatorOptions { relay, ..EmulatorOptions::demo() };
        Emulator::start(options).map(Self).context("the Bedrock emulator cannot listen")
    }

    /// Returns the valves that connect the Bedrock pipe to the emulator, and let a model of it
    /// answer from documents.
    pub fn pins(&self) -> Pins {
        let (id, secret) = DEMO_KEY;
        [
            ("endpoint_url", self.0.endpoint().as_str()),
            ("aws_access_key_id", id),
            ("aws_secret_access_key", secret),
        ]
        .into_iter()
        .fold(Pins::default(), |pins, (valve, value)| {
            pins.with_pin("bedrock_models", valve, "--demo", value)
        })
        .with_pin("rag", "generators", "--demo", GENERATOR)
    }
}

fn build_relay(url: &str, model: Option<String>) -> Relay {
    Relay { url: url.into(), model, key: None }
}
