//! `--demo`: a Bedrock emulator in place of AWS.

use anyhow::Context;
use bedrock_emulator::{DEMO_KEY, Emulator, EmulatorOptions, Relay};
use pipewright::{settings::Settings, valves::Pins};

/// A running emulator. Dropped, it ends.
pub struct Demo(Emulator);

impl Demo {
    /// Starts the emulator as the flags have it.
    pub fn start(settings: &Settings) -> anyhow::Result<Self> {
        let relay =
            settings.demo_relay.as_deref().map(|url| relay(url, settings.demo_relay_model.clone()));
        let options = EmulatorOptions { relay, ..EmulatorOptions::demo() };
        Emulator::start(options).map(Self).context("the Bedrock emulator cannot listen")
    }

    /// What makes the Bedrock pipe talk to it.
    pub fn pins(&self) -> Pins {
        let (id, secret) = DEMO_KEY;
        [
            ("endpoint_url", self.0.endpoint().as_str()),
            ("aws_access_key_id", id),
            ("aws_secret_access_key", secret),
        ]
        .into_iter()
        .fold(Pins::default(), |pins, (valve, value)| {
            pins.with("bedrock_models", valve, "--demo", value)
        })
    }
}

fn relay(url: &str, model: Option<String>) -> Relay {
    Relay { url: url.into(), model, key: None }
}
