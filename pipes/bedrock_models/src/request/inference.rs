//! Builds the inference parameters, within the bounds of Converse and the model's family.

use super::{body::Inference, extra_fields::ExtraFields, reasoning::Reasoning};
use crate::family::{Family, Samplers, TopK};
use pipe_sdk::{Body, PipeError, Result};
use serde_json::{Map, Value, json};

/// The largest number of stop sequences.
const MAX_STOP_SEQUENCES: usize = 2500;

/// Returns the settings of this chat; `None` if it has none.
pub fn config<'a>(
    body: &'a Body,
    family: &Family,
    reasoning: &Reasoning,
) -> Result<Option<Inference<'a>>> {
    let max_tokens = max_answer_tokens(body, family, reasoning)?;
    let max_tokens = max_tokens.filter(|_| !reasoning.is_unlimited);
    let (temperature, top_p) =
        if reasoning.is_unlimited { (None, None) } else { samplers(body, family, reasoning) };
    if body.stop.len() > MAX_STOP_SEQUENCES {
        return Err(PipeError::bad_field(
            "stop",
            format!("stop: send {MAX_STOP_SEQUENCES} texts at most"),
        ));
    }
    let stop = body.stop.iter().map(String::as_str);
    let inference = Inference {
        max_tokens,
        temperature,
        top_p,
        stop_sequences: stop.filter(|text| accepts_stop_sequence(family, text)).collect(),
    };
    Ok((inference != Inference::default()).then_some(inference))
}

/// Returns the stop sequences of this chat that the family does not accept.
pub fn unsent_stop_sequences(body: &Body, family: &Family) -> Vec<String> {
    body.stop.iter().filter(|text| !accepts_stop_sequence(family, text)).cloned().collect()
}

/// Returns whether a stop sequence can be sent. Claude alone refuses what is only blank.
fn accepts_stop_sequence(family: &Family, text: &str) -> bool {
    family.stop_sequences
        && !text.is_empty()
        && (family.blank_stop_sequences || !text.trim().is_empty())
}

/// Returns the limit that is asked for in place of the client's, if the model does not write as
/// much.
pub fn reduced_max_tokens(body: &Body, family: &Family) -> Option<u32> {
    let is_over =
        body.max_answer_tokens().is_some_and(|most| most > u64::from(family.max_tokens_limit));
    is_over.then_some(family.max_tokens_limit)
}

/// Adds `top_k`, for which Converse has no field of its own.
pub fn top_k(
    extras: ExtraFields<'_>,
    family: &Family,
    reasoning: &Reasoning,
    fields: &mut Map<String, Value>,
) -> Result<()> {
    let Some(top_k) = extras.whole_number("top_k")? else { return Ok(()) };
    let sampled = family.samplers != Samplers::None
        && !(reasoning.is_on && family.signed_reasoning)
        && !reasoning.is_unlimited;
    match family.top_k {
        TopK::Field(name) if sampled => _ = fields.insert(name.into(), top_k.into()),
        TopK::Nova if sampled => {
            fields.insert("inferenceConfig".into(), json!({"topK": top_k.clamp(1, 128)}));
        }
        TopK::Field(_) | TopK::Nova | TopK::Unsupported => {}
    }
    Ok(())
}

fn max_answer_tokens(body: &Body, family: &Family, reasoning: &Reasoning) -> Result<Option<u32>> {
    let field =
        if body.max_completion_tokens.is_some() { "max_completion_tokens" } else { "max_tokens" };
    match reasoning.max_answer_tokens(body.max_answer_tokens()) {
        Some(0) => Err(PipeError::bad_field(field, format!("{field} must be at least 1"))),
        // A client that asks for more than the model writes means "no limit". Bedrock counts in 31
        // bits.
        most => Ok(most.map(|most| {
            u32::try_from(most)
                .unwrap_or(u32::MAX)
                .clamp(family.min_tokens, family.max_tokens_limit.max(family.min_tokens))
        })),
    }
}

/// Returns `temperature` and `topP`, as far as the model accepts them. OpenAI's temperature goes up
/// to 2, Converse's up to 1.
fn samplers(body: &Body, family: &Family, reasoning: &Reasoning) -> (Option<f64>, Option<f64>) {
    let clamp = |number: Option<f64>| number.map(|number| number.clamp(0.0, 1.0));
    let (temperature, top_p) = (clamp(body.temperature), clamp(body.top_p));
    // Claude that thinks takes only what nearly_one differs from nothing.
    let nearly_one = top_p.filter(|top_p| *top_p >= 0.95);
    match family.samplers {
        Samplers::None => (None, None),
        Samplers::NotWhileReasoning if reasoning.excludes_sampling => (None, None),
        Samplers::Both if reasoning.is_on && family.signed_reasoning => (None, nearly_one),
        Samplers::One if reasoning.is_on => (None, nearly_one),
        Samplers::Both | Samplers::NotWhileReasoning => (temperature, top_p),
        Samplers::One if temperature.is_some() => (temperature, None),
        Samplers::One => (None, top_p),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(body: &Body, model: &str) -> String {
        let (family, reasoning) = (Family::from_model_id(model), Reasoning::default());
        serde_json::to_string(&config(body, &family, &reasoning).unwrap()).unwrap()
    }

    #[test]
    fn a_family_gets_the_samplers_that_it_takes() {
        let body = Body { temperature: Some(1.7), top_p: Some(0.5), ..Body::default() };
        for (model, json) in [
            ("anthropic.claude-3-haiku-20240307-v1:0", r#"{"temperature":1.0,"topP":0.5}"#),
            ("anthropic.claude-haiku-4-5-20251001-v1:0", r#"{"temperature":1.0}"#),
            ("anthropic.claude-opus-4-8", "null"),
        ] {
            assert_eq!(written(&body, model), json, "{model}");
        }
    }

    #[test]
    fn blank_stop_texts_are_dropped() {
        let body =
            Body { stop: vec![" \n".into(), "END".into(), String::new()], ..Body::default() };
        assert_eq!(written(&body, "anthropic.claude-3"), r#"{"stopSequences":["END"]}"#);
        assert_eq!(written(&body, "x"), r#"{"stopSequences":[" \n","END"]}"#);
    }

    #[test]
    fn no_tokens_at_all_are_refused_and_too_many_are_the_most() {
        let none = Body { max_tokens: Some(0), ..Body::default() };
        let error = config(&none, &Family::from_model_id("x"), &Reasoning::default()).unwrap_err();
        assert!(matches!(error, PipeError::BadRequest { param: Some(p), .. } if p == "max_tokens"));
        let many = Body { max_completion_tokens: Some(1 << 40), ..Body::default() };
        assert_eq!(written(&many, "x"), r#"{"maxTokens":2147483647}"#);
    }

    #[test]
    fn some_families_want_room_for_a_few_words() {
        let few = Body { max_tokens: Some(5), ..Body::default() };
        assert_eq!(written(&few, "openai.gpt-6-sol"), r#"{"maxTokens":16}"#);
        assert_eq!(written(&few, "openai.gpt-oss-20b-1:0"), r#"{"maxTokens":5}"#);
    }
}
