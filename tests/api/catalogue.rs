//! The catalogue: the models, the names by which they are called, and the people who may call them.

use crate::{
    bedrock,
    pipes::TWINS,
    rig::{LITE, MICRO, PIPE, Rig, chat_body, model_id, rig, rig_of, rig_without_fallbacks},
    support::{Builder, TestResponse, chat},
};
use bedrock_emulator::{
    ACCOUNT, ANY, BedrockException, Catalogue, Emulator, EmulatorOptions, Operation,
    RecordedRequest, Script,
};
use reqwest::Method;
use serde_json::{Value, json};
use std::{fs, path::Path, time::Duration};

const EAST: &str = "us-east-1";
const WEST: &str = "us-west-2";
const HAIKU: &str = "anthropic.claude-3-haiku-20240307-v1:0";
const SONNET: &str = "anthropic.claude-sonnet-4-5-20250929-v1:0";
const TITAN: &str = "amazon.titan-embed-text-v2:0";
const RERANK: &str = "cohere.rerank-v3-5:0";

/// The models of an account's own: the valve, the id, the region and the ARN.
const OWN: [(&str, &str, &str, &str); 6] = [
    ("imported_models", "imported/house-llama", EAST, "imported-model/a1b2c3d4e5f6"),
    ("provisioned_models", "provisioned/fast-haiku", EAST, "provisioned-model/c3d4e5f6a1b2"),
    ("deployed_models", "custom/legal-nova", EAST, "custom-model-deployment/e5f6a1b2c3d4"),
    ("marketplace_models", "marketplace/open-mistral", WEST, "endpoint/open-mistral"),
    (
        "prompt_routers",
        "router/Anthropic-Prompt-Router",
        EAST,
        "default-prompt-router/anthropic.claude:1",
    ),
    ("prompt_routers", "router/cheap-or-good", WEST, "prompt-router/f6a1b2c3d4e5"),
];

fn arn(region: &str, resource: &str) -> String {
    let service = if resource.starts_with("endpoint/") { "sagemaker" } else { "bedrock" };
    format!("arn:aws:{service}:{region}:{ACCOUNT}:{resource}")
}

/// The ids of all models, without the pipe's name.
async fn ids(rig: &Rig) -> Vec<String> {
    ids_in(&rig.host.get("/models").await)
}

fn ids_in(list: &TestResponse) -> Vec<String> {
    let own = |model: &Value| Some(model["id"].as_str()?.strip_prefix("bedrock_models.")?.into());
    list.json["data"].as_array().unwrap().iter().filter_map(own).collect()
}

async fn ask_model(rig: &Rig, id: &str) -> TestResponse {
    rig.host.get(&format!("/models/{id}")).await
}

/// Returns the target of the last chat.
fn last_target(rig: &Rig) -> (String, String) {
    rig.targets().pop().unwrap()
}

/// Asks for a chat by this very id, and gives where it went.
async fn target_of(rig: &Rig, id: &str) -> (String, String) {
    let answered = rig.host.chat(id, "hi").await;
    assert_eq!(answered.status, 200, "{id}: {}", answered.text);
    assert_eq!(answered.json["model"], id);
    last_target(rig)
}

/// Returns the reason for which this id is not found.
async fn not_found_reason(rig: &Rig, id: &str) -> String {
    let before = rig.model_requests().len();
    let chat = rig.host.chat(id, "hi").await;
    assert_eq!(chat.json["error"]["code"], "model_not_found", "{id}: {}", chat.text);
    assert_eq!(rig.model_requests().len(), before, "{id} was asked");
    let look = ask_model(rig, id).await;
    let bare = |words: &str| words.replace(&model_id(""), "");
    assert_eq!(bare(look.error_message(404)), bare(chat.error_message(404)), "{id}");
    look.error_message(404).to_owned()
}

fn list_requests(rig: &Rig) -> Vec<RecordedRequest> {
    let requests = rig.bedrock.requests().into_iter();
    requests.filter(|request| !request.operation.is_some_and(Operation::is_runtime)).collect()
}

#[actix_web::test]
async fn what_an_account_has_of_its_own_is_behind_switches_and_costs_no_call_before() {
    let rig = rig(json!({})).await;
    let usual = ids(&rig).await;
    for (_, id, ..) in OWN {
        assert!(!usual.contains(&id.to_owned()), "{id}");
    }
    let usual_lists = [Operation::ListFoundationModels, Operation::ListInferenceProfiles];
    for list in list_requests(&rig) {
        assert!(usual_lists.contains(&list.operation.unwrap()), "{list:?}");
    }
    for (valve, id, region, resource) in OWN {
        let rig = self::rig(json!({valve: true})).await;
        let listed_now = ids(&rig).await;
        assert!(listed_now.contains(&id.to_owned()), "{id}: {listed_now:?}");
        assert_eq!(listed_now.len(), usual.len() + if valve == "prompt_routers" { 2 } else { 1 });
        let arn = arn(region, resource);
        for name in [model_id(id), model_id(&arn), id.to_owned(), arn.clone()] {
            assert_eq!(target_of(&rig, &name).await, (region.into(), arn.clone()), "{name}");
            let model = ask_model(&rig, &name).await;
            assert_eq!((model.status, &model.json["id"]), (200, &json!(name)), "{}", model.text);
        }
        assert!(rig.host.get("/health/ready").await.text.contains(r#""degraded":[]"#));
    }
}

#[actix_web::test]
async fn what_is_known_of_the_model_behind_holds_for_what_is_made_of_it() {
    let rig = rig(json!({"provisioned_models": true, "deployed_models": true})).await;
    let bought = ask_model(&rig, &model_id("provisioned/fast-haiku")).await.json;
    assert_eq!(bought["name"], "fast-haiku");
    assert_eq!(bought["info"]["meta"]["capabilities"]["vision"], true);
    assert_eq!(bought["context_length"], 48_000);
    assert_eq!(bought["max_output_tokens"], 4_096);
    // Nova's own way to say `top_k`, though the id says nothing of Nova.
    let told = rig.post(&chat_body("custom/legal-nova", &json!({"top_k": 5}))).await;
    assert_eq!(told.status, 200, "{}", told.text);
    let sent = rig.model_requests().pop().unwrap().json;
    assert_eq!(sent["additionalModelRequestFields"]["inferenceConfig"]["topK"], 5);
}

#[actix_web::test]
async fn a_list_that_may_not_be_read_leaves_the_others_alone() {
    let bedrock = Emulator::start(EmulatorOptions::default()).unwrap();
    let denied = || Script::fault(BedrockException::access_denied("no")).always();
    bedrock.script_list(ANY, Operation::ListImportedModels, denied());
    let host = bedrock::host(&bedrock).await;
    let rig = Rig { bedrock, host };
    let before = ids(&rig).await;
    let valves = json!({"imported_models": true, "deployed_models": true});
    assert_eq!(rig.host.update_valves(PIPE, &valves).await.status, 200);
    let after = ids(&rig).await;
    let more: Vec<_> = after.iter().filter(|id| !before.contains(id)).collect();
    assert_eq!(more, ["custom/legal-nova", "error-us-east-1", "error-us-west-2"]);
    let trouble = ask_model(&rig, &model_id("error-us-east-1")).await.json;
    assert_eq!(trouble["name"], "⚠ Bedrock us-east-1");
    let words = trouble["description"].as_str().unwrap();
    assert!(words.contains("access denied: allow bedrock:ListImportedModels"), "{words}");
    assert_eq!(rig.host.get("/health/ready").await.json["degraded"], json!([PIPE]));
    assert_eq!(target_of(&rig, &model_id(LITE)).await, (EAST.into(), LITE.into()));
}

/// The usual models, and throughput of these names, each as its id, its region and its model.
fn with_provisioned_throughput(bought: &[(&str, &str, &str, &str)]) -> Catalogue {
    let deployment = |(name, id, region, model): &(&str, &str, &str, &str)| json!({"kind": "provisioned", "id": id, "name": name, "region": region, "models": [model]});
    let deployments: Vec<_> = bought.iter().map(deployment).collect();
    let own = json!({"models": [], "profiles": [], "deployments": deployments}).to_string();
    let own = Catalogue::from_json(&own).unwrap();
    Catalogue { deployments: own.deployments, ..Catalogue::default() }
}

#[actix_web::test]
async fn the_same_name_in_two_regions_is_one_model_that_falls_back() {
    let catalogue =
        with_provisioned_throughput(&[("fast", "aaa", EAST, LITE), ("fast", "bbb", WEST, LITE)]);
    let rig = rig_of(catalogue, json!({"provisioned_models": true, "max_attempts": 1})).await;
    let own = |id: &&String| id.starts_with("provisioned/");
    assert_eq!(ids(&rig).await.iter().filter(own).count(), 1);
    let [east, west] = [(EAST, "aaa"), (WEST, "bbb")]
        .map(|(region, id)| arn(region, &format!("provisioned-model/{id}")));
    assert_eq!(target_of(&rig, "provisioned/fast").await, (EAST.into(), east.clone()));
    assert_eq!(target_of(&rig, "provisioned/fast@us-west-2").await, (WEST.into(), west.clone()));
    assert_eq!(target_of(&rig, &west).await, (WEST.into(), west.clone()));
    rig.bedrock.script_model_in(EAST, ANY, Script::throttle());
    assert_eq!(target_of(&rig, "provisioned/fast").await, (WEST.into(), west));
}

#[actix_web::test]
async fn one_name_for_two_things_is_told_apart() {
    let catalogue = with_provisioned_throughput(&[
        ("fast", "aaa", EAST, LITE),
        ("fast", "bbb", EAST, LITE),
        ("fast", "ccc", WEST, MICRO),
    ]);
    let rig = rig_of(catalogue, json!({"provisioned_models": true})).await;
    for (id, region, resource) in [
        ("provisioned/fast", EAST, "provisioned-model/aaa"),
        ("provisioned/fast-bbb", EAST, "provisioned-model/bbb"),
        ("provisioned/fast-ccc", WEST, "provisioned-model/ccc"),
    ] {
        assert!(ids(&rig).await.contains(&id.to_owned()), "{id}");
        assert_eq!(target_of(&rig, id).await, (region.into(), arn(region, resource)));
    }
}

#[actix_web::test]
async fn a_profile_is_listed_whose_model_no_region_lists() {
    let mut catalogue = Catalogue::default();
    catalogue.models.retain(|model| model.id != SONNET || model.regions.is_empty());
    let profile =
        catalogue.profiles.iter().find(|profile| profile.model == SONNET).unwrap().id.clone();
    let rig = rig_of(catalogue, json!({})).await;
    let list = ids(&rig).await;
    assert!(list.contains(&profile) && list.contains(&format!("global.{SONNET}")), "{list:?}");
    assert!(list.contains(&"app/support-desk".to_owned()), "{list:?}");
}

#[actix_web::test]
async fn ids_and_arns_of_bedrock_need_no_prefix() {
    let rig = rig(json!({})).await;
    let profile = format!("us.{SONNET}");
    for (id, region, target) in [
        (HAIKU.to_owned(), EAST, HAIKU.to_owned()),
        (profile.clone(), EAST, profile.clone()),
        (format!("global.{SONNET}"), EAST, format!("global.{SONNET}")),
        (format!("{LITE}@us-west-2"), WEST, LITE.into()),
        (format!("arn:aws:bedrock:us-west-2::foundation-model/{LITE}"), WEST, LITE.into()),
        (arn(WEST, &format!("inference-profile/{profile}")), WEST, profile.clone()),
        ("app/research-team".into(), WEST, arn(WEST, "application-inference-profile/p8d4w6t0z5cd")),
        // It has no way in by its own id, so its profile answers.
        (SONNET.into(), EAST, profile.clone()),
    ] {
        assert_eq!(target_of(&rig, &id).await, (region.into(), target.clone()), "{id}");
        assert_eq!(target_of(&rig, &model_id(&id)).await, (region.into(), target), "{id}");
        for id in [id.clone(), model_id(&id)] {
            let model = ask_model(&rig, &id).await;
            assert_eq!((model.status, &model.json["id"]), (200, &json!(id)), "{}", model.text);
            assert!(model.json["context_length"].as_u64() > Some(100_000), "{}", model.text);
            let escaped = ask_model(&rig, &id.replace('/', "%2F").replace(':', "%3A")).await;
            assert_eq!((escaped.status, escaped.json), (200, model.json), "as the SDKs write it");
        }
    }
    let embedded = rig.host.post("/v1/embeddings", &json!({"model": TITAN, "input": "a"})).await;
    assert_eq!((embedded.status, &embedded.json["model"]), (200, &json!(TITAN)));
    let body = json!({"model": RERANK, "query": "a", "documents": ["b"]});
    assert_eq!(rig.host.post("/rerank", &body).await.status, 200);
    assert!(not_found_reason(&rig, "us.nobody.knows-me").await.contains("`us.nobody.knows-me`"));
}

#[actix_web::test]
async fn another_name_in_a_region_is_its_model_there() {
    let aliases = format!("gpt-4o={LITE}, gpt-*={MICRO}");
    let rig = rig(json!({"aliases": aliases})).await;
    for (id, region, target) in [
        ("gpt-4o", EAST, LITE),
        ("gpt-4o@us-west-2", WEST, LITE),
        ("gpt-5", EAST, MICRO),
        ("gpt-5@us-west-2", WEST, MICRO),
    ] {
        assert_eq!(target_of(&rig, id).await, (region.into(), target.into()), "{id}");
        assert_eq!(target_of(&rig, &model_id(id)).await, (region.into(), target.into()), "{id}");
    }
    assert!(not_found_reason(&rig, "gpt-4o@eu-west-1").await.contains("`gpt-4o@eu-west-1`"));
}

#[actix_web::test]
async fn while_no_list_can_be_read_an_id_without_prefix_is_told_why() {
    let bedrock = Emulator::start(EmulatorOptions::default()).unwrap();
    let down = Script::fault(BedrockException::access_denied("no")).always();
    bedrock.script_region(ANY, down);
    let host = bedrock::host(&bedrock).await;
    assert_eq!(
        host.update_valves(PIPE, &json!({"aliases": format!("mine={LITE}")})).await.status,
        200
    );
    for id in [LITE, "mine", "arn:aws:bedrock:us-east-1::foundation-model/x"] {
        let chat = host.chat(id, "hi").await;
        assert!(chat.error_message(503).contains("access denied"), "{id}: {}", chat.text);
        assert!(
            host.get(&format!("/models/{id}")).await.error_message(503).contains("access denied")
        );
    }
    host.chat("gpt-4o", "hi").await.error_message(404);
}

#[actix_web::test]
async fn a_model_without_prefix_is_no_stand_in_for_itself() {
    let rig = rig(json!({})).await;
    for streamed in [false, true] {
        let mut body = chat(LITE, "hi");
        body["stream"] = streamed.into();
        let told = rig.post(&body).await;
        assert_eq!(told.header("x-pipewright-model"), model_id(LITE));
        assert!(!told.text.contains("selected_model_id"), "{}", told.text);
    }
    let told = rig.post(&chat(SONNET, "hi")).await;
    assert_eq!(told.json["selected_model_id"], model_id(&format!("us.{SONNET}")));
}

#[actix_web::test]
async fn an_id_without_prefix_waits_for_the_first_list() {
    let bedrock = Emulator::start(EmulatorOptions::default()).unwrap();
    bedrock.script_region(ANY, Script::demo().delay(Duration::from_millis(300)).always());
    let host = bedrock::host(&bedrock).await;
    let rig = Rig { bedrock, host };
    assert_eq!(target_of(&rig, LITE).await, (EAST.into(), LITE.into()));
}

#[actix_web::test]
async fn an_id_that_two_pipes_have_is_refused_with_both_full_ids() {
    let host = Builder::new().pipes(TWINS).start().await;
    let refused = host.chat("whole", "hi").await;
    let words = "model `whole` is served by two pipes: ask for `script.whole` or `twin.whole`";
    assert_eq!(refused.error_message(400), words);
    assert_eq!(refused.json["error"]["param"], "model");
    assert_eq!(host.get("/models/whole").await.error_message(400), words);
    for (id, text) in [("twin.whole", "whole"), ("own.v1", "own.v1"), ("pp.twin.own.v1", "own.v1")]
    {
        assert_eq!(host.answer_text(id, "hi").await, text, "{id}");
    }
    assert_eq!(host.get("/models/own.v1").await.json["name"], "Twin: own");
}

#[actix_web::test]
async fn models_of_two_pipes_have_different_names_in_pickers() {
    let host = Builder::new().pipes(TWINS).start().await;
    let list = host.get("/models").await.json;
    let names = list["data"].as_array().unwrap().iter().map(|model| model["name"].as_str());
    let names: Vec<_> = names.map(|name| name.unwrap().to_lowercase()).collect();
    let twins: Vec<_> = names.iter().filter(|name| name.starts_with("script: slash")).collect();
    assert_eq!(twins.len(), 2, "{names:?}");
    assert_ne!(twins[0], twins[1]);
    assert!(twins.iter().all(|name| name.chars().count() <= 24), "{twins:?}");
}

#[actix_web::test]
async fn what_is_denied_is_neither_listed_nor_called_by_any_name() {
    let chain = format!("{MICRO} > {HAIKU}");
    let aliases = format!("haiku={HAIKU}, haiku-*={HAIKU}, sonnet=us.{SONNET}");
    let rig = rig(json!({
        "deny": format!("{HAIKU}, *claude-sonnet-4-5*, amazon.titan-*, {RERANK}, bedrock_models.{LITE}@us-west-2"),
        "aliases": aliases, "fallbacks": chain, "default_model": MICRO, "max_attempts": 1,
    }))
    .await;
    let list = ids(&rig).await;
    for denied in [HAIKU, TITAN, RERANK, &format!("us.{SONNET}"), "app/support-desk"] {
        assert!(!list.contains(&denied.to_owned()), "{denied}");
    }
    assert!(list.contains(&LITE.to_owned()) && list.contains(&MICRO.to_owned()));
    for id in [
        HAIKU,
        SONNET,
        &format!("us.{SONNET}"),
        &format!("global.{SONNET}"),
        &format!("{HAIKU}@us-east-1"),
        &format!("{LITE}@us-west-2"),
        &format!("arn:aws:bedrock:us-east-1::foundation-model/{HAIKU}"),
        &arn(EAST, "application-inference-profile/k3v9x2m7q1ab"),
        "app/support-desk",
        "haiku",
        "haiku-3",
        "sonnet",
        TITAN,
        RERANK,
    ] {
        for id in [id.to_owned(), model_id(id)] {
            let words = not_found_reason(&rig, &id).await;
            assert!(words.contains("Denied models") && words.contains(&id), "{id}: {words}");
            for other in [LITE, MICRO, HAIKU].iter().filter(|other| !id.contains(**other)) {
                assert!(!words.contains(other), "{words}");
            }
        }
    }
    for model in [TITAN, &model_id(TITAN)] {
        let refused = rig.host.post("/embeddings", &json!({"model": model, "input": "a"})).await;
        assert!(refused.error_message(404).contains("Denied models"));
    }
    let body = json!({"model": RERANK, "query": "a", "documents": ["b"]});
    assert!(rig.host.post("/rerank", &body).await.error_message(404).contains("Denied models"));
    // The chain leads to a denied model, and so to nobody; the other region is denied too.
    rig.bedrock.script(ANY, Script::throttle().always());
    assert_eq!(rig.post(&chat_body(LITE, &json!({}))).await.status, 429);
    assert_eq!(rig.post(&chat_body(MICRO, &json!({}))).await.status, 429);
    assert!(rig.targets().iter().all(|(_, id)| !id.contains("claude")), "{:?}", rig.targets());
    assert!(!rig.targets().contains(&(WEST.into(), LITE.into())), "{:?}", rig.targets());
}

#[actix_web::test]
async fn only_what_is_allowed_is_there() {
    let rig = rig_without_fallbacks(
        json!({"allow": "us.amazon.*, app/support-desk", "default_model": LITE}),
    )
    .await;
    let list = ids(&rig).await;
    assert!(
        list.iter().all(|id| id.starts_with("us.amazon.") || id == "app/support-desk"),
        "{list:?}"
    );
    assert!(list.len() > 3, "{list:?}");
    let own = arn(EAST, "application-inference-profile/k3v9x2m7q1ab");
    assert_eq!(target_of(&rig, &own).await, (EAST.into(), own));
    for id in [LITE, HAIKU, TITAN, "global.amazon.nova-2-lite-v1:0"] {
        let words = not_found_reason(&rig, id).await;
        assert!(words.contains("Allowed models"), "{words}");
    }
    let said = not_found_reason(&rig, "gpt-4o").await;
    assert!(said.starts_with("Model `gpt-4o` was not found: `GET /v1/models`"), "{said}");
    // The ids of models stay good that lead to allowed profiles.
    let near = self::rig(json!({"allow": "us.*"})).await;
    assert_eq!(target_of(&near, SONNET).await, (EAST.into(), format!("us.{SONNET}")));
}

#[actix_web::test]
async fn a_model_has_the_names_that_an_admin_gives_it() {
    let aliases = format!(
        "gpt-4o=best, best=us.{SONNET}, gpt-*={LITE}@us-west-2, text-embedding-3-small={TITAN}, {HAIKU}={MICRO}, *claude*={MICRO}"
    );
    let rig = rig(json!({"aliases": aliases})).await;
    let profile = format!("us.{SONNET}");
    for (id, region, target) in [
        ("gpt-4o", EAST, &*profile),
        ("best", EAST, &profile),
        ("gpt-5-mini", WEST, LITE),
        // A plain name goes before all ids, a pattern catches only what nobody has.
        (HAIKU, EAST, MICRO),
        (&profile, EAST, &profile),
        ("claude-instant-of-old", EAST, MICRO),
    ] {
        for id in [id.to_owned(), model_id(id)] {
            assert_eq!(target_of(&rig, &id).await, (region.into(), target.into()), "{id}");
            let model = ask_model(&rig, &id).await;
            assert_eq!((model.status, &model.json["id"]), (200, &json!(id)));
        }
    }
    let list = ids(&rig).await;
    assert!(!list.iter().any(|id| id.starts_with("gpt-4") || id == "best"), "{list:?}");
    let body = json!({"model": "text-embedding-3-small", "input": "a"});
    assert_eq!(rig.host.post("/embeddings", &body).await.status, 200);
    let refused = rig.host.chat("text-embedding-3-small", "hi").await;
    assert!(refused.error_message(400).contains("turns texts into vectors"), "{}", refused.text);
    let told = rig.host.chat("gpt-4o", "hi").await;
    assert_eq!(told.header("x-pipewright-model"), model_id(&profile), "it is said who answers");
}

#[actix_web::test]
async fn names_that_lead_nowhere_are_refused_when_they_are_saved() {
    let rig = rig(json!({})).await;
    for (valve, text, words) in [
        ("aliases", "gpt-4o", "`gpt-4o` must be a name, `=` and a model"),
        ("aliases", "a=b, b=c, c=a", "`a` must not lead in a circle"),
        ("aliases", "x=y, gpt-4o=gpt*", "`gpt-4o=gpt*` must be a name"),
        ("allow", "us.* eu.*", "must be names of models"),
        ("deny", "us. *", "must be names of models"),
    ] {
        let refused = rig.host.update_valves(PIPE, &json!({valve: text})).await;
        let words = format!("{valve}: {words}");
        assert!(refused.error_message(422).starts_with(&words), "{}", refused.text);
    }
    assert_eq!(rig.host.valves(PIPE).await["aliases"], Value::Null);
}

#[actix_web::test]
async fn names_that_no_model_has_are_refused_when_they_are_entered() {
    let rig = rig(json!({"fallbacks": format!("{LITE} > {MICRO}")})).await;
    let chain = format!("{LITE} > us.nobody");
    for (valve, text, words) in [
        ("fallbacks", chain.as_str(), "names `us.nobody`, which is no model that can be asked"),
        ("default_model", "openai_proxy.gpt-4o", "names `openai_proxy.gpt-4o`, which is no model"),
        ("aliases", "gpt-4o=us.amazon.nova-por-v1:0", "names `us.amazon.nova-por-v1:0`, which"),
        ("allow", "antropic.*", "leaves none of the models that there are: it must be names of"),
    ] {
        let refused = rig.host.update_valves(PIPE, &json!({valve: text})).await;
        let words = format!("{valve}: {words}");
        assert!(refused.error_message(422).starts_with(&words), "{}", refused.text);
        assert_eq!(refused.json["error"]["param"], valve);
    }
    // That all models are denied does not make one of a name that none has.
    let nobody = rig.host.update_valves(PIPE, &json!({"aliases": "a=nope", "deny": "*"})).await;
    assert!(nobody.error_message(422).contains("aliases: names `nope`, which is no model"));
    let number = rig.host.update_valves(PIPE, &json!({"allow": 5})).await;
    assert!(
        number.error_message(422).contains("allow: leaves none")
            && number.text.contains("must be names")
    );
    assert_eq!(rig.host.valves(PIPE).await["fallbacks"], format!("{LITE} > {MICRO}"));
    // A denied model may be allowed again. An alias that loses its model is shown to the admin in
    // time.
    for valves in [
        json!({"deny": MICRO}),
        json!({"inference_profiles": false, "default_model": MICRO}),
        json!({"fallbacks": format!("newest.* > {LITE}")}),
    ] {
        assert_eq!(rig.host.update_valves(PIPE, &valves).await.status, 200, "{valves}");
        rig.host.get("/models").await;
        assert_eq!(rig.host.get("/health/ready").await.json["degraded"], json!([PIPE]));
    }
}

#[actix_web::test]
async fn a_name_is_believed_while_a_region_cannot_be_asked_and_found_in_a_new_list() {
    let bedrock = Emulator::start(EmulatorOptions::default()).unwrap();
    let host = bedrock::host(&bedrock).await;
    let rig = Rig { bedrock, host };
    rig.host.get("/models").await;
    let names = json!({"default_model": "imported/house-llama"});
    assert_eq!(rig.host.update_valves(PIPE, &names).await.status, 422);
    let both = json!({"default_model": "imported/house-llama", "imported_models": true});
    assert_eq!(rig.host.update_valves(PIPE, &both).await.status, 200);
    rig.bedrock.script_region(WEST, Script::fault(BedrockException::access_denied("no")).always());
    let more = json!({"regions": [EAST, WEST, "eu-west-1"], "default_model": "nobody"});
    rig.bedrock
        .script_region("eu-west-1", Script::fault(BedrockException::access_denied("no")).always());
    assert_eq!(rig.host.update_valves(PIPE, &more).await.status, 200);
}

#[actix_web::test]
async fn the_model_for_unknown_ids_needs_no_prefix_either() {
    let rig = rig(json!({"default_model": model_id(MICRO)})).await;
    assert_eq!(target_of(&rig, "gpt-4o").await, (EAST.into(), MICRO.into()));
    // It is a model that chats, so it is nobody's vector.
    let refused = rig.host.post("/embeddings", &json!({"model": "ada", "input": "a"})).await;
    assert_eq!(refused.json["error"]["code"], "model_not_found", "{}", refused.text);
}

#[actix_web::test]
async fn clients_see_all_models_and_open_webui_those_that_chat() {
    let rig = rig(json!({})).await;
    let all = ids(&rig).await;
    for id in [LITE, TITAN, RERANK, "us.cohere.embed-v4:0"] {
        assert!(all.contains(&id.to_owned()), "{id}");
    }
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recordings/01_model_list.jsonl");
    let recorded = fs::read_to_string(file).unwrap();
    let recorded: Value = serde_json::from_str(recorded.lines().next().unwrap()).unwrap();
    let recorded = recorded["request"]["headers"].as_array().unwrap().clone();
    let agent = recorded.iter().find(|header| header[0] == "User-Agent").unwrap();
    for (name, value) in [
        ("user-agent", agent[1].as_str().unwrap()),
        ("user-agent", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36"),
        ("origin", "https://chat.example.com"),
        ("x-openwebui-user-id", "u1"),
    ] {
        for path in ["/models", "/v1/models", "/api/v1/models"] {
            let request = rig.host.request(Method::GET, path).header(name, value);
            let list = TestResponse::read(request.send().await.unwrap()).await;
            assert!(ids_in(&list).contains(&LITE.to_owned()));
            assert!(
                !list.text.contains("embed") && !list.text.contains("rerank"),
                "{name}: {value}"
            );
        }
        let request = rig.host.request(Method::GET, "/models?type=embedding").header(name, value);
        let list = ids_in(&TestResponse::read(request.send().await.unwrap()).await);
        assert!(list.contains(&TITAN.to_owned()) && !list.contains(&LITE.to_owned()), "{list:?}");
    }
    for agent in ["OpenAI/Python 3.1.0", "OpenAI/JS 6.1.0", "curl/8.5.0"] {
        let request = rig.host.request(Method::GET, "/v1/models").header("user-agent", agent);
        assert_eq!(ids_in(&TestResponse::read(request.send().await.unwrap()).await), all);
    }
}

#[actix_web::test]
async fn a_list_may_be_of_one_kind() {
    let rig = rig(json!({})).await;
    let all = ids(&rig).await;
    let mut seen = Vec::new();
    for (kind, one) in [
        ("chat", LITE),
        ("image", "amazon.nova-canvas-v1:0"),
        ("embedding", TITAN),
        ("rerank", RERANK),
    ] {
        let list = ids_in(&rig.host.get(&format!("/models?type={kind}")).await);
        assert!(list.contains(&one.to_owned()), "{kind}: {list:?}");
        seen.extend(list);
    }
    seen.sort();
    let mut sorted = all.clone();
    sorted.sort();
    assert_eq!(seen, sorted);
    assert_eq!(ids_in(&rig.host.get("/models?type=all").await), all);
    let refused = rig.host.get("/models?type=music").await;
    assert_eq!(
        refused.error_message(400),
        "type: must be `all`, `chat`, `image`, `embedding`, `rerank`"
    );
    assert_eq!(refused.json["error"]["param"], "type");
}

#[actix_web::test]
async fn a_model_tells_what_is_known_of_it() {
    let rig = rig(json!({})).await;
    let sonnet = ask_model(&rig, &model_id(&format!("us.{SONNET}"))).await.json;
    assert_eq!(sonnet["context_length"], 200_000);
    assert_eq!(sonnet["max_output_tokens"], 64_000);
    assert_eq!(
        sonnet["top_provider"],
        json!({"context_length": 200_000, "max_completion_tokens": 64_000})
    );
    assert_eq!(
        sonnet["architecture"],
        json!({"modality": "text+image+file->text", "input_modalities": ["text", "image", "file"], "output_modalities": ["text"]})
    );
    let parameters = sonnet["supported_parameters"].as_array().unwrap();
    for parameter in ["tools", "tool_choice", "temperature", "reasoning", "structured_outputs"] {
        assert!(parameters.contains(&json!(parameter)), "{parameter}");
    }
    let opus = ask_model(&rig, &model_id("us.anthropic.claude-opus-4-7")).await.json;
    assert!(!opus["supported_parameters"].as_array().unwrap().contains(&json!("temperature")));
    let titan = ask_model(&rig, TITAN).await.json;
    assert_eq!(titan["architecture"]["output_modalities"], json!(["embeddings"]));
    // Were it to slip into Open WebUI's list, it would be kept out of the picker, and filter
    // nothing.
    assert_eq!(
        titan["pipeline"],
        json!({"type": "filter", "pipelines": [], "priority": 0, "valves": true})
    );
    let unknown = ask_model(&rig, &model_id("cohere.command-r-v1:0")).await.json;
    assert_eq!(unknown.get("context_length"), None, "nothing is made up");
}

#[actix_web::test]
async fn the_base_paths_are_one() {
    let rig = rig(json!({"aliases": format!("gpt-4o={LITE}")})).await;
    for path in ["/models", "/models?type=embedding", "/models/gpt-4o", "/models/nobody"] {
        let bare = rig.host.get(path).await;
        for prefix in ["/v1", "/api/v1"] {
            let same = rig.host.get(&format!("{prefix}{path}")).await;
            assert_eq!((same.status, same.text), (bare.status, bare.text.clone()), "{path}");
        }
    }
    for prefix in ["", "/v1", "/api/v1"] {
        let told =
            rig.host.post(&format!("{prefix}/chat/completions"), &chat("gpt-4o", "hi")).await;
        assert_eq!(told.header("x-pipewright-model"), model_id(LITE), "{}", told.text);
        let message = json!({"model": "gpt-4o", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]});
        assert_eq!(rig.host.post(&format!("{prefix}/messages"), &message).await.status, 200);
        let response = json!({"model": "gpt-4o", "input": "hi"});
        assert_eq!(rig.host.post(&format!("{prefix}/responses"), &response).await.status, 200);
    }
}
