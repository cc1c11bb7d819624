//! Serves a mock of OpenAI and of Bedrock on loopback, until it is ended.
#![expect(clippy::print_stdout, reason = "it tells a script where it listens")]

use anyhow::Context as _;
use clap::Parser;
use load_bench::mock_upstream::MockUpstream;
use std::net::SocketAddr;
use tokio::{net::TcpListener, task::LocalSet};

/// A mock of an OpenAI-compatible server and of Bedrock. The name of a model says what it answers:
/// mock-n200-g20 has 200 tokens, 20 ms apart.
#[derive(Parser)]
struct Arguments {
    /// The address to listen on; port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,

    /// The models to list, comma-separated
    #[arg(long, value_delimiter = ',', default_value = "mock-n200")]
    models: Vec<String>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let Arguments { listen, models } = Arguments::parse();
    let listener =
        TcpListener::bind(listen).await.with_context(|| format!("cannot use {listen}"))?;
    println!("{}", listener.local_addr()?);
    Ok(LocalSet::new().run_until(MockUpstream::new(models).serve(listener)).await?)
}
