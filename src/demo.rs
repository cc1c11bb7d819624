//! `--demo`: a Bedrock emulator in place of AWS.
use pipewright::{settings::Settings, valves::Pins};
pub struct Demo;
impl Demo {
    pub async fn start(_settings: &Settings) -> anyhow::Result<Self> {
        Ok(Self)
    }
    pub fn pins(&self) -> Pins {
        Pins::default()
    }
}
