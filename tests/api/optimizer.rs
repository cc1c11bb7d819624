//! Approaches through the whole host: by name, by field and by tag, from every API, streamed and
//! whole.

mod caching;
mod choices;
mod matrix;
mod mcp;
mod mcp_server;
mod search_server;
mod services;
pub mod upstream;

use crate::{
    openai_proxy::server::{ResponseStep, Server, delta, event, head},
    support::{Builder, TestHost, TestResponse, chat},
};
use ::openai_proxy::OpenAiProxy;
use ::optimizer::Optimizer;
use ::rate_limit::RateLimit;
use futures_util::StreamExt;
use pipewright::slot::Registration;
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::timeout;
use upstream::{ScriptedReply, Upstream, calls, says};

const PIPES: &[Registration] = &[
    Registration::for_pipe::<OpenAiProxy>(),
    Registration::for_pipe::<Optimizer>(),
    Registration::for_pipe::<RateLimit>(),
];

struct Rig {
    upstream: Upstream,
    host: TestHost,
}

/// A host whose upstream has the models `m` and `moa-real`, and replies by this script.
async fn rig(
    valves: Value,
    script: impl Fn(&str, usize) -> ScriptedReply + Send + Sync + 'static,
) -> Rig {
    let upstream = Upstream::start(&["m", "moa-real"], script);
    let host = host(&upstream.url, &valves).await;
    Rig { upstream, host }
}

async fn host(url: &str, valves: &Value) -> TestHost {
    host_of(Builder::new(), url, valves).await
}

async fn host_of(builder: Builder, url: &str, valves: &Value) -> TestHost {
    let host = builder.pipes(PIPES).start().await;
    let turned = host
        .update_valves(
            "openai_proxy",
            &json!({"api_base": url, "rate_limit": 0, "fallback_model": null}),
        )
        .await;
    assert_eq!(turned.status, 200, "{}", turned.text);
    let turned = host.update_valves("optimizer", valves).await;
    assert_eq!(turned.status, 200, "{}", turned.text);
    host.get("/models").await;
    host
}

/// Replies to whoever judges, and other answers to each of the others.
fn usual_reply(prompt: &str, number: usize) -> ScriptedReply {
    if prompt.contains("Score: <a number") {
        return says(&format!("Score: {}", number % 7));
    }
    if prompt.contains("Several attempts") {
        return says("mixed");
    }
    if prompt.contains("Read the question again") {
        return says("read twice");
    }
    says(&format!("The answer is {}.", 1000 + number))
}

impl Rig {
    async fn ask(&self, model: &str, more: Value) -> TestResponse {
        let mut body = chat(model, "What is asked?");
        for (name, value) in more.as_object().unwrap() {
            body[name] = value.clone();
        }
        self.host.post("/chat/completions", &body).await
    }

    /// Returns the number of calls that this chat costs.
    async fn count_calls(&self, model: &str, more: Value) -> (TestResponse, usize) {
        let before = self.upstream.chat_bodies().len();
        let answered = self.ask(model, more).await;
        (answered, self.upstream.chat_bodies().len() - before)
    }
}

fn content(answered: &TestResponse) -> &str {
    assert_eq!(answered.status, 200, "{}", answered.text);
    answered.json["choices"][0]["message"]["content"].as_str().unwrap()
}

#[actix_web::test]
async fn an_approach_is_named_before_the_model_in_the_body_or_by_a_tag() {
    let rig = rig(json!({"message_tags": true}), usual_reply).await;
    let tag = json!({"messages": [{"role": "user", "content": "<optillm_approach>moa</optillm_approach>What is asked?"}]});
    for (model, more) in [
        ("optimizer.moa-openai_proxy.m", json!({})),
        ("moa-openai_proxy.m", json!({})),
        ("moa-m", json!({})),
        ("MOA-m", json!({})),
        ("m", json!({"optillm_approach": "moa"})),
        ("openai_proxy.m", json!({"optillm_approach": "moa"})),
        ("m", tag),
    ] {
        let (answered, calls) = rig.count_calls(model, more.clone()).await;
        assert_eq!(content(&answered), "mixed", "{model} {more}");
        assert_eq!(calls, 5, "{model} {more}");
        assert_eq!(answered.json["model"], model);
    }
    for asked in rig.upstream.chat_bodies() {
        let sent = asked.to_string();
        assert_eq!(asked["model"], "m");
        assert!(!sent.contains("optillm_approach"), "{sent}");
    }
}

#[actix_web::test]
async fn a_model_that_really_has_the_name_goes_first() {
    let rig = rig(json!({}), usual_reply).await;
    for (model, calls) in [
        ("moa-real", 1),
        ("openai_proxy.moa-real", 1),
        ("optimizer.none-moa-real", 1),
        ("none-m", 1),
        ("bon-moa-real", 6),
    ] {
        let (answered, made) = rig.count_calls(model, json!({})).await;
        assert_eq!(made, calls, "{model}: {}", answered.text);
    }
    let (answered, made) = rig.count_calls("m", json!({"optillm_approach": "none"})).await;
    assert_eq!((answered.status, made), (200, 1));
}

#[actix_web::test]
async fn what_cannot_be_so_costs_nothing() {
    let rig = rig(json!({"message_tags": false}), usual_reply).await;
    for (model, more, part) in [
        ("moa&-m", json!({}), "missing"),
        ("moa-mcts-m", json!({}), "two approaches"),
        ("optimizer.moa&nonsense-m", json!({}), "no approach `nonsense`"),
        ("executecode-m", json!({}), "not available"),
        ("executecode&moa-m", json!({}), "not available"),
        ("moa-m", json!({"optillm_approach": "bon"}), "two approaches"),
        ("m", json!({"optillm_approach": "nonsense"}), "no approach `nonsense`"),
        ("m", json!({"optillm_approach": ["moa"]}), "must be a text"),
        ("mcts-m", json!({"mcts_simulations": "x"}), "mcts_simulations"),
        ("moa", json!({}), "names no model"),
    ] {
        let (answered, calls) = rig.count_calls(model, more).await;
        assert!(answered.error_message(400).contains(part), "{model}: {}", answered.text);
        assert_eq!(calls, 0, "{model}");
    }
    let (answered, calls) = rig.count_calls("moa-unknown", json!({})).await;
    assert_eq!((answered.status, calls), (404, 0), "{}", answered.text);
    // A tag is a text like any other where nobody has switched tags on.
    let tag = json!({"messages": [{"role": "user", "content": "<optillm_approach>moa</optillm_approach>Hi"}]});
    assert_eq!(rig.count_calls("m", tag).await.1, 1);
}

#[actix_web::test]
async fn only_what_an_admin_lists_stands_in_the_picker() {
    let rig = rig(json!({}), usual_reply).await;
    let ids = |listed: TestResponse| -> Vec<String> {
        let models = listed.json["data"].as_array().unwrap().clone();
        models.iter().map(|model| model["id"].as_str().unwrap().to_owned()).collect()
    };
    assert!(ids(rig.host.get("/models").await).iter().all(|id| !id.starts_with("optimizer")));
    let listed = json!({"listed_models": "moa-openai_proxy.m, bon|re2-openai_proxy.m"});
    assert_eq!(rig.host.update_valves("optimizer", &listed).await.status, 200);
    let ids = ids(rig.host.get("/models").await);
    assert!(ids.contains(&"optimizer.moa-openai_proxy.m".to_owned()), "{ids:?}");
    assert!(ids.contains(&"optimizer.bon|re2-openai_proxy.m".to_owned()), "{ids:?}");
    let one = rig.host.get("/models/moa-m").await;
    assert_eq!(one.json["name"], "Mixture of agents: m", "{}", one.text);
    for wrong in ["moa-mcts-m", "m", "moa", "nonsense&moa-m"] {
        let refused = rig.host.update_valves("optimizer", &json!({"listed_models": wrong})).await;
        assert_eq!(refused.status, 422, "{wrong}: {}", refused.text);
    }
}

#[actix_web::test]
async fn every_api_asks_alike() {
    let rig = rig(json!({}), usual_reply).await;
    let body = json!({"model": "moa-m", "input": "What is asked?"});
    let answered = rig.host.post("/responses", &body).await;
    assert_eq!(answered.status, 200, "{}", answered.text);
    assert!(answered.text.contains("mixed"), "{}", answered.text);
    let body = json!({"model": "moa-m", "max_tokens": 50, "messages": [{"role": "user", "content": "What is asked?"}]});
    let answered = rig.host.post("/messages", &body).await;
    assert_eq!(answered.status, 200, "{}", answered.text);
    assert!(answered.text.contains("mixed"), "{}", answered.text);
    // One below the other where an API has no choices.
    let body = json!({"model": "moa|re2-m", "max_tokens": 50, "messages": [{"role": "user", "content": "What is asked?"}]});
    let answered = rig.host.post("/messages", &body).await;
    let texts: String = answered.json["content"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|block| block["text"].as_str())
        .collect();
    assert_eq!(texts, "mixed\n\n---\n\n**re2**\n\nread twice", "{}", answered.text);
}

#[actix_web::test]
async fn several_approaches_are_several_choices() {
    let rig = rig(json!({}), usual_reply).await;
    let (answered, calls) = rig.count_calls("moa|re2-m", json!({})).await;
    assert_eq!(content(&answered), "mixed");
    assert_eq!(answered.json["choices"][1]["message"]["content"], "read twice");
    assert_eq!(answered.json["choices"][1]["index"], 1);
    assert_eq!(calls, 6);
    assert_eq!(answered.json["usage"]["prompt_tokens"], 60);
    let frames = rig.host.stream("moa|re2-m", "What is asked?").await;
    let mut texts = [String::new(), String::new()];
    let mut ends = Vec::new();
    for frame in frames.iter().filter_map(|frame| frame.strip_prefix("data: {")) {
        let chunk: Value = serde_json::from_str(&format!("{{{frame}")).unwrap();
        for choice in chunk["choices"].as_array().unwrap() {
            let index = choice["index"].as_u64().unwrap() as usize;
            texts[index] += choice["delta"]["content"].as_str().unwrap_or_default();
            if let Some(end) = choice["finish_reason"].as_str() {
                ends.push((index, end.to_owned()));
            }
        }
    }
    assert_eq!(texts, ["mixed", "read twice"]);
    assert_eq!(ends, [(0, "stop".into()), (1, "stop".into())]);
}

#[actix_web::test]
async fn proposers_are_asked_at_once_and_all_is_counted_once() {
    // Each of the first three waits for the other two: one after the other they would wait for
    // ever.
    let script = |prompt: &str, number: usize| match number {
        0..3 => ScriptedReply::Together(3, format!("The answer is {number}.")),
        _ => usual_reply(prompt, number),
    };
    let rig = rig(json!({}), script).await;
    let asked = rig.ask("moa-m", json!({"x_optimizer": true, "user": "ann"}));
    let answered = timeout(Duration::from_secs(60), asked).await.unwrap();
    assert_eq!(content(&answered), "mixed");
    let report = &answered.json["x_optimizer"];
    assert_eq!((&report["calls"], &report["depth"]), (&json!(5), &json!(3)), "{report}");
    assert_eq!(answered.json["usage"]["total_tokens"], 5 * 13);
    for field in ["id", "object", "created", "model"] {
        assert!(!answered.json[field].is_null(), "{field}");
    }
    let usage = rig.host.get("/usage?by=user,model").await;
    let rows = usage.json["rows"].as_array().unwrap();
    let of_ann: Vec<_> = rows.iter().filter(|row| row["user"] == "ann").collect();
    assert_eq!(of_ann.len(), 1, "{}", usage.text);
    assert_eq!(of_ann[0]["model"], "openai_proxy.m", "{}", usage.text);
    assert_eq!(of_ann[0]["prompt"], 50, "{}", usage.text);
}

#[actix_web::test]
async fn the_answer_is_streamed_behind_its_progress() {
    let rig = rig(json!({}), usual_reply).await;
    let frames = rig.host.stream("moa-m", "What is asked?").await;
    let at = |part: &str| {
        frames
            .iter()
            .position(|frame| frame.contains(part))
            .unwrap_or_else(|| panic!("{part}: {frames:?}"))
    };
    assert!(at("proposals") < at("mixed"));
    assert!(
        frames[at("proposals")].contains("reasoning_content")
            || frames[at("proposals")].contains("status")
    );
    assert!(at("mixed") < at("\"finish_reason\":\"stop\""));
    assert!(at("\"total_tokens\":65") > at("mixed"));
    assert_eq!(frames.last().unwrap(), "data: [DONE]");
}

#[actix_web::test]
async fn an_upstreams_refusal_keeps_its_status() {
    for (status, expected) in [(400, 400), (429, 429), (401, 500)] {
        let rig = rig(json!({}), move |_, _| ScriptedReply::Fails(status)).await;
        let (answered, calls) = rig.count_calls("bon-m", json!({"stream": true})).await;
        assert_eq!(answered.status, expected, "{}", answered.text);
        assert!(calls <= 3 * 3, "{status}: {calls}");
        assert!(!answered.json["error"]["message"].is_null() || !answered.json["detail"].is_null());
    }
}

#[actix_web::test]
async fn one_of_three_proposers_fails_and_the_answer_stands() {
    let script = |prompt: &str, number: usize| {
        if number == 1 { ScriptedReply::Fails(400) } else { usual_reply(prompt, number) }
    };
    let rig =
        rig(json!({"proposer_models": "openai_proxy.m, openai_proxy.moa-real"}), script).await;
    assert_eq!(content(&rig.ask("moa-m", json!({})).await), "mixed");
}

#[actix_web::test]
async fn a_client_that_leaves_stops_all_calls() {
    let server = Server::start(&["m"]).await;
    server.answer_all_with(vec![
        head(),
        ResponseStep::Send(event(&delta(json!({"content": "so"})))),
        ResponseStep::Hold,
    ]);
    let host = host(&server.url(), &json!({})).await;
    let mut body = chat("self_consistency-m", "What is asked?");
    body["stream"] = true.into();
    let answer = host.request(Method::POST, "/chat/completions").json(&body).send().await.unwrap();
    let mut bytes = answer.bytes_stream();
    server.wait_for_chats(5).await;
    // The first frame tells what is being done.
    bytes.next().await.unwrap().unwrap();
    drop(bytes);
    timeout(Duration::from_secs(30), server.wait_for_disconnects(5)).await.unwrap();
    assert_eq!(server.chat_requests().len(), 5);
}

#[actix_web::test]
async fn a_person_uses_what_the_rules_let_them() {
    let rig = rig(json!({"access": "*=re2; admin=*"}), usual_reply).await;
    let as_role = |role: &str| json!({"user": {"id": "7", "role": role}});
    let (answered, calls) = rig.count_calls("moa-m", as_role("user")).await;
    assert!(answered.error_message(403).contains("you may use re2"));
    assert_eq!(calls, 0);
    assert_eq!(rig.count_calls("moa-m", as_role("admin")).await.1, 5);
    assert_eq!(rig.count_calls("re2-m", as_role("user")).await.1, 1);
}
