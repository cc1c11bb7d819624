//! Several answers to one request, and what requests cost when they come again.

use super::{ScriptedReply, content, rig, usual_reply};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::timeout;

fn texts(answer: &Value) -> Vec<&str> {
    let choices = answer["choices"].as_array().unwrap();
    for (index, choice) in choices.iter().enumerate() {
        assert_eq!(choice["index"], index, "{answer}");
    }
    choices.iter().map(|choice| choice["message"]["content"].as_str().unwrap()).collect()
}

#[actix_web::test]
async fn several_answers_are_worked_out_at_the_same_time() {
    // Each of the first nine waits for the other eight.
    let script = |prompt: &str, number: usize| match number {
        0..9 => ScriptedReply::Together(9, format!("The answer is {number}.")),
        _ => usual_reply(prompt, number),
    };
    let rig = rig(json!({}), script).await;
    let asked = rig.count_calls("moa-m", json!({"n": 3}));
    let (answered, calls) = timeout(Duration::from_secs(60), asked).await.unwrap();
    assert_eq!((answered.status, calls), (200, 15), "{}", answered.text);
    assert_eq!(texts(&answered.json), ["mixed"; 3]);
    assert_eq!(answered.json["usage"]["total_tokens"], 15 * 13);
    for asked in rig.upstream.chat_bodies() {
        assert!(asked.get("n").is_none_or(|n| n == 1), "{asked}");
    }
}

#[actix_web::test]
async fn every_choice_is_a_text() {
    let rig = rig(json!({}), usual_reply).await;
    let answered = rig.ask("plansearch|re2|leap-m", json!({})).await;
    assert_eq!(answered.status, 200, "{}", answered.text);
    assert_eq!(texts(&answered.json).len(), 3);
}

#[actix_web::test]
async fn the_same_request_costs_the_same_again() {
    let rig = rig(json!({}), usual_reply).await;
    for model in ["pvg-m", "cepo-m", "mars-m", "deepthink-m"] {
        let mut totals = Vec::new();
        for _ in 0..2 {
            let (answered, calls) = rig.count_calls(model, json!({})).await;
            assert!(!content(&answered).is_empty());
            let usage = &answered.json["usage"];
            assert_eq!(usage["total_tokens"], 13 * calls, "{model}: {usage}");
            totals.push(calls);
        }
        assert_eq!(totals[0], totals[1], "{model}");
    }
}
