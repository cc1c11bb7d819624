//! How the model is to write, within what Converse and the model's family take.

use super::body::Inference;
use crate::family::{Family, Samplers};
use pipe_sdk::{Body, PipeError, Result};

/// The settings of this chat; `None` if it has none.
pub fn of<'a>(body: &'a Body, family: &Family) -> Result<Option<Inference<'a>>> {
    let (temperature, top_p) = samplers(body, family.samplers);
    let inference = Inference {
        max_tokens: most_tokens(body)?,
        temperature,
        top_p,
        stop_sequences: body
            .stop
            .iter()
            .map(String::as_str)
            .filter(|s| !s.trim().is_empty())
            .collect(),
    };
    Ok((inference != Inference::default()).then_some(inference))
}

fn most_tokens(body: &Body) -> Result<Option<u32>> {
    let field =
        if body.max_completion_tokens.is_some() { "max_completion_tokens" } else { "max_tokens" };
    match body.most_tokens() {
        Some(0) => Err(PipeError::bad_field(field, format!("{field} must be at least 1"))),
        // Bedrock counts in 31 bits; a client that asks for more means "no limit".
        most => Ok(most.map(|most| u32::try_from(most).unwrap_or(u32::MAX).min(i32::MAX as u32))),
    }
}

/// OpenAI's temperature goes up to 2, Converse's up to 1.
fn samplers(body: &Body, taken: Samplers) -> (Option<f64>, Option<f64>) {
    let within = |number: Option<f64>| number.map(|number| number.clamp(0.0, 1.0));
    let (temperature, top_p) = (within(body.temperature), within(body.top_p));
    match taken {
        Samplers::Both => (temperature, top_p),
        Samplers::One if temperature.is_some() => (temperature, None),
        Samplers::One => (None, top_p),
        Samplers::None => (None, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(body: &Body, model: &str) -> String {
        serde_json::to_string(&of(body, &Family::of(model)).unwrap()).unwrap()
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
        assert_eq!(written(&body, "x"), r#"{"stopSequences":["END"]}"#);
    }

    #[test]
    fn no_tokens_at_all_are_refused_and_too_many_are_the_most() {
        let none = Body { max_tokens: Some(0), ..Body::default() };
        let error = of(&none, &Family::of("x")).unwrap_err();
        assert!(matches!(error, PipeError::BadRequest { param: Some(p), .. } if p == "max_tokens"));
        let many = Body { max_completion_tokens: Some(1 << 40), ..Body::default() };
        assert_eq!(written(&many, "x"), r#"{"maxTokens":2147483647}"#);
    }
}
