//! Asks tasks of a running host, and reports how many answers are right, and what they cost.

use crate::{
    Measure,
    baseline::{Sample, SampledTask, samples_for, vote_accuracy},
    tasks::{self, Task},
};
use anyhow::{Context, bail};
use futures_util::{StreamExt, TryStreamExt, stream};
use reqwest::Client;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// The temperature of the plain answers of the baseline.
const BASELINE_TEMPERATURE: f64 = 0.7;

/// The result of one question.
struct Outcome {
    text: String,
    is_right: bool,
    calls: u64,
    tokens: u64,
    cost: f64,
    took: Duration,
}

/// Asks all tasks by all approaches, and prints a table.
///
/// # Errors
/// If the host does not answer.
pub async fn measure(wish: &Measure) -> anyhow::Result<()> {
    let tasks = match &wish.tasks {
        Some(file) => tasks::read(file)?,
        None => tasks::generate_tasks(wish.count, wish.seed),
    };
    let tasks: Vec<_> = tasks.into_iter().take(wish.count).collect();
    let client = Client::new();
    let sampled = sample_tasks(&client, wish, &tasks).await?;
    println!(
        "{:<18} {:>15} {:>7} {:>9} {:>10} {:>9} {:>16}",
        "approach", "right", "calls", "tokens", "cost", "p50", "vote, same cost"
    );
    for approach in &wish.approaches {
        let asks = tasks.iter().map(|task| (task, request_body(wish, approach, task)));
        let outcomes = stream::iter(asks).map(|(task, body)| ask(&client, wish, task, body));
        let outcomes: Vec<_> = outcomes.buffer_unordered(wish.at_once.max(1)).try_collect().await?;
        print_row(approach, &outcomes, &sampled, wish.seed);
    }
    Ok(())
}

/// Prints what came of an approach, beside a vote that costs as many tokens.
fn print_row(approach: &str, outcomes: &[Outcome], sampled: &[SampledTask], seed: u64) {
    let count = outcomes.len().max(1) as f64;
    let right = outcomes.iter().filter(|outcome| outcome.is_right).count() as f64 / count;
    let spread = (right * (1.0 - right) / count).sqrt();
    let mean = |of: fn(&Outcome) -> f64| outcomes.iter().map(of).sum::<f64>() / count;
    let mut times: Vec<_> = outcomes.iter().map(|outcome| outcome.took).collect();
    times.sort_unstable();
    let middle = times.get(times.len() / 2).copied().unwrap_or_default();
    let tokens = mean(|outcome| outcome.tokens as f64);
    let baseline = if sampled.is_empty() {
        String::new()
    } else {
        let samples = samples_for(tokens, sampled);
        format!("{:.1}% of {samples}", vote_accuracy(sampled, samples, seed) * 100.0)
    };
    println!(
        "{approach:<18} {:>6.1}% ± {:>4.1}% {:>7.1} {tokens:>9.0} {:>10.6} {:>8.2}s {baseline:>16}",
        right * 100.0,
        spread * 100.0,
        mean(|outcome| outcome.calls as f64),
        mean(|outcome| outcome.cost),
        middle.as_secs_f64()
    );
}

/// Lets the model alone answer each task several times.
async fn sample_tasks(
    client: &Client,
    wish: &Measure,
    tasks: &[Task],
) -> anyhow::Result<Vec<SampledTask>> {
    let mut sampled = Vec::new();
    for task in tasks.iter().filter(|_| wish.baseline_samples > 0) {
        let mut body = request_body(wish, "none", task);
        body["temperature"] = BASELINE_TEMPERATURE.into();
        let asks = stream::iter(0..wish.baseline_samples);
        let asks = asks.map(|_| ask(client, wish, task, body.clone()));
        let outcomes: Vec<_> = asks.buffer_unordered(wish.at_once.max(1)).try_collect().await?;
        let samples = outcomes.into_iter();
        let samples = samples.map(|Outcome { text, tokens, .. }| Sample { text, tokens });
        sampled.push(SampledTask { answer: task.answer.clone(), samples: samples.collect() });
    }
    Ok(sampled)
}

/// Returns the request for the answer to a task by an approach.
fn request_body(wish: &Measure, approach: &str, task: &Task) -> Value {
    let mut body = json!({
        "model": wish.model, "optillm_approach": approach, "x_optimizer": true,
        "messages": [{"role": "user", "content": task.question}],
    });
    if let Some(most) = wish.max_tokens {
        body["max_tokens"] = most.into();
    }
    body
}

/// Asks for the answer to a task, and returns what came of it.
async fn ask(client: &Client, wish: &Measure, task: &Task, body: Value) -> anyhow::Result<Outcome> {
    let started = Instant::now();
    let url = format!("{}/chat/completions", wish.url.trim_end_matches('/'));
    let answered = client.post(url).bearer_auth(&wish.key).json(&body).send().await;
    let answered = answered.context("the host does not answer")?;
    let status = answered.status();
    let answer: Value = answered.json().await.context("the answer is no JSON")?;
    // A model that answers nothing of use is wrong; a request that cannot be so is a mistake.
    if status.is_client_error() {
        bail!("{}: {status}: {}", body["optillm_approach"], answer["error"]["message"]);
    }
    let text = answer["choices"][0]["message"]["content"].as_str().unwrap_or_default();
    let report = &answer["x_optimizer"];
    Ok(Outcome {
        is_right: optimizer::is_same_answer(text, &task.answer),
        text: text.to_owned(),
        calls: report["calls"].as_u64().unwrap_or(1),
        tokens: answer["usage"]["total_tokens"].as_u64().unwrap_or_default(),
        cost: report["cost"].as_f64().unwrap_or_default(),
        took: started.elapsed(),
    })
}
