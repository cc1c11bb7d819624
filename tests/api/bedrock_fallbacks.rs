//! Fallbacks: the models that answer in place of one that cannot, the fields by which clients learn
//! of it, and the quirks that are learned from refusals (`docs/reference/bedrock.md`, "Choosing a
//! model" and "Errors").

use crate::{
    bedrock,
    rig::{
        LITE, MICRO, Rig, THINKER, chat_body, chunks, model_id, rig, rig_of, rig_without_fallbacks,
        tool, with_stream,
    },
    support::TestResponse,
};
use bedrock_emulator::{
    ANY, BedrockException, Catalogue, Emulator, EmulatorOptions, InjectedFault, ModelAnswer,
    Operation, Script,
};
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;

const EAST: &str = "us-east-1";
const WEST: &str = "us-west-2";
const ANSWERER: &str = "x-pipewright-model";
const FAIL: &str = "x-pipewright-fail";

fn says(text: &str) -> Script {
    Script::answer(ModelAnswer::with_text([text]))
}

fn plain_chat(model: &str) -> Value {
    chat_body(model, &json!({}))
}

/// Returns the model that a plain answer says it is from, and the one that it says has stood in.
fn answering_models(answered: &TestResponse) -> (&str, Option<&str>) {
    assert_eq!(answered.status, 200, "{}", answered.text);
    (answered.header(ANSWERER), answered.json["selected_model_id"].as_str())
}

/// Asks, and checks that this model answers in place of the one that was asked, plain and streamed.
async fn is_answered_by(rig: &Rig, body: &Value, model: &str) {
    let asked = body["model"].as_str().unwrap();
    let substitute = Some(model_id(model)).filter(|model| model != asked);
    let told = rig.post(&with_stream(body.clone(), false)).await;
    assert_eq!(answering_models(&told), (&*model_id(model), substitute.as_deref()));
    assert_eq!(told.json["model"], asked, "the answer is to what was asked");

    let told = rig.post(&with_stream(body.clone(), true)).await;
    assert_eq!(told.header(ANSWERER), model_id(model));
    let chunks = chunks(&told);
    let of = |chunk: &Value| chunk["selected_model_id"].as_str().map(str::to_owned);
    let selected: Vec<_> = chunks.iter().filter_map(of).collect();
    assert_eq!(selected, Vec::from_iter(substitute.clone()));
    assert!(chunks.iter().all(|chunk| chunk["model"] == asked), "{chunks:?}");
    if substitute.is_some() {
        let mut names: Vec<_> = chunks[0].as_object().unwrap().keys().collect();
        names.sort();
        assert_eq!(names, ["choices", "created", "id", "model", "object", "selected_model_id"]);
        assert_eq!(chunks[0]["choices"], json!([]), "it comes alone, before all else");
    }
}

#[actix_web::test]
async fn a_failure_can_be_asked_of_models_of_every_kind() {
    let rig = rig(json!({})).await;
    for (path, body) in [
        ("/embeddings", json!({"model": "amazon.titan-embed-text-v2:0", "input": "hi"})),
        ("/rerank", json!({"model": "cohere.rerank-v3-5:0", "query": "a", "documents": ["b"]})),
        ("/images/generations", json!({"model": "amazon.nova-canvas-v1:0", "prompt": "a fox"})),
        ("/messages/count_tokens", plain_chat(THINKER)),
    ] {
        assert_eq!(rig.host.post(path, &body).await.status, 200, "{path}");
        let request = rig.host.request(Method::POST, path).header(FAIL, "*").json(&body);
        let refused = TestResponse::read(request.send().await.unwrap()).await;
        assert_eq!(refused.status, 429, "{path}: {}", refused.text);
        assert!(refused.text.contains(FAIL), "{path}: {}", refused.text);
    }
}

#[actix_web::test]
async fn the_model_that_was_asked_answers_under_its_own_name() {
    let rig = rig(json!({})).await;
    for model in [LITE, THINKER] {
        is_answered_by(&rig, &plain_chat(model), model).await;
    }
    assert_eq!(rig.model_requests().len(), 4);
}

#[actix_web::test]
async fn a_model_that_cannot_answer_is_asked_in_its_other_region_under_the_same_name() {
    for fault in [
        BedrockException::throttling("Too many"),
        BedrockException::access_denied("not here"),
        BedrockException::not_found("gone"),
        BedrockException::from_name("ModelNotReadyException", "warming up"),
        BedrockException::from_name("ServiceUnavailableException", "later"),
        BedrockException::from_name("InternalServerException", "oops"),
        BedrockException::from_name("ModelTimeoutException", "slow"),
        BedrockException::from_name("ModelErrorException", "odd"),
    ] {
        let rig = rig(json!({"max_attempts": 1, "fallback_profiles": false})).await;
        rig.bedrock.script_model_in(EAST, LITE, Script::fault(fault.clone()).always());
        is_answered_by(&rig, &plain_chat(LITE), LITE).await;
        let ways = [EAST, WEST, EAST, WEST].map(|region| (region.into(), LITE.to_owned()));
        assert_eq!(rig.targets(), ways, "{fault}");
    }
}

#[actix_web::test]
async fn what_breaks_before_the_first_event_is_answered_elsewhere() {
    let rig = rig(json!({"max_attempts": 1, "fallback_profiles": false})).await;
    let busy = InjectedFault::Exception(BedrockException::throttling("Too many"));
    for mishap in [
        busy,
        InjectedFault::Close,
        InjectedFault::Reset,
        InjectedFault::TruncatedFrame,
        InjectedFault::BadMessageCrc,
    ] {
        for events in [0, 1] {
            let broken = says("east").fail_after(events, mishap.clone());
            rig.bedrock.script_model_in(EAST, LITE, broken.times(2));
            rig.bedrock.script_model_in(WEST, LITE, says("west").times(2));
            is_answered_by(&rig, &plain_chat(LITE), LITE).await;
        }
    }
    rig.bedrock.script_model_in(EAST, LITE, Script::html(502));
    rig.bedrock.script_model_in(WEST, LITE, says("west"));
    assert_eq!(rig.host.answer_text(&model_id(LITE), "hi").await, "west");
}

#[actix_web::test]
async fn after_the_first_word_nobody_else_is_asked() {
    let valves = json!({"fallbacks": format!("{LITE} > {MICRO}"), "stream_above_max_tokens": 0});
    let rig = rig(valves).await;
    let busy = InjectedFault::Exception(BedrockException::throttling("Too many"));
    for mishap in [busy, InjectedFault::Close, InjectedFault::Reset] {
        for streamed in [true, false] {
            rig.bedrock.script(ANY, says("half").fail_after(2, mishap.clone()));
            let before = rig.model_requests().len();
            let told = rig.post(&with_stream(plain_chat(LITE), streamed)).await;
            assert_eq!(rig.model_requests().len(), before + 1, "{mishap:?}");
            if streamed {
                assert!(chunks(&told).last().unwrap()["error"].is_object(), "{}", told.text);
            } else {
                assert!(matches!(told.status, 429 | 502), "{}", told.text);
            }
        }
    }
}

#[actix_web::test]
async fn an_answer_in_one_piece_that_breaks_off_is_answered_elsewhere() {
    let valves = json!({"max_attempts": 1, "fallbacks": format!("{LITE} > {MICRO}")});
    let rig = rig_without_fallbacks(valves).await;
    for mishap in [InjectedFault::Close, InjectedFault::Reset, InjectedFault::TruncatedFrame] {
        rig.bedrock.script(LITE, says("half").fail_after(2, mishap.clone()));
        rig.bedrock.script(MICRO, says("whole"));
        let told = rig.post(&plain_chat(LITE)).await;
        assert_eq!(told.json["choices"][0]["message"]["content"], "whole", "{mishap:?}");
    }
}

#[actix_web::test]
async fn what_is_wrong_with_the_chat_or_with_our_keys_is_not_tried_elsewhere() {
    for (fault, status) in [
        (BedrockException::validation("messages.0: odd"), 400),
        (BedrockException::validation("Input is too long for requested model."), 400),
        (BedrockException::model_error(400, "odd"), 400),
        (BedrockException::from_name("ConflictException", "twice"), 409),
        (BedrockException::from_name("ExpiredTokenException", "old"), 500),
        (BedrockException::from_name("UnrecognizedClientException", "who"), 500),
    ] {
        let rig = rig(json!({"fallbacks": format!("* > {MICRO}")})).await;
        rig.bedrock.script(ANY, Script::fault(fault.clone()));
        let refused = rig.post(&plain_chat(LITE)).await;
        assert_eq!(
            (refused.status, rig.model_requests().len()),
            (status, 1),
            "{fault}: {}",
            refused.text
        );
    }
}

#[actix_web::test]
async fn a_model_whose_own_server_is_busy_is_asked_elsewhere() {
    let rig = rig(json!({"max_attempts": 1})).await;
    rig.bedrock.script_model_in(
        EAST,
        LITE,
        Script::fault(BedrockException::model_error(429, "busy")),
    );
    assert_eq!(rig.post(&plain_chat(LITE)).await.status, 200);
}

#[actix_web::test]
async fn a_model_behind_a_profile_is_reached_through_that_of_its_geography_and_this_is_remembered()
{
    for apostrophe in ["'", "\u{2019}"] {
        let rig = rig(json!({})).await;
        let profile = format!("us.{MICRO}");
        let words = format!(
            "Invocation of model ID {MICRO} with on-demand throughput isn{apostrophe}t supported. Retry your request with the ID or ARN of an inference profile that contains this model."
        );
        rig.bedrock.script(&profile, says("here").always());
        rig.bedrock.script(MICRO, Script::fault(BedrockException::validation(words)).always());
        is_answered_by(&rig, &plain_chat(MICRO), &profile).await;
        let asked: Vec<_> = rig.targets().into_iter().map(|(_, id)| id).collect();
        assert_eq!(asked, [MICRO, MICRO, &profile, &profile], "the second chat knows it");
    }
}

#[actix_web::test]
async fn a_model_that_is_listed_as_a_profile_alone_is_reached_by_its_own_id() {
    let rig = rig(json!({})).await;
    let own = THINKER.strip_prefix("us.").unwrap();
    is_answered_by(&rig, &plain_chat(own), THINKER).await;
    let off = rig_without_fallbacks(json!({})).await;
    let refused = off.post(&plain_chat(own)).await;
    assert_eq!(refused.status, 404);
    assert_eq!(refused.json["error"]["code"], "model_not_found");
}

/// Models in Virginia and in Frankfurt, and one that only a worldwide profile leads to.
fn catalogue_of_two_geographies() -> Catalogue {
    let model = |id: &str, regions: Value| json!({"id": id, "name": id, "provider": "Acme", "regions": regions, "inference": ["ON_DEMAND"], "can": "TCYVPKRAJ"});
    let models = json!({
        "models": [
            model("acme.both-v1", json!([EAST, "eu-central-1"])),
            model("acme.german-v1", json!(["eu-central-1"])),
        ],
        "profiles": [{"id": "global.acme.both-v1", "name": "Global", "regions": [EAST], "model": "acme.both-v1", "to": [EAST]}],
    });
    Catalogue::from_json(&models.to_string()).unwrap()
}

#[actix_web::test]
async fn no_chat_leaves_its_geography_unless_a_chain_says_so() {
    let valves = |chain: Value| json!({"regions": [EAST, "eu-central-1"], "max_attempts": 1, "fallbacks": chain});
    let rig = rig_of(catalogue_of_two_geographies(), valves(Value::Null)).await;
    let words = "Invocation of model ID x with on-demand throughput isn't supported.";
    for (fault, status) in [
        (BedrockException::throttling("Too many"), 429),
        (BedrockException::validation(words), 400),
    ] {
        rig.bedrock.script(ANY, Script::fault(fault));
        let refused = rig.post(&plain_chat("acme.both-v1")).await;
        assert_eq!(refused.status, status, "{}", refused.text);
    }
    assert!(rig.targets().iter().all(|(region, id)| region == EAST && id == "acme.both-v1"));
    for substitute in ["acme.german-v1", "global.acme.both-v1"] {
        let chain = format!("acme.both-v1 > {substitute}");
        let rig = rig_of(catalogue_of_two_geographies(), valves(chain.into())).await;
        rig.bedrock.script("acme.both-v1", Script::throttle());
        let told = rig.post(&plain_chat("acme.both-v1")).await;
        assert_eq!(answering_models(&told), (&*model_id(substitute), Some(&*model_id(substitute))));
    }
}

#[actix_web::test]
async fn a_chain_is_followed_in_its_order_and_by_those_alone_that_it_is_for() {
    let chain = format!("*nova-lite* > {MICRO} > {THINKER}");
    let rig = rig_without_fallbacks(json!({"max_attempts": 1, "fallbacks": chain})).await;
    rig.bedrock.script(LITE, Script::throttle().always());
    is_answered_by(&rig, &plain_chat(LITE), MICRO).await;
    rig.bedrock.script(MICRO, Script::fault(BedrockException::access_denied("no")).always());
    is_answered_by(&rig, &plain_chat(LITE), THINKER).await;
    assert_eq!(rig.post(&plain_chat(MICRO)).await.status, 403, "the chain is not for this one");
}

#[actix_web::test]
async fn when_nobody_answers_the_error_is_that_of_the_model_that_was_asked() {
    let chain = format!("{LITE} > {MICRO}");
    let rig = rig_without_fallbacks(json!({"max_attempts": 1, "fallbacks": chain})).await;
    for streamed in [true, false] {
        rig.bedrock.script(LITE, Script::throttle());
        rig.bedrock.script(MICRO, Script::fault(BedrockException::access_denied("no")));
        let refused = rig.post(&with_stream(plain_chat(LITE), streamed)).await;
        assert!(refused.error_message(429).contains("Nova Lite"), "{}", refused.text);
        assert_eq!(refused.header(ANSWERER), "");
    }
    assert_eq!(rig.model_requests().len(), 4);
}

#[actix_web::test]
async fn a_chain_is_for_a_model_by_whatever_name_it_is_called() {
    let base = THINKER.strip_prefix("us.").unwrap();
    let optimized = format!("{THINKER}:latency-optimized");
    let in_region = format!("{THINKER}@us-east-1");
    let names = [THINKER, base, "clever", &*optimized, &*in_region];
    for first in ["anthropic.*", base, THINKER, "*claude*", "clever", "us.anthropic.*"] {
        let chain = format!("{first} > {MICRO}");
        let aliases = format!("clever={THINKER}");
        let rig = rig_without_fallbacks(
            json!({"max_attempts": 1, "fallbacks": chain, "aliases": aliases}),
        )
        .await;
        rig.host.update_valves("bedrock_models", &json!({"fallback_profiles": true})).await;
        rig.bedrock.script(THINKER, Script::throttle().always());
        for name in names {
            let told = rig.post(&plain_chat(name)).await;
            assert_eq!(answering_models(&told).0, model_id(MICRO), "{first} > …, asked as {name}");
        }
    }
}

#[actix_web::test]
async fn what_is_wrong_with_the_request_is_told_although_the_first_model_was_only_busy() {
    let rig =
        rig_without_fallbacks(json!({"max_attempts": 1, "fallbacks": format!("{LITE} > {MICRO}")}))
            .await;
    rig.bedrock.script(LITE, Script::throttle());
    rig.bedrock.script(MICRO, Script::fault(BedrockException::validation("messages.0: odd")));
    let refused = rig.post(&plain_chat(LITE)).await;
    assert!(refused.error_message(400).contains("messages.0: odd"), "{}", refused.text);
}

#[actix_web::test]
async fn a_throttled_model_is_tried_as_often_as_the_valve_says_and_then_another() {
    let rig =
        rig_without_fallbacks(json!({"max_attempts": 2, "fallbacks": format!("{LITE} > {MICRO}")}))
            .await;
    rig.bedrock.script(LITE, Script::throttle().always());
    let told = rig.post(&plain_chat(LITE)).await;
    assert_eq!(answering_models(&told).0, model_id(MICRO));
    let tried: Vec<_> =
        rig.model_requests().into_iter().map(|a| (a.target.unwrap(), a.attempt)).collect();
    assert_eq!(tried, [(LITE.into(), 1), (LITE.into(), 2), (MICRO.into(), 1)]);
}

#[actix_web::test]
async fn a_request_can_force_a_failure() {
    let rig = rig(json!({"fallbacks": format!("{LITE} > {MICRO}")})).await;
    for (wish, way) in [
        ("first", (WEST, LITE)),
        ("amazon.nova-lite*@us-east-1", (WEST, LITE)),
        // A name means the model behind a profile too.
        (LITE, (EAST, MICRO)),
        ("*nova-lite*", (EAST, MICRO)),
        ("nobody, of-this-name", (EAST, LITE)),
    ] {
        let told = rig.post_with((FAIL, wish), &plain_chat(LITE)).await;
        assert_eq!(answering_models(&told).0, model_id(way.1), "{wish}");
        assert_eq!(rig.targets().pop(), Some((way.0.into(), way.1.into())), "{wish}");
    }
    let before = rig.model_requests().len();
    let refused = rig.post_with((FAIL, "*"), &plain_chat(LITE)).await;
    assert!(refused.error_message(429).contains(FAIL), "{}", refused.text);
    assert_eq!(rig.model_requests().len(), before, "a failure that is made up costs nothing");
}

#[actix_web::test]
async fn ids_that_are_not_known_are_answered_by_the_default_if_there_is_one() {
    let rig = rig(json!({"default_model": MICRO})).await;
    is_answered_by(&rig, &plain_chat("gpt-4o"), MICRO).await;
    let none = rig_without_fallbacks(json!({})).await;
    let refused = none.post(&plain_chat("gpt-4o")).await;
    assert_eq!((refused.status, &refused.json["error"]["code"]), (404, &json!("model_not_found")));
    assert!(none.model_requests().is_empty());
}

#[actix_web::test]
async fn an_id_can_name_its_region() {
    let rig = rig(json!({})).await;
    let told = rig.post(&plain_chat(&format!("{LITE}@{WEST}"))).await;
    assert_eq!((told.status, rig.targets()), (200, vec![(WEST.into(), LITE.into())]));
}

#[actix_web::test]
async fn a_stand_in_gets_the_chat_in_its_own_form() {
    let sonnet = "us.anthropic.claude-sonnet-4-6";
    let rig = rig_without_fallbacks(
        json!({"max_attempts": 1, "fallbacks": format!("{LITE} > {sonnet}")}),
    )
    .await;
    rig.bedrock.script(LITE, Script::throttle());
    let body = chat_body(LITE, &json!({"temperature": 0.5, "top_p": 0.5}));
    assert_eq!(answering_models(&rig.post(&body).await).0, model_id(sonnet));
    let sent: Vec<_> =
        rig.model_requests().into_iter().map(|a| a.json["inferenceConfig"].clone()).collect();
    assert_eq!(sent, [json!({"temperature": 0.5, "topP": 0.5}), json!({"temperature": 0.5})]);
}

/// Nobody has a table for this model.
const UNHEARD_OF: &str = "acme.unheard-of-v1";

/// Returns a host with a model that is not known, and with all others.
async fn rig_with_unknown_model(valves: Value) -> Rig {
    let mut catalogue = Catalogue::default();
    let model = json!({"models": [{"id": UNHEARD_OF, "name": "New", "provider": "Acme", "regions": [EAST], "inference": ["ON_DEMAND"], "can": "TCYVPKRAJ"}], "profiles": []});
    catalogue.models.extend(Catalogue::from_json(&model.to_string()).unwrap().models);
    rig_of(catalogue, valves).await
}

#[actix_web::test]
async fn what_a_model_refuses_for_its_form_is_sent_once_more_without_it_and_never_again() {
    let both = json!({"temperature": 0.5, "top_p": 0.5});
    let tools = json!({"tools": [tool("time")]});
    let required = json!({"tools": [tool("time")], "tool_choice": "required"});
    for (model, refusal, body, caching, at) in [
        (
            UNHEARD_OF,
            BedrockException::validation(
                "The model returned the following errors: `temperature` and `top_p` cannot both be specified for this model. Please use only one.",
            ),
            &both,
            "off",
            "/inferenceConfig/topP",
        ),
        (
            UNHEARD_OF,
            BedrockException::validation(
                "The model returned the following errors: `temperature` is deprecated for this model.",
            ),
            &both,
            "off",
            "/inferenceConfig",
        ),
        (
            LITE,
            BedrockException::access_denied(
                "You invoked an unsupported model or your request did not allow prompt caching. See the documentation for more information.",
            ),
            &json!({}),
            "auto",
            "/messages/0/content/1/cachePoint",
        ),
        (
            LITE,
            BedrockException::validation(
                "This model doesn't support the toolConfig.toolChoice.any field. Remove toolConfig.toolChoice.any and try again.",
            ),
            &required,
            "off",
            "/toolConfig/toolChoice",
        ),
        (
            "deepseek.v3.2",
            BedrockException::validation(
                "Malformed input request: #: extraneous key [reasoning_effort] is not permitted, please reformat your input and try again.",
            ),
            &json!({"reasoning_effort": "low"}),
            "off",
            "/additionalModelRequestFields",
        ),
        (
            UNHEARD_OF,
            BedrockException::validation(
                "This model doesn't support the stopSequences field. Remove stopSequences and try again.",
            ),
            &json!({"stop": ["x"]}),
            "off",
            "/inferenceConfig",
        ),
    ] {
        let rig = rig_with_unknown_model(json!({"prompt_caching": caching})).await;
        rig.bedrock.script(model, Script::fault(refusal.clone()));
        for _ in 0..2 {
            assert_eq!(rig.post(&chat_body(model, body)).await.status, 200, "{refusal}");
        }
        let sent: Vec<_> =
            rig.model_requests().iter().map(|a| a.json.pointer(at).is_some()).collect();
        assert_eq!(sent, [true, false, false], "{refusal}");
    }
    let rig = rig_with_unknown_model(json!({})).await;
    let refusal = "This model doesn't support tool use in streaming mode.";
    rig.bedrock.script(UNHEARD_OF, Script::fault(BedrockException::validation(refusal)));
    for streamed in [true, false] {
        let told = rig.post(&with_stream(chat_body(UNHEARD_OF, &tools), streamed)).await;
        assert_eq!(told.status, 200, "{}", told.text);
    }
    let sent: Vec<_> =
        rig.model_requests().into_iter().filter_map(|asked| asked.operation).collect();
    assert_eq!(sent, [Operation::ConverseStream, Operation::Converse, Operation::Converse]);
}

#[actix_web::test]
async fn a_lesson_is_of_one_model_and_outlives_new_valves() {
    let rig = rig_with_unknown_model(json!({})).await;
    let words = "`temperature` and `top_p` cannot both be specified for this model.";
    rig.bedrock.script(UNHEARD_OF, Script::fault(BedrockException::validation(words)));
    let both = |model: &str| chat_body(model, &json!({"temperature": 0.5, "top_p": 0.5}));
    assert_eq!(rig.post(&both(UNHEARD_OF)).await.status, 200);
    assert_eq!(
        rig.host.update_valves("bedrock_models", &json!({"max_attempts": 2})).await.status,
        200
    );
    for (model, sent_both) in [(UNHEARD_OF, false), (LITE, true)] {
        assert_eq!(rig.post(&both(model)).await.status, 200);
        let sent = rig.model_requests().pop().unwrap().json;
        assert_eq!(sent["inferenceConfig"].get("topP").is_some(), sent_both, "{model}");
    }
    assert_eq!(rig.model_requests().len(), 4);
}

#[actix_web::test]
async fn a_lesson_that_did_not_help_is_not_remembered() {
    let rig = rig_with_unknown_model(json!({})).await;
    let refusal = || {
        BedrockException::validation(
            "`temperature` and `top_p` cannot both be specified for this model.",
        )
    };
    for second in [refusal(), BedrockException::validation("odd")] {
        rig.bedrock.script(UNHEARD_OF, Script::fault(refusal()));
        rig.bedrock.script(UNHEARD_OF, Script::fault(second));
        let body = chat_body(UNHEARD_OF, &json!({"temperature": 0.5, "top_p": 0.5}));
        let before = rig.model_requests().len();
        assert_eq!(rig.post(&body).await.status, 400);
        let sent = rig.model_requests().into_iter().skip(before);
        let sent: Vec<_> = sent.map(|a| a.json["inferenceConfig"].get("topP").is_some()).collect();
        assert_eq!(sent, [true, false], "the next chat begins as the first did");
    }
}

#[actix_web::test]
async fn a_refusal_that_teaches_nothing_is_told_at_once() {
    let rig = rig_with_unknown_model(json!({})).await;
    let words = "`temperature` and `top_p` cannot both be specified for this model.";
    rig.bedrock.script(UNHEARD_OF, Script::fault(BedrockException::validation(words)));
    let refused = rig.post(&chat_body(UNHEARD_OF, &json!({"temperature": 0.5}))).await;
    assert_eq!(
        (refused.status, rig.model_requests().len()),
        (400, 1),
        "the same request would go out"
    );
}

#[actix_web::test]
async fn the_first_region_answers_even_if_its_list_comes_last() {
    let emulator = Emulator::start(EmulatorOptions::default()).unwrap();
    let late = Script::demo().delay(Duration::from_millis(300));
    emulator.script_region(EAST, late.always());
    let host = bedrock::host(&emulator).await;
    let rig = Rig { bedrock: emulator, host };
    // Two lists a region: models and profiles.
    for (place, asked) in rig.bedrock.wait_for_requests(4).await.iter().enumerate() {
        if asked.region == WEST {
            rig.bedrock.wait_for_outcome(place).await;
        }
    }
    assert_eq!(rig.post(&plain_chat(LITE)).await.status, 200);
    assert_eq!(rig.targets(), [(EAST.into(), LITE.into())]);
}
