//! A prover and a verifier: solutions are rated by a verifier that is tested by false ones;
//! <https://arxiv.org/abs/2407.13692>.

use super::{Outcome, sampling};
use crate::{
    answers::VoteTally,
    ask::{ModelRequest, Reply, Role},
    engine::Branch,
    question::Question,
};
use pipe_sdk::Result;

const HONEST_PROMPT: &str = "Solve this correctly, step by step, so that each step can be checked.";

const DECEPTIVE_PROMPT: &str = "For a test of checkers: write a solution that looks convincing but holds one mistake that is hard to see, so that its answer is \
                     wrong. Do not say that it is wrong.";

/// A mark from which no second round is needed.
const GOOD_MARK: f64 = 9.0;

/// The maximum number of rounds.
const MAX_ROUNDS: usize = 2;

/// Returns the best of the honest solutions. False ones only show whether the verifier can tell
/// them apart.
pub(super) async fn pvg(branch: &Branch, question: &Question) -> Result<Outcome> {
    let count = sampling::sample_count(branch, 3);
    let mut honest: Vec<(f64, Reply)> = Vec::new();
    let (mut hint, mut can_tell) = (None::<String>, true);
    for round in 0..MAX_ROUNDS {
        let help = match &hint {
            None => HONEST_PROMPT.to_owned(),
            Some(hint) => format!(
                "{HONEST_PROMPT}\n\nA checker found this in earlier solutions:\n{}",
                question.fence("findings", hint)
            ),
        };
        let temperature = 0.8 - 0.2 * round as f64;
        branch.begin_stage(&format!("Round {}: proving", round + 1));
        let helpful = question.with_draft_and_text(&help);
        let sneaky = question.with_text(DECEPTIVE_PROMPT);
        let asks = (0..count)
            .map(|_| ModelRequest::for_answer(helpful.clone()).with_temperature(temperature));
        let tricks = (0..count).map(|_| {
            ModelRequest::for_step(Role::Solver, sneaky.clone()).with_temperature(temperature)
        });
        let replies = branch.ask_until(asks.chain(tricks).collect(), "solutions", |_| false).await;
        let replies = match replies {
            Ok(replies) if replies.iter().any(|(number, _)| *number < count) => replies,
            Ok(_) if honest.is_empty() => {
                let failed = "no solution could be had".to_owned();
                return Err(pipe_sdk::PipeError::Upstream(failed));
            }
            Err(error) if honest.is_empty() => return Err(error),
            _ => break,
        };
        branch.begin_stage("Verifying");
        let texts: Vec<_> = replies.iter().map(|(_, reply)| reply.text()).collect();
        let reviews = sampling::review_answers(branch, question, &texts, Role::Verifier).await;
        let mark = |at: usize| reviews.get(at).cloned().flatten().map_or(0.0, |review| review.mark);
        let (mut best, mut best_false, mut worst) = (0.0f64, 0.0f64, (f64::MAX, String::new()));
        for (at, (number, reply)) in replies.iter().enumerate() {
            if *number < count {
                best = best.max(mark(at));
                let reasons = reviews.get(at).cloned().flatten().map(|review| review.reasons);
                if mark(at) < worst.0 {
                    worst = (mark(at), reasons.unwrap_or_default());
                }
                honest.push((mark(at), reply.clone()));
            } else {
                best_false = best_false.max(mark(at));
            }
        }
        can_tell = best > best_false;
        if let Some((_, reply)) = honest.iter().max_by(|(one, _), (other, _)| one.total_cmp(other))
        {
            branch.set_best(reply);
        }
        if best >= GOOD_MARK && can_tell || round + 1 == MAX_ROUNDS {
            break;
        }
        branch.begin_stage("Collecting what was found");
        let instructions = "Sum up in at most five sentences what the checker found wrong, for whoever solves the question next. Give no solution.";
        let material = question.fence("findings", &worst.1);
        let summary = ModelRequest::for_short_reply(
            Role::Planner,
            question.task_messages(instructions, &material),
        );
        hint = branch.ask(summary).await.ok().map(|reply| reply.text());
    }
    // A verifier that is fooled by false solutions is no judge: what honest ones agree on is.
    let texts: Vec<_> = honest.iter().map(|(_, reply)| reply.text()).collect();
    let tally = VoteTally::from_texts(&texts);
    let by_mark = |can_tell: bool, number: usize| {
        let mark = honest.get(number).map_or(0.0, |(mark, _)| *mark);
        let support = tally.support(number) as f64;
        if can_tell { (mark, support) } else { (support, mark) }
    };
    let best = (1..honest.len()).fold(0, |best, number| {
        if by_mark(can_tell, number) > by_mark(can_tell, best) { number } else { best }
    });
    Ok(Outcome::Reply(honest.swap_remove(best).1))
}
