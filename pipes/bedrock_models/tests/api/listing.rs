//! The model list: of all regions, in the background, with what is missing said.

use crate::support::*;
use bedrock_emulator::{
    ANY, BedrockException, Emulator, EmulatorOptions, Operation, RecordedRequest, Script,
};
use bedrock_models::BuiltinTools;
use pipe_sdk::{PickerAudience, Pipe};
use serde_json::json;
use std::{collections::HashSet, time::Duration};
use tokio::time::Instant;

#[tokio::test]
async fn both_regions_are_listed_and_the_first_wins() {
    let rig = rig().await;
    let models = models(&rig.pipe);
    let named = |id: &str| models.iter().find(|model| model.id == id).unwrap();
    let told = "200k context · sees pictures · reads documents · us-east-1";
    assert_eq!(named(HAIKU).description.as_deref(), Some(told));
    let west = "qwen.qwen3-coder-480b-a35b-v1:0";
    assert!(named(west).description.as_deref().unwrap().ends_with(" · us-west-2"));
    let mut ids = ids(&rig.pipe);
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), models.len());
}

#[tokio::test]
async fn only_active_models_that_chat_on_demand_are_listed_by_their_own_ids() {
    let rig = rig().await;
    let ids = ids(&rig.pipe);
    for absent in [
        "anthropic.claude-3-5-sonnet-20240620-v1:0",
        "anthropic.claude-sonnet-4-20250514-v1:0",
        "anthropic.claude-3-haiku-20240307-v1:0:48k",
        "amazon.nova-canvas-v1:0",
        "amazon.titan-embed-text-v2:0",
        "cohere.rerank-v3-5:0",
        "us.anthropic.claude-3-7-sonnet-20250219-v1:0",
    ] {
        assert!(!ids.iter().any(|id| id == absent), "{absent}");
    }
}

#[tokio::test]
async fn legacy_models_are_listed_if_that_is_wanted() {
    let rig = rig_with(|valves| valves.legacy_models = true).await;
    assert!(ids(&rig.pipe).contains(&"anthropic.claude-3-5-sonnet-20240620-v1:0".into()));
}

#[tokio::test]
async fn profiles_are_listed_with_names_and_what_the_model_behind_can_do() {
    let rig = rig().await;
    let models = models(&rig.pipe);
    let global =
        models.iter().find(|model| model.id == "global.anthropic.claude-opus-4-8").unwrap();
    assert_eq!(global.name, "Claude Opus 4.8 (Global)");
    assert_eq!(global.capabilities["vision"], true);
    let own = models.iter().find(|model| model.name == "support-desk").unwrap();
    assert_eq!(own.id, "app/support-desk");
    let west = models.iter().find(|model| model.name == "research team").unwrap();
    assert_eq!(west.id, "app/research-team");
    assert_eq!(
        west.description.as_deref(),
        Some("300k context · sees pictures · reads documents · us-west-2")
    );
}

#[tokio::test]
async fn pickers_show_each_model_once_the_newest_of_a_family_first() {
    for (all, hidden) in [(false, true), (true, false)] {
        let rig = rig_with(|valves| valves.list_all_routes = all).await;
        let models = models(&rig.pipe);
        let audience = |id: &str| models.iter().find(|model| model.id == id).unwrap().audience;
        assert_eq!(audience("us.amazon.nova-micro-v1:0"), PickerAudience::Everyone);
        let plain = if hidden { PickerAudience::Nobody } else { PickerAudience::Everyone };
        assert_eq!(audience(MICRO), plain);
        let shown = models.iter().filter(|model| model.audience != PickerAudience::Nobody);
        let names: Vec<_> = shown.map(|model| model.name.as_str()).collect();
        let distinct: HashSet<_> = names.iter().collect();
        assert_eq!(distinct.len(), names.len(), "{names:?}");
        assert!(names.iter().all(|name| name.chars().count() <= 24), "{names:?}");
        let place = |name: &str| names.iter().position(|other| *other == name).unwrap();
        assert!(place("Claude Sonnet 5 (US)") < place("Claude Sonnet 4.5 (US)"), "{names:?}");
        assert!(rig.answer(MICRO, hello()).await.is_ok(), "hidden, and still called");
    }
}

#[tokio::test]
async fn profiles_are_left_out_if_that_is_wanted() {
    let rig = rig_with(|valves| valves.inference_profiles = false).await;
    assert!(!ids(&rig.pipe).iter().any(|id| id.starts_with("us.") || id.starts_with("app/")));
    let asked = rig.bedrock.requests();
    assert!(asked.iter().all(|r| r.operation == Some(Operation::ListFoundationModels)));
}

#[tokio::test]
async fn builtin_tools_go_to_models_that_take_them_unless_the_valve_says_else() {
    for (valve, nova, r1) in [
        (BuiltinTools::WhenSupported, true, false),
        (BuiltinTools::Always, true, true),
        (BuiltinTools::Never, false, false),
    ] {
        let rig = rig_with(|valves| valves.builtin_tools = valve).await;
        let models = models(&rig.pipe);
        let builtin = |id: &str| {
            let model = models.iter().find(|model| model.id == id).unwrap();
            assert_eq!(model.capabilities["usage"], true);
            model.capabilities["builtin_tools"].clone()
        };
        assert_eq!(builtin(MICRO), nova);
        assert_eq!(builtin("us.deepseek.r1-v1:0"), r1);
    }
}

#[tokio::test]
async fn a_failing_region_is_listed_and_explained_in_the_chat() {
    let bedrock = bedrock();
    bedrock
        .script_region("us-west-2", Script::fault(BedrockException::access_denied("no")).always());
    let pipe = started(valves(&bedrock)).await;
    pipe.wait_until_ready().await;
    let models = models(&pipe);
    let errors: Vec<_> = models.iter().filter(|model| model.id.starts_with("error")).collect();
    assert_eq!(errors.len(), 1);
    assert_eq!(errors[0].id, "error-us-west-2");
    assert_eq!(errors[0].name, "⚠ Bedrock us-west-2");
    assert_eq!(errors[0].audience, PickerAudience::Admins);
    assert!(models.iter().any(|model| model.id == HAIKU));
    let denied = |list: &str| format!("us-west-2: access denied: allow bedrock:{list}");
    let both = ["ListFoundationModels", "ListInferenceProfiles"].map(denied);
    assert_eq!(pipe.health_problem(), Some(both.join("; ")));
    let (kind, words) = told(pipe.pipe(call("error-us-west-2", &hello())).await);
    assert_eq!(kind, "Denied");
    assert!(words.contains("us-west-2") && words.contains("ListFoundationModels"), "{words}");
}

#[tokio::test]
async fn a_slow_control_plane_holds_up_neither_the_start_nor_the_other_region() {
    let bedrock = bedrock();
    bedrock.script_region("us-west-2", Script::hang().always());
    let begun = Instant::now();
    let pipe = started(valves(&bedrock)).await;
    assert!(begun.elapsed() < Duration::from_millis(500));
    until(|| ids(&pipe).contains(&HAIKU.into())).await;
}

#[tokio::test]
async fn a_region_that_hangs_is_given_up_after_the_valves_seconds() {
    let bedrock = bedrock();
    bedrock.script_region("us-west-2", Script::hang().always());
    let pipe = started(bedrock_models::BedrockValves {
        model_list_timeout_seconds: 1,
        ..valves(&bedrock)
    })
    .await;
    pipe.wait_until_ready().await;
    assert!(ids(&pipe).contains(&"error-us-west-2".into()));
    assert!(pipe.health_problem().unwrap().contains("did not answer in time"));
}

#[tokio::test]
async fn an_old_list_is_served_while_one_refresh_asks_for_the_next() {
    let rig = rig_with(|valves| valves.model_list_seconds = 10).await;
    let before = rig.bedrock.requests().len();
    let list = ids(&rig.pipe);
    assert_eq!(rig.bedrock.requests().len(), before);
    rig.bedrock.script_region(ANY, Script::fault(BedrockException::throttling("busy")).always());
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(11)).await;
    tokio::time::resume();
    for _ in 0..20 {
        assert_eq!(ids(&rig.pipe), list);
    }
    until(|| rig.pipe.health_problem().is_some()).await;
    assert_eq!(ids(&rig.pipe), list, "a failed refresh keeps the last good list");
    let asked = rig.bedrock.requests().split_off(before);
    let first = |request: &&RecordedRequest| {
        request.operation == Some(Operation::ListFoundationModels) && request.attempt == 1
    };
    assert_eq!(asked.iter().filter(first).count(), 2, "one refresh at a time, of two regions");
}

#[tokio::test]
async fn a_model_that_is_not_listed_is_not_found() {
    let rig = rig().await;
    let (kind, words) = told(rig.stream("nobody.knows-me", hello()).await);
    assert_eq!(
        (kind.as_str(), words.as_str()),
        ("ModelNotFound", "model `nobody.knows-me` was not found")
    );
}

#[tokio::test]
async fn a_chat_waits_for_the_first_list() {
    let bedrock = bedrock();
    bedrock.script_region(ANY, Script::demo().delay(Duration::from_millis(300)).times(2));
    let pipe = started(valves(&bedrock)).await;
    assert_eq!(
        ids(&pipe),
        ["loading"],
        "an empty list would be taken for a connection without models"
    );
    pipe.pipe(call(HAIKU, &hello())).await.unwrap().fold().await.unwrap();
}

#[tokio::test]
async fn changed_valves_keep_the_list_of_the_same_account() {
    let rig = rig().await;
    let turned = bedrock_models::BedrockValves {
        builtin_tools: BuiltinTools::Never,
        ..valves(&rig.bedrock)
    };
    let next = rig.pipe.on_valves_updated(turned).await.unwrap();
    assert_eq!(ids(&next), ids(&rig.pipe));
    assert!(models(&next).iter().all(|model| model.capabilities["builtin_tools"] == false));
    let other = bedrock_models::BedrockValves {
        aws_access_key_id: Some("AKIAOTHER".into()),
        ..valves(&rig.bedrock)
    };
    assert_eq!(ids(&rig.pipe.on_valves_updated(other).await.unwrap()), ["loading"]);
}

#[tokio::test]
async fn words_that_aws_has_not_documented_are_survived() {
    let catalogue = catalogue(&json!({
        "models": [{
            "id": "new.model-v1:0", "name": "New", "provider": "New", "regions": ["us-east-1"],
            "input": ["TEXT", "SPEECH", "SMELL"], "output": ["TEXT", "TASTE"], "inference": ["ON_DEMAND", "MAGIC"],
        }],
        "profiles": [],
    }));
    let bedrock =
        Emulator::start(EmulatorOptions { catalogue, ..EmulatorOptions::default() }).unwrap();
    let pipe = started(valves(&bedrock)).await;
    pipe.wait_until_ready().await;
    assert_eq!(ids(&pipe), ["new.model-v1:0"]);
}

#[tokio::test]
async fn names_in_valves_that_no_model_has_are_trouble() {
    let told = |turn: fn(&mut bedrock_models::BedrockValves)| async move {
        rig_with(turn).await.pipe.health_problem()
    };
    let stray = |valve: &str, name: &str| {
        Some(format!("{valve} names `{name}`, which is no model that can be asked"))
    };
    let some = |text: &str| Some(text.to_owned());
    for (turn, trouble) in [
        (
            (|valves| valves.fallbacks = Some("amazon.* > us.nobody".into()))
                as fn(&mut bedrock_models::BedrockValves),
            stray("Fallbacks", "us.nobody"),
        ),
        (
            |valves| valves.fallbacks = Some(format!("nobody.* > {MICRO}")),
            stray("Fallbacks", "nobody.*"),
        ),
        (|valves| valves.default_model = Some("gpt-4o".into()), stray("Default model", "gpt-4o")),
        (|valves| valves.aliases = Some("gpt-4o=gpt-5".into()), stray("Model aliases", "gpt-5")),
        (
            |valves| {
                valves.deny = Some(HAIKU.into());
                valves.aliases = Some(format!("gpt-4o={HAIKU}"));
            },
            some(&format!("Model aliases names `{HAIKU}`, but it is in the valve *Denied models*")),
        ),
        (
            |valves| valves.allow = Some("nobody.*".into()),
            some(
                "Allowed models leaves none of the models that there are: it must be names of models with commas between them, as in us.*, amazon.nova-*",
            ),
        ),
        (
            |valves| {
                valves.fallbacks = Some(format!("anthropic.* > {MICRO}@us-west-2 > best"));
                valves.default_model = Some("bedrock_models.anthropic.claude-sonnet-4-6".into());
                valves.aliases = Some(format!("best = app/support-desk, gpt-*=best, x={MICRO}"));
            },
            None,
        ),
    ] {
        assert_eq!(told(turn).await, trouble);
    }
}

#[tokio::test]
async fn what_is_not_listed_yet_is_no_stray() {
    let bedrock = bedrock();
    bedrock
        .script_region("us-west-2", Script::fault(BedrockException::access_denied("no")).always());
    let valves = bedrock_models::BedrockValves {
        default_model: Some("qwen.qwen3-coder-480b-a35b-v1:0".into()),
        ..valves(&bedrock)
    };
    let pipe = started(valves).await;
    pipe.wait_until_ready().await;
    let trouble = pipe.health_problem().unwrap();
    assert!(trouble.contains("us-west-2") && !trouble.contains("qwen"), "{trouble}");
}
