//! Serves Amazon Bedrock's protocol on this machine, until Ctrl-C.

use anyhow::Context as _;
use bedrock_emulator::{
    AccessKey, Catalogue, DEMO_BEARER_TOKEN, DEMO_KEY, Emulator, EmulatorOptions, Relay,
};
use clap::Parser;
use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::time::Duration;

const RELAY_HELP: &str = "An OpenAI-compatible server that answers instead of the demo, such as \
    http://127.0.0.1:11434/v1 (http only)";

/// Amazon Bedrock on this machine: the control plane and the runtime, with signatures and requests
/// checked as the service checks them, and answers by a demo or by a model of your own.
#[derive(Debug, Parser)]
#[command(name = "bedrock-emulator", version)]
struct Arguments {
    /// The port to listen on; 0 takes a free one
    #[arg(long, default_value_t = 4566)]
    port: u16,

    /// The address to listen on
    #[arg(long, default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    address: IpAddr,

    /// The region of calls without one, such as calls with a bearer token
    #[arg(long, default_value = "us-east-1")]
    region: String,

    /// Models and profiles, in the form of the built-in catalogue.json
    #[arg(long, value_name = "FILE")]
    catalogue: Option<PathBuf>,

    /// The time for a word of the demo, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 20)]
    pace: u64,

    /// The access key that may call, as ID:SECRET [default: a demo key, printed at the start]
    #[arg(long, value_name = "ID:SECRET", value_parser = access_key)]
    key: Option<AccessKey>,

    /// The bearer token that may call
    #[arg(long, value_name = "TOKEN", default_value = DEMO_BEARER_TOKEN)]
    bearer_token: String,

    #[arg(long, value_name = "URL", value_parser = http_url, help = RELAY_HELP)]
    relay: Option<String>,

    /// The model to ask of the relay's server [default: the Bedrock model's id]
    #[arg(long, value_name = "MODEL", requires = "relay")]
    relay_model: Option<String>,

    /// The key of the relay's server
    #[arg(long, value_name = "KEY", requires = "relay", env = "RELAY_KEY", hide_env_values = true)]
    relay_key: Option<String>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let options = Arguments::parse().options()?;
    let emulator = Emulator::start(options.clone())
        .with_context(|| format!("cannot listen on {}", options.address))?;
    introduce(&emulator.endpoint(), &options)?;
    tokio::signal::ctrl_c().await.context("cannot wait for Ctrl-C")
}

/// Prints the address and the credentials.
fn introduce(endpoint: &str, options: &EmulatorOptions) -> std::io::Result<()> {
    let (AccessKey { id, secret, .. }, token) = (&options.keys[0], &options.bearer_tokens[0]);
    let region = &options.default_region;
    writeln!(
        std::io::stdout().lock(),
        "Bedrock is emulated at {endpoint} until Ctrl-C.\n\n\
         export AWS_ENDPOINT_URL_BEDROCK={endpoint}\n\
         export AWS_ENDPOINT_URL_BEDROCK_RUNTIME={endpoint}\n\
         export AWS_REGION={region}\n\
         export AWS_ACCESS_KEY_ID={id}\n\
         export AWS_SECRET_ACCESS_KEY={secret}\n\n\
         Or, instead of the key:\n\n\
         export AWS_BEARER_TOKEN_BEDROCK={token}"
    )
}

impl Arguments {
    /// Returns the options of the emulator.
    fn options(self) -> anyhow::Result<EmulatorOptions> {
        let catalogue =
            self.catalogue.as_deref().map(read_catalogue).transpose()?.unwrap_or_default();
        let (model, key) = (self.relay_model, self.relay_key);
        Ok(EmulatorOptions {
            address: (self.address, self.port).into(),
            catalogue,
            keys: vec![self.key.unwrap_or_else(demo_key)],
            bearer_tokens: vec![self.bearer_token],
            default_region: self.region,
            serves_every_region: false,
            pace: Duration::from_millis(self.pace),
            relay: self.relay.map(|url| Relay { url, model, key }),
            records_requests: false,
        })
    }
}

fn read_catalogue(path: &std::path::Path) -> anyhow::Result<Catalogue> {
    let text =
        std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    Catalogue::from_json(&text).with_context(|| format!("{} is no catalogue", path.display()))
}

fn demo_key() -> AccessKey {
    let (id, secret) = DEMO_KEY;
    AccessKey { id: id.to_owned(), secret: secret.to_owned(), session_token: None }
}

fn access_key(text: &str) -> Result<AccessKey, String> {
    let (id, secret) = text.split_once(':').ok_or("write it as ID:SECRET")?;
    Ok(AccessKey { id: id.to_owned(), secret: secret.to_owned(), session_token: None })
}

fn http_url(text: &str) -> Result<String, String> {
    if text.starts_with("http://") {
        Ok(text.to_owned())
    } else {
        Err("only http:// is spoken".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_arguments_are_sound() {
        Arguments::command().debug_assert();
    }
}
