//! The approach `z3`: the model writes a script of constraints, Z3 solves it, and the model answers
//! with the result.

use super::Outcome;
use crate::{
    ask::{ModelRequest, Role},
    engine::Branch,
    question::Question,
    z3::solve_script,
};
use pipe_sdk::Result;

/// The number of times that a script is repaired.
const MAX_REPAIRS: usize = 2;

const SCRIPT_PROMPT: &str = "Decide whether a solver for constraints (SMT: integers, reals, booleans, bit vectors, arrays, optimisation) can settle this question or a \
                     part of it. If so, reply with one fenced block of SMT-LIB 2 that declares and asserts all that is known, and that ends with \
                     (check-sat) and (get-value (…)) or (get-model). Use maximize and minimize for optima. If not, reply with the one word NONE.";

/// Solves the question's constraints, and lets the model answer with the result.
pub(super) async fn z3(branch: &Branch, question: &Question) -> Result<Outcome> {
    branch.begin_stage("Writing constraints");
    let plain = || Outcome::Request(ModelRequest::for_answer(question.conversation()));
    let write = ModelRequest {
        max_tokens: Some(4096),
        ..ModelRequest::for_short_reply(Role::Planner, question.with_draft_and_text(SCRIPT_PROMPT))
    };
    let Ok(first) = branch.ask(write).await else { return Ok(plain()) };
    let Some(mut script) = extract_script(&first.text()).map(str::to_owned) else {
        return Ok(plain());
    };
    for attempt in 0..=MAX_REPAIRS {
        branch.begin_stage("Solving");
        let fault = match solve_script(&script).await {
            Ok(result) => {
                branch.begin_stage("Writing the answer");
                let text = format!(
                    "A solver was asked about this. Its script and its result stand below. Give the answer for the person, who has seen neither; say \
                     so if the result leaves the question open.\n\n{}\n\n{}",
                    question.fence("script", &script),
                    question.fence("result", &result)
                );
                return Ok(Outcome::Request(
                    ModelRequest::for_answer(question.with_text(&text)).with_temperature(0.1),
                ));
            }
            Err(fault) => fault,
        };
        branch.engine.log().add_note(&format!("the solver refused a script: {fault}"));
        if attempt == MAX_REPAIRS {
            break;
        }
        branch.begin_stage("Mending constraints");
        let text = format!(
            "{SCRIPT_PROMPT}\n\nThis script did not work:\n{}\nThe solver said:\n{}",
            question.fence("script", &script),
            question.fence("error", &fault)
        );
        let mend = ModelRequest {
            max_tokens: Some(4096),
            ..ModelRequest::for_short_reply(Role::Planner, question.with_text(&text))
        };
        match branch
            .ask(mend)
            .await
            .ok()
            .and_then(|reply| extract_script(&reply.text()).map(str::to_owned))
        {
            Some(mended) => script = mended,
            None => break,
        }
    }
    Ok(plain())
}

/// Returns the first block of SMT-LIB in a reply.
fn extract_script(reply: &str) -> Option<&str> {
    let (_, rest) = reply.split_once("```")?;
    let (block, _) = rest.split_once("```")?;
    let (first, rest) = block.split_once('\n')?;
    let script = if first.trim_start().starts_with(['(', ';']) { block } else { rest };
    script.contains('(').then_some(script.trim())
}

#[cfg(test)]
mod tests {
    use super::extract_script;

    #[test]
    fn a_script_is_found_in_its_block() {
        assert_eq!(extract_script("Yes:\n```smt2\n(check-sat)\n```"), Some("(check-sat)"));
        assert_eq!(extract_script("```\n(check-sat)\n```"), Some("(check-sat)"));
        assert_eq!(extract_script("NONE"), None);
    }
}
