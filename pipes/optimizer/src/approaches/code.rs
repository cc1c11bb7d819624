//! Round trip: code, what it does, and code from that alone; <https://arxiv.org/abs/2402.08699>.

use super::Outcome;
use crate::{
    answers::{code_block, is_same_code},
    ask::{ModelRequest, Role},
    engine::Branch,
    question::Question,
};
use pipe_sdk::Result;

/// Runs the approach `rto`: writes code, describes it, and writes it again from the description.
/// The same code is returned; two versions are merged.
pub(super) async fn rto(branch: &Branch, question: &Question) -> Result<Outcome> {
    branch.begin_stage("Writing code");
    let first =
        branch.ask(ModelRequest::for_answer(question.conversation()).with_temperature(0.1)).await?;
    let text = first.text();
    // What is no program cannot go round.
    let Some(code) = code_block(&text) else { return Ok(Outcome::Reply(first)) };
    branch.begin_stage("Describing it");
    let describe = "Write an instruction from which somebody who does not know this code could write it again: what it does, its inputs and outputs, its \
                    names, its language, and how it treats special cases. Write no code.";
    let material = question.fence("code", code);
    let described = branch
        .ask(ModelRequest::for_short_reply(
            Role::Planner,
            question.task_messages(describe, &material),
        ))
        .await;
    let Ok(description) = described else { return Ok(Outcome::Reply(first)) };
    branch.begin_stage("Writing it again");
    let again = "Write the code that is described below, in one fenced block.";
    let material = question.fence("description", &description.text());
    let second = branch
        .ask(
            ModelRequest::for_step(Role::Solver, question.task_messages(again, &material))
                .with_temperature(0.1),
        )
        .await;
    let Ok(second) = second else { return Ok(Outcome::Reply(first)) };
    if is_same_code(&text, &second.text()) {
        return Ok(Outcome::Reply(first));
    }
    branch.begin_stage("Making one of both");
    let text = format!(
        "Two versions of the code stand below; the second was written from a description of the first. Where they differ, one of them is probably \
         wrong. Give the answer with the best code that you can make of both.\n\n{}\n\n{}",
        question.fence("version 1", code),
        question.fence("version 2", code_block(&second.text()).unwrap_or_default())
    );
    Ok(Outcome::Request(ModelRequest::for_answer(question.with_text(&text)).with_temperature(0.1)))
}
