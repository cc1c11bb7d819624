//! Approaches that sample several answers and choose one of them.

use super::{JUDGE_PROMPT, Outcome, format_candidates, reply_texts};
use crate::{
    answers::{VoteTally, find_most_central, parse_score},
    ask::{ModelRequest, Reply, Role},
    engine::Branch,
    question::Question,
};
use pipe_sdk::Result;

/// The temperature of sampled answers where the client sets none.
const SAMPLE_TEMPERATURE: f64 = 0.8;

/// Asks for several answers to the question.
pub(super) async fn sample(
    branch: &Branch,
    question: &Question,
    usual: usize,
) -> Result<Vec<Reply>> {
    let count = sample_count(branch, usual);
    let conversation = question.conversation();
    let asks = (0..count).map(|_| {
        ModelRequest::for_answer(conversation.clone()).with_temperature(SAMPLE_TEMPERATURE)
    });
    branch.begin_stage(&format!("Sampling {count} answers"));
    let replies = branch.ask_all(asks.collect(), "answers").await?;
    Ok(drop_truncated(replies))
}

/// Returns the number of answers to sample.
pub(super) fn sample_count(branch: &Branch, usual: usize) -> usize {
    branch.engine.parameters.samples.unwrap_or(usual).min(branch.engine.valves.max_samples)
}

/// Returns the replies that are not cut off, or all of them if they all are.
pub(super) fn drop_truncated(replies: Vec<Reply>) -> Vec<Reply> {
    if replies.iter().all(Reply::is_truncated) {
        return replies;
    }
    replies.into_iter().filter(|reply| !reply.is_truncated()).collect()
}

const RATE_PROMPT: &str = "Rate how well the candidate answers what the person has asked: whether it is correct, complete, to the point, and as the \
                    person and the instructions want it. Work it out yourself before you believe it. Give two or three sentences of reasons, and \
                    end with one line of the form
Score: <a number from 0 to 10>";

/// Runs the approach `bon`, best of N: several answers, each of which is rated.
pub(super) async fn bon(branch: &Branch, question: &Question) -> Result<Outcome> {
    let replies = sample(branch, question, 3).await?;
    let best = select_best_rated(branch, question, replies).await;
    Ok(Outcome::Reply(best))
}

/// Returns the reply with the best mark; of equal ones, the one that more others agree with. An
/// unreadable mark is ignored.
pub(super) async fn select_best_rated(
    branch: &Branch,
    question: &Question,
    replies: Vec<Reply>,
) -> Reply {
    let texts = reply_texts(&replies);
    let tally = VoteTally::from_texts(&texts);
    let is_agreed = replies.len() > 1 && tally.winner_count() == replies.len();
    let marks = if is_agreed || replies.len() < 2 {
        vec![None; replies.len()]
    } else {
        branch.begin_stage("Judging");
        rate_answers(branch, question, &texts, Role::Judge).await
    };
    let rank = |number: usize| (marks.get(number).copied().flatten(), tally.support(number));
    let best = (1..replies.len()).fold(0, |best, number| {
        let ((mark, support), (most, most_support)) = (rank(number), rank(best));
        let is_better = mark > most || (mark == most && support > most_support);
        if is_better { number } else { best }
    });
    let chosen = replies.into_iter().nth(best).unwrap_or_default();
    branch.set_best(&chosen);
    chosen
}

/// Returns the mark of each text, asked all at once.
async fn rate_answers(
    branch: &Branch,
    question: &Question,
    texts: &[String],
    role: Role,
) -> Vec<Option<f64>> {
    let reviews = review_answers(branch, question, texts, role).await;
    reviews.into_iter().map(|review| Some(review?.mark)).collect()
}

/// The instructions of a judge that rates a text.
#[derive(Clone)]
pub(super) struct AnswerReview {
    /// The mark, from 0 to 10.
    pub mark: f64,
    pub reasons: String,
}

/// Returns a review of each text, asked all at once; `None` for a text without one.
pub(super) async fn review_answers(
    branch: &Branch,
    question: &Question,
    texts: &[String],
    role: Role,
) -> Vec<Option<AnswerReview>> {
    let asks = texts.iter().map(|text| {
        let material =
            format!("{}\n\n{}", question.fenced_conversation(), question.fence("candidate", text));
        ModelRequest::for_short_reply(
            role,
            question.task_messages(&format!("{JUDGE_PROMPT}\n\n{RATE_PROMPT}"), &material),
        )
    });
    let mut reviews = vec![None; texts.len()];
    let replies = branch.ask_until(asks.collect(), "ratings", |_| false).await;
    for (number, reply) in replies.unwrap_or_default() {
        let reasons = reply.text();
        if let Some(review) = reviews.get_mut(number) {
            *review = parse_score(&reasons).map(|mark| AnswerReview { mark, reasons });
        }
    }
    reviews
}

/// Runs a vote of final answers: *Self-Consistency Improves Chain of Thought Reasoning*,
/// <https://arxiv.org/abs/2203.11171>. Once one answer has a majority, the other calls are
/// cancelled.
pub(super) async fn vote(branch: &Branch, question: &Question, usual: usize) -> Result<Outcome> {
    let count = sample_count(branch, usual);
    let conversation = question.conversation();
    let asks = (0..count).map(|_| {
        ModelRequest::for_answer(conversation.clone()).with_temperature(SAMPLE_TEMPERATURE)
    });
    branch.begin_stage(&format!("Sampling {count} answers"));
    let decided = |replies: &[(usize, Reply)]| {
        let texts: Vec<_> = replies.iter().map(|(_, reply)| reply.text()).collect();
        VoteTally::from_texts(&texts).is_decided(count - replies.len())
    };
    let replies = branch.ask_until(asks.collect(), "answers", decided).await?;
    let replies = drop_truncated(replies.into_iter().map(|(_, reply)| reply).collect());
    Ok(Outcome::Reply(select_winner(branch, replies)))
}

/// Returns the winner of a vote: among the replies with the winning answer the one that is most
/// similar to the others.
pub(super) fn select_winner(branch: &Branch, replies: Vec<Reply>) -> Reply {
    let texts = reply_texts(&replies);
    let tally = VoteTally::from_texts(&texts);
    let winners = tally.winners();
    if winners.len() > 1 || replies.len() < 2 {
        branch.engine.log().add_note(&format!(
            "{} of {} answers agree",
            winners.len(),
            replies.len()
        ));
        let first = winners.first().copied().unwrap_or_default();
        return replies.into_iter().nth(first).unwrap_or_default();
    }
    let central = find_most_central(&texts).unwrap_or_default();
    replies.into_iter().nth(central).unwrap_or_default()
}

const SELECT_PROMPT: &str = "Compare the candidates with each other: which of them answers best what the person has asked? What counts, in this order: \
                      correct, complete, clear, useful. Their order says nothing. Where they contradict each other, work out who is right. End \
                      with one line of the form
Best: <the number of the candidate>";

/// Runs the approach `genselect`, generative selection: several answers, which are compared with
/// each other; <https://arxiv.org/abs/2504.16891>.
pub(super) async fn genselect(branch: &Branch, question: &Question) -> Result<Outcome> {
    let mut replies = sample(branch, question, 4).await?;
    let tally = VoteTally::from_texts(&reply_texts(&replies));
    if replies.len() < 2 || tally.winner_count() == replies.len() {
        return Ok(Outcome::Reply(replies.swap_remove(0)));
    }
    // One of several equal answers is kept.
    let mut kept: Vec<Reply> = Vec::new();
    for reply in replies {
        let is_known = kept.iter().any(|one| one.text() == reply.text());
        if !is_known {
            kept.push(reply);
        }
    }
    fastrand::shuffle(&mut kept);
    branch.begin_stage("Comparing");
    let best = match kept.len() {
        1 => 0,
        _ => select_answer(branch, question, &reply_texts(&kept), Role::Judge)
            .await
            .unwrap_or_else(|| {
                let tally = VoteTally::from_texts(&reply_texts(&kept));
                tally.winners().first().copied().unwrap_or_default()
            }),
    };
    let chosen = kept.into_iter().nth(best).unwrap_or_default();
    branch.set_best(&chosen);
    Ok(Outcome::Reply(chosen))
}

/// Returns the number of the text that a judge prefers, if it names one.
pub(super) async fn select_answer(
    branch: &Branch,
    question: &Question,
    texts: &[String],
    role: Role,
) -> Option<usize> {
    let material =
        format!("{}\n\n{}", question.fenced_conversation(), format_candidates(question, texts));
    let ask = ModelRequest::for_short_reply(
        role,
        question.task_messages(&format!("{JUDGE_PROMPT}\n\n{SELECT_PROMPT}"), &material),
    );
    let reply = branch.ask(ask).await.ok()?.text();
    let (_, last) = reply.rsplit_once("Best:").or_else(|| reply.rsplit_once("best:"))?;
    let digits: String =
        last.chars().skip_while(|c| !c.is_ascii_digit()).take_while(char::is_ascii_digit).collect();
    let number: usize = digits.parse().ok()?;
    (1..=texts.len()).contains(&number).then(|| number - 1)
}
