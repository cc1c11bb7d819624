//! Approaches that search: a tree of answers, and lines of reasoning that are checked against each
//! other.

use super::{Outcome, sampling};
use crate::{
    answers::{VoteTally, extract_answer},
    ask::{ModelRequest, Reply, Role},
    engine::Branch,
    question::Question,
};
use futures_util::future::join_all;
use pipe_sdk::{PipeError, Result};

/// An answer in the tree.
struct SearchNode {
    parent: Option<usize>,
    depth: usize,
    reply: Reply,
    mark: f64,
    reasons: String,
    /// The number of ratings of the node and of those below it.
    visits: f64,
    /// The sum of these ratings.
    total: f64,
}

/// The number of answers that a tree begins with, and of those improved at once.
const INITIAL_ANSWERS: usize = 3;

/// A mark that makes further work needless.
const EXCELLENT_MARK: f64 = 9.5;

/// Runs the approach `mcts`, a tree search over answers: each is rated, and the most promising ones
/// are improved. The answer with the best mark is returned.
pub(super) async fn mcts(branch: &Branch, question: &Question) -> Result<Outcome> {
    let parameters = &branch.engine.parameters;
    let replies = sampling::sample(branch, question, INITIAL_ANSWERS).await?;
    let mut tree = Vec::new();
    expand_tree(
        branch,
        question,
        &mut tree,
        replies.into_iter().map(|reply| (None, reply)).collect(),
    )
    .await;
    let mut remaining = parameters.simulations;
    while remaining > 0 && !tree.iter().any(|node| node.mark >= EXCELLENT_MARK) {
        let mut chosen = Vec::new();
        for _ in 0..remaining.min(INITIAL_ANSWERS) {
            let open = (0..tree.len()).filter(|number| tree[*number].depth < parameters.tree_depth);
            let Some(number) = select_node(&tree, open, parameters.exploration) else { break };
            // Until its mark is there, it counts as a visit that brought nothing, so that the
            // others are tried, too.
            tree[number].visits += 1.0;
            chosen.push(number);
        }
        if chosen.is_empty() {
            break;
        }
        remaining -= chosen.len();
        branch.begin_stage("Improving answers");
        let asks = chosen.iter().map(|number| improvement_request(question, &tree[*number]));
        let improved = branch.ask_until(asks.collect(), "improvements", |_| false).await;
        for number in &chosen {
            tree[*number].visits -= 1.0;
        }
        let Ok(improved) = improved else { break };
        let improved = improved.into_iter().filter(|(_, reply)| !reply.is_truncated());
        let improved = improved.map(|(at, reply)| (chosen.get(at).copied(), reply)).collect();
        expand_tree(branch, question, &mut tree, improved).await;
    }
    let best = (1..tree.len())
        .fold(0, |best, number| if tree[number].mark > tree[best].mark { number } else { best });
    Ok(Outcome::Reply(tree.swap_remove(best).reply))
}

/// Rates these answers and adds them to the tree.
async fn expand_tree(
    branch: &Branch,
    question: &Question,
    tree: &mut Vec<SearchNode>,
    replies: Vec<(Option<usize>, Reply)>,
) {
    branch.begin_stage("Judging");
    let texts: Vec<_> = replies.iter().map(|(_, reply)| reply.text()).collect();
    let reviews = sampling::review_answers(branch, question, &texts, Role::Judge).await;
    for ((parent, reply), review) in replies.into_iter().zip(reviews) {
        let (mark, reasons) =
            review.map_or((0.0, String::new()), |review| (review.mark, review.reasons));
        let depth = parent.map_or(0, |parent| tree[parent].depth + 1);
        if tree.iter().all(|node| node.mark < mark) {
            branch.set_best(&reply);
        }
        tree.push(SearchNode {
            parent,
            depth,
            reply,
            mark,
            reasons,
            visits: 1.0,
            total: mark / 10.0,
        });
        let mut above = parent;
        while let Some(number) = above {
            tree[number].visits += 1.0;
            tree[number].total += mark / 10.0;
            above = tree[number].parent;
        }
    }
}

/// Returns the node with the highest upper confidence bound.
fn select_node(
    tree: &[SearchNode],
    open: impl Iterator<Item = usize>,
    exploration: f64,
) -> Option<usize> {
    let all: f64 = tree.iter().map(|node| node.visits).sum();
    let bound = |number: usize| {
        let node = &tree[number];
        node.total / node.visits + exploration * ((all + 1.0).ln() / node.visits).sqrt()
    };
    open.fold(None, |best: Option<(usize, f64)>, number| match best {
        Some((_, most)) if most >= bound(number) => best,
        _ => Some((number, bound(number))),
    })
    .map(|(number, _)| number)
}

fn improvement_request(question: &Question, node: &SearchNode) -> ModelRequest {
    let review = match node.reasons.as_str() {
        "" => String::new(),
        reasons => format!("\n\n{}", question.fence("review", reasons)),
    };
    let text = format!(
        "An attempt at this stands below{}. Find its weakest point, and give a better answer, complete in itself. Answer the person as if there \
         were no attempt.\n\n{}{review}",
        if review.is_empty() { "" } else { " with a review, which may be wrong" },
        question.fence("attempt", &node.reply.text()),
    );
    ModelRequest::for_answer(question.with_text(&text)).with_temperature(0.8)
}

/// The next step of a line of reasoning.
const ACTION_PROMPTS: [&str; 5] = [
    "Do the next single step of a solution, and nothing more.",
    "Do all the remaining steps of a solution.",
    "Ask the one sub-question whose answer helps most now, and answer it.",
    "Take the last step again with more care: spell out each part of its reasoning, and correct it where it is wrong. Then go on.",
    "Say the problem again in your own words, with all its conditions as a list. Then do the first step.",
];

const FINISH_PROMPT: &str =
    "If that answers the problem, end with one line of the form\nFinal answer: <the answer>";

/// Runs the approach `rstar`: several lines of reasoning side by side. An answer is checked by
/// whether another completion of its first half has the same result; *Mutual Reasoning Makes
/// Smaller LLMs Stronger Problem-Solvers*, <https://arxiv.org/abs/2408.06195>.
pub(super) async fn rstar(branch: &Branch, question: &Question) -> Result<Outcome> {
    let count = sampling::sample_count(branch, 5);
    branch.begin_stage(&format!("{count} lines of reasoning"));
    let forks: Vec<_> = (0..count).map(|_| branch.fork()).collect();
    let lines =
        forks.iter().enumerate().map(|(number, fork)| reason_in_steps(fork, question, number));
    let lines = join_all(lines).await;
    branch.join(&forks);
    let mut failure = None;
    let lines: Vec<_> = lines
        .into_iter()
        .filter_map(|line| line.map_err(|error| failure = Some(error)).ok())
        .collect();
    if lines.is_empty() {
        let nobody = || PipeError::Upstream("no line of reasoning came to an end".into());
        return Err(failure.unwrap_or_else(nobody));
    }
    let joined: Vec<_> = lines.iter().map(|steps| steps.join("\n\n")).collect();
    let mut tally = VoteTally::from_texts(&joined);
    // One line of each answer is completed again.
    let mut checked: Vec<usize> = Vec::new();
    for (number, text) in joined.iter().enumerate() {
        let Some(value) = extract_answer(text) else { continue };
        let is_known = |other: &usize| {
            joined
                .get(*other)
                .and_then(|text| extract_answer(text))
                .is_some_and(|other| other.is_same(&value))
        };
        if checked.len() < 4 && !checked.iter().any(is_known) {
            checked.push(number);
        }
    }
    if checked.len() > 1 {
        branch.begin_stage("Checking answers");
        let asks = checked.iter().filter_map(|number| {
            let steps = lines.get(*number)?;
            let half = steps.get(..steps.len().div_ceil(2))?.join("\n\n");
            // A line of one step is cut within it.
            let half = if steps.len() == 1 { first_half(&half) } else { half };
            let text = format!(
                "The first part of a solution stands below. Complete it, and end with one line of the form\nFinal answer: <the answer>\n\n{}",
                question.fence("part", &half)
            );
            Some(ModelRequest::for_step(Role::Verifier, question.with_text(&text)).with_temperature(0.2))
        });
        let completions = branch.ask_until(asks.collect(), "checks", |_| false).await;
        for (at, completion) in completions.unwrap_or_default() {
            let Some(number) = checked.get(at) else { continue };
            let same = extract_answer(&completion.text())
                .zip(joined.get(*number).and_then(|text| extract_answer(text)))
                .is_some_and(|(one, other)| one.is_same(&other));
            if same && let Some(text) = joined.get(*number) {
                // Each line that agrees with a confirmed answer counts twice.
                for _ in 0..tally.support(*number) {
                    tally.add_vote(joined.len() + at, text, 1.0);
                }
            }
        }
    }
    let chosen = tally.winners().iter().find(|number| **number < joined.len());
    let chosen = chosen.and_then(|number| joined.get(*number)).or(joined.first());
    let chosen = chosen.cloned().unwrap_or_default();
    branch.set_best(&Reply::from_text(chosen.clone()));
    branch.begin_stage("Writing the answer");
    let text = format!(
        "A solution to this stands below; several others came to the same. Give the answer with as much of the solution as the person needs, as \
         if it were your own.\n\n{}",
        question.fence("solution", &chosen)
    );
    Ok(Outcome::Request(ModelRequest::for_answer(question.with_text(&text)).with_temperature(0.2)))
}

/// Reasons step by step until an answer is there.
async fn reason_in_steps(
    branch: &Branch,
    question: &Question,
    number: usize,
) -> Result<Vec<String>> {
    let depth = branch.engine.parameters.rstar_depth;
    let mut steps: Vec<String> = Vec::new();
    for at in 0..depth {
        // Each line begins in another way; the last step has to finish.
        let action = if at + 1 == depth {
            ACTION_PROMPTS[1]
        } else {
            ACTION_PROMPTS[(number + at * 2) % ACTION_PROMPTS.len()]
        };
        let text = match steps.as_slice() {
            [] => format!("{action}\n{FINISH_PROMPT}"),
            steps => {
                let so_far = question.fence("solution so far", &steps.join("\n\n"));
                format!("{so_far}\n\n{action} Do not repeat what stands there.\n{FINISH_PROMPT}")
            }
        };
        let reply = branch
            .ask(
                ModelRequest::for_step(Role::Solver, question.with_draft_and_text(&text))
                    .with_temperature(0.8),
            )
            .await?;
        let step = reply.text();
        let is_done = step.to_ascii_lowercase().contains("final answer");
        steps.push(step);
        if is_done {
            break;
        }
    }
    Ok(steps)
}

/// Returns the first half of a text.
fn first_half(text: &str) -> String {
    let letters = text.chars().count();
    text.chars().take(letters.div_ceil(2)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(mark: f64, visits: f64) -> SearchNode {
        SearchNode {
            parent: None,
            depth: 0,
            reply: Reply::default(),
            mark,
            reasons: String::new(),
            visits,
            total: mark / 10.0 * visits,
        }
    }

    #[test]
    fn the_better_answer_is_improved_first_and_the_untried_one_next() {
        let mut tree = vec![node(2.0, 1.0), node(9.0, 1.0), node(5.0, 1.0)];
        assert_eq!(select_node(&tree, 0..3, 0.5), Some(1));
        tree[1].visits += 3.0;
        assert_eq!(select_node(&tree, 0..3, 0.5), Some(2));
        assert_eq!(select_node(&tree, 0..0, 0.5), None);
    }
}
