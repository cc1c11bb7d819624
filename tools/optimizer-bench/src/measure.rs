//! Asks tasks of a running host, and reports how many answers are right, and what they cost.

use crate::{
    Measure,
    tasks::{self, Task},
};
use anyhow::{Context, bail};
use futures_util::{StreamExt, TryStreamExt, stream};
use reqwest::Client;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// The result of one question.
struct Outcome {
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
    println!(
        "{:<18} {:>9} {:>7} {:>9} {:>10} {:>9}",
        "approach", "right", "calls", "tokens", "cost", "p50"
    );
    let client = Client::new();
    for approach in &wish.approaches {
        let outcomes = stream::iter(&tasks).map(|task| ask(&client, wish, approach, task));
        let outcomes: Vec<_> = outcomes.buffer_unordered(wish.at_once.max(1)).try_collect().await?;
        let count = outcomes.len().max(1) as f64;
        let right = outcomes.iter().filter(|outcome| outcome.is_right).count();
        let sum = |of: fn(&Outcome) -> f64| outcomes.iter().map(of).sum::<f64>();
        let mut times: Vec<_> = outcomes.iter().map(|outcome| outcome.took).collect();
        times.sort_unstable();
        let middle = times.get(times.len() / 2).copied().unwrap_or_default();
        println!(
            "{approach:<18} {:>8.1}% {:>7.1} {:>9.0} {:>10.6} {:>8.2}s",
            right as f64 / count * 100.0,
            sum(|outcome| outcome.calls as f64) / count,
            sum(|outcome| outcome.tokens as f64) / count,
            sum(|outcome| outcome.cost) / count,
            middle.as_secs_f64()
        );
    }
    Ok(())
}

/// Asks a task by an approach, and returns what came of it.
async fn ask(
    client: &Client,
    wish: &Measure,
    approach: &str,
    task: &Task,
) -> anyhow::Result<Outcome> {
    let body = json!({
        "model": wish.model, "optillm_approach": approach, "x_optimizer": true,
        "messages": [{"role": "user", "content": task.question}],
    });
    let started = Instant::now();
    let url = format!("{}/chat/completions", wish.url.trim_end_matches('/'));
    let answered = client.post(url).bearer_auth(&wish.key).json(&body).send().await;
    let answered = answered.context("the host does not answer")?;
    let status = answered.status();
    let answer: Value = answered.json().await.context("the answer is no JSON")?;
    if !status.is_success() {
        bail!("`{approach}`: {status}: {}", answer["error"]["message"]);
    }
    let text = answer["choices"][0]["message"]["content"].as_str().unwrap_or_default();
    let report = &answer["x_optimizer"];
    Ok(Outcome {
        is_right: optimizer::is_same_answer(text, &task.answer),
        calls: report["calls"].as_u64().unwrap_or(1),
        tokens: answer["usage"]["total_tokens"].as_u64().unwrap_or_default(),
        cost: report["cost"].as_f64().unwrap_or_default(),
        took: started.elapsed(),
    })
}
