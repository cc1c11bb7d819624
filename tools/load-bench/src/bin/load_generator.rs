//! Sends chats to a server and prints one line of JSON with what was measured.
#![expect(clippy::print_stdout, reason = "its result is for scripts")]

use anyhow::Context as _;
use bytes::Bytes;
use clap::Parser;
use http::{HeaderMap, HeaderName, HeaderValue, Uri};
use load_bench::{
    load::{self, LoadOptions, LoadResult},
    process_usage::{cpu_seconds, machine_busy_seconds, process_tree, resident_kib},
};
use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};
use tokio::{
    task::LocalSet,
    time::{MissedTickBehavior, interval},
};

/// Sends chats in a closed loop, and times every token of the mock upstream's answers.
#[derive(Parser)]
struct Arguments {
    /// The address of the chat route
    #[arg(long)]
    url: Uri,

    /// The model; its name says how many tokens the mock upstream sends
    #[arg(long)]
    model: String,

    /// Asks for streams
    #[arg(long)]
    stream: bool,

    /// The number of connections
    #[arg(long, default_value_t = 1)]
    connections: u32,

    /// The number of requests, in place of a time
    #[arg(long, default_value_t = 0)]
    requests: u64,

    /// The time in which requests are begun, in seconds
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,

    /// The time over which connections begin, in seconds
    #[arg(long, default_value_t = 0.0)]
    ramp: f64,

    /// A header of each request, as in "authorization: Bearer KEY"
    #[arg(long, value_parser = header)]
    header: Vec<(HeaderName, HeaderValue)>,

    /// The length of the user's message, in bytes
    #[arg(long, default_value_t = 400)]
    message_bytes: usize,

    /// The number of timestamps in a whole answer: of a stream its tokens, of others one
    #[arg(long)]
    expected_tokens: usize,

    /// The longest time for a request, in seconds
    #[arg(long, default_value_t = 60.0)]
    timeout: f64,

    /// The mock upstream's /step, if its model waits for steps
    #[arg(long)]
    step_url: Option<Uri>,

    /// The process of the server, whose CPU time and memory are measured with its children's
    #[arg(long)]
    server_pid: Option<u32>,

    /// The process of the mock upstream, whose CPU time is not counted as other work
    #[arg(long)]
    upstream_pid: Option<u32>,
}

/// Parses `NAME: VALUE`.
fn header(text: &str) -> anyhow::Result<(HeaderName, HeaderValue)> {
    let (name, value) = text.split_once(':').context("write it as NAME: VALUE")?;
    Ok((name.trim().parse()?, value.trim().parse()?))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let options = arguments.load_options()?;
    let server = arguments.server_pid.map(process_tree).unwrap_or_default();
    let ours = BTreeSet::from_iter(arguments.upstream_pid.into_iter().chain([std::process::id()]));
    let counters = || (cpu_seconds(&server), cpu_seconds(&ours), machine_busy_seconds());
    let (server_before, ours_before, busy_before) = counters();
    let start = Instant::now();
    let mut peak_kib = resident_kib(&server);
    let result = LocalSet::new()
        .run_until(async {
            let load = load::run(options);
            tokio::pin!(load);
            let mut samples = interval(Duration::from_millis(500));
            samples.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                tokio::select! {
                    result = &mut load => break result,
                    _ = samples.tick() => peak_kib = peak_kib.max(resident_kib(&server)),
                }
            }
        })
        .await;
    let wall = start.elapsed().as_secs_f64();
    let (server_after, ours_after, busy_after) = counters();
    let cpu = server_after - server_before;
    let others = busy_after - busy_before - cpu - (ours_after - ours_before);
    let mut report = report(result, wall, cpu);
    report["rss_kib_peak"] = peak_kib.max(resident_kib(&server)).into();
    report["other_cores"] = round(others.max(0.0) / wall);
    println!("{report}");
    Ok(())
}

impl Arguments {
    fn load_options(&self) -> anyhow::Result<LoadOptions> {
        let phrase = "the quick brown fox jumps over the lazy dog ";
        let message: String = phrase.chars().cycle().take(self.message_bytes).collect();
        let body = json!({
            "model": self.model, "stream": self.stream,
            "messages": [
                {"role": "system", "content": "You are a helpful assistant."},
                {"role": "user", "content": message},
            ],
        });
        Ok(LoadOptions {
            url: self.url.clone(),
            headers: self.header.iter().cloned().collect::<HeaderMap>(),
            body: Bytes::from(body.to_string()),
            connections: self.connections,
            requests: self.requests,
            duration: Duration::try_from_secs_f64(self.seconds)?,
            ramp: Duration::try_from_secs_f64(self.ramp)?,
            expected_tokens: self.expected_tokens,
            timeout: Duration::try_from_secs_f64(self.timeout)?,
            step_url: self.step_url.clone(),
        })
    }
}

/// Returns the result of a run as JSON.
fn report(result: LoadResult, wall: f64, cpu: f64) -> Value {
    let finished = (result.answers + result.failures).max(1);
    json!({
        "seconds": round(wall),
        "answers": result.answers, "failures": result.failures,
        "first_failure": result.first_failure,
        "tokens": result.tokens, "bytes": result.bytes,
        "answers_per_second": round(result.answers as f64 / wall),
        "cpu_seconds": round(cpu),
        "cpu_us_per_request": round(cpu * 1e6 / finished as f64),
        "cpu_us_per_token": round(cpu * 1e6 / result.tokens.max(1) as f64),
        "first_token_us": percentiles(result.first_tokens),
        "token_delay_us": percentiles(result.token_delays),
        "total_us": percentiles(result.totals),
    })
}

/// Returns the percentiles of times.
fn percentiles(mut times: Vec<u64>) -> Value {
    times.sort_unstable();
    let at = |percent: usize| times.get((times.len() * percent / 100).min(times.len().max(1) - 1));
    json!({"p50": at(50), "p90": at(90), "p99": at(99), "max": times.last()})
}

/// Rounds a number to three decimal places.
fn round(number: f64) -> Value {
    json!((number * 1000.0).round() / 1000.0)
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
