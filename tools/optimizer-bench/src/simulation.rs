//! Simulates a model and a judge that are right with given probabilities, and compares what an
//! approach makes of them with what arithmetic expects.

use optimizer::{Optimizer, OptimizerValves};
use pipe_sdk::{
    Body, Call, Chunk, ChunkStream, FinishReason, Hints, Message, Pipe, Role, testing::ScriptedHost,
};
use std::sync::{Arc, Mutex, PoisonError};

/// The share of right answers.
#[derive(Clone, Copy, Debug)]
pub struct Model {
    /// A sampled answer.
    pub accuracy: f64,
    /// The share of a judge's marks and preferences that are right.
    pub judge: f64,
}

/// The measured figures.
#[derive(Clone, Copy, Debug)]
pub struct SimulationResult {
    /// The share of right answers.
    pub right: f64,
    /// The number of calls a question.
    pub calls: f64,
}

/// The approaches that only models take part in.
pub const APPROACHES: [&str; 19] = [
    "none",
    "re2",
    "cot_reflection",
    "autothink",
    "self_consistency",
    "majority_voting",
    "router",
    "bon",
    "genselect",
    "moa",
    "mcts",
    "rstar",
    "rto",
    "plansearch",
    "leap",
    "pvg",
    "cepo",
    "mars",
    "deepthink",
];

const RIGHT: &str = "The answer is 42.";

/// Asks the simulated model so often.
///
/// # Errors
/// If the approach gives no answer.
pub async fn run(
    approach: &str,
    model: Model,
    trials: usize,
    seed: u64,
) -> anyhow::Result<SimulationResult> {
    let chance = Arc::new(Mutex::new(fastrand::Rng::with_seed(seed)));
    let behave = move |call: Call| {
        let prompt = call.body.messages.iter().map(Message::text).collect::<Vec<_>>().join("\n");
        let mut chance = chance.lock().unwrap_or_else(PoisonError::into_inner);
        let text = reply(&prompt, model, &mut chance);
        let chunks = [Chunk::Content(text), Chunk::Finish(FinishReason::Stop)];
        std::future::ready(Ok(ChunkStream::from_chunks(chunks)))
    };
    let host = ScriptedHost::new().behaves("simulated.model", behave);
    let pipe = Arc::new(Optimizer::on_startup(OptimizerValves::default()).await?);
    let mut right = 0;
    for _ in 0..trials {
        let name = format!("{approach}-simulated.model");
        let call = Call {
            model: name.clone(),
            body: Body::new(name, vec![Message::new(Role::User, "What is six times seven?")]),
            user: None,
            chat: pipe_sdk::ChatRef::default().into(),
            hints: Hints::default(),
            host: host.host(),
        };
        let answer = Arc::clone(&pipe).pipe(call).await?.fold().await?;
        right += usize::from(optimizer::is_same_answer(&answer.content, RIGHT));
    }
    let trials = trials.max(1) as f64;
    Ok(SimulationResult { right: right as f64 / trials, calls: host.calls().len() as f64 / trials })
}

/// Returns the reply of the simulated model. Wrong answers differ from each other.
fn reply(prompt: &str, model: Model, chance: &mut fastrand::Rng) -> String {
    let is_good = |chance: &mut fastrand::Rng, share: f64| chance.f64() < share;
    if prompt.contains("Score: <a number") {
        let is_praised = prompt.contains(RIGHT) == is_good(chance, model.judge);
        return format!("Score: {}", if is_praised { 9 } else { 3 });
    }
    if prompt.contains("Best: <the number") {
        let candidates: Vec<_> = prompt.split("<<<candidate ").skip(1).collect();
        let right = candidates.iter().position(|text| text.contains(RIGHT));
        let wrong: Vec<_> = (0..candidates.len()).filter(|number| Some(*number) != right).collect();
        let best = match right {
            Some(right) if is_good(chance, model.judge) || wrong.is_empty() => right,
            _ => wrong.get(chance.usize(0..wrong.len())).copied().unwrap_or_default(),
        };
        return format!("Best: {}", best + 1);
    }
    if prompt.contains("Verdict: <CORRECT") {
        let is_right = prompt.contains(RIGHT) == is_good(chance, model.judge);
        return format!("Verdict: {}", if is_right { "CORRECT" } else { "INCORRECT" });
    }
    if let Some((_, reply)) = STEPS.iter().find(|(part, _)| prompt.contains(part)) {
        return (*reply).into();
    }
    let share = if prompt.contains("looks convincing") {
        0.0
    } else if prompt.contains(RIGHT) {
        // Whoever sees a right answer among others keeps it as often as a judge knows it.
        model.judge
    } else if prompt.contains("Several attempts") {
        // Whoever mixes can only use what is there.
        0.0
    } else {
        model.accuracy
    };
    if is_good(chance, share) {
        return RIGHT.into();
    }
    format!("The answer is {}.", chance.u32(1000..))
}

/// Parts of prompts for steps that have no answer, and the replies to them.
const STEPS: [(&str, &str); 8] = [
    ("Write no answer of your own", "Fine."),
    ("give no answer yet", "1. Multiply."),
    ("Write no code and no solution", "- It is a product."),
    ("Reply with a JSON", "[]"),
    ("You choose how a request is worked on", "VOTE"),
    ("You sort requests by how much", "LOW"),
    ("Write no code", "Multiply six by seven."),
    ("reasoning below", "1. Multiply."),
];

/// Returns the expected share of right answers, for approaches for which it can be said in a line.
pub fn expected(approach: &str, Model { accuracy: p, judge: j }: Model) -> Option<f64> {
    let of = |n: i32, right: i32| choose(n, right) * p.powi(right) * (1.0 - p).powi(n - right);
    Some(match approach {
        "none" | "re2" | "cot_reflection" | "autothink" => p,
        // Two who agree are right; where all differ, one of them is taken.
        "self_consistency" | "majority_voting" | "router" => {
            let n = if approach == "majority_voting" { 8 } else { 5 };
            (2..=n).map(|right| of(n, right)).sum::<f64>() + of(n, 1) / f64::from(n)
        }
        "bon" => (0..=3).map(|right| of(3, right) * best_of_three(right, j)).sum(),
        "genselect" => of(4, 4) + (1..4).map(|right| of(4, right)).sum::<f64>() * j,
        "moa" => (1.0 - of(3, 0)) * j,
        _ => return None,
    })
}

/// Returns the binomial coefficient.
fn choose(n: i32, k: i32) -> f64 {
    (0..k).map(|at| f64::from(n - at) / f64::from(at + 1)).product()
}

/// Returns the probability that the best of three marks is that of a right answer.
fn best_of_three(right: i32, judge: f64) -> f64 {
    if right == 0 || right == 3 {
        return f64::from(right / 3);
    }
    // The numbers of right and of wrong answers that get the higher mark.
    let wrong = 3 - right;
    let mut share = 0.0;
    for praised in 0..=right {
        for overrated in 0..=wrong {
            let odds = choose(right, praised)
                * judge.powi(praised)
                * (1.0 - judge).powi(right - praised)
                * choose(wrong, overrated)
                * (1.0 - judge).powi(overrated)
                * judge.powi(wrong - overrated);
            let (good, bad) =
                if praised + overrated > 0 { (praised, overrated) } else { (right, wrong) };
            // Of equal marks, what two say goes first; otherwise each is as likely to be the first.
            let wins = if good == 0 {
                0.0
            } else if bad == 0 || right == 2 {
                1.0
            } else {
                f64::from(good) / f64::from(good + bad)
            };
            share += odds * wins;
        }
    }
    share
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn each_approach_gains_what_arithmetic_expects() {
        let trials = 1500;
        for (accuracy, judge) in [(0.4, 0.8), (0.7, 0.6), (0.2, 1.0)] {
            let model = Model { accuracy, judge };
            for approach in APPROACHES {
                let Some(expected) = expected(approach, model) else { continue };
                // The same chance each time, so that this is never red by it.
                let seen = run(approach, model, trials, 7).await.unwrap();
                let spread = (expected * (1.0 - expected) / trials as f64).sqrt();
                let gap = (seen.right - expected).abs();
                assert!(
                    gap <= 4.0 * spread + 1e-9,
                    "{approach} {model:?}: {} in place of {expected}",
                    seen.right
                );
            }
        }
    }

    #[tokio::test]
    async fn no_approach_loses_to_a_single_answer_where_the_judge_is_good() {
        let model = Model { accuracy: 0.5, judge: 0.9 };
        for approach in APPROACHES {
            let seen = run(approach, model, 400, 3).await.unwrap();
            assert!(seen.right > 0.42, "{approach}: {}", seen.right);
        }
    }

    #[test]
    fn what_is_expected_lies_between_none_and_all() {
        for approach in APPROACHES {
            for (accuracy, judge) in [(0.0, 0.5), (1.0, 0.5), (0.5, 1.0)] {
                let expected = expected(approach, Model { accuracy, judge }).unwrap_or_default();
                assert!((0.0..=1.0 + 1e-9).contains(&expected), "{approach}: {expected}");
            }
        }
        let bon = expected("bon", Model { accuracy: 0.5, judge: 1.0 }).unwrap();
        assert!((bon - 0.875).abs() < 1e-9);
    }
}
